"""Adaptive Gauss-Lobatto panels for many one-dimensional Gaussian integrals at once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from varprop.gaussian.rules import (
    INSET,
    REACH,
    RIM,
    ROUNDING,
    Estimate,
    beyond,
    density,
    lobatto,
    null_rules,
)

ORDER = 24  # nodes per panel
NULLS = 4  # coefficients that must all be small
# Panels grow geometrically away from the origin, where the analytic activations have their poles.
PLACES = np.array([0.0, *(sign * 1.5 * 2.7**k for k in range(12) for sign in (1, -1))])
HALF = np.array([1.0, 3.0, 5.5, 8.5, REACH - RIM, REACH])
UNIT = np.concatenate([-HALF[::-1], HALF])
FAR = 38.0  # the density is a normal float up to here
FAR_HALF = np.array([*HALF[:-2], *np.arange(10.0, FAR, 2.0), FAR - RIM, FAR])
FAR_UNIT = np.concatenate([-FAR_HALF[::-1], FAR_HALF])
TOLERANCE = 1e-14  # of E |f|, per panel
NOISE = 1e-7  # a relative error this small that bisection does not reduce is rounding in f
ROUNDS = 56  # bisections: the last panels are as narrow as floating point can tell
MOST = 2048  # panels of one integral that are bisected at a time
CHUNK = 1 << 15  # values held at once: they stay in the cache


class Panels(NamedTuple):
    """Intervals [low, high] of Z; `case` says to which integral each belongs."""

    case: np.ndarray
    low: np.ndarray
    high: np.ndarray
    parent: np.ndarray  # the error of the panel that was bisected

    def __getitem__(self, index) -> "Panels":  # type: ignore[override]
        return Panels(*(field[index] for field in tuple(self)))


Integrand = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray | Estimate]


def integrate(
    integrand: Integrand,
    mean: np.ndarray,
    scale: np.ndarray,
    kinks: tuple[float, ...],
    marks: np.ndarray | None = None,
    slack: np.ndarray | float = 1.0,
    most: float = np.inf,
    far: bool = False,
) -> Estimate:
    """E f_i(m_i + s_i Z) for cases i; `integrand(i, z, x)` gives f_i(x), as an array or Estimate.

    A panel is bisected until the highest Legendre coefficients of f times the density are below
    TOLERANCE of E |f| (times `slack`). `marks` (cases, .) are more boundaries, in units of Z;
    `most`: see `beyond`. `far`: up to |Z| = FAR, for f that vanish where Z is likely.
    """
    unit = FAR_UNIT if far else UNIT
    sums, rim = [np.zeros(mean.shape) for _ in range(3)], np.zeros(mean.shape)
    panels, allowed = _initial(unit, mean, scale, kinks, marks), None
    for turn in range(ROUNDS):
        value, error, own, size = _evaluate(integrand, panels, mean, scale)
        if allowed is None:
            allowed = slack * TOLERANCE * np.bincount(panels.case, size, mean.size)
        bad = error > allowed[panels.case] + own  # an integrand is not known better than it is
        if turn:
            bad &= ~_is_noise(error, panels.parent, size)
        crowd = np.bincount(panels.case[bad], minlength=mean.size)
        split = bad & (crowd <= MOST)[panels.case] & (turn < ROUNDS - 1)
        # what neither converged nor will be bisected may be anything of its size
        lost = bad & ~split & (error > 0.01 * size)
        error = np.where(lost, 2 * size, error) + own + ROUNDING * size
        done = ~split
        for total, part in zip(sums, (value, error, size), strict=True):
            total += np.bincount(panels.case[done], part[done], mean.size)
        outer = done & (np.minimum(np.abs(panels.low), np.abs(panels.high)) >= unit[-2])
        rim += np.bincount(panels.case[outer], size[outer], mean.size)
        if not np.any(split):
            break
        low, high, case = panels.low[split], panels.high[split], panels.case[split]
        middle = (low + high) / 2
        ends = np.stack([low, middle, middle, high], -1).reshape(-1, 2)
        parent = np.where(lost | ~np.isfinite(error), np.inf, error)[split]
        panels = Panels(np.repeat(case, 2), ends[:, 0], ends[:, 1], np.repeat(parent, 2))
    value, error, size = sums
    return Estimate(value, error + beyond(rim, size, most), size)


def _initial(
    unit: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    kinks: tuple[float, ...],
    marks: np.ndarray | None,
) -> Panels:
    reach = unit[-1]
    furthest = float(np.max(np.abs(mean) + reach * scale, initial=1.0))
    places = np.concatenate([PLACES[np.abs(PLACES) < furthest], np.asarray(kinks, float)])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (places - mean[:, None]) / scale[:, None]
    if marks is not None:
        at = np.concatenate([at, marks], -1)
    at = np.clip(np.nan_to_num(at, nan=0.0, posinf=reach, neginf=-reach), -reach, reach)
    edges = np.sort(np.concatenate([np.tile(unit, (mean.size, 1)), at], -1), -1)
    low, high = edges[:, :-1], edges[:, 1:]
    case = np.broadcast_to(np.arange(mean.size)[:, None], low.shape)
    real = high > low
    return Panels(case[real], low[real], high[real], np.full(int(real.sum()), np.inf))


def _is_noise(error: np.ndarray, parent: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Whether both halves of a panel stay as bad as it was, at the level of rounding."""
    stuck = (error > 0.2 * parent) & (error < NOISE * size)
    return np.repeat(stuck.reshape(-1, 2).all(-1), 2)


def _evaluate(
    integrand: Integrand, panels: Panels, mean: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Value, error, error of the integrand and integral of |f| for each panel, in chunks."""
    step = max(1, CHUNK // ORDER)
    parts = [
        _gauss(integrand, panels[slice(i, i + step)], mean, scale)
        for i in range(0, panels.low.size, step)
    ]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _gauss(
    integrand: Integrand, panels: Panels, mean: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, ...]:
    node, weight = lobatto(ORDER)
    case, half = panels.case, (panels.high - panels.low) / 2
    z = ((panels.high + panels.low) / 2)[:, None] + half[:, None] * (
        node * (1 - INSET * (np.abs(node) == 1))
    )
    measure = density(z) * half[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        given = integrand(case, z, mean[case][:, None] + scale[case][:, None] * z)
        values = given.value if isinstance(given, Estimate) else given
        weighted = values * measure
        error = np.max(np.abs(weighted @ null_rules(ORDER, NULLS)), -1)
        error = np.where(np.isfinite(error), error, np.inf)
        absolute, own = np.abs(weighted), np.zeros(case.size)
        if isinstance(given, Estimate):
            absolute, own = given.size * measure, (given.error * measure) @ weight
        return weighted @ weight, error, own, absolute @ weight
