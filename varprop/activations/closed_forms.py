"""Closed forms that follow from others: from the pieces of phi, from a kernel, by d/dq."""

from functools import cache

import sympy as sp

from varprop.activations import piecewise
from varprop.activations.pieces import derivative
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Q


@cache
def from_pieces(expression: sp.Expr, kinks: tuple[float, ...], name: str) -> sp.Expr | None:
    """The closed form from the pieces of phi, for those moments that have one."""
    if name == "kernel":
        return piecewise.pair(expression, kinks)
    if name == "derivative_kernel":
        return piecewise.derivative_pair(expression, kinks)
    power = {"mean": 1, "second_moment": 2, "fourth_moment": 4}
    if name in power:
        return piecewise.single(expression ** power[name], kinks)
    slope = derivative(expression)
    if name == "derivative_second_moment":
        return piecewise.single(slope**2, kinks)
    return piecewise.mean_slope(expression, kinks)


@cache
def slope_of(second: sp.Expr | None, slope: sp.Expr | None = sp.S.Zero) -> sp.Expr | None:
    """d/dq of E phi^2, less E phi'^2."""
    if second is None or slope is None:
        return None
    return sp.expand_mul(sp.diff(second, Q) - slope)


@cache
def coincident(kernel: sp.Expr) -> sp.Expr:
    """A kernel at z = z'."""
    return sp.simplify(kernel.subs({Q1: Q, Q2: Q, C: Q, THETA: 0, SINE: 0}))
