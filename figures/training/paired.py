"""Differences between runs of the same seed, and what they decide.

    d_s = a_s - b_s over seeds s = 1, ..., n;   t = sqrt(n) mean(d) / sd(d), Student's with n - 1

The t test takes the differences for normal. The exact test does not: if d and -d have one law,
each of the 2^n patterns of signs is equally likely (Fisher, 1935); but its p-value is at least
2^(1 - n), 1/16 for five seeds, so it cannot decide there and is told beside the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

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
    def p_above(self) -> float:
        """One-sided, small where the mean is above zero."""
        return self._p(1.0)

    @property
    def p_below(self) -> float:
        """One-sided, small where the mean is below zero."""
        return self._p(-1.0)

    @property
    def p_signs(self) -> float:
        """Two-sided and exact: the share of the patterns of signs with as large a |mean|."""
        return min(1.0, 2 * min(self._signs(1.0), self._signs(-1.0)))

    def _p(self, side: float) -> float:
        """By t; by signs where all differences are equal and t has no scale."""
        if not self.known:
            return 1.0
        if self._error <= 1e-12 * abs(self.mean):
            return self._signs(side)
        return float(special.stdtr(len(self.differences) - 1, -side * self.mean / self._error))

    def _signs(self, side: float) -> float:
        """The share of the patterns of signs with as large a mean."""
        if not self.known:
            return 1.0
        signs = np.array(list(product((-1, 1), repeat=len(self.differences))))
        sums = side * signs @ self.differences
        return float(np.mean(sums >= sums[-1] - 1e-12 * np.abs(self.differences).sum()))


class Decision(NamedTuple):
    """The verdict, and the adjusted p-values of the two errors: of confirming, of refuting."""

    verdict: Verdict
    p_for: float
    p_against: float


def decide(claims: Mapping[str, Sequence[Paired]], error_rate: float) -> dict[str, Decision]:
    """For each claim "each of these mean differences is positive", in the order given.

    CONFIRMED where every one is above zero: p is the largest of their one-sided p-values (the
    intersection-union test; Berger, 1982), which needs no adjustment for their number. REFUTED
    where any is below zero: p is the smallest times their number. These two p-values of each claim
    go together through Holm's adjustment, so with probability `error_rate` at most any verdict is
    wrong; UNDECIDED where neither is as small.
    """
    raw = [
        (max(pair.p_above for pair in pairs), min(1.0, len(pairs) * min(p.p_below for p in pairs)))
        for pairs in claims.values()
    ]
    found = holm(raw, error_rate)
    return {
        name: Decision(
            _verdict(*(bool(r) for r in rejected)), float(adjusted[0]), float(adjusted[1])
        )
        for name, adjusted, rejected in zip(claims, found.adjusted, found.rejected, strict=True)
    }


def _verdict(above: bool, below: bool) -> Verdict:
    if above:
        return Verdict.CONFIRMED
    return Verdict.REFUTED if below else Verdict.UNDECIDED


def mean_band(values: np.ndarray, level: float = 0.05) -> np.ndarray:
    """(3, m): mean over seeds of values (n, m) and its band, simultaneous over the m points.

    By t, with Bonferroni's level / m at each point.
    """
    n, points = values.shape
    mean, error = values.mean(0), values.std(0, ddof=1) / n**0.5
    reach = -special.stdtrit(n - 1, level / 2 / points) * error
    return np.array([mean, mean - reach, mean + reach])
