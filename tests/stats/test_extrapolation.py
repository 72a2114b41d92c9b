"""Gaps of a known law in the width: sizes, powers, intervals, and what is refused."""

import numpy as np
import pytest
from scipy import stats

from varprop.stats import UnresolvedGap, fit_widths

WIDTHS = np.array([16.0, 24, 32, 48, 64, 96, 128])
ERRORS = 0.002 * (16 / WIDTHS) ** 0.5
LAW = -1 / WIDTHS + 3 / WIDTHS**2


def fits(rng, law, count, **how):
    noise = ERRORS * rng.normal(size=(count, len(WIDTHS)))
    return [fit_widths(WIDTHS, law + e, ERRORS, **how) for e in noise]


@pytest.mark.statistical
def test_the_sizes_of_all_three_tests(rng, rate_contains):
    found = fits(rng, LAW, 200)
    for name in ("limit_p", "misfit_p"):
        assert rate_contains(np.array([getattr(f, name) for f in found]) <= 0.05, 0.05)
    rate = np.mean([f.rate_p <= 0.05 for f in found])  # a curved likelihood: not exactly 5 %
    assert rate < 0.15
    inside = [low <= 1 <= high for low, high in (f.rate_interval(0.05) for f in found[:60])]
    assert np.mean(inside) > 0.75
    inside = [low <= 0 <= high for low, high in (f.limit_interval(0.05) for f in found)]
    assert rate_contains(inside, 0.95)


@pytest.mark.statistical
def test_a_limit_another_rate_and_a_forgotten_term_are_found(rng):
    shifted = fits(rng, LAW + 0.015, 20)  # 12 standard errors of the limit
    assert all(f.limit_p < 1e-6 and f.limit_fit_p > 1e-6 for f in shifted)
    assert all(abs(f.limit - 0.015) < 6 * f.limit_error for f in shifted)
    slow = fits(rng, -0.25 / WIDTHS**0.5, 20)
    assert all(f.rate_p < 1e-6 and f.rate_fit_p > 1e-6 for f in slow)
    assert all(f.rate_interval(1e-6)[0] < 0.5 < f.rate_interval(1e-6)[1] < 1 for f in slow)
    one = fits(rng, 4 * LAW, 20, terms=1)
    assert np.median([f.limit_p for f in one]) < 1e-3  # 12/n^2 is taken for a limit
    assert np.median([f.limit_p for f in fits(rng, 4 * LAW, 20)]) > 1e-2


def test_an_exact_law_is_recovered(rng):
    fit = fit_widths(WIDTHS, 2 / WIDTHS**2 - 5 / WIDTHS**3, 1e-9 * np.ones(7), stated=2.0)
    assert fit.amplitude == pytest.approx((2, -5), rel=1e-4) and fit.best == pytest.approx(2)
    np.testing.assert_allclose(fit([40, 80]), [2 / 1600 - 5 / 64000, 2 / 6400 - 5 / 512000])
    assert fit.limit == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("stated", [1.0, 2.0])
@pytest.mark.parametrize("relative", [1e-3, 1e-4, 1e-5])
def test_an_interval_of_the_rate_holds_all_exponents_that_fit(stated, relative):
    """1/n^2 is b/n^2, and c/n^(k + 1) with k = 1, though nothing between fits."""
    widths = 2.0 ** np.arange(3, 10)
    fit = fit_widths(widths, widths**-2, relative * widths**-2, stated=stated)
    low, high = fit.rate_interval(2e-4)
    assert 0.99 < low <= 1 + 1e-5 and 2 - 1e-5 <= high < 2.01
    fit = fit_widths(widths, widths**-2, relative * widths**-2, stated=stated, terms=1)
    low, high = fit.rate_interval(2e-4)
    assert 1.99 < low <= 2 <= high < 2.01


def test_the_regression_is_the_normal_equations(rng):
    """Weights 1/s^2, errors known: (X' W X)^-1, by hand."""
    gap = LAW + ERRORS * rng.normal(size=7)
    fit = fit_widths(WIDTHS, gap, ERRORS, terms=1)
    x = np.stack([np.ones(7), 1 / WIDTHS], -1)
    covariance = np.linalg.inv(x.T @ (x / ERRORS[:, None] ** 2))
    assert fit.limit == pytest.approx((covariance @ x.T @ (gap / ERRORS**2))[0])
    assert fit.limit_error == pytest.approx(covariance[0, 0] ** 0.5)
    b = (gap / WIDTHS / ERRORS**2).sum() / (1 / WIDTHS / ERRORS).dot(1 / WIDTHS / ERRORS)
    chi = (((gap - b / WIDTHS) / ERRORS) ** 2).sum()
    assert fit.misfit == pytest.approx(chi)
    assert fit.misfit_p == pytest.approx(stats.chi2.sf(chi, 6))


def test_a_gap_within_its_errors_has_no_rate(rng):
    with pytest.raises(UnresolvedGap, match=r"no gap is resolved .* more draws, or narrower"):
        fit_widths(WIDTHS, ERRORS * rng.normal(size=7), ERRORS, level=1e-6)


@pytest.mark.parametrize(
    "widths, gaps, errors, how, words",
    [
        ([16, 32, 64], [1, 1, 1], [1, 1, 1], {}, "need 4 or more different positive widths"),
        ([16, 32, 64, 64], [1] * 4, [1] * 4, {}, r"got \[16.0, 32.0, 64.0, 64.0\]; add widths"),
        ([16, 32, 64, 96], [1] * 4, [1, 1, 0, 1], {}, "standard_errors must be positive, got 0"),
        ([16, 32, 64, 96], [1] * 3, [1] * 4, {}, r"shapes \(4,\), \(3,\), \(4,\); average"),
        ([16, 32, 64, 96], [1] * 4, [1] * 4, {"terms": 3}, "terms must be 1 .* got 3"),
        ([16, 32, 64, 96], [1] * 4, [1] * 4, {"stated": 0}, "stated must be finite and positive"),
        ([16, 32, np.nan, 96], [1] * 4, [1] * 4, {}, "widths must be finite"),
    ],
)
def test_what_is_refused(widths, gaps, errors, how, words):
    with pytest.raises(ValueError, match=words):
        fit_widths(widths, gaps, errors, **how)
