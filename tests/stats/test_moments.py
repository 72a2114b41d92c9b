"""Moment tests of an initializer and of a neuron: size, power, and what they are better than."""

import numpy as np
import pytest
from scipy import stats

from varprop.stats import kurtosis_test, moment_test

ROOT3 = 3**0.5
LAWS = {
    "normal": (lambda rng, n: rng.normal(size=n), (3.0, 15.0, 105.0)),
    "uniform": (lambda rng, n: rng.uniform(-ROOT3, ROOT3, size=n), (9 / 5, 27 / 7, 9.0)),
    "laplace": (lambda rng, n: rng.laplace(scale=0.5**0.5, size=n), (6.0, 90.0, 2520.0)),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("known", [True, False])
def test_size(rng, rate_contains, law, known):
    """At most nominal (Bonferroni), at least half of it, with m6 given or estimated."""
    draw, (kurtosis, sixth, _) = LAWS[law]
    samples = draw(rng, (4000, 500))
    m6 = sixth if known else None
    p = np.array([moment_test(x, 0.0, 1.0, kurtosis, sixth=m6).p_value for x in samples])
    assert np.mean(p <= 0.05) <= 0.05 or rate_contains(p <= 0.05, 0.05)
    assert np.mean(p <= 0.05) > 0.025


def test_the_chi_square_test_of_a_variance_believes_every_law_is_gaussian(rng, rate_contains):
    """Negative control: the Gaussian kurtosis on Laplace weights."""
    samples = LAWS["laplace"][0](rng, (2000, 500))
    p = np.array([moment_test(x, 0.0, 1.0, 3.0, sixth=15.0).p_value for x in samples])
    assert not rate_contains(p <= 0.05, 0.05)
    assert np.mean(p <= 0.05) > 0.15


def test_ten_percent_of_a_standard_deviation(rng):
    """Uniform weights, N = 500, level .001: the moment test finds it, Kolmogorov-Smirnov not."""
    samples = 1.1 * LAWS["uniform"][0](rng, (400, 500))
    law = stats.uniform(-ROOT3, 2 * ROOT3)
    ours = [moment_test(x, 0.0, 1.0, 1.8).p_value <= 1e-3 for x in samples]
    theirs = [stats.kstest(x, law.cdf).pvalue <= 1e-3 for x in samples]
    assert np.mean(ours) > 0.75
    assert np.mean(theirs) < 0.1
    effect = moment_test(samples, 0.0, 1.0, 1.8).variance
    low, high = effect.interval(1e-6)
    assert low <= 0.21 <= high


def test_a_shifted_mean_and_a_wrong_shape_are_found(rng):
    x = rng.normal(2.0, 3.0, size=10_000)
    assert moment_test(x, 2.0, 9.0, 3.0).p_value > 1e-6
    shifted = moment_test(x, 2.3, 9.0, 3.0).mean
    assert shifted.p_value < 1e-6
    assert shifted.estimate == pytest.approx(-0.1, abs=0.06)
    uniform = LAWS["uniform"][0](rng, 10_000)
    assert moment_test(uniform, 0.0, 1.0, 3.0, sixth=15.0).p_value > 1e-6
    assert moment_test(uniform, 0.0, 1.0, 3.0, sixth=15.0, eighth=105.0).p_value < 1e-6


def test_an_excess_kurtosis_is_refused():
    with pytest.raises(ValueError, match=r"got 0\.0. For an excess add 3"):
        moment_test(np.ones(5), 0.0, 1.0, kurtosis=0.0)


@pytest.mark.parametrize("moment", ["kurtosis", "sixth", "eighth", "twelfth"])
def test_infinite_moments_are_refused(rng, moment):
    """Student's t with four degrees of freedom has no kurtosis."""
    known = {"kurtosis": 3.0, moment: np.inf}
    with pytest.raises(ValueError, match=f"finite moments, got {moment} inf: .*truncated law"):
        moment_test(rng.standard_t(4, size=100), 0.0, 2.0, **known)


def test_the_cumulants_of_a_fourth_moment_are_those_of_a_law_with_three_points():
    """-a, 0, a with probabilities p/2, 1 - p, p/2: every moment is 1/p^(k/2 - 1)."""
    p, points = 0.2, np.array([-1.0, 0.0, 1.0]) / 0.2**0.5
    weights = np.array([p / 2, 1 - p, p / 2])
    known = {f"m{k}": float(weights @ points**k) for k in (4, 6, 8, 12)}
    test = moment_test(
        np.repeat(points, 5),
        0.0,
        1.0,
        known["m4"],
        sixth=known["m6"],
        eighth=known["m8"],
        twelfth=known["m12"],
    ).fourth
    fourth = points**4 - known["m4"]
    assert test.variance == pytest.approx(15 * weights @ fourth**2)
    assert test.third_cumulant == pytest.approx(15 * weights @ fourth**3)


@pytest.mark.parametrize("draws", [50, 200])
def test_kurtosis_size_on_gaussian_neurons(rng, draws):
    p = kurtosis_test(rng.normal(size=(draws, 40_000))).p_value
    assert 0.9 < np.mean(p <= 0.05) / 0.05 < 1.25
    assert np.mean(p <= 1e-3) < 3e-3


def test_kurtosis_sees_finite_width_where_kolmogorov_smirnov_does_not(rng):
    """A neuron above a ReLU layer of width 16: a Gaussian with a random variance."""
    alive = rng.binomial(16, 0.5, size=(500, 300))
    neuron = rng.normal(size=alive.shape) * np.sqrt(rng.standard_gamma(alive / 2) / 4)
    test = kurtosis_test(neuron)
    assert np.mean(test.p_value <= 0.05) > 0.7
    smirnov = [stats.kstest(x, "norm").pvalue <= 0.05 for x in neuron.T]
    assert np.mean(smirnov) < 0.4
    # 3 Var(q)/E(q)^2 = 3 * 5/16; the sample moment is a little low at 500 draws
    assert np.mean(test.excess) == pytest.approx(15 / 16, abs=0.2)


def test_too_few_draws_for_a_kurtosis():
    with pytest.raises(ValueError, match=r"at least 20 draws .* Draw 12 more"):
        kurtosis_test(np.arange(8.0))
