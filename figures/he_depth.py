"""ReLU networks of 22 and 30 layers with weights, started by He's and by Glorot's initialization.

After figures 2 and 3 of He et al. (2015), with dense layers: with 22 layers both learn, He's
earlier; with 30 Glorot's stalls. Claims: so it is here, in the training loss over seeds. Not for
ever: Glorot's nets leave their plateau after a time that grows with the depth and differs by
multiples from draw to draw, since the logarithm of a squared gradient has a variance of about
5 depth / width. So a stall is judged by the mean loss over all epochs, which one early run moves
little, and not by the last or the lowest.
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

DEPTHS = (22, 30)
SERIES = {"He": "he_normal", "Xavier": "xavier_normal"}
LEARNS = 1.0  # nats below the loss of chance, ln(classes)
STALLS = 0.1  # nats below the loss of chance: a net that has not won them has not started


def parameters(full: bool, data: str = "digits") -> dict[str, Any]:
    """Narrow networks and few seeds, or wider ones and more. Raises ValueError for the data."""
    return {
        "data": data,
        "digest": load(data).digest,
        "width": 64 if full else 48,
        "batch": 64,
        "rate": 0.005 if full else 0.007,
        "momentum": 0.9,
        "epochs": 30 if full else 22,
        "seeds": 16 if full else 14,
    }


def layers(depth: int, width: int, classes: int) -> tuple[Layer, ...]:
    """`depth` layers with weights, ReLU between them."""
    hidden = (Dense(width), Phi("relu")) * (depth - 1)
    return (*hidden, Dense(classes))


def compute(
    parameters: Mapping[str, Any], seed: int, device: str, states: Path | None = None
) -> Results:
    """Train 2 depths x 2 initializations x seeds; `states` keeps killed trainings."""
    data = load(parameters["data"])
    runs = tuple(
        Run(series, vp.init.get(name), word, parameters["rate"])
        for series, name in SERIES.items()
        for word in streams(seed, parameters["seeds"])
    )
    losses, accuracies, networks = [], [], {}
    for depth in DEPTHS:
        made = layers(depth, parameters["width"], data.classes)
        how = (parameters["epochs"], parameters["batch"], parameters["momentum"])
        history = train(Experiment(made, runs, *how), data, device=device, states=states)
        losses.append([history.of(series).train_loss for series in SERIES])
        accuracies.append([history.of(series).fitted_accuracy[:, 0] for series in SERIES])
        networks[f"{depth} layers"] = {
            "width": parameters["width"],
            "parameters": Network(made, data.shape).parameter_count,
            "weights": ", ".join(SERIES.values()),
            "draws": parameters["seeds"],
        }
    arrays = {
        "train_loss": np.array(losses),  # (depth, series, seed, epoch)
        "fitted_accuracy": np.array(accuracies),
        "chance": np.array(np.log(data.classes)),
    }
    about = provenance(parameters, seed, [Trained(device)], networks)
    about["data"] = {"name": data.name, "note": data.note, "sha256": data.digest}
    return Results(arrays, judged(_assertions(arrays)), about)


def _assertions(arrays: Mapping[str, np.ndarray]) -> dict[str, Assertion]:
    """Losses above chance, or not finite, count as chance: such a net has learned nothing."""
    chance = float(arrays["chance"])
    loss = _bounded(arrays)
    won = {d: dict(zip(SERIES, w, strict=True)) for d, w in zip(DEPTHS, _won(arrays), strict=True)}
    shallow, deep = DEPTHS
    he, xavier = loss[0].mean(-1)
    return {
        "He learns": Assertion(
            f"with {shallow} and {deep} layers the loss of He's nets falls below that of chance, "
            f"ln(classes), by more than {LEARNS:g}",
            "all",
            {f"{d} layers, fallen by": won[d]["He"] for d in DEPTHS},
            LEARNS,
        ),
        "earlier": Assertion(
            f"with {shallow} layers He's nets learn earlier: their loss, averaged over the epochs, "
            "is below that of Xavier's",
            str(shallow),
            {"Xavier's loss less He's": xavier - he},
        ),
        "Xavier learns": Assertion(
            f"with {shallow} layers Xavier's nets learn too: their loss falls below that of chance "
            f"by more than {STALLS:g}",
            str(shallow),
            {"fallen by": won[shallow]["Xavier"]},
            STALLS,
        ),
        "stalls": Assertion(
            f"with {deep} layers Xavier's nets stall: their loss, averaged over the epochs, is "
            f"less than {STALLS:g} below that of chance",
            str(deep),
            {"Xavier's loss less that of chance": loss[1, 1].mean(-1) - chance},
            -STALLS,
            lambda loss: f"{loss:.3f}".replace("-", "−"),
        ),
    }


def _bounded(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Losses (depth, series, seed, epoch), chance at most."""
    chance = float(arrays["chance"])
    return np.minimum(np.nan_to_num(arrays["train_loss"], nan=chance, posinf=chance), chance)


def _won(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The loss of chance less the lowest of each run, (depth, series, seed)."""
    return float(arrays["chance"]) - _bounded(arrays).min(-1)


def draw(results: Results) -> Figure:
    """Loss against epoch: each run, their mean and its band."""
    about, arrays = results.about["parameters"], results.arrays
    left = int((_won(arrays)[1, 1] > STALLS).sum())
    note = (
        f"Data: {results.about['data']['note']}. Dense ReLU networks of width {about['width']} "
        "with 22 and 30 layers that have weights, zero biases, softmax. SGD with momentum "
        f"{about['momentum']:g}, rate {about['rate']:g}, batch {about['batch']}, {about['epochs']} "
        f"epochs, {about['seeds']} seeds; runs of one seed share weights' stream and order of the "
        "data. Thin lines: runs; thick: means, with 95 % bands simultaneous over the epochs. "
        "Xavier halves the second moment at every layer, forward and backward. A stall may "
        f"end: within these epochs {left} of Xavier's {about['seeds']} nets with {DEPTHS[1]} "
        f"layers get more than {STALLS:g} below chance. Claims: paired t tests over "
        f"seeds, Holm's adjustment, error rate {ERROR_RATE:g} for all together. After "
        "He et al. (2015), figures 2 and 3, who train convolutional nets on ImageNet."
    )
    figure = style.page(results, 2.5, note=note)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, depth, losses in zip(panels, DEPTHS, arrays["train_loss"], strict=True):
        _curves(axes, losses, float(arrays["chance"]))
        style.letter(axes, f"{depth} layers with weights")
        style.doubt(axes, results.doubted(str(depth)) or results.doubted("all"))
        axes.set_xlabel("epoch")
    panels[0].set_ylabel("training loss (nats)")
    panels[0].legend(loc="lower left")
    return figure


def _curves(axes: Axes, losses: np.ndarray, chance: float) -> None:
    """Of one depth: (series, seed, epoch)."""
    epochs = np.arange(1, losses.shape[-1] + 1)
    axes.axhline(chance, color=style.PALE, linestyle=":", linewidth=0.8)
    axes.annotate("chance", (epochs[-1], chance), (0, 3), textcoords="offset points",
                  ha="right", fontsize=style.SMALL)  # fmt: skip
    for series, runs, look in zip(SERIES, losses, style.SERIES[1:], strict=False):
        axes.plot(epochs, runs.T, color=look["color"], linewidth=0.4, alpha=0.5)
        mean, low, high = mean_band(runs)
        own: dict[str, Any] = {**look, "markevery": 4}
        axes.plot(epochs, mean, label=series, **own)
        axes.fill_between(epochs, low, high, color=look["color"], alpha=0.15, linewidth=0)
    axes.set_ylim(-0.05, 1.1 * chance)
