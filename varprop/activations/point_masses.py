"""What a jump of phi adds: a point mass in phi', J delta(z - a) for the jump J at a."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations.pieces import steps
from varprop.activations.symbols import Q

Jumps = tuple[tuple[Any, Any], ...]


def density(x: Any, variance: Any) -> Any:
    return np.exp(-(x**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def mean_slope(masses: Jumps) -> sp.Expr:
    """The part of E phi'(z) that the jumps add: sum J p(a), in the symbol Q."""
    return sp.Add(*(h * sp.exp(-(a**2) / (2 * Q)) / sp.sqrt(2 * sp.pi * Q) for a, h in masses))


def square_slope(expression: sp.Expr, kinks: tuple[float, ...], masses: Jumps) -> sp.Expr:
    """What they add to E z (phi^2)'(z) / (2 Q): sum a (phi(a+)^2 - phi(a-)^2) p(a) / (2 Q)."""
    squares = dict(zip(sorted(kinks), steps(expression**2, kinks), strict=True))
    pairs = tuple((a, a * squares[float(a)] / (2 * Q)) for a, _ in masses)
    return mean_slope(pairs)


def derivative_pair(
    slope: Callable[[Any], np.ndarray],
    kinks: tuple[float, ...],
    masses: Jumps,
    q1: np.ndarray,
    q2: np.ndarray,
    missing: np.ndarray,
) -> np.ndarray:
    """What the point masses add to E phi'(z) phi'(z') at correlation 1 - missing, 0 < missing < 2.

    A mass at a in z, and the slope at z' given z = a; the same exchanged; and two masses.
    """
    c, rest = 1 - missing, missing * (2 - missing)
    total = np.zeros(np.broadcast_shapes(q1.shape, q2.shape, missing.shape))
    total = total + against(masses, slope, kinks, q1, q2, missing)
    total = total + against(masses, slope, kinks, q2, q1, missing)
    for a, height in floats(masses):
        for b, other in floats(masses):
            centre = c * np.sqrt(q2 / q1) * a
            total = total + height * other * density(a, q1) * density(b - centre, q2 * rest)
    return total


def against(
    masses: Jumps,
    other: Callable[[Any], np.ndarray],
    kinks: tuple[float, ...],
    q1: np.ndarray,
    q2: np.ndarray,
    missing: np.ndarray,
) -> np.ndarray:
    """E m(z) f(z') for m = sum J delta(z - a): each mass, and f at z' given z = a."""
    c, rest = 1 - missing, missing * (2 - missing)
    total = np.zeros(np.broadcast_shapes(q1.shape, q2.shape, missing.shape))
    for a, height in floats(masses):
        centre, spread = c * np.sqrt(q2 / q1) * a, np.sqrt(q2 * rest)
        given = gaussian.expectation(other, centre, spread, kinks).value
        total = total + height * density(a, q1) * given
    return total


def floats(masses: Jumps) -> tuple[tuple[float, float], ...]:
    return tuple((float(a), float(height)) for a, height in masses)
