"""Finite width: the fluctuation of gradients over networks."""

from typing import Any

import numpy as np
import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import expect_polynomial, iid_moments, polynomial_in_width
from derivations.finite_width import any_four
from varprop.activations import get
from varprop.builders import mlp
from varprop.layers import Dense, Elementwise
from varprop.moments import Moments
from varprop.theory import predict
from varprop.theory.finite_width.gradients import GradientLengths, dense, gated

n, m, kappa, f, t = sp.symbols("n m kappa f t", positive=True)
a = sp.Symbol("a", real=True)


def _sums(size: int) -> tuple[Any, Any]:
    """E g_1^4 and E g_1^2 g_2^2 of g_j = sum_i w_ij h_i, from all monomials in w and h.

    Var(w) = 1. Over h: E h^2 = 1, E h^4 = f and E h_i^2 h_j^2 = 1 + t.
    """
    h, w, u = (sp.symbols(f"{name}_1:{size + 1}", real=True) for name in "hwu")
    first, second = (sum(i * j for i, j in zip(h, c, strict=True)) for c in (w, u))
    entries = dict.fromkeys((*w, *u), iid_moments(1, 0, kappa))
    inputs = {(): 1, (2,): 1, (4,): f, (2, 2): 1 + t}

    def expected(polynomial: Any) -> Any:
        given = sp.Poly(expect_polynomial(sp.expand(polynomial), entries), *h)
        shapes = ((tuple(sorted(k for k in p if k)), c) for p, c in given.terms())
        return sp.expand(sum(c * inputs[shape] for shape, c in shapes))

    return expected(first**4), expected(first**2 * second**2)


def gradient_fluctuation() -> Derivation:
    wrap = lambda e: np.array([sp.sympify(e)], dtype=object)  # noqa: E731
    length = (f - 1 - t) / m + t
    above = GradientLengths(m, wrap(length), wrap(f), wrap(t), wrap(f))
    given = Moments.unit(second=sp.S.One)
    below = dense(Dense(n, m, any_four(sp.S.One, kappa)), given, above)
    sums = {k: _sums(k) for k in range(1, 5)}
    fourth, pair = (polynomial_in_width(lambda k, j=j: sums[k][j], m, 2) for j in (0, 1))
    leaky = get("leaky_relu", a=a)
    gate = gated(Elementwise(leaky), given, (1, -1), above)
    w, v, x, d = (sp.symbols(f"{name}_1:3", real=True) for name in ("w", "v", "x", "d"))
    dot = lambda r, s: sum(i * j for i, j in zip(r, s, strict=True))  # noqa: E731
    turned = [-i for i in w]
    sizes = sp.symbols("n_0:4", positive=True)
    relu, linear = (predict(mlp(widths=sizes, activation=k)) for k in ("relu", "identity"))
    normals = dict.fromkeys(v, iid_moments(1, 0, 3))

    def value(theory: Any, node: str) -> Any:
        return sp.cancel(1 + theory.value(node, "grad_length_fluctuation")[0])

    return Derivation(
        "gradient-fluctuation",
        "Squared gradients fluctuate as squared lengths do, read from the output down",
        (
            "`g = W' h`, m rows, n columns; weights iid, symmetric, of kurtosis kappa; h in units "
            "in which E h_i^2 = 1, with `E h_i^4 = f` and `E h_i^2 h_j^2 = 1 + t`",
            "no pre-activation is at its kink; cotangents of independent signs at the output",
        ),
        (
            Step(
                "Carry a direction d forward with x: turning the row w turns its gate",
                dot(turned, x),
                -dot(w, x),
                what="z",
            ),
            Step(
                "and keeps the square of the tangent: gates are fair coins, whatever (w.d)^2 is",
                sp.expand(dot(turned, d) ** 2),
                sp.expand(dot(w, d) ** 2),
                what="(w.d)^2",
            ),
            Step(
                "For normal d, `E (g.d)^4 = 3 |g|^4`: fourth moments of tangents are those of g",
                sp.expand(expect_polynomial(sp.expand(dot(w, v) ** 4), normals)),
                sp.expand(3 * dot(w, w) ** 2),
                what="E (g.d)^4",
            ),
            Step(
                "Expand `g_j^4` in explicit sums at four heights: of degree two in m",
                fourth,
                m * kappa * f + 3 * m * (m - 1) * (1 + t),
                what="E g_j^4",
            ),
            Step(
                "Columns are independent, so `E g_j^2 g_k^2 = E |h|^4`",
                pair,
                m * f + m * (m - 1) * (1 + t),
                what="E g_j^2 g_k^2",
            ),
            Step(
                "varprop's rule for a dense layer, on symbols",
                row(below.fourth[0], below.shared[0]),
                row(fourth / m**2, pair / m**2 - 1),
                what="f', t'",
            ),
            Step(
                "Leaky ReLU of slope a: independent gates 1 or a multiply `h_i^4` by (1 + a^4)/2 "
                "and `h_i^2 h_j^2` by ((1 + a^2)/2)^2",
                row(gate.fourth[0], gate.shared[0]),
                row((1 + a**4) / 2 * f / ((1 + a**2) / 2) ** 2, t),
                what="f', t'",
            ),
            Step(
                "Hidden ReLU layers of Gaussian weights multiply by `1 + 5/n`, the input by "
                "`1 + 2/n_0`; the width of the output does not count",
                value(relu, "input"),
                (1 + 2 / sizes[0]) * (1 + 5 / sizes[1]) * (1 + 5 / sizes[2]),
                what="E |g|^4/(E |g|^2)^2",
            ),
            Step(
                "One entry of it: n_0 = 1",
                value(relu, "input").subs(sizes[0], 1),
                3 * (1 + 5 / sizes[1]) * (1 + 5 / sizes[2]),
                what="E g_j^4/(E g_j^2)^2",
            ),
            Step(
                "Linear layers",
                value(linear, "input"),
                sp.prod(1 + 2 / k for k in sizes[:3]),
                what="E |g|^4/(E |g|^2)^2",
            ),
        ),
        "after Hanin (2018), Which neural net architectures give rise to exploding and vanishing "
        "gradients?; any kurtosis",
    )
