"""How the length of a layer comes to fluctuate over networks as they grow deeper.

Claims: the squared relative deviation of |x_l|^2/n from its mean averages to the predicted
fluctuation at the deepest layer shown, for ReLU exactly, prod (1 + 5/n) - 1, and for tanh at
criticality within its 1/n theory (Yaida 2019).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import special

import varprop as vp
from figures import style
from figures.judging import mean_is
from figures.results import ERROR_RATE, Claim, Results, describe, gap_evidence, provenance, streams

SERIES = ("ReLU, normal", "ReLU, Rademacher", "linear", "tanh")
FALSE_PASS = 1e-2  # the squares of deviations have heavy tails: lower rates need far more draws
LEVEL = 0.05  # of the bars, simultaneously over the layers


def parameters(full: bool) -> dict[str, Any]:
    sizes = {"width": 128, "depth": 8, "draws": 32768, "margin": 0.2}
    return sizes if full else {"width": 64, "depth": 4, "draws": 8192, "margin": 0.3}


def network(series: str, width: int, depth: int) -> vp.Network:
    """Each keeps the second moment of its limit, or lets it fall slowly (tanh)."""
    if series.startswith("ReLU"):
        weights = "kaiming_normal" if series.endswith("normal") else vp.init.rademacher(2)
        return vp.mlp(width, depth, weights=weights, output=None)
    critical = vp.init.variance_scaling(1, "fan_in", "normal")
    if series == "tanh":
        return vp.mlp(width, depth, activation="tanh", weights=critical, output=None)
    return vp.mlp(widths=[width] * (depth + 1), activation="identity", weights=critical)


def _layers(net: vp.Network, depth: int) -> list[str]:
    kinds = [n.name for n in net if n.name.startswith(("relu", "tanh"))]
    return kinds or [f"dense_{k}" for k in range(1, depth + 1)]


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Draw real weights for each series and judge the deepest layer."""
    width, depth = parameters["width"], parameters["depth"]
    lines, points = np.empty((len(SERIES), depth)), np.empty((len(SERIES), 2, depth))
    claims, networks, samples = [], {}, []
    for k, (series, stream) in enumerate(zip(SERIES, streams(seed, len(SERIES)), strict=True)):
        net = network(series, width, depth)
        theory = vp.predict(net, order=1)
        sample = vp.simulate(
            net, draws=parameters["draws"], seed=stream, device=device, engine="explicit"
        )
        names = _layers(net, depth)
        lines[k] = [theory.value(name, "length_fluctuation")[0] for name in names]
        points[k] = np.array([np.ravel(sample.length_fluctuation(name)) for name in names]).T
        claims.append(_claim(theory, sample, names[-1], parameters["margin"], series))
        about = {"weights": net.nodes[1].layer.weights, "width": width, "depth": depth}
        networks[series] = describe(net, **about, draws=sample.draws)
        samples.append(sample)
    about = provenance(parameters, seed, samples, networks)
    return Results({"lines": lines, "points": points}, tuple(claims), about)


def _claim(
    theory: vp.Prediction, sample: vp.Sample, node: str, margin: float, series: str
) -> Claim:
    found = sample.values(node, "second_moment")[:, 0] / theory.value(node, "second_moment")[0]
    relative = (found - found.mean()) ** 2 / theory.value(node, "length_fluctuation")[0]
    statement = (
        "the relative variance of the squared length over networks is the predicted one at the "
        f"deepest layer, within {100 * margin:.0f} % (error rate {FALSE_PASS:g})"
    )
    judged, gap = mean_is(relative, 1.0, margin, 2 * FALSE_PASS), float(relative.mean() - 1)
    evidence = gap_evidence(node, gap, judged.low, judged.high, sample.draws)
    evidence = judged.refusal or evidence
    return Claim(statement, str(judged.verdict), evidence, "all", series, gap, ERROR_RATE)


def draw(results: Results) -> Figure:
    """Fluctuation against depth: lines theory, points networks with their bands."""
    about, arrays = results.about["parameters"], results.arrays
    note = (
        f"Var(|x|²/n) / (E |x|²/n)² over networks of width {about['width']}, inputs with "
        "x·x/n = 1. Lines: theory, exact but for tanh (first order in 1/n); points: networks with "
        "real weights; bars: 95 % bands, simultaneous over the points of a series."
    )
    figure = style.page(results, 2.6, note=note)
    axes = figure.subplots()
    layers = np.arange(1, about["depth"] + 1)
    reach = -special.ndtri(LEVEL / 2 / len(layers))
    for k, (series, look) in enumerate(zip(SERIES, style.SERIES, strict=True)):
        doubted = results.doubted("all", series)
        color = style.ALARM if doubted else look["color"]
        how: dict[str, Any] = {"linestyle": look["linestyle"], "color": color}
        label = f"{series} ({doubted})" if doubted else series
        axes.plot(layers, arrays["lines"][k], **how)
        axes.plot([], marker=look["marker"], markerfacecolor="white", label=label, **how)
        value, error = arrays["points"][k]
        axes.errorbar(layers, value, reach * error, linestyle="none", color=color,
                      marker=look["marker"], markerfacecolor="white", elinewidth=0.8)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("layer")
    axes.set_ylabel("relative variance of |x|²/n")
    axes.legend(loc="upper left")
    style.doubt(axes, results.doubted("all"))
    return figure
