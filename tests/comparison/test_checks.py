"""What compare refuses; every message says what came and what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

import varprop as vp

NET = vp.mlp(8, 2)


@pytest.fixture
def pair(seed):
    return vp.predict(NET), vp.simulate(NET, draws=8, seed=seed)


def test_swapped_arguments(pair):
    with pytest.raises(ValueError, match="predict, then that of simulate; got Sample and Predic"):
        vp.compare(pair[1], pair[0])


def test_a_symbolic_prediction(pair):
    theory = vp.predict(vp.mlp(sp.Symbol("n", positive=True), 2))
    with pytest.raises(ValueError, match=r"compare needs numbers.*numeric widths and variances"):
        vp.compare(theory, pair[1])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (vp.mlp(9, 2), "node input of size 8 against input of size 9"),
        (vp.mlp(8, 2, activation="tanh"), "node relu_1 of size 8 against tanh_1"),
        (vp.mlp(8, 3), "node dense_3 of size 8 against|6 nodes against"),
        (vp.mlp(8, 2, output=None), "6 nodes against 5"),
    ],
)
def test_another_network(other, words, pair, seed):
    sample = vp.simulate(other, draws=8, seed=seed)
    with pytest.raises(ValueError, match=f"different networks: .*({words}).*the same graph"):
        vp.compare(pair[0], sample)


def test_other_inputs(pair, rng, seed):
    x = rng.standard_normal((2, 8))
    sample = vp.simulate(NET, x, draws=8, seed=seed)
    with pytest.raises(ValueError, match=r"different inputs.*the same `inputs`"):
        vp.compare(pair[0], sample)
    with pytest.raises(ValueError, match="different inputs"):
        vp.compare(vp.predict(NET, 1.01 * x), sample)


def test_a_sample_that_is_not_finite_names_node_and_draw(pair):
    theory, sample = pair
    record = sample.records["relu_2"]
    second = record.second.copy()
    second[5, 0, 0] = np.inf
    records = dict(sample.records) | {"relu_2": replace(record, second=second)}
    with pytest.raises(ValueError, match=r"second of relu_2 is inf in draw 5.*track_scale=True"):
        vp.compare(theory, replace(sample, records=records))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"margin": 0.0}, "margin must lie between 0 and 0.5, got 0.0"),
        ({"margin": -0.1}, "margin must lie between"),
        ({"error_rate": 0.95}, "error_rate must lie between 0 and 0.5, got 0.95"),
        ({"false_pass": float("nan")}, "false_pass must lie between"),
        ({"scope": "all"}, "scope is one of steps, depth, got 'all'"),
    ],
)
def test_a_wrong_argument_is_named(change, words, pair):
    with pytest.raises(ValueError, match=words):
        vp.compare(*pair, **change)


def test_verify_refuses_formulas():
    width = sp.Symbol("n", positive=True)
    with pytest.raises(ValueError, match="needs numbers, and this prediction has SymPy symbols"):
        vp.verify(vp.mlp(width, 2))


@pytest.mark.parametrize("name", ["step", "sign"])
def test_verify_refuses_an_activation_that_passes_no_gradient(name):
    net = vp.mlp(width=16, depth=2, activation=name, weights="kaiming_normal")
    with pytest.raises(ValueError, match=rf"autograd passes none through {name} at {name}_1, .*"):
        vp.verify(net)


def test_verify_sizes_a_network_that_jumps():
    """hardshrink passes gradients between its jumps: as many draws as that slope asks for."""
    net = vp.mlp(width=32, depth=2, activation="hardshrink", weights="kaiming_normal")
    assert vp.verify(net, margin=0.3).verdict is not vp.Verdict.REFUTED
