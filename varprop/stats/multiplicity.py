"""Many claims, one family-wise error rate."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from varprop.stats._checks import Floats, finite
from varprop.stats._checks import error_rate as rate


class Holm(NamedTuple):
    """Step-down adjusted p-values and which of them are at most the error rate."""

    adjusted: Floats
    rejected: np.ndarray


def holm(p_values: ArrayLike, error_rate: float) -> Holm:
    """P(any true claim rejected) <= error_rate, whatever the dependence between the tests.

    The k-th smallest of m p-values, k = 0, 1, ..., is adjusted to the largest (m - j) p_(j) over
    j <= k, at most 1. Source: Holm (1979), Scand. J. Statist. 6, 65.
    """
    p = finite("p_values", p_values)
    if p.size == 0 or (p < 0).any() or (p > 1).any():
        raise ValueError(f"p_values must be one or more numbers in [0, 1], got {p_values!r}.")
    # Written here: statsmodels collects all garbage in each call, which costs up to half a second.
    order = np.argsort(p, axis=None, kind="stable")
    stepped = np.maximum.accumulate(np.arange(p.size, 0, -1) * p.ravel()[order])
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    adjusted = adjusted.reshape(p.shape)
    return Holm(adjusted, adjusted <= rate("error_rate", error_rate))
