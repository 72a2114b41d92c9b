"""ReLU under the wrong constant: 1/n halves, 4/n doubles; only 2/n stays."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import expect_polynomial, gaussian_moments
from varprop import initializers
from varprop.builders import mlp
from varprop.theory import predict

n, q = sp.symbols("n q", positive=True)
L = sp.Symbol("L", positive=True, integer=True)
ASSUMPTIONS = ("a square ReLU network of width n, zero bias", "iid symmetric weights, any width")


def _layers(weights: Any, depth: int = 3) -> list[sp.Expr]:
    """varprop's second moments after each ReLU, over that of the input."""
    theory = predict(mlp(width=n, depth=depth, activation="relu", weights=weights), q)
    return [theory.value(f"relu_{k}", "second_moment")[0] / q for k in range(1, depth + 1)]


def _geometric(ratio: Any) -> Any:
    """The solution of q_(L+1) = ratio q_L with q_0 = 1."""
    f = sp.Function("f")
    return sp.rsolve(f(L + 1) - ratio * f(L), f(L), {f(0): 1})


def two_over_root_n() -> Derivation:
    z = sp.Symbol("z")
    written = initializers.normal(std=2 / sp.sqrt(n))
    meant = initializers.normal(std=sp.sqrt(2 / n))
    return Derivation(
        "two-over-root-n",
        "Refuted: Kaiming as 2/sqrt(n) in place of 1/sqrt(n)",
        ASSUMPTIONS,
        (
            Step(
                "Scale standard normals by `2/sqrt(n)`",
                expect_polynomial((z * 2 / sp.sqrt(n)) ** 2, {z: gaussian_moments(1)}),
                written.at(n, n).variance,
                what="Var w",
            ),
            Step(
                "That is twice He's 2/n", n * written.at(n, n).variance / 2, 2, what="n Var w / 2"
            ),
            Step(
                "varprop on three layers: the second moment doubles in each",
                row(*_layers(written)),
                row(2, 4, 8),
                what="q_l / q_0",
            ),
            Step(
                "Solve q_(L+1) = r q_L with the factor r of one layer",
                _geometric(_layers(written, 1)[0]),
                2**L,
                what="q_L / q_0",
            ),
            Step(
                "`sqrt(2/n)` is what He's rule says: it keeps all layers, and is varprop's law",
                row(*_layers(meant), n * meant.at(n, n).variance),
                row(1, 1, 1, n * initializers.kaiming_normal().at(n, n).variance),
                what="(q_1/q_0, q_2/q_0, q_3/q_0, n Var w)",
            ),
            Step(
                "So with the factor as written nothing is kept, from the first layer on",
                _geometric(_layers(written, 1)[0]),
                1,
                "!=",
                what="q_L / q_0",
                witness={L: 1},
            ),
        ),
        "He et al. (2015), section 2.2, against study notes that give the factor as 2/sqrt(n)",
    )


def xavier_relu_vanishes() -> Derivation:
    weights = initializers.xavier_normal()
    (ratio,) = _layers(weights, 1)
    half = sp.Rational(1, 2)
    return Derivation(
        "xavier-relu-vanishes",
        "Xavier's variance loses half of the second moment per ReLU layer",
        ASSUMPTIONS,
        (
            Step(
                "In a square layer Xavier's variance is 1/n",
                weights.at(n, n).variance,
                1 / n,
                what="Var w",
            ),
            Step(
                "varprop on three layers: each ReLU halves (he-factor-two), and n Var w = 1",
                row(*_layers(weights)),
                row(half, half**2, half**3),
                what="q_l / q_0",
            ),
            Step(
                "The standard deviation of 22 and 30 layers",
                row(sp.sqrt(ratio) ** 22, sp.sqrt(ratio) ** 30),
                row(sp.Rational(1, 2048), sp.Rational(1, 32768)),
                what="(q_22/q_0)^(1/2), (q_30/q_0)^(1/2)",
            ),
            Step("So the limit is zero", sp.limit(_geometric(ratio), L, sp.oo), 0, what="q_oo"),
            Step("Solve q_(L+1) = q_L / 2", _geometric(ratio), 2 ** (-L), what="q_L / q_0"),
        ),
        "He et al. (2015), section 2.2 (comparison with Xavier)",
    )
