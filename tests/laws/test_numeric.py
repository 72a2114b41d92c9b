"""The truncated normal in floats against 50 digits, against the exact law, and its refusals."""

import math

import mpmath
import numpy as np
import pytest

from varprop import laws
from varprop.laws import truncated_normal

INF = math.inf
WINDOWS = (  # mean, std, low, high
    (0, 1, -2, 2),
    (0.3, 1.7, -1, 2.5),
    (0, 1, 40, 41),  # the mass underflows in floats
    (0, 1, -41, -40),
    (0, 1, -1e-6, 1e-6),  # the textbook variance is thirty times too large
    (0.3, 1, -1e-6, 1e-6),
    (0, 1, -1e-6, 1.000001e-6),
    (1000, 0.001, 999.999, 1000.002),
    (0, 1, 10, 10 + 2**-30),
    (0, 1, 1e5, 1e5 + 1),
    (0, 1, 3.5, INF),
    (2, 3, -INF, 0.5),
    (0, 1, -INF, -300),
    (0, 1, -INF, INF),
    (5, 2, -100, 100),
    (0, 1, -0.001, 5),
    (0, 1, -30, 1),
    (0, 1e6, -2, 2),
    (1, 0.02, -2, 2),
)


def distance(found: float, exact: mpmath.mpf, size: mpmath.mpf) -> float:
    return float(abs(mpmath.mpf(float(found)) - exact) / size)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_moments_are_right_to_twelve_digits(window, reference):
    law, exact = truncated_normal(*window), reference(*window)
    assert distance(law.mean, exact.mean, max(abs(exact.mean), exact.central[2])) < 1e-12
    assert distance(law.variance, exact.central[2], exact.central[2]) < 1e-12
    assert distance(law.std**2, exact.central[2], exact.central[2]) < 1e-12
    kurtosis = exact.central[4] / exact.central[2] ** 2
    assert distance(law.kurtosis, kurtosis, kurtosis) < 1e-12
    for k in range(2, 7):
        assert distance(law.central_moment(k), exact.central[k], exact.absolute[k]) < 1e-12
    assert distance(law.log_mass, exact.log_mass, 1 + abs(exact.log_mass)) < 1e-13


@pytest.mark.parametrize("window", WINDOWS[:2] + WINDOWS[10:12], ids=str)
def test_the_float_route_equals_the_exact_law(window):
    law, exact = truncated_normal(*window), laws.TruncatedNormal(*window)
    for k in range(9):
        assert float(law.moment(k)) == pytest.approx(float(exact.moment(k)), rel=1e-12)
        size = float(exact.central_moment(k + k % 2)) ** (k / (k + k % 2)) if k else 1.0
        central = float(exact.central_moment(k))
        assert float(law.central_moment(k)) == pytest.approx(central, rel=1e-12, abs=1e-12 * size)
    assert float(law.kurtosis) == pytest.approx(float(exact.kurtosis), rel=1e-12)


def test_the_textbook_forms_lose_what_this_keeps():
    """The reason for the module: a negative control."""
    phi, Phi = mpmath.npdf, mpmath.ncdf
    with mpmath.workdps(15):
        a, b = mpmath.mpf(-1e-6), mpmath.mpf(1e-6)
        naive = 1 + (a * phi(a) - b * phi(b)) / (Phi(b) - Phi(a))
    assert float(naive) > 10 * float(truncated_normal(0, 1, -1e-6, 1e-6).variance)


@pytest.mark.parametrize("mean", [0.0, 0.7])
def test_arrays_broadcast_and_reflection_is_exact(mean, rng):
    std, low = rng.uniform(0.1, 3, size=(4, 1)), rng.uniform(-2, 1, size=5)
    high = low + rng.uniform(0.01, 2, size=5)
    law, mirrored = (
        truncated_normal(mean, std, low, high),
        truncated_normal(-mean, std, -high, -low),
    )
    assert law.mean.shape == law.variance.shape == law.moment(3).shape == (4, 5)
    np.testing.assert_allclose(law.mean, -mirrored.mean, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(law.variance, mirrored.variance, rtol=1e-13)
    one = truncated_normal(mean, std[2, 0], low[3], high[3])
    assert one.variance == law.variance[2, 3] and np.ndim(one.variance) == 0


def test_symmetric_windows_have_mean_zero_exactly():
    for half in (1e-9, 0.5, 3.0, 100.0, INF):
        assert truncated_normal(0, 1, -half, half).mean == 0


MISTAKES = {
    "std must be finite and above 0, got 0: pass a scale": lambda: truncated_normal(0, 0),
    "std must be real numbers, got '1': pass a float": lambda: truncated_normal(0, "1"),
    "mean must be real numbers, got nan": lambda: truncated_normal(math.nan),
    "mean must be real numbers, got None": lambda: truncated_normal(None),
    "low must be real numbers, got True": lambda: truncated_normal(0, 1, True),
    "high must be real numbers, got 1j": lambda: truncated_normal(0, 1, 0, 1j),
    "mean must be finite, got inf: bounds alone may be infinite": lambda: truncated_normal(INF),
    "high must be above low, got (1, 1): swap or widen": lambda: truncated_normal(0, 1, 1, 1),
    "high must be above low, got (inf, inf)": lambda: truncated_normal(0, 1, INF, INF),
    "shapes must broadcast, got mean (), std (2,), low (3,)": lambda: truncated_normal(
        0, [1, 2], [0, 0, 0]
    ),
    "within 1e308 standard deviations": lambda: truncated_normal(0, 1e-300, 1e200, 2e200),
    "an integer from 0 to 64, got -1": lambda: truncated_normal().moment(-1),
    "an integer from 0 to 64, got 2.0": lambda: truncated_normal().central_moment(2.0),  # pyright: ignore
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_answered(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)
