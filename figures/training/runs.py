"""Training with plain SGD, run by run apart and all together, resumed where it was killed.

    v <- momentum v + g,   w <- w - rate v,   g the gradient of the mean cross-entropy of the batch

Each epoch takes the training images in a new order, in whole batches; what is left over waits for
the next epoch. The randomness of an epoch is made from (seed, epoch) alone, so a run goes on from
the end of any epoch with the numbers it would have had.
"""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import varprop as vp
from figures.training import state
from figures.training.data import Dataset
from figures.training.experiment import Experiment, History
from figures.training.group import WATCHED, Group
from figures.training.network import Network
from varprop.montecarlo.describe import describe, digest
from varprop.montecarlo.devices import find_device

CODE = ("group.py", "layers.py", "network.py")  # that the numbers depend on


def train(
    experiment: Experiment, data: Dataset, *, device: str = "cpu", states: Path | None = None
) -> History:
    """Train all runs, as many at a time as the memory takes, and keep the state after each epoch.

    states  folder of the states, one file for each group of runs, named by the experiment, the
            data and the code; None keeps none. Raises ValueError for an impossible experiment.

    The same experiment gives the same bits. A run among other runs is the same but for rounding,
    since kernels depend on sizes, and training amplifies rounding: compare within one experiment.
    """
    _check(experiment, data)
    size = experiment.together(data.shape)
    groups = [experiment.runs[k : k + size] for k in range(0, len(experiment.runs), size)]
    parts = [_trained(replace(experiment, runs=runs), data, device, states) for runs in groups]
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    watched = {
        k.removeprefix(WATCHED): arrays.pop(k) for k in list(arrays) if k.startswith(WATCHED)
    }
    return History(experiment.runs, **arrays, watched=watched)


def _check(experiment: Experiment, data: Dataset) -> None:
    for name in ("epochs", "batch"):
        value = getattr(experiment, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    if experiment.batch > len(data.train):
        raise ValueError(
            f"a batch must not exceed the {len(data.train)} training images of {data.name}, got "
            f"{experiment.batch}: take a smaller batch"
        )
    if not 0 <= experiment.momentum < 1:
        raise ValueError(f"momentum must lie in [0, 1), got {experiment.momentum!r}")
    if not experiment.runs:
        raise ValueError("an experiment needs at least one run, got none")
    for run in experiment.runs:
        if not 0 <= run.rate < math.inf:
            raise ValueError(f"learning rates must be finite, at least 0, got {run.rate!r}")
    out = Network(experiment.layers, data.shape).shapes[-1]
    if out != (data.classes,):
        raise ValueError(
            f"the last layer must give {data.classes} numbers for the classes of {data.name}, got "
            f"{out}: end with Dense({data.classes})"
        )


def _trained(
    experiment: Experiment, data: Dataset, device: str, states: Path | None
) -> dict[str, np.ndarray]:
    """What is recorded of runs that train together, by the names of `History`."""
    place = find_device(device)
    file = None if states is None else states / f"{_key(experiment, data, place.type)}.npz"
    group = Group(experiment, data, place)
    saved = None if file is None else state.read(file)
    if saved is None:
        group.start()
    else:
        group.restore(saved)
    while group.epoch < experiment.epochs:
        group.learn()
        if file is not None:
            state.write(file, group.state())
    return group.recorded


def _key(experiment: Experiment, data: Dataset, device: str) -> str:
    """A hash of everything that the numbers depend on, the code of the training among it."""
    home = Path(__file__).parent
    code = hashlib.sha256(b"".join((home / name).read_bytes() for name in CODE)).hexdigest()
    versions = [vp.__version__, torch.__version__]
    # A holder, or `describe` would call the watching function on a tensor.
    about = [describe(experiment, within=(data,)), data.digest, device, versions, code]
    return digest(about)[:32]
