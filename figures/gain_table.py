"""Gains by criterion, and whether the fixed point they make is kept.

Left: the gains g of weights with n Var w = g^2 by five criteria at q = 1. Right: the two factors
chi at q = 1 of the gain that keeps the second moment. Claim: real networks of such weights keep the
second moment, and change gradient second moments by chi_perp, over one layer.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import varprop as vp
from figures import mean_field, style
from figures.results import Results, describe, percent, provenance, streams

CRITERIA = {  # the first is larger: for odd activations E φ² and Var φ coincide
    "second_moment": ("E φ² = 1", {"marker": "o", "color": "#0072B2", "s": 34}),
    "variance": ("Var φ = 1", {"marker": "s", "color": "#E69F00"}),
    "gradient": ("E φ'² = 1", {"marker": "^", "color": "#009E73"}),
    "critical": ("χ⊥ = 1 at q*", {"marker": "D", "color": style.INK, "facecolors": "none"}),
    "torch": ("torch", {"marker": "x", "color": "#CC79A7"}),
}
HIDDEN = ("threshold", "rrelu", "monomial", "polynomial", "hermite")  # others by other names
WIDEST = 12.0  # gains above are named at the edge
DRAWN = ("relu", "tanh", "gelu", "selu")  # measured on networks
DEPTH, LAYERS = 3, (1, 2)


def parameters(full: bool) -> dict[str, Any]:
    sizes = {"width": 512, "draws": 1024, "margin": 0.05}
    quick = {"width": 256, "draws": 1024, "margin": 0.1}  # gelu's gradients are skew
    return sizes if full else quick


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """The table from theory; for some activations the measured factors and their claims."""
    kept = [r for r in vp.gain_table().rows() if r.activation.split("(")[0] not in HIDDEN]
    kept.sort(key=lambda row: (np.isnan(row.chi_parallel), row.chi_parallel))
    arrays: dict[str, np.ndarray] = {
        "names": np.array([row.activation for row in kept]),
        "chi_parallel": np.array([row.chi_parallel for row in kept]),
        "chi_perp": np.array([row.chi_perp for row in kept]),
    }
    for criterion in CRITERIA:
        arrays[criterion] = np.array([getattr(row, f"gain_{criterion}") for row in kept])
    claims, networks, samples = [], {}, []
    for name, one in zip(DRAWN, streams(seed, len(DRAWN)), strict=True):
        found, sample, told = _measured(name, parameters, one, device)
        claims += found
        samples.append(sample)
        networks[name] = told
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def _measured(name: str, parameters: Mapping[str, Any], seed: int, device: str) -> tuple:
    """The claims on one activation, the sample, and what was drawn."""
    chosen, width = vp.gain(name), parameters["width"]
    field, (low, high) = chosen.mean_field, LAYERS
    net = mean_field.stack(name, field.weight_variance, 0.0, width, DEPTH)
    inputs = np.full((1, width), 1 / chosen.value)  # E z^2 = 1 after the first layer
    sample = vp.simulate(
        net, inputs=inputs, draws=parameters["draws"], seed=seed, device=device, engine="explicit"
    )
    claims = []
    asked = (
        ("second_moment", 1.0, (high, low), "second moments are kept"),
        ("grad_second_moment", chosen.chi_perp, (low, high), "gradients change by χ⊥"),
    )
    for quantity, stated, (one, other), told in asked:
        after, before = (sample.values(f"dense_{k}", quantity)[:, 0] for k in (one, other))
        about = {
            "statement": f"with E φ² = 1 {told} over one layer ({', '.join(DRAWN)}), within "
            f"{percent(parameters['margin'], 0).lstrip('+')}",
            "margin": parameters["margin"],
            "node": f"dense_{one}",
            "panel": quantity,
            "series": name,
        }
        claims.append(mean_field.ratio_claim(after, before, stated, about)[0])
    law = f"variance {field.weight_variance:.6g}/n"
    told = describe(net, weights=law, width=width, depth=DEPTH, draws=parameters["draws"])
    return claims, sample, told


def draw(results: Results) -> Figure:
    """One row an activation: its gains, and the factors at q = 1."""
    arrays = results.arrays
    rows = np.arange(len(arrays["names"]))
    note = (
        "Left: gain g, weights of variance g²/n, by what it asks for z ~ N(0, 1) (critical: at the "
        "fixed point that goes with g, no bias); no mark where a criterion has no gain. Right: "
        "factors per layer of errors of the variance (χ∥) and of gradient second moments (χ⊥) at "
        "q = 1, under E φ² = 1. Where χ∥ > 1 deep layers leave q = 1. "
        "Arrows: beyond the axis."
    )
    figure = style.page(results, 0.155 * rows.size + 0.9, note=note)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    for criterion, (label, look) in CRITERIA.items():
        _marks(left, arrays[criterion], rows, (0.4, WIDEST), label, look)
    factors = {
        "chi_parallel": ("χ∥", {"marker": "o", "color": "#D08020"}),
        "chi_perp": ("χ⊥", {"marker": "^", "color": "#009E73"}),
    }
    for name, (label, look) in factors.items():
        _marks(right, arrays[name], rows, (0.08, 8.0), label, look)
    right.axvline(1, color=style.INK, linewidth=0.6, zorder=0)
    left.set_yticks(rows, [_short(str(n)) for n in arrays["names"]], fontsize=style.SMALL)
    left.set_ylim(rows.size - 0.4, -0.6)
    left.set_xlabel("gain g")
    right.set_xlabel("factor per layer at q = 1")
    for place in (left, right):
        place.grid(axis="y", color="#EEEEEE", linewidth=0.5)
        place.set_axisbelow(True)
        place.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, handletextpad=0.1,
            columnspacing=0.8, fontsize=style.SMALL,
        )  # fmt: skip
    for panel in ("second_moment", "grad_second_moment"):
        style.doubt(right, results.doubted(panel))
    return figure


def _short(name: str) -> str:
    """hardtanh(-1.0, 1.0) as hardtanh(−1, 1)."""
    return re.sub(r"\.0(?=[,)])", "", name).replace("(-", "(−")


def _marks(
    axes: Any,
    values: np.ndarray,
    rows: np.ndarray,
    limits: tuple[float, float],
    label: str,
    look: Mapping[str, Any],
) -> None:
    """Values on a logarithmic axis; those beyond it as arrows at its edge."""
    low, high = limits
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10) if low <= t <= high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    inside = (values >= low) & (values <= high)
    shape = {"s": 12, "linewidths": 0.9, **look}
    axes.scatter(values[inside], rows[inside], label=style.typeset(label), **shape)
    for mark, edge, out in (("<", low, values < low), (">", high, values > high)):
        axes.scatter(
            np.full(int(out.sum()), edge),
            rows[out],
            s=12,
            color=look["color"],
            marker=mark,
            clip_on=False,
        )
