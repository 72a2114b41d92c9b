"""True networks are refuted at no more than the error rate that compare states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import varprop as vp
from varprop.comparison.steps import steps
from varprop.initializers import normal
from varprop.montecarlo.record import Record
from varprop.stats import Verdict, binomial_interval, contrast_test

LEVEL = 1e-6  # of each statement below


def tanh_pairs():
    return vp.mlp(16, 5, activation="tanh", weights=normal(variance=0.1), bias=normal(variance=0.1))


CASES = {
    "relu": (lambda: vp.mlp(16, 6), None, "conditional", 40),
    "tanh, pairs": (tanh_pairs, 2, "conditional", 100),
    "uniform relu": (lambda: vp.mlp(16, 5, weights="kaiming_uniform"), None, "explicit", 100),
    "gelu residual": (
        lambda: vp.residual(16, 3, activation="gelu", scale=0.8, closing=False),
        None,
        "conditional",
        100,
    ),
}


def pieces(sample, size):
    """Independent samples of `size` draws each."""
    for start in range(0, sample.draws - size + 1, size):
        cut = slice(start, start + size)
        records = {
            name: Record(*(v[cut] for v in vars(record).values()))
            for name, record in sample.records.items()
        }
        duality = None if sample.duality is None else sample.duality[cut]
        yield replace(sample, records=records, draws=size, duality=duality)


def refutations(name, replicas, seed, rng):
    make, points, engine, draws = CASES[name]
    network = make()
    x = None if points is None else rng.standard_normal((points, 16))
    theory = vp.predict(network, x)
    sample = vp.simulate(network, x, draws=draws * replicas, seed=seed, engine=engine)
    smallest = []
    for piece in pieces(sample, draws):
        report = vp.compare(theory, piece, error_rate=0.1)
        rows = [r for r in report.rows() if r.test in ("exact", "t", "drift")]
        smallest.append(min(r.p_value for r in rows))
    return np.array(smallest)


def check(smallest):
    for rate in (0.05, 0.01):  # each family has half the rate, in which p is adjusted
        low, _ = binomial_interval(int((smallest <= rate / 2).sum()), smallest.size, LEVEL)
        assert low <= rate


@pytest.mark.statistical
def test_true_networks_are_refuted_at_the_stated_rate(seed, rng):
    check(refutations("relu", 40, seed, rng))


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", CASES)
def test_true_networks_are_refuted_at_the_stated_rate_at_length(name, seed, rng):
    smallest = refutations(name, 600 if "relu" in name else 100, seed, rng)
    check(smallest)
    # not grossly conservative: a true family-wise rate of 1 % at 10 % nominal would show
    _, high = binomial_interval(int((smallest <= 0.05).sum()), smallest.size, LEVEL)
    assert high >= 0.03


@pytest.mark.statistical
def test_every_cumulant_is_that_of_the_residuals(seed):
    """Standardised squares of residuals have mean one; dead draws are left out."""
    network = vp.mlp(3, 5)
    sample = vp.simulate(network, draws=20_000, seed=seed, engine="conditional")
    dead = sample.values("relu_5", "second_moment")[:, 0] == 0
    low, high = binomial_interval(int(dead.sum()), dead.size, LEVEL)
    assert low <= 1 - (1 - 2.0**-3) ** 5 <= high  # Lu et al. (2020)
    for step in steps(network, sample):
        assert step.variance is not None and step.third is not None and not step.impossible
        test = contrast_test(
            step.residual[step.live], step.variance[step.live], step.third[step.live]
        )
        assert test.p_value > LEVEL, (step.node, step.quantity)
        found = np.mean(step.residual[step.live] ** 2 / step.variance[step.live])
        wide = np.std(step.residual[step.live] ** 2 / step.variance[step.live])
        assert abs(found - 1) < 6 * wide / step.live.sum() ** 0.5, (step.node, step.quantity)
        if step.node not in ("dense_1", "relu_1"):
            assert not step.live.all()


@pytest.mark.statistical
def test_orthogonal_weights_and_rounding_refute_nothing(seed):
    """|Wx| = |x| up to rounding, which has a mean of its own and is no fault."""
    from varprop.initializers import orthogonal

    network = vp.mlp(16, 4, weights=orthogonal(gain=2**0.5))
    sample = vp.simulate(network, draws=400, seed=seed)
    report = vp.compare(vp.predict(network), sample)
    assert report.verdict is not Verdict.REFUTED
    wrong = vp.predict(vp.mlp(16, 4, weights=orthogonal(gain=1.42)))
    assert vp.compare(wrong, sample).verdict is Verdict.REFUTED
