"""What He keeps and what a typical network does: mean and median of the squared length by layer.

He weights keep the mean over networks while the median falls as e^(-5 l/2n); the gain of a random
walk (Sussillo and Abbott 2014) keeps E log, so that the median stays and the mean grows. Claims: at
the deepest layer the fraction of networks below the predicted median is one half.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import varprop as vp
from figures import style
from figures.judging import share_within
from figures.results import ERROR_RATE, Claim, Results, describe, provenance, streams

SERIES = {"He": "kaiming_normal", "random walk": "random_walk"}
FALSE_PASS = 1e-4


def parameters(full: bool) -> dict[str, Any]:
    sizes = {"width": 64, "depth": 64, "draws": 8192, "margin": 0.05}
    return sizes if full else {"width": 24, "depth": 24, "draws": 2048, "margin": 0.12}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Draw real weights, keep mean and median by layer, judge the deepest."""
    depth, draws = parameters["depth"], parameters["draws"]
    lines, points = np.empty((len(SERIES), 2, depth)), np.empty((len(SERIES), 2, depth))
    claims, networks, samples = [], {}, []
    for k, (name, stream) in enumerate(zip(SERIES, streams(seed, len(SERIES)), strict=True)):
        net = vp.mlp(parameters["width"], depth, weights=SERIES[name], output=None)
        sample = vp.simulate(net, draws=draws, seed=stream, device=device, engine="explicit")
        laws = [vp.length_law(net, node=f"relu_{i}") for i in range(1, depth + 1)]
        found = [sample.values(f"relu_{i}", "second_moment")[:, 0] for i in range(1, depth + 1)]
        lines[k] = [[law.mean for law in laws], [law.median for law in laws]]
        points[k] = [[f.mean() for f in found], [np.median(f) for f in found]]
        claims.append(_claim(laws[-1].median, found[-1], parameters["margin"], name))
        about = {"weights": SERIES[name], "width": parameters["width"], "depth": depth}
        networks[name] = describe(net, **about, draws=draws)
        samples.append(sample)
    about = provenance(parameters, seed, samples, networks)
    return Results({"lines": lines, "points": points}, tuple(claims), about)


def _claim(median: float, found: np.ndarray, margin: float, panel: str) -> Claim:
    below = int((found <= median).sum())
    bounds = 0.5 - margin, 0.5 + margin
    verdict = share_within(below, found.size, bounds, 2 * FALSE_PASS).verdict
    statement = (
        "half of the networks are below the predicted median of the deepest layer, within "
        f"{100 * margin:.0f} % of the networks"
    )
    evidence = f"{panel}: {below} of {found.size} networks"
    gap = below / found.size - 0.5
    return Claim(statement, str(verdict), evidence, panel, gap=gap, error_rate=ERROR_RATE)


def draw(results: Results) -> Figure:
    """One panel an initialization: mean and median, theory and networks."""
    about, arrays = results.about["parameters"], results.arrays
    note = (
        f"|x|²/n of ReLU networks of width {about['width']}. Lines: exact mean and median over "
        f"networks; points: {about['draws']} networks with real weights. Where the mean rests on "
        "rare networks, the average of those drawn is off: in most samples below it."
    )
    figure = style.page(results, 2.4, note=note)
    layers = np.arange(1, about["depth"] + 1)
    for k, (name, axes) in enumerate(
        zip(SERIES, figure.subplots(1, len(SERIES), sharey=True), strict=True)
    ):
        for what, look, line, seen in zip(
            ("mean", "median"), style.SERIES[1:], arrays["lines"][k], arrays["points"][k],
            strict=False,
        ):  # fmt: skip
            axes.plot(layers, line, color=look["color"], linestyle=look["linestyle"], label=what)
            axes.plot(layers, seen, color=look["color"], marker=look["marker"], linestyle="none",
                      markerfacecolor="white")  # fmt: skip
        axes.set_yscale("log")
        axes.set_xlabel("layer")
        style.letter(axes, name)
        style.doubt(axes, results.doubted(name))
        if k == 0:
            axes.set_ylabel("|x|²/n")
            axes.legend(loc="lower left")
    return figure
