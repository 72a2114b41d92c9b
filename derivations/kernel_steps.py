"""What the proofs of Gaussian kernels E phi(z) phi(z') share: symbols, closing steps, tilting.

With `C = c sqrt(q_1 q_2)`, Price's theorem reads `dK/dc = sqrt(q_1 q_2) E phi' phi'`. A kernel is
fixed by its value and slope at c = 0, where z and z' are independent, and its second derivative.
"""

from typing import Any

import sympy as sp

from derivations.derivation import Step, row
from varprop.activations import Activation

q, q1, q2 = sp.symbols("q q_1 q_2", positive=True)
c = sp.Symbol("c", real=True)
ROOT = sp.sqrt(q1 * q2)
ASSUMPTIONS = (
    "z ~ N(0, `q_1`), z' ~ N(0, `q_2`) jointly Gaussian of correlation c in (-1, 1)",
    "K is E phi(z) phi(z'); price-theorem: `dK/dC = E phi'(z) phi'(z')`, `C = c sqrt(q_1 q_2)`",
)


def kernel_of(phi: Activation) -> Any:
    return phi.kernel(q1, q2, c)


def closing(phi: Activation, derivative: sp.Expr | None = None) -> tuple[Step, ...]:
    """What follows from the kernel: the derivative kernel, and one input."""
    slope = sp.diff(kernel_of(phi), c) / ROOT if derivative is None else derivative
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
            row(kernel_of(phi).subs(same), phi.derivative_kernel(q1, q2, c).subs(same)),
            what="(E phi(z)^2, E phi'(z)^2)",
        ),
    )


def conclusion(phi: Activation) -> Step:
    return Step(
        "Value, slope and second derivative (or value and derivative) determine K, so it is "
        "varprop's closed form, which the steps above have differentiated",
        kernel_of(phi),
        kernel_of(phi),
        what="E phi(z) phi(z')",
    )


def tilted_law(weight: int) -> tuple[Any, Any]:
    """det(I + w S) and (S^-1 + w I)^-1, S the covariance matrix of z, z'."""
    covariance = sp.Matrix([[q1, c * ROOT], [c * ROOT, q2]])
    determinant = sp.expand((sp.eye(2) + weight * covariance).det())
    tilted = covariance * (sp.eye(2) + weight * covariance).adjugate() / determinant
    return determinant, tilted.applyfunc(
        lambda e: sp.factor(sp.expand(e * determinant)) / determinant
    )


def tilting(weight: int) -> tuple[Step, Step]:
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
            tilted_law(weight)[0],
            what=f"(E exp(-w (z^2 + z'^2)/2))^-2 at w = {weight}",
        ),
    )
