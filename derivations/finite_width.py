"""Finite width: fourth moments of lengths, products over layers, and the random kernel."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import (
    MomentOf,
    expect_polynomial,
    gaussian_moments,
    iid_moments,
    polynomial_in_width,
)
from varprop.activations import X, custom, get
from varprop.builders import mlp
from varprop.gaussian import symbolic_expectation
from varprop.initializers import Initializer, orthogonal, spherical
from varprop.laws import Law
from varprop.layers import Dense
from varprop.moments import Moments
from varprop.theory import predict
from varprop.theory.finite_width.lengths import Lengths, dense, first_order, homogeneous, start

n, m, v, beta = sp.symbols("n m v beta", positive=True)
kappa, kappa_b, f, t, q = sp.symbols("kappa kappa_b f t q", positive=True)
a = sp.Symbol("a", real=True)
FLUCTUATION = (f - 1 - t) / n + t  # V of n channels with E x^4 = f, E x_i^2 x_j^2 = 1 + t


@dataclass(frozen=True)
class FourMoments(Law):
    """A symmetric law of which nothing but variance and kurtosis is known."""

    second: Any
    fourth: Any

    def central_moment(self, k: int) -> Any:
        return sp.sympify((1, 0, self.second, 0, self.fourth * self.second**2)[k])


@dataclass(frozen=True)
class AnyFour(Initializer):
    """Iid entries of `FourMoments`."""

    name: str = "any_symmetric_law"
    arguments: tuple[tuple[str, Any], ...] = (("second", sp.S.One), ("fourth", sp.S.One))

    def at(self, fan_in: Any, fan_out: Any, rows: Any = None) -> Law:
        given = dict(self.arguments)
        return FourMoments(given["second"], given["fourth"])


def any_four(second: Any, fourth: Any) -> AnyFour:
    return AnyFour(arguments=(("second", second), ("fourth", fourth)))


def _sums(size: int) -> tuple[Any, Any]:
    """E z_1^4 and E z_1^2 z_2^2 for z_i = sum_j w_ij x_j + b_i, expanded into monomials.

    Over x: E x^2 = 1, E x^4 = f and E x_i^2 x_j^2 = 1 + t.
    """
    x, w, u = (sp.symbols(f"{name}_1:{size + 1}", real=True) for name in "xwu")
    b = sp.symbols("b_1:3", real=True)
    moments: dict[Any, MomentOf] = dict.fromkeys((*w, *u), iid_moments(v, 0, kappa * v**2))
    moments |= dict.fromkeys(b, iid_moments(beta, 0, kappa_b * beta**2))
    inputs = {(): 1, (2,): 1, (4,): f, (2, 2): 1 + t}
    z1, z2 = (
        sp.Poly(sum(i * j for i, j in zip(row, x, strict=True)) + c, *moments, *x)
        for row, c in zip((w, u), b, strict=True)
    )

    def expected(polynomial: sp.Poly) -> Any:
        total = sp.S.Zero
        for powers, coefficient in polynomial.terms():
            over = [m(k) for m, k in zip(moments.values(), powers, strict=False) if k]
            if 0 not in over:
                shape = tuple(sorted(k for k in powers[len(moments) :] if k))
                total += coefficient * sp.Mul(*over) * inputs[shape]
        return sp.expand(total)

    return expected(z1**4), expected(z1**2 * z2**2)


def _given(channels: Any, fluctuation: Any, shift: Any = 0) -> Lengths:
    wrap = lambda e: np.array([sp.sympify(e)], dtype=object)  # noqa: E731
    return Lengths(channels, wrap(fluctuation), wrap(f), wrap(t), wrap(shift))


def length_fluctuation() -> Derivation:
    layer = Dense(n, m, any_four(v, kappa), any_four(beta, kappa_b))
    law = layer.moments("dense_1", Moments.unit(second=sp.S.One))
    z = dense(layer, law, _given(n, FLUCTUATION))
    square = n * v + beta
    explicit = {k: _sums(k) for k in range(1, 5)}
    fourth, pair = (polynomial_in_width(lambda k, j=j: explicit[k][j], n, 2) for j in (0, 1))
    up, down = sp.symbols("t_1:3", positive=True)
    leaky = get("leaky_relu", a=a)
    four = (leaky(up) ** 4 + leaky(-up) ** 4) / 2
    two = sum(leaky(i) ** 2 * leaky(j) ** 2 for i in (up, -up) for j in (down, -down)) / sp.Integer(
        4
    )
    x = homogeneous(leaky, z, True)
    length = polynomial_in_width(lambda k: k * f + k * (k - 1) * (1 + t), n, 2) / n**2 - 1
    return Derivation(
        "length-fluctuation",
        "Fourth moments of a layer's length at any width",
        (
            "x has n exchangeable channels, in units in which E x^2 = 1, with `E x_i^4 = f` and "
            "`E x_i^2 x_j^2 = 1 + t`, i != j",
            "`z_i = sum_j w_ij x_j + b_i`, m rows; weights and biases independent, symmetric, of "
            "variances v, beta and kurtoses kappa, kappa_b",
        ),
        (
            Step(
                "The length of n channels: n terms `x_i^4` and n (n - 1) terms `x_i^2 x_j^2`",
                length,
                FLUCTUATION,
                what="Var(|x|^2/n)",
            ),
            Step(
                "Expand `z^4`: explicit sums at three widths, of degree two in n",
                fourth,
                n * kappa * v**2 * f
                + 3 * n * (n - 1) * v**2 * (1 + t)
                + 6 * n * v * beta
                + kappa_b * beta**2,
                what="E z_i^4",
            ),
            Step(
                "Rows are independent given x, so `E z_i^2 z_j^2 = E (v |x|^2 + beta)^2`",
                pair,
                n * v**2 * f + n * (n - 1) * v**2 * (1 + t) + 2 * n * v * beta + beta**2,
                what="E z_i^2 z_j^2",
            ),
            Step(
                "varprop's rule for a dense layer, on symbols",
                row(z.fourth[0], z.shared[0]),  # type: ignore[index]
                row(fourth / square**2, pair / square**2 - 1),
                what="f', t'",
            ),
            Step(
                "and for the length of its output",
                z.fluctuation[0],
                (fourth / square**2 - pair / square**2) / m + pair / square**2 - 1,
                what="Var(|z|^2/m)/(E z^2)^2",
            ),
            Step(
                "Leaky ReLU of slope a: average over the signs of two symmetric values",
                row(four, two),
                row((1 + a**4) / 2 * up**4, ((1 + a**2) / 2) ** 2 * up**2 * down**2),
                what="E x_i^4, E x_i^2 x_j^2",
            ),
            Step(
                "varprop's rule for it: f' grows by `2 (1 + a^4)/(1 + a^2)^2`, t' stays",
                row(x.fourth[0] / z.fourth[0], x.shared[0] - z.shared[0]),  # type: ignore[index]
                row(2 * (1 + a**4) / (1 + a**2) ** 2, 0),
                what="f'/f, t' - t",
            ),
        ),
        "after Hanin & Nica (2020), Products of many large random matrices; any kurtosis",
    )


def length_products() -> Derivation:
    sizes = sp.symbols("n_0:4", positive=True)
    relu = predict(mlp(widths=sizes, weights=any_four(2 / n, 3)))
    linear = predict(mlp(widths=sizes, activation="identity", weights=any_four(1 / n, 3)))
    slope = predict(
        mlp(widths=sizes, activation=get("leaky_relu", a=a), weights=any_four(1 / n, 3))
    )
    flat = predict(mlp(widths=sizes, weights=any_four(2 / n, kappa)))
    haar = predict(mlp(n, 2, weights=orthogonal(sp.sqrt(2))))
    ball = predict(mlp(widths=(n, m, 1), weights=spherical(sp.sqrt(2))))
    g = sp.symbols("g_1:5", real=True)
    normals = dict.fromkeys(g, gaussian_moments(1))

    def radius(k: int) -> Any:
        return expect_polynomial(sp.expand(sum(i**2 for i in g[:k]) ** 2), normals)

    r4 = polynomial_in_width(radius, n, 2)
    x = sp.symbols("x_1:4", real=True)
    dot = expect_polynomial(
        sp.expand(sum(i * j for i, j in zip(g[:3], x, strict=True)) ** 4), normals
    )
    c = sp.symbols("c", positive=True)

    def value(theory: Any, node: str) -> Any:
        return sp.factor(1 + theory.value(node, "length_fluctuation")[0])

    first = start(n, Moments.unit(second=sp.S.One), None).fourth
    assert first is not None
    return Derivation(
        "length-products",
        "Over layers the relative fourth moments multiply",
        (
            "no bias; weights of any variance, kurtosis 3 unless said, widths `n_0, ..., n_3`",
            "the input's length is the same in all networks",
        ),
        (
            Step(
                "The exact rule, layer by layer, for ReLU: only the widths of outputs count",
                row(value(relu, "relu_1"), value(relu, "relu_2")),
                row(1 + 5 / sizes[1], (1 + 5 / sizes[1]) * (1 + 5 / sizes[2])),
                what="E |x_l|^4/(E |x_l|^2)^2",
            ),
            Step(
                "A readout, which has no gates, gives `1 + 2/n_3`, one neuron of it 3",
                row(value(relu, "dense_3"), value(relu, "dense_3").subs(sizes[3], 1)),
                (1 + 5 / sizes[1]) * (1 + 5 / sizes[2]) * row(1 + 2 / sizes[3], 3),
                what="E |z_3|^4/(E |z_3|^2)^2",
            ),
            Step(
                "Linear layers",
                value(linear, "dense_3"),
                sp.prod(1 + 2 / k for k in sizes[1:]),
                what="E |x_3|^4/(E |x_3|^2)^2",
            ),
            Step(
                "Leaky ReLU of slope a",
                value(slope, "leaky_relu_1"),
                1 + (6 * (1 + a**4) / (1 + a**2) ** 2 - 1) / sizes[1],
                what="E |x_1|^4/(E |x_1|^2)^2",
            ),
            Step(
                "Two neurons of a layer share the layers below, here two: with P the product, "
                "`Corr(z_i^2, z_j^2) = (P - 1)/(3 P - 1)`",
                relu.lengths["dense_3"].neuron_correlation[0],  # type: ignore[union-attr]
                (value(relu, "relu_2") - 1) / (3 * value(relu, "relu_2") - 1),
                what="Corr(z_i^2, z_j^2)",
            ),
            Step(
                "Points of the sphere: g = |g| u with `E |g|^4 = N (N + 2)` for N normals, so "
                "`E u_1^4 = 3/(N (N + 2))` and, for |x|^2 = n, f = 3 n/(n + 2)",
                row(r4, 3 * n**2 / r4),
                row(n * (n + 2), first[0]),
                what="E |g|^4, f",
            ),
            Step(
                "Weights of kurtosis kappa on such an input",
                value(flat, "relu_1"),
                1 + 5 / sizes[1] + 2 * (kappa - 3) / sizes[1] * 3 / (sizes[0] + 2),
                what="E |x_1|^4/(E |x_1|^2)^2",
            ),
            Step(
                "Haar orthogonal weights: z is uniform on a sphere, so its channels repel: "
                "`E z_i^2 z_j^2 = n/(n + 2)`; a ReLU layer multiplies by `1 + 3/(n + 2)`",
                row(value(haar, "relu_1"), value(haar, "relu_2")),
                row(1 + 3 / (n + 2), (1 + 3 / (n + 2)) ** 2),
                what="E |x_l|^4/(E |x_l|^2)^2",
            ),
            Step(
                "Rows on spheres: `g.x = |g| u.x`, so `E (u.x)^4` is that of normal "
                "g over `E |g|^4`",
                sp.expand(dot),
                sp.expand(3 * sum(i**2 for i in x) ** 2),
                what="E (g.x)^4",
            ),
            Step(
                "so `E z^4 = 3 n/(n + 2) (E z^2)^2`, rows are independent, and a ReLU layer "
                "multiplies by `1 + (6 n/(n + 2) - 1)/m`",
                value(ball, "relu_1"),
                2 * (3 * n**2 / r4) / m + (1 - 1 / m),
                what="E |x_1|^4/(E |x_1|^2)^2",
            ),
            Step(
                "In L layers of width n with L/n = c fixed, the product tends to `e^(5 c)`",
                sp.limit((1 + 5 / n) ** (c * n), n, sp.oo),
                sp.exp(5 * c),
                what="E |x_L|^4/(E |x_L|^2)^2",
            ),
        ),
        "Hanin & Nica (2020); the products hold at every width",
    )


def random_kernel() -> Derivation:
    z = sp.Symbol("z", real=True)
    density = sp.exp(-(z**2) / (2 * q)) / sp.sqrt(2 * sp.pi * q)
    g = sp.Function("g")
    shift, spread, eps = sp.symbols("delta r epsilon", real=True)
    taylor = sum(sp.diff(g(q), q, k) * eps**k / sp.factorial(k) for k in range(3))
    mean = sp.expand(taylor).subs({eps**2: spread, eps: shift})
    slope: Any = sp.diff(taylor, eps).subs(eps, 0)
    linear = slope**2 * spread
    square = custom("square", X**2)
    law, given = Moments.unit(second=q), _given(n, FLUCTUATION, shift)
    given = replace(given, gaussian=True, base=given.fourth, slopes=(1, -1))
    x = first_order(square, law, given)
    y = first_order(get("relu"), law, given)
    k4, k8 = (symbolic_expectation(X**p, X, q).doit() for p in (4, 8))
    he = predict(mlp(widths=sp.symbols("n_0:4", positive=True), weights=any_four(2 / n, 3)))
    eps_n = sp.Symbol("epsilon", positive=True)
    sizes = sp.symbols("n_1:4", positive=True)
    small = (1 + he.value("relu_2", "length_fluctuation")[0]).subs(
        {k: k / eps_n for k in sizes}, simultaneous=True
    )
    h = sp.Function("h")(z)
    return Derivation(
        "random-kernel",
        "A layer of finite width is a random kernel: its 1/n terms",
        (
            "Gaussian weights: given x, pre-activations are iid N(0, k) and `k' = C mean phi(z)^2`",
            "k = K + e with `E e = delta`, `E e^2 = r`, both O(1/n), and third moments O(1/n^2); "
            "`g(K) = E phi(sqrt(K) Z)^2`",
        ),
        (
            Step(
                "Total variance, first part: n independent terms each with `Var phi^2`; here "
                "phi(z) = z^2, in units of the mean, as varprop's rule has it",
                x.fourth[0],  # type: ignore[index]
                k8 / k4**2,
                what="E phi^4/(E phi^2)^2",
            ),
            Step(
                "Second part: the spread of k, through the slope of g",
                linear,
                sp.diff(g(q), q) ** 2 * spread,
                what="Var E[k'|k]/C^2",
            ),
            Step(
                "The mean moves with the slope, and with the bend of g",
                mean,
                g(q) + sp.diff(g(q), q) * shift + sp.diff(g(q), q, 2) * spread / 2,
                what="E k'/C",
            ),
            Step(
                "varprop's rule for phi(z) = z^2, whose g is 3 K^2: K g'/g = 2, K^2 g''/g = 2, in "
                "relative units",
                row(x.shared[0], x.shift[0]),
                row(4 * t, 2 * shift + t),
                what="t', shift'",
            ),
            Step(
                "A change of the variance is a tilt of the Gaussian density",
                sp.diff(density, q),
                (z**2 - q) / (2 * q**2) * density,
                what="d rho/dK",
            ),
            Step(
                "so with `h = z phi phi'` and `g' = E h / K` the bend needs no phi''",
                sp.diff(h * density / q, q),
                h * (z**2 - 3 * q) / (2 * q**3) * density,
                what="d/dK of h rho/K",
            ),
            Step(
                "ReLU: g is linear, the mean does not move, and the first order of the exact "
                "product is `5 sum 1/n_l`: the rule's `(f - 1)/n` with f = 6",
                row(y.shift[0] - shift, y.shared[0] - t, y.fourth[0] - 1),  # type: ignore[index]
                row(0, 0, 5),
                what="shift' - shift, t' - t, f - 1",
            ),
            Step(
                "The exact product of two ReLU layers, widths divided by epsilon, to first order",
                sp.diff(small, eps_n).subs(eps_n, 0),
                5 / sizes[0] + 5 / sizes[1],
                what="V",
            ),
        ),
        "Yaida (2019); Roberts, Yaida & Hanin (2022), chapter 4",
    )
