"""Power against the number of networks, beside the design that `draws_needed` makes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from scipy.optimize import brentq

from benchmarks.calibration.cells import Row, row
from benchmarks.calibration.setting import Setting
from benchmarks.calibration.slices import judged, slices
from varprop.comparison.judge import drifts
from varprop.stats import Verdict, draws_needed, overall, smallest_detectable

LEAST_MISSED, MOST_MISSED = 1e-9, 0.499  # designs are made for powers above one half


@dataclass(frozen=True)
class Design:
    """A test of a mean ratio of relative variance `variance` in one draw, one among `tests`."""

    variance: float
    error_rate: float
    tests: int

    def draws(self, discrepancy: float, power: float) -> int:
        rates = self.error_rate, 1 - power
        return draws_needed(discrepancy, self.variance, *rates, tests=self.tests)

    def power(self, discrepancy: float, draws: int) -> float | None:
        """None below one half."""

        def beyond(missed: float) -> float:
            rates = self.error_rate, missed
            seen = smallest_detectable(draws, self.variance, *rates, tests=self.tests)
            return seen - discrepancy

        if beyond(MOST_MISSED) > 0:
            return None
        if beyond(LEAST_MISSED) < 0:
            return 1 - LEAST_MISSED
        return 1 - float(brentq(beyond, LEAST_MISSED, MOST_MISSED))


@dataclass(frozen=True)
class Power:
    """How often a theory is REFUTED whose variances are off by `discrepancy` in `planted` layers.

    The design looks straight at the fault: at the pre-activations of the faulty layer, of relative
    variance 2/n, one row among all steps; or at their sum over the layers, 2/(n layers), one among
    the drifts. Values and tangents each have such a row, so the measured power may only be higher.
    `parts`: numbers of draws, relative to those of power 1/2.
    """

    kind: ClassVar[str] = "power"
    setting: Setting
    discrepancy: float
    planted: str
    samples: int
    error_rate: float = 1e-6
    parts: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)

    def measure(self, seed: int) -> list[Row]:
        design = self.design(seed)
        half = design.draws(self.discrepancy, 1 - MOST_MISSED)
        return [
            self._row(design, round(part * half), seed + k) for k, part in enumerate(self.parts)
        ]

    def design(self, seed: int) -> Design:
        piece = next(self._pieces(2, 1, seed))
        sums, n = drifts(piece), self.setting.width
        share = self.error_rate / 2
        if self.planted == "all":
            return Design(2 / n / (self.setting.depth + 1), share, len(sums))
        return Design(2 / n, share, len(piece))

    def _row(self, design: Design, draws: int, seed: int) -> Row:
        refuted = sum(
            overall(r.verdict for r in judged(piece, self.error_rate)) is Verdict.REFUTED
            for piece in self._pieces(draws, self.samples, seed)
        )
        expected = design.power(self.discrepancy, draws)
        found = row("refuted", expected, refuted, self.samples, at_least=True)
        return found | {"draws": draws}

    def _pieces(self, draws: int, samples: int, seed: int) -> Iterator:
        truth = self.setting.network(1 + self.discrepancy, self.planted)
        return slices(self.setting, truth, draws, samples, seed)
