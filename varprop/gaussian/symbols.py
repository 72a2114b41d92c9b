"""The bridge from SymPy expressions to numbers."""

from collections.abc import Callable, Mapping
from functools import cache
from math import isfinite
from typing import Any

import numpy as np
import sympy as sp
from sympy.codegen.rewriting import create_expand_pow_optimization


def symbolic_expectation(expression: sp.Expr, x: sp.Symbol, variance: sp.Expr) -> sp.Expr:
    """E f(x), x ~ N(0, variance), as an unevaluated integral over the standard normal."""
    z = sp.Symbol("z", real=True)
    density = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    return sp.Integral(expression.subs(x, sp.sqrt(variance) * z) * density, (z, -sp.oo, sp.oo))


def is_finite_real(value: Any) -> bool:
    """Whether a value is one finite real number of Python or NumPy; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        return False


def is_symbolic(*values: Any) -> bool:
    """Whether any value is a SymPy expression with free symbols, or an array that holds SymPy."""
    for value in values:  # not any(...), which costs more than the rest of a closed form
        if value.dtype == object if isinstance(value, np.ndarray) else isinstance(value, sp.Basic):
            return True
    return False


def evaluate(expression: sp.Expr, values: Mapping[sp.Symbol, Any]) -> Any:
    """The expression at `values`: an Expr when any value is symbolic, else floats or arrays."""
    if not is_symbolic(*values.values()):
        result = np.asarray(compiled(expression, tuple(values))(*values.values()), float)
        shape = np.broadcast_shapes(*(np.shape(v) for v in values.values()))
        return (result if result.shape == shape else np.broadcast_to(result, shape))[()]
    if any(isinstance(v, np.ndarray) for v in values.values()):
        apply = np.frompyfunc(lambda *v: _substitute(expression, values, v), len(values), 1)
        return apply(*values.values())
    return _substitute(expression, values, tuple(values.values()))


def _substitute(expression: sp.Expr, names: Mapping[sp.Symbol, Any], values: tuple) -> sp.Expr:
    return expression.subs(dict(zip(names, values, strict=True)), simultaneous=True)  # type: ignore


@cache
def compiled(expression: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> Callable[..., np.ndarray]:
    """A NumPy function of the symbols; special functions come from SciPy."""
    shared: Any = _shared  # SymPy's annotation of `cse` knows only True and False
    return sp.lambdify(symbols, expression, modules=["scipy", "numpy"], cse=shared)


_multiplied = create_expand_pow_optimization(4)  # x * x * x costs a tenth of pow(x, 3)


def _shared(expression: Any) -> tuple[list, Any]:
    """Common subexpressions, with whole powers of symbols written as products."""
    shared, reduced = sp.cse(expression, list=False)
    if isinstance(reduced, sp.Basic):
        reduced = _multiplied(reduced)
    return [(name, _multiplied(e)) for name, e in shared], reduced
