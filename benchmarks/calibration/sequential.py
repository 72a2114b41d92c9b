"""The whole of `verify`, which draws until it has decided: its error rates and its draws."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar
from unittest.mock import patch

import numpy as np

import varprop as vp
from benchmarks.calibration.cells import Row, row
from benchmarks.calibration.setting import Setting
from varprop.stats import Verdict


@dataclass(frozen=True)
class Sequential:
    """How often a run ends in the wrong verdict, and after how many draws on average.

    `discrepancy` is that of the variances of all layers: 0 asks for REFUTED though the theory is
    true, one inside the margin for neither, one beyond it for CONFIRMED though the theory is wrong.
    The planted fault is in the theory: verify draws its own network and judges another's.
    """

    kind: ClassVar[str] = "sequential"
    setting: Setting
    discrepancy: float
    samples: int
    margin: float = 0.05
    error_rate: float = 0.05
    false_pass: float = 0.05

    def measure(self, seed: int) -> list[Row]:
        streams = np.random.SeedSequence(seed).generate_state(self.samples)
        with planted(self.setting.predict()):
            reports = [self._run(int(stream)) for stream in streams]
        draws = np.array([report.draws for report in reports], float)
        wrong = Verdict.REFUTED if self.discrepancy == 0 else Verdict.CONFIRMED
        nominal = self.error_rate if self.discrepancy == 0 else self.false_pass
        count = sum(report.verdict is wrong for report in reports)
        found = {
            "draws": float(draws.mean()),
            "draws_error": float(draws.std(ddof=1) / len(draws) ** 0.5),
            "decided": sum(r.verdict is not Verdict.UNDECIDED for r in reports) / len(reports),
        }
        return [row(wrong.lower(), nominal, count, self.samples) | found]

    def _run(self, seed: int) -> vp.Report:
        network = self.setting.network(1 + self.discrepancy, "all")
        rates = {"error_rate": self.error_rate, "false_pass": self.false_pass}
        how = {"engine": self.setting.engine, "device": "cpu", "progress": False}
        points = self.setting.points()
        return vp.verify(network, points, margin=self.margin, seed=seed, **rates, **how)


@contextmanager
def planted(theory: vp.Prediction) -> Iterator[None]:
    """Within, `verify` judges this theory, whatever network it draws."""
    module = import_module("varprop.comparison.verify")
    with patch.object(module, "predict", lambda *_: theory):
        yield
