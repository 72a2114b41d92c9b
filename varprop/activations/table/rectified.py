"""Rectifiers: two half lines, on each a power of z."""

from functools import cache

import sympy as sp

from varprop.activations.activation import Activation
from varprop.activations.parameters import floats, natural, real
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Number, Q, X


def leaky_relu(a: Number = 0.01) -> Activation:
    """phi(z) = max(z, 0) + a min(z, 0); relu (a = 0), abs (a = -1), identity (a = 1).

    Kernel: arc-cosine kernel of order one, Cho & Saul (2009).
    """
    a = real("leaky_relu", symbolic=True, a=a)
    linear, even = ((1 + a) / 2) ** 2, ((1 - a) / 2) ** 2
    arc = sp.pi / 2 - THETA  # asin(c)
    name = {0: "relu", -1: "abs", 1: "identity"}.get(a, "leaky_relu")
    kernel = linear * C + even * 2 / sp.pi * sp.sqrt(Q1 * Q2) * (SINE + arc * sp.cos(THETA))
    return Activation(
        name,
        {0: sp.Max(X, 0), -1: sp.Abs(X), 1: X}.get(a, sp.Max(X, 0) + a * sp.Min(X, 0)),
        {"identity": "clone"}.get(name, name),
        floats(a) if name == "leaky_relu" else (),
        () if name == "identity" else (0.0,),
        homogeneous=True,
        formulas={
            "mean": (1 - a) * sp.sqrt(Q / (2 * sp.pi)),
            "derivative_mean": (1 + a) / 2,
            "fourth_moment": 3 * (1 + a**4) / 2 * Q**2,
            "kernel": kernel,
            "derivative_kernel": linear + even * 2 / sp.pi * arc,
        },
    )


def relu() -> Activation:
    """phi(z) = max(z, 0)."""
    return leaky_relu(0)


def prelu(a: Number = 0.25) -> Activation:
    """phi(z) = max(z, 0) + a min(z, 0), with the initial slope that torch.nn.PReLU learns from."""
    return leaky_relu(real("prelu", symbolic=True, a=a))


def rrelu(lower: Number = 0.125, upper: Number = 1 / 3) -> Activation:
    """phi(z) = max(z, 0) + a min(z, 0), a = (lower + upper)/2: torch.nn.RReLU in evaluation mode.

    In training mode the slope of each entry is drawn anew from U(lower, upper), so the layer is no
    function of z; that randomness is not here.
    """
    low, high = real("rrelu", lower=lower), real("rrelu", upper=upper)
    if low > high:
        raise ValueError(f"rrelu needs lower <= upper, got {lower!r} and {upper!r}")
    mean = leaky_relu((low + high) / 2)
    return Activation(
        "rrelu",
        mean.expression,
        "rrelu",
        floats(low, high),
        mean.kinks,
        homogeneous=True,
        formulas=mean.formulas,
    )


def absolute() -> Activation:
    """phi(z) = |z|."""
    return leaky_relu(-1)


@cache
def identity() -> Activation:
    """phi(z) = z."""
    return leaky_relu(1)


def rectified_power(k: Number = 2) -> Activation:
    """phi(z) = max(z, 0)^k, k >= 1.  Kernel: arc-cosine of order k, Cho & Saul (2009)."""
    k = natural("rectified_power", 1, k=k)
    if k == 1:
        return relu()
    return Activation("rectified_power", sp.Max(X, 0) ** k, "", (k,), (0.0,))


def step() -> Activation:
    """phi(z) = 1 for z > 0, 0 for z < 0, 1/2 at 0.  Kernel: Cho & Saul (2009), order zero.

    Autograd sees phi' = 0; E phi'(z) phi'(z') here counts the point mass at the jump.
    """
    return Activation("step", (1 + sp.sign(X)) / 2, kinks=(0.0,))


def sign() -> Activation:
    """phi(z) = sign z; what `step` says of phi' holds here too."""
    return Activation("sign", sp.sign(X), "sign", kinks=(0.0,))


ENTRIES = {
    "identity": identity,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "rrelu": rrelu,
    "abs": absolute,
    "rectified_power": rectified_power,
    "step": step,
    "sign": sign,
}
