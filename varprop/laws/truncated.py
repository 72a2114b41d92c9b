"""The truncated normal law: exact moments for symbols and numbers, and its sampler."""

import functools
import math
from dataclasses import dataclass

import sympy
import torch
from sympy import Expr
from torch import Generator, Tensor

from varprop.laws.base import Law, Scalar, exact


@dataclass(frozen=True)
class TruncatedNormal(Law):
    """w ~ N(loc, scale^2) given low <= w <= high (absolute bounds, as in torch's trunc_normal_).

    With w = loc + scale t, the moments t_k of t follow Burkardt's recursion (The truncated normal
    distribution, 2014), where phi is the normal density and Z the mass of [alpha, beta]:
    t_k = (k - 1) t_{k-2} - (beta^{k-1} phi(beta) - alpha^{k-1} phi(alpha)) / Z.
    Bounds may be infinite. `truncated_normal` computes the same in floats, over arrays.
    """

    loc: Scalar = 0
    scale: Scalar = 1
    low: Scalar = -2
    high: Scalar = 2
    positive = ("scale",)
    unbounded = ("low", "high")

    def __post_init__(self) -> None:
        super().__post_init__()
        remedy = "swap or widen the bounds"
        if self.low == sympy.oo or self.high == -sympy.oo:
            raise ValueError(f"bounds must leave a window, got {self.low}, {self.high}: {remedy}")
        exact("the upper bound", self.high, above=self.low, finite=False, remedy=remedy)

    @property
    def _window(self) -> tuple[Expr, Expr]:
        """(alpha, beta): the bounds in units of scale, from loc."""
        edges = (self.low, self.high)
        return tuple(e if e.is_infinite else (e - self.loc) / self.scale for e in edges)  # pyright: ignore[reportReturnType]

    @property
    def mean(self) -> Expr:
        return self.loc + self.scale * _truncated_moment(1, *self._window)

    @property
    def symmetric(self) -> bool:
        return bool(self.loc.is_zero and self.low == -self.high)

    def central_moment(self, k: int) -> Expr:
        t = [_truncated_moment(j, *self._window) for j in range(k + 1)]
        shift = -t[1] if k else sympy.S.Zero
        terms = (math.comb(k, j) * t[j] * shift ** (k - j) for j in range(k + 1))
        return self.scale**k * sympy.Add(*terms)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        """Rejection in float64, with the window turned so that the mode is at or left of it."""
        loc, scale, low, high = self._numbers
        width, alpha, beta = (high - low) / scale, (low - loc) / scale, (high - loc) / scale
        left = beta >= -alpha  # whether the low bound is the nearer one to loc
        alpha, beta = (alpha, beta) if left else (-beta, -alpha)
        how = {"dtype": torch.float64, "device": out.device}
        flat = torch.empty(out.numel(), **how)
        todo = torch.arange(out.numel(), device=out.device)
        while todo.numel():
            fresh = torch.empty(todo.numel(), **how)
            if alpha <= 0 and width > math.sqrt(2 * math.pi):
                taken = _propose_normal(fresh, alpha, beta, generator)
            else:
                taken = _propose_exponential(fresh, alpha, width, generator)
            flat[todo[taken]] = fresh[taken]
            todo = todo[~taken]
        if alpha <= 0 and width > math.sqrt(2 * math.pi):
            flat.mul_(scale if left else -scale).add_(loc)
        else:  # distances from the nearer bound, which keep their digits in any window
            flat.mul_(scale if left else -scale).add_(low if left else high)
        return out.copy_(flat.clamp_(low, high).view(out.shape))


def _propose_normal(t: Tensor, alpha: float, beta: float, generator: Generator) -> Tensor:
    """Fill t with standard normals; which of them lie in the window."""
    t.normal_(generator=generator)
    return (t >= alpha) & (t <= beta)


def _propose_exponential(s: Tensor, alpha: float, width: float, generator: Generator) -> Tensor:
    """Fill s in [0, width] with draws of density e^(-r s); which of them to take.

    The density asked for is e^(-alpha s - s^2/2), s = t - alpha. With alpha >= 0 and
    r = (alpha + sqrt(alpha^2 + 4))/2 (Robert, Simulation of truncated normal variables, 1995) the
    ratio of the two is e^(-(s - gap)^2 / 2) up to a factor, gap = r - alpha; in a narrow window
    around the mode r = 0. At least half are taken.
    """
    if alpha >= 0:
        root = math.hypot(alpha, 2)
        rate, gap = (alpha + root) / 2, 2 / (alpha + root)
    else:
        rate, gap = 0.0, -alpha
    s.uniform_(generator=generator)
    if rate:
        s.mul_(math.expm1(-rate * width)).log1p_().div_(-rate)
    else:
        s.mul_(width)
    best = (min(gap, width) - gap) ** 2 / 2
    level = torch.rand(s.shape, dtype=s.dtype, device=s.device, generator=generator)
    return level.log_() <= best - (s - gap) ** 2 / 2


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
    start, stop = (
        sympy.S.Zero if x.is_infinite else x ** (k - 1) * sympy.exp(-(x**2) / 2)
        for x in (alpha, beta)
    )
    before = (k - 1) * _truncated_moment(k - 2, alpha, beta)
    return before - sympy.sqrt(2 / sympy.pi) * (stop - start) / twice_mass
