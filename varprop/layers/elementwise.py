"""Elementwise activations."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch.nn import functional

from varprop.activations import Activation, X, custom, get, identity
from varprop.activations.torch_code import torch_code
from varprop.layers import kernels
from varprop.layers.base import Layer, Parameters, SlopeRule
from varprop.layers.tangents import moved, tangent_base
from varprop.moments import (
    APPROXIMATE,
    EXACT,
    WIDE,
    Gradients,
    Moments,
    Regime,
    Source,
    Tangents,
    merge_notes,
)

SLOPE_RULES: dict[str, SlopeRule] = {  # by torch's name of the activation: phi'(z) v
    "relu": lambda z, value, v: torch.ops.aten.threshold_backward(v, value, 0),
    "sigmoid": lambda z, value, v: torch.ops.aten.sigmoid_backward(v, value),
    "tanh": lambda z, value, v: torch.ops.aten.tanh_backward(v, value),
    "gelu": lambda z, value, v: torch.ops.aten.gelu_backward(v, z),
    "silu": lambda z, value, v: torch.ops.aten.silu_backward(v, z),
}
OF_ARGUMENT = {"gelu", "silu"}  # whose rule reads z, those of the others phi(z)


@dataclass(frozen=True)
class Elementwise(Layer):
    """x = phi(z).  For Gaussian z, z' with Gram matrix q:

        E x x' = E phi(z) phi(z')          E h h' = E phi'(z) phi'(z') E g g'
        E s s' = E phi'(z) y phi'(z') y'   (z, z', y, y') jointly Gaussian

    g = dL/dx, h = dL/dz, y the tangent of z and s = phi'(z) y that of x. The second moment is exact
    at any width for positively homogeneous phi of symmetric z, the others for exactly Gaussian z;
    the backward rule takes g to be independent of z, which is exact where the factor is and z has
    no atom at the kink (weights of two values on integer inputs have one, narrow ReLU layers too).
    """

    activation: Activation

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", get(self.activation))

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The activation's name, after which nodes are named."""
        return self.activation.name

    @property
    def homogeneous(self) -> bool:  # type: ignore[override]
        return self.activation.homogeneous

    def size(self, *sizes: Any) -> Any:
        return sizes[0]

    def moments(self, name: str, *inputs: Moments) -> Moments:
        (z,) = inputs
        if self.activation.expression == X:
            return z
        function, law, closed = self._source(z)
        phi = self.activation.of(function)
        halved = self.activation.homogeneous and z.symmetric and not closed
        normal = _normality(law)
        gap = kernels.gaps(law, phi)
        value = Moments(
            mean=phi.mean(law.diagonal) + 0 * law.mean,
            second=kernels.seconds(law, phi, gap),
            gap=gap,
            mean_regime=max(normal, law.mean_regime, law.second_regime),
            second_regime=z.second_regime if halved else max(normal, law.second_regime),
            cross_regime=max(normal, law.cross_regime),
            sources=z.sources,
            ancestors=z.ancestors,
            atomless=max(z.atomless, WIDE) if _vanishes(phi.expression) else z.atomless,
            source=Source(phi, law),
            notes=z.notes,
        )
        return value.noted(closed) if closed else value

    def gradients(
        self,
        name: str,
        inputs: tuple[Moments, ...],
        gradient: Gradients,
        slopes: np.ndarray | None = None,
    ) -> tuple[Gradients, ...]:
        """`slopes`: E phi'(z) phi'(z') of Gaussian z, where it is known already."""
        (z,) = inputs
        if self.activation.expression == X:
            return (gradient,)
        function, law, closed = self._source(z)
        phi = self.activation
        slope = _slope(phi, function)
        halved = self.activation.homogeneous and z.symmetric and not closed
        atom = halved and z.atomless is APPROXIMATE
        note = f"{phi}'(0) counts: z = 0 is an atom" if atom else closed
        exact = halved and z.atomless is EXACT
        factor, base, later = slope, gradient.second, gradient.factor
        if later is not None and later.law is law:
            kinks = tuple(sorted({*later.function.kinks, *slope.kinks}))
            product = later.function.expression * slope.expression
            factor, base = Activation("factor", product, kinks=kinks), gradient.base
        if later is not None and later.law is law and later.function.expression.has(X):
            # g = f(z) g_base: the mean of the joint factor, not the product of two means
            second, exact = kernels.by_pair(law, factor.second_moment, factor.kernel) * base, False
        elif function.expression == X and not phi.jumps:
            known = kernels.slopes(law, phi) if slopes is None else slopes
            second = known * gradient.second
        else:
            second = kernels.by_pair(law, slope.second_moment, slope.kernel) * gradient.second
        flat = f"the derivative of {phi} is 0 almost everywhere: no gradient passes"
        notes = ((note,) if note else ()) + ((flat,) if phi.derivative == 0 else ())
        return (
            replace(
                gradient,
                second=second,
                regime=max(gradient.regime, EXACT if exact else APPROXIMATE if note else WIDE),
                cross_regime=max(gradient.cross_regime, APPROXIMATE if note else WIDE),
                base=base,
                factor=Source(factor, law),
                notes=merge_notes(gradient.notes, notes),
            ),
        )

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        (z,), (t,) = inputs, tangents
        if self.activation.expression == X:
            return t
        function, law, _ = self._source(z)
        y, phi = tangent_base(z, t), self.activation.of(function)
        if y is None:
            raise ValueError(
                f"the tangent rule of {self.activation} needs the tangent of a Gaussian "
                "pre-activation"
            )
        return moved(phi, law, y)

    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        return torch_function(self.activation)(values[0], *self.activation.arguments)

    @property
    def slope_rule(self) -> SlopeRule | None:
        phi = self.activation
        plain = phi.function is None and not phi.arguments
        return SLOPE_RULES.get(phi.torch_name) if plain else None

    @property
    def slope_reads_argument(self) -> bool:
        """Whether the slope rule reads z; else it reads phi(z) alone."""
        return self.slope_rule is not None and self.activation.torch_name in OF_ARGUMENT

    def _source(self, z: Moments) -> tuple[Activation, Moments, str]:
        """z as a function of a centred Gaussian law, and the note of a closure where it is none."""
        if z.gaussian is None and z.source is not None:
            return z.source.function, z.source.law, ""
        if np.any(z.mean):
            raise ValueError(
                f"no rule for {self.activation} of a value with non-zero mean that is no function "
                "of one Gaussian source; measure this network with varprop.simulate instead"
            )
        note = "" if z.gaussian is not None else f"{self.activation} of a value taken as Gaussian"
        return identity(), z, note


def as_source(x: Moments) -> Source | None:
    """x as one function of one Gaussian law, the identity of itself where x is Gaussian."""
    if x.source is not None:
        return x.source
    return Source(identity(), x) if x.gaussian is not None else None


def accumulate(a: Gradients, b: Gradients) -> Gradients:
    """The gradient of a value that is used twice: the sum over its uses.

    Gradients that came through different fresh weights are uncorrelated; two multiples f1(z) g,
    f2(z) g of one gradient g add up to the multiple (f1 + f2)(z) g.
    """
    notes = merge_notes(a.notes, b.notes)
    if not a.paths & b.paths:
        return Gradients(
            a.second + b.second,
            max(a.regime, b.regime, WIDE),
            max(a.cross_regime, b.cross_regime, WIDE),
            a.paths | b.paths,
            notes=notes,
        )
    factors = [f for f in (a.factor, b.factor) if f is not None]
    bases = [g.second if g.base is None else g.base for g in (a, b)]
    if factors and bases[0] is bases[1] and all(f.law is factors[0].law for f in factors):
        one = custom("1", sp.Integer(1))
        fa, fb = (one if g.factor is None else g.factor.function for g in (a, b))
        total, law = fa.plus(fb), factors[0].law
        second = kernels.by_pair(law, total.second_moment, total.kernel) * bases[0]
        worst = max(a.regime, b.regime, WIDE)
        return Gradients(
            second, worst, worst, a.paths | b.paths, bases[0], Source(total, law), notes
        )
    worst = APPROXIMATE
    notes = merge_notes(notes, ("a sum of dependent gradients taken as uncorrelated",))
    return Gradients(a.second + b.second, worst, worst, a.paths | b.paths, notes=notes)


def torch_function(activation: Activation) -> Any:
    """The function of torch that computes the activation; called with its arguments after z.

    The one it was given, the one of that name, or one made from its expression; raises ValueError
    where the expression holds a function that torch lacks.
    """
    if activation.function is not None:
        return activation.function
    if activation.torch_name:
        for module in (functional, torch, torch.special):
            if hasattr(module, activation.torch_name):
                return getattr(module, activation.torch_name)
        raise ValueError(f"{activation} names no function of torch: {activation.torch_name!r}")
    return torch_code(activation.expression, activation.kinks)


@lru_cache(maxsize=1024)
def _slope(phi: Activation, function: Activation) -> Activation:
    """phi' of the function, as an activation."""
    return phi.slope_function.of(function)


@lru_cache(maxsize=1024)
def _vanishes(phi: sp.Expr) -> bool:
    """Whether phi is zero on a half line, as relu is."""
    return any(phi.subs(X, point) == 0 for point in (-1, 1))


def _normality(law: Moments) -> Regime:
    return WIDE if law.gaussian is None else law.gaussian
