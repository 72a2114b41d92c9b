"""What the mean field figures share: networks at their fixed point, and claims about them."""

from typing import Any

import numpy as np

import varprop as vp
from figures.judging import mean_is
from figures.results import ERROR_RATE, Claim, gap_evidence
from varprop.stats import studentized_test

LEVEL = 1e-4  # of each interval, two-sided


def stack(activation: str, weight: float, bias: float, width: int, depth: int) -> vp.Network:
    """Square layers with fan_in Var(w) = `weight` and Var(b) = `bias`."""
    law = vp.init.variance_scaling(weight, "fan_in", "normal")
    biases = vp.init.normal(variance=bias) if bias else None
    return vp.mlp(width, depth, activation=activation, weights=law, bias=biases)


def settled(field: vp.MeanField, width: int, deficit: float = 0.0) -> np.ndarray:
    """Two inputs (2, width) after which dense_1 has E z^2 = q* and 1 - c = `deficit`."""
    star, bias, weight = field.fixed_point, field.bias_variance, field.weight_variance
    second = (star - bias) / weight
    c = 1 - deficit * star / (star - bias)
    one, other = np.ones(width), np.where(np.arange(width) % 2, -1.0, 1.0)
    return np.sqrt(second) * np.stack([one, c * one + np.sqrt(1 - c**2) * other])


def judged(relative: np.ndarray, margin: float) -> tuple[str, float, float, float]:
    """The verdict on E relative = 1 within the margin: verdict, gap, low, high."""
    found = mean_is(relative, 1.0, margin, LEVEL)
    return str(found.verdict), float(relative.mean() - 1), found.low, found.high


def ratio_claim(
    above: np.ndarray, below: np.ndarray, expected: float, about: dict[str, Any]
) -> tuple[Claim, float]:
    """The claim E above = expected E below over networks, and the measured ratio of averages."""
    relative = 1 + _relative(above, below, expected)
    verdict, gap, low, high = judged(relative, about["margin"])
    evidence = gap_evidence(about["node"], gap, low, high, len(above))
    where = about["panel"], about["series"], gap, ERROR_RATE
    claim = Claim(about["statement"], verdict, evidence, *where)
    return claim, float(above.mean() / below.mean())


def ratio_band(
    above: np.ndarray, below: np.ndarray, expected: float, level: float
) -> tuple[float, float]:
    """Between which E above / E below lies; NaN where the sample is too poor for the level."""
    relative = _relative(above, below, expected)
    try:
        ends = studentized_test(relative, 0.0, level).interval(level)
    except ValueError:
        return np.nan, np.nan
    low, high = (expected * (1 + float(end)) for end in ends)
    return low, high


def _relative(above: np.ndarray, below: np.ndarray, expected: float) -> np.ndarray:
    """Draws of (E above - expected E below) / (expected E below)."""
    return (above - expected * below) / (expected * below.mean())
