"""Closed forms of q_l for q_{l+1} = f(q_l): affine, power, and Moebius (Riccati) steps."""

from typing import Any

import sympy as sp

LAYER = sp.Symbol("l", integer=True, nonnegative=True)
"""The layer index of a closed form."""


def solve_step(step: Any, q: sp.Symbol, start: Any, layer: Any = LAYER) -> Any:
    """q_l with q_0 = `start`, for a step that is one of

        a q + b              a^l q_0 + b (1 - a^l)/(1 - a), or q_0 + b l
        c q^p                c^((p^l - 1)/(p - 1)) q_0^(p^l)
        (a q + b)/(c q + d)  (q - r)/(q - r') is multiplied by a constant in each step, r and r' the
                             fixed points; for r = r' the inverse 1/(q - r) grows by one

    Symbols are taken to be generic: a != 1 where a has symbols, p != 1, r != r'.
    Raises ValueError that shows the step, for every other one.
    """
    step = sp.sympify(step)
    solvers = () if step.has(sp.Integral) else (_affine, _power, _moebius)
    for solver in solvers:
        found = solver(step, q, sp.sympify(start), sp.sympify(layer))
        if found is not None:
            return found
    raise ValueError(
        f"no closed form for q_(l+1) = {step} with q = q_l: only a q + b, c q^p and "
        "(a q + b)/(c q + d) are solved; iterate it instead with .values(depth)"
    )


def _affine(step: Any, q: sp.Symbol, start: Any, layer: Any) -> Any:
    b = sp.expand(step).subs(q, 0)
    a = sp.cancel(sp.together((step - b) / q))
    if a.has(q) or b.has(sp.nan, sp.zoo):
        return None
    if sp.simplify(a - 1) == 0:
        return start + b * layer
    if b == 0:
        return a**layer * start
    rest = sp.factor(b / (1 - a))  # the fixed point
    return rest + a**layer * (start - rest)


def _power(step: Any, q: sp.Symbol, start: Any, layer: Any) -> Any:
    """With p = q f'(q)/f(q), the constant exponent."""
    p: Any = sp.simplify(q * sp.diff(step, q) / step) if step != 0 else step
    if p.has(q) or p == 0:
        return None
    c: Any = sp.simplify(step / q**p)
    return None if c.has(q) else c ** ((p**layer - 1) / (p - 1)) * start ** (p**layer)


def _moebius(step: Any, q: sp.Symbol, start: Any, layer: Any) -> Any:
    top, bottom = sp.fraction(sp.cancel(sp.together(step)))
    if not (top.is_polynomial(q) and bottom.is_polynomial(q)):
        return None
    if max(sp.Poly(part, q).degree() for part in (top, bottom)) != 1:
        return None
    a, c = (sp.Poly(part, q).coeff_monomial(q) for part in (top, bottom))
    b, d = (sp.Poly(part, q).coeff_monomial(1) for part in (top, bottom))
    middle = (a - d) / (2 * c)
    root = middle if b == 0 else sp.sqrt((a - d) ** 2 + 4 * b * c) / (2 * c)
    if sp.simplify(root) == 0:
        return middle + 1 / (1 / (start - middle) + layer * c / (a - c * middle))
    one, other = middle + root, middle - root
    ratio = sp.simplify((a - c * one) / (a - c * other)) ** layer
    ratio = ratio * (start - one) / (start - other)
    return (one - other * ratio) / (1 - ratio)
