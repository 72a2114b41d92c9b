"""Power laws at criticality, where exponential approach gives way to algebraic.

Correlation at q* with chi_perp = 1, deficit e = 1 - c: Price's theorem gives, for small e,

    e' = e - a e^2            a = sigma_w^2 q E phi''(z)^2 / 2                so e ~ 1/(a l)
    e' = e - b e^(3/2)        b = (2/3) sigma_w^2 sqrt(q/pi) sum_k J_k^2 p(x_k)   e ~ (2/b)^2 / l^2

the second where phi' jumps, by J_k at x_k, p the density of z ~ N(0, q*): the smooth and the
ReLU-like class of Hayou, Doucet & Rousseau (2019). Where the variance itself goes to 0,
see `vanishing`; where it grows by the bias b of a homogeneous phi with chi = 1, q ~ b l, and

    e' = (e - b e^(3/2)) / (1 + 1/l)                                           so e ~ (1/b)^2 / l^2
"""

import numpy as np

from varprop.activations import Activation
from varprop.theory.meanfield.field import MeanField
from varprop.theory.meanfield.fixed_points import MARGIN
from varprop.theory.meanfield.vanishing import PowerLaw, vanishing_laws


def power_laws(field: MeanField) -> tuple[PowerLaw, ...]:
    """The power laws of a critical mean field; none for a field off criticality.

    A law that is not a power of l has the exponent nan, and its note says why.

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
        return vanishing_laws(field.activation)
    if field.fixed_point == np.inf:
        return _growing(field)
    return _merging(field)


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
    """Correlations where q is at its fixed point."""
    q, name = field.fixed_point, "1 - correlation"
    slow = not field.activation.homogeneous and abs(field.chi_parallel - 1) <= MARGIN
    note = "from q = q*; from elsewhere q itself takes a power of l" if slow else ""
    if (kinked := kinked_coefficient(field, q)) > 0:
        return (PowerLaw(name, -2.0, (2 / kinked) ** 2, note),)
    smooth = smooth_coefficient(field, q)
    if smooth > 0:
        return (PowerLaw(name, -1.0, 1 / smooth, note),)
    return (PowerLaw(name, 0.0, np.nan, "a linear network keeps every correlation"),)


def _growing(field: MeanField) -> tuple[PowerLaw, ...]:
    """q' = q + b for a homogeneous phi."""
    names = "second_moment", "1 - correlation"
    if not field.activation.homogeneous:
        note = f"the variance grows without bound, by terms of {field.activation} not expanded here"
        return tuple(PowerLaw(name, np.nan, np.nan, note) for name in names)
    kinked = kinked_coefficient(field, 1.0)  # of a homogeneous phi: the same at every q
    variance = PowerLaw(names[0], 1.0, float(field.bias_variance))
    if kinked > 0:
        return variance, PowerLaw(names[1], -2.0, 1 / kinked**2)
    return variance, PowerLaw(names[1], -1.0, np.nan)
