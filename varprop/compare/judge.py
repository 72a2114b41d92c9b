"""compare: does the measurement agree with the theory?  By the regime of each number."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from varprop.compare.checks import check_comparable, check_rates
from varprop.compare.depth import judge_depth
from varprop.compare.identities import broken_identities
from varprop.compare.report import Judged, Report
from varprop.compare.steps import Step, steps
from varprop.montecarlo import Sample
from varprop.stats import (
    SharpTest,
    StudentizedTest,
    Verdict,
    contrast_test,
    decide_equivalence,
    decide_exact,
    holm,
    overall,
    studentized_test,
)
from varprop.theory import Prediction

Test = SharpTest | StudentizedTest


def compare(
    theory: Prediction,
    sample: Sample,
    *,
    margin: float = 0.05,
    error_rate: float = 1e-6,
    false_pass: float = 1e-4,
    scope: str = "steps",
) -> Report:
    """The verdict on `theory` given `sample`.

    Every step from one measured layer to the next is tested, forward and (by tangents) backward,
    and so is their drift over the depth; the prediction is checked to be the fold of these steps.
    REFUTED: some step differs, at family-wise error rate `error_rate`. CONFIRMED: none does, and
    every interval lies inside the relative `margin` (false with probability at most `false_pass`).
    UNDECIDED otherwise. `scope="depth"` also asks that the predictions themselves lie within the
    margin of the measured averages, which needs many more draws.

    Raises ValueError for a sample of another network, of other inputs, or not finite.
    """
    check_rates(margin, error_rate, false_pass, scope)
    check_comparable(theory, sample)
    local = list(steps(theory.network, sample))
    drifts = list(_drifts(local))
    judged = [
        *broken_identities(theory, sample),
        *_judge(local, margin, error_rate / 2, false_pass, theory, sample),
        *_judge(drifts, margin, error_rate / 2, false_pass),
    ]
    if scope == "depth":
        sound = all(row.verdict is not Verdict.REFUTED for row in judged)
        judged += judge_depth(theory, sample, margin, false_pass, sound)
    verdict = overall(row.verdict for row in judged)
    return Report(
        verdict, tuple(judged), margin, error_rate, sample.draws, sample.engine, sample.seed
    )


def _drifts(local: Sequence[Step]) -> list[Step]:
    """The sum over the depth of the residuals of one quantity: they are uncorrelated."""
    groups: dict[tuple, list[Step]] = defaultdict(list)
    for step in local:
        if step.exact:
            groups[step.quantity, step.point, step.other, step.family].append(step)
    return [_summed(group) for group in groups.values() if len(group) > 1]


def _summed(group: Sequence[Step]) -> Step:
    known = all(s.variance is not None and s.third is not None for s in group)
    return replace(
        group[0],
        node=f"{group[0].node}..{group[-1].node}",
        residual=np.sum([s.residual for s in group], axis=0),
        variance=np.sum([s.variance for s in group], axis=0) if known else None,
        third=np.sum([s.third for s in group], axis=0) if known else None,
        terms=len(group),
    )


def _judge(
    tested: Sequence[Step],
    margin: float,
    error_rate: float,
    false_pass: float,
    theory: Prediction | None = None,
    sample: Sample | None = None,
) -> list[Judged]:
    """One row per step, Holm over all of them; with theory and sample, their numbers beside it."""
    if not tested:
        return []
    tests = [_test(step, error_rate / len(tested)) for step in tested]
    p_values = [1.0 if isinstance(t, str) else float(t.p_value) for t in tests]
    adjusted = holm(p_values, error_rate).adjusted
    rows = []
    for step, test, p in zip(tested, tests, adjusted, strict=True):
        row = _row(step, test, float(p), margin, error_rate, false_pass)
        if theory is not None and sample is not None:
            at = (step.point,) if step.other is None else (step.point, step.other)
            row = row._replace(
                regime=str(theory.regime(step.node, step.quantity)),
                value=float(theory.value(step.node, step.quantity)[at]),
                measured=float(sample.values(step.node, step.quantity).mean(0)[at]),
            )
        rows.append(row)
    return rows


def _row(
    step: Step, test: Test | str, p: float, margin: float, error_rate: float, false_pass: float
) -> Judged:
    where = (step.node, step.quantity, step.point, step.other)
    if isinstance(test, str):
        return Judged(*where, "t", Verdict.UNDECIDED, note=test)
    low, high = (float(bound) / step.terms for bound in test.interval(2 * false_pass))
    if step.exact:
        verdict = decide_exact(p, low, high, margin, error_rate)
    else:
        verdict = decide_equivalence(low, high, margin)
    kind = "drift" if step.terms > 1 else "exact" if isinstance(test, SharpTest) else "t"
    gap = float(test.estimate) / step.terms
    return Judged(*where, kind, verdict, gap=gap, low=low, high=high, p_value=p)


def _test(step: Step, level: float) -> Test | str:
    """The sharp test where the cumulants are known, else the studentized one, or why it refuses."""
    if step.variance is not None and step.third is not None:
        return contrast_test(step.residual, step.variance, step.third)
    try:
        return studentized_test(step.residual, 0.0, level)
    except ValueError as refusal:
        return str(refusal)
