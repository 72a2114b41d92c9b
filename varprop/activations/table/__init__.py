"""The table of activations: to add one, add an entry to the file of its family."""

from collections.abc import Callable

from varprop.activations.activation import Activation
from varprop.activations.table import (
    error_functions,
    exponential,
    hard,
    periodic,
    polynomial,
    rectified,
    smooth,
)

ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    **rectified.ENTRIES,
    **hard.ENTRIES,
    **exponential.ENTRIES,
    **smooth.ENTRIES,
    **error_functions.ENTRIES,
    **periodic.ENTRIES,
    **polynomial.ENTRIES,
}
