"""The exact law of a squared length, of values or of gradients, over networks.

With Gaussian weights and no bias, the direction of x drops out of |W x|, so layer by layer

    M = |x_L|^2 / n_L = (|x_0|^2 / n_0) F_1 ... F_L,

independent factors (`Factor`). Gradients alike: the sign of a pre-activation is that of a fresh
row, which a change of sign of the row's product with x takes to either gate, so that the Jacobian
has the law of one with independent gates (Hanin & Nica 2020).
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from varprop.theory.arguments import check_number, real_points
from varprop.theory.finite_width.factor import Factor
from varprop.theory.finite_width.inversion import Inverse, invert

Array = np.ndarray


@dataclass(frozen=True)
class LengthLaw:
    """The law of M = `start` F_1 ... F_L, for `factors` in the order of the layers.

    M = 0 with probability `dead`. Distribution functions are right to about 1e-13 absolutely, 1e-10
    over a thousand wide layers, where the characteristic function's own rounding adds up.
    """

    start: float
    factors: tuple[Factor, ...]

    @property
    def dead(self) -> float:
        """P(M = 0) = 1 - prod_l (1 - P(F_l = 0)), for ReLU 1 - prod_l (1 - 2^-n_l).

        Source: Lu et al. (2020).
        """
        return float(0.0 - np.expm1(np.sum(np.log1p([-f.dead for f in self.factors]))))

    @property
    def mean(self) -> float:
        """E M; inf where it leaves the range of floats."""
        return self.moment(1)

    def moment(self, k: float) -> float:
        """E M^k for k >= 0; inf where it leaves the range of floats."""
        check_number("k", k, "E M^k is known for powers from 0 up", least=0, symbols=False)
        k = float(k)
        if k == 0:
            return 1.0
        with np.errstate(over="ignore", divide="ignore"):
            logs = sum(c * np.log(f.moment(k)) for f, c in self._counted.items())
            return float(np.exp(k * np.log(self.start) + logs))

    @property
    def fluctuation(self) -> float:
        """Var M / (E M)^2."""
        per = (c * np.log(f.moment(2) / f.moment(1) ** 2) for f, c in self._counted.items())
        return float(np.expm1(sum(per)))

    @property
    def log_mean(self) -> float:
        """E[log M | M > 0]."""
        return float(
            np.log(self.start) + sum(c * f.log_moments[0] for f, c in self._counted.items())
        )

    @property
    def log_variance(self) -> float:
        """Var[log M | M > 0]."""
        return float(sum(c * f.log_moments[1] for f, c in self._counted.items()))

    @property
    def beta(self) -> float:
        """sum_l Var(F_l) / (E F_l)^2: log(M / E M) tends to N(-beta/2, beta) in depth and width.

        5 sum 1/n for ReLU, 2 sum 1/n for linear layers. Source: Hanin & Nica (2020).
        """
        return float(
            sum(c * (f.moment(2) / f.moment(1) ** 2 - 1) for f, c in self._counted.items())
        )

    def log_normal_cdf(self, x: Any) -> Array:
        """P(M <= x) in the log-normal limit."""
        with np.errstate(divide="ignore"):
            y = np.log(np.maximum(real_points(x), 0.0))
        mean = np.log(self.start) + sum(c * np.log(f.moment(1)) for f, c in self._counted.items())
        return special.ndtr((y - mean + self.beta / 2) / np.sqrt(self.beta))

    @property
    def median(self) -> float:
        """The least x with P(M <= x) >= 1/2."""
        return self.quantile(0.5)

    def quantile(self, p: float) -> float:
        """The least x with P(M <= x) >= p, for p in (0, 1)."""
        place = real_points(p)
        if place.ndim or not 0 < place < 1:
            raise ValueError(f"a quantile needs one probability between 0 and 1, got {p!r}")
        if place <= self.dead:
            return 0.0
        with np.errstate(over="ignore"):
            return float(
                np.exp(self._inverse.quantile((float(place) - self.dead) / (1 - self.dead)))
            )

    def cdf(self, x: Any) -> Array:
        """P(M <= x)."""
        x = real_points(x)
        with np.errstate(divide="ignore"):
            y = np.log(np.maximum(x, 0.0))
        inside = np.where(y > -np.inf, self._inverse.cdf(np.nan_to_num(y, neginf=0.0)), 0.0)
        return np.where(x < 0, 0.0, self.dead + (1 - self.dead) * inside)

    def density(self, x: Any) -> Array:
        """The density at x > 0; zero elsewhere. What is missing of 1 is at 0 (`dead`)."""
        x = real_points(x)
        live = np.where(x > 0, x, 1.0)
        return np.where(x > 0, self.log_density(np.log(live)) / live, 0.0)

    def log_density(self, y: Any) -> Array:
        """The density of y = log M: its integral is 1 - `dead`."""
        y, inverse = real_points(y), self._inverse
        inside = (y > inverse.low) & (y < inverse.low + inverse.period)
        return np.where(inside, (1 - self.dead) * np.maximum(inverse.density(y), 0.0), 0.0)

    def sample(self, size: int, rng: np.random.Generator) -> Array:
        """Independent draws of M, zeros included."""
        with np.errstate(over="ignore"):
            return np.exp(self.sample_log(size, rng))

    def sample_log(self, size: int, rng: np.random.Generator) -> Array:
        """Independent draws of log M, -inf for zeros."""
        total = np.full(size, np.log(self.start))
        for factor in self.factors:
            total = total + factor.draw(size, rng)
        return total

    def __str__(self) -> str:
        return (
            f"law of a squared length over {len(self.factors)} layers: mean {self.mean:.6g}, "
            f"median {self.median:.6g}, E log {self.log_mean:.6g}, Var log "
            f"{self.log_variance:.6g}, P(0) {self.dead:.3g}"
        )

    @cached_property
    def _counted(self) -> Counter[Factor]:
        return Counter(self.factors)

    @cached_property
    def _inverse(self) -> Inverse:
        def log_mellin(s: Array) -> Array:
            parts = (c * f.log_mellin(s) for f, c in self._counted.items())
            return s * np.log(self.start) + sum(parts)

        def log_majorant(t: float) -> float:
            return sum(c * f.log_majorant(t) for f, c in self._counted.items())

        lowest = min(f.lowest for f in self.factors)
        return invert(log_mellin, log_majorant, lowest, np.sqrt(self.log_variance))
