"""Verdicts on a user's own modules: true ones are not refuted, planted faults are."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import varprop as vp
from varprop import Verdict
from varprop.montecarlo.record import Record

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
    network = vp.trace(stack(32, 2, bias=True, activation=nn.Tanh, fill=as_made))
    state = torch.get_rng_state()
    sample = vp.measure(
        lambda: stack(32, 2, bias=True, activation=nn.Tanh, fill=as_made),
        network=network,
        seed=seed,
    )
    assert torch.equal(torch.get_rng_state(), state)
    report = vp.compare(vp.predict(network), sample)
    assert report.verdict is Verdict.UNDECIDED
    assert "pass a function that makes fresh modules" in str(report)


FAULTS = {
    "none": (lambda: stack(32, 2, bias=True, fill=as_made), None),
    "a bias forgotten": (lambda: stack(32, 2, fill=as_made), "dense_1"),
    "another slope": (
        lambda: stack(32, 2, bias=True, fill=as_made, activation=lambda: nn.LeakyReLU(0.3)),
        "leaky_relu_1",
    ),
    "weights of variance 1/n": (
        lambda: stack(32, 2, bias=True, fill=lambda w: nn.init.normal_(w, std=32**-0.5)),
        "dense_1",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_many_modules_refute_what_they_were_not_drawn_from(fault, seed):
    make, guilty = FAULTS[fault]
    told = stack(32, 2, bias=True, fill=as_made, activation=lambda: nn.LeakyReLU(0.01))
    if fault != "another slope":
        told = stack(32, 2, bias=True, fill=as_made)
    network = vp.trace(told)
    report = vp.compare(
        vp.predict(network), vp.measure(make, network=network, draws=400, seed=seed)
    )
    refuted = [row.node for row in report.judged if row.verdict is Verdict.REFUTED]
    assert (report.verdict is Verdict.REFUTED) == (guilty is not None), str(report)
    assert guilty is None or guilty in refuted


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_error_rate_of_one_network(activation, seed):
    """Of 150 true networks, those refuted at 5 %: at most what 5 % allows (binomial, 1e-6)."""
    n, depth, draws = 24, 4, 150
    network = vp.mlp(n, depth, activation=activation, weights="kaiming_normal")
    kind = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    sample = vp.measure(
        lambda: stack(n, depth, activation=kind), network=network, draws=draws, seed=seed
    )
    theory = vp.predict(network)
    reports = [vp.compare(theory, one, error_rate=0.05) for one in each(sample)]
    refuted = sum(report.verdict is Verdict.REFUTED for report in reports)
    assert refuted <= stats.binom.isf(1e-6, draws, 0.05)


def each(sample):
    """The sample of each network alone."""
    for k in range(sample.draws):
        records = {
            name: Record(*(_row(getattr(r, f.name), k) for f in fields(Record)))
            for name, r in sample.records.items()
        }
        yield replace(sample, records=records, draws=1, duality=sample.duality[k : k + 1])


def _row(values: np.ndarray, k: int) -> np.ndarray:
    return values[k : k + 1]
