"""One matrix used at every step is not many independent ones."""

from itertools import product
from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import polynomial_in_width
from varprop.theory.tied import tied_second_moment

n = sp.Symbol("n", positive=True, integer=True)


def explicit(steps: int, size: int) -> Any:
    """size^steps E |B^t x|^2 / |x|^2 for B of standard normals, by summing over all indices."""
    total = sp.S.Zero
    places = range(size)
    # sum over a_0, ..., a_t and b_1, ..., b_(t-1), with a_0 = b_0 and a_t = b_t
    for a in product(places, repeat=steps + 1):
        for b in product(places, repeat=steps - 1):
            other = (a[0], *b, a[-1])
            counts: dict[tuple[int, int], int] = {}
            for path in (a, other):
                for edge in zip(path[1:], path[:-1], strict=True):
                    counts[edge] = counts.get(edge, 0) + 1
            if all(k % 2 == 0 for k in counts.values()):
                total += sp.Mul(*(sp.factorial2(k - 1) for k in counts.values()))
    return total / size


def tied_weights() -> Derivation:
    values = [tied_second_moment(steps, n) for steps in (1, 2, 3, 4)]
    return Derivation(
        "tied-weights",
        "Refuted: one matrix reused at every step behaves as independent ones",
        (
            "`x_t = A x_(t-1)`, A of shape (n, n) with independent N(0, 1/n) entries, one A",
            "`E |A^t x|^2 / |x|^2` is `E tr A^t A^t' / n`, as A and A Q have one law",
        ),
        (
            Step(
                "Two steps, by summing over all indices at n = 1, 2, 3, 4: a polynomial in n",
                polynomial_in_width(lambda size: explicit(2, size), n, 2) / n**2,
                1 + 2 / n**2,
                what="E |A^2 x|^2 / |x|^2",
            ),
            Step(
                "which varprop's sum over Wick pairings gives for any n",
                row(*values[:2]),
                row(1, 1 + 2 / n**2),
                what="E |A^t x|^2 / |x|^2, t = 1, 2",
            ),
            Step(
                "Three steps at n = 1 and 2 (n = 1 is E w^6 = 15)",
                row(*(values[2].subs(n, size) for size in (1, 2))),
                row(*(explicit(3, size) / sp.Integer(size) ** 3 for size in (1, 2))),
                what="E |A^3 x|^2 / |x|^2",
            ),
            Step(
                "At n = 1 all pairings count once: (2t - 1)!!",
                row(*(value.subs(n, 1) for value in values)),
                row(1, 3, 15, 105),
                what="E |A^t x|^2 / |x|^2 at n = 1",
            ),
            Step(
                "Independent matrices give 1 at any width; one matrix does not",
                values[1],
                1,
                "!=",
                what="E |A^2 x|^2 / |x|^2",
                witness={n: 4},
            ),
            Step(
                "but as n grows, at fixed t, it does",
                row(*(sp.limit(value, n, sp.oo) for value in values)),
                row(1, 1, 1, 1),
                what="limit of E |A^t x|^2 / |x|^2",
            ),
        ),
        "Wick's formula; Ginibre (1965) for the matrices",
    )
