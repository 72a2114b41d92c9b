"""Moments of one input: against mpmath at 30 and 50 digits, Stein, and planted faults."""

import math
from collections.abc import Callable
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch

from varprop.activations import ACTIVATIONS, C, Q, X, custom, get
from varprop.activations.pieces import steps

MOMENTS = ["mean", "second_moment", "fourth_moment", "derivative_second_moment"]
DUAL = ["kernel", "derivative_kernel"]
WIDE = (1e-8, 1e-4, 0.02, 5.0, 40.0, 1e3, 1e6)


def check(phi, name: str, q: float, exact_mean: Callable, integrands: dict, digits: int) -> None:
    """To 1e-12, or 1e-15 of the root of E phi^2 where the mean cancels between half lines."""
    truth = exact_mean(phi, integrands[name](phi.expression), q, digits)
    slack = 1e-26
    if name == "mean":
        slack = 1e-15 * math.sqrt(exact_mean(phi, phi.expression**2, q, digits))
    assert float(getattr(phi, name)(q)) == pytest.approx(truth, rel=1e-12, abs=slack)


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_are_the_integrals(phi, name, exact_mean, integrands):
    if phi.jumps and name == "derivative_second_moment":
        with pytest.raises(ValueError, match=r"is infinite: phi' has a point mass at each jump"):
            phi.derivative_second_moment(1.0)
        return
    check(phi, name, 0.6 * phi.scale**2, exact_mean, integrands, 30)


@pytest.mark.slow
@pytest.mark.parametrize("q", WIDE)
@pytest.mark.parametrize("name", MOMENTS)
def test_moments_on_a_wide_grid(phi, name, q, exact_mean, integrands):
    """At 50 digits, q in units of the squared scale of phi.

    Powers of waves and of e^z over many deviations are left to their formulas: the reference would
    have to sum 10^5 periods, and E e^(4z) leaves the floats.
    """
    if phi.jumps and name == "derivative_second_moment":
        return
    if q > 50 and phi.expression.has(sp.sin, sp.cos):
        return
    if q > 50 and phi.name == "exp":
        assert float(getattr(phi, name)(1e6)) == math.inf
        return
    check(phi, name, q * phi.scale**2, exact_mean, integrands, 50)


def test_quadrature_gives_the_same(phi, plain):
    q = np.array([0.02, 1.0]) * phi.scale**2
    for name in MOMENTS[: 3 if phi.jumps else 4]:
        found = getattr(plain(phi), name)(q)
        assert found == pytest.approx(getattr(phi, name)(q), rel=1e-11, abs=1e-15)


def test_the_slope_of_the_second_moment_has_no_derivative_in_its_reference(phi, plain, exact_mean):
    """d E phi^2 / dq = E phi^2 (Z^2 - 1) / (2 q), by differentiating the density; mpmath."""
    q = 0.6 * phi.scale**2
    truth = exact_mean(phi, phi.expression**2 * (X**2 / q - 1) / (2 * q), q)
    assert phi.second_moment_slope(q) == pytest.approx(truth, rel=1e-11, abs=1e-13)
    assert plain(phi).second_moment_slope(q) == pytest.approx(truth, rel=1e-11, abs=1e-13)


def test_the_slope_at_variance_zero_is_the_limit(phi, plain):
    """Against E phi^2 (Z^2 - 1) / (2 q) at small q, without derivatives: errors of O(sqrt(q))."""
    q = 1e-10 * phi.scale**2
    node, weight = np.polynomial.legendre.leggauss(400)
    z = np.concatenate([9 * (node - 1) / 2, 9 * (node + 1) / 2])
    density = np.tile(4.5 * weight, 2) * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    centred = phi(math.sqrt(q) * z) ** 2 - phi(0.0) ** 2 * (not phi.jumps)
    truth = np.sum(density * centred * (z**2 - 1)) / (2 * q)
    scale = 1 + abs(phi.slope(phi.scale / 3)) ** 2
    for found in (phi.second_moment_slope(0.0), plain(phi).second_moment_slope(0.0)):
        assert found == pytest.approx(truth, rel=1e-3, abs=1e-3 * scale)
    both = phi.second_moment_slope(np.array([0.0, q]))
    assert both.tolist() == [phi.second_moment_slope(0.0), phi.second_moment_slope(q)]


def test_the_slope_at_variance_zero_by_hand():
    """phi'(0)^2 + phi(0) phi''(0) where phi is smooth; relu: E phi^2 = q / 2."""
    assert get("tanh").second_moment_slope(0.0) == pytest.approx(1.0)
    assert get("relu").second_moment_slope(0.0) == pytest.approx(0.5)
    assert get("exp").second_moment_slope(0.0) == pytest.approx(2.0)
    smooth = custom("torch", torch_function=lambda z: torch.exp(z) + torch.sin(z))
    assert smooth.second_moment_slope(0.0) == pytest.approx(5.0)
    bent = custom("bent", torch_function=lambda z: torch.where(z > 0, 3 * z, z), kinks=(0.0,))
    assert bent.second_moment_slope(0.0) == pytest.approx(5.0)
    raised = custom("raised relu", 1 + sp.Max(X, 0))
    message = "of raised relu is infinite at q = 0: .* slopes 0 and 2 at .* of 0; take q > 0"
    with pytest.raises(ValueError, match=message):
        raised.second_moment_slope(0.0)


def test_curvature(phi, plain, exact_mean, integrands):
    """E phi phi'' as the slope of E phi^2 less E phi'^2, by formula and by quadrature."""
    q = 0.6 * phi.scale**2
    if phi.jumps:
        with pytest.raises(ValueError, match="is infinite: phi jumps at"):
            phi.curvature(q)
        return
    slope = exact_mean(phi, integrands["derivative_second_moment"](phi.expression), q)
    truth = exact_mean(phi, phi.expression**2 * (X**2 / q - 1) / (2 * q), q) - slope
    assert phi.curvature(q) == pytest.approx(truth, rel=1e-10, abs=1e-13 * slope)
    assert plain(phi).curvature(q) == pytest.approx(truth, rel=1e-10, abs=1e-13 * slope)


def test_a_small_curvature_keeps_its_digits():
    """tanh: E phi phi'' = -2 E tanh^2 sech^2 = -2 q + 10 q^2 + O(q^3), a difference of 1 and 1."""
    assert get("tanh").curvature(1e-7) == pytest.approx(-2e-7 + 10e-14, rel=1e-11, abs=0)
    q = 1e-9
    elu = get("elu").curvature(q)  # phi'' = e^z for z < 0, no jump of phi' at 0
    assert elu == pytest.approx(-math.sqrt(q / (2 * math.pi)) + q * 3 / 4, rel=1e-8, abs=0)


def test_stein(phi):
    """E z phi(z) = q E phi'(z), a jump of phi counting as a point mass of phi'."""
    q = np.array([0.02, 0.6, 4.0]) * phi.scale**2
    found = phi.moment(lambda z, value, slope: z * value, q)
    expected = q * phi.derivative_mean(q)
    assert found == pytest.approx(expected, rel=1e-10, abs=1e-14)


def test_a_moment_of_known_degree_is_the_same_moment(phi):
    def f(z, value, slope):
        return z * value * slope

    q = np.array([0.02, 0.6, 4.0])
    assert phi.moment(f, q, 2) == pytest.approx(phi.moment(f, q), rel=1e-10)


def typed() -> list[tuple[str, str]]:
    return [(label, name) for label in ACTIVATIONS for name in get(label).formulas]


@pytest.mark.parametrize("label, name", typed())
def test_a_wrong_closed_form_is_found_out(label, name, plain):
    """Each formula of the table is a mutant in turn, off by one part in 10^6 plus as much."""
    phi = get(label)
    mutant = {**phi.formulas, name: phi.formulas[name] * (1 + 1e-6) + 1e-6}
    wrong = replace(phi, formulas=mutant, stable={})
    q1, q2 = 1.3 * phi.scale**2, 0.7 * phi.scale**2
    at = (q1, q2, 0.4) if name in DUAL else (q1,)
    found, truth = getattr(wrong, name)(*at), getattr(plain(phi), name)(*at)
    assert found != pytest.approx(truth, rel=1e-10, abs=1e-14)
    assert getattr(phi, name)(*at) == pytest.approx(truth, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("label", ["hardtanh", "hardswish", "relu6", "hardshrink"])
def test_a_wrong_piece_is_found_out(label, monkeypatch, plain):
    """A planted fault in the recursion: the boundary term of Stein's lemma is left out."""
    from varprop.activations import piecewise, truncated

    phi = get(label)
    truth = plain(phi).second_moment(1.3)
    right = float(piecewise.single(phi.expression**2, phi.kinks).subs(Q, 1.3))
    assert right == pytest.approx(truth, rel=1e-12)
    monkeypatch.setattr(truncated, "at_edge", lambda *_: sp.S.Zero)
    wrong = float(piecewise.single(phi.expression**2, phi.kinks).subs(Q, 1.3))
    assert wrong != pytest.approx(truth, rel=1e-6)


def test_the_table_moments_of_papers():
    """SELU: mean 0 and second moment 1 at q = 1 (Klambauer et al. 2017). LeCun's tanh: f(1) = 1."""
    assert float(get("selu").mean(1.0)) == pytest.approx(0, abs=1e-15)
    assert float(get("selu").second_moment(1.0)) == pytest.approx(1, rel=1e-14)
    assert float(get("lecun_tanh")(1.0)) == pytest.approx(1, abs=1e-5)


def test_steps_of_a_jump():
    assert steps(get("hardshrink").expression, (-0.5, 0.5)) == (sp.Rational(1, 2),) * 2
    assert get("threshold(-0.5, 0.3)").jumps == (-0.5,)
    assert get("threshold").jumps == ()
    with mpmath.workdps(20):
        mass = mpmath.npdf(0.5, 0, 1)
    tail = math.erfc(0.5 / math.sqrt(2))
    assert float(get("hardshrink").derivative_mean(1.0)) == pytest.approx(float(mass) + tail)


def test_a_kernel_at_one_point_is_the_second_moment():
    phi = get("gelu")
    assert "second_moment" not in phi.formulas
    assert not phi.second_moment(Q).has(C)
