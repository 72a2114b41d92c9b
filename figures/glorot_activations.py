"""Activation histograms by layer under standard and normalised initialization.

After Glorot and Bengio (2010), figure 6. Claims: each activation is tanh of a Gaussian whose second
moment is the predicted one: second moments step by step and over the whole depth by `compare`, the
shape by the fourth moment over networks. The curves are these laws, averaged over the inputs shown.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import varprop as vp
from figures import glorot, style
from figures.judging import all_within, mean_is
from figures.results import (
    Claim,
    Results,
    claim_of,
    describe,
    provenance,
    streams,
)
from varprop.comparison import compare
from varprop.montecarlo.devices import find_device

LAYERS = range(1, glorot.DEPTH + 1)
FALSE_PASS = 1e-3  # of the shape, over its layers and points
parameters = glorot.parameters


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Judge many networks at a few digits; draw one network at many."""
    x = glorot.digits(parameters["points"])
    some = x[: parameters["judged_points"]]
    edges = np.linspace(-1, 1, parameters["bins"] + 1)
    grid = np.linspace(-1, 1, 402)[1:-1]
    histograms, curves = [], []
    claims, networks, samples = [], {}, []
    seeds = iter(streams(seed, 2 * len(glorot.INITS)))
    for init in glorot.INITS:
        net = glorot.network(init, parameters["width"], x.shape[1], readout=False)
        theory = vp.predict(net, some)
        sample = vp.simulate(
            net, some, draws=parameters["draws"], seed=next(seeds), device=device, engine="explicit"
        )
        claims.append(_second_moments(theory, sample, parameters["margin"], init))
        claims.append(_shape(theory, sample, parameters["margin"], init))
        each = glorot.by_point(net, x)
        values, _ = glorot.one_network(net, x, next(seeds), find_device(device))
        histograms.append([glorot.density(values[f"tanh_{i}"], edges) for i in LAYERS])
        variances = [each.value(f"dense_{i}", "second_moment") for i in LAYERS]
        curves.append([tanh_density(grid, q).mean(0) for q in variances])
        about = {"weights": glorot.weights(init), "width": parameters["width"]}
        networks[init] = describe(net, activation="tanh", **about, draws=sample.draws)
        samples.append(sample)
    arrays = {
        "edges": edges,
        "grid": grid,
        "histograms": np.array(histograms),
        "curves": np.array(curves),
    }
    data = glorot.data(parameters["points"])
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks, data))


def tanh_density(a: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The density at a of tanh(z), z ~ N(0, q):  N(artanh a; 0, q) / (1 - a^2)."""
    return np.exp(-(np.arctanh(a) ** 2) / (2 * q)) / np.sqrt(2 * np.pi * q) / (1 - a**2)


def _second_moments(theory: vp.Prediction, sample: vp.Sample, margin: float, init: str) -> Claim:
    report = compare(theory, sample, margin=margin, scope="depth")
    rows = [r for r in report.rows() if not r.quantity.startswith("grad")]
    statement = (
        "second and cross moments of the layers are the predicted ones, step by step and over the "
        f"whole depth, within {100 * margin:.0f} %"
    )
    return claim_of(rows, statement, sample.draws, init)


def _shape(theory: vp.Prediction, sample: vp.Sample, margin: float, init: str) -> Claim:
    """E x^4 / (E x^2)^2 of each activation, by equivalence over networks."""
    phi = vp.activation("tanh")
    tests = len(LAYERS) * sample.points
    placed = []
    for layer in LAYERS:
        q = theory.value(f"dense_{layer}", "second_moment")
        expected = phi.fourth_moment(q) / phi.second_moment(q) ** 2
        found = sample.records[f"tanh_{layer}"].kurtosis / expected
        placed += [mean_is(one, 1.0, margin, 2 * FALSE_PASS / tests, tests) for one in found.T]
    statement = (
        "the activations have the shape of tanh of a Gaussian: E x⁴/(E x²)² is the predicted one "
        f"in each layer, within {100 * margin:.0f} % (error rate {FALSE_PASS:g})"
    )
    return all_within(placed, statement, init)


def draw(results: Results) -> Figure:
    """A histogram per layer and initialization, with the predicted density over it."""
    about, arrays = results.about["parameters"], results.arrays
    note = (
        f"Activations of one drawn network, {about['width']} tanh units a layer, at "
        f"{about['points']} standardised digits (filled), and the predicted density (line). "
        "After Glorot and Bengio (2010), figure 6."
    )
    figure = style.page(results, 2.9, note=note)
    axes = figure.subplots(2, glorot.DEPTH, sharex=True, sharey=True)
    fill = style.SERIES[1]["color"]
    for row, init in enumerate(glorot.INITS):
        for column in range(glorot.DEPTH):
            panel = axes[row, column]
            panel.stairs(
                arrays["histograms"][row, column], arrays["edges"], fill=True, color=fill, alpha=0.4
            )
            panel.plot(
                arrays["grid"], arrays["curves"][row, column], color=style.INK, linewidth=0.9
            )
            style.doubt(panel, results.doubted(init), (0.5, 0.15))
            if row == 0:
                panel.set_title(f"layer {column + 1}", pad=3)
        axes[row, 0].set_ylabel(f"{init}\ndensity")
    axes[0, 0].set(yscale="log", ylim=(2e-3, 20), xlim=(-1, 1), xticks=(-1, 0, 1))
    axes[1, glorot.DEPTH // 2].set_xlabel("activation")
    return figure
