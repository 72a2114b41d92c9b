"""Mistakes in the backward pass."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import acos, pi

import numpy as np
import torch

from benchmarks.mutants.faces import as_type
from benchmarks.mutants.forward import net
from benchmarks.mutants.mutant import ENGINE, THEORY, Mistake, Mutant, rule
from benchmarks.mutants.networks import funnel, tanh_net
from varprop.layers import Dense, Elementwise, Layer
from varprop.layers.base import Parameters
from varprop.moments import Gradients, Moments, Tangents
from varprop.network import Node

Factor = Callable[[Elementwise, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class WrongSlope(Elementwise):
    """`taken(self, q)` in the place of E phi'(z)^2, backward and along tangents alike."""

    taken: Factor

    def _ratio(self, z: Moments) -> np.ndarray:
        q = z.diagonal
        return self.taken(self, q) / self.activation.derivative_second_moment(q)

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        (below,) = super().gradients(name, inputs, gradient)
        return (replace(below, second=below.second * self._ratio(inputs[0])[..., None]),)

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        t = super().tangents(inputs, tangents)
        return replace(t, second=t.second * self._ratio(inputs[0])[..., None])


@dataclass(frozen=True)
class OneSlope(Elementwise):
    """E phi'(z)^2 for E phi'(z) phi'(z') of two inputs, backward and along tangents alike."""

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        (below,) = super().gradients(name, inputs, gradient)
        return (replace(below, second=_by_one_slope(gradient, below)),)

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        t = super().tangents(inputs, tangents)
        return replace(t, second=_by_one_slope(tangents[0], t))


def _by_one_slope(before: Gradients | Tangents, after: Gradients | Tangents) -> np.ndarray:
    """The products before, each times what the first of the two squares is multiplied by."""
    return before.second * (after.diagonal / before.diagonal)[..., None]


@dataclass(frozen=True)
class FanBack(Dense):
    """fan_in Var(w) for the gradient, as for the values."""

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        (below,) = super().gradients(name, inputs, gradient)
        return (replace(below, second=below.second * self.fan_in / self.fan_out),)


@dataclass(frozen=True)
class BiasBack(Dense):
    """The variance of the bias is added on the way back and to tangents, as to values."""

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        (below,) = super().gradients(name, inputs, gradient)
        return (replace(below, second=below.second + self.bias_second),)

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        t = super().tangents(inputs, tangents)
        return replace(t, second=t.second + self.bias_second)


@dataclass(frozen=True)
class StraightThrough(Elementwise):
    """phi(z) whose derivative is 1 in automatic differentiation."""

    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        (z,) = values
        return z + (super().apply(parameters, z, unit=unit) - z).detach()

    slope_rule = None  # type: ignore


@dataclass(frozen=True)
class FirstMask(Elementwise):
    """ReLU whose derivative is that at the first input for all inputs."""

    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        (z,) = values
        masked = z * (z[:, :1] > 0)
        return masked + (super().apply(parameters, z, unit=unit) - masked).detach()

    slope_rule = None  # type: ignore


def slope(taken: Factor) -> Mistake:
    def mistake(node: Node) -> Layer:
        right = node.layer
        return as_type(WrongSlope, right, taken=taken) if type(right) is Elementwise else right

    return mistake


MUTANTS = (
    Mutant(
        "forward factor backward",
        "E phi^2 / q is used where E phi'^2 is due.",
        THEORY,
        net("tanh"),
        slope(lambda layer, q: layer.activation.second_moment(q) / q),
    ),
    Mutant(
        "backward undoes forward",
        "Gradients are taken to shrink by what values grow.",
        THEORY,
        net("tanh"),
        slope(lambda layer, q: q / layer.activation.second_moment(q)),
    ),
    Mutant(
        "ReLU's half for every slope",
        "E phi'^2 = 1/2 is used for tanh.",
        THEORY,
        net("tanh"),
        slope(lambda layer, q: 0.5 + 0 * q),
    ),
    Mutant(
        "slope forgotten",
        "Gradients pass the activation unchanged.",
        THEORY,
        net("gelu"),
        slope(lambda layer, q: 1 + 0 * q),
    ),
    Mutant(
        "square of the mean slope",
        "(E phi')^2 is used for E phi'^2.",
        THEORY,
        net("tanh"),
        slope(lambda layer, q: layer.activation.derivative_mean(q) ** 2),
    ),
    Mutant(
        "one slope for two inputs",
        "E phi'^2 is used for E phi' phi' of two inputs.",
        THEORY,
        net("relu"),
        rule(OneSlope),
        pair=True,
    ),
    Mutant(
        "fan_in backward",
        "The gradient's sum over outputs is counted by fan_in.",
        THEORY,
        funnel,
        rule(FanBack),
        by_hand=("grad_second_moment", 24 / 16 - 1),  # at the input: the fans between cancel
    ),
    Mutant(
        "bias backward",
        "The variance of the bias is added to the gradient's.",
        THEORY,
        tanh_net,
        rule(BiasBack),
    ),
    Mutant(
        "straight-through estimator",
        "The engine's gradients pass ReLU unchanged.",
        ENGINE,
        net("relu"),
        rule(StraightThrough),
        by_hand=("grad_second_moment", 1.0),  # 1 for E phi'^2 = 1/2
    ),
    Mutant(
        "first mask for all inputs",
        "The engine keeps the derivative of ReLU at the first input: every square is right.",
        ENGINE,
        net("relu"),
        rule(FirstMask),
        pair=True,
        by_hand=("grad_cross_moment", acos(0.6) / pi),  # 1/2 for (pi - theta) / (2 pi), below 1/2
    ),
)
