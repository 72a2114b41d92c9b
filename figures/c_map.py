"""Correlation maps: the correlation of two inputs in one layer against that in the layer below.

Three settings of tanh (ordered, edge of chaos, chaotic), and ReLU under He's rule with and without
dropout. Claim: real layers take the correlation of two inputs to that of the map.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import varprop as vp
from figures import mean_field, style
from figures.results import Results, describe, percent, provenance, streams

PANELS: dict[str, dict[str, dict[str, Any]]] = {
    "tanh": {
        "σ_w² = 1.0": {"weight_variance": 1.0, "bias_variance": 0.1},
        "edge of chaos": {"weight_variance": None, "bias_variance": 0.1},
        "σ_w² = 4.0": {"weight_variance": 4.0, "bias_variance": 0.1},
    },
    "relu": {
        "keep 0.8": {"weight_variance": 1.6, "keep": 0.8},
        "He": {"weight_variance": 2.0},
    },
}
LEVEL = 0.05  # of the bands
TITLES = {"tanh": "tanh, σ_b² = 0.1", "relu": "ReLU, σ_w² = 2 × keep probability"}


def parameters(full: bool) -> dict[str, Any]:
    shown = [0.5, 0.75, 0.95]
    sizes = {"width": 512, "draws": 512, "margin": 0.03, "shown": shown}
    return sizes if full else {"width": 128, "draws": 500, "margin": 0.1, "shown": shown}


def field_of(panel: str, series: str) -> vp.MeanField:
    kind = dict(PANELS[panel][series])
    if kind["weight_variance"] is None:
        kind["weight_variance"] = float(vp.critical_line(panel, kind["bias_variance"]))
    return vp.mean_field(panel, **kind)


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Maps from theory; one layer of real networks without dropout at a few correlations."""
    c = np.linspace(0, 1, 201)
    maps, points, claims, networks, samples = [], [], [], {}, []
    own = iter(streams(seed, 5 * len(parameters["shown"])))
    for panel, kinds in PANELS.items():
        for series in kinds:
            field = field_of(panel, series)
            maps.append(1 - np.asarray(field.correlation_map(1 - c)))
            found = np.full((len(parameters["shown"]), 3), np.nan)
            if field.keep == 1:
                for k, at in enumerate(parameters["shown"]):
                    claim, found[k], sample, told = _measured(
                        field, at, parameters, next(own), device, (panel, series)
                    )
                    claims.append(claim)
                    samples.append(sample)
                    networks[f"{panel}, {series}, {at}"] = told
            points.append(found)
    arrays = {"c": c, "maps": np.array(maps), "points": np.array(points)}
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def _measured(
    field: vp.MeanField,
    at: float,
    parameters: Mapping[str, Any],
    seed: int,
    device: str,
    where: tuple[str, str],
) -> tuple:
    """The claim on 1 - c' from one hidden layer; c' with its band; the sample; what was drawn."""
    width, panel = parameters["width"], where[0]
    net = mean_field.stack(panel, field.weight_variance, field.bias_variance, width, 1)
    sample = vp.simulate(
        net,
        inputs=mean_field.settled(field, width, 1 - at),
        draws=parameters["draws"],
        seed=seed,
        device=device,
        engine="explicit",
    )
    square = sample.values("dense_2", "second_moment").mean(1)
    gap = square - sample.values("dense_2", "cross_moment")[:, 0, 1]
    about = {
        "statement": "without dropout, a layer of real networks takes 1 − c to that of the map "
        f"within {percent(parameters['margin'], 0).lstrip('+')}",
        "margin": parameters["margin"],
        "node": "dense_2",
        "panel": panel,
        "series": where[1],
    }
    expected = float(field.correlation_map(1 - at))
    claim, ratio = mean_field.ratio_claim(gap, square, expected, about)
    level = LEVEL / len(parameters["shown"])
    low, high = mean_field.ratio_band(gap, square, expected, level)
    law = f"variance {field.weight_variance:.6g}/n"
    told = describe(net, weights=law, width=width, depth=1, draws=parameters["draws"])
    return claim, (1 - ratio, 1 - high, 1 - low), sample, told


def draw(results: Results) -> Figure:
    about = results.about["parameters"]
    note = (
        "Correlation of two inputs at the fixed point of their variance. Lines: the map; open "
        f"marks: {about['draws']} networks of width {about['width']}, with 95 % bands, "
        "simultaneous over a curve; dots: the correlation that deep layers reach. With dropout "
        "(two masks) it is below 1."
    )
    figure = style.page(results, 3.1, note=note)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    row = 0
    for place, (panel, kinds) in zip(axes, PANELS.items(), strict=True):
        place.plot([0, 1], [0, 1], color=style.PALE, linewidth=0.8, zorder=0)
        for k, series in enumerate(kinds):
            look = style.SERIES[k + 1]
            doubted = results.doubted(panel, series)
            color = style.ALARM if doubted else look["color"]
            label = f"{series} ({doubted})" if doubted else series
            curve, points = results.arrays["maps"][row], results.arrays["points"][row]
            place.plot(results.arrays["c"], curve, color=color, linestyle=look["linestyle"],
                       label=style.typeset(label))  # fmt: skip
            reach = np.nan_to_num(np.abs(points[:, 1:].T - points[:, 0]))
            place.errorbar(
                about["shown"], points[:, 0], reach, marker=look["marker"], color=color,
                markerfacecolor="white", linestyle="none", elinewidth=0.8, capsize=1.5,
            )  # fmt: skip
            star = field_of(panel, series).correlation_fixed_point
            place.plot(star, star, "o", color=color, markersize=4.5, zorder=3)
            row += 1
        place.set(xlabel="c of two inputs in a layer", aspect="equal")
        place.legend(loc="upper left")
        style.letter(place, TITLES[panel])
        style.doubt(place, results.doubted(panel))
    axes[0].set_ylabel("c in the next layer")
    return figure
