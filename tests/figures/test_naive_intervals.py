"""Intervals of the mean length: by hand for one sample, refuted where the networks are wrong."""

import numpy as np
import pytest
from scipy import stats

import varprop as vp
from figures import naive_intervals as figure

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
SIZES = {"width": 8, "ratios": [0.5, 4], "sizes": [40], "batch": 16000, "batches": 1, "margin": 0.1}


def verdicts(results, panel):
    return {claim.verdict for claim in results.claims if claim.panel == panel}


@pytest.mark.slow
@pytest.mark.statistical
def test_the_claims_hold(seed):
    results = figure.compute(SIZES, seed, "cpu")
    assert results.verdict == "CONFIRMED", results.claims


@pytest.mark.statistical
def test_networks_of_another_variance_are_refuted(seed, drawn_as):
    drawn_as(lambda law, n: vp.init.normal(variance=2.3 / n))
    results = figure.compute(SIZES, seed, "cpu")
    assert verdicts(results, "product") == {"REFUTED"}


def test_wide_networks_refute_the_failure_of_naive_intervals():
    held = np.array([[[950]], [[940]], [[950]]])
    sizes = {**SIZES, "ratios": [4]}
    naive, product = figure._claims(held, np.array([1000]), sizes)
    assert (naive.verdict, product.verdict) == ("REFUTED", "CONFIRMED")
    naive, product = figure._claims(held // 50, np.array([20]), sizes)
    assert (naive.verdict, product.verdict) == ("UNDECIDED", "UNDECIDED")


def test_intervals_by_hand(rng):
    """One sample, one layer at a time; a dead network has no ratio above it."""
    ratios = rng.gamma(2.0, 0.5, (12, 3))
    ratios[4, 1] = 0.0
    found = np.cumprod(np.hstack([np.ones((12, 1)), ratios]), 1)
    naive, steps, known = figure.intervals(found[None], [2, 3], np.array([0.7, 0.9]))[:, :, 0]
    for k, depth in enumerate((2, 3)):
        x = found[:, depth]
        half = stats.norm.ppf(0.975) * x.std(ddof=1) / np.sqrt(12)
        np.testing.assert_allclose(naive[:, k], [x.mean() - half, x.mean() + half])
        half = stats.norm.ppf(0.975) * np.sqrt((0.7, 0.9)[k] / 12)
        np.testing.assert_allclose(known[:, k], [x.mean() - half, x.mean() + half])
        log, variance = 0.0, 0.0
        for layer in range(depth):
            alive = [r for r, below in zip(ratios[:, layer], found[:, layer], strict=True) if below]
            log += np.log(np.mean(alive))
            variance += stats.sem(alive) ** 2 / np.mean(alive) ** 2
        half = stats.t.ppf(0.975, 11) * np.sqrt(variance)
        np.testing.assert_allclose(steps[:, k], np.exp([log - half, log + half]))
