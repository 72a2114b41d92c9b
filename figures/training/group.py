"""A group of runs that train together, and its state."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from figures.training.data import Dataset
from figures.training.experiment import Experiment, Snapshot
from figures.training.layers import Pass, Shape
from figures.training.network import Network, stream

EPOCH = "epoch"
WATCHED = "watched."  # before the names of what `Experiment.watch` gives


class Group:
    """Runs of one experiment that train together.

    held      parameters and buffers (R, ...) by name; `trained` names the parameters
    velocity  of the momentum, by parameter
    recorded  arrays by the names of `History`, nan where nothing has happened yet
    """

    def __init__(self, experiment: Experiment, data: Dataset, place: torch.device) -> None:
        self.experiment, self.place, self.epoch = experiment, place, 0
        self.network = Network(experiment.layers, data.shape)
        parameters = self.network.draw(experiment.runs)
        self.trained = tuple(parameters)
        self.held = parameters | self.network.buffers(experiment.runs)
        self.velocity = {name: torch.zeros_like(w) for name, w in parameters.items()}
        self._move()
        self.train = data.train.to(place), data.train_labels.to(place)
        self.test = data.test.to(place), data.test_labels.to(place)
        self.rate = torch.tensor([run.rate for run in experiment.runs], device=place)
        seeds = [run.seed for run in experiment.runs]
        self.seeds = tuple(dict.fromkeys(seeds))
        self.which = torch.tensor([self.seeds.index(seed) for seed in seeds], device=place)
        columns = {"train": 0, "validation": 1, "batch": 1}
        self.recorded = {
            f"{what}_{number}": np.full((len(seeds), experiment.epochs + more), np.nan)
            for what, more in columns.items()
            for number in ("loss", "accuracy")
        }
        for number in ("loss", "accuracy"):
            self.recorded[f"fitted_{number}"] = np.full((len(seeds), 1), np.nan)
        self.recorded["diverged"] = np.full(len(seeds), -1)

    def _move(self) -> None:
        self.held = {name: held.to(self.place) for name, held in self.held.items()}
        self.velocity = {name: held.to(self.place) for name, held in self.velocity.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Everything that changes, as arrays."""
        kept = {f"held/{name}": held.cpu().numpy() for name, held in self.held.items()}
        if self.experiment.momentum:
            kept |= {f"velocity/{name}": v.cpu().numpy() for name, v in self.velocity.items()}
        recorded = {f"recorded/{name}": values for name, values in self.recorded.items()}
        return {**kept, **recorded, EPOCH: np.array(self.epoch)}

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Go on from a state."""
        self.epoch = int(saved.pop(EPOCH))
        for path, values in saved.items():
            part, _, name = path.partition("/")
            if part == "recorded":
                self.recorded[name] = values
            else:
                getattr(self, part)[name] = torch.from_numpy(values)
        self._move()

    def start(self) -> None:
        """What is recorded before the first epoch."""
        self._look(batch=True)

    def learn(self) -> None:
        """One epoch, and what is recorded after it."""
        losses, right = [], []
        for x, labels, mask in self._batches():
            for name in self.trained:
                self.held[name].requires_grad_()
            logits = self.network(x, self.held, Pass(batch=True, learning=True, mask=mask))
            loss = _losses(logits, labels)
            parameters = [self.held[name] for name in self.trained]
            gradients = torch.autograd.grad(loss.sum(), parameters)
            with torch.no_grad():
                self._move_by(gradients)
            losses.append(loss.detach())
            right.append(_right(logits, labels))
        self.epoch += 1
        self._record(
            "train", self.epoch - 1, torch.stack(losses).mean(0), torch.stack(right).mean(0)
        )
        self._look(batch=False)
        if self.epoch == self.experiment.epochs:
            self._record("fitted", 0, *self._evaluated(self.train, batch=False))

    def _move_by(self, gradients: tuple[Tensor, ...]) -> None:
        """One step of SGD, at each run's own rate."""
        for name, gradient in zip(self.trained, gradients, strict=True):
            parameter = self.held[name].detach_()
            if self.experiment.momentum:
                gradient = self.velocity[name].mul_(self.experiment.momentum).add_(gradient)
            rate = self.rate.view(-1, *[1] * (parameter.ndim - 1))
            parameter.sub_(rate * gradient)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor, Callable[[Shape], Tensor]]]:
        """Images (B, R, C, H, W), labels (B, R) and the masks of dropout, batch by batch."""
        images, labels = self.train
        size = self.experiment.batch
        streams = [stream(seed, 1, self.epoch) for seed in self.seeds]
        orders = torch.stack([torch.randperm(len(images), generator=one) for one in streams], 1)
        orders = orders.to(self.place)

        def mask(shape: Shape) -> Tensor:
            drawn = torch.stack([torch.rand(shape, generator=one) for one in streams], 1)
            return drawn.to(self.place)[:, self.which]

        for start in range(0, len(images) - size + 1, size):
            rows = orders[start : start + size][:, self.which]
            yield images[rows], labels[rows], mask

    def _look(self, *, batch: bool) -> None:
        """Record the validation images and what the experiment watches."""
        found = self._evaluated(self.test, batch=batch)
        self._record("validation", self.epoch, *found)
        same = batch or len(self.held) == len(self.trained)  # without batch-norm
        self._record(
            "batch", self.epoch, *(found if same else self._evaluated(self.test, batch=True))
        )
        if self.experiment.watch is None:
            return
        for name, found in self.experiment.watch(self._snapshot(batch)).items():
            values = found.detach().cpu().double().numpy()
            empty = np.full((len(values), self.experiment.epochs + 1, *values.shape[1:]), np.nan)
            self.recorded.setdefault(WATCHED + name, empty)[:, self.epoch] = values

    def _record(self, what: str, column: int, loss: Tensor, accuracy: Tensor) -> None:
        """Losses as they are; accuracies of the runs whose losses have all been finite so far."""
        values, diverged = loss.cpu().numpy(), self.recorded["diverged"]
        diverged[(diverged < 0) & ~np.isfinite(values)] = self.epoch
        known = np.where(diverged < 0, accuracy.cpu().numpy(), np.nan)
        self.recorded[f"{what}_loss"][:, column] = values
        self.recorded[f"{what}_accuracy"][:, column] = known

    @torch.no_grad()
    def _evaluated(self, split: tuple[Tensor, Tensor], *, batch: bool) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy (R,), in batches of nearly one size."""
        losses, right = [], []
        parts = -(-len(split[0]) // self.experiment.batch)
        for images, labels in zip(*(part.tensor_split(parts) for part in split), strict=True):
            logits, labels = self._logits(images, labels, batch)
            losses.append(_losses(logits, labels) * len(images))
            right.append(_right(logits, labels) * len(images))
        count = len(split[0])
        return torch.stack(losses).sum(0) / count, torch.stack(right).sum(0) / count

    def _logits(
        self, images: Tensor, labels: Tensor, batch: bool, keep: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """(B, R, K) of the same images in every run, and their labels (B, R)."""
        runs = len(self.which)
        x = images.unsqueeze(1).expand(-1, runs, *images.shape[1:])
        if keep is not None:
            keep["input"] = x
        logits = self.network(x, self.held, Pass(batch=batch), keep)
        return logits, labels.unsqueeze(1).expand(-1, runs)

    def _snapshot(self, batch: bool) -> Snapshot:
        """Values and gradients on the first batch of the validation images."""
        first = [part[: self.experiment.batch] for part in self.test]
        for name in self.trained:
            self.held[name].requires_grad_()
        values: dict[str, Tensor] = {}
        logits, labels = self._logits(*first, batch, values)
        parameters = {name: self.held[name] for name in self.trained}
        wanted = {name: x for name, x in values.items() if name != "input"} | parameters
        found = torch.autograd.grad(_losses(logits, labels).sum(), list(wanted.values()))
        for name in self.trained:
            self.held[name].detach_()
        held, seen = ({k: v.detach() for k, v in d.items()} for d in (parameters, values))
        return Snapshot(self.epoch, held, seen, dict(zip(wanted, found, strict=True)))


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy (R,) of logits (B, R, K) and labels (B, R)."""
    return functional.cross_entropy(logits.movedim(2, 1), labels, reduction="none").mean(0)


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    """Share (R,) of examples whose largest logit is their label's."""
    return (logits.argmax(2) == labels).float().mean(0)
