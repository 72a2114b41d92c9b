"""Error rates that varprop states, against those that were measured.

Drawn from a saved study (`python -m benchmarks calibration`); nothing is measured here. Claims: no
nominal rate is exceeded, of false alarms or of false certification, and the power that a design
promises is reached.
"""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from benchmarks.calibration.cells import DOUBT
from figures import style
from figures.results import Claim, Results
from varprop.stats import Verdict

STUDY = Path(__file__).parents[1] / "benchmarks" / "results" / "calibration.json"
Found = dict[str, Any]

GROUPS = ("ReLU, normal weights", "other weights", "tanh, GELU, pairs", "linear")
PLANTED = {"readout": "a single row", "one": "one layer", "all": "all layers"}
STATEMENTS = {
    "size": "true theories are REFUTED at no more than the nominal rate, at every setting",
    "certification": "theories wrong by the margin are CONFIRMED at no more than the nominal rate",
    "power": "wrong theories are REFUTED as often as the design promises, or more often",
}
NAIVE = ("t on q_L", "pooled neurons")
PANELS = {  # title, and the kind of claim it shows
    "a": ("family-wise false alarms", "size"),
    "b": ("false certification", "certification"),
    "c": ("power, one layer off", "power"),
    "d": ("power, all layers off", "power"),
}
SPREAD = 0.8  # of the points of one nominal rate, where the next rate is at a distance of 1


def parameters(full: bool) -> dict[str, Any]:
    """The same study for both sizes. Raises ValueError where there is none."""
    return {"study": _digest(_read())}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """The rows of the saved study as arrays; `seed` and `device` change nothing."""
    text = _read()
    study = json.loads(text)
    rows = {kind: _rows(study["cells"], kind) for kind in ("size", "certification", "power")}
    arrays = {
        "size": _array(rows["size"], lambda s: _group(s["setting"])),
        "certification": _array(rows["certification"], lambda s: list(PLANTED).index(s["planted"])),
        "naive": _array(_rows(study["cells"], "naive"), lambda s: NAIVE.index(s["method"])),
        "power": _powers(rows["power"]),
    }
    claims = tuple(_claim(kind, found) for kind, found in rows.items() if found)
    about = {
        "parameters": dict(parameters),
        "seed": seed,
        "device": study["environment"]["device"] if device == "auto" else device,
        "study": {key: study[key] for key in ("command", "seed", "environment")},
        "versions": {**study["environment"]["versions"], "python": platform.python_version()},
    }
    return Results(arrays, claims, about)


def _read() -> str:
    try:
        return STUDY.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ValueError(
            f"no saved study at {STUDY}; run `python -m benchmarks calibration --full "
            f"--out {STUDY.parent}` first"
        ) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _rows(cells: Sequence[Found], kind: str) -> list[tuple[Found, Found]]:
    """Settings and row of every measured rate of that kind."""
    return [(c["settings"], row) for c in cells if c["kind"] == kind for row in c["rows"]]


def _group(setting: Found) -> int:
    if setting["activation"] == "identity":
        return 3
    if setting["weights"] != "normal":
        return 1
    return 0 if setting["activation"] == "relu" and setting["inputs"] == 1 else 2


def _array(rows: Sequence[tuple[Found, Found]], code: Any) -> np.ndarray:
    """Rows of (code, nominal, count, rate, low, high)."""
    keys = ("nominal", "count", "rate", "low", "high")
    return np.array([[code(s), *(row[key] for key in keys)] for s, row in rows], float)


def _powers(rows: Sequence[tuple[Found, Found]]) -> np.ndarray:
    """Rows of (all layers, discrepancy, draws, designed, rate, low, high)."""
    return np.array(
        [
            [
                s["planted"] == "all",
                s["discrepancy"],
                row["draws"],
                np.nan if row["nominal"] is None else row["nominal"],
                *(row[key] for key in ("rate", "low", "high")),
            ]
            for s, row in rows
        ],
        float,
    )


def _claim(kind: str, rows: Sequence[tuple[Found, Found]]) -> Claim:
    """Its evidence is the row that is farthest on the wrong side, in standard errors."""
    stated = [pair for pair in rows if pair[1]["nominal"] is not None]
    sign = -1 if kind == "power" else 1

    def excess(pair: tuple[Found, Found]) -> float:
        nominal, trials = pair[1]["nominal"], pair[1]["trials"]
        spread = np.sqrt(nominal * (1 - nominal) / trials)
        return sign * (pair[1]["rate"] - nominal) / max(float(spread), 1e-12)

    settings, row = max(stated, key=excess)
    kept = all(row["kept"] for _, row in stated)
    setting = settings["setting"]
    where = f"{setting['activation']}, {setting['weights']}, width {setting['width']}"
    evidence = (
        f"{len(stated)} rates; worst {row['rate']:.3g} [{row['low']:.3g}, {row['high']:.3g}] "
        f"for {row['nominal']:.3g} ({where}, depth {setting['depth']}, {row['trials']} samples)"
    )
    verdict = Verdict.CONFIRMED if kept else Verdict.REFUTED
    rate = DOUBT / 2 * len(stated)  # the interval is two-sided, the question is not
    return Claim(STATEMENTS[kind], str(verdict), evidence, panel=kind, error_rate=rate)


def draw(results: Results) -> Figure:
    """Measured against nominal rates, and power against networks."""
    note = (
        "Bars: 95 % Clopper-Pearson intervals, one for each setting; a bar without a point: no "
        "event. Black: nominal rates. a: black signs are two tests in common use, on networks of "
        "depth/width 0.05 to 1. b: the theory is off by the margin. c, d: points measured, lines "
        "designed by draws_needed, from power 1/2 up."
    )
    figure = style.page(results, 4.8, note=note)
    panels = figure.subplot_mosaic("aaa;bcd")
    _rates(panels["a"], results.arrays["size"], GROUPS)
    _naive(panels["a"], results.arrays)
    _rates(panels["b"], results.arrays["certification"], tuple(PLANTED.values()))
    power = results.arrays["power"]
    for name, planted in (("c", 0), ("d", 1)):
        _power(panels[name], power[power[:, 0] == planted])
    for name, (title, kind) in PANELS.items():
        style.letter(panels[name], f"{name}  {title}")
        style.doubt(panels[name], results.doubted(kind))
    for name, title in (("a", None), ("b", None), ("c", "off by"), ("d", "off by")):
        panels[name].legend(loc="upper left", title=title, title_fontsize=7, handlelength=1)
    return figure


def _rates(axes: Axes, rows: np.ndarray, names: Sequence[str]) -> None:
    levels = np.unique(rows[:, 1])
    lowest, places = 0.3 * levels.min(), np.arange(len(levels))
    line = {"color": style.INK, "linewidth": 0.8, "zorder": 3}
    axes.hlines(levels, places - 0.47, places + 0.47, **line)
    for k, (name, look) in enumerate(zip(names, style.SERIES, strict=False)):
        own = rows[rows[:, 0] == k]
        if not len(own):
            continue
        x = _beside(rows, own)
        seen = own[:, 2] > 0
        bars = {"color": look["color"], "linewidth": 0.6}
        axes.vlines(x, np.where(seen, own[:, 4], lowest), own[:, 5], **bars)
        points = {"marker": look["marker"], "color": look["color"], "markersize": 2.5}
        axes.plot(x[seen], own[seen, 3], linestyle="none", label=name, **points)
    axes.set(yscale="log", xlabel="nominal rate", ylabel="measured rate", ylim=(lowest, 1))
    axes.set_xticks(places, [f"{level:g}" for level in levels])
    axes.set_xlim(-0.6, len(levels) - 0.3)


def _beside(rows: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Abscissae of one group: those of one nominal rate lie side by side, group after group."""
    x = np.empty(len(own))
    for k, nominal in enumerate(np.unique(rows[:, 1])):
        together = rows[rows[:, 1] == nominal]
        before = int((together[:, 0] < own[0, 0]).sum())
        here = own[:, 1] == nominal
        x[here] = k + SPREAD * ((before + np.arange(here.sum()) + 0.5) / len(together) - 0.5)
    return x


def _naive(axes: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    """Right of the points of the same nominal rate."""
    levels = np.unique(arrays["size"][:, 1])
    for k, (name, marker) in enumerate(zip(NAIVE, "x+", strict=True)):
        own = arrays["naive"][arrays["naive"][:, 0] == k]
        look = {"linestyle": "none", "marker": marker, "color": style.INK, "markersize": 3.5}
        axes.plot(np.searchsorted(levels, own[:, 1]) + 0.55, own[:, 3], label=name, **look)


def _power(axes: Axes, rows: np.ndarray) -> None:
    discrepancies = np.unique(rows[:, 1])[::-1]
    for discrepancy, look in zip(discrepancies, style.SERIES, strict=False):
        own = rows[rows[:, 1] == discrepancy]
        designed = np.isfinite(own[:, 3])
        axes.plot(own[designed, 2], own[designed, 3], color=look["color"], linestyle="-")
        bars = np.maximum(np.abs(own[:, [5, 6]].T - own[:, 4]), 0)
        axes.errorbar(
            own[:, 2], own[:, 4], bars, linestyle="none", color=look["color"], elinewidth=0.6,
            marker=look["marker"], markerfacecolor="white", label=f"{discrepancy:.0%}",
        )  # fmt: skip
    axes.set(xscale="log", xlabel="networks", ylabel="power", ylim=(-0.03, 1.03))
    axes.set_xlim(rows[:, 2].min() / 9)  # room for the legend
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
