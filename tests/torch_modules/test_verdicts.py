"""Verdicts on a user's own modules: true ones are not refuted, planted faults are."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import stats
from torch import nn

import varprop as vp
from varprop import Verdict
from varprop.comparison.judge import drifts
from varprop.comparison.steps import steps
from varprop.montecarlo.record import Record
from varprop.stats.sharp import tail_probability

pytestmark = pytest.mark.statistical  # each assertion on random networks errs at 1e-6


def stack(n=64, depth=8, *, bias=False, activation=nn.ReLU, fill=nn.init.kaiming_normal_):
    """Blocks of n channels with weights by `fill`, and a readout of as many."""
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(n, n, bias=bias), activation()]
    module = nn.Sequential(*layers, nn.Linear(n, n, bias=bias))
    for part in module:
        if isinstance(part, nn.Linear):
            fill(part.weight)
    return module


def as_made(weight):
    """Leave what torch's constructor drew."""


@pytest.fixture(scope="module")
def he():
    return vp.trace(stack(), weights="kaiming_normal")


def test_one_network_is_enough_to_refute_another_initializer(he, seed):
    theory = vp.predict(he)
    true = vp.compare(theory, vp.measure(stack, network=he, seed=seed))
    assert true.verdict is not Verdict.REFUTED, str(true)
    assert all(row.test in ("exact", "drift") for row in true.judged)
    false = vp.measure(lambda: stack(fill=nn.init.xavier_normal_), network=he, seed=seed)
    report = vp.compare(theory, false)
    assert report.verdict is Verdict.REFUTED, str(report)


def test_one_network_whose_null_law_is_unknown_is_undecided(seed):
    network = vp.trace(small(activation=nn.Tanh))
    sample = vp.measure(lambda: small(activation=nn.Tanh), network=network, seed=seed)
    report = vp.compare(vp.predict(network), sample)
    assert report.verdict is Verdict.UNDECIDED
    assert "pass a function that makes fresh modules" in str(report)


def small(**how):
    """Two blocks as torch's constructors fill them."""
    return stack(32, 2, **{"bias": True, "fill": as_made} | how)


FAULTS = {
    "none": small,
    "a bias forgotten": lambda: small(bias=False),
    "another slope": lambda: small(activation=lambda: nn.LeakyReLU(0.3)),
    "weights of variance 1/n": lambda: small(fill=lambda w: nn.init.normal_(w, std=32**-0.5)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_many_modules_refute_what_they_were_not_drawn_from(fault, seed):
    told = small(activation=lambda: nn.LeakyReLU(0.01)) if "slope" in fault else small()
    network = vp.trace(told)
    sample = vp.measure(FAULTS[fault], network=network, draws=300, seed=seed)
    report = vp.compare(vp.predict(network), sample)
    assert (report.verdict is Verdict.REFUTED) == (fault != "none"), str(report)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_error_rate_of_one_network(activation, seed):
    """Of 200 true networks, those refuted alone at 5 %: at most what 5 % allows (binomial, 1e-6).

    By the smallest p-value of steps and of drifts, as Holm takes it; and so says compare of one.
    """
    n, depth, draws = 24, 5, 200
    network = vp.mlp(n, depth, activation=activation, weights="kaiming_normal")
    kind = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    sample = vp.measure(
        lambda: stack(n, depth, activation=kind), network=network, draws=draws, seed=seed
    )
    local = list(steps(network, sample))
    least = np.minimum(bonferroni(local), bonferroni(drifts(local)))
    assert np.sum(least <= 0.05 / 2) <= stats.binom.isf(1e-6, draws, 0.05)
    worst = int(np.argmin(least))
    report = vp.compare(vp.predict(network), alone(sample, worst), error_rate=0.05)
    assert report.worst.p_value == pytest.approx(least[worst], rel=1e-9)
    assert (report.verdict is Verdict.REFUTED) == (least[worst] <= 0.05 / 2)


def bonferroni(tested):
    """The smallest p-value of each draw, times the number of tests."""
    p_values = np.ones((len(tested), tested[0].residual.size))
    for row, step in zip(p_values, tested, strict=True):
        live = step.live & (step.variance > 0)
        cumulants = step.variance[live], step.third[live]
        row[live] = tail_probability(step.residual[live], *cumulants)
    return np.minimum(p_values.min(0) * len(tested), 1.0)


def alone(sample, k):
    """The sample of network k."""
    records = {
        name: Record(*(getattr(r, f.name)[k : k + 1] for f in fields(Record)))
        for name, r in sample.records.items()
    }
    return replace(sample, records=records, draws=1, duality=sample.duality[k : k + 1])
