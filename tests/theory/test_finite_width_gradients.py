"""Fluctuations of gradients: by enumerating every network, by the exact law, by drawn networks."""

import importlib
import itertools
from typing import Any

import numpy as np
import pytest
import sympy as sp

from tests.theory.test_finite_width_lengths import Given, Heavy, Odd, ThreePoints
from varprop import initializers as init
from varprop.activations import get
from varprop.builders import mlp, residual
from varprop.laws import Rademacher
from varprop.layers import Dense, Elementwise, Scale
from varprop.moments import APPROXIMATE, EXACT, WIDE
from varprop.network import Graph
from varprop.theory import gradient_law, predict
from varprop.theory.finite_width import Absent, GradientLengths

LEVEL = 1e-6  # of each statistical test

QUANTITY = "grad_length_fluctuation"


def every_gradient(name, last, values, chances, bias):
    """Chances (networks,) and the gradients at the nodes of 2-2-2-`last` networks, cotangents 1.

    Each weight is one of `values`, each bias +-`bias`; the last layer has none.
    """
    rows = [np.array(list(itertools.product(values, repeat=2 * k))) for k in (2, 2, last)]
    chance = [np.prod(list(itertools.product(chances, repeat=2 * k)), 1) for k in (2, 2, last)]
    biases = np.array(list(itertools.product([-bias, bias], repeat=2)))
    sizes = [len(rows[0]), len(biases), len(rows[1]), len(biases), len(rows[2])]
    grid = np.indices(sizes).reshape(5, -1)
    w1, w2, w3 = (w[grid[2 * k]].reshape(grid.shape[1], -1, 2) for k, w in enumerate(rows))
    p = np.prod([c[grid[2 * k]] for k, c in enumerate(chance)], 0) / len(biases) ** 2
    phi = get(name)
    z1 = w1 @ np.array([1.0, -2.0]) + biases[grid[1]]
    z2 = np.einsum("rij,rj->ri", w2, phi(z1)) + biases[grid[3]]
    assert np.abs(z1).min() > 1e-9 and np.abs(z2).min() > 1e-9  # no gate is at its kink
    found: dict[str, Any] = {f"{phi.name}_2": w3.sum(1)}
    found["dense_2"] = np.where(z2 > 0, phi(1.0), -phi(-1.0)) * w3.sum(1)
    found[f"{phi.name}_1"] = np.einsum("rij,ri->rj", w2, found["dense_2"])
    found["dense_1"] = np.where(z1 > 0, phi(1.0), -phi(-1.0)) * found[f"{phi.name}_1"]
    found["input"] = np.einsum("rij,ri->rj", w1, found["dense_1"])
    return p, found


@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.25)", "abs"])
@pytest.mark.parametrize("kurtosis", [1, sp.Rational(9, 5)])
def test_every_network(name, kurtosis):
    """Weights of two or three values and biases that keep z from zero: no randomness is left."""
    last = 2 if kurtosis == 1 else 1
    size, alive = sp.Rational(9, 10), 1 / float(kurtosis)
    values, chances = (0.9, -0.9, 0.0), (alive / 2, alive / 2, 1 - alive)
    if kurtosis == 1:
        values, chances = values[:2], chances[:2]
    net = mlp(
        widths=[2, 2, 2, last],
        activation=name,
        weights=Given(law=ThreePoints(size, kurtosis)),
        bias=Given(law=Rademacher(sp.Rational(7, 13))),
    )
    theory = predict(net, [[1.0, -2.0]])
    p, found = every_gradient(name, last, values, chances, 7 / 13)
    for node, g in found.items():
        square = g**2 / (p @ g**2).mean()
        known = theory.gradient_lengths[node]
        assert known.fluctuation == pytest.approx([p @ (square.mean(1) - 1) ** 2])
        assert known.fourth == pytest.approx([(p @ square**2).mean()])
        assert known.shared == pytest.approx([p @ (square[:, 0] * square[:, 1]) - 1], abs=1e-9)


def test_published_factors():
    """(1 + 2/n_0) prod (1 + 5/n_l) over hidden ReLU layers, prod (1 + 2/n_l) for linear ones."""
    n = sp.symbols("n_0:5", positive=True, integer=True)
    relu, linear = (predict(mlp(widths=n, activation=k)) for k in ("relu", "identity"))
    for theory, factor in ((relu, 5), (linear, 2)):
        value = 1 + theory.value("input", QUANTITY)[0]
        expected = (1 + 2 / n[0]) * sp.prod(1 + factor / k for k in n[1:4])
        assert sp.cancel(value - expected) == 0
        assert theory.regime("input", QUANTITY) == EXACT
    given = predict(mlp(widths=[20, 24, 16, 20, 1])).value("input", QUANTITY)
    assert given == pytest.approx([1.1 * (1 + 5 / 24) * (1 + 5 / 16) * (1 + 5 / 20) - 1])
    haar = predict(mlp(6, 4, activation="identity", weights=init.orthogonal(), output=6))
    for node in haar.network:
        assert haar.value(node.name, QUANTITY) == pytest.approx([0], abs=1e-12)


@pytest.mark.parametrize("name", ["relu", "identity", "leaky_relu(0.3)", "abs"])
def test_the_exact_law_has_the_same_fluctuation(name):
    """Gaussian weights, by moments of the factors; scales and a second activation inside."""
    graph = Graph(4)
    x = graph.add(Elementwise(name), graph.add(Dense(4, 5, "kaiming_normal"), graph.input))
    x = graph.add(Elementwise("leaky_relu(0.5)"), graph.add(Scale(-0.4), x))
    x = graph.add(Elementwise(name), graph.add(Dense(5, 3, "kaiming_normal"), x))
    graph.add(Dense(3, 6, "kaiming_normal"), x)
    net = graph.network()
    theory = predict(net)
    for node in net:
        if node.name == net.output:
            assert theory.value(node.name, QUANTITY) == pytest.approx([0])
            continue
        if isinstance(theory.gradient_lengths[node.name], GradientLengths):
            expected = gradient_law(net, node=node.name).fluctuation
            assert theory.value(node.name, QUANTITY) == pytest.approx([expected])
        else:
            with pytest.raises(ValueError, match="its kink"):
                gradient_law(net, node=node.name)
    assert theory.value("input", QUANTITY)[0] > 0


def test_what_has_no_theory_says_which_assumption_fails():
    graph = Graph(4)
    z = graph.add(Dense(4, 4, "kaiming_normal"), graph.add(Elementwise("relu"), graph.input))
    graph.add(Elementwise("relu"), z)
    cases = [
        (mlp(4, 2, weights=Given(law=Heavy())), "weights of finite kurtosis, and Heavy"),
        (mlp(4, 2, weights=Given(law=Odd())), "gates of relu are fair where z = W x . b is symm"),
        (
            mlp(4, 2, activation="tanh", weights=init.uniform(-1, 1)),
            "linear on both sides of zero, and tanh is none; .*1/n: weights must be Gaussian",
        ),
        (mlp(4, 2, activation="sign"), "1/n: sign jumps, and E phi'.z.\\^2 is infinite"),
        (mlp(4, 2, tied=True), "gradients need fresh weights, and those of dense_1"),
        (residual(4, 2), "add_2: .* chains of dense, .* this is a add layer"),
        (graph.network(), "relu_1: gates of relu are fair where"),
    ]
    for net, message in cases:
        theory = predict(net, [[1.0, -1.0, 2.0, -2.0]])
        assert QUANTITY not in theory.quantities("input")
        with pytest.raises(ValueError, match=f"input has no '{QUANTITY}'. .*{message}"):
            theory.value("input", QUANTITY)
        assert isinstance(theory.gradient_lengths["input"], Absent)
    graph = Graph(3)
    x = graph.add(Dense(3, 4, "kaiming_normal"), graph.input)
    x = graph.add(Elementwise("relu"), graph.add(Elementwise("relu"), x))
    theory = predict(graph.network())
    with pytest.raises(ValueError, match="half of relu_1 is zero, where the next activation has"):
        theory.value("relu_1", QUANTITY)
    assert theory.value("dense_1", QUANTITY) == pytest.approx([(2 - 1) / 4])


def test_regimes_name_dead_layers_and_atoms():
    """Narrow ReLU layers are zero with probability 2^-n; two-valued weights put z on its kink."""
    narrow, wide = predict(mlp(4, 3)), predict(mlp(64, 3))
    regimes = {k.name: narrow.regime(k.name, QUANTITY) for k in narrow.network}
    assert {k for k, r in regimes.items() if r == WIDE} == {
        "relu_1",
        "dense_2",
        "relu_2",
        "dense_3",
    }
    assert all(wide.regime(k.name, QUANTITY) == EXACT for k in wide.network)
    atoms = predict(mlp(4, 2, weights=init.rademacher()), np.ones((1, 4)))
    assert atoms.regime("input", QUANTITY) == APPROXIMATE
    assert any("is an atom" in note for note in atoms.notes())


def test_forgotten_gates_are_found(monkeypatch):
    """A planted fault: the enumeration must notice."""
    module = importlib.import_module("varprop.theory.finite_width.gradients")
    monkeypatch.setattr(module, "gates", lambda up, down: 1)
    with pytest.raises(AssertionError):
        test_every_network("relu", 1)
