"""Critical lines and points, in the direction that needs no iteration: q* is the parameter.

    chi_perp = 1 at q*:   sigma_w^2 = 1 / E phi'(z)^2,   sigma_b^2 = q* - sigma_w^2 E phi(z)^2

with z ~ N(0, q*). The stricter criticality chi_parallel = chi_perp = 1 is E phi phi'' = 0 (Roberts,
Yaida & Hanin, The Principles of Deep Learning Theory, 2022, chapter 5).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from varprop import activations
from varprop.activations import Activation
from varprop.theory.arguments import check_numbers
from varprop.theory.meanfield import limits
from varprop.theory.meanfield.fixed_points import (
    HIGH,
    MARGIN,
    PER_DECADE,
    find_root,
    noise,
    where_trusted,
)

LOW = 1e-8  # the smallest q* looked for, besides 0: below it quadratures of slopes lose digits
NEAR_ZERO = 1e-3  # the q at which the sign of E phi phi'' says where small variances go
NEEDED = ("criticality, chi_perp = 1,", "use gain and mean_field for the variance alone")


class CriticalPoint(NamedTuple):
    """A point of the critical line chi_perp = 1 and the fixed point there.

    The fixed point attracts where chi_parallel < 1; for homogeneous activations every q is one,
    and `fixed_point` = 1 stands for all.
    """

    weight_variance: float
    bias_variance: float
    fixed_point: float
    chi_parallel: float


def critical_line(activation: str | Activation, bias_variance: Any) -> Any:
    """The weight variance sigma_w^2 with chi_perp = 1 at the given sigma_b^2, or array of these.

    Where several fixed points could be critical, the smallest that attracts counts. Raises
    ValueError where no weight variance is critical, or only at a fixed point that repels, as for
    exp: layers leave it, so that the stack is not critical.
    """
    phi = activations.get(activation)
    wanted = check_numbers("bias_variance", bias_variance, "it is Var(b)", least=0)
    found = [at_bias(phi, float(b)).weight_variance for b in wanted.ravel()]
    return np.reshape(found, wanted.shape)[()]


def critical_bias(activation: str | Activation, weight_variance: Any) -> Any:
    """The bias variance sigma_b^2 with chi_perp = 1 at the given sigma_w^2, or array of these.

    Raises ValueError where no bias variance is critical, or only at a fixed point that repels.
    """
    phi = activations.get(activation)
    wanted = check_numbers("weight_variance", weight_variance, "it is fan_in Var(w)", above=0)
    found = [at_weight(phi, float(w)).bias_variance for w in wanted.ravel()]
    return np.reshape(found, wanted.shape)[()]


def at_bias(phi: Activation, bias_variance: float) -> CriticalPoint:
    """The point of the critical line with that bias variance."""
    limits.refuse_jumps(phi, *NEEDED)
    points = [_homogeneous(phi)] if phi.homogeneous else _ends(phi)
    here = [p for p in points if abs(p.bias_variance - bias_variance) <= 1e-300]
    if not phi.homogeneous:
        q = _crossings(lambda q: (_bias(phi, q) - bias_variance) / q)
        here += [on_line(phi, x) for x in q]
    return _chosen(here, phi, "weight variance", f"bias_variance = {bias_variance:g}")


def at_weight(phi: Activation, weight_variance: float) -> CriticalPoint:
    """The point of the critical line with that weight variance and a bias variance >= 0."""
    limits.refuse_jumps(phi, *NEEDED)
    points = [_homogeneous(phi)] if phi.homogeneous else _ends(phi)
    here = [p for p in points if abs(p.weight_variance / weight_variance - 1) <= MARGIN]
    if not phi.homogeneous:
        q = _crossings(lambda q: 1 / phi.derivative_second_moment(q) / weight_variance - 1)
        here += [p for p in (on_line(phi, x) for x in q) if p.bias_variance >= 0]
    return _chosen(here, phi, "bias variance", f"weight_variance = {weight_variance:g}")


def on_line(phi: Activation, q: float) -> CriticalPoint:
    """The point of the critical line whose fixed point is q > 0."""
    weight = 1 / float(phi.derivative_second_moment(q))
    chi = weight * float(phi.second_moment_slope(q))
    return CriticalPoint(weight, float(_bias(phi, q)), q, chi)


def critical_points(activation: str | Activation) -> tuple[CriticalPoint, ...]:
    """All points with chi_parallel = chi_perp = 1, by increasing fixed point.

    One is at q* = 0 if phi(0) = 0 and phi has finite slopes on both sides, not both 0. Empty where
    there is none and E phi phi'' has no zero.
    """
    phi = activations.get(activation)
    limits.refuse_jumps(phi, *NEEDED)
    if phi.homogeneous:
        return (_homogeneous(phi),)
    bent = _crossings(lambda q: phi.curvature(q) / phi.derivative_second_moment(q), smallest=1e-11)
    return (*_ends(phi), *(on_line(phi, q) for q in bent))


def critical_point(activation: str | Activation) -> CriticalPoint:
    """The point with chi_parallel = chi_perp = 1: sigma_w^2, sigma_b^2, q*.

    tanh, sin, erf have it at q* = 0, which attracts as q ~ 1/l. Where 0 repels (GELU, SiLU) it is
    that of the smallest q* > 0. Raises ValueError for an activation that has none.
    """
    phi = activations.get(activation)
    points = critical_points(phi)
    if points and not _attracts(phi, points[0]):
        points = points[1:]
    if not points:
        sign = "positive" if float(phi.curvature(1.0)) > 0 else "negative"
        raise ValueError(
            f"{phi} has no point with chi_parallel = chi_perp = 1: E phi phi'' is {sign} at every q"
            f" > 0; use critical_line for chi_perp = 1 alone"
        )
    return points[0]


def _homogeneous(phi: Activation) -> CriticalPoint:
    return CriticalPoint(1 / float(phi.derivative_second_moment(1.0)), 0.0, 1.0, 1.0)


def _ends(phi: Activation) -> list[CriticalPoint]:
    """The critical point with q* = 0, where there is one: chi is sigma_w^2 times a mean slope."""
    value, near = limits.at_zero(phi)
    if value or not 1e-100 < near.gain < np.inf:  # below: phi'(0) = 0, read beside 0
        return []
    return [CriticalPoint(1 / near.gain, 0.0, 0.0, 1.0)]


def _bias(phi: Activation, q: Any) -> Any:
    return q - phi.second_moment(q) / phi.derivative_second_moment(q)


def _crossings(f: Callable[[Any], Any], smallest: float = 0.0) -> list[float]:
    """Every q in (LOW, HIGH) at which f changes sign, between values above the noise."""
    q = np.logspace(np.log10(LOW), np.log10(HIGH), round(np.log10(HIGH / LOW)) * PER_DECADE + 1)
    with np.errstate(all="ignore"):
        values = where_trusted(f, q)
    clear = np.flatnonzero(np.isfinite(values) & (np.abs(values) > noise(q) + smallest))
    changes = np.flatnonzero(np.diff(np.sign(values[clear])))
    ends = [(q[clear[i]], q[clear[i + 1]]) for i in changes]
    return [find_root(f, *e) for e in ends]


def _chosen(points: list[CriticalPoint], phi: Activation, what: str, given: str) -> CriticalPoint:
    if not points:
        raise ValueError(
            f"no {what} makes {phi} critical at {given}: chi_perp = 1 needs sigma_w^2 = "
            "1/E phi'^2 and sigma_b^2 = q - sigma_w^2 E phi^2 >= 0 at some q > 0; "
            "see critical_points and mean_field"
        )
    first = min(points, key=lambda p: (not _attracts(phi, p), p.fixed_point))
    if not _attracts(phi, first):
        raise ValueError(
            f"no {what} makes deep stacks of {phi} critical at {given}: chi_perp = 1 at weight_"
            f"variance = {first.weight_variance:.9g}, bias_variance = {first.bias_variance:.9g} "
            f"holds at q* = {first.fixed_point:.9g} alone, which repels (chi_parallel = "
            f"{first.chi_parallel:.6g}), so that layers leave it; see critical_points"
        )
    return first


def _attracts(phi: Activation, point: CriticalPoint) -> bool:
    """Whether the fixed point draws variances in, at least from one side."""
    if point.fixed_point == 0 and not phi.homogeneous:
        return not float(phi.curvature(NEAR_ZERO)) > 0
    return point.chi_parallel <= 1 + MARGIN
