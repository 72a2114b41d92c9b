"""Which roots of step(q) = q are fixed points: real, not negative, and solutions indeed."""

from collections.abc import Iterator, Sequence
from itertools import product
from random import Random
from typing import Any

import sympy as sp

VALUES = tuple(map(sp.Rational, ("1/50", "1/5", "2/3", "9/10", "3/2", "4", "30")))
MOST = 49  # choices of values for the symbols
DIGITS, CLOSE = 30, 1e-12


def fixed_points(step: Any, unknown: sp.Symbol, roots: Sequence[Any]) -> tuple[Any, ...]:
    """Those of `roots` that are q >= 0 with step(q) = q, and each fixed point once.

    SymPy's roots of a cubic are complex but for one, which one by the symbols; of Lambert's W it
    gives one branch, and the other may be a fixed point too. With symbols, a root is kept that is a
    fixed point, and no other root's, at some of a grid of their values between .02 and 30.
    """
    kept: list[Any] = []
    for root in _with_branches(roots):
        symbols = sorted((step.free_symbols | root.free_symbols) - {unknown}, key=str)
        if any(_new(step, unknown, root, kept, at) for at in _choices(symbols)):
            kept.append(root)
    return tuple(kept)


def _with_branches(roots: Sequence[Any]) -> Iterator[Any]:
    yield from roots
    for root in roots:
        if root.has(sp.LambertW):
            yield root.replace(sp.LambertW, lambda x, *branch: sp.LambertW(x, -1))


def _choices(symbols: list[Any]) -> Iterator[dict[Any, Any]]:
    if len(symbols) <= 2:
        choices: Any = product(VALUES, repeat=len(symbols))
    else:
        draw = Random(0)
        choices = ([draw.choice(VALUES) for _ in symbols] for _ in range(MOST))
    return (dict(zip(symbols, chosen, strict=True)) for chosen in choices)


def _new(step: Any, unknown: sp.Symbol, root: Any, kept: list[Any], at: dict[Any, Any]) -> bool:
    """Whether the root is a fixed point at these values, and none of the kept ones is the same."""
    value = _number(root, at)
    if value is None or abs(value.imag) > CLOSE or value.real < -CLOSE:
        return False
    q = max(value.real, 0.0)
    after = _number(step.subs(at), {unknown: sp.Float(q, DIGITS)})
    if after is None or abs(after - q) > CLOSE * (1 + q):
        return False
    others = (_number(other, at) for other in kept)
    return all(o is None or abs(o - q) > CLOSE * (1 + q) for o in others)


def _number(expression: Any, at: dict[Any, Any]) -> complex | None:
    """The expression at these values, from 30 digits; None where it is no finite number."""
    value = sp.N(sp.sympify(expression).subs(at), DIGITS)
    return complex(value) if value.is_number and value.is_finite is not False else None
