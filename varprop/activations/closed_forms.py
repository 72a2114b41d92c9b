"""Closed forms: those of the table, and those that follow from a kernel, the pieces, by d/dq."""

from collections.abc import Mapping
from functools import cache

import sympy as sp

from varprop.activations import piecewise
from varprop.activations.pieces import derivative
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Q

KERNELS = ("kernel", "derivative_kernel")
AT_ONE = {"second_moment": "kernel", "derivative_second_moment": "derivative_kernel"}
SLOPES = {
    "second_moment_slope": ("second_moment",),
    "curvature": ("second_moment", "derivative_second_moment"),
}


def find(
    table: Mapping[str, sp.Expr], expression: sp.Expr, kinks: tuple[float, ...], name: str
) -> sp.Expr | None:
    """The closed form of a moment or kernel of phi, whose typed ones are the table; None if none.

    From the table, from the kernel at z = z', or from the pieces of a piecewise
    polynomial-exponential phi.
    """
    if name in table:
        return table[name]
    if name in KERNELS:
        typed = _typed_kernel(table, name)
        return from_pieces(expression, kinks, name) if typed is None else typed
    if name in SLOPES:
        return slope_of(*(find(table, expression, kinks, other) for other in SLOPES[name]))
    if name in AT_ONE and (kernel := _typed_kernel(table, AT_ONE[name])) is not None:
        return coincident(kernel)
    return from_pieces(expression, kinks, name)


def _typed_kernel(table: Mapping[str, sp.Expr], name: str) -> sp.Expr | None:
    """The closed form in the table, or the one that follows from the kernel there."""
    if name in table:
        return table[name]
    kernel = table.get("kernel")
    if name == "derivative_kernel" and kernel is not None and not kernel.has(THETA, SINE):
        return by_price(kernel)
    return None


@cache
def by_price(kernel: sp.Expr) -> sp.Expr:
    """E phi'(z) phi'(z') from the kernel of phi: Price's theorem."""
    return sp.diff(kernel, C)


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
