"""Kernels of ReLU and leaky ReLU in closed form, by Price's theorem in the correlation c."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step
from derivations.expectations import T, gaussian_integral, gaussian_pair_density
from derivations.kernel_steps import ASSUMPTIONS, ROOT, c, closing, conclusion, kernel_of, q, q1, q2
from varprop.activations import Activation, get

a = sp.Symbol("a", real=True)


def _halves(phi: Activation, function: Any, variance: sp.Expr) -> Any:
    """E f(z) from both half lines, where phi is smooth."""
    return gaussian_integral(function(phi, T) + function(phi, -T), T, variance, low=0)


def _kinked(name: str, phi: Activation, title: str, jump: Any, assumption: str) -> Derivation:
    kernel = kernel_of(phi)
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
            *closing(phi),
            Step(
                "One input by integration",
                _halves(phi, lambda f, t: f(t) ** 2, q),
                phi.second_moment(q),
                what="E phi(z)^2",
            ),
            conclusion(phi),
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
