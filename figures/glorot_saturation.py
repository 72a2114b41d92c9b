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
from torch import Tensor

from figures import glorot
from figures.assertions import Assertion, judged
from figures.initializers_report import crossing
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
)

SHALLOW, DEEP, TANH, SOFTSIGN = "sigmoid, 4 layers", "sigmoid, 5 layers", "tanh", "softsign"
NETS = {SHALLOW: ("sigmoid", 4), DEEP: ("sigmoid", 5), TANH: ("tanh", 5), SOFTSIGN: ("softsign", 5)}
NEAR = 0.1  # of an end of the range: saturated
EARLY = 0.1  # of the epochs
LEAVES = 0.05  # by which a mean has risen again
PERCENTILE = 0.98


def parameters(full: bool, data: str = "digits") -> dict[str, Any]:
    """Narrow networks and few seeds, or wider ones and more. Raises ValueError for the data."""
    return {
        "data": data,
        "digest": load(data).digest,
        "width": 100 if full else 64,
        "batch": 32,
        "rates": {SHALLOW: 0.1, DEEP: 0.1, TANH: 0.1, SOFTSIGN: 0.1},
        "epochs": 100,
        "seeds": 8 if full else 6,
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
        law, rate = glorot.weights("standard"), parameters["rates"][net]
        runs = tuple(Run(net, law, word, rate) for word in words)
        asked = Experiment(made, runs, parameters["epochs"], parameters["batch"], watch=watch)
        history = train(asked, data, device=device, states=states)
        # (seed, layer, 1 + epochs)
        arrays |= {f"{net}/{k}": v.transpose(0, 2, 1) for k, v in history.watched.items()}
        arrays[f"{net}/accuracy"] = history.validation_accuracy
        networks[net] = {
            "width": parameters["width"],
            "parameters": Network(made, data.shape).parameter_count,
            "weights": str(law),
            "draws": parameters["seeds"],
        }
    about = provenance(parameters, seed, [Trained(device)], networks)
    about["data"] = {"name": data.name, "note": data.note, "sha256": data.digest}
    return Results(arrays, judged(_published(arrays)), about)


def halfway(curves: np.ndarray) -> np.ndarray:
    """The epoch at which curves (..., 1 + epochs) have made half of their rise to their largest."""
    start = curves[..., :1]
    rise = curves.max(-1, keepdims=True) - start
    return crossing((curves - start) / np.where(rise > 0, rise, 1.0))


def _published(arrays: Mapping[str, np.ndarray]) -> dict[str, Assertion]:
    """The paper's statements on its figures 2 and 3."""
    return _sigmoid(arrays) | _symmetric(arrays)


def _sigmoid(arrays: Mapping[str, np.ndarray]) -> dict[str, Assertion]:
    mean = arrays[f"{SHALLOW}/mean"]
    last = mean[:, -1]
    early = last[:, : 1 + int(EARLY * (last.shape[-1] - 1))]
    lowest = early.argmin(-1)
    others = np.take_along_axis(mean[:, :-1], lowest[:, None, None], -1)[..., 0]
    names = [f"layer {k + 1}" for k in range(others.shape[-1])]
    return {
        "driven to 0": Assertion(
            f"within the first {100 * EARLY:.0f} % of the epochs the mean of the last of four "
            f"sigmoid layers falls below {NEAR:g}",
            SHALLOW,
            {"distance below": NEAR - early.min(-1)},
        ),
        "others above": Assertion(
            "there the means of the other layers are above 1/2",
            SHALLOW,
            dict(zip(names, others.T, strict=True)),
            0.5,
        ),
        "others in order": Assertion(
            "and the higher, the closer the layer is to the output",
            SHALLOW,
            {
                f"{above} less {below}": difference
                for above, below, difference in zip(
                    names[1:], names, np.diff(others).T, strict=False
                )
            },
        ),
        "escapes": Assertion(
            f"the last of four layers leaves saturation again: its mean rises by more than {LEAVES:g}",
            SHALLOW,
            {"rise": last[:, -1] - last.min(-1)},
            LEAVES,
        ),
        "stays": Assertion(
            f"the last of five layers does not: its mean ends below {NEAR:g}",
            DEEP,
            {"distance below": NEAR - arrays[f"{DEEP}/mean"][:, -1, -1]},
        ),
    }


def _symmetric(arrays: Mapping[str, np.ndarray]) -> dict[str, Assertion]:
    tanh, soft = (arrays[f"{net}/high"] for net in (TANH, SOFTSIGN))
    half, together = halfway(tanh), halfway(soft)
    names = [f"layer {k + 1}" for k in range(tanh.shape[1])]
    return {
        "saturates": Assertion(
            f"each tanh layer saturates: its 98th percentile ends above {1 - NEAR:g}",
            TANH,
            dict(zip(names, tanh[..., -1].T, strict=True)),
            1 - NEAR,
        ),
        "in sequence": Assertion(
            "each tanh layer makes half of its rise later than the layer below",
            TANH,
            {
                f"{above} after {below}, epochs": difference
                for above, below, difference in zip(names[1:], names, np.diff(half).T, strict=False)
            },
        ),
        "less": Assertion(
            "each softsign layer saturates less than that of tanh: the 98th percentile ends lower",
            SOFTSIGN,
            dict(zip(names, (tanh - soft)[..., -1].T, strict=True)),
        ),
        "together": Assertion(
            "softsign layers rise more together: fewer epochs from the first to the last half rise",
            SOFTSIGN,
            {"epochs of tanh less those of softsign": np.ptp(half, -1) - np.ptp(together, -1)},
        ),
    }
