"""Gaussian quadrature against mpmath at 30 digits, and the honesty of its error estimate."""

import math
from collections.abc import Callable
from typing import NamedTuple

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy import integrate, special

from varprop import gaussian
from varprop.gaussian import (
    Estimate,
    evaluate,
    expectation,
    expectations,
    is_symbolic,
    pair_expectation,
    panels,
)

ULP = 8 * np.finfo(float).eps  # of E |f|
VARIANCES = [1e-8, 1e-3, 0.7, 4.0, 40.0, 1e3, 1e6]


class Case(NamedTuple):
    """An integrand twice over: for NumPy, and for mpmath."""

    function: Callable
    exact: Callable
    kinks: tuple[float, ...] = ()


CASES = {
    "one": Case(np.ones_like, lambda x: mpmath.mpf(1)),
    "square": Case(lambda x: x**2, lambda x: x**2),
    "tanh squared": Case(lambda x: np.tanh(x) ** 2, lambda x: mpmath.tanh(x) ** 2),
    "sigmoid": Case(special.expit, lambda x: (1 + mpmath.tanh(x / 2)) / 2),
    "silu": Case(lambda x: x * special.expit(x), lambda x: x * (1 + mpmath.tanh(x / 2)) / 2),
    "erf": Case(special.erf, mpmath.erf),
    "relu": Case(lambda x: np.maximum(x, 0), lambda x: max(x, mpmath.mpf(0)), (0.0,)),
    "hard tanh": Case(
        lambda x: np.clip(x, -1, 1), lambda x: min(max(x, mpmath.mpf(-1)), mpmath.mpf(1)), (-1, 1)
    ),
    "step at 0.3": Case(
        lambda x: np.where(x > 0.3, x + 1, 0.0), lambda x: x + 1 if x > 0.3 else 0 * x, (0.3,)
    ),
}


def reference(f: Callable, mean: float, scale: float, kinks: tuple[float, ...] = ()) -> float:
    """E f(m + s Z) with every feature of f and of the density on a boundary."""
    with mpmath.workdps(30):
        m, s = mpmath.mpf(mean), mpmath.mpf(scale)
        marks = [mpmath.mpf(sign * 4.0**k) for k in range(-1, 8) for sign in (1, -1)]
        marks = [(x - m) / s for x in [*marks, 0, *map(mpmath.mpf, kinks)]]
        marks = sorted({z for z in marks if abs(z) < 13} | {-13, -9, -5, -2, 0, 2, 5, 9, 13})
        rule = {"method": "gauss-legendre", "maxdegree": 6}
        return float(mpmath.quad(lambda z: f(m + s * z) * mpmath.npdf(z), marks, **rule))


def honest(estimate: Estimate, truth: float, size: float) -> bool:
    """Whether the error estimate covers the true error, up to rounding relative to E |f|."""
    return bool(np.abs(estimate.value - truth) <= estimate.error + ULP * size)


@pytest.mark.parametrize("name", CASES)
def test_one_variable_at_every_scale(name):
    case = CASES[name]
    for q in VARIANCES:
        for mean in (0.0, -0.4) if q in (0.7, 40.0) else (0.0,):
            scale = math.sqrt(q)
            found = expectation(case.function, mean, scale, case.kinks)
            truth = reference(case.exact, mean, scale, case.kinks)
            size = expectation(lambda x: np.abs(case.function(x)), mean, scale, (0.0,)).value
            assert honest(found, truth, size), (q, mean, found, truth)
            assert found.error <= 1e-6 * size, (q, mean)
            assert abs(found.value - truth) <= 1e-10 * size, (q, mean)


PAIRS = {
    "product": (lambda x, y: x * y, lambda q1, q2, c: c * mpmath.sqrt(q1 * q2), ()),
    "product of sines": (
        lambda x, y: np.sin(x) * np.sin(y),
        lambda q1, q2, c: mpmath.exp(-(q1 + q2) / 2) * mpmath.sinh(c * mpmath.sqrt(q1 * q2)),
        (),
    ),
    "product of erf": (
        lambda x, y: special.erf(x) * special.erf(y),
        lambda q1, q2, c: (
            2
            / mpmath.pi
            * mpmath.asin(2 * c * mpmath.sqrt(q1 * q2) / mpmath.sqrt((1 + 2 * q1) * (1 + 2 * q2)))
        ),
        (),
    ),
    "product of relu": (
        lambda x, y: np.maximum(x, 0) * np.maximum(y, 0),
        lambda q1, q2, c: (
            mpmath.sqrt(q1 * q2)
            / (2 * mpmath.pi)
            * (mpmath.sqrt(1 - c**2) + (mpmath.pi - mpmath.acos(c)) * c)
        ),
        (0.0,),
    ),
    "both positive": (
        lambda x, y: np.heaviside(x, 0.5) * np.heaviside(y, 0.5),
        lambda q1, q2, c: (mpmath.pi - mpmath.acos(c)) / (2 * mpmath.pi),
        (0.0,),
    ),
    "half squared difference": (
        lambda x, y: (x - y) ** 2 / 2,
        lambda q1, q2, c: (q1 + q2) / 2 - c * mpmath.sqrt(q1 * q2),
        (),
    ),
}
DEFICITS = [0.0, 1e-12, 1e-6, 0.3, 2.0]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("q1, q2", [(1.3, 0.7), (400.0, 1e-6), (0.5, 900.0)])
def test_pairs_at_every_correlation(name, q1, q2):
    """Closed forms at 40 digits; deficits to 1e-12, where c itself has lost its digits."""
    function, exact, kinks = PAIRS[name]
    if name == "product of sines" and max(q1, q2) > 50:
        pytest.skip("a sine of scale 20 has no closed tail to compare at this precision")
    deficits = np.array(DEFICITS)
    found = pair_expectation(function, q1, q2, deficits, kinks)
    size = pair_expectation(lambda x, y: np.abs(function(x, y)), q1, q2, deficits, kinks).value
    with mpmath.workdps(40):
        truth = [float(exact(mpmath.mpf(q1), mpmath.mpf(q2), 1 - mpmath.mpf(d))) for d in DEFICITS]
    scale = math.sqrt(q1 * q2) if name == "product" else 0.0
    for value, error, true, s in zip(found.value, found.error, truth, size, strict=True):
        assert honest(Estimate(value, error, s), true, s + scale), (value, error, true)
        assert abs(value - true) <= 1e-8 * s, (value, true)


def test_a_gap_keeps_its_digits_where_a_subtraction_loses_them():
    """E (z - z')^2 / 2 = deficit exactly, at q = 1; the moments subtracted leave noise."""
    for d in (1e-6, 1e-9, 1e-12):
        found = pair_expectation(lambda x, y: (x - y) ** 2 / 2, 1.0, 1.0, d).value
        assert found == pytest.approx(d, rel=1e-9)
    product = pair_expectation(lambda x, y: x * y, 1.0, 1.0, 1e-12).value
    assert abs((1 - product) / 1e-12 - 1) > 1e-6


def test_pairs_against_scipy_for_an_integrand_without_closed_form():
    c, q1, q2 = -0.4, 1.7, 0.6

    def density(v, u):
        return math.exp(-(u * u - 2 * c * u * v + v * v) / (2 * (1 - c * c)))

    def integrand(v, u):
        x, y = math.sqrt(q1) * u, math.sqrt(q2) * v
        return math.tanh(x + 0.3) * y / (1 + math.exp(-y)) * density(v, u)

    truth, _ = integrate.dblquad(integrand, -8, 8, -8, 8, epsabs=1e-10)
    truth /= 2 * math.pi * math.sqrt(1 - c * c)
    found = pair_expectation(
        lambda x, y: np.tanh(x + 0.3) * y * special.expit(y), q1, q2, 1 - c
    ).value
    assert found == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize("kinks", [(), (0.0,)])
def test_chunks_change_nothing(monkeypatch, rng, kinks):
    """One case at a time agrees with all at once: the panels may differ, the values not."""
    q = rng.uniform(0.1, 30, (3, 2))
    d = rng.uniform(0, 2, (3, 2))
    f = CASES["tanh squared"].function
    together = expectation(f, 0.0, np.sqrt(q), kinks)
    pairs = pair_expectation(lambda x, y: np.tanh(x) * np.tanh(y), q, 1.3, d, kinks)
    monkeypatch.setattr(expectations, "CHUNK", 1)
    monkeypatch.setattr(panels, "CHUNK", 1)
    apart = expectation(f, 0.0, np.sqrt(q), kinks)
    pairs_apart = pair_expectation(lambda x, y: np.tanh(x) * np.tanh(y), q, 1.3, d, kinks)
    for one, other in ((together, apart), (pairs, pairs_apart)):
        assert one.value.shape == other.value.shape == q.shape
        assert np.all(np.abs(one.value - other.value) <= one.error + other.error + ULP)


def test_shapes_scale_zero_and_nothing():
    assert expectation(np.tanh, np.zeros((2, 1)), np.ones(3)).value.shape == (2, 3)
    assert expectation(np.tanh, 0.3, 0.0).value == pytest.approx(math.tanh(0.3), rel=1e-15)
    assert expectation(np.cos, 0.3, np.array([0.0, 1.0])).value == pytest.approx(
        [math.cos(0.3), math.cos(0.3) * math.exp(-0.5)], rel=1e-13
    )
    assert expectation(np.tanh, 0.0, np.zeros(0)).value.shape == (0,)
    both_zero = pair_expectation(lambda x, y: (x + 1) * (y + 2), 0.0, 0.0, 0.5)
    assert both_zero.value == pytest.approx(2.0, rel=1e-14)
    one_zero = pair_expectation(lambda x, y: (x + 1) * (y + 2) ** 2, 0.0, 3.0, [0.0, 0.5])
    assert one_zero.value == pytest.approx([7.0, 7.0], rel=1e-12)


def test_pairs_exchange():
    def f(x, y):
        return np.tanh(x) * np.maximum(y, 0)

    d = np.array([1e-8, 0.2, 1.9])
    there = pair_expectation(f, 2.0, 0.3, d, (0.0,)).value
    back = pair_expectation(lambda x, y: f(y, x), 0.3, 2.0, d, (0.0,)).value
    assert there == pytest.approx(back, rel=1e-11)


def test_legendre_on_the_unit_interval():
    node, weight = gaussian.legendre_unit(7)
    for power in range(14):
        assert np.sum(weight * node**power) == pytest.approx(1 / (power + 1), rel=1e-14)


x, y, q = sp.symbols("x y q", positive=True)


def test_evaluate_answers_in_the_kind_it_is_asked():
    expression = sp.sin(x) * y
    assert evaluate(expression, {x: 0.5, y: 2.0}) == pytest.approx(2 * math.sin(0.5), rel=1e-15)
    grid = evaluate(expression, {x: np.array([[0.1], [0.2]]), y: np.array([1.0, 2.0, 3.0])})
    assert grid == pytest.approx(np.sin([[0.1], [0.2]]) * np.array([1.0, 2.0, 3.0]))
    assert evaluate(expression, {x: q, y: sp.Integer(2)}) == 2 * sp.sin(q)
    held = evaluate(expression, {x: np.array([q, q**2], object), y: sp.Integer(1)})
    assert list(held) == [sp.sin(q), sp.sin(q**2)]
    assert evaluate(x - y, {x: y, y: x}) == y - x  # simultaneous, not one after the other
    assert evaluate(sp.Integer(3), {x: np.ones((2, 2))}) == pytest.approx(3 * np.ones((2, 2)))


def test_is_symbolic():
    assert is_symbolic(1.0, q)
    assert is_symbolic(np.array([q], object))
    assert not is_symbolic(1.0, np.ones(2), None)


def test_a_symbolic_expectation_is_the_integral():
    z = sp.Symbol("x", real=True)
    found = gaussian.symbolic_expectation(z**4, z, q)
    assert isinstance(found, sp.Integral)
    assert sp.simplify(found.doit() - 3 * q**2) == 0
