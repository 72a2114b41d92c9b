"""All fixed points of the variance map q -> F(q), with their stability.

A fixed point q* has chi_parallel = F'(q*). It is stable for |chi| < 1, unstable for |chi| > 1. At
|chi| = 1 the signs of F(q) - q on both sides decide: the approach is then algebraic in the depth.
0 is a fixed point where F(0) = 0, and infinity where q_l grows without bound.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from varprop.activations.quadrature import Untrusted

LOW, HIGH, PER_DECADE = 1e-12, 1e8, 24
FARTHEST = 1e150  # variances beyond it count as infinite
CLOSE, FINER = 1e-2, 24  # the grid is refined where |F(q)/q - 1| is below CLOSE
NOISE, CANCELLED = 2e-14, 1e-15  # of (F(q) - q)/q: of quadratures, and of closed forms times q
MARGIN = 1e-9  # |chi - 1| below this is critical


class FixedPoint(NamedTuple):
    """q* = F(q*), which is "stable", "unstable", "neutral" or "half-stable from above" (or below).

    half-stable: attracts from that side, algebraically slowly, and repels to the other; neutral:
    every q is a fixed point, of which the one given stands for all.
    """

    q: float
    chi_parallel: float
    stability: str


class VarianceMap(NamedTuple):
    """F with its derivative, and what they are at the ends: F(0+), F'(0+) and lim F(q)/q."""

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    at_zero: float
    slope_at_zero: float
    growth: float

    def excess(self, q: np.ndarray) -> np.ndarray:
        """F(q)/q - 1, infinite where F overflows."""
        with np.errstate(all="ignore"):
            found = np.asarray(self.value(q)) / q - 1
        return np.where(np.isnan(found), np.inf, found)


def fixed_points(F: VarianceMap) -> tuple[FixedPoint, ...]:
    """Every fixed point in increasing order, 0 and infinity included where they are.

    Variances at which F is beyond quadrature are left out of the search.
    """
    q, excess = _scan(F)
    known = np.flatnonzero(np.abs(excess) > noise(q))
    if not known.size:
        return (FixedPoint(1.0, 1.0, "neutral"),)
    sign = np.sign(excess[known])
    first = (float(q[known[0]]), float(excess[known[0]]))
    points = _near_zero(F, *first) if F.at_zero == 0 else []
    for i in np.flatnonzero(sign[1:] != sign[:-1]):
        root = find_root(_excess(F), float(q[known[i]]), float(q[known[i + 1]]))
        points.append(_inner(F, root, sign[i], sign[i + 1]))
    for i in _dips(excess, noise(q)):
        points += _touch(F, float(q[i - 1]), float(q[i + 1]), float(np.sign(excess[i - 1])))
    points.sort()
    if sign[-1] > 0 and F.growth < 1 - MARGIN:
        points.append(_far(F))
    elif sign[-1] > 0 or F.growth > 1 + MARGIN:
        points.append(FixedPoint(np.inf, F.growth, "stable"))
    return tuple(points)


def reached(points: tuple[FixedPoint, ...], F: VarianceMap, start: float) -> FixedPoint:
    """Where q_l goes from `start`: the next fixed point in the direction of the first step."""
    if points[0].stability == "neutral":
        return FixedPoint(start, 1.0, "neutral")
    at = [p for p in points if abs(p.q - start) <= 1e-12 * start]
    if at:
        return at[0]
    up = float(F.excess(np.asarray(start))) > 0
    beyond = [p for p in points if (p.q > start if up else p.q < start)]
    if not beyond:  # only rounding of F(q)/q - 1 points to where no fixed point is
        return points[-1] if up else points[0]
    return beyond[0] if up else beyond[-1]


def _near_zero(F: VarianceMap, first: float, excess: float) -> list[FixedPoint]:
    """0, and the root between 0 and the first q at which F(q)/q - 1 = `excess` is above noise."""
    chi, rise = F.slope_at_zero, F.slope_at_zero - 1
    if abs(rise) <= MARGIN:
        return [FixedPoint(0.0, chi, "stable" if excess < 0 else "unstable")]
    zero = FixedPoint(0.0, chi, "stable" if chi < 1 else "unstable")
    if rise * excess > 0:
        return [zero]
    root = first * rise / (rise - excess)  # F(q)/q is linear there
    return [zero, _inner(F, root, rise, excess)]


def _far(F: VarianceMap) -> FixedPoint:
    """The root above the grid, of an F that grows slower than q."""
    low, high = HIGH, 1e2 * HIGH
    while float(F.excess(np.asarray(high))) > 0 and high < FARTHEST:
        low, high = high, 1e2 * high
    if high >= FARTHEST:
        return FixedPoint(np.inf, F.growth, "stable")
    return _inner(F, find_root(_excess(F), low, high), 1.0, -1.0)


def noise(q: np.ndarray) -> np.ndarray:
    """What rounding may make of F(q)/q - 1; closed forms may lose digits to cancellation."""
    return NOISE + CANCELLED / q


def _inner(F: VarianceMap, root: float, below: float, above: float) -> FixedPoint:
    chi = float(F.slope(np.asarray(root)))
    steep = abs(chi) > 1 + MARGIN
    attracts = not steep and below > 0 > above
    return FixedPoint(root, chi, "stable" if attracts else "unstable")


def _touch(F: VarianceMap, low: float, high: float, side: float) -> list[FixedPoint]:
    """The double root, or the two roots, at a dip of |F(q)/q - 1| where F(q) - q has that sign."""
    bend, level = _bend(F), _excess(F)
    if bend(low) * bend(high) >= 0:
        return []
    middle = find_root(bend, low, high)
    reach = level(middle)
    if abs(reach) <= MARGIN:
        kind = "half-stable from below" if side > 0 else "half-stable from above"
        return [FixedPoint(middle, float(F.slope(np.asarray(middle))), kind)]
    if reach * side < 0 and level(low) * side > 0 and level(high) * side > 0:
        first, second = find_root(level, low, middle), find_root(level, middle, high)
        return [_inner(F, first, side, -side), _inner(F, second, -side, side)]
    return []


def _scan(F: VarianceMap) -> tuple[np.ndarray, np.ndarray]:
    """A grid of q, finer where F(q) is within CLOSE of q, and F(q)/q - 1 on it."""
    decades = round(np.log10(HIGH / LOW))
    q = np.logspace(np.log10(LOW), np.log10(HIGH), decades * PER_DECADE + 1)
    close = np.abs(where_trusted(F.excess, q)) < CLOSE
    cells = close[1:] | close[:-1]
    inner = np.geomspace(q[:-1][cells], q[1:][cells], FINER, endpoint=False).T.ravel()
    q = np.union1d(q, inner)
    excess = where_trusted(F.excess, q)
    if np.isnan(excess).all():
        F.excess(q)  # says why
    return q, excess


def where_trusted(f: Callable[[np.ndarray], Any], q: np.ndarray) -> np.ndarray:
    """f on the grid q, nan where it is beyond quadrature, as very wide inputs of a wave are."""
    try:
        return np.asarray(f(q), float)
    except Untrusted:
        if q.size == 1:
            return np.array([np.nan])
    return np.concatenate([where_trusted(f, part) for part in np.array_split(q, 2)])


def _dips(excess: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Where |excess| has a local minimum, clear of rounding, without a change of sign."""
    size, sign = np.abs(excess), np.sign(excess)
    walls = np.minimum(size[:-2], size[2:])
    dip = (walls > size[1:-1] + 50 * noise[1:-1]) & (size[1:-1] < CLOSE)  # inf on both: no dip
    one_side = (sign[:-2] == sign[2:]) & ((sign[1:-1] == sign[2:]) | (size[1:-1] <= noise[1:-1]))
    return np.flatnonzero(dip & one_side) + 1


def _excess(F: VarianceMap) -> Callable[[float], float]:
    return lambda q: float(F.excess(np.asarray(q)))


def _bend(F: VarianceMap) -> Callable[[float], float]:
    """q times the derivative of F(q)/q - 1."""
    return lambda q: float(F.slope(np.asarray(q))) - float(F.excess(np.asarray(q))) - 1


def find_root(f: Callable[[float], float], low: float, high: float) -> float:
    """The root of f between low and high, to the last digit, by Brent's method."""
    rtol: Any = 8.9e-16
    found: Any = brentq(f, low, high, xtol=1e-300, rtol=rtol)
    return float(found)
