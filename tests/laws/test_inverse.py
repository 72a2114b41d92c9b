"""The std to pass for the std wanted."""

import math

import mpmath
import numpy as np
import pytest
import sympy
import torch
from scipy.special import ndtr

from varprop import initializers, laws
from varprop.laws import relative_scale, truncated_normal, truncated_std

CASES = (  # target, low, high, mean
    (0.02, -2, 2, 0),
    (0.02, -0.04, 0.04, 0),
    (1.1, -2, 2, 0),
    (0.2, -1, 2.5, 0.3),
    (1e-4, 3, 4, 0),  # in the tail
    (0.28, 3, 4, 0),
    (0.5, 0, math.inf, 0),
    (7.0, -math.inf, 1, 3),
    (2.0, -math.inf, math.inf, 5),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_absolute_bounds_give_the_target_at_fifty_digits(case, reference):
    target, low, high, mean = case
    std = truncated_std(target, low, high, mean=mean)
    exact = reference(mean, float(std), low, high).central[2]
    assert float(mpmath.sqrt(exact)) == pytest.approx(target, rel=1e-10)


def test_relative_bounds_undo_the_known_constant():
    """0.87962566103423978 is written out in Keras, TensorFlow and JAX."""
    assert truncated_std(0.02, bounds="relative") == pytest.approx(0.02 / 0.87962566103423978)
    target = np.array([0.1, 0.7])
    std = truncated_std(target, -1, 2.5, bounds="relative")
    np.testing.assert_allclose(truncated_normal(0, std, -std, 2.5 * std).std, target, rtol=1e-13)


def test_the_exact_form_is_the_float_one():
    s = sympy.Symbol("s", positive=True)
    exact = relative_scale(s, -2, 2)
    found = truncated_std(0.3, bounds="relative")
    assert float(exact.subs(s, sympy.Rational(3, 10))) == pytest.approx(found, rel=1e-14)


def test_bounds_that_do_not_cut_change_nothing():
    assert truncated_std(0.02, -2, 2) == pytest.approx(0.02, rel=1e-10)


def test_arrays_broadcast():
    found = truncated_std(np.array([[0.1], [0.5]]), -1, np.array([1.0, 2.0, 3.0]))
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(float(truncated_std(0.5, -1, 3.0)), rel=1e-9)


def test_variance_rises_with_the_scale_to_that_of_the_uniform():
    """What makes the answer unique."""
    scales = np.geomspace(1e-3, 1e3, 500)
    for mean in (0.0, 0.9, 1.5, -20.0):
        std = truncated_normal(mean, scales, -1, 1).std
        assert (np.diff(std) > 0).all()
        assert std[-1] < 1 / math.sqrt(3)


def test_torch_with_this_std_has_the_target(generator):
    """By the half that is within 0.02: the reference is scipy's distribution function."""
    std = float(truncated_std(0.02, -0.04, 0.04))
    w = torch.nn.init.trunc_normal_(
        torch.empty(200_000), std=std, a=-0.04, b=0.04, generator=generator
    ).double()
    inside = float((w.abs() < 0.02).double().mean())
    expected = (2 * ndtr(0.02 / std) - 1) / (2 * ndtr(0.04 / std) - 1)
    assert abs(inside - expected) < 5 * math.sqrt(0.25 / w.numel())
    law = initializers.trunc_normal(std=std, a=-0.04, b=0.04).at(1, 1)
    error = 0.02**2 * math.sqrt((float(law.kurtosis) - 1) / w.numel())
    assert abs(float(w.var()) - 0.02**2) < 5 * error
    assert float(law.variance) == pytest.approx(0.02**2, rel=1e-9)


MISTAKES = {
    "below (high - low)/sqrt(12) = 0.57735, that of the uniform law, got target_std=0.6: widen": (
        lambda: truncated_std(0.6, -1, 1)
    ),
    "got target_std=0.57735: widen": lambda: truncated_std(1 / math.sqrt(3), -1, 1),
    "target_std must be finite and above 0, got 0": lambda: truncated_std(0),
    "target_std must be real numbers, got '0.1'": lambda: truncated_std("0.1"),
    "'absolute' (torch) or 'relative' (JAX, Keras), got 'sigma'": lambda: truncated_std(
        0.1, bounds="sigma"
    ),
    "high must be above low, got (1, -1)": lambda: truncated_std(0.1, 1, -1),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_answered(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)


def test_variance_scaling_uses_it():
    law = initializers.variance_scaling().at(64, 64)
    assert isinstance(law, laws.TruncatedNormal)
    assert float(law.scale) == pytest.approx(float(truncated_std(1 / 8, bounds="relative")))
