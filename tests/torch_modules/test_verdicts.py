"""Verdicts on a user's own modules: true ones are not refuted, planted faults are."""

import pytest
import torch
from torch import nn

import varprop as vp
from varprop import Verdict

pytestmark = pytest.mark.statistical  # each assertion errs at 1e-6


def stack(n=64, depth=8, bias=False, activation=nn.ReLU, fill=nn.init.kaiming_normal_):
    """Blocks of n channels with weights by `fill`, and a readout of 10."""
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(n, n, bias=bias), activation()]
    module = nn.Sequential(*layers, nn.Linear(n, 10, bias=bias))
    for part in module:
        if isinstance(part, nn.Linear):
            fill(part.weight)
    return module


@pytest.fixture(scope="module")
def he():
    return vp.trace(stack(), weights="kaiming_normal")


def test_one_network_is_enough_to_refute_another_initializer(he, seed):
    theory = vp.predict(he)
    true = vp.compare(theory, vp.measure(stack, network=he, seed=seed))
    false = vp.measure(lambda: stack(fill=nn.init.xavier_normal_), network=he, seed=seed)
    assert true.verdict is not Verdict.REFUTED, str(true)
    assert vp.compare(theory, false).verdict is Verdict.REFUTED
