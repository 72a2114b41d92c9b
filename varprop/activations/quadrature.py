"""What an activation asks of the quadrature: means it can trust, or an error that says why not.

mean(f, q)               E f(z)
product(f, q1, q2, d)    E f(z) f(z'),  z and z' of correlation 1 - d
gap(phi, q1, q2, d)      E (phi(z) - phi(z'))^2 / 2, relatively accurate down to d = 0
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations import asymptotes
from varprop.activations.pairs import ray_gap
from varprop.activations.symbols import X
from varprop.gaussian import Estimate

TRUSTED = 1e-7  # of E |f|: a larger error is refused
ENOUGH = 1e-11  # of the value: the error with which asymptotes are accepted
GOOD = 2e-11  # of E |f|: a gap known worse than this is tried by Price's theorem too
CLOSE = 1e-6  # deficits below lose digits in phi(z) - phi(z')
LINEAR = 1e-2  # change of the covariance over which E phi'(z) phi'(z') is nearly a line
WIDE = 16.0  # variances of smooth functions from which trapezoidal rules have too many nodes
WIDEST = 1e4  # those from which the path of a cheap closed form has too many panels
SHOWS = 1e-18  # of a gap: the least gap at c = 1 that is added to it
EPS = 4e-16
HARDLY = 10.0  # standard deviations up to which a function may vanish
FAINT = 1e-23  # the probability of more: the error taken then, of the largest |f| up to BEYOND
BEYOND = 38.0  # standard deviations that panels reach
UNDERFLOW = 1e-300  # below, floats have too few digits to hold any relative error


class Integrand(NamedTuple):
    """A function of z by its expression in `X`, its kinks, and how to name it in an error."""

    label: str
    expression: sp.Expr
    kinks: tuple[float, ...]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(gaussian.compiled(self.expression, (X,))(x), np.shape(x))

    @property
    def key(self) -> tuple:
        return self.expression, self.kinks

    def times(self, factor: sp.Expr) -> "Integrand":
        return self._replace(expression=factor * self.expression)


def mean(f: Integrand, q: Any) -> Any:
    """E f(z), z ~ N(0, q).  Raises ValueError where the quadrature cannot tell."""

    def rule(q: np.ndarray) -> Estimate:
        return gaussian.expectation(f, 0.0, np.sqrt(q), f.kinks)

    return trusted(gaussian.remembered(("mean", *f.key), rule, q), f, q=q)[()]


def product(f: Integrand, q1: Any, q2: Any, d: Any) -> Any:
    """E f(z) f(z').  Raises ValueError where the quadrature cannot tell."""
    return trusted(_product(f, q1, q2, d), f, q1=q1, q2=q2, d=d)[()]


def gap(phi: Integrand, slope: Integrand, q1: Any, q2: Any, d: Any) -> np.ndarray:
    """E (phi(z) - phi(z'))^2 / 2, for the derivative `slope` of phi.

    Close to c = 1 by Price's theorem: the gap at c = 1 plus the integral of E phi'(z) phi'(z')
    over the covariance that is missing. Raises ValueError where the quadrature cannot tell.
    """

    def rule(q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
        return _by_lines_or(asymptotes.gap, by_nodes, phi, q1, q2, d)

    def by_nodes(q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
        wide = np.maximum(q1, q2)
        smooth = (d * (wide + bool(phi.kinks)) < LINEAR) & _continuous(phi)
        near, parts = smooth & (d < CLOSE), np.zeros((3, d.size))
        if np.any(~near):
            parts[:, ~near] = _plain_gap(phi, q1[~near], q2[~near], d[~near])
        near = near | (smooth & ~(parts[1] <= GOOD * parts[2]))
        if np.any(near):
            parts[:, near] = _near_gap(phi, slope, q1[near], q2[near], d[near])
        return Estimate(*parts)

    found = gaussian.remembered(("gap", *phi.key), rule, q1, q2, d)
    return trusted(found, phi, q1=q1, q2=q2, d=d)


def wide_gap(
    phi: Integrand, q1: np.ndarray, q2: np.ndarray, d: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """The same gap at variances over `least` from the asymptotes of phi, and where it is known."""

    def unknown(q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
        return Estimate(0 * d, np.inf + 0 * d, 0 * d)

    def rule(q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
        return _by_lines_or(asymptotes.gap, unknown, phi, q1, q2, d, least)

    if not np.any(np.maximum(q1, q2) > least):
        return np.zeros(d.shape), np.zeros(d.shape, bool)
    found = gaussian.remembered(("wide gap", least, *phi.key), rule, q1, q2, d)
    return found.value, np.asarray(np.isfinite(found.error))


def ray(
    phi: Integrand, slope: Integrand, q1: np.ndarray, q2: np.ndarray, beside: np.ndarray
) -> np.ndarray:
    """The gap at c = 1, to be added to a gap `beside` it: 0 where it would not show.

    Raises ValueError where the quadrature cannot tell their sum.
    """
    found = _ray_gap(phi, slope, q1, q2, beside)
    return trusted(found._replace(size=found.size + beside), phi, q1=q1, q2=q2)


class Untrusted(ValueError):
    """A quadrature whose estimated error is too large; the message says of what, and where."""


def trusted(found: Estimate, f: Any, **where: Any) -> np.ndarray:
    """The value, if its error is below TRUSTED of E |f|; raises Untrusted otherwise.

    Where f vanishes for all likely z the error need only be `_faint`: no digit of E |f| is then
    within reach of the rules.
    """
    good = np.isfinite(found.error) & (found.error <= TRUSTED * found.size + UNDERFLOW)
    if not np.all(good) and isinstance(f, Integrand):
        good |= found.error <= _faint(f, **where)
    if np.all(good):
        return found.value
    worst = np.unravel_index(np.argmin(good), good.shape)
    at = {k: float(np.broadcast_to(v, found.error.shape)[worst]) for k, v in where.items()}
    if "d" in at:
        at["c"] = 1 - at.pop("d")
    place = ", ".join(f"{k} = {v:g}" for k, v in at.items())
    raise Untrusted(
        f"the quadrature of {getattr(f, 'label', f)} at {place} has an estimated error of "
        f"{found.error[worst]:.1e}, for a mean of {found.value[worst]:.3e}; declare the kinks of "
        "the activation if it has any that are not found, or choose a variance at which it does "
        "not oscillate or grow that fast"
    )


def _faint(f: Integrand, **where: Any) -> np.ndarray:
    """P(|Z| > HARDLY) times the largest |f|, squared for two inputs; 0 where f lives nearer."""
    variances = [np.asarray(v, float)[..., None] for k, v in where.items() if k != "d"]
    s, line = np.sqrt(np.max(np.broadcast_arrays(*variances), 0)), np.linspace(-1.0, 1.0, 401)
    with np.errstate(over="ignore", invalid="ignore"):
        vanishes = np.all(f(HARDLY * s * line) == 0, -1)
        largest = np.max(np.abs(f(BEYOND * s * line)), -1)
        return np.where(vanishes, FAINT * largest ** len(variances), 0.0)


def _product(f: Integrand, q1: Any, q2: Any, d: Any) -> Estimate:
    def rule(q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
        return _by_lines_or(asymptotes.product, by_nodes, f, q1, q2, d)

    def by_nodes(q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
        return gaussian.pair_expectation(lambda x, y: f(x) * f(y), q1, q2, d, f.kinks)

    return gaussian.remembered(("product", *f.key), rule, q1, q2, d)


def _by_lines_or(
    expand: Callable[..., Estimate],
    rule: Callable[..., Estimate],
    f: Integrand,
    q1: np.ndarray,
    q2: np.ndarray,
    d: np.ndarray,
    least: float | None = None,
) -> Estimate:
    """By the asymptotes of f where that is known well enough, else by the rule.

    At small variances of smooth f the rule is faster: they are tried from `least` up.
    """
    least = (0.0 if f.kinks else WIDE) if least is None else least
    parts = np.full((3, d.size), np.inf)
    rows = np.flatnonzero(np.maximum(q1, q2) > least)
    if rows.size:
        found = expand(f, q1[rows], q2[rows], d[rows])
        good = found.error <= ENOUGH * found.size
        parts[:, rows[good]] = np.stack(found)[:, good]
    rest = ~np.isfinite(parts[1])
    if rest.any():
        parts[:, rest] = rule(q1[rest], q2[rest], d[rest])
    return Estimate(*parts)


def _plain_gap(phi: Integrand, q1: Any, q2: Any, d: Any) -> Estimate:
    return gaussian.pair_expectation(
        lambda x, y: np.square(phi(x) - phi(y)) / 2, q1, q2, d, phi.kinks
    )


def _near_gap(
    phi: Integrand, slope: Integrand, q1: np.ndarray, q2: np.ndarray, d: np.ndarray
) -> Estimate:
    """gap at c = 1 + sqrt(q1 q2) integral over [0, theta] of sin(t) E phi' phi'(cos t) dt.

    Without kinks the integrand is smooth in 1 - cos(t) itself, where fewer nodes do.
    """
    scale = np.sqrt(q1 * q2)
    ray = _ray_gap(phi, slope, q1, q2, scale * d)
    if not d.any():
        return ray
    node, weight = gaussian.legendre_unit(8 if phi.kinks else 3)
    if phi.kinks:
        theta = 2 * np.arcsin(np.sqrt(d / 2))[:, None]
        at, weight = 2 * np.sin(theta * node / 2) ** 2, np.sin(theta * node) * theta * weight
    else:
        at, weight = d[:, None] * node, d[:, None] * weight
    found = _product(slope, q1[:, None], q2[:, None], at)
    path = Estimate(*(scale * np.sum(part * weight, -1) for part in found))
    return Estimate(*(a + b for a, b in zip(ray, path, strict=True)))


def _ray_gap(
    phi: Integrand, slope: Integrand, q1: np.ndarray, q2: np.ndarray, beside: np.ndarray
) -> Estimate:
    """The gap at c = 1, E (phi(s1 Z) - phi(s2 Z))^2 / 2, where it shows `beside` another gap.

    For close s1, s2 it is (s1 - s2)^2 / 2 times the average over s, s' between them of
    E Z^2 phi'(s Z) phi'(s' Z), up to kinks that pass between s1 Z and s2 Z; the plain difference
    loses the digits that s1 and s2 share.
    """
    parts, bare, widest = np.zeros((3, q1.size)), ray_gap(q1, q2), np.maximum(q1, q2)
    jumps = not _continuous(phi)
    shows = bare > (0.0 if jumps and any(phi.kinks) else SHOWS) * beside
    apart = np.sqrt(2 * bare / np.where(widest > 0, widest, 1.0))
    passing = any(phi.kinks)
    close = apart < (1e-8 if passing else 1e-3 / np.sqrt(np.maximum(widest, 1.0)))
    close &= not (jumps and passing)
    if np.any(rows := shows & ~close):
        found = _plain_gap(phi, q1[rows], q2[rows], np.zeros(int(rows.sum())))
        parts[:, rows] = found._replace(error=found.error + found.size * EPS / apart[rows])
    if np.any(rows := shows & close):
        found = _close_rays(slope, np.sqrt(q1[rows]), np.sqrt(q2[rows]), bare[rows])
        parts[:, rows] = found._replace(error=found.error + passing * found.size * apart[rows])
    return Estimate(*parts)


def _close_rays(slope: Integrand, s1: np.ndarray, s2: np.ndarray, bare: np.ndarray) -> Estimate:
    node, weight = gaussian.legendre_unit(2)
    s = s2[:, None] + (s1 - s2)[:, None] * node
    first, second = np.array([0, 0, 1]), np.array([0, 1, 1])
    share = weight[first] * weight[second] * [1.0, 2.0, 1.0]
    left, right = s[:, first], s[:, second]
    found = _product(slope.times(X), left**2, right**2, np.zeros(1))
    return Estimate(*(bare * np.sum(part * share / (left * right), -1) for part in found))


def _continuous(phi: Integrand) -> bool:
    """Whether phi has no jump at its kinks: the derivative then says all of it."""
    kinks = np.asarray(phi.kinks)
    step = 1e-9 * (1 + np.abs(kinks))
    jump = np.abs(phi(kinks + step) - phi(kinks - step)) if kinks.size else kinks
    return bool(np.all(jump < 1e-6))
