"""grow: one sample after another, each with the networks of the one before and more.

The sample at R draws is that of `simulate` with R draws, to the bit: a longer run begins with the
same units of work. Units are kept from one sample to the next, in the store or in memory, so no
network is drawn twice, those that a unit holds beyond R draws included.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from os import PathLike
from typing import Any

import torch

from varprop.montecarlo.collect import samples
from varprop.montecarlo.devices import find_devices
from varprop.montecarlo.runner import Job, own_workers
from varprop.montecarlo.sample import Sample
from varprop.montecarlo.simulate import checked_amounts, make_task
from varprop.montecarlo.store import Folder
from varprop.montecarlo.task import Packed, Task
from varprop.network import Network

COPIES = 3  # of the measurements at once: the last sample, the units, the sample that is made


class Held:
    """Finished units in memory, in the form of a Folder."""

    def __init__(self) -> None:
        self._units: dict[range, Packed] = {}

    def read(self, blocks: range) -> Packed | None:
        return self._units.get(blocks)

    def write(self, blocks: range, packed: Packed) -> None:
        self._units[blocks] = packed


def grow(
    network: Network,
    inputs: Any = None,
    *,
    draws: Sequence[int],
    seed: int,
    device: str = "auto",
    dtype: "str | torch.dtype" = "float32",
    engine: str = "auto",
    chunk: int | None = None,
    memory: int | None = None,
    executor: Executor | None = None,
    store: "str | PathLike[str] | None" = None,
    progress: bool | None = None,
) -> Iterator[Sample]:
    """A sample for each number in `draws`; the next one is drawn when it is asked for.

    The other arguments, and the errors, are those of `simulate`.
    """
    task = make_task(network, inputs, seed, device, dtype, engine, True)
    once = len(draws) < 2
    held = None if once else Held()
    folder = held if store is None else Folder.of(store, task)
    for count in draws:
        count, chunk, memory = checked_amounts(count, chunk, memory)
        job = Job("the sample", task, count, folder, 1 if once else COPIES)
        how = {"chunk": chunk, "memory": memory, "executor": executor, "progress": progress}
        ((_, sample),) = samples([job], find_devices(device), **how)
        yield sample


def memory_needed(task: Task, draws: int, devices: Sequence[str]) -> int:
    """Bytes to grow a sample up to `draws` draws, on threads of its own."""
    workers = own_workers(devices) * len(devices)
    return Job("the sample", task, draws, None, COPIES).measurements + workers * task.unit_bytes
