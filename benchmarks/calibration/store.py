"""Finished cells on disk: a killed study goes on where it stopped.

    FOLDER/<key>.json    kind, settings, seed, rows and CPU seconds of one cell

The key is a hash of the cell, its seed and the code that its numbers depend on: a changed cell, or
changed code, is measured anew. A file appears whole or not at all.
"""

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from varprop.montecarlo.describe import digest
from varprop.montecarlo.store import code_hash, replace_file

ROOT = Path(__file__).parents[2]
JUDGES = ("varprop/comparison", "varprop/stats", "varprop/theory", "benchmarks/calibration")
TELLERS = ("design.py", "study.py", "table.py", "store.py")  # they change no number


def describe(cell: Any, seed: int) -> dict[str, Any]:
    """The cell as it reads when it comes back from its file."""
    return json.loads(
        json.dumps({"kind": cell.kind, "settings": asdict(cell), "seed": seed}, sort_keys=True)
    )


def key(cell: Any, seed: int) -> str:
    return digest(describe(cell, seed) | {"code": _code()})[:32]


@cache
def _code() -> list[str]:
    """Hashes of the sources that draw, and of those that judge."""
    files = [file for folder in JUDGES for file in (ROOT / folder).rglob("*.py")]
    sources = sorted(file for file in files if file.name not in TELLERS)
    return [
        code_hash(),
        *(hashlib.sha256(file.read_bytes()).hexdigest() for file in sources),
    ]


def read(folder: Path, cell: Any, seed: int) -> dict[str, Any] | None:
    """The finished cell, or None. Raises ValueError where its file is not one."""
    path = folder / f"{key(cell, seed)}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        same = describe(cell, seed).items() <= found.items()
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        same = False
    if not same:
        raise ValueError(f"{path} is not the cell of its name; remove it to measure it again")
    return found


def write(folder: Path, cell: Any, seed: int, rows: list[dict[str, Any]], cpu: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = describe(cell, seed) | {"rows": rows, "cpu_s": round(cpu, 2)}
    replace_file(folder / f"{key(cell, seed)}.json", (json.dumps(found, indent=1) + "\n").encode())
