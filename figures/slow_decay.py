"""At criticality the correlation and the variance approach their limits by powers of the depth.

Left: 1 - c of two inputs on critical lines; right: the second moment where the critical one goes to
zero. Above the decay, below it the same over the power law that varprop derives. Claims: real
networks follow the maps at the layers shown; deep in the maps the power laws hold.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

import varprop as vp
from figures import mean_field, style
from figures.results import (
    ERROR_RATE,
    Claim,
    Results,
    describe,
    gap_evidence,
    percent,
    provenance,
    streams,
)

START, BIAS = 0.5, 0.05
PAIRS = {"ReLU": "relu", "tanh": "tanh", "erf": "erf"}
VARIANCES = {"tanh": "tanh", "sin": "sin", "softsign": "softsign"}
PANELS = {"1 - correlation": PAIRS, "second_moment": VARIANCES}
DOTS = 60  # of each line, even in the logarithm of the depth


def parameters(full: bool) -> dict[str, Any]:
    if full:
        sizes = {"width": 512, "draws": 256, "margin": 0.2, "shown": [2, 4, 8, 16]}
        return {**sizes, "depth": 50_000, "tolerance": 0.01}
    sizes = {"width": 256, "draws": 400, "margin": 0.35, "shown": [2, 4, 8]}
    return {**sizes, "depth": 2000, "tolerance": 0.05}


def field_of(quantity: str, activation: str) -> vp.MeanField:
    """On the critical line at the bias variance of the panel."""
    smooth = quantity == "1 - correlation" and activation != "relu"
    bias = BIAS if smooth else 0.0
    weight = float(vp.critical_line(activation, bias))
    return vp.mean_field(activation, weight_variance=weight, bias_variance=bias)


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """The maps far down, their power laws, and real networks at the layers shown."""
    arrays: dict[str, np.ndarray] = {"shown": np.array(parameters["shown"])}
    claims, networks, samples = [], {}, []
    seeds = iter(streams(seed, sum(map(len, PANELS.values()))))
    for quantity, series in PANELS.items():
        for name, activation in series.items():
            field, where = field_of(quantity, activation), (quantity, name)
            if quantity == "second_moment":
                line = field.iterate(field.weight_variance, parameters["depth"] - 1)
                made = _second_moment(field, line, parameters, next(seeds), device, where)
            else:
                line = field.iterate_correlation(START, parameters["depth"] - 1)
                made = mean_field.decay(field, START, parameters, next(seeds), device, where)
            law = next(law for law in vp.power_laws(field) if law.quantity == quantity)
            layers = np.unique(np.geomspace(1, len(line), DOTS).astype(int))
            key = " ".join(where)
            arrays[f"{key} line"] = np.array([layers, line[layers - 1]])
            arrays[f"{key} law"] = np.array([law.constant, law.exponent])
            arrays[f"{key} points"] = np.array(made.points)
            claims += [*made.claims, _law_claim(line, law, parameters["tolerance"], where)]
            networks[key] = made.told
            samples.append(made.sample)
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def _second_moment(
    field: vp.MeanField,
    line: np.ndarray,
    parameters: Mapping[str, Any],
    seed: int,
    device: str,
    where: tuple[str, str],
) -> mean_field.Decay:
    """E z^2 of the layers of unit inputs."""
    shown, width, margin = parameters["shown"], parameters["width"], parameters["margin"]
    weight, draws, depth = field.weight_variance, parameters["draws"], max(shown)
    net = mean_field.stack(str(field.activation), weight, 0.0, width, depth)
    how = {"draws": draws, "seed": seed, "device": device, "backward": False}
    sample = vp.simulate(net, engine="explicit", **how)
    claims, points = [], []
    for layer in shown:
        found = sample.values(f"dense_{layer}", "second_moment")[:, 0]
        verdict, gap, low, high = mean_field.judged(found / line[layer - 1], margin)
        statement = (
            "the second moments of real networks follow the map within "
            f"{percent(margin, 0).lstrip('+')} at every layer shown"
        )
        evidence = gap_evidence(f"dense_{layer}", gap, low, high, draws)
        claims.append(Claim(statement, verdict, evidence, *where, gap, ERROR_RATE))
        points.append(float(found.mean()))
    law = f"variance {weight:.6g}/n"
    told = describe(net, weights=law, width=width, depth=depth, draws=draws)
    return mean_field.Decay(line, points, claims, sample, told)


def _law_claim(
    line: np.ndarray, law: vp.PowerLaw, tolerance: float, where: tuple[str, str]
) -> Claim:
    """The map over its power law at the last layer."""
    gap = float(line[-1] / (law.constant * len(line) ** law.exponent)) - 1
    verdict = vp.Verdict.CONFIRMED if abs(gap) < tolerance else vp.Verdict.REFUTED
    statement = (
        f"after {len(line)} layers every map is within {percent(tolerance, 0).lstrip('+')} of its "
        "power law"
    )
    evidence = f"Widest gap {percent(gap, 2)}, {where[1]}"
    return Claim(statement, str(verdict), evidence, *where, gap, error_rate=0.0)


def draw(results: Results) -> Figure:
    about = results.about["parameters"]
    note = (
        f"Lines: maps of the mean field to layer {about['depth']}; points: {about['draws']} "
        f"networks of width {about['width']}; dotted: power laws. Left: pre-activations of two "
        f"inputs from 1\u00a0−\u00a0c = {START}, variance at its fixed point, σ_b² = {BIAS} (ReLU: "
        "0). Right: from q = 1 in layer 1 at σ_b² = 0, where the critical variance is 0."
    )
    figure = style.page(results, 3.9, note=note)
    axes = figure.subplots(2, 2, sharex=True, height_ratios=(1.7, 1))
    names = {"1 - correlation": "1 − c", "second_moment": "second moment q"}
    for (above, below), (quantity, series) in zip(axes.T, PANELS.items(), strict=True):
        for name, look in zip(series, style.SERIES[1:], strict=True):
            _series(above, below, results, (quantity, name), look)
        above.set(xscale="log", yscale="log", ylabel=names[quantity])
        above.yaxis.set_major_locator(LogLocator(100))
        above.yaxis.set_minor_locator(NullLocator())
        above.legend(loc="lower left", fontsize=style.SMALL)
        below.axhline(1, color=style.PALE, linestyle=":", linewidth=1.2, zorder=0)
        below.set(xlabel="layer l", ylim=(0, 1.25 if quantity == "1 - correlation" else 2.7))
        style.doubt(above, results.doubted(quantity))
    axes[0, 0].set_title("critical lines", loc="left", pad=3)
    axes[0, 1].set_title("variance that vanishes", loc="left", pad=3)
    axes[1, 0].set_ylabel("over its\npower law")
    return figure


def _series(
    above: Axes, below: Axes, results: Results, at: tuple[str, str], look: Mapping[str, Any]
) -> None:
    key, doubted = " ".join(at), results.doubted(*at)
    layers, line = results.arrays[f"{key} line"]
    constant, exponent = results.arrays[f"{key} law"]
    color = style.ALARM if doubted else look["color"]
    tail = layers[layers >= 20]
    power = f"{constant:.3g} l$^{{{exponent:.0f}}}$".replace("-", "−")
    label = f"{at[1]}: {power}" + (f" ({doubted})" if doubted else "")
    above.plot(layers, line, color=color, linestyle=look["linestyle"])
    above.plot(tail, constant * tail**exponent, color=color, linestyle=":", linewidth=1.5)
    shown, points = results.arrays["shown"], results.arrays[f"{key} points"]
    above.plot(shown, points, look["marker"], color=color, markerfacecolor="white", label=label)
    below.plot(layers, line / (constant * layers**exponent), color=color,
               linestyle=look["linestyle"])  # fmt: skip
    below.plot(shown, points / (constant * shown**exponent), look["marker"], color=color,
               markerfacecolor="white")  # fmt: skip
