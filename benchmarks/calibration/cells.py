"""What is measured: each cell is one question at one setting, `measure(seed)` its counts.

A row of a result has `what` was asked, its nominal rate, `count` events of `trials` samples, and
whether the nominal rate is kept: the Clopper-Pearson interval at error rate DOUBT reaches it.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmarks.calibration.setting import Setting
from benchmarks.calibration.slices import Residuals, judged, sharp, slices
from varprop.comparison.report import Judged
from varprop.stats import Verdict, binomial_interval, overall

Row = dict[str, Any]

DOUBT = 1e-4  # of a row that says a nominal rate is not kept
SHOWN = 0.05  # of the intervals in tables and figures
HARDLY = 1e-3  # beyond the margin by this part of it, a theory is wrong by the margin


def row(what: str, nominal: float | None, count: int, trials: int, at_least: bool = False) -> Row:
    """`at_least`: the nominal rate is one to reach; else it is one not to exceed. None: neither."""
    low, high = binomial_interval(count, trials, DOUBT)
    kept = nominal is None or (high >= nominal if at_least else low <= nominal)
    shown = binomial_interval(count, trials, SHOWN)
    return {
        "what": what,
        "nominal": nominal,
        "count": count,
        "trials": trials,
        "rate": count / trials,
        "low": shown[0],
        "high": shown[1],
        "kept": kept,
    }


@dataclass(frozen=True)
class Size:
    """How often a true theory is REFUTED at each nominal family-wise error rate."""

    kind: ClassVar[str] = "size"
    setting: Setting
    draws: int
    samples: int
    levels: tuple[float, ...] = (5e-2, 1e-2, 1e-3)

    def measure(self, seed: int) -> list[Row]:
        refuted: Counter[float] = Counter()
        untested: Counter[float] = Counter()
        rows = 0
        for piece in slices(self.setting, self.setting.network(), self.draws, self.samples, seed):
            found = self._judged(piece)
            for level, judgement in found.items():
                refuted[level] += any(r.p_value <= level / 2 for r in judgement)
                untested[level] += sum(bool(r.note) for r in judgement)
            rows += len(next(iter(found.values())))
        return [
            row("refuted", level, refuted[level], self.samples)
            | {"untested": untested[level] / rows}
            for level in self.levels
        ]

    def _judged(self, piece: Residuals) -> dict[float, list[Judged]]:
        """By level; p-values are adjusted, and each of the two families has half the rate."""
        if sharp(piece):
            once = list(judged(piece, max(self.levels)))
            return dict.fromkeys(self.levels, once)
        return {level: list(judged(piece, level)) for level in self.levels}


@dataclass(frozen=True)
class Certification:
    """How often a theory is CONFIRMED that is wrong by hardly more than the margin.

    The variances of the `planted` layers are 1 + sign margin (1 + HARDLY) times those of theory.
    """

    kind: ClassVar[str] = "certification"
    setting: Setting
    draws: int
    samples: int
    planted: str
    sign: int = 1
    margin: float = 0.05
    rates: tuple[float, ...] = (5e-2, 1e-2)
    error_rate: float = 1e-6

    def measure(self, seed: int) -> list[Row]:
        off = self.sign * self.margin * (1 + HARDLY)
        truth = self.setting.network(1 + off, self.planted)
        confirmed: Counter[float] = Counter()
        for piece in slices(self.setting, truth, self.draws, self.samples, seed):
            for rate in self.rates:
                rows = judged(piece, self.error_rate, self.margin, rate)
                confirmed[rate] += overall(r.verdict for r in rows) is Verdict.CONFIRMED
        return [row("confirmed", rate, confirmed[rate], self.samples) for rate in self.rates]
