"""Is a sample mean the work of many draws, or of one?

Lengths of deep networks are nearly log-normal over networks, of log-variance s^2 = 5 L / n for
relu. Where s^2 is large the largest draw carries the mean, most samples lack the draws that would
carry it further, and mean and standard error are both too small. With x the draws,

    share      of the largest draw, max |x| / sum |x|, on a scale from 0 (all equal) to 1 (one draw)
    effective  (sum |x|)^2 / sum x^2, the number of equal draws that would be as uneven
    trusted    share <= 1/25

Log-normal draws, R of them: how often the mean is trusted, and the size of the t-test at 5 %.

    s^2         0.05          0.25          1.25          2             5
    R =   50    1.00  5 %     .70   6 %     .001  12 %    .000  17 %    .000  37 %
    R =  200    1.00  5 %     1.00  6 %     .28    8 %    .03   11 %    .000  28 %
    R = 1000    1.00  5 %     1.00  5 %     .95    5 %    .65    7 %    .01   20 %
    R = 5000    1.00  5 %     1.00  6 %     1.00   6 %    .99    7 %    .22   13 %

A mean that is not trusted wants more draws, or its logarithm.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from varprop.stats._checks import Floats, draws_first

LARGEST = 1 / 25


class Tail(NamedTuple):
    """Of each node: what the largest draw takes, how many draws count, whether to trust them."""

    share: Floats
    effective: Floats
    trusted: np.ndarray


def tail_guard(values: ArrayLike) -> Tail:
    """How evenly the mean over draws is shared, for finite `values` (draws,) or (draws, nodes)."""
    size = np.abs(draws_first("values", values, fewest=2))
    largest = size.max(0)
    part = np.where(largest > 0, size / np.where(largest > 0, largest, 1.0), 1.0)  # of the largest
    total, draws = part.sum(0), len(part)
    share = np.maximum(1 / total - 1 / draws, 0.0) / (1 - 1 / draws)
    return Tail(share, total**2 / (part**2).sum(0), share <= LARGEST)
