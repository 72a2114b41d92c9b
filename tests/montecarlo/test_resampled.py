"""Mean lengths by resampling against exact means, and against plain ones where those hold."""

import numpy as np
import pytest
import sympy as sp

from varprop.builders import mlp, residual
from varprop.initializers import normal
from varprop.layers import Dense, Elementwise, Scale
from varprop.montecarlo import mean_length, resampled, simulate
from varprop.network import Graph
from varprop.theory import predict

FAR = 6  # standard errors of a mean over 64 blocks: 1e-7 by Student's t
DRAWS = 64 * 256

EXACT = {  # the mean is known at any width
    "relu": mlp(16, 16),
    "linear": mlp(16, 16, activation="identity", weights=normal(variance=1.1 / 16)),
    "relu with bias": mlp(16, 20, bias=normal(variance=0.5)),
    "leaky relu of two widths": mlp(widths=[8, 16, 24, 8], activation="leaky_relu"),
}


def score(found, net, node=None):
    node = net.output if node is None else node
    (mean,), (error,) = found.mean(node)
    return abs(mean - predict(net).value(node, "second_moment")[0]) / error


@pytest.mark.parametrize("name", EXACT)
def test_means_that_are_known(name, seed):
    net = EXACT[name]
    found = mean_length(net, draws=DRAWS, seed=seed)
    assert max(score(found, net, node.name) for node in net.nodes[1:]) < FAR
    rows = {row.node: row for row in found.rows()}
    assert rows[net.output].trusted
    assert rows[net.output].standard_error < 0.1 * rows[net.output].value


def test_products_of_one_step_means_are_not_the_mean_with_a_bias(seed, monkeypatch):
    monkeypatch.setattr(resampled, "_resampled", lambda ratio, generator: slice(None))
    net = EXACT["relu with bias"]
    assert score(mean_length(net, draws=DRAWS, seed=seed), net) > FAR


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_shallow_networks_have_their_plain_mean(activation, seed):
    net = mlp(32, 3, activation=activation, weights=normal(variance=2 / 32))
    inputs = np.stack([np.full(32, 0.5), np.full(32, 2.0)])
    found = mean_length(net, inputs, draws=DRAWS // 2, seed=seed)
    plain = simulate(net, inputs, draws=4096, seed=seed + 1)
    for node in net.nodes[1:]:
        mean, error = found.mean(node.name)
        values = plain.values(node.name, "second_moment")
        spread = np.hypot(error, values.std(0, ddof=1) / 64)
        assert np.all(np.abs(mean - values.mean(0)) < FAR * spread)


def test_deep_networks_need_fewer_draws(seed):
    """The relative variance of one draw of the plain mean is (1 + 5/n)^L - 1, here about 5 L/n."""
    net = mlp(16, 16, output=None)
    (mean,), (error,) = mean_length(net, draws=DRAWS, seed=seed).mean(net.output)
    plain = ((1 + 5 / 16) ** 16 - 1) / DRAWS
    assert plain / (error / mean) ** 2 > 5
    assert (error / mean) ** 2 == pytest.approx(5 / DRAWS, rel=1.0)  # +-18 % for one deviation


def test_the_blocks_do_not_depend_on_how_many_are_asked_for(seed):
    net = mlp(8, 3)
    few, many = (mean_length(net, draws=d, seed=seed) for d in (300, 1000))
    assert few.draws == 512
    np.testing.assert_array_equal(few.logs["dense_4"], many.logs["dense_4"][:2])


def test_narrow_networks_may_die(seed):
    net = mlp(1, 16, output=None)
    found = mean_length(net, draws=1024, seed=seed)
    mean, _ = found.mean("relu_16")
    assert np.isfinite(mean).all()


def test_a_length_of_zero_may_be_revived():
    net = mlp(8, 2, activation="sigmoid", weights=normal(std=0.3))
    (mean,), _ = mean_length(net, np.zeros((1, 8)), draws=512, seed=0).mean("sigmoid_1")
    assert mean == 0.25


def dying():
    """A relu network of width 1, dead three times in four, with a bias on its last layer."""
    graph = Graph(1)
    x = graph.input
    for _ in range(2):
        x = graph.add(Elementwise("relu"), graph.add(Dense(1, 1, normal(std=1.0)), x))
    graph.add(Dense(1, 1, normal(std=1.0), bias=normal(std=1.0)), x)
    return graph.network()


def test_dead_networks_that_a_bias_revives_count(seed):
    net = dying()
    found = mean_length(net, draws=DRAWS, seed=seed)
    (mean,), (error,) = found.mean(net.output)
    assert abs(mean - 1.25) < FAR * error < 0.5  # 1 + (1/2)^2


def test_without_the_floor_dead_networks_are_lost(seed, monkeypatch):
    monkeypatch.setattr(resampled, "_floored", lambda network: set())
    (mean,), (error,) = mean_length(dying(), draws=DRAWS, seed=seed).mean("dense_3")
    assert mean < 1.25 - FAR * error


def test_only_layers_whose_zeros_may_be_revived_have_a_floor():
    assert resampled._floored(mlp(8, 2)) == set()
    assert resampled._floored(mlp(8, 2, bias=normal(std=1.0))) == set()
    assert resampled._floored(mlp(8, 1, activation="sigmoid")) == {"dense_1"}
    assert resampled._floored(dying()) == {"dense_1", "dense_2"}


def test_the_streams_are_not_those_of_simulate(monkeypatch):
    keys = []
    states = resampled.stream_states
    monkeypatch.setattr(
        resampled, "stream_states", lambda seed, key, n: keys.append(key) or states(seed, key, n)
    )
    mean_length(mlp(8, 1), draws=512, seed=0)
    assert len(set(keys)) == 2 and min(map(len, keys)) > 2  # simulate has (block,), (block, node)


def test_a_scale_is_followed(seed):
    graph = Graph(8)
    z = graph.add(Dense(8, 8, "kaiming_normal"), graph.input)
    graph.add(Scale(3.0), z)
    found = mean_length(graph.network(), draws=1024, seed=seed)
    np.testing.assert_allclose(found.mean("scale_1")[0], 9 * found.mean("dense_1")[0])
    assert "mean length of scale_1" in str(found)


@pytest.mark.parametrize(
    "net, reason",
    [
        (residual(8, 2), "is no link of one chain|is a add layer|reads the input"),
        (mlp(8, 2, weights="kaiming_uniform"), "dense_1 has weights that are not centred Gaussian"),
        (mlp(8, 2, weights=normal(mean=0.1, std=0.1)), "dense_1 has weights that are not centred"),
        (mlp(8, 2, bias=normal(mean=0.1, std=0.1)), "dense_1 has biases that are not centred"),
        (mlp(8, 2, tied=True), "dense_2 uses the weights of dense_1 again"),
        (mlp(sp.Symbol("n", positive=True), 2), "a mean length needs numbers"),
    ],
)
def test_what_is_outside_the_rule_is_refused(net, reason):
    with pytest.raises(ValueError, match=reason):
        mean_length(net, draws=512, seed=0)


def test_one_block_is_refused():
    with pytest.raises(ValueError, match="draws must be a whole number of at least 257, got 256"):
        mean_length(mlp(8, 1), draws=256, seed=0)


def test_lengths_beyond_floats_are_refused():
    net = mlp(16, 6, activation="identity", weights=normal(std=1e30))
    with pytest.raises(ValueError, match="a length left the range of float64"):
        mean_length(net, draws=512, seed=0)
