"""Expectations over one and two Gaussians, each with an error estimate.

    expectation(f, m, s)            = E f(m + s Z)
    pair_expectation(F, q1, q2, d)  = E F(z, z'),  z, z' ~ N(0, q1), N(0, q2), correlation 1 - d

Analytic integrands of moderate scale converge geometrically under the trapezoidal rule; three such
rules must agree. All others go to adaptive panels, with boundaries at the kinks. A feature of f
that no node meets cannot be seen: a bump that is narrow and not declared, or below 1e-10 of E |f|.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from varprop.gaussian.panels import integrate
from varprop.gaussian.rules import Estimate, level, trapezoid
from varprop.gaussian.scales import at_scales

ENOUGH = 1e-11  # of E |f|: the error with which a trapezoidal rule is accepted
STALLED = 0.1  # of the error before: a finer rule that gains less will not do
MANY = 100  # scales from which interpolation in the scale is tried
CHUNK = 1 << 14  # values held at once: they stay in the cache
FINEST = (8, 4)  # by dimension, the last trapezoidal level; panels cost less beyond
WIDTHS = np.array([-8.0, -3.0, -1.0, 0.0, 1.0, 3.0, 8.0])  # of a blurred kink, in its spreads

Function = Callable[..., np.ndarray]


def expectation(
    function: Function, mean: Any = 0.0, scale: Any = 1.0, kinks: tuple[float, ...] = ()
) -> Estimate:
    """E f(m + s Z) for arrays m, s (broadcast); `function` maps an array elementwise."""
    mean, scale = np.broadcast_arrays(np.asarray(mean, float), np.asarray(scale, float))
    m, s = mean.reshape(-1), scale.reshape(-1)
    if s.size >= MANY and not np.any(m):
        found = at_scales(lambda s: _each(function, np.zeros_like(s), s, kinks), s)
    else:
        found = _each(function, m, s, kinks)
    return Estimate(*(part.reshape(mean.shape) for part in found))


def _each(function: Function, m: np.ndarray, s: np.ndarray, kinks: tuple[float, ...]) -> Estimate:
    """E f(m + s Z) for one-dimensional m and s, each by its own rule."""

    def values(rows: np.ndarray, z: np.ndarray) -> np.ndarray:
        return function(m[rows, None] + s[rows, None] * z)

    def by_panels(rows: np.ndarray) -> Estimate:
        def integral(some: np.ndarray, far: bool) -> Estimate:
            return integrate(lambda _, __, x: function(x), m[some], s[some], kinks, far=far)

        return _to_the_tail(integral, rows, kinks)

    return _solve(values, by_panels, s[None, :], bool(kinks))


def _to_the_tail(
    integral: Callable[[np.ndarray, bool], Estimate], rows: np.ndarray, kinks: tuple[float, ...]
) -> Estimate:
    """integral(rows, far), far where f may vanish up to a kink that Z hardly reaches."""
    found = integral(rows, False)
    tail = (found.size == 0) | ~(found.error <= ENOUGH * found.size)
    if kinks and np.any(tail):
        further = integral(rows[tail], True)
        with np.errstate(invalid="ignore"):  # an unknown error of nothing is no gain
            gained = further.error * found.size[tail] < found.error[tail] * further.size
        gained |= (found.size[tail] == 0) & np.isfinite(further.error)
        for part, better in zip(found, further, strict=True):
            part[np.flatnonzero(tail)[gained]] = better[gained]
    return found


def pair_expectation(
    function: Function, q1: Any, q2: Any, deficit: Any, kinks: tuple[float, ...] = ()
) -> Estimate:
    """E F(z, z') for centred Gaussians of variances q1, q2 and correlation 1 - deficit.

    The deficit in [0, 2] is what is given because 1 - c loses its digits near c = 1. On the
    trapezoidal grid z = sqrt(q1) (a u + b v), z' = sqrt(q2) (a u - b v) with
    a^2 = 1 - deficit / 2, b^2 = deficit / 2, which treats both alike and keeps z - z' exact.
    """
    arrays = np.broadcast_arrays(*(np.asarray(v, float) for v in (q1, q2, deficit)))
    shape = arrays[0].shape
    r1, r2 = (np.sqrt(a).reshape(-1) for a in arrays[:2])
    d = np.clip(arrays[2].reshape(-1), 0.0, 2.0)
    line = (d == 0) | (d == 2)
    found = np.zeros((3, d.size))
    if line.any():
        found[:, line] = _on_a_line(function, r1[line], (1 - d[line]) * r2[line], kinks)
    if not line.all():
        found[:, ~line] = _in_the_plane(function, r1[~line], r2[~line], d[~line], kinks)
    return Estimate(*(part.reshape(shape) for part in found))


def _on_a_line(
    function: Function, r1: np.ndarray, r2: np.ndarray, kinks: tuple[float, ...]
) -> Estimate:
    """E F(r1 Z, r2 Z): one integral, for correlations 1 and -1 (r2 < 0)."""
    widest, places = np.maximum(r1, np.abs(r2)), np.array([*kinks, 0.0])

    def values(rows: np.ndarray, z: np.ndarray) -> np.ndarray:
        return function(r1[rows, None] * z, r2[rows, None] * z)

    def by_panels(rows: np.ndarray) -> Estimate:
        def integral(some: np.ndarray, far: bool) -> Estimate:
            with np.errstate(divide="ignore", invalid="ignore"):
                marks = np.concatenate([places / r[some, None] for r in (r1, r2)], -1)
            mean, scale = np.zeros(some.size), widest[some]
            return integrate(lambda i, z, _: values(some[i], z), mean, scale, kinks, marks, far=far)

        return _to_the_tail(integral, rows, kinks)

    return _solve(values, by_panels, widest[None, :], bool(kinks))


def _in_the_plane(
    function: Function, r1: np.ndarray, r2: np.ndarray, d: np.ndarray, kinks: tuple[float, ...]
) -> Estimate:
    a, b, widest = np.sqrt(1 - d / 2), np.sqrt(d / 2), np.maximum(r1, r2)

    def values(rows: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        sum_, difference = a[rows, None] * u, b[rows, None] * v
        return function(r1[rows, None] * (sum_ + difference), r2[rows, None] * (sum_ - difference))

    def by_panels(rows: np.ndarray) -> Estimate:
        pairs = [_nested(function, float(r1[i]), float(r2[i]), float(d[i]), kinks) for i in rows]
        return Estimate(*(np.concatenate(part) for part in zip(*pairs, strict=True)))

    return _solve(values, by_panels, np.stack([widest * a, widest * b]), bool(kinks))


def _solve(values: Function, by_panels: Callable, scales: np.ndarray, kinked: bool) -> Estimate:
    """Each case by the coarsest trapezoidal rule that is accepted, the rest by panels."""
    finest, levels = FINEST[len(scales) - 1], level(scales)
    value, error, size = np.zeros((3, scales.shape[1]))
    error += np.inf
    pending = np.full(value.size, not kinked)
    while np.any(pending := pending & (levels.max(0) <= finest)):
        for levs in sorted({tuple(column) for column in levels[:, pending].T.tolist()}):
            rule = trapezoid(*levs)
            same = np.flatnonzero(pending & np.all(levels == np.array(levs)[:, None], 0))
            step = max(1, CHUNK // rule.nodes.shape[-1])
            for rows in (same[i : i + step] for i in range(0, same.size, step)):
                with np.errstate(over="ignore", invalid="ignore"):
                    found = rule.apply(values(rows, *rule.nodes))
                pending[rows] = ~(found.error <= ENOUGH * found.size)
                stalled = pending[rows] & (found.error > STALLED * error[rows])
                levels[0, rows] = np.where(stalled, finest, levels[0, rows])
                value[rows], error[rows], size[rows] = found
        levels = levels + 2 * pending
    rest = np.flatnonzero(~(error <= ENOUGH * size))
    if rest.size:
        value[rest], error[rest], size[rest] = by_panels(rest)
    return Estimate(value, np.where(np.isfinite(error), error, np.inf), size)


def _nested(
    function: Function, r1: float, r2: float, d: float, kinks: tuple[float, ...]
) -> Estimate:
    """The integral over the wider variable of the conditional expectation over the other."""
    if r1 < r2:
        r1, r2, given = r2, r1, function
        function = lambda x, y: given(y, x)  # noqa: E731
    correlation, rest = 1 - d, np.sqrt(d * (2 - d))

    def conditional(_: np.ndarray, z: np.ndarray, x: np.ndarray) -> Estimate:
        u, first = z.reshape(-1), x.reshape(-1)
        inner = integrate(
            lambda i, _, y: function(first[i][:, None], y),
            correlation * r2 * u,
            np.full(u.size, rest * r2),
            kinks,
            slack=10 * np.exp(np.minimum(u * u / 4, 10.0)),  # the outer density takes it away
            most=1e9,  # an unlikely condition may leave all of a small value to the rim
        )
        return Estimate(*(part.reshape(z.shape) for part in inner))

    marks = _blurred(correlation * r2, rest * r2, kinks)
    return integrate(conditional, np.zeros(1), np.array([r1]), kinks, marks)


def _blurred(slope: float, spread: float, kinks: tuple[float, ...]) -> np.ndarray:
    """(1, .): the u at which slope u + spread Z is within some spreads of a kink."""
    if slope == 0:
        return np.zeros((1, 0))
    places = np.add.outer(np.asarray((*kinks, 0.0)) / slope, WIDTHS * spread / slope)
    return places.reshape(1, -1)
