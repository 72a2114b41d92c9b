"""Theory as two folds over the graph: moments forward, gradients in reverse."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from varprop.activations import Activation, X
from varprop.layers import Elementwise, accumulate
from varprop.layers.kernels import slopes_of_many
from varprop.moments import Gradients, Moments, Tangents
from varprop.network import Network

LARGEST = 1e290  # second moments whose powers floats may not hold
COTANGENT = "cotangent"  # the path name of the gradient that is given at the output


def forward(network: Network, known: Mapping[str, Moments]) -> dict[str, Moments]:
    """The law of every node; nodes in `known` keep the law that is given there.

    Raises ValueError at the node where second moments leave the range of floats.
    """
    laws: dict[str, Moments] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # named below
        for name, layer, inputs in network:
            below = tuple(laws[i] for i in inputs)
            try:
                laws[name] = known[name] if name in known else layer.moments(name, *below)
            except ValueError as refusal:
                if (overflow := _out_of_range(name, below)) is None:
                    raise
                raise overflow from refusal
    return laws


def _out_of_range(name: str, below: tuple[Moments, ...]) -> ValueError | None:
    """What is wrong where the rule of a node was asked for numbers near the end of floats."""
    if any(x.symbolic for x in below):
        return None
    largest = max(np.abs(x.second).max(initial=0.0) for x in below)
    if largest < LARGEST:
        return None
    return ValueError(
        f"second moments leave the range of floats at {name}: E x^2 = {largest:.3g} below it; "
        "predict a shallower network, or one whose variances are nearer to those that keep E x^2"
    )


def backward(network: Network, laws: Mapping[str, Moments]) -> dict[str, Gradients]:
    """The gradient law of every node for output cotangents u with E u u' = I."""
    ones = np.ones_like(laws[network.output].second)
    gradients = {network.output: Gradients(ones, paths=frozenset({COTANGENT}))}
    slopes = _slopes(network, laws)
    with np.errstate(over="ignore"):  # to the infinity that floats have for it
        for name, layer, inputs in reversed(network.nodes):
            ready = {"slopes": slopes[name]} if name in slopes else {}
            parts = layer.gradients(name, tuple(laws[i] for i in inputs), gradients[name], **ready)
            for source, part in zip(inputs, parts, strict=True):
                known = gradients.get(source)
                gradients[source] = part if known is None else accumulate(known, part)
    return gradients


def _slopes(network: Network, laws: Mapping[str, Moments]) -> dict[str, np.ndarray]:
    """E phi'(z) phi'(z') by node, where it is a closed form of numbers: they are fast together."""
    alike: dict[Activation, list[str]] = defaultdict(list)
    for name, layer, inputs in network:
        plain = type(layer) is Elementwise  # a subclass may have a rule of its own
        if plain and _closed(layer.activation, laws[inputs[0]]):
            alike[layer.activation].append(name)
    found = {}
    for phi, names in alike.items():
        above = [laws[network[name].inputs[0]] for name in names]
        found |= zip(names, slopes_of_many(phi, above), strict=True)
    return found


def _closed(phi: Activation, z: Moments) -> bool:
    if z.symbolic or z.gaussian is None or phi.expression == X or phi.jumps:
        return False
    forms = "derivative_second_moment", "derivative_kernel"
    return all(phi.formula(name) is not None for name in forms)


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
