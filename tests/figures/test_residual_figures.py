"""The claims of the residual figures: right stacks pass at any seed, planted faults do not."""

import numpy as np
import pytest

import varprop as vp
from figures import relu_ended_branches, residual_growth

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

SIZES = {
    "residual_growth": {"width": 32, "depth": 3, "draws": 1024, "margin": 0.4, "shown": [1, 3]},
    "relu_ended_branches": {
        "width": 32, "depth": 4, "draws": 1024, "margin": 0.4, "shown": [2, 4], "depths": [4],
    },
}  # fmt: skip
MODULES = {"residual_growth": residual_growth, "relu_ended_branches": relu_ended_branches}


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", SIZES)
def test_the_claims_hold(name, seed):
    results = MODULES[name].compute(SIZES[name], seed, "cpu")
    assert results.verdict == "CONFIRMED", results.claims


@pytest.mark.statistical
@pytest.mark.parametrize("name", SIZES)
def test_weights_of_another_variance_are_refuted(name, seed, drawn_as):
    drawn_as(lambda law, n: vp.init.normal(std=(1.8 * float(law.at(n, n).variance)) ** 0.5))
    results = MODULES[name].compute(SIZES[name], seed, "cpu")
    assert results.verdict == "REFUTED"


def test_lines_are_the_growth_that_the_caption_states():
    """2^l, l + 1, (1 + 1/L)^l forward, and the same products from the other end backward."""
    depth, blocks = 5, np.arange(6)
    stated = {
        "s = 1": 2.0**blocks,
        "s = 1/√l": 1.0 + blocks,
        "s = 1/√L": (1 + 1 / depth) ** blocks,
    }
    for series, line in stated.items():
        theory = vp.predict(residual_growth.network(series, 8, depth))
        nodes = ["input", *(f"add_{block}" for block in blocks[1:])]
        for quantity, expected in (
            ("second_moment", line),
            ("grad_second_moment", line[-1] / line),
        ):
            found = [theory.value(node, quantity)[0] for node in nodes]
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("series", relu_ended_branches.SERIES)
def test_the_recursion_is_the_prediction_of_the_network_drawn(series):
    depth = 6
    theory = vp.predict(relu_ended_branches.network(series, 16, depth))
    q, mu = relu_ended_branches.stack(series, depth).iterate(1.0, depth)
    for block in range(1, depth + 1):
        assert theory.value(f"add_{block}", "second_moment")[0] == pytest.approx(q[block], 1e-12)
        assert theory.value(f"add_{block}", "mean")[0] == pytest.approx(mu[block], 1e-12)


def test_a_sample_at_the_line_of_zero_mean_branches_refutes_both_claims(rng):
    below = relu_ended_branches.zero_mean("s = 1", 12)[-1]
    found = below * rng.gamma(50.0, 1 / 50.0, 500)
    claims = relu_ended_branches._ends(found, "s = 1", 12, 0.2, "blocks")
    assert [claim.verdict for claim in claims] == ["REFUTED", "REFUTED"]


def test_a_sample_too_skewed_for_its_interval_leaves_the_whole_stack_undecided(rng):
    found = rng.lognormal(0, 4, 60)
    claims = relu_ended_branches._ends(found, "s = 1", 12, 0.2, "blocks")
    assert {claim.verdict for claim in claims} == {"UNDECIDED"}
    lines = np.ones((60, 2)) * [1.0, 2.0]
    lines[:, 1] *= found
    claim = residual_growth._growth(lines, np.array([1.0, 2.0]), False, 0.2, "tanh, s = 1")
    assert claim.verdict == "UNDECIDED"
