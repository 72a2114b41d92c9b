"""Piecewise polynomials with several pieces, as cheap stand-ins of saturating functions.

Their closed forms follow from their pieces.
"""

import sympy as sp

from varprop.activations.activation import Activation
from varprop.activations.parameters import floats, positive, real
from varprop.activations.symbols import Number, X


def hardtanh(low: Number = -1.0, high: Number = 1.0) -> Activation:
    """phi(z) = z between low and high, which bound it."""
    a, b = real("hardtanh", low=low), real("hardtanh", high=high)
    if not a < b:
        raise ValueError(f"hardtanh needs low < high, got {low!r} and {high!r}")
    return Activation(
        "hardtanh", sp.Max(a, sp.Min(X, b)), "hardtanh", floats(a, b), kinks=floats(a, b)
    )


def relu6() -> Activation:
    """phi(z) = min(max(z, 0), 6)."""
    return Activation("relu6", sp.Max(0, sp.Min(X, 6)), "relu6", kinks=(0.0, 6.0))


def hardsigmoid() -> Activation:
    """phi(z) = min(max(z + 3, 0), 6) / 6.

    Made from the expression: the backward pass of torch's own has the slope 1/6 of float32.
    """
    return Activation("hardsigmoid", sp.Max(0, sp.Min(X + 3, 6)) / 6, kinks=(-3.0, 3.0))


def hardswish() -> Activation:
    """phi(z) = z hardsigmoid(z)."""
    expression = X * sp.Max(0, sp.Min(X + 3, 6)) / 6
    return Activation("hardswish", expression, "hardswish", kinks=(-3.0, 3.0))


def softshrink(a: Number = 0.5) -> Activation:
    """phi(z) = z moved by a towards 0, and 0 for |z| < a."""
    a = positive("softshrink", a=a)
    expression = sp.Max(X - a, 0) + sp.Min(X + a, 0)
    return Activation("softshrink", expression, "softshrink", floats(a), floats(-a, a))


def hardshrink(a: Number = 0.5) -> Activation:
    """phi(z) = z for |z| > a, else 0: it jumps by a at -a and at a."""
    a = positive("hardshrink", a=a)
    expression = sp.Piecewise((sp.S.Zero, sp.And(-a <= X, a >= X)), (X, True))
    return Activation("hardshrink", expression, "hardshrink", floats(a), floats(-a, a))


def threshold(a: Number = 0.0, value: Number = 0.0) -> Activation:
    """phi(z) = z for z > a, else `value`: it jumps where value is not a."""
    a, below = real("threshold", a=a), real("threshold", value=value)
    expression = sp.Piecewise((X, a < X), (below, True))
    rectifier = a == below == 0
    return Activation(
        "threshold", expression, "threshold", floats(a, below), floats(a), homogeneous=rectifier
    )


ENTRIES = {
    "hardtanh": hardtanh,
    "relu6": relu6,
    "hardsigmoid": hardsigmoid,
    "hardswish": hardswish,
    "softshrink": softshrink,
    "hardshrink": hardshrink,
    "threshold": threshold,
}
