"""Wrong theories and broken engines that `verify` must refute: `python -m benchmarks mutants`.

Plants each mistake of the catalogue on one side only, runs `verify` at its default settings, and
runs the same networks without the mistake; writes mutants.json and mutants.md to --out. Exit
status: 0 where every verdict is what it must be, 1 where one is not, 2 for unusable arguments.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.mutants import study, table
from benchmarks.studies import publish
from benchmarks.timing import cores, environment


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks mutants", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="one seed (default)")
    size.add_argument(
        "--full",
        action="store_true",
        help=f"{study.SEEDS} seeds; {study.CONFIRMING} where CONFIRMED is due",
    )
    parser.add_argument("--out", type=Path, default=Path("build/mutants"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first seed")
    parser.add_argument("--jobs", type=int, default=cores(), metavar="N", help="processes")
    asked = parser.parse_args(arguments)
    if asked.seed < 0 or asked.jobs < 1:
        parser.error("--seed must not be negative, and --jobs at least 1")
    seeds = range(asked.seed, asked.seed + (study.SEEDS if asked.full else 1))
    rows, console = [], Console(stderr=True)
    for row in study.run(seeds, asked.jobs):
        rows.append(row)
        console.print(f"{len(rows)}: {row['name']} {row['verdicts']}", highlight=False)
    command = f"python -m benchmarks mutants --{'full' if asked.full else 'quick'}"
    where = environment()
    document = {"environment": where, "command": command, "seeds": list(seeds), "rows": rows}
    publish(asked.out, "mutants", document, table.markdown(rows, where, command))
    return 0 if all(row["as_expected"] == row["runs"] for row in rows) else 1
