"""Decay at critical points with q* = 0, against the layer map of two inputs in polar coordinates.

z = r cos(a), z' = r cos(a - theta), r^2 exponential: for phi = s z + k z^2/2 + t z^3/6 on each side
of 0, the radial moments are exact and the angle takes a few Gauss-Legendre nodes.
"""

from math import gamma

import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop.activations import X, custom, get
from varprop.theory.meanfield import critical_points
from varprop.theory.meanfield.vanishing import vanishing_laws

NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


def powers_of(right, left, cosine, lowest):
    """The coefficients of r, r^2, r^3 (of phi, lowest = 1; of phi', lowest = 0)."""
    over = (1, 2, 6) if lowest else (1, 1, 2)
    sides = zip(right, left, over, strict=True)
    return [
        np.where(cosine > 0, r, s) / d * cosine ** (k + lowest) for k, (r, s, d) in enumerate(sides)
    ]


def mean_square(terms, weight, q, lowest):
    """E (sum_k terms_k r^(k + lowest))^2."""
    radial = [(2 * q) ** (m / 2) * gamma(1 + m / 2) for m in range(7)]
    return sum(
        weight @ (a * b) * radial[i + j + 2 * lowest]
        for i, a in enumerate(terms)
        for j, b in enumerate(terms)
    )


def stack(right, left, q, deficit, depth):
    """q, the factor of gradients and 1 - c after `depth` layers."""
    gain, gradient = 2 / (right[0] ** 2 + left[0] ** 2), 1.0
    for _ in range(depth):
        theta = 2 * np.arcsin(np.sqrt(deficit / 2))
        edges = np.sort([-np.pi / 2, theta - np.pi / 2, np.pi / 2, theta + np.pi / 2, 1.5 * np.pi])
        half = np.diff(edges)[:, None] / 2
        a = (edges[:-1, None] + half * (1 + NODES)).ravel()
        weight = (half * WEIGHTS).ravel() / (2 * np.pi)
        one, two = (powers_of(right, left, np.cos(a - shift), 1) for shift in (0, theta))
        slopes = powers_of(right, left, np.cos(a), 0)
        after = gain * mean_square(one, weight, q, 1)
        gap = [u - v for u, v in zip(one, two, strict=True)]
        deficit = gain * mean_square(gap, weight, q, 1) / 2 / after
        gradient *= gain * mean_square(slopes, weight, q, 0)
        q = after
    return q, gradient, deficit


def two_sided(right, left):
    """phi with these derivatives at both sides of 0."""
    sides = [
        sum(sp.nsimplify(c) * X ** (k + 1) / sp.factorial(k + 1) for k, c in enumerate(side))
        for side in (right, left)
    ]
    return custom("two-sided", sp.Piecewise((sides[0], X > 0), (sides[1], True)), kinks=(0.0,))


@pytest.mark.parametrize(
    ("right", "left"),
    [
        ((1, -0.5, 0), (1, 0.5, 0)),  # like softsign: phi'' jumps
        ((1, -0.5, 0), (0, 0, 0)),  # phi' jumps too, A < 0
        ((1, -0.25, -2.0), (0.5, -0.5, -0.5)),  # phi' jumps, A = 0, B < 0
    ],
)
def test_the_laws_are_those_of_the_iterated_map(right, left):
    """Corrections are log(l)/l, which at 4000 layers are below 2 percent."""
    depth = 4000
    first, last = (stack(right, left, 0.05, 0.3, d) for d in (depth // 2, depth))
    for law, before, after in zip(vanishing_laws(two_sided(right, left)), first, last, strict=True):
        assert np.log2(after / before) == pytest.approx(law.exponent, abs=0.04), law
        if not np.isnan(law.constant):
            assert after * depth**-law.exponent == pytest.approx(law.constant, rel=0.05), law


def test_a_curved_smooth_activation_takes_correlations_to_one_half():
    """Around c = 1/2 a layer takes |exponent| D q of the distance, where q' = q - D q^2."""
    right = (1, 0.5, -2.0)
    second, _, law = vanishing_laws(custom("curved", X + X**2 / 4 - X**3 / 3))
    assert law.quantity == "correlation - 1/2"
    q, d = 1e-5, 1e-2
    above, below = (stack(right, right, q, 0.5 + step, 1)[2] for step in (d, -d))
    lost = 1 - (above - below) / (2 * d)
    assert lost / q * second.constant == pytest.approx(-law.exponent, rel=0.01)


@pytest.mark.parametrize(
    ("name", "constant"), [("softsign", np.pi / 8), ("elu", 2 * np.pi), ("celu", 2 * np.pi)]
)
def test_kinks_at_zero_make_variances_fall_like_one_over_l_squared(name, constant):
    """The variance map by 400 Gauss-Legendre nodes on each side of 0."""
    phi = get(name)
    (point,) = critical_points(phi)
    assert point == pytest.approx((1, 0, 0, 1))
    law = vp.power_laws(vp.mean_field(phi, weight_variance=1.0))[0]
    assert law.constant == pytest.approx(constant, rel=1e-12) and law.exponent == -2
    nodes, weights = np.polynomial.legendre.leggauss(60)
    z, weights = 6 * (1 + nodes), 6 * weights * np.exp(-((6 * (1 + nodes)) ** 2) / 2)
    raw = {
        "softsign": lambda z: 2 * (z / (1 + z)) ** 2,
        "elu": lambda z: z**2 + np.expm1(-z) ** 2,
        "celu": lambda z: z**2 + np.expm1(-z) ** 2,
    }[name]
    q, depth = 1.0, 20_000
    for _ in range(depth):
        q = weights @ raw(np.sqrt(q) * z) / np.sqrt(2 * np.pi)
    assert q * depth**2 == pytest.approx(law.constant, rel=0.01)


def test_hard_tanh_has_no_power_law_and_says_why():
    laws = vp.power_laws(vp.mean_field("hardtanh", weight_variance=1.0))
    assert len(laws) == 3 and all(np.isnan(law.exponent) for law in laws)
    assert "no power law: hardtanh" in laws[0].note and "a^2/(2 log l)" in laws[0].note
    (point,) = critical_points("hardtanh")
    assert point == (1.0, 0.0, 0.0, 1.0)


def test_hard_tanh_falls_like_one_over_two_log_l():
    """y = 1/(2 q) gains 2 sqrt(y/pi) e^-y per layer, so e^y is sqrt(y) l up to a factor."""
    field = vp.mean_field("hardtanh", weight_variance=1.0)
    q = 0.02
    lost = 1 / field.variance_map(q) - 1 / q
    assert lost / 2 == pytest.approx(
        2 * np.sqrt(1 / (2 * q) / np.pi) * np.exp(-1 / (2 * q)), rel=0.1
    )


def test_a_torch_function_says_that_it_cannot_be_expanded():
    import torch

    field = vp.mean_field(custom("bent", torch_function=torch.tanh), weight_variance=1.0)
    notes = {law.note for law in vp.power_laws(field)}
    assert notes == {"bent has no expression to expand at 0; give one in custom_activation"}


def test_a_growing_variance_slows_the_alignment():
    """ReLU at w = 2 with a bias: q = q0 + b l; what is left of the start falls like l^(-1/2)."""
    field = vp.mean_field("relu", weight_variance=2.0, bias_variance=0.1)
    variance, aligned = vp.power_laws(field)
    q, e, depth = 1.0, 0.3, 20_000
    for _ in range(depth):
        t = 2 * np.arcsin(np.sqrt(e / 2))
        lost = np.sin(t) - t * np.cos(t) if t > 0.05 else t**3 / 3 * (1 - t**2 / 10 + t**4 / 280)
        e = q * (e - lost / np.pi) / (q + 0.1)
        q = q + 0.1
    assert q * depth**-variance.exponent == pytest.approx(variance.constant, rel=1e-2)
    assert e * depth**-aligned.exponent == pytest.approx(aligned.constant, rel=2e-2)


def test_linear_networks_keep_correlations():
    (law,) = vp.power_laws(vp.mean_field("identity", weight_variance=1.0))
    assert law.exponent == 0 and "linear" in law.note
