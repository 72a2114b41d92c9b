r"""How many networks to draw, and what a given number can see.

The statistic is the mean ratio M of measured to expected over R draws.  If the truth is (1 + d)
times the theory, M / (1 + d) ~ Gamma(k)/k with k = R / v, v the relative variance of one draw:

    2/n    pre-activations of a Gaussian layer of width n (exactly this law: chi-square_{nR}/nR)
    5/n    one ReLU step;   2/(n L), 5/(n L) pooled over L layers

Tests are two-sided with equal tails; `tests` claims share the false alarms by Bonferroni.  A
positive discrepancy is the harder sign (the lower needs 480 draws where the upper needs 490).
For 30 layers of width 128, pooled, and 1 %: 56 draws at .05/.1, 490 at 1e-6/1e-6.
"""

from collections.abc import Callable

import numpy as np

from varprop.stats._checks import error_rate, positive
from varprop.stats.pearson import quantile, tails

MOST_DRAWS = 2**62


def smallest_detectable(
    draws: int,
    relative_variance: float,
    false_fail: float = 1e-6,
    false_pass: float = 1e-4,
    tests: int = 1,
) -> float:
    """The d > 0 with P(pass | truth = (1 + d) theory) = false_pass.

    Closed form: 1 + d = upper quantile(false_fail / 2 tests) / lower quantile(false_pass).
    """
    if draws < 1 or tests < 1:
        raise ValueError(f"draws and tests must be at least 1, got {draws} and {tests}.")
    tail = error_rate("false_fail", false_fail) / (2 * tests)
    rejects = _ratio(draws, relative_variance, tail, upper=True)
    reaches = _ratio(draws, relative_variance, error_rate("false_pass", false_pass))
    return rejects / reaches - 1 if reaches > 0 else np.inf


def draws_needed(
    discrepancy: float,
    relative_variance: float,
    false_fail: float = 1e-6,
    false_pass: float = 1e-4,
    tests: int = 1,
) -> int:
    """The fewest draws whose `smallest_detectable` is at most `discrepancy` (either sign)."""
    positive("discrepancy", discrepancy)

    def enough(draws: int) -> bool:
        seen = smallest_detectable(draws, relative_variance, false_fail, false_pass, tests)
        return seen <= discrepancy

    return _fewest(enough)


def draws_to_certify(
    margin: float,
    relative_variance: float,
    level: float = 0.05,
    power: float = 0.9,
    tests: int = 1,
) -> int:
    """The fewest draws with which a true theory is found equivalent within `margin`.

    The (1 - 2 level) interval of the ratio must lie inside (-margin, margin) with probability
    `power` in all of `tests` claims, that is 1 - (1 - power)/tests in each.
    """
    positive("margin", margin)
    error_rate("level", level)
    missed = error_rate("1 - power", 1 - power) / tests

    def enough(draws: int) -> bool:
        sd = np.sqrt(relative_variance / draws)
        highest = (1 + margin) * _ratio(draws, relative_variance, level)
        lowest = (1 - margin) * _ratio(draws, relative_variance, level, upper=True)
        below, _ = tails((lowest - 1) / sd, 2 * sd)
        _, above = tails((highest - 1) / sd, 2 * sd)
        return lowest < highest and float(below + above) <= missed

    return _fewest(enough)


def _ratio(draws: int, relative_variance: float, tail: float, upper: bool = False) -> float:
    """Quantile of Gamma(k)/k, k = draws / relative_variance: the mean ratio under the theory."""
    sd = np.sqrt(positive("relative_variance", relative_variance) / draws)
    return float(1 + sd * quantile(tail, 2 * sd, upper))


def _fewest(enough: Callable[[int], bool]) -> int:
    """The least integer with enough(integer), by doubling and bisection."""
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST_DRAWS:
            raise ValueError("more than 2^62 draws would be needed: ask for a larger effect.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
