"""How often an interval of E x^2 holds the truth, against depth over width and networks drawn.

The length of deep narrow ReLU networks is so skewed over networks that the mean of N of them, give
or take 1.96 standard errors, misses E x^2 far more often than in 1 of 20 samples, and no sample
shows it. Two intervals that hold: that of the product of one-step means, whose ratios are
independent, and the mean with the standard error of the theory, (prod (1 + 5/n) - 1)/N, which is
honest and wide.

Claims: from L/n = 4 on the naive interval covers in less than 85 % of the samples at every N; the
product of steps in 95 % of them, within a margin, at every L/n and N.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy import special

import varprop as vp
from figures import style
from figures.bands import looks, points, product_bands
from figures.judging import share_within
from figures.results import ERROR_RATE, Claim, Results, describe, provenance, streams
from varprop.stats import binomial_interval

METHODS = ("mean ± 1.96 s/√N", "product of steps", "mean, theory's error")
NAIVE, PRODUCT, KNOWN = range(3)
NOMINAL = 0.95
DEEP, POOR = 4, 0.85  # from this L/n on the naive interval is claimed to cover less than this
LEVEL = 0.05  # of the bars of coverages, simultaneously over the points of a curve
FALSE_PASS = 1e-4


def parameters(full: bool) -> dict[str, Any]:
    """Batches of `batch` networks, each cut into samples of every one of the `sizes`."""
    kind = {"width": 16, "ratios": [0.25, 0.5, 1, 2, 4], "batch": 40000, "margin": 0.1}
    if full:
        more = {"batches": 60, "sizes": [30, 100, 1000, 10000], "margin": 0.12}
        return {**kind, **more}
    return {**kind, "batches": 3, "sizes": [30, 100, 300]}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Draw networks of the largest depth; count the samples whose intervals hold the truth."""
    width, ratios, sizes = (parameters[name] for name in ("width", "ratios", "sizes"))
    depths = [round(ratio * width) for ratio in ratios]
    net = vp.mlp(width, depths[-1], output=None)
    names = ["input", *(f"relu_{layer}" for layer in range(1, depths[-1] + 1))]
    theory = vp.predict(net, order=1)
    line = np.array([theory.value(name, "second_moment")[0] for name in names])
    spread = np.array([theory.value(names[d], "length_fluctuation")[0] for d in depths])
    held = np.zeros((len(METHODS), len(sizes), len(depths)), int)
    reaches: list[list[np.ndarray]] = [[] for _ in sizes]
    drawn, samples = np.zeros(len(sizes), int), []
    for stream in streams(seed, parameters["batches"]):
        how = {"engine": "conditional", "device": device, "backward": False}
        sample = vp.simulate(net, draws=parameters["batch"], seed=stream, **how)
        found = np.stack([sample.values(name, "second_moment")[:, 0] for name in names], 1) / line
        for k, size in enumerate(sizes):
            groups = found[: len(found) // size * size].reshape(-1, size, len(names))
            ends = intervals(groups, depths, spread)
            held[:, k] += ((ends[:, 0] <= 1) & (ends[:, 1] >= 1)).sum(1)
            reaches[k].append((ends[:, 1] - ends[:, 0]) / 2)
            drawn[k] += len(groups)
        samples = [sample]
    arrays = {
        "ratios": np.array(ratios, float),
        "held": held,
        "samples": drawn,
        "reach": np.median(np.concatenate(reaches[-1], 1), 1),
    }
    about = {"weights": "kaiming_normal", "width": width, "depth": depths[-1]}
    networks = {"ReLU": describe(net, **about, draws=parameters["batch"] * parameters["batches"])}
    claims = tuple(_claims(held, drawn, parameters))
    return Results(arrays, claims, provenance(parameters, seed, samples, networks))


def intervals(groups: np.ndarray, depths: list[int], spread: np.ndarray) -> np.ndarray:
    """(methods, 2, samples, depths) ends of nominal 95 % intervals; groups (samples, N, L + 1)."""
    size = groups.shape[1]
    last = groups[..., depths]
    mean, error = last.mean(1), last.std(1, ddof=1) / size**0.5
    z = -special.ndtri((1 - NOMINAL) / 2)
    known = np.sqrt(spread / size)
    # One depth is asked for at a time: these intervals are not simultaneous.
    steps = np.stack([product_bands(groups, [d], 1 - NOMINAL)[1:, :, 0] for d in depths], 2)
    return np.stack(
        [
            np.stack([mean - z * error, mean + z * error]),
            steps,
            np.stack([mean - z * known, mean + z * known]),
        ]
    )


def _claims(held: np.ndarray, drawn: np.ndarray, parameters: Mapping[str, Any]) -> list[Claim]:
    """The naive interval covers little where networks are deep; the product covers everywhere."""
    least = NOMINAL - parameters["margin"]
    claims = []
    for k, size in enumerate(parameters["sizes"]):
        for j, ratio in enumerate(parameters["ratios"]):
            where = f"L/n = {ratio:g}, N = {size}"
            if ratio >= DEEP:
                count = int(held[NAIVE, k, j]), int(drawn[k])
                verdict = share_within(*count, (-np.inf, POOR), 2 * FALSE_PASS).verdict
                statement = (
                    f"from L/n = {DEEP} on the naive 95 % interval covers in less than "
                    f"{100 * POOR:.0f} % of the samples (error rate {FALSE_PASS:g})"
                )
                claims.append(_told(statement, verdict, count, where, "naive", f"N = {size}"))
            count = int(held[PRODUCT, k, j]), int(drawn[k])
            verdict = share_within(*count, (least, np.inf), 2 * FALSE_PASS).verdict
            statement = (
                "the 95 % interval of the product of steps covers in more than "
                f"{100 * least:.0f} % (error rate {FALSE_PASS:g})"
            )
            claims.append(_told(statement, verdict, count, where, "product", f"N = {size}"))
    return claims


def _told(
    statement: str, verdict: vp.Verdict, count: tuple[int, int], where: str, panel: str, series: str
) -> Claim:
    """Of claims with one statement, that nearest to its limit is told."""
    share = count[0] / count[1]
    evidence = f"Nearest: {count[0]} of {count[1]} samples at {where}"
    order = share if panel == "naive" else 1 - share
    return Claim(statement, str(verdict), evidence, panel, series, order, ERROR_RATE)


def draw(results: Results) -> Figure:
    """Coverage of both intervals against L/n, and how wide they are."""
    about, arrays = results.about["parameters"], results.arrays
    networks = about["batch"] * about["batches"]
    note = (
        f"ReLU networks of width {about['width']} with He weights: E x² of layer L from samples of "
        f"N networks, {networks} networks in all (sampled layer by layer, exact in law). Left: "
        "mean and sample deviation; middle: product of the means of |x_l|²/|x_(l−1)|². Grey: 95 %. "
        f"Right: median half width at N = {about['sizes'][-1]} over E x². Bars: 95 %, simultaneous "
        "over the points of a curve."
    )
    figure = style.page(results, 2.5, note=note)
    panels = figure.subplots(1, 3)
    panels[0].sharey(panels[1])
    for axes, method, panel in zip(panels, (NAIVE, PRODUCT), ("naive", "product"), strict=False):
        axes.axhline(NOMINAL, color=style.PALE, linewidth=0.8, zorder=0)
        for k, size in enumerate(about["sizes"]):
            _coverage(axes, results, (method, k), panel, f"N = {size}")
        axes.set_ylim(0, 1.04)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        style.doubt(axes, results.doubted(panel))
    for k, method in enumerate(METHODS):
        look = style.SERIES[k + 1]
        panels[2].plot(
            arrays["ratios"], arrays["reach"][k], color=look["color"], marker=look["marker"],
            markerfacecolor="white", linestyle=look["linestyle"], label=method,
        )  # fmt: skip
    panels[2].set_yscale("log")
    titles = ("coverage, mean ± 1.96 s/√N", "coverage, product of steps", "half width of interval")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_xscale("log", base=2)
        axes.set_xticks(arrays["ratios"], [f"{ratio:g}" for ratio in arrays["ratios"]])
        axes.set_xlabel("L/n")
        style.letter(axes, title)
    panels[1].legend(loc="lower left")
    panels[2].legend(loc="upper left")
    return figure


def _coverage(axes: Axes, results: Results, at: tuple[int, int], panel: str, series: str) -> None:
    """One curve of coverage, with its bars."""
    look, arrays = style.SERIES[at[1]], results.arrays
    color, label = looks(results, panel, series, look)
    held, drawn = arrays["held"][at], int(arrays["samples"][at[1]])
    share = held / drawn
    ends = [binomial_interval(int(count), drawn, LEVEL / len(held)) for count in held]
    points(axes, arrays["ratios"], np.array([share, *np.array(ends).T]), color, look["marker"])
    axes.plot(arrays["ratios"], share, color=color, linestyle=look["linestyle"])
    axes.plot([], color=color, marker=look["marker"], markerfacecolor="white",
              linestyle=look["linestyle"], label=label)  # fmt: skip
