"""Many scales at once: the interpolant in log s against each scale on its own."""

import mpmath
import numpy as np
import pytest

from varprop import gaussian
from varprop.gaussian.expectations import MANY, expectation
from varprop.gaussian.scales import at_scales

INTEGRANDS = {
    "tanh^2": (lambda x: np.tanh(x) ** 2, ()),
    "z^3 tanh": (lambda x: x**3 * np.tanh(x), ()),
    "relu^3": (lambda x: np.maximum(x, 0) ** 3, (0.0,)),
    "hard tanh": (lambda x: np.clip(x, -1, 1), (-1.0, 1.0)),
    "hard tanh^2": (lambda x: np.clip(x, -1, 1) ** 2, (-1.0, 1.0)),
    "step at 2": (lambda x: (x > 2) * 1.0, (2.0,)),
    "cos 5x": (lambda x: np.cos(5 * x), ()),
}


def counted(function):
    """The function, and how many values were asked of it."""
    asked = [0]

    def counting(x):
        asked[0] += x.size
        return function(x)

    return counting, asked


@pytest.mark.parametrize("name", INTEGRANDS)
@pytest.mark.parametrize("ends", [(0.9, 1.1), (0.3, 3.0), (1e-3, 30.0)])
def test_interpolated_means_are_those_of_each_scale(name, ends, rng):
    function, kinks = INTEGRANDS[name]
    scales = np.exp(rng.uniform(*np.log(ends), 1500))
    found = expectation(function, 0.0, scales, kinks)
    for i in range(0, 1500, 50):  # too few at once to be interpolated
        alone = expectation(function, 0.0, scales[i], kinks)
        gap = abs(found.value[i] - alone.value)
        assert gap <= found.error[i] + alone.error
        assert gap <= 2e-12 * alone.size + 1e-300
    seen = found.size > 1e-12  # the far tail of a step is seen by few nodes
    assert np.all(found.error[seen] <= 1e-9 * found.size[seen])


def test_many_scales_cost_few_integrals(rng):
    function, asked = counted(lambda x: np.tanh(x) ** 2)
    expectation(function, 0.0, rng.uniform(0.9, 1.1, 20 * MANY))
    many, asked[0] = asked[0], 0
    expectation(function, 0.0, rng.uniform(0.9, 1.1, MANY // 2))
    assert many < asked[0]


def test_zero_scales_and_shapes(rng):
    scales = rng.uniform(0.5, 2.0, (2, 300))
    scales[0, :7] = 0.0
    found = expectation(lambda x: x**2, 0.0, scales)
    assert found.value == pytest.approx(scales**2, rel=1e-12, abs=1e-14)


def test_a_rule_that_is_not_analytic_in_the_scale_is_asked_for_each(rng):
    """A planted fault: a rule with a corner in s, which no short interpolant follows."""
    scales = rng.uniform(0.9, 1.1, 3000)

    def corner(s):
        return gaussian.Estimate(np.abs(s - 1), 1e-15 * s, s)

    assert np.array_equal(at_scales(corner, scales).value, np.abs(scales - 1))


@pytest.mark.parametrize("sigmas", [3, 10, 12.6, 12.95, 13.2, 20, 36])
def test_a_function_that_vanishes_up_to_a_far_kink(sigmas):
    """E (Z - t)^2 1(Z > t) at 60 digits, where the terms of its closed form cancel."""
    found = expectation(lambda x: np.maximum(x - 1, 0) ** 2, 0.0, 1 / sigmas, (1.0,))
    with mpmath.workdps(60):
        s = mpmath.mpf(float(1 / sigmas))
        tail = mpmath.erfc(1 / s / mpmath.sqrt(2)) / 2
        exact = float((s * s + 1) * tail - s * mpmath.npdf(1 / s))
    assert float(found.value) == pytest.approx(exact, rel=1e-11, abs=0)
    assert abs(float(found.value) - exact) <= float(found.error)
