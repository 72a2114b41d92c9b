"""Residual networks: what a block adds, and what a branch of non-zero mean adds on top."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import (
    T,
    expect_polynomial,
    gaussian_integral,
    iid_moments,
    polynomial_in_width,
)
from varprop import initializers
from varprop.builders import residual
from varprop.theory import predict

n, q, v, eta = sp.symbols("n q v eta", positive=True)
r = sp.Symbol("r", positive=True)  # E relu(z)^2
mu = sp.Symbol("mu", real=True)


def _block(width: int) -> Any:
    """E (x + eta sum_j w_j h_j)^2 over w, with E x^2 = q and E h_j^2 = r, h any function of x."""
    w, h = sp.symbols(f"w_1:{width + 1}"), sp.symbols(f"h_1:{width + 1}")
    x = sp.Symbol("x")
    total = x + eta * sum(i * j for i, j in zip(w, h, strict=True))
    over_weights: Any = expect_polynomial(sp.expand(total**2), dict.fromkeys(w, iid_moments(v)))
    return over_weights.subs([(x**2, q), *((k**2, r) for k in h)])


def residual_doubling() -> Derivation:
    closed = predict(residual(n, 2, scale=eta), q)
    plain = predict(residual(n, 3), q)
    opened = predict(residual(n, 2, scale=eta, closing=False), q)
    he: Any = initializers.kaiming_normal().at(n, n).variance
    lecun = initializers.lecun_normal().at(n, n).variance
    kept = n * he * gaussian_integral(T**2, T, q, low=0)
    mean = gaussian_integral(T, T, n * he * q, low=0)
    x, h = sp.symbols("x h")
    expanded = sp.expand((x + eta * h) ** 2).subs({x**2: q, h**2: q, x * h: mu * mean.doit()})
    first = q + eta**2 * q
    mean_1 = eta * mean.doit()
    second = expanded.subs({mu: mean_1, q: first}, simultaneous=True)
    L = sp.Symbol("L", positive=True, integer=True)
    f = sp.Function("f")
    solved = sp.rsolve(f(L + 1) - 2 * f(L), f(L), {f(0): q})
    return Derivation(
        "residual-doubling",
        "A residual block adds its branch: x + W2 relu(W1 x) doubles",
        (
            "width n, no bias; W1 of variance 2/n (He), W2 of variance 1/n (LeCun), zero mean",
            "`x + eta W2 relu(W1 x)`, and the open branch `x + eta relu(W1 x)`; `E x^2 = q`",
            "the open branch for Gaussian weights in the limit of wide layers, E x = mu",
        ),
        (
            Step(
                "He's rule: the branch before W2 has the second moment of its input",
                kept,
                q,
                what="E relu(W1 x)^2",
            ),
            Step(
                "Expand the square: terms with one `w_j` have mean zero, whatever h is, so no "
                "cross term is left (explicit sums at three widths; h = relu(W1 x), `E h^2 = r`)",
                polynomial_in_width(_block, n, 1),
                q + eta**2 * n * v * r,
                what="E (x + eta W2 h)^2",
            ),
            Step(
                "With v = 1/n and r = q a block multiplies by `1 + eta^2`: varprop on two blocks",
                row(*(closed.value(f"add_{k}", "second_moment")[0] for k in (1, 2))),
                row(
                    *(
                        ((q + eta**2 * n * v * r).subs({v: lecun, r: q}) / q) ** k * q
                        for k in (1, 2)
                    )
                ),
                what="(E x_1^2, E x_2^2)",
            ),
            Step(
                "With `eta^2 = 1/L` the product stays bounded in any depth",
                sp.limit((1 + 1 / L) ** L, L, sp.oo),
                sp.E,
                what="the limit of (1 + 1/L)^L",
            ),
            Step(
                "A branch that ends in ReLU has a mean: relu of N(0, 2 q) by integration",
                mean,
                sp.sqrt(q / sp.pi),
                what="E relu(W1 x)",
            ),
            Step(
                "First block, input of mean zero: no cross term yet, a mean is left",
                row(opened.value("add_1", "second_moment")[0], opened.value("add_1", "mean")[0]),
                row(first, mean_1),
                what="(E x_1^2, E x_1)",
            ),
            Step(
                "In general the cross term is `2 eta mu sqrt(q/pi)`",
                expanded,
                (1 + eta**2) * q + 2 * eta * mu * sp.sqrt(q / sp.pi),
                what="E (x + eta relu(W1 x))^2",
            ),
            Step(
                "Second block: varprop agrees with the direct expansion, cross term included",
                row(opened.value("add_2", "second_moment")[0], opened.value("add_2", "mean")[0]),
                row(second, mean_1 + eta * sp.sqrt(first / sp.pi)),
                what="(E x_2^2, E x_2)",
            ),
            Step(
                "so an open branch grows faster than a closed one",
                closed.value("add_2", "second_moment")[0],
                opened.value("add_2", "second_moment")[0],
                "<",
                what="E x_2^2 of the closed branch",
            ),
            Step(
                "Without scaling, eta = 1: varprop on three closed blocks",
                row(*(plain.value(f"add_{k}", "second_moment")[0] for k in (1, 2, 3))),
                row(2 * q, 4 * q, 8 * q),
                what="E x_l^2",
            ),
            Step("and L blocks, solving q_(L+1) = 2 q_L", solved, 2**L * q, what="E x_L^2"),
        ),
        "direct expansion; the criterion on the sum of the eta is that of Hanin & Rolnick (2018)",
    )
