r"""How far a network that is computed in a dtype lies from the exact one, node by node.

A number m 2^e, m in [1, 2), rounded to the nearest multiple of 2 u 2^e is off by an error that is
uniform on +-u 2^e, of variance u^2 4^e / 3 (u is half of `torch.finfo(dtype).eps`). Where a law is
spread over several powers of two, m is nearly log-uniform, and then

    E error^2 / E x^2 = (u^2/3) E m^-2 = (u^2/3) int_1^2 m^-3 dm / ln 2 = u^2 / (8 ln 2).

The rules round the quantiles of each node's own law instead, as tanh near 1 and numbers below the
smallest normal one are not like that. Rounded once are inputs and weights; the sum of products,
which torch accumulates in float32 for bfloat16 and float16 (measured on the CPU); the sum with a
bias; the value of an activation, where relu returns what is a number of the dtype already. A
product in float32 rounds each of its n partial sums, of variances k/n: (n + 1)/2 times the variance
of one rounding. That is the plain sum, of which a part (n - 1)/3 is proportional to the value z, as
E (s_k^2 | s_n = z) = (k/n)^2 z^2 + (k/n)(1 - k/n) q. Kernels that split it (those for a single
input, or n above a few hundred) round less, and there the prediction is an upper one: 1.7 times
what is measured at n = 512, and 2 times for one input.

The exact and the rounded network are two inputs of one theory: a rounding adds half its variance
to gap = E (x - x~)^2 / 2, and the layers' own pair rules carry the gap on. To first order it
travels like a tangent, multiplied by chi = s^2 E phi'^2 a layer, so that

    e_l^2 = E (x - x~)^2 / E x^2 = sum_k delta_k^2 prod_(k<j<=l) chi_j q_(j-1) / q_j.

Backward, an error of dL/dy passes on like dL/dy itself, and the slope is taken at the rounded z:

    E (h - h~)^2 = E phi'^2 E (g - g~)^2 + E (phi'(z) - phi'(z~))^2 E g^2.

For relu the last factor is the chance of another sign, arccos(1 - e^2/2) / pi or about e/pi: the
error of a gradient grows like the root of that of the values. It is made of rare large steps: where
the networks drawn have fewer than a few such signs (float32), nearly all of them lie far below it.

These are ratios of averages over wide networks. The average of each network's own ratio is larger:
by (1 + 4/n) a layer for relu, as both lengths fluctuate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from scipy import special

from varprop.layers import Add, Dense, Elementwise, Input
from varprop.moments import Moments
from varprop.network import Node
from varprop.theory.predict import Prediction

BELOW = (torch.bfloat16, torch.float16, torch.float32)
QUANTILES = 2**12  # of a law that is rounded: its error is known to 2 %


@dataclass(frozen=True)
class Rounding:
    """Root mean square relative errors by node, (points,): of values and of gradients."""

    values: Mapping[str, np.ndarray]
    gradients: Mapping[str, np.ndarray]


@torch.inference_mode(False)  # whatever the caller's thread is set to
@torch.autocast("cpu", enabled=False)
def rounding_of(theory: Prediction, dtype: torch.dtype, *, parameters: bool = True) -> Rounding:
    """The relative errors of a plain pass in `dtype`, forward and back.

    `parameters`: inputs and weights are rounded too, and count as errors; without it they are taken
    as they are in `dtype`, and only the arithmetic errs.

    Raises ValueError for symbolic predictions, for an activation of what another one returns, and
    for float64, which is what errors are measured against.
    """
    if dtype not in BELOW:
        raise ValueError(
            f"rounding errors are those of {', '.join(map(str, BELOW))} beside torch.float64, "
            f"got {dtype!r}"
        )
    if theory.symbolic:
        raise ValueError("rounding errors need numbers, and this prediction has SymPy symbols")
    fold = _Fold(theory, dtype, parameters)
    return Rounding(fold.values(), fold.gradients())


class _Fold:
    """Points, each exact and rounded, through the network and back; numbers are (points,).

    `laws` hold the pair (x, x~) before x~ is stored: errors that do not depend on x. `stored` holds
    the variance of what storing it adds, in proportion to x; no sign changes by it.
    """

    def __init__(self, theory: Prediction, dtype: torch.dtype, parameters: bool) -> None:
        self.theory, self.parameters = theory, parameters
        self.dtype = dtype
        self.laws: dict[str, Moments] = {}
        self.stored: dict[str, np.ndarray] = {}
        for node in theory.network:
            self._forward(node)

    def values(self) -> dict[str, np.ndarray]:
        return {
            name: np.sqrt((2 * law.gap[:, 0, 1] + self.stored[name]) / _live(_square(law)))
            for name, law in self.laws.items()
        }

    def _forward(self, node: Node) -> None:
        name, layer, inputs = node
        if isinstance(layer, Input):
            self.laws[name] = law = _pairs(self.theory.moments[name])
            self.stored[name] = self._once(_square(law)) * self.parameters
            return
        ins = [self.laws[i] for i in inputs]
        _check(node, ins)
        if not isinstance(layer, Elementwise):
            ins = [_apart(x, self.stored[i]) for x, i in zip(ins, inputs, strict=True)]
        law = layer.moments(name, *ins)
        q = _square(law)
        if isinstance(layer, Elementwise):
            z = _normal(_square(ins[0]))
            exact, moved = layer.apply((), z), layer.apply((), self._round(z))
            again = self._partial(inputs[0]) * _mean_square(moved - exact)
            self.stored[name] = again + _mean_square(self._round(moved) - exact)
        elif isinstance(layer, Dense):
            bias = float(layer.bias_second)
            law = _apart(law, self._product(layer, q - bias, layer.fan_in))
            if bias:  # q - bias is one more partial sum
                law = _apart(law, bias / q * self._once(q - bias))
                law = _apart(law, self._once(np.full_like(q, bias)) * self.parameters)
        self.laws[name] = law
        if not isinstance(layer, Elementwise):
            self.stored[name] = (1 + self._partial(name)) * self._once(q)

    def _partial(self, name: str) -> np.ndarray | float:
        """How many roundings of z its partial sums amount to in what is proportional to z."""
        layer = self.theory.network[name].layer
        if not isinstance(layer, Dense):
            return 0.0
        share = 1 - float(layer.bias_second) / _live(_square(self.laws[name]))
        terms = (layer.fan_in - 1) / 3 * share if self._sums else 0.0
        return terms + (share**2 if layer.bias_second else 0.0)

    @property
    def _sums(self) -> bool:
        return self.dtype == torch.float32

    def _product(self, layer: Dense, q: np.ndarray, terms: int) -> np.ndarray:
        """What a product adds that does not depend on its value, q the variance of that."""
        added = (terms - 1) / 6 * self._once(q) * self._sums
        variance = np.array([layer.weight_variance])
        return added + q * self._once(variance) / variance * self.parameters

    def gradients(self) -> dict[str, np.ndarray]:
        network, gradients = self.theory.network, self.theory.gradients
        error = {node.name: np.zeros(self.theory.points) for node in network}
        for node in reversed(network.nodes[1:]):
            above = gradients[node.name].diagonal
            ins = tuple(self.theory.moments[i] for i in node.inputs)
            parts = node.layer.gradients(node.name, ins, gradients[node.name])
            for source, part in zip(node.inputs, parts, strict=True):
                passed = part.diagonal / _live(above) * error[node.name]
                error[source] += passed + self._backward(node, part.diagonal, above)
        squares = {name: gradients[name].diagonal for name in error}
        return {n: np.sqrt(e / _live(squares[n])) for n, e in error.items()}

    def _backward(self, node: Node, square: np.ndarray, above: np.ndarray) -> np.ndarray:
        """The variance of what a node adds to the error of the gradient below it."""
        layer = node.layer
        if isinstance(layer, Dense):
            partial = (layer.fan_out - 1) / 3 if self._sums else 0.0
            return self._product(layer, square, layer.fan_out) + (1 + partial) * self._once(square)
        if isinstance(layer, Elementwise):
            return self._turned(layer, node.inputs[0]) * above
        return 0.0 * square if isinstance(layer, Add) else self._once(square)

    def _turned(self, layer: Elementwise, source: str) -> np.ndarray | float:
        """E (phi'(z) - phi'(z~))^2, with the rounding of the product phi'(z~) g~."""
        phi, law = layer.activation, self.laws[source]
        if phi.derivative.is_number:
            return 0.0
        q = _square(law)
        z = _normal(q)
        slope, largest = _slope(layer, z), torch.finfo(self.dtype).max
        near = _mean_square(_slope(layer, self._round(z)) - slope)
        own = _mean_square(
            _slope(layer, z.clamp(-largest, largest).to(self.dtype)).double() - slope
        )
        apart = 2 * phi.slope_function.gap(q, q, law.gap[:, 0, 1])
        return apart + self._partial(source) * near + own

    def _round(self, x: torch.Tensor) -> torch.Tensor:
        """x~; beyond the largest number x itself, as the range is another matter (`range_of`)."""
        near = x.to(self.dtype).double()
        return torch.where(torch.isfinite(near), near, x)

    def _once(self, q: np.ndarray) -> np.ndarray:
        """E error^2 of one rounding of N(0, q)."""
        z = _normal(q)
        return _mean_square(self._round(z) - z)


def _slope(layer: Elementwise, z: torch.Tensor) -> torch.Tensor:
    """phi'(z) by torch's own rule in the dtype of z."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = layer.apply((), z)
        return torch.autograd.grad(value, z, torch.ones_like(value))[0]


def _mean_square(x: torch.Tensor) -> np.ndarray:
    return x.square().mean(-1).numpy()


def _normal(q: np.ndarray) -> torch.Tensor:
    """Quantiles of N(0, q), (points, QUANTILES)."""
    return torch.from_numpy(np.sqrt(q)[:, None] * _quantiles())


@cache
def _quantiles() -> np.ndarray:
    return special.ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES)


def _square(law: Moments) -> np.ndarray:
    """E x^2 of the exact member of each pair."""
    return law.second[:, 0, 0]


def _live(q: np.ndarray) -> np.ndarray:
    """What may be divided by: 1 for the lengths of vectors of zeros, which have no error."""
    return np.where(q > 0, q, 1.0)


def _pairs(law: Moments) -> Moments:
    """Each point of a law twice, on an axis of its own."""
    q = np.broadcast_to(law.diagonal[:, None, None].astype(float), (law.mean.size, 2, 2))
    mean = np.stack([law.mean, law.mean], -1).astype(float)
    return replace(law, mean=mean, second=q.copy(), gap=np.zeros(q.shape))


def _apart(law: Moments, variance: np.ndarray | float) -> Moments:
    """The pairs with an independent error of that variance added to each second member."""
    added = np.multiply.outer(np.broadcast_to(variance, law.mean.shape[:1]), (1 - np.eye(2)) / 2)
    gap = law.gap + added
    return replace(law, gap=gap, second=_square(law)[:, None, None] - gap)


def _check(node: Node, ins: list[Moments]) -> None:
    """Raises ValueError where a rule would go back to a law from before a rounding."""
    again = [x for x in ins if x.source is not None and x.gaussian is None]
    joint = isinstance(node.layer, Add) and bool(ins[0].sources & ins[1].sources)
    if joint or (isinstance(node.layer, Elementwise) and again):
        raise ValueError(
            f"{node.name} reads values that were made from one pre-activation, and the rounding "
            "between is not followed; predict networks in which dense layers or sums of such lie "
            "before each activation, or measure with varprop.precision_study"
        )
