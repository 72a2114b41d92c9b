r"""Is a sample of iid numbers drawn from a law with these moments?

    mean      sum (x - mu)/sigma             variance N          third cumulant N skewness
    variance  sum ((x - mu)^2/sigma^2 - 1)   variance N (m4 - 1)  third N (m6 - 3 m4 + 2)
    fourth    sum ((x - mu)^4/sigma^4 - m4)  variance N (m8 - m4^2)      (only if m8 is given)

with m_k = E ((x - mu)/sigma)^k.  For initializers: a standard deviation 10 % too large, N = 500,
level .001, is found with power .88 (uniform law) or .25 (Gaussian); Kolmogorov-Smirnov has .02 and
.002.  Never the chi-square test of a variance: it believes that every law is Gaussian.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from varprop.stats._checks import Floats, draws_first, finite, positive
from varprop.stats.sharp import SharpTest, contrast_test, ratio_test


@dataclass(frozen=True)
class MomentTest:
    """One test per moment.

    mean      effect in standard deviations
    variance  effect relative to the variance
    fourth    effect in units of sigma^4, or None
    """

    mean: SharpTest
    variance: SharpTest
    fourth: SharpTest | None = None

    @property
    def p_value(self) -> float:
        """Bonferroni over the moments tested."""
        tests = [t for t in (self.mean, self.variance, self.fourth) if t is not None]
        return min(1.0, len(tests) * min(float(t.p_value) for t in tests))


def moment_test(
    sample: ArrayLike,
    mean: float,
    variance: float,
    kurtosis: float,
    *,
    skewness: float = 0.0,
    sixth: float | None = None,
    eighth: float | None = None,
    twelfth: float | None = None,
) -> MomentTest:
    """Mean about the known variance, variance about the known mean.

    sample    any shape, iid entries
    kurtosis  m4 = E (x - mu)^4 / sigma^4 (3 for a Gaussian, not 0)
    sixth     m6, estimated from the sample if None (15 for a Gaussian)
    eighth    m8 (105 for a Gaussian): adds a test of the fourth moment
    twelfth   m12 (10 395 for a Gaussian): removes the skewness of that test

    Raises ValueError for moments that are not finite: then the sample's variance has no standard
    error, at any size.
    """
    z = (finite("sample", sample).ravel() - mean) / np.sqrt(positive("variance", variance))
    if not kurtosis > 1:
        raise ValueError(
            f"kurtosis is E (x - mean)^4 / variance^2 and exceeds 1 unless |x - mean| is constant, "
            f"got {kurtosis}. For an excess add 3; compare a two-point law with its points."
        )
    orders = {"kurtosis": kurtosis, "sixth": sixth, "eighth": eighth, "twelfth": twelfth}
    if lost := [name for name, m in orders.items() if m is not None and not np.isfinite(m)]:
        raise ValueError(
            f"a moment test needs finite moments, got {lost[0]} {orders[lost[0]]}: the variance of "
            "its sample moments is infinite. Test a truncated law, or its quantiles."
        )
    m6 = float(np.mean(z**6)) if sixth is None else sixth
    fourth = None
    if eighth is not None:
        third = 0.0 if twelfth is None else twelfth - 3 * eighth * kurtosis + 2 * kurtosis**3
        fourth = contrast_test(z**4 - kurtosis, eighth - kurtosis**2, third)
    return MomentTest(
        mean=contrast_test(z, 1.0, skewness),
        variance=ratio_test(z**2, 1.0, kurtosis - 1, m6 - 3 * kurtosis + 2),
        fourth=fourth,
    )


@dataclass(frozen=True)
class KurtosisTest:
    """Excess kurtosis (0 for a Gaussian) and two-sided p, per node."""

    excess: Floats
    p_value: Floats


def kurtosis_test(sample: ArrayLike) -> KurtosisTest:
    """Is a neuron Gaussian over draws?  Aimed at finite width, which shows in the fourth moment.

    sample  (draws,) or (draws, nodes): one neuron per node, never the neurons of one draw

    Source: Anscombe and Glynn (1983), Biometrika 70, 227; computed by scipy.  Approximate: size
    within a factor of two down to a level of 1e-3 at 200 draws.
    """
    from scipy import stats

    array = draws_first("sample", sample, fewest=20)
    p_value = stats.kurtosistest(array, axis=0).pvalue
    return KurtosisTest(excess=stats.kurtosis(array, axis=0), p_value=p_value)
