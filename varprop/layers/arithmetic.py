"""Input, addition and scaling: the layers without weights that make residual networks."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp
import torch

from varprop.activations import Activation
from varprop.gaussian import is_finite_real
from varprop.layers.base import Layer, Parameters
from varprop.layers.dense import check_width
from varprop.layers.elementwise import Elementwise, as_source
from varprop.layers.tangents import cross_of, tangent_base
from varprop.moments import (
    EXACT,
    WIDE,
    Gradients,
    Moments,
    Source,
    Tangents,
    gap_of,
    merge_notes,
)


@dataclass(frozen=True)
class Input(Layer):
    """The network's input: `channels` numbers for each point."""

    channels: Any
    kind = "input"
    linear = True

    def __post_init__(self) -> None:
        check_width("input size", self.channels)

    @property
    def arguments(self) -> tuple:
        return (self.channels,)

    def size(self, *sizes: Any) -> Any:
        return self.channels

    def moments(self, name: str, *inputs: Moments) -> Moments:
        raise ValueError("an input has no rule: its law is given")

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        return ()

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        raise ValueError("an input has no rule: its tangent is given")

    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        return values[0]


@dataclass(frozen=True)
class Scale(Layer):
    """y = factor x:  E y y' = factor^2 E x x',  E g g' = factor^2 E h h'."""

    factor: Any
    kind = "scale"
    linear = True

    def __post_init__(self) -> None:
        symbolic = isinstance(self.factor, sp.Expr) and self.factor.is_extended_real is not False
        if not is_finite_real(self.factor) and not (
            symbolic and self.factor.is_finite is not False
        ):
            raise ValueError(
                f"a scale factor must be a finite number or a SymPy expression, got {self.factor!r}"
            )

    @property
    def arguments(self) -> tuple:
        return (self.factor,)

    def size(self, *sizes: Any) -> Any:
        return sizes[0]

    def moments(self, name: str, *inputs: Moments) -> Moments:
        (x,) = inputs
        source = as_source(x)
        if source is not None:
            source = Source(source.function.times(self.factor), source.law)
        square = self.factor**2
        return replace(
            x,
            mean=self.factor * x.mean,
            second=square * x.second,
            gap=square * x.gap,
            source=source,
        )

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        factor, base = gradient.factor, gradient.base
        if factor is not None:
            factor = Source(factor.function.times(self.factor), factor.law)
        elif (source := as_source(inputs[0])) is not None:
            constant = Activation(str(self.factor), sp.sympify(self.factor))
            factor, base = Source(constant, source.law), gradient.second
        return (
            replace(gradient, second=self.factor**2 * gradient.second, base=base, factor=factor),
        )

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        (x,), (t,) = inputs, tangents
        square, base = self.factor**2, tangent_base(x, t)
        cross = None if t.cross is None else square * t.cross
        return Tangents(self.factor * t.mean, square * t.second, cross, base)

    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        return self.factor * values[0]

    def transpose(self, parameters: Parameters, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.factor * gradient,)


@dataclass(frozen=True)
class Add(Layer):
    """y = a + b:  E y y' = E a a' + E b b' + E a b' + E b a'.

    Values of different fresh weights: E a b' = E a E b', exact where one of the two is fixed, or is
    symmetric about zero given the other (its weights do not reach the other), else wide. Functions
    of one Gaussian source add to one function of it.
    """

    kind = "add"
    linear = True

    def size(self, *sizes: Any) -> Any:
        if len(sizes) != 2 or sizes[0] != sizes[1]:
            raise ValueError(f"add needs two inputs of one size, got {sizes}")
        return sizes[0]

    def moments(self, name: str, *inputs: Moments) -> Moments:
        a, b = inputs
        if a.sources & b.sources:
            return self._joint(name, a, b)
        cross = EXACT
        if not (_cancels(a, b) or _cancels(b, a)):
            fresh = EXACT if a.fixed or b.fixed else WIDE
            cross = max(fresh, a.mean_regime, b.mean_regime)
        outer = a.mean[..., :, None] * b.mean[..., None, :]
        # E (a-a')(b-b') = (E a - E a')(E b - E b')
        step_a = a.mean[..., :, None] - a.mean[..., None, :]
        step_b = b.mean[..., :, None] - b.mean[..., None, :]
        normal = None
        if a.gaussian is not None and b.gaussian is not None:
            normal = max(a.gaussian, b.gaussian)
        return Moments(
            mean=a.mean + b.mean,
            second=a.second + b.second + outer + np.swapaxes(outer, -1, -2),
            gap=a.gap + b.gap + step_a * step_b,
            mean_regime=max(a.mean_regime, b.mean_regime),
            second_regime=max(a.second_regime, b.second_regime, cross),
            cross_regime=max(a.cross_regime, b.cross_regime, cross),
            gaussian=normal,
            sources=a.sources | b.sources,
            ancestors=a.ancestors | b.ancestors,
            notes=merge_notes(a.notes, b.notes),
        )

    def _joint(self, name: str, a: Moments, b: Moments) -> Moments:
        joint = joint_source(a, b)
        if joint is not None:
            return Elementwise(joint.function).moments(name, joint.law)
        second = a.second + b.second
        summed = Moments(
            mean=a.mean + b.mean,
            second=second,
            gap=gap_of(second),
            sources=a.sources | b.sources,
            ancestors=a.ancestors | b.ancestors,
            notes=merge_notes(a.notes, b.notes),
        )
        return summed.noted("a sum of dependent values taken as uncorrelated")

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        return gradient, gradient

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        (x, y), (s, t) = inputs, tangents
        joint, base = joint_source(x, y), tangent_base(x, s)
        if joint is not None and base is not None and base is tangent_base(y, t):
            return Elementwise(joint.function).tangents((joint.law,), (base,))
        if x.sources & y.sources:
            raise ValueError(
                "no tangent rule for a sum of values that depend on the same weights and are not "
                "functions of one Gaussian pre-activation; measure it with varprop.simulate"
            )
        both = s.mean[..., :, None] * t.mean[..., None, :]
        apart = x.mean[..., :, None] * t.mean[..., None, :]
        apart = apart + y.mean[..., :, None] * s.mean[..., None, :]
        return Tangents(
            s.mean + t.mean,
            s.second + t.second + (both + np.swapaxes(both, -1, -2)),
            cross_of(x, s) + cross_of(y, t) + apart,
        )

    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        return values[0] + values[1]

    def transpose(self, parameters: Parameters, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return gradient, gradient


def _cancels(a: Moments, b: Moments) -> bool:
    """Whether a is symmetric about zero whatever b is: b is not made with the weights of a."""
    return a.symmetric and not np.any(a.mean) and a.sources.isdisjoint(b.ancestors)


def joint_source(a: Moments, b: Moments) -> Source | None:
    """The sum a + b as one function of the Gaussian law that both are functions of."""
    sa, sb = as_source(a), as_source(b)
    if sa is None or sb is None or sa.law is not sb.law:
        return None
    return Source(sa.function.plus(sb.function), sa.law)
