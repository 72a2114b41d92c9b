"""Faults of a few percent, or of one layer, each on one side only: all must be REFUTED.

The larger, plausible ones are in benchmarks/mutants.

Default settings: margin .05, error rate 1e-6. `draws` stands beside each fault; a step of relative
variance v sees d at 1e-6 and 1e-4 with `draws_needed(d, v, tests=...)` networks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import varprop as vp
from varprop.activations import Activation
from varprop.activations import get as activation
from varprop.initializers import variance_scaling
from varprop.layers import Add, Dense, Elementwise
from varprop.network import Graph
from varprop.stats import Verdict, draws_needed

REFUTED = Verdict.REFUTED


def he(scale=2.0, width=32, depth=10, special=None, factor=1.0):
    """He's network with one layer whose variance is `factor` times too large."""
    graph = Graph(width)
    x = graph.input
    for level in range(depth):
        gain = scale * (factor if level == special else 1.0)
        x = graph.add(Dense(width, width, variance_scaling(gain, "fan_in", "normal")), x)
        x = graph.add(Elementwise(activation("relu")), x)
    return graph.network()


# theory, truth, draws: same graph, another law. Each is also run the other way round.
LAWS = {
    "1.9 for 2": (lambda: he(1.9), lambda: he(2.0), 600),
    "one layer of thirty": (
        lambda: he(width=64, depth=30, special=17, factor=1.1),
        lambda: he(width=64, depth=30),
        700,
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_wrong_law_is_refuted_and_the_true_one_is_not(name, seed):
    wrong, right, draws = LAWS[name]
    wrong, right = wrong(), right()
    true_sample = vp.simulate(right, draws=draws, seed=seed)
    assert vp.compare(vp.predict(wrong), true_sample).verdict is REFUTED
    assert vp.compare(vp.predict(right), true_sample).verdict is not REFUTED
    other_sample = vp.simulate(wrong, draws=draws, seed=seed)
    assert vp.compare(vp.predict(right), other_sample).verdict is REFUTED


def test_the_draws_of_one_layer_of_thirty_are_designed():
    """A dense step of width 64 has variance 2/64; 4 rows (forward, backward, mean) in 60 nodes."""
    assert draws_needed(0.1, 2 / 64, 5e-7, 1e-4, tests=180) <= 700


def test_the_faulty_layer_is_the_one_that_is_named(seed):
    theory = vp.predict(he(width=64, depth=30))
    sample = vp.simulate(he(width=64, depth=30, special=17, factor=1.1), draws=700, seed=seed)
    report = vp.compare(theory, sample)
    named = {r.node for r in report.rows() if r.verdict is REFUTED and r.test == "exact"}
    assert named <= {"dense_18", "relu_18"} and "dense_18" in named


# -- in the theory only: its code is changed, the sample is drawn by the true engine ----------


def longer(method, factor):
    return lambda self, q: factor * method(self, q)


THEORY = {
    "E phi^2 3 % off": (Activation, "second_moment", 1.03),
    "E phi'^2 3 % off": (Activation, "derivative_second_moment", 0.97),
    "E phi 10 % off": (Activation, "mean", 1.1),
}


@pytest.mark.parametrize("name", THEORY)
@pytest.mark.parametrize("kind", ["relu", "tanh"])
def test_a_wrong_expectation_is_refuted(name, kind, seed, monkeypatch):
    """Relative variance at most 5/64 a step, pooled over 5: 1 500 draws see 2.4 %."""
    if "E phi 10" in name and kind == "tanh":
        pytest.skip("the mean of tanh is zero")
    network = vp.mlp(64, 5, activation=kind)
    sample = vp.simulate(network, draws=1500, seed=seed)
    assert vp.compare(vp.predict(network), sample).verdict is not REFUTED
    owner, method, factor = THEORY[name]
    monkeypatch.setattr(owner, method, longer(getattr(owner, method), factor))
    assert vp.compare(vp.predict(network), sample).verdict is REFUTED


def test_a_wrong_kernel_is_refuted(seed, rng, monkeypatch):
    """Two inputs; the cross moment of ReLU is wide after the first layer, exact at it."""
    network, x = vp.mlp(64, 3), rng.standard_normal((2, 64))
    sample = vp.simulate(network, x, draws=3000, seed=seed)
    assert vp.compare(vp.predict(network, x), sample).verdict is not REFUTED
    kernel = Activation.kernel
    monkeypatch.setattr(Activation, "kernel", lambda *a, **k: 1.15 * kernel(*a, **k))
    report = vp.compare(vp.predict(network, x), sample)
    refuted = {row.quantity for row in report.rows() if row.verdict is REFUTED and row.test == "t"}
    assert report.verdict is REFUTED and refuted == {"cross_moment"}


def test_a_wrong_kernel_of_slopes_is_refuted(seed, rng, monkeypatch):
    """Backward and along tangents alike: nothing but the products of two inputs shows it."""
    network, x = vp.mlp(64, 3), rng.standard_normal((2, 64))
    sample = vp.simulate(network, x, draws=1500, seed=seed)
    assert vp.compare(vp.predict(network, x), sample).verdict is not REFUTED
    kernel = Activation.derivative_kernel
    monkeypatch.setattr(Activation, "derivative_kernel", lambda *a, **k: 1.2 * kernel(*a, **k))
    report = vp.compare(vp.predict(network, x), sample)
    rows = [row for row in report.judged if row.verdict is REFUTED]
    assert {row.quantity for row in rows} == {"grad_cross_moment"}
    assert {row.test for row in rows} <= {"t", "drift"}


def test_a_wrong_kernel_of_slopes_on_the_way_back_alone_is_refuted(seed, rng, monkeypatch):
    """The steps, which go forward, are right: the gradient is not the adjoint of the tangent."""
    network, x = vp.mlp(16, 3), rng.standard_normal((2, 16))
    gradients = Elementwise.gradients

    def wrong(self, *given, **ready):
        (below,) = gradients(self, *given, **ready)
        factor = np.where(np.eye(2) > 0, 1.0, 1.01)
        return (replace(below, second=factor * below.second),)

    monkeypatch.setattr(Elementwise, "gradients", wrong)
    report = vp.compare(vp.predict(network, x), vp.simulate(network, x, draws=20, seed=seed))
    rows = [row for row in report.judged if row.verdict is REFUTED]
    assert rows and all(row.quantity == "grad_cross_moment" for row in rows)
    assert all(row.test == "identity" and "adjoint" in row.note for row in rows)


@pytest.mark.parametrize("engine", ["explicit", "conditional"])
def test_products_of_tangents_that_an_engine_gets_wrong_are_refuted(engine, seed, rng):
    """Half of E t t' = .25 at c = 0, in units of E t^2 = .5: 25 %, where 400 networks see 10 %."""
    network, x = vp.mlp(32, 2), rng.standard_normal((2, 32))
    sample = vp.simulate(network, x, draws=400, seed=seed, engine=engine)
    theory = vp.predict(network, x)
    assert vp.compare(theory, sample).verdict is not REFUTED
    record = sample.records["relu_1"]
    products = record.tangent_second * np.where(np.eye(2) > 0, 1.0, 0.5)
    records = {**sample.records, "relu_1": replace(record, tangent_second=products)}
    rows = vp.compare(theory, replace(sample, records=records)).judged
    assert {row.quantity for row in rows if row.verdict is REFUTED} == {"grad_cross_moment"}


def test_the_wrong_fan_in_the_backward_rule_is_refuted(seed, monkeypatch):
    network = vp.mlp(widths=[16, 32, 20, 40, 24])
    sample = vp.simulate(network, draws=64, seed=seed)
    assert vp.compare(vp.predict(network), sample).verdict is not REFUTED
    gradients = Dense.gradients

    def with_fan_in(self, name, inputs, gradient):
        from dataclasses import replace

        (right,) = gradients(self, name, inputs, gradient)
        return (replace(right, second=right.second * self.fan_in / self.fan_out),)

    monkeypatch.setattr(Dense, "gradients", with_fan_in)
    report = vp.compare(vp.predict(network), sample)
    assert report.verdict is REFUTED
    assert report.worst.test == "identity" and "not the adjoint" in report.worst.note


def test_a_prediction_that_is_not_the_fold_is_refuted(seed):
    from dataclasses import replace

    network = he(depth=3)
    theory, sample = vp.predict(network), vp.simulate(network, draws=64, seed=seed)
    law = theory.moments["dense_2"]
    moments = dict(theory.moments) | {"dense_2": replace(law, second=1.01 * law.second)}
    report = vp.compare(replace(theory, moments=moments), sample)
    assert report.verdict is REFUTED and "not the fold" in report.worst.note


def test_a_wrong_gap_is_refuted(seed, rng, monkeypatch):
    """The gap is no measured quantity, but the second moments that are tested say what it is."""
    x = rng.standard_normal((2, 32))
    sample = vp.simulate(he(depth=2), x, draws=64, seed=seed)
    assert vp.compare(vp.predict(he(depth=2), x), sample).verdict is not REFUTED
    gap = Activation.gap
    monkeypatch.setattr(Activation, "gap", lambda *a: 1.001 * gap(*a))
    report = vp.compare(vp.predict(he(depth=2), x), sample)
    assert report.verdict is REFUTED and "the gap E (x - x')^2 / 2 is not" in report.worst.note


# -- in the engine only -----------------------------------------------------------------------


def engine_faults(bent_relu):
    fill = Dense.fill
    return {
        "weights of 1.9": (
            he,
            (Dense, "fill", lambda self, p, g: (fill(self, p, g), [w.mul_(0.95**0.5) for w in p])),
            600,
        ),
        "sum halved": (
            lambda: vp.residual(24, 4, activation="gelu", scale=0.8, closing=False),
            (Add, "apply", lambda self, p, *v, unit=1.0: (v[0] + v[1]) * 0.9),
            400,
        ),
        "gradient 3 % off": (
            he,
            (
                Elementwise,
                "apply",
                bent_relu(1.03),
            ),
            64,
        ),
    }


@pytest.mark.parametrize("name", engine_faults(lambda factor: None))
def test_a_wrong_engine_is_refuted(name, seed, monkeypatch, bent_relu):
    make, fault, draws = engine_faults(bent_relu)[name]
    network = make()
    monkeypatch.setattr(*fault)
    sample = vp.simulate(network, draws=draws, seed=seed, engine="explicit")
    report = vp.compare(vp.predict(network), sample)
    assert report.verdict is REFUTED
    if "gradient" in name:
        assert "gradients are not those of its values" in report.worst.note
