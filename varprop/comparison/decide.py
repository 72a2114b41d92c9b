"""From residuals to rows: one test per step, Holm over all of them."""

from collections.abc import Sequence
from math import ceil, inf

import numpy as np

from varprop.comparison.report import Judged
from varprop.comparison.steps import Step
from varprop.stats import (
    SharpTest,
    StudentizedTest,
    TooFewDraws,
    Verdict,
    contrast_test,
    decide_exact,
    holm,
    ratio_test,
    studentized_draws,
    studentized_test,
)

Test = SharpTest | StudentizedTest
Array = np.ndarray

# residuals measured/expected - 1: a wrong theory scales their fluctuation too, hence the interval
RATIOS = ("second_moment", "grad_second_moment")
MOST_GROWTH = 1e4  # of the draws, beyond which "draw more" is no advice
NOTHING = (
    "zero in every draw, so nothing was tested: give an input that is not zero, or a bias; "
    "if layers died, draw more or widen the network"
)

ONE = (
    "one network decides a step only where its null law is known, as for Gaussian weights: draw "
    "many networks, or pass a function that makes fresh modules to measure"
)


def judge_steps(
    tested: Sequence[Step], margin: float, error_rate: float, false_pass: float, rounding: float
) -> list[Judged]:
    """One row per step; `rounding` is the relative difference that counts as none.

    The null of an exact step is no difference, that of another one a difference within the margin.
    """
    if not tested:
        return []
    level = error_rate / len(tested)
    tests = [_fixed(step, margin, rounding, level) or _test(step, level) for step in tested]
    p_values = [_p_value(*pair, margin, level) for pair in zip(tested, tests, strict=True)]
    adjusted = holm(p_values, error_rate).adjusted
    return [
        _row(step, test, float(p), margin, error_rate, false_pass, level)
        for step, test, p in zip(tested, tests, adjusted, strict=True)
    ]


def margin_p_value(test: Test, residual: Array, exact: bool, margin: float, level: float) -> float:
    """The p-value of no difference (`exact`), or of a mean of at most `margin` either way."""
    if exact:
        return float(test.p_value)
    nearest = float(np.clip(test.estimate, -margin, margin))
    if nearest == test.estimate:
        return 1.0
    return float(studentized_test(residual, nearest, level).p_value)


def _p_value(step: Step, test: Test | Judged, margin: float, level: float) -> float:
    if isinstance(test, Judged):
        return test.p_value
    residual = step.residual[step.live] / step.terms  # those of the test
    return margin_p_value(test, residual, step.exact, margin, level)


def _fixed(step: Step, margin: float, rounding: float, level: float) -> Judged | None:
    """The row of a step that has nothing to test: no rule, or no fluctuation."""
    row = Judged(*_where(step), "identity", Verdict.UNDECIDED)
    if step.refusal:
        return row._replace(note=step.refusal)
    if step.impossible:
        note = "the theory leaves no room for any difference here"
        return row._replace(verdict=Verdict.REFUTED, gap=inf, p_value=0.0, note=note)
    if not step.live.any():
        return row._replace(note=NOTHING)
    residual = step.residual[step.live] / step.terms
    if step.variance is not None or len(residual) < studentized_draws(0.0, level):
        return None
    low, high = float(residual.min()), float(residual.max())
    if high - low > rounding:
        return None
    inside = max(-low, high) <= (rounding if step.exact else margin)
    verdict, p = (Verdict.CONFIRMED, 1.0) if inside else (Verdict.REFUTED, 0.0)
    gap = float(residual.mean())
    return row._replace(verdict=verdict, gap=gap, low=low, high=high, p_value=p)


def _test(step: Step, level: float) -> Test | Judged:
    """The sharp test where the cumulants are known, else the studentized one, or why it refuses.

    Of the mean over the steps that were added up.
    """
    residual, live = step.residual[step.live] / step.terms, step.live
    try:
        if step.variance is not None and step.third is not None:
            known = step.variance[live] / step.terms**2, step.third[live] / step.terms**3
            if step.quantity in RATIOS:
                return ratio_test(1 + residual, 1.0, *known)
            return contrast_test(residual, *known)
        if len(step.residual) == 1:
            return Judged(*_where(step), "t", Verdict.UNDECIDED, note=ONE)
        return studentized_test(residual, 0.0, level)
    except ValueError as refusal:
        few = isinstance(refusal, TooFewDraws)
        needed = ceil(refusal.needed * len(live) / len(residual)) if few else None
        return Judged(*_where(step), "t", Verdict.UNDECIDED, note=str(refusal), needed=needed)


def _row(
    step: Step,
    test: Test | Judged,
    p: float,
    margin: float,
    error_rate: float,
    false_pass: float,
    level: float,
) -> Judged:
    if isinstance(test, Judged):
        return test
    low, high = (float(bound) for bound in test.interval(2 * false_pass))
    verdict = decide_exact(p, low, high, margin, error_rate)
    kind = "drift" if step.terms > 1 else "exact" if isinstance(test, SharpTest) else "t"
    gap = float(test.estimate)
    row = Judged(*_where(step), kind, verdict, gap=gap, low=low, high=high, p_value=p)
    if verdict is Verdict.UNDECIDED:
        bounds = [float(b) for b in test.interval(level)] if step.exact else None
        return row._replace(
            needed=draws_to_decide(gap, low, high, margin, len(step.residual), bounds)
        )
    return row


def draws_to_decide(
    gap: float,
    low: float,
    high: float,
    margin: float,
    draws: int,
    refuting: Sequence[float] | None = None,
) -> int | None:
    """Draws at which the interval, narrower by 1/sqrt(draws), clears the margin on either side.

    `refuting` is the interval that refutes where it leaves 0 out: at the latest when both halves
    fit into the margin, any gap is either refuted or confirmed. None where no affordable number
    would decide: without it, at a gap that lies near the margin.
    """
    half = _half(gap, low, high)
    room = abs(margin - abs(gap))
    growth = max(1.0, half / room) if room > 0 else inf
    if refuting is not None:
        growth = min(growth, (half + _half(gap, *refuting)) / margin)
    if growth > MOST_GROWTH**0.5:
        return None
    return ceil(draws * growth**2)


def _half(gap: float, low: float, high: float) -> float:
    """The longer side of an interval, of those that end."""
    return max(side for side in (high - gap, gap - low) if side < inf)


def _where(step: Step) -> tuple[str, str, int, int | None]:
    return step.node, step.quantity, step.point, step.other
