"""The outcome of a comparison: one row per tested number, and one verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan, nan
from typing import NamedTuple

from varprop.results import Result
from varprop.stats import Look, Verdict


class Judged(NamedTuple):
    """One tested number: `gap` is measured against expected, relative to the size of the signal.

    `low`, `high` bound the gap; `p_value` is adjusted for the number of tests; `test` says how it
    was decided: "exact" and "t" are steps from the layer below, "drift" their sum over the depth
    (gap per layer), "depth" the prediction itself, "identity" a check without error. `needed`:
    the networks that would decide an undecided row, if its gap stays what it is, or that its test
    asks for.
    """

    node: str
    quantity: str
    point: int
    other: int | None
    test: str
    verdict: Verdict
    regime: str = "exact"
    value: float = nan
    measured: float = nan
    gap: float = nan
    low: float = nan
    high: float = nan
    p_value: float = 1.0
    note: str = ""
    needed: int | None = None


@dataclass(frozen=True, repr=False, eq=False)
class Report(Result):
    """`verdict`, and the rows behind it; `worst` is the row that decided.

    A run in batches looked `looks` times at its `draws` networks and might have drawn `budget`.
    `error_rate` is that of the whole run, `at` the levels at which its last look judged the rows.
    """

    verdict: Verdict
    judged: tuple[Judged, ...]
    margin: float
    error_rate: float
    draws: int
    engine: str
    seed: int
    dead: int = 0  # networks in which a signal that should live is exactly zero
    looks: int = 1
    budget: int | None = None
    at: Look | None = None

    @property
    def needed(self) -> int | None:
        """The networks that would decide every undecided row; None where no number would."""
        wanted = [row.needed for row in self.judged if row.verdict is Verdict.UNDECIDED]
        known = [n for n in wanted if n is not None]
        return max(known) if known and len(known) == len(wanted) else None

    @property
    def exhausted(self) -> bool:
        """Whether the budget ended before every row was decided."""
        return self.verdict is Verdict.UNDECIDED and self.draws == self.budget

    @property
    def settled(self) -> bool:
        """Whether more networks would not help: all is decided that networks can decide."""
        undecided = [row for row in self.judged if row.verdict is Verdict.UNDECIDED]
        hopeless = all(row.note and row.needed is None for row in undecided)
        return self.verdict is Verdict.REFUTED or hopeless

    def rows(self) -> Iterator[Judged]:
        return iter(self.judged)

    @property
    def worst(self) -> Judged:
        """The most damning row: refuted before undecided before confirmed, then smallest p."""
        order = (Verdict.REFUTED, Verdict.UNDECIDED, Verdict.CONFIRMED)
        return min(
            self.judged,
            key=lambda row: (order.index(row.verdict), row.p_value, -abs(row.gap)),
        )

    def __str__(self) -> str:
        row = self.worst
        where = row.quantity + ("" if row.other is None else f"[{row.point},{row.other}]")
        note = f"; {row.note}" if row.note else ""
        if self.exhausted:
            note += "; the budget ended"
        if self.verdict is Verdict.UNDECIDED and self.needed is not None:
            note += f"; about {self.needed} networks would decide"
        dead = f", {self.dead} dead" if self.dead else ""
        looks = f" in {self.looks} looks" if self.looks > 1 else ""
        gap = f"gap {row.gap:+.2%} in [{row.low:+.2%}, {row.high:+.2%}]"
        return (
            f"{self.verdict}: worst {row.node} {where}, {'not tested' if isnan(row.gap) else gap}, "
            f"margin {100 * self.margin:g}%, error rate "
            f"{self.error_rate:.0e}, {self.draws} networks{dead}{looks} "
            f"({self.engine}, seed {self.seed}), {row.test} test{note}"
        )
