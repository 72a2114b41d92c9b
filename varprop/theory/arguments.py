"""Checks of single arguments: finite numbers and whole numbers, or SymPy expressions in symbols."""

from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
import sympy as sp


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
    symbols: bool = True,
) -> None:
    """Raise ValueError unless the value is one finite real number within its bound.

    A SymPy expression passes (if `symbols`) unless its assumptions contradict the bound.
    """
    if has_symbols(value):
        wrong = not symbols or value.is_extended_real is False
        holds = not wrong and _within(value, least, above) != False  # noqa: E712
    elif isinstance(value, Real | sp.Expr) and not isinstance(value, bool):
        number = float(value) if not isinstance(value, sp.Expr) or value.is_real else float("nan")
        holds = isfinite(number) and bool(_within(number, least, above))
    else:
        holds = False
    if holds:
        return
    bound = f" of at least {least:g}" if least is not None else ""
    bound = f" above {above:g}" if above is not None else bound
    kind = "finite number" + bound + (", or a SymPy expression" if symbols else "")
    raise ValueError(f"{name} must be a {kind}, got {value!r}; {remedy}")


def _within(value: Any, least: float | None, above: float | None) -> Any:
    """A bool, or a SymPy relation that is still open."""
    return value > above if above is not None else value >= least if least is not None else True


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
