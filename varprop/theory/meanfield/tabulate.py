"""Moments of one activation as functions of q, interpolated: for grids of many thousand points.

E phi^2 / q, d E phi^2 / dq and E phi'^2 are analytic in log q in a strip of half-width pi/2, as
the density of N(0, q) is. So Chebyshev interpolation on pieces of length 2 in log q converges like
3.4^-n.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev

from varprop.activations import Activation

LOW, LENGTH, PIECES, ORDER = 1e-9, 2.0, 20, 30
RESOLVED = 1e-6


@dataclass(frozen=True)
class Table:
    """`kept` = E phi^2 / q, `rise` = d E phi^2 / dq and `slope` = E phi'^2, on [LOW, high].

    coefficients (3, pieces, ORDER); `errors` (pieces,) are the largest of `kept` and `slope`
    found between the nodes, by comparison with the activation itself; they are absolute, as E phi^2
    may be as small as e^(-1/q).
    """

    coefficients: np.ndarray
    high: float
    errors: np.ndarray

    def error(self, q: np.ndarray) -> np.ndarray:
        """The error on the piece in which each q lies."""
        return self.errors[self._piece(q)[0]]

    def kept(self, q: np.ndarray) -> np.ndarray:
        return self._at(0, q)

    def rise(self, q: np.ndarray) -> np.ndarray:
        return self._at(1, q)

    def slope(self, q: np.ndarray) -> np.ndarray:
        return self._at(2, q)

    def _piece(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place = np.log(np.asarray(q, float) / LOW) / LENGTH
        piece = np.clip(place.astype(int), 0, self.coefficients.shape[1] - 1)
        return piece, 2 * (place - piece) - 1

    def _at(self, which: int, q: np.ndarray) -> np.ndarray:
        piece, x = self._piece(q)
        rows = np.moveaxis(self.coefficients[which][piece], -1, 0)
        return chebyshev.chebval(x, rows, tensor=False)


@lru_cache(maxsize=64)
def table(phi: Activation) -> Table:
    """The table of an activation; it ends near 2e8, or where E phi^2 / q overflows or grows so fast
    that it is not resolved (like e^q), which is far above 1."""
    nodes = chebyshev.chebpts1(ORDER)
    between = np.linspace(-1, 1, 7)[1:-1]
    values, checks = _sampled(phi, nodes), _sampled(phi, between)
    finite = np.isfinite(values).all((0, 2)) & np.isfinite(checks).all((0, 2))
    pieces = int(np.argmin(finite)) if not finite.all() else PIECES
    if pieces == 0:
        raise ValueError(f"E phi^2 of {phi} is not finite at q = {LOW:g}; it has no phase diagram")
    inverse = np.linalg.inv(chebyshev.chebvander(nodes, ORDER - 1))
    coefficients = np.einsum("kn,fpn->fpk", inverse, values[:, :pieces])
    made = Table(coefficients, LOW * np.exp(LENGTH * pieces), np.zeros(pieces))
    at, wanted = _places(between)[:pieces], checks[:, :pieces]
    found = [made.kept(at), made.slope(at)]
    gaps = [np.abs(f - w) for f, w in zip(found, wanted[[0, 2]], strict=True)]
    steep = (gaps[0] > RESOLVED * np.maximum(1, wanted[0])).any(1) & (wanted[0] > 1).all(1)
    pieces = int(np.argmax(steep)) if steep.any() else pieces
    errors = np.maximum(*gaps).max(1)[:pieces]
    return Table(coefficients[:, :pieces], LOW * np.exp(LENGTH * pieces), errors)


def _places(nodes: np.ndarray) -> np.ndarray:
    """q at the nodes of each piece, (pieces, nodes)."""
    return LOW * np.exp(LENGTH * (np.arange(PIECES)[:, None] + (nodes + 1) / 2))


def _sampled(phi: Activation, nodes: np.ndarray) -> np.ndarray:
    """The three functions at the nodes, (3, pieces, nodes)."""
    q = _places(nodes)
    moments: tuple[Callable, ...] = (phi.second_moment, phi.second_moment_slope)
    with np.errstate(all="ignore"):
        kept, rise = (np.asarray(f(q)) for f in moments)
        return np.stack([kept / q, rise, np.asarray(phi.derivative_second_moment(q))])
