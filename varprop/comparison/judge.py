"""compare: does the measurement agree with the theory?  By the regime of each number."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from varprop.comparison.checks import check_comparable, check_rates
from varprop.comparison.decide import NOTHING, judge_steps
from varprop.comparison.depth import judge_depth
from varprop.comparison.identities import broken_rules, not_dual
from varprop.comparison.report import Judged, Report
from varprop.comparison.rounding import tolerance
from varprop.comparison.steps import Step, steps
from varprop.comparison.vanished import dead_draws
from varprop.montecarlo import Sample
from varprop.stats import Look, Verdict, overall
from varprop.theory import Prediction

FAMILIES = 2  # steps and drifts share the false alarms


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
    of each input and of each pair of them, and so is their drift over the depth; the prediction is
    checked to be the fold of these steps, and its gradients to be the adjoint of its tangents.
    REFUTED: some step differs, at family-wise error rate `error_rate`: from the theory where it is
    exact, from the theory by more than `margin` where it is not. CONFIRMED: none does, and
    every interval lies inside the relative `margin` (false with probability at most `false_pass`).
    UNDECIDED otherwise. `scope="depth"` also asks that the predictions themselves lie within the
    margin of the measured averages, which needs many more draws. A sample of values alone
    (`backward=False`) is judged forward. Signals whose squares leave the range of floats cannot be
    judged where they do: those rows are UNDECIDED.

    Raises ValueError for a sample of another network, of other inputs, or not finite.
    """
    check_rates(margin, error_rate, false_pass, scope)
    check_comparable(theory, sample)
    look = Look(sample.draws, error_rate, false_pass)
    return judge(theory, sample, tuple(broken_rules(theory)), margin, look, scope)


def judge(
    theory: Prediction,
    sample: Sample,
    broken: Sequence[Judged],
    margin: float,
    look: Look,
    scope: str = "steps",
) -> Report:
    """The report at one look; `broken` are the identities that the theory fails."""
    error_rate, false_pass = look.error_rate, look.false_pass
    share = error_rate / (FAMILIES if scope == "steps" else FAMILIES + 1)
    with np.errstate(over="ignore", invalid="ignore"):  # what leaves the range is named below
        local = list(steps(theory.network, sample))
        sums = drifts(local)
    rates = margin, share, false_pass, tolerance(sample.dtype)
    judged = [
        *broken,
        *not_dual(sample),
        *(_beside(row, theory, sample) for row in judge_steps(local, *rates)),
        *judge_steps(sums, *rates),
    ]
    if scope == "depth":
        sound = all(row.verdict is not Verdict.REFUTED for row in judged)
        judged += judge_depth(theory, sample, margin, share, false_pass, sound)
    verdict = overall(row.verdict for row in judged)
    how = sample.draws, sample.engine, sample.seed
    dead = dead_draws(theory, sample)
    return Report(verdict, tuple(judged), margin, error_rate, *how, dead=dead, at=look)


def drifts(local: Sequence[Step]) -> list[Step]:
    """The sum over the depth of the residuals of one quantity: they are uncorrelated."""
    groups: dict[tuple, list[Step]] = defaultdict(list)
    for step in local:
        if step.exact and step.live.any():
            groups[step.quantity, step.point, step.other, step.family].append(step)
    return [_summed(group) for group in groups.values() if len(group) > 1]


def _summed(group: Sequence[Step]) -> Step:
    """Cumulants of steps with the same fresh weights do not add: then they are left out."""
    variances = [s.variance for s in group if s.variance is not None]
    thirds = [s.third for s in group if s.third is not None]
    sources = [s.sources for s in group]
    apart = sum(map(len, sources)) == len(frozenset().union(*sources))
    known = apart and len(variances) == len(thirds) == len(group)
    return replace(
        group[0],
        node=f"{group[0].node}..{group[-1].node}",
        residual=np.sum([s.residual for s in group], axis=0),
        variance=np.sum(variances, axis=0) if known else None,
        third=np.sum(thirds, axis=0) if known else None,
        live=np.any([s.live for s in group], axis=0),
        impossible=False,
        terms=len(group),
    )


def _beside(row: Judged, theory: Prediction, sample: Sample) -> Judged:
    """The row with the prediction and the average over networks beside it."""
    at = (row.point,) if row.other is None else (row.point, row.other)
    value = float(theory.value(row.node, row.quantity)[at])
    if row.note == NOTHING and value == 0:  # zero by law, not by accident
        row = row._replace(verdict=Verdict.CONFIRMED, gap=0.0, low=0.0, high=0.0, note="")
    return row._replace(
        regime=str(theory.regime(row.node, row.quantity)),
        value=value,
        measured=float(sample.values(row.node, row.quantity).mean(0)[at]),
    )
