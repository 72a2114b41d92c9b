"""Tangents through an activation: x = phi(z), t = phi'(z) y for jointly Gaussian z, z', y, y'.

    E t    = E[z y] E z phi'(z) / q
    E t t' = E y y' K + d/de K at Var(z, z') + e (a b' + b a'),     K = E phi'(z) phi'(z')
    E x t' = d/de E phi(z) phi(z' + e y')                           at e = 0

with q = E z^2, a = E (z, z') y, b = E (z, z') y'; the second line is Price's theorem for the two
Gaussians y, y'. Point masses of phi' do not count, as autograd sees none. The path of the second
line changes Var(z, z') in proportion to itself, so a central difference of a closed form or
quadrature is right to about 1e-8 of E t^2 even where z and z' are nearly equal; on the diagonal
moments of one Gaussian are exact.
"""

from collections.abc import Callable
from math import comb, prod
from typing import Any

import numpy as np

from varprop.activations import Activation
from varprop.activations.pairs import deficit, ray_gap
from varprop.layers.kernels import pairs
from varprop.moments import Moments, Tangents

STEP = 1e-4  # of the central difference, in units of the standard deviations
RAY = float(np.finfo(float).eps) / STEP  # a squared sine that rounding moves as much as a step does

Array = np.ndarray
Kernel = Callable[..., Array]


def moved(phi: Activation, z: Moments, y: Tangents) -> Tangents:
    """The law of t = phi'(z) y, where y is the tangent of the Gaussian z.

    Raises ValueError where E z y' of two sites has no rule.
    """
    if y.cross is not None and np.any(np.isnan(y.cross)):
        raise ValueError(
            f"no rule for the tangents of two inputs through {phi}, as a function that jumps was "
            "added to its argument; give one input, or measure this network with varprop.simulate"
        )
    q, along = z.diagonal, _own_cross(y)
    live = np.where(q > 0, q, 1.0)
    explained = along**2 / live  # the part of E y^2 that z explains
    radial = phi.moment(lambda z, _, slope: z * slope, q, 1) / live
    square = tangent_moment(phi, q, explained, y.diagonal - explained, 2)
    second = np.zeros((*square.shape, square.shape[-1]))
    sites = np.arange(q.shape[-1])
    second[..., sites, sites] = square
    rows, columns = pairs(sites.size)
    if rows.size:
        value = _products(phi, z, y, rows, columns)
        second[..., rows, columns] = second[..., columns, rows] = value
    return Tangents(along * radial, second, None, y)


def cross_of(x: Moments, t: Tangents) -> Array:
    """E x t' over sites: that of t, or of x = phi(z), t = phi'(z) y.

    It is nan, for no rule, between two sites where phi jumps.
    Raises ValueError for a tangent that leaves it open.
    """
    if t.cross is not None:
        return t.cross
    if x.source is None or t.base is None:
        raise ValueError(
            "a tangent without `cross` needs the `source` of its value and its own `base`, got "
            f"source={x.source}, base={t.base}: let the `tangents` of the layer that gave it set "
            "`cross`, E x t', from `varprop.layers.cross_of` of its input"
        )
    phi, z, y = x.source.function, x.source.law, t.base
    cross = np.zeros(t.second.shape)
    if not np.any(y.cross):
        return cross
    q = z.diagonal
    live, sites = np.where(q > 0, q, 1.0), np.arange(q.shape[-1])
    along = phi.moment(lambda z, value, slope: z * value * slope, q, 2) / live
    cross[..., sites, sites] = _own_cross(y) * along
    rows, columns = pairs(sites.size)
    for p, o in ((rows, columns), (columns, rows)) if rows.size else ():
        cross[..., p, o] = np.nan if phi.jumps else _crosses(phi, z, y, p, o)
    return cross


def _own_cross(y: Tangents) -> Array:
    """E z y of each site."""
    assert y.cross is not None  # of a Gaussian z it is known
    return np.diagonal(y.cross, axis1=-2, axis2=-1)


def _products(phi: Activation, z: Moments, y: Tangents, p: Array, o: Array) -> Array:
    """E phi'(z) y phi'(z') y' at the sites p of z and o of z'."""
    size = _size(y)
    first, last = (
        _covariances(z, y, p, o, p) / size[..., p],
        _covariances(z, y, p, o, o) / size[..., o],
    )
    kernel = phi.slope_function.kernel if phi.jumps else phi.derivative_kernel
    q, gap = z.diagonal, z.gap[..., p, o]
    apart = (first[0] - first[1]) * (last[0] - last[1])
    ray = _ray(q[..., p], q[..., o], gap)
    ends = []
    for step in (STEP, -STEP):
        here = q[..., p] + 2 * step * first[0] * last[0]
        there = q[..., o] + 2 * step * first[1] * last[1]
        value = kernel(
            here, there, gap=np.where(ray == 0, gap + step * apart, ray_gap(here, there))
        )
        if np.any(ray):
            value = np.where(ray == 0, value, kernel(here, there, np.where(ray == 0, 1.0, ray)))
        ends.append(value)
    ahead, behind = ends
    middle = (ahead + behind) / 2
    if np.any(ray):  # as without tangents: the gradients' rule tells the angle there
        middle = np.where(ray == 0, middle, kernel(q[..., p], q[..., o], gap=gap))
    scale = size[..., p] * size[..., o]
    return y.second[..., p, o] * middle + scale * (ahead - behind) / (2 * STEP)


def _crosses(phi: Activation, z: Moments, y: Tangents, p: Array, o: Array) -> Array:
    """E phi(z) phi'(z') y' at the sites p of z and o of z'."""
    size, q, gap = _size(y)[..., o], z.diagonal, z.gap[..., p, o]
    other, own = _covariances(z, y, p, o, o) / size
    unit = np.sqrt(np.where(q[..., o] > 0, q[..., o], 1.0))
    ahead, behind = (
        phi.kernel(
            q[..., p],
            q[..., o] + step * (2 * own + step),
            gap=gap + step * (own - other + step / 2),
        )
        for step in (STEP * unit, -STEP * unit)
    )
    return size * (ahead - behind) / (2 * STEP * unit)


def _ray(q1: Array, q2: Array, gap: Array) -> Array:
    """The sign of c where z' is a multiple of z to rounding, else 0, and where the gap tells."""
    scale, missing = np.sqrt(q1 * q2), deficit(q1, q2, gap)
    close = missing * (2 - missing) * scale < RAY * gap
    return np.where(close & (scale > 0), np.sign(1 - missing), 0.0)


def _covariances(z: Moments, y: Tangents, p: Array, o: Array, at: Array) -> Array:
    """E z y'' and E z' y'' for z, z' at p, o and y'' at `at`."""
    assert y.cross is not None
    return np.stack([y.cross[..., p, at], y.cross[..., o, at]])


def _size(y: Tangents) -> Array:
    """sqrt(E y^2), or 1 where that is zero."""
    return np.sqrt(np.where(y.diagonal > 0, y.diagonal, 1.0))


def tangent_moment(phi: Activation, q: Any, explained: Any, rest: Any, power: int) -> Any:
    """E (phi'(z) y)^power, y = sqrt(explained) Z + sqrt(rest) N, z = sqrt(q) Z, `power` even.

    Z and N are independent standard normals: the binomial sum over even powers k of N, whose
    moments are (k - 1)!!.
    """
    total = 0.0
    for k in range(0, power + 1, 2):
        weight = comb(power, k) * prod(range(1, k, 2))
        mixed = explained ** ((power - k) // 2) * rest ** (k // 2)
        total = total + weight * mixed * _slopes(phi, q, power, power - k)
    return total


def _slopes(phi: Activation, q: Any, power: int, degree: int) -> Any:
    """E phi'(z)^power Z^degree, z = sqrt(q) Z."""
    if (power, degree) == (2, 0) and not phi.jumps:
        return phi.derivative_second_moment(q)
    found = phi.moment(
        lambda z, _, slope: whole_power(slope, power) * whole_power(z, degree), q, degree
    )
    return found / np.where(q > 0, q, 1.0) ** (degree / 2)


def whole_power(x: np.ndarray, whole: int) -> np.ndarray:
    """x^whole by products, which cost a tenth of a power of floats."""
    result = np.ones_like(x)
    for _ in range(whole):
        result = result * x
    return result


def tangent_base(x: Moments, t: Tangents) -> Tangents | None:
    """The tangent of the Gaussian law of which x is a function, given the tangent t of x."""
    return t if x.source is None and x.gaussian is not None else t.base
