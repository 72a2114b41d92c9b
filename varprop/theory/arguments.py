"""Checks of single arguments: finite numbers and whole numbers, or SymPy expressions in symbols."""

from math import isfinite, nan
from typing import Any

import numpy as np
import sympy as sp

from varprop.gaussian import is_finite_real


def has_symbols(value: Any) -> bool:
    """Whether the value is a SymPy expression with free symbols."""
    return isinstance(value, sp.Expr) and bool(value.free_symbols)


def check_number(
    name: str,
    value: Any,
    remedy: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    symbols: bool = True,
) -> None:
    """Raise ValueError unless the value is one finite real number within its bound.

    A SymPy expression passes (if `symbols`) unless its assumptions contradict the bound.
    """
    if has_symbols(value):
        wrong = not symbols or value.is_extended_real is False
        holds = not wrong and all(r != False for r in _bounds(value, least, above, most))  # noqa: E712
    else:
        number = _float(value)
        holds = isfinite(number) and all(_bounds(number, least, above, most))
    if holds:
        return
    bounds = [f" of at least {least:g}"] if least is not None else []
    bounds += [f" above {above:g}"] if above is not None else []
    bounds += [f" at most {most:g}"] if most is not None else []
    kind = "finite number" + " and".join(bounds) + (", or a SymPy expression" if symbols else "")
    came = repr(value)
    if isinstance(value, np.ndarray) and value.ndim:
        came = f"an array of shape {value.shape}"
    raise ValueError(f"{name} must be a {kind}, got {came}; {remedy}")


def _float(value: Any) -> float:
    """The value of one real number; nan for anything else."""
    one = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
    if isinstance(one, sp.Expr):
        return float(one) if one.is_real else nan
    return float(one) if is_finite_real(one) else nan


def _bounds(value: Any, least: float | None, above: float | None, most: float | None) -> list[Any]:
    """Bools, or SymPy relations that are still open."""
    found = [] if least is None else [value >= least]
    found += [] if above is None else [value > above]
    return found + ([] if most is None else [value <= most])


def check_numbers(
    name: str,
    values: Any,
    remedy: str,
    *,
    least: float | None = None,
    above: float | None = None,
) -> np.ndarray:
    """An array as floats; ValueError unless every entry passes `check_number`."""
    entries = np.asarray(values, object)
    for entry in entries.ravel():
        check_number(name, entry, remedy, least=least, above=above, symbols=False)
    return entries.astype(float)


def real_points(x: Any) -> np.ndarray:
    """Points at which a law is asked, as floats; infinities are points too."""
    try:
        points = np.asarray(x, float)
    except (TypeError, ValueError, OverflowError):
        points = np.array(np.nan)
    if isinstance(x, str | bytes) or np.any(np.isnan(points)):
        raise ValueError(f"a law is asked at real numbers, got {x!r}; give a number or an array")
    return points


def check_whole(name: str, value: Any, least: int, remedy: str, *, symbols: bool = False) -> None:
    """Raise ValueError unless the value is an integer of at least `least`, or has symbols."""
    if symbols and has_symbols(value):
        return
    kinds = (int, np.integer, sp.Integer) if symbols else (int, np.integer)
    if isinstance(value, bool) or not isinstance(value, kinds) or value < least:
        kind = f"whole number of at least {least}" + (" or a SymPy expression" if symbols else "")
        raise ValueError(f"{name} must be a {kind}, got {value!r}; {remedy}")


def check_mean(mean: Any, second: Any) -> None:
    """Raise ValueError where mean^2 > second beyond rounding, for numbers or arrays."""
    values = np.asarray(mean), np.asarray(second)
    if any(v.dtype == object for v in values) and any(
        has_symbols(v) for array in values for v in array.ravel()
    ):
        return
    first, power = (v.astype(float) for v in values)
    if np.any(first**2 > power * (1 + 1e-12)):
        raise ValueError(
            f"the squared mean must not exceed the second moment E x^2, got mean {mean!r} and "
            f"second moment {second!r}; second moments count the mean, they are no variances"
        )
