"""From a network to the factors of its lengths: which assumption fails, if one does."""

from typing import Any

import numpy as np
import sympy as sp

from varprop.activations import X
from varprop.layers import Dense, Elementwise, Input, Scale
from varprop.network import Network, Node, check_network
from varprop.theory.finite_width.factor import Factor
from varprop.theory.finite_width.law import LengthLaw

Slopes = tuple[float, float]  # phi(1) and phi(-1)
OPEN: Slopes = (1.0, -1.0)
REMEDY = "predict its length_fluctuation, or measure it with varprop.simulate"


def length_law(network: Network, inputs: Any = None, *, node: str | None = None) -> LengthLaw:
    """The law of x.x/n at `node` (default: the output) over networks with Gaussian weights.

    `inputs`: one real input (channels,), or None for x.x/n = 1. Raises ValueError naming the
    assumption that fails: numbers, one chain of layers, centred Gaussian weights, no bias,
    activations that are linear on both sides of zero. Source: Hanin & Nica (2020).
    """
    start = _start(network, inputs)
    factors: list[Factor] = []
    for block in _blocks(network, network.output if node is None else network[node].name):
        dense, slopes = block
        factors.append(_factor(dense.fan_out, dense.fan_in * _variance(dense), slopes))
    if not factors:
        raise ValueError("the input is given, so its length has no law; name a node above a layer")
    return LengthLaw(start, tuple(factors))


def gradient_law(network: Network, *, node: str | None = None) -> LengthLaw:
    """The law of g.g/n at `node` (default: the input), g = dL/dx for cotangents u, u.u/n = 1.

    For networks whose value at the node (below the activation, at a dense node) is not zero; the
    same assumptions as `length_law`, and a dense layer last. Raises ValueError naming the one that
    fails. Source: Hanin & Nica (2020).
    """
    _check(network)
    at = network.input if node is None else network[node].name
    if at == network.output:
        raise ValueError("the cotangent is given at the output; name a node below a dense layer")
    blocks = _blocks(network, network.output)
    if blocks[-1][1] != OPEN:
        raise ValueError(
            "the law of gradients needs a dense layer last, since gates of given cotangents are "
            f"not Gaussian, and {network.output} is an activation; give the network a readout"
        )
    below = [] if at == network.input else _blocks(network, at)
    above = blocks[len(below) :]
    gates = [_left(network, at, blocks[len(below) - 1][1], below[-1][1]) if below else OPEN]
    gates += [slopes for _, slopes in above[:-1]]
    factors = [
        _factor(dense.fan_in, dense.fan_out * _variance(dense), slopes)
        for (dense, _), slopes in zip(above, gates, strict=True)
    ]
    if not factors:
        raise ValueError(f"no dense layer is above {at}, so its gradient has no law")
    return LengthLaw(1.0, tuple(reversed(factors)))


def _left(network: Network, at: str, whole: Slopes, reached: Slopes) -> Slopes:
    """The slopes of what is between the node `at` and the next dense layer."""
    following = [n.layer for n in network if at in n.inputs]
    if isinstance(following[0], Dense):
        return OPEN
    if 0 in reached:
        raise ValueError(f"half of {at} is zero, where the next activation has its kink")
    return whole[0] / reached[0], whole[1] / -reached[1]


def _blocks(network: Network, end: str) -> list[tuple[Dense, Slopes]]:
    """The dense layers from the input to `end`, each with (phi(1), phi(-1)) of what follows it."""
    _check(network)
    blocks: list[tuple[Dense, Slopes]] = []
    for node in _path(network, end):
        layer = node.layer
        if isinstance(layer, Dense):
            _require_gaussian(node.name, layer)
            blocks.append((layer, OPEN))
            continue
        if not blocks:
            raise ValueError(f"the law of lengths needs a dense layer before {node.name}; {REMEDY}")
        dense, slopes = blocks[-1]
        blocks[-1] = (dense, _through(node, slopes))
    return blocks


def _path(network: Network, end: str) -> list[Node]:
    """The nodes above the input up to `end`, each with one input."""
    path, name = [], end
    while not isinstance(network[name].layer, Input):
        node = network[name]
        if len(node.inputs) != 1:
            raise ValueError(
                f"the law of lengths is that of a chain, and {name} joins "
                f"{', '.join(node.inputs)}; {REMEDY}"
            )
        path.append(node)
        name = node.inputs[0]
    return path[::-1]


def _through(node: Node, slopes: Slopes) -> Slopes:
    layer = node.layer
    if isinstance(layer, Scale):
        return slopes[0] * float(layer.factor), slopes[1] * float(layer.factor)
    if isinstance(layer, Elementwise) and layer.activation.expression == X:
        return slopes
    if not isinstance(layer, Elementwise) or not layer.activation.homogeneous:
        raise ValueError(
            "the law of lengths is known for activations that are linear on both sides of zero, "
            f"and {node.name} is none; {REMEDY}"
        )
    phi = layer.activation
    up, down = (float(phi.expression.subs(X, sp.Float(s, 17))) for s in slopes)
    return up, down


def _require_gaussian(name: str, layer: Dense) -> None:
    if not layer.weight_law.gaussian or layer.weight_law.mean != 0:
        raise ValueError(
            f"the law of lengths needs centred Gaussian weights, and {name} has {layer.weights}; "
            + REMEDY
        )
    if layer.weight_variance == 0:
        raise ValueError(f"the weights of {name} are all zero, so its length has no law")
    if layer.bias is not None and layer.bias_second != 0:
        raise ValueError(
            f"the law of lengths needs layers without bias, and {name} has {layer.bias}; {REMEDY}"
        )


def _factor(width: int, gain: float, slopes: Slopes) -> Factor:
    small, large = sorted(abs(s) for s in slopes)
    if large == 0:
        raise ValueError("an activation is zero on both sides of zero, so lengths have no law")
    return Factor(int(width), float(gain), large, small)


def _variance(layer: Dense) -> float:
    return float(layer.weight_variance)


def _start(network: Network, inputs: Any) -> float:
    _check(network)
    if inputs is None:
        return 1.0
    x = network.check_inputs(inputs)
    if len(x) != 1:
        raise ValueError(f"a law of lengths is that of one input, got {len(x)}; give one row")
    square = float(np.mean(x**2))
    if square == 0:
        raise ValueError("an input of zeros has length zero in every network; give another")
    return square


def _check(network: Network) -> None:
    check_network(network)
    if network.tied:
        raise ValueError(
            "the law of lengths needs fresh weights in every layer, and weights are used again by "
            f"{', '.join(sorted(network.tied))}; measure it with varprop.simulate"
        )
    if network.symbolic:
        raise ValueError(
            "the law of lengths needs numbers, and this network has SymPy symbols; predict gives "
            "its fluctuation as a formula"
        )
