"""The difference of two rates: its interval and p-value by summing over all outcomes."""

import numpy as np
import pytest
from scipy import stats

from varprop.stats import RateDifference

RATES = [(0.0, 0.0), (0.1, 0.1), (0.05, 0.4), (0.5, 0.45), (1.0, 0.2)]


def outcomes(rates, trials):
    """Every pair of counts with its probability."""
    laws = [stats.binom(n, p).pmf(np.arange(n + 1)) for n, p in zip(trials, rates, strict=True)]
    for a, p in enumerate(laws[0]):
        for b, q in enumerate(laws[1]):
            if p * q > 1e-9:
                yield RateDifference(a, trials[0], b, trials[1]), p * q


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("trials", [(12, 12), (25, 7)])
def test_the_interval_covers_and_true_differences_are_refuted_no_more_often_than_stated(
    rates, trials
):
    true, missed, refuted, level = rates[1] - rates[0], 0.0, 0.0, 0.1
    for found, probability in outcomes(rates, trials):
        low, high = found.interval(level)
        missed += probability * (not low <= true <= high)
        refuted += probability * (found.p_value(abs(true)) <= level)
    assert missed <= level and refuted <= level


def test_the_p_value_is_the_level_of_the_interval_that_ends_at_the_margin():
    found = RateDifference(3, 100, 30, 100)
    for margin in (0.0, 0.08):
        low, _ = found.interval(found.p_value(margin))
        assert low == pytest.approx(margin, abs=1e-9)
    mirrored = RateDifference(30, 100, 3, 100)
    assert mirrored.p_value(0.08) == pytest.approx(found.p_value(0.08), rel=1e-9)
    assert mirrored.estimate == pytest.approx(-0.27)


def test_equal_counts_are_no_evidence_and_opposite_ones_all_of_it():
    assert RateDifference(0, 50, 0, 50).p_value() == 1.0
    assert RateDifference(7, 50, 7, 50).p_value() == 1.0
    assert RateDifference(0, 500, 500, 500).p_value() == 1e-30
    assert RateDifference(0, 500, 500, 500).p_value(margin=0.9) < 1e-6
