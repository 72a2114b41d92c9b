"""simulate: draw many networks, measure every node."""

from concurrent.futures import Executor
from os import PathLike
from typing import Any

import torch

from varprop.montecarlo import conditional
from varprop.montecarlo.collect import samples
from varprop.montecarlo.devices import find_device, find_devices, find_dtype, whole
from varprop.montecarlo.runner import Job
from varprop.montecarlo.sample import Sample
from varprop.montecarlo.store import Folder
from varprop.montecarlo.task import Task, block_size
from varprop.network import Network, check_not_symbolic


def simulate(
    network: Network,
    inputs: Any = None,
    *,
    draws: int,
    seed: int,
    device: str = "auto",
    dtype: "str | torch.dtype" = "float32",
    engine: str = "auto",
    track_scale: bool = True,
    backward: bool = True,
    chunk: int | None = None,
    memory: int | None = None,
    executor: Executor | None = None,
    store: "str | PathLike[str] | None" = None,
    progress: bool | None = None,
) -> Sample:
    """Measure `draws` networks with fresh parameters at `inputs` (points, channels) or unit inputs.

    `engine`: "explicit" draws real weight tensors; "conditional" is exact in law for dense networks
    of Gaussian or Haar weights at O(n) a layer; "auto" takes the latter where it is exact.
    `dtype` is that of weights and values; averages are always in float64. `track_scale=False` lets
    values overflow and underflow as in a plain forward pass. `backward=False` measures values
    alone: no gradients, and no tangents, by which `compare` judges them.

    Units of work go to the `executor`, any of concurrent.futures' form (a process pool, Dask's
    `client.get_executor()`); by default to one thread for each of torch's intra-op threads.
    Finished units are kept in the directory `store`: the same call, or one with more draws, goes on
    from there. `chunk` (draws) and `memory` (bytes, by default what is free) bound the units under
    way. The result has the same bits for every executor, chunk, order of completion and restart, on
    one kind of processor; it changes by rounding where `memory` is less than one explicit unit
    takes, whose weights are then drawn in smaller parts, and again for the way back. `progress`
    shows a bar with the rate and the time left (default: on a terminal).

    Raises ValueError for symbolic networks, unfit inputs, an absent device, an engine that is not
    exact for the network, a corrupt or foreign file in the store, bounds that cannot be kept. An
    error in a unit of work carries a note that names the unit.
    """
    draws, chunk, memory = checked_amounts(draws, chunk, memory)
    task = make_task(network, inputs, seed, device, dtype, engine, track_scale, backward)
    folder = None if store is None else Folder.of(store, task)
    jobs = [Job("the sample", task, draws, folder)]
    how = {"chunk": chunk, "memory": memory, "executor": executor, "progress": progress}
    ((_, sample),) = samples(jobs, find_devices(device), **how)
    return sample


def checked_amounts(draws: Any, chunk: Any, memory: Any) -> tuple[int, int | None, int | None]:
    """The amounts as whole numbers; raises ValueError for what is none."""
    chunk = None if chunk is None else whole("chunk", chunk, least=1)
    memory = None if memory is None else whole("memory", memory, least=1)
    return whole("draws", draws, least=2), chunk, memory


def make_task(
    network: Network,
    inputs: Any,
    seed: int,
    device: str,
    dtype: "str | torch.dtype",
    engine: str,
    track_scale: bool,
    backward: bool = True,
) -> Task:
    """The task of these arguments; raises ValueError for those that are unfit."""
    check_not_symbolic(network, "simulate needs", ", or use predict for formulas")
    for what, flag in (("backward", backward), ("track_scale", track_scale)):
        if not isinstance(flag, bool):
            raise ValueError(f"{what} must be True or False, got {flag!r}")
    seed = whole("seed", seed, least=0)
    place, kind = find_device(device), find_dtype(dtype)
    x = None if inputs is None else network.check_inputs(inputs)
    chosen = _engine(engine, network, kind, track_scale)
    name = str(kind).removeprefix("torch.")
    block = block_size(chosen, network, 1 if x is None else len(x))
    return Task(network, x, seed, chosen, name, str(place), track_scale, block, backward)


def _engine(engine: str, network: Network, dtype: torch.dtype, track_scale: bool) -> str:
    if not isinstance(engine, str) or engine not in ("auto", "explicit", "conditional"):
        raise ValueError(f"unknown engine {engine!r}; use 'auto', 'explicit' or 'conditional'")
    reason = conditional.why_not(network)
    if dtype in (torch.float16, torch.bfloat16):
        reason = reason or f"it computes in float32 or float64, not in {dtype}"
    if not track_scale:
        reason = reason or "it keeps the scale of every vector, and track_scale=False was asked for"
    if engine == "conditional" and reason is not None:
        raise ValueError(f"the conditional engine is not exact here: {reason}; use 'explicit'")
    return "explicit" if reason is not None or engine == "explicit" else "conditional"
