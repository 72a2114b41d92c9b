"""Collecting units into samples, within a bound on memory."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from varprop.montecarlo.memory import memory_free
from varprop.montecarlo.progress import bar
from varprop.montecarlo.runner import Finished, Job, check_pickle, hired, resume_note, run
from varprop.montecarlo.sample import Sample
from varprop.montecarlo.task import DUALITY, unpack


class Collector:
    """The arrays of one job, filled by units in any order; the places are those of the draws."""

    def __init__(self, job: Job) -> None:
        self.job, self.arrays = job, {}
        self._left = len(job.units)

    def add(self, finished: Finished) -> bool:
        """Put a unit in its place; whether all are there."""
        start = finished.unit.blocks.start * self.job.task.block
        for name, values in finished.packed.items():
            if name not in self.arrays:
                shape = (len(values), self.job.draws, *values.shape[2:])
                self.arrays[name] = np.empty(shape, values.dtype)
            place = self.arrays[name][:, start : start + values.shape[1]]
            place[...] = values[:, : place.shape[1]]
        self._left -= 1
        return self._left == 0

    def sample(self) -> Sample:
        task, arrays = self.job.task, self.arrays
        defects = arrays[DUALITY][0] if DUALITY in arrays else None
        records = unpack(arrays, [node.name for node in task.network])
        return Sample(
            network=task.network,
            records=records,
            inputs=task.inputs,
            draws=self.job.draws,
            seed=task.seed,
            engine=task.engine,
            device=task.device,
            dtype=task.dtype,
            duality=defects,
        )


def samples(
    jobs: Sequence[Job],
    devices: Sequence[str],
    *,
    chunk: int | None,
    memory: int | None,
    executor: Executor | None,
    progress: bool | None,
) -> Iterator[tuple[int, Sample]]:
    """The sample of each job when its last unit is in, all units on one crew."""
    for job in jobs:
        check_pickle(executor, job.task)
    if memory is not None:
        room = memory - _measurements(jobs)
        jobs = [replace(job, task=job.task.within(room)) for job in jobs]
    most = at_work(jobs, chunk, memory)
    total, units = sum(j.draws for j in jobs), sum(len(j.units) for j in jobs)
    collectors = {i: Collector(job) for i, job in enumerate(jobs)}
    with (
        hired(executor, devices, most, units) as crew,
        bar("drawing networks", total, "draws", progress, long=units > 8) as advance,
    ):
        try:
            for finished in run(jobs, crew):
                index = finished.unit.job
                advance(_drawn(jobs[index], finished.unit.blocks), counted=not finished.kept)
                if collectors[index].add(finished):
                    yield index, collectors.pop(index).sample()
        except (Exception, KeyboardInterrupt) as error:
            resume_note(error, jobs)
            raise


def _drawn(job: Job, blocks: range) -> int:
    """The draws of a unit that the job asked for: the last unit may hold more."""
    return min(blocks.stop * job.task.block, job.draws) - blocks.start * job.task.block


def at_work(jobs: Sequence[Job], chunk: int | None, memory: int | None) -> int:
    """How many units may be under way: within `chunk` draws and `memory` bytes.

    The measurements of the two largest jobs (one ends while the next begins) must fit beside one
    unit; raises ValueError where a bound that was given, or the memory that is free, is too small.
    """
    unit = max(job.task.unit_bytes for job in jobs)
    kept = _measurements(jobs)
    free = memory_free() if memory is None else memory
    needed = kept if memory is None else kept + unit
    if free is not None and needed > free:
        what = "memory is free" if memory is None else "memory may be used"
        raise ValueError(
            f"the measurements of {max(j.draws for j in jobs)} draws take {kept:,} bytes beside "
            f"{unit:,} for one unit of work, and {free:,} bytes of {what}; "
            "ask for fewer draws or points, or use a machine with more"
        )
    most = 10**6 if free is None else max(1, (free - kept) // unit)
    if chunk is not None:
        draws = max(job.task.unit_sizes[1] * job.task.block for job in jobs)
        most = min(most, max(1, chunk // draws))
    return most


def _measurements(jobs: Sequence[Job]) -> int:
    """Bytes of the measurements of the two largest jobs."""
    return sum(sorted(job.measurements for job in jobs)[-2:])
