"""What an activation is for vanishing and for exploding variance: homogeneous, two slopes.

    q -> 0      phi(z) ~ z phi'(0+) for z > 0 and z phi'(0-) for z < 0, where phi(0) = 0
    q -> inf    phi(z) ~ z lim phi(t)/t, t -> +inf and -inf, where phi grows linearly

So the moments at both ends are those of a two-sided linear function, exactly.
"""

from typing import NamedTuple

import numpy as np

from varprop.activations import Activation, get

NEAR, FAR = 1e-150, 1e12
WAVES = 1e-3  # slopes far from 0 that differ by more have no limit
GROWS = 1e6  # a slope above this at FAR is growth faster than linear


class Ends(NamedTuple):
    """phi(z) = right z for z > 0 and left z for z < 0."""

    right: float
    left: float

    @property
    def gain(self) -> float:
        """E phi(z)^2 / q = E phi'(z)^2."""
        return (self.right**2 + self.left**2) / 2

    def gap(self, deficit: np.ndarray) -> np.ndarray:
        """E (phi(z) - phi(z'))^2 / 2 at q = 1 and correlation 1 - deficit."""
        if self.right == 0:  # mirror: the law of (z, z') is symmetric
            return get("relu").gap(1.0, 1.0, deficit) * self.left**2
        return get("leaky_relu", a=self.left / self.right).gap(1.0, 1.0, deficit) * self.right**2

    def derivative_kernel(self, deficit: np.ndarray) -> np.ndarray:
        """E phi'(z) phi'(z') at correlation 1 - deficit."""
        if self.right == 0:
            return get("relu").derivative_kernel(1.0, 1.0, gap=deficit) * self.left**2
        phi = get("leaky_relu", a=self.left / self.right)
        return phi.derivative_kernel(1.0, 1.0, gap=deficit) * self.right**2


def refuse_jumps(phi: Activation, what: str, remedy: str) -> None:
    """Raise ValueError for phi with a jump, for which E phi'(z)^2 is infinite at every q > 0."""
    if phi.jumps:
        raise ValueError(
            f"{what} needs E phi'(z)^2, which is finite only for an activation without jumps: "
            f"{phi} jumps at {', '.join(map(str, phi.jumps))}; {remedy}"
        )


def at_zero(phi: Activation) -> tuple[float, Ends]:
    """(E phi^2 as q -> 0, the slopes on both sides of 0)."""
    right, left = (float(phi(sign * NEAR)) for sign in (1, -1))
    slopes = Ends(float(phi.slope(NEAR)), float(phi.slope(-NEAR)))
    second = (right**2 + left**2) / 2
    return (second if second > 1e-100 else 0.0), slopes


def far_away(phi: Activation) -> Ends | None:
    """The slopes of phi far from 0 (0 where it is bounded); None where it outgrows any line."""
    with np.errstate(all="ignore"):
        right, left = (float(phi(sign * FAR)) / (sign * FAR) for sign in (1, -1))
    if not np.isfinite([right, left]).all() or max(abs(right), abs(left)) > GROWS:
        return None
    rounded = [0.0 if abs(slope) < 1e-9 else slope for slope in (right, left)]
    return Ends(*rounded)


def refuse_waves(phi: Activation, far: Ends) -> None:
    """Raise ValueError for phi whose slopes have no limit far from 0, as those of z + sin z."""
    z = FAR * np.linspace(1.0, 2.0, 17)
    slopes = np.concatenate([phi.slope(z) - far.right, phi.slope(-z) - far.left])
    if np.abs(slopes).max() > WAVES:
        raise ValueError(
            f"the variance diverges, and the slope of {phi} has no limit far from 0, so that "
            "gradients and correlations have none either; lower the weight variance, or use "
            "chi_perp_at(q)"
        )
