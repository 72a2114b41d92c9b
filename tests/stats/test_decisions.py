"""Holm, TOST, binomial intervals and the table of verdicts."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from varprop.stats import (
    Verdict,
    binomial_interval,
    decide_equivalence,
    decide_exact,
    holm,
    locate,
    overall,
)


def test_holm_is_that_of_statsmodels(rng):
    p = rng.uniform(size=(3, 4)) ** 3
    p[0, :2] = p[1, 0]  # ties
    theirs = multipletests(p.ravel(), alpha=0.05, method="holm")
    adjusted, rejected = holm(p, 0.05)
    np.testing.assert_allclose(adjusted.ravel(), theirs[1], rtol=1e-14)
    np.testing.assert_array_equal(rejected.ravel(), theirs[0])


def test_holm_controls_the_family(rng, rate_contains):
    """Some true claim is rejected when the least p is below rate/tests: at most at that rate."""
    independent = rng.uniform(size=(20_000, 10)) ** np.repeat([1, 4], [19_950, 50])[:, None]
    for p in independent[-100:]:
        assert holm(p, 0.05).rejected.any() == (p.min() <= 0.05 / 10)
    true = independent[:19_950].min(axis=1)
    assert rate_contains(true <= 0.05 / 10, 1 - (1 - 0.05 / 10) ** 10)
    assert not rate_contains(true <= 0.05, 0.05)  # negative control: no correction


@pytest.mark.parametrize("bad", [[], [0.1, 1.2], [0.1, np.nan]])
def test_holm_refuses_what_is_no_probability(bad):
    with pytest.raises(ValueError, match="p_values must be"):
        holm(bad, 0.05)


def test_binomial_interval_covers(rng):
    trials, rate = 50, 0.03
    hits = np.arange(trials + 1)
    intervals = np.array([binomial_interval(int(k), trials, 0.01) for k in hits])
    covers = (intervals[:, 0] <= rate) & (rate <= intervals[:, 1])
    assert stats.binom.pmf(hits, trials, rate)[covers].sum() >= 0.99
    assert binomial_interval(0, trials)[0] == 0
    assert binomial_interval(trials, trials)[1] == 1
    with pytest.raises(ValueError, match="got 3 of 2"):
        binomial_interval(3, 2)


@pytest.mark.parametrize(
    "low, high, place",
    [(-1, 1, "inside"), (-1, 3, "open"), (2, 3, "outside"), (-3, -2, "outside"), (-3, 3, "open")],
)
def test_places(low, high, place):
    assert locate(low, high, 2.0) == place


def place(x):
    """Where the 90 % interval of an estimate with standard error 0.1 lies, margin 0.5."""
    half = 0.1 * stats.norm.ppf(0.95)
    return locate(x - half, x + half, 0.5)


@pytest.mark.parametrize("truth, most", [(0.5, 0.05), (-0.5, 0.05), (0.6, 0.05)])
def test_false_certification_is_at_most_the_level(rng, rate_contains, truth, most):
    places = np.array([place(x) for x in rng.normal(truth, 0.1, size=5000)])
    certified = places == "inside"
    assert np.mean(certified) <= most or rate_contains(certified, most)
    assert np.mean(certified) > 0.03 or abs(truth) > 0.5


def test_false_refutation_at_the_margin_is_at_most_the_level(rng, rate_contains):
    places = np.array([place(x) for x in rng.normal(0.5, 0.1, size=5000)])
    assert rate_contains(places == "outside", 0.05)


def test_certifying_by_the_estimate_alone_is_seen(rng, rate_contains):
    """Negative control: half of all theories that sit at the margin would pass."""
    assert not rate_contains(np.abs(rng.normal(0.5, 0.1, size=5000)) < 0.5, 0.05)


@pytest.mark.parametrize(
    "p, interval, verdict",
    [
        (1e-7, (0.001, 0.002), Verdict.REFUTED),  # significant, though inside the margin
        (1e-7, (0.2, 0.3), Verdict.REFUTED),
        (0.5, (-0.01, 0.02), Verdict.CONFIRMED),
        (0.5, (-0.1, 0.2), Verdict.UNDECIDED),
        (0.5, (0.06, 0.2), Verdict.UNDECIDED),
    ],
)
def test_exact_claims(p, interval, verdict):
    assert decide_exact(p, *interval, margin=0.05, error_rate=1e-6) is verdict


@pytest.mark.parametrize(
    "interval, verdict",
    [
        ((0.001, 0.002), Verdict.CONFIRMED),
        ((0.04, 0.06), Verdict.UNDECIDED),
        ((-0.2, -0.06), Verdict.REFUTED),
    ],
)
def test_approximate_claims(interval, verdict):
    assert decide_equivalence(*interval, margin=0.05) is verdict


def test_overall_is_as_weak_as_its_weakest():
    yes, no, open_ = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
    assert overall([yes, yes]) is yes
    assert overall([yes, open_]) is open_
    assert overall([yes, open_, no]) is no
    with pytest.raises(ValueError, match="Nothing was tested"):
        overall([])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: decide_exact(1.5, 0, 1, 1, 0.05), r"p_adjusted must lie in \[0, 1\], got 1.5"),
        (lambda: locate(2, 1, 1), r"needs low <= high, got \(2, 1\)"),
        (lambda: locate(1, 2, 0), "margin must be finite and positive, got 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
