"""The laws of one weight entry: exact moments as SymPy expressions, samplers in torch.

A law is stated by its mean and its central moments E (w - mean)^k; every other number (raw
moments, variance, kurtosis) is derived from these in `Law`. Arguments are numbers or SymPy
expressions. A float is read as the shortest decimal that rounds to it (0.02 is 1/50), so that all
arithmetic is exact and float() of a result is right to the last digits, cancellation or not.
"""

import functools
import math
import numbers
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import sympy
import torch
from sympy import Expr, Rational
from torch import Generator, Tensor

Scalar = Any  # int, float or SymPy expression; an exact SymPy expression once a law stores it


def _decimal(value: Any) -> Expr:
    return Rational(repr(float(value)))  # pyright: ignore[reportReturnType]


def exact(
    name: str,
    value: Scalar,
    *,
    at_least: Scalar = None,
    above: Scalar = None,
    below: Scalar = None,
    remedy: str = "pass a number or a SymPy expression",
) -> Expr:
    """Return `value` as an exact SymPy expression, or raise ValueError naming the rule it breaks.

    A symbol whose sign is not known passes: only what is certainly wrong is refused.
    """
    try:
        expression: Any = value
        if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational):
            expression = _decimal(value) if math.isfinite(value) else sympy.nan
        expression = sympy.sympify(expression, strict=True)
        expression = expression.xreplace({f: _decimal(f) for f in expression.atoms(sympy.Float)})
        wrong = (
            not isinstance(expression, Expr)
            or expression is sympy.nan
            or expression.is_finite is False
            or expression.is_extended_real is False
            or (at_least is not None and (expression - at_least).is_negative)
            or (above is not None and (expression - above).is_nonpositive)
            or (below is not None and (expression - below).is_nonnegative)
        )
    except (ValueError, AttributeError, TypeError):  # SympifyError is a ValueError
        wrong = True
    if wrong:
        limits = (("at least", at_least), ("above", above), ("below", below))
        rule = ", ".join(["real", "finite", *(f"{w} {x}" for w, x in limits if x is not None)])
        raise ValueError(f"{name} must be {rule}, got {value}: {remedy}")
    return expression


class Law:
    """Law of one weight entry w; its subclasses are frozen dataclasses of SymPy parameters.

    For a matrix whose entries are not independent, w is an entry at a random position.
    """

    independent: ClassVar[bool] = True  # entries of a matrix are iid
    gaussian: ClassVar[bool] = False  # entries are iid and exactly normal
    nonnegative: ClassVar[tuple[str, ...]] = ()  # parameters that cannot be negative
    positive: ClassVar[tuple[str, ...]] = ()  # parameters that cannot be zero either

    def __post_init__(self) -> None:
        for field in fields(self):  # pyright: ignore[reportArgumentType]
            if field.type is Scalar:
                name, value = f"{field.name} of {type(self).__name__}", getattr(self, field.name)
                at_least = 0 if field.name in self.nonnegative else None
                above = 0 if field.name in self.positive else None
                value = exact(name, value, at_least=at_least, above=above)
                object.__setattr__(self, field.name, value)

    def central_moment(self, k: int) -> Expr:
        """E (w - mean)^k."""
        raise NotImplementedError

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        """Fill `out`, float32 or float64, with draws."""
        raise NotImplementedError

    @property
    def mean(self) -> Expr:
        """E w."""
        return sympy.S.Zero

    @property
    def variance(self) -> Expr:
        """E (w - mean)^2."""
        return self.central_moment(2)

    @property
    def kurtosis(self) -> Expr:
        """E (w - mean)^4 / variance^2; `sympy.nan` for a constant, which has none."""
        if self.variance.is_zero:
            return sympy.nan
        return self.central_moment(4) / self.variance**2

    @property
    def symmetric(self) -> bool:
        """Whether w and -w have the same law, which is what the argument of He et al. needs."""
        return bool(self.mean.is_zero)

    def moment(self, k: int) -> Expr:
        """E w^k."""
        weights = (math.comb(k, j) * self.mean ** (k - j) for j in range(k + 1))
        return sympy.Add(*(c * self.central_moment(j) for j, c in enumerate(weights)))

    def sample(
        self,
        shape: tuple[int, ...],
        *,
        generator: Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw weights of shape (..., fan_out, fan_in), each trailing matrix on its own.

        Laws with independent entries take any shape. A convolution's weight is drawn as the matrix
        (c_out, fan_in) and reshaped to (c_out, c_in/groups, *kernel). The draw is made in float64
        if that is asked for, else in float32, then rounded to `dtype`.
        """
        symbols = {x for v in vars(self).values() if isinstance(v, Expr) for x in v.free_symbols}
        if symbols:
            names = ", ".join(sorted(map(str, symbols)))
            raise ValueError(f"sampling needs numbers, got symbols ({names}): give {self} values")
        rows, cols = getattr(self, "rows", None), getattr(self, "cols", None)
        if not self.independent and tuple(shape[-2:]) != (rows, cols):
            raise ValueError(
                f"{self} fills matrices (..., {rows}, {cols}), got shape {tuple(shape)}: "
                "take the law .at(fan_in, fan_out, rows) of this shape"
            )
        work = torch.float64 if dtype == torch.float64 else torch.float32
        return self._draw(torch.empty(shape, dtype=work, device=device), generator).to(dtype)


def _even(k: int, value: Expr) -> Expr:
    """The moment of a symmetric law: `value` for even k, 0 for odd k."""
    return sympy.S.Zero if k % 2 else sympy.sympify(value)


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

    @property
    def mean(self) -> Expr:
        return self.value

    def central_moment(self, k: int) -> Expr:
        return sympy.Integer(k == 0)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        return out.fill_(float(self.value))


@dataclass(frozen=True)
class Orthogonal(Law):
    """W = gain Q, Q Haar on matrices (rows, cols) with orthonormal rows or columns.

    With N = max(rows, cols): E w^k = gain^k (k - 1)!! / (N (N + 2) ... (N + k - 2)), k even.
    Drawn by QR of a normal matrix with the signs of diag R moved into Q, without which Q is not
    Haar (Mezzadri 2007).
    """

    gain: Scalar
    rows: Scalar
    cols: Scalar
    independent = False
    nonnegative = ("gain",)
    positive = ("rows", "cols")

    def central_moment(self, k: int) -> Expr:
        size = sympy.Max(self.rows, self.cols)
        ratios = (sympy.sympify(2 * i + 1) / (size + 2 * i) for i in range(k // 2))
        return _even(k, self.gain**k * sympy.Mul(*ratios))

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        tall = out if out.shape[-2] >= out.shape[-1] else out.mT
        q, r = torch.linalg.qr(tall.normal_(generator=generator))
        q *= float(self.gain) * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
        tall.copy_(q)
        return out


@dataclass(frozen=True)
class Sparse(Law):
    """Each column has ceil(sparsity rows) zeros at random places, the rest N(0, std^2).

    E w^k = (1 - zeros/rows) (k - 1)!! std^k, k even (Martens 2010). The product is exact: torch's
    sparse_ rounds it first, and so puts 56 zeros, not 55, for sparsity 0.55 and 100 rows.
    """

    sparsity: Scalar
    std: Scalar
    rows: Scalar
    cols: Scalar
    independent = False
    nonnegative = ("std",)
    positive = ("rows", "cols")

    def __post_init__(self) -> None:
        super().__post_init__()
        exact("sparsity", self.sparsity, above=0, below=1, remedy="it is the fraction of zeros")

    @property
    def zeros(self) -> Expr:
        """Zeros per column."""
        return sympy.ceiling(self.sparsity * self.rows)

    def central_moment(self, k: int) -> Expr:
        if k == 0:
            return sympy.S.One
        return (1 - self.zeros / self.rows) * Normal(0, self.std**2).central_moment(k)

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        order = torch.empty_like(out).uniform_(generator=generator).argsort(dim=-2)
        out.normal_(0, float(self.std), generator=generator)
        return out.scatter_(-2, order[..., : int(self.zeros), :], 0.0)


@dataclass(frozen=True)
class Dirac(Law):
    """Identity between channels at the kernel's centre, else 0; deterministic.

    The weight (c_out, c_in/groups, *kernel) as a matrix of rows = c_out, cols = fan_in; an entry
    at a random place is 1 with probability p = 1 / max(cols, rows |kernel| / groups).
    """

    rows: Scalar
    cols: Scalar
    kernel: tuple[int, ...] = ()
    groups: int = 1
    independent = False
    positive = ("rows", "cols")

    def __post_init__(self) -> None:
        super().__post_init__()
        area = math.prod(self.kernel)
        for name, value, divisor in (("fan_in", self.cols, area), ("rows", self.rows, self.groups)):
            if sympy.Mod(value, divisor).is_zero is False:
                raise ValueError(
                    f"{name} of Dirac must be a multiple of {divisor}, got {value}: "
                    "pass the kernel and groups of the layer"
                )

    @property
    def mean(self) -> Expr:
        return 1 / sympy.Max(self.cols, self.rows * math.prod(self.kernel) / self.groups)

    def central_moment(self, k: int) -> Expr:
        p = self.mean
        return sympy.S.One if k == 0 else p * (1 - p) ** k + (1 - p) * (-p) ** k

    def _draw(self, out: Tensor, generator: Generator) -> Tensor:
        centre = 0
        for size in self.kernel:
            centre = centre * size + size // 2
        taps = out.zero_().unflatten(-1, (-1, math.prod(self.kernel)))[..., centre]
        taps.unflatten(-2, (self.groups, -1)).diagonal(dim1=-2, dim2=-1).fill_(1.0)
        return out


@dataclass(frozen=True)
class Eye(Dirac):
    """The identity matrix, cut to (rows, cols): `Dirac` without a kernel."""
