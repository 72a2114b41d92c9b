"""Two samples with one law, and with two: sizes, powers, and what the tests refuse."""

import numpy as np
import pytest
from scipy import stats

from varprop.stats import TooFewDraws, spread_test, two_sample_test

REPEATS = 1000


def outcomes(test, a, b, level, **how):
    """The test of each pair of samples; None where it refuses, which counts as no rejection."""
    for x, y in zip(a, b, strict=True):
        try:
            yield test(x, y, level, **how)
        except TooFewDraws:
            yield None


def p_values(test, a, b, level=0.01, **how):
    return np.array([1.0 if t is None else t.p_value for t in outcomes(test, a, b, level, **how)])


@pytest.mark.statistical
@pytest.mark.parametrize("layers", [2, 8, pytest.param(32, marks=pytest.mark.slow)])
def test_the_size_on_deep_networks(rng, rate_contains, relu_chain, layers):
    """L/n = .06, .25, 1; log q, 200 draws against 100."""
    logs = np.log(relu_chain(rng, 300 * REPEATS, 32, layers)[:, -1]).reshape(REPEATS, 300)
    for test in (two_sample_test, spread_test):
        p = p_values(test, logs[:, :200], logs[:, 200:])
        assert rate_contains(p <= 0.05, 0.05)
        assert rate_contains(p <= 0.01, 0.01)


@pytest.mark.statistical
def test_bartlett_and_pooling_are_wrong(rng, relu_chain):
    """Negative controls: Bartlett on q, and the paired rule on samples that share their draws."""
    q = relu_chain(rng, 400 * 300, 32, 8)[:, -1].reshape(300, 2, 200)
    bartlett = np.array([stats.bartlett(*pair).pvalue for pair in q])
    assert np.mean(bartlett <= 0.05) > 0.5
    logs = np.log(q[:, 0])
    shifted = logs + 0.02 + 0.01 * rng.normal(size=logs.shape)
    assert np.all(p_values(two_sample_test, logs, shifted, paired=True) < 1e-6)
    assert np.mean(p_values(two_sample_test, logs, shifted) <= 0.01) < 0.1


@pytest.mark.statistical
def test_the_skewness_is_removed_where_the_samples_differ_in_size(rng):
    """1 000 exponential draws against 150: Welch's t is skewed, and rejects on one side."""
    a, b = rng.exponential(size=(4 * REPEATS, 1000)), rng.exponential(size=(4 * REPEATS, 150))
    found = outcomes(two_sample_test, a, b, 0.05)
    low, high = np.array([t.interval(0.05) if t else (-np.inf, np.inf) for t in found]).T
    allowed = 0.025 + 5 * (0.025 / len(low)) ** 0.5
    assert max((low > 0).mean(), (high < 0).mean()) < allowed
    welch = stats.ttest_ind(b, a, axis=1, equal_var=False)
    plain = (welch.pvalue <= 0.05) & (welch.statistic < 0)
    removed, added = (plain & (high >= 0)).sum(), (~plain & (high < 0)).sum()  # about 50 and none
    assert stats.binomtest(removed, removed + added, alternative="greater").pvalue < 1e-4


@pytest.mark.statistical
def test_interval_estimate_and_planted_spread(rng):
    a, b = rng.normal(size=4000), 1.3 * rng.normal(size=5000) + 0.2
    test = two_sample_test(a, b, 1e-6)
    assert test.estimate == pytest.approx(b.mean() - a.mean())
    low, high = test.interval(1e-6)
    assert low < 0.2 < high and test.p_value < 1e-6
    spread = spread_test(a, b, 1e-6)
    low, high = spread.interval(1e-6)
    assert low < 2 * np.tanh(np.log(1.3) / 2) < high and spread.p_value < 1e-6


def test_welch_degrees_of_freedom_are_scipys(rng):
    a, b = rng.normal(size=150), 3 * rng.normal(size=130)
    test, known = two_sample_test(a, b, 0.05), stats.ttest_ind(b, a, equal_var=False)
    assert test.draws - 1 == pytest.approx(known.df, rel=1e-9)
    assert test.estimate / test.standard_error == pytest.approx(known.statistic, rel=1e-9)


@pytest.mark.parametrize(
    "a, b, how, words",
    [
        (np.arange(30.0), np.arange(40.0), {"paired": True}, "equally many draws, got 30 and 40"),
        (np.arange(30.0), np.arange(12.0), {}, r"needs 20 draws of each, got 30 and\s+12\. Draw 8"),
        (np.ones(30), np.ones(30), {}, "draws that differ, got 30 and 30 equal ones"),
        (np.ones((30, 2)), np.ones(30), {}, r"a must have shape \(draws,\), got \(30, 2\)"),
        (np.array([1, np.nan]), np.ones(30), {}, "a must be finite: 1 of 2 are not"),
        (np.arange(30.0), 100 * np.eye(30)[0], {}, "a skewness of the difference of the means"),
    ],
)
def test_what_is_refused(a, b, how, words):
    with pytest.raises(ValueError, match=words):
        two_sample_test(a, b, 0.05, **how)


def test_constant_samples_have_no_spread():
    with pytest.raises(ValueError, match="got two constant samples"):
        spread_test(np.ones(30), np.ones(30), 0.05)
