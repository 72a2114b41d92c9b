"""The typical size of a rectified layer: E log of a chi-square with a random number of degrees."""

from functools import lru_cache

import numpy as np
import sympy as sp
from scipy import special, stats


@lru_cache(maxsize=256)
def mean_log(n: int) -> float:
    """E[log chi^2_B | B > 0], B ~ Bin(n, 1/2):  sum over b of P(b) (log 2 + digamma(b/2))."""
    b = np.arange(1, n + 1)
    chance = stats.binom.pmf(b, n, 0.5)
    return float(chance @ (np.log(2) + special.digamma(b / 2)) / chance.sum())


class MeanLog(sp.Function):
    """`mean_log` of a symbolic width; a float where the width is a number."""

    nargs = (1,)
    is_real = True

    def _eval_evalf(self, prec: int) -> sp.Expr | None:
        (n,) = self.args
        return sp.Float(mean_log(int(n)), 17) if n.is_Integer and n.is_positive else None  # type: ignore
