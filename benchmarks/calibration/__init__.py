"""Error rates that varprop states, measured: `python -m benchmarks calibration`.

Measures cell by cell, writes calibration.json and calibration.md to --out, and keeps finished cells
in --out/cells, so that the same command goes on after a kill. Exit status: 0 where every nominal
rate is kept, 1 where one is not, 2 for arguments that cannot be used.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.calibration import design, store, study, table
from benchmarks.studies import publish
from benchmarks.timing import cores, environment


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks calibration", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a few cells, under a minute (default)")
    size.add_argument("--full", action="store_true", help="every cell, under 40 minutes on 2 cores")
    parser.add_argument("--out", type=Path, default=Path("build/calibration"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--jobs", type=int, default=cores(), metavar="N", help="processes")
    parser.add_argument("--part", type=float, default=1.0, metavar="F", help="of the full samples")
    asked = parser.parse_args(arguments)
    if asked.seed < 0 or asked.jobs < 1 or not 0 < asked.part <= 1:
        parser.error("--seed must not be negative, --jobs at least 1, --part in (0, 1]")
    cells = design.full(asked.part) if asked.full else design.quick()
    found = measure(cells, asked.seed, asked.out / "cells", asked.jobs)
    command = f"python -m benchmarks calibration --{'full' if asked.full else 'quick'}"
    command += f" --part {asked.part:g}" if asked.part < 1 else ""
    where = environment()
    document = {"environment": where, "command": command, "seed": asked.seed, "cells": found}
    publish(asked.out, "calibration", document, table.markdown(found, where, command))
    return 0 if all(r["kept"] for c in found if c["kind"] != "naive" for r in c["rows"]) else 1


def measure(cells: Sequence[Any], seed: int, folder: Path, jobs: int) -> list[dict[str, Any]]:
    """The finished cells in the order of the design."""
    console, start = Console(stderr=True), time.perf_counter()
    found: dict[str, dict[str, Any]] = {}
    for cell in study.run(cells, seed, folder, jobs):
        found[_name(cell)] = cell
        broken = sum(not row["kept"] for row in cell["rows"])
        console.print(
            f"{len(found)}/{len(cells)} {time.perf_counter() - start:.0f} s: {cell['kind']}, "
            f"{cell['cpu_s']:.0f} CPU s{f', {broken} broken' if broken else ''}",
            highlight=False,
        )
    return [found[_name(store.describe(cell, seed))] for cell in cells]


def _name(described: dict[str, Any]) -> str:
    return json.dumps([described["kind"], described["settings"]], sort_keys=True)
