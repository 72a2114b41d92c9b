"""One integrand at many scales: E f(s Z) by Chebyshev interpolation in log s.

E f(s Z) is the integral of f(x) times the density of s Z, which is analytic in log s for
|Im log s| < pi / 4 whatever the kinks of f. So interpolation on a piece of half-length h in log s
converges like rho^-n, rho = r + sqrt(1 + r^2), r = pi / (4 h).
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial import chebyshev

from varprop.gaussian.rules import Estimate

LONGEST = 1.0  # length of a piece in log s
DIGITS = 36.0  # -log of the convergence asked for, 2e-16
FEWEST = 8  # scales per node, below which each scale on its own costs no more
RESOLVED = 1e-13  # of the smallest E |f| of a piece: what the last coefficients may amount to
STEEPEST = 1e3  # of the smallest E |f|: the largest coefficient that leaves it its digits
ROUNDING = 1e-15  # of the largest coefficient


def at_scales(rule: Callable[[np.ndarray], Estimate], scale: np.ndarray) -> Estimate:
    """rule(scale) for a one-dimensional array of scales, from few calls where they are many."""
    result = np.full((3, scale.size), np.nan)
    alone = ~(scale > 0)
    logs = np.log(np.where(alone, 1.0, scale))
    if not np.all(alone):
        low, high = logs[~alone].min(), logs[~alone].max()
        pieces = max(1, int(np.ceil((high - low) / LONGEST)))
        half = max((high - low) / pieces / 2, 1e-3)
        place = np.clip(((logs - low) / (2 * half)).astype(int), 0, pieces - 1)
        for piece in np.unique(place[~alone]):
            rows = np.flatnonzero(~alone & (place == piece))
            middle = low + (2 * piece + 1) * half
            found = _piece(rule, middle, half, logs[rows])
            if found is None:
                alone[rows] = True
            else:
                result[:, rows] = found
    if np.any(alone):
        result[:, alone] = rule(scale[alone])
    return Estimate(*result)


def _piece(
    rule: Callable[[np.ndarray], Estimate], middle: float, half: float, logs: np.ndarray
) -> Estimate | None:
    """The interpolant of one piece; None where it does not pay, or does not converge."""
    reach = np.pi / (4 * half)
    order = int(np.ceil(DIGITS / np.log(reach + np.hypot(1.0, reach)))) + 3
    if logs.size < FEWEST * order:
        return None
    nodes = chebyshev.chebpts1(order)
    sampled = rule(np.exp(middle + half * nodes))
    if not np.all(np.isfinite(sampled)):
        return None
    matrix = np.linalg.inv(chebyshev.chebvander(nodes, order - 1))
    coefficients = matrix @ np.stack([sampled.value, sampled.size], 1)
    last, largest = np.abs(coefficients[-3:]).sum(0), np.abs(coefficients).max()
    least = sampled.size.min()
    if not (last.max() <= RESOLVED * least + ROUNDING * largest and largest <= STEEPEST * least):
        return None
    value, size = chebyshev.chebval((logs - middle) / half, coefficients)
    error = 2 * np.max(sampled.error / np.where(sampled.size > 0, sampled.size, 1.0)) * size
    return Estimate(value, error + last[0] + ROUNDING * largest, size)
