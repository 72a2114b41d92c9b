"""Linear networks at three scales: Var w = 1/n keeps, 1 explodes; LeCun's rule."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import (
    expect_polynomial,
    gaussian_density,
    gaussian_moments,
    polynomial_in_width,
)
from varprop import initializers
from varprop.builders import mlp
from varprop.theory import predict

n, m, q, v = sp.symbols("n m q v", positive=True)
L = sp.Symbol("L", positive=True, integer=True)
LINEAR = ("a linear network without bias", "iid zero-mean weights of any law")
NAMES = ("dense_1", "dense_2", "dense_3")


def _linear(weights: initializers.Initializer | str, quantity: str = "second_moment") -> Any:
    """varprop's values of three square linear layers."""
    net = mlp(width=n, depth=2, activation="identity", weights=weights)
    theory = predict(net, q)
    return row(*(theory.value(name, quantity)[0] for name in NAMES))


def _one_layer(size: int) -> Any:
    """E z^2 of an explicit sum of `size` terms with x_j^2 averaging to q."""
    w, x = sp.symbols(f"w_1:{size + 1}"), sp.symbols(f"x_1:{size + 1}")
    z = sum(i * j for i, j in zip(w, x, strict=True))
    given_x = expect_polynomial(sp.expand(z**2), dict.fromkeys(w, lambda k: 0 if k == 1 else v))
    return expect_polynomial(given_x, dict.fromkeys(x, lambda k: q if k == 2 else 0))


def lecun() -> Derivation:
    t, s = sp.symbols("t s", positive=True)
    inside = sp.Integral(gaussian_density(t, 1), (t, -2, 2))
    second = sp.Integral(s**2 * t**2 * gaussian_density(t, 1), (t, -2, 2)) / inside
    cut: Any = initializers.lecun_normal().at(n, m)
    (root,) = sp.solve(second.doit() - 1 / n, s)
    flat: Any = initializers.lecun_uniform().at(n, m)
    w = sp.Symbol("w", real=True)
    return Derivation(
        "lecun",
        "LeCun's rule: Var w = 1/fan_in preserves the linear forward signal",
        LINEAR,
        (
            Step(
                "The sum has n terms of second moment v q (explicit sums at three widths)",
                polynomial_in_width(_one_layer, n, 1),
                n * v * q,
                what="E z^2",
            ),
            Step("Solve n v q = q", sp.solve(n * v * q - q, v)[0], 1 / n, what="v"),
            Step(
                "varprop's lecun_uniform, integrated over its bounds, has this variance",
                sp.Integral(w**2 / (flat.high - flat.low), (w, flat.low, flat.high)),
                1 / n,
                what="E w^2",
            ),
            Step(
                "A normal of standard deviation s cut at +-2 s: solve E w^2 = 1/n for s",
                root,
                cut.scale,
                what="s",
            ),
            Step("and varprop's lecun_normal is cut there", cut.high, 2 * root, what="bound"),
            Step("so its variance is", cut.moment(2), 1 / n, what="E w^2"),
            Step(
                "varprop on three layers: the second moment stays",
                _linear("lecun_normal"),
                row(q, q, q),
                what="E z_l^2",
            ),
        ),
        "LeCun, Bottou, Orr & Mueller (1998), section 4.6",
    )


def explosion() -> Derivation:
    weights = initializers.normal(variance=1)
    growth = n**L
    largest = (2 - sp.Integer(2) ** -23) * sp.Integer(2) ** 127
    return Derivation(
        "explosion",
        "Standard normal weights multiply the standard deviation by sqrt(n) per layer",
        (LINEAR[0], "weights N(0, 1), width n, input of second moment q"),
        (
            Step(
                "The sum has n terms of second moment q (explicit sums at three widths)",
                polynomial_in_width(_one_layer, n, 1).subs(v, weights.at(n, n).variance),
                n * q,
                what="E z^2",
            ),
            Step(
                "varprop on three layers",
                _linear(weights),
                row(n * q, n**2 * q, n**3 * q),
                what="E z_l^2",
            ),
            Step(
                "n = 256, q = 1: standard deviations 16, 256, 4096",
                _linear(weights).subs({n: 256, q: 1}).applyfunc(sp.sqrt),
                row(16, 256, 4096),
                what="std z_l",
            ),
            Step(
                "The 31st layer is still below the largest float32",
                sp.sqrt(growth).subs({n: 256, L: 31}),
                largest,
                "<",
                what="std z_31",
            ),
            Step(
                "the 32nd (counted from 0, layer 31) is above it",
                largest,
                sp.sqrt(growth).subs({n: 256, L: 32}),
                "<",
                what="the largest float32",
            ),
            Step(
                "Induction over the layers: varprop's rule on an input of second moment n^L q",
                predict(
                    mlp(width=n, depth=1, activation="identity", weights=weights), q * growth
                ).value("dense_1", "second_moment")[0],
                q * n ** (L + 1),
                what="E z_(L+1)^2",
            ),
        ),
        "Glorot & Bengio (2010), section 4.2, with Var w = 1",
    )


def _square_of_norm(width: int) -> Any:
    """E (|z|^2/m)^2 for m = `width` rows that are N(0, q) each given the input."""
    z = sp.symbols(f"z_1:{width + 1}")
    norm = sum(k**2 for k in z)
    return expect_polynomial(sp.expand(norm**2), dict.fromkeys(z, gaussian_moments(q)))


def unit_scale_linear() -> Derivation:
    weights = initializers.normal(variance=1 / n)
    fluctuation = polynomial_in_width(_square_of_norm, m, 2) / m**2
    return Derivation(
        "unit-scale-linear",
        "Weights of standard deviation 1/sqrt(n) keep the second moment of a linear network",
        (LINEAR[0], "weights N(0, 1/n), width n, input of second moment q"),
        (
            Step(
                "The sum has n terms of second moment q/n (explicit sums at three widths)",
                polynomial_in_width(_one_layer, n, 1).subs(v, weights.at(n, n).variance),
                q,
                what="E z^2",
            ),
            Step(
                "One network is near that, not at it: given its input a layer of m outputs has m "
                "independent N(0, q) entries, and their mean square varies by 2/m, relatively",
                fluctuation / q**2 - 1,
                2 / m,
                what="Var(z.z/m) / q^2",
            ),
            Step(
                "Backward the factor is n Var w as well: varprop's gradients of three layers",
                _linear(weights, "grad_second_moment"),
                row(1, 1, 1),
                what="E h_l^2",
            ),
            Step(
                "varprop's second moments of three layers",
                _linear(weights),
                row(q, q, q),
                what="E z_l^2",
            ),
        ),
        "Glorot & Bengio (2010), section 4.2; LeCun et al. (1998)",
    )
