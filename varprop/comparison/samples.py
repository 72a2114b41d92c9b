"""compare_samples: do two measurements of one network have the same law over draws?"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil

import numpy as np

from varprop.comparison.checks import check_alike, check_rates
from varprop.comparison.dead import LEAST, DeadShare, dead_draws, living
from varprop.comparison.decide import draws_to_decide
from varprop.comparison.report import Judged, Report
from varprop.comparison.rounding import PRECISION, tolerance
from varprop.moments import correlation
from varprop.montecarlo import Sample
from varprop.stats import (
    StudentizedTest,
    TooFewDraws,
    Verdict,
    decide_exact,
    holm,
    overall,
    spread_test,
    studentized_draws,
    two_sample_test,
)

Array = np.ndarray
Bounds = tuple[float, float]

SPREAD_MARGIN = 0.25


def compare_samples(
    a: Sample,
    b: Sample,
    *,
    margin: float = 0.05,
    error_rate: float = 1e-6,
    false_pass: float = 1e-4,
    spread_margin: float = SPREAD_MARGIN,
) -> Report:
    """Device against device, engine against engine, dtype against dtype, initializer against other.

    At each node: the mean and the spread of log q, for q the mean square of values and of
    gradients (log q is light-tailed where q is not, and E log q drops out of the difference), of
    E x / sqrt(E x^2), and of the correlation of pairs of inputs. Samples of one seed and engine are
    paired by draw, others are tested by Welch's rule. A gap is that of b against a: relative for
    lengths, exp(E log q_b - E log q_a) - 1, and for spreads, absolute for correlations.

    REFUTED: something differs at family-wise `error_rate` (Holm), beyond rounding where the laws of
    the weights and the dtypes are the same, beyond the margin where they are not. CONFIRMED: no gap
    differs, and all lie inside the `margin`, of spreads inside the `spread_margin`, each false with
    probability at most `false_pass`. UNDECIDED otherwise, with the draws that would decide.

    Where a node is dead in some draws, exactly 0 or below the range of floats, the share of these
    is compared (test "dead", by intervals of binomial rates, absolute), and log q of the draws that
    live, of paired draws where both do.

    Raises ValueError for samples of other networks or inputs, not finite, or of two engines and
    one seed, whose draws share random numbers in no order.
    """
    check_rates(margin, error_rate, false_pass, spread_margin=spread_margin)
    check_alike(a, b)
    claims = list(_claims(a, b, margin, spread_margin))
    rates = error_rate / len(claims), false_pass
    tested = [claim.tested(*rates) for claim in claims]
    adjusted = holm([row.p_value for row in tested], error_rate).adjusted
    rows = [
        claim.judged(row, float(p), error_rate)
        for claim, row, p in zip(claims, tested, adjusted, strict=True)
    ]
    return Report(
        overall(row.verdict for row in rows),
        tuple(rows),
        margin,
        error_rate,
        min(a.draws, b.draws),
        a.engine if a.engine == b.engine else f"{a.engine} against {b.engine}",
        a.seed,
        dead=dead_draws(a, b),
    )


@dataclass(frozen=True)
class _Claim:
    """That two columns (draws,) have the same mean, or the same spread, within `null`."""

    row: Judged
    a: Array
    b: Array
    paired: bool
    exact: bool  # whether only rounding counts as no difference
    drawn: int  # of which the columns have those that live
    null: Bounds  # differences that count as none
    margin: float
    relative: bool  # columns are logarithms
    rounding: float

    def tested(self, level: float, false_pass: float) -> Judged:
        if (sure := self._sure(level)) is not None:
            return sure
        spread = self.row.test == "spread"
        test = partial(spread_test if spread else two_sample_test, level=level, paired=self.paired)
        try:
            found = test(self.a, self.b)
            shift = float(np.clip(found.estimate, *self.null))
            p = 1.0 if shift == found.estimate else float(test(*self._moved(shift)).p_value)
        except TooFewDraws as refusal:
            return self.row._replace(note=str(refusal), needed=self._drawn(refusal.needed))
        except ValueError as refusal:
            return self.row._replace(note=str(refusal))
        return self._measured(found, p, level, false_pass)

    def _moved(self, shift: float) -> tuple[Array, Array]:
        """Columns that are alike where the two differ by `shift`: a spread is moved by scaling."""
        if self.row.test == "spread":
            return self.a * (1 + shift / 2), self.b * (1 - shift / 2)
        return self.a, self.b - shift

    def _sure(self, level: float) -> Judged | None:
        """The row where nothing fluctuates but by rounding, over enough draws to tell.

        Pairs that all agree to rounding are alike, however few they are.
        """
        h, gaps = self.rounding, np.array([self.b.mean() - self.a.mean()])
        still = max(np.ptp(self.a), np.ptp(self.b)) <= h
        if self.paired:
            gaps = self.b - self.a
            still = np.ptp(gaps) <= h
        most = min(h, *np.abs(self.null))
        agree = self.paired and np.abs(gaps).max() <= most
        if self.row.test == "spread":
            gaps, still = np.zeros(1), still or max(self.a.std(), self.b.std()) <= h
        enough = min(len(self.a), len(self.b)) >= studentized_draws(0.0, level)
        if not (agree or (still and enough)):
            return None
        low, middle, high = (self._gap(d) for d in (gaps.min(), gaps.mean(), gaps.max()))
        inside = self._gap(self.null[0]) <= middle <= self._gap(self.null[1])
        known = {"gap": middle, "low": low, "high": high, "p_value": 1.0 if inside else 0.0}
        return self.row._replace(**known, test="identity")

    def _measured(
        self, found: StudentizedTest, p: float, level: float, false_pass: float
    ) -> Judged:
        confirming, refuting = (
            [self._gap(float(bound)) for bound in found.interval(rate)]
            for rate in (2 * false_pass, level)
        )
        gap, null = self._gap(float(found.estimate)), 0.0 if self.exact else self.margin
        draws = min(len(self.a), len(self.b))
        needed = draws_to_decide(gap, confirming, refuting, self.margin, null, draws)
        low, high = confirming
        needed = None if needed is None else self._drawn(needed)
        return self.row._replace(gap=gap, low=low, high=high, p_value=p, needed=needed)

    def _drawn(self, living: int) -> int:
        """Draws of which about so many live."""
        return ceil(living * self.drawn / min(len(self.a), len(self.b)))

    def _gap(self, difference: float) -> float:
        log = self.relative and self.row.test != "spread"
        return float(np.expm1(difference) if log else difference)

    def judged(self, row: Judged, p: float, error_rate: float) -> Judged:
        """`row` with its verdict, given the adjusted p-value; only an open one needs more draws."""
        if row.note:
            return row
        verdict = decide_exact(p, row.low, row.high, self.margin, error_rate)
        needed = row.needed if verdict is Verdict.UNDECIDED else None
        return row._replace(verdict=verdict, p_value=p, needed=needed)


def _claims(
    a: Sample, b: Sample, margin: float, spread_margin: float
) -> Iterator["_Claim | DeadShare"]:
    paired = (a.seed, a.engine) == (b.seed, b.engine)
    draws = min(a.draws, b.draws) if paired else None
    same = a.dtype == b.dtype and list(a.network) == list(b.network)
    h = max(max(tolerance(s.dtype), PRECISION[s.dtype]) for s in (a, b))
    test = "paired" if paired else "welch"
    for node, quantity, index, x, y in _columns(a, b):
        x, y = x[:draws], y[:draws]
        point, other = index[0], index[1] if len(index) > 1 else None
        row = Judged(node, quantity, point, other, test, Verdict.UNDECIDED)
        row = row._replace(regime="exact" if same else "approximate")
        log, drawn = quantity.endswith("second_moment"), min(len(x), len(y))
        if log and (x.any() or y.any()):  # two signals that are always 0 are alike
            if min(x.min(), y.min()) < LEAST:
                yield DeadShare(row, x, y, paired, 0.0 if same else margin, margin)
                x, y = living(x, y, paired)
            if not (len(x) and len(y)):
                continue  # one sample is dead in every draw: the shares decide
            row = row._replace(value=_geometric(x), measured=_geometric(y))
            x, y = np.log(x), np.log(y)
        else:
            row = row._replace(value=float(x.mean()), measured=float(y.mean()))
        null = (np.log1p(-margin), np.log1p(margin)) if log else (-margin, margin)
        columns = x, y, paired, same, drawn
        yield _Claim(row, *columns, (-h, h) if same else null, margin, log, h)
        if log:
            null = (-h, h) if same else (-spread_margin, spread_margin)
            spread = row._replace(test="spread")
            yield _Claim(spread, *columns, null, spread_margin, log, h)


def _columns(a: Sample, b: Sample) -> Iterator[tuple[str, str, tuple[int, ...], Array, Array]]:
    """Node, quantity, point or pair, and the numbers of both samples, one for each draw."""
    backward = a.backward and b.backward
    for name, _, _ in a.network:
        for quantity in ("second_moment", "grad_second_moment")[: 1 + backward]:
            x, y = a.values(name, quantity), b.values(name, quantity)
            for p in range(a.points):
                yield name, quantity, (p,), x[:, p], y[:, p]
        means = [_share(s.values(name, "mean"), s.values(name, "second_moment")) for s in (a, b)]
        for p in range(a.points):
            yield name, "mean", (p,), means[0][:, p], means[1][:, p]
        if a.points > 1:
            x, y = (np.nan_to_num(correlation(s.records[name].second)) for s in (a, b))
            for p, o in zip(*np.triu_indices(a.points, 1), strict=True):
                yield name, "correlation", (int(p), int(o)), x[:, p, o], y[:, p, o]


def _geometric(x: Array) -> float:
    return float(np.exp(np.log(x).mean()))


def _share(mean: Array, square: Array) -> Array:
    """E x / sqrt(E x^2), in [-1, 1]; 0 of a dead layer."""
    return np.where(square > 0, mean / np.sqrt(np.where(square > 0, square, 1.0)), 0.0)
