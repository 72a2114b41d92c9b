"""Differences between runs of one seed: against scipy, by enumeration, and at their error rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from figures.training.paired import Paired, decide, mean_band
from varprop.stats import Verdict


def test_p_values_and_intervals_are_those_of_scipy(rng):
    for n in (2, 5, 10):
        pair = Paired(rng.normal(0.4, 1, n))
        for side, p in (("greater", pair.p_above), ("less", pair.p_below)):
            known = stats.ttest_1samp(pair.differences, 0, alternative=side)
            assert p == pytest.approx(known.pvalue, rel=1e-9)
        known = stats.ttest_1samp(pair.differences, 0).confidence_interval(0.9)
        assert pair.interval(0.1) == pytest.approx((known.low, known.high), rel=1e-9)


def test_the_exact_test_is_scipys_permutation_of_signs(rng):
    d = rng.normal(0.5, 1, 7)
    known = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert Paired(d).p_signs == pytest.approx(known.pvalue, rel=1e-9)


def test_equal_differences_are_left_to_the_exact_test():
    pair = Paired(np.full(5, 0.3))
    assert pair.p_above == 1 / 32 and pair.p_below == 1 and pair.p_signs == 1 / 16
    nothing = Paired(np.zeros(5))
    assert nothing.p_above == nothing.p_below == nothing.p_signs == 1


def test_a_diverged_seed_leaves_the_claim_open(rng):
    d = rng.normal(9, 1, 10)
    d[3] = np.nan
    assert decide({"lost": [Paired(d)]}, 0.05)["lost"].verdict == Verdict.UNDECIDED


def test_all_must_be_positive_to_confirm_and_one_negative_refutes(rng):
    above, below, open_ = (Paired(m + rng.normal(0, 0.1, 8)) for m in (9, -9, 0))
    nothing = Paired(np.array([1.0, -1, 1, -1, 1, -1, 1, -1]))
    found = decide({"all": [above, above], "one": [above, below], "open": [above, nothing]}, 0.01)
    verdicts = [decision.verdict for decision in found.values()]
    assert verdicts == [Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED]
    assert open_.known


def test_adjusted_p_values_count_contrasts_and_both_directions(rng):
    """One claim of three contrasts: two p-values, Holm doubles the smaller."""
    low, middle, high = (Paired(m + rng.normal(0, 1, 6)) for m in (-3.0, 0.0, 3.0))
    one = decide({"mixed": [low, middle, high]}, 0.05)["mixed"]
    assert one.p_against == pytest.approx(min(1.0, 2 * 3 * low.p_below))
    two = decide({"above": [high, high]}, 0.05)["above"]
    assert two.p_for == pytest.approx(2 * high.p_above)


@pytest.mark.statistical
def test_wrong_verdicts_on_true_zeros_are_as_rare_as_promised(rng):
    """500 families of four claims of mean 0, at 0.1: wrong in at most 0.1, at 6 standard errors."""
    wrong = 0
    for _ in range(500):
        claims = {str(k): [Paired(row) for row in rng.normal(size=(2, 5))] for k in range(4)}
        wrong += any(d.verdict != Verdict.UNDECIDED for d in decide(claims, 0.1).values())
    assert wrong / 500 < 0.1 + 6 * (0.09 / 500) ** 0.5


def test_bands_are_bonferronis(rng):
    values = rng.normal(size=(6, 3))
    band = mean_band(values, 0.06)
    for k in range(3):
        assert band[1:, k] == pytest.approx(Paired(values[:, k]).interval(0.02))


@pytest.mark.parametrize("shape", [(1,), (17,), (3, 2)])
def test_differences_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"need 2 to 16 seeds in one axis, got shape \("):
        Paired(np.zeros(shape))
