"""The rule behind the closed forms of piecewise polynomial-exponential activations, proved once.

Each moment is a function of its boundary b: its derivative there is the integrand, and it vanishes
where the interval is empty. That fixes it, so these steps differentiate what varprop computes.
"""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from derivations.expectations import gaussian_density, gaussian_integral, gaussian_pair_density
from varprop.activations import Q1, Q2, SINE, THETA, C, Q, get
from varprop.activations.special import bivariate_normal, erfcx
from varprop.activations.truncated import corner, given, moment

x, m, t, u, a, b = sp.symbols("x m t u a b", real=True)
v, s1, s2 = sp.symbols("v s_1 s_2", positive=True)
k = sp.Symbol("k", integer=True, positive=True)
ORDERS = range(5)


def _density(x: Any) -> Any:
    return sp.exp(-((x - m) ** 2) / (2 * v)) / sp.sqrt(2 * sp.pi * v)


def truncated_moments() -> Derivation:
    weighted = x ** (k - 1) * sp.exp(t * x) * _density(x)
    found = [moment(order, t, a, b, m, v) for order in ORDERS]
    return Derivation(
        "truncated-moments",
        "E z^k e^(tz) on an interval, in closed form",
        ("z ~ N(m, v) of density p, and a < z < b", "`M_k = E z^k e^(tz) 1{a < z < b}`"),
        (
            Step(
                "Stein's lemma under the integral, where the boundary counts",
                sp.simplify(sp.diff(-v * weighted, x) / weighted),
                sp.simplify((x - m) - v * ((k - 1) / x + t)),
                what="d/dx (-v x^(k-1) e^(tx) p) over x^(k-1) e^(tx) p",
            ),
            Step(
                "Tilting: e^(tx) moves the mean by t v, and is worth e^(tm + t^2 v/2)",
                sp.expand(t * x - (x - m) ** 2 / (2 * v)),
                sp.expand(t * m + t**2 * v / 2 - (x - m - t * v) ** 2 / (2 * v)),
                what="the exponent",
            ),
            Step(
                "varprop's M_0, ..., M_4: the derivative in b is the integrand at b",
                row(*(sp.diff(f, b) / (sp.exp(t * b) * _density(b)) for f in found)),
                row(*(b**order for order in ORDERS)),
                what="dM_k/db",
            ),
            Step(
                "and they vanish on an empty interval, b = a",
                row(*(f.subs(b, a) for f in found)),
                row(*(0 for _ in ORDERS)),
                what="M_k at b = a",
            ),
            Step(
                "With a = -oo, t > 0 and b at the mean, the same M_0 is written by "
                "`erfcx(x) = e^(x^2) erfc(x)`, which does not overflow",
                moment(0, sp.Integer(3), -sp.oo, 0, 0, v).replace(
                    erfcx, lambda y: sp.exp(y**2) * sp.erfc(y)
                ),
                sp.exp(9 * v / 2) * sp.erfc(3 * sp.sqrt(v) / sp.sqrt(2)) / 2,
                what="M_0",
            ),
        ),
        "integration by parts",
    )


w = sp.Symbol("w", positive=True)  # tan(theta/2), which makes cos and sin rational
COSINE, SINE_OF_W = (1 - w**2) / (1 + w**2), 2 * w / (1 + w**2)


def _rational(expression: Any) -> Any:
    """In standard deviations and w; arguments of erfc and exp in canonical form."""
    expression = expression.subs({sp.cos(THETA): COSINE, sp.sin(THETA): SINE_OF_W})
    values = {Q1: s1**2, Q2: s2**2, C: s1 * s2 * COSINE, SINE: SINE_OF_W}
    expression = expression.subs(values, simultaneous=True)
    joined = sp.powsimp(sp.expand_mul(expression), combine="exp")
    return joined.replace(
        lambda e: isinstance(e, sp.erfc | sp.exp), lambda e: e.func(sp.expand(sp.cancel(e.args[0])))
    )


def truncated_pairs() -> Derivation:
    form = (a**2 / Q1 - 2 * sp.cos(THETA) * a * x / sp.sqrt(Q1 * Q2) + x**2 / Q2) / (
        2 * sp.sin(THETA) ** 2
    )
    centre, spread = C * a / Q1, Q2 * SINE**2
    product = a**2 / (2 * Q1) + (x - centre) ** 2 / (2 * spread)
    h, kk, y = sp.symbols("h k y", real=True)
    density = gaussian_pair_density(x, y, Q1, Q2, C)
    return Derivation(
        "truncated-pairs",
        "E z^j z'^k e^(tz + uz') on a quadrant, in closed form",
        (
            "z, z' centred Gaussian, variances `q_1`, `q_2`, `C = sqrt(q_1 q_2) cos(theta)`",
            "`G_jk(a, b) = E z^j z'^k e^(tz + uz') 1{z < a, z' < b}`, which is 0 at a = -oo",
        ),
        (
            Step(
                "Given z = a, z' has mean `C a/q_1` and variance `q_2 sin(theta)^2`",
                _rational(form),
                _rational(product),
                what="minus the exponent of the joint density",
            ),
            Step(
                "The bivariate normal distribution function: its slope in h is the density at h "
                "times the probability given h",
                sp.diff(bivariate_normal(h, kk, THETA), h),
                gaussian_density(h, 1)
                * sp.erfc((sp.cos(THETA) * h - kk) / (sp.sqrt(2) * sp.sin(THETA)))
                / 2,
                what="dPhi_2/dh",
            ),
            Step(
                "varprop's G_00, with any tilt: its derivative in a is the density at a times the "
                "truncated moment of z' given z = a (truncated-moments)",
                _rational(sp.diff(corner(0, 0, t, u, a, b), a)),
                _rational(given(0, 0, t, u, a, b)),
                what="dG_00/da",
            ),
            Step(
                "Stein's lemma: z times the density p is a derivative, so by parts "
                "`E z h = q_1 E dh/dz + C E dh/dz'`, boundaries counted: the recursion in j",
                sp.simplify(-(Q1 * sp.diff(density, x) + C * sp.diff(density, y)) / density),
                x,
                what="-(q_1 dp/dx + C dp/dy)/p",
            ),
            *(
                Step(
                    "varprop's recursion, as an instance without a tilt",
                    _rational(sp.diff(corner(i, j, 0, 0, a, b), a)),
                    _rational(given(i, j, 0, 0, a, b)),
                    what=f"dG_{i}{j}/da",
                )
                for i, j in ((1, 0), (1, 1))
            ),
        ),
        "tilting and integration by parts; Price's theorem gives the derivative kernel",
    )


def rectified_kernels() -> Derivation:
    """Step and squared ReLU: the arc-cosine kernels of order zero and two."""
    step, square, relu = get("step"), get("rectified_power"), get("relu")
    kernel, angle = square.kernel_formula("kernel"), sp.Symbol("theta", positive=True)
    circle = {SINE: sp.sin(angle), C: sp.sqrt(Q1 * Q2) * sp.cos(angle), THETA: angle}
    down = -sp.sqrt(Q1 * Q2) * sp.sin(angle)  # dC/dtheta
    third = 3 * sp.sin(angle) * sp.cos(angle) + (sp.pi - angle) * (1 + 2 * sp.cos(angle) ** 2)

    def at(formula: Any) -> Any:
        return sp.sympify(formula).subs(circle)

    return Derivation(
        "rectified-kernels",
        "Step and squared ReLU: arc-cosine kernels of order zero and two",
        ("step is 1{z > 0}; the other is max(z, 0)^2", "`C = sqrt(q_1 q_2) cos(theta)`"),
        (
            Step(
                "Two signs agree with the probability of an angle: varprop's kernel of the step",
                at(step.kernel_formula("kernel")),
                (sp.pi - angle) / (2 * sp.pi),
                what="P(z > 0, z' > 0)",
            ),
            Step(
                "Price: its derivative is the joint density at (0, 0), varprop's derivative kernel",
                sp.diff(at(step.kernel_formula("kernel")), angle) / down,
                at(step.kernel_formula("derivative_kernel")),
                what="dK/dC of the step",
            ),
            Step(
                "varprop's kernel of max(z, 0)^2 is the one of Cho & Saul",
                at(kernel),
                Q1 * Q2 / (2 * sp.pi) * third,
                what="E phi phi'",
            ),
            Step(
                "Price: its derivative is four times the kernel of ReLU (relu-kernel)",
                sp.diff(at(kernel), angle) / down,
                4 * at(relu.kernel_formula("kernel")),
                what="dK/dC",
            ),
            Step(
                "and so says varprop's derivative kernel",
                at(square.kernel_formula("derivative_kernel")),
                4 * at(relu.kernel_formula("kernel")),
                what="E phi'(z) phi'(z')",
            ),
            Step(
                "Orthogonal inputs are independent, so K is the squared mean E max(z, 0)^2 = q/2",
                at(kernel).subs(angle, sp.pi / 2),
                square.mean(Q1) * square.mean(Q2),
                what="K at c = 0",
            ),
        ),
        "Cho & Saul (2009), Kernel methods for deep learning",
    )


def elu_moments() -> Derivation:
    alpha = sp.Symbol("alpha", real=True)
    phi = get("elu", alpha=alpha)
    y = sp.Symbol("y", positive=True)

    def plain(formula: Any) -> Any:
        return sp.sympify(formula).replace(erfcx, lambda z: sp.exp(z**2) * sp.erfc(z))

    tail = sp.exp(-y) - 1
    two, one = (sp.exp(r**2 * Q / 2) * sp.erfc(r * sp.sqrt(Q) / sp.sqrt(2)) / 2 for r in (2, 1))
    return Derivation(
        "elu-moments",
        "The moments of ELU (SELU and CELU alike)",
        ("`phi(z) = z` for z > 0, `alpha (e^z - 1)` for z < 0", "z ~ N(0, q)"),
        (
            Step(
                "Mean, by integration on both half lines",
                gaussian_integral(y + alpha * tail, y, Q, low=0),
                plain(phi.mean(Q)),
                what="E phi(z)",
            ),
            Step(
                "Second moment: with `Phi(-r sqrt q) e^(r^2 q/2)` for r = 1, 2",
                plain(phi.second_moment(Q)),
                Q / 2 + alpha**2 * (two - 2 * one + sp.Rational(1, 2)),
                what="E phi(z)^2",
            ),
            Step(
                "the same by integration",
                gaussian_integral(y**2 + alpha**2 * tail**2, y, Q, low=0),
                plain(phi.second_moment(Q)),
                what="E phi(z)^2",
            ),
            Step(
                "Slope, by integration",
                gaussian_integral(1 + alpha**2 * sp.exp(-2 * y), y, Q, low=0),
                plain(phi.derivative_second_moment(Q)),
                what="E phi'(z)^2",
            ),
            Step(
                "which is the closed form",
                plain(phi.derivative_second_moment(Q)),
                sp.Rational(1, 2) + alpha**2 * two,
                what="E phi'(z)^2",
            ),
        ),
        "after Klambauer et al. (2017); by tilting",
    )
