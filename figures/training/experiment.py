"""What is to be trained, and what is recorded of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from figures.training.layers import Layer, Shape
from figures.training.network import Network, Run
from varprop.montecarlo.devices import find_device

MEMORY = 10**9  # bytes that the numbers of the runs at work may take
COPIES = 4  # of each number of a forward pass: itself, its gradient, what a layer keeps for it
APART = ("runs", "watched")  # of a history: not one array


@dataclass(frozen=True)
class Snapshot:
    """The networks after `epoch` epochs, on the first batch of the validation images.

    parameters  (R, ...) by name
    values      (B, R, ...) by layer: its numbers, and "input"
    gradients   of each run's mean loss over this batch, by layer and by parameter, same shapes
    """

    epoch: int
    parameters: Mapping[str, Tensor]
    values: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


Watch = Callable[[Snapshot], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Experiment:
    """Runs of one architecture.

    watch  called before the first epoch and after each one: tensors (R, ...) by name, to be
           recorded; a function of a module, by whose source a resumed run knows itself
    """

    layers: tuple[Layer, ...]
    runs: tuple[Run, ...]
    epochs: int
    batch: int
    momentum: float = 0.0
    watch: Watch | None = None

    def together(self, shape: Shape) -> int:
        """The most runs whose batches of images of `shape` fit in the memory."""
        return max(1, MEMORY // (4 * COPIES * self.batch * Network(self.layers, shape).size))


@dataclass(frozen=True, eq=False)
class History:
    """What was recorded, runs first. Epoch 0 is before training, with the batch's statistics.

    train_loss, train_accuracy            (R, epochs) means over the batches while learning
    validation_loss, validation_accuracy  (R, 1 + epochs)
    batch_loss, batch_accuracy            (R, 1 + epochs) of the validation images too, batch-norm
                                          with their batches' statistics, not the running ones
    fitted_loss, fitted_accuracy          (R, 1) of the trained network on the training images
    diverged                              (R,) first epoch with a loss that is not finite, or -1;
                                          accuracies are nan from then on
    watched                               (R, 1 + epochs, ...) by name
    """

    runs: tuple[Run, ...]
    train_loss: np.ndarray
    train_accuracy: np.ndarray
    validation_loss: np.ndarray
    validation_accuracy: np.ndarray
    batch_loss: np.ndarray
    batch_accuracy: np.ndarray
    fitted_loss: np.ndarray
    fitted_accuracy: np.ndarray
    diverged: np.ndarray
    watched: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def initial_loss(self) -> np.ndarray:
        """(R,) before training."""
        return self.validation_loss[:, 0]

    def of(self, name: str) -> "History":
        """The runs of that name, in the order of the experiment."""
        rows = [row for row, run in enumerate(self.runs) if run.name == name]
        if not rows:
            known = ", ".join(dict.fromkeys(run.name for run in self.runs))
            raise ValueError(f"no run is named {name!r}: the runs are {known}")
        own = {key: values[rows] for key, values in vars(self).items() if key not in APART}
        watched = {key: values[rows] for key, values in self.watched.items()}
        return History(tuple(self.runs[row] for row in rows), **own, watched=watched)


@dataclass(frozen=True)
class Trained:
    """How a training is made, for the manifest: on which device, "auto" being the one it finds."""

    device: str
    dtype: str = "float32"
    engine: str = "SGD, runs together"

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", str(find_device(self.device)))
