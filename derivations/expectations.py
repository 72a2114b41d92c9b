"""First principles: expectations of explicit sums, Gaussian integrals, and laws without a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from varprop.initializers import Initializer
from varprop.laws import Law
from varprop.moments import Gradients, Moments

MomentOf = Callable[[int], Any]
T = sp.Symbol("t", positive=True)


def expect_polynomial(expression: Any, moments: Mapping[sp.Symbol, MomentOf]) -> Any:
    """E of a polynomial in independent symbols: each power s^k becomes moments[s](k)."""
    symbols = [s for s in moments if sp.sympify(expression).has(s)]
    if not symbols:
        return sp.sympify(expression)
    terms = sp.Poly(expression, *symbols).terms()
    return sp.Add(
        *(
            coefficient
            * sp.Mul(*(moments[s](k) for s, k in zip(symbols, powers, strict=True) if k))
            for powers, coefficient in terms
        )
    )


def polynomial_in_width(explicit: Callable[[int], Any], n: sp.Symbol, degree: int) -> Any:
    """The polynomial in n that agrees with `explicit(1), ..., explicit(degree + 1)`.

    A moment of order k of a sum of n exchangeable terms counts index tuples by which indices
    coincide: a polynomial in n of degree at most k. So degree + 1 explicit sums determine it for
    all n. One more width is computed, and must agree: a wrong degree raises ValueError.
    """
    values = [sp.expand(explicit(k)) for k in range(1, degree + 3)]
    polynomial = sp.expand(sp.interpolate(list(enumerate(values[:-1], 1)), n))
    if sp.expand(polynomial.subs(n, degree + 2) - values[-1]) != 0:
        raise ValueError(f"not a polynomial of degree {degree} in {n}")
    return polynomial


def iid_moments(*given: Any) -> MomentOf:
    """Moments of a zero-mean law: E w = 0, E w^2, E w^3, ... as given."""
    return lambda k: 0 if k == 1 else given[k - 2]


def gaussian_moments(variance: Any) -> MomentOf:
    """E z^k = (k - 1)!! variance^(k/2), k even, by `E z^k = (k - 1) variance E z^(k-2)` (Stein)."""
    return lambda k: 0 if k % 2 else (sp.S.One if k == 0 else _stein(k, variance))


def _stein(k: int, variance: Any) -> Any:
    return (k - 1) * variance * (sp.S.One if k == 2 else _stein(k - 2, variance))


def gaussian_density(x: Any, variance: Any) -> Any:
    return sp.exp(-(x**2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)


def gaussian_integral(expression: Any, x: sp.Symbol, variance: Any, low: Any = -sp.oo) -> Any:
    """E f(x), x ~ N(0, variance), as an unevaluated integral from `low`."""
    return sp.Integral(expression * gaussian_density(x, variance), (x, low, sp.oo))


def gaussian_pair_density(x: Any, y: Any, q1: Any, q2: Any, covariance: Any) -> Any:
    """The density of two centred Gaussians with the covariance matrix [[q1, C], [C, q2]]."""
    sigma = sp.Matrix([[q1, covariance], [covariance, q2]])
    point = sp.Matrix([x, y])
    quadratic: Any = point.T * sigma.adjugate() * point
    determinant: Any = sigma.det()
    exponent = -quadratic[0] / (2 * determinant)
    return sp.exp(exponent) / (2 * sp.pi * sp.sqrt(determinant))


@dataclass(frozen=True)
class AnyLaw(Law):
    """A zero-mean law of which nothing but its second moment is known."""

    second: Any

    def central_moment(self, k: int) -> Any:
        return sp.sympify((1, 0, self.second)[k])

    @property
    def symmetric(self) -> bool:
        return False


@dataclass(frozen=True)
class AnyIid(Initializer):
    """Iid entries of `AnyLaw`: what holds for it holds for every zero-mean law."""

    name: str = "any_iid_law"
    arguments: tuple[tuple[str, Any], ...] = ()

    def at(self, fan_in: Any, fan_out: Any, rows: Any = None) -> Law:
        return AnyLaw(dict(self.arguments).get("second", sp.S.One))


def any_iid(second: Any) -> AnyIid:
    """Iid zero-mean entries with E w^2 = `second`."""
    return AnyIid(arguments=(("second", second),))


def pair_of_points(q1: Any, q2: Any, cross: Any) -> Moments:
    """Two inputs with second moments q1, q2 and cross moment E x x'."""
    second = np.array([[q1, cross], [cross, q2]], dtype=object)
    return Moments.of_gram(np.array([sp.S.Zero] * 2, dtype=object), second, frozenset({"input"}))


def pair_of_gradients(h1: Any, h2: Any, cross: Any) -> Gradients:
    """The gradients at two inputs, with second moments h1, h2 and cross moment E h h'."""
    return Gradients(np.array([[h1, cross], [cross, h2]], dtype=object))
