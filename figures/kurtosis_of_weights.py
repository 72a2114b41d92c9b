"""Weights of one variance and four kurtoses: the mean length is the same, its fluctuation is not.

He's rule asks for the variance 2/n of the weights alone, for any symmetric law. The fourth moment
of a ReLU layer sees their kurtosis k: the relative variance of |x|^2/n grows by a factor
1 + (5 + 2 (k - 3) sum x_i^4/(sum x_i^2)^2)/n. So all depends on how even the input is: an input
with one entry feels the kurtosis in full, an even one by 1/n of that, as do the layers above.

Claims: at the deepest layer E x^2 is that of the input; and the squared relative deviation of
|x|^2/n from it averages to the predicted fluctuation, where it depends on the kurtosis most for
the input of one entry (the first layer; above it the tails of Laplace weights need many more
networks), and at the deepest layer for the even one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

import varprop as vp
from figures import style
from figures.bands import looks, mean_bands, points
from figures.judging import mean_is
from figures.results import ERROR_RATE, Claim, Results, describe, gap_evidence, provenance, streams

LAWS = {
    "Rademacher": vp.init.rademacher(2),
    "uniform": vp.init.kaiming_uniform(nonlinearity="relu"),
    "normal": vp.init.kaiming_normal(nonlinearity="relu"),
    "Laplace": vp.init.laplace(2),
}
INPUTS = ("one entry", "even")  # x = sqrt(n) e_1, and all entries 1: x.x/n = 1 of both
PANELS = ("mean", *INPUTS)
LEVEL = 0.05  # of the bands, simultaneously over the layers of a curve
FALSE_PASS = {"mean": 1e-4, "square": 2e-2}  # squares of deviations have heavy tails


def parameters(full: bool) -> dict[str, Any]:
    sizes = {"width": 64, "depth": 3, "draws": 8192, "margin": 0.3, "mean_margin": 0.1}
    if full:
        return {**sizes, "width": 96, "draws": 24576, "margin": 0.15, "mean_margin": 0.05}
    return sizes


def inputs(width: int) -> np.ndarray:
    """(2, width): the two inputs, in the order of INPUTS."""
    return np.stack([np.sqrt(width) * np.eye(width)[0], np.ones(width)])


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Draw real weights of each law and measure both inputs on the same networks."""
    width, depth, draws = (parameters[name] for name in ("width", "depth", "draws"))
    layers = range(1, depth + 1)
    lines = np.empty((len(LAWS), len(INPUTS), depth))
    bands = np.empty((len(LAWS), len(PANELS), 3, depth))
    claims, networks, samples = [], {}, []
    for k, (law, stream) in enumerate(zip(LAWS, streams(seed, len(LAWS)), strict=True)):
        net = vp.mlp(width, depth, weights=LAWS[law], output=None)
        x = inputs(width)
        theory = vp.predict(net, x, order=1)
        how = {"engine": "explicit", "device": device, "backward": False}
        sample = vp.simulate(net, inputs=x, draws=draws, seed=stream, **how)
        names = [f"relu_{layer}" for layer in layers]
        mean = np.stack([theory.value(name, "second_moment") for name in names], 1)
        lines[k] = np.stack([theory.value(name, "length_fluctuation") for name in names], 1)
        found = np.stack([sample.values(name, "second_moment") for name in names], 2) / mean
        every = range(depth)
        bands[k, 0] = mean_bands(found[:, 1], mean[1], every, LEVEL)
        for p, panel in enumerate(INPUTS):
            squares = (found[:, p] - 1) ** 2
            bands[k, 1 + p] = mean_bands(squares, lines[k, p], every, LEVEL)
            claims.append(_mean_claim(found[:, p, -1], parameters, law, panel, depth))
            at = 0 if panel == "one entry" else depth - 1
            relative = squares[:, at] / lines[k, p, at]
            claims.append(_square_claim(relative, parameters["margin"], law, panel, at + 1))
        kurtosis = float(LAWS[law].at(width, width).kurtosis)
        about = {"weights": LAWS[law], "kurtosis": kurtosis, "width": width, "depth": depth}
        networks[law] = describe(net, **about, draws=draws)
        samples.append(sample)
    kurtoses = [float(law.at(width, width).kurtosis) for law in LAWS.values()]
    arrays = {"lines": lines, "bands": bands, "kurtoses": np.array(kurtoses)}
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def _mean_claim(
    found: np.ndarray, parameters: Mapping[str, Any], law: str, panel: str, layer: int
) -> Claim:
    """Equivalence of E x^2 with the input's; found (draws,) is relative to it."""
    margin = parameters["mean_margin"]
    statement = (
        f"E x² of layer {layer} is that of the input within {100 * margin:.0f} %, for all laws and "
        f"inputs (error rate {FALSE_PASS['mean']:g})"
    )
    told = f"{law}, {panel}, layer {layer}"
    return _claim(found, margin, FALSE_PASS["mean"], statement, told, ("mean", law))


def _square_claim(found: np.ndarray, margin: float, law: str, panel: str, layer: int) -> Claim:
    """The same of squared deviations over the predicted fluctuation (draws,)."""
    statement = (
        "the relative variance of |x|²/n over networks is the predicted one within "
        f"{100 * margin:.0f} %, in layer 1 for the input of one entry and in the last for the even "
        f"one (error rate {FALSE_PASS['square']:g})"
    )
    told = f"{law}, {panel}, layer {layer}"
    return _claim(found, margin, FALSE_PASS["square"], statement, told, (panel, law))


def _claim(
    found: np.ndarray,
    margin: float,
    rate: float,
    statement: str,
    told: str,
    place: tuple[str, str],
) -> Claim:
    placed, gap = mean_is(found, 1.0, margin, 2 * rate), float(found.mean() - 1)
    evidence = placed.refusal or gap_evidence(told, gap, placed.low, placed.high, len(found))
    return Claim(statement, str(placed.verdict), evidence, *place, gap, ERROR_RATE)


def draw(results: Results) -> Figure:
    """The mean of the even input on the left; the fluctuation for both inputs."""
    about, arrays = results.about["parameters"], results.arrays
    note = (
        f"ReLU layers of width {about['width']}, weights of variance 2/n from four symmetric laws "
        "of kurtosis κ. Left: E x² for the even input; middle and right: variance of |x|²/n over "
        "networks, over its squared mean, for an input with one entry that is not 0 and one with "
        f"equal entries. Lines: theory, exact at any width; points: {about['draws']} networks with "
        "real weights; bars: 95 % bands, simultaneous over the layers, none where draws are too "
        "skewed for one."
    )
    figure = style.page(results, 2.5, note=note)
    left, middle, right = figure.subplots(1, 3)
    right.sharey(middle)
    layers = np.arange(1, about["depth"] + 1)
    left.axhline(0, color=style.INK, linewidth=0.6, zorder=0)
    for k, law in enumerate(LAWS):
        look = style.SERIES[k]
        color, _ = looks(results, "mean", law, look)
        beside = layers + (k - 1.5) * 0.1
        points(left, beside, arrays["bands"][k, 0] - 1, color, look["marker"])
        for p, axes in enumerate((middle, right)):
            _curve(axes, results, k, p)
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    titles = ("E x² / predicted − 1", "fluctuation, input of one entry", "fluctuation, even input")
    for axes, title, panel in zip((left, middle, right), titles, PANELS, strict=True):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("layer")
        style.letter(axes, title)
        style.doubt(axes, results.doubted(panel))
    middle.set_ylim(bottom=0)
    right.legend(loc="upper left")
    return figure


def _curve(axes: Axes, results: Results, k: int, p: int) -> None:
    """The fluctuation of one law at one input by layer."""
    law, look, arrays = list(LAWS)[k], style.SERIES[k], results.arrays
    color, label = looks(results, INPUTS[p], law, look)
    layers = np.arange(1, arrays["lines"].shape[-1] + 1)
    axes.plot(layers, arrays["lines"][k, p], color=color, linestyle=look["linestyle"])
    points(axes, layers, arrays["bands"][k, 1 + p], color, look["marker"])
    label = f"{label}, κ = {arrays['kurtoses'][k]:g}"
    axes.plot([], color=color, marker=look["marker"], markerfacecolor="white",
              linestyle=look["linestyle"], label=label)  # fmt: skip
