"""width_study: does the gap between networks and theory vanish with the width, at its rate?"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from varprop.comparison.checks import check_numeric, check_rates
from varprop.gaussian import is_finite_real
from varprop.montecarlo import Sample, simulate
from varprop.montecarlo.devices import whole
from varprop.montecarlo.sample import FLUCTUATIONS
from varprop.network import Network
from varprop.results import Result
from varprop.stats import (
    UnresolvedGap,
    Verdict,
    WidthFit,
    fit_widths,
    holm,
    locate,
    studentized_test,
    tail_guard,
)
from varprop.stats.extrapolation import FEWEST_WIDTHS, check_terms
from varprop.theory import Prediction, predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray

PAIRS = ("cross_moment", "grad_cross_moment", "correlation")
QUANTITIES = ("mean", "second_moment", "grad_second_moment", *PAIRS, *FLUCTUATIONS)
RATE_MARGIN = 0.5
CURVED = (
    "no sum b/n^k + c/n^(k+1) fits these gaps, with any k or limit: more terms are needed; take "
    "wider networks"
)


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


class _Measured(NamedTuple):
    width: int
    value: float
    predicted: float
    gap: float
    error: float


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
    measured: tuple[_Measured, ...]
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


def width_study(
    build: Callable[[int], Network],
    widths: Sequence[int],
    quantity: str = "second_moment",
    *,
    node: str,
    draws: int,
    seed: int,
    order: int = 0,
    rate: float | None = None,
    terms: int = 2,
    inputs: Callable[[Network], Any] | None = None,
    margin: float = 0.05,
    rate_margin: float = RATE_MARGIN,
    error_rate: float = 1e-6,
    false_pass: float = 1e-4,
    engine: str = "auto",
    device: str = "auto",
) -> WidthStudy:
    """Fit gap(n) = a + b/n^k + c/n^(k+1), measured minus predicted, over networks `build(n)`.

    `terms` = 1 leaves c out: more power, for widths where the next term is below the errors.

    The prediction is that of `order` 0, the limit (0 for a length_fluctuation), or 1, with its 1/n
    term; the stated `rate` k is order + 1. Gaps are in units of the limit, of a length_fluctuation
    as they are. `inputs` makes the data of each network; of pairs, the first is taken. A
    correlation c is tested by E x x' - c E x^2, not by its biased mean over networks. Each width
    has `draws` networks of its own seed.

    REFUTED: a is not 0 or k not the stated one, at family-wise `error_rate`, and so without the
    narrowest width. CONFIRMED: neither, a sum of this form fits, a lies inside the `margin` and k
    within the `rate_margin` of the stated one, each false with probability at most `false_pass`.
    UNDECIDED otherwise, with the reason.

    Raises ValueError for fewer than four widths, symbols, and quantities without a mean to compare.
    """
    check_rates(margin, error_rate, false_pass)
    stated = _rate(order, rate, rate_margin)
    check_terms(terms)
    sizes = _widths(widths)
    if not callable(build) or not (inputs is None or callable(inputs)):
        raise ValueError(
            "build makes a network of a width, and inputs (or None) data of a network; got "
            f"{type(build).__name__} and {type(inputs).__name__}; pass functions, such as "
            "lambda n: varprop.mlp(n, 10)"
        )
    if quantity not in QUANTITIES:
        raise ValueError(
            f"a width study compares averages over networks of {', '.join(QUANTITIES)}; got "
            f"{quantity!r}"
        )
    measured, notes, used = [], [], engine
    for n in sizes:
        network = build(n)
        x = None if inputs is None else inputs(network)
        theory = predict(network, x, order=order)
        check_numeric(theory)
        if quantity in PAIRS and theory.points < 2:
            raise ValueError(
                f"{quantity} is of two inputs, got {theory.points}; pass inputs=, a function that "
                "makes an array (2, size) for each network"
            )
        own = int(np.random.SeedSequence((whole("seed", seed, least=0), n)).generate_state(1)[0])
        how: dict[str, Any] = {"engine": engine, "device": device, "seed": own}
        sample = simulate(network, x, draws=draws, backward="grad" in quantity, **how)
        found, note = _gap(theory, sample, node, quantity, n, error_rate / 2)
        measured.append(found)
        notes += [note] if note else []
        used = sample.engine
    known = (node, quantity, stated, tuple(measured), draws, seed, used, margin, error_rate)
    if notes:
        return WidthStudy(Verdict.UNDECIDED, *known, note=notes[0])
    try:
        fit = _fit(measured, stated, terms, error_rate)
    except UnresolvedGap as refusal:
        return WidthStudy(Verdict.UNDECIDED, *known, note=str(refusal))
    return _judged(known, fit, measured, rate_margin, false_pass)


def _judged(
    known: tuple, fit: WidthFit, measured: list[_Measured], rate_margin: float, false_pass: float
) -> WidthStudy:
    stated, margin, error_rate = fit.stated, known[-2], known[-1]
    raw = np.array([fit.limit_p, fit.rate_p])
    if len(measured) > FEWEST_WIDTHS:  # what the narrowest width alone says may be a higher term
        try:
            rest = _fit(measured[1:], stated, len(fit.amplitude), error_rate)
            raw = np.maximum(raw, [rest.limit_p, rest.rate_p])
        except UnresolvedGap:
            raw = np.ones(2)
    adjusted, rejected = holm(raw, error_rate)
    limit = fit.limit, *fit.limit_interval(2 * false_pass)
    rate = fit.best, *fit.rate_interval(2 * false_pass)
    fits = fit.misfit_p > error_rate
    explained = max(fit.limit_fit_p, fit.rate_fit_p) > error_rate
    note = ""
    if rejected.any() and explained:
        verdict = Verdict.REFUTED
        said = [("the limit is not 0", rejected[0]), (f"the rate is not {stated:g}", rejected[1])]
        note = " or ".join(text for text, is_so in said if is_so)
    elif not fits:
        verdict, note = Verdict.UNDECIDED, CURVED
    elif locate(limit[1], limit[2], margin) == "inside" and (
        rate[1] > stated - rate_margin and rate[2] < stated + rate_margin
    ):
        verdict = Verdict.CONFIRMED
    else:
        verdict = Verdict.UNDECIDED
        note = "the interval of the limit or of the rate is too wide: more draws, or more widths"
    p = float(adjusted[0]), float(adjusted[1])
    return WidthStudy(verdict, *known, fit=fit, limit=limit, rate=rate, p_values=p, note=note)


def _fit(measured: Sequence[_Measured], stated: float, terms: int, error_rate: float) -> WidthFit:
    columns = [np.array([getattr(m, f) for m in measured]) for f in ("width", "gap", "error")]
    return fit_widths(*columns, stated=stated, terms=terms, level=min(error_rate, 1e-3))


def _gap(
    theory: Prediction, sample: Sample, node: str, quantity: str, width: int, level: float
) -> tuple[_Measured, str]:
    """The gap in units of the limit, or why it has no honest error."""
    column, expected, unit = _column(theory, sample, node, quantity)
    mean = float(column.mean())
    error = float(column.std(ddof=1) / len(column) ** 0.5)
    gap = (mean - expected) / unit
    found = _Measured(width, mean, expected, gap, error / unit)
    if quantity == "correlation":
        c = float(theory.value(node, quantity)[0, 1])
        found = found._replace(value=c + gap, predicted=c)
    try:
        tail = tail_guard(_squares(sample, node, quantity))
        if not tail.trusted:
            return found, (
                f"at width {width} one draw carries {float(tail.share):.1%} of the mean: take more "
                "draws, or shallower networks"
            )
        studentized_test(column / unit, expected / unit, level)
    except ValueError as refusal:
        return found, f"at width {width} {refusal}"
    return found, ""


def _column(
    theory: Prediction, sample: Sample, node: str, quantity: str
) -> tuple[Array, float, float]:
    """One number of each network, what it should be on average, and the size of the signal."""
    if quantity in FLUCTUATIONS:
        known = float(theory.value(node, quantity)[0]) if theory.order else 0.0
        return _influences(_squares(sample, node, quantity)), known, 1.0
    law = theory.gradients[node] if quantity.startswith("grad") else theory.moments[node]
    size = np.sqrt(law.diagonal)
    if quantity == "mean":
        return sample.values(node, "mean")[:, 0], float(theory.value(node, "mean")[0]), size[0]
    if quantity == "correlation":
        c, second = theory.value(node, quantity)[0, 1], sample.records[node].second
        squares = np.diagonal(second, axis1=-2, axis2=-1)[:, :2] / size[:2] ** 2
        contrast = second[:, 0, 1] / (size[0] * size[1]) - c * squares.mean(1)
        return contrast, 0.0, 1.0
    index = (0, 1) if quantity in PAIRS else (0,)
    unit = size[0] * size[index[-1]]
    values = sample.values(node, quantity)[(slice(None), *index)]
    return values, float(theory.value(node, quantity)[index]), float(unit)


def _squares(sample: Sample, node: str, quantity: str) -> Array:
    """The lengths on which the quantity rests."""
    single = "grad_second_moment" if quantity.startswith("grad") else "second_moment"
    return sample.values(node, single)[:, 0]


def _influences(squares: Array) -> Array:
    """(s/E s - 1)^2 - 2 V (s/E s - 1) of each draw, whose mean is V = Var s/(E s)^2."""
    relative = squares / squares.mean() - 1
    value = relative.var(ddof=1)
    return relative**2 * len(squares) / (len(squares) - 1) - 2 * value * relative


def _rate(order: int, rate: float | None, rate_margin: float) -> float:
    if isinstance(order, bool) or order not in (0, 1):
        raise ValueError(f"order must be 0 (the limit) or 1 (with the 1/n term), got {order!r}")
    stated = order + 1 if rate is None else rate
    real = is_finite_real(stated) and is_finite_real(rate_margin)
    if not real or not 0 < rate_margin < stated <= 6:
        raise ValueError(
            f"a rate lies above its margin and is at most 6, got rate {stated!r} and rate_margin "
            f"{rate_margin!r}"
        )
    return float(stated)


def _widths(widths: Sequence[int]) -> list[int]:
    if not isinstance(widths, Iterable):
        raise ValueError(f"widths must be a sequence of whole numbers, got {widths!r}")
    sizes = sorted({whole("a width", n, least=1) for n in widths})
    if len(sizes) < FEWEST_WIDTHS:
        raise ValueError(
            f"a rate needs {FEWEST_WIDTHS} or more different widths, got {list(widths)!r}; add "
            "doublings"
        )
    return sizes
