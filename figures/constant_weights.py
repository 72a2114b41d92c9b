"""A small convolutional net whose parameters are all zero, all 0.0042, or PyTorch's own.

Equal channels get equal gradients, so a constant net stays a net of one channel a layer: its
filters, shared by all channels, and its weights of each place can learn, but all that reaches the
last layer is one number, in which the logits are affine. A zero ReLU net learns the last bias only.
Claims: so it is, step by step; the constant net is above chance and far below the default. Not for
ever in floating point: rounding parts equal channels, and training amplifies it, so the claims on
accuracy are of an epoch before that. The report beside the figure sets each published statement
against what is found.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

import varprop as vp
from figures import style
from figures.assertions import ERROR_RATE, Assertion, judged
from figures.constant_report import ACCURACY, PUBLISHED, page, share
from figures.results import Claim, Results, provenance, streams
from figures.symmetry import Optimizer, parted, parted_by_steps
from figures.training import (
    Conv,
    Dataset,
    Dense,
    Experiment,
    History,
    Layer,
    MaxPool,
    Network,
    Phi,
    Run,
    Snapshot,
    Trained,
    load,
    train,
)
from figures.training.paired import mean_band

CONSTANT = 0.0042
ZERO, EQUAL, DEFAULT = "all zero", f"all {CONSTANT:g}", "PyTorch's default"
ROUNDING = 1e-9  # Adam divides gradients by at least 1e-8, and so their rounding of 1e-16
FAR = 0.4  # accuracy that the constant net ends below the default
OPTIMIZERS: dict[str, Optimizer] = {
    "momentum": lambda held: torch.optim.SGD(held, lr=0.02, momentum=0.9),
    "Adam": lambda held: torch.optim.Adam(held, lr=0.002),
}
FLOOR = 1e-19  # where a zero is drawn


def laws() -> dict[str, tuple[vp.Initializer, vp.Initializer]]:
    """Of weights and biases."""
    default = vp.init.get("torch_default_weight"), vp.init.get("torch_default_bias")
    return {
        ZERO: (vp.init.zeros(), vp.init.zeros()),
        EQUAL: (vp.init.constant(CONSTANT), vp.init.constant(CONSTANT)),
        DEFAULT: default,
    }


def parameters(full: bool, data: str = "digits") -> dict[str, Any]:
    """Few epochs, or many. Raises ValueError for the data."""
    return {
        "data": data,
        "digest": load(data).digest,
        "channels": 8,
        "batch": 16,
        "rate": 0.02,
        "momentum": 0.9,
        "epochs": 20 if full else 14,
        "judged": 10,
        "seeds": 10 if full else 6,
        "steps": 400 if full else 60,
    }


def layers(channels: int, classes: int) -> tuple[Layer, ...]:
    """Two 5 x 5 convolutions with max-pool, one hidden dense layer."""
    first = (Conv(channels, 5), Phi("relu"), MaxPool())
    second = (Conv(2 * channels, 5), Phi("relu"), MaxPool())
    return (*first, *second, Dense(4 * channels), Phi("relu"), Dense(classes))


def watch(snapshot: Snapshot) -> dict[str, Tensor]:
    """How far neurons are apart, and the largest parameter but for the last bias."""
    *others, _ = snapshot.parameters.values()
    largest = torch.stack([held.flatten(1).abs().amax(1) for held in others]).amax(0)
    return {"parted": parted(snapshot.parameters), "largest": largest}


def compute(
    parameters: Mapping[str, Any], seed: int, device: str, states: Path | None = None
) -> Results:
    """Train 3 initializations x seeds, and step by step; `states` keeps killed trainings."""
    data = load(parameters["data"])
    made = layers(parameters["channels"], data.classes)
    words = streams(seed, parameters["seeds"])
    runs = tuple(
        Run(name, weights, word, parameters["rate"], bias)
        for name, (weights, bias) in laws().items()
        for word in words
    )
    how = (parameters["epochs"], parameters["batch"], parameters["momentum"], watch)
    history = train(Experiment(made, runs, *how), data, device=device, states=states)
    network = Network(made, data.shape)
    shares = np.bincount(data.test_labels.numpy()) / len(data.test_labels)
    arrays = {
        "accuracy": _each(history, "validation_accuracy"),  # (initialization, seed, 1 + epochs)
        "train_loss": _each(history, "train_loss"),
        "parted": np.array([history.of(name).watched["parted"] for name in laws()]),
        "largest": np.array([history.of(name).watched["largest"] for name in laws()]),
        "steps": _steps(network, data, parameters, words[0]),  # (initialization, optimizer, step)
        "chance": np.array(shares.max()),
    }
    about = provenance(parameters, seed, [Trained(device)], {"the net": {
        "layers": " ".join(map(str, made)),
        "parameters": network.parameter_count,
        "weights": ", ".join(laws()),
        "draws": parameters["seeds"],
    }})  # fmt: skip
    about["data"] = {"name": data.name, "note": data.note, "sha256": data.digest}
    return Results(arrays, _claims(arrays, parameters["judged"]), about)


def _each(history: History, name: str) -> np.ndarray:
    """Runs that diverge answer no better than one class."""
    return np.nan_to_num(np.array([getattr(history.of(key), name) for key in laws()]))


def _steps(network: Network, data: Dataset, parameters: Mapping[str, Any], word: int) -> np.ndarray:
    """How far single steps part the neurons of the constant net, and how far the default's are."""
    found = []
    for name in (EQUAL, DEFAULT):
        weights, bias = laws()[name]
        start = network.draw([Run(name, weights, word, 0.0, bias)])
        how = (parameters["steps"], parameters["batch"])
        found.append(
            [parted_by_steps(network, start, data, own, *how) for own in OPTIMIZERS.values()]
        )
    return np.array(found)


def _claims(arrays: Mapping[str, np.ndarray], epoch: int) -> tuple[Claim, ...]:
    found = dict(zip(laws(), arrays["accuracy"][..., epoch], strict=True))
    above = Assertion(
        f"after {epoch} epochs the constant net's validation accuracy is above that of one answer",
        "accuracy",
        {"accuracy": found[EQUAL]},
        float(arrays["chance"]),
        share,
    )
    below = Assertion(
        f"after {epoch} epochs it is {100 * FAR:.0f} points or more below the default's",
        "accuracy",
        {"difference": found[DEFAULT] - found[EQUAL]},
        FAR,
        share,
    )
    asked = {"above": above, "below": below}
    return (_equal(arrays["steps"]), _dead(arrays["largest"][0]), *judged(asked))


def _equal(steps: np.ndarray) -> Claim:
    constant, default = steps.max(axis=(1, 2))[0], steps.min(axis=(1, 2))[1]
    verdict = vp.Verdict.CONFIRMED if constant <= ROUNDING < default else vp.Verdict.REFUTED
    return Claim(
        "no step of SGD with momentum or of Adam parts equal channels by more than rounding, "
        f"{ROUNDING:g}",
        str(verdict),
        f"Largest difference after one step: {constant:.2g}; of the default's channels: at least "
        f"{default:.2g}, {steps.shape[-1]} steps in float64",
        "steps",
        "equal",
        error_rate=0.0,
    )


def _dead(largest: np.ndarray) -> Claim:
    worst = float(largest.max())
    verdict = vp.Verdict.CONFIRMED if worst == 0 else vp.Verdict.REFUTED
    return Claim(
        "the zero net learns nothing but its last bias",
        str(verdict),
        f"Largest other parameter after each epoch: {worst:g}, {len(largest)} seeds",
        "accuracy",
        "zero",
        error_rate=0.0,
    )


def report(results: Results) -> str:
    """The page of published statements that goes with the figure."""
    claims = {claim.series: claim for claim in results.claims}
    return page(results, claims, list(laws()).index(EQUAL))


def draw(results: Results) -> Figure:
    """Accuracy by epoch, and how far each step parts the channels."""
    about, arrays = results.about["parameters"], results.arrays
    free = arrays["parted"][1, :, about["judged"]].max()
    note = (
        f"Data: {results.about['data']['note']}. Two 5 × 5 convolutions of {about['channels']} and "
        f"{2 * about['channels']} channels with ReLU and 2 × 2 max-pool, a hidden layer of "
        f"{4 * about['channels']}, softmax. SGD with momentum {about['momentum']:g}, rate "
        f"{about['rate']:g}, batch {about['batch']}, {about['seeds']} seeds (the constant nets "
        "differ in the order of the data alone). Left: means and 95 % bands, simultaneous over "
        "the epochs. A constant net has one channel a layer: it learns a filter, and weights of "
        "places, which differ since images and padding do, but its logits are affine in one "
        f"number, by which it must tell ten classes. Published for {PUBLISHED['data']}, batch "
        f"{PUBLISHED['batch']}, rate {PUBLISHED['rate']:g}, {PUBLISHED['epochs']} epochs: "
        f"{share(ACCURACY, 0)}, a number that other data cannot decide (see the report beside). "
        "Middle: float64, channels made equal again before each step. Right: each seed's "
        f"channels left free in float32; rounding has parted the constant nets' by {free:.1g} "
        f"after {about['judged']} epochs, and frees them later. Claims on accuracy: paired t "
        f"tests over seeds, Holm's adjustment, error rate {ERROR_RATE:g} for both together."
    )
    figure = style.page(results, 2.5, note=note)
    left, middle, right = figure.subplots(1, 3)
    _accuracy(left, arrays)
    _parting(middle, arrays["steps"])
    _free(right, arrays["parted"])
    style.letter(left, "validation accuracy")
    style.letter(middle, "channels part in one step by")
    style.letter(right, "left free, they part by")
    for axes, panel in ((left, "accuracy"), (middle, "steps")):
        style.doubt(axes, results.doubted(panel))
    return figure


def _accuracy(axes: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    epochs = np.arange(arrays["accuracy"].shape[-1])
    for name, runs, look in zip(laws(), arrays["accuracy"], style.SERIES, strict=False):
        mean, low, high = mean_band(runs)
        own: dict[str, Any] = {**look, "markevery": max(1, len(epochs) // 8)}
        axes.plot(epochs, mean, label=name, **own)
        axes.fill_between(epochs, low, high, color=look["color"], alpha=0.2, linewidth=0)
    axes.axhline(float(arrays["chance"]), color=style.PALE, linestyle=":", linewidth=0.8)
    axes.set(xlabel="epoch", ylim=(0, 1.05))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.56))


def _parting(axes: Axes, steps: np.ndarray) -> None:
    at = np.arange(1, steps.shape[-1] + 1)
    for both, fill in zip(steps, (True, False), strict=True):
        for own, values, look in zip(OPTIMIZERS, both, style.SERIES[1:], strict=False):
            face = look["color"] if fill else "white"
            short = f"{CONSTANT:g}, {own}" if fill else f"default, {own}"
            shown: dict[str, Any] = {**look, "markevery": max(1, len(at) // 8), "linewidth": 0.7}
            axes.plot(at, np.maximum(values, FLOOR), label=short, markerfacecolor=face, **shown)
    axes.axhline(ROUNDING, color=style.PALE, linestyle=":", linewidth=0.8)
    axes.annotate("bound of the claim", (at[0], ROUNDING), (0, -7), textcoords="offset points",
                  fontsize=style.SMALL)  # fmt: skip
    axes.set_xlabel("step")
    _differences(axes)
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, 0.88))


def _free(axes: Axes, parted: np.ndarray) -> None:
    """By epoch, (initialization, seed, 1 + epochs)."""
    for name, runs, look in list(zip(laws(), parted, style.SERIES, strict=False))[1:]:
        shown = np.maximum(runs, FLOOR).T
        axes.plot(shown, color=look["color"], linestyle=look["linestyle"], linewidth=0.7)
        axes.plot([], [], color=look["color"], linestyle=look["linestyle"], label=name)
    axes.set_xlabel("epoch")
    _differences(axes)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.08))


def _differences(axes: Axes) -> None:
    """A logarithmic axis that has a place for zero."""
    axes.set(yscale="log", ylim=(FLOOR / 3, 30))
    axes.set_yticks([FLOOR, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1])
    axes.set_yticklabels(["0", *(f"$10^{{{p}}}$" for p in (-15, -12, -9, -6, -3)), "1"])
    axes.minorticks_off()
