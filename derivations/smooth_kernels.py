"""Kernels of erf, GELU and the sine in closed form: Price's theorem, tilted Gaussians, cosines."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step
from derivations.expectations import T, gaussian_density, gaussian_integral
from derivations.kernel_steps import (
    ASSUMPTIONS,
    ROOT,
    c,
    closing,
    conclusion,
    kernel_of,
    q,
    q1,
    q2,
    tilted_law,
    tilting,
)
from varprop.activations import X, get


def erf_kernel() -> Derivation:
    phi = get("erf")
    kernel = kernel_of(phi)
    slope = 4 / (sp.pi * sp.sqrt(tilted_law(2)[0]))
    return Derivation(
        "erf-kernel",
        "The kernel of erf",
        ("`phi(z) = erf(z)`, so `phi'(z) = 2 exp(-z^2)/sqrt(pi)`", *ASSUMPTIONS),
        (
            Step("The slope", phi.slope(X), 2 * sp.exp(-(X**2)) / sp.sqrt(sp.pi), what="phi'(x)"),
            *tilting(2),
            Step("erf is odd, so its mean is zero", phi(T) + phi(-T), phi.mean(q), what="E phi(z)"),
            Step("and K is 0 where z and z' are independent", kernel.subs(c, 0), 0, what="K(0)"),
            Step(
                "Mean slope by integration, and varprop's rule",
                gaussian_integral(2 * sp.exp(-(X**2)) / sp.sqrt(sp.pi), X, q),
                phi.derivative_mean(q),
                what="E phi'(z)",
            ),
            *closing(phi, slope),
            Step(
                "Price's theorem: varprop's kernel has the derivative `(4/pi) E exp(-z^2 - z'^2)`, "
                "and is 0 at c = 0, so it is K",
                sp.diff(kernel, c),
                ROOT * slope,
                what="dK/dc",
            ),
            conclusion(phi),
        ),
        "Williams (1997), Computing with infinite networks",
    )


def gelu_kernel() -> Derivation:
    phi = get("gelu")
    kernel = kernel_of(phi)
    determinant, s = tilted_law(1)
    normal = gaussian_density(X, 1)
    isserlis = 4 - 2 * s[0, 0] - 2 * s[1, 1] + s[0, 0] * s[1, 1] + 2 * s[0, 1] ** 2
    curvature = isserlis / (2 * sp.pi * sp.sqrt(determinant))
    mean = (q * gaussian_integral(normal, X, q)).doit()
    means = [mean.subs(q, v) for v in (q1, q2)]
    u, v = sp.symbols("u v", real=True)
    product = sp.expand((2 - u**2) * (2 - v**2))
    pairs: dict[Any, Any] = {(0, 0): 1, (2, 0): s[0, 0], (0, 2): s[1, 1]}
    pairs[2, 2] = s[0, 0] * s[1, 1] + 2 * s[0, 1] ** 2
    wick = sum(k * pairs[powers] for powers, k in sp.Poly(product, u, v).terms())
    return Derivation(
        "gelu-kernel",
        "The kernel of GELU",
        (
            "`phi(z) = z Phi(z)`, Phi the standard normal distribution function, N its density",
            *ASSUMPTIONS,
        ),
        (
            Step(
                "Stein's lemma (price-theorem): `E z Phi(z) = q E N(z)`, and varprop's mean",
                q * gaussian_integral(normal, X, q),
                phi.mean(q),
                what="E phi(z)",
            ),
            Step(
                "`phi'` less 1/2 is odd, so the mean slope is 1/2",
                (phi.slope(X) + phi.slope(-X)) / 2,
                phi.derivative_mean(q),
                what="E phi'(z)",
            ),
            Step(
                "Two derivatives: `phi''(x) = (2 - x^2) N(x)`",
                sp.diff(phi.expression, X, 2),
                (2 - X**2) * normal,
                what="phi''(x)",
            ),
            *tilting(1),
            Step(
                "Under the tilted law, covariance S = `(S_0^-1 + I)^-1`, Isserlis' theorem gives "
                "`E z^2 z'^2 = S_11 S_22 + 2 S_12^2`",
                wick,
                isserlis,
                what="E (2 - z^2)(2 - z'^2)",
            ),
            Step(
                "where the entry S_12 is C over the determinant",
                s[0, 1],
                c * ROOT / determinant,
                what="S_12",
            ),
            Step(
                "Independent inputs, c = 0: the product of the means",
                means[0] * means[1],
                kernel.subs(c, 0),
                what="K(0)",
            ),
            Step(
                "and the slope is `sqrt(q_1 q_2)` times the squared mean slope",
                sp.diff(kernel, c).subs(c, 0),
                ROOT / 4,
                what="dK/dc at c = 0",
            ),
            *closing(phi),
            Step(
                "Price's theorem twice: varprop's kernel has the second derivative "
                "`q_1 q_2 E phi'' phi''`, and with value and slope at c = 0 it is K",
                sp.diff(kernel, c, 2),
                ROOT**2 * curvature,
                what="d^2 K/dc^2",
            ),
            conclusion(phi),
        ),
        "Tsuchida et al. (2021) give this kernel; the proof here is by Price's theorem",
    )


def sin_kernel() -> Derivation:
    phi = get("sin")
    v = sp.Symbol("v", positive=True)
    x, y = sp.symbols("x y", real=True)
    minus, plus = (q1 + q2 + 2 * sign * c * ROOT for sign in (-1, 1))

    def cosine(variance: sp.Expr) -> Any:
        """E cos of a centred Gaussian."""
        return sp.exp(-variance / 2)

    return Derivation(
        "sin-kernel",
        "The kernel of the sine",
        ("`phi(z) = sin(z)`", *ASSUMPTIONS),
        (
            Step(
                "The mean of a cosine, by integration",
                gaussian_integral(sp.cos(X), X, v),
                cosine(v),
                what="E cos(z), z ~ N(0, v)",
            ),
            Step("sin is odd, so its mean is zero", phi(T) + phi(-T), phi.mean(q), what="E phi(z)"),
            Step(
                "Product formula: z - z' and z + z' have variances `q_1 + q_2 -+ 2 C`",
                (sp.cos(x - y) - sp.cos(x + y)) / 2,
                phi(x) * phi(y),
                what="sin(x) sin(y)",
            ),
            Step("The mean slope", cosine(q), phi.derivative_mean(q), what="E phi'(z)"),
            Step(
                "Cosines in the same way: the derivative kernel",
                (cosine(minus) + cosine(plus)) / 2,
                phi.derivative_kernel(q1, q2, c),
                what="E cos(z) cos(z')",
            ),
            *closing(phi),
            Step(
                "Fourth power: `sin^4 = (3 - 4 cos(2x) + cos(4x))/8`, with variances 4 q and 16 q",
                (3 - 4 * cosine(4 * q) + cosine(16 * q)) / 8,
                phi.fourth_moment(q),
                what="E phi(z)^4",
            ),
            Step(
                "Two cosines of Gaussians: varprop's kernel",
                (cosine(minus) - cosine(plus)) / 2,
                kernel_of(phi),
                what="E sin(z) sin(z')",
            ),
        ),
        "by the characteristic function of a Gaussian",
    )
