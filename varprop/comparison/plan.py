"""plan: what `verify` will take, before it runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from varprop.comparison.checks import check_open_half
from varprop.comparison.design import Design
from varprop.comparison.identities import broken_rules
from varprop.comparison.judge import judge
from varprop.comparison.verify import judged_theory
from varprop.montecarlo import Sample, simulate
from varprop.montecarlo.devices import find_devices
from varprop.montecarlo.growing import memory_needed
from varprop.montecarlo.runner import Here, own_workers
from varprop.montecarlo.simulate import make_task
from varprop.montecarlo.task import Task
from varprop.network import Network
from varprop.results import Result
from varprop.stats import Look
from varprop.theory import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PILOT = 0.25  # seconds that the last batch takes at least
LARGER = 3  # a batch beside the one before


class Planned(NamedTuple):
    """A look: its draws and levels, and the seconds and bytes that the run takes up to it."""

    draws: int
    error_rate: float
    false_pass: float
    seconds: float
    memory: int


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Result):
    """What `verify` takes at the margin `discrepancy`, at most; most runs end before.

    At `draws` networks a look decides every step whose null law is exact. So a true theory is
    confirmed, but for `false_fail`, and one with a step off by `discrepancy` is refuted, but for
    `false_pass`. A true theory is confirmed at `usual` networks with probability 0.999, all error
    rates spent at once. `seconds` by the clock, on `workers` threads; `memory` in bytes.
    """

    looks: tuple[Planned, ...]
    usual: int
    discrepancy: float
    false_fail: float
    false_pass: float
    engine: str
    device: str
    dtype: str
    workers: int

    @property
    def draws(self) -> int:
        """Networks at the last look: the most that `verify` draws."""
        return self.looks[-1].draws

    @property
    def seconds(self) -> float:
        """By the clock, up to the last look."""
        return self.looks[-1].seconds

    @property
    def memory(self) -> int:
        """Bytes held at a time, up to the last look."""
        return self.looks[-1].memory

    def rows(self) -> Iterator[Planned]:
        return iter(self.looks)

    def plot(self, quantity: str = "seconds", ax: "Axes | None" = None) -> "Axes":
        """`quantity` up to each look against its draws."""
        import matplotlib.pyplot as plt

        axes = plt.subplots(figsize=(6.75, 3))[1] if ax is None else ax
        axes.loglog([look.draws for look in self.looks], self.frame()[quantity], "o-", markersize=3)
        axes.set_xlabel("draws")
        axes.set_ylabel(quantity)
        return axes

    def __str__(self) -> str:
        return (
            f"at most {self.draws} networks (usually under {self.usual}) decide at margin "
            f"{100 * self.discrepancy:g}%, false alarms {self.false_fail:.0e}, false passes "
            f"{self.false_pass:.0e}: about {self.seconds:.2g} s and {self.memory / 1e6:.3g} MB "
            f"({self.engine}, {self.dtype} on {self.device}, {self.workers} workers)"
        )


def plan(
    network: Network,
    discrepancy: float = 0.05,
    false_fail: float = 1e-6,
    false_pass: float = 1e-4,
    *,
    inputs: Any = None,
    engine: str = "explicit",
    device: str = "auto",
    dtype: "str | torch.dtype" = "float32",
) -> Plan:
    """The draws, time and memory of `verify` at this margin and these error rates.

    The time is that of a pilot of about a second on one worker (of two units of work, where they
    take longer), shared among the workers that a run has of its own. Raises ValueError for what
    `verify` refuses.
    """
    check_open_half(discrepancy=discrepancy, false_fail=false_fail, false_pass=false_pass)
    theory = judged_theory(network, inputs)
    design, devices = Design.of(theory, false_fail), find_devices(device)
    looks = design.looks(discrepancy, false_fail, false_pass)
    task = make_task(network, inputs, 0, device, dtype, engine, True)
    workers = own_workers(devices) * len(devices)
    usual = design.draws(discrepancy, false_pass)
    cost = _pilot(theory, task, usual, looks[-1], discrepancy)
    seconds = cost.seconds(looks, workers)
    return Plan(
        looks=tuple(
            Planned(*look, s, memory_needed(task, look.draws, devices))
            for look, s in zip(looks, seconds, strict=True)
        ),
        usual=usual,
        discrepancy=discrepancy,
        false_fail=false_fail,
        false_pass=false_pass,
        engine=task.engine,
        device=task.device,
        dtype=task.dtype,
        workers=workers,
    )


class Cost(NamedTuple):
    """Seconds: once, to draw one network on one worker, and for a look at R of them: a + b R."""

    once: float
    drawing: float
    look: float
    judging: float

    def seconds(self, looks: Sequence[Look], workers: int) -> list[float]:
        """Up to each look."""
        draws = np.array([look.draws for look in looks])
        judged = np.cumsum(self.look + self.judging * draws)
        return list(map(float, self.once + self.drawing / workers * draws + judged))


def _pilot(theory: Prediction, task: Task, usual: int, look: Look, margin: float) -> Cost:
    """From batches of growing size, the first one to warm up, and a look at `usual` networks."""

    def judging(sample: Sample) -> float:
        start = perf_counter()
        judge(theory, sample, (), margin, look)
        return perf_counter() - start

    draws = max(2, task.block)
    few, _ = _batch(task, draws)
    judging(few)
    start = perf_counter()
    tuple(broken_rules(theory))
    once = perf_counter() - start
    sample, drawn = _batch(task, draws)
    while drawn < PILOT:
        draws *= LARGER
        sample, drawn = _batch(task, draws)
    networks = task.units(draws)[-1].stop * task.block  # units are drawn whole
    many = _repeated(sample, usual)
    start, end = judging(few), judging(many)
    rate = max(0.0, end - start) / max(1, many.draws - few.draws)
    return Cost(once, drawn / networks, max(0.0, end - rate * many.draws), rate)


def _batch(task: Task, draws: int) -> tuple[Sample, float]:
    """A sample, drawn on one worker, and the seconds that it took."""
    start = perf_counter()
    sample = simulate(
        task.network,
        task.inputs,
        draws=draws,
        seed=task.seed,
        device=task.device,
        dtype=task.dtype,
        engine=task.engine,
        executor=Here(),
        progress=False,
    )
    return sample, perf_counter() - start


def _repeated(sample: Sample, draws: int) -> Sample:
    """Its networks again and again: what a look at so many costs."""
    turn = np.arange(max(draws, sample.draws)) % sample.draws
    records = {
        name: replace(record, **{f: v[turn] for f, v in vars(record).items() if v is not None})
        for name, record in sample.records.items()
    }
    duality = None if sample.duality is None else sample.duality[turn]
    return replace(sample, records=records, draws=len(turn), duality=duality)
