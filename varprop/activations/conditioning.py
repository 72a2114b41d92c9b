"""Closed forms on floats, and where they have lost their digits.

A closed form is a sum of terms. Where the terms cancel, or overflow, the sum has lost digits: a
float is `sound` where the absolute values of the terms add up to at most LOSS times the value. (A
single term that overflows is the infinity that floats have for it.)
The caller puts quadrature in place of the others, so no range of validity is written down.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations.special import bivariate_normal

LOSS = 500.0  # 500 * 2.2e-16 = 1e-13


def closed_or(
    formula: sp.Expr | None,
    values: Mapping[sp.Symbol, Any],
    quadrature: Callable[..., np.ndarray],
    arguments: tuple | None = None,
) -> Any:
    """The closed form where it is sound; `quadrature(*arguments)` elsewhere, or without one."""
    given = tuple(values.values()) if arguments is None else arguments
    if formula is None:
        return np.asarray(quadrature(*np.broadcast_arrays(*given)))[()]
    value, sound = evaluate(formula, values)
    if not sound.all():
        lost = ~sound
        value[lost] = quadrature(*(np.asarray(a, float)[lost] for a in np.broadcast_arrays(*given)))
    return value[()]


def evaluate(formula: sp.Expr, values: Mapping[sp.Symbol, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The closed form at float arrays, and where it is sound."""
    arguments = [np.asarray(v, float) for v in values.values()]
    value = np.zeros(np.broadcast(*arguments).shape)
    with np.errstate(all="ignore"):
        summands, sizes = _function(formula, tuple(values))(*arguments)
        for term in summands:
            value += term
        if len(summands) == 1:
            return value, np.asarray(~np.isnan(value))
        size = np.zeros(value.shape)
        for term in sizes or summands:
            size += np.abs(term)
        return value, np.asarray(np.isfinite(value) & (size <= LOSS * np.abs(value)))


@cache
def _function(formula: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> Callable[..., Any]:
    return gaussian.compiled(_terms(formula), symbols)


def _terms(formula: sp.Expr) -> sp.Tuple:
    """The terms, and those whose absolute values measure their rounding errors, where others.

    A bivariate normal probability is exact to an absolute error, so its size is that of 1.
    """
    terms = []
    for term in sp.Add.make_args(formula):
        terms += sp.Add.make_args(sp.expand_mul(term, deep=False))
    sizes = [
        term.replace(lambda e: isinstance(e, bivariate_normal), lambda e: sp.S.One)
        for term in terms
    ]
    return sp.Tuple(sp.Tuple(*terms), sp.Tuple(*(sizes if sizes != terms else ())))
