"""Theory as two folds over the graph: moments forward, gradients in reverse."""

from collections.abc import Mapping

import numpy as np

from varprop.layers import accumulate
from varprop.moments import Gradients, Moments, Tangents
from varprop.network import Network

COTANGENT = "cotangent"  # the path name of the gradient that is given at the output


def forward(network: Network, known: Mapping[str, Moments]) -> dict[str, Moments]:
    """The law of every node; nodes in `known` keep the law that is given there."""
    laws: dict[str, Moments] = {}
    for name, layer, inputs in network:
        if name in known:
            laws[name] = known[name]
        else:
            laws[name] = layer.moments(name, *(laws[i] for i in inputs))
    return laws


def backward(network: Network, laws: Mapping[str, Moments]) -> dict[str, Gradients]:
    """The gradient law of every node for output cotangents u with E u u' = I."""
    ones = np.ones_like(laws[network.output].second)
    gradients = {network.output: Gradients(ones, paths=frozenset({COTANGENT}))}
    for name, layer, inputs in reversed(network.nodes):
        parts = layer.gradients(name, tuple(laws[i] for i in inputs), gradients[name])
        for source, part in zip(inputs, parts, strict=True):
            known = gradients.get(source)
            gradients[source] = part if known is None else accumulate(known, part)
    return gradients


def tangents(
    network: Network, laws: Mapping[str, Moments], known: Mapping[str, Tangents]
) -> dict[str, Tangents]:
    """The tangent law of every node, given that of the nodes in `known`."""
    result: dict[str, Tangents] = {}
    for name, layer, inputs in network:
        if name in known:
            result[name] = known[name]
        else:
            result[name] = layer.tangents(
                tuple(laws[i] for i in inputs), tuple(result[i] for i in inputs)
            )
    return result
