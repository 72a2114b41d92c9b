"""Kernels of entire functions: polynomials, exponentials, waves, and the normal distribution."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import gaussian_integral
from derivations.kernel_steps import (
    ASSUMPTIONS,
    ROOT,
    c,
    closing,
    kernel_of,
    q,
    q1,
    q2,
    tilted_law,
    tilting,
)
from varprop.activations import X, get


def polynomial_kernels() -> Derivation:
    hermite = [get("hermite", k=k) for k in range(6)]
    square, cube = get("monomial", k=2), get("monomial", k=3)
    covariance = c * ROOT
    taylor = []
    for k in (2, 3, 4):
        phi: Any = get("monomial", k=k)
        means = [
            [gaussian_integral(sp.diff(X**k, X, n), X, v).doit() for n in range(k + 1)]
            for v in (q1, q2)
        ]
        series = sum(
            covariance**n / sp.factorial(n) * means[0][n] * means[1][n] for n in range(k + 1)
        )
        taylor.append((kernel_of(phi), series))
    return Derivation(
        "polynomial-kernels",
        "Kernels of polynomials",
        ("phi is a polynomial", *ASSUMPTIONS),
        (
            Step(
                "Price's theorem n times at C = 0: `K = sum C^n/n! E phi^(n)(z) E phi^(n)(z')`, a "
                "finite sum; varprop's kernels of z^2, z^3, z^4",
                row(*(series for _, series in taylor)),
                row(*(kernel for kernel, _ in taylor)),
                what="E phi(z) phi(z')",
            ),
            Step(
                "Isserlis' theorem says the same of z^2 and z^3",
                row(kernel_of(square), kernel_of(cube)),
                row(q1 * q2 + 2 * covariance**2, 9 * q1 * q2 * covariance + 6 * covariance**3),
                what="E phi(z) phi(z')",
            ),
            Step(
                "Hermite polynomials He_0, ..., He_5 at unit variances: only n = k is left",
                row(*(phi.kernel(sp.S.One, sp.S.One, c) for phi in hermite)),
                row(*(sp.factorial(k) * c**k for k in range(6))),
                what="E He_k(z) He_k(z')",
            ),
            *closing(cube),
        ),
        "Isserlis (1918); Price (1958)",
    )


def exponential_kernels() -> Derivation:
    exp, bump = get("exp"), get("gaussian")
    v = sp.Symbol("v", positive=True)
    determinant = tilted_law(1)[0]
    return Derivation(
        "exponential-kernels",
        "Kernels of e^z and of e^(-z^2/2)",
        ("`phi(z) = e^z`, then `phi(z) = e^(-z^2/2)`", *ASSUMPTIONS),
        (
            Step(
                "The exponential of a Gaussian, by integration",
                gaussian_integral(sp.exp(X), X, v),
                sp.exp(v / 2),
                what="E e^z, z ~ N(0, v)",
            ),
            Step(
                "z + z' has variance `q_1 + q_2 + 2 C`: varprop's kernel of e^z",
                sp.exp((q1 + q2 + 2 * c * ROOT) / 2),
                kernel_of(exp),
                what="E e^z e^z'",
            ),
            *closing(exp),
            *tilting(1),
            Step(
                "varprop's kernel of e^(-z^2/2)",
                1 / sp.sqrt(determinant),
                kernel_of(bump),
                what="E phi(z) phi(z')",
            ),
            Step(
                "One input: mean and fourth moment, by integration",
                row(
                    gaussian_integral(bump.expression, X, q).doit(),
                    gaussian_integral(bump.expression**4, X, q).doit(),
                ),
                row(bump.mean(q), bump.fourth_moment(q)),
                what="(E phi, E phi^4)",
            ),
            *closing(bump),
        ),
        "the characteristic function of a Gaussian; tilting",
    )


def wave_kernels() -> Derivation:
    cos, siren, sin = get("cos"), get("siren", omega=3), get("sin")
    v = sp.Symbol("v", positive=True)

    def mean(variance: Any) -> Any:
        return sp.exp(-variance / 2)

    minus, plus = (q1 + q2 + 2 * sign * c * ROOT for sign in (-1, 1))
    nine = {q1: 9 * q1, q2: 9 * q2, q: 9 * q}
    return Derivation(
        "wave-kernels",
        "Kernels of cos(z) and of sin(omega z)",
        ("`phi(z) = cos(z)`, then `phi(z) = sin(omega z)` at omega = 3", *ASSUMPTIONS),
        (
            Step(
                "The mean of a cosine, by integration",
                gaussian_integral(sp.cos(X), X, v),
                mean(v),
                what="E cos(z), z ~ N(0, v)",
            ),
            Step(
                "Product formula, with z - z' and z + z' of variances `q_1 + q_2 -+ 2 C`",
                (mean(minus) + mean(plus)) / 2,
                kernel_of(cos),
                what="E cos(z) cos(z')",
            ),
            Step(
                "Fourth power: `cos^4 = (3 + 4 cos(2x) + cos(4x))/8`",
                (3 + 4 * mean(4 * q) + mean(16 * q)) / 8,
                cos.fourth_moment(q),
                what="E cos(z)^4",
            ),
            *closing(cos),
            Step(
                "omega z is Gaussian of variance `omega^2 q`: the kernel of the sine there",
                row(siren.kernel(q1, q2, c), siren.fourth_moment(q), siren.derivative_mean(q)),
                row(
                    sin.kernel(q1, q2, c).subs(nine, simultaneous=True),
                    sin.fourth_moment(q).subs(nine),
                    3 * sin.derivative_mean(q).subs(nine),
                ),
                what="(K, E phi^4, E phi')",
            ),
            *closing(siren),
        ),
        "the characteristic function of a Gaussian; SIREN: Sitzmann et al. (2020)",
    )


def normal_cdf_kernel() -> Derivation:
    phi = get("normal_cdf")
    kernel, determinant = kernel_of(phi), tilted_law(1)[0]
    slope = 1 / (2 * sp.pi * sp.sqrt(determinant))
    density = sp.exp(-(X**2) / 2) / sp.sqrt(2 * sp.pi)
    return Derivation(
        "normal-cdf-kernel",
        "The kernel of the normal distribution function",
        ("`phi(z) = Phi(z)`, so `phi'` is the standard normal density", *ASSUMPTIONS),
        (
            Step("The slope", phi.slope(X), density, what="phi'(x)"),
            Step(
                "phi less 1/2 is odd, so the mean is 1/2",
                (phi(X) + phi(-X)) / 2,
                phi.mean(q),
                what="E phi(z)",
            ),
            Step(
                "and K is 1/4 where z and z' are independent",
                kernel.subs(c, 0),
                sp.Rational(1, 4),
                what="K(0)",
            ),
            *tilting(1),
            Step(
                "Price's theorem: varprop's kernel has the slope `E exp(-(z^2 + z'^2)/2)/(2 pi)`",
                sp.diff(kernel, c),
                ROOT * slope,
                what="dK/dc",
            ),
            *closing(phi, slope),
            Step(
                "Mean slope, by integration",
                gaussian_integral(density, X, q),
                phi.derivative_mean(q),
                what="E phi'(z)",
            ),
        ),
        "Williams (1997), for erf; Phi(z) is (1 + erf(z/sqrt(2)))/2",
    )
