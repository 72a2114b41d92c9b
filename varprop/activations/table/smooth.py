"""Analytic sigmoids and their relatives, without closed forms but for symmetry."""

from typing import Any

import sympy as sp

from varprop.activations import special
from varprop.activations.activation import Activation
from varprop.activations.parameters import floats, positive
from varprop.activations.symbols import Number, X

HALF = sp.Rational(1, 2)
log_one_plus_exp: Any = special.softplus
tanh_residual: Any = special.tanh_residual
ODD = {"mean": sp.Integer(0)}
EVEN_BUT_HALF_A_LINE = {"derivative_mean": HALF}  # phi(z) - z/2 is even
INVISIBLE = 2.0**-24  # relative rounding of float32


def tanh() -> Activation:
    """phi(z) = tanh z."""
    return Activation("tanh", sp.tanh(X), "tanh", formulas=ODD)


def lecun_tanh() -> Activation:
    """phi(z) = 1.7159 tanh(2z/3), close to 1 at 1.  LeCun et al. (1998), Efficient backprop."""
    expression = sp.Rational("1.7159") * sp.tanh(2 * X / 3)
    return Activation("lecun_tanh", expression, formulas=ODD)


def sigmoid() -> Activation:
    """phi(z) = 1 / (1 + exp(-z))."""
    return Activation("sigmoid", (1 + sp.tanh(X / 2)) / 2, "sigmoid", formulas={"mean": HALF})


def silu() -> Activation:
    """phi(z) = z sigmoid(z)."""
    expression = X * (1 + sp.tanh(X / 2)) / 2
    return Activation("silu", expression, "silu", formulas=EVEN_BUT_HALF_A_LINE)


def gelu_tanh() -> Activation:
    """phi(z) = z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))/2: GELU with `approximate="tanh"`."""
    inner = sp.sqrt(2 / sp.pi) * (X + sp.Rational("0.044715") * X**3)
    return Activation(
        "gelu_tanh", X * (1 + sp.tanh(inner)) / 2, formulas=EVEN_BUT_HALF_A_LINE, scale=0.5
    )


def softplus(beta: Number = 1.0, threshold: Number = 20.0) -> Activation:
    """phi(z) = log(1 + exp(beta z)) / beta, and z where beta z > threshold.

    The switch is a jump of log(1 + e^-threshold) / beta. Where that is below the rounding of
    float32, as at torch's default, the function is taken without it.
    """
    b, t = positive("softplus", beta=beta), positive("softplus", threshold=threshold)
    smooth = log_one_plus_exp(b * X) / b
    if sp.exp(-t) < INVISIBLE * t:
        return Activation(
            "softplus",
            smooth,
            "softplus",
            floats(b, t),
            formulas=EVEN_BUT_HALF_A_LINE,
            scale=1 / max(1.0, float(b)),
        )
    expression = sp.Piecewise((X, b * X > t), (smooth, True))
    return Activation("softplus", expression, "softplus", floats(b, t), floats(t / b))


def logsigmoid() -> Activation:
    """phi(z) = log sigmoid(z)."""
    return Activation(
        "logsigmoid", -log_one_plus_exp(-X), "logsigmoid", formulas=EVEN_BUT_HALF_A_LINE
    )


def mish() -> Activation:
    """phi(z) = z tanh(log(1 + e^z)).  Misra (2019)."""
    return Activation("mish", X * sp.tanh(log_one_plus_exp(X)), "mish")


def softsign() -> Activation:
    """phi(z) = z / (1 + |z|); phi'' jumps at 0."""
    return Activation("softsign", X / (1 + sp.Abs(X)), "softsign", kinks=(0.0,), formulas=ODD)


def tanhshrink() -> Activation:
    """phi(z) = z - tanh z."""
    return Activation("tanhshrink", tanh_residual(X), "tanhshrink", formulas=ODD)


ENTRIES = {
    "tanh": tanh,
    "lecun_tanh": lecun_tanh,
    "sigmoid": sigmoid,
    "silu": silu,
    "gelu_tanh": gelu_tanh,
    "softplus": softplus,
    "logsigmoid": logsigmoid,
    "mish": mish,
    "softsign": softsign,
    "tanhshrink": tanhshrink,
}
