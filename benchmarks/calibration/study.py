"""The whole study: every cell on its own stream, on all cores, each kept when it is finished."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibration import store
from benchmarks.studies import processes
from varprop.montecarlo.describe import digest


def seed_of(cell: Any, seed: int) -> int:
    """The cell's own seed: it depends on the cell and the study's seed, not on the other cells."""
    words = [seed, int(digest(store.describe(cell, seed))[:16], 16)]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def run(cells: Sequence[Any], seed: int, folder: Path, jobs: int) -> Iterator[dict[str, Any]]:
    """The finished cells as they come, those that were kept first; `jobs` processes measure."""
    open_cells = []
    for cell in cells:
        known = store.read(folder, cell, seed)
        if known is None:
            open_cells.append(cell)
        else:
            yield known
    if jobs == 1:
        for cell in open_cells:
            yield measured(cell, seed, folder)
        return
    with processes(jobs) as pool:
        pending = [pool.submit(measured, cell, seed, folder) for cell in open_cells]
        for done in as_completed(pending):
            yield done.result()


def measured(cell: Any, seed: int, folder: Path) -> dict[str, Any]:
    start = time.process_time()
    rows = cell.measure(seed_of(cell, seed))
    store.write(folder, cell, seed, rows, time.process_time() - start)
    found = store.read(folder, cell, seed)
    assert found is not None
    return found
