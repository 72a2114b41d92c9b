"""width_study: does the gap between networks and theory vanish with the width, at its rate?"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from varprop.comparison.checks import check_numeric, check_rates
from varprop.comparison.width_gaps import PAIRS, QUANTITIES, Measured, gap_of
from varprop.comparison.width_report import WidthStudy
from varprop.gaussian import is_finite_real
from varprop.montecarlo import simulate
from varprop.montecarlo.devices import whole
from varprop.network import Network
from varprop.stats import UnresolvedGap, Verdict, WidthFit, fit_widths, holm, locate
from varprop.stats.extrapolation import FEWEST_WIDTHS, check_terms
from varprop.theory import predict

RATE_MARGIN = 0.5
CURVED = (
    "no sum b/n^k + c/n^(k+1) fits these gaps, with any k or limit: more terms are needed; take "
    "wider networks"
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
        found, note = gap_of(theory, sample, node, quantity, n, error_rate / 2)
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
    known: tuple, fit: WidthFit, measured: list[Measured], rate_margin: float, false_pass: float
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


def _fit(measured: Sequence[Measured], stated: float, terms: int, error_rate: float) -> WidthFit:
    columns = [np.array([getattr(m, f) for m in measured]) for f in ("width", "gap", "error")]
    return fit_widths(*columns, stated=stated, terms=terms, level=min(error_rate, 1e-3))


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
