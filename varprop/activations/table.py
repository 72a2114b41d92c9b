"""The table of activations: to add one, add an entry."""

import inspect
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from math import isfinite

import sympy as sp

from varprop.activations.activation import Activation
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Number, Q, X


def leaky_relu(a: Number = 0.01) -> Activation:
    """phi(z) = max(z, 0) + a min(z, 0); relu (a = 0), abs (a = -1), identity (a = 1).

    Kernel: arc-cosine kernel of order one, Cho & Saul (2009).
    """
    a = sp.Rational(repr(float(a))) if isinstance(a, float) else sp.sympify(a)
    linear, even = ((1 + a) / 2) ** 2, ((1 - a) / 2) ** 2
    arc = sp.pi / 2 - THETA  # asin(c)
    name = {0: "relu", -1: "abs", 1: "identity"}.get(a, "leaky_relu")
    kernel = linear * C + even * 2 / sp.pi * sp.sqrt(Q1 * Q2) * (SINE + arc * sp.cos(THETA))
    return Activation(
        name,
        {0: sp.Max(X, 0), -1: sp.Abs(X), 1: X}.get(a, sp.Max(X, 0) + a * sp.Min(X, 0)),
        {"identity": "clone"}.get(name, name),
        (float(a),) if name == "leaky_relu" and a.is_number else (),
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
    return leaky_relu(a)


def absolute() -> Activation:
    """phi(z) = |z|."""
    return leaky_relu(-1)


@cache
def identity() -> Activation:
    """phi(z) = z."""
    return leaky_relu(1)


def tanh() -> Activation:
    """phi(z) = tanh z."""
    return Activation("tanh", sp.tanh(X), "tanh", formulas={"mean": sp.Integer(0)})


def sigmoid() -> Activation:
    """phi(z) = 1 / (1 + exp(-z))."""
    return Activation(
        "sigmoid", (1 + sp.tanh(X / 2)) / 2, "sigmoid", formulas={"mean": sp.Rational(1, 2)}
    )


def silu() -> Activation:
    """phi(z) = z sigmoid(z)."""
    half = sp.Rational(1, 2)  # E sigmoid'(z) z = 0 by symmetry
    expression = X * (1 + sp.tanh(X / 2)) / 2
    return Activation("silu", expression, "silu", formulas={"derivative_mean": half})


def erf() -> Activation:
    """phi(z) = erf z.  Kernel: Williams (1997)."""
    return Activation(
        "erf",
        sp.erf(X),
        "erf",
        formulas={
            "mean": sp.Integer(0),
            "derivative_mean": 2 / sp.sqrt(sp.pi * (1 + 2 * Q)),
            "kernel": 2 / sp.pi * sp.asin(2 * C / sp.sqrt((1 + 2 * Q1) * (1 + 2 * Q2))),
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
        X * (1 + sp.erf(X / sp.sqrt(2))) / 2,
        "gelu",
        formulas={
            "mean": Q / sp.sqrt(2 * sp.pi * (1 + Q)),
            "derivative_mean": sp.Rational(1, 2),
            "kernel": kernel,
        },
    )


def sin() -> Activation:
    """phi(z) = sin z."""
    average = (Q1 + Q2) / 2
    return Activation(
        "sin",
        sp.sin(X),
        "sin",
        formulas={
            "mean": sp.Integer(0),
            "derivative_mean": sp.exp(-Q / 2),
            "fourth_moment": (3 - 4 * sp.exp(-2 * Q) + sp.exp(-8 * Q)) / 8,
            "kernel": (sp.exp(C - average) - sp.exp(-C - average)) / 2,
        },
    )


ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "identity": identity,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "abs": absolute,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "erf": erf,
    "gelu": gelu,
    "silu": silu,
    "sin": sin,
}


def get(activation: "str | Activation", **parameters: Number) -> Activation:
    """The activation of that name: `get("relu")`, `get("leaky_relu", a=0.2)`.

    Raises ValueError for an unknown name or parameter, with the names that exist.
    """
    if isinstance(activation, Activation):
        return activation
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", str(activation))
    name = match[1] if match else str(activation)
    if name not in ACTIVATIONS:
        near = get_close_matches(name, ACTIVATIONS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"unknown activation {activation!r}; {hint}known: {', '.join(ACTIVATIONS)}; "
            "or build one with varprop.custom_activation(name, sympy_expression, kinks)"
        )
    factory = ACTIVATIONS[name]
    accepted = inspect.signature(factory).parameters
    takes = ", ".join(accepted) or "no parameter"
    if match and match[2] is not None:
        if not accepted:
            raise ValueError(f"{name} takes no parameter; got {activation!r}: write {name!r}")
        parameters = {"a": _number(match[2], name), **parameters}
    unknown = [key for key in parameters if key not in accepted]
    if unknown:
        raise ValueError(f"{name} takes {takes}; got {', '.join(unknown)}")
    return factory(**parameters)


def _number(text: str, name: str) -> float:
    try:
        value = float(sp.Rational(text))
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    if not isfinite(value):
        raise ValueError(f"the parameter of {name} must be a number, got {text!r}: {name}(0.2)")
    return value
