"""The predictions themselves against measured averages over networks, by equivalence."""

from collections.abc import Iterator

import numpy as np

from varprop.compare.report import Judged
from varprop.moments import EXACT
from varprop.montecarlo import Sample
from varprop.stats import Verdict, decide_equivalence, studentized_test
from varprop.theory import Prediction

QUANTITIES = ("second_moment", "grad_second_moment", "cross_moment", "grad_cross_moment")


def judge_depth(
    theory: Prediction, sample: Sample, margin: float, false_pass: float, sound: bool
) -> Iterator[Judged]:
    """One row per node and quantity that fluctuates, decided by its interval and the margin.

    `sound`: no step was refuted. Then a prediction that is not exact at this width is not refuted
    by its own 1/n error: the answer is that the margin is below the theory's accuracy.
    """
    for node, _, _ in theory.network:
        for quantity in QUANTITIES:
            if quantity not in theory.quantities(node):
                continue
            value, values = theory.value(node, quantity), sample.values(node, quantity)
            for index in np.ndindex(value.shape):
                point, other = (*index, None)[:2]
                if other is not None and point >= other:
                    continue
                column = values[(slice(None), *index)]
                unit = _unit(theory, node, quantity, point, other)
                if unit == 0 or np.ptp(column) <= 1e-6 * np.abs(column).max():
                    continue
                yield _judge_one(
                    (node, quantity, point, other),
                    (column - value[index]) / unit,
                    margin,
                    false_pass,
                    exact=sound and theory.regime(node, quantity) == EXACT,
                    sound=sound,
                )._replace(
                    regime=str(theory.regime(node, quantity)),
                    value=float(value[index]),
                    measured=float(column.mean()),
                )


def _unit(theory: Prediction, node: str, quantity: str, point: int, other: int | None) -> float:
    """The size of the signal: sqrt(E x^2 E x'^2)."""
    single = "grad_second_moment" if quantity.startswith("grad") else "second_moment"
    square = theory.value(node, single)
    return float(np.sqrt(square[point] * square[point if other is None else other]))


def _judge_one(
    where: tuple, residual: np.ndarray, margin: float, false_pass: float, exact: bool, sound: bool
) -> Judged:
    try:
        test = studentized_test(residual, 0.0, 2 * false_pass)
    except ValueError as refusal:
        return Judged(*where, "depth", Verdict.UNDECIDED, note=str(refusal))
    low, high = (float(bound) for bound in test.interval(2 * false_pass))
    verdict, note = decide_equivalence(low, high, margin), ""
    if verdict is Verdict.REFUTED and sound and not exact:
        verdict = Verdict.UNDECIDED
        note = "margin below the theory's accuracy at this width: wider network or larger margin"
    gap = float(test.estimate)
    return Judged(*where, "depth", verdict, gap=gap, low=low, high=high, note=note)
