"""Gradients by layer under standard and normalised initialization: back-propagated, of the weights.

After Glorot and Bengio (2010), figures 7 and 8. Claims: the root second moment of the gradient at
each layer's pre-activations is the predicted one, step by step and over the whole depth, by
`compare`; so is that of the gradient of each hidden layer's weights, by equivalence over networks,
and under standard initialization it is nearly the same in all of these layers.
Gradients are those of u.y for output cotangents u of random signs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import varprop as vp
from figures import bands, glorot, style
from figures.judging import Placed, all_within, mean_is
from figures.results import Claim, Results, claim_of, describe, provenance, streams
from varprop.comparison import compare
from varprop.montecarlo.devices import find_device

LAYERS = range(1, glorot.DEPTH + 1)
FALSE_PASS = 1e-3  # of each claim on gradients of weights, over its layers and points
KINDS = {"grad_second_moment": "back-propagated", "weight_grad_second_moment": "of weights"}


def parameters(full: bool) -> dict[str, Any]:
    """More networks than for activations: gradients start from ten outputs, and are skew."""
    return {**glorot.parameters(full), "draws": 2048}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Judge many networks at a few digits; draw one network at many."""
    x = glorot.digits(parameters["points"])
    some = x[: parameters["judged_points"]]
    edges, histograms, predicted, measured, lines, found_bands = [], [], [], [], [], []
    claims, networks, samples = [], {}, []
    seeds = iter(streams(seed, 2 * len(glorot.INITS)))
    for init in glorot.INITS:
        net = glorot.network(init, parameters["width"], x.shape[1])
        theory = vp.predict(net, some)
        sample = vp.simulate(
            net, some, draws=parameters["draws"], seed=next(seeds), device=device, engine="explicit"
        )
        claims.append(_claim(theory, sample, parameters["margin"], init))
        claims.append(_of_weights(theory, sample, parameters["margin"], init))
        if init == "standard":
            claims.append(_alike(theory, sample, parameters["margin"], init))
        averaged = [_averaged(theory, sample, kind) for kind in KINDS]
        lines.append([line for line, _ in averaged])
        found_bands.append(
            [bands.mean_bands(values, line, range(len(LAYERS)), 0.05) for line, values in averaged]
        )
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
        "lines": np.sqrt(lines),  # (init, kind, layer)
        "bands": np.sqrt(found_bands),  # (init, kind, 3, layer)
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


def _second_moments(
    source: vp.Prediction | vp.Sample, quantity: str = "weight_grad_second_moment"
) -> np.ndarray:
    """(layer, points) or (layer, draws, points)."""
    read = source.value if isinstance(source, vp.Prediction) else source.values
    return np.array([read(f"dense_{i}", quantity) for i in LAYERS])


def _averaged(
    theory: vp.Prediction, sample: vp.Sample, quantity: str
) -> tuple[np.ndarray, np.ndarray]:
    """Over the judged points: predicted (layer,) and found (draws, layer)."""
    return _second_moments(theory, quantity).mean(-1), _second_moments(sample, quantity).mean(-1).T


def _of_weights(theory: vp.Prediction, sample: vp.Sample, margin: float, init: str) -> Claim:
    relative = _second_moments(sample) / _second_moments(theory)[:, None]
    statement = (
        "the second moment of the gradient of the weights is the predicted one in each hidden "
        f"layer, within {100 * margin:.0f} % (error rate {FALSE_PASS:g})"
    )
    return all_within(_placed(relative, 1.0, margin), statement, f"{init} weights")


def _alike(theory: vp.Prediction, sample: vp.Sample, margin: float, init: str) -> Claim:
    """Differences from the last hidden layer, in units of the prediction there."""
    found = _second_moments(sample)
    apart = (found[:-1] - found[-1]) / _second_moments(theory)[-1]
    statement = (
        f"under {init} initialization it is the same in all hidden layers, within "
        f"{100 * margin:.0f} % (error rate {FALSE_PASS:g})"
    )
    return all_within(_placed(apart, 0.0, margin), statement, f"{init} weights")


def _placed(values: np.ndarray, mean: float, margin: float) -> list[Placed]:
    """Of values (layer, draws, points), each layer and point."""
    tests = values.shape[0] * values.shape[2]
    return [
        mean_is(one, mean, margin, 2 * FALSE_PASS / tests, tests)
        for layer in values
        for one in layer.T
    ]


def draw(results: Results) -> Figure:
    """Histograms of back-propagated gradients; root second moments of both gradients by layer."""
    about, arrays = results.about["parameters"], results.arrays
    note = (
        "Histograms: gradients at the pre-activations of one drawn network, "
        f"{about['width']} tanh units a layer, at {about['points']} standardised digits (filled). "
        "Dashed: ± the predicted root second moment; its numbers are given at the top. Below: root "
        "second moments of these gradients and of those of the weights, at "
        f"{about['judged_points']} digits, predicted (lines) and measured on {about['draws']} "
        "networks (marks, with 95 % intervals simultaneous over the layers, smaller than the "
        "marks). After Glorot and Bengio (2010), figures 7 and 8."
    )
    figure = style.page(results, 4.5, note=note)
    parts: Any = figure.subfigures(2, 1, height_ratios=(2.9, 1.6))
    top, bottom = parts
    axes = top.subplots(2, glorot.DEPTH, sharex="row", sharey="row")
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
        most = arrays["histograms"][row].max()
        axes[row, 0].set(yscale="log", ylim=(most * 1e-4, most * 60), xlim=(edges[0], edges[-1]))
        axes[row, 0].set_ylabel(f"{init}\ndensity")
    axes[1, glorot.DEPTH // 2].set_xlabel("back-propagated gradient")
    panels = bottom.subplots(1, 2, sharey=True)
    for panel, init, lines, band in zip(
        panels, glorot.INITS, arrays["lines"], arrays["bands"], strict=True
    ):
        _by_layer(panel, lines, band)
        style.letter(panel, init)
        style.doubt(panel, results.doubted(f"{init} weights"), (0.5, 0.15))
    panels[0].set_ylabel("root second moment")
    panels[0].legend(loc="upper left")
    return figure


def _by_layer(axes: Axes, lines: np.ndarray, band: np.ndarray) -> None:
    """Of one initialization: lines (kind, layer), band (kind, 3, layer)."""
    for name, line, found, look in zip(KINDS.values(), lines, band, style.SERIES[1:], strict=False):
        axes.plot(LAYERS, line, color=look["color"], linestyle=look["linestyle"], label=name)
        bands.points(axes, np.array(LAYERS), found, look["color"], look["marker"])
    axes.set(yscale="log", xlabel="hidden layer", xticks=LAYERS)
