"""Is a measured number the predicted one?  Pure statistics on arrays (draws,) or (draws, nodes).

In every signature `level` and `error_rate` are error rates (0.05, 1e-6), never coverages (0.95).
"""

from varprop.stats.design import draws_needed, draws_to_certify, smallest_detectable
from varprop.stats.equivalence import Place, locate
from varprop.stats.extrapolation import UnresolvedGap, WidthFit, fit_widths
from varprop.stats.guard import Tail, tail_guard
from varprop.stats.moments import KurtosisTest, MomentTest, kurtosis_test, moment_test
from varprop.stats.multiplicity import holm
from varprop.stats.normality import NormalityTest, normality_test
from varprop.stats.pearson import quantile, tails
from varprop.stats.proportion import RateDifference, binomial_interval
from varprop.stats.sequential import Look, schedule
from varprop.stats.sharp import SharpTest, contrast_test, drift, ratio_test, tail_probability
from varprop.stats.studentized import (
    StudentizedTest,
    TooFewDraws,
    accepted_draws,
    studentized_draws,
    studentized_test,
)
from varprop.stats.two_sample import spread_test, two_sample_test
from varprop.stats.verdict import (
    Verdict,
    decide_equivalence,
    decide_exact,
    overall,
)

__all__ = [
    "KurtosisTest",
    "Look",
    "MomentTest",
    "NormalityTest",
    "Place",
    "RateDifference",
    "SharpTest",
    "StudentizedTest",
    "Tail",
    "TooFewDraws",
    "UnresolvedGap",
    "Verdict",
    "WidthFit",
    "accepted_draws",
    "binomial_interval",
    "contrast_test",
    "decide_equivalence",
    "decide_exact",
    "draws_needed",
    "draws_to_certify",
    "drift",
    "fit_widths",
    "holm",
    "kurtosis_test",
    "locate",
    "moment_test",
    "normality_test",
    "overall",
    "quantile",
    "ratio_test",
    "schedule",
    "smallest_detectable",
    "spread_test",
    "studentized_draws",
    "studentized_test",
    "tail_guard",
    "tail_probability",
    "tails",
    "two_sample_test",
]
