"""One neuron over networks: size on Gaussian draws, power on those of a finite width."""

import numpy as np
import pytest
from scipy import stats

from varprop.stats import normality_test


def above_relu(rng, shape, width, layers):
    """A neuron above a He network: N(0, v) with v a product of chi-squares, exact in law."""
    v = np.ones(shape)
    for _ in range(layers):
        v *= rng.standard_gamma(rng.binomial(width, 0.5, size=shape) / 2) * 4 / width
    return rng.normal(size=shape) * v**0.5


@pytest.mark.statistical
@pytest.mark.parametrize("scale, mean", [(1.0, 0.0), (1e-3, 40.0)])
def test_the_size_on_gaussian_neurons(rng, scale, mean):
    test = normality_test(mean + scale * rng.normal(size=(200, 3000)))
    for p in (test.p_value, test.anderson_p, test.kurtosis_p):
        assert 0.6 < np.mean(p <= 0.05) / 0.05 < 1.5
    assert np.mean(test.rejected) == np.mean(test.p_value <= 0.05)


@pytest.mark.statistical
def test_finite_width_is_seen_where_kolmogorov_smirnov_is_blind(rng):
    neuron = above_relu(rng, (500, 200), 16, 1)
    test = normality_test(neuron)
    assert np.mean(test.rejected) > 0.6 and np.mean(test.anderson_p <= 0.05) > 0.5
    smirnov = [stats.kstest(x / x.std(), "norm").pvalue <= 0.05 for x in neuron.T]
    assert np.mean(smirnov) < 0.35
    wide = normality_test(above_relu(rng, (500, 200), 4096, 1))
    assert np.mean(wide.rejected) < 0.2


@pytest.mark.statistical
def test_anderson_darling_sees_what_the_kurtosis_does_not(rng):
    """A skewed law whose fourth moment is that of a Gaussian: two unequal normal humps."""
    high = rng.random(size=(400, 50)) < 0.25
    sample = np.where(high, 1.5, -0.5) + rng.normal(scale=0.5, size=high.shape)
    test = normality_test(sample, 1e-3)
    assert np.all(test.rejected) and np.all(test.anderson_p < 5e-4)
    assert np.mean(test.kurtosis_p > 5e-4) > 0.5


def test_one_node_gives_scalars(rng):
    test = normality_test(rng.normal(size=100))
    assert test.p_value.shape == test.rejected.shape == test.anderson.shape == ()


@pytest.mark.parametrize(
    "sample, level, words",
    [
        (np.arange(30.0), 0.05, "at least 50 draws .* Draw 20 more"),
        (np.arange(60.0), 1e-6, "calibrated down to a level of 0.001, got 1e-06"),
        (np.arange(60.0), 0.95, "level is an error rate between 0 and 0.5"),
        (np.stack([np.arange(60.0), np.ones(60)], -1), 0.05, "got node 1 constant over 60 draws"),
        (np.full((60, 2, 2), 1.0), 0.05, "Reduce the neurons of a layer first"),
    ],
)
def test_what_is_refused(sample, level, words):
    with pytest.raises(ValueError, match=words):
        normality_test(sample, level)


def test_a_tail_beyond_the_normal_law_is_rejected_without_a_warning(rng):
    sample = rng.normal(size=3000)
    sample[0] = 1e3  # 50 and more of the sample's own deviations
    found = normality_test(sample, 1e-3)
    assert found.anderson == np.inf and found.rejected
