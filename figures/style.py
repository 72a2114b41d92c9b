"""How every figure looks: column widths, type, colours, and the caption of verdicts."""

import re
import textwrap
from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from figures.results import Claim, Results
from varprop.stats import Verdict, overall

COLUMN, PAGE = 3.25, 6.75  # inches
SMALL = 6  # points: the smallest type, for the caption and marks
LINE = 0.115  # inches per caption line
LETTERS = 22.5  # per inch of caption
INK, PALE = "#222222", "#BBBBBB"
ALARM = "#D55E00"  # only for claims that are not CONFIRMED
# Okabe and Ito (2008): told apart by readers with any colour vision.
SERIES = (
    {"color": "#CC79A7", "marker": "v", "linestyle": (0, (4, 1, 1, 1))},
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#E69F00", "marker": "s", "linestyle": (0, (2, 2))},
    {"color": "#009E73", "marker": "^", "linestyle": (0, (5, 1.5))},
)

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "figure.dpi": 300,  # texts have other widths at other resolutions: the layout is for this one
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "varprop",
}

SYMBOLS = {
    "σ_w²": r"\sigma_w^2",
    "σ_b²": r"\sigma_b^2",
    "ξ_q": r"\xi_q",
    "ξ_c": r"\xi_c",
    "ξ_∇": r"\xi_\nabla",
    "χ⊥": r"\chi_\perp",
    "χ∥": r"\chi_\parallel",
    "|x_L|²": r"|x_L|^2",
}

# No dates and no version of the drawing library: the same results give the same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": "varprop", "Producer": "varprop"},
}


def page(results: Results, height: float, note: str, width: float = PAGE) -> Figure:
    """An empty figure of `height` inches; under it what it shows and the verdicts."""
    plain: dict[str, Any] = {"color": INK}
    alarm: dict[str, Any] = {"color": ALARM, "fontweight": "bold"}
    entries = [(plain, _lines(note, int(width * LETTERS)))]
    for claim in told(results.claims):
        entries.append((plain if claim.confirmed else alarm, wrapped(claim, width)))
    below = LINE * (sum(len(lines) for _, lines in entries) + 0.7)
    total = height + below
    layout = ConstrainedLayoutEngine(rect=(0, below / total, 1, height / total))
    figure = Figure(figsize=(width, total), layout=layout)
    y = below - 0.3 * LINE
    for look, lines in entries:
        for line in lines:
            figure.text(0.06 / width, y / total, line, fontsize=SMALL, va="top", **look)
            y -= LINE
    return figure


def settle(figure: Figure) -> None:
    """Fix the layout at rounded positions: the solver's last digits differ from run to run."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        bounds = [round(float(edge), 6) for edge in axes.get_position().bounds]
        axes.set_position((bounds[0], bounds[1], bounds[2], bounds[3]))


def told(claims: Iterable[Claim]) -> list[Claim]:
    """One claim for each statement: the verdict on all its parts, and the weakest evidence."""
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(claim.statement, []).append(claim)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[Claim]) -> Claim:
    verdict = str(overall(Verdict(claim.verdict) for claim in group))
    doubted = [claim for claim in group if not claim.confirmed]
    evidence = "; ".join(f"{claim.series or claim.panel}: {claim.evidence}" for claim in doubted)
    widest = max(group, key=lambda claim: abs(claim.gap))
    return Claim(widest.statement, verdict, evidence or widest.evidence)


def wrapped(claim: Claim, width: float) -> list[str]:
    """The caption lines of a claim; bold type is wider."""
    letters = int(width * (LETTERS if claim.confirmed else 0.87 * LETTERS))
    return _lines(f"{claim.verdict}: {claim.statement}. {claim.evidence}", letters)


def _lines(text: str, letters: int) -> list[str]:
    """The lines of a caption; relations such as "q = 1" stay on one, and so does "95 %"."""
    text = text.replace(" %", "\u00a0%")
    return textwrap.wrap(re.sub(r" ([=<>≤≥×]) ", "\u00a0\\1\u00a0", text), letters)


def doubt(axes: Axes, verdict: str, where: tuple[float, float] = (0.5, 0.5)) -> None:
    """Mark axes on which something is drawn that is not CONFIRMED; nothing for no verdict."""
    if not verdict:
        return
    for spine in axes.spines.values():
        spine.set(color=ALARM, visible=True, linewidth=1.2)
    box = {"facecolor": "white", "edgecolor": ALARM, "linewidth": 0.8, "pad": 2}
    axes.text(
        *where, verdict, transform=axes.transAxes, color=ALARM, fontsize=8, fontweight="bold",
        ha="center", va="center", bbox=box, zorder=10,
    )  # fmt: skip


def doubt_rest(figure: Figure, results: Results) -> None:
    """Mark every panel for the claims that the drawing asked nothing about."""
    verdict = results.unmarked()
    for axes in figure.axes:
        if axes.get_label() != "<colorbar>":
            doubt(axes, verdict)


def typeset(text: str) -> str:
    """Symbols with indices set as mathematics, for labels; captions keep them in plain text."""
    for plain, tex in SYMBOLS.items():
        text = text.replace(plain, f"${tex}$")
    return text


def letter(axes: Axes, text: str) -> None:
    """A title at the left of the panel."""
    axes.set_title(typeset(text), loc="left", pad=3)
