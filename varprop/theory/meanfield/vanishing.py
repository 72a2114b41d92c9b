"""Criticality at q* = 0: how the variance, the gradients and the correlation decay with the depth.

phi has one expansion on each side of 0, phi = s z + k z^2/2 + t z^3/6, with + for z > 0 and - for
z < 0. Half-normal moments give, for sigma_w^2 = 2 / (s+^2 + s-^2), where both chi are 1 at 0,

    q' / q   = 1 + A sqrt(q) + B q          A = sigma_w^2 sqrt(2/pi) (s+ k+ - s- k-)
    chi_perp = 1 + A sqrt(q) + G q          B = (3/2) sigma_w^2 (k^2/4 + s t/3), both sides added
                                            G = (1/2) sigma_w^2 (k^2 + s t), both sides added

    A < 0          q ~ 4/(A l)^2,  gradients ~ l^-2          (softsign, elu: phi'' jumps at 0)
    A = 0, B < 0   q ~ 1/(-B l),   gradients ~ l^(-G/B)      (tanh, sin, erf)
    A = B = 0, phi linear up to kinks at distance a: q ~ a^2/(2 log l), no power (hard tanh).

The deficit e = 1 - c of the correlation obeys, to the order that is not summable over layers,

    e' = e (1 + (G - B) q) - b e^(3/2),     b = (sqrt(2)/(3 pi)) sigma_w^2 (s+ - s-)^2

so e ~ (2/b)^2 (1 - (G - B)/(2 B))^2 / l^2 where phi' jumps at 0, with the second factor only for
A = 0. Where phi' does not jump, c is kept if A < 0 or k = 0; else c' = c + r q (1 - c)(1 - 2c) with
r = G - B = (k/s)^2/4, and c goes to 1/2 (A = 0).
"""

from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from varprop.activations import Activation, X
from varprop.activations.opaque import is_opaque
from varprop.activations.pieces import pieces

ZERO = 1e-12  # coefficients below this are rounding


class PowerLaw(NamedTuple):
    """`quantity` ~ constant l^exponent after l layers; nan where the start decides the constant.

    The exponent 0 says that the quantity is kept; nan that no power of l is known, and `note` why.
    """

    quantity: str
    exponent: float
    constant: float
    note: str = ""


class Side(NamedTuple):
    """phi = s z + k z^2/2 + t z^3/6 on one side of 0."""

    s: Any
    k: Any
    t: Any


class Expansion(NamedTuple):
    """A, B and G of q and of the gradients, and b of the correlation; see the module."""

    root: Any
    linear: Any
    gradient: Any
    kink: Any


def sides(phi: Activation) -> tuple[Side, Side]:
    """The expansions of phi for z > 0 and z < 0; phi(0) = 0."""
    around = [p for p in pieces(phi.expression, phi.kinks) if p.low <= 0 <= p.high]
    return _side(around[-1].expression, "+"), _side(around[0].expression, "-")


def _side(expression: sp.Expr, side: str) -> Side:
    slopes = (sp.diff(expression, X, k) for k in (1, 2, 3))  # type: ignore[arg-type]
    return Side(*(float(sp.limit(slope, X, 0, side)) for slope in slopes))  # type: ignore[arg-type]


def expansion(right: Side, left: Side) -> Expansion:
    """The coefficients, from numbers or symbols."""
    weight = 2 / (right.s**2 + left.s**2)
    both = (right, left)
    return Expansion(
        weight * sp.sqrt(2 / sp.pi) * (right.s * right.k - left.s * left.k),
        weight * sum(3 * side.k**2 / 8 + side.s * side.t / 2 for side in both),
        weight * sum(side.k**2 + side.s * side.t for side in both) / 2,
        sp.sqrt(2) / (3 * sp.pi) * weight * (right.s - left.s) ** 2,
    )


def vanishing_laws(phi: Activation) -> tuple[PowerLaw, ...]:
    """The power laws of a critical stack whose variance goes to 0."""
    if is_opaque(phi.expression):
        return _unknown(f"{phi} has no expression to expand at 0; give one in custom_activation")
    right, left = sides(phi)
    found = expansion(right, left)
    root, linear, gradient, kink = (float(v) if abs(v) > ZERO else 0.0 for v in found)
    if root > 0 or (root == 0 and linear > 0):
        return _unknown("q = 0 repels: the variance grows from there")
    if root == linear == 0:
        return _unknown(_flat(phi, right, left))
    if root:
        laws = PowerLaw("second_moment", -2.0, (2 / root) ** 2), _gradients(-2.0)
        return (*laws, _aligned(kink, 1.0) if kink else _kept())
    drift = (gradient - linear) / linear
    laws = PowerLaw("second_moment", -1.0, -1 / linear), _gradients(-gradient / linear)
    if kink:
        return (*laws, _aligned(kink, 1 - drift / 2))
    if abs(drift) <= ZERO:
        return (*laws, _kept())
    return (*laws, PowerLaw("correlation - 1/2", drift, np.nan, "the correlation goes to 1/2"))


def _gradients(exponent: float) -> PowerLaw:
    return PowerLaw("grad_second_moment", exponent, np.nan)


def _aligned(kink: float, slowed: float) -> PowerLaw:
    return PowerLaw("1 - correlation", -2.0, (2 * slowed / kink) ** 2)


def _kept() -> PowerLaw:
    return PowerLaw("1 - correlation", 0.0, np.nan, "the changes of all layers have a finite sum")


def _unknown(note: str) -> tuple[PowerLaw, ...]:
    names = "second_moment", "grad_second_moment", "1 - correlation"
    return tuple(PowerLaw(name, np.nan, np.nan, note) for name in names)


def _flat(phi: Activation, right: Side, left: Side) -> str:
    """Why neither order of q acts."""
    distances = [abs(kink) for kink in phi.kinks if kink]
    if any((right.k, left.k, right.t, left.t)) or not distances:
        return f"{phi} changes q at an order above q^2 as q goes to 0, which is not expanded here"
    return (
        f"no power law: {phi} is linear on both sides of 0 up to |z| = {min(distances):g}, so its "
        "corrections fall like exp(-a^2/(2 q)) and the variance like a^2/(2 log l), a = "
        f"{min(distances):g}"
    )
