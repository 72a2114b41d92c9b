"""Each pitfall of truncated weights is named where it is, and not where it is not."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats

from varprop.laws import clipped_moment, truncated_normal, truncated_std, truncation_report
from varprop.laws.deviation import deviation

KERAS = 0.87962566103423978


def test_hundred_sigma_bounds_cut_nothing():
    report = truncation_report(0.02)
    assert report.names == ("no-truncation",)
    assert "100 standard deviations away" in str(report)
    assert report.ratio == pytest.approx(1)


def test_the_correction_for_relative_bounds_with_absolute_ones_is_13_7_percent_too_large():
    report = truncation_report(0.02 / KERAS, wanted=0.02)
    assert "relative-correction" in report.names
    assert report.ratio == pytest.approx(1 / KERAS, rel=1e-12)
    assert "+13.7% off in std: std was divided by 0.8796" in str(report)


def test_bounds_that_cut_without_a_correction():
    report = truncation_report(1.0)
    assert report.names == ("uncorrected",)
    assert report.ratio == pytest.approx(KERAS, rel=1e-12)
    assert "pass std=truncated_std(1, -2, 2)" in str(report)


def test_what_is_right_has_no_finding(generator):
    std = float(truncated_std(0.02, -0.04, 0.04))
    w = torch.nn.init.trunc_normal_(
        torch.empty(100_000), std=std, a=-0.04, b=0.04, generator=generator
    )
    for weights in (None, w, w.double().numpy(), w.bfloat16()):
        report = truncation_report(std, -0.04, 0.04, wanted=0.02, weights=weights)
        assert report.names == ()
    assert report.measured["std"] == pytest.approx(0.02, rel=0.05)


def test_one_sided_bounds_shift_the_mean():
    assert "shifted" in truncation_report(1, 0, math.inf).names


@pytest.mark.parametrize("bounds", [(-2, 2), (-1, 3), (-math.inf, 0.5)])
def test_clipped_moments_are_those_of_clipped_draws(bounds):
    low, high = bounds

    def moment(k):
        """By mpmath, with the Gaussian cut in pieces at the bounds."""
        ends = [edge for edge in bounds if math.isfinite(edge)]
        return mpmath.quad(
            lambda x: min(max(x, low), high) ** k * mpmath.npdf(x),
            sorted([-40, -8, 0, *ends, 8, 40]),
        )

    law = truncated_normal(0, 1, low, high)
    for k in (0, 1, 2, 4, 12):
        assert clipped_moment(law, k) == pytest.approx(float(moment(k)), rel=1e-12, abs=1e-14)
    expected = mpmath.sqrt(moment(2) - moment(1) ** 2)
    assert truncation_report(1, low, high).clipped_std == pytest.approx(float(expected), rel=1e-12)


def test_clipped_moments_are_of_one_law_at_a_time():
    with pytest.raises(ValueError, match=r"takes one law, got 2 of shape \(2,\): call it for each"):
        clipped_moment(truncated_normal(0, [1.0, 2.0]), 2)


def test_clipping_is_told_from_truncating(generator):
    w = torch.randn(20_000, generator=generator).clamp(-2, 2)
    report = truncation_report(1, weights=w)
    assert "clipped" in report.names
    assert report.measured["std"] == pytest.approx(report.clipped_std, rel=0.05)


def test_one_outlier_in_a_million_is_named_and_shown_by_the_kurtosis(generator):
    w = 0.02 * torch.randn(1_000_000, generator=generator)
    assert "outliers" not in truncation_report(0.02, weights=w).names
    w[17] = 2.0
    report = truncation_report(0.02, weights=w)
    assert "outliers" in report.names
    assert report.measured["largest"] == 2
    assert report.measured["std"] == pytest.approx(0.02, rel=0.02)  # the std does not show it
    assert report.measured["kurtosis"] > 50


SIZE = 10_000
WRONG = {  # draws, and the findings on them where trunc_normal(0, 1, -2, 2) was asked for
    "a tenth of the std": (lambda rng: 0.1 * rng.normal(size=SIZE), {"wrong-std"}),
    "zeros": (lambda rng: np.zeros(SIZE), {"wrong-std"}),
    "around one": (lambda rng: 1 + 0.001 * rng.normal(size=SIZE), {"wrong-mean", "wrong-std"}),
    "three times the std": (lambda rng: 3 * rng.normal(size=SIZE), {"out-of-bounds", "wrong-std"}),
    "too few to tell": (lambda rng: np.zeros(2), set()),
}


@pytest.mark.parametrize("name", WRONG)
def test_weights_of_another_law_are_named(name, rng):
    draw, expected = WRONG[name]
    assert set(truncation_report(1.0, weights=draw(rng)).names) == {"uncorrected", *expected}


def test_findings_on_moments_say_what_is_and_what_should_be():
    report = truncation_report(1.0, weights=np.full(1000, 0.5))
    assert "wrong-mean: 1000 weights have mean 0.5 where the law has 0; check" in str(report)
    assert "wrong-std: 1000 weights have std 0 where the law has 0.879626; check" in str(report)
    report = truncation_report(1.0, weights=[0.1, -2.5])
    assert "out-of-bounds: 1 of 2 weights are below -2 or above 2, the furthest -2.5" in str(report)


BOUNDS = [(-2, 2), (0, math.inf), (-3, 0.1), (5, 6), (-math.inf, math.inf), (-1e-3, 1e-3)]


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("size", [3, 400, 60_000])
def test_draws_of_the_law_have_no_finding_on_weights(bounds, size, rng):
    """Five findings at 1e-9 each; draws by scipy's inverse distribution function."""
    weights = stats.truncnorm.rvs(*bounds, size=size, random_state=rng)
    for dtype in (np.float64, np.float32, np.float16):
        report = truncation_report(1.0, *bounds, weights=weights.astype(dtype))
        assert report.names == truncation_report(1.0, *bounds).names


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("size", [30, 3000])
def test_deviations_of_fifteen_standard_errors_are_named(bounds, size, rng):
    """Draws shifted, shrunk or stretched about their own mean, so that the deviation is exact."""
    weights = stats.truncnorm.rvs(*bounds, size=size, random_state=rng)
    mean, std = float(stats.truncnorm.mean(*bounds)), float(stats.truncnorm.std(*bounds))
    standard = (weights - weights.mean()) / weights.std()
    for sign in (-1, 1):
        moved = mean + std * (standard + sign * 15 / size**0.5)
        assert "wrong-mean" in truncation_report(1.0, *bounds, weights=moved).names
        if size > 1000:
            bent = mean + std * (1 + sign * 15 / size**0.5) * standard
            assert "wrong-std" in truncation_report(1.0, *bounds, weights=bent).names


@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_bounds_on_chance_hold_and_are_near_the_normal_ones(bounds):
    """At a million draws Chernoff's bound is at 6.5 standard errors, the normal one at 6.1."""
    law, size = truncation_report(1.0, *bounds).law, 10**6
    std = float(law.std)
    for errors, wrong in ((6.0, False), (7.5, True)):
        pair = np.array([-1.0, 1.0]).repeat(size // 2)
        weights = float(law.mean) + std * (pair + errors / size**0.5)
        assert deviation(law, weights, 0.0, 1e-9).wrong_mean is wrong


MISTAKES = {
    "std must be finite and above 0, got -1": lambda: truncation_report(-1),
    "wanted must be real numbers, got 'x'": lambda: truncation_report(1, wanted="x"),  # pyright: ignore
    "must be single numbers, the last above 0 and finite, got 1, -2.0, 2.0, 0": (
        lambda: truncation_report(1, wanted=0)
    ),
    "weights must be two or more finite numbers, got 3 with 1 not finite": lambda: (
        truncation_report(1, weights=torch.tensor([0.0, math.inf, 1.0]))
    ),
    "weights must be two or more finite numbers, got 5 with 5 not finite: pass a freshly": lambda: (
        truncation_report(1, weights=[math.nan] * 5)
    ),
    "weights must be real numbers, got 'w'": lambda: truncation_report(1, weights="w"),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_answered(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)
