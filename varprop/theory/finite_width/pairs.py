"""Two inputs at finite width: how the entries of the random kernel move and vary together.

For each pair of inputs, with the entries e = 11, 12, 22 of the kernel K_e = E z_a z_b given the
layer below,

    shift    E K_e less its limit          S
    shared   Cov(K_e, K_f)                 T
    noise    Cov of the products of one neuron, C, so that x.x'/n varies by T + C/n

A dense layer of Gaussian weights, s = n Var(w), and an activation with `rule` (J, H, C):

    S' = s S,   T' = s^2 (T + C/n)            S' = J S + H:T/2,   T' = J T J'

to the first order in 1/n. Sources: Yaida (2019); Roberts, Yaida & Hanin (2022), chapter 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from varprop.activations import X
from varprop.layers import Dense, Elementwise, Input, Scale
from varprop.moments import CORRECTED, EXACT, Moments, Regime
from varprop.network import Network, Node
from varprop.theory.finite_width.pair_rules import Rule, gaussian_noise, rule
from varprop.theory.finite_width.refusal import Absent, NoTheory

MEASURE = "measure this network with varprop.simulate instead"


@dataclass(frozen=True)
class Pairs:
    """S, T and C of the module's equations, over pairs of inputs in the order of `triu_indices`.

    `gaussian`: the channels are iid normal given the layer below.
    """

    channels: Any
    shift: np.ndarray
    shared: np.ndarray
    noise: np.ndarray
    regime: Regime = EXACT
    gaussian: bool = False

    def cross_shift(self, points: int) -> np.ndarray:
        """The 1/n term of E x x', (points, points), zero on the diagonal."""
        square = np.zeros((points, points), self.shift.dtype)
        rows, columns = np.triu_indices(points, 1)
        square[rows, columns] = square[columns, rows] = self.shift[:, 1]
        return square


def pairs(network: Network, laws: Mapping[str, Moments]) -> dict[str, Pairs | Absent]:
    """The statistics of every node, or why there are none; `laws` is the fold of the moments."""
    found: dict[str, Pairs | Absent] = {}
    for node in network:
        before = [found[i] for i in node.inputs]
        missing = next((b for b in before if isinstance(b, Absent)), None)
        try:
            if missing is not None:
                found[node.name] = missing
            else:
                known = [b for b in before if isinstance(b, Pairs)]
                found[node.name] = _after(node, laws, *known)
        except NoTheory as refusal:
            found[node.name] = Absent(f"{node.name}: {refusal}")
    return found


def _after(node: Node, laws: Mapping[str, Moments], *before: Pairs) -> Pairs:
    layer, law = node.layer, laws[node.name]
    if isinstance(layer, Input):
        return _start(layer.channels, law)
    if isinstance(layer, Dense):
        return dense(layer, law, before[0])
    if isinstance(layer, Scale):
        return scaled(before[0], layer.factor)
    if isinstance(layer, Elementwise):
        if layer.activation.expression == X:
            return before[0]
        z, below = before[0], laws[node.inputs[0]]
        if not z.gaussian:
            raise NoTheory(
                f"pairs after {layer.activation} are known for pre-activations W x + b, and this "
                f"value is none; {MEASURE}"
            )
        if law.symbolic:
            raise NoTheory("the 1/n term of two inputs needs numbers; give numeric widths and laws")
        q1, _, q2 = entries(below)
        return elementwise(rule(layer.activation, q1, q2, gaps(below)), z)
    raise NoTheory(
        "the 1/n term of two inputs is known for chains of dense, elementwise and scale layers, "
        f"and this is a {layer.kind} layer; {MEASURE}"
    )


def entries(law: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K_11, K_12, K_22 of each pair."""
    rows, columns = np.triu_indices(law.diagonal.shape[-1], 1)
    return law.diagonal[rows], law.second[rows, columns], law.diagonal[columns]


def gaps(law: Moments) -> np.ndarray:
    return law.gap[np.triu_indices(law.diagonal.shape[-1], 1)]


def _start(channels: Any, law: Moments) -> Pairs:
    if not law.fixed:
        raise NoTheory(
            "the 1/n term of two inputs needs inputs that are the same in every network; give real "
            "inputs"
        )
    zero = np.zeros((entries(law)[0].size, 3, 3), law.second.dtype)
    return Pairs(channels, zero[..., 0], zero, zero)


def dense(layer: Dense, law: Moments, x: Pairs) -> Pairs:
    """z = W x + b."""
    require_gaussian(layer)
    gain = layer.fan_in * layer.weight_variance
    return Pairs(
        channels=layer.fan_out,
        shift=gain * x.shift,
        shared=gain**2 * (x.shared + x.noise / x.channels),
        noise=gaussian_noise(*entries(law)),
        regime=x.regime,
        gaussian=True,
    )


def require_gaussian(layer: Dense) -> None:
    """Raises NoTheory for weights that are used again, or that are not Gaussian."""
    if layer.tied is not None:
        raise NoTheory(
            f"weights must be fresh, and those of {layer.tied} are used again; {MEASURE}"
        )
    laws = (("weights", layer.weight_law), ("biases", layer.bias_law))
    for what, law in laws:
        if law is not None and not law.gaussian and law.variance != 0:
            raise NoTheory(f"{what} must be Gaussian, and {law} is not; {MEASURE}")


def scaled(x: Pairs, factor: Any) -> Pairs:
    return replace(
        x,
        shift=factor**2 * x.shift,
        shared=factor**4 * x.shared,
        noise=factor**4 * x.noise,
    )


def elementwise(of: Rule, z: Pairs) -> Pairs:
    """x = phi(z)."""
    bent = np.einsum("pefg,pfg->pe", of.bend, z.shared) / 2
    return replace(
        z,
        shift=np.einsum("pef,pf->pe", of.slope, z.shift) + bent,
        shared=of.slope @ z.shared @ np.swapaxes(of.slope, -1, -2),
        noise=of.noise,
        regime=CORRECTED,
        gaussian=False,
    )
