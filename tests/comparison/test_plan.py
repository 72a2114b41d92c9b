"""plan: the draws, the time and the memory of verify, before it runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop.comparison.design import Design
from varprop.comparison.plan import Cost, Planned
from varprop.comparison.steps import steps
from varprop.stats import Look, draws_needed, draws_to_certify, schedule

NET = vp.mlp(32, 2)


@pytest.fixture(scope="module")
def planned():
    return vp.plan(NET, 0.15, engine="conditional")


def test_the_draws_are_those_that_a_run_may_take(planned, seed):
    report = vp.verify(NET, seed=seed, margin=0.15, engine="conditional")
    assert report.budget == planned.draws
    assert report.at in [Look(*row[:3]) for row in planned.looks]


def test_the_last_look_has_the_power_that_is_promised(planned):
    """A ReLU step of width 32 has relative variance 5/32; three values and three gradients a row
    would be 2 x 4 tests or more."""
    last = planned.looks[-1]
    at_least = draws_needed(0.15, 5 / 32, last.error_rate / 2, last.false_pass, tests=8)
    confirm = draws_to_certify(0.15, 5 / 32, last.false_pass, 0.999, tests=8)
    assert last.draws >= at_least and last.draws >= confirm
    assert planned.usual < planned.draws < 4 * at_least
    finer = vp.plan(NET, 0.05, engine="conditional")
    assert 8 < finer.draws / planned.draws < 10  # as the square of the discrepancy


@pytest.mark.parametrize(
    "network",
    [NET, vp.residual(8, 3, scale=0.5), vp.residual(8, 3, scale=0.5, closing=False)],
    ids=["mlp", "residual", "open"],
)
@pytest.mark.parametrize("points", [1, 2])
def test_the_tests_planned_for_are_no_fewer_than_those_made(network, points, rng, seed):
    x = rng.normal(size=(points, network.sizes[network.input]))
    sample = vp.simulate(network, x, draws=2, seed=seed, engine="explicit")
    made = len(list(steps(network, sample)))
    assert made <= Design.of(vp.predict(network, x)).tests


def test_a_plan_is_a_result(planned):
    text = str(planned)
    assert text.startswith(f"at most {planned.draws} networks (usually under {planned.usual})")
    assert "margin 15%" in text and "MB" in text and "conditional, float32 on " in text
    assert json.loads(planned.to_json())["kind"] == "Plan"
    table = planned.frame()
    assert tuple(table.columns) == Planned._fields and len(table) == len(planned.looks)
    assert planned.seconds == table["seconds"].iloc[-1] > 0
    assert planned.memory == table["memory"].iloc[-1]
    assert (np.diff(table["seconds"]) > 0).all() and (np.diff(table["memory"]) > 0).all()
    assert planned.plot().get_xlabel() == "draws"


def test_the_cost_of_a_run_is_that_of_its_draws_and_of_each_look():
    cost = Cost(once=3.0, drawing=0.1, look=0.5, judging=0.01)
    looks = schedule(100, 100, 1e-6, 1e-4)
    draws = [look.draws for look in looks]
    by_hand = [
        3.0 + 0.1 * count / 4 + sum(0.5 + 0.01 * seen for seen in draws[: k + 1])
        for k, count in enumerate(draws)
    ]
    assert cost.seconds(looks, workers=4) == pytest.approx(by_hand)


def test_more_draws_and_wider_numbers_take_more_memory(planned):
    wide = vp.plan(vp.mlp(256, 2), 0.15, dtype="float64")
    assert wide.memory > planned.memory and wide.dtype == "float64"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"discrepancy": 0.0}, "discrepancy must lie between 0 and 0.5, got 0.0"),
        ({"false_fail": 0.95}, "false_fail must lie between 0 and 0.5, got 0.95"),
        ({"false_pass": "small"}, "false_pass must lie between 0 and 0.5, got 'small'"),
        ({"engine": "exact"}, "unknown engine 'exact'"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"network": vp.mlp(sp.Symbol("n", positive=True), 2)}, "needs numbers.*SymPy symbols"),
        ({"network": vp.mlp(8, 1, activation="sign")}, "autograd passes none through sign"),
    ],
)
def test_what_verify_refuses_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        vp.plan(**{"network": NET} | change)
