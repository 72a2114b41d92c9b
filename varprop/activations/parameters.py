"""Parameters of activations: exact numbers, checked."""

from typing import Any

import sympy as sp

from varprop.activations.pieces import exact
from varprop.gaussian import is_finite_real


def real(activation: str, symbolic: bool = False, **parameter: Any) -> sp.Expr:
    """The parameter as an exact number; raises ValueError for what is none.

    `symbolic`: SymPy expressions with free symbols are taken as they are.
    """
    ((name, value),) = parameter.items()
    if isinstance(value, sp.Expr):
        if value.is_number and value.is_finite and value.is_real:
            return value
        if symbolic and not value.is_number:
            return value
        kind = "a number" if not symbolic else "a number or a real expression"
    elif is_finite_real(value):
        return exact(value) if isinstance(value, int) else exact(float(value))
    else:
        kind = "a finite number"
    raise ValueError(f"the parameter {name} of {activation} must be {kind}, got {value!r}")


def positive(activation: str, symbolic: bool = False, **parameter: Any) -> sp.Expr:
    """The same, above zero."""
    number = real(activation, symbolic, **parameter)
    if number.is_number and not number > 0:
        ((name, value),) = parameter.items()
        raise ValueError(f"the parameter {name} of {activation} must be positive, got {value!r}")
    return number


def natural(activation: str, least: int = 0, **parameter: Any) -> int:
    """The same, an integer of at least `least`."""
    number = real(activation, **parameter)
    if not number.is_Integer or number < least:
        ((name, value),) = parameter.items()
        raise ValueError(
            f"the parameter {name} of {activation} must be an integer of at least {least}, got "
            f"{value!r}"
        )
    return int(number)


def floats(*numbers: sp.Expr) -> tuple[float, ...]:
    """Arguments for torch; none where one is a symbol."""
    return tuple(map(float, numbers)) if all(n.is_number for n in numbers) else ()
