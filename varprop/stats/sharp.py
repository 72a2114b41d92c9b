r"""Tests whose null law is known: sums of residuals with theoretical cumulants.

    S = sum_r e_r,   E[e_r | past] = 0,   Var[e_r | past], kappa_3[e_r | past] from the theory

referred to the Pearson III law (`pearson.py`).  Nothing is estimated from the sample but S itself,
so the size holds at 1e-6 where a t-test on the same residuals is off by orders of magnitude.
Chi-square residuals (Gaussian pre-activations given the layer below) make it exact; for ReLU steps
the true size at 1e-6 is .956e-6 with 480 neurons x draws and .994e-6 with 3 200, where a normal law
with the same variance has 6.8e-6 and 1.8e-6.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from varprop.stats._checks import Floats, draws_first, error_rate, finite
from varprop.stats.pearson import quantile, tails

SMALLEST = float(np.finfo(float).tiny)


def tail_probability(
    statistic: ArrayLike, variance: ArrayLike, third_cumulant: ArrayLike
) -> Floats:
    """Two-sided p = min(1, 2 min(P(S <= s), P(S >= s))) for S with mean 0 and these cumulants.

    Never 0: what underflows, or lies beyond the end point of the matched law, is 2.2e-308.
    """
    variance = finite("variance", variance)
    if (variance <= 0).any():
        raise ValueError(
            f"variance must be positive, got {variance.min()}: a statistic that cannot fluctuate "
            "has no test. Compare it with its prediction directly."
        )
    sd = np.sqrt(variance)
    skew = finite("third_cumulant", third_cumulant) / variance / sd
    low, high = tails(finite("statistic", statistic) / sd, skew)
    return np.clip(2 * np.minimum(low, high), SMALLEST, 1)[()]


@dataclass(frozen=True)
class SharpTest:
    """The sum of residuals and its cumulants, per node: arrays (nodes,) or scalars.

    statistic       S = sum_r e_r
    variance        Var S under the theory
    third_cumulant  kappa_3(S) under the theory
    count           residuals in S that could fluctuate
    zeros           of these, measured values that are exactly zero (dead layers)
    relative        e = measured/expected - 1: an effect multiplies S + count; else it adds to S
    """

    statistic: Floats
    variance: Floats
    third_cumulant: Floats
    count: Floats
    zeros: Floats
    relative: bool

    @property
    def estimate(self) -> Floats:
        """S / count: mean ratio - 1, or mean residual."""
        return self.statistic / self.count

    @property
    def standard_error(self) -> Floats:
        """sqrt(Var S) / count, from the theory."""
        return np.sqrt(self.variance) / self.count

    @property
    def p_value(self) -> Floats:
        """Two-sided, per node, not corrected for their number (see `holm`)."""
        return tail_probability(self.statistic, self.variance, self.third_cumulant)

    def interval(self, level: float = 0.05) -> tuple[Floats, Floats]:
        """The effects that the test does not reject at `level`: coverage 1 - level.

        Additive: estimate - q.  Relative: (1 + estimate)/(1 + q) - 1, because an effect scales the
        fluctuation too (infinite where 1 + q <= 0: too few draws to bound the scale).
        """
        tail = error_rate("level", level) / 2
        skew = self.third_cumulant / self.variance**1.5
        low = quantile(tail, skew) * self.standard_error
        high = quantile(tail, skew, upper=True) * self.standard_error
        if not self.relative:
            return (self.estimate - high)[()], (self.estimate - low)[()]
        bounded = 1 + low > 0
        top = np.where(bounded, (1 + self.estimate) / np.where(bounded, 1 + low, 1) - 1, np.inf)
        return ((1 + self.estimate) / (1 + high) - 1)[()], top[()]


def ratio_test(
    measured: ArrayLike, expected: ArrayLike, variance: ArrayLike, third_cumulant: ArrayLike
) -> SharpTest:
    """S = sum_r (measured_r / expected_r - 1), per node.

    measured        (draws,) or (draws, nodes), not negative
    expected        E[measured | layer below], broadcast to measured
    variance        Var[measured | layer below]: 2 expected^2/n for chi-square_n/n
    third_cumulant  kappa_3[measured | layer below]: 8 expected^3/n^2 for chi-square_n/n

    Where expected and measured are both exactly 0 (the layer below is dead) nothing is tested and
    nothing is counted; leaving such draws out altogether would condition on the network's future.
    """
    measured = draws_first("measured", measured)
    expected = np.broadcast_to(finite("expected", expected), measured.shape)
    gone = (expected == 0) & (measured == 0)
    wrong = (expected <= 0) & ~gone
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"a ratio needs expected > 0, got expected {expected[index]} for measured "
            f"{measured[index]} at index {index}. Test a mean with contrast_test; where the theory "
            "says exactly 0, any other measured value already refutes it."
        )
    unit = np.where(gone, 1.0, expected)
    relative_variance = finite("variance", variance) / unit / unit
    relative_third = finite("third_cumulant", third_cumulant) / unit / unit / unit
    residual = np.where(gone, 0.0, measured / unit - 1)
    zeros = ((measured == 0) & ~gone).sum(axis=0)
    return _summed(residual, relative_variance, relative_third, ~gone, zeros, relative=True)


def contrast_test(residual: ArrayLike, variance: ArrayLike, third_cumulant: ArrayLike) -> SharpTest:
    """S = sum_r residual_r for residuals (draws,) or (draws, nodes) with conditional mean zero.

    Linear contrasts only (E x x' - c q; measured - expected): a correlation per draw is biased.
    """
    residual = draws_first("residual", residual)
    variance = finite("variance", variance)
    live = np.ones(residual.shape, bool)
    return _summed(residual, variance, third_cumulant, live, np.zeros(residual.shape[1:]), False)


def drift(test: SharpTest) -> SharpTest:
    """One test for a small effect in every node: the cumulants of the nodes, added.

    Residuals of successive steps are martingale differences, hence uncorrelated: variances add.
    Third cumulants add when the conditional variance does not depend on the past (ratios in a
    homogeneous network), else to leading order.  Contrasts must share one unit.
    """
    fields = (test.statistic, test.variance, test.third_cumulant, test.count, test.zeros)
    return SharpTest(*(np.asarray(np.sum(field)) for field in fields), relative=test.relative)


def _summed(
    residual: Floats,
    variance: ArrayLike,
    third_cumulant: ArrayLike,
    live: np.ndarray,
    zeros: np.ndarray,
    relative: bool,
) -> SharpTest:
    variance = np.where(live, np.broadcast_to(variance, residual.shape), 0.0)
    third = np.broadcast_to(finite("third_cumulant", third_cumulant), residual.shape)
    frozen = live & (variance <= 0)
    if frozen.any():
        index = tuple(int(i) for i in np.argwhere(frozen)[0])
        raise ValueError(
            f"variance must be positive, got {variance[index]} at index {index}: a residual that "
            "cannot fluctuate has no test. Compare it with its prediction directly."
        )
    count = live.sum(axis=0)
    if (count == 0).any():
        node = int(np.argmin(count))
        raise ValueError(
            f"node {node} is dead in all {len(residual)} draws: expected and measured are 0 "
            "everywhere, nothing can be tested. Widen the network or leave the node out."
        )
    sums = (residual.sum(axis=0), variance.sum(axis=0), np.where(live, third, 0.0).sum(axis=0))
    return SharpTest(*sums, count=count, zeros=zeros, relative=relative)
