"""python -m benchmarks [names] [--quick] [--out FILE]: measure, print tables, write JSON."""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import NAMES, STUDIES
from benchmarks.timing import Benchmark, environment
from varprop.montecarlo.store import replace_file


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in STUDIES:
        sys.exit(import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    parser.add_argument("--out", type=Path, help="write the measurements to this file, as JSON")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    console, found = Console(), {}
    where = environment()
    for name in options.names or NAMES:
        found[name] = import_module(f"benchmarks.{name}").measure(options.quick)
        if options.out is not None:  # what follows may take hours, or fail
            text = json.dumps({"environment": where, "quick": options.quick, **found}, indent=1)
            replace_file(options.out, (text + "\n").encode())
        show(console, name, found[name])


def show(console: Console, name: str, measured: Benchmark) -> None:
    columns = list(measured["rows"][0]) if measured["rows"] else []
    table = Table(*columns, title=f"{name}: {measured['about']}", title_justify="left")
    for row in measured["rows"]:
        table.add_row(*(_text(row.get(column)) for column in columns))
    console.print(table)
    for what, ratio in measured["ratios"].items():
        goal = f"  (goal {ratio['goal']})" if ratio["goal"] else ""
        console.print(f"{what}: {ratio['value']:.3g}{goal}", highlight=False)
    for note in measured["notes"]:
        console.print(note, highlight=False)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


if __name__ == "__main__":
    main()
