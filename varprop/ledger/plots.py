"""Inline SVG plots: predicted lines over measured points, readable on any background.

Text and axes take the colour of the page (`currentColor`); the text is drawn as paths, so a page
needs no font. Equal evidence gives equal bytes.
"""

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from varprop.ledger.claim import Evidence, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"  # replaced by the colour of the page
COLOURS = ("#2f7fc1", "#d5722b", "#2e9d6b", "#a667c4", "#b58a1b", "#c94f6d", "#6f7f8f")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "varprop",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.2,
}
HUGE = 1e200  # beyond it the margins and ticks of Matplotlib overflow
INSIDE = 3  # series whose legend fits into the axes
MARGINS = {"left": 0.15, "right": 0.98, "bottom": 0.17, "top": 0.96}  # a constrained layout: double
CROWDED = 40  # from so many points on, bounds are a band and not bars


def svg(evidence: Evidence, prefix: str) -> str:
    """One `<svg>` element with every series; `prefix` keeps its ids apart from other plots'."""
    import matplotlib
    from matplotlib.figure import Figure

    file = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        beside = len(evidence.series) > INSIDE  # only then is the room of the legend unknown
        figure = Figure(figsize=(6.6, 2.9), layout="constrained" if beside else None)
        draw(figure.subplots(gridspec_kw=None if beside else MARGINS), evidence)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    return _inline(file.getvalue(), prefix, evidence.name)


def draw(axes: "Axes", evidence: Evidence) -> None:
    """The series on `axes`; logarithmic where all is positive and spans more than a decade."""
    from matplotlib.ticker import MaxNLocator

    for place, series in enumerate(evidence.series):
        _draw(axes, series, COLOURS[place % len(COLOURS)], place)
    if _spans(evidence.series):
        axes.set_yscale("log", nonpositive="clip")
    axes.set_xlabel(evidence.axes[0])
    axes.set_ylabel(evidence.axes[1])
    x = np.concatenate([_finite(series.x) for series in evidence.series])
    room = 0.02 * np.ptp(x) or 0.5
    axes.set_xlim(x.min() - room, x.max() + room)  # also over what overflowed
    whole = bool((x == np.round(x)).all())
    axes.xaxis.set_major_locator(MaxNLocator(integer=whole, min_n_ticks=1))
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > INSIDE:
        axes.legend(handles, labels, loc="center left", bbox_to_anchor=(1, 0.5))
    elif any(labels) and labels != [evidence.axes[1]]:
        axes.legend(handles, labels, loc="best")


def _draw(axes: "Axes", series: Series, colour: str, place: int) -> None:
    x, measured = _finite(series.x), _finite(series.measured)
    if series.predicted is not None:
        dash = {"marker": "_", "markersize": 24} if len(x) == 1 else {}
        axes.plot(x, _finite(series.predicted), color=colour, zorder=2, **dash)
    points = {"color": colour, "linestyle": "none", "zorder": 3, "label": series.label}
    axes.plot(x, measured, marker="osD^v"[place % 5], markerfacecolor="none", **points)
    low = measured if series.low is None else _finite(series.low)
    high = measured if series.high is None else _finite(series.high)
    if low is measured and high is measured:
        return
    if len(x) >= CROWDED:
        axes.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0, zorder=1)
    else:
        axes.vlines(x, low, high, color=colour, linewidth=1, zorder=1)


def _finite(values: tuple[float, ...]) -> np.ndarray:
    """What is not finite, or leaves no room for an axis, becomes a gap."""
    array = np.asarray(values, dtype=float)
    size = np.abs(array)
    return np.where((size < HUGE) & ((size > 1 / HUGE) | (size == 0)), array, np.nan)


def _spans(many: tuple[Series, ...]) -> bool:
    columns = [column for s in many for column in (s.measured, s.predicted) if column is not None]
    values = np.concatenate([_finite(column) for column in columns])
    values = values[~np.isnan(values)]
    return bool(values.size and values.min() > 0 and values.max() > 10 * values.min())


def _inline(text: str, prefix: str, title: str) -> str:
    """Matplotlib's file as an element of an HTML page: no prologue, no namespaces, own ids."""
    from html import escape

    text = text[text.index("<svg") :].replace(INK, "currentColor").replace("xlink:href", "href")
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    label = f'<svg role="img" aria-label="{escape(title)}"'
    return text.replace("<svg", label, 1).strip()
