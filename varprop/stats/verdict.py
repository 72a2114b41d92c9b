"""From tests to one of three answers.

A theory that claims to be exact is refuted by any significant difference; one that claims an
approximation, only by a difference that exceeds the margin.  Neither is confirmed by ignorance:
an interval that reaches beyond the margin leaves the claim undecided.
"""

from collections.abc import Iterable
from enum import StrEnum

from varprop.stats._checks import error_rate as rate
from varprop.stats.equivalence import locate


class Verdict(StrEnum):
    """What a claim is, after the draws.

    CONFIRMED   no test refutes it, and every interval lies inside the margin
    REFUTED     some test refutes it, at the stated error rate
    UNDECIDED   neither: too few draws, or no test that applies
    """

    CONFIRMED = "CONFIRMED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"


def decide_exact(
    p_adjusted: float, low: float, high: float, margin: float, error_rate: float
) -> Verdict:
    """An exact claim: REFUTED if p_adjusted <= error_rate, CONFIRMED if the interval is inside."""
    if not 0 <= p_adjusted <= 1:
        raise ValueError(f"p_adjusted must lie in [0, 1], got {p_adjusted}.")
    place = locate(low, high, margin)
    if p_adjusted <= rate("error_rate", error_rate):
        return Verdict.REFUTED
    return Verdict.CONFIRMED if place == "inside" else Verdict.UNDECIDED


def decide_equivalence(low: float, high: float, margin: float) -> Verdict:
    """A claim of "within the margin": by the place of its (1 - 2 level) interval alone."""
    return {
        "inside": Verdict.CONFIRMED,
        "outside": Verdict.REFUTED,
        "open": Verdict.UNDECIDED,
    }[locate(low, high, margin)]


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Any REFUTED refutes, all CONFIRMED confirm, anything else is UNDECIDED."""
    found = set(verdicts)
    if not found:
        raise ValueError("overall needs at least one verdict, got none. Nothing was tested.")
    if Verdict.REFUTED in found:
        return Verdict.REFUTED
    return Verdict.CONFIRMED if found == {Verdict.CONFIRMED} else Verdict.UNDECIDED
