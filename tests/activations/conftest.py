"""The table as a parameter `phi`, and references that share nothing with varprop's quadrature.

Moments: Gauss-Legendre panels in mpmath. Kernels: the same in two dimensions, in long doubles.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy.codegen.cfunctions import expm1

from varprop.activations import ACTIVATIONS, Activation, X, get
from varprop.activations.special import softplus, tanh_residual

TABLE: dict[str, Activation] = {name: get(name) for name in ACTIVATIONS}
VARIANTS = (
    *("leaky_relu(0.3)", "leaky_relu(-2)", "hardtanh(-2, 0.5)", "softshrink(0.1)", "elu(0.5)"),
    *("celu(2)", "threshold(-0.5, 0.3)", "monomial(3)", "rectified_power(3)", "hermite(4)"),
    *("softplus(2, 5)", "siren(3)"),
)
TABLE |= {label: get(label) for label in VARIANTS}
JUMPY = tuple(label for label, phi in TABLE.items() if phi.jumps)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`phi`: every activation; `smooth`: those without a jump."""
    if "phi" in metafunc.fixturenames:
        metafunc.parametrize("phi", TABLE.values(), ids=TABLE.keys())
    if "continuous" in metafunc.fixturenames:
        chosen = {label: phi for label, phi in TABLE.items() if not phi.jumps}
        metafunc.parametrize("continuous", chosen.values(), ids=chosen.keys())


class Plain(Activation):
    """The same function with no closed form, so that everything is quadrature."""

    def formula(self, name: str) -> None:
        return None

    def kernel_formula(self, name: str) -> None:
        return None


@pytest.fixture
def plain() -> Callable[[Activation], Activation]:
    return lambda phi: Plain(
        phi.name, phi.expression, kinks=phi.kinks, homogeneous=phi.homogeneous, scale=phi.scale
    )


def slope(expression: sp.Expr) -> sp.Expr:
    """phi' off the jumps, written here a second time."""
    return sp.diff(expression, X).replace(sp.DiracDelta, lambda *_: sp.Integer(0))


INTEGRANDS: dict[str, Callable] = {
    "mean": lambda phi: phi,
    "second_moment": lambda phi: phi**2,
    "fourth_moment": lambda phi: phi**4,
    "derivative_second_moment": lambda phi: slope(phi) ** 2,
}


@pytest.fixture
def integrands() -> dict[str, Callable]:
    return INTEGRANDS


def elementary(expression: sp.Expr) -> sp.Expr:
    """Without functions that only varprop knows."""
    expression = expression.replace(softplus, lambda x: sp.log(1 + sp.exp(x)))
    expression = expression.replace(tanh_residual, lambda x: x - sp.tanh(x))
    return expression.replace(expm1, lambda x: sp.exp(x) - 1)


@cache
def nodes(order: int, digits: int) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    """Gauss-Legendre by Newton's method on the recursion of P_n."""
    with mpmath.workdps(digits + 10):
        found = []
        for start in np.polynomial.legendre.leggauss(order)[0]:
            x = mpmath.mpf(start)
            for _ in range(6):
                below, here = mpmath.mpf(1), x
                for k in range(2, order + 1):
                    below, here = here, ((2 * k - 1) * x * here - (k - 1) * below) / k
                rise = order * (x * here - below) / (x * x - 1)
                x -= here / rise
            found.append((x, 2 / ((1 - x * x) * rise**2)))
        return found


def panels(phi: Activation, q: float, reach: float = 14.0) -> list[float]:
    """Edges in z: the kinks, widths that grow from the scale of phi, never above a sigma or so."""
    sigma, edges = q**0.5, {0.0, *phi.kinks}
    reach += 4 * sigma if phi.expression == sp.exp(X) else 0.0
    step = at = min(phi.scale, sigma)
    while at < reach * sigma:
        edges |= {at, -at}
        wild = phi.expression.has(sp.sin, sp.cos)
        step = min(step * 1.5, sigma, *([3 * phi.scale] if wild else []))
        at += step
    inside = {e for e in edges if abs(e) < reach * sigma}
    return sorted(inside | {-reach * sigma, reach * sigma})


@cache
def compiled(expression: sp.Expr) -> Callable:
    return sp.lambdify(X, elementary(expression), "mpmath")


def exact_mean(phi: Activation, expression: sp.Expr, q: float, digits: int = 30) -> float:
    """E f(z), z ~ N(0, q), for f with the kinks of phi."""
    f, rule = compiled(expression), nodes(24, digits)
    with mpmath.workdps(digits):
        total, variance = mpmath.mpf(0), mpmath.mpf(q)
        for low, high in pairwise(map(mpmath.mpf, panels(phi, q))):
            half, middle = (high - low) / 2, (high + low) / 2
            points = [(middle + half * x, w) for x, w in rule]
            total += half * sum(w * f(z) * mpmath.exp(-z * z / (2 * variance)) for z, w in points)
        return float(total / mpmath.sqrt(2 * mpmath.pi * variance))


@pytest.fixture(name="exact_mean")
def _exact_mean() -> Callable:
    return exact_mean
