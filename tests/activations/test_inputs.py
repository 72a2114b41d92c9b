"""What an activation refuses, and the message that says so."""

import math

import numpy as np
import pytest

from varprop.activations import get
from varprop.activations.pairs import deficit, ray_gap

NO_VARIANCES = (-1.0, math.nan, math.inf, None, "1", True, 1j, np.array([1.0, math.nan]))


@pytest.mark.parametrize("q", NO_VARIANCES, ids=repr)
@pytest.mark.parametrize("name", ["tanh", "relu", "sin"])
def test_a_variance_is_a_finite_number(name, q):
    phi = get(name)
    message = "a variance q must be a finite number, at least 0; got .*; give floats, or a SymPy"
    calls = (
        lambda: phi.second_moment(q),
        lambda: phi.derivative_mean(q),
        lambda: phi.second_moment_slope(q),
        lambda: phi.kernel(1.0, q, 0.3),
        lambda: phi.gap(q, 1.0, 0.2),
    )
    for call in calls:
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert repr(q) in str(caught.value)


@pytest.mark.parametrize("c", [1.1, -1.0001, math.nan, math.inf, "0.5"], ids=repr)
def test_a_correlation_lies_between_minus_one_and_one(c):
    message = r"a correlation c must be a number in \[-1, 1\]; got .*; divide the covariance by"
    for name in ("kernel", "derivative_kernel"):
        with pytest.raises(ValueError, match=message) as caught:
            getattr(get("tanh"), name)(1.0, 1.0, c)
        assert repr(c) in str(caught.value)


@pytest.mark.parametrize("gap", [-1.0, 5.0, math.nan, math.inf, "1", 2.5 + 1e-6], ids=repr)
def test_a_gap_lies_between_those_of_equal_and_opposite_directions(gap):
    message = r"a gap E\(z - z'\)\^2 / 2 lies between .* got gap = .* for q1 = .*; give \(q1 \+ q2"
    phi, pair = get("relu"), (1.0, 1.5)
    for call in (phi.gap, lambda *args: phi.kernel(*args[:2], gap=args[2])):
        with pytest.raises(ValueError, match=message) as caught:
            call(*pair, gap)
        assert repr(gap) in str(caught.value)


@pytest.mark.parametrize("q1, q2", [(1.0, 1.5), (2.0, 2.0), (0.0, 3.0), (1e-310, 1e-310)])
def test_rounding_of_a_gap_is_no_error(q1, q2):
    """Both ends of the range, missed by 1e-12 of the variances."""
    q1, q2 = np.array(q1), np.array(q2)
    least = ray_gap(q1, q2)
    most = least + 2 * np.sqrt(q1) * np.sqrt(q2)
    assert deficit(q1, q2, least * (1 - 1e-12)) == pytest.approx(0.0, abs=1e-11)
    assert deficit(q1, q2, least - 1e-12 * (q1 + q2)) == 0
    if q1 > 0 and q1 * q2 > 0:
        assert deficit(q1, q2, most + 1e-12 * (q1 + q2)) == 2
