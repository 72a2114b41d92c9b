"""Differences between runs of the same seed, and what they decide.

    d_s = a_s - b_s over seeds s = 1, ..., n;   t = sqrt(n) mean(d) / sd(d), Student's with n - 1

The t test takes the differences for normal. The exact test does not: if d and -d have one law,
each of the 2^n patterns of signs is equally likely (Fisher, 1935); but its p-value is at least
2^(1 - n), 1/16 for five seeds, so it cannot decide there and is told beside the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import special

from varprop.stats import Verdict, holm

MOST_SEEDS = 16  # whose patterns of signs are listed


@dataclass(frozen=True, eq=False)
class Paired:
    """Differences (n,) over at least two seeds. A seed without one is nan, and leaves all open."""

    differences: np.ndarray

    def __post_init__(self) -> None:
        if np.ndim(self.differences) != 1 or not 2 <= len(self.differences) <= MOST_SEEDS:
            raise ValueError(
                f"paired differences need 2 to {MOST_SEEDS} seeds in one axis, got shape "
                f"{np.shape(self.differences)}"
            )

    @property
    def mean(self) -> float:
        return float(np.mean(self.differences))

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.differences).all())

    @property
    def _error(self) -> float:
        return float(np.std(self.differences, ddof=1)) / len(self.differences) ** 0.5

    def interval(self, level: float = 0.05) -> tuple[float, float]:
        """Of the mean, by t, at coverage 1 - level."""
        reach = -float(special.stdtrit(len(self.differences) - 1, level / 2)) * self._error
        return self.mean - reach, self.mean + reach

    @property
    def p_value(self) -> float:
        """Two-sided, by t; by signs where all differences are equal and t has no scale."""
        if not self.known:
            return 1.0
        if self._error <= 1e-12 * abs(self.mean):
            return self.p_signs
        statistic = abs(self.mean) / self._error
        return 2 * float(special.stdtr(len(self.differences) - 1, -statistic))

    @property
    def p_signs(self) -> float:
        """Two-sided and exact: the share of the patterns of signs with as large a |mean|."""
        if not self.known:
            return 1.0
        signs = np.array(list(product((-1, 1), repeat=len(self.differences))))
        means = np.abs(signs @ self.differences)
        return float(np.mean(means >= means[-1] * (1 - 1e-12)))


def decide(claimed: Mapping[str, Paired], error_rate: float) -> dict[str, tuple[Verdict, float]]:
    """For each claim "the mean difference is positive": its verdict and its adjusted p-value.

    A sign is decided where Holm's adjusted two-sided p-value is at most `error_rate`: CONFIRMED if
    positive, REFUTED if negative, else UNDECIDED. With this probability, or less, any is wrong.
    """
    adjusted = holm([pair.p_value for pair in claimed.values()], error_rate).adjusted
    return {
        name: (_verdict(pair, float(p), error_rate), float(p))
        for (name, pair), p in zip(claimed.items(), adjusted, strict=True)
    }


def _verdict(pair: Paired, p: float, error_rate: float) -> Verdict:
    if not pair.known or p > error_rate:
        return Verdict.UNDECIDED
    return Verdict.CONFIRMED if pair.mean > 0 else Verdict.REFUTED


def mean_band(values: np.ndarray, level: float = 0.05) -> np.ndarray:
    """(3, m): mean over seeds of values (n, m) and its band, simultaneous over the m points.

    By t, with Bonferroni's level / m at each point.
    """
    n, points = values.shape
    mean, error = values.mean(0), values.std(0, ddof=1) / n**0.5
    reach = -special.stdtrit(n - 1, level / 2 / points) * error
    return np.array([mean, mean - reach, mean + reach])
