"""The predictions themselves against measured averages over networks, by equivalence."""

from collections.abc import Iterator

import numpy as np

from varprop.comparison.decide import draws_to_decide, margin_p_value
from varprop.comparison.report import Judged
from varprop.moments import EXACT
from varprop.montecarlo import Sample
from varprop.stats import StudentizedTest, Verdict, decide_exact, holm, locate, studentized_test
from varprop.theory import Prediction

COARSE = "margin below the theory's accuracy at this width: wider network or larger margin"
QUANTITIES = ("second_moment", "grad_second_moment", "cross_moment", "grad_cross_moment")


def judge_depth(
    theory: Prediction,
    sample: Sample,
    margin: float,
    error_rate: float,
    false_pass: float,
    sound: bool,
) -> list[Judged]:
    """One row per node and quantity that fluctuates, Holm over all of them.

    `sound`: no step was refuted. Then a prediction that is not exact at this width is not refuted
    by its own 1/n error: the answer is that the margin is below the theory's accuracy.
    """
    claims = list(_claims(theory, sample))
    if not claims:
        return []
    level = error_rate / len(claims)
    tests = [_test(residual, level) for _, residual, _ in claims]
    p_values = [
        1.0 if isinstance(test, str) else margin_p_value(test, residual, exact, margin, level)
        for test, (_, residual, exact) in zip(tests, claims, strict=True)
    ]
    adjusted = holm(p_values, error_rate).adjusted
    return [
        _row(
            row, test, float(p), margin, error_rate, false_pass, sound and not exact, len(residual)
        )
        for (row, residual, exact), test, p in zip(claims, tests, adjusted, strict=True)
    ]


def _claims(theory: Prediction, sample: Sample) -> Iterator[tuple[Judged, np.ndarray, bool]]:
    """An open row, its residuals over draws, and whether the prediction is exact."""
    for node, _, _ in theory.network:
        for quantity in QUANTITIES:
            if quantity not in theory.quantities(node) or quantity not in sample.quantities(node):
                continue
            value, values = theory.value(node, quantity), sample.values(node, quantity)
            regime = theory.regime(node, quantity)
            for index in np.ndindex(value.shape):
                point, other = index[0], index[1] if len(index) > 1 else None
                if other is not None and point >= other:
                    continue
                column = values[(slice(None), *index)]
                unit = _unit(theory, node, quantity, point, other)
                if unit == 0 or np.ptp(column) <= 1e-6 * np.abs(column).max():
                    continue
                row = Judged(node, quantity, point, other, "depth", Verdict.UNDECIDED, str(regime))
                row = row._replace(value=float(value[index]), measured=float(column.mean()))
                yield row, (column - value[index]) / unit, regime == EXACT


def _unit(theory: Prediction, node: str, quantity: str, point: int, other: int | None) -> float:
    """The size of the signal: sqrt(E x^2 E x'^2)."""
    single = "grad_second_moment" if quantity.startswith("grad") else "second_moment"
    root = np.sqrt(theory.value(node, single))
    return float(root[point] * root[point if other is None else other])


def _test(residual: np.ndarray, level: float) -> StudentizedTest | str:
    try:
        return studentized_test(residual, 0.0, level)
    except ValueError as refusal:
        return str(refusal)


def _row(
    row: Judged,
    test: StudentizedTest | str,
    p: float,
    margin: float,
    error_rate: float,
    false_pass: float,
    coarse: bool,
    draws: int,
) -> Judged:
    if isinstance(test, str):
        return row._replace(note=test)
    low, high = (float(bound) for bound in test.interval(2 * false_pass))
    verdict, note = decide_exact(p, low, high, margin, error_rate), ""
    if coarse and verdict is not Verdict.CONFIRMED and locate(low, high, margin) == "outside":
        verdict, note = Verdict.UNDECIDED, COARSE
    gap = float(test.estimate)
    open_ = verdict is Verdict.UNDECIDED and not note
    needed = draws_to_decide(gap, low, high, margin, draws) if open_ else None
    found = {"verdict": verdict, "gap": gap, "low": low, "high": high, "p_value": p}
    return row._replace(**found, note=note, needed=needed)
