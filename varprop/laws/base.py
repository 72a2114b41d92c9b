"""The laws of one weight entry: exact moments as SymPy expressions, samplers in torch.

A law is stated by its mean and its central moments E (w - mean)^k; every other number (raw
moments, variance, kurtosis) is derived from these in `Law`. Arguments are numbers or SymPy
expressions. A float is read as the shortest decimal that rounds to it (0.02 is 1/50), so that all
arithmetic is exact and float() of a result is right to the last digits, cancellation or not.
"""

import functools
import math
import numbers
from dataclasses import fields
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
    finite: bool = True,
    remedy: str = "pass a number or a SymPy expression",
) -> Expr:
    """Return `value` as an exact SymPy expression, or raise ValueError naming the rule it breaks.

    A symbol whose sign is not known passes: only what is certainly wrong is refused.
    """
    try:
        expression: Any = value
        if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational):
            expression = _decimal(value) if math.isfinite(value) else sympy.Float(value)
        expression = sympy.sympify(expression, strict=True)
        expression = expression.xreplace({f: _decimal(f) for f in expression.atoms(sympy.Float)})
        wrong = (
            not isinstance(expression, Expr)
            or expression is sympy.nan
            or (finite and expression.is_finite is False)
            or expression.is_extended_real is False
            or (at_least is not None and (expression - at_least).is_extended_negative)
            or (above is not None and (expression - above).is_extended_nonpositive)
            or (below is not None and (expression - below).is_extended_nonnegative)
        )
    except (ValueError, AttributeError, TypeError):  # SympifyError is a ValueError
        wrong = True
    if wrong:
        limits = (("at least", at_least), ("above", above), ("below", below))
        kinds = ["real", "finite"] if finite else ["real"]
        rule = ", ".join([*kinds, *(f"{w} {x}" for w, x in limits if x is not None)])
        raise ValueError(f"{name} must be {rule}, got {value!r}: {remedy}")
    return expression


class Law:
    """Law of one weight entry w; its subclasses are frozen dataclasses of SymPy parameters.

    For a matrix whose entries are not independent, w is an entry at a random position.
    """

    independent: ClassVar[bool] = True  # entries of a matrix are iid
    gaussian: ClassVar[bool] = False  # entries are iid and exactly normal
    atomless: ClassVar[bool] = True  # P(w = c) = 0 for every c
    nonnegative: ClassVar[tuple[str, ...]] = ()  # parameters that cannot be negative
    positive: ClassVar[tuple[str, ...]] = ()  # parameters that cannot be zero either
    unbounded: ClassVar[tuple[str, ...]] = ()  # parameters that may be infinite

    def __post_init__(self) -> None:
        for field in fields(self):  # pyright: ignore[reportArgumentType]
            if field.type is Scalar:
                name, value = f"{field.name} of {type(self).__name__}", getattr(self, field.name)
                at_least = 0 if field.name in self.nonnegative else None
                above = 0 if field.name in self.positive else None
                finite = field.name not in self.unbounded
                value = exact(name, value, at_least=at_least, above=above, finite=finite)
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
        return self.fill(torch.empty(shape, dtype=dtype, device=device), generator)

    def fill(self, out: Tensor, generator: Generator) -> Tensor:
        """`sample` into a tensor that is there already, which is returned."""
        if self._symbols:
            names = ", ".join(sorted(map(str, self._symbols)))
            raise ValueError(f"sampling needs numbers, got symbols ({names}): give {self} values")
        if not self.independent:
            rows, cols = getattr(self, "rows", None), getattr(self, "cols", None)
            if tuple(out.shape[-2:]) != (rows, cols):
                raise ValueError(
                    f"{self} fills matrices (..., {rows}, {cols}), got shape {tuple(out.shape)}: "
                    "take the law .at(fan_in, fan_out, rows) of this shape"
                )
        if out.dtype in (torch.float32, torch.float64):
            return self._draw(out, generator)
        work = torch.empty(out.shape, dtype=torch.float32, device=out.device)
        return out.copy_(self._draw(work, generator))

    @functools.cached_property
    def _numbers(self) -> tuple[float, ...]:
        """The scalar parameters as floats, in their order."""
        return tuple(float(getattr(self, f.name)) for f in fields(self) if f.type is Scalar)  # pyright: ignore[reportArgumentType]

    @functools.cached_property
    def _symbols(self) -> frozenset:
        values = [getattr(self, field.name) for field in fields(self)]  # pyright: ignore[reportArgumentType]
        return frozenset(x for v in values if isinstance(v, Expr) for x in v.free_symbols)


def _even(k: int, value: Expr) -> Expr:
    """The moment of a symmetric law: `value` for even k, 0 for odd k."""
    return sympy.S.Zero if k % 2 else sympy.sympify(value)
