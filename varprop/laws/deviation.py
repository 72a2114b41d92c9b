"""Do weights have the mean and the standard deviation of a truncated normal?

With x the offset of a weight from the law's mean, in units of `scale`, and y = x or x^2, Chernoff's
bound holds at every number n of independent weights and for every s:

    P(average of n draws of y beyond a) <= exp(-n (s a - log E e^(s y)))

E e^(s y) is the quadrature of the law itself, so no normal approximation is made.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from varprop.laws.numeric import TruncatedMoments

STEEPEST = 10.0  # s times a spread of y, up to which the quadrature is exact
NORMAL = 0.45  # e^(s x^2) has a mean under a normal law for s below 1/2 only
TRIES = np.geomspace(0.05, 1.0, 25)  # shares of the s that is best for small deviations


class Deviation(NamedTuple):
    """Mean and std of the weights, and whether each is beyond chance and rounding."""

    mean: float
    std: float
    wrong_mean: bool
    wrong_std: bool


def deviation(
    law: TruncatedMoments, values: np.ndarray, spacing: float, error_rate: float
) -> Deviation:
    """Compare independent weights with their law; each comparison errs with `error_rate` at most.

    `spacing` is the relative spacing of the weights' dtype: rounding moves each by half of it.
    """
    scale, count = float(law.scale), values.size
    x, p, _ = law._rule
    x, p = x.ravel(), p.ravel()
    x = float(np.sign(law._signed)) * (x - p @ x)
    offset = (values - float(law.mean)) / scale
    mean, spread = float(offset.mean()), float(offset.var())
    blur = spacing / 2 * float(np.abs(values).mean()) / scale
    wide = spacing * float(np.abs(offset * values).mean()) / scale
    wide += (spacing / 2) ** 2 * float(np.square(values).mean()) / scale**2

    gap = np.sign(mean) * max(abs(mean) - blur, 0.0)
    wrong_mean = count * _rate(x, p, gap, max(STEEPEST, STEEPEST / np.abs(x).max())) > np.log(
        2 / error_rate
    )
    # The spread about the sample's mean is that about the law's mean, less the squared error of
    # the mean: a law cut from a normal has Gaussian tails of its scale, or of half its range.
    proxy = min(1.0, (float(law.high - law.low) / scale / 2) ** 2)
    lost = 2 * proxy * np.log(6 / error_rate) / count
    line, square = np.log(3 / error_rate) / count, x**2
    expected = float(p @ square)
    high, low = max(spread - wide, expected), min(spread + wide + lost, expected)
    steep = {low: STEEPEST / expected, high: max(NORMAL, STEEPEST / square.max())}
    rates = [_rate(square - expected, p, a - expected, limit) for a, limit in steep.items()]
    std = float(values.std())
    return Deviation(float(values.mean()), std, bool(wrong_mean), max(rates) > line)


def _rate(y: np.ndarray, p: np.ndarray, a: float, steepest: float) -> float:
    """max over s of s a - log E e^(s y), for E y = 0."""
    if a == 0:
        return 0.0
    best = a / float(p @ y**2)  # for small a
    s = np.clip(best * np.append(TRIES, 1 / TRIES), -steepest, steepest)
    logs = np.asarray(logsumexp(s[:, None] * y, axis=-1, b=p))
    return float(np.max(s * a - logs))
