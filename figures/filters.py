"""Filters of known layers against their dimension: when are there more of them than dimensions?

A layer's N filters are vectors in m = k^2 c_in / groups dimensions. For N <= m they could all be
orthogonal; for N > m Welch's bound keeps two of them together. Claims: filters drawn by He's rule
are as far apart as random directions are predicted to be, and never below the bound.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

import varprop as vp
from figures import style
from figures.coherence import random_claim
from figures.results import Claim, Results, Tensors, provenance, streams
from varprop.montecarlo.devices import find_device


class Filters(NamedTuple):
    """A layer: `count` filters of `taps` positions and `channels` input channels each."""

    name: str
    count: int
    taps: int
    channels: int

    @property
    def dimension(self) -> int:
        return self.taps * self.channels


# Ma et al. (2018); Lecun et al. (1998); Simonyan & Zisserman (2015); He et al. (2016); Sandler et
# al. (2018); Dosovitskiy et al. (2021).
SHUFFLE = tuple(
    Filters(f"ShuffleNetV2 {size}×, stage 2", count, 9, 24)
    for size, count in (("0.5", 48), ("1", 116), ("1.5", 176), ("2", 244))
)
OTHERS = (
    Filters("LeNet-5, C1: 5×5", 6, 25, 1),
    Filters("VGG-16, first: 3×3", 64, 9, 3),
    Filters("VGG-16, second: 3×3", 64, 9, 64),
    Filters("ResNet-50, first: 7×7", 64, 49, 3),
    Filters("ResNet-50, expansion: 1×1", 256, 1, 64),
    Filters("MobileNetV2, expansion: 1×1", 144, 1, 24),
)
LARGE = (
    Filters("VGG-16, fifth: 3×3", 256, 9, 128),
    Filters("ViT-B, patches: 16×16", 768, 256, 3),
    Filters("ViT-B, hidden of the MLP", 3072, 1, 768),
)
LAYERS = {layer.name: layer for layer in (*SHUFFLE, *OTHERS, *LARGE)}


def parameters(full: bool) -> dict[str, Any]:
    small = [layer.name for layer in (*SHUFFLE, *OTHERS)]
    if full:
        return {"draws": 2000, "margin": 0.03, "measured": [*small, LARGE[0].name]}
    return {"draws": 500, "margin": 0.05, "measured": small}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Expected and measured coherence of each layer, and its bound."""
    draws, place = parameters["draws"], find_device(device)
    law = vp.init.get("kaiming_normal")
    table, claims, networks = [], [], {}
    for layer, own in zip(LAYERS.values(), streams(seed, len(LAYERS)), strict=True):
        count, m = layer.count, layer.dimension
        bound = vp.frames.welch_bound(count, m)
        expected = vp.frames.random_coherence(count, m)
        found = np.full(3, np.nan)
        if layer.name in parameters["measured"]:
            generator = torch.Generator(place).manual_seed(own)
            row = np.array([_coherence(law.at(m, count), layer, generator) for _ in range(draws)])
            found = np.array([row.mean(), *np.quantile(row, (0.05, 0.95))])
            margin = parameters["margin"]
            claims.append(random_claim(row, expected, count, margin, layer.name))
            claims.append(_bound_claim(row, bound, layer.name))
            networks[layer.name] = {"weights": str(law), "draws": draws, "parameters": count * m}
        table.append([count, m, bound, expected, *found])
    about = provenance(parameters, seed, [Tensors(place.type)], networks)
    return Results({"table": np.array(table)}, tuple(claims), about)


def _coherence(law: Any, layer: Filters, generator: torch.Generator) -> float:
    """The coherence of one tensor of filters."""
    shape = (layer.count, layer.dimension)
    weights = law.sample(shape, generator=generator, device=generator.device)
    return vp.frames.coherence(weights.cpu().numpy())


def _bound_claim(row: np.ndarray, bound: float, name: str) -> Claim:
    nearest = float(row.min())
    verdict = vp.Verdict.CONFIRMED if nearest >= bound - 1e-6 else vp.Verdict.REFUTED
    evidence = f"{name}: least coherence {nearest:.3f}, bound {bound:.3f}"
    statement = "no drawn set of filters is below the Welch bound"
    return Claim(statement, str(verdict), evidence, "random", name, bound / nearest, error_rate=0.0)


def draw(results: Results) -> Figure:
    """Counts against dimensions, and the coherence of each layer."""
    more = [layer.name.split(",")[0] for layer in SHUFFLE if layer.count > layer.dimension]
    note = (
        "N filters of a layer as vectors of m = taps × input channels numbers. Left: above the "
        f"line N > m. Of ShuffleNetV2's stage 2 (m = 216) only {', '.join(more)} has more filters "
        "than dimensions. Right: coherence, the largest |cosine| between two filters: expected of "
        f"random directions, and measured on {results.about['parameters']['draws']} tensors by "
        "He's rule (bars: 5 and 95 %); for N ≤ m the bound is 0."
    )
    figure = style.page(results, 3.4, note=note)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    _counts(left, results)
    _coherences(right, results)
    style.doubt(right, results.doubted("random"))
    return figure


def _groups() -> tuple[tuple[str, tuple[Filters, ...], Mapping[str, Any]], ...]:
    return (
        ("ShuffleNetV2, stage 2", SHUFFLE, style.SERIES[2]),
        ("other layers", (*OTHERS, *LARGE), style.SERIES[1]),
    )


def _counts(axes: Axes, results: Results) -> None:
    counts, dimensions = results.arrays["table"][:, :2].T
    ends = np.array([0.7 * counts.min(), 1.6 * dimensions.max()])
    axes.plot(ends, ends, color=style.INK, linewidth=0.8)
    axes.fill_between(ends, ends, ends[1], color=style.PALE, alpha=0.35, linewidth=0)
    for label, layers, look in _groups():
        axes.plot(
            [layer.dimension for layer in layers], [layer.count for layer in layers],
            look["marker"], color=look["color"], markerfacecolor="white", label=label,
        )  # fmt: skip
    for layer in SHUFFLE:  # beside its mark, away from the line
        reach, side = (-5, "right") if layer.count > layer.dimension else (5, "left")
        axes.annotate(
            str(layer.count), (layer.dimension, layer.count), (reach, 0), va="center", ha=side,
            textcoords="offset points", fontsize=style.SMALL,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(14, ends[1]), ylim=ends)
    axes.set(xlabel="dimension m of a filter", ylabel="number of filters N")
    axes.text(17, 1100, "more filters\nthan dimensions", fontsize=style.SMALL)
    axes.xaxis.set_minor_locator(LogLocator(10, [float(k) for k in range(2, 10)]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower right", fontsize=style.SMALL)
    style.letter(axes, "filters against dimensions")


def _coherences(axes: Axes, results: Results) -> None:
    names, table = list(LAYERS), results.arrays["table"]
    order = np.argsort(table[:, 3])
    for place, row in enumerate(order):
        *_, bound, expected, mean, low, high = table[row]
        doubted = results.doubted("random", names[row])
        color = style.ALARM if doubted else style.SERIES[1]["color"]
        axes.plot(bound, place, "|", color=style.INK, markersize=7, markeredgewidth=1.2)
        axes.plot(expected, place, "x", color=style.SERIES[2]["color"], markersize=5)
        if np.isfinite(mean):
            axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], marker="o", color=color,
                          markerfacecolor="none", elinewidth=0.8)  # fmt: skip
    for marker, color, label in (
        ("|", style.INK, "Welch bound"),
        ("x", style.SERIES[2]["color"], "expected"),
        ("o", style.SERIES[1]["color"], "measured"),
    ):
        axes.plot([], [], marker, color=color, markerfacecolor="none", label=label)
    axes.set(xlim=(-0.03, 1), xlabel="coherence")
    axes.set_yticks(range(len(names)), [names[row] for row in order], fontsize=style.SMALL)
    axes.legend(loc="lower right", fontsize=style.SMALL)
    style.letter(axes, "how close two filters come")
