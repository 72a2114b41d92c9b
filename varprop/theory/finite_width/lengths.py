"""Fluctuation over networks of the mean square of a layer, and what neurons of a layer share.

For a layer x of n channels, with m = E x_i^2 over networks,

    fluctuation   Var(|x|^2 / n) / m^2          V
    fourth        E x_i^4 / m^2                 f
    shared        Cov(x_i^2, x_j^2) / m^2       t,   i != j,        V = (f - 1 - t)/n + t
    shift         E |x|^2 / n = m_0 (1 + shift) where m_0 is the limit of infinite width

A dense layer with `Rows` (a, b, c, d) of its weights, a share u of E z^2 from the weights and
w = 1 - u from biases of kurtosis k:

    f' = u^2 (a (1 + V) + b f/n) + 6 u w + k w^2 - 2 (k - 3) u w^2 shift,
    t' = u^2 (c - 1 + c V + d f/n)

and a homogeneous activation of slopes p, m on both sides of zero multiplies f by
2 (p^4 + m^4)/(p^2 + m^2)^2 and leaves t: exact at any width, for symmetric weights and biases.
Other activations of Gaussian weights, with g(K) = E phi(sqrt(K) Z)^2, to the first order in 1/n:

    f' = E phi^4 / g^2,   t' = (K g'/g)^2 t,   shift' = (K g'/g) shift + (K^2 g''/2g) t

Sources: Hanin & Nica (2020) for products of matrices, Yaida (2019) for the first order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from varprop.activations import Activation, X
from varprop.layers import Dense, Elementwise, Input, Scale
from varprop.moments import CORRECTED, EXACT, Moments, Regime
from varprop.network import Network, Node
from varprop.theory.finite_width.bend import second_moment_bend
from varprop.theory.finite_width.refusal import Absent, NoTheory, moments_needed
from varprop.theory.finite_width.rows import Rows, finite_kurtosis, rows


@dataclass(frozen=True)
class Lengths:
    """Second-order statistics of one layer's squares, by point; see the module's equations.

    `regime` is that of `fluctuation`, `shared` and `shift`. `gaussian`: the channels are iid normal
    given the layer below. `slopes` (phi(1), phi(-1)): the value is phi(y), phi linear on both sides
    of zero, of y that has the `base` for `fourth` and keeps its law when the sign of any channel is
    changed; None where it is no such function.
    """

    channels: Any
    fluctuation: np.ndarray
    fourth: np.ndarray | None
    shared: np.ndarray
    shift: np.ndarray
    regime: Regime = EXACT
    gaussian: bool = False
    base: np.ndarray | None = None
    slopes: tuple[Any, Any] | None = None

    @property
    def kurtosis(self) -> np.ndarray | None:
        """E x_i^4 / (E x_i^2)^2 in the `regime`, of W x + b or a multiple; None of other values.

        After an activation `fourth` is known in the limit alone, or the mean is not 0.
        """
        signs = self.slopes is None or self.slopes[0] + self.slopes[1] == 0
        return self.fourth if self.base is not None and signs else None

    @property
    def neuron_correlation(self) -> np.ndarray:
        """Corr(x_i^2, x_j^2) of two neurons of the layer, over networks."""
        return self.shared / (self._known_fourth() - 1)

    @property
    def design_effect(self) -> np.ndarray:
        """By how much n neurons of one network count less than n networks: n V / (f - 1)."""
        return self.channels * self.fluctuation / (self._known_fourth() - 1)

    def _known_fourth(self) -> np.ndarray:
        if self.fourth is None:
            raise ValueError("E x^4 of the input is not known: give real inputs, not their moments")
        return self.fourth


def lengths(
    network: Network, laws: Mapping[str, Moments], inputs: np.ndarray | None
) -> dict[str, Lengths | Absent]:
    """The statistics of every node, or why there are none; `laws` is the fold of the moments.

    `inputs`: real data; None for an input of which `laws` knows all.
    """
    found: dict[str, Lengths | Absent] = {}
    for node in network:
        try:
            before = [found[i] for i in node.inputs]
            missing = next((b for b in before if isinstance(b, Absent)), None)
            known = [b for b in before if isinstance(b, Lengths)]
            if missing is not None:
                found[node.name] = missing
            elif isinstance(node.layer, Input):
                found[node.name] = start(node.layer.channels, laws[node.name], inputs)
            else:
                found[node.name] = _after(node, laws, *known)
        except NoTheory as refusal:
            found[node.name] = Absent(f"{node.name}: {refusal}")
    return found


def start(channels: Any, law: Moments, inputs: np.ndarray | None) -> Lengths:
    """The statistics of the input: its length does not fluctuate."""
    if not law.fixed:
        raise NoTheory(
            "the fluctuation of lengths needs an input that is the same in every network, or "
            "uniform on a sphere; give real inputs"
        )
    zero = 0 * law.diagonal
    fourth = None
    if inputs is not None:
        with np.errstate(invalid="ignore", divide="ignore"):  # nan for an input of zeros
            fourth = (inputs**4).mean(-1) / (inputs**2).mean(-1) ** 2
    elif law.symmetric:  # uniform on the sphere
        fourth = zero + 3 * channels / (channels + sp.Integer(2) if law.symbolic else channels + 2)
    shared = zero if channels == 1 or fourth is None else (1 - fourth) / (channels - 1)
    return Lengths(channels, zero, fourth, shared, zero)


def _after(node: Node, laws: Mapping[str, Moments], x: Lengths, *others: Lengths) -> Lengths:
    layer, law = node.layer, laws[node.name]
    if isinstance(layer, Dense):
        return dense(layer, law, x)
    if isinstance(layer, Scale):
        slopes = x.slopes and (layer.factor * x.slopes[0], layer.factor * x.slopes[1])
        return replace(x, slopes=slopes)
    if isinstance(layer, Elementwise):
        phi = layer.activation
        if phi.expression == X:
            return x
        if phi.homogeneous and x.slopes is not None:
            return homogeneous(phi, x, law.symbolic)
        return first_order(phi, laws[node.inputs[0]], x)
    raise NoTheory(
        "the fluctuation of lengths is known for chains of dense, elementwise and scale layers, "
        f"and this is a {layer.kind} layer; measure this network with varprop.simulate instead"
    )


def dense(layer: Dense, law: Moments, x: Lengths) -> Lengths:
    """z = W x + b."""
    if layer.tied is not None:
        raise NoTheory(
            f"lengths need fresh weights, and those of {layer.tied} are used again; "
            "measure this network with varprop.simulate instead"
        )
    weights = Rows(*(plain(value, law.symbolic) for value in rows(layer.weight_law)))
    if (weights.same_fourth != 0 or weights.other_fourth != 0) and x.fourth is None:
        raise NoTheory(
            f"weights of kurtosis other than 3 ({layer.weights}) need E sum x^4 of the input, and "
            "only its second moments were given: give real inputs"
        )
    per = 0 * x.fluctuation if x.fourth is None else x.fourth / x.channels
    fourth, shared = weights.through(x.fluctuation, per)
    shift = x.shift
    bias = layer.bias_law
    if bias is not None and layer.bias_second != 0:
        kurtosis = plain(finite_kurtosis(bias, "biases"), law.symbolic)
        with np.errstate(invalid="ignore", divide="ignore"):
            w = layer.bias_second / law.diagonal
        u = 1 - w
        moved = 2 * (kurtosis - 3) * u * w**2 * x.shift  # as the share of the weights moves
        fourth = u**2 * fourth + 6 * u * w + kurtosis * w**2 - moved
        shared, shift = u**2 * shared, u * shift
    normal = all(v is None or v.gaussian or v.variance == 0 for v in (layer.weight_law, bias))
    return Lengths(
        channels=layer.fan_out,
        fluctuation=fluctuation_of(layer.fan_out, fourth, shared),
        fourth=fourth,
        shared=shared,
        shift=shift,
        regime=x.regime,
        gaussian=normal,
        base=fourth,
        slopes=(1, -1) if law.symmetric else None,
    )


def homogeneous(phi: Activation, z: Lengths, symbolic: bool) -> Lengths:
    """x = phi(z) for phi linear on both sides of zero and symmetric z."""
    assert z.slopes is not None and z.base is not None
    slopes = [plain(phi.expression.subs(X, sp.sympify(s)), symbolic) for s in z.slopes]
    if slopes == [0, 0]:
        raise NoTheory(f"{phi} of this value is zero in every network, so it has no length")
    fourth = plain(gates(*slopes), symbolic) * z.base
    return replace(
        z,
        fluctuation=fluctuation_of(z.channels, fourth, z.shared),
        fourth=fourth,
        gaussian=False,
        slopes=(slopes[0], slopes[1]),
    )


def first_order(phi: Activation, law: Moments, z: Lengths) -> Lengths:
    """x = phi(z) to the first order in 1/n, for pre-activations z that are Gaussian given x."""
    if not z.gaussian:
        raise NoTheory(_why_not(phi, z))
    q = law.diagonal
    with moments_needed(), np.errstate(invalid="ignore", divide="ignore"):
        square, slope = phi.second_moment(q), phi.second_moment_slope(q)
        fourth = phi.fourth_moment(q) / square**2
        gain = q * slope / square
        bend = q**2 * second_moment_bend(phi, q) / square / 2
    shared = gain**2 * z.shared
    return Lengths(
        channels=z.channels,
        fluctuation=fluctuation_of(z.channels, fourth, shared),
        fourth=fourth,
        shared=shared,
        shift=gain * z.shift + bend * z.shared,
        regime=EXACT if law.gaussian is EXACT else CORRECTED,
    )


def _why_not(phi: Activation, z: Lengths) -> str:
    if z.base is None or z.slopes not in (None, (1, -1)):
        return (
            f"lengths after {phi} are known for pre-activations W x + b, and this value is none; "
            "measure this network with varprop.simulate instead"
        )
    if phi.homogeneous:
        return (
            f"half of z passes {phi} only where z is symmetric, and these weights or biases are "
            "not; measure this network with varprop.simulate instead"
        )
    return (
        f"lengths after {phi} are known for Gaussian weights and biases (for others, after "
        "activations that are linear on both sides of zero); measure it with varprop.simulate"
    )


def gates(up: Any, down: Any) -> Any:
    """E s^4 / (E s^2)^2 for a slope s that is `up` or `down` with probability 1/2 each."""
    p2, p4 = ((up**k + down**k) / sp.Integer(2) for k in (2, 4))
    return p4 / p2**2


def fluctuation_of(channels: Any, fourth: Any, shared: Any) -> Any:
    """V = (f - 1 - t)/n + t."""
    return (fourth - 1 - shared) / channels + shared


def plain(value: Any, symbolic: bool) -> Any:
    """A float, unless the network is symbolic."""
    value = sp.sympify(value)
    return value if symbolic or not value.is_number else float(value)
