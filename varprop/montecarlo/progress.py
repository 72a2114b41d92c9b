"""Progress of long work: a bar with the rate and the time left, on terminals only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def bar(
    what: str, total: int, unit: str, progress: bool | None, long: bool = True
) -> Iterator[Callable[..., None]]:
    """A function `advance(done, counted=True)` that moves a bar towards `total`.

    Shown where `progress` says so; by default for `long` work on a terminal. What is not `counted`,
    such as results that a store had kept, is left out of the rate and of the time left.
    """
    if progress is None:
        progress = long and sys.stderr.isatty()
    if not progress:
        yield lambda done, counted=True: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    pace = TextColumn("{task.fields[rate]}")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), pace
    with Progress(*columns, console=console, transient=console.is_terminal) as shown:
        task = shown.add_task(what, total=total, rate="")
        clock = Rate(total, unit)

        def advance(done: int, counted: bool = True) -> None:
            shown.update(task, advance=done, rate=clock.after(done, counted))

        yield advance


class Rate:
    """`after(done)` says how fast the work goes and how long the rest takes at that pace."""

    def __init__(self, total: int, unit: str, clock: Callable[[], float] | None = None) -> None:
        from time import monotonic

        self._clock = clock or monotonic
        self._start, self._left, self._done, self._unit = self._clock(), total, 0, unit

    def after(self, done: int, counted: bool = True) -> str:
        self._left -= done
        self._done += done if counted else 0
        elapsed = self._clock() - self._start
        if not self._done or elapsed <= 0:
            return ""
        rate = self._done / elapsed
        seconds = max(0, round(self._left / rate))
        hours, minutes = seconds // 3600, seconds // 60 % 60
        return f"{rate:.3g} {self._unit}/s, {hours}:{minutes:02}:{seconds % 60:02} left"


def tracked(steps: range, what: str, progress: bool | None) -> Iterator[Any]:
    """The steps, with a progress bar where wanted: by default for several steps on a terminal."""
    with bar(what, len(steps), "steps", progress, long=len(steps) > 8) as advance:
        for step in steps:
            yield step
            advance(1)
