"""CONFIRMED, REFUTED, UNDECIDED: when, and with what words."""

from __future__ import annotations

import numpy as np
import pytest

import varprop as vp
from varprop.activations import get as activation
from varprop.comparison.decide import draws_to_decide, judge_steps
from varprop.comparison.steps import Step
from varprop.initializers import kaiming_normal, normal, variance_scaling
from varprop.layers import Add, Dense, Elementwise, Scale
from varprop.network import Graph
from varprop.stats import Verdict, locate

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED


def test_few_draws_decide_nothing_and_many_confirm(seed):
    network = vp.mlp(64, 4)
    theory = vp.predict(network)
    few = vp.compare(theory, vp.simulate(network, draws=20, seed=seed))
    assert few.verdict is UNDECIDED and "UNDECIDED: worst" in str(few)
    assert "20 networks (conditional" in str(few) and "margin 5%" in str(few)
    many = vp.compare(theory, vp.simulate(network, draws=4000, seed=seed))
    assert many.verdict is CONFIRMED and many.draws == 4000 and many.seed == seed
    assert vp.compare(theory, vp.simulate(network, draws=4000, seed=seed), margin=1e-3).verdict is (
        UNDECIDED
    )


def test_an_undecided_report_says_the_draws_that_would_decide(seed):
    network = vp.mlp(64, 2)
    report = vp.compare(
        vp.predict(network), vp.simulate(network, draws=300, seed=seed), margin=0.02
    )
    assert report.verdict is UNDECIDED and report.needed > 300
    assert str(report).endswith(f"about {report.needed} networks would decide")


@pytest.mark.parametrize("gap", [0.0, 0.01, -0.03, 0.08])
def test_the_draws_that_would_decide_clear_the_margin(gap):
    """A half-width h at 100 draws is h sqrt(100/R) at R."""
    margin, half = 0.05, 0.06
    interval = gap - half, gap + half
    needed = draws_to_decide(gap, interval, interval, margin, margin, 100)

    def place(draws):
        width = half * (100 / draws) ** 0.5
        return locate(gap - width, gap + width, margin)

    assert place(needed + 1) == ("inside" if abs(gap) < margin else "outside")
    assert place(needed - 2) == "open"
    assert draws_to_decide(0.05, (-0.01, 0.11), (-0.01, 0.11), margin, margin, 100) is None


@pytest.mark.parametrize("gap", [0.0, 0.02, 0.05, -0.0499, 0.08, 0.25, -0.5])
def test_any_gap_is_decided_where_confirming_and_refuting_intervals_fit_into_the_margin(gap):
    margin, half, wide = 0.05, 0.06, 0.55
    confirming, refuting = (gap - half, gap + half), (gap - wide, gap + wide)
    needed = draws_to_decide(gap, confirming, refuting, margin, 0.0, 100)

    def decided(draws):
        shrunk = (100 / draws) ** 0.5
        return abs(gap) >= wide * shrunk or abs(gap) + half * shrunk <= margin

    assert decided(needed + 1) and needed <= 14885  # ((half + wide) / margin)^2 times the draws
    assert abs(gap) < margin or not decided(needed - 2)


def test_a_gap_beyond_the_margin_is_refuted_by_the_refuting_interval():
    """Where the null is the margin; nowhere where nothing refutes."""
    confirming, refuting = (0.02, 0.14), (-0.01, 0.17)
    needed = draws_to_decide(0.08, confirming, refuting, 0.05, 0.05, 100)
    assert needed == pytest.approx(100 * (0.09 / 0.03) ** 2, abs=1)
    assert draws_to_decide(0.08, confirming, refuting, 0.05, np.inf, 100) is None
    needed = draws_to_decide(0.02, (-0.04, 0.08), refuting, 0.05, np.inf, 100)
    assert needed == pytest.approx(100 * (0.06 / 0.03) ** 2, abs=1)


@pytest.mark.parametrize("draws", [2, 4, 12])
def test_the_draws_needed_are_more_than_were_drawn(seed, draws):
    """Far beyond the margin at few draws: confirming intervals are outside, refuting ones open."""
    rng = np.random.default_rng(seed)
    residual = 2 + rng.normal(size=(20, draws))
    known = {"variance": np.full(draws, 4.0), "third": np.zeros(draws)}
    steps = [
        Step("x", "mean", p, None, "", e, True, **known, live=np.ones(draws, bool))
        for p, e in enumerate(residual)
    ]
    rows = judge_steps(steps, 0.05, 1e-6, 1e-4, 1e-5)
    undecided = [row for row in rows if row.verdict is UNDECIDED]
    assert all(row.needed is None or row.needed > draws for row in undecided)
    assert undecided or draws > 4


def sums_of_one_source(skip):
    """x -> z + skip tanh(z), z = W x: one function of one Gaussian law, forward and backward."""
    graph = Graph(32)
    x = graph.input
    for _ in range(2):
        z = graph.add(Dense(32, 32, normal(variance=1.2 / 32)), x)
        branch = graph.add(Scale(skip), graph.add(Elementwise(activation("tanh")), z))
        x = graph.add(Add(), z, branch)
    graph.add(Dense(32, 32, normal(variance=1 / 32)), x)
    return graph.network()


def test_a_sum_of_functions_of_one_source_is_judged_backward_too(seed):
    network = sums_of_one_source(1.0)
    sample = vp.simulate(network, draws=4000, seed=seed)
    report = vp.compare(vp.predict(network), sample, margin=0.1)
    judged = {row.node for row in report.rows() if row.quantity == "grad_second_moment"}
    assert report.verdict is CONFIRMED and {"add_1", "add_2"} <= judged
    wrong = vp.predict(sums_of_one_source(0.9))
    refuted = {r.node for r in vp.compare(wrong, sample).rows() if r.verdict is REFUTED}
    assert "add_1" in refuted


def test_a_studentized_step_asks_for_more_draws(seed):
    network = vp.mlp(64, 2, weights="kaiming_uniform")
    report = vp.compare(vp.predict(network), vp.simulate(network, draws=50, seed=seed))
    assert report.verdict is UNDECIDED
    assert any("Draw" in row.note and "more" in row.note for row in report.rows())


def test_verify_confirms_true_networks_with_the_draws_of_its_design(seed):
    for network in (
        vp.mlp(64, 3),
        vp.mlp(64, 3, activation="tanh", weights=normal(variance=4 / 64)),
    ):
        assert vp.verify(network, seed=seed, engine="conditional").verdict is CONFIRMED


def test_depth_confirms_a_wide_network(seed):
    network = vp.mlp(512, 4, activation="tanh", weights=normal(variance=1.5 / 512))
    sample = vp.simulate(network, draws=1000, seed=seed)
    assert vp.compare(vp.predict(network), sample, scope="depth").verdict is CONFIRMED


def test_depth_says_that_the_margin_is_below_the_accuracy(seed):
    network = vp.mlp(8, 10, activation="tanh", weights=normal(variance=1 / 8))
    sample = vp.simulate(network, draws=6000, seed=seed)
    report = vp.compare(vp.predict(network), sample, scope="depth", margin=0.02)
    assert report.verdict is UNDECIDED
    assert any("below the theory's accuracy" in row.note for row in report.rows())


def test_a_chunk_changes_no_verdict(seed):
    network = vp.mlp(16, 3)
    theory = vp.predict(network)
    reports = [
        vp.compare(
            theory, vp.simulate(network, draws=300, seed=seed, engine="explicit", chunk=chunk)
        )
        for chunk in (1, 64, 300)
    ]
    verdicts = [[row.verdict for row in report.rows()] for report in reports]
    assert verdicts[0] == verdicts[1] == verdicts[2]


@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_signals_beyond_the_squares_of_floats_are_compared(scale, seed):
    network = vp.mlp(64, 90, weights=normal(variance=scale), output=None)
    theory, sample = vp.predict(network), vp.simulate(network, draws=40, seed=seed)
    assert vp.compare(theory, sample).verdict is not REFUTED
    wrong = vp.predict(vp.mlp(64, 90, weights=normal(variance=1.1 * scale), output=None))
    assert vp.compare(wrong, sample).verdict is REFUTED


def test_zero_inputs_are_zero_by_law_and_dead_layers_by_accident(seed):
    x = np.zeros((1, 8))
    for kind in ("tanh", "relu"):
        network = vp.mlp(8, 2, activation=kind)
        report = vp.compare(vp.predict(network, x), vp.simulate(network, x, draws=300, seed=seed))
        rows = [r for r in report.rows() if r.quantity == "second_moment"]
        assert all(r.verdict is CONFIRMED for r in rows)
        assert report.verdict is not REFUTED
    biased = vp.mlp(8, 2, activation="tanh", bias=normal(variance=1e-8))
    theory = vp.predict(vp.mlp(8, 2, activation="tanh"), x)
    assert vp.compare(theory, vp.simulate(biased, x, draws=300, seed=seed)).verdict is REFUTED
    narrow = vp.mlp(1, 40)
    report = vp.compare(vp.predict(narrow), vp.simulate(narrow, draws=50, seed=seed))
    assert report.verdict is UNDECIDED
    assert any("zero in every draw" in row.note for row in report.rows())


def joined(*parts):
    graph = Graph(24)
    x = graph.input
    for part in parts:
        x = part(graph, x)
    return graph.network()


def dense(graph, x):
    return graph.add(Dense(24, 24, kaiming_normal()), x)


def relu(graph, x):
    return graph.add(Elementwise(activation("relu")), x)


def with_tanh(graph, x):
    z = graph.add(Dense(24, 24, variance_scaling(1, "fan_in", "normal")), x)
    return graph.add(Add(), z, graph.add(Elementwise(activation("tanh")), z))


def post_activation(graph, x):
    return relu(graph, graph.add(Add(), x, dense(graph, relu(graph, dense(graph, x)))))


@pytest.mark.parametrize(
    "network",
    [
        joined(lambda g, x: g.add(Scale(0.8), x), dense, relu, lambda g, x: g.add(Scale(0.7), x)),
        joined(with_tanh, with_tanh, dense),
        joined(post_activation),
        joined(dense, relu, lambda g, x: g.add(Elementwise(activation("tanh")), x), dense),
    ],
    ids=["scaled input", "z + tanh(z)", "relu(x + branch)", "tanh(relu(z))"],
)
def test_graphs_without_a_rule_for_each_step_are_not_refuted(network, seed):
    sample = vp.simulate(network, draws=400, seed=seed, engine="explicit")
    assert vp.compare(vp.predict(network), sample).verdict is not REFUTED


def with_a_jump(graph, x):
    return graph.add(Add(), x, graph.add(Elementwise(activation("hardshrink")), dense(graph, x)))


def test_a_sum_with_a_value_that_jumped_is_judged_backward(seed, rng):
    """E x t' of two inputs has no rule there, which no row of the sum itself reads."""
    x = rng.standard_normal((2, 24))
    network = joined(with_a_jump, dense)
    report = vp.compare(vp.predict(network, x), vp.simulate(network, x, draws=300, seed=seed))
    backward = [r for r in report.rows() if r.node == "add_1" and "grad" in r.quantity]
    assert len(backward) == 3 and not any("no rule" in r.note for r in backward)
    assert report.verdict is not REFUTED


def test_compare_is_a_function_after_its_package_was_imported(seed):
    """Importing a package binds its name in the facade; either way it can be called."""
    network = vp.mlp(4, 1)
    vp.verify(network, draws=20, seed=seed)
    sample = vp.simulate(network, draws=20, seed=seed)
    assert vp.compare(vp.predict(network), sample).draws == 20


def there_and_back(growth):
    """Forty layers down to 1e-400 and forty up again."""
    graph = Graph(16)
    x = graph.input
    for level in range(80):
        x = graph.add(Dense(16, 16, normal(variance=(1e-10 if level < 40 else growth) / 16)), x)
    return graph.network()


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
def test_a_signal_that_vanishes_and_comes_back_is_judged_where_floats_hold_it(seed):
    network = there_and_back(1e10)
    sample = vp.simulate(network, draws=300, seed=seed, backward=False)
    report = vp.compare(vp.predict(network), sample)
    rows = [row for row in report.rows() if "where floats end" in row.note]
    assert report.verdict is UNDECIDED and 10 < len(rows) < 40
    assert {row.verdict for row in rows} == {UNDECIDED}
    assert any(row.node == "dense_80" and not row.note for row in report.rows())
    wrong = vp.compare(vp.predict(there_and_back(2e10)), sample)
    assert wrong.verdict is REFUTED
