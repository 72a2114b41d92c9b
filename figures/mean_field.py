"""What the mean field figures share: networks at their fixed point, and claims about them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import varprop as vp
from figures.judging import mean_is
from figures.results import ERROR_RATE, Claim, describe, gap_evidence, percent
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


def judged(
    relative: np.ndarray, margin: float, level: float = LEVEL
) -> tuple[str, float, float, float]:
    """The verdict on E relative = 1 within the margin: verdict, gap, low, high."""
    found = mean_is(relative, 1.0, margin, level)
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


class Decay(NamedTuple):
    """1 - c of two inputs by layer: that of the map, and of networks at the layers shown."""

    line: np.ndarray
    points: list[float]
    claims: list[Claim]
    sample: vp.Sample
    told: dict[str, Any]


def decay(
    field: vp.MeanField,
    start: float,
    parameters: Mapping[str, Any],
    seed: int,
    device: str,
    where: tuple[str, str],
) -> Decay:
    """Two inputs at the fixed point whose first pre-activations have 1 - c = `start`."""
    shown, width, margin = parameters["shown"], parameters["width"], parameters["margin"]
    depth, draws, weight = max(shown), parameters["draws"], field.weight_variance
    net = stack(str(field.activation), weight, field.bias_variance, width, depth)
    line = field.iterate_correlation(start, depth - 1)
    sample = vp.simulate(
        net,
        inputs=settled(field, width, start),
        draws=draws,
        seed=seed,
        device=device,
        engine="explicit",
        backward=False,
    )
    claims, points = [], []
    for layer in shown:
        square = sample.values(f"dense_{layer}", "second_moment").mean(1)
        gap = square - sample.values(f"dense_{layer}", "cross_moment")[:, 0, 1]
        about = {
            "statement": "1 − c of two inputs follows the map of the mean field within "
            f"{percent(margin, 0).lstrip('+')} at every layer shown",
            "margin": margin,
            "node": f"dense_{layer}",
            "panel": where[0],
            "series": where[1],
        }
        claim, ratio = ratio_claim(gap, square, float(line[layer - 1]), about)
        claims.append(claim)
        points.append(ratio)
    law = f"variance {weight:.6g}/n"
    told = describe(net, weights=law, width=width, depth=depth, draws=draws)
    return Decay(line, points, claims, sample, told)
