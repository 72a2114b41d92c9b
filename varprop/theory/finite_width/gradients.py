"""Fluctuation over networks of the mean square of a gradient, the mirror of `lengths`.

For g = dL/dx of n channels, cotangents of independent signs at the output, and with m = E g_i^2,

    fluctuation   Var(|g|^2 / n) / m^2          V
    fourth        E g_i^4 / m^2                 f
    shared        Cov(g_i^2, g_j^2) / m^2       t,   i != j,        V = (f - 1 - t)/n + t

averaged over channels. A dense layer takes them down by `Rows.backward`; an activation with the
slopes p, s on both sides of zero multiplies f by 2 (p^4 + s^4)/(p^2 + s^2)^2 and leaves t.

Why gates are fair coins: carry a fixed direction forward, t' = D W t. A change of sign of a row of
W, and of its bias, turns its gate D_i and keeps (w_i.t)^2. So the squares of J t, and by E (g.t)^4
= 3 E |g|^4 for normal t those of g, have the law of a network with independent gates. Biases do not
count. This needs x (z, at a dense node) that is not zero, symmetric rows, and no z at a kink.

Sources: Hanin (2018), Hanin & Nica (2020) for products of matrices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from varprop.activations import X
from varprop.layers import Dense, Elementwise, Input, Scale
from varprop.moments import APPROXIMATE, EXACT, Moments, Regime
from varprop.network import Network, Node
from varprop.theory.finite_width.lengths import fluctuation_of, gates, plain
from varprop.theory.finite_width.refusal import Absent, NoTheory
from varprop.theory.finite_width.rows import Rows, rows

Slopes = tuple[Any, Any]
MEASURE = "measure this network with varprop.simulate instead"


@dataclass(frozen=True)
class GradientLengths:
    """Second-order statistics of one node's gradient, by point; see the module's equations.

    `regime`: that of all of them. `base`: the fourth before the gates between here and the next
    dense layer above; `slopes`: the slopes of these gates on both sides of zero of the
    pre-activation, None for one that is taken at a kink.
    """

    channels: Any
    fluctuation: np.ndarray
    fourth: np.ndarray
    shared: np.ndarray
    base: np.ndarray
    regime: Regime = EXACT
    slopes: Slopes = (1, 1)


def gradient_lengths(
    network: Network, laws: Mapping[str, Moments]
) -> dict[str, GradientLengths | Absent]:
    """The statistics of every node, or why there are none; `laws` is the fold of the moments."""
    one = 1 + 0 * laws[network.output].diagonal
    start = GradientLengths(network.sizes[network.output], 0 * one, one, 0 * one, one)
    found: dict[str, GradientLengths | Absent] = {network.output: start}
    reached = _reached(network, laws)
    for node in reversed(network.nodes):
        above = found[node.name]
        if isinstance(node.layer, Input):
            continue
        below = above if isinstance(above, Absent) else _tried(node, laws, reached, above)
        for name in node.inputs:
            found[name] = _joined(name, found.get(name), below)
    return {name: _given(name, state) for name, state in found.items()}


def _joined(
    name: str, other: GradientLengths | Absent | None, part: GradientLengths | Absent
) -> GradientLengths | Absent:
    """The sum over two uses of a node has no law here; what is missing already stays so."""
    if other is None or isinstance(part, Absent):
        return part
    if isinstance(other, Absent):
        return other
    return Absent(f"{name}: gradients join here, of which no law is known; {MEASURE}")


def _tried(
    node: Node, laws: Mapping[str, Moments], reached: Mapping[str, Slopes | None], g: Any
) -> GradientLengths | Absent:
    try:
        return _below(node, laws[node.inputs[0]], reached[node.inputs[0]], g)
    except NoTheory as refusal:
        return Absent(f"{node.name}: {refusal}")


def _given(name: str, state: GradientLengths | Absent) -> GradientLengths | Absent:
    if isinstance(state, GradientLengths) and None in state.slopes:
        return Absent(f"half of {name} is zero, where the next activation has its kink")
    return state


def _reached(network: Network, laws: Mapping[str, Moments]) -> dict[str, Slopes | None]:
    """phi(1) and phi(-1) of each node as a function of a symmetric pre-activation, if it is one."""
    found: dict[str, Slopes | None] = {}
    for node in network:
        layer = node.layer
        before = found[node.inputs[0]] if node.inputs else None
        found[node.name] = None
        if isinstance(layer, Dense):
            found[node.name] = (1, -1) if laws[node.name].symmetric else None
        elif before is not None and isinstance(layer, Scale):
            found[node.name] = (layer.factor * before[0], layer.factor * before[1])
        elif before is not None and isinstance(layer, Elementwise) and layer.activation.homogeneous:
            phi = layer.activation.expression
            found[node.name] = (phi.subs(X, before[0]), phi.subs(X, before[1]))
    return found


def _below(node: Node, law: Moments, reached: Slopes | None, g: GradientLengths) -> GradientLengths:
    """The statistics at the input of the node, of that `law`, given those at the node."""
    layer = node.layer
    if isinstance(layer, Dense):
        return dense(layer, law, g)
    if isinstance(layer, Scale):
        return g
    if isinstance(layer, Elementwise):
        if layer.activation.expression == X:
            return g
        if not layer.activation.homogeneous:
            raise NoTheory(
                "the exact fluctuation of gradients is known after activations that are linear on "
                f"both sides of zero, and {layer.activation} is none; {MEASURE}"
            )
        if reached is None:
            raise NoTheory(
                f"gates of {layer.activation} are fair where z = W x + b is symmetric, and this "
                f"is no function of such z; {MEASURE}"
            )
        return gated(layer, law, reached, g)
    raise NoTheory(
        "the fluctuation of gradients is known for chains of dense, elementwise and scale layers, "
        f"and this is a {layer.kind} layer; {MEASURE}"
    )


def dense(layer: Dense, law: Moments, h: GradientLengths) -> GradientLengths:
    """g = W' h."""
    if layer.tied is not None:
        raise NoTheory(
            f"gradients need fresh weights, and those of {layer.tied} are used again; {MEASURE}"
        )
    weights = Rows(*(plain(v, law.symbolic) for v in rows(layer.weight_law).backward))
    fourth, shared = weights.through(h.fluctuation, h.fourth / h.channels)
    value = fluctuation_of(layer.fan_in, fourth, shared)
    return GradientLengths(layer.fan_in, value, fourth, shared, fourth, h.regime)


def gated(layer: Elementwise, law: Moments, reached: Slopes, g: GradientLengths) -> GradientLengths:
    """dL/dz = phi'(z) dL/dx for phi linear on both sides of zero."""
    phi = layer.activation.expression
    slopes = tuple(
        _chained(phi.subs(X, z) / z if z != 0 else None, k)
        for z, k in zip(reached, g.slopes, strict=True)
    )
    regime = max(law.atomless, APPROXIMATE if g.regime is APPROXIMATE else EXACT)
    after = replace(g, slopes=slopes, regime=regime)
    if None in slopes:
        return after
    if slopes == (0, 0):
        raise NoTheory(f"{layer.activation} of this value is constant, so it has no gradient")
    fourth = plain(gates(*slopes), law.symbolic) * g.base
    value = fluctuation_of(g.channels, fourth, g.shared)
    return replace(after, fluctuation=value, fourth=fourth)


def _chained(slope: Any, above: Any) -> Any:
    """The product of two slopes, None for unknown ones: a zero ends the chain whatever is above."""
    if slope is not None and slope == 0:
        return slope
    return None if slope is None or above is None else slope * above
