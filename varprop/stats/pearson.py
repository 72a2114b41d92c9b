r"""The Pearson type III law: three cumulants in, both tails out.

A sum S with E S = 0, variance v and third cumulant k3 is matched by the shifted gamma law

    S = sqrt(v) (G - a) / sqrt(a),   G ~ Gamma(a),   a = 4 / skew^2,   skew = k3 / v^(3/2)

(mirrored for skew < 0, normal at skew = 0).  Exact when S is a sum of chi-squares with one scale;
otherwise the first error is in the fourth cumulant, of relative order 1/draws.

Source: Johnson, Kotz, Balakrishnan, Continuous Univariate Distributions 1 (1994), ch. 17.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from varprop.stats._checks import Floats

NEARLY_NORMAL = 2e-3
"""Skew below which two Cornish-Fisher terms stand in for the incomplete gamma function: there
(a > 1e6) they are right to 1e-6, while scipy's lower tail loses all its digits as a grows."""


def tails(z: ArrayLike, skew: ArrayLike) -> tuple[Floats, Floats]:
    """Lower and upper tail probability of the standardised z; neither is formed as 1 - other.

    Small skew: normal tails of z - skew (z^2 - 1)/6 + skew^2 (7 z^3 - z)/144.
    """
    z, skew = np.broadcast_arrays(np.asarray(z, float), np.asarray(skew, float))
    x, size = np.where(skew < 0, -z, z), np.abs(skew)
    normal = x - size * (x**2 - 1) / 6 + size**2 * (7 * x**3 - x) / 144
    shape = 4 / np.maximum(size, NEARLY_NORMAL) ** 2
    g = np.maximum(shape + x * np.sqrt(shape), 0)
    near = size < NEARLY_NORMAL
    low = np.where(near, special.ndtr(normal), special.gammainc(shape, g))
    high = np.where(near, special.ndtr(-normal), special.gammaincc(shape, g))
    return np.where(skew < 0, high, low), np.where(skew < 0, low, high)


def quantile(probability: ArrayLike, skew: ArrayLike, upper: bool = False) -> Floats:
    """The standardised z with lower (or `upper`) tail probability `probability`.

    Small skew: z + skew (z^2 - 1)/6 + skew^2 (z^3 - 7 z)/144 for the normal quantile z.
    """
    p, skew = np.broadcast_arrays(np.asarray(probability, float), np.asarray(skew, float))
    size = np.abs(skew)
    top = np.where(skew < 0, not upper, upper)
    normal = np.where(top, -1, 1) * special.ndtri(p)
    series = normal + size * (normal**2 - 1) / 6 + size**2 * (normal**3 - 7 * normal) / 144
    shape = 4 / np.maximum(size, NEARLY_NORMAL) ** 2
    g = np.where(top, special.gammainccinv(shape, p), special.gammaincinv(shape, p))
    x = np.where(size < NEARLY_NORMAL, series, (g - shape) / np.sqrt(shape))
    return np.where(skew < 0, -x, x)
