"""The gap between networks of one width and their theory, with its standard error."""

from typing import NamedTuple

import numpy as np

from varprop.montecarlo import Sample
from varprop.montecarlo.sample import FLUCTUATIONS
from varprop.stats import studentized_test, tail_guard
from varprop.theory import Prediction

Array = np.ndarray

PAIRS = ("cross_moment", "grad_cross_moment", "correlation")
QUANTITIES = ("mean", "second_moment", "grad_second_moment", *PAIRS, *FLUCTUATIONS)


class Measured(NamedTuple):
    """`gap` and its `error` in units of the signal."""

    width: int
    value: float
    predicted: float
    gap: float
    error: float


def gap_of(
    theory: Prediction, sample: Sample, node: str, quantity: str, width: int, level: float
) -> tuple[Measured, str]:
    """The gap in units of the limit, or why it has no honest error."""
    column, expected, unit = _column(theory, sample, node, quantity)
    mean = float(column.mean())
    error = float(column.std(ddof=1) / len(column) ** 0.5)
    gap = (mean - expected) / unit
    found = Measured(width, mean, expected, gap, error / unit)
    if quantity == "correlation":
        c = float(theory.value(node, quantity)[0, 1])
        found = found._replace(value=c + gap, predicted=c)
    try:
        tail = tail_guard(_squares(sample, node, quantity))
        if not tail.trusted:
            return found, (
                f"at width {width} one draw carries {float(tail.share):.1%} of the mean: take more "
                "draws, or shallower networks"
            )
        studentized_test(column / unit, expected / unit, level)
    except ValueError as refusal:
        return found, f"at width {width} {refusal}"
    return found, ""


def _column(
    theory: Prediction, sample: Sample, node: str, quantity: str
) -> tuple[Array, float, float]:
    """One number of each network, what it should be on average, and the size of the signal."""
    if quantity in FLUCTUATIONS:
        known = float(theory.value(node, quantity)[0]) if theory.order else 0.0
        return _influences(_squares(sample, node, quantity)), known, 1.0
    law = theory.gradients[node] if quantity.startswith("grad") else theory.moments[node]
    size = np.sqrt(law.diagonal)
    if quantity == "mean":
        return sample.values(node, "mean")[:, 0], float(theory.value(node, "mean")[0]), size[0]
    if quantity == "correlation":
        c, second = theory.value(node, quantity)[0, 1], sample.records[node].second
        squares = np.diagonal(second, axis1=-2, axis2=-1)[:, :2] / size[:2] ** 2
        contrast = second[:, 0, 1] / (size[0] * size[1]) - c * squares.mean(1)
        return contrast, 0.0, 1.0
    index = (0, 1) if quantity in PAIRS else (0,)
    unit = size[0] * size[index[-1]]
    values = sample.values(node, quantity)[(slice(None), *index)]
    return values, float(theory.value(node, quantity)[index]), float(unit)


def _squares(sample: Sample, node: str, quantity: str) -> Array:
    """The lengths on which the quantity rests."""
    single = "grad_second_moment" if quantity.startswith("grad") else "second_moment"
    return sample.values(node, single)[:, 0]


def _influences(squares: Array) -> Array:
    """(s/E s - 1)^2 - 2 V (s/E s - 1) of each draw, whose mean is V = Var s/(E s)^2."""
    relative = squares / squares.mean() - 1
    value = relative.var(ddof=1)
    return relative**2 * len(squares) / (len(squares) - 1) - 2 * value * relative
