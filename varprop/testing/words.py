"""The text of a failure: what differs, by how much, what it rests on, and how to ask again."""

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from varprop.comparison import Judged, Report

SHOWN = 5  # rows that a failure names


def described(what: str, rows: Sequence["Judged"], report: "Report", false_pass: float) -> str:
    lines = [what, *map(_line, rows[:SHOWN])]
    if len(rows) > SHOWN:
        lines.append(f"  and {len(rows) - SHOWN} more")
    networks = "1 draw" if report.draws == 1 else f"{report.draws} draws"
    lines.append(
        f"{networks} ({report.engine} engine), seed {report.seed}, margin {report.margin:.3g}, "
        f"error rate {report.error_rate:.3g}, false pass {false_pass:.3g}"
    )
    return "\n".join(lines)


def damning(report: "Report", verdict: str) -> list["Judged"]:
    """The rows of that verdict, the least probable first."""
    rows = [row for row in report.rows() if row.verdict == verdict]
    return sorted(rows, key=lambda row: (row.p_value, -abs(row.gap)))


def untested(report: "Report") -> list["Judged"]:
    return [row for row in report.rows() if isnan(row.gap)]


def _line(row: "Judged") -> str:
    pair = "" if row.other is None else f"[{row.point}, {row.other}]"
    where = f"  {row.node} {row.quantity}{pair}"
    if isnan(row.gap):
        return f"{where}: not tested; {row.note}"
    effect = f"effect {row.gap:+.2%} in [{row.low:+.2%}, {row.high:+.2%}] ({row.test} test)"
    return f"{where}: {effect}{'; ' + row.note if row.note else ''}"
