"""erf, the normal distribution function Phi, and GELU."""

import sympy as sp

from varprop.activations.activation import Activation
from varprop.activations.special import normal_cdf
from varprop.activations.symbols import Q1, Q2, SINE, C, Q, X


def erf() -> Activation:
    """phi(z) = erf z.  Kernel: Williams (1997)."""
    apart = 1 + 2 * Q1 + 2 * Q2 + 4 * Q1 * Q2 * SINE**2
    return Activation(
        "erf",
        sp.erf(X),
        "erf",
        formulas={
            "mean": sp.Integer(0),
            "derivative_mean": 2 / sp.sqrt(sp.pi * (1 + 2 * Q)),
            "kernel": 2 / sp.pi * sp.asin(2 * C / sp.sqrt((1 + 2 * Q1) * (1 + 2 * Q2))),
        },
        stable={
            "kernel": 2 / sp.pi * sp.atan(2 * C / sp.sqrt(apart)),
            "derivative_kernel": 4 / (sp.pi * sp.sqrt(apart)),
            "second_moment": 2 / sp.pi * sp.atan(2 * Q / sp.sqrt(1 + 4 * Q)),
        },
    )


def cdf() -> Activation:
    """phi(z) = Phi(z), the standard normal distribution function: (1 + erf(z/sqrt(2)))/2."""
    whole, half = erf(), {Q: Q / 2, Q1: Q1 / 2, Q2: Q2 / 2, C: C / 2}

    def halved(formulas: dict, name: str) -> sp.Expr:
        return formulas[name].subs(half, simultaneous=True)

    formulas, stable = dict(whole.formulas), dict(whole.stable)
    return Activation(
        "normal_cdf",
        normal_cdf(X),
        "ndtr",
        formulas={
            "mean": sp.Rational(1, 2),
            "derivative_mean": halved(formulas, "derivative_mean") / (2 * sp.sqrt(2)),
            "kernel": (1 + halved(formulas, "kernel")) / 4,
        },
        stable={
            "kernel": (1 + halved(stable, "kernel")) / 4,
            "derivative_kernel": halved(stable, "derivative_kernel") / 8,
            "second_moment": (1 + halved(stable, "second_moment")) / 4,
        },
    )


def gelu() -> Activation:
    """phi(z) = z Phi(z), Phi the standard normal distribution function."""
    spread = (1 + Q1) * (1 + Q2)
    determinant = spread - C**2
    cross = Q1 * Q2 + C**2 - C**2 * Q1 / (1 + Q1) - C**2 * Q2 / (1 + Q2)
    kernel = (
        C / 4
        + C * sp.asin(C / sp.sqrt(spread)) / (2 * sp.pi)
        + cross / (2 * sp.pi * sp.sqrt(determinant))
    )
    return Activation(
        "gelu",
        X * normal_cdf(X),
        "gelu",
        formulas={
            "mean": Q / sp.sqrt(2 * sp.pi * (1 + Q)),
            "derivative_mean": sp.Rational(1, 2),
            "kernel": kernel,
        },
        stable=_stable_gelu(),
    )


def _stable_gelu() -> dict[str, sp.Expr]:
    """With det = (1 + q1)(1 + q2) - C^2 = 1 + q1 + q2 + q1 q2 s^2 and asin as atan."""
    det, spread = 1 + Q1 + Q2 + Q1 * Q2 * SINE**2, (1 + Q1) * (1 + Q2)
    arc = sp.Rational(1, 4) + sp.atan(C / sp.sqrt(det)) / (2 * sp.pi)
    cross = Q1 * Q2 * SINE**2 + C**2 * (2 + Q1 + Q2) / spread
    kernel = C * arc + cross / (2 * sp.pi * sp.sqrt(det))
    slope = arc + C * (1 / sp.sqrt(det)) * (_gelu_slope(det, spread)) / (2 * sp.pi)
    return {"kernel": kernel, "derivative_kernel": slope}


def _gelu_slope(det: sp.Expr, spread: sp.Expr) -> sp.Expr:
    """What d/dC adds to C asin(..) / 2pi, over C / (2 pi sqrt(det))."""
    cross = Q1 * Q2 * SINE**2 + C**2 * (2 + Q1 + Q2) / spread
    return 1 + 2 * (1 / (1 + Q1) + 1 / (1 + Q2) - 1) + cross / det


ENTRIES = {"erf": erf, "normal_cdf": cdf, "gelu": gelu}
