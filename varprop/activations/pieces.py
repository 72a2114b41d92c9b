"""Functions that are defined by cases: their kinks, jumps, and the smooth pieces between them."""

from functools import cache
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from varprop import gaussian
from varprop.activations.symbols import X

CASES = (sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside, sp.Piecewise)


class Piece(NamedTuple):
    """phi is the smooth `expression` on (low, high)."""

    low: sp.Expr
    high: sp.Expr
    expression: sp.Expr


@cache
def pieces(expression: sp.Expr, kinks: tuple[float, ...]) -> tuple[Piece, ...]:
    """The smooth expressions between the kinks, which must all be given."""
    edges = [-sp.oo, *map(exact, sorted(kinks)), sp.oo]
    return tuple(
        Piece(low, high, branch(expression, _inside(low, high))) for low, high in pairwise(edges)
    )


def exact(number: Any) -> sp.Expr:
    """A float as the rational that its shortest decimal names; other numbers as they are."""
    return sp.Rational(repr(float(number))) if isinstance(number, float) else sp.sympify(number)


def _inside(low: sp.Expr, high: sp.Expr) -> sp.Expr:
    if low == -sp.oo:
        return sp.S.Zero if high == sp.oo else high - 1
    return low + 1 if high == sp.oo else (low + high) / 2


def branch(expression: Any, point: Any) -> Any:
    """The case of the expression that holds at the point, without Max, Min, Abs, Piecewise..."""
    if not expression.has(*CASES):
        return expression
    if isinstance(expression, sp.Piecewise):
        for value, condition in expression.args:  # type: ignore[misc]
            if condition.subs(X, point) == True:  # noqa: E712
                return branch(value, point)
        return sp.nan
    arguments = [branch(argument, point) for argument in expression.args]
    if not isinstance(expression, CASES):
        return expression.func(*arguments)
    values = [float(argument.subs(X, point)) for argument in arguments]
    if isinstance(expression, sp.Max | sp.Min):
        best = max(values) if isinstance(expression, sp.Max) else min(values)
        return arguments[values.index(best)]
    side = sp.Integer(int(np.sign(values[0])))
    if isinstance(expression, sp.Abs):
        return side * arguments[0]
    return side if isinstance(expression, sp.sign) else (1 + side) / 2


@cache
def steps(expression: sp.Expr, kinks: tuple[float, ...]) -> tuple[sp.Expr, ...]:
    """phi(kink+) - phi(kink-) at each kink."""
    return tuple(
        (after.expression - before.expression).subs(X, after.low)
        for before, after in pairwise(pieces(expression, kinks))
    )


@cache
def find_jumps(expression: sp.Expr, kinks: tuple[float, ...]) -> tuple[float, ...]:
    """The kinks at which the function itself jumps, by more than rounding."""
    if not kinks or expression.free_symbols - {X}:
        return ()
    heights = (abs(float(step)) for step in steps(expression, kinks))
    return tuple(k for k, h in zip(sorted(kinks), heights, strict=True) if h > 1e-12)


@cache
def find_kinks(expression: sp.Expr) -> tuple[float, ...]:
    """The points where a function that is defined by cases changes its case."""
    edges: list = []
    for extreme in expression.atoms(sp.Max, sp.Min):
        edges += [_difference(a, b) for a, b in combinations(extreme.args, 2)]
    edges += [e.args[0] for e in expression.atoms(sp.Abs, sp.sign, sp.Heaviside)]
    for cases in expression.atoms(sp.Piecewise):
        relations = cases.atoms(sp.core.relational.Relational)
        edges += [_difference(relation.lhs, relation.rhs) for relation in relations]
    return tuple(root for edge in edges if edge.free_symbols == {X} for root in real_roots(edge))


def _difference(a: Any, b: Any) -> Any:
    return a - b


@cache
def power(expression: sp.Expr, exponent: int) -> sp.Expr:
    return expression**exponent


@cache
def derivative(expression: sp.Expr) -> sp.Expr:
    """phi' away from the kinks; at a kink it takes the mean of both sides, a null set."""
    return sp.diff(expression, X).replace(  # type: ignore
        lambda e: isinstance(e, sp.DiracDelta), lambda e: sp.Integer(0)
    )


def real_roots(expression: sp.Expr) -> list[float]:
    """Where the expression changes sign: all such points, or those in [-40, 40]."""
    try:
        roots = sp.solveset(expression, X, sp.S.Reals)
    except NotImplementedError:
        roots = sp.S.EmptySet
    if isinstance(roots, sp.FiniteSet):
        return [float(root) for root in roots]  # type: ignore
    f = gaussian.compiled(expression, (X,))
    grid = np.linspace(-40.0, 40.0, 8001)
    positive = np.broadcast_to(f(grid) > 0, grid.shape)
    changes = np.flatnonzero(positive[1:] != positive[:-1])
    return [_bisect(f, grid[i], grid[i + 1]) for i in changes]


def _bisect(f: Any, low: float, high: float) -> float:
    for point in (low, high):
        if f(point) == 0:
            return float(point)
    return float(brentq(f, low, high, xtol=1e-15))  # type: ignore[arg-type]
