"""Which deep networks train: tanh by depth and weight variance, ReLU by depth and scale.

Left: accuracy of tanh nets on the training images after a few epochs, and the depth 6 xi_c beyond
which signals of two inputs can no longer be told apart (Schoenholz et al., 2017, who find this
frontier by eye). Right: ReLU nets whose weights have the std 1/sqrt(n), sqrt(2/n) and 2/sqrt(n).
Claims: nets within the frontier train better than nets of one depth beyond it, on both sides;
accuracy follows log xi_c; of the three scales only sqrt(2/n) trains deep ReLU nets.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import varprop as vp
from figures import style
from figures.assertions import ERROR_RATE, Assertion, judged
from figures.results import Results, provenance, streams
from figures.training import Dense, Experiment, Layer, Network, Phi, Run, Trained, load, train
from figures.training.paired import mean_band

BIAS = 0.05  # Var(b) of the tanh nets
SCALES = {"1/√n": 1, "√(2/n)": 2, "2/√n": 4}  # n Var(w) of the ReLU nets
FRONTIER = 6  # depth scales, as Schoenholz et al. draw it
AHEAD, FOLLOWS = 0.1, 0.5  # accuracy and correlation that the claims ask for
MAP, LINES = "tanh", "ReLU"


def parameters(full: bool, data: str = "digits") -> dict[str, Any]:
    """The depths, the weight variances and the training. Raises ValueError for the data."""
    sizes = {
        "data": data,
        "digest": load(data).digest,
        "width": 48,
        "depths": [8, 16, 32, 48],
        "variances": [1.0, 1.2, 1.5, 1.8, 2.5, 3.5, 4.2],
        "batch": 64,
        "rates": {MAP: 0.01, LINES: 0.03},
        "epochs": 5,
        "seeds": {MAP: 7, LINES: 12},
    }
    if full:
        variances = [1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.3, 2.6, 3.0, 3.5, 4.2]
        deep = {"width": 80, "depths": [10, 20, 35, 50, 75], "variances": variances}
        return sizes | deep | {"epochs": 6}
    return sizes


def layers(phi: str, depth: int, width: int, classes: int) -> tuple[Layer, ...]:
    """`depth` hidden layers and a readout."""
    return (*(Dense(width), Phi(phi)) * depth, Dense(classes))


def law(variance: float) -> vp.Initializer:
    """Normal weights with fan_in Var(w) = `variance`."""
    return vp.init.variance_scaling(variance, "fan_in", "normal")


def frontier(variances: np.ndarray) -> np.ndarray:
    """The depth 6 xi_c of tanh at each weight variance."""
    fields = (vp.mean_field("tanh", weight_variance=v, bias_variance=BIAS) for v in variances)
    return np.array([FRONTIER * field.depth_scale_c for field in fields])


def compute(
    parameters: Mapping[str, Any], seed: int, device: str, states: Path | None = None
) -> Results:
    """For each depth, train all variances, scales and seeds; `states` keeps killed trainings."""
    data = load(parameters["data"])
    bias = vp.init.normal(variance=BIAS)
    own = {f"{v:g}/n": (law(v), bias) for v in parameters["variances"]}
    scaled = {f"{v}/n": (law(v), vp.init.zeros()) for v in SCALES.values()}
    found, networks = {MAP: [], LINES: []}, {}
    for depth in parameters["depths"]:
        for panel, laws in ((MAP, own), (LINES, scaled)):
            made = layers(panel.lower(), depth, parameters["width"], data.classes)
            rate, words = parameters["rates"][panel], streams(seed, parameters["seeds"][panel])
            runs = tuple(Run(n, w, s, rate, b) for n, (w, b) in laws.items() for s in words)
            experiment = Experiment(made, runs, parameters["epochs"], parameters["batch"])
            history = train(experiment, data, device=device, states=states)
            fitted = np.nan_to_num(history.fitted_accuracy[:, 0], nan=1 / data.classes)
            found[panel].append(fitted.reshape(len(laws), len(words)))
            networks[f"{panel}, {depth} hidden layers"] = {
                "width": parameters["width"],
                "parameters": Network(made, data.shape).parameter_count,
                "weights": "variances " + ", ".join(laws),
                "draws": len(words),
            }
    variances = np.array(parameters["variances"])
    fine = np.linspace(variances[0], variances[-1], 200)
    arrays = {
        "tanh": np.array(found[MAP]),  # (depth, variance, seed)
        "relu": np.array(found[LINES]),  # (depth, scale, seed)
        "frontier": frontier(variances),
        "fine": np.array([fine, frontier(fine)]),
        "critical": np.array(float(vp.critical_line("tanh", BIAS))),
        "chance": np.array(1 / data.classes),
    }
    about = provenance(parameters, seed, [Trained(device)], networks)
    about["data"] = {"name": data.name, "note": data.note, "sha256": data.digest}
    return Results(arrays, judged(_assertions(arrays, parameters)), about)


def _assertions(
    arrays: Mapping[str, np.ndarray], parameters: Mapping[str, Any]
) -> dict[str, Assertion]:
    depths, deepest = parameters["depths"], parameters["depths"][-1]
    by_depth = dict(zip(depths, arrays["tanh"], strict=True))
    reach = np.log(arrays["frontier"])
    found = [np.corrcoef(run, reach)[0, 1] for run in by_depth[deepest].T]
    scaled = depths[1]  # E x^2 is 2^depth or 2^-depth of that with sqrt(2/n)
    scales = dict(zip(SCALES, arrays["relu"][1], strict=True))
    best = scales["√(2/n)"]
    return {
        "frontier": Assertion(
            f"of tanh nets of one depth, those within {FRONTIER} ξ_c are more accurate than those "
            f"beyond it by {100 * AHEAD:.0f} points or more, on the side of order and of chaos",
            MAP,
            _ahead(by_depth, arrays["frontier"], parameters["variances"], arrays["critical"]),
            AHEAD,
        ),
        "follows": Assertion(
            f"over the weight variances the accuracy of tanh nets with {deepest} layers follows "
            f"log ξ_c, with a correlation above {FOLLOWS:g}",
            MAP,
            {"correlation": np.array(found)},
            FOLLOWS,
        ),
        "scale": Assertion(
            f"ReLU nets with {scaled} layers are more accurate with √(2/n) than with 1/√n and "
            f"with 2/√n, by {100 * AHEAD:.0f} points or more",
            LINES,
            {
                f"ahead of {name}": best - scales[name]
                for name in SCALES
                if scales[name] is not best
            },
            AHEAD,
        ),
    }


def _ahead(
    by_depth: Mapping[int, np.ndarray], reach: np.ndarray, variances: Any, critical: Any
) -> dict[str, np.ndarray]:
    """Mean accuracy within the frontier less that beyond it, (seed,), by depth and phase."""
    ahead = {}
    for depth, found in by_depth.items():
        within = found[reach > depth]
        for phase, here in (
            ("order", np.less(variances, critical)),
            ("chaos", np.greater(variances, critical)),
        ):
            beyond = found[here & (reach <= depth)]
            if len(beyond) and len(within):
                ahead[f"{depth} layers, {phase}"] = within.mean(0) - beyond.mean(0)
    return ahead


def draw(results: Results) -> Figure:
    """The heat map under its frontier, and accuracy against depth."""
    about = results.about["parameters"]
    rates, seeds = about["rates"], about["seeds"]
    note = (
        f"Data: {results.about['data']['note']}. Accuracy on the training images after "
        f"{about['epochs']} epochs of SGD, batch {about['batch']}, rate {rates[MAP]:g} (tanh) and "
        f"{rates[LINES]:g} (ReLU); nets of "
        f"width {about['width']}, {seeds[MAP]} and {seeds[LINES]} seeds. Left: tanh, "
        "σ_w² = n Var(w), so that "
        f"σ_w² = 1 is the std 1/√n and σ_w² = 4 is 2/√n, Var(b) = {BIAS}, means over seeds; line: "
        f"{FRONTIER} ξ_c of the mean field, infinite at the critical variance. Right: ReLU, biases "
        "that start at zero; bars: 95 %, simultaneous over the depths; a net that diverges counts "
        "as chance. Claims: paired t tests over seeds, Holm's adjustment, error rate "
        f"{ERROR_RATE:g} for all together."
    )
    figure = style.page(results, 2.9, note=note)
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    _map(left, results, about)
    _lines(right, results.arrays, about["depths"])
    style.letter(left, "tanh: accuracy and the frontier")
    style.letter(right, "ReLU: three scales of the weights")
    for axes, panel in ((left, MAP), (right, LINES)):
        style.doubt(axes, results.doubted(panel))
    return figure


def _map(axes: Axes, results: Results, about: Mapping[str, Any]) -> None:
    variances, depths = np.array(about["variances"]), about["depths"]
    accuracy = results.arrays["tanh"].mean(-1)
    shown = axes.pcolormesh(
        _edges(variances),
        np.arange(len(depths) + 1) - 0.5,
        accuracy,
        cmap="cividis",
        vmin=0,
        vmax=1,
    )
    fine, reach = results.arrays["fine"]
    places = np.interp(reach, depths, np.arange(len(depths)), left=np.nan, right=np.nan)
    color = style.ALARM if results.doubted(MAP) else style.INK
    axes.plot(fine, places, color="white", linewidth=2.4)
    axes.plot(fine, places, color=color, label=style.typeset(f"{FRONTIER} ξ_c"))
    axes.set_yticks(range(len(depths)), list(map(str, depths)))
    axes.set(xlabel=style.typeset("σ_w²"), ylabel="hidden layers")
    axes.legend(loc="lower right")
    bar = axes.figure.colorbar(shown, ax=axes, pad=0.02, fraction=0.05)
    bar.set_label("training accuracy")
    bar.outline.set_linewidth(0.6)


def _edges(values: np.ndarray) -> np.ndarray:
    """Of cells about these values."""
    inner = (values[1:] + values[:-1]) / 2
    return np.array([2 * values[0] - inner[0], *inner, 2 * values[-1] - inner[-1]])


def _lines(axes: Axes, arrays: Mapping[str, np.ndarray], depths: list[int]) -> None:
    for k, (name, look) in enumerate(zip(SCALES, style.SERIES, strict=False)):
        mean, low, high = mean_band(arrays["relu"][:, k].T)
        own: dict[str, Any] = {**look, "elinewidth": 0.8}
        axes.errorbar(depths, mean, (mean - low, high - mean), label=name, **own)
    axes.axhline(float(arrays["chance"]), color=style.PALE, linestyle=":", linewidth=0.8)
    axes.set(xlabel="hidden layers", ylabel="training accuracy", ylim=(0, 1.05))
    axes.set_xticks(depths)
    axes.legend(loc="upper right", title="std of the weights")
