"""What the mean field figures share: networks at their fixed point, and claims about them."""

from typing import Any

import numpy as np

import varprop as vp
from figures.results import Claim, gap_evidence
from varprop.stats import decide_equivalence, studentized_test

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


def judged(
    relative: np.ndarray, margin: float, level: float = LEVEL
) -> tuple[str, float, float, float]:
    """The verdict on E relative = 1 within the margin: verdict, gap, low, high."""
    gap = float(relative.mean() - 1)
    try:
        test = studentized_test(relative, 1.0, level)
    except ValueError:
        return "UNDECIDED", gap, -np.inf, np.inf
    low, high = (float(end) for end in test.interval(level))
    return str(decide_equivalence(low, high, margin)), gap, low, high


def ratio_claim(
    above: np.ndarray, below: np.ndarray, expected: float, about: dict[str, Any]
) -> tuple[Claim, float]:
    """The claim E above = expected E below over networks, and the measured ratio of averages."""
    relative = 1 + (above - expected * below) / (expected * below.mean())
    verdict, gap, low, high = judged(relative, about["margin"])
    evidence = gap_evidence(about["node"], gap, low, high, len(above))
    claim = Claim(about["statement"], verdict, evidence, about["panel"], about["series"], gap)
    return claim, float(above.mean() / below.mean())
