"""Truncated power series as tuples of coefficients a_0, a_1, ...: numbers or SymPy expressions."""

from collections.abc import Sequence
from typing import Any

import sympy as sp

Series = tuple[Any, ...]


def multiply(a: Sequence[Any], b: Sequence[Any]) -> Series:
    """The product, to the order of the shorter factor."""
    return tuple(sum(a[k] * b[n - k] for k in range(n + 1)) for n in range(min(len(a), len(b))))


def power(a: Sequence[Any], exponent: Any) -> Series:
    """a(z)^exponent for a_0 > 0 and any exponent, a symbol too.

    b = a^e solves a b' = e a' b, so n a_0 b_n = sum over k = 1..n of (k e - n + k) a_k b_(n-k).
    """
    b = [a[0] ** exponent]
    for n in range(1, len(a)):
        total = sum((k * exponent - n + k) * a[k] * b[n - k] for k in range(1, n + 1))
        b.append(tidy(total / (n * a[0])))
    return tuple(b)


def tidy(value: Any) -> Any:
    """The expression in lowest terms; numbers as they are."""
    return sp.factor(value) if isinstance(value, sp.Expr) else value
