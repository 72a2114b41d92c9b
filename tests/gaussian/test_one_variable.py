"""E f(m + s Z) against mpmath at 50 digits: accuracy, and an error estimate that covers."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import sympy as sp

from varprop.activations import X, custom
from varprop.gaussian import expectation

E = sp.exp(-sp.Abs(X))
FUNCTIONS: dict[str, sp.Expr] = {
    "tanh": sp.tanh(X),
    "sigmoid": (1 + sp.tanh(X / 2)) / 2,
    "silu": X * (1 + sp.tanh(X / 2)) / 2,
    "erf": sp.erf(X),
    "gelu": X * (1 + sp.erf(X / sp.sqrt(2))) / 2,
    "relu": sp.Max(X, 0),
    "leaky relu": sp.Max(X, 0) + sp.Min(X, 0) / 5,
    "abs": sp.Abs(X),
    "sin": sp.sin(X),
    "softplus": sp.Max(X, 0) + sp.log(1 + E),
    "softsign": X / (1 + sp.Abs(X)),
    "mish": X * sp.tanh(sp.Max(X, 0) + sp.log(1 + E)),
    "elu": sp.Max(X, 0) + sp.exp(sp.Min(X, 0)) - 1,
    "hard tanh": sp.Min(sp.Max(X, -1), 1),
    "gaussian": sp.exp(-(X**2)),
    "cube": X**3,
    "step": sp.Heaviside(X - sp.Rational(3, 10)),
}
SINES = {  # closed, because they oscillate too fast for any reference
    "phi": lambda q: (0.0, min(1.0, math.sqrt(2 * q / math.pi)) / 2),
    "phi^2": lambda q: (-math.expm1(-2 * q) / 2,) * 2,
    "phi'^2": lambda q: ((1 + math.exp(-2 * q)) / 2,) * 2,
    "phi^4": lambda q: (float(mp_sine_fourth(q)),) * 2,
}
VARIANCES = [1e-8, 1e-3, 0.5, 3.0, 40.0, 1e3, 1e6]


def mp_sine_fourth(q: float) -> mpmath.mpf:
    """E sin(z)^4 at 50 digits: the float formula loses all of them at small q."""
    with mpmath.workdps(50):
        return (3 - 4 * mpmath.exp(-2 * mpmath.mpf(q)) + mpmath.exp(-8 * mpmath.mpf(q))) / 8


def reference(f: sp.Expr, q: float, kinks: tuple[float, ...]) -> tuple[float, float]:
    """E f(z) and E |f(z)|, z ~ N(0, q), with every feature on a boundary."""
    call = sp.lambdify(X, f, "mpmath")
    with mpmath.workdps(50):
        root = mpmath.sqrt(mpmath.mpf(q))
        places = [sign * mpmath.mpf(3) ** k / root for k in range(-1, 9) for sign in (1, -1)]
        kink_places = [mpmath.mpf(k) / root for k in kinks]
        marks = sorted(
            {z for z in [*places, *kink_places] if abs(z) < 15} | {*map(mpmath.mpf, range(-15, 16))}
        )
        total = size = mpmath.mpf(0)
        for low, high in itertools.pairwise(marks):
            half, middle = (high - low) / 2, (high + low) / 2
            for node, weight in GAUSS:
                z = middle + half * node
                value = half * weight * call(root * z) * mpmath.npdf(z)
                total, size = total + value, size + abs(value)
        return float(total), float(size)


def gauss(order: int) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    """Gauss-Legendre nodes at 50 digits, by Newton's method from the float ones."""
    with mpmath.workdps(55):
        found = []
        for start in np.polynomial.legendre.leggauss(order)[0]:
            x = mpmath.mpf(start)
            for _ in range(6):
                p0, p1 = mpmath.mpf(1), x
                for k in range(2, order + 1):
                    p0, p1 = p1, ((2 * k - 1) * x * p1 - (k - 1) * p0) / k
                slope = order * (x * p1 - p0) / (x * x - 1)
                x -= p1 / slope
            found.append((x, 2 / ((1 - x * x) * slope**2)))
        return found


GAUSS = gauss(30)


def moments(name: str) -> dict[str, sp.Expr]:
    phi = custom(name, FUNCTIONS[name])
    return {
        "phi": phi.expression,
        "phi^2": phi.expression**2,
        "phi'^2": phi.derivative**2,
        "phi^4": phi.expression**4,
    }


def check(name: str, moment: str, q: float) -> None:
    f, kinks = moments(name)[moment], custom(name, FUNCTIONS[name]).kinks
    call = sp.lambdify(X, f, ["scipy", "numpy"], cse=True)
    truth, size = SINES[moment](q) if name == "sin" else reference(f, q, kinks)
    found = expectation(lambda x: call(x) + 0 * x, 0.0, math.sqrt(q), kinks)
    error = abs(float(found.value) - truth)
    if (name, moment, q) == ("sin", "phi^4", 1e6):  # 4 000 radians to one standard deviation
        assert error <= found.error and found.error > 1e-8
        return
    assert error <= found.error, (name, moment, q, found, truth)
    assert error <= 1e-12 * size, (name, moment, q, found, truth)
    assert found.error <= 1e-11 * size, (name, moment, q, found, truth)


def covers(name: str) -> list[tuple[str, float]]:
    """Two moments of the function, at variances that the functions take in turn."""
    start = list(FUNCTIONS).index(name)
    return [
        (moment, VARIANCES[(start + 3 * i) % len(VARIANCES)])
        for i, moment in enumerate(["phi^2", "phi'^2"])
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twelve_digits_and_a_bound_that_holds(name):
    for moment, q in covers(name):
        check(name, moment, q)


@pytest.mark.slow
@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_twelve_digits_at_every_scale(name, q):
    for moment in moments(name):
        check(name, moment, q)
