"""Gauss-Legendre and stretched trapezoidal rules, and what an `Estimate` is."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

REACH = 13.0  # |Z| beyond this has density below 1e-37
ROUNDING = 5e-15  # of E |f|: of the variances' roots, the nodes and powers of them
STRETCH = 4.0  # z = STRETCH sinh(t): nodes thin out in the tails, and cannot alias one frequency
STEP = 0.27  # of z at the origin, for a pole at distance pi / 2 and scale 1
SECOND_STEP = 0.9  # the second rule's step, so that the two share no resonance


class Estimate(NamedTuple):
    """A quadrature `value`, an upper estimate of its absolute `error`, and the `size` E |f|."""

    value: np.ndarray
    error: np.ndarray
    size: np.ndarray


class Rule(NamedTuple):
    """Nodes (d, N) of a d-dimensional standard normal, with weights (N, 2) of two rules on them.

    The value is the mean of the rules, their difference the error. `rim` (N, 2) has the mean
    weights, and those of the nodes that lie next to the boundary, which bound what is beyond it
    for |f| that grows no faster than exp(12 |z|).
    """

    nodes: np.ndarray
    weights: np.ndarray
    rim: np.ndarray

    def apply(self, values: np.ndarray) -> Estimate:
        """The integral of a function from its values (..., N) at the nodes."""
        both = values @ self.weights
        size = np.abs(values) @ self.rim
        error = np.abs(both[..., 0] - both[..., 1]) + 2 * size[..., 1] + ROUNDING * size[..., 0]
        return Estimate((both[..., 0] + both[..., 1]) / 2, error, size[..., 0])


def density(z: np.ndarray) -> np.ndarray:
    """The standard normal density."""
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def level(scale: np.ndarray) -> np.ndarray:
    """The number of the coarsest rule for integrands of that scale: half an octave each."""
    return np.ceil(2 * np.log2(np.maximum(scale, 0.5)) - 1e-9).astype(int)


@lru_cache(maxsize=512)
def trapezoid(*levels: int) -> Rule:
    """The product of one stretched trapezoidal rule per dimension, of the given levels.

    Converges geometrically for an integrand that is analytic within about pi / (2 scale).
    """
    parts = [_product(*(_stretched(lev, second) for lev in levels)) for second in (False, True)]
    nodes = np.concatenate([z for z, _ in parts], -1)
    first, second = (weight for _, weight in parts)
    weights = np.zeros((nodes.shape[-1], 2))
    weights[: first.size, 0], weights[first.size :, 1] = first, second
    mean = weights.sum(-1) / 2
    outside = np.sum(nodes**2, 0) > (REACH - 0.5) ** 2
    return Rule(nodes, weights, np.stack([mean, np.where(outside, mean, 0.0)], -1))


def _stretched(level: int, second: bool) -> tuple[np.ndarray, np.ndarray]:
    """Nodes z = STRETCH sinh(t), t evenly spaced; the second rule has its nodes elsewhere."""
    step = STEP * 2.0 ** (-level / 2) / STRETCH * (SECOND_STEP if second else 1.0)
    count = int(np.ceil(np.arcsinh(REACH / STRETCH) / step))
    t = step * (np.arange(-count, count + 1 - second) + second / 2)
    z = STRETCH * np.sinh(t)
    return z, density(z) * step * STRETCH * np.cosh(t)


def _product(*factors: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The nodes of the product rule within REACH of the origin."""
    nodes = np.stack([z.reshape(-1) for z in np.meshgrid(*(z for z, _ in factors), indexing="ij")])
    weights = np.prod(np.meshgrid(*(w for _, w in factors), indexing="ij"), 0).reshape(-1)
    inside = np.sum(nodes**2, 0) <= REACH**2
    return nodes[:, inside], weights[inside]


@lru_cache
def legendre_unit(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    node, weight = legendre(order)
    return (node + 1) / 2, weight / 2


@lru_cache
def legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [-1, 1]."""
    return np.polynomial.legendre.leggauss(order)


@lru_cache
def null_rules(order: int, count: int) -> np.ndarray:
    """(order, count): rules that give the last Legendre coefficients of a function on [-1, 1].

    They vanish for a function that the Gauss rule resolves, and not all at once for a jump.
    """
    node, weight = legendre(order)
    degrees = np.arange(order - count, order)
    return np.polynomial.legendre.legvander(node, order - 1)[:, degrees] * (
        weight[:, None] * (2 * degrees + 1)
    )
