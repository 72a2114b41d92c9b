"""Gaussian kernels E phi(z) phi(z') in closed form, by Price's theorem in the correlation c.

With `C = c sqrt(q_1 q_2)`, Price's theorem reads `dK/dc = sqrt(q_1 q_2) E phi' phi'`. A kernel is
fixed by its value and slope at c = 0, where z and z' are independent, and its second derivative.
"""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import T, gaussian_density, gaussian_integral, gaussian_pair_density
from varprop.activations import Activation, X, get

q, q1, q2 = sp.symbols("q q_1 q_2", positive=True)
c, a = sp.symbols("c a", real=True)
ROOT = sp.sqrt(q1 * q2)
ASSUMPTIONS = (
    "z ~ N(0, `q_1`), z' ~ N(0, `q_2`) jointly Gaussian of correlation c in (-1, 1)",
    "K is E phi(z) phi(z'); price-theorem: `dK/dC = E phi'(z) phi'(z')`, `C = c sqrt(q_1 q_2)`",
)


def _kernel(phi: Activation) -> Any:
    return phi.kernel(q1, q2, c)


def _closing(phi: Activation, derivative: sp.Expr | None = None) -> tuple[Step, ...]:
    """What follows from the kernel: the derivative kernel, and one input."""
    slope = sp.diff(_kernel(phi), c) / ROOT if derivative is None else derivative
    same = {q1: q, q2: q, c: 1}
    return (
        Step(
            "Price's theorem once: varprop's derivative kernel is dK/dC",
            phi.derivative_kernel(q1, q2, c),
            slope,
            what="E phi'(z) phi'(z')",
        ),
        Step(
            "One input is the case z = z', `q_1 = q_2`, c = 1: varprop's moments of it",
            row(phi.second_moment(q), phi.derivative_second_moment(q)),
            row(_kernel(phi).subs(same), phi.derivative_kernel(q1, q2, c).subs(same)),
            what="(E phi(z)^2, E phi'(z)^2)",
        ),
    )


def _conclusion(phi: Activation) -> Step:
    return Step(
        "Value, slope and second derivative (or value and derivative) determine K, so it is "
        "varprop's closed form, which the steps above have differentiated",
        _kernel(phi),
        _kernel(phi),
        what="E phi(z) phi(z')",
    )


def _halves(phi: Activation, function: Any, variance: sp.Expr) -> Any:
    """E f(z) from both half lines, where phi is smooth."""
    return gaussian_integral(function(phi, T) + function(phi, -T), T, variance, low=0)


def _kinked(name: str, phi: Activation, title: str, jump: Any, assumption: str) -> Derivation:
    kernel = _kernel(phi)
    value, slope = (lambda f, t: f(t)), (lambda f, t: f.slope(t))
    means = [_halves(phi, value, v) for v in (q1, q2)]
    slopes = [_halves(phi, slope, v) for v in (q1, q2)]
    peak = gaussian_pair_density(sp.S.Zero, sp.S.Zero, q1, q2, c * ROOT)
    kernel_claim = jump**2 * ROOT / (2 * sp.pi * sp.sqrt(1 - c**2))
    return Derivation(
        name,
        title,
        (assumption, *ASSUMPTIONS),
        (
            Step(
                "Mean, by integration, and varprop's rule",
                _halves(phi, value, q),
                phi.mean(q),
                what="E phi(z)",
            ),
            Step(
                "Mean slope, by integration, and varprop's rule",
                _halves(phi, slope, q),
                phi.derivative_mean(q),
                what="E phi'(z)",
            ),
            Step(
                "At c = 0 z and z' are independent: K is the product of the means",
                means[0] * means[1],
                kernel.subs(c, 0),
                what="K at c = 0",
            ),
            Step(
                "and its slope in c is `sqrt(q_1 q_2)` times the product of the mean slopes",
                ROOT * slopes[0] * slopes[1],
                sp.diff(kernel, c).subs(c, 0),
                what="dK/dc at c = 0",
            ),
            Step(
                "phi'' is a point mass at 0 as large as the jump of phi', so Price's theorem twice "
                "gives the joint density at (0, 0)",
                ROOT**2 * jump**2 * peak,
                kernel_claim,
                what="d^2 K/dc^2",
            ),
            Step(
                "varprop's kernel has this second derivative, and with value and slope at c = 0 it "
                "is K",
                sp.diff(kernel, c, 2),
                kernel_claim,
                what="d^2 K/dc^2",
            ),
            *_closing(phi),
            Step(
                "One input by integration",
                _halves(phi, lambda f, t: f(t) ** 2, q),
                phi.second_moment(q),
                what="E phi(z)^2",
            ),
            _conclusion(phi),
        ),
        "Cho & Saul (2009), arc-cosine kernel of order one",
    )


def relu_kernel() -> Derivation:
    return _kinked(
        "relu-kernel", get("relu"), "The kernel of ReLU", sp.S.One, "`phi(z) = max(z, 0)`"
    )


def leaky_kernel() -> Derivation:
    return _kinked(
        "leaky-kernel",
        get("leaky_relu", a=a),
        "The kernel of leaky ReLU, any slope",
        1 - a,
        "`phi(z) = z` for z > 0 and `a z` for z < 0 (a = -1 is the absolute value)",
    )


def _tilted(weight: int) -> tuple[Any, Any]:
    """det(I + w S) and (S^-1 + w I)^-1, S the covariance matrix of z, z'."""
    covariance = sp.Matrix([[q1, c * ROOT], [c * ROOT, q2]])
    determinant = sp.expand((sp.eye(2) + weight * covariance).det())
    tilted = covariance * (sp.eye(2) + weight * covariance).adjugate() / determinant
    return determinant, tilted.applyfunc(
        lambda e: sp.factor(sp.expand(e * determinant)) / determinant
    )


def _tilting(weight: int) -> tuple[Step, Step]:
    """E exp(-w (z^2 + z'^2)/2) = det(I + w S)^(-1/2), integrated in z' and then in z."""
    x, y, r = sp.symbols("x y r", real=True)
    p = sp.Symbol("p", positive=True)
    determinant = q1 * q2 * (1 - c**2)
    joint = -(q2 * x**2 - 2 * c * ROOT * x * y + q1 * y**2) / (2 * determinant)
    exponent: Any = sp.expand(joint - weight * (x**2 + y**2) / 2)
    peak_y, linear = -2 * exponent.coeff(y, 2), exponent.coeff(y, 1)
    rest: Any = sp.expand(exponent.coeff(y, 0) + linear**2 / (2 * peak_y))
    curvature: Any = sp.factor(rest.coeff(x, 2))
    peak_x = -2 * curvature
    return (
        Step(
            "The Gaussian integral",
            sp.Integral(sp.exp(-p * y**2 / 2 + r * y), (y, -sp.oo, sp.oo)),
            sp.sqrt(2 * sp.pi / p) * sp.exp(r**2 / (2 * p)),
            what="the integral of exp(-p y^2/2 + r y)",
        ),
        Step(
            "Do it in z' and then in z with the joint density: the result to the power -2 is a "
            "determinant, det(I + w S) with S the covariance matrix",
            determinant * peak_y * peak_x,
            _tilted(weight)[0],
            what=f"(E exp(-w (z^2 + z'^2)/2))^-2 at w = {weight}",
        ),
    )


def erf_kernel() -> Derivation:
    phi = get("erf")
    kernel = _kernel(phi)
    slope = 4 / (sp.pi * sp.sqrt(_tilted(2)[0]))
    return Derivation(
        "erf-kernel",
        "The kernel of erf",
        ("`phi(z) = erf(z)`, so `phi'(z) = 2 exp(-z^2)/sqrt(pi)`", *ASSUMPTIONS),
        (
            Step("The slope", phi.slope(X), 2 * sp.exp(-(X**2)) / sp.sqrt(sp.pi), what="phi'(x)"),
            *_tilting(2),
            Step("erf is odd, so its mean is zero", phi(T) + phi(-T), phi.mean(q), what="E phi(z)"),
            Step("and K is 0 where z and z' are independent", kernel.subs(c, 0), 0, what="K(0)"),
            Step(
                "Mean slope by integration, and varprop's rule",
                gaussian_integral(2 * sp.exp(-(X**2)) / sp.sqrt(sp.pi), X, q),
                phi.derivative_mean(q),
                what="E phi'(z)",
            ),
            *_closing(phi, slope),
            Step(
                "Price's theorem: varprop's kernel has the derivative `(4/pi) E exp(-z^2 - z'^2)`, "
                "and is 0 at c = 0, so it is K",
                sp.diff(kernel, c),
                ROOT * slope,
                what="dK/dc",
            ),
            _conclusion(phi),
        ),
        "Williams (1997), Computing with infinite networks",
    )


def gelu_kernel() -> Derivation:
    phi = get("gelu")
    kernel = _kernel(phi)
    determinant, s = _tilted(1)
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
            *_tilting(1),
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
            *_closing(phi),
            Step(
                "Price's theorem twice: varprop's kernel has the second derivative "
                "`q_1 q_2 E phi'' phi''`, and with value and slope at c = 0 it is K",
                sp.diff(kernel, c, 2),
                ROOT**2 * curvature,
                what="d^2 K/dc^2",
            ),
            _conclusion(phi),
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
            *_closing(phi),
            Step(
                "Fourth power: `sin^4 = (3 - 4 cos(2x) + cos(4x))/8`, with variances 4 q and 16 q",
                (3 - 4 * cosine(4 * q) + cosine(16 * q)) / 8,
                phi.fourth_moment(q),
                what="E phi(z)^4",
            ),
            Step(
                "Two cosines of Gaussians: varprop's kernel",
                (cosine(minus) - cosine(plus)) / 2,
                _kernel(phi),
                what="E sin(z) sin(z')",
            ),
        ),
        "by the characteristic function of a Gaussian",
    )
