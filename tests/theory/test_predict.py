"""predict: names, shapes, and values against recursions written out by hand."""

import json
import math
import time

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import integrate, stats
from sklearn.datasets import load_digits

from varprop import initializers
from varprop.builders import mlp, residual
from varprop.initializers import normal
from varprop.layers import Dense
from varprop.moments import APPROXIMATE, CORRECTED, EXACT, WIDE, Moments
from varprop.theory import backward, predict

PAIRS = {"cross_moment", "correlation", "grad_cross_moment"}
SINGLES = {
    "mean", "second_moment", "variance", "grad_second_moment", "length_fluctuation",
    "grad_length_fluctuation",
}  # fmt: skip


def gauss(f, q):
    def g(z):
        return f(math.sqrt(q) * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    return integrate.quad(g, -10, 10, epsabs=1e-13)[0]


def gauss2(f, q1, q2, c):
    """E f(z) f(z') as a double integral over z and the part of z' that z leaves."""

    def g(v, u):
        z = math.sqrt(q1) * u
        other = math.sqrt(q2) * (c * u + math.sqrt(1 - c * c) * v)
        return f(z) * f(other) * math.exp(-(u * u + v * v) / 2) / (2 * math.pi)

    return integrate.dblquad(g, -8, 8, -8, 8, epsabs=1e-9, epsrel=1e-9)[0]


def sech2(z):
    return 1 / math.cosh(z) ** 2


@pytest.fixture(name="tanh_net")
def tanh_net_fixture():
    """Widths 5, 7, 4, 3; Var(w) = 1.7 / fan_in, E b^2 = 0.3."""
    return mlp(
        widths=[5, 7, 4, 3], activation="tanh", weights=normal(variance=0.25),
        bias=normal(variance=0.3),
    )  # fmt: skip


def test_tanh_with_bias_by_hand(tanh_net, rng):
    """q' = n Var(w) E tanh^2 + E b^2, pairs alike, and gradients down through fan_out Var(w)."""
    x, v = rng.normal(0.3, 0.8, (2, 5)), 0.25
    theory = predict(tanh_net, x)
    widths, gram, grams = [5, 7, 4], x @ x.T / 5, []
    for layer, n in enumerate(widths, 1):
        q = n * v * gram + 0.3
        grams.append(q)
        assert theory.moments[f"dense_{layer}"].second == pytest.approx(q, rel=1e-7)
        assert theory.value(f"dense_{layer}", "mean") == pytest.approx([0, 0])
        c = q[0, 1] / math.sqrt(q[0, 0] * q[1, 1])
        off = gauss2(math.tanh, q[0, 0], q[1, 1], c)
        gram = np.array([
            [gauss(lambda z: math.tanh(z) ** 2, q[0, 0]), off],
            [off, gauss(lambda z: math.tanh(z) ** 2, q[1, 1])],
        ])  # fmt: skip
    g = np.ones((2, 2))
    assert theory.gradients["dense_3"].second == pytest.approx(g)
    for layer, n in ((2, 3), (1, 4)):
        g = n * v * g
        assert theory.gradients[f"tanh_{layer}"].second == pytest.approx(g, rel=1e-7)
        q = grams[layer - 1]
        c = q[0, 1] / math.sqrt(q[0, 0] * q[1, 1])
        off = gauss2(sech2, q[0, 0], q[1, 1], c)
        slope = [gauss(lambda z: sech2(z) ** 2, q[i, i]) for i in (0, 1)]
        g = g * np.array([[slope[0], off], [off, slope[1]]])
        assert theory.gradients[f"dense_{layer}"].second == pytest.approx(g, rel=1e-7)
    assert theory.gradients["input"].second == pytest.approx(7 * v * g, rel=1e-7)
    weight = theory.value("dense_2", "weight_grad_second_moment")
    below = theory.value("tanh_1", "second_moment")
    assert weight == pytest.approx(theory.value("dense_2", "grad_second_moment") * below)


def test_fan_in_for_fan_out_is_found_out(tanh_net, monkeypatch):
    """A planted fault that a square network would not show."""
    theory = predict(tanh_net)
    real = Dense.gradients

    def wrong(self, name, inputs, gradient):
        return real(Dense(self.fan_out, self.fan_in, self.weights), name, inputs, gradient)

    monkeypatch.setattr(Dense, "gradients", wrong)
    found = backward(tanh_net, theory.moments)["input"].diagonal
    assert found != pytest.approx(theory.value("input", "grad_second_moment"), rel=0.1)


def test_names_and_shapes(tanh_net, rng):
    theory = predict(tanh_net, rng.normal(size=(3, 5)))
    for name, layer, _ in tanh_net:
        found = set(theory.quantities(name))
        extra = {"weight_grad_second_moment"} if isinstance(layer, Dense) else set()
        extra |= {"kurtosis"} if name != "input" else set()
        extra |= {"ntk"} if name == tanh_net.output else set()
        assert found == SINGLES | PAIRS | extra
        for quantity in found:
            shape = (3, 3) if quantity in PAIRS | {"ntk"} else (3,)
            assert theory.value(name, quantity).shape == shape
    single = predict(tanh_net)
    assert set(single.quantities("tanh_1")) == SINGLES | {"kurtosis"}
    with pytest.raises(ValueError, match="unknown quantity of tanh_1 'ntk': known: mean, second"):
        single.value("tanh_1", "ntk")
    tables = (single.quantities, single.lengths.__getitem__, single.gradient_lengths.__getitem__)
    for ask in (*tables, single.moments.__getitem__, lambda node: single.value(node, "mean")):
        with pytest.raises(ValueError, match="unknown node 'tan_1': did you mean tanh_1"):
            ask("tan_1")
    assert str(single).startswith("prediction for network of 6 nodes")


def test_real_digits():
    """1797 digits' first 20: He keeps x.x/n = E z^2 / 2 for each, exactly."""
    x = load_digits().data[:20] / 16
    theory = predict(mlp(32, 3, input=64), x)
    square = (x**2).sum(-1) / 64
    for layer in (1, 2, 3):
        assert theory.value(f"dense_{layer}", "second_moment") == pytest.approx(2 * square)
        assert theory.value(f"relu_{layer}", "second_moment") == pytest.approx(square)
        assert theory.regime(f"relu_{layer}", "second_moment") == EXACT
    assert theory.regime("relu_2", "cross_moment") == WIDE
    c = theory.value("dense_3", "correlation")
    assert np.diagonal(c) == pytest.approx(np.ones(20)) and np.all(np.abs(c) <= 1 + 1e-12)
    frame = theory.frame()
    pairs = frame[frame.quantity == "correlation"]
    assert len(pairs) == 8 * 190 and set(pairs.regime) == {"exact", "wide"}


def test_rectangular_backward():
    """He forward, widths 8 -> 4 -> 2: gradients gain fan_out 2 / fan_in a layer, half at a relu."""
    theory = predict(mlp(widths=[8, 4, 2]))
    assert theory.value("relu_1", "grad_second_moment") == pytest.approx([2 * 2 / 4])
    assert theory.value("input", "grad_second_moment") == pytest.approx([4 * 2 / 8 * 0.5])


def test_symbolic_mlp():
    n, s = sp.symbols("n sigma_w", positive=True)
    theory = predict(mlp(n, 3, weights=normal(variance=s**2 / n)))
    assert theory.symbolic
    assert theory.value("relu_3", "second_moment")[0] == s**6 / 8
    assert theory.value("input", "grad_second_moment")[0] == s**8 / 8
    assert theory.value("dense_4", "mean")[0] == 0
    assert theory.latex("relu_3", "second_moment") == r"\frac{\sigma_{w}^{6}}{8}"
    numeric = predict(mlp(16, 3, weights=normal(variance=1.3**2 / 16)))
    for node in ("relu_3", "dense_4", "input"):
        for quantity in theory.quantities(node):
            formula = np.ravel(theory.value(node, quantity))[0]
            number = float(sp.sympify(formula).subs({n: 16, s: sp.Rational(13, 10)}))
            value = np.ravel(numeric.value(node, quantity))[0]
            assert number == pytest.approx(value, rel=1e-12)
    q = sp.Symbol("q", positive=True)
    assert predict(mlp(n, 1), q).value("relu_1", "second_moment")[0] == q


def test_residual_doubles():
    """x + W2 relu(W1 x): E x^2 = 2^L, exactly; backward the same by width."""
    theory = predict(residual(6, 5))
    assert theory.value("add_5", "second_moment") == pytest.approx([32])
    assert theory.regime("add_5", "second_moment") == EXACT
    assert theory.value("input", "grad_second_moment") == pytest.approx([32])


def test_a_thousand_layers():
    """Ten times the time it takes, for a loaded machine."""
    start = time.perf_counter()
    theory = predict(mlp(64, 1000, activation="relu"), np.eye(64)[:2] * 8)
    assert time.perf_counter() - start < 10
    assert theory.value("relu_1000", "second_moment") == pytest.approx([1, 1], rel=1e-10)
    gap = 1 - theory.value("dense_1000", "correlation")[0, 1]
    state = theory.moments["dense_1000"]
    carried = state.gap[0, 1] / state.second[0, 0]
    assert carried == pytest.approx(gap, rel=1e-8)
    e = 1.0  # 1 - c by the angle: (sin t - t cos t)/pi + ... iterated as 1 - c, never subtracted
    for _ in range(999):
        t = 2 * math.asin(math.sqrt(e / 2))
        e -= (math.sin(t) - t * math.cos(t)) / math.pi
    assert carried == pytest.approx(e, rel=1e-9)


def test_frames_and_json(rng):
    """A zero input has no correlation; JSON says so in words, never NaN."""
    theory = predict(mlp(4, 1), np.stack([np.zeros(4), rng.normal(size=4)]))
    text = theory.to_json()
    parsed = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert parsed["kind"] == "Prediction" and len(parsed["rows"]) == len(theory.frame())
    frame = predict(mlp(4, 1)).frame()
    assert list(frame.columns) == [
        "node", "quantity", "point", "other", "position", "value", "regime",
    ]  # fmt: skip
    assert not frame.value.isna().any()


def test_inputs_of_every_kind():
    net = mlp(4, 1)
    law = Moments.unit(second=2.0)
    assert predict(net, law).value("dense_1", "second_moment") == pytest.approx([4.0])
    assert predict(net, np.ones(4)).points == 1
    with pytest.raises(ValueError, match=r"shape \(points, 4\)"):
        predict(net, np.ones((2, 5)))


@pytest.mark.parametrize("network", [None, [Dense(2, 2, normal(std=1))]])
def test_what_is_no_network_is_named(network):
    with pytest.raises(ValueError, match=r"Network is needed, got .*; build one with varprop\.mlp"):
        predict(network)


def test_kurtosis_is_that_of_the_law(tanh_net):
    """tanh by an independent quadrature; relu, whose mean is not zero, by its known moments."""
    theory = predict(tanh_net)
    q = theory.value("dense_1", "second_moment")[0]
    fourth, second = (
        integrate.quad(lambda z, k=k: np.tanh(z) ** k * stats.norm.pdf(z, 0, q**0.5), -9, 9)[0]
        for k in (4, 2)
    )
    assert theory.value("dense_1", "kurtosis")[0] == 3
    assert theory.value("tanh_1", "kurtosis")[0] == pytest.approx(fourth / second**2, rel=1e-9)
    z = stats.norm.rvs(size=400_000, random_state=1)
    relu = predict(mlp(4, 1)).value("relu_1", "kurtosis")[0]
    assert relu == pytest.approx(stats.kurtosis(np.maximum(z, 0), fisher=False), rel=0.03)


def test_the_kurtosis_of_a_pre_activation_is_that_of_the_width_where_order_asks():
    """relu: of |x|^2 = sum of n squares of relu(Z), E = n/2 and E |x|^4 = n 3/2 + n(n - 1)/4."""
    n = 16
    network = mlp(n, 2)
    square = (3 / 2 * n + n * (n - 1) / 4) / (n / 2) ** 2
    for order in (1, None):
        theory = predict(network, order=order)
        for node, power in (("dense_1", 0), ("dense_2", 1), ("dense_3", 2)):
            found = theory.value(node, "kurtosis")[0]
            assert found == pytest.approx(3 * square**power, rel=1e-12)
            assert theory.regime(node, "kurtosis") is EXACT
    limit = predict(network)
    assert limit.value("dense_3", "kurtosis")[0] == 3
    assert limit.regime("dense_3", "kurtosis") is WIDE
    size = sp.Symbol("n", positive=True)
    formula = predict(mlp(size, 2), order=1).value("dense_2", "kurtosis")[0]
    assert sp.simplify(formula - 3 - 15 / size) == 0


def test_a_corrected_kurtosis_is_marked_and_left_out_where_it_corrects_nothing():
    tanh = {"activation": "tanh", "weights": normal(variance=1.5 / 64)}
    theory = predict(mlp(64, 3, **tanh), order=1)
    assert theory.regime("dense_3", "kurtosis") is CORRECTED
    assert 3 < theory.value("dense_3", "kurtosis")[0] < 3.5
    assert theory.value("tanh_3", "kurtosis")[0] == predict(mlp(64, 3, **tanh)).value(
        "tanh_3", "kurtosis"
    )
    narrow = mlp(3, 30, activation="tanh", weights=normal(variance=6.0))
    assert predict(narrow, order=1).regime("dense_30", "kurtosis") is APPROXIMATE
    best = predict(narrow, order=None)
    assert best.regime("dense_30", "kurtosis") is WIDE
    assert best.value("dense_30", "kurtosis")[0] == 3


def test_the_tangent_kernel_is_that_of_torch(seed):
    """Theta(x, x') of a real module, per output channel, averaged over draws and predicted."""
    torch_net = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 4))
    net = mlp(widths=[6, 9, 4], bias=initializers.normal(std=0.4))
    x = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    kernels = []
    for _ in range(1500):
        with torch.no_grad():
            for linear, node in ((torch_net[0], "dense_1"), (torch_net[2], "dense_2")):
                layer = net[node].layer
                w, b = layer.draw(1, generator, torch.float32, torch.device("cpu"))
                linear.weight.copy_(w[0])
                linear.bias.copy_(b[0, 0])
        jacobians = []
        for point in x:
            out = torch_net(point)
            weights = list(torch_net.parameters())
            rows = [torch.autograd.grad(o, weights, retain_graph=True) for o in out]
            jacobians.append(torch.stack([torch.cat([g.flatten() for g in row]) for row in rows]))
        kernels.append([[float((a * b).sum() / 4) for b in jacobians] for a in jacobians])
    kernels = np.array(kernels)
    error = kernels.std(0) / len(kernels) ** 0.5
    theory = predict(net, x)
    # one hidden layer of a fixed input: the rule is exact, so only the sampling error is left
    assert np.all(np.abs(theory.value("dense_2", "ntk") - kernels.mean(0)) < 5.5 * error)
    assert np.all(np.abs(1.3 * theory.value("dense_2", "ntk") - kernels.mean(0)) > 5.5 * error)


def test_a_deep_narrow_network_is_beyond_the_one_over_n_term():
    """Its mean correction is small by accident, where lengths fluctuate by more than they are."""
    narrow = predict(mlp(2, 50, activation="tanh"), order=1)
    assert narrow.regime("dense_50", "second_moment") is APPROXIMATE
    assert any(note.startswith("dense_50: the 1/n terms are above half") for note in narrow.notes())
    wide = predict(mlp(512, 3, activation="tanh"), order=1)
    assert wide.regime("dense_3", "second_moment") is CORRECTED


@pytest.mark.parametrize("name", ["sign", "step"])
def test_a_flat_activation_says_that_no_gradient_passes(name):
    theory = predict(mlp(8, 2, activation=name))
    assert not theory.value("input", "grad_second_moment").any()
    assert f"dense_2: the derivative of {name} is 0 almost everywhere" in " ".join(theory.notes())
    assert not any("almost everywhere" in note for note in predict(mlp(8, 2)).notes())


@pytest.mark.parametrize("name", ["relu", "softshrink", "gelu"])
def test_second_moments_beyond_floats_are_named(name):
    grown = mlp(64, 800, activation=name, weights=normal(std=2.5 / 8))
    words = rf"leave the range of floats at {name}_\d+: E x\^2 = .* predict a shallower network"
    with pytest.raises(ValueError, match=words):
        predict(grown)
    biased = mlp(64, 2, activation=name, weights=normal(mean=0.1, std=0.1))
    with pytest.raises(ValueError, match="zero-mean weights"):  # of another cause
        predict(biased, np.ones((1, 64)))
