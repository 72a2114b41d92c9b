"""E F(z, z') against closed forms at 60 digits, over all scales, correlations and gaps."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import mpmath
import pytest
import sympy as sp

from varprop.activations import Q1, Q2, SINE, THETA, C, X, get, quadrature
from varprop.gaussian import compiled, pair_expectation

VARIANCES = [
    (1e-8, 1e-8),
    (1e-3, 2.0),
    (0.5, 0.5),
    (9.0, 4.0),
    (40.0, 40.0),
    (1e-4, 1e3),
    (1e6, 1e6),
]
DEFICITS = [0.0, 1e-12, 1e-6, 1e-2, 0.5, 1.0, 1.7, 2 - 1e-9, 2.0]
CLOSE = [1e-12, 1e-9, 1e-7, 1e-5, 1e-2]


class Kernel(NamedTuple):
    """f with E f(z) f(z') in the symbols of the activations, and its kinks."""

    f: sp.Expr
    closed: sp.Expr
    kinks: tuple[float, ...] = ()


KERNELS: dict[str, Kernel] = (
    {
        name: Kernel(get(name).expression, get(name).formulas["kernel"], get(name).kinks)
        for name in ("erf", "gelu", "relu", "abs", "sin")
    }
    | {
        f"{name}'": Kernel(
            sp.diff(get(name).expression, X), sp.diff(get(name).formulas["kernel"], C)
        )
        for name in ("erf", "gelu", "sin")
    }
    | {
        "relu'": Kernel(sp.Heaviside(X), 1 / sp.S(2) - THETA / (2 * sp.pi), (0.0,)),
        "gaussian": Kernel(sp.exp(-(X**2)), 1 / sp.sqrt((1 + 2 * Q1) * (1 + 2 * Q2) - 4 * C**2)),
        "cube": Kernel(X**3, 9 * Q1 * Q2 * C + 6 * C**3),
    }
)


def exact(closed: sp.Expr, q1: float, q2: float, d: float) -> mpmath.mpf:
    """The closed form at correlation 1 - d, 60 digits."""
    with mpmath.workdps(60):
        a, b, c = mpmath.mpf(q1), mpmath.mpf(q2), 1 - mpmath.mpf(d)
        at = {Q1: a, Q2: b, C: c * mpmath.sqrt(a * b), THETA: mpmath.acos(c)}
        at[SINE] = mpmath.sqrt(1 - c * c)
        return sp.lambdify(tuple(at), closed, "mpmath")(*at.values())


def numeric(f: sp.Expr) -> Callable:
    return lambda x: compiled(f, (X,))(x) + 0 * x


def check(name: str, q: tuple[float, float], d: float) -> None:
    f, closed, kinks = KERNELS[name]
    if name.startswith("sin") and max(q) > 1e3:
        return  # no double precision argument says which phase such a sine is in
    call = numeric(f)
    found = pair_expectation(lambda x, y: call(x) * call(y), *q, d, kinks)
    error = abs(float(found.value - exact(closed, *q, d)))
    assert error <= found.error, (name, q, d, found)
    assert error <= 1e-12 * found.size + 1e-300, (name, q, d, found)
    assert found.error <= 1e-11 * found.size, (name, q, d, found)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_every_scale_and_correlation(name):
    """Each kernel at a third of the grid; all of it in the slow tier."""
    start = list(KERNELS).index(name)
    for q, d in list(itertools.product(VARIANCES, DEFICITS))[start % 4 :: 4]:
        check(name, q, d)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_on_the_whole_grid(name):
    for q, d in itertools.product(VARIANCES, DEFICITS):
        check(name, q, d)


def exact_gap(kernel: sp.Expr, q1: float, q2: float, d: float) -> float:
    with mpmath.workdps(60):
        ends = exact(kernel, q1, q1, 0.0) + exact(kernel, q2, q2, 0.0)
        return float(ends / 2 - exact(kernel, q1, q2, d))


@pytest.mark.parametrize("name", ["erf", "gelu", "sin", "relu", "abs", "gaussian", "cube", "relu'"])
def test_gaps_keep_eleven_digits_down_to_nothing(name):
    """E (f(z) - f(z'))^2 / 2 relative to itself, where subtraction has lost it all."""
    f, closed, kinks = KERNELS[name]
    phi = quadrature.Integrand(name, f, kinks)
    slope = quadrature.Integrand(
        name, sp.diff(f, X).replace(sp.DiracDelta, lambda *_: sp.S(0)), kinks
    )
    for q, d in itertools.product((1e-8, 0.5, 40.0, 1e6), CLOSE):
        if name == "sin" and q > 1e3:
            continue
        found = float(quadrature.gap(phi, slope, q, q, d))
        assert found == pytest.approx(exact_gap(closed, q, q, d), rel=1e-11), (q, d)
    for q1, q2, d in [
        (1.0, 1 + 1e-6, 0.0),
        (1.0, 1 + 1e-6, 1e-12),
        (2.0, 1e-3, 1e-12),
        (1.0, 1.1, 1e-9),
    ]:
        truth = exact_gap(closed, q1, q2, d)
        assert float(quadrature.gap(phi, slope, q1, q2, d)) == pytest.approx(
            truth, rel=1e-11, abs=1e-300
        ), (q1, q2, d)
