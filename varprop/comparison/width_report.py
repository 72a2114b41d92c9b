"""The outcome of a width study: gaps at several widths, their fit, and the verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from varprop.comparison.width_gaps import Measured
from varprop.results import Result
from varprop.stats import Verdict, WidthFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class WidthRow(NamedTuple):
    """One width: `value` measured over networks, `gap` to `predicted` in units of the signal."""

    node: str
    quantity: str
    width: int
    value: float
    predicted: float
    gap: float
    standard_error: float
    fitted: float


@dataclass(frozen=True, eq=False, repr=False)
class WidthStudy(Result):
    """Gaps at several widths and their `fit` (None where there is none, for the reason `note`).

    `limit` and `rate` are the estimates with their intervals (value, low, high); `p_values` of
    a = 0 and k = the stated one, adjusted by Holm.
    """

    verdict: Verdict
    node: str
    quantity: str
    stated: float
    measured: tuple[Measured, ...]
    draws: int
    seed: int
    engine: str
    margin: float
    error_rate: float
    fit: WidthFit | None = None
    limit: tuple[float, float, float] = (0.0, -inf, inf)
    rate: tuple[float, float, float] = (0.0, 0.0, inf)
    p_values: tuple[float, float] = (1.0, 1.0)
    note: str = ""

    def rows(self) -> Iterator[WidthRow]:
        for m in self.measured:
            fitted = float("nan") if self.fit is None else float(self.fit(m.width))
            numbers = m.value, m.predicted, m.gap, m.error, fitted
            yield WidthRow(self.node, self.quantity, m.width, *numbers)

    def plot(self, quantity: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """|gap| against the width with two standard errors, and the fit, on logarithmic axes."""
        import matplotlib.pyplot as plt

        if quantity not in (None, self.quantity):
            raise ValueError(f"no {quantity!r} in this study; it has {self.quantity}")
        axes = plt.subplots(figsize=(4, 3))[1] if ax is None else ax
        widths = np.array([m.width for m in self.measured])
        gaps, errors = (np.array([getattr(m, f) for m in self.measured]) for f in ("gap", "error"))
        axes.errorbar(widths, np.abs(gaps), 2 * errors, fmt="o", markersize=3, label="measured")
        if self.fit is not None:
            fine = np.geomspace(widths.min(), widths.max(), 100)
            label = f"b/n^{self.stated:g} + c/n^{self.stated + 1:g}"
            axes.plot(fine, np.abs(self.fit(fine)), linewidth=1, label=label)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("width")
        axes.set_ylabel(f"gap of {self.quantity}")
        axes.legend()
        return axes

    def __str__(self) -> str:
        widths = [m.width for m in self.measured]
        found = (
            f"{self.verdict}: the gap of {self.node} {self.quantity} vanishes as n^-{self.stated:g}"
        )
        if self.fit is not None:
            a, k = self.limit, self.rate
            found += (
                f": limit {a[0]:+.2%} in [{a[1]:+.2%}, {a[2]:+.2%}], rate {k[0]:.2f} in "
                f"[{k[1]:.2f}, {k[2]:.2f}], fit p = {self.fit.misfit_p:.2g}"
            )
        note = f"; {self.note}" if self.note else ""
        return (
            f"{found}, margin {100 * self.margin:g}%, error rate {self.error_rate:.0e}, "
            f"{self.draws} networks of each width {widths[0]} to {widths[-1]} ({self.engine}, "
            f"seed {self.seed}){note}"
        )
