"""Exact zero tests: rewrites that must end in a literal 0, and numbers that refute."""

from collections.abc import Callable
from typing import Any

import sympy as sp

DIGITS = 40
ZERO = sp.Float(10, DIGITS) ** (-DIGITS // 2)  # what is smaller than this is left to the rewrites


def reduces_to_zero(expression: Any) -> bool:
    """Whether exact rewrites turn the expression, or each entry of a matrix, into literal 0.

    False also for what none of them decides: an undecided identity is not proved.
    """
    if isinstance(expression, sp.MatrixBase):
        return all(reduces_to_zero(entry) for entry in expression)
    expression = sp.sympify(expression).doit()
    if expression == 0:
        return True
    if expression.has(sp.nan, sp.zoo) or counterexample(expression) is not None:
        return False
    for rewrite in REWRITES:
        rewritten = rewrite(expression)
        if rewritten == 0:
            return True
        if sp.count_ops(rewritten) < sp.count_ops(expression):
            expression = rewritten
    return False


def counterexample(expression: Any) -> dict[Any, Any] | None:
    """Values of the symbols, within their assumptions, at which the expression is not zero.

    One point is tried: it refutes fast, and never proves. None where it decides nothing.
    """
    point = sample_point(expression)
    value = expression.subs(point).evalf(DIGITS)
    if not value.is_number or not value.is_finite:
        return None
    return point if abs(value) > ZERO else None


def sample_point(expression: Any) -> dict[Any, Any]:
    """Generic values: above 1 for positive symbols, small for the others (covariances, slopes)."""
    point = {}
    for k, symbol in enumerate(sorted(expression.free_symbols, key=str)):
        if symbol.is_integer:
            point[symbol] = sp.Integer(3 + 2 * k)
        elif symbol.is_positive:
            point[symbol] = 1 + sp.Rational(2 * k + 3, 29 + k)
        else:
            point[symbol] = sp.Rational(k + 3, 23 + 5 * k)
    return point


def _canonical_radicals(expression: Any) -> Any:
    """Each root of a polynomial with that polynomial factored, then split over its factors."""
    expression = expression.replace(
        lambda e: e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer,
        lambda e: sp.expand_power_base(sp.factor(e.base) ** e.exp, force=False),
    )
    return sp.cancel(sp.together(sp.expand(expression)))


def _one_function(expression: Any) -> Any:
    """erfc by erf, acos by asin, hyperbolic functions by exponentials."""
    expression = expression.rewrite(sp.erf).replace(sp.acos, lambda x: sp.pi / 2 - sp.asin(x))
    expression = expression.replace(sp.tanh, lambda x: 1 - 2 / (sp.exp(2 * x) + 1))
    return sp.cancel(sp.together(sp.expand(expression)))


REWRITES: tuple[Callable[[Any], Any], ...] = (
    sp.expand,
    lambda e: sp.cancel(sp.together(e)),
    _canonical_radicals,
    _one_function,
    lambda e: _canonical_radicals(_one_function(e)),
    sp.radsimp,
    lambda e: sp.powsimp(sp.expand(sp.expand_power_exp(e))),
    sp.trigsimp,
    sp.simplify,
)
"""Exact rewrites, cheap ones first. Each preserves the value, so reaching 0 is a proof."""
