"""The tail guard's own rates on log-normal draws, and its numbers on draws made by hand."""

import numpy as np
import pytest
from scipy import stats as reference

from varprop.stats import tail_guard

REPEATS = 1500


def log_normal(rng, draws, variance):
    return np.exp(rng.normal(size=(draws, REPEATS)) * variance**0.5 - variance / 2)


@pytest.mark.parametrize(
    "draws, variance, share",
    [
        (50, 0.05, 1.0),
        (200, 0.25, 0.995),
        (200, 1.25, 0.28),
        (200, 5.0, 0.005),
        (1000, 1.25, 0.95),
        (1000, 5.0, 0.015),
    ],
)
def test_how_often_a_log_normal_mean_is_trusted(draws, variance, share, rng):
    """The stated share lies within five standard errors and 0.04, for what two digits leave out."""
    trusted = tail_guard(log_normal(rng, draws, variance)).trusted.mean()
    assert abs(trusted - share) < 0.04 + 5 * (share * (1 - share) / REPEATS) ** 0.5


@pytest.mark.parametrize("draws, variance, size", [(200, 0.25, 0.058), (1000, 5.0, 0.2)])
def test_the_size_of_the_t_test_beside_it(draws, variance, size, rng):
    found = reference.ttest_1samp(log_normal(rng, draws, variance), 1.0).pvalue < 0.05
    assert abs(found.mean() - size) < 0.02 + 5 * (size * (1 - size) / REPEATS) ** 0.5


def test_equal_draws_and_a_single_one():
    even, one = np.full(40, -3.0), np.eye(40)[0]
    tail = tail_guard(np.stack([even, one, np.zeros(40)], -1))
    np.testing.assert_allclose(tail.share, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(tail.effective, [40, 1, 40])
    np.testing.assert_array_equal(tail.trusted, [True, False, True])


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_the_numbers_do_not_depend_on_the_unit(scale, rng):
    x = rng.normal(size=60)
    one, other = tail_guard(x), tail_guard(x * scale)
    np.testing.assert_allclose(one.share, other.share, rtol=1e-9)
    size = np.abs(x)
    plain = size.max() / size.sum()
    np.testing.assert_allclose(one.share, (60 * plain - 1) / 59)
    np.testing.assert_allclose(one.effective, size.sum() ** 2 / (size**2).sum())


def test_one_draw_is_refused():
    with pytest.raises(ValueError, match="values needs at least 2 draws"):
        tail_guard([1.0])
