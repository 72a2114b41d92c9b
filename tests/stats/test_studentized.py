"""The fallback t-test: its measured size, and why it refuses."""

import numpy as np
import pytest
from scipy import stats

from varprop.stats import (
    TooFewDraws,
    accepted_draws,
    binomial_interval,
    studentized_draws,
    studentized_test,
)
from varprop.stats.studentized import StudentizedTest

LAWS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "chi_square_1": lambda rng, shape: rng.chisquare(1, size=shape) - 1,
    "lognormal_half": lambda rng, shape: rng.lognormal(sigma=0.5, size=shape) - np.exp(1 / 8),
    "lognormal_deep": lambda rng, shape: rng.lognormal(sigma=5**0.5, size=shape) - np.exp(2.5),
    "relu_16": lambda rng, s: rng.standard_gamma(rng.binomial(16, 0.5, size=s) / 2) / 4 - 1,
}


def unguarded(sample):
    """The statistic without the refusal, for many data sets at once, and its |skewness|."""
    draws, spread = len(sample), sample.std(axis=0, ddof=1)
    skewness = stats.skew(sample, axis=0)
    test = StudentizedTest(sample.mean(axis=0), spread / draws**0.5, skewness, draws)
    return test, np.abs(skewness)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("draws, level", [(20, 0.05), (50, 0.01), (200, 0.01), (60, 1e-3)])
def test_false_alarms_stay_near_the_level(rng, law, draws, level):
    """Refusal as documented keeps the false alarms below 1.25 times the level."""
    sample = LAWS[law](rng, (draws, 40_000))
    test, skewness = unguarded(sample)
    allowed = np.array([draws >= studentized_draws(s, level) for s in skewness])
    alarms = (test.p_value <= level) & allowed
    low, _ = binomial_interval(int(alarms.sum()), alarms.size, 1e-6)
    assert low <= 1.25 * level


def test_the_guard_and_the_correction_are_both_needed(rng):
    """Negative controls, at 20 draws and 5 %: no guard on a deep network, no correction on q."""
    heavy, _ = unguarded(LAWS["lognormal_deep"](rng, (20, 20_000)))
    assert np.mean(heavy.p_value <= 0.05) > 0.15
    sample = LAWS["chi_square_1"](rng, (20, 20_000))
    corrected, _ = unguarded(sample)
    assert np.mean(stats.ttest_1samp(sample, 0).pvalue <= 0.05) > 0.09
    assert np.mean(corrected.p_value <= 0.05) < 0.065


def test_a_deep_network_is_refused_with_the_draws_it_needs(rng, relu_chain):
    q = relu_chain(rng, 50, 32, 32)[:, -1]
    message = r"needs \|skewness\| z\^2 / sqrt\(draws\) <= 1, got skewness .* at least \d+ draws"
    with pytest.raises(ValueError, match=message):
        studentized_test(q, 1.0, level=1e-2)


@pytest.mark.parametrize("level, fewest", [(0.05, 20), (1e-3, 55), (1e-6, 120)])
def test_too_few_draws_are_refused(rng, level, fewest):
    assert studentized_draws(0.0, level) == fewest
    with pytest.raises(ValueError, match=f"needs {fewest} draws, got {fewest - 1}. Draw 1 more"):
        studentized_test(rng.normal(size=fewest - 1), 0.0, level)


def test_the_interval_inverts_the_test(rng):
    sample = rng.normal(size=(200, 500)) ** 2 + 3 * rng.normal(size=(200, 500)) + 0.3
    test = studentized_test(sample, 1.0, level=0.05)
    low, high = test.interval(0.05)
    assert 0.05 < np.mean(test.p_value <= 0.05) < 0.95
    np.testing.assert_array_equal((low > 0) | (high < 0), test.p_value <= 0.05)


def test_without_skewness_it_is_student(rng):
    half = rng.normal(size=30)
    sample = np.concatenate([0.2 + half, 0.2 - half])
    test = studentized_test(sample, 0.0, level=0.05)
    assert test.p_value == pytest.approx(stats.ttest_1samp(sample, 0.0).pvalue)
    interval = stats.ttest_1samp(sample, 0.0).confidence_interval(0.95)
    assert test.interval(0.05) == pytest.approx((interval.low, interval.high))


def test_constant_draws_are_refused():
    with pytest.raises(ValueError, match="got node 1 constant over 30 draws"):
        studentized_test(np.stack([np.arange(30.0), np.ones(30)], axis=1), 0.0, level=0.05)


@pytest.mark.statistical
def test_the_draws_that_are_accepted(rng):
    """The fewest for skewness 0 are often refused, for a sample has some by chance."""
    level, refused = 1e-6, {}
    for draws in (studentized_draws(0.0, level), accepted_draws(0.0, level)):
        refused[draws] = 0
        for sample in rng.normal(size=(1000, draws)):
            try:
                studentized_test(sample, 0.0, level)
            except TooFewDraws:
                refused[draws] += 1
    few, many = refused.values()
    assert many <= 10 < few  # P(more than 10 of 1 000 at 1e-3) < 1e-7
    assert accepted_draws(0.5, level) == accepted_draws(-0.5, level) > studentized_draws(0.5, level)
