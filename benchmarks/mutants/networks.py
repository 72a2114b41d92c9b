"""The true networks of the catalogue, and other weights or biases in them."""

from collections.abc import Callable
from dataclasses import replace
from math import sqrt

from benchmarks.mutants.mutant import Mistake
from varprop.activations import ACTIVATIONS
from varprop.builders import mlp
from varprop.initializers import (
    Initializer,
    get,
    normal,
    trunc_normal,
    variance_scaling,
)
from varprop.laws import TruncatedNormal
from varprop.layers import Dense, Layer
from varprop.network import Network, Node

WIDTHS = [16, 32, 20, 40, 24]
LECUN = variance_scaling(1, "fan_in", "normal")
CUT_VARIANCE = float(TruncatedNormal(0, 1, -2, 2).variance)  # of a normal cut at two deviations


def weights(make: Callable[[Dense], Initializer | str], only: str = "") -> Mistake:
    """Other weights in all dense layers, or in the one of that name."""

    def mistake(node: Node) -> Layer:
        if isinstance(node.layer, Dense) and only in ("", node.name):
            return replace(node.layer, weights=get(make(node.layer)))
        return node.layer

    return mistake


def bias(make: Callable[[Dense], Initializer | None]) -> Mistake:
    """Other biases where there are some."""

    def mistake(node: Node) -> Layer:
        if isinstance(node.layer, Dense) and node.layer.bias is not None:
            return replace(node.layer, bias=make(node.layer))
        return node.layer

    return mistake


def he(weights: str | Initializer = "kaiming_normal") -> Network:
    return mlp(32, 3, weights=weights)


def funnel(weights: str | Initializer = "kaiming_normal") -> Network:
    return mlp(widths=WIDTHS, weights=weights)


def leaky(weights: str | Initializer) -> Network:
    return mlp(32, 3, activation=ACTIVATIONS["leaky_relu"](0.3), weights=weights)


def with_weights(network: Network, name: str, law: Initializer) -> Network:
    change = weights(lambda d: law, name)
    return Network(tuple(n._replace(layer=change(n)) for n in network))


def tanh_net() -> Network:
    """Weights of variance 1.5/n, biases of variance .2."""
    w, b = normal(variance=1.5 / 32), normal(variance=0.2)
    return mlp(32, 3, activation="tanh", weights=w, bias=b)


def cut_at_two(std: float) -> Initializer:
    return trunc_normal(std=std, a=-2 * std, b=2 * std)


def std(d: Dense) -> float:
    """He's standard deviation."""
    return sqrt(2 / d.fan_in)
