"""Laws of independent entries, and the constant."""

import functools
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
        return out.normal_(float(self.mean), math.sqrt(self.variance), generator=generator)


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
        return out.uniform_(float(self.low), float(self.high), generator=generator)


@dataclass(frozen=True)
class TruncatedNormal(Law):
    """w ~ N(loc, scale^2) given low <= w <= high (absolute bounds, as in torch's trunc_normal_).

    With w = loc + scale t, the moments t_k of t follow Burkardt's recursion (The truncated normal
    distribution, 2014), where phi is the normal density and Z the mass of [alpha, beta]:
    t_k = (k - 1) t_{k-2} - (beta^{k-1} phi(beta) - alpha^{k-1} phi(alpha)) / Z.
    """

    loc: Scalar = 0
    scale: Scalar = 1
    low: Scalar = -2
    high: Scalar = 2
    positive = ("scale",)

    def __post_init__(self) -> None:
        super().__post_init__()
        exact("the upper bound", self.high, above=self.low, remedy="swap or widen the bounds")

    @property
    def _window(self) -> tuple[Expr, Expr]:
        """(alpha, beta): the bounds in units of scale, from loc."""
        return (self.low - self.loc) / self.scale, (self.high - self.loc) / self.scale

    @property
    def mean(self) -> Expr:
        return self.loc + self.scale * _truncated_moment(1, *self._window)

    @property
    def symmetric(self) -> bool:
        return bool(self.loc.is_zero and (self.low + self.high).is_zero)

    def central_moment(self, k: int) -> Expr:
        t = [_truncated_moment(j, *self._window) for j in range(k + 1)]
        shift = -t[1] if k else sympy.S.Zero
        terms = (math.comb(k, j) * t[j] * shift ** (k - j) for j in range(k + 1))
        return self.scale**k * sympy.Add(*terms)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        """Inverse distribution function in float64, on the side where it has most digits."""
        alpha, beta = map(float, self._window)
        sign = -1.0 if alpha + beta > 0 else 1.0
        edges = torch.tensor((sign * alpha, sign * beta), dtype=torch.float64)
        start, stop = sorted(torch.special.ndtr(edges).tolist())
        if stop - start <= 2.0**-29 * stop:  # fewer than the 24 bits of float32 would be random
            raise ValueError(
                "sampling needs bounds that float64 can tell apart by mass, got "
                f"{alpha:g} and {beta:g} standard deviations: use a uniform or a wider window"
            )
        w = torch.rand(out.shape, dtype=torch.float64, device=out.device, generator=generator)
        w.mul_(stop - start).add_(start)
        torch.special.ndtri(w, out=w)
        w.mul_(sign * float(self.scale)).add_(float(self.loc))
        return out.copy_(w.clamp_(float(self.low), float(self.high)))


@functools.lru_cache(maxsize=4096)
def _truncated_moment(k: int, alpha: Expr, beta: Expr) -> Expr:
    """E t^k for t standard normal given alpha <= t <= beta."""
    if k < 1:
        return sympy.Integer(k + 1)  # t_0 = 1, and t_{-1} meets a zero factor
    root = sympy.sqrt(2)
    if alpha.is_positive:  # complements keep the digits of a far tail
        twice_mass = sympy.erfc(alpha / root) - sympy.erfc(beta / root)
    elif beta.is_negative:
        twice_mass = sympy.erfc(-beta / root) - sympy.erfc(-alpha / root)
    else:
        twice_mass = sympy.erf(beta / root) - sympy.erf(alpha / root)
    start, stop = (x ** (k - 1) * sympy.exp(-(x**2) / 2) for x in (alpha, beta))
    before = (k - 1) * _truncated_moment(k - 2, alpha, beta)
    return before - sympy.sqrt(2 / sympy.pi) * (stop - start) / twice_mass


@dataclass(frozen=True)
class Rademacher(Law):
    """w = +scale or -scale with probability 1/2 each: E w^k = scale^k, k even."""

    scale: Scalar = 1
    nonnegative = ("scale",)
    atomless = False

    def central_moment(self, k: int) -> Expr:
        return _even(k, self.scale**k)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        scale = float(self.scale)
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
        return out.mul_(math.sqrt(self.variance / 2))


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
        return out.fill_(float(self.value))
