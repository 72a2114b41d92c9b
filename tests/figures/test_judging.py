"""Certified at one level, refuted at another: the rates of both, and their sum over a run."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from figures import judging
from figures.judging import equivalence, false_alarms, mean_is, share_within
from figures.results import Claim, Results
from varprop.stats import Verdict

RARE = 1e-6  # of a correct rate that fails its test


def interval(centre: float):
    """Of a normal estimate with standard error 1/10."""
    return lambda level: tuple(centre + stats.norm.ppf([level / 2, 1 - level / 2]) / 10)


@pytest.mark.parametrize(
    ("centre", "verdict"),
    [(0.0, "CONFIRMED"), (0.9, "UNDECIDED"), (1.4, "UNDECIDED"), (1.6, "REFUTED")],
)
def test_it_takes_more_to_refute_than_to_leave_the_margin(centre, verdict):
    """1.4 is outside at the level that certifies (1.4 - 0.26 > 1), and not at 1e-6."""
    placed = equivalence(interval(centre), 1.0, 0.01)
    assert placed.verdict == verdict
    assert (placed.low, placed.high) == pytest.approx(interval(centre)(0.01))


def test_more_tests_of_one_claim_refute_later():
    edge = 1 + 0.1 * stats.norm.isf(0.7e-6 / 2)
    assert equivalence(interval(edge), 1.0, 0.01).verdict == Verdict.REFUTED
    assert equivalence(interval(edge), 1.0, 0.01, tests=10).verdict == Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("count", "verdict"),
    [(150, "CONFIRMED"), (110, "UNDECIDED"), (80, "UNDECIDED"), (40, "REFUTED")],
)
def test_a_bound_on_one_side_is_judged_as_its_mirror_image_is(count, verdict):
    """80 of 200 is below a half at 2.5 % (P(X <= 80) = 0.003), and not at 1e-6."""
    above, below = (0.5, math.inf), (-math.inf, 0.5)
    assert share_within(count, 200, above, 0.05).verdict == verdict
    assert share_within(200 - count, 200, below, 0.05).verdict == verdict


def test_a_sample_that_cannot_bear_the_level_is_undecided_and_says_why(rng):
    placed = mean_is(rng.normal(size=19), 0.0, 1.0, 1e-4)
    assert placed.verdict == Verdict.UNDECIDED and "needs 76 draws, got 19" in placed.refusal
    far = mean_is(rng.normal(5.0, 0.1, size=80), 0.0, 1.0, 1e-4)
    assert far.verdict == Verdict.UNDECIDED and not far.refusal, "80 draws bear no refutation"
    assert mean_is(rng.normal(5.0, 0.1, size=200), 0.0, 1.0, 1e-4).verdict == Verdict.REFUTED


@pytest.mark.statistical
def test_at_the_edge_of_the_margin_either_error_has_half_its_rate(rng, monkeypatch):
    monkeypatch.setattr(judging, "ERROR_RATE", 0.1)
    trials = 1500
    found = [mean_is(1 + rng.normal(size=60), 0.0, 1.0, 0.2).verdict for _ in range(trials)]
    for verdict, rate in ((Verdict.REFUTED, 0.05), (Verdict.CONFIRMED, 0.1)):
        assert stats.binomtest(found.count(verdict), trials, rate).pvalue > RARE, verdict


def test_false_alarms_of_a_run_are_the_sum_of_those_of_its_claims():
    def run(*rates: float | None, **about):
        return Results({}, tuple(Claim("s", "CONFIRMED", "e", error_rate=r) for r in rates), about)

    told = false_alarms([run(*[1e-6] * 80), run(1e-6, 0.0)])
    assert "all 82 claims" in told and told.endswith("probability 8.1e-05 at most")
    assert "8.2e-05" in false_alarms([run(*[1e-6] * 81, 1.01e-7)]), "rounded up"
    assert false_alarms([run(1e-6, None)]).endswith("but for the 1 that state no rate")
    assert "all 1 claims" in false_alarms([run(1e-6), run(0.5, study={})])
