"""The gap of phi by Price's theorem: the derivative kernel along a path from c = 1.

E(phi(z) - phi(z'))^2 / 2 = gap at c = 1 + sqrt(q1 q2) int_0^theta sin(t) E phi' phi'(cos t) dt
"""

import numpy as np
import sympy as sp

from varprop import gaussian
from varprop.activations import conditioning
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C


def beyond_ray(
    slopes: sp.Expr, q1: np.ndarray, q2: np.ndarray, missing: np.ndarray, finest: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The integral from the closed form `slopes` of E phi' phi', and where its digits are lost.

    `finest` is the smallest length over which phi varies; None for a homogeneous phi.
    """
    angle, weight = path(q1, q2, 2 * np.arcsin(np.sqrt(missing / 2)), finest)
    sine, scale = np.sin(angle), np.sqrt(q1 * q2)
    at = {Q1: q1[..., None], Q2: q2[..., None], THETA: angle, SINE: sine}
    at[C] = scale[..., None] * np.cos(angle)
    slope, sound = conditioning.evaluate(slopes, at)
    none = weight == 0  # where a slope may be infinite
    lost = ~np.all(sound | none, -1)
    slope = np.where(sound & ~none, slope, 0.0)
    return scale * np.sum(sine * slope * weight, -1), lost


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
