"""Size of the tests with a known null, down to 1e-6; guards; intervals."""

import numpy as np
import pytest
from scipy import stats

from varprop.stats import contrast_test, drift, ratio_test

RELU = {"variance": 5 / 4, "third": 11 / 2}  # cumulants of relu(sqrt(q) Z)^2 / q; the mean is 1/2
RELU_FOURTH = abs(34.875 / RELU["variance"] ** 2 - 1.5 * RELU["third"] ** 2 / RELU["variance"] ** 3)


def chi_square_test(measured, width):
    return ratio_test(measured, 1.0, 2 / width, 8 / width**2)


def relu_test(q, width):
    """One-step ratios of mean squares q (draws, depth + 1) with weight variance 2/n."""
    q_in = 2 * q[:, :-1]
    variance, third = RELU["variance"] * q_in**2 / width, RELU["third"] * q_in**3 / width**2
    return ratio_test(q[:, 1:], q_in / 2, variance, third)


@pytest.mark.parametrize("width, draws", [(2, 3), (16, 10), (128, 5)])
@pytest.mark.parametrize("level", [5e-2, 1e-2, 1e-3])
def test_size_on_chi_squares(rng, rate_contains, width, draws, level):
    measured = rng.chisquare(width, size=(draws, 100_000)) / width
    test = chi_square_test(measured, width)
    p = test.p_value
    assert rate_contains(p <= level, level)
    assert rate_contains((p <= level) & (test.statistic > 0), level / 2)
    low, high = test.interval(level)
    np.testing.assert_array_equal((low > 0) | (high < 0), p <= level)


@pytest.mark.parametrize("fault", [{"factor": 0.9}, {"factor": 1.1}])
def test_size_test_dies_of_a_wrong_variance(rng, rate_contains, fault):
    measured = rng.chisquare(16, size=(10, 100_000)) / 16
    wrong = ratio_test(measured, 1.0, fault["factor"] * 2 / 16, 8 / 16**2)
    assert not rate_contains(wrong.p_value <= 1e-2, 1e-2)


def test_size_test_dies_of_a_missing_skewness(rng, rate_contains):
    measured = rng.chisquare(4, size=(10, 100_000)) / 4
    test = ratio_test(measured, 1.0, 2 / 4, 0.0)
    upper = (test.p_value <= 1e-3) & (test.statistic > 0)
    assert not rate_contains(upper, 1e-3 / 2)


@pytest.mark.parametrize("sign", [-1, 1])
def test_size_at_one_in_a_million_by_tilting(rng, sign):
    """Draws from the gamma law moved to the boundary, weighted by the likelihood ratio."""
    width, draws, level, trials = 16, 30, 1e-6, 100_000
    shape = width * draws / 2
    scale = 1 + sign * stats.norm.isf(level / 2) / np.sqrt(shape)
    g = scale * rng.standard_gamma(shape, size=trials)
    weight = np.exp(shape * np.log(scale) - g * (1 - 1 / scale))
    test = contrast_test([g / shape * draws - draws], 2 * draws / width, 8 * draws / width**2)
    hits = weight * ((test.p_value <= level) & (np.sign(test.statistic) == sign))
    assert abs(hits.mean() - level / 2) < 6 * hits.std() / np.sqrt(trials)
    assert hits.std() / np.sqrt(trials) < 0.02 * level


def relu_tail(statistic, neurons, upper):
    """P of the tail of sum 2 relu(Z)^2 - 1 over `neurons`: a binomial mixture of chi-squares."""
    alive = np.arange(neurons + 1)
    tail = stats.chi2.sf if upper else stats.chi2.cdf
    weights = stats.binom.pmf(alive, neurons, 0.5)
    sums = (np.asarray(statistic)[:, None] + neurons) / 2
    chi = tail(sums, np.maximum(alive, 1))
    chi[:, 0] = not upper
    return chi @ weights


@pytest.mark.parametrize("neurons", [16 * 30, 64 * 50, 128 * 30 * 20])
@pytest.mark.parametrize("level", [1e-3, 1e-6])
def test_relu_size_is_exact_to_third_order(neurons, level):
    """No sampling: the true law of S at the two points where the test starts to reject.

    What is left is the fourth cumulant that three do not match: z^4/24 times its excess.
    """
    unit = contrast_test([0.0], 5.0 * neurons, 44.0 * neurons)
    low, high = unit.interval(level)
    size = relu_tail([-low], neurons, True) + relu_tail([-high], neurons, False)  # S at 0: -q
    low_n, high_n = contrast_test([0.0], 5.0 * neurons, 0.0).interval(level)
    normal = relu_tail([-low_n], neurons, True) + relu_tail([-high_n], neurons, False)
    z4 = stats.norm.isf(level / 2) ** 4
    assert abs(np.log(size / level)) < 1.3 * RELU_FOURTH / 24 * z4 / neurons
    assert abs(np.log(size / level)) < abs(np.log(normal / level)) / 4


@pytest.mark.parametrize("width, depth", [(64, 3), (64, 16), (32, 32)])
def test_family_wise_size_of_local_and_drift(rng, relu_chain, rate_contains, width, depth):
    """Holm over layers and drift, half of 10 % each, on true He networks at L/n = .05, .25, 1."""
    draws, trials, level = 50, 1000, 0.1
    q = relu_chain(rng, draws * trials, width, depth).reshape(trials, draws, depth + 1)
    tests = [relu_test(one, width) for one in q]
    local = np.array([test.p_value.min() * depth <= level / 2 for test in tests])
    whole = np.array([drift(test).p_value <= level / 2 for test in tests])
    assert rate_contains(local, level / 2)
    assert rate_contains(whole, level / 2)
    assert np.mean(local | whole) <= level or rate_contains(local | whole, level)


def test_the_naive_t_test_is_not_a_test(rng, relu_chain, rate_contains):
    """Negative control: t on q_L at L/n = 1 rejects a true theory in a third of all cases."""
    q = relu_chain(rng, 50 * 2000, 32, 32)[:, -1].reshape(50, 2000)
    naive = stats.ttest_1samp(q, 1.0).pvalue <= 0.05
    assert not rate_contains(naive, 0.05)
    assert np.mean(naive) > 0.25


def test_one_wrong_layer_of_thirty_is_found(rng, relu_chain):
    width, draws, depth = 128, 200, 30
    gain = np.ones(depth)
    gain[11] = 1.1
    tests = [relu_test(relu_chain(rng, draws, width, depth, gain), width) for _ in range(100)]
    assert np.mean([test.p_value[11] * depth <= 0.025 for test in tests]) > 0.95
    assert np.mean([np.argmin(test.p_value) == 11 for test in tests]) > 0.95
    for test in tests:
        low, high = test.interval(1e-8)
        assert low[11] <= 0.1 <= high[11]


def test_drift_sees_what_no_layer_shows(rng, relu_chain):
    width, draws, depth, trials = 128, 200, 30, 100
    local, whole = [], []
    for _ in range(trials):
        test = relu_test(relu_chain(rng, draws, width, depth, gain=1.01), width)
        local.append(test.p_value.min() * depth <= 0.025)
        whole.append(drift(test).p_value <= 0.025)
    assert np.mean(whole) > 0.8
    assert np.mean(local) < 0.5


def test_a_contrast_covers_a_mean_of_zero(rng, rate_contains):
    """Products of two independent normals: mean 0, variance 1, third cumulant 0."""
    residual = rng.normal(size=(40, 50_000)) * rng.normal(size=(40, 50_000))
    test = contrast_test(residual, 1.0, 0.0)
    low, high = test.interval(0.05)
    assert rate_contains((low > 0) | (high < 0), 0.05)
    assert test.standard_error[0] == pytest.approx(40**-0.5)


def test_interval_is_multiplied_by_the_effect(rng):
    measured = rng.chisquare(16, size=30) / 16
    low, high = chi_square_test(measured, 16).interval(0.01)
    low3, high3 = chi_square_test(3 * measured, 16).interval(0.01)
    assert (1 + low3, 1 + high3) == pytest.approx((3 * (1 + low), 3 * (1 + high)))


def test_dead_layers_are_counted_and_not_tested():
    measured = np.array([[1.2, 0.9], [0.0, 0.0]])
    expected = np.array([[1.0, 1.0], [1.0, 0.0]])
    test = ratio_test(measured, expected, expected**2 / 2, expected**3 / 2)
    np.testing.assert_array_equal(test.count, [2, 1])
    np.testing.assert_array_equal(test.zeros, [1, 0])
    np.testing.assert_allclose(test.statistic, [-0.8, -0.1])
    np.testing.assert_allclose(test.variance, [1.0, 0.5])


@pytest.mark.parametrize(
    "measured, expected, message",
    [
        ([[1.0, np.nan]], 1.0, r"measured must be finite.*nan at index \(0, 1\)"),
        ([1.0, np.inf], 1.0, r"inf at index \(1,\)"),
        (
            [1.0, 2.0],
            [1.0, 0.0],
            r"expected > 0, got expected 0.0 for measured 2.0 at index \(1,\)",
        ),
        ([0.0, 0.0], [0.0, 0.0], "node 0 is dead in all 2 draws"),
        (np.ones((2, 2, 2)), 1.0, "Reduce the neurons"),
        ([], 1.0, "needs at least 1 draws"),
    ],
)
def test_errors_name_the_rule_and_the_place(measured, expected, message):
    with pytest.raises(ValueError, match=message):
        ratio_test(measured, expected, 1.0, 1.0)


def test_a_coverage_is_not_an_error_rate():
    with pytest.raises(ValueError, match=r"For 95 % coverage pass 0.05"):
        chi_square_test(np.ones(3), 4).interval(0.95)


def test_a_residual_without_variance_is_refused():
    with pytest.raises(ValueError, match=r"variance must be positive, got 0.0 at index \(0,\)"):
        contrast_test([1.0, 2.0], [0.0, 1.0], 0.0)
