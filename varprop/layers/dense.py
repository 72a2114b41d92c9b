"""The dense layer."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
import torch

from varprop import initializers
from varprop.gaussian import is_symbolic
from varprop.initializers import Initializer
from varprop.laws import Law
from varprop.layers.base import Layer, Parameters
from varprop.layers.tangents import cross_of
from varprop.moments import APPROXIMATE, EXACT, WIDE, Gradients, Moments, Regime, Tangents

NEVER_DEAD = 53  # units at which 2^-n is below the precision of floats


@dataclass(frozen=True)
class Dense(Layer):
    """z = W x + b,  W of shape (fan_out, fan_in), entries of zero mean.

        E z z'  = fan_in  Var(w) E x x' + E b^2
        E g g'  = fan_out Var(w) E h h'          g = dL/dx, h = dL/dz
        E y y'  = fan_in  Var(w) E t t'          y = W t

    exact at any width for uncorrelated zero-mean entries; z is exactly Gaussian given x for
    Gaussian weights and biases. Source: Glorot & Bengio (2010), He et al. (2015).

    `tied` names an earlier dense node whose weights and bias are used again, as in a recurrent
    network. The rules take them as fresh, which is outside the theory: such nodes are marked
    `approximate`, with a note.
    """

    fan_in: Any
    fan_out: Any
    weights: Initializer
    bias: Initializer | None = None
    tied: str | None = None

    kind = "dense"
    linear = True

    def __post_init__(self) -> None:
        for name, width in (("fan_in", self.fan_in), ("fan_out", self.fan_out)):
            check_width(name, width)
        object.__setattr__(self, "weights", initializers.get(self.weights))
        if self.bias is not None:
            object.__setattr__(self, "bias", initializers.get(self.bias))
        if self.tied is not None and not isinstance(self.tied, str):
            raise ValueError(
                f"tied is the name of an earlier dense node, or None, got {self.tied!r}"
            )

    @property
    def arguments(self) -> tuple:
        return self.fan_in, self.fan_out, self.weight_law.variance, self.bias_second

    @property
    def weight_law(self) -> Law:
        """The law of one entry of W at these fans."""
        return _law(self.weights, self.fan_in, self.fan_out)

    @property
    def bias_law(self) -> Law | None:
        """The law of one bias at these fans; None without biases."""
        return _law(self.bias, self.fan_in, self.fan_out) if self.bias is not None else None

    @property
    def weight_variance(self) -> Any:
        """Var(w) of one entry, a float where the layer is numeric."""
        return _moment(self.weights, "variance", self.fan_in, self.fan_out)

    @property
    def bias_second(self) -> Any:
        """E b^2."""
        if self.bias is None:
            return 0
        return _moment(self.bias, "second", self.fan_in, self.fan_out)

    def size(self, *sizes: Any) -> Any:
        (size,) = sizes
        if size != self.fan_in:
            raise ValueError(f"dense expects {self.fan_in} input channels (its fan_in), got {size}")
        return self.fan_out

    def _require_zero_mean(self) -> None:
        for what, initializer in (("weights", self.weights), ("bias", self.bias)):
            if initializer is None:
                continue
            mean = _moment(initializer, "mean", self.fan_in, self.fan_out)
            if (sp.simplify(mean) if is_symbolic(mean) else mean) != 0:
                law = _law(initializer, self.fan_in, self.fan_out)
                raise ValueError(
                    f"the moment rules need zero-mean {what}; {law} has mean {law.mean}. "
                    "Measure this network with varprop.simulate instead"
                )

    def moments(self, name: str, *inputs: Moments) -> Moments:
        (x,) = inputs
        self._require_zero_mean()
        gain = self.fan_in * self.weight_variance
        laws = [law for law in (self.weight_law, self.bias_law) if law is not None]
        normal = all(law.gaussian or law.variance == 0 for law in laws)
        fresh = replace(
            x,
            mean=0 * x.mean,
            second=gain * x.second + self.bias_second,
            gap=gain * x.gap,
            mean_regime=EXACT,
            gaussian=EXACT if normal and x.fixed else WIDE,
            symmetric=all(law.symmetric for law in laws),
            fixed=False,
            atomless=self._atomless(x),
            sources=frozenset({name}),
            ancestors=x.ancestors | {name},
            source=None,
        )
        return (
            fresh if self.tied is None else replace(fresh.noted(self._note), gaussian=APPROXIMATE)
        )

    @property
    def _note(self) -> str:
        return f"the weights of {self.tied} are used again and taken as fresh: outside the theory"

    def _atomless(self, x: Moments) -> Regime:
        """How true P(z = 0) = 0 is: weights of few values on given numbers break it.

        A ReLU layer of n units is dead with probability 2^-n, and then z = 0 without a bias.
        """
        if self.bias_law is not None and self.bias_law.atomless:
            return EXACT
        level = x.atomless
        if level is APPROXIMATE and self.weight_law.atomless:
            given = not x.symbolic and x.fixed and bool(np.all(x.diagonal > 0))
            level = EXACT if given else WIDE
        many = not is_number(self.fan_in) or self.fan_in >= NEVER_DEAD
        return EXACT if level is WIDE and many else level

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        second = self.fan_out * self.weight_variance * gradient.second
        below = replace(gradient, second=second, paths=frozenset({name}), base=None, factor=None)
        return (below if self.tied is None else below.noted(self._note),)

    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        (x,), (t,) = inputs, tangents
        gain = self.fan_in * self.weight_variance
        return Tangents(0 * t.mean, gain * t.second, gain * cross_of(x, t))

    def shapes(self, outputs: int | None = None) -> tuple[tuple[int, ...], ...]:
        if self.tied is not None:
            return ()
        rows = self.fan_out if outputs is None else outputs
        weight = (rows, self.fan_in)
        return (weight,) if self.bias is None else (weight, (1, rows))

    @property
    def divisible(self) -> bool:  # type: ignore[override]
        return self.tied is None and self.weight_law.independent

    def fill(self, parameters: Parameters, generator: torch.Generator) -> None:
        for law, out in zip((self.weight_law, self.bias_law), parameters, strict=False):
            if law is not None:
                law.fill(out, generator)

    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        weight, *bias = parameters
        z = values[0] @ weight.mT
        return z + bias[0] * unit if bias else z

    def transpose(self, parameters: Parameters, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (gradient @ parameters[0],)


@lru_cache(typed=True)  # a network has few laws and many layers
def _law(initializer: Initializer, fan_in: Any, fan_out: Any) -> Law:
    return initializer.at(fan_in, fan_out)


@lru_cache(typed=True)
def _moment(initializer: Initializer, name: str, fan_in: Any, fan_out: Any) -> Any:
    """A float, unless the layer is symbolic and its numbers are to stay exact."""
    law = initializer.at(fan_in, fan_out)
    value = {"mean": law.mean, "variance": law.variance}.get(name)
    value = sp.sympify(law.moment(2) if value is None else value)
    symbolic = is_symbolic(fan_in, fan_out) or not value.is_number
    return value if symbolic else float(value)


def is_number(width: Any) -> bool:
    return not isinstance(width, sp.Expr) or bool(width.is_number)


def check_width(name: str, width: Any) -> None:
    """Widths are positive integers, or SymPy expressions."""
    if isinstance(width, sp.Expr) and not width.is_number and width.is_positive is not False:
        return
    if isinstance(width, bool) or not isinstance(width, (int, np.integer, sp.Integer)) or width < 1:
        raise ValueError(f"{name} must be a positive integer or a SymPy symbol, got {width!r}")
