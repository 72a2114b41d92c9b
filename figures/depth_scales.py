"""Depth scales of tanh across the edge of chaos, and the decay that they describe.

Left: 1/|log chi| of variance, correlation and gradients against the weight variance. Right: 1 - c
of two inputs by layer in the ordered phase, on the edge of chaos and in the chaotic phase; lines
are the map of the mean field, points real networks. Claim: they agree at the layers shown.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

import varprop as vp
from figures import mean_field, style
from figures.results import Results, provenance, streams

BIAS, START = 0.05, 0.3
SERIES = {"ordered": 1.3, "edge of chaos": None, "chaotic": 2.5}  # weight variances
PANEL = "decay"


def parameters(full: bool) -> dict[str, Any]:
    shown = [2, 4, 8, 12, 16, 20]
    if full:
        return {"width": 1024, "draws": 512, "margin": 0.1, "shown": shown}
    return {"width": 256, "draws": 400, "margin": 0.35, "shown": shown[:5]}


def weight_of(series: str) -> float:
    return SERIES[series] or float(vp.critical_line("tanh", BIAS))


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Depth scales from theory; each phase's decay from theory and from real networks."""
    weights = np.linspace(0.6, 3.4, 57)
    fields = [vp.mean_field("tanh", weight_variance=w, bias_variance=BIAS) for w in weights]
    names = ("depth_scale_q", "depth_scale_c", "depth_scale_gradient")
    scales = np.array([[getattr(field, name) for name in names] for field in fields])
    found, claims = {}, []
    for series, own in zip(SERIES, streams(seed, len(SERIES)), strict=True):
        field = vp.mean_field("tanh", weight_variance=weight_of(series), bias_variance=BIAS)
        found[series] = mean_field.decay(field, START, parameters, own, device, (PANEL, series))
        claims += found[series].claims
    arrays = {
        "weights": weights,
        "scales": scales,
        "lines": np.array([made.line for made in found.values()]),
        "points": np.array([made.points for made in found.values()]),
        "shown": np.array(parameters["shown"]),
    }
    samples = [made.sample for made in found.values()]
    networks = {series: made.told for series, made in found.items()}
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def draw(results: Results) -> Figure:
    about = results.about["parameters"]
    note = (
        f"tanh, σ_b² = {BIAS}. Left: ξ = 1/|log χ| of the variance (χ∥), of correlations (dc'/dc "
        "at c*) and of gradients (χ⊥), at the fixed point. Right: 1 − c of the pre-activations of "
        f"two inputs, from {START} in layer 1; lines: theory; points: {about['draws']} networks of "
        f"width {about['width']}."
    )
    figure = style.page(results, 2.7, note=note)
    left, right = figure.subplots(1, 2)
    names = ("variance ξ_q", "correlation ξ_c", "gradients ξ_∇")
    for k, name in enumerate(map(style.typeset, names)):
        look = style.SERIES[k + 1]
        left.plot(results.arrays["weights"], results.arrays["scales"][:, k], label=name,
                  color=look["color"], linestyle=look["linestyle"])  # fmt: skip
    left.axvline(weight_of("edge of chaos"), color=style.INK, linewidth=0.6)
    left.annotate("edge of chaos", (weight_of("edge of chaos"), 0.4), (3, 0),
                  textcoords="offset points", fontsize=style.SMALL)  # fmt: skip
    left.set(yscale="log", ylabel="depth scale (layers)", ylim=(0.3, 300))
    left.set_xlabel(style.typeset("weight variance σ_w²"))
    left.legend(loc="upper right")
    style.letter(left, "depth scales")
    for k, series in enumerate(SERIES):
        look = style.SERIES[k + 1]
        doubted = results.doubted(PANEL, series)
        color = style.ALARM if doubted else look["color"]
        line = results.arrays["lines"][k]
        right.plot(1 + np.arange(len(line)), line, color=color, linestyle=look["linestyle"])
        label = f"{series}, σ_w² = {weight_of(series):.3g}" + (f" ({doubted})" if doubted else "")
        right.plot(results.arrays["shown"], results.arrays["points"][k], look["marker"],
                   color=color, markerfacecolor="white", label=style.typeset(label))  # fmt: skip
    right.set(xscale="log", yscale="log", xlabel="layer", ylabel="1 − c")
    right.set_xticks([1, *results.arrays["shown"]])
    right.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    right.xaxis.set_minor_formatter(NullFormatter())
    right.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    right.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    right.yaxis.set_minor_formatter(NullFormatter())
    right.legend(loc="lower left")
    style.letter(right, "decay of 1 − c")
    style.doubt(right, results.doubted(PANEL))
    return figure
