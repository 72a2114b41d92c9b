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
        refuting = [float(bound) for bound in test.interval(level)]
        null = 0.0 if step.exact else margin
        draws = len(step.residual)
        needed = draws_to_decide(gap, (low, high), refuting, margin, null, draws)
        return row._replace(needed=needed)
    return row


def draws_to_decide(
    gap: float,
    confirming: Sequence[float],
    refuting: Sequence[float],
    margin: float,
    null: float,
    draws: int,
) -> int | None:
    """Draws that decide a gap that stays what it is, as intervals narrow by 1/sqrt(draws).

    It is confirmed where the interval `confirming` lies inside the margin, refuted where the
    interval `refuting` leaves out all differences up to `null`. A gap inside the margin may be
    noise and is not taken to be refuted before any gap is decided, which is where both halves
    together fit between null and margin. None where no affordable number decides, as of a gap at
    the margin where null is the margin, or of one beyond it where nothing refutes (null = inf).
    """
    size = abs(gap)
    half, wide = _half(gap, *confirming), _half(gap, *refuting)
    growth = inf
    if size < margin:
        growth = half / (margin - size)
    elif size > null:
        growth = wide / (size - null)
    if null < margin:
        growth = min(growth, (half + wide) / (margin - null))
    if growth > MOST_GROWTH**0.5:
        return None
    return max(draws + 1, ceil(draws * growth**2))


def _half(gap: float, low: float, high: float) -> float:
    """The longer side of an interval, of those that end."""
    return max(side for side in (high - gap, gap - low) if side < inf)


def _where(step: Step) -> tuple[str, str, int, int | None]:
    return step.node, step.quantity, step.point, step.other
