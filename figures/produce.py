"""Compute where needed, save, load, draw, write the files of one figure."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import matplotlib
import matplotlib.style
from matplotlib.figure import Figure

from figures import style
from figures.results import Results


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
    """The files `name`.npz, .pdf, .png and .json (the manifest) in `out`, and .md if it reports.

    Saved results of the same parameters, seed, device and version are drawn again as they are.
    Nothing is written where `compute` raises.
    """
    saved = out / f"{name}.npz"
    results = Results.load(saved)
    computed = results is None or not results.match(parameters, seed, device)
    if computed:
        fresh = module.compute(parameters, seed, device)
        out.mkdir(parents=True, exist_ok=True)
        fresh.save(saved)
        results = Results.load(saved)
    assert results is not None
    drawings = render(module, results, out / name)
    manifest = out / f"{name}.json"
    report = getattr(module, "report", None)
    page = () if report is None else (out / f"{name}.md",)
    for path in page:
        path.write_text(report(results), encoding="utf-8")
    document = {"figure": name, **results.manifest(), "drawn_with": matplotlib.__version__}
    manifest.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Produced(results, computed, (saved, *drawings, *page, manifest))


def render(module: Drawable, results: Results, stem: Path) -> tuple[Path, ...]:
    """Draw in the one style, whatever the reader's own settings are."""
    paths = []
    with matplotlib.style.context(["default", style.RC]):
        figure = module.draw(results)
        style.settle(figure)
        for kind, metadata in style.METADATA.items():
            paths.append(stem.with_suffix(f".{kind}"))
            figure.savefig(paths[-1], metadata=metadata)
    return tuple(paths)
