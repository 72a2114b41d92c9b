"""SELU: its two constants from the fixed point (0, 1), and what the fixed point does to signals."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step
from derivations.expectations import T, gaussian_integral
from varprop.activations import get

v, lam, alpha = sp.symbols("v lambda alpha", positive=True)
ROOT = sp.sqrt(2)
TORCH = ("1.6732632423543772848170429916717", "1.0507009873554804934193349852946")


def phi_normal(x: Any) -> Any:
    """The standard normal distribution function."""
    return sp.erfc(-x / ROOT) / 2


def mean(scale: Any, slope: Any, variance: Any) -> Any:
    """E selu(z), z ~ N(0, variance)."""
    tail = sp.exp(variance / 2) * phi_normal(-sp.sqrt(variance))
    return scale * (sp.sqrt(variance / (2 * sp.pi)) + slope * (tail - sp.Rational(1, 2)))


def square(scale: Any, slope: Any, variance: Any) -> Any:
    """E selu(z)^2, z ~ N(0, variance)."""
    s = sp.sqrt(variance)
    tail = sp.exp(2 * variance) * phi_normal(-2 * s) - 2 * sp.exp(variance / 2) * phi_normal(-s)
    return scale**2 * (variance / 2 + slope**2 * (tail + sp.Rational(1, 2)))


def slope_square(scale: Any, slope: Any, variance: Any) -> Any:
    """E selu'(z)^2, z ~ N(0, variance)."""
    tail = sp.exp(2 * variance) * phi_normal(-2 * sp.sqrt(variance))
    return scale**2 * (sp.Rational(1, 2) + slope**2 * tail)


def constants() -> tuple[Any, Any]:
    """(alpha, lambda) in closed form."""
    one = sp.S.One
    constant = mean(one, 0, one)  # the mean is linear in alpha
    slope = -constant / (mean(one, 1, one) - constant)
    return slope, 1 / sp.sqrt(square(one, slope, one))


def selu_constants() -> Derivation:
    slope, scale = constants()
    to_mean: Any = sp.diff(mean(scale, slope, v), v).subs(v, 1)
    to_square: Any = sp.diff(square(scale, slope, v), v).subs(v, 1)
    gradient = slope_square(scale, slope, sp.S.One)
    below = alpha * (sp.exp(-T) - 1)
    selu = get("selu")

    def near(reason: str, left: Any, right: str, digits: int, what: str) -> Step:
        error = sp.Float(10, 50) ** -digits
        return Step(reason, sp.N(left, 50), sp.Float(right, 50), "~", what=what, error=error)

    return Derivation(
        "selu-constants",
        "SELU: alpha, lambda, a stable fixed point, and gradients that grow",
        (
            "`selu(z) = lambda z` for z > 0 and `lambda alpha (e^z - 1)` for z < 0",
            "z ~ N(0, v): fan_in Var w = 1 and v the variance of the activations below",
        ),
        (
            Step(
                "The mean, over both half lines",
                gaussian_integral(lam * T, T, v, low=0)
                + gaussian_integral(lam * below, T, v, low=0),
                mean(lam, alpha, v),
                what="E phi(z)",
            ),
            Step(
                "The second moment in the same way",
                gaussian_integral(lam**2 * T**2, T, v, low=0)
                + gaussian_integral((lam * below) ** 2, T, v, low=0),
                square(lam, alpha, v),
                what="E phi(z)^2",
            ),
            Step(
                "The slopes: lambda above, `lambda alpha e^z` below",
                lam**2 / 2 + gaussian_integral((lam * alpha * sp.exp(-T)) ** 2, T, v, low=0),
                slope_square(lam, alpha, v),
                what="E phi'(z)^2",
            ),
            Step(
                "Mean 0 at v = 1 fixes alpha",
                1
                / (
                    sp.sqrt(2 * sp.pi) * (sp.Rational(1, 2) - sp.sqrt(sp.E) * phi_normal(-sp.S.One))
                ),
                slope,
                what="alpha",
            ),
            near("which is, as in torch's source", slope, TORCH[0], 31, "alpha"),
            near("and second moment 1 fixes lambda", scale, TORCH[1], 31, "lambda"),
            near(
                "varprop's own second moment",
                selu.second_moment(1.0),
                "1",
                12,
                "E phi^2",
            ),
            near("The map of (mean, variance): d mean/dv", to_mean, "0.088834", 6, "d mean/dv"),
            near("and d variance/dv; both mean columns are 0", to_square, "0.782648", 6, "dv'/dv"),
            near(
                "so the Jacobian of the map has norm 0.7877 < 1: the fixed point attracts",
                sp.sqrt(to_mean**2 + to_square**2),
                "0.7877",
                4,
                "norm",
            ),
            near(
                "varprop's own slopes",
                selu.derivative_second_moment(1.0) - gradient.evalf(30) + 1,
                "1",
                12,
                "E phi'^2 less the closed form, plus 1",
            ),
            near(
                "Gradients are multiplied by E phi'^2 > 1 in each layer: they grow",
                gradient,
                "1.0715750",
                7,
                "chi",
            ),
        ),
        "Klambauer, Unterthiner, Mayr & Hochreiter (2017)",
    )
