"""Six initializers of one convolutional network, with and without batch-norm, trained by SGD.

Claims: without batch-norm small random weights end far below He's, and He's validation accuracy is
above Glorot's in the first epochs; batch-norm takes away more than half of what initializers make.
The report beside the figure judges each published statement of the comparison it follows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import varprop as vp
from figures import style
from figures.initializers_report import NETWORKS, TITLES, measures, published
from figures.results import Claim, Results, percent, provenance, streams
from figures.training import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Experiment,
    History,
    Layer,
    MaxPool,
    Network,
    Phi,
    Run,
    Trained,
    load,
    train,
)
from figures.training.paired import Paired, decide, mean_band
from varprop.montecarlo.devices import find_device

INITIALIZERS = tuple(TITLES)
CURVES = ("validation_accuracy", "validation_loss", "train_accuracy")
KEPT = (*CURVES, "batch_accuracy", "fitted_accuracy", "diverged")
EARLY = 4  # epochs
BELOW = 0.5  # accuracy that small random weights lose against He's
ERROR_RATE = 0.01  # of all claims in the caption together
KEPT_BY_KERAS, PUBLISHED_STEPS = 0.99, 50_000 / 512  # of the running statistics; in an epoch
SHOWN = {
    "hidden": "Half the range without, less that with it:",
    "fails": "The smaller of the differences, uniform and normal:",
    "early": "The smaller of the differences, uniform and normal:",
}
LOOKS = {"glorot": ("#0072B2", "o"), "he": ("#E69F00", "s"), "random": ("#009E73", "^")}


def parameters(full: bool, data: str = "digits") -> dict[str, Any]:
    """The published thirty epochs, or eight of the same network; raises ValueError for the data."""
    images = load(data)
    small = images.name == "digits"
    batch = 64 if small else 512
    steps = len(images.train) // batch
    return {
        "data": data,
        "digest": images.digest,
        "channels": 8 if small else 32,
        "batch": batch,
        "momentum": 1 - KEPT_BY_KERAS ** (PUBLISHED_STEPS / steps),
        "rate": 0.05,
        "epochs": 30 if full else 8,
        "seeds": 10 if full and small else 5,
    }


def layers(channels: int, classes: int, norm: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Three stages of two convolutions, then two dense layers: eight layers with weights.

    norm  what stands between each of them and its ReLU
    """
    made: list[Layer] = []
    for stage in range(3):
        for _ in range(2):
            made += [Conv(channels * min(stage + 1, 2)), *norm, Phi("relu")]
        if stage < 2:
            made += [MaxPool(), Dropout(0.1)]
    return (*made, Dense(8 * channels), *norm, Phi("relu"), Dropout(0.2), Dense(classes))


def compute(
    parameters: Mapping[str, Any], seed: int, device: str, states: Path | None = None
) -> Results:
    """Train each initializer at each seed, without and with batch-norm; `states` as in `train`."""
    data = load(parameters["data"])
    runs = tuple(
        Run(name, vp.init.get(name), word, parameters["rate"])
        for name in INITIALIZERS
        for word in streams(seed, parameters["seeds"])
    )
    histories, networks = [], {}
    for network, norm in zip(NETWORKS, ((), (BatchNorm(parameters["momentum"]),)), strict=True):
        made = layers(parameters["channels"], data.classes, norm)
        experiment = Experiment(made, runs, parameters["epochs"], parameters["batch"])
        histories.append(train(experiment, data, device=device, states=states))
        networks[network] = {
            "layers": " ".join(map(str, made)),
            "parameters": Network(made, data.shape).parameter_count,
            "weights": ", ".join(INITIALIZERS),
            "draws": parameters["seeds"],
        }
    arrays = {name: _array(histories, name) for name in KEPT}
    about = provenance(parameters, seed, [Trained(str(find_device(device)))], networks)
    about["data"] = {"name": data.name, "note": data.note, "sha256": data.digest}
    return Results(arrays, _claims(arrays), about)


def _array(histories: list[History], name: str) -> np.ndarray:
    """(batch-norm, initializer, seed, ...)."""
    return np.array([[getattr(h.of(n), name) for n in INITIALIZERS] for h in histories])


def _claims(arrays: Mapping[str, np.ndarray]) -> tuple[Claim, ...]:
    """Judged together, by paired t tests with Holm's adjustment."""
    accuracy = dict(zip(INITIALIZERS, arrays["validation_accuracy"][0], strict=True))
    final = arrays["validation_accuracy"][..., -1]
    ranges = np.ptp(final, axis=1)  # (batch-norm, seed): over initializers
    claimed = {"fails": [], "early": [], "hidden": [Paired(ranges[0] / 2 - ranges[1])]}
    for law in ("uniform", "normal"):
        he = accuracy[f"he_{law}"]
        lost = he[:, -1] - accuracy[f"random_{law}"][:, -1]
        claimed["fails"].append(Paired(lost - BELOW))
        ahead = he - accuracy[f"glorot_{law}"]
        claimed["early"].append(Paired(ahead[:, 1 : 1 + EARLY].mean(1)))
    statements = {
        "fails": f"without batch-norm, Random's weights end {100 * BELOW:.0f} points of validation "
        "accuracy or more below He's",
        "early": f"without batch-norm, He's mean validation accuracy over epochs 1 to {EARLY} is "
        "above Glorot's",
        "hidden": "batch-norm takes away more than half of the range of final accuracy over the "
        "initializers",
    }
    told = []
    for kind, decision in decide(claimed, ERROR_RATE).items():
        weakest = max(claimed[kind], key=lambda pair: pair.p_above)
        shift = BELOW if kind == "fails" else 0.0
        low, high = (shift + end for end in weakest.interval())
        evidence = (
            f"{SHOWN[kind]} {percent(shift + weakest.mean)} [{percent(low)}, {percent(high)}], "
            f"{len(weakest.differences)} seeds, p = {min(decision[1:]):.1g}"
        )
        panel = NETWORKS[kind == "hidden"]
        share = ERROR_RATE / len(claimed)  # so that they add up to the figure's rate
        told.append(
            Claim(statements[kind], str(decision.verdict), evidence, panel, kind, error_rate=share)
        )
    return tuple(told)


def report(results: Results) -> str:
    """The page of tables that goes with the figure."""
    return published(results)


def draw(results: Results) -> Figure:
    """Curves above, four numbers of each run below."""
    figure = style.page(results, 6.1, note=_note(results))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.75, 1))
    curves = top.subplots(2, 2, sharex=True, sharey="row")
    for norm, title in enumerate(NETWORKS):
        for row, name in enumerate(CURVES[:2]):
            _curves(curves[row, norm], results.arrays[name][norm], 1.0 if row == 0 else np.inf)
        style.letter(curves[0, norm], title)
        style.doubt(curves[0, norm], results.doubted(title), (0.5, 0.4))
        curves[1, norm].set_xlabel("epoch")
    curves[0, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    curves[0, 0].set_ylabel("validation accuracy")
    curves[0, 0].set_ylim(-0.03, 1.03)
    curves[1, 0].set(ylabel="validation loss", ylim=(0, None))
    curves[0, 1].legend(loc="lower right")
    _numbers(bottom.subplots(1, 4, sharey=True), results.arrays)
    return figure


def _note(results: Results) -> str:
    about = results.about["parameters"]
    return (
        f"Data: {results.about['data']['note']}. Three stages of two 3 × 3 convolutions, max-pool "
        "and dropout between them, then two dense layers, ReLU, softmax; eight layers with "
        "weights, so that small weights lose the signal. Plain SGD, rate "
        f"{about['rate']:g}, batch {about['batch']}, {about['epochs']} epochs, {about['seeds']} "
        "seeds, which share weights' stream, order of the data and dropout over the initializers. "
        "Keras' initializers; Random is U(−0.05, 0.05) and N(0, 0.05²). Lines: means over seeds; "
        "bands: 95 %, simultaneous over the epochs of a curve. Below: each seed, open with "
        "batch-norm, whose running statistics forget in an epoch what Keras' default does in the "
        "published one. Claims: paired t tests over seeds, Holm's adjustment, error rate "
        f"{ERROR_RATE:g} for all together. Published statements: the report beside this figure."
    )


def _look(name: str) -> dict[str, Any]:
    family, _, law = name.partition("_")
    color, marker = LOOKS[family]
    return {
        "color": color,
        "marker": marker,
        "linestyle": "-" if law == "uniform" else (0, (3, 1.5)),
    }


def _curves(axes: Axes, values: np.ndarray, most: float) -> None:
    """Mean over seeds by epoch, (initializer, seed, 1 + epochs)."""
    epochs = np.arange(values.shape[-1])
    for name, runs in zip(INITIALIZERS, values, strict=True):
        look = _look(name)
        mean, low, high = mean_band(runs)
        if len(epochs) > 12:
            look["markevery"] = 5
        axes.plot(epochs, mean, label=TITLES[name], markersize=2.5, **look)
        low, high = np.maximum(low, 0.0), np.minimum(high, most)
        axes.fill_between(epochs, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _numbers(panels: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
    """Each run's numbers, one row for each initializer."""
    for axes, (title, values) in zip(panels, measures(arrays).items(), strict=True):
        for place, name in enumerate(INITIALIZERS):
            color, marker = LOOKS[name.partition("_")[0]]
            for norm, shift in enumerate((-0.16, 0.16)):
                found = values[norm, place]
                face = "white" if norm else color
                axes.plot(
                    found, np.full(len(found), place + shift), linestyle="none", color=color,
                    marker=marker, markerfacecolor=face, markeredgewidth=0.6, markersize=3,
                )  # fmt: skip
        axes.set_xlabel(title)
    panels[0].set_yticks(range(len(INITIALIZERS)), list(TITLES.values()))
    panels[0].invert_yaxis()
