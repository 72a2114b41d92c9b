"""The page that shows every figure: what it claims, what was found, and how to make it again.

Written from saved results alone; the same results give the same bytes. Thumbnails are small, so
that they can lie in the repository.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from figures.judging import false_alarms
from figures.produce import Drawable
from figures.results import Results
from figures.style import told
from varprop.montecarlo.store import replace_file

PAGE = Path(__file__).with_name("README.md")
THUMBNAILS = "thumbnails"
WIDTH, COLORS = 810, 128  # pixels, and entries of the palette: some 35 kB a figure
SIZES = {False: "--quick", True: "--full"}


class Shown(NamedTuple):
    """One figure of the page; `seconds` of processor time that its computing took."""

    name: str
    about: str
    results: Results
    command: str
    seconds: float


def write(
    modules: Mapping[str, Drawable], out: Path, page: Path = PAGE, absent: Sequence[str] = ()
) -> tuple[Path, ...]:
    """The page and its thumbnails, of the figures that lie in `out`; `absent` ones are named.

    Raises ValueError where figures are missing, or were made from parameters that are not theirs.
    """
    shown = _found(modules, out)
    folder = page.parent / THUMBNAILS
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{name}.png" for name in modules]
    for path in written:
        replace_file(path, thumbnail((out / path.name).read_bytes()))
    for stale in set(folder.glob("*.png")) - set(written):
        stale.unlink()
    replace_file(page, _page(shown, absent).encode())
    return (page, *written)


def thumbnail(png: bytes) -> bytes:
    """The drawing, smaller and in few colours."""
    with Image.open(io.BytesIO(png)) as image:
        height = round(image.height * WIDTH / image.width)
        small = image.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    few = small.quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(file, "png", optimize=True)
    return file.getvalue()


def _found(modules: Mapping[str, Drawable], out: Path) -> list[Shown]:
    saved = {name: Results.load(out / f"{name}.npz") for name in modules}
    missing = [
        name
        for name, results in saved.items()
        if results is None
        or not all((out / f"{name}.{kind}").exists() for kind in ("png", "time.json"))
    ]
    if missing:
        raise ValueError(
            f"{out} lacks {', '.join(missing)}; first run `python -m figures "
            f"{' '.join(missing)} --out {out}`"
        )
    return [_shown(name, modules[name], results, out) for name, results in saved.items() if results]


def _shown(name: str, module: Drawable, results: Results, out: Path) -> Shown:
    made = results.about["parameters"]
    source = {"data": made["data"]} if "data" in made else {}  # of a training figure
    sizes = [s for full, s in SIZES.items() if module.parameters(full, **source) == made]
    if not sizes:
        raise ValueError(
            f"the results of {name} in {out} are of other parameters than it has now; run "
            f"`python -m figures {name} --out {out}` again"
        )
    words = ["python -m figures", name]
    words += sizes if len(sizes) == 1 else []
    words += [f"--seed {results.about['seed']}"] if results.about["seed"] else []
    words += ["--data DIR"] if source and source["data"] != "digits" else []
    took = json.loads((out / f"{name}.time.json").read_text(encoding="utf-8"))
    about = (module.__doc__ or "").strip().splitlines()[0]
    return Shown(name, about, results, " ".join(words), took["cpu_seconds"])


def _page(shown: list[Shown], absent: Sequence[str]) -> str:
    seconds, chance = sum(s.seconds for s in shown), false_alarms([s.results for s in shown])
    head = f"""# Figures

Written by `python -m figures gallery` from saved results; not edited by hand.

```bash
python -m figures --quick           # all but those of training into build/figures, PDF and PNG
python -m figures training --quick  # these, which take minutes
python -m figures {shown[0].name} --full --seed 1 --device cuda --out elsewhere
python -m figures gallery           # this page, from what lies in build/figures
```

Each figure is one module, `figures/<name>.py`, that computes, judges its claims, and draws from the
saved results: copy one to make your own. Beside each drawing lie its results (`.npz`), its manifest
(`.json`: parameters, seed, versions, device, dtype, engine, state of the checkout, data, claims and
verdicts) and the time that computing took (`.time.json`). A run goes on where it was interrupted.

The {len(shown)} figures took {seconds / 60:.1f} minutes of one core. A claim that is not CONFIRMED
is marked where it is drawn. {chance[0].upper()}{chance[1:]}.
"""
    rows = [
        " | ".join(
            [f"| [{s.name}](#{s.name})", _plain(s.about), s.results.verdict, f"{_time(s)} |"]
        )
        for s in shown
    ]
    if absent:
        head += f"\nNot shown, because they take longer: {', '.join(map(_plain, absent))}.\n"
    table = "\n".join(["| figure | | verdict | one core |", "|---|---|---|--:|", *rows])
    return "\n".join([head, table, *(_section(one) for one in shown)]).rstrip("\n") + "\n"


def _section(one: Shown) -> str:
    claims = [
        f"- {claim.verdict}: {_plain(claim.statement)}. {_plain(claim.evidence)}."
        for claim in told(one.results.claims)
    ]
    lines = "\n".join(claims)
    return f"""
## {one.name}

{_plain(one.about)}

![{one.name}]({THUMBNAILS}/{one.name}.png)

{lines}

`{one.command}` ({_time(one)} of one core)"""


def _time(one: Shown) -> str:
    return f"{one.seconds:.0f} s" if one.seconds >= 1 else "under 1 s"


def _plain(text: Any) -> str:
    """Text in which Markdown finds no marks."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", str(text))
