"""What compare says before it trusts a number: means that one draw carries, and dead draws."""

from __future__ import annotations

import numpy as np
import pytest

import varprop as vp
from varprop.stats import Verdict, binomial_interval, tail_guard


@pytest.mark.statistical
def test_a_mean_that_one_draw_carries_is_not_trusted(seed):
    """ReLU at L/n = 3: the mean of most samples is far below the true one."""
    network = vp.mlp(16, 48)
    sample = vp.simulate(network, draws=400, seed=seed)
    report = vp.compare(vp.predict(network), sample, scope="depth", error_rate=0.3, margin=0.4)
    depth = {r.node: r for r in report.rows() if r.test == "depth" and r.quantity[:4] != "grad"}
    last = depth["relu_48"]
    assert last.verdict is Verdict.UNDECIDED
    assert "carries" in last.note and "scope='steps'" in last.note
    trusted = tail_guard(sample.values("relu_48", "second_moment")).trusted
    assert not trusted[0] and "carries" not in depth["dense_1"].note


@pytest.mark.statistical
def test_dead_draws_are_counted(seed):
    """1 - (1 - 2^-n)^L of the networks die (Lu et al. 2020)."""
    network = vp.mlp(3, 4, output=None)
    sample = vp.simulate(network, draws=4000, seed=seed)
    report = vp.compare(vp.predict(network), sample)
    low, high = binomial_interval(report.dead, 4000, 1e-6)
    assert low <= 1 - (1 - 2.0**-3) ** 4 <= high
    assert report.dead == np.sum(sample.values("relu_4", "second_moment") == 0)
    assert f"4000 networks, {report.dead} dead (conditional" in str(report)


def test_a_network_that_theory_expects_to_be_zero_is_not_dead(seed):
    network = vp.mlp(8, 2, weights=vp.init.zeros())
    sample = vp.simulate(network, draws=300, seed=seed)
    report = vp.compare(vp.predict(network), sample)
    assert report.dead == 0 and "dead" not in str(report)
