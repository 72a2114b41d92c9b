"""Laws of independent entries, and the constant."""

import math
from dataclasses import dataclass

import sympy
import torch
from sympy import Expr, Rational
from torch import Generator, Tensor

from varprop.laws.base import Law, Scalar, _even, exact


@dataclass(frozen=True)
class Normal(Law):
    """w ~ N(mean, variance): E (w - mean)^k = (k - 1)!! variance^(k/2), k even."""

    mean: Scalar = 0
    variance: Scalar = 1
    gaussian = True
    nonnegative = ("variance",)

    def central_moment(self, k: int) -> Expr:
        return _even(k, sympy.factorial2(k - 1) * self.variance ** Rational(k, 2))

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        mean, variance = self._numbers
        return out.normal_(mean, math.sqrt(variance), generator=generator)


@dataclass(frozen=True)
class Uniform(Law):
    """w ~ U(low, high): E (w - mean)^k = h^k / (k + 1), k even, h = (high - low)/2."""

    low: Scalar = -1
    high: Scalar = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        exact("the upper bound", self.high, at_least=self.low, remedy="swap the bounds")

    @property
    def mean(self) -> Expr:
        return (self.low + self.high) / 2

    def central_moment(self, k: int) -> Expr:
        return _even(k, ((self.high - self.low) / 2) ** k / (k + 1))

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        low, high = self._numbers
        return out.uniform_(low, high, generator=generator)


@dataclass(frozen=True)
class Rademacher(Law):
    """w = +scale or -scale with probability 1/2 each: E w^k = scale^k, k even."""

    scale: Scalar = 1
    nonnegative = ("scale",)
    atomless = False

    def central_moment(self, k: int) -> Expr:
        return _even(k, self.scale**k)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        (scale,) = self._numbers
        return out.bernoulli_(0.5, generator=generator).mul_(2 * scale).sub_(scale)


@dataclass(frozen=True)
class Laplace(Law):
    """w = s (e - e'), e and e' standard exponential: E w^k = k! s^k, k even, variance = 2 s^2."""

    variance: Scalar = 1
    nonnegative = ("variance",)

    def central_moment(self, k: int) -> Expr:
        return _even(k, sympy.factorial(k) * (self.variance / 2) ** Rational(k, 2))

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        other = torch.empty_like(out).exponential_(generator=generator)
        out.exponential_(generator=generator).sub_(other)
        return out.mul_(math.sqrt(self._numbers[0] / 2))


@dataclass(frozen=True)
class Constant(Law):
    """w = value."""

    value: Scalar = 0
    atomless = False

    @property
    def mean(self) -> Expr:
        return self.value

    def central_moment(self, k: int) -> Expr:
        return sympy.Integer(k == 0)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        return out.fill_(self._numbers[0])
