"""Gaps E(phi - phi')^2 / 2, which keep their digits where 1 - c has none."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp

from varprop import gaussian
from varprop.activations import ACTIVATIONS, Q1, Q2, SINE, THETA, Activation, C, gaps, get
from varprop.activations.pairs import deficit, ray_gap

CLOSED = {k: get(k) for k in ACTIVATIONS if "kernel" in get(k).formulas and k != "siren"}


def exact_gap(phi: Activation, q1: float, q2: float, gap: float) -> float:
    """average of E phi^2 less the kernel, at 50 digits, by the formula in the table."""
    with mpmath.workdps(50):
        a, b = mpmath.mpf(q1), mpmath.mpf(q2)

        def kernel(a, b, missing):
            cosine = 1 - missing
            values = {
                Q1: a,
                Q2: b,
                C: mpmath.sqrt(a * b) * cosine,
                THETA: mpmath.acos(cosine),
                SINE: mpmath.sqrt(missing * (2 - missing)),
            }
            f = sp.lambdify(tuple(values), phi.kernel_formula("kernel"), "mpmath")
            return f(*values.values())

        ray = (mpmath.sqrt(a) - mpmath.sqrt(b)) ** 2 / 2
        missing = (mpmath.mpf(gap) - ray) / mpmath.sqrt(a * b)
        average = (kernel(a, a, mpmath.mpf(0)) + kernel(b, b, mpmath.mpf(0))) / 2
        return float(average - kernel(a, b, missing))


@pytest.mark.parametrize("closed", CLOSED.values(), ids=CLOSED.keys())
@pytest.mark.parametrize("q", [1e-6, 1.0, 1e3])
def test_gaps_keep_nine_digits(closed, q):
    """From nearly opposite inputs down to a relative gap of 1e-12, at 50 digits.

    Near 2 the gap itself is given to an absolute rounding only.
    """
    for relative in (2 - 1e-9, 1.9, 1.0, 0.3, 1e-3, 1e-6, 1e-9, 1e-12):
        gap = q * relative
        truth = exact_gap(closed, q, q, gap)
        assert closed.gap(q, q, gap) == pytest.approx(
            truth, rel=1e-9, abs=4e-16 * q * (relative > 1.99)
        )


def test_gaps_of_unequal_variances(phi, plain):
    unit = phi.scale**2
    q1, q2, gap = 1.3 * unit, 0.6 * unit, np.array([0.3, 1.0, 1.7]) * unit
    average = (phi.second_moment(q1) + phi.second_moment(q2)) / 2
    found = phi.gap(q1, q2, gap)
    assert found == pytest.approx(average - phi.kernel(q1, q2, gap=gap), rel=1e-9)
    assert plain(phi).gap(q1, q2, gap) == pytest.approx(found, rel=1e-9)
    at_ray = ray_gap(np.array(q1), np.array(q2))
    on_ray = plain(phi).gap(q1, q2, at_ray)
    assert phi.gap(q1, q2, at_ray) == pytest.approx(on_ray, rel=1e-9)


def test_small_gaps_without_a_closed_form(continuous, plain):
    """(z - z')^2 E phi'^2 to leading order; the quadrature of the difference keeps it."""
    phi, q = continuous, continuous.scale**2
    truth = 1e-12 * q * phi.derivative_second_moment(q)
    assert plain(phi).gap(q, q, 1e-12 * q) == pytest.approx(truth, rel=1e-5, abs=0)
    assert phi.gap(q, q, 1e-12 * q) == pytest.approx(truth, rel=1e-5, abs=0)


def test_small_gaps_of_a_jump():
    """Step: the two inputs lie on different sides with probability theta / pi."""
    for relative in (1e-14, 1e-8, 1e-3, 0.5):
        angle = 2 * math.asin(math.sqrt(relative / 2))
        assert get("step").gap(2.0, 2.0, 2 * relative) == pytest.approx(
            angle / (2 * math.pi), rel=1e-9, abs=0
        )


def test_one_panel_is_not_enough(monkeypatch):
    """A planted fault: without the shrinking panels the erf gap at large q is wrong."""
    phi = get("erf")

    def one_panel(q1, q2, theta, finest):
        node, weight = gaussian.legendre_unit(24)
        return theta[..., None] * node, theta[..., None] * weight

    monkeypatch.setattr(gaps, "path", one_panel)
    assert phi.gap(1e3, 1e3, 1e3) != pytest.approx(exact_gap(phi, 1e3, 1e3, 1e3), rel=1e-9)


def test_pairs_of_variances():
    q1, q2 = np.array([4.0, 0.0, 0.0]), np.array([1.0, 2.0, 0.0])
    assert ray_gap(q1, q2) == pytest.approx([0.5, 1.0, 0.0])
    assert deficit(q1, q2, np.array([0.5, 1.0, 0.0])) == pytest.approx([0.0, 0.0, 0.0])
    assert deficit(4.0, 1.0, 2.5) == pytest.approx(1.0)


@pytest.mark.parametrize("q", [0.3, 1.0, 5.0])
def test_an_odd_kernel_vanishes_with_the_correlation(q):
    """E phi phi' = c q (E phi')^2 + O(c^3): the terms of the closed form all but cancel."""
    c, phi = 2.0**-23, get("hardtanh")
    truth = c * q * math.erf(1 / math.sqrt(2 * q)) ** 2
    assert phi.kernel(q, q, c) == pytest.approx(truth, rel=1e-12, abs=0)
