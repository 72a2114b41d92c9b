"""A distribution on the line from its characteristic function, with an error bound.

Sampled at t_k = 2 pi k / P, a characteristic function c gives the density periodically repeated,

    p~(y) = sum_j p(y + j P) = (1/P) (1 + 2 Re sum_(k > 0) c(t_k) exp(-i t_k y)),

and the integral of p~ from the window's start `low` is the distribution function up to the mass
outside the window (low, low + P). The sum stops where a decreasing bound on |c| is negligible.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

Array = np.ndarray
OUTSIDE = 38.0  # -log of the mass that is left outside the window, on each side
NEGLIGIBLE = -39.0  # log of the characteristic function where its sum stops
ROWS = 4096  # points evaluated at once


@dataclass(frozen=True)
class Inverse:
    """Density and distribution function on the window (`low`, `low` + `period`)."""

    low: float
    period: float
    t: Array
    values: Array

    def density(self, y: Array) -> Array:
        return self._sum(y, lambda rows: (1 + 2 * np.real(rows @ self.values)) / self.period)

    def cdf(self, y: Array) -> Array:
        terms = 2 * self.values / (1j * self.t)
        first = float(np.real(np.exp(-1j * self.t * self.low) @ terms))
        inside = self._sum(y, lambda rows: first - np.real(rows @ terms))
        return np.clip((np.asarray(y, float) - self.low + inside) / self.period, 0.0, 1.0)

    def quantile(self, p: float) -> float:
        """y with cdf(y) = p, for p in (0, 1) that is not in the far tails."""
        start, stop = self.low, self.low + self.period
        return float(brentq(lambda y: float(self.cdf(np.array([y]))[0]) - p, start, stop))  # type: ignore[arg-type]

    def _sum(self, y: Array, total: Callable[[Array], Array]) -> Array:
        """`total` of the rows exp(-i t_k y), zero outside the window."""
        y = np.asarray(y, float)
        stop = self.low + self.period
        flat = np.clip(y, self.low, stop).reshape(-1)
        parts = [
            total(np.exp(-1j * flat[k : k + ROWS, None] * self.t))
            for k in range(0, flat.size, ROWS)
        ]
        return np.concatenate(parts).reshape(y.shape) if parts else np.zeros(y.shape)


def invert(
    log_mellin: Callable[[Array], Array],
    log_majorant: Callable[[float], float],
    lowest: float,
    spread: float,
) -> Inverse:
    """The law of y with E exp(s y) = exp(log_mellin(s)) for Re s > -`lowest`.

    `log_majorant(t)` bounds log |E exp(i t y)| and decreases in t > 0. `spread`: the standard
    deviation of y. The window ends where Chernoff's bound on either tail, the least of
    E exp(s (y - end)) over s, is exp(-OUTSIDE).
    """
    up = np.geomspace(0.05, 50, 60) / spread
    down = np.minimum(up, 0.9 * lowest)
    with np.errstate(over="ignore"):
        high = float(np.min((np.real(log_mellin(up)) + OUTSIDE) / up))
        low = float(np.max(-(np.real(log_mellin(-down)) + OUTSIDE) / down))
    period = high - low
    t = 1 / spread
    while log_majorant(t) > NEGLIGIBLE:
        t *= 1.25
    grid = np.arange(1, np.ceil(t * period / (2 * np.pi)) + 1) * (2 * np.pi / period)
    return Inverse(low, period, grid, np.exp(log_mellin(1j * grid)))
