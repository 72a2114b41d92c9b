"""Two variances and their closeness, in every parametrisation that a kernel formula may use."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Number

SHORT = 4  # entries of an array that are all printed
ROUNDING = 1e-9  # of q1 + q2: what a gap may lie outside its range


def variance_of(q: Number) -> np.ndarray:
    """Variances as floats; raises ValueError for one that is negative or no finite number."""
    value = _floats(q)
    good = (value >= 0) & (value < np.inf)
    if not good.all():
        raise ValueError(_no_variance(_first(~good, q)))
    return value


def _no_variance(came: str) -> str:
    return (
        f"a variance q must be a finite number, at least 0; got {came}; give floats, or a SymPy "
        "expression for a formula"
    )


def check_variance(*given: Any) -> None:
    """Raise ValueError for SymPy numbers and symbols that are no variance, alone or in arrays."""
    for q in given:
        for value in np.asarray(q, object).ravel():
            if isinstance(value, sp.Expr) and value.is_Atom and not _may_be(value, 0, sp.oo):
                raise ValueError(_no_variance(repr(q)))


def _may_be(value: Any, least: Any, most: Any) -> bool:
    """Whether a SymPy number, or a symbol with what is assumed of it, can lie in the range."""
    known = value.is_finite is not False and value.is_extended_real is not False
    return known and value is not sp.nan and (value >= least) != False and (value <= most) != False  # noqa: E712


def _floats(number: Any) -> np.ndarray:
    """Numbers as floats; nan for what is no real number."""
    array = np.asarray(number)
    if array.dtype.kind not in "fiuO":
        return np.array(np.nan)
    try:
        return np.asarray(array, float)[()]
    except (TypeError, ValueError, OverflowError):  # objects, or integers beyond floats
        return np.array(np.nan)


def _first(bad: np.ndarray, number: Any) -> str:
    """How a number reads: of an array that is long, the first bad entry."""
    if np.size(number) <= SHORT or not np.ndim(bad):
        return repr(number)
    return repr(np.broadcast_to(np.asarray(number), bad.shape)[bad].tolist()[0])


def ray_gap(q1: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """The smallest gap that variances q1, q2 allow: (sqrt(q1) - sqrt(q2))^2 / 2, at c = 1."""
    total = np.sqrt(q1) + np.sqrt(q2)
    return ((q1 - q2) / np.where(total > 0, total, 1.0)) ** 2 / 2


def deficit(q1: np.ndarray, q2: np.ndarray, gap: Number) -> np.ndarray:
    """1 - c from the gap: gap = ray gap + sqrt(q1 q2) (1 - c).

    Raises ValueError for a gap that no correlation has, by more than ROUNDING.
    """
    scale, least, value = np.sqrt(q1 * q2), ray_gap(q1, q2), _floats(gap)
    missing = value - least
    slack = ROUNDING * (q1 + q2) + np.finfo(float).tiny
    most = 2 * np.sqrt(q1) * np.sqrt(q2)
    good = (missing >= -slack) & (missing <= most + slack)
    if not good.all():
        at = [_first(~good, number) for number in (gap, q1, q2)]
        raise ValueError(
            "a gap E(z - z')^2 / 2 lies between (sqrt(q1) - sqrt(q2))^2 / 2, at c = 1, and "
            f"(sqrt(q1) + sqrt(q2))^2 / 2, at c = -1; got gap = {at[0]} for q1 = {at[1]}, "
            f"q2 = {at[2]}; give (q1 + q2) / 2 - E z z'"
        )
    return np.minimum(np.maximum(missing / np.where(scale > 0, scale, 1.0), 0.0), 2.0)


def numeric_pair(q1: Number, q2: Number, c: Number, gap: Number) -> dict:
    """Values of the kernel symbols, and of the deficit 1 - c."""
    q1, q2 = variance_of(q1), variance_of(q2)
    if c is None:
        return at_deficit(q1, q2, deficit(q1, q2, gap))
    cosine = _floats(c)
    good = np.abs(cosine) <= 1
    if not np.all(good):
        raise ValueError(_no_correlation(_first(~good, c)))
    return at_deficit(q1, q2, 1.0 - cosine)


def _no_correlation(came: str) -> str:
    return (
        f"a correlation c must be a number in [-1, 1]; got {came}; divide the covariance by "
        "sqrt(q1 q2), or give the gap"
    )


def at_deficit(q1: np.ndarray, q2: np.ndarray, missing: np.ndarray) -> dict:
    """Values of the kernel symbols at correlation 1 - missing."""
    return {
        Q1: q1,
        Q2: q2,
        C: np.sqrt(q1 * q2) * (1 - missing),
        THETA: 2 * np.arcsin(np.sqrt(missing / 2)),
        SINE: np.sqrt(missing * (2 - missing)),
        "deficit": missing,
    }


def symbolic_pair(q1: Number, q2: Number, c: Number, gap: Number) -> dict:
    """The same with exact expressions; object arrays are broadcast against each other."""

    def from_gap(q1: sp.Expr, q2: sp.Expr, gap: sp.Expr) -> sp.Expr:
        return sp.simplify((sp.sympify(q1) + q2) / 2 - gap)

    def correlation(q1: sp.Expr, q2: sp.Expr, covariance: sp.Expr) -> sp.Expr:
        return sp.simplify(covariance / sp.sqrt(sp.sympify(q1) * q2))

    check_variance(q1, q2)
    if isinstance(c, sp.Expr) and c.is_Atom and not _may_be(c, -1, 1):
        raise ValueError(_no_correlation(repr(c)))
    if gap is None:
        covariance = elementwise(lambda q1, q2, c: c * sp.sqrt(sp.sympify(q1) * q2), q1, q2, c)
    else:
        covariance = elementwise(from_gap, q1, q2, gap)
        c = elementwise(correlation, q1, q2, covariance)
    return {
        Q1: q1,
        Q2: q2,
        C: covariance,
        THETA: elementwise(sp.acos, c),
        SINE: elementwise(lambda c: sp.sqrt(1 - c**2), c),
    }


def elementwise(function: Callable, *values: Number) -> Number:
    if any(isinstance(v, np.ndarray) for v in values):
        return np.frompyfunc(function, len(values), 1)(*values)
    return function(*values)
