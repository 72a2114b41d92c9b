"""Gaussian expectations by quadrature, and the one bridge from SymPy expressions to numbers.

    expectation(f, m, s)            = E f(m + s Z)
    pair_expectation(F, q1, q2, d)  = E F(z, z'),  z, z' ~ N(0, q1), N(0, q2), correlation 1 - d

Z is standard normal. Both are vectorised over their parameters and come with an error estimate.
Kinks of the integrand are panel boundaries, so a kink costs no accuracy; analytic integrands of
moderate scale use the trapezoidal rule, which converges geometrically for them.
"""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

REACH = 12.0  # |Z| beyond this has density below 1e-31
ORDERS = (20, 14)  # Gauss-Legendre nodes per panel: the value, and the check on it
# Panels grow geometrically away from the origin, where the analytic activations have their poles.
PANELS = (0.0, *(sign * 1.5 * 2.7**k for k in range(10) for sign in (1, -1)))
UNIT_PANELS = np.array([-REACH, -9, -7, -5, -3.5, -2, -1, 0, 1, 2, 3.5, 5, 7, 9, REACH])
TRAPEZOID_SCALE = 4.0  # largest scale at which the trapezoidal rule is the cheaper one
TRAPEZOID_STEP = 0.25  # exp(-2 pi (pi/2) / 0.25) = 7e-18 for a pole at i pi/2
ROUNDING = 4e-16  # of the sum of absolute values
CHUNK = 4_000_000  # integrand values held at once


class Estimate(NamedTuple):
    """A quadrature `value` and an upper estimate of its absolute `error`."""

    value: np.ndarray
    error: np.ndarray


class Grid(NamedTuple):
    """Nodes `x` = m + s z with weights for the value and for the check, last axis = nodes.

    `tail` is the density at the two outermost nodes, zero elsewhere: sum |f| tail bounds what lies
    beyond them for |f| that grows no faster than exp(11 |z|).
    """

    x: np.ndarray
    weights: np.ndarray
    check: np.ndarray
    tail: np.ndarray


Function = Callable[..., np.ndarray]


def expectation(
    function: Function, mean: Any = 0.0, scale: Any = 1.0, kinks: tuple[float, ...] = ()
) -> Estimate:
    """E f(m + s Z) for arrays m, s (broadcast); `function` maps an array elementwise."""
    mean, scale = np.broadcast_arrays(np.asarray(mean, float), np.asarray(scale, float))
    return _chunked(lambda m, s: _reduce(function, _grid(m, s, kinks)), mean, scale, size=700)


def pair_expectation(
    function: Function, q1: Any, q2: Any, deficit: Any, kinks: tuple[float, ...] = ()
) -> Estimate:
    """E F(z, z') for centred Gaussians of variances q1, q2 and correlation 1 - deficit.

    The deficit in [0, 2] is what is given because 1 - c loses its digits near c = 1.
    """
    q1, q2, deficit = np.broadcast_arrays(*(np.asarray(v, float) for v in (q1, q2, deficit)))

    def inner(q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
        correlation, rest = 1 - d, np.sqrt(np.clip(d * (2 - d), 0, 1))
        # z = sqrt(q1) u, on panels fit for the wider of z and z'
        widest = np.sqrt(np.maximum(q1, q2))
        marks = _transitions(np.sqrt(q1), correlation * np.sqrt(q2), rest, kinks)
        outer = _grid(np.zeros_like(q1), widest, kinks, marks)
        u = outer.x / np.where(widest > 0, widest, 1.0)[..., None]
        z = np.sqrt(q1)[..., None] * u
        # z' given z
        centre = (correlation * np.sqrt(q2))[..., None] * u
        spread = np.broadcast_to((rest * np.sqrt(q2))[..., None], centre.shape)
        conditional = _grid(centre, spread, kinks)
        values = function(z[..., None], conditional.x)
        value = np.sum(values * conditional.weights, -1)
        check = np.sum(values * conditional.check, -1)
        total = np.sum(value * outer.weights, -1)
        size = np.sum(np.abs(values) * conditional.weights, -1)
        beyond = np.sum(np.abs(values) * conditional.tail, -1)
        error = np.abs(np.sum(value * outer.check, -1) - total)
        error = error + np.sum((np.abs(check - value) + beyond) * outer.weights, -1)
        error = error + np.sum(size * outer.tail, -1)
        return Estimate(total, error + ROUNDING * np.sum(size * outer.weights, -1))

    smooth = not kinks and np.max([q1, q2], initial=0.0) <= TRAPEZOID_SCALE**2
    size = 150_000 if smooth else 2_000_000
    return _chunked(inner, q1, q2, deficit, size=size)


def _reduce(function: Function, grid: Grid) -> Estimate:
    values = function(grid.x)
    value = np.sum(values * grid.weights, -1)
    size = np.abs(values)
    error = np.abs(np.sum(values * grid.check, -1) - value) + np.sum(size * grid.tail, -1)
    return Estimate(value, error + ROUNDING * np.sum(size * grid.weights, -1))


def _chunked(rule: Callable[..., Estimate], *arrays: np.ndarray, size: int) -> Estimate:
    """Apply a vectorised rule piecewise so that memory stays bounded."""
    shape, flat = arrays[0].shape, [a.reshape(-1) for a in arrays]
    step = max(1, CHUNK // size)
    parts = [rule(*(a[i : i + step] for a in flat)) for i in range(0, flat[0].size, step)]
    if not parts:
        return Estimate(np.zeros(shape), np.zeros(shape))
    value, error = (np.concatenate(p).reshape(shape) for p in zip(*parts, strict=True))
    return Estimate(value, error)


def _transitions(
    first: np.ndarray, second: np.ndarray, rest: np.ndarray, kinks: tuple[float, ...]
) -> np.ndarray:
    """Where the mean given u changes fast: first u at a kink, or second u within noise of it."""
    kink = np.asarray(kinks, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        sharp = kink / first[..., None]
        centre = (kink / second[..., None])[..., None]
        width = np.abs(rest / (1 - rest**2) ** 0.5)[..., None, None]
        smooth = centre + width * np.array([-8.0, -3.0, -1.0, 0.0, 1.0, 3.0, 8.0])
    return np.concatenate([sharp, smooth.reshape(*first.shape, -1)], -1)


def _grid(
    mean: np.ndarray,
    scale: np.ndarray,
    kinks: tuple[float, ...],
    marks: np.ndarray | None = None,
) -> Grid:
    """Nodes for m + s Z; `marks` are further boundaries of panels, in units of Z."""
    if not np.any(scale):
        return Grid(mean[..., None], np.ones(1), np.ones(1), np.zeros(1))
    if not kinks and np.max(scale) <= TRAPEZOID_SCALE:
        return _trapezoid(mean, scale)
    return _panels(mean, scale, kinks, marks)


def _trapezoid(mean: np.ndarray, scale: np.ndarray) -> Grid:
    half = int(np.ceil(REACH / (TRAPEZOID_STEP / max(1.0, float(np.max(scale))))))
    half += half % 2
    z = np.linspace(-REACH, REACH, 2 * half + 1)
    weights = _density(z) * (REACH / half)
    check = np.where(np.arange(z.size) % 2 == 0, 2 * weights, 0.0)
    tail = np.where(np.abs(z) == REACH, _density(z), 0.0)
    return Grid(mean[..., None] + scale[..., None] * z, weights, check, tail)


def _panels(
    mean: np.ndarray, scale: np.ndarray, kinks: tuple[float, ...], marks: np.ndarray | None
) -> Grid:
    furthest = float(np.max(np.abs(mean) + REACH * scale, initial=1.0))
    places = np.array([*(p for p in PANELS if abs(p) < furthest), *kinks], float)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (places - mean[..., None]) / scale[..., None]
    if marks is not None:
        at = np.concatenate([at, marks], -1)
    at = np.nan_to_num(np.clip(at, -REACH, REACH), nan=0.0)
    unit = np.broadcast_to(UNIT_PANELS, (*mean.shape, UNIT_PANELS.size))
    edges = np.sort(np.concatenate([unit, at], -1), -1)
    middle, half = (edges[..., 1:] + edges[..., :-1]) / 2, np.diff(edges) / 2
    nodes, weights = [], []
    for order in ORDERS:
        node, weight = _legendre(order)
        z = middle[..., None] + half[..., None] * node
        nodes.append(z.reshape(*mean.shape, -1))
        weights.append((half[..., None] * weight * _density(z)).reshape(*mean.shape, -1))
    z = np.concatenate(nodes, -1)
    blank = [np.zeros_like(w) for w in weights]
    tail = np.zeros_like(z)
    ends = [0, nodes[0].shape[-1] - 1]
    tail[..., ends] = _density(z[..., ends])
    return Grid(
        mean[..., None] + scale[..., None] * z,
        np.concatenate([weights[0], blank[1]], -1),
        np.concatenate([blank[0], weights[1]], -1),
        tail,
    )


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


@lru_cache
def legendre_unit(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    node, weight = _legendre(order)
    return (node + 1) / 2, weight / 2


@lru_cache
def _legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(order)


def symbolic_expectation(expression: sp.Expr, x: sp.Symbol, variance: sp.Expr) -> sp.Expr:
    """E f(x), x ~ N(0, variance), as an unevaluated integral over the standard normal."""
    z = sp.Symbol("z", real=True)
    density = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    return sp.Integral(expression.subs(x, sp.sqrt(variance) * z) * density, (z, -sp.oo, sp.oo))


def is_symbolic(*values: Any) -> bool:
    """Whether any value is a SymPy expression with free symbols, or an array that holds SymPy."""
    return any(
        value.dtype == object if isinstance(value, np.ndarray) else isinstance(value, sp.Basic)
        for value in values
    )


def evaluate(expression: sp.Expr, values: Mapping[sp.Symbol, Any]) -> Any:
    """The expression at `values`: an Expr when any value is symbolic, else floats or arrays."""
    if not is_symbolic(*values.values()):
        symbols = tuple(values)
        result = compiled(expression, symbols)(*values.values())
        shape = np.broadcast_shapes(*(np.shape(v) for v in values.values()))
        return np.broadcast_to(np.asarray(result, float), shape)[()]
    if any(isinstance(v, np.ndarray) for v in values.values()):
        apply = np.frompyfunc(lambda *v: _substitute(expression, values, v), len(values), 1)
        return apply(*values.values())
    return _substitute(expression, values, tuple(values.values()))


def _substitute(expression: sp.Expr, names: Mapping[sp.Symbol, Any], values: tuple) -> sp.Expr:
    return expression.subs(dict(zip(names, values, strict=True)), simultaneous=True)  # type: ignore


@cache
def compiled(expression: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> Callable[..., np.ndarray]:
    """A NumPy function of the symbols; special functions come from SciPy."""
    return sp.lambdify(symbols, expression, modules=["scipy", "numpy"], cse=True)
