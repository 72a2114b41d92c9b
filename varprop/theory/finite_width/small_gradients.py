"""From a chain to the 1/n terms of its gradients: which assumption fails, if one does."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from varprop.activations import Activation, X
from varprop.layers import Dense, Elementwise, Input, Scale
from varprop.layers.elementwise import as_source
from varprop.moments import CORRECTED, Gradients, Moments, Regime
from varprop.network import Network
from varprop.theory.finite_width.lengths import Lengths
from varprop.theory.finite_width.pairs import MEASURE, require_gaussian
from varprop.theory.finite_width.reach import FREE, Block, Reach, below, block_of
from varprop.theory.finite_width.refusal import Absent, NoTheory


@dataclass(frozen=True)
class GradientTerms:
    """E g^2 = (its limit)(1 + shift), and the fluctuation of |g|^2/n, by point."""

    shift: np.ndarray
    fluctuation: np.ndarray
    regime: Regime = CORRECTED


def gradient_terms(
    network: Network,
    laws: Mapping[str, Moments],
    gradients: Mapping[str, Gradients],
    lengths: Mapping[str, Lengths | Absent],
) -> dict[str, GradientTerms | Absent]:
    """The statistics of every node of a chain, to the first order in 1/n, or why there are none."""
    found: dict[str, GradientTerms | Absent] = {}
    try:
        _require_chain(network, laws)
        _descend(network, laws, gradients, lengths, found)
    except NoTheory as refusal:
        for node in network:
            found.setdefault(node.name, Absent(str(refusal)))
    return found


def _descend(
    network: Network,
    laws: Mapping[str, Moments],
    gradients: Mapping[str, Gradients],
    lengths: Mapping[str, Lengths | Absent],
    found: dict[str, GradientTerms | Absent],
) -> None:
    """Fills `found` from the output down; raises NoTheory where an assumption fails."""
    ends = _block_ends(network)
    blocks = _blocks(laws, gradients, ends)
    above, zero = Reach(), 0 * laws[network.output].diagonal
    for node in reversed(network.nodes):
        name, layer, end = node.name, node.layer, ends[node.name]
        shift, shared = 0.0, 0.0
        if as_source(laws[end]) is not None:
            z = _under(network, lengths, end)
            shift, shared = z.shift, z.shared
        top = end == network.output
        reach = below(above, blocks[name], network.sizes[name], shift, shared, top=top)
        found[name] = GradientTerms(zero + reach.shift, zero + reach.spread)
        if isinstance(layer, Dense):
            above = reach.scaled(1 - layer.bias_second / laws[name].diagonal)


def _block_ends(network: Network) -> dict[str, str]:
    """The last node before the next dense layer, of each node."""
    ends, end = {}, network.output
    for node in reversed(network.nodes):
        ends[node.name] = end
        if isinstance(node.layer, Dense):
            (end,) = node.inputs
    return ends


def _blocks(
    laws: Mapping[str, Moments], gradients: Mapping[str, Gradients], ends: Mapping[str, str]
) -> dict[str, Block]:
    """The block of each node; one integral serves all nodes of the same functions."""
    found: dict[str, Block] = {}
    alike: dict[tuple[Activation, Activation], list[str]] = {}
    for name, end in ends.items():
        source, factor = as_source(laws[end]), gradients[name].factor
        if source is None or factor is None:
            found[name] = FREE
        else:
            alike.setdefault((source.function, factor.function), []).append(name)
    for (phi, psi), names in alike.items():
        q = np.stack([as_source(laws[ends[name]]).law.diagonal for name in names])  # type: ignore
        moments = block_of(phi, psi, q)
        found |= {name: Block(*(m[k] for m in moments)) for k, name in enumerate(names)}
    return found


def _under(network: Network, lengths: Mapping[str, Lengths | Absent], end: str) -> Lengths:
    """The lengths of the dense node of which `end` is a function."""
    while not isinstance(network[end].layer, Dense):
        (end,) = network[end].inputs
    known = lengths[end]
    if isinstance(known, Absent):
        raise NoTheory(known.reason)
    return known


def _require_chain(network: Network, laws: Mapping[str, Moments]) -> None:
    used: set[str] = set()
    for node in network:
        layer = node.layer
        if not isinstance(layer, Input | Dense | Elementwise | Scale):
            raise NoTheory(
                f"{node.name}: the 1/n term of gradients is known for chains of dense, elementwise "
                f"and scale layers, and this is a {layer.kind} layer; {MEASURE}"
            )
        if used & {*node.inputs}:
            raise NoTheory(f"{node.name}: the network is no chain; {MEASURE}")
        used |= {*node.inputs}
        if isinstance(layer, Dense):
            require_gaussian(layer)
        law = laws[node.name]
        if law.symbolic:
            raise NoTheory("the 1/n term of gradients needs numbers; give numeric widths and laws")
        if isinstance(layer, Elementwise) and layer.activation.expression != X:
            _require_smooth(layer, laws[node.inputs[0]])
        if isinstance(layer, Input) and not law.fixed:
            raise NoTheory(
                "the 1/n term of gradients needs an input that is the same in every network"
            )


def _require_smooth(layer: Elementwise, below: Moments) -> None:
    if layer.activation.jumps:
        raise NoTheory(f"{layer.activation} jumps, and E phi'(z)^2 is infinite")
    if below.gaussian is None:
        raise NoTheory(
            f"the 1/n term of gradients is known for {layer.activation} of pre-activations "
            f"W x + b, and this value is none; {MEASURE}"
        )
