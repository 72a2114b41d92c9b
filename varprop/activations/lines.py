"""Two half lines that meet or jump at 0: closed forms of what is asked of two Gaussian inputs.

p(z) = slope z + level + (jump sgn z + bend |z|) / 2, and a pair z, z' ~ N(0, s1^2), N(0, s2^2):

    product(p, pair)    E p(z) p(z')             given(p, pair, z)    E p(z') given z
    gap(p, pair)        E (p(z) - p(z'))^2 / 2   change(p, pair, z)   p(z) - E p(z') given z
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import erfc, ndtr

from varprop.gaussian import Estimate
from varprop.gaussian.rules import density

GONE = 40.0  # standard deviations, beyond which a Gaussian is no float


class Lines(NamedTuple):
    """p(z) = slope z + level + (jump sgn z + bend |z|) / 2."""

    slope: float
    level: float
    jump: float
    bend: float

    def __call__(self, z: np.ndarray) -> np.ndarray:
        sided = (self.jump * np.sign(z) + self.bend * np.abs(z)) / 2
        return self.slope * z + self.level + sided

    def largest(self, z: np.ndarray) -> np.ndarray:
        """A bound of |p| up to |z|."""
        return (abs(self.slope) + abs(self.bend) / 2) * z + abs(self.level) + abs(self.jump) / 2


class Pair(NamedTuple):
    """z, z' of standard deviations s1, s2 and correlation c = 1 - d; `apart` is s1 - s2."""

    s1: np.ndarray
    s2: np.ndarray
    d: np.ndarray
    apart: np.ndarray

    @staticmethod
    def of(q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> "Pair":
        """From variances, whose difference has digits that that of their roots has lost."""
        s1, s2 = np.sqrt(q1), np.sqrt(q2)
        total = s1 + s2
        return Pair(s1, s2, d, (q1 - q2) / np.where(total > 0, total, 1.0))

    @property
    def c(self) -> np.ndarray:
        return 1 - self.d

    @property
    def sine(self) -> np.ndarray:
        return np.sqrt(self.d * (2 - self.d))

    @property
    def swapped(self) -> "Pair":
        return Pair(self.s2, self.s1, self.d, -self.apart)

    def at(self, *rows: Any) -> "Pair":
        return Pair(*(part[rows] for part in self))


def product(p: Lines, pair: Pair) -> Estimate:
    """E p(z) p(z')."""
    s1, s2, c = pair.s1, pair.s2, pair.c
    theta, unit = _angle(pair), np.sqrt(2 / np.pi)
    terms = [
        p.level**2 + 0 * s1,
        p.slope**2 * s1 * s2 * c,
        p.level * p.bend / 2 * unit * (s1 + s2),
        p.slope * p.jump / 2 * unit * (s1 + s2) * c,
        p.jump**2 / 4 * (1 - 2 * theta / np.pi),
        p.bend**2 / 4 * s1 * s2 * 2 / np.pi * (pair.sine + (np.pi / 2 - theta) * c),
    ]
    return _sum(terms)


def gap(p: Lines, pair: Pair) -> Estimate:
    """E (p(z) - p(z'))^2 / 2; its terms cancel only if slope and jump differ in sign."""
    s1, s2, d = pair.s1, pair.s2, pair.d
    ray = pair.apart**2 / 2
    folded = np.minimum(_angle(pair), _angle(pair._replace(d=2 - d)))  # |z'| = |-z'|
    falls = 2 * np.sin(folded / 2) ** 2 - 2 / np.pi * _sine_less(folded)
    terms = [
        p.slope**2 * (ray + s1 * s2 * d),
        p.slope * p.jump / 2 * np.sqrt(2 / np.pi) * (s1 + s2) * d,
        p.jump**2 * _angle(pair) / (2 * np.pi),
        p.bend**2 / 4 * (ray + s1 * s2 * falls),
    ]
    return _sum(terms)


def _sum(terms: list[np.ndarray]) -> Estimate:
    total = np.sum(terms, 0)
    return Estimate(total, np.zeros(total.shape), np.sum(np.abs(terms), 0))


def _angle(pair: Pair) -> np.ndarray:
    return 2 * np.arcsin(np.sqrt(pair.d / 2))


def _sine_less(t: np.ndarray) -> np.ndarray:
    """sin t - t cos t, by its power series for small t."""
    series = t**3 * (1 / 3 - t**2 / 30 + t**4 / 840)
    return np.where(t < 1e-2, series, np.sin(t) - t * np.cos(t))


def given(p: Lines, pair: Pair, z: np.ndarray) -> np.ndarray:
    """E p(z') given z."""
    mean = pair.c * pair.s2 / pair.s1 * z
    return p(mean) + _blur(p, mean, pair.s2 * pair.sine)


def change(p: Lines, pair: Pair, z: np.ndarray) -> np.ndarray:
    """p(z) - E p(z') given z."""
    s1, s2, c, d = pair.s1, pair.s2, pair.c, pair.d
    mean = c * s2 / s1 * z
    straight = p.slope * (pair.apart + s2 * d) / s1 * z
    folded = p.bend * (pair.apart + s2 * np.minimum(d, 2 - d)) / s1 * np.abs(z)
    stepped = p.jump * (np.sign(z) - np.sign(mean))
    return straight + (folded + stepped) / 2 - _blur(p, mean, s2 * pair.sine)


def _blur(p: Lines, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """E p(mean + spread Z) - p(mean)."""
    t = np.minimum(np.abs(mean), GONE * spread) / np.where(spread > 0, spread, 1.0)
    excess = 2 * spread * (density(t) - t * ndtr(-t))
    return (p.bend * excess - p.jump * np.sign(mean) * erfc(t / np.sqrt(2))) / 2
