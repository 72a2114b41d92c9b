"""Claims of "within the margin": certified by an interval at one level, refuted by a wider one."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from figures.results import ERROR_RATE, Claim, Results, percent
from varprop.stats import Verdict, decide_equivalence, overall, studentized_test

Interval = Callable[[float], tuple[Any, Any]]


class Placed(NamedTuple):
    """The verdict, the ends of the interval that certifies, and why there is none."""

    verdict: Verdict
    low: float = -math.inf
    high: float = math.inf
    refusal: str = ""


def equivalence(interval: Interval, margin: float, level: float, tests: int = 1) -> Placed:
    """`interval(level)` has coverage 1 - level, or raises ValueError for a sample too poor for it.

    CONFIRMED where the interval at `level` is inside, so falsely with probability level/2 at most;
    REFUTED where that at ERROR_RATE/`tests` (of one claim) is outside too; else UNDECIDED.
    """
    try:
        low, high = map(float, interval(level))
    except ValueError as refusal:
        return Placed(Verdict.UNDECIDED, refusal=str(refusal))
    verdict = decide_equivalence(low, high, margin)
    if verdict == Verdict.REFUTED and not _surely_outside(interval, margin, tests):
        verdict = Verdict.UNDECIDED
    return Placed(verdict, low, high)


def _surely_outside(interval: Interval, margin: float, tests: int) -> bool:
    try:
        low, high = map(float, interval(ERROR_RATE / tests))
    except ValueError:
        return False
    return decide_equivalence(low, high, margin) == Verdict.REFUTED


def mean_is(sample: np.ndarray, mean: float, margin: float, level: float, tests: int = 1) -> Placed:
    """E sample = mean within +-margin, for independent draws (draws,); the ends are of the gap."""
    return equivalence(
        lambda rate: studentized_test(sample, mean, rate).interval(rate), margin, level, tests
    )


def all_within(placed: Sequence[Placed], statement: str, panel: str, series: str = "") -> Claim:
    """The claim that stands on all of these; its evidence is the interval that reaches farthest."""
    refusals = [one.refusal for one in placed if one.refusal]
    ends = [end for one in placed if not one.refusal for end in (one.low, one.high)]
    far = float(max(ends, key=abs, default=0.0))
    evidence = refusals[0] if refusals else f"Widest interval reaches {percent(far)}"
    verdict = overall(one.verdict for one in placed)
    return Claim(statement, str(verdict), evidence, panel, series, far, ERROR_RATE)


def false_alarms(run: Sequence[Results]) -> str:
    """How often true claims of one run are REFUTED by chance: the sum of their rates.

    Without the claims on saved studies, which a run reads and does not draw.
    """
    drawn = [results for results in run if "study" not in results.about]
    claims = [claim for results in drawn for claim in results.claims]
    stated = [claim.error_rate for claim in claims if claim.error_rate is not None]
    total = math.fsum(stated)
    place = 10.0 ** (math.floor(math.log10(total)) - 1) if total else 1.0
    bound = math.ceil(total / place - 1e-9) * place
    text = (
        f"were all {len(claims)} claims true, one or more of them would be REFUTED by chance with "
        f"probability {bound:.2g} at most"
    )
    rest = len(claims) - len(stated)
    text += f", but for the {rest} that state no rate" if rest else ""
    return text + (" (claims on saved studies apart)" if len(drawn) < len(run) else "")
