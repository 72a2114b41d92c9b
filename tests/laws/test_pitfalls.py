"""Each pitfall of truncated weights is named where it is, and not where it is not."""

import math

import mpmath
import pytest
import torch

from varprop.laws import clipped_moment, truncated_normal, truncated_std, truncation_report

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


MISTAKES = {
    "std must be finite and above 0, got -1": lambda: truncation_report(-1),
    "wanted must be real numbers, got 'x'": lambda: truncation_report(1, wanted="x"),  # pyright: ignore
    "must be single numbers, the last above 0 and finite, got 1, -2.0, 2.0, 0": (
        lambda: truncation_report(1, wanted=0)
    ),
    "weights must be two or more finite numbers, got 3 with 1 not finite": lambda: (
        truncation_report(1, weights=torch.tensor([0.0, math.inf, 1.0]))
    ),
    "weights must be real numbers, got 'w'": lambda: truncation_report(1, weights="w"),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_answered(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)
