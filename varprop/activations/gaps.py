"""Price's theorem: the derivative kernel along a path from c = 1 or from c = 0.

E(phi(z) - phi(z'))^2 / 2 = gap at c = 1 + sqrt(q1 q2) int_0^theta sin(t) E phi' phi'(cos t) dt
E phi(z) phi(z') = E phi(z) E phi(z') + sqrt(q1 q2) int_theta^(pi/2) sin(t) E phi' phi'(cos t) dt
"""

from functools import cache

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations import conditioning
from varprop.activations.pairs import ray_gap
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C

CANCELS = 4.0  # terms may be that much larger than their sum
CLOSEST = 1e-12  # angle between point masses that are taken as one
HALFWAY = 0.5  # |c| up to which one panel from c = 0 is far enough from the roots at 1 and -1


def beyond_ray(
    slopes: sp.Expr,
    q1: np.ndarray,
    q2: np.ndarray,
    missing: np.ndarray,
    finest: float | None,
    jump: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The integral from the closed form `slopes` of E phi' phi', and where its digits are lost.

    `finest` is the smallest length over which phi varies; None for a homogeneous phi. `jump` is the
    jump of phi that is nearest to 0.
    """
    if finest is not None and jump:
        finest = min(finest, _meeting(q1, q2, jump))
    angle, weight = path(q1, q2, 2 * np.arcsin(np.sqrt(missing / 2)), finest)
    total, _, lost = _along(slopes, q1, q2, angle, weight)
    return total, lost


def beyond_independence(
    slopes: sp.Expr,
    start: np.ndarray,
    q1: np.ndarray,
    q2: np.ndarray,
    missing: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """`start` + the integral from c = 0, and where its digits are lost, or c is far from 0.

    Where all terms have one sign it keeps the digits of a kernel that vanishes with c.
    """
    width = np.arcsin(1 - missing)[..., None]
    node, weight = gaussian.legendre_unit(16)
    total, size, lost = _along(slopes, q1, q2, np.pi / 2 - width * node, width * weight)
    value = start + total
    cancels = np.abs(start) + size > CANCELS * np.abs(value)
    return value, lost | cancels | (np.abs(1 - missing) > HALFWAY)


def _along(
    slopes: sp.Expr, q1: np.ndarray, q2: np.ndarray, angle: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sqrt(q1 q2) sum weight sin(angle) E phi' phi'(cos angle).

    With the same sum of absolute values, and where the closed form has lost its digits.
    """
    sine, scale = np.sin(angle), np.sqrt(q1 * q2)
    at = {Q1: q1[..., None], Q2: q2[..., None], THETA: angle, SINE: sine}
    if _reads_covariance(slopes):
        at[C] = scale[..., None] * np.cos(angle)
    slope, sound = conditioning.evaluate(slopes, at)
    none = weight == 0  # where a slope may be infinite
    lost = ~(sound | none).all(-1)
    slope[none | ~sound] = 0.0
    terms = sine * slope * weight
    return scale * terms.sum(-1), scale * np.abs(terms).sum(-1), lost


@cache
def _reads_covariance(formula: sp.Expr) -> bool:
    return formula.has(C)


def path(
    q1: np.ndarray, q2: np.ndarray, theta: np.ndarray, finest: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, theta], C = sqrt(q1 q2) cos(angle).

    The angle takes the roots at c = 1 and -1 away; a kernel of scale 1 varies within about
    1 / sqrt(1 + q) of both ends, so panels shrink by 4 down to there.
    """
    if finest is None:  # linear in the angle
        node, weight = gaussian.legendre_unit(12)
        return theta[..., None] * node, theta[..., None] * weight
    largest = np.max(np.maximum(q1, q2), initial=0.0) / finest**2
    levels = int(np.ceil(np.log(1 + largest) / np.log(16)))
    marks = np.pi / 2 * 4.0 ** -np.arange(levels, -1, -1.0)
    marks = np.concatenate([[0.0], marks, np.pi - marks[-2::-1], [np.pi]])
    edges = np.minimum(marks, theta[..., None])
    node, weight = gaussian.legendre_unit(16)
    width = np.diff(edges)[..., None]
    shape = (*theta.shape, -1)
    angle = edges[..., :-1, None] + width * node
    return angle.reshape(shape), (width * weight).reshape(shape)


def _meeting(q1: np.ndarray, q2: np.ndarray, jump: float) -> float:
    """The length over which the point masses of a jump at a, at a / s1 and a / s2, are told apart.

    They differ by an angle, s = sqrt(q); one below CLOSEST is none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = abs(jump) * np.sqrt(2 * ray_gap(q1, q2) / q1 / q2)
    narrowest = np.min(apart, initial=np.inf, where=apart > CLOSEST) / 4
    return float(narrowest * np.sqrt(np.max(np.maximum(q1, q2), initial=0.0)))
