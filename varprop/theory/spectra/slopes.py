"""The law of phi'(z)^2, z ~ N(0, q): its moments, and its atoms if phi is piecewise linear."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from scipy import special

from varprop.activations import Activation, X
from varprop.theory.spectra.series import Series

ORDER = 8  # moments that are kept
NEAR_ZERO = 1e-30  # a smooth piece is linear there to sqrt(q) = 1e-15
Atoms = tuple[tuple[Any, Any], ...]


def slope_atoms(phi: Activation, q: float) -> Atoms | None:
    """(phi'^2, probability) for a piecewise linear phi; None for any other.

    Half the mass lies on either side of a kink at zero, exactly, whatever q is.
    """
    if any(_curved(piece) for piece in _pieces(sp.diff(phi.derivative, X))):
        return None
    if not phi.kinks:
        return ((_square(phi, 0.0), sp.S.One),)
    edges = [-np.inf, *sorted(phi.kinks), np.inf]
    middles = [*(k - 1 for k in edges[1:2]), *_between(edges[1:-1]), edges[-2] + 1]
    below = [_below(edge, q) for edge in edges]
    return tuple(
        (_square(phi, middle), high - low)
        for middle, low, high in zip(middles, below[:-1], below[1:], strict=True)
    )


def slope_moments(phi: Activation, q: float) -> Series:
    """E phi'^2, E phi'^4, ..., E phi'^(2 ORDER); at q = 0 the limit q -> 0, also at a kink."""
    atoms = slope_atoms(phi, q)
    powers = range(1, ORDER + 1)
    if atoms is not None:
        return tuple(sum(p * value**k for value, p in atoms) for k in powers)
    q = NEAR_ZERO if q == 0 and 0 in phi.kinks else q  # half the mass on either side
    return tuple(
        float(phi.moment(lambda z, value, slope, k=k: slope ** (2 * k), q)) for k in powers
    )


def gate(atoms: Atoms | None) -> tuple[Any, Any] | None:
    """(p, s) where phi'^2 is s with probability p, else 0; None where it takes more values."""
    open_ = [(value, p) for value, p in atoms or () if value != 0]
    if not open_ or any(value != open_[0][0] for value, _ in open_):
        return None
    return sum(p for _, p in open_), open_[0][0]


def _square(phi: Activation, z: float) -> sp.Expr:
    return sp.nsimplify(phi.derivative.subs(X, sp.Rational(z)), rational=True) ** 2


def _below(edge: float, q: float) -> Any:
    if edge == 0 or np.isinf(edge):
        return sp.Rational(1 + int(np.sign(edge)), 2)
    return special.ndtr(edge / np.sqrt(q)) if q > 0 else float(edge > 0)


def _between(edges: Sequence[float]) -> list[float]:
    return [(a + b) / 2 for a, b in pairwise(edges)]


def _pieces(second: Any) -> list[Any]:
    """The cases of phi'' away from its kinks, where point masses do not count."""
    flat = second.replace(lambda e: isinstance(e, sp.DiracDelta), lambda e: sp.Integer(0))
    folded = sp.piecewise_fold(flat)
    if isinstance(folded, sp.Piecewise):
        return [piece for piece, _ in folded.args]  # type: ignore[misc]
    return [folded]


def _curved(piece: sp.Expr) -> bool:
    return sp.simplify(piece) != 0
