"""Saturating activations: when the linear regime is good enough, and what replaces it."""

from typing import Any

import mpmath
import numpy as np
import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import expect_polynomial, gaussian_density, gaussian_moments
from varprop import initializers
from varprop.activations import X, get
from varprop.builders import mlp
from varprop.theory import predict

q, s, t, n = sp.symbols("q s t n", positive=True)
z = sp.Symbol("z", real=True)
TRUNCATION = "Taylor's theorem in q; remainders are O(q^3) for phi with bounded derivatives"
QUADRATURE = 1e-12  # of the independent mpmath integrals, which carry 15 digits


def _gaussian(polynomial: Any) -> Any:
    return sp.expand(expect_polynomial(sp.expand(polynomial), {z: gaussian_moments(q)}))


def _tanh_square(variance: float) -> float:
    """E tanh(z)^2 by mpmath's tanh-sinh rule, which shares no code with varprop."""

    def integrand(u: Any) -> Any:
        return mpmath.tanh(mpmath.sqrt(variance) * u) ** 2 * mpmath.npdf(u)

    total: Any = mpmath.quad(integrand, [0, 1, 2, 4, 8, 16])
    return float(2 * total)


def linear_regime() -> Derivation:
    c = sp.symbols("phi_0:4", real=True)
    taylor: Any = sum(c[k] * z**k / sp.factorial(k) for k in range(4))
    second: Any = sum(_gaussian(taylor**2).coeff(q, k) * q**k for k in range(3))
    general = c[0] ** 2 + (c[1] ** 2 + c[0] * c[2]) * q
    odd = {c[0]: 0, c[2]: 0}

    def predicted(name: str) -> Any:
        phi = get(name).expression
        values = {c[k]: sp.diff(phi, X, k).subs(X, 0) for k in range(4)}
        return sp.expand((c[1] ** 2 * q + c[1] * c[3] * q**2).subs(values))

    def closed(name: str) -> Any:
        return sp.series(get(name).second_moment(q), q, 0, 3).removeO()

    sigmoid = get("sigmoid")
    return Derivation(
        "linear-regime",
        "The linear regime: its error is `phi_1 phi_3 q^2`",
        ("z ~ N(0, q)", "`phi_k` is the k-th derivative of phi at 0", TRUNCATION),
        (
            Step(
                "Square the Taylor polynomial; `E z^2 = q`, `E z^4 = 3 q^2`. Up to first order",
                second.coeff(q, 0) + second.coeff(q, 1) * q,
                general,
                what="E phi(z)^2 + O(q^2)",
            ),
            Step(
                "An odd phi has `phi_0 = phi_2 = 0`: the linear rule, and its first error",
                second.subs(odd),
                c[1] ** 2 * q + c[1] * c[3] * q**2,
                what="E phi(z)^2 + O(q^3)",
            ),
            Step(
                "sin: the series of varprop's closed form",
                closed("sin"),
                predicted("sin"),
                what="E sin(z)^2 + O(q^3)",
            ),
            Step(
                "erf: the series of varprop's closed form",
                closed("erf"),
                predicted("erf"),
                what="E erf(z)^2 + O(q^3)",
            ),
            Step(
                "tanh has `phi_1 = 1`, `phi_3 = -2`",
                predicted("tanh"),
                q - 2 * q**2,
                what="E tanh(z)^2 + O(q^3)",
            ),
            Step(
                "So a tanh layer is linear to 1 % of the second moment up to q = 1/200, a standard "
                "deviation of 0.07: leading error over q",
                (2 * q**2 / q).subs(q, sp.Rational(1, 200)),
                sp.Rational(1, 100),
                what="2 q^2 / q",
            ),
            Step(
                "sigmoid is not odd: `phi_0 = 1/2` is carried on whatever q is",
                general.subs(
                    {c[k]: sp.diff(sigmoid.expression, X, k).subs(X, 0) for k in range(4)}
                ),
                sp.Rational(1, 4) + q / 16,
                what="E sigmoid(z)^2 + O(q^2)",
            ),
            Step(
                "Not good enough at q = 1: tanh keeps far less than the linear rule's 1",
                sp.Float(float(get("tanh").second_moment(1.0))),
                sp.Rational(2, 5),
                "<",
                what="E tanh(z)^2 at q = 1",
            ),
        ),
        "Glorot & Bengio (2010), which assumes the linear regime",
    )


def tanh_not_linear() -> Derivation:
    tanh = get("tanh")
    lower, cubic = t**2 - sp.Rational(2, 3) * t**4, t - t**3 / 3
    quintic = cubic + sp.Rational(2, 15) * t**5
    low = _gaussian(lower.subs(t, z))
    high = _gaussian((quintic**2).subs(t, z))
    star = 1.0
    for _ in range(200):
        star = 25 / 9 * float(tanh.second_moment(star))
    after = _tanh_square(star)
    one = float(tanh.second_moment(1.0))
    return Derivation(
        "tanh-not-linear",
        "Xavier does not keep the variance of tanh: it decays as 1/(2 l)",
        ("z ~ N(0, q), the limit of wide layers", "no bias; n Var w = 1 unless stated otherwise"),
        (
            Step(
                "`t - tanh(t)` is 0 at 0 with derivative `tanh(t)^2 > 0`, so `tanh(t)^2 < t^2` for "
                "t > 0 and `E tanh(z)^2 < q` strictly",
                sp.diff(t - tanh(t), t),
                tanh(t) ** 2,
                what="d/dt (t - tanh(t))",
            ),
            Step(
                "This gives `tanh'(t) = 1 - tanh(t)^2 > 1 - t^2`, and integrated "
                "`tanh(t) > t - t^3/3`; square it where it is positive (elsewhere the bound is "
                "negative): `tanh(t)^2 >= t^2 - 2 t^4/3`, as the square exceeds it by",
                cubic**2 - lower,
                t**6 / 9,
                what="(t - t^3/3)^2 - (t^2 - 2 t^4/3)",
            ),
            Step(
                "Once more: `tanh'(t) <= 1 - t^2 + 2 t^4/3` integrates to the upper bound",
                sp.Integral(1 - lower.subs(t, z), (z, 0, t)),
                quintic,
                what="an upper bound of tanh(t)",
            ),
            Step(
                "Gaussian expectation of the lower bound",
                low,
                q - 2 * q**2,
                what="a lower bound of E tanh(z)^2",
            ),
            Step(
                "and of the squared upper bound, to the same order: so `E tanh(z)^2 = q - 2 q^2 + "
                "O(q^3)`",
                sum(high.coeff(q, k) * q**k for k in range(3)),
                q - 2 * q**2,
                what="an upper bound of E tanh(z)^2 + O(q^3)",
            ),
            Step(
                "One layer adds 2 to 1/q in the limit of small q, by either bound",
                row(*(sp.limit(1 / bound - 1 / q, q, 0) for bound in (low, high))),
                row(2, 2),
                what="lim 1/q' - 1/q",
            ),
            Step(
                "`q_l` decreases to the only fixed point 0, so by Stolz-Cesaro `1/q_l` is 2 l to "
                "leading order: varprop's recurrence from q = 1, after 1000 layers",
                _iterated(1000) * 2 * 1000,
                1,
                "~",
                what="2 l q_l",
                error=sp.Rational(1, 100),
            ),
            Step(
                "varprop's quadrature at q = 1 against an independent rule",
                one,
                _tanh_square(1.0),
                "~",
                what="E tanh(z)^2 at q = 1",
                error=QUADRATURE,
            ),
            Step(
                "With gain 5/3 there is a fixed point above zero: q, from varprop's recurrence, is "
                "reproduced by the independent rule",
                25 / 9 * after,
                star,
                "~",
                what="(25/9) E tanh(z)^2 at the fixed point",
                error=10 * QUADRATURE,
            ),
            Step(
                "where activations have the standard deviation that is reported as 0.65",
                float(np.sqrt(after)),
                sp.Rational(65, 100),
                "~",
                what="std tanh(z)",
                error=sp.Rational(1, 200),
            ),
            Step(
                "So at n Var w = 1 the variance is not kept, not even by one layer from q = 1",
                one,
                1,
                "!=",
                what="E tanh(z)^2 at q = 1",
            ),
        ),
        "Glorot & Bengio (2010) assume the linear regime; the decay is that of the critical point "
        "of Schoenholz et al. (2017)",
    )


def _iterated(layers: int) -> float:
    value, tanh = 1.0, get("tanh")
    for _ in range(layers):
        value = float(tanh.second_moment(value))
    return value


def saturation() -> Derivation:
    tanh, sigmoid = get("tanh"), get("sigmoid")
    slope: Any = tanh.derivative.subs(X, t)
    primitive = sp.tanh(t) - sp.tanh(t) ** 3 / 3
    bound = sp.Rational(4, 3) / sp.sqrt(2 * sp.pi * q)
    phi = sigmoid.expression
    far = [(100.0, tanh.derivative_second_moment(100.0)), (1e4, tanh.derivative_second_moment(1e4))]
    weights = initializers.normal(variance=s**2 / n)
    theory = predict(mlp(width=n, depth=2, activation="relu", weights=weights), q)
    return Derivation(
        "saturation",
        "Large weights saturate tanh and sigmoid, small ones starve ReLU and sigmoid",
        (
            "z ~ N(0, q); the backward factor of a layer is `s^2 E phi'(z)^2`, s^2 = n Var w",
            "q grows with s^2: `q = s^2 E x^2`",
        ),
        (
            Step(
                "A primitive of `tanh'(t)^2`, by differentiation",
                sp.diff(primitive, t),
                slope**2,
                what="d/dt (tanh(t) - tanh(t)^3/3)",
            ),
            Step(
                "It runs from -2/3 to 2/3 over the line",
                2 * sp.limit(primitive, t, sp.oo),
                sp.Rational(4, 3),
                what="the integral of tanh'(t)^2",
            ),
            Step(
                "The density of z is largest at 0, as it falls for t > 0",
                sp.diff(gaussian_density(t, q), t),
                0,
                "<",
            ),
            Step(
                "so `E tanh'(z)^2` is at most that integral times the density at 0",
                sp.Rational(4, 3) * gaussian_density(0, q),
                bound,
                what="a bound of E tanh'(z)^2",
            ),
            Step("which vanishes as q grows", sp.limit(bound, q, sp.oo), 0, what="its limit"),
            Step(
                "varprop's quadrature stays below the bound at q = 100",
                float(far[0][1]),
                bound.subs(q, 100),
                "<",
                what="E tanh'(z)^2",
            ),
            Step(
                "and attains its order: the bound is sharp in the limit, here at q = 10000",
                float(far[1][1]) / sp.N(bound.subs(q, 10**4)),
                1,
                "~",
                what="E tanh'(z)^2 over its bound",
                error=sp.Rational(1, 1000),
            ),
            Step(
                "sigmoid: `phi' = phi (1 - phi)` is 1/4 less a square",
                sp.Rational(1, 4) - sigmoid.derivative,
                (phi - sp.Rational(1, 2)) ** 2,
                what="1/4 - phi'(x)",
            ),
            Step(
                "so one sigmoid layer multiplies gradients by at most `s^2/16`, and weights with "
                "s < 4 lose them at any q: the most that is possible, at z = 0",
                s**2 * sigmoid.slope(sp.S.Zero) ** 2,
                s**2 / 16,
                what="max s^2 phi'(z)^2",
            ),
            Step(
                "ReLU starves: varprop's second moments after two layers, vanishing for s^2 < 2",
                row(*(theory.value(f"relu_{k}", "second_moment")[0] for k in (1, 2))),
                row(q * s**2 / 2, q * s**4 / 4),
                what="(E x_1^2, E x_2^2)",
            ),
        ),
        "Glorot & Bengio (2010), section 3; Schoenholz et al. (2017) for the backward factor",
    )
