"""Activations of the user: from a SymPy expression, or from a torch function."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations.activation import Activation, derived
from varprop.activations.opaque import checked, is_opaque, opaque, same
from varprop.activations.pieces import derivative, exact
from varprop.activations.symbols import X

LINE = np.concatenate([np.linspace(-5.03, 4.97, 101), [-37.1, -19.3, -9.7, 9.9, 19.1, 37.3]])


def custom(
    name: str,
    expression: sp.Expr | None = None,
    kinks: tuple[float, ...] = (),
    *,
    homogeneous: bool = False,
    torch_function: Callable | None = None,
) -> Activation:
    """An activation from a SymPy expression in one symbol, or from a torch function alone.

    The kinks of Max, Min, Abs, sign, Heaviside and Piecewise are found; name any others. A torch
    function without an expression needs all its kinks named: values and slopes then come from
    torch in float64, moments from quadrature. Raises ValueError for other expressions, for one that
    is not real on the line or has no numbers, for a torch function that is no elementwise float
    function, that jumps, or that differs from the expression, and for `homogeneous` where phi(2 z)
    is not 2 phi(z).
    """
    kinks = _named(name, kinks)
    if torch_function is not None and not callable(torch_function):
        raise ValueError(
            f"the torch function of {name} must be a function of one tensor, got "
            f"{torch_function!r}; give it as torch_function=torch.tanh, or leave it out"
        )
    if not isinstance(homogeneous, bool):
        raise ValueError(
            f"homogeneous is True (phi(a z) = a phi(z) for a > 0) or False, got {homogeneous!r}"
        )
    if expression is None and torch_function is not None:
        expression = opaque(checked(name, torch_function, kinks))
    if not isinstance(expression, sp.Expr):
        raise ValueError(
            f"the expression of {name} must be a SymPy expression in one symbol, got "
            f"{expression!r}; write it with sympy.Symbol('x'), or give torch_function"
        )
    symbolic: Any = expression
    symbols = symbolic.free_symbols
    if len(symbols) > 1 and X not in symbols:
        raise ValueError(
            f"the expression of {name} must have one symbol, got "
            f"{', '.join(sorted(map(str, symbols)))}; write z as varprop.activations.X"
        )
    if symbols and X not in symbols and len(symbols) == 1:
        symbolic = symbolic.subs(symbols.pop(), X)
    _check_values(name, symbolic)
    phi = derived(name, symbolic, kinks, homogeneous=homogeneous, function=torch_function)
    if torch_function is not None and not is_opaque(symbolic):
        same(name, phi, torch_function)
    if homogeneous and symbolic.free_symbols <= {X}:
        z = np.array([-3.0, -0.7, 0.4, 2.0])
        if not np.allclose(phi(2 * z), 2 * phi(z), rtol=1e-9):
            raise ValueError(
                f"{name} is not homogeneous: phi(2 z) differs from 2 phi(z); leave the flag out"
            )
    return phi


def _named(name: Any, kinks: Any) -> tuple[float, ...]:
    """The kinks as floats; ValueError unless they are finite numbers and the name is a string."""
    if not isinstance(name, str):
        raise ValueError(
            f"the name of an activation must be a string, got {name!r}; write "
            "custom_activation('name', expression)"
        )
    try:
        found = tuple(float(kink) for kink in kinks)
    except (TypeError, ValueError):
        found = (np.nan,)
    if isinstance(kinks, str) or not np.all(np.isfinite(found)):
        raise ValueError(
            f"the kinks of {name} must be a tuple of finite numbers, got {kinks!r}; write one kink "
            "at 3 as kinks=(3,)"
        )
    return found


def _check_values(name: str, expression: sp.Expr) -> None:
    """Raise ValueError where phi, at known parameters, is not real or cannot be computed."""
    if expression.is_infinite:
        raise ValueError(f"{name} must be finite, got {expression}; write phi as a function of z")
    if not expression.free_symbols <= {X}:
        return
    try:
        with np.errstate(all="ignore"):
            values = np.broadcast_to(gaussian.compiled(expression, (X,))(LINE), LINE.shape)
            gaussian.compiled(derivative(expression), (X,))(LINE)
    except (AttributeError, NameError, NotImplementedError, TypeError) as error:
        raise ValueError(
            f"phi or phi' of {name} cannot be computed in floats from {expression}: "
            f"{type(error).__name__}; write it with functions that SymPy prints for NumPy and "
            "SciPy, and its steps with Heaviside, sign or Piecewise"
        ) from error
    for at in np.flatnonzero(np.isnan(values) | (np.imag(values) != 0)):
        point: Any = exact(float(LINE[at]))
        value: Any = sp.nan if is_opaque(expression) else sp.N(expression.subs(X, point))
        if not (value.is_real and value.is_finite):
            raise ValueError(
                f"{name} must be real on the whole line; at z = {LINE[at]:.4g} it is "
                f"{sp.N(value, 4)}; write it for all z, with Max, Abs or Piecewise"
            )
