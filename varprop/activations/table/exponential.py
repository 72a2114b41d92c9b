"""Exponentials, and half lines of them. Closed forms follow from the pieces."""

import sympy as sp
from sympy.codegen.cfunctions import expm1

from varprop.activations.activation import Activation
from varprop.activations.parameters import floats, positive, real
from varprop.activations.symbols import Q1, Q2, SINE, C, Number, Q, X

SELU_SCALE = sp.Rational("1.0507009873554804934193349852946")
SELU_ALPHA = sp.Rational("1.6732632423543772848170429916717")


def elu(alpha: Number = 1.0) -> Activation:
    """phi(z) = z for z > 0, alpha (e^z - 1) for z < 0.  Clevert et al. (2016)."""
    alpha = real("elu", symbolic=True, alpha=alpha)
    return Activation("elu", _elu(alpha, X), "elu", floats(alpha), kinks=(0.0,))


def celu(alpha: Number = 1.0) -> Activation:
    """phi(z) = z for z > 0, alpha (e^(z/alpha) - 1) for z < 0.  Barron (2017)."""
    alpha = positive("celu", alpha=alpha)
    expression = _elu(alpha, X / alpha, X)
    return Activation(
        "celu", expression, "celu", floats(alpha), (0.0,), scale=min(1.0, float(alpha))
    )


def selu() -> Activation:
    """phi(z) = scale elu(z), scale and alpha of Klambauer et al. (2017) to 31 digits."""
    return Activation("selu", SELU_SCALE * _elu(SELU_ALPHA, X), "selu", kinks=(0.0,))


def _elu(alpha: sp.Expr, inner: sp.Expr, outer: sp.Expr = X) -> sp.Expr:
    return sp.Max(outer, 0) + alpha * expm1(sp.Min(inner, 0))


def exp() -> Activation:
    """phi(z) = e^z."""
    return Activation("exp", sp.exp(X), "exp")


def gaussian() -> Activation:
    """phi(z) = e^(-z^2/2).  Kernel det(I + S)^(-1/2), S the covariance matrix of z, z'."""
    determinant = (1 + Q1) * (1 + Q2) - C**2
    apart = 1 + Q1 + Q2 + Q1 * Q2 * SINE**2
    return Activation(
        "gaussian",
        sp.exp(-(X**2) / 2),
        formulas={
            "mean": 1 / sp.sqrt(1 + Q),
            "derivative_mean": sp.S.Zero,
            "fourth_moment": 1 / sp.sqrt(1 + 4 * Q),
            "kernel": 1 / sp.sqrt(determinant),
        },
        stable={"kernel": 1 / sp.sqrt(apart), "derivative_kernel": C / apart ** sp.Rational(3, 2)},
    )


ENTRIES = {"elu": elu, "celu": celu, "selu": selu, "exp": exp, "gaussian": gaussian}
