"""The predictions themselves against measured averages over networks, by equivalence."""

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

import numpy as np

from varprop.comparison.decide import draws_to_decide, margin_p_value
from varprop.comparison.report import Judged
from varprop.moments import EXACT
from varprop.montecarlo import Sample
from varprop.stats import (
    StudentizedTest,
    TooFewDraws,
    Verdict,
    decide_exact,
    holm,
    locate,
    studentized_test,
    tail_guard,
)
from varprop.theory import Prediction

COARSE = "margin below the theory's accuracy at this width: wider network or larger margin"
UNEVEN = (
    "the mean is not trusted, as one draw of {draws} carries {share:.1%} of it (at most 4%): draw "
    "more, judge the steps (scope='steps'), or compare mean logarithms (Sample.log_mean)"
)
QUANTITIES = ("second_moment", "grad_second_moment", "cross_moment", "grad_cross_moment")


class _Claim(NamedTuple):
    """An open row, what was measured in each draw and expected, in units of the signal."""

    row: Judged
    measured: np.ndarray
    expected: float
    exact: bool

    @property
    def residual(self) -> np.ndarray:
        return self.measured - self.expected


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
    by its own 1/n error: the answer is that the margin is below the theory's accuracy. A mean that
    few draws carry decides nothing, for then it and its error are both too small.
    """
    claims = list(_claims(theory, sample))
    if not claims:
        return []
    level = error_rate / len(claims)
    tests = [_test(claim, level) for claim in claims]
    p_values = [
        1.0
        if isinstance(test, Judged)
        else margin_p_value(test, claim.residual, claim.exact, margin, level)
        for test, claim in zip(tests, claims, strict=True)
    ]
    adjusted = holm(p_values, error_rate).adjusted
    return [
        _row(claim, test, float(p), margin, error_rate, false_pass, level, sound)
        for claim, test, p in zip(claims, tests, adjusted, strict=True)
    ]


def _claims(theory: Prediction, sample: Sample) -> Iterator[_Claim]:
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
                yield _Claim(row, column / unit, float(value[index] / unit), regime == EXACT)


def _unit(theory: Prediction, node: str, quantity: str, point: int, other: int | None) -> float:
    """The size of the signal: sqrt(E x^2 E x'^2)."""
    single = "grad_second_moment" if quantity.startswith("grad") else "second_moment"
    root = np.sqrt(theory.value(node, single))
    return float(root[point] * root[point if other is None else other])


def _test(claim: _Claim, level: float) -> StudentizedTest | Judged:
    try:
        tail = tail_guard(claim.measured)
        if not tail.trusted:
            note = UNEVEN.format(draws=len(claim.measured), share=float(tail.share))
            return claim.row._replace(note=note)
        return studentized_test(claim.residual, 0.0, level)
    except TooFewDraws as refusal:
        return claim.row._replace(note=str(refusal), needed=refusal.needed)
    except ValueError as refusal:
        return claim.row._replace(note=str(refusal))


def _row(
    claim: _Claim,
    test: StudentizedTest | Judged,
    p: float,
    margin: float,
    error_rate: float,
    false_pass: float,
    level: float,
    sound: bool,
) -> Judged:
    if isinstance(test, Judged):
        return test
    low, high = (float(bound) for bound in test.interval(2 * false_pass))
    verdict, note = decide_exact(p, low, high, margin, error_rate), ""
    coarse = sound and not claim.exact
    if coarse and verdict is not Verdict.CONFIRMED and locate(low, high, margin) == "outside":
        verdict, note = Verdict.UNDECIDED, COARSE
    gap, needed = float(test.estimate), None
    if verdict is Verdict.UNDECIDED and not note:
        refuting = [float(bound) for bound in test.interval(level)]
        null = 0.0 if claim.exact else inf if sound else margin
        needed = draws_to_decide(gap, (low, high), refuting, margin, null, len(claim.measured))
    found = {"verdict": verdict, "gap": gap, "low": low, "high": high, "p_value": p}
    return claim.row._replace(**found, note=note, needed=needed)
