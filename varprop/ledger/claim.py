"""What a claim is, and what running it gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

from varprop.stats import Verdict


@dataclass(frozen=True)
class Settings:
    """How the ledger is run. `scale` multiplies the draws: 1 for the quick profile."""

    seed: int = 0
    device: str = "auto"
    scale: float = 1.0

    def draws(self, quick: int) -> int:
        """The draws of an experiment that takes `quick` of them in the quick profile."""
        return int(quick * self.scale)


class Series(NamedTuple):
    """What is plotted for a piece of evidence: predicted line, measured points with bounds."""

    label: str
    x: tuple[float, ...]
    predicted: tuple[float, ...] | None
    measured: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Evidence:
    """One experiment of a claim: what was done, what it says of the statement, its numbers."""

    name: str
    verdict: Verdict
    summary: str
    figures: dict[str, float] = field(default_factory=dict)
    series: tuple[Series, ...] = ()
    axes: tuple[str, str] = ("layer", "second moment")

    def __post_init__(self) -> None:
        for series in self.series:
            lengths = {len(values) for values in series[1:] if values is not None}
            if len(lengths) > 1 or 0 in lengths or not all(map(isfinite, series.x)):
                raise ValueError(
                    f"series {series.label!r} of {self.name!r} has columns of lengths "
                    f"{sorted(lengths)} over x = {list(series.x)}; give one value of each "
                    "for every x, and finite x"
                )


Experiment = Callable[[Settings], Evidence]


@dataclass(frozen=True)
class Claim:
    """A statement of the literature, with its proof and its experiments.

    `rows` are the source rows it answers; `derivation` names the proof in `derivations`;
    `expected` is the verdict on the statement as written: REFUTED for folklore that is wrong.
    """

    name: str
    title: str
    statement: str
    source: str
    derivation: str
    experiments: tuple[Experiment, ...]
    rows: tuple[str, ...] = ()
    expected: Verdict = Verdict.CONFIRMED
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """A claim after its run. `proved`: the derivation verified (it may prove the refutation).

    `proof` is the derivation's text; `failure` says why it did not verify.
    """

    claim: Claim
    proved: bool
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    seconds: float
    proof: str = ""
    failure: str = ""

    @property
    def as_expected(self) -> bool:
        return self.proved and self.verdict is self.claim.expected
