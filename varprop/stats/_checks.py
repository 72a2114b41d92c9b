"""What a number must be before a test may look at it; every error says rule, what came, remedy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def finite(name: str, values: ArrayLike) -> Floats:
    """`values` as float64; the first value that is not finite is named with its index."""
    array = np.asarray(values, dtype=np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} must be finite: {int(bad.sum())} of {array.size} are not, the first is "
            f"{array[index]} at index {index}. Find the draw that left the range of floats; "
            "dropping it would bias the test."
        )
    return array


def draws_first(name: str, values: ArrayLike, fewest: int = 1) -> Floats:
    """Finite `values` of shape (draws,) or (draws, nodes), with at least `fewest` draws."""
    array = finite(name, values)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape (draws,) or (draws, nodes), got {array.shape}. Reduce the "
            "neurons of a layer first: they share the layer below and are not replicates."
        )
    if array.shape[0] < fewest or array.size == 0:
        raise ValueError(
            f"{name} needs at least {fewest} draws and one node, got shape {array.shape}. "
            f"Draw {max(0, fewest - array.shape[0])} more."
        )
    return array


def error_rate(name: str, value: float) -> float:
    """An error rate in (0, 1/2); a coverage such as 0.95 is refused."""
    if not 0 < value < 0.5:
        raise ValueError(
            f"{name} is an error rate between 0 and 0.5, got {value}. For 95 % coverage pass 0.05."
        )
    return float(value)


def positive(name: str, value: float) -> float:
    """A finite number above zero."""
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be finite and positive, got {value}.")
    return float(value)
