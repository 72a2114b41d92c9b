"""The 1/n terms of two inputs and of gradients: exact polynomials, differences, simulation."""

import importlib
import math

import numpy as np
import pytest
import sympy as sp

from varprop import initializers as init
from varprop.activations import X, custom, get
from varprop.builders import mlp, residual
from varprop.layers import Dense, Elementwise
from varprop.moments import APPROXIMATE, CORRECTED, EXACT, WIDE
from varprop.montecarlo import simulate
from varprop.network import Graph
from varprop.theory import predict
from varprop.theory.finite_width.bend import second_moment_bend

WHERE = "varprop.theory.finite_width"
rule_module = importlib.import_module(f"{WHERE}.pair_rules")
pair_module = importlib.import_module(f"{WHERE}.pairs")
gradient_module = importlib.import_module(f"{WHERE}.small_gradients")
lengths_module = importlib.import_module(f"{WHERE}.lengths")
CURVED = ["relu", "leaky_relu(0.2)", "gelu", "erf", "elu", "selu", "hardtanh"]


def kernel_by_covariance(phi, e, k11, k12, k22):
    """G_e of the kernel entries."""
    if e != 1:
        return float(phi.second_moment((k11, None, k22)[e]))
    return float(phi.kernel(k11, k22, k12 / math.sqrt(k11 * k22)))


def differences(f, at, h):
    """Gradient and Hessian by central differences of order h^4."""
    steps, weights = (-2, -1, 0, 1, 2), (1 / 12, -2 / 3, 0, 2 / 3, -1 / 12)

    def first(g, i, point):
        moved = [tuple(p + h * s * (j == i) for j, p in enumerate(point)) for s in steps]
        return sum(w * g(*m) for w, m in zip(weights, moved, strict=True) if w) / h

    gradient = [first(f, i, at) for i in range(3)]
    hessian = [[first(lambda *p, i=i: first(f, i, p), j, at) for j in range(3)] for i in range(3)]
    return gradient, hessian


@pytest.mark.parametrize("name", CURVED)
def test_derivatives_are_those_of_the_closed_forms(name):
    """By differences: corners of phi, at zero and elsewhere, count."""
    phi, (k11, k12, k22) = get(name), (1.3, 0.5, 0.8)
    gap = np.array([(k11 + k22) / 2 - k12])
    found = rule_module.rule(phi, np.array([k11]), np.array([k22]), gap)
    for e in range(3):
        gradient, hessian = differences(
            lambda *k, e=e: kernel_by_covariance(phi, e, *k), (k11, k12, k22), 2e-2
        )
        assert found.slope[0, e] == pytest.approx(gradient, abs=3e-6)
        assert found.bend[0, e] == pytest.approx(np.array(hessian), abs=3e-5)


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu", "erf", "relu", "selu"])
@pytest.mark.parametrize("gap", [0.0, 1e-9, 1e-4])
def test_close_inputs_move_as_one(name, gap):
    """At z = z' the derivatives of G_12 along K_11 = K_12 = K_22 are those of g; digits stay."""
    phi, q = get(name), np.array([0.9])
    found = rule_module.rule(phi, q, q, np.array([gap]))
    near = 1e-5 + 10 * math.sqrt(gap)
    assert found.slope[0, 1].sum() == pytest.approx(phi.second_moment_slope(q)[0], rel=near)
    if name not in ("relu", "selu"):  # whose second derivatives grow without bound
        bend = second_moment_bend(phi, q)[0]
        assert found.bend[0, 1].sum() == pytest.approx(bend, rel=near, abs=near)
    assert found.noise[0] == pytest.approx(np.full((3, 3), found.noise[0, 0, 0]), rel=near)


def test_two_close_relu_inputs_share_their_term():
    """The 1/n term of E z z' tends to that of E z^2, which is zero, though phi'' is a mass."""
    x = np.array([[1.0, 2.0, -1.0, 0.5], [1.0, 2.0, -1.0, 0.5]])
    for change in (0.0, 1e-9, 1e-5):
        x[1, 0] = 1 + change
        theory = predict(mlp(widths=[4, 8, 8, 8]), x, order=1)
        square, cross = (theory.value("dense_3", k) for k in ("second_moment", "cross_moment"))
        assert cross[0, 1] == pytest.approx(square[0], rel=1e-5 + change)
        assert theory.pairs["dense_3"].cross_shift(2)[0, 1] == pytest.approx(0, abs=1e-4)


def normal_moment(product, symbols, covariance):
    """E of a polynomial in centred normals, by Isserlis."""

    def wick(indices):
        if not indices:
            return sp.S.One
        head, rest = indices[0], indices[1:]
        return sum(covariance[head][j] * wick(rest[:k] + rest[k + 1 :]) for k, j in enumerate(rest))

    total = sp.S.Zero
    for powers, coefficient in sp.Poly(product, *symbols).terms():
        indices = [i for i, p in enumerate(powers) for _ in range(p)]
        total += 0 if len(indices) % 2 else coefficient * wick(indices)
    return total


def means_of_products(entries, symbols, covariance, n):
    """E e and E e f for averages of n independent copies of polynomials e, f."""
    one = [normal_moment(e, symbols, covariance) for e in entries]
    two = [[normal_moment(sp.expand(e * f), symbols, covariance) for f in entries] for e in entries]
    size = range(len(entries))
    return one, [[one[i] * one[j] + (two[i][j] - one[i] * one[j]) / n for j in size] for i in size]


def square_network(n, weight, bias):
    return mlp(
        n, 2, activation=custom("square", X**2), weights=init.normal(variance=weight / n),
        bias=init.normal(variance=bias),
    )  # fmt: skip


@pytest.mark.parametrize("n", [2, 5])
def test_squares_are_exact_at_any_width(n, rng):
    """phi = z^2: G_12 = K_11 K_22 + 2 K_12^2, quadratic in K, so nothing is beyond 1/n."""
    weight, bias = 0.3, 0.2
    x = rng.normal(size=(2, n))
    k = (weight * x @ x.T / n + bias).tolist()
    u, v = sp.symbols("u v")
    entries = [u**4, u**2 * v**2, v**4]
    _, two = means_of_products(entries, (u, v), k, n)
    one = [normal_moment(e, (u, v), k) for e in entries]
    kernel = lambda i, j: (  # noqa: E731
        weight**2 * two[i][j] + weight * bias * (one[i] + one[j]) + bias**2
    )
    expected = weight * (kernel(0, 2) + 2 * kernel(1, 1)) + bias
    theory = predict(square_network(n, weight, bias), x, order=1)
    assert theory.value("dense_3", "cross_moment")[0, 1] == pytest.approx(float(expected))
    assert theory.regime("dense_3", "correlation") in (CORRECTED, APPROXIMATE)
    square = theory.value("dense_3", "second_moment")
    cross = theory.value("dense_3", "cross_moment")
    assert np.diag(cross) == pytest.approx(square)
    assert square[0] == pytest.approx(float(weight * 3 * kernel(0, 0) + bias))
    ratio = cross[0, 1] / math.sqrt(square[0] * square[1])
    assert theory.value("dense_3", "correlation")[0, 1] == pytest.approx(ratio)
    limit = predict(square_network(n, weight, bias), x)
    assert limit.value("dense_3", "cross_moment")[0, 1] != pytest.approx(float(expected), rel=0.01)


@pytest.mark.parametrize("n", [2, 5])
def test_gradients_of_squares_are_exact_at_any_width(n, rng):
    """phi' y = 2 z y: M' = 4 (K M + 2 H^2), quadratic too; two hidden layers above dense_1."""
    weight, bias = 0.3, 0.2
    x = rng.normal(size=(1, n))
    q = float(weight * x[0] @ x[0] / n + bias)
    z, t = sp.symbols("z t")
    entries = [z**4, 2 * z**3 * t, 4 * z**2 * t**2]
    one, two = means_of_products(entries, (z, t), [[q, 0], [0, 1]], n)
    common = weight**2 * two[0][2] + weight * bias * one[2]
    expected = weight * 4 * (common + 2 * weight**2 * two[1][1])
    theory = predict(square_network(n, weight, bias), x, order=1)
    found = theory.value("dense_1", "grad_second_moment")
    assert found == pytest.approx([float(expected)])
    assert predict(theory.network, x).value("dense_1", "grad_second_moment") != pytest.approx(
        found, rel=0.01
    )


@pytest.mark.parametrize("dropped", ["bend", "noise"])
def test_a_dropped_term_of_pairs_is_found(monkeypatch, rng, dropped):
    """Planted faults: the Hessian, and what neurons scatter."""
    real = rule_module.rule

    def faulty(*given):
        of = real(*given)
        return of._replace(**{dropped: 0 * getattr(of, dropped)})

    monkeypatch.setattr(pair_module, "rule", faulty)
    with pytest.raises(AssertionError):
        test_squares_are_exact_at_any_width(5, rng)


@pytest.mark.parametrize("dropped", ["shift_by_common", "shift_by_overlap"])
def test_a_dropped_term_of_gradients_is_found(monkeypatch, rng, dropped):
    """Planted faults: the covariance with the kernel, and the overlap of tangent and input."""
    real = gradient_module.below
    monkeypatch.setattr(
        gradient_module, "below", lambda *a, **k: real(*a, **k)._replace(**{dropped: 0.0})
    )
    with pytest.raises(AssertionError):
        test_gradients_of_squares_are_exact_at_any_width(5, rng)


@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.3)", "identity"])
def test_wide_gradients_reach_the_exact_fluctuation(name):
    """Linear on both sides: the first order is that of the exact product, and nothing shifts."""
    n = 10**7
    theory = predict(mlp(widths=[n, 2 * n, 3 * n, n], activation=name), order=1)
    for node in theory.network:
        exact, terms = theory.gradient_lengths[node.name], theory.gradient_terms[node.name]
        assert terms.fluctuation == pytest.approx(exact.fluctuation, rel=1e-5, abs=1e-12)
        assert terms.shift * n == pytest.approx([0], abs=1e-6)


def test_affine_activations_have_gradients_that_do_not_move():
    graph = Graph(6)
    z = graph.add(Dense(6, 6, init.normal(std=0.5), init.normal()), graph.input)
    x = graph.add(Elementwise(custom("affine", 2 * X + 1)), z)
    graph.add(Dense(6, 6, init.normal(std=0.5)), x)
    theory = predict(graph.network(), order=1)
    limit = theory.gradients["dense_1"].diagonal
    assert theory.value("dense_1", "grad_second_moment") == pytest.approx(limit)


def tanh(n=16, depth=3, **changes):
    return mlp(n, depth, activation="tanh", weights=init.normal(variance=1.5 / n), **changes)


def test_regimes_by_order(rng):
    x = rng.normal(size=(2, 16))
    limit, first, best = (predict(tanh(), x, order=order) for order in (0, 1, None))
    for quantity in ("second_moment", "cross_moment", "grad_second_moment"):
        assert limit.regime("dense_3", quantity) == WIDE
        assert first.regime("dense_3", quantity) == CORRECTED
        assert best.regime("dense_3", quantity) == CORRECTED
        assert best.value("dense_3", quantity) == pytest.approx(first.value("dense_3", quantity))
        assert np.any(limit.value("dense_3", quantity) != first.value("dense_3", quantity))
    assert first.regime("dense_1", "cross_moment") == EXACT
    deep = mlp(6, 40, activation="tanh", weights=init.normal(variance=1.5 / 6))
    x = rng.normal(size=(2, 6))
    limit, first, best = (predict(deep, x, order=order) for order in (0, 1, None))
    assert first.regime("input", "grad_second_moment") == APPROXIMATE
    assert best.regime("input", "grad_second_moment") == WIDE
    assert best.value("input", "grad_second_moment") == pytest.approx(
        limit.value("input", "grad_second_moment")
    )


def test_order_one_says_where_it_adds_nothing(rng):
    x = rng.normal(size=(2, 16))
    cases = [
        (residual(16, 2, activation="tanh"), "this is a add layer"),
        (mlp(16, 3, activation="tanh", weights=init.uniform(-0.4, 0.4)), "weights must be Gauss"),
        (mlp(16, 3, activation="tanh", bias=init.uniform(-1, 1)), "biases must be Gaussian"),
        (mlp(16, 3, activation="sign"), "sign jumps"),
    ]
    for net, message in cases:
        notes = predict(net, x, order=1).notes()
        assert any(n.startswith("order 1 adds nothing to") and message in n for n in notes)
        assert not any("order 1" in n for n in predict(net, x).notes())
        assert not any("order 1" in n for n in predict(net, x, order=None).notes())
    assert not predict(tanh(), x, order=1).notes()
    assert not predict(mlp(64, 3), order=1).notes()


def test_an_input_of_zeros_has_no_terms():
    theory = predict(mlp(4, 3, activation="tanh"), np.zeros((2, 4)), order=1)
    assert "an input is zero" in theory.pairs["tanh_2"].reason
    assert "an input is zero" in theory.gradient_terms["input"].reason
    assert theory.value("dense_3", "cross_moment") == pytest.approx(np.zeros((2, 2)))


def test_errors_are_not_taken_for_missing_theory(monkeypatch):
    """A fault inside the rules is raised; only an assumption that fails is no theory."""

    def broken(*_):
        raise ValueError("a fault")

    monkeypatch.setattr(lengths_module, "dense", broken)
    with pytest.raises(ValueError, match="a fault"):
        predict(mlp(4, 2)).value("relu_1", "length_fluctuation")


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize(
    "name, weight, bias",
    [("tanh", 1.5, 0.1), ("gelu", 1.4, 0.1), ("erf", 1.5, 0.2), ("relu", 2.0, 0.0)],
)
def test_corrected_values_within_the_second_order(name, weight, bias, rng, seed):
    """n = 48, 4 hidden layers, 10^5 networks: off by at most the square of the fluctuation."""
    n, draws = 48, 100_000
    net = mlp(
        n, 4, activation=name, weights=init.normal(variance=weight / n),
        bias=init.normal(variance=bias),
    )  # fmt: skip
    x = rng.normal(size=(2, n))
    x[1] = 0.6 * x[0] + 0.8 * x[1]
    x *= math.sqrt(n) / np.linalg.norm(x, axis=1, keepdims=True)
    theory, limit = predict(net, x, order=1), predict(net, x)
    sample = simulate(net, x, draws=draws, seed=seed, engine="conditional", progress=False)
    refused = 0
    for node in (k.name for k in net):
        budget = {
            "second_moment": theory.lengths[node].fluctuation.max() ** 2,
            "grad_second_moment": theory.gradient_lengths[node].fluctuation.max() ** 2,
        }
        budget["cross_moment"] = budget["second_moment"]
        for quantity, beyond in budget.items():
            square = limit.value(node, quantity.replace("cross", "second"))[0]
            at = (0, 1) if quantity == "cross_moment" else (0,)
            found = sample.values(node, quantity)[(slice(None), *at)] / square
            error = 6 * found.std() / math.sqrt(draws) + 1e-9
            value = theory.value(node, quantity)[at] / square
            assert abs(found.mean() - value) < error + beyond, (node, quantity)
            gap = abs(found.mean() - limit.value(node, quantity)[at] / square)
            refused += gap > error + beyond
        spread, sure = sample.grad_length_fluctuation(node)
        expected = theory.value(node, "grad_length_fluctuation")
        assert np.all(abs(spread - expected) < 6 * sure + expected**2 + 1e-9), node
    if name != "relu":
        assert refused
