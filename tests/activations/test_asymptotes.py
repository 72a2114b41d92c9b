"""Two inputs at large variances, against mpmath: no asymptotes, no quadrature of the package."""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop.activations import ACTIVATIONS, Q1, Q2, Activation, C, X, asymptotes, get, lines
from varprop.activations.lines import Lines, Pair
from varprop.activations.pairs import deficit
from varprop.activations.quadrature import Integrand
from varprop.activations.remainders import split_of

CURVED = {"rectified_power", "exp", "softsign", "sin", "cos", "siren"}
CURVED |= {"monomial", "hermite", "polynomial"}
GAPS = (1e-12, 1e-7, 1e-3, 0.4, 1.0, 1.9)  # in units of the mean variance
EQUAL = [(q, q, gap) for q in (16.0, 1e2, 1e4, 1e6) for gap in GAPS]
UNEQUAL = [(16.0, 20.0, 0.5), (30.0, 1e4, 0.9), (2e2, 1e6, 1.01), (1e4, 1e4 + 1, 1e-6)]
NARROW = [(1e2, 1e2, gap) for gap in (2e-5, 5e-5, 1e-4, 3e-4)]  # at the edge of the nodes
FEW = [(16.0, 16.0, 0.4), (1e2, 1e2, 1e-3), (1e6, 1e6, 1e-7), UNEQUAL[1]]
PAIRS = [
    *FEW,
    *(pytest.param(*p, marks=pytest.mark.slow) for p in (*EQUAL, *UNEQUAL) if p not in FEW),
]


def integrand(expression: sp.Expr, kinks: tuple[float, ...] = ()) -> Integrand:
    return Integrand("f", expression, kinks)


def gap_of(q1: float, q2: float, relative: float) -> float:
    """A gap in units of the mean variance, within what the variances allow."""
    ray, most = (math.sqrt(q1) - math.sqrt(q2)) ** 2 / 2, (math.sqrt(q1) + math.sqrt(q2)) ** 2 / 2
    return min(max(relative * (q1 + q2) / 2, ray * (1 + 1e-9) + (q1 != q2) * 1e-3), most)


def exactly(q1: float, q2: float, gap: float, given: Callable) -> float:
    """E given(u, m, s): an integral over u, v being N(m, s^2) given u, at 34 digits.

    Panels grow geometrically from the spread of v given u, and from 1, up to 15 deviations.
    """
    with mpmath.workdps(34):
        a, b = mpmath.sqrt(q1), mpmath.sqrt(q2)
        c = ((mpmath.mpf(q1) + q2) / 2 - mpmath.mpf(gap)) / (a * b)
        spread = b * mpmath.sqrt((1 - c) * (1 + c))
        at = min(spread, mpmath.mpf(1)) / 4
        edges = [mpmath.mpf(0)]
        while edges[-1] < 15 * a:
            edges.append(edges[-1] + at)
            at = min(at * 2, a)
        total = mpmath.mpf(0)
        for side in (1, -1):
            for low, high in pairwise(edges):
                half, middle = (high - low) / 2, (high + low) / 2
                for x, w in NODES:
                    u = side * (middle + half * x)
                    total += half * w * mpmath.npdf(u / a) / a * given(u, c * b / a * u, spread)
        return float(total)


def legendre(order: int) -> list[tuple[Any, Any]]:
    with mpmath.workdps(45):
        found = []
        for start in np.polynomial.legendre.leggauss(order)[0]:
            x = mpmath.findroot(lambda x: mpmath.legendre(order, x), start)
            slope = mpmath.diff(lambda x: mpmath.legendre(order, x), x)
            found.append((x, 2 / ((1 - x * x) * slope**2)))
        return found


NODES = legendre(20)


def half_line(t: int, m: Any, s: Any) -> Any:
    """E e^(tv) 1{v < 0}."""
    return mpmath.exp(t * m + t * t * s * s / 2) * mpmath.ncdf(-m / s - t * s)


def elu_mean(m: Any, s: Any) -> Any:
    upper = m * mpmath.ncdf(m / s) + s * mpmath.npdf(m / s)
    return upper + half_line(1, m, s) - half_line(0, m, s)


def elu_square(m: Any, s: Any) -> Any:
    upper = (m * m + s * s) * mpmath.ncdf(m / s) + m * s * mpmath.npdf(m / s)
    return upper + half_line(2, m, s) - 2 * half_line(1, m, s) + half_line(0, m, s)


def elu(u: Any) -> Any:
    return u if u > 0 else mpmath.expm1(u)


GIVEN = {
    "kernel": lambda u, m, s: elu(u) * elu_mean(m, s),
    "derivative_kernel": lambda u, m, s: (
        min(1, mpmath.exp(u)) * (mpmath.ncdf(m / s) + half_line(1, m, s))
    ),
    "gap": lambda u, m, s: (elu(u) ** 2 - 2 * elu(u) * elu_mean(m, s) + elu_square(m, s)) / 2,
}


def asked(phi: Activation, name: str, q1: float, q2: float, gap: float) -> float:
    return phi.gap(q1, q2, gap) if name == "gap" else getattr(phi, name)(q1, q2, gap=gap)


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("q1, q2, relative", PAIRS)
def test_elu_at_large_variances(name, q1, q2, relative):
    gap = gap_of(q1, q2, relative)
    truth = exactly(q1, q2, gap, GIVEN[name])
    found = asked(get("elu"), name, q1, q2, gap)
    assert found == pytest.approx(truth, rel=1e-11, abs=0)


def gelu_exactly(name: str, q1: float, q2: float, gap: float) -> float:
    """By the closed form of the kernel at 60 digits."""
    with mpmath.workdps(60):
        a, b = mpmath.mpf(q1), mpmath.mpf(q2)
        kernel = sp.lambdify((Q1, Q2, C), get("gelu").kernel_formula("kernel"), "mpmath")
        covariance = (a + b) / 2 - mpmath.mpf(gap)
        if name == "derivative_kernel":
            return float(mpmath.diff(lambda c: kernel(a, b, c), covariance))
        crossed = kernel(a, b, covariance)
        return float(
            crossed if name == "kernel" else (kernel(a, a, a) + kernel(b, b, b)) / 2 - crossed
        )


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("q1, q2, relative", [*EQUAL, *UNEQUAL, *NARROW])
def test_the_error_estimate_covers_the_error(name, q1, q2, relative):
    """gelu from its asymptotes, whose estimate is sharp for wide Gaussians."""
    phi, gap = get("gelu"), gap_of(q1, q2, relative)
    f = phi._integrand(name, phi.derivative if name == "derivative_kernel" else phi.expression)
    d = deficit(np.array(q1), np.array(q2), gap)
    rule = asymptotes.gap if name == "gap" else asymptotes.product
    value, error, size = (part[0] for part in rule(f, *(np.array([v]) for v in (q1, q2, d))))
    spread = math.sqrt(min(q1, q2) * d * (2 - d))
    truth = gelu_exactly(name, q1, q2, gap)
    assert abs(value - truth) <= error + 1e-15 * abs(truth)
    if spread > 2 and q1 > 1e3 and not (name == "derivative_kernel" and relative > 1.5):
        assert error <= 1e-11 * size
    assert asked(phi, name, q1, q2, gap) == pytest.approx(truth, rel=1e-11, abs=0)


def test_what_is_a_line_far_away_and_what_is_not():
    """Every activation of the table; the lines by SymPy's limits for some."""
    for name in ACTIVATIONS:
        phi = get(name)
        assert (split_of(integrand(phi.expression, phi.kinks)) is None) == (name in CURVED)
    for expression in (X / (1 + sp.exp(-X)), X - sp.tanh(X)):
        split = split_of(integrand(expression))
        assert split is not None
        for sign, far in ((1, sp.oo), (-1, -sp.oo)):
            slope = sp.limit(expression / X, X, far)
            level = sp.limit(expression - slope * X, X, far)
            p = split.lines
            assert p.slope + sign * p.bend / 2 == pytest.approx(float(slope), abs=1e-13)
            assert p.level + sign * p.jump / 2 == pytest.approx(float(level), abs=1e-13)


def test_lines_are_the_means_over_both_inputs():
    """All four parts at once, by the trapezoidal sum over the angle of (z, z'), exact radially."""
    p, pair = Lines(0.7, -0.3, 1.1, 0.6), Pair.of(*np.array([[1.69], [0.64], [0.4]]))
    angle = (np.arange(400_000) + 0.5) * (2 * math.pi / 400_000)
    c, s1, s2 = 0.6, 1.3, 0.8
    x, y = s1 * np.cos(angle), s2 * (c * np.cos(angle) + 0.8 * np.sin(angle))
    level = Lines(0.0, p.level, p.jump, 0.0)
    slope = p._replace(level=0.0, jump=0.0)
    radius = {0: 1.0, 1: math.sqrt(math.pi / 2), 2: 2.0}  # E R^k
    terms = [(level, level, 0), (level, slope, 1), (slope, level, 1), (slope, slope, 2)]
    kernel = sum(radius[k] * np.mean(f(x) * g(y)) for f, g, k in terms)
    change = [f(x) - f(y) for f in (level, slope)]
    gap = sum(radius[i + j] * np.mean(change[i] * change[j]) / 2 for i in (0, 1) for j in (0, 1))
    assert lines.product(p, pair).value[0] == pytest.approx(kernel, rel=1e-5)
    assert lines.gap(p, pair).value[0] == pytest.approx(gap, rel=1e-5)


def test_given_one_input():
    """E p(z') given z, z' then being N(0.48 z / 1.3, 0.64^2), by panels that meet at its kink."""
    p, pair = Lines(0.7, -0.3, 1.1, 0.6), Pair.of(*map(np.array, (1.69, 0.64, 0.4)))
    for z in map(np.array, (-2.0, 0.1, 3.0)):
        mean = 0.48 / 1.3 * float(z)

        def integrand(t: Any, mean: float = mean) -> Any:
            return float(p(np.array(mean + 0.64 * float(t)))) * mpmath.npdf(t)

        found: Any = mpmath.quad(integrand, [-12, -4, -mean / 0.64, 4, 12])
        truth = float(found)
        assert lines.given(p, pair, z) == pytest.approx(truth, rel=1e-12)
        assert lines.change(p, pair, z) == pytest.approx(float(p(z)) - truth, rel=1e-11)


def test_nodes_that_would_miss_a_gaussian_are_not_asked():
    """A tiny variance gets nodes of its own; a tiny spread of z' given z is left to others."""
    f = integrand(sp.tanh(X))
    close, narrow = (
        asymptotes.product(f, *np.array([[1e4], [q], [d]])) for q, d in ((1e4, 1e-12), (1e-6, 0.7))
    )
    assert np.isinf(close.error[0])
    # E tanh(z) z' (1 - z'^2 / 3) by Stein's lemma, E tanh' over a Gaussian that hardly varies
    slope: Any = mpmath.quad(
        lambda z: mpmath.sech(z) ** 2 * mpmath.npdf(z, 0, 100), [-40, -10, 0, 10, 40]
    )
    assert narrow.value[0] == pytest.approx(0.3 * 0.1 * float(slope), rel=1e-5)
    assert narrow.error[0] < 1e-11 * narrow.size[0]


def test_a_function_that_vanishes_where_z_is_likely():
    """Soft shrink 11 to 22 deviations from its kinks: a probability below 1e-23, not refused."""
    phi, unlikely = get("softshrink"), 1e-23
    for q in (1e-3, 2e-3):
        for c in (0.1, 0.5, 0.999):
            for found in (phi.gap(q, q, q * (1 - c)), phi.kernel(q, q, c)):
                assert abs(found) <= unlikely
            assert abs(phi.derivative_kernel(q, q, c)) <= unlikely
    network = vp.mlp(8, 12, activation="softshrink", weights=vp.init.normal(std=0.2))
    x = np.random.default_rng(1).normal(size=(3, 8))
    laws = vp.predict(network, x).moments
    assert all(np.isfinite(law.second).all() for law in laws.values())


def test_one_entry_of_an_array_is_named():
    phi, q = get("silu"), np.full(300, 2.0)
    gaps = np.where(np.arange(300) == 7, 9.0, 0.5)
    with pytest.raises(ValueError, match=re.escape("got gap = 9.0 for q1 = 2.0, q2 = 2.0;")):
        phi.gap(q, q, gaps)
    with pytest.raises(ValueError, match=re.escape("at least 0; got -1.0; give")):
        phi.mean(np.where(np.arange(300) == 7, -1.0, q))
    with pytest.raises(ValueError, match=re.escape("in [-1, 1]; got 1.5; divide")):
        phi.kernel(q, q, np.where(np.arange(300) == 7, 1.5, 0.0))
