"""Looks at a growing sample keep the error rates of the whole run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varprop.stats import binomial_interval, draws_to_certify, schedule, tail_probability

RATES = st.floats(-6, -0.4).map(lambda exponent: 10**exponent)


@given(st.integers(2, 10**7), st.integers(2, 10**7), RATES, RATES)
def test_the_shares_of_the_looks_are_the_rates_of_the_run(planned, budget, fail, miss):
    looks = schedule(planned, budget, fail, miss)
    draws = [look.draws for look in looks]
    assert (
        draws == sorted(set(draws)) and draws[-1] == budget and draws[0] >= min(32, planned, budget)
    )
    assert all(look.error_rate > 0 and look.false_pass > 0 for look in looks)
    assert sum(look.error_rate for look in looks) == pytest.approx(fail, rel=1e-9)
    assert sum(look.false_pass for look in looks) == pytest.approx(miss, rel=1e-9)
    if planned <= budget:
        most = max(looks, key=lambda look: look.error_rate)
        assert planned in draws and most.draws == planned


def test_few_draws_are_looked_at_once_and_many_often():
    assert [look.draws for look in schedule(2013, 30, 1e-6, 1e-4)] == [30]
    looks = [look.draws for look in schedule(1000, 2000, 1e-6, 1e-4)]
    assert looks == [62, 125, 250, 500, 707, 1000, 1414, 2000]


@pytest.mark.parametrize("planned, budget", [(1, 100), (100, 1)])
def test_one_draw_is_no_sample(planned, budget):
    with pytest.raises(ValueError, match="planned and budget must be at least 2"):
        schedule(planned, budget, 1e-6, 1e-4)


@pytest.mark.parametrize("rates", [(0.95, 1e-4), (1e-6, 0.0)])
def test_a_rate_is_no_coverage(rates):
    with pytest.raises(ValueError, match=r"(error_rate|false_pass) is an error rate"):
        schedule(100, 200, *rates)


def chi_square_sums(rng, looks, width, trials, gap=0.0):
    """The sum of residuals of a Gaussian layer at each look (trials, looks): one growing sample."""
    steps = np.diff([0, *(look.draws for look in looks)])
    grown = np.cumsum(rng.standard_gamma(width / 2 * steps, size=(trials, len(looks))), axis=1)
    draws = np.array([look.draws for look in looks])
    return (1 + gap) * grown * 2 / width - draws, draws


def rejected(sums, draws, width, levels):
    """Trials in which some look rejects no difference, by the exact law of chi-square sums."""
    p = tail_probability(sums, 2 / width * draws, 8 / width**2 * draws)
    return (p <= levels).any(axis=1)


@pytest.mark.statistical
@pytest.mark.parametrize("rate", [0.05, 0.01])
def test_a_run_rejects_the_truth_at_most_at_its_rate(rng, rate):
    """Shares that sum to 3 would show, and so would looks that share nothing."""
    width, trials = 64, 20_000
    planned = draws_to_certify(0.05, 2 / width, 1e-4, 0.999)
    looks = schedule(planned, 2 * planned, rate, 1e-4)
    sums, draws = chi_square_sums(rng, looks, width, trials)
    levels = np.array([look.error_rate for look in looks])

    def lowest(levels):
        return binomial_interval(int(rejected(sums, draws, width, levels).sum()), trials, 1e-6)[0]

    assert lowest(levels) <= rate < min(lowest(3 * levels), lowest(rate))


@pytest.mark.statistical
@pytest.mark.parametrize("gap", [0.1, 0.2])
def test_a_run_finds_a_fault_with_fewer_draws_than_one_look(rng, gap):
    """At the same rates: one look at the draws needed for 5 %, on average against the run."""
    width = 64
    planned = draws_to_certify(0.05, 2 / width, 1e-4, 0.999)
    looks = schedule(planned, 2 * planned, 1e-6, 1e-4)
    sums, draws = chi_square_sums(rng, looks, width, 500, gap)
    p = tail_probability(sums, 2 / width * draws, 8 / width**2 * draws)
    found = p <= np.array([look.error_rate for look in looks])
    assert found.any(axis=1).all()
    assert draws[found.argmax(axis=1)].mean() < planned / 2
