"""The builders: sizes, names, and what they refuse."""

import pytest
import sympy as sp

from varprop.builders import mlp, residual
from varprop.layers import Dense

NAMES = ["input", "dense_1", "relu_1", "dense_2", "relu_2", "dense_3"]


def names(net):
    return [node.name for node in net]


def test_mlp():
    net = mlp(4, 2, input=7, output=3)
    assert names(net) == NAMES
    assert list(net.sizes.values()) == [7, 4, 4, 4, 4, 3]
    assert net == mlp(widths=[7, 4, 4, 3])
    assert names(mlp(4, 2, output=None)) == NAMES[:-1]
    assert list(mlp(4, 1).sizes.values()) == [4, 4, 4, 4]
    assert names(mlp(widths=[5, 2])) == ["input", "dense_1"]


def test_the_arguments_arrive():
    net = mlp(4, 1, activation="tanh", weights="xavier_normal", bias="normal")
    layer = net["dense_1"].layer
    assert isinstance(layer, Dense)
    assert layer.weight_variance == pytest.approx(1 / 4) and layer.bias_second > 0
    assert names(net) == ["input", "dense_1", "tanh_1", "dense_2"]
    assert mlp(4, 1)["dense_1"].layer.bias is None


def test_residual():
    net = residual(4, 2, scale=0.8)
    block = ["dense_1", "relu_1", "dense_2", "scale_1", "add_1"]
    assert names(net)[:6] == ["input", *block]
    assert net["add_1"].inputs == ("input", "scale_1")
    assert net["dense_2"].layer.weight_variance == pytest.approx(1 / 4)
    assert names(residual(4, 1, closing=False)) == ["input", "dense_1", "relu_1", "add_1"]
    assert len(names(residual(4, 3))) == 1 + 3 * 4


def test_symbolic_widths():
    n = sp.Symbol("n", positive=True)
    assert list(mlp(n, 1, output=1).sizes.values()) == [n, n, n, 1]
    assert residual(n, 1).symbolic


@pytest.mark.parametrize("width", [0, -1, 2.5, True, "8"])
@pytest.mark.parametrize("build", [mlp, residual])
def test_widths_that_are_refused(build, width):
    with pytest.raises(ValueError, match="must be a positive integer or a SymPy symbol, got"):
        build(width, 2)


@pytest.mark.parametrize("depth", [0, -1, 1.5, True])
@pytest.mark.parametrize("build", [mlp, residual])
def test_depths_that_are_refused(build, depth):
    with pytest.raises(ValueError, match=f"depth must be a positive integer, got {depth}"):
        build(4, depth)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "give either width and depth, or widths="),
        ({"width": 4}, "give either width and depth"),
        ({"width": 4, "depth": 2, "widths": [4, 4]}, "give either width and depth"),
        ({"widths": [4, 4], "input": 3}, "widths spells out every size"),
        ({"widths": [4]}, r"widths needs an input and an output size, got \[4\]"),
        ({"width": 4, "depth": 1, "activation": "rleu"}, "did you mean 'relu'"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(ValueError, match=message):
        mlp(**arguments)


def test_sizes_that_are_no_sequence_are_refused():
    with pytest.raises(ValueError, match="widths needs an input and an output size, got 8"):
        mlp(widths=8)
