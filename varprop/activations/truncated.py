"""Gaussian expectations of z^k e^(tz) on intervals, in closed form.

By Stein's lemma on h(z) = z^(k-1) e^(tz) 1{a < z < b}, for z ~ N(m, v) of density p,

    M_k = m M_(k-1) + v [(k-1) M_(k-2) + t M_(k-1) - b^(k-1) e^(tb) p(b) + a^(k-1) e^(ta) p(a)],

and M_0 is a normal probability after tilting by e^(tz). In two dimensions, on z < a, z' < b,
E z h = q1 E dh/dz + C E dh/dz' in the same way, down to a bivariate normal probability.
"""

from functools import cache
from typing import Any, NamedTuple

import sympy as sp

from varprop.activations.special import bivariate_normal, erfcx, normal_cdf
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C


class Term(NamedTuple):
    """c z^k e^(tz)."""

    c: sp.Expr
    k: int
    t: sp.Expr


def moment(k: int, t: Any, low: Any, high: Any, m: Any, v: Any) -> Any:
    """E z^k e^(tz) 1{low < z < high}, z ~ N(m, v)."""
    if k < 0:
        return sp.S.Zero
    if k == 0:
        return _probability(t, low, high, m, v)
    below, lower = moment(k - 1, t, low, high, m, v), moment(k - 2, t, low, high, m, v)
    edge = at_edge(k - 1, t, high, m, v) - at_edge(k - 1, t, low, m, v)
    return sp.expand_mul(m * below + v * ((k - 1) * lower + t * below - edge))


def at_edge(k: int, t: Any, b: Any, m: Any, v: Any) -> Any:
    """b^k e^(tb) p(b); zero at infinity."""
    if sp.sympify(b).is_infinite:
        return sp.S.Zero
    return b**k * sp.exp(t * b) * density(b - m, v)


def density(x: Any, v: Any) -> Any:
    return sp.exp(-(x**2) / (2 * v)) / sp.sqrt(2 * sp.pi * v)


def _probability(t: Any, low: Any, high: Any, m: Any, v: Any) -> Any:
    """E e^(tz) 1{low < z < high}."""
    if low == -sp.oo:
        return sp.exp(t * m + t**2 * v / 2) if high == sp.oo else _below(t, high, m, v)
    if high == sp.oo:
        return _below(-t, -low, -m, v)
    if t == 0:
        ends = (sp.erf((end - m) / sp.sqrt(2 * v)) / 2 for end in (high, low))
        return next(ends) - next(ends)
    return _below(t, high, m, v) - _below(t, low, m, v)


def _below(t: Any, b: Any, m: Any, v: Any) -> Any:
    """E e^(tz) 1{z < b}; by erfcx where e^(t^2 v/2) would overflow."""
    x = (m + t * v - b) / sp.sqrt(2 * v)
    if sp.sympify(t).is_positive and sp.sympify(b - m).is_nonpositive:
        return sp.exp(t * b - (b - m) ** 2 / (2 * v)) * erfcx(x) / 2
    return sp.exp(t * m + t**2 * v / 2) * sp.erfc(x) / 2


@cache
def corner(j: int, k: int, t: Any, u: Any, a: Any, b: Any) -> Any:
    """E z^j z'^k e^(tz + uz') 1{z < a, z' < b} for centred z, z' of variances Q1, Q2, covariance C.

    `a` or `b` may be infinite.
    """
    if j < 0 or k < 0:
        return sp.S.Zero
    if j == k == 0:
        return _orthant(t, u, a, b)
    if j == 0:
        return swapped(corner(k, j, u, t, b, a))
    below = corner(j - 1, k, t, u, a, b)
    own = (j - 1) * corner(j - 2, k, t, u, a, b) + t * below - given(j - 1, k, t, u, a, b)
    cross = k * corner(j - 1, k - 1, t, u, a, b) + u * below
    cross -= swapped(given(k, j - 1, u, t, b, a))
    return sp.expand_mul(Q1 * own + C * cross)


def given(j: int, k: int, t: Any, u: Any, a: Any, b: Any) -> Any:
    """E delta(z - a) z^j e^(tz) z'^k e^(uz') 1{z' < b}: a density times a conditional mean."""
    if sp.sympify(a).is_infinite:
        return sp.S.Zero
    return at_edge(j, t, a, 0, Q1) * moment(k, u, -sp.oo, b, C * a / Q1, Q2 * SINE**2)


def both_given(a: Any, b: Any) -> Any:
    """The joint density at (a, b)."""
    return density(a, Q1) * density(b - C * a / Q1, Q2 * SINE**2)


def _orthant(t: Any, u: Any, a: Any, b: Any) -> Any:
    """By tilting: e^(tz + uz') moves the means by (t q1 + u C, t C + u q2)."""
    factor = sp.exp((t**2 * Q1 + 2 * t * u * C + u**2 * Q2) / 2)
    h, k = (a - t * Q1 - u * C) / sp.sqrt(Q1), (b - t * C - u * Q2) / sp.sqrt(Q2)
    if sp.sympify(a).is_infinite and sp.sympify(b).is_infinite:
        return factor
    if sp.sympify(b).is_infinite:
        return _below(t, a, 0, Q1) if u == 0 else factor * normal_cdf(h)
    if sp.sympify(a).is_infinite:
        return swapped(_orthant(u, t, b, a))
    return factor * bivariate_normal(h, k, THETA)


def swapped(expression: Any) -> Any:
    """The same with z and z' exchanged."""
    return expression.subs({Q1: Q2, Q2: Q1}, simultaneous=True)
