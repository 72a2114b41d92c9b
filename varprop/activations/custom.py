"""Activations of the user: from a SymPy expression, or from a torch function."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from varprop.activations.activation import Activation, derived
from varprop.activations.opaque import checked, is_opaque, opaque, same
from varprop.activations.symbols import X


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
    torch in float64, moments from quadrature. Raises ValueError for other expressions, for a torch
    function that is no elementwise float function, that jumps at a kink, or that differs from the
    expression, and for `homogeneous` where phi(2 z) is not 2 phi(z).
    """
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
