"""Each layer's moments, gradients and tangents against naive numpy networks."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import varprop as vp
from varprop import initializers
from varprop.activations import get
from varprop.layers import Add, Dense, Elementwise, Input, Scale
from varprop.layers.tangents import cross_of
from varprop.moments import APPROXIMATE, EXACT, WIDE, Gradients, Moments, Tangents
from varprop.network import Graph, Network
from varprop.theory import backward, predict, tangents

torch.set_num_threads(1)
Z = 5.0  # two-sided 5.7e-7: each statistical assertion fails by chance at most 1e-6 of the time
DRAWS = 60_000
HE = initializers.get("kaiming_normal")


def agrees(samples, value, bias=0.0) -> bool:
    """Whether the mean over axis 0 is within Z standard errors, plus a stated bias, of `value`."""
    error = samples.std(0, ddof=1) / math.sqrt(len(samples))
    return bool(np.all(np.abs(samples.mean(0) - value) <= Z * error + bias + 1e-9))


def naive(network: Network, x: np.ndarray, rng: np.random.Generator, start=None, draws=DRAWS):
    """Values, gradients and tangents of every node in `draws` networks, rule by rule in numpy."""
    value, slope, weights, t = {}, {}, {}, {}
    names = [node.name for node in network]
    for name, layer, inputs in network:
        if isinstance(layer, Input):
            value[name] = np.broadcast_to(x, (draws, *x.shape))
            t[name] = rng.choice([-1.0, 1.0], (draws, 1, x.shape[1])) if start is None else start
            t[name] = np.broadcast_to(t[name], value[name].shape)
        elif isinstance(layer, Dense):
            spread = math.sqrt(layer.weight_variance)
            shape = (draws, layer.fan_out, layer.fan_in)
            if layer.weight_law.gaussian:
                w = rng.normal(0, spread, shape)
            else:
                w = rng.uniform(-1, 1, shape) * spread * math.sqrt(3)
            b = rng.normal(0, math.sqrt(layer.bias_second), (draws, 1, layer.fan_out))
            weights[name] = w
            value[name] = value[inputs[0]] @ np.swapaxes(w, -1, -2) + b
            t[name] = t[inputs[0]] @ np.swapaxes(w, -1, -2)
        elif isinstance(layer, Elementwise):
            value[name] = layer.activation(value[inputs[0]])
            slope[name] = layer.activation.slope(value[inputs[0]])
            t[name] = slope[name] * t[inputs[0]]
        elif isinstance(layer, Scale):
            value[name], t[name] = (layer.factor * v[inputs[0]] for v in (value, t))
        else:
            value[name], t[name] = (v[inputs[0]] + v[inputs[1]] for v in (value, t))
    out = network.output
    g = {name: 0.0 for name in names}
    g[out] = np.broadcast_to(
        rng.choice([-1.0, 1.0], (draws, 1, value[out].shape[-1])), value[out].shape
    )
    for name, layer, inputs in reversed(network.nodes):
        for source in inputs:
            if isinstance(layer, Dense):
                part = g[name] @ weights[name]
            elif isinstance(layer, Elementwise):
                part = g[name] * slope[name]
            else:
                part = g[name] * (layer.factor if isinstance(layer, Scale) else 1.0)
            g[source] = g[source] + part
    return value, g, t


def gram(v):
    return v @ np.swapaxes(v, -1, -2) / v.shape[-1]


def inputs(rng, n=5):
    """Two unequal inputs with non-zero mean."""
    return 0.8 * rng.normal(size=(2, n)) + np.array([[0.3], [0.1]])


def chain(*layers, channels=5) -> Network:
    graph = Graph(channels)
    node = graph.input
    for layer in layers:
        node = graph.add(layer, node)
    return graph.network()


def dense(a, b, weights="kaiming_normal", bias=0.2) -> Dense:
    return Dense(a, b, initializers.get(weights), initializers.normal(variance=bias))


# -- exact at small width --------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["kaiming_normal", "xavier_uniform"])
def test_dense_is_exact_at_any_width_and_law(rng, weights):
    """Rectangular, biased, Gaussian or uniform: 5 -> 7 -> 3 and back."""
    net = chain(dense(5, 7, weights), Scale(0.8), dense(7, 3, weights))
    x = inputs(rng)
    theory = predict(net, x)
    value, g, t = naive(net, x, rng)
    for name in ("dense_1", "scale_1", "dense_2", "input"):
        law, grad = theory.moments[name], theory.gradients[name]
        assert agrees(gram(value[name]), law.second)
        assert agrees(gram(g[name]), grad.second)
        assert (law.second_regime, law.cross_regime, grad.regime) == (EXACT, EXACT, EXACT)
    start = Tangents(np.zeros(2), np.ones((2, 2)), np.zeros((2, 2)))
    ahead = tangents(net, theory.moments, {"input": start})["dense_2"]
    assert agrees(gram(t["dense_2"]), ahead.second)
    mutant = theory.moments["dense_2"].second * 1.05
    assert not agrees(gram(value["dense_2"]), mutant)


def test_he_second_moments_are_exact_and_the_rest_is_wide(rng):
    """Widths 5 to 7: second moments forward and backward within errors; pairs only wide."""
    relu = Elementwise(get("relu"))
    for weights in ("kaiming_normal", "kaiming_uniform"):
        net = chain(dense(5, 7, weights), relu, dense(7, 5, weights), relu, dense(5, 7, weights))
        x = inputs(rng)
        theory = predict(net, x)
        value, g, _ = naive(net, x, rng)
        for name, *_ in net:
            law, grad = theory.moments[name], theory.gradients[name]
            assert law.second_regime == EXACT and grad.regime == EXACT, name
            assert agrees((value[name] ** 2).mean(-1), law.diagonal), name
            assert agrees((g[name] ** 2).mean(-1), grad.diagonal), name
        gaussian = weights == "kaiming_normal"
        assert theory.regime("relu_1", "mean") == (EXACT if gaussian else WIDE)
        assert theory.regime("relu_1", "cross_moment") == (EXACT if gaussian else WIDE)
        assert theory.regime("relu_2", "mean") == WIDE
        assert theory.regime("relu_2", "cross_moment") == WIDE
        assert theory.regime("dense_3", "cross_moment") == WIDE
        if gaussian:
            assert agrees(gram(value["relu_1"]), theory.moments["relu_1"].second)
    # `wide` is not timid: behind two channels the mean really is off
    net = chain(dense(5, 2, bias=0.0), relu, dense(2, 7, bias=0.0), relu, dense(7, 5))
    value, _, _ = naive(net, x, rng)
    theory = predict(net, x)
    assert agrees((value["relu_2"] ** 2).mean(-1), theory.moments["relu_2"].diagonal)
    assert not agrees(value["relu_2"].mean(-1), theory.moments["relu_2"].mean)


# -- functions of one source -----------------------------------------------------------------


def shared(weights="kaiming_normal") -> Network:
    """z = W x;  y = 0.8 (z + tanh(relu z)) + relu z;  a readout."""
    graph = Graph(5)
    z = graph.add(dense(5, 7, weights), graph.input)
    r = graph.add(Elementwise(get("relu")), z)
    s = graph.add(Elementwise(get("tanh")), r)
    a = graph.add(Scale(0.8), graph.add(Add(), z, s))
    a = graph.add(Add(), a, r)
    graph.add(dense(7, 3, weights), a)
    return graph.network()


def test_sums_of_functions_of_one_source_are_one_function(rng):
    """Exact forward: z is exactly Gaussian. The gradient above is fresh, so exact as well."""
    net, x = shared(), inputs(rng)
    theory = predict(net, x)
    direction = rng.normal(size=5) + x[0]  # correlated with the inputs
    value, g, t = naive(net, x, rng, direction)
    for name, *_ in net:
        assert agrees(gram(value[name]), theory.moments[name].second), name
        if name != "input":  # there g depends on the weights it came through: wide
            assert agrees(gram(g[name]), theory.gradients[name].second), name
    assert theory.regime("input", "grad_second_moment") == WIDE
    assert theory.notes() == ()
    assert theory.regime("add_2", "second_moment") == EXACT
    square, zero = np.mean(direction**2), np.zeros(2)
    along = np.repeat(x @ direction[:, None] / 5, 2, axis=1)
    start = Tangents(zero + direction.mean(), np.full((2, 2), square), along)
    ahead = tangents(net, theory.moments, {"input": start})
    for name in ("tanh_1", "add_2", "dense_2"):
        assert agrees(gram(t[name]), ahead[name].second), name
        assert agrees(t[name].mean(-1), ahead[name].mean), name
        cross = cross_of(theory.moments[name], ahead[name])
        assert agrees(value[name] @ np.swapaxes(t[name], -1, -2) / value[name].shape[-1], cross)


def test_taking_the_factors_apart_is_found_out(rng):
    """A planted fault: E tanh'(relu z)^2 E relu'(z)^2 in place of the mean of the product."""
    net, x = chain(dense(5, 7), Elementwise(get("relu")), Elementwise(get("tanh"))), inputs(rng)
    theory = predict(net, x)
    _, g, _ = naive(net, x, rng)
    found = theory.gradients["dense_1"].second
    assert agrees(gram(g["dense_1"]), found)
    apart = theory.gradients["relu_1"].second * 0.5
    assert not agrees((g["dense_1"] ** 2).mean(-1), np.diag(apart))


def test_plain_skip_over_an_activation(rng):
    graph = Graph(5)
    z = graph.add(dense(5, 7), graph.input)
    graph.add(Add(), z, graph.add(Elementwise(get("gelu")), z))
    net, x = graph.network(), inputs(rng)
    theory = predict(net, x)
    value, g, _ = naive(net, x, rng)
    for name, *_ in net:
        assert agrees(gram(value[name]), theory.moments[name].second), name
        if name != "input":
            assert agrees(gram(g[name]), theory.gradients[name].second), name
    law = theory.moments
    independent = law["dense_1"].second + law["gelu_1"].second
    assert not agrees(gram(value["add_1"]), independent)


def test_dependent_sums_are_approximate_and_say_so():
    graph = Graph(5)
    graph.add(Add(), graph.input, graph.add(Scale(0.5), graph.input))
    theory = predict(graph.network(), np.ones((1, 5)))
    assert theory.regime("add_1", "second_moment") == APPROXIMATE
    assert theory.regime("input", "grad_second_moment") == APPROXIMATE
    assert theory.notes() == (
        "add_1: a sum of dependent values taken as uncorrelated",
        "input: a sum of dependent gradients taken as uncorrelated",
    )


def test_a_value_that_is_not_gaussian_is_closed_with_a_note():
    """relu(x + W relu(V x)): the sum with data is no Gaussian."""
    graph = Graph(5)
    branch = graph.add(Elementwise(get("tanh")), graph.add(dense(5, 5), graph.input))
    branch = graph.add(dense(5, 5), branch)
    graph.add(Elementwise(get("relu")), graph.add(Add(), graph.input, branch))
    theory = predict(graph.network())
    assert theory.regime("relu_1", "second_moment") == APPROXIMATE
    assert "relu_1: relu of a value taken as Gaussian" in theory.notes()
    with pytest.raises(ValueError, match=r"relu of a value with non-zero mean .*simulate instead"):
        predict(graph.network(), np.ones((1, 5)))


def test_the_identity_changes_nothing():
    """On any value, data with a mean included."""
    x = np.array([[1.0, 2.0, 4.0]])
    theory = predict(chain(Elementwise(get("identity")), channels=3), x)
    assert theory.value("identity_1", "second_moment") == pytest.approx([7.0])
    assert theory.value("identity_1", "mean") == pytest.approx([7 / 3])
    assert theory.regime("identity_1", "second_moment") == EXACT
    assert theory.notes() == ()


def test_weights_of_non_zero_mean_are_refused():
    for layer, what in (
        (Dense(3, 3, initializers.constant(0.5)), "weights"),
        (Dense(3, 3, HE, initializers.constant(0.5)), "bias"),
    ):
        with pytest.raises(ValueError, match=rf"need zero-mean {what}; .* varprop.simulate"):
            predict(chain(layer, channels=3))
    zero = Dense(3, 3, HE, initializers.constant(0.0))
    assert predict(chain(zero, channels=3)).value("dense_1", "second_moment") == pytest.approx(2.0)


# -- forward tangents and backward gradients are adjoint ---------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["dense", "relu", "tanh", "abs", "scale", "skip", "twice"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=6,
)


def random_graph(steps) -> Network:
    widths = [3, 4, 6, 5]
    graph, width = Graph(5), 4
    node = graph.add(Dense(5, width, HE, initializers.normal(variance=0.3)), graph.input)
    for kind, k in steps:
        if kind == "dense":
            node, width = graph.add(Dense(width, widths[k], HE), node), widths[k]
        elif kind == "scale":
            node = graph.add(Scale(0.8), node)
        elif kind == "skip":  # a branch with its own weights
            branch = graph.add(Elementwise(get("tanh")), graph.add(Dense(width, width, HE), node))
            node = graph.add(Add(), node, graph.add(Dense(width, width, HE), branch))
            node = graph.add(Dense(width, width, HE), node)
        elif kind == "twice":  # two functions of one source
            z = graph.add(Dense(width, width, HE), node)
            node = graph.add(Add(), graph.add(Scale(0.8), z), graph.add(Elementwise(get("abs")), z))
        else:
            node = graph.add(Elementwise(get(kind)), graph.add(Dense(width, width, HE), node))
    graph.add(Dense(width, 2, HE), node)
    return graph.network()


@settings(max_examples=15)
@given(STEPS)
def test_tangents_and_gradients_are_adjoint(steps):
    """n_in E g^2 = E |J|^2 = n_out E t^2."""
    net = random_graph(steps)
    theory = predict(net)
    start = Tangents(np.zeros(1), np.ones((1, 1)), np.zeros((1, 1)))
    ahead = tangents(net, theory.moments, {"input": start})[net.output].second * 2
    assert ahead == pytest.approx(theory.gradients["input"].second * 5, rel=1e-9)


def test_a_backward_rule_that_is_wrong_is_not_adjoint(monkeypatch):
    """A planted fault: fan_in where fan_out belongs."""
    net = random_graph([("relu", 0), ("dense", 2)])
    theory = predict(net)
    start = Tangents(np.zeros(1), np.ones((1, 1)), np.zeros((1, 1)))
    ahead = tangents(net, theory.moments, {"input": start})[net.output].second * 2

    def wrong(self, name, inputs, gradient):
        second = self.fan_in * self.weight_variance * gradient.second
        return (Gradients(second, paths=frozenset({name})),)

    monkeypatch.setattr(Dense, "gradients", wrong)
    back = backward(net, theory.moments)["input"].second * 5
    assert ahead != pytest.approx(back, rel=1e-3)


# -- faces and messages ------------------------------------------------------------------------


def test_apply_and_draw(generator):
    layer = dense(5, 7)
    weight, bias = layer.draw(4, generator, torch.float64, torch.device("cpu"))
    assert weight.shape == (4, 7, 5) and bias.shape == (4, 1, 7)
    x = torch.randn(4, 2, 5, generator=generator, dtype=torch.float64)
    found = layer.apply((weight, bias), x, unit=0.5)
    for k in range(4):
        truth = x[k] @ weight[k].T + 0.5 * bias[k]
        assert torch.allclose(found[k], truth)
    assert layer.parameter_count() == 7 * 5 + 7
    assert torch.equal(Scale(0.8).apply((), x), 0.8 * x)
    assert torch.equal(Add().apply((), x, x), 2 * x)
    assert torch.equal(Elementwise(get("relu")).apply((), x), x.clamp(min=0))


def test_every_layer_that_is_homogeneous_scales(generator):
    x = torch.randn(1, 1, 4, generator=generator, dtype=torch.float64)
    layers = [Scale(0.8), Dense(4, 4, HE), *(Elementwise(get(a)) for a in ("relu", "tanh", "abs"))]
    for layer in layers:
        drawn = layer.draw(1, generator, torch.float64, torch.device("cpu"))
        doubled = torch.allclose(layer.apply(drawn, 2 * x), 2 * layer.apply(drawn, x))
        assert doubled == layer.homogeneous


def test_messages():
    with pytest.raises(ValueError, match="fan_in must be a positive integer or a SymPy symbol"):
        Dense(0, 3, HE)
    with pytest.raises(ValueError, match=r"fan_out must be a positive integer .*, got 2.5"):
        Dense(3, 2.5, HE)
    with pytest.raises(ValueError, match=r"a scale factor must be a finite number .*, got nan"):
        Scale(float("nan"))
    with pytest.raises(ValueError, match=r"dense expects 3 input channels \(its fan_in\), got 4"):
        Dense(3, 3, HE).size(4)
    with pytest.raises(ValueError, match=r"add needs two inputs of one size, got \(3, 4\)"):
        Add().size(3, 4)
    with pytest.raises(ValueError, match="an input has no rule"):
        Input(3).moments("input")
    zero = Tangents(np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="needs the tangent of a Gaussian pre-activation"):
        Elementwise(get("tanh")).tangents((Moments.unit(),), (zero,))
    dependent = (Moments.unit(), Moments.unit(second=2.0))
    with pytest.raises(ValueError, match="that depend on the same weights and are not functions"):
        Add().tangents(dependent, (zero, zero))


def test_a_sum_with_a_value_made_from_its_own_weights_is_not_exact(seed):
    """z + relu(W relu(z)): z is symmetric, but not given relu(W relu(z))."""
    he = vp.init.kaiming_normal()
    graph = vp.Graph(8)
    z = graph.add(vp.Dense(8, 8, he), graph.input)
    first = graph.add(vp.Elementwise(vp.activation("relu")), z)
    second = graph.add(vp.Dense(8, 8, he), first)
    graph.add(vp.Add(), z, graph.add(vp.Elementwise(vp.activation("relu")), second))
    net = graph.network()
    theory = vp.predict(net)
    assert theory.regime("add_1", "second_moment") is vp.Regime.WIDE
    measured = vp.simulate(net, draws=20_000, seed=seed).values("add_1", "second_moment")[:, 0]
    error = measured.std() / len(measured) ** 0.5
    assert measured.mean() - theory.value("add_1", "second_moment")[0] > 5 * error


def test_weights_of_two_values_on_integer_inputs_have_no_exact_backward_rule(seed):
    """P(z = 0) > 0, and relu'(0) = 0: the gradient is smaller than half."""
    net = vp.mlp(8, 1, weights=vp.init.rademacher(2))
    x = np.ones((1, 8))
    theory = vp.predict(net, x)
    assert theory.regime("dense_1", "grad_second_moment") is vp.Regime.APPROXIMATE
    assert any("atom" in note for note in theory.notes())
    assert vp.predict(net).regime("dense_1", "grad_second_moment") is vp.Regime.EXACT
    sample = vp.simulate(net, x, draws=4000, seed=seed, engine="explicit")
    measured = sample.values("dense_1", "grad_second_moment")[:, 0]
    error = measured.std() / len(measured) ** 0.5
    assert theory.value("dense_1", "grad_second_moment")[0] - measured.mean() > 5 * error
