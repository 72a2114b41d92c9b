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

    Source: Holm (1979), Scand. J. Statist. 6, 65; computed by statsmodels.
    """
    from statsmodels.stats.multitest import multipletests

    p = finite("p_values", p_values)
    if p.size == 0 or (p < 0).any() or (p > 1).any():
        raise ValueError(f"p_values must be one or more numbers in [0, 1], got {p_values!r}.")
    result = multipletests(p.ravel(), alpha=rate("error_rate", error_rate), method="holm")
    rejected, adjusted = (np.asarray(array).reshape(p.shape) for array in result[:2])
    return Holm(adjusted, rejected)
