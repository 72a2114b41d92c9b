"""The study in Markdown."""

from collections.abc import Sequence
from typing import Any

HEAD = ("mistake", "planted in", "effect", "verdicts", "worst row", "its gap", "draws", "CPU s")


def markdown(rows: Sequence[dict[str, Any]], environment: dict[str, Any], command: str) -> str:
    """One table for each kind of row."""
    kinds = ("mistake", "near-truth", "control")
    mutants, harmless, controls = ([row for row in rows if row["kind"] == kind] for kind in kinds)
    parts = [
        "# Mutation study",
        f"`{command}`, {environment['date']}, {environment['cpu']}.",
        "Each mistake is planted on one side, in the theory or in the engine; `verify` then runs "
        "at its default settings (margin 5 %, error rate 1e-6, false pass 1e-4). The effect is "
        "measured against expected, relative, as the rules give it, where it is largest; the gap "
        "is that of the worst row, per layer where nodes are written a..b. Gap, draws and seconds "
        "are medians over seeds.",
        f"## Mistakes: REFUTED in {_ratio(mutants)}",
        _table(mutants),
        f"## Near-truths: CONFIRMED in {_ratio(harmless)}",
        "No second moment differs, or by far less than the margin. What `verify` does not judge, "
        "such as the fluctuation of lengths, does differ.",
        _table(harmless),
        f"## The same networks without a mistake: CONFIRMED in {_ratio(controls)}",
        _table(controls),
    ]
    return "\n\n".join(parts) + "\n"


def _ratio(rows: Sequence[dict[str, Any]]) -> str:
    return f"{sum(row['as_expected'] for row in rows)} of {sum(row['runs'] for row in rows)} runs"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [HEAD, ["---"] * len(HEAD), *map(_line, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(row: dict[str, Any]) -> list[str]:
    size = "unknown" if row["effect"] is None else f"{row['effect']:+.1%}"
    return [
        f"**{row['name']}**. {row['mistake']}",
        row["side"],
        f"{size} {row['at']}".strip(),
        row["verdicts"],
        row["worst"],
        f"{row['gap']:+.1%}",
        str(row["draws"]),
        f"{row['cpu_s']:.2f}",
    ]
