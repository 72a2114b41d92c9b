"""The graph: what it refuses, how it names, and what it takes as inputs."""

import numpy as np
import pytest
import sympy as sp
import torch

from varprop.activations import get
from varprop.builders import mlp
from varprop.initializers import normal
from varprop.layers import Add, Dense, Elementwise, Input, Scale
from varprop.network import Graph, Network, Node

W = normal(variance=0.1)
FIRST = Node("input", Input(3))


def test_names_follow_the_kind():
    graph = Graph(3)
    x = graph.add(Dense(3, 4, W), graph.input)
    x = graph.add(Elementwise(get("relu")), x)
    y = graph.add(Elementwise(get("tanh")), x)
    y = graph.add(Elementwise(get("relu")), y)
    y = graph.add(Scale(0.8), y)
    graph.add(Add(), x, y)
    net = graph.network()
    assert [node.name for node in net] == [
        "input", "dense_1", "relu_1", "tanh_1", "relu_2", "scale_1", "add_1",
    ]  # fmt: skip
    assert (net.input, net.output) == ("input", "add_1")
    assert net.sizes["dense_1"] == 4 and net["add_1"].inputs == ("relu_1", "scale_1")
    assert net.parameter_count == 12
    assert str(net) == "network of 7 nodes, input to add_1"


@pytest.mark.parametrize(
    "nodes, message",
    [
        ((), "begins with one Input node"),
        ((Node("dense_1", Dense(3, 3, W), ("input",)),), "begins with one Input node"),
        (
            (FIRST, Node("a", Scale(2.0), ("input",)), Node("a", Scale(2.0), ("a",))),
            "node names must differ; repeated: a",
        ),
        (
            (FIRST, Node("a", Scale(2.0), ("input",)), Node("b", Scale(2.0), ("input",))),
            "nodes that reach no output: a; remove them",
        ),
        (
            (FIRST, Node("a", Add(), ("input", "b")), Node("b", Scale(2.0), ("a",))),
            "a reads 'b', which is not an earlier node",
        ),
        (
            (FIRST, Node("a", Dense(4, 3, W), ("input",))),
            r"a: dense expects 4 input channels \(its fan_in\), got 3",
        ),
    ],
)
def test_what_is_refused(nodes, message):
    with pytest.raises(ValueError, match=message):
        Network(nodes)


def test_unknown_nodes_are_named():
    with pytest.raises(ValueError, match="unknown node 'dense_9': did you mean dense_2 or dense"):
        _ = mlp(3, 1)["dense_9"]
    with pytest.raises(ValueError, match=r"unknown node 7: known: input, .*, \.\.\. \(42 in all\)"):
        _ = mlp(3, 20)[7]


def test_networks_are_values():
    assert mlp(3, 2) == mlp(3, 2) and hash(mlp(3, 2)) == hash(mlp(3, 2))
    assert len({mlp(3, 2), mlp(3, 2), mlp(3, 2, activation="tanh"), mlp(4, 2)}) == 3


def test_symbolic_means_free_symbols():
    n, s = sp.symbols("n s", positive=True)
    assert mlp(n, 1).symbolic
    assert mlp(8, 1, weights=normal(variance=s / 8)).symbolic
    assert not mlp(8, 1).symbolic
    assert not mlp(8, 1, weights=normal(variance=sp.Rational(1, 8))).symbolic


def test_inputs():
    net = mlp(3, 1)
    for inputs in (
        [[1, 2, 3], [4, 5, 6]],
        np.arange(6, dtype=np.int8).reshape(2, 3),
        torch.ones(2, 3, dtype=torch.float16),
        torch.ones(2, 3, requires_grad=True),
    ):
        x = net.check_inputs(inputs)
        assert x.shape == (2, 3) and x.dtype == np.float64
    assert net.check_inputs([1.0, 2.0, 3.0]).shape == (1, 3)


@pytest.mark.parametrize(
    "inputs, message",
    [
        (np.ones((2, 4)), r"shape \(points, 3\) for this network, got \(2, 4\); flatten"),
        (np.ones((2, 3, 1)), r"got \(2, 3, 1\)"),
        (np.ones((0, 3)), r"got \(0, 3\)"),
        ([["a", "b", "c"]], "inputs must be real numbers, got an array of"),
        (np.ones((1, 3), bool), "inputs must be real numbers, got an array of bool"),
        (
            [[1.0, 2.0, 3.0], [0.0, np.nan, np.inf]],
            r"must be finite; point 1, channel 1 is nan \(2 such values\). Remove or impute",
        ),
    ],
)
def test_inputs_that_are_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        mlp(3, 1).check_inputs(inputs)


def test_complex_inputs_are_refused():
    with pytest.raises(ValueError, match="inputs must be real numbers, got an array of complex"):
        mlp(3, 1).check_inputs(np.ones((1, 3), complex))


def test_a_graph_takes_layers_only():
    with pytest.raises(ValueError, match="a layer is needed, got 'relu'; make one with"):
        Graph(3).add("relu", "input")
