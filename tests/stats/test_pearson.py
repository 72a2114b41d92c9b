"""The three-cumulant law against high-precision integration, its own inverse, and its limits."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varprop.stats import quantile, tail_probability, tails


def integrated_tail(z, skew):
    """The tail beyond z, away from 0, by integrating the shifted gamma density at 30 digits."""
    with mpmath.workdps(30):
        shape = 4 / mpmath.mpf(skew) ** 2
        root = mpmath.sqrt(shape)
        constant = shape * mpmath.log(shape) - shape - mpmath.loggamma(shape) - mpmath.log(root)

        def density(t):
            return mpmath.exp((shape - 1) * mpmath.log1p(t / root) - t * root + constant)

        end = z + 60 if z > 0 else max(-root, mpmath.mpf(z) - 12)
        return float(abs(mpmath.quad(density, mpmath.linspace(z, end, 40))))


@pytest.mark.parametrize("z", [-7, -3, -0.5, 0.5, 3, 7])
@pytest.mark.parametrize("skew", [1e-6, 1e-3, 1.99e-3, 2.01e-3, 0.05, 0.28])
def test_tails_are_the_integral_of_the_density(z, skew):
    tail = tails(z, skew)[0 if z < 0 else 1]
    assert tail == pytest.approx(integrated_tail(z, skew), rel=1e-5)
    assert tails(-z, -skew)[1 if z < 0 else 0] == tail


def test_zero_skew_is_the_normal_law():
    assert tails(1.959963984540054, 0.0)[1] == pytest.approx(0.025, rel=1e-12)


@given(
    st.floats(-1.4, 1.4),
    st.floats(-12, -0.4).map(lambda exponent: 10**exponent),
    st.booleans(),
)
def test_quantile_inverts_tails(skew, probability, upper):
    z = quantile(probability, skew, upper)
    if abs(skew) < 0.5 or probability > 1e-3:  # far below, the end point of the law has no digits
        assert tails(z, skew)[int(upper)] == pytest.approx(probability, rel=1e-4)


def test_p_value_is_never_zero_and_at_most_one():
    p = tail_probability([0.0, 1e4, -1e4], 1.0, 0.5)
    assert (p > 0).all() and (p <= 1).all()
    assert p[1] == p[2] == np.finfo(float).tiny


def test_a_statistic_that_cannot_fluctuate_is_refused():
    with pytest.raises(ValueError, match="variance must be positive, got 0"):
        tail_probability(1.0, 0.0, 0.0)
