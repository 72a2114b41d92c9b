"""Phase diagrams of four activations: the factor of gradients over weight and bias variance.

Each panel shows chi_perp at the fixed point that deep layers reach from q = 1, its line
chi_perp = 1 and the region without a finite fixed point. Claim: at the marked points, the gradient
second moments of real networks change by that factor per layer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import varprop as vp
from figures import mean_field, style
from figures.results import Results, describe, percent, provenance, streams

PANELS = {
    "tanh": ((0.7, 0.1), ("critical", 0.1), (3.2, 0.3)),
    "erf": ((0.6, 0.1), ("critical", 0.1), (3.2, 0.3)),
    "gelu": ((1.0, 0.1), (1.7, 0.3), ("critical", 0.3)),
    "silu": ((1.0, 0.1), (1.7, 0.3), (1.95, 0.45)),
}
TITLES = {"tanh": "tanh", "erf": "erf", "gelu": "GELU", "silu": "SiLU"}
DEPTH, LAYERS = 4, (2, 4)  # gradients are compared at these two layers
WIDEST = (4.0, 0.5)  # of weight and bias variance
SPAN = 0.45  # of log10 chi_perp on the colour scale


def parameters(full: bool) -> dict[str, Any]:
    sizes = {"grid": 300, "width": 512, "draws": 1024, "margin": 0.05}
    quick = {"grid": 120, "width": 256, "draws": 400, "margin": 0.1}
    return sizes if full else quick


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Diagrams from theory; at each mark, the measured factor and its claim."""
    weights = np.linspace(WIDEST[0] / parameters["grid"], WIDEST[0], parameters["grid"])
    biases = np.linspace(0, WIDEST[1], parameters["grid"])
    arrays: dict[str, np.ndarray] = {"weights": weights, "biases": biases}
    claims, networks, samples = [], {}, []
    seeds = iter(streams(seed, 3 * len(PANELS)))
    for panel, marks in PANELS.items():
        diagram = vp.phase_diagram(panel, weights, biases)
        arrays[f"{panel} chi"] = diagram.chi_perp
        arrays[f"{panel} divergent"] = diagram.phase == "divergent"
        arrays[f"{panel} line"] = line_of(panel)
        found = []
        for weight, bias in marks:
            weight = vp.critical_line(panel, bias) if weight == "critical" else weight
            field = vp.mean_field(panel, weight_variance=float(weight), bias_variance=bias)
            claim, factor, sample, about = measured(field, parameters, next(seeds), device)
            claims.append(claim)
            samples.append(sample)
            networks[f"{panel}, {weight:.3g}, {bias:.3g}"] = about
            found.append((weight, bias, field.chi_perp, factor))
        arrays[f"{panel} marks"] = np.array(found, float)
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def line_of(panel: str, highest: float = WIDEST[1]) -> np.ndarray:
    """The critical line where its fixed point is stable: (2, points), weight and bias variance."""
    phi, first = vp.activation(panel), vp.critical_point(panel)
    q = np.geomspace(max(first.fixed_point, 1e-3), 60.0, 400)
    slope = phi.derivative_second_moment(q)
    bias = q - phi.second_moment(q) / slope
    kept = (phi.second_moment_slope(q) <= slope) & (bias <= highest)
    start = np.array([[first.weight_variance], [first.bias_variance]])
    line = np.concatenate([start, np.stack([1 / slope, bias])[:, kept]], 1)
    return line if first.bias_variance <= highest else line[:, :0]


def measured(field: vp.MeanField, parameters: Mapping[str, Any], seed: int, device: str) -> tuple:
    """The claim at one mark, the measured factor per layer, the sample, and what was drawn.

    Inputs are at the fixed point where it is a positive number; else unit inputs, which are as good
    for homogeneous activations.
    """
    width, (low, high), panel = parameters["width"], LAYERS, str(field.activation)
    net = mean_field.stack(panel, field.weight_variance, field.bias_variance, width, DEPTH)
    within = 0 < field.fixed_point < np.inf
    inputs = mean_field.settled(field, width)[:1] if within else None
    sample = vp.simulate(
        net, inputs=inputs, draws=parameters["draws"], seed=seed, device=device, engine="explicit"
    )
    above, below = (sample.values(f"dense_{k}", "grad_second_moment")[:, 0] for k in (low, high))
    about = {
        "statement": "at the marked points gradient second moments change by χ⊥ per layer, "
        f"within {percent(parameters['margin'], 0).lstrip('+')} over two layers",
        "margin": parameters["margin"],
        "node": f"dense_{low}",
        "panel": panel,
        "series": f"{field.weight_variance:.3g}, {field.bias_variance:.3g}",
    }
    claim, ratio = mean_field.ratio_claim(above, below, field.chi_perp ** (high - low), about)
    law = f"variance {field.weight_variance:.6g}/n"
    told = describe(net, weights=law, width=width, depth=DEPTH, draws=parameters["draws"])
    return claim, ratio ** (1 / (high - low)), sample, told


def draw(results: Results) -> Figure:
    """One panel an activation; marks are filled with the measured colour."""
    note = (
        "Colour: χ⊥, the factor of gradient second moments per layer, where deep layers settle "
        "from q = 1, against σ_w² = n Var w and σ_b² = Var b. Line: χ⊥ = 1. Hatched: the variance "
        "grows without bound. Marks: real networks of width "
        f"{results.about['parameters']['width']}, filled with the colour that was measured."
    )
    figure = style.page(results, 4.2, note=note)
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    arrays, mesh = results.arrays, None
    look: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -SPAN, "vmax": SPAN}
    for place, panel in zip(axes.flat, PANELS, strict=True):
        chi = np.log10(arrays[f"{panel} chi"].T)
        away = np.ma.masked_where(arrays[f"{panel} divergent"].T, chi)
        mesh = place.pcolormesh(
            arrays["weights"], arrays["biases"], away, rasterized=True, shading="nearest", **look
        )
        place.set_facecolor("#EEEEEE")
        place.patch.set(hatch="////", edgecolor=style.PALE, linewidth=0)
        place.plot(*arrays[f"{panel} line"], color=style.INK, linewidth=0.8)
        weight, bias, _, measured = arrays[f"{panel} marks"].T
        place.scatter(weight, bias, 46, "white", zorder=3)  # a rim that shows on the darkest blue
        place.scatter(weight, bias, 26, np.log10(measured), edgecolors=style.INK, linewidths=0.8,
                      zorder=3, **look)  # fmt: skip
        style.letter(place, TITLES[panel])
        style.doubt(place, results.doubted(panel))
    for place in axes[1]:
        place.set_xlabel(style.typeset("weight variance σ_w²"))
    for place in axes[:, 0]:
        place.set_ylabel(style.typeset("bias variance σ_b²"))
    assert mesh is not None
    label = style.typeset("log₁₀ χ⊥")
    bar = figure.colorbar(mesh, ax=axes, extend="both", label=label, shrink=0.8)
    bar.outline.set_linewidth(0.6)  # type: ignore[operator]
    divergent = Patch(facecolor="#EEEEEE", edgecolor=style.PALE, hatch="////", label="divergent")
    axes[1, 0].legend(
        handles=[divergent], loc="upper right", frameon=True, framealpha=1, edgecolor="white"
    )
    return figure
