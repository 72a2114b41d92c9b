"""Back-propagated gradient histograms by layer under standard and normalised initialization.

After Glorot and Bengio (2010), figure 7. Claim: the root second moment of the gradient at each
layer's pre-activations is the predicted one, step by step and over the whole depth, by `compare`.
Gradients are those of u.y for output cotangents u of random signs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import varprop as vp
from figures import glorot, style
from figures.results import Claim, Results, claim_of, describe, provenance, streams
from varprop.comparison import compare
from varprop.montecarlo.devices import find_device

LAYERS = range(1, glorot.DEPTH + 1)


def parameters(full: bool) -> dict[str, Any]:
    """More networks than for activations: gradients start from ten outputs, and are skew."""
    return {**glorot.parameters(full), "draws": 2048}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Judge many networks at a few digits; draw one network at many."""
    x = glorot.digits(parameters["points"])
    some = x[: parameters["judged_points"]]
    edges, histograms, predicted, measured = [], [], [], []
    claims, networks, samples = [], {}, []
    seeds = iter(streams(seed, 2 * len(glorot.INITS)))
    for init in glorot.INITS:
        net = glorot.network(init, parameters["width"], x.shape[1])
        theory = vp.predict(net, some)
        sample = vp.simulate(
            net, some, draws=parameters["draws"], seed=next(seeds), device=device, engine="explicit"
        )
        claims.append(_claim(theory, sample, parameters["margin"], init))
        each = glorot.by_point(net, x)
        squares = [each.value(f"dense_{i}", "grad_second_moment").mean() for i in LAYERS]
        predicted.append(np.sqrt(squares))
        _, gradients = glorot.one_network(net, x, next(seeds), find_device(device))
        found = [gradients[f"dense_{i}"] for i in LAYERS]
        measured.append([np.sqrt(np.mean(g**2)) for g in found])
        reach = 3.5 * float(predicted[-1].max())
        edges.append(np.linspace(-reach, reach, 2 * parameters["bins"] + 1))
        histograms.append([glorot.density(g, edges[-1]) for g in found])
        about = {"weights": glorot.weights(init), "width": parameters["width"]}
        networks[init] = describe(net, activation="tanh", **about, draws=sample.draws)
        samples.append(sample)
    arrays = {
        "edges": np.array(edges),
        "histograms": np.array(histograms),
        "predicted": np.array(predicted),
        "measured": np.array(measured),
    }
    data = glorot.data(parameters["points"])
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks, data))


def _claim(theory: vp.Prediction, sample: vp.Sample, margin: float, init: str) -> Claim:
    """The rows of the comparison that speak of the gradient of one input."""
    report = compare(theory, sample, margin=margin, scope="depth")
    rows = [r for r in report.rows() if r.quantity == "grad_second_moment"]
    statement = (
        "the second moment of the gradient is the predicted one at each layer, step by step (by "
        f"tangents) and over the whole depth, within {100 * margin:.0f} %"
    )
    return claim_of(rows, statement, sample.draws, init)


def draw(results: Results) -> Figure:
    """A histogram per layer and initialization, with the predicted root second moment marked."""
    about, arrays = results.about["parameters"], results.arrays
    note = (
        "Gradients at the pre-activations of one drawn network, "
        f"{about['width']} tanh units a layer, at {about['points']} standardised digits (filled). "
        "Dashed: ± the predicted root second moment; its numbers are given at the top. "
        "After Glorot and Bengio (2010), figure 7."
    )
    figure = style.page(results, 2.9, note=note)
    axes = figure.subplots(2, glorot.DEPTH, sharex="row", sharey="row")
    fill, mark = style.SERIES[1]["color"], style.SERIES[2]["color"]
    for row, init in enumerate(glorot.INITS):
        edges = arrays["edges"][row]
        for column in range(glorot.DEPTH):
            panel, sigma = axes[row, column], arrays["predicted"][row, column]
            panel.stairs(arrays["histograms"][row, column], edges, fill=True, color=fill, alpha=0.4)
            for place in (-sigma, sigma):
                panel.axvline(place, ymax=0.78, color=mark, linestyle=(0, (3, 1.5)), linewidth=1.1)
            measured = arrays["measured"][row, column]
            numbers = f"predicted {sigma:#.3g}\nmeasured {measured:#.3g}"
            panel.text(
                0.98, 0.98, numbers, transform=panel.transAxes, ha="right", va="top",
                fontsize=style.SMALL,
            )  # fmt: skip
            style.doubt(panel, results.doubted(init), (0.5, 0.15))
            if row == 0:
                panel.set_title(f"layer {column + 1}", pad=3)
        top = arrays["histograms"][row].max()
        axes[row, 0].set(yscale="log", ylim=(top * 1e-4, top * 60), xlim=(edges[0], edges[-1]))
        axes[row, 0].set_ylabel(f"{init}\ndensity")
    axes[1, glorot.DEPTH // 2].set_xlabel("back-propagated gradient")
    return figure
