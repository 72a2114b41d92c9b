"""The study in words: one Markdown table for each kind of cell."""

from collections.abc import Sequence
from typing import Any

from benchmarks.calibration.cells import DOUBT
from benchmarks.calibration.setting import Setting

Found = dict[str, Any]


def markdown(cells: Sequence[Found], environment: dict[str, Any], command: str) -> str:
    broken = [row for cell in cells for row in cell["rows"] if not row["kept"]]
    rows = sum(len(cell["rows"]) for cell in cells)
    own = [cell for cell in cells if cell["kind"] != "naive"]
    failed = sum(not row["kept"] for cell in own for row in cell["rows"])
    parts = [
        "# Calibration",
        f"`{command}`, seed {cells[0]['seed']}, {environment['date']}, {environment['cpu']}, "
        f"{sum(cell['cpu_s'] for cell in cells):.0f} CPU seconds.",
        "Rates are of independent samples, with 95 % Clopper-Pearson intervals. A rate is marked "
        f"**broken** where its interval at error rate {DOUBT:g} does not reach the nominal one. "
        f"Of varprop's own rates {failed} are broken; of all {rows} rows {len(broken)}.",
    ]
    for kind, section in SECTIONS.items():
        chosen = [cell for cell in cells if cell["kind"] == kind]
        if chosen:
            parts += section(chosen)
    return "\n\n".join(parts) + "\n"


def _sizes(cells: list[Found]) -> list[str]:
    levels = sorted({row["nominal"] for cell in cells for row in cell["rows"]}, reverse=True)
    head = ["setting", "L/n", "networks", "samples", *(f"{level:g}" for level in levels)]
    head.append("untested")
    body = []
    for cell in cells:
        rows = {row["nominal"]: row for row in cell["rows"]}
        untested = max(row["untested"] for row in cell["rows"])
        body.append(
            [
                *_setting(cell),
                cell["settings"]["draws"],
                cell["settings"]["samples"],
                *(_rate(rows[level]) if level in rows else "" for level in levels),
                f"{untested:.1%}" if untested else "",
            ]
        )
    about = (
        "## Size: how often a true theory is REFUTED\n\n"
        "Columns are nominal family-wise error rates. Holm's rule and the halves for steps and "
        "drifts hold whatever the dependence of the rows, so rates somewhat below nominal are "
        "expected; where the theory is not exact, so are rates of almost 0: the null is then a "
        "difference within the margin. `untested`: rows of `compare` that refuse, as networks are "
        "too few for their skewness at the smallest rate."
    )
    return [about, _table(head, body)]


def _certifications(cells: list[Found]) -> list[str]:
    head = ["setting", "L/n", "wrong layers", "off by", "networks", "samples"]
    rates = [row["nominal"] for row in cells[0]["rows"]]
    body = [
        [
            *_setting(cell),
            cell["settings"]["planted"],
            f"{cell['settings']['sign'] * cell['settings']['margin']:+.0%}",
            cell["settings"]["draws"],
            cell["settings"]["samples"],
            *(_rate(row) for row in cell["rows"]),
        ]
        for cell in cells
    ]
    about = (
        "## False certification: how often a theory is CONFIRMED that is wrong by the margin\n\n"
        "The margin is what the theory is off by, less a thousandth. Columns are nominal rates "
        "(`false_pass`). With several rows that see the fault all must miss it, so only a single "
        "row comes near its nominal rate."
    )
    return [about, _table([*head, *(f"{rate:g}" for rate in rates)], body)]


def _powers(cells: list[Found]) -> list[str]:
    head = ["setting", "L/n", "wrong layers", "off by", "networks", "designed", "measured"]
    body = [
        [
            *_setting(cell),
            cell["settings"]["planted"],
            f"{cell['settings']['discrepancy']:+.0%}",
            row["draws"],
            "" if row["nominal"] is None else f"{row['nominal']:.3f}",
            _rate(row),
        ]
        for cell in cells
        for row in cell["rows"]
    ]
    rate = cells[0]["settings"]["error_rate"]
    about = (
        f"## Power: how often a wrong theory is REFUTED at error rate {rate:g}\n\n"
        "`designed` is the power that `draws_needed` promises for the row that looks straight at "
        "the fault; other rows see it too."
    )
    return [about, _table(head, body)]


def _sequential(cells: list[Found]) -> list[str]:
    body = [
        [
            *_setting(cell),
            f"{cell['settings']['discrepancy']:+.1%}" if cell["settings"]["discrepancy"] else "0",
            cell["settings"]["samples"],
            row["what"],
            f"{row['nominal']:g}",
            _rate(row),
            f"{row['draws']:.0f} ± {row['draws_error']:.0f}",
            f"{row['decided']:.0%}",
        ]
        for cell in cells
        for row in cell["rows"]
    ]
    about = (
        "## Runs of `verify`, which draws until it has decided\n\n"
        "The wrong verdict and how often it came; networks drawn, mean and standard error; runs "
        "that came to a verdict."
    )
    head = ["setting", "L/n", "off by", "runs", "wrong verdict", "nominal", "rate", "networks"]
    return [about, _table([*head, "decided"], body)]


def _naive(cells: list[Found]) -> list[str]:
    body = [
        [
            s["method"],
            f"{s['depth'] / s['width']:.2g}",
            f"relu, width {s['width']}, depth {s['depth']}",
            s["draws"],
            s["samples"],
            _rate(cell["rows"][0]),
        ]
        for cell in cells
        for s in [cell["settings"]]
    ]
    about = "## What is not done: sizes of two tests in common use, at 5 %"
    return [about, _table(["test", "L/n", "setting", "networks", "samples", "size"], body)]


SECTIONS = {
    "size": _sizes,
    "certification": _certifications,
    "power": _powers,
    "sequential": _sequential,
    "naive": _naive,
}


def _setting(cell: Found) -> list[str]:
    setting = Setting(**cell["settings"]["setting"])
    return [str(setting), f"{setting.depth / setting.width:.2g}"]


def _rate(row: dict[str, Any]) -> str:
    broken = "" if row["kept"] else " **broken**"
    return f"{row['rate']:.3g} [{row['low']:.2g}, {row['high']:.2g}]{broken}"


def _table(head: Sequence[Any], body: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
