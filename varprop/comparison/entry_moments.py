"""The moments of one weight entry: what a law states of them, and their residuals."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil, isfinite
from typing import Any, NamedTuple

import numpy as np

from varprop.comparison.decide import ONE
from varprop.comparison.report import Judged
from varprop.comparison.rounding import tolerance
from varprop.comparison.steps import Step
from varprop.laws import Law
from varprop.stats import accepted_draws, draws_to_certify, studentized_draws

Array = np.ndarray

POWER = 0.999
FEW = "one tensor decides nothing of a law with dependent entries: draw many"


class Stated(NamedTuple):
    """The moments that the law states: m_k = E (w - mean)^k / variance^(k/2)."""

    mean: float
    variance: float
    m3: float
    m4: float
    m6: float
    m8: float
    m12: float


def moments_of(law: Law) -> Stated:
    """Raises ValueError for symbols, and for a law without finite kurtosis or sixth moment."""
    try:
        mean, variance = float(law.mean), float(law.variance)
        central = [float(law.central_moment(k)) for k in (3, 4, 6, 8, 12)]
    except TypeError:
        raise ValueError(
            f"a law with numbers is needed, got {law}; give its symbols values"
        ) from None
    if not variance:
        return Stated(mean, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0)
    powers = zip(central, (3, 4, 6, 8, 12), strict=True)
    stated = Stated(mean, variance, *(m / variance ** (k / 2) for m, k in powers))
    if not all(map(isfinite, (mean, variance, stated.m3, stated.m4, stated.m6))):
        raise ValueError(
            f"the variance of a sample has a standard error only where the law has a finite "
            f"kurtosis (and sixth moment), got kurtosis {stated.m4} of {law}; state a truncated law"
        )
    return stated


def draws_to_confirm(
    law: Law, stated: Stated, size: int, margin: float, false_pass: float, error_rate: float
) -> int:
    """Tensors with which a true law is confirmed with probability .999."""
    level = error_rate / 3
    spreads = [1.0, stated.m4 - 1] if stated.variance else []
    if isfinite(stated.m12):
        spreads.append(stated.m8 / stated.m4**2 - 1)
    entries = [draws_to_certify(margin, v, false_pass, POWER, 3) for v in spreads if v > 0]
    entries.append(studentized_draws(0.0, level))
    if law.independent:
        skews = [_skewness(v, k) for _, _, v, k, known in _sums(law, stated) if v > 0 and not known]
        return ceil(max([*entries, *(studentized_draws(s, level) for s in skews)]) / size)
    skews = [abs(_skewness(v, k)) for _, _, v, k, _ in _sums(law, stated) if v > 0]
    tensor = max([8.0, *skews]) / size**0.5  # skewness of a tensor's averages
    return max(ceil(max(entries) / size), accepted_draws(tensor, level))


def _sums(
    law: Law, stated: Stated
) -> list[tuple[str, Callable[[Array], Array], float, float, bool]]:
    """Of each moment: the residual of z, its variance and third cumulant, whether its law is known.

    Squares of Gaussian numbers are chi-square, exactly; other sums are matched in three cumulants.
    """
    m3, m4, m6, m8, m12 = stated[2:]
    found: list[Any] = [
        ("mean", lambda z: z, 1.0, m3, law.gaussian),
        ("variance", lambda z: z**2 - 1, m4 - 1, m6 - 3 * m4 + 2, law.gaussian),
    ]
    if isfinite(m12):
        third = (m12 - 3 * m8 * m4 + 2 * m4**3) / m4**3
        found.append(("kurtosis", lambda z: z**4 / m4 - 1, m8 / m4**2 - 1, third, False))
    return found


def _skewness(variance: float, third: float) -> float:
    return third / variance**1.5


def moment_steps(node: str, w: Array, law: Law, stated: Stated, error_rate: float) -> list[Step]:
    """Residuals of the mean, the variance and the kurtosis, by entry or by tensor."""
    if not stated.variance:  # a constant: relative to its size
        unit = abs(stated.mean) or 1.0
        return [_step(node, "mean", (w - stated.mean).ravel() / unit, None, None)]
    z, steps = (w - stated.mean) / stated.variance**0.5, []
    for quantity, residual, variance, third, known in _sums(law, stated):
        e = residual(z)
        if not law.independent:
            steps.append(_step(node, quantity, e.mean(1), None, None))
            continue
        if variance <= 0:  # points of one size
            step = _step(node, quantity, e.ravel(), None, None)
            steps.append(replace(step, impossible=bool(np.abs(e).max() > tolerance("float32"))))
            continue
        step = _step(node, quantity, e.ravel(), variance, third)
        needed = studentized_draws(_skewness(variance, third), error_rate / 3)
        if w.size < needed and not known:
            why = (
                f"a sum of {w.size} entries is too skewed to be tested at {error_rate:g}: take "
                f"{ceil(needed / w.shape[1])} tensors, or a larger error rate"
            )
            step = replace(step, refusal=why)
        steps.append(step)
    return steps


def _step(
    node: str, quantity: str, residual: Array, variance: float | None, third: float | None
) -> Step:
    count = len(residual)
    v, k = (None if x is None else np.full(count, x) for x in (variance, third))
    live = np.ones(count, bool)
    return Step(node, quantity, 0, None, "initializer", residual, True, v, k, live)


def beside(row: Judged, w: Array, stated: Stated, size: int) -> Judged:
    """The row with the stated and the measured number beside it; `needed` in tensors."""
    far = w - stated.mean
    numbers = {
        "mean": (stated.mean, w.mean()),
        "variance": (stated.variance, (far**2).mean()),
        "kurtosis": (stated.m4, (far**4).mean() / (stated.variance or 1.0) ** 2),
    }
    value, measured = numbers[row.quantity]
    needed = None if row.needed is None else ceil(row.needed / size)
    row = row._replace(note=FEW) if row.note == ONE else row
    return row._replace(value=value, measured=float(measured), needed=needed)
