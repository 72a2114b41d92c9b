"""Fluctuations of lengths: by enumerating every network, by exact sums, by sampled weights."""

import importlib
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

from varprop import initializers as init
from varprop.activations import X, custom, get
from varprop.builders import mlp, residual
from varprop.initializers import Initializer
from varprop.laws import Law, Rademacher
from varprop.layers import Dense, Elementwise, Scale
from varprop.moments import APPROXIMATE, CORRECTED, EXACT, WIDE, Moments
from varprop.network import Graph
from varprop.stats import studentized_test
from varprop.theory import predict
from varprop.theory.finite_width import Absent, Lengths
from varprop.theory.finite_width.lengths import dense

LEVEL = 1e-6  # of each statistical test; about twenty of them


@dataclass(frozen=True)
class ThreePoints(Law):
    """0 or +-`size`, with the kurtosis 1 / P(not 0)."""

    size: Any
    spread: Any

    def central_moment(self, k):
        return sp.S.One if k == 0 else sp.Integer(k % 2 == 0) * self.size**k / self.spread


@dataclass(frozen=True)
class Given(Initializer):
    """An initializer that gives one law."""

    name: str = "given"
    law: Any = None

    def at(self, fan_in, fan_out, rows=None):
        return self.law


def every_network(widths, x, phi, values, chances, bias):
    """Probabilities (networks,), and z, phi(z) of each layer (networks, channels).

    Each weight is one of `values` with its chance, each bias one of +-`bias`.
    """
    p, h = np.ones(1), np.array([x])
    layers = []
    for into, out in itertools.pairwise(widths):
        signs = [-bias, bias] if bias else [0.0]
        w = np.array(list(itertools.product(values, repeat=out * into))).reshape(-1, out, into)
        pw = np.array([math.prod(c) for c in itertools.product(chances, repeat=out * into)])
        b = np.array(list(itertools.product(signs, repeat=out)))
        z = np.einsum("woi,hi->hwo", w, h)[:, :, None, :] + b
        p = (p[:, None, None] * pw[:, None] / len(b) * np.ones(len(b))).reshape(-1)
        layers = [tuple(np.repeat(v, len(w) * len(b), axis=0) for v in old) for old in layers]
        z = z.reshape(-1, out)
        h = phi(z)
        layers.append((z, h))
    return p, layers


@pytest.mark.parametrize("name", ["relu", "leaky_relu(0.25)", "abs", "identity"])
@pytest.mark.parametrize("bias", [0.0, 0.7])
@pytest.mark.parametrize("kurtosis", [1, sp.Rational(9, 5), 3, 6])
def test_every_network(name, bias, kurtosis):
    """Weights 0 or +-0.9, of any kurtosis; biases 0 or +-0.7: no randomness is left."""
    phi, widths, x = get(name), [2, 2, 2], [1.0, -2.0]
    if kurtosis == 1:
        widths, x, values, chances = [3, 2, 2], [1.0, -2.0, 0.5], (0.9, -0.9), (0.5, 0.5)
    else:
        alive = 1 / float(kurtosis)
        values, chances = (0.9, -0.9, 0.0), (alive / 2, alive / 2, 1 - alive)
    net = mlp(
        widths=[*widths, 1],
        activation=name,
        weights=Given(law=ThreePoints(sp.Rational(9, 10), kurtosis)),
        bias=Given(law=Rademacher(bias)) if bias else None,
    )
    theory = predict(net, [x])
    p, layers = every_network(widths, x, phi, values, chances, bias)
    for k, parts in enumerate(layers, 1):
        for node, found in zip((f"dense_{k}", f"{phi.name}_{k}"), parts, strict=True):
            if node not in theory.moments:
                continue
            square = found**2
            square = square / (p @ square).mean()
            lengths, length = theory.lengths[node], square.mean(1)
            assert theory.regime(node, "length_fluctuation") == EXACT
            variance, fourth = p @ (length - 1) ** 2, (p @ square**2).mean()
            shared = p @ (square[:, 0] * square[:, 1]) - 1
            assert lengths.fluctuation == pytest.approx([variance], abs=1e-12)
            assert lengths.fourth == pytest.approx([fourth])
            assert lengths.shared == pytest.approx([shared], abs=1e-12)
            if fourth > 1 + 1e-9:
                assert lengths.neuron_correlation == pytest.approx([shared / (fourth - 1)])
                effect = 2 * variance / (fourth - 1)
                assert lengths.design_effect == pytest.approx([effect], abs=1e-10)


LAWS = {
    "normal": init.normal(std=0.6),
    "uniform": init.uniform(-0.9, 0.9),
    "truncated": init.trunc_normal(std=0.5, a=-1, b=1),
    "laplace": init.laplace(0.3),
    "rademacher": init.rademacher(0.6),
    "orthogonal": init.orthogonal(1.3),
    "sparse": init.sparse(0.3, 0.7),
    "spherical": init.spherical(1.3),
}


def lengths_by_hand(widths, x, phi, weights: Initializer, draws, generator):
    """x.x/n of each activation, (draws, layers), from sampled matrices and plain products."""
    h = np.broadcast_to(np.array(x), (draws, len(x)))
    found = []
    for into, out in itertools.pairwise(widths):
        how: Any = {"generator": generator, "dtype": torch.float64}
        w = weights.at(into, out).sample((draws, out, into), **how).numpy()
        h = phi(np.einsum("rij,rj->ri", w, h))
        found.append((h**2).mean(-1))
    return np.stack(found, 1)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["relu", "identity", "leaky_relu(0.3)"])
@pytest.mark.parametrize("law", LAWS)
def test_sampled_weights_of_every_law(name, law, generator):
    """One layer on four inputs: E (x.x)^2 over networks, in units of its prediction.

    Narrow where the rows depend on each other, wide else: there the mean of squares has thin tails.
    """
    widths, x, draws = (
        [4, 3 if law in ("orthogonal", "spherical") else 40],
        [1.0, -2.0, 0.0, 0.5],
        40_000,
    )
    theory = predict(mlp(widths=[*widths, 1], activation=name, weights=LAWS[law]), [x])
    nodes = [k for k in theory.moments if k.startswith(get(name).name)] or ["dense_1"]
    found = lengths_by_hand(widths, x, get(name), LAWS[law], draws, generator)
    for k, node in enumerate(nodes):
        m = theory.value(node, "second_moment")[0]
        square = 1 + theory.value(node, "length_fluctuation")[0]
        residual = (found[:, k] / m) ** 2 / square - 1
        if np.ptp(residual) < 1e-9:  # an orthogonal layer that keeps lengths
            assert residual == pytest.approx(np.zeros(draws), abs=1e-9)
            continue
        assert studentized_test(residual, 0.0, LEVEL).p_value > LEVEL
        forgotten = (found[:, k] / m) ** 2 - 1  # the fluctuation left out
        assert studentized_test(forgotten, 0.0, LEVEL).p_value <= LEVEL


def test_published_factors():
    """prod (1 + 5/n) and prod (1 + 2/n) (Hanin & Nica), 1 + 3/(n + 2) for Haar ReLU layers."""
    n = sp.Symbol("n", positive=True, integer=True)
    relu = predict(mlp(n, 4, weights=init.normal(variance=2 / n)))
    linear = predict(mlp(n, 4, activation="identity", weights=init.normal(variance=1 / n)))
    haar = predict(mlp(n, 4, weights=init.orthogonal(sp.sqrt(2))))
    sphere = predict(mlp(n, 4, weights=init.spherical(sp.sqrt(2))))
    for theory, node, factor, power in (
        (sphere, "relu_4", 1 + (6 * n / (n + 2) - 1) / n, 4),
        (relu, "relu_4", 1 + 5 / n, 4),
        (linear, "dense_4", 1 + 2 / n, 4),
        (haar, "relu_4", 1 + 3 / (n + 2), 4),
    ):
        value = 1 + theory.value(node, "length_fluctuation")[0]
        assert sp.simplify(value - factor**power) == 0
        assert theory.regime(node, "length_fluctuation") == EXACT
    five = predict(mlp(widths=[5, 7, 1], weights=init.spherical()), np.ones((1, 5)))
    published = 1 + (6 * 5 / 7 - 1) / 7
    assert five.value("relu_1", "length_fluctuation") == pytest.approx([published - 1])
    p = predict(mlp(16, 3)).lengths["dense_3"]
    product = (1 + 5 / 16) ** 2
    assert p.neuron_correlation == pytest.approx([(product - 1) / (3 * product - 1)])
    assert p.fourth == pytest.approx([3 * product])


def test_unit_inputs_are_averages_over_the_sphere(rng):
    """A fresh sphere point in each network: f of one uniform-weight layer, averaged over points."""
    n, weights = 5, init.uniform(-1, 1)
    x = rng.normal(size=(100, n))
    x *= math.sqrt(n) / np.linalg.norm(x, axis=1, keepdims=True)
    theory = predict(mlp(widths=[n, 4, 3], weights=weights))
    each = predict(mlp(widths=[n, 4, 3], weights=weights), x).value("relu_1", "length_fluctuation")
    value = theory.value("relu_1", "length_fluctuation")[0]
    assert abs(each.mean() - value) < 6 * each.std() / math.sqrt(len(x))  # 6 s.e.: 2e-9
    assert theory.value("input", "length_fluctuation") == pytest.approx([0])


def means_of_fourths(n, order):
    """E ((1/n) sum Z_i^4)^k for k up to `order`, polynomials in 1/n: cumulants add over i."""
    raw = [sp.factorial2(4 * k - 1) if k else sp.S.One for k in range(order + 1)]
    cumulants, moments = [sp.S.Zero], [sp.S.One]
    for k in range(1, order + 1):
        lower = [math.comb(k - 1, j - 1) * cumulants[j] * raw[k - j] for j in range(1, k)]
        cumulants.append(raw[k] - sum(lower))
        terms = [
            math.comb(k - 1, j - 1) * cumulants[j] * n ** (1 - j) * moments[k - j]
            for j in range(1, k + 1)
        ]
        moments.append(sp.expand(sum(terms)))
    return moments


def squares_chain(n, layers, weight, beta, start):
    """E k_l and E k_l^2, exact, for k' = weight k^2 mean(Z^4) + beta, where phi(z) = z^2."""
    means, s, k = means_of_fourths(n, 2**layers), sp.symbols("s"), sp.symbols("k")
    states = []
    for target in range(1, layers + 1):
        values = []
        for power in (1, 2):
            value = k**power
            for _ in range(target):
                inner = sp.Poly(sp.expand(value.subs(k, weight * k**2 * s + beta)), s)
                value = sp.expand(sum(c * means[j] for (j,), c in inner.terms()))
            values.append(sp.expand(value.subs(k, start)))
        states.append(values)
    return states


def test_first_order_is_the_first_order_of_the_exact_moments():
    """phi(z) = z^2, Gaussian weights and biases, 3 layers: exact polynomials in 1/n."""
    n = sp.Symbol("n", positive=True)
    weight, beta = sp.Rational(2, 7), sp.Rational(1, 3)
    states = squares_chain(n, 2, weight, beta, weight + beta)
    width = 10**7  # so that the second order is below the tolerance
    net = mlp(
        width, 3, activation=custom("square", X**2), weights=init.normal(variance=weight / width),
        bias=init.normal(variance=beta),
    )  # fmt: skip
    theory = predict(net, order=1)
    limit = predict(net)
    for layer, (first, second) in enumerate(states, 2):
        node = f"dense_{layer}"
        k, shift = (float(first.coeff(n, -j)) for j in (0, 1))
        spread = float(sp.expand(second - first**2).coeff(n, -1))
        assert sp.expand(second - first**2).coeff(n, 0) == 0
        assert limit.value(node, "second_moment") == pytest.approx([k], rel=1e-12)
        found = theory.lengths[node]
        assert found.shift * width * k == pytest.approx([shift], rel=1e-5)
        corrected = theory.value(node, "second_moment")
        assert corrected == pytest.approx(k * (1 + found.shift), rel=1e-14)
        if layer == 2:
            assert theory.regime(node, "length_fluctuation") == EXACT
        assert found.shared * width * k**2 == pytest.approx([spread], rel=1e-5)


def random_kernel_chain(phi, n, depth, weight, bias, draws, rng):
    """E z^2 of each layer given the layer below, (draws, depth): iid rows given their length."""
    k = np.full(draws, weight + bias)
    found = []
    for _ in range(depth):
        found.append(k)
        z = np.sqrt(k)[:, None] * rng.standard_normal((draws, n))
        k = weight * (phi(z) ** 2).mean(1) + bias
    return np.stack(found, 1)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "name, weight, bias", [("tanh", 1.0, 0.0), ("gelu", 1.4, 0.1), ("erf", 1.5, 0.2)]
)
def test_corrected_moments_within_the_second_order(name, weight, bias, rng):
    """n = 32, 5 layers: E z^2 off by at most the square of Var's 1/n term, Var by one a layer."""
    n, depth, draws = 32, 5, 100_000
    phi = get(name)
    net = mlp(
        n, depth, activation=name, weights=init.normal(variance=weight / n),
        bias=init.normal(variance=bias),
    )  # fmt: skip
    theory, limit = predict(net, order=1), predict(net)
    found = random_kernel_chain(phi, n, depth, weight, bias, draws, rng)
    squares = 0.0
    for layer in range(2, depth + 1):
        node = f"dense_{layer}"
        k = limit.value(node, "second_moment")[0]
        relative = found[:, layer - 1] / k
        corrected = theory.value(node, "second_moment")[0] / k - 1
        shared = theory.lengths[node].shared[0]
        square = (relative - relative.mean()) ** 2
        squares += shared**2
        sure = 6 / math.sqrt(draws)
        assert abs(relative.mean() - 1 - corrected) < sure * relative.std() + shared**2
        assert abs(square.mean() - shared) < sure * square.std() + squares
        if layer > 2:
            assert theory.regime(node, "second_moment") == CORRECTED
            assert limit.regime(node, "second_moment") == WIDE
    if name == "tanh":  # where the limit itself is refused
        assert abs(relative.mean() - 1) > sure * relative.std() + shared**2


@dataclass(frozen=True)
class Odd(Law):
    """A zero-mean law that is not symmetric: 2 with probability 1/3, else -1."""

    def central_moment(self, k):
        return sp.Rational(2**k + 2 * (-1) ** k, 3)

    @property
    def symmetric(self):
        return False


@dataclass(frozen=True)
class Heavy(Law):
    """Student's law with 4 degrees of freedom: the kurtosis is infinite."""

    def central_moment(self, k):
        return {0: sp.S.One, 2: sp.Integer(2)}.get(k, sp.S.Zero if k % 2 else sp.oo)


def test_what_has_no_theory_says_which_assumption_fails():
    cases = [
        (mlp(4, 2, weights=Given(law=Heavy())), "weights of finite kurtosis, and Heavy"),
        (
            mlp(4, 2, bias=Given(law=Heavy())),
            "biases of finite kurtosis, and Heavy",
        ),
        (mlp(4, 2, weights=Given(law=Odd())), "half of z passes relu only where z is symmetric"),
        (
            mlp(4, 2, activation="tanh", weights=init.uniform(-1, 1)),
            "lengths after tanh are known for Gaussian weights",
        ),
    ]
    for net, message in cases:
        theory = predict(net)
        node = net.output
        assert "length_fluctuation" not in theory.quantities(node)
        with pytest.raises(ValueError, match=f"{node} has no 'length_fluctuation'. .*{message}"):
            theory.value(node, "length_fluctuation")
        assert isinstance(theory.lengths[node], Absent)
    with pytest.raises(ValueError, match="lengths need fresh weights, and those of dense_1"):
        predict(mlp(4, 3, tied=True)).value("relu_2", "length_fluctuation")
    theory = predict(residual(4, 2))
    assert "length_fluctuation" in theory.quantities("dense_2")
    with pytest.raises(ValueError, match=r"add_1: .* chains of dense, .* this is a add layer"):
        theory.value("add_2", "length_fluctuation")
    with pytest.raises(ValueError, match="need E sum x\\^4 of the input"):
        law = Moments.of_gram(np.zeros(1), np.ones((1, 1)), frozenset({"input"}))
        predict(mlp(4, 1, weights=init.uniform(-1, 1)), law).value("relu_1", "length_fluctuation")
    with pytest.raises(ValueError, match=r"order must be 0 .* got 2"):
        predict(mlp(4, 1), order=2)


def test_asymmetric_weights_have_lengths_where_no_sign_matters():
    """Linear networks need only zero mean: two weights of 2 or -1, all nine cases."""
    theory = predict(mlp(widths=[2, 1], weights=Given(law=Odd())), [[1.0, 3.0]])
    values, chances = np.array([2.0, -1.0]), np.array([1, 2]) / 3
    z = values[:, None] + 3 * values[None, :]
    p = chances[:, None] * chances[None, :]
    square = (p * z**2).sum()
    expected = (p * z**4).sum() / square**2 - 1
    assert theory.value("dense_1", "length_fluctuation") == pytest.approx([expected])


def test_scales_change_no_relative_fluctuation():
    graph = Graph(3)
    x = graph.add(Dense(3, 4, "kaiming_normal"), graph.input)
    x = graph.add(Scale(-0.3), graph.add(Elementwise("relu"), x))
    graph.add(Dense(4, 2, "kaiming_normal"), x)
    plain = predict(mlp(widths=[3, 4, 2]))
    scaled = predict(graph.network())
    for node in ("scale_1", "dense_2"):
        other = "relu_1" if node == "scale_1" else node
        expected = plain.value(other, "length_fluctuation")
        assert scaled.value(node, "length_fluctuation") == pytest.approx(expected)


def test_beyond_the_expansion_a_note_says_so():
    """tanh at weight variance 1/n: the 1/n term is -l/3n of the leading one (Yaida 2019)."""
    net = mlp(16, 60, activation="tanh", weights=init.normal(variance=1 / 16))
    theory = predict(net, order=1)
    assert theory.regime("dense_4", "second_moment") == CORRECTED
    assert theory.regime("dense_60", "second_moment") == APPROXIMATE
    assert any("dense_60: the 1/n terms are above half" in note for note in theory.notes())
    assert not predict(net).notes()
    wide = predict(mlp(4000, 400, activation="tanh", weights=init.normal(variance=1 / 4000)))
    found = wide.lengths["dense_400"]
    assert found.shared * 4000 / 400 == pytest.approx([2 / 3], rel=0.05)
    assert found.shift * 4000 / 400 == pytest.approx([-1 / 3], rel=0.05)


def test_a_forgotten_kurtosis_is_found(monkeypatch):
    """A planted fault: the enumeration must notice."""
    module = importlib.import_module("varprop.theory.finite_width.rows")
    module.rows.cache_clear()
    monkeypatch.setattr(module, "finite_kurtosis", lambda law, what: sp.Integer(3))
    with pytest.raises(AssertionError):
        test_every_network("relu", 0.0, 6)
    module.rows.cache_clear()


@pytest.mark.parametrize("shift", [1e-4, -1e-4])
def test_the_kurtosis_of_a_neuron_counts_the_shift_of_the_layer_below(shift):
    """With e the true E s^2|x|^2/n and b that of a uniform bias, of kurtosis 9/5, given V of x:

    E z^4/(E z^2)^2 = (3 e^2 (1 + V) + 6 e b + 9/5 b^2)/(e + b)^2, to the first order in the shift.
    """
    weight, b, fluctuation = 1.3, 0.9, 0.2
    half = (3 * b) ** 0.5
    layer = Dense(8, 8, init.normal(variance=weight / 8), init.uniform(-half, half))
    graph = Graph(8)
    graph.add(layer, graph.input)
    law = predict(graph.network()).moments["dense_1"]
    below = Lengths(8, *(np.array([v]) for v in (fluctuation, 3.0, 0.1, shift)), CORRECTED)
    found = dense(layer, law, below)
    e = weight * (1 + shift)
    expected = (3 * e**2 * (1 + fluctuation) + 6 * e * b + 9 / 5 * b**2) / (e + b) ** 2
    # the term of V at first order in V alone: its share u^2 moves by O(shift)
    u = [weight * k / (weight * k + b) for k in (1, 1 + shift)]
    expected += 3 * fluctuation * (u[0] ** 2 - u[1] ** 2)
    assert found.kurtosis == found.fourth == pytest.approx(expected, abs=2 * shift**2)
