"""Closed forms for piecewise polynomial-exponential functions, from their pieces alone.

phi(z) = sum_i 1{a_i < z < b_i} sum_k c_k z^k e^(t_k z). Its moments are sums of `truncated`
moments; with edges e and phi = sum_e d_e(z) 1{z < e}, so is its kernel. Proved once, as
`truncated-moments` and `truncated-pairs`.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import sympy as sp

from varprop.activations.pieces import Piece, derivative, find_kinks, pieces, steps
from varprop.activations.symbols import Q, X
from varprop.activations.truncated import Term, both_given, corner, density, given, moment, swapped

MANY = 4  # kinks: above, a kernel of so many terms is slower than quadrature
Pieces = tuple[tuple[Piece, tuple[Term, ...]], ...]


def single(expression: sp.Expr, kinks: tuple[float, ...]) -> sp.Expr | None:
    """E f(z), z ~ N(0, Q), for f with jumps and kinks at `kinks`; None if f is of another kind."""
    parts = _terms_by_piece(expression, kinks)
    if parts is None:
        return None
    return sp.Add(
        *(
            sp.expand_mul(c * moment(k, t, piece.low, piece.high, 0, Q))
            for piece, terms in parts
            for c, k, t in terms
        )
    )


def mean_slope(expression: sp.Expr, kinks: tuple[float, ...]) -> sp.Expr | None:
    """E f'(z), a jump of f being a point mass of f'."""
    regular = single(derivative(expression), kinks)
    if regular is None or _terms_by_piece(expression, kinks) is None:
        return None
    masses = zip(_inner(expression, kinks), steps(expression, kinks), strict=True)
    return regular + sp.Add(*(h * density(a, Q) for a, h in masses))


def pair(expression: sp.Expr, kinks: tuple[float, ...]) -> sp.Expr | None:
    """E f(z) f(z') in the symbols of kernels; None if f is of another kind."""
    edges = None if len(kinks) > MANY else _by_edge(expression, kinks)
    if edges is None:
        return None
    return _double(edges, edges, corner)


def derivative_pair(expression: sp.Expr, kinks: tuple[float, ...]) -> sp.Expr | None:
    """d/dC E f(z) f(z') = E f'(z) f'(z'), a jump of f being a point mass of f'."""
    slopes = None if len(kinks) > MANY else _by_edge(derivative(expression), kinks)
    if slopes is None or _by_edge(expression, kinks) is None:
        return None
    total = _double(slopes, slopes, corner)
    heights = zip(_inner(expression, kinks), steps(expression, kinks), strict=True)
    masses = [(a, (Term(h, 0, sp.S.Zero),)) for a, h in heights if h != 0]
    if masses:
        crossed = _double(masses, slopes, given)
        total += crossed + swapped(crossed)
        total += _double(masses, masses, lambda j, k, t, u, a, b: both_given(a, b))
    return total


def _inner(expression: sp.Expr, kinks: tuple[float, ...]) -> list[sp.Expr]:
    """The kinks, exact."""
    return [piece.high for piece in pieces(expression, kinks)[:-1]]


def _double(first: Any, second: Any, rule: Callable[..., Any]) -> sp.Expr:
    return sp.Add(
        *(
            sp.expand_mul(f.c * g.c * rule(f.k, g.k, f.t, g.t, a, b))
            for a, left in first
            for b, right in second
            for f in left
            for g in right
        )
    )


@cache
def _terms_by_piece(expression: sp.Expr, kinks: tuple[float, ...]) -> Pieces | None:
    if any(min((abs(a - b) for b in kinks), default=1.0) > 1e-9 for a in find_kinks(expression)):
        return None  # a kink that was not declared: the pieces are not known
    try:
        parts = pieces(expression, kinks)
    except TypeError:  # an edge or a case that depends on a symbol
        return None
    found = []
    for piece in parts:
        terms = _terms(piece.expression)
        if terms is None:
            return None
        found.append((piece, terms))
    return tuple(found)


def _by_edge(expression: sp.Expr, kinks: tuple[float, ...]) -> Any:
    """The differences d_e of neighbouring pieces, with f = sum_e d_e(z) 1{z < e}."""
    parts = _terms_by_piece(expression, kinks)
    if parts is None:
        return None
    edges = []
    for (piece, _), (after, _) in pairwise(parts):
        edges.append((piece.high, _terms(piece.expression - after.expression)))
    return [*edges, (sp.oo, parts[-1][1])]


def _terms(expression: sp.Expr) -> tuple[Term, ...] | None:
    """The expression as a sum of c x^k e^(tx); None if it is none."""
    collected: dict[tuple[int, Any], Any] = {}
    for term in sp.Add.make_args(sp.expand(sp.expand(expression, func=True))):
        if term == 0:
            continue
        c, rest = term.as_independent(X, as_Add=False)
        k, t = 0, sp.S.Zero
        for factor in sp.Mul.make_args(rest):
            base, power = factor.as_base_exp()
            if factor == 1:
                continue
            if _is_exponential(factor):
                slope, constant = sp.Poly(factor.args[0], X).all_coeffs()
                t, c = t + slope, c * sp.exp(constant)
            elif base == X and power.is_Integer and power > 0:
                k += int(power)
            else:
                return None
        collected[k, t] = collected.get((k, t), 0) + c
    return tuple(Term(c, k, t) for (k, t), c in collected.items() if c != 0)


def _is_exponential(factor: Any) -> bool:
    """Whether the factor is e^(tx + d)."""
    if not isinstance(factor, sp.exp):
        return False
    exponent: Any = factor.args[0]
    return exponent.is_polynomial(X) and sp.Poly(exponent, X).degree() == 1
