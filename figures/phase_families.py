"""Critical lines of leaky rectifiers by their slope, and of saturating and smooth activations.

Left: chi_perp, the factor of gradient second moments per layer, over the slope and the weight
variance. Right: the lines chi_perp = 1 where their fixed point attracts. Claim: at the marks the
gradients of real networks change by that factor.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import varprop as vp
from figures import style
from figures.phase_diagram import SPAN, line_of, measured
from figures.results import Results, provenance, streams

SLOPES, HEIGHT = (-1.5, 1.5), 3.0  # of the negative side, and of the weight variance
PLANE = (5.0, 0.8)  # of weight and bias variance
NAMED = {-1.0: "|x|", 0.0: "ReLU", 1.0: "linear"}
MARKS = ((-1.0, "critical"), (0.0, 1.0), (0.0, "critical"), (0.5, "critical"), (1.0, 1.8))
LINES = {  # name, and the bias variance of the mark
    "erf": ("erf", 0.1),
    "tanh": ("tanh", 0.2),
    "hardtanh": ("hard tanh", 0.3),
    "softsign": ("softsign", 0.05),
    "silu": ("SiLU", 0.65),
    "gelu": ("GELU", 0.45),
}
LOOKS = (
    *style.SERIES,
    {"color": "#56B4E9", "marker": "D", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
    {"color": style.INK, "marker": "P", "linestyle": (0, (1, 1))},
)


def parameters(full: bool) -> dict[str, Any]:
    sizes = {"grid": 200, "width": 512, "draws": 1024, "margin": 0.05}
    quick = {"grid": 60, "width": 256, "draws": 256, "margin": 0.12}
    return sizes if full else quick


def leaky(slope: float) -> str:
    return f"leaky_relu({slope:.12g})"


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Factors and lines from theory; the measured factor and the claim at each mark."""
    slopes = np.linspace(*SLOPES, parameters["grid"])
    weights = np.linspace(HEIGHT / parameters["grid"], HEIGHT, parameters["grid"])
    arrays: dict[str, np.ndarray] = {
        "slopes": slopes,
        "weights": weights,
        "chi": np.array(
            [vp.phase_diagram(leaky(a), weights, [0.0]).chi_perp[:, 0] for a in slopes]
        ),
        "critical": np.array([vp.critical_line(leaky(a), 0.0) for a in slopes]),
    }
    arrays |= {f"{name} line": line_of(name, PLANE[1]) for name in LINES}
    places = [(leaky(a), 0.0, weight) for a, weight in MARKS]
    places += [(name, bias, "critical") for name, (_, bias) in LINES.items()]
    found, claims, networks, samples = [], [], {}, []
    for (name, bias, weight), own in zip(places, streams(seed, len(places)), strict=True):
        weight = float(vp.critical_line(name, bias)) if weight == "critical" else weight
        field = vp.mean_field(name, weight_variance=weight, bias_variance=bias)
        claim, factor, sample, about = measured(field, parameters, own, device)
        claims.append(claim)
        samples.append(sample)
        networks[f"{name}, {weight:.3g}, {bias:.3g}"] = about
        found.append((weight, bias, factor))
    arrays["marks"] = np.array(found)
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def draw(results: Results) -> Figure:
    about = results.about["parameters"]
    note = (
        "Left: χ⊥, the factor of gradient second moments per layer, of φ(z) = max(z, 0) + "
        "a min(z, 0); line: χ⊥ = 1, where σ_w² E φ'² = 1. Right: χ⊥ = 1 where its fixed point "
        f"attracts; dots: χ∥ = 1 too. Marks: {about['draws']} networks of width {about['width']}, "
        "filled with the colour that was measured."
    )
    figure = style.page(results, 2.8, note=note)
    left, right = figure.subplots(1, 2)
    look: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -SPAN, "vmax": SPAN}
    _slopes(figure, left, results, look)
    _lines(right, results, look)
    return figure


def _slopes(figure: Figure, axes: Axes, results: Results, look: Mapping[str, Any]) -> None:
    arrays = results.arrays
    chi = np.log10(arrays["chi"].T)
    mesh = axes.pcolormesh(
        arrays["slopes"], arrays["weights"], chi, rasterized=True, shading="nearest", **look
    )
    axes.plot(arrays["slopes"], arrays["critical"], color=style.INK, linewidth=0.8)
    for (slope, _), (weight, _, factor) in zip(MARKS, arrays["marks"], strict=False):
        _mark(axes, slope, weight, factor, "o", look)
    for slope, name in NAMED.items():
        axes.axvline(slope, color=style.INK, linewidth=0.4, linestyle=":")
        axes.text(slope, HEIGHT * 1.01, name, ha="center", va="bottom", fontsize=style.SMALL)
    axes.set(xlabel="slope a of the negative side", ylim=(0, HEIGHT))
    axes.set_ylabel(style.typeset("weight variance σ_w²"))
    axes.set_title("leaky rectifiers", loc="left", pad=10)
    bar = figure.colorbar(mesh, ax=axes, extend="both", label=style.typeset("log₁₀ χ⊥"))
    bar.outline.set_linewidth(0.6)  # type: ignore[operator]
    for name in {claim.panel for claim in results.claims} - set(LINES):
        style.doubt(axes, results.doubted(name))


def _lines(axes: Axes, results: Results, look: Mapping[str, Any]) -> None:
    marks = results.arrays["marks"][len(MARKS) :]
    for (name, (label, _)), kind, mark in zip(LINES.items(), LOOKS, marks, strict=True):
        doubted = results.doubted(name)
        color = style.ALARM if doubted else kind["color"]
        line = results.arrays[f"{name} line"]
        label = f"{label} ({doubted})" if doubted else label
        axes.plot(*line, color=color, linestyle=kind["linestyle"], label=label)
        axes.plot(*line[:, 0], ".", color=color, markersize=4)
        weight, bias, factor = (float(v) for v in mark)
        _mark(axes, weight, bias, factor, str(kind["marker"]), look)
        style.doubt(axes, doubted)
    axes.set(xlim=(0.5, PLANE[0]), ylim=(-0.01, PLANE[1]))
    axes.set_xlabel(style.typeset("weight variance σ_w²"))
    axes.set_ylabel(style.typeset("bias variance σ_b²"))
    axes.legend(loc="upper right", fontsize=style.SMALL)
    axes.set_title("critical lines", loc="left", pad=10)


def _mark(
    axes: Axes, x: float, y: float, factor: float, marker: str, look: Mapping[str, Any]
) -> None:
    axes.scatter([x], [y], 46, "white", marker=marker, zorder=3)
    axes.scatter([x], [y], 22, [np.log10(factor)], marker=marker, edgecolors=style.INK,
                 linewidths=0.8, zorder=4, **look)  # fmt: skip
