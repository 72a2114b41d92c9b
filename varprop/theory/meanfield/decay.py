"""Power laws at criticality, where exponential approach gives way to algebraic.

Correlation at q* with chi_perp = 1, deficit e = 1 - c: Price's theorem gives, for small e,

    e' = e - a e^2            a = sigma_w^2 q E phi''(z)^2 / 2                so e ~ 1/(a l)
    e' = e - b e^(3/2)        b = (2/3) sigma_w^2 sqrt(q/pi) sum_k J_k^2 p(x_k)   e ~ (2/b)^2 / l^2

the second where phi' jumps, by J_k at x_k, p the density of z ~ N(0, q*): the smooth and the
ReLU-like class of Hayou, Doucet & Rousseau (2019). Variance at q* = 0 with chi = 1, phi smooth:

    q' = q - d q^2,  d = -(phi_1 phi_3 + 3 phi_2^2 / 4) / phi_1^2        so q ~ 1/(d l),

phi_k the derivatives at 0; gradients are multiplied by 1 + g q, g = (phi_2^2 + phi_1 phi_3)/phi_1^2
in each layer, so they go like l^(g/d).
"""

from typing import NamedTuple

import numpy as np
import sympy as sp

from varprop.activations import Activation, X
from varprop.theory.meanfield.field import MeanField
from varprop.theory.meanfield.fixed_points import MARGIN


class PowerLaw(NamedTuple):
    """`quantity` ~ constant l^exponent after l layers; nan where the start decides the constant."""

    quantity: str
    exponent: float
    constant: float


def power_laws(field: MeanField) -> tuple[PowerLaw, ...]:
    """The power laws of a critical mean field that are known; none for a field off criticality.

    At q* = 0 they are those of phi that are smooth there; kinks at zero or at other places (hard
    tanh) lead to other laws, which are not here.

    Raises ValueError for symbols, dropout or a shortcut, for which chi_perp = 1 is another class.
    """
    if not isinstance(field, MeanField):
        raise ValueError(f"power laws are of a mean field, got {field!r}; call mean_field first")
    if field.symbolic or field.keep != 1 or field.skip != 0:
        raise ValueError(
            f"power laws are for plain stacks of numbers, got {field}; "
            "leave skip at 0, keep at 1 and substitute numbers"
        )
    if abs(field.chi_perp - 1) > MARGIN:
        return ()
    if field.fixed_point == 0:
        return _vanishing(field.activation)
    return _merging(field) if 0 < field.fixed_point < np.inf else ()


def smooth_coefficient(field: MeanField, q: float) -> float:
    """a = sigma_w^2 q E phi''(z)^2 / 2, for phi' without jumps."""
    phi = field.activation
    bend = Activation(f"{phi}''", phi.derivative, kinks=phi.kinks)
    return float(field.weight_variance) * q * float(bend.derivative_second_moment(q)) / 2


def kinked_coefficient(field: MeanField, q: float) -> float:
    """b = (2/3) sigma_w^2 sqrt(q/pi) sum over the kinks of (jump of phi')^2 times the density."""
    phi, total = field.activation, 0.0
    for kink in phi.kinks:
        step = 1e-9 * max(1.0, abs(kink))
        jump = float(phi.slope(kink + step)) - float(phi.slope(kink - step))
        jump = jump if abs(jump) > 1e-6 else 0.0
        total += jump**2 * np.exp(-(kink**2) / (2 * q)) / np.sqrt(2 * np.pi * q)
    return float(2 / 3 * field.weight_variance * np.sqrt(q / np.pi) * total)


def _merging(field: MeanField) -> tuple[PowerLaw, ...]:
    q = field.fixed_point
    if (kinked := kinked_coefficient(field, q)) > 0:
        return (PowerLaw("1 - correlation", -2.0, (2 / kinked) ** 2),)
    smooth = smooth_coefficient(field, q)
    return (PowerLaw("1 - correlation", -1.0, 1 / smooth),) if smooth > 0 else ()


def _vanishing(phi: Activation) -> tuple[PowerLaw, ...]:
    if 0.0 in phi.kinks:
        return ()
    first, second, third = (
        float(sp.diff(phi.expression, X, k).subs(X, 0))
        for k in (1, 2, 3)  # type: ignore[arg-type]
    )
    slowing = -(first * third + 3 * second**2 / 4) / first**2
    growth = (second**2 + first * third) / first**2
    if slowing <= 0:
        return ()
    laws = (
        PowerLaw("second_moment", -1.0, 1 / slowing),
        PowerLaw("grad_second_moment", growth / slowing, float("nan")),
    )
    return laws
