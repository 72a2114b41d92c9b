"""The truncated normal in floats: moments that keep their digits in any window.

With w = m + s t and t standard normal given alpha <= t <= beta, the textbook forms subtract nearly
equal numbers: the mass Phi(beta) - Phi(alpha) is 0 in floats at (40, 41), and the variance of a
window of +-1e-6 comes out thirty times too large. Here the window is turned so that the mode is at
or left of its middle, and every moment is a ratio of integrals of one sign over the offset x from
the mode or, in a tail, from the nearer bound o:

    density of x  ~  exp(-x (x/2 + o)),    o = max(alpha, 0)
"""

from dataclasses import dataclass
from functools import cached_property
from math import log, pi, sqrt
from typing import Any, NamedTuple

import numpy as np

EXPONENT = 300.0  # the density below e^-300 of its maximum is left out
PANELS, ORDER = 16, 24  # of the composite Gauss-Legendre rule
HIGHEST = 64  # moments above need more than `EXPONENT`


class Rule(NamedTuple):
    """Offsets (..., nodes), their probabilities, and log of the integral of the density of x."""

    x: np.ndarray
    probabilities: np.ndarray
    log_integral: np.ndarray


@dataclass(frozen=True, eq=False)
class TruncatedMoments:
    """w ~ N(loc, scale^2) given low <= w <= high, all arrays of one shape.

    Even central moments, the variance and the kurtosis are right to 1e-12 of themselves, odd
    central moments and raw ones to 1e-12 of E |w - mean|^k and E |w|^k.
    """

    loc: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def _turned(self) -> np.ndarray:
        """Where the window lies left of the mode, which is reflected."""
        return self.high - self.loc < self.loc - self.low

    @property
    def _signed(self) -> np.ndarray:
        return np.where(self._turned, -self.scale, self.scale)

    @property
    def _window(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(alpha, beta, beta - alpha), turned."""
        low, high = (self.low - self.loc) / self.scale, (self.high - self.loc) / self.scale
        turned = self._turned
        alpha, beta = np.where(turned, -high, low), np.where(turned, -low, high)
        return alpha, beta, (self.high - self.low) / self.scale

    @property
    def _origin(self) -> np.ndarray:
        """The w at offset 0: the mode, or in a tail the bound that is nearer to it."""
        alpha, _, _ = self._window
        nearer = np.where(self._turned, self.high, self.low)
        return np.where(alpha > 0, nearer, self.loc)

    @cached_property
    def _rule(self) -> Rule:
        alpha, beta, width = self._window
        tail, origin = alpha > 0, np.maximum(alpha, 0.0)
        # x (x/2 + o) = EXPONENT, free of cancellation
        reach = 2 * EXPONENT / (origin + np.hypot(origin, sqrt(2 * EXPONENT)))
        start = np.where(tail, 0.0, np.maximum(alpha, -reach))
        stop = np.minimum(np.where(tail, width, beta), reach)
        place, weight = _unit_rule()
        length = (stop - start)[..., None]
        x = start[..., None] + length * place
        density = np.exp(-x * (x / 2 + origin[..., None])) * weight
        total = density.sum(-1)
        return Rule(x, density / total[..., None], np.log(total) + np.log(length[..., 0]))

    @property
    def log_mass(self) -> np.ndarray:
        """log P(low <= N(loc, scale^2) <= high)."""
        origin = np.maximum(self._window[0], 0.0)
        return (self._rule.log_integral - origin**2 / 2 - log(2 * pi) / 2)[()]

    @property
    def mean(self) -> np.ndarray:
        """E w, by the form that does not cancel: offsets from the middle, the mode or a bound."""
        alpha, beta, width = self._window
        with np.errstate(invalid="ignore", over="ignore"):
            middle = ((self.low - self.loc) + (self.high - self.loc)) / (2 * self.scale)
            narrow = (width <= 2) & (np.abs(middle) * width <= 2)
            from_middle = (self.low + self.high) / 2 + self.scale * _tilt(
                np.where(narrow, middle, 0.0), np.where(narrow, width / 2, 1.0)
            )
            # E t = (phi(alpha) - phi(beta)) / Z
            decay = np.where(np.isinf(beta), np.inf, width * (alpha + beta) / 2)
            edge = np.exp(-(np.minimum(alpha, 0.0) ** 2) / 2) * -np.expm1(-decay)
            from_mode = self.loc + self._signed * edge / np.exp(self._rule.log_integral)
        offset = (self._rule.probabilities * self._rule.x).sum(-1)
        from_bound = self._origin + self._signed * offset
        return np.where(narrow, from_middle, np.where(alpha > 0, from_bound, from_mode))[()]

    @property
    def variance(self) -> np.ndarray:
        """E (w - E w)^2."""
        return self.central_moment(2)

    @property
    def std(self) -> np.ndarray:
        """sqrt of the variance: what the weights have, where `scale` is what the law was given."""
        return self.scale * np.sqrt(self._central(2))

    @property
    def kurtosis(self) -> np.ndarray:
        """E (w - E w)^4 / variance^2."""
        return self._central(4) / self._central(2) ** 2

    def central_moment(self, k: int) -> np.ndarray:
        """E (w - E w)^k, 0 <= k <= 64."""
        return self._signed**k * self._central(k)

    def moment(self, k: int) -> np.ndarray:
        """E w^k, 0 <= k <= 64."""
        if _checked_order(k) == 1:
            return self.mean
        w = self._origin[..., None] + self._signed[..., None] * self._rule.x
        return (self._rule.probabilities * w**k).sum(-1)[()]

    def _central(self, k: int) -> np.ndarray:
        """E (x - E x)^k, with x in units of scale."""
        if _checked_order(k) == 1:
            return 0.0 * self.scale
        x, p, _ = self._rule
        centred = x - (p * x).sum(-1, keepdims=True)
        return (p * centred**k).sum(-1)[()]


def truncated_normal(
    mean: Any = 0.0, std: Any = 1.0, low: Any = -2.0, high: Any = 2.0
) -> TruncatedMoments:
    """N(mean, std^2) given low <= w <= high: absolute bounds, arrays broadcast, +-inf allowed.

    `mean` and `std` are those of the uncut normal; the result's `mean`, `variance`, `std`,
    `kurtosis`, `moment(k)`, `central_moment(k)` and `log_mass` are those of w.
    Raises ValueError for what is no real number, std <= 0, high <= low, windows out of range.
    """
    given = {"mean": mean, "std": std, "low": low, "high": high}
    arrays = [_real(name, value) for name, value in given.items()]
    try:
        loc, scale, lower, upper = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in given.items())
        raise ValueError(f"shapes must broadcast, got {shapes}: give arrays of one shape") from None
    rules = (
        ("mean must be finite", mean, np.isfinite(loc), "bounds alone may be infinite"),
        ("std must be finite and above 0", std, np.isfinite(scale) & (scale > 0), "pass a scale"),
        ("high must be above low", (low, high), upper > lower, "swap or widen the bounds"),
    )
    for rule, came, holds, remedy in rules:
        if not np.all(holds):
            raise ValueError(f"{rule}, got {came!r}: {remedy}")
    law = TruncatedMoments(loc, scale, lower, upper)
    with np.errstate(over="ignore"):
        edges = [np.where(np.isinf(edge), 0.0, edge - loc) for edge in (lower, upper)]
        far = ~np.isfinite(np.maximum(*np.abs(edges)) / scale)
    if np.any(far):
        raise ValueError(
            f"bounds must be within 1e308 standard deviations of the mean, got {given}: "
            "pass -inf or inf for no bound"
        )
    return law


def _real(name: str, value: Any) -> np.ndarray:
    """A float array, or ValueError for what is not made of real numbers."""
    try:
        kind = np.asarray(value).dtype.kind
        array = np.asarray(value, dtype=float) if kind in "fiuO" else None
    except (TypeError, ValueError, RuntimeError, OverflowError):
        array = None
    if array is None or np.isnan(array).any():
        raise ValueError(f"{name} must be real numbers, got {value!r}: pass a float or an array")
    return array


def _checked_order(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 0 <= k <= HIGHEST:
        raise ValueError(
            f"the order of a moment must be an integer from 0 to {HIGHEST}, got {k!r}: for others "
            "use the exact varprop.laws.TruncatedNormal"
        )
    return int(k)


def _unit_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the composite Gauss-Legendre rule on [0, 1]."""
    node, weight = np.polynomial.legendre.leggauss(ORDER)
    places = (np.arange(PANELS)[:, None] + (node + 1) / 2) / PANELS
    return places.ravel(), np.tile(weight / (2 * PANELS), PANELS)


def _tilt(middle: np.ndarray, half: np.ndarray) -> np.ndarray:
    """E u for the density e^(-(u + middle)^2 / 2) on [-half, half], both integrals of one sign."""
    node, weight = np.polynomial.legendre.leggauss(ORDER)
    u = half[..., None] * (node + 1) / 2
    bell = weight * np.exp(-(u**2) / 2)
    odd = (bell * u * np.sinh(middle[..., None] * u)).sum(-1)
    return -odd / (bell * np.cosh(middle[..., None] * u)).sum(-1)
