"""Two inputs at large variances, against mpmath: no asymptotes, no quadrature of the package."""

import math
import re
from collections.abc import Callable
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop.activations import ACTIVATIONS, X, asymptotes, custom, get, lines, quadrature
from varprop.activations.lines import Lines, Pair
from varprop.activations.pairs import deficit
from varprop.activations.quadrature import Integrand
from varprop.activations.remainders import split_of

CURVED = {"rectified_power", "exp", "softsign", "sin", "cos", "siren"}
CURVED |= {"monomial", "hermite", "polynomial"}
PAIRS = [
    *((q, q, gap) for q in (16.0, 1e2, 1e4, 1e6) for gap in (1e-12, 1e-7, 1e-3, 0.4, 1.0, 1.9)),
    *((16.0, 20.0, 0.5), (30.0, 1e4, 0.9), (1e6, 2e2, 1.01), (1e4, 1e4 + 1, 1e-6)),
]  # q1, q2 and the gap over the mean of both


def integrand(expression: sp.Expr, kinks: tuple[float, ...] = ()) -> Integrand:
    return Integrand("f", expression, kinks)


def gap_of(q1: float, q2: float, relative: float) -> float:
    """A gap in units of the mean variance, within what the variances allow."""
    ray, most = (math.sqrt(q1) - math.sqrt(q2)) ** 2 / 2, (math.sqrt(q1) + math.sqrt(q2)) ** 2 / 2
    return min(max(relative * (q1 + q2) / 2, ray * (1 + 1e-9) + (q1 != q2) * 1e-3), most)


def exactly(q1: float, q2: float, gap: float, given: Callable) -> float:
    """E given(u, m, s): an integral over u, v being N(m, s^2) given u, at 40 digits.

    Panels grow geometrically from the spread of v given u, and from 1, up to 15 deviations.
    """
    with mpmath.workdps(40):
        a, b = mpmath.sqrt(q1), mpmath.sqrt(q2)
        c = ((mpmath.mpf(q1) + q2) / 2 - mpmath.mpf(gap)) / (a * b)
        spread = b * mpmath.sqrt((1 - c) * (1 + c))
        at = min(spread, mpmath.mpf(1)) / 4
        edges = [mpmath.mpf(0)]
        while edges[-1] < 15 * a:
            edges.append(edges[-1] + at)
            at = min(at * 1.5, a)
        total = mpmath.mpf(0)
        for side in (1, -1):
            for low, high in pairwise(edges):
                half, middle = (high - low) / 2, (high + low) / 2
                for x, w in NODES:
                    u = side * (middle + half * x)
                    total += half * w * mpmath.npdf(u / a) / a * given(u, c * b / a * u, spread)
        return float(total)


def legendre(order: int) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    with mpmath.workdps(45):
        found = []
        for start in np.polynomial.legendre.leggauss(order)[0]:
            x = mpmath.findroot(lambda x: mpmath.legendre(order, x), start)
            slope = mpmath.diff(lambda x: mpmath.legendre(order, x), x)
            found.append((x, 2 / ((1 - x * x) * slope**2)))
        return found


NODES = legendre(20)


def half_line(t: int, m: mpmath.mpf, s: mpmath.mpf) -> mpmath.mpf:
    """E e^(tv) 1{v < 0}."""
    return mpmath.exp(t * m + t * t * s * s / 2) * mpmath.ncdf(-m / s - t * s)


def elu_mean(m: mpmath.mpf, s: mpmath.mpf) -> mpmath.mpf:
    upper = m * mpmath.ncdf(m / s) + s * mpmath.npdf(m / s)
    return upper + half_line(1, m, s) - half_line(0, m, s)


def elu_square(m: mpmath.mpf, s: mpmath.mpf) -> mpmath.mpf:
    upper = (m * m + s * s) * mpmath.ncdf(m / s) + m * s * mpmath.npdf(m / s)
    return upper + half_line(2, m, s) - 2 * half_line(1, m, s) + half_line(0, m, s)


def elu(u: mpmath.mpf) -> mpmath.mpf:
    return u if u > 0 else mpmath.expm1(u)


GIVEN = {
    "kernel": lambda u, m, s: elu(u) * elu_mean(m, s),
    "derivative_kernel": lambda u, m, s: (
        min(1, mpmath.exp(u)) * (mpmath.ncdf(m / s) + half_line(1, m, s))
    ),
    "gap": lambda u, m, s: (elu(u) ** 2 - 2 * elu(u) * elu_mean(m, s) + elu_square(m, s)) / 2,
}


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("q1, q2, relative", PAIRS)
def test_elu_at_large_variances(name, q1, q2, relative):
    gap = gap_of(q1, q2, relative)
    truth = exactly(q1, q2, gap, GIVEN[name])
    found = get("elu").gap(q1, q2, gap) if name == "gap" else getattr(get("elu"), name)(
        q1, q2, gap=gap
    )
    assert found == pytest.approx(truth, rel=1e-11, abs=0)
