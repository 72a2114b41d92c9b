"""Compute where needed, save, load, draw, write the files of one figure."""

import io
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import matplotlib
import matplotlib.style
from matplotlib.figure import Figure

from figures import checkout, style
from figures.results import Results
from varprop.montecarlo.store import replace_file


class Drawable(Protocol):
    """What each figure's module offers; where it has `report(results)`, a page of Markdown too."""

    parameters: Callable[[bool], dict[str, Any]]
    compute: Callable[[Mapping[str, Any], int, str], Results]
    draw: Callable[[Results], Figure]


class Produced(NamedTuple):
    results: Results
    computed: bool
    files: tuple[Path, ...]


def produce(
    name: str, module: Drawable, parameters: Mapping[str, Any], seed: int, device: str, out: Path
) -> Produced:
    """The files `name`.npz, .pdf, .png, .json (the manifest) and .time.json in `out`.

    Where the figure reports, .md too.

    Saved results of the same parameters, seed, device and version are drawn again as they are.
    Nothing is written where `compute` raises, and no file is ever half written. All but the times
    that computing took have the same bytes for the same results.
    """
    saved, times = out / f"{name}.npz", out / f"{name}.time.json"
    results = Results.load(saved)
    computed = results is None or not results.match(parameters, seed, device)
    if computed:
        wall, processors = time.perf_counter(), _processor_seconds()
        fresh = module.compute(parameters, seed, device)
        took = {
            "wall_seconds": round(time.perf_counter() - wall, 2),
            "cpu_seconds": round(_processor_seconds() - processors, 2),
        }
        out.mkdir(parents=True, exist_ok=True)
        replace_file(times, _json(took))  # before the results, which make the figure a finished one
        replace(fresh, about={**fresh.about, "git": checkout.state()}).save(saved)
        results = Results.load(saved)
    assert results is not None
    drawings = render(module, results, out / name)
    manifest = out / f"{name}.json"
    report = getattr(module, "report", None)
    page = () if report is None else (out / f"{name}.md",)
    for path in page:
        replace_file(path, report(results).encode())
    document = {"figure": name, **results.manifest(), "drawn_with": matplotlib.__version__}
    replace_file(manifest, _json(document))
    return Produced(results, computed, (saved, *drawings, *page, manifest, times))


def _processor_seconds() -> float:
    """Of this process, all its threads, and of the child processes that ended."""
    return sum(os.times()[:4])


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def render(module: Drawable, results: Results, stem: Path) -> tuple[Path, ...]:
    """Draw in the one style, whatever the reader's own settings are."""
    paths = []
    with matplotlib.style.context(["default", style.RC]):
        figure = module.draw(results)
        style.doubt_rest(figure, results)
        style.settle(figure)
        for kind, metadata in style.METADATA.items():
            drawn = io.BytesIO()
            figure.savefig(drawn, format=kind, metadata=metadata)
            paths.append(stem.with_suffix(f".{kind}"))
            replace_file(paths[-1], drawn.getvalue())
    return tuple(paths)
