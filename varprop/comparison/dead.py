"""Dead draws of two samples: how many there are, and the draws that live."""

from dataclasses import dataclass

import numpy as np

from varprop.comparison.decide import draws_to_decide
from varprop.comparison.report import Judged
from varprop.montecarlo import Sample
from varprop.stats import RateDifference, Verdict, decide_exact

Array = np.ndarray

LEAST = 1e-300  # smaller lengths have lost digits, and their logarithms with them


def living(x: Array, y: Array, paired: bool) -> tuple[Array, Array]:
    """The lengths of the draws that live, of paired ones where both do."""
    here, there = x >= LEAST, y >= LEAST
    if paired:
        here = there = here & there
    return x[here], y[there]


@dataclass(frozen=True)
class DeadShare:
    """That the same share of draws is dead in both columns (draws,) of lengths.

    Of paired draws, those count that are dead in one of the two alone: their shares have the same
    difference. A share may differ by up to `null`.
    """

    row: Judged
    a: Array
    b: Array
    paired: bool
    null: float
    margin: float

    def tested(self, level: float, false_pass: float) -> Judged:
        a, b = self.a < LEAST, self.b < LEAST
        row = self.row._replace(test="dead", value=float(a.mean()), measured=float(b.mean()))
        one, other = (a & ~b, b & ~a) if self.paired else (a, b)
        if self.paired and not (one.any() or other.any()):
            return row._replace(gap=0.0, low=0.0, high=0.0, p_value=1.0, test="identity")
        found = RateDifference(int(one.sum()), len(a), int(other.sum()), len(b))
        gap, refuting = found.estimate, found.interval(level)
        low, high = found.interval(2 * false_pass)
        draws = min(len(a), len(b))
        needed = draws_to_decide(gap, (low, high), refuting, self.margin, self.null, draws)
        p = found.p_value(self.null)
        return row._replace(gap=gap, low=low, high=high, p_value=p, needed=needed)

    def judged(self, row: Judged, p: float, error_rate: float) -> Judged:
        """`row` with its verdict, given the adjusted p-value."""
        verdict = decide_exact(p, row.low, row.high, self.margin, error_rate)
        needed = row.needed if verdict is Verdict.UNDECIDED else None
        return row._replace(verdict=verdict, p_value=p, needed=needed)


def dead_draws(a: Sample, b: Sample) -> int:
    """Draws of the sample that has more of them, in which a signal that lives in others is 0."""
    dead = [np.zeros(s.draws, bool) for s in (a, b)]
    for name, _, _ in a.network:
        squares = [s.values(name, "second_moment") for s in (a, b)]
        lives = np.any([(q >= LEAST).any(0) for q in squares], axis=0)
        for found, q in zip(dead, squares, strict=True):
            found |= ((q < LEAST) & lives).any(1)
    return max(int(found.sum()) for found in dead)
