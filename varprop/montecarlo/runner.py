"""The runner: units of work of one or many experiments on one pool of workers."""

import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import torch

from varprop.montecarlo.store import Folder
from varprop.montecarlo.task import Packed, Task
from varprop.montecarlo.threads import one_thread_each

IN_FLIGHT = 64  # units at an executor that does not say how many workers it has


class Keeper(Protocol):
    """Where finished units are kept: the folder of a store, or memory."""

    def read(self, blocks: range) -> Packed | None: ...

    def write(self, blocks: range, packed: Packed) -> None: ...


@dataclass(frozen=True, eq=False)
class Job:
    """An experiment to run: its first `draws` draws, kept in `folder` where there is one.

    `copies`: how many times memory has to hold the measurements at once.
    """

    label: str
    task: Task
    draws: int
    folder: Keeper | None = None
    copies: int = 1

    @property
    def units(self) -> list[range]:
        return self.task.units(self.draws)

    @property
    def measurements(self) -> int:
        """Bytes that they take."""
        return self.draws * self.task.record_bytes * self.copies


class Unit(NamedTuple):
    """Blocks of one job; `turn` counts the units of all jobs."""

    job: int
    turn: int
    blocks: range


class Finished(NamedTuple):
    """A unit with its measurements; `kept`: they come from the store."""

    unit: Unit
    packed: Packed
    kept: bool


@dataclass(frozen=True)
class Crew:
    """Executors that take units in turn, each with its device, and how many may be under way."""

    executors: Sequence[Executor]
    devices: Sequence[str]
    limit: int

    def submit(self, task: Task, unit: Unit) -> Future:
        executor = self.executors[unit.turn % len(self.executors)]
        device = self.devices[unit.turn % len(self.devices)]
        return executor.submit(run_unit, replace(task, device=device), unit.blocks)


class Here(Executor):
    """Runs each call at once, in the caller's thread."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def run_unit(task: Task, blocks: range) -> Packed:
    """What a worker does: one unit, on one intra-op thread."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    return task.run(blocks)


def own_workers(devices: Sequence[str]) -> int:
    """Threads for each device where no executor is given."""
    return torch.get_num_threads() if devices == ("cpu",) else 1


@contextmanager
def hired(
    executor: Executor | None, devices: Sequence[str], most: int, units: int
) -> Iterator[Crew]:
    """A crew with at most `most` units at work at once: the executor given, or threads of its own.

    Own threads: on CPU as many as torch has intra-op threads, otherwise one for each device.
    """
    if executor is not None:
        workers = getattr(executor, "_max_workers", None)
        limit = 2 * workers if isinstance(workers, int) else IN_FLIGHT
        with one_thread_each():
            yield Crew([executor], devices, max(1, min(limit, most)))
        return
    workers = max(1, min(own_workers(devices), most, units))
    alone = workers * len(devices) == 1
    pools = [Here() if alone else ThreadPoolExecutor(workers, "varprop") for _ in devices]
    with one_thread_each():
        try:
            yield Crew(pools, devices, 1 if alone else 2 * workers * len(devices))
        finally:
            for pool in pools:
                pool.shutdown(cancel_futures=True)


def run(jobs: Sequence[Job], crew: Crew) -> Iterator[Finished]:
    """Every unit of every job, as they finish; units that a store has are read, not drawn.

    An exception keeps what is finished and gets a note: the unit, its seed, how to go on.
    """
    all_units = [(j, blocks) for j, job in enumerate(jobs) for blocks in job.units]
    waiting = (Unit(j, turn, blocks) for turn, (j, blocks) in enumerate(all_units))
    flight: dict[Future, Unit] = {}
    unit = None
    try:
        while True:
            while len(flight) < crew.limit and (unit := next(waiting, None)) is not None:
                folder = jobs[unit.job].folder
                packed = folder.read(unit.blocks) if folder is not None else None
                if packed is not None:
                    yield Finished(unit, packed, True)
                else:
                    flight[crew.submit(jobs[unit.job].task, unit)] = unit
            if not flight:
                return
            for future in wait(flight, return_when=FIRST_COMPLETED).done:
                unit = flight.pop(future)
                yield _landed(jobs[unit.job], unit, future)
    except BaseException as error:
        for future in flight:
            future.cancel()
        _land_the_rest(jobs, flight)
        if unit is not None and not isinstance(error, GeneratorExit):
            _explain(error, jobs[unit.job], unit)
        raise


def _landed(job: Job, unit: Unit, future: Future) -> Finished:
    packed = future.result()
    if job.folder is not None:
        job.folder.write(unit.blocks, packed)
    return Finished(unit, packed, False)


def _land_the_rest(jobs: Sequence[Job], flight: dict[Future, Unit]) -> None:
    """Keep the units that finished while another one failed."""
    for future, unit in flight.items():
        done = future.done() and not future.cancelled() and future.exception() is None
        if done and jobs[unit.job].folder is not None:
            _landed(jobs[unit.job], unit, future)


def _explain(error: BaseException, job: Job, unit: Unit) -> None:
    """Say in a note of the error where it happened."""
    first, last = (edge * job.task.block for edge in (unit.blocks.start, unit.blocks.stop))
    last = min(last, job.draws)
    if isinstance(error, Exception):
        error.add_note(
            f"while drawing networks {first} to {last - 1} of {job.label} at seed {job.task.seed}"
        )
    if isinstance(error, BrokenExecutor):
        error.add_note(
            "a worker process ended before its unit did: it was killed, ran out of memory, or "
            "could not start (a script that uses processes needs `if __name__ == '__main__':`)"
        )


def resume_note(error: BaseException, jobs: Sequence[Job]) -> None:
    """Say in a note of the error what is kept and how to go on."""
    stored = [(job.folder, job.units) for job in jobs if isinstance(job.folder, Folder)]
    if not stored:
        error.add_note("nothing is kept: pass store=PATH, and the same call goes on where it was")
        return
    files = [folder.file(unit) for folder, units in stored for unit in units]
    kept = sum(file.exists() for file in files)
    root = stored[0][0].root
    error.add_note(
        f"{kept} of {len(files)} units are kept in {root}; the same call goes on from there"
    )


def check_pickle(executor: Executor | None, task: Task) -> None:
    """ValueError where there is no executor, or its processes cannot be sent the task."""
    if executor is None or isinstance(executor, ThreadPoolExecutor | Here):
        return
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise ValueError(
            f"executor must have the form of concurrent.futures.Executor, got {executor!r}; "
            "use concurrent.futures.ThreadPoolExecutor(4), or None for threads of its own"
        )
    try:
        pickle.dumps(task)
    except Exception as error:
        if isinstance(executor, ProcessPoolExecutor) or not _by_value(task):
            raise ValueError(
                f"the network cannot be sent to worker processes: {error}; define its functions at "
                "the top level of a module that they can import, or use threads (executor=None)"
            ) from error


def _by_value(task: Task) -> bool:
    """Whether cloudpickle, which Dask uses, can send what pickle cannot: lambdas, closures."""
    try:
        import cloudpickle

        cloudpickle.dumps(task)
    except Exception:
        return False
    return True
