r"""Is one neuron Gaussian over networks?  At finite width it is not, and the fourth moment says so.

A pre-activation is N(0, v) given the layer below, with v random over networks: a scale mixture of
Gaussians, of excess kurtosis 3 Var(v)/E(v)^2. Two tests share the error rate:

    kurtosis          Anscombe and Glynn (1983), aimed at exactly this (`kurtosis_test`)
    Anderson-Darling  any departure; mean and variance are estimated, for they are not in question
                      (`moment_test`, and `compare`, test them)

Rejections in % at 5 / 1 / .1 % of 10 000 Gaussian nodes, and power at 5 % of 500 draws of a neuron
above L relu layers of width n, beside Kolmogorov-Smirnov:

                     kurtosis          Anderson-Darling   both
    200 draws        5.3 / 1.3 / .19   5.0 / 1.1 / .10    5.1 / 1.2 / .16
    1 000 draws      5.3 / 1.3 / .16   5.3 / 1.1 / .08    5.0 / 1.1 / .14
    n = 16, L = 1    80                72                 79    (Kolmogorov-Smirnov 16)
    n = 64, L = 4    84                71                 81    (13)
    n = 64, L = 1    18                10                 16    (5)

Sources: Anscombe and Glynn (1983), Biometrika 70, 227; Stephens (1974), J. Am. Statist. Assoc. 69,
730; computed by scipy and statsmodels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from varprop.stats._checks import Floats, draws_first, error_rate
from varprop.stats.moments import kurtosis_test

SMALLEST_RATE = 1e-3
FEWEST = 50


@dataclass(frozen=True)
class NormalityTest:
    """Per node, arrays (nodes,) or scalars: excess kurtosis, A^2, and a p-value of each."""

    excess: Floats
    kurtosis_p: Floats
    anderson: Floats
    anderson_p: Floats
    level: float

    @property
    def p_value(self) -> Floats:
        """Bonferroni over the two tests, per node, not corrected for the number of nodes."""
        return np.minimum(1.0, 2 * np.minimum(self.kurtosis_p, self.anderson_p))[()]

    @property
    def rejected(self) -> np.ndarray:
        """Whether a node is not Gaussian, at the error rate `level` of both tests together."""
        return np.asarray(self.p_value <= self.level)


def normality_test(sample: ArrayLike, level: float = 0.05) -> NormalityTest:
    """Are the draws of each node Gaussian, with unknown mean and variance?

    sample  (draws,) or (draws, nodes): one neuron of each network per node, not the neurons of one
            network, which share the layer below
    level   error rate of both tests together, at least 1e-3: below, their null laws are not known
            well enough

    Raises ValueError for fewer than 50 draws, constant nodes and smaller levels.
    """
    from statsmodels.stats.diagnostic import normal_ad

    if error_rate("level", level) < SMALLEST_RATE:
        raise ValueError(
            f"normality tests are calibrated down to a level of {SMALLEST_RATE:g}, got {level}; "
            "compare the kurtosis with its prediction, or the layer with vp.compare"
        )
    array = draws_first("sample", sample, fewest=FEWEST)
    spread = np.ptp(array, axis=0)
    if np.any(spread <= 0):
        raise ValueError(
            f"a normality test needs draws that differ, got node {int(np.argmin(spread))} constant "
            f"over {len(array)} draws. Leave it out."
        )
    fourth = kurtosis_test(array)
    with np.errstate(divide="ignore"):  # A^2 is infinite where a tail reaches 38 deviations
        pairs = np.array([normal_ad(x) for x in np.atleast_2d(array.T)])
    anderson, anderson_p = (pairs[:, j].reshape(array.shape[1:])[()] for j in (0, 1))
    return NormalityTest(fourth.excess, fourth.p_value, anderson, anderson_p, level)
