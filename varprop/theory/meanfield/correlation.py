"""Two inputs at the fixed point of the variance: the map of their deficit 1 - c, never of c.

    1 - c' = [skip^2 q (1 - c) + sigma_w^2 (E (phi - phi')^2 / 2 + (1/keep - 1) E phi^2)] / q'

c' as a function of c has a power series with coefficients >= 0, so it is convex on [0, 1] and has
at most one fixed point there besides c = 1 (Daniely et al. 2016; Poole et al. 2016).
"""

from typing import NamedTuple

import numpy as np

from varprop.activations import Activation
from varprop.activations.symbols import Number
from varprop.theory.meanfield.fixed_points import MARGIN, find_root
from varprop.theory.meanfield.limits import Ends

SMALLEST = 1e-24  # deficits searched; kinks make 1 - c* of the order (chi - 1)^2


class PairMap(NamedTuple):
    """The map at variance q; `ends` is the homogeneous limit that replaces phi at q = 0 or inf."""

    activation: Activation
    weight_variance: float
    keep: float
    skip: float
    q: float
    ends: Ends | None

    @property
    def limited(self) -> bool:
        """Whether correlations have a limit map: not where q diverges faster than by a factor."""
        return self.ends is None or bool(np.isfinite(self.ends.gain))

    def next(self, deficit: Number) -> Number:
        """1 - c' from 1 - c."""
        q, gap, kept = self._moments(np.asarray(deficit, float))
        noise = (1 / self.keep - 1) * kept
        above = self.skip**2 * q * np.asarray(deficit) + self.weight_variance * (gap + noise)
        return (above / self._normal(q, kept))[()]

    def slope(self, deficit: Number) -> Number:
        """dc'/dc."""
        deficit = np.asarray(deficit, float)
        if self.activation.jumps and self.ends is None and not np.all(deficit):
            return np.where(deficit > 0, self.slope(np.where(deficit > 0, deficit, 1.0)), np.inf)[
                ()
            ]
        q, _, kept = self._moments(deficit)
        if self.ends is not None:
            slopes = self.ends.derivative_kernel(deficit)
        else:
            slopes = self.activation.derivative_kernel(q, q, gap=q * deficit)
        above = q * (self.skip**2 + self.weight_variance * slopes)
        return (above / self._normal(q, kept))[()]

    def _normal(self, q: float, kept: float) -> float:
        """q' without the bias at the ends, where it is 0 or negligible; else q itself."""
        if self.ends is None:
            return q
        return self.skip**2 * q + self.weight_variance / self.keep * kept

    def _moments(self, deficit: np.ndarray) -> tuple[float, np.ndarray, float]:
        """q, the gap of phi and E phi^2."""
        if self.ends is not None:
            if not self.limited:
                raise ValueError(
                    f"{self.activation} grows faster than linearly and its variance diverges, so "
                    "correlations have no limit map; lower the weight variance"
                )
            return 1.0, self.ends.gap(deficit), self.ends.gain
        q, phi = self.q, self.activation
        return q, phi.gap(q, q, q * deficit), float(phi.second_moment(q))

    def fixed_point(self) -> float:
        """1 - c* with c* in [0, 1] attracting; nan where the map is the identity."""
        if self.keep == 1:
            if abs(self.next(0.5) - 0.5) < 1e-13:
                return float("nan")
            if self.slope(0.0) <= 1 + MARGIN:
                return 0.0
        if self.next(1.0) >= 1 - 1e-13:
            return 1.0
        low = 0.1
        while self.next(low) <= low:
            low /= 10
            if low < SMALLEST:
                raise ValueError(
                    f"1 - c* of {self.activation} is below {SMALLEST:g}, too close to critical to "
                    "resolve; move weight_variance further from the critical line"
                )
        root = find_root(lambda log: float(np.log(self.next(np.exp(log))) - log), np.log(low), 0.0)
        return float(np.exp(root))
