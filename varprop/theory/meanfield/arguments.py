"""What the mean field may be asked for: numbers in their ranges, or one error that says which."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import sympy as sp

from varprop import gaussian


def check_number(name: str, value: Any, holds: Callable[[Any], Any], rule: str) -> None:
    """Raise ValueError unless `value` is one finite number that `holds`, or a symbol that may."""
    if isinstance(value, np.ndarray) and value.ndim:
        raise ValueError(
            f"{name} is one number, got an array of shape {value.shape}; "
            "use phase_diagram for grids"
        )
    fine = isinstance(value, (Real, sp.Expr, np.ndarray)) and not isinstance(value, bool)
    if fine and not gaussian.is_symbolic(value):
        fine = np.isfinite(float(value))
    if not fine or holds(value) == False:  # noqa: E712  (an open relation of symbols is neither)
        raise ValueError(f"{name} {rule}, got {value!r}; variances are fan_in Var(w) and Var(b)")


def numbers(name: str, values: Any, rule: str, low: float = 0.0) -> np.ndarray:
    """The values as floats; ValueError unless all are finite and at least `low`."""
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if isinstance(values, str) or not np.all(np.isfinite(array) & (array >= low)):
        raise ValueError(f"{name} {rule}, got {values!r}; give numbers, not symbols")
    return array
