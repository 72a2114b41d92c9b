"""Claims of "between bounds": certified by an interval at one level, refuted by a wider one."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from figures.results import ERROR_RATE, Claim, Results, percent
from varprop.stats import Verdict, binomial_interval, overall, studentized_test

Interval = Callable[[float], tuple[Any, Any]]


class Placed(NamedTuple):
    """The verdict, the ends of the interval that certifies, and why there is none."""

    verdict: Verdict
    low: float = -math.inf
    high: float = math.inf
    refusal: str = ""


def within(interval: Interval, bounds: tuple[float, float], level: float, tests: int = 1) -> Placed:
    """`interval(level)` has coverage 1 - level, or raises ValueError for a sample too poor for it.

    CONFIRMED where the interval at `level` is between the bounds, one of which may be infinite, so
    falsely with probability level/2 at most; REFUTED where that at ERROR_RATE/`tests` (of one
    claim) is outside too; else UNDECIDED.
    """
    try:
        low, high = map(float, interval(level))
    except ValueError as refusal:
        return Placed(Verdict.UNDECIDED, refusal=str(refusal))
    if bounds[0] < low and high < bounds[1]:
        return Placed(Verdict.CONFIRMED, low, high)
    refuted = _outside(low, high, bounds) and _surely_outside(interval, bounds, tests)
    return Placed(Verdict.REFUTED if refuted else Verdict.UNDECIDED, low, high)


def _surely_outside(interval: Interval, bounds: tuple[float, float], tests: int) -> bool:
    try:
        low, high = map(float, interval(ERROR_RATE / tests))
    except ValueError:
        return False
    return _outside(low, high, bounds)


def _outside(low: float, high: float, bounds: tuple[float, float]) -> bool:
    return high < bounds[0] or low > bounds[1]


def equivalence(interval: Interval, margin: float, level: float, tests: int = 1) -> Placed:
    """A difference is within +-margin."""
    return within(interval, (-margin, margin), level, tests)


def share_within(
    count: int, of: int, bounds: tuple[float, float], level: float, tests: int = 1
) -> Placed:
    """A probability is between the bounds, by `count` of `of` independent trials."""
    return within(lambda rate: binomial_interval(count, of, rate), bounds, level, tests)


def mean_is(sample: np.ndarray, mean: float, margin: float, level: float, tests: int = 1) -> Placed:
    """E sample = mean within +-margin, for independent draws (draws,); the ends are of the gap."""
    return mean_within(sample, mean, (-margin, margin), level, tests)


def mean_within(
    sample: np.ndarray, mean: float, bounds: tuple[float, float], level: float, tests: int = 1
) -> Placed:
    """E sample - mean is between the bounds, for independent draws (draws,)."""
    return within(
        lambda rate: studentized_test(sample, mean, rate).interval(rate), bounds, level, tests
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
