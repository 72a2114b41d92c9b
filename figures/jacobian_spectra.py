"""Spectra of J J' of deep linear and ReLU networks, Gaussian and orthogonal: theory over networks.

Claim: for each case the measured share of squared singular values above the mean of the law is the
predicted one, averaged over networks, within a margin that holds the O(L/n) of finite width.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import varprop as vp
from figures import style
from figures.judging import mean_is
from figures.results import ERROR_RATE, Claim, Results, describe, gap_evidence, provenance, streams

CASES = (
    ("linear, Gaussian", "identity", "gaussian"),
    ("ReLU, Gaussian", "relu", "gaussian"),
    ("linear, orthogonal", "identity", "orthogonal"),
    ("ReLU, orthogonal", "relu", "orthogonal"),
)
LEVEL = 1e-4
POINTS = 400


def parameters(full: bool) -> dict[str, Any]:
    """Four layers of 512 units, or of 96 in a few seconds."""
    if full:
        return {"width": 512, "depth": 4, "draws": 96, "bins": 60, "margin": 0.05}
    return {"width": 96, "depth": 4, "draws": 96, "bins": 40, "margin": 0.1}


def network(activation: str, weights: str, width: int, depth: int) -> vp.Network:
    """The critical square network of that kind."""
    gain = 2.0 if activation == "relu" else 1.0
    law = vp.init.normal(variance=gain / width)
    if weights == "orthogonal":
        law = vp.init.orthogonal(gain=gain**0.5)
    return vp.mlp(width, depth, activation=activation, weights=law, output=None)


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Singular values of many networks, their histogram, and the density over them."""
    width, depth, draws = (parameters[k] for k in ("width", "depth", "draws"))
    bins, arrays, claims, networks = parameters["bins"], {}, [], {}
    seeds = streams(seed, len(CASES) + 1)
    for k, (case, activation, weights) in enumerate(CASES):
        net = network(activation, weights, width, depth)
        spectrum = vp.jacobian_spectrum(net)
        squared = vp.singular_values(net, draws=draws, seed=seeds[k], device=device)[:, 0] ** 2
        top = spectrum.edges.high if spectrum.edges else 2.0
        edges = np.linspace(0, 1.15 * top, bins + 1)
        # The singular values, not their squares: the density of the squares is infinite at zero.
        roots = np.sqrt(edges)
        counted, _ = np.histogram(np.sqrt(squared), np.linspace(0, roots[-1], bins + 1))
        step = roots[-1] / bins
        grid = np.linspace(0, np.sqrt(top), POINTS + 2)[1:-1]
        arrays[f"edges_{k}"] = np.linspace(0, roots[-1], bins + 1)
        arrays[f"histogram_{k}"] = counted / (squared.size * step)
        arrays[f"grid_{k}"] = grid
        arrays[f"density_{k}"] = 2 * grid * spectrum.density(grid**2)
        arrays[f"atoms_{k}"] = np.array(
            [[np.sqrt(x), m, np.mean(np.abs(squared - x) < 1e-12 * top)] for x, m in spectrum.atoms]
        )
        arrays[f"largest_{k}"] = np.array([np.sqrt(top), np.sqrt(squared.max(-1)).mean()])
        claims.append(_claim(squared, spectrum, parameters["margin"], case))
        about = {"activation": activation, "weights": weights, "width": width, "depth": depth}
        networks[case] = describe(net, **about, draws=draws)
    how = {"draws": 2, "seed": seeds[-1], "device": device, "dtype": "float64"}
    sample = vp.simulate(network(*CASES[0][1:], width, depth), engine="explicit", **how)
    return Results(arrays, tuple(claims), provenance(parameters, seed, [sample], networks))


def _claim(squared: np.ndarray, spectrum: vp.JacobianSpectrum, margin: float, case: str) -> Claim:
    statement = (
        "the share of squared singular values above their mean is the predicted one within "
        f"{100 * margin:.0f} % (error rate {LEVEL:g}); orthogonal linear layers: all are 1"
    )
    draws = len(squared)
    if spectrum.edges is None:
        gap = float(np.abs(squared - spectrum.atoms[0][0]).max())
        verdict = vp.Verdict.CONFIRMED if gap < 1e-9 else vp.Verdict.REFUTED
        evidence = f"Largest gap {gap:.1g}, {draws} networks"
        return Claim(statement, str(verdict), evidence, case, error_rate=0.0)
    mean = squared.mean(-1, keepdims=True)
    share = (squared > mean).mean(-1) / float(spectrum.survival(spectrum.mean))
    found, gap = mean_is(share, 1.0, margin, 2 * LEVEL), float(share.mean() - 1)
    evidence = found.refusal or gap_evidence(case, gap, found.low, found.high, draws)
    return Claim(statement, str(found.verdict), evidence, case, gap=gap, error_rate=ERROR_RATE)


def draw(results: Results) -> Figure:
    """A panel per case: histogram of singular values, density, atoms, edge."""
    about = results.about["parameters"]
    note = (
        f"Singular values of the input-output Jacobian, {about['depth']} layers of "
        f"{about['width']} units at criticality, {about['draws']} networks (filled). Line: limit "
        "of infinite width by free probability. Stems: point masses, in per cent of all singular "
        "values, beside the measured share; more than half are zero where n is finite, because the "
        "layer of fewest active units bounds the rank. Dashed: upper edge; triangle: mean of the "
        "largest."
    )
    figure = style.page(results, 3.9, note=note)
    axes = figure.subplots(2, 2)
    for k, (case, *_) in enumerate(CASES):
        panel = axes.flat[k]
        _panel(panel, {n: results.arrays[f"{n}_{k}"] for n in ARRAYS})
        style.letter(panel, case)
        style.doubt(panel, results.doubted(case))
    for panel in axes[1]:
        panel.set_xlabel("singular value of J")
    for panel in axes[:, 0]:
        panel.set_ylabel("density")
    return figure


ARRAYS = ("edges", "histogram", "grid", "density", "atoms", "largest")


def _panel(panel: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    fill, line = style.SERIES[1]["color"], style.SERIES[2]["color"]
    edges, histogram = arrays["edges"], arrays["histogram"]
    step = edges[1] - edges[0]
    continuous = len(arrays["atoms"]) == 0 or arrays["density"].any()
    panel.stairs(histogram, edges, fill=True, color=fill, alpha=0.35)
    heights = arrays["density"]
    if continuous:
        panel.plot(arrays["grid"], heights, color=line, linewidth=1.4)
        panel.axvline(arrays["largest"][0], color=style.INK, linestyle=(0, (3, 2)), linewidth=0.7)
        panel.plot(arrays["largest"][1], 0, marker="^", color=fill, clip_on=False, markersize=5)
    tail = heights[arrays["grid"] > 4 * step]
    inner = histogram[1:] if continuous else histogram
    top = 1.25 * max(float(np.max(tail, initial=0.0)), float(np.max(inner)))
    panel.set(xlim=(-0.02 * edges[-1], edges[-1]), ylim=(0, top))
    for place, mass, measured in arrays["atoms"].reshape(-1, 3):
        panel.plot([place, place], [0, 0.9 * top], color=line, linewidth=2.2, solid_capstyle="butt")
        text = f"at {place:g}: {100 * mass:.0f} % (measured {100 * measured:.0f} %)"
        side, toward = ("left", 0.08) if place < edges[-1] / 2 else ("right", -0.03)
        panel.text(place + toward * edges[-1], 0.88 * top, text, fontsize=style.SMALL, va="top",
                   ha=side)  # fmt: skip
