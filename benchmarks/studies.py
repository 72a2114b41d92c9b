"""What the studies share: processes of one thread each, and how results are written."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from varprop.montecarlo.store import replace_file


def processes(jobs: int) -> ProcessPoolExecutor:
    """`jobs` fresh processes, with torch on one thread in each."""
    return ProcessPoolExecutor(jobs, get_context("spawn"), one_thread)


def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def publish(folder: Path, name: str, document: dict[str, Any], markdown: str) -> None:
    """Write NAME.json and NAME.md, each whole or not at all, and print where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending, text in {"json": json.dumps(document, indent=1) + "\n", "md": markdown}.items():
        path = folder / f"{name}.{ending}"
        replace_file(path, text.encode())
        print(path)
