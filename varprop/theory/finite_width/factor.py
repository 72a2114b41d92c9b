"""The random factor by which one layer multiplies a squared length, for Gaussian weights.

    F = (gain / n) sum_i phi(Z_i)^2 = (gain / n) (p^2 X + m^2 Y)

over n independent standard normals, p = |phi(1)|, m = |phi(-1)|, X ~ chi^2_B, Y ~ chi^2_(n-B),
B ~ Bin(n, 1/2). For ReLU m = 0 and F = 0 with probability 2^-n; for p = m, F is chi^2_n.

What is needed of F is its Mellin transform E F^s for complex s. With c = (m/p)^2, X + Y = G is
chi^2_n, independent of the share X / G = e^u / (1 + e^u), so

    E (X + c Y)^s = E G^s E ((e^u + c) / (1 + e^u))^s,     E G^s = 2^s Gamma(n/2 + s) / Gamma(n/2).

The density of u decays exponentially and is analytic in |Im u| < pi: the trapezoidal rule on u
converges geometrically.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import comb, log
from typing import NamedTuple

import numpy as np
from scipy import special

from varprop.initializers.typical import mean_log

Array = np.ndarray
STEP = 0.02  # of u, at most
STIRLING = 40.0  # the series is right to 1e-17 above
NEGLIGIBLE = -90.0  # logarithm of weights that are left out


class Share(NamedTuple):
    """Nodes log(share of the length that is left) and their probabilities."""

    logs: Array
    weights: Array


@dataclass(frozen=True)
class Factor:
    """F of one layer: `width` n, slopes `p` >= `m` >= 0, and `gain`.

    All logarithms are those of F given F > 0, which has probability `alive`.
    """

    width: int
    gain: float
    p: float = 1.0
    m: float = 1.0

    @property
    def dead(self) -> float:
        """P(F = 0)."""
        return 0.5**self.width if self.m == 0 else 0.0

    @property
    def lowest(self) -> float:
        """E[F^s | F > 0] is finite for s > -lowest, but for what is negligible."""
        return float(_binomial(self.width)[0][0]) if self.m == 0 else self.width / 2

    @property
    def scale(self) -> float:
        return self.gain * self.p**2 / self.width

    def moment(self, k: float) -> float:
        """E F^k, zero counted."""
        return float(np.exp(self.log_mellin(np.array([k + 0j]))[0].real) * (1 - self.dead))

    def log_mellin(self, s: Array) -> Array:
        """log E[F^s | F > 0] for complex s of real part above -`lowest`."""
        s = np.asarray(s, complex)
        if self.m == 0:
            half, weights = _binomial(self.width)
            return _log_sum(_log_gamma_power(half, self.scale, s[..., None]), weights)
        logs = _log_gamma_power(np.array(self.width / 2), self.scale, s)
        if self.p != self.m:
            share = self._share
            logs = logs + _log_sum(s[..., None] * share.logs, share.weights)
        return logs

    def log_majorant(self, t: float) -> float:
        """log of a bound on |E[F^(it) | F > 0]| that decreases in t > 0."""
        if self.m == 0:
            half, weights = _binomial(self.width)
            return float(
                np.real(
                    _log_sum(np.real(_log_gamma_power(half, self.scale, np.array(1j * t))), weights)
                )
            )
        return float(
            np.real(_log_gamma_power(np.array(self.width / 2), self.scale, np.array(1j * t)))
        )

    @cached_property
    def log_moments(self) -> tuple[float, float]:
        """(E log F, Var log F) given F > 0."""
        if self.m == 0:
            half, weights = _binomial(self.width)
            mean, first = mean_log(self.width) - log(2), special.digamma(half)
            variance = float(weights @ special.polygamma(1, half) + weights @ (first - mean) ** 2)
        else:
            n, share = self.width / 2, self._share
            shrink = float(share.weights @ share.logs)
            mean = float(special.digamma(n)) + shrink
            variance = float(special.polygamma(1, n))
            variance += float(share.weights @ (share.logs - shrink) ** 2)
        return mean + log(2 * self.scale), variance

    def draw(self, size: int, rng: np.random.Generator) -> Array:
        """log F of `size` draws; -inf where F = 0."""
        many = rng.binomial(self.width, 0.5, size)
        total = self.p**2 * _chi_square(many, rng)
        if self.m > 0:
            total = total + self.m**2 * _chi_square(self.width - many, rng)
        with np.errstate(divide="ignore"):
            return np.log(total) + log(self.gain / self.width)

    @property
    def _share(self) -> Share:
        return _share(self.width, (self.m / self.p) ** 2)


def _chi_square(degrees: Array, rng: np.random.Generator) -> Array:
    return np.where(degrees > 0, rng.chisquare(np.maximum(degrees, 1)), 0.0)


@lru_cache(maxsize=256)
def _binomial(n: int) -> tuple[Array, Array]:
    """b/2 and P(B = b | B > 0) for b ~ Bin(n, 1/2), without what is negligible."""
    b = np.arange(1, n + 1)
    logs = _log_binomial(n, b)
    kept = logs > NEGLIGIBLE
    weights = np.exp(logs[kept])
    return b[kept] / 2, weights / weights.sum()


def _log_binomial(n: int, b: Array) -> Array:
    if n <= 60:
        return np.array([log(comb(n, int(k))) for k in b]) - n * log(2)
    choose = special.gammaln(n + 1) - special.gammaln(b + 1) - special.gammaln(n - b + 1)
    return choose - n * log(2)


@lru_cache(maxsize=256)
def _share(n: int, c: float) -> Share:
    """The law of log((e^u + c)/(1 + e^u)): 1 for B = n, c for B = 0, else u = log(X / Y)."""
    if c == 1:
        return Share(np.zeros(1), np.ones(1))
    ends = Share(np.array([0.0, log(c)]), np.array([0.5, 0.5]) ** n)
    if n == 1:
        return ends
    b = np.arange(1, n)
    logs = _log_binomial(n, b) - special.betaln(b / 2, (n - b) / 2)
    kept = logs > NEGLIGIBLE
    step, least = min(STEP, n**-0.5), b[kept][0]
    reach = np.ceil(min(-NEGLIGIBLE, 2 - 2 * NEGLIGIBLE / least) / step)
    u = np.arange(-reach, reach + 1) * step
    density = special.logsumexp(logs[kept, None] + b[kept, None] / 2 * u, axis=0)
    density = density - n / 2 * np.logaddexp(0, u)
    some = density > NEGLIGIBLE / 2
    u, weights = u[some], step * np.exp(density[some])
    values = np.logaddexp(u, log(c)) - np.logaddexp(0, u)
    if n < -NEGLIGIBLE / log(2):
        values, weights = np.append(values, ends.logs), np.append(weights, ends.weights)
    return Share(values, weights / weights.sum())


def _log_gamma_power(a: Array, scale: float, s: Array) -> Array:
    """log E (2 scale g)^s for g ~ Gamma(a): s log(2 scale) + log Gamma(a + s) - log Gamma(a).

    For large a by Stirling's series, where the difference of both logarithms would lose digits.
    """
    large = a > STIRLING
    safe = np.where(large, a, STIRLING + 1.0)
    grown = np.log1p(s / safe)
    series = (safe - 0.5) * grown + s * (np.log(2 * scale * safe) + grown) - s
    series = series + _stirling(safe + s) - _stirling(safe)
    plain = np.where(large, 1.0, a)
    direct = s * np.log(2 * scale) + special.loggamma(plain + s) - special.loggamma(plain)
    return np.where(large, series, direct)


def _stirling(z: Array) -> Array:
    """log Gamma(z) - [(z - 1/2) log z - z + log(2 pi)/2], from its asymptotic series."""
    w = 1 / z**2
    return (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w / 1188)))) / z


def _log_sum(logs: Array, weights: Array) -> Array:
    """log sum_k w_k exp(logs_k) along the last axis, for complex logs."""
    top = np.real(logs).max(-1, keepdims=True)
    return np.log(np.sum(weights * np.exp(logs - top), -1)) + top[..., 0]
