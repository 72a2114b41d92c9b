"""What every benchmark shares: interleaved timing, the floor of the machine, where it ran."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, TypedDict

import torch

PACKAGES = ("varprop", "torch", "numpy", "scipy", "sympy")


class Ratio(TypedDict):
    """A number that the benchmark is about; `goal` says what it should be, such as "<= 1.3"."""

    value: float
    goal: str | None


class Benchmark(TypedDict):
    """What `measure` returns: `rows` become a table, one column for each key of the first row."""

    about: str
    rows: list[dict[str, Any]]
    ratios: dict[str, Ratio]
    notes: list[str]


@dataclass(frozen=True)
class Times:
    """Seconds of one task in each round: `wall` by the clock, `cpu` summed over threads."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    def row(self, case: str, units: float = 1.0) -> dict[str, Any]:
        """A row of a table: medians for one unit of the work, such as one network."""
        return {
            "case": case,
            "wall_ms": 1e3 * statistics.median(self.wall) / units,
            "cpu_ms": 1e3 * statistics.median(self.cpu) / units,
            "wall_ms_least": 1e3 * min(self.wall) / units,
            "rounds": len(self.wall),
        }


def interleaved(tasks: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Times]:
    """Run the tasks in turn, `rounds` times after one round of warming up.

    Each round visits every task, in an order that turns round, so that a slow minute of a shared
    machine hits all of them alike.
    """
    for task in tasks.values():
        task()
    wall: dict[str, list[float]] = {name: [] for name in tasks}
    cpu: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds):
        for name in list(tasks)[:: -1 if turn % 2 else 1]:
            start, before = time.perf_counter(), time.process_time()
            tasks[name]()
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - before)
    return {name: Times(tuple(wall[name]), tuple(cpu[name])) for name in tasks}


def paired(slow: Times, fast: Times, by: str = "wall", scale: float = 1.0) -> float:
    """The median over rounds of slow/fast, both of one round; `scale` where the work differs."""
    pairs = zip(getattr(slow, by), getattr(fast, by), strict=True)
    return scale * statistics.median(a / b for a, b in pairs)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch's own threads within one operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_all_cores(tasks: list[Callable[[], Any]]) -> None:
    """Run the tasks on one thread a core; torch's operations release the interpreter's lock."""
    with threads(1), ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda task: task(), tasks))


def generate_normals(count: int, dtype: torch.dtype = torch.float32, piece: int = 2**19) -> None:
    """The floor of sampling: `count` standard normals on all cores, each core its own stream.

    Written into one buffer a core that stays in its cache, as an engine may do at best.
    """

    def fill(numbers: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        buffer = torch.empty(piece, dtype=dtype)
        for _ in range(numbers // piece):
            buffer.normal_(generator=generator)
        buffer[: numbers % piece].normal_(generator=generator)

    share = -(-count // cores())
    on_all_cores([partial(fill, share, seed) for seed in range(cores())])


def environment() -> dict[str, Any]:
    """Device, processor, versions and load."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
        model = names[0] if names else model
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        "device": device,
        "cpu": model,
        "cores": cores(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "load": list(os.getloadavg()),
        "date": time.strftime("%Y-%m-%d"),
    }
