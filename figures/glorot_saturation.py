"""Activations of deep sigmoid, tanh and softsign networks while they train, layer by layer.

After Glorot and Bengio (2010), figures 2 and 3: weights start as U(±1/√n). Left, mean and standard
deviation of sigmoid activations by hidden layer: the last layer is driven to 0, and may leave it
again. Right, the 98th percentile for tanh and softsign: tanh saturates layer after layer, softsign
less, and all layers together. Claims: what the paper states, as differences over seeds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from figures import glorot, style
from figures.assertions import ERROR_RATE
from figures.glorot_saturation_report import DEEP, NEAR, SHALLOW, SOFTSIGN, TANH, claims, page
from figures.results import Results, provenance, streams
from figures.training import (
    Dense,
    Experiment,
    Layer,
    Network,
    Phi,
    Run,
    Snapshot,
    Trained,
    load,
    train,
)  # fmt: skip
from figures.training.paired import mean_band

NETS = {SHALLOW: ("sigmoid", 4), DEEP: ("sigmoid", 5), TANH: ("tanh", 5), SOFTSIGN: ("softsign", 5)}
PERCENTILE = 0.98
# From the first layer to the last, dark to light, with a mark each.
LOOKS = tuple(
    {"color": color, "marker": marker}
    for color, marker in zip(
        ("#222222", "#0072B2", "#009E73", "#D08A00", "#CC79A7"), "osv^D", strict=True
    )
)
GREY: dict[str, Any] = {"color": "#888888", "linestyle": (0, (4, 1.5))}


def parameters(full: bool, data: str = "digits") -> dict[str, Any]:
    """Narrow networks and few seeds, or wider ones and more. Raises ValueError for the data."""
    return {
        "data": data,
        "digest": load(data).digest,
        "width": 100 if full else 64,
        "batch": 32,
        "rates": {"sigmoid": 2.0, "tanh": 0.1, "softsign": 0.1},
        "epochs": dict.fromkeys(("tanh", "softsign"), 80 if full else 40)
        | {"sigmoid": 160 if full else 80},
        "seeds": 12 if full else 8,
    }


def layers(phi: str, depth: int, width: int, classes: int) -> tuple[Layer, ...]:
    """`depth` hidden layers and a readout."""
    return (*(Dense(width), Phi(phi)) * depth, Dense(classes))


def watch(snapshot: Snapshot) -> dict[str, Tensor]:
    """(R, layers) moments of all activations of each hidden layer, over units and images."""
    hidden = [x for name, x in snapshot.values.items() if name.startswith("phi")]
    found = torch.stack([x.transpose(0, 1).flatten(1) for x in hidden], 1)
    high = torch.quantile(found, PERCENTILE, -1)
    return {"mean": found.mean(-1), "std": found.std(-1), "high": high}


def compute(
    parameters: Mapping[str, Any], seed: int, device: str, states: Path | None = None
) -> Results:
    """Train 4 networks x seeds; `states` keeps killed trainings."""
    data = load(parameters["data"])
    words = streams(seed, parameters["seeds"])
    arrays, networks = {}, {}
    for net, (phi, depth) in NETS.items():
        made = layers(phi, depth, parameters["width"], data.classes)
        law, rate = glorot.weights("standard"), parameters["rates"][phi]
        runs = tuple(Run(net, law, word, rate) for word in words)
        asked = Experiment(made, runs, parameters["epochs"][phi], parameters["batch"], watch=watch)
        history = train(asked, data, device=device, states=states)
        # (seed, layer, 1 + epochs)
        arrays |= {f"{net}/{k}": v.transpose(0, 2, 1) for k, v in history.watched.items()}
        arrays[f"{net}/accuracy"] = history.validation_accuracy[:, -1]
        networks[net] = {
            "width": parameters["width"],
            "parameters": Network(made, data.shape).parameter_count,
            "weights": str(law),
            "draws": parameters["seeds"],
        }
    about = provenance(parameters, seed, [Trained(device)], networks)
    about["data"] = {"name": data.name, "note": data.note, "sha256": data.digest}
    return Results(arrays, claims(arrays), about)


def report(results: Results) -> str:
    """The page beside the figure."""
    return page(results)


def draw(results: Results) -> Figure:
    """Means and standard deviations of sigmoid layers; percentiles of tanh and softsign layers."""
    about, arrays = results.about["parameters"], results.arrays
    rates, epochs = about["rates"], about["epochs"]
    accuracy = ", ".join(f"{arrays[f'{net}/accuracy'].mean():.2f} ({net})" for net in NETS)
    note = (
        f"Data: {results.about['data']['note']}. Activations of the hidden layers (1 is next to "
        f"the input) at {about['batch']} validation images, over all units, during training; "
        f"{about['width']} units a layer, weights U(±1/√n), zero biases, softmax. SGD, batch "
        f"{about['batch']}, rate {rates['sigmoid']:g} (sigmoid) and {rates['tanh']:g} (tanh, "
        f"softsign), {about['seeds']} seeds. Left: means (lines) and standard deviations within a "
        "network (bars) of four sigmoid layers; grey: the last of five. Middle and right: 98th "
        "percentiles (marks) and standard deviations (thin). Shaded: 95 % for means over seeds, "
        f"simultaneous over the epochs. Validation accuracy at the end: {accuracy}. Claims: paired "
        f"t tests over seeds, Holm's adjustment, error rate {ERROR_RATE:g} for all together. After "
        "Glorot and Bengio (2010), figures 2 and 3; all their statements: the report beside this "
        "figure."
    )
    figure = style.page(results, 2.6, note=note)
    panels = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    _sigmoid(panels[0], arrays)
    for axes, net in zip(panels[1:], (TANH, SOFTSIGN), strict=True):
        _percentiles(axes, arrays[f"{net}/high"], arrays[f"{net}/std"])
    for axes, net in zip(panels, (SHALLOW, TANH, SOFTSIGN), strict=True):
        style.letter(axes, net)
        style.doubt(axes, results.doubted(net), (0.5, 0.6))
        _epochs(axes, epochs[NETS[net][0]])
    panels[0].set_ylabel("activation")
    panels[0].legend(loc="upper left", ncol=2, fontsize=style.SMALL)
    panels[1].legend(loc="lower right", fontsize=style.SMALL, title_fontsize=style.SMALL)
    return figure


def _sigmoid(axes: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    mean, spread = arrays[f"{SHALLOW}/mean"], arrays[f"{SHALLOW}/std"].mean(0)
    axes.axhline(NEAR, color=style.PALE, linestyle=":", linewidth=0.8)
    for k, look in enumerate(LOOKS[: mean.shape[1]]):
        at = _shown(mean.shape[-1] - 1)
        _line(axes, mean[:, k], look, f"layer {k + 1}")
        where = at[1:] * 1.06 ** (k - 1.5)  # apart from the bars of other layers
        axes.errorbar(
            where, mean[:, k].mean(0)[at[1:]], spread[k, at[1:]], color=look["color"],
            linestyle="none", elinewidth=0.5, capsize=1,
        )  # fmt: skip
    _line(axes, arrays[f"{DEEP}/mean"][:, -1], GREY, "last of five")
    axes.set_ylim(0, 1.25)
    axes.set_yticks(np.linspace(0, 1, 6))


def _percentiles(axes: Axes, high: np.ndarray, spread: np.ndarray) -> None:
    for k, look in enumerate(LOOKS):
        _line(axes, high[:, k], look, f"layer {k + 1}")
        axes.plot(spread[:, k].mean(0), color=look["color"], linewidth=0.5, linestyle=(0, (3, 1)))
    axes.set_ylim(0, 1.02)


def _line(axes: Axes, runs: np.ndarray, look: Mapping[str, Any], label: str) -> None:
    """The mean of runs (seed, 1 + epochs) and its band."""
    mean, low, high = mean_band(runs)
    epochs = np.arange(len(mean))
    own: dict[str, Any] = {"markersize": 2.8, **look, "markevery": list(_shown(len(mean) - 1))}
    axes.plot(epochs, mean, label=label, **own)
    axes.fill_between(epochs, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _epochs(axes: Axes, last: int) -> None:
    """An axis on which the first epochs are wide."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.6)
    axes.set_xticks(_shown(last), list(map(str, _shown(last))))
    axes.set_xticks([], minor=True)
    axes.set(xlim=(-0.15, last * 1.3), xlabel="epoch")


def _shown(last: int) -> np.ndarray:
    """0, and powers of two times the last epoch."""
    halves = last / 2.0 ** np.arange(int(np.log2(last)) + 1)
    return np.unique([0, *np.round(halves).astype(int)])
