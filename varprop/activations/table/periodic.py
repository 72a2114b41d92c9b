"""Sine and cosine."""

from typing import Any

import sympy as sp
from sympy.codegen import cfunctions

from varprop.activations.activation import Activation
from varprop.activations.parameters import floats, positive
from varprop.activations.symbols import Q1, Q2, THETA, C, Number, Q, X

expm1: Any = cfunctions.expm1
MINUS = (sp.sqrt(Q1) - sp.sqrt(Q2)) ** 2 / 2 + 2 * sp.sqrt(Q1 * Q2) * sp.sin(THETA / 2) ** 2
PLUS = (sp.sqrt(Q1) - sp.sqrt(Q2)) ** 2 / 2 + 2 * sp.sqrt(Q1 * Q2) * sp.cos(THETA / 2) ** 2
"""E (z - z')^2 / 2 and E (z + z')^2 / 2, which must not be differences."""


def sin() -> Activation:
    """phi(z) = sin z."""
    return _sine("sin", sp.S.One, ())


def siren(omega: Number = 30.0) -> Activation:
    """phi(z) = sin(omega z).  Sitzmann et al. (2020)."""
    omega = positive("siren", omega=omega)
    return _sine("siren", omega, floats(omega))


def cos() -> Activation:
    """phi(z) = cos z."""
    average = (Q1 + Q2) / 2
    return Activation(
        "cos",
        sp.cos(X),
        "cos",
        formulas={
            "mean": sp.exp(-Q / 2),
            "derivative_mean": sp.Integer(0),
            "fourth_moment": (3 + 4 * sp.exp(-2 * Q) + sp.exp(-8 * Q)) / 8,
            "kernel": (sp.exp(C - average) + sp.exp(-C - average)) / 2,
        },
        stable={
            "kernel": (sp.exp(-MINUS) + sp.exp(-PLUS)) / 2,
            "derivative_kernel": _sinh(),
            "derivative_second_moment": -expm1(-2 * Q) / 2,
        },
    )


def _sine(name: str, omega: sp.Expr, arguments: tuple[float, ...]) -> Activation:
    average = (Q1 + Q2) / 2
    scaled = {Q: omega**2 * Q, Q1: omega**2 * Q1, Q2: omega**2 * Q2, C: omega**2 * C}
    formulas = {
        "mean": sp.Integer(0),
        "derivative_mean": omega * sp.exp(-Q / 2),
        "fourth_moment": (3 - 4 * sp.exp(-2 * Q) + sp.exp(-8 * Q)) / 8,
        "kernel": (sp.exp(C - average) - sp.exp(-C - average)) / 2,
    }
    stable = {
        "fourth_moment": expm1(-2 * Q) ** 2 * (3 + 2 * sp.exp(-2 * Q) + sp.exp(-4 * Q)) / 8,
        "second_moment": -expm1(-2 * Q) / 2,
        "kernel": _sinh(),
        "derivative_kernel": omega**2 * (sp.exp(-MINUS) + sp.exp(-PLUS)) / 2,
    }
    return Activation(
        name,
        sp.sin(omega * X),
        "sin" if name == "sin" else "",
        arguments,
        formulas={k: f.subs(scaled, simultaneous=True) for k, f in formulas.items()},
        stable={k: f.subs(scaled, simultaneous=True) for k, f in stable.items()},
        scale=min(1.0, float(1 / omega)),
    )


def _sinh() -> Any:
    """e^(-(q1 + q2)/2) sinh C: the larger exponential times what the smaller leaves of it."""
    larger = sp.exp(-sp.Min(MINUS, PLUS))
    return -sp.sign(C) * larger * expm1(-2 * sp.Abs(C)) / 2


ENTRIES = {"sin": sin, "cos": cos, "siren": siren}
