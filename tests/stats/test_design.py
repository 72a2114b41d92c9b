"""Draws that are asked for suffice, are not wasted, and agree with figures found elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varprop.stats import (
    draws_needed,
    draws_to_certify,
    locate,
    ratio_test,
    smallest_detectable,
)

RATES = st.floats(-6, -1.1).map(lambda exponent: 10**exponent)


@given(st.integers(3, 10**7), st.floats(1e-5, 1.0), RATES, RATES, st.integers(1, 300))
def test_the_two_design_functions_are_inverse(draws, relative_variance, fail, miss, tests):
    seen = smallest_detectable(draws, relative_variance, fail, miss, tests)
    assert draws_needed(seen * (1 + 1e-7), relative_variance, fail, miss, tests) <= draws
    assert draws_needed(seen * (1 + 1e-7), relative_variance, fail, miss, tests) > 0.999 * draws - 1


@pytest.mark.parametrize("fail, miss, published", [(0.05, 0.1, 55), (1e-6, 1e-6, 489)])
def test_published_draws_for_one_percent(fail, miss, published):
    """30 layers of width 128, pooled; published rounded down, here rounded up."""
    assert draws_needed(0.01, 2 / (30 * 128), fail, miss) == published + 1


@pytest.mark.parametrize("depth, five, one", [(6, 268, 6440), (32, 347, 8350), (128, 411, 9880)])
def test_published_draws_to_certify_every_step(depth, five, one):
    """Published with (1/(1 + m), 1 + m) as the margin; here (1 - m, 1 + m), which is wider."""
    assert draws_to_certify(0.05, 5 / 128, tests=depth) == pytest.approx(five, rel=0.05)
    assert draws_to_certify(0.01, 5 / 128, tests=depth) == pytest.approx(one, rel=0.015)


@pytest.mark.parametrize("sign", [-1, 1])
def test_power_at_the_draws_needed(rng, rate_contains, sign):
    """Simulated with chi-squares: the misses are as many as asked for, and more with 20 % fewer."""
    width, discrepancy, fail, miss, trials = 64, 0.05, 1e-2, 5e-2, 20_000

    def misses(draws):
        pooled = rng.chisquare(width * draws, size=trials) / width
        measured = (1 + sign * discrepancy) * pooled / draws
        pooled_test = ratio_test(measured[None], 1.0, 2 / (width * draws), 8 / (width * draws) ** 2)
        return pooled_test.p_value > fail

    draws = draws_needed(discrepancy, 2 / width, fail, miss)
    asked = misses(draws)
    assert np.mean(asked) <= miss or rate_contains(asked, miss)
    assert np.mean(misses(int(0.8 * draws))) > miss
    assert np.mean(misses(int(0.8 * draws))) > 1.5 * np.mean(asked)


@pytest.mark.parametrize("truth, inside", [(0.0, 0.9), (0.05, 0.05), (-0.05, 0.05)])
def test_certification_power_and_false_certification(rng, rate_contains, truth, inside):
    """At the centre the power asked for; at either margin at most the level."""
    width, margin, level, trials = 64, 0.05, 0.05, 4000
    draws = draws_to_certify(margin, 2 / width, level, power=0.9)
    measured = (1 + truth) * rng.chisquare(width * draws, size=(1, trials)) / (width * draws)
    test = ratio_test(measured, 1.0, 2 / (width * draws), 8 / (width * draws) ** 2)
    intervals = zip(*test.interval(2 * level), strict=True)
    assert rate_contains([locate(*one, margin) == "inside" for one in intervals], inside)


@pytest.mark.parametrize("discrepancy", [0.0, -0.1, np.nan])
def test_a_discrepancy_must_be_positive(discrepancy):
    with pytest.raises(ValueError, match="discrepancy must be finite and positive"):
        draws_needed(discrepancy, 0.1)


def test_no_draws_detect_nothing():
    with pytest.raises(ValueError, match="draws and tests must be at least 1, got 0 and 1"):
        smallest_detectable(0, 0.1)
