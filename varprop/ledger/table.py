"""The ledger as a table for the terminal and as JSON."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varprop.ledger.claim import Evidence, Outcome, Settings
from varprop.ledger.run import seeded
from varprop.stats import Verdict

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA = 1
STYLES = {Verdict.CONFIRMED: "green", Verdict.REFUTED: "magenta", Verdict.UNDECIDED: "yellow"}
DAMAGE = (Verdict.REFUTED, Verdict.UNDECIDED, Verdict.CONFIRMED)


def status(outcome: Outcome) -> str:
    """ "as expected", "unproved" (its proof fails), "undecided", or else "contradicted"."""
    if outcome.as_expected:
        return "as expected"
    if not outcome.proved:
        return "unproved"
    return "undecided" if outcome.verdict is Verdict.UNDECIDED else "contradicted"


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line: how many claims came out as expected, and which did not, and how."""
    fine = sum(outcome.as_expected for outcome in outcomes)
    parts = [f"{fine} of {len(outcomes)} claims as expected"]
    for kind in ("contradicted", "unproved", "undecided"):
        names = [outcome.claim.name for outcome in outcomes if status(outcome) == kind]
        if names:
            parts.append(f"{len(names)} {kind}: {', '.join(names)}")
    parts.append(f"{sum(outcome.seconds for outcome in outcomes):.1f} s")
    return "; ".join(parts)


def deciding(outcome: Outcome) -> Evidence:
    """The evidence that made the verdict: refuted before undecided before confirmed."""
    return min(outcome.evidence, key=lambda item: DAMAGE.index(item.verdict))


def finding(outcome: Outcome) -> str:
    """What to say of a claim in one sentence: why its proof fails, or what decided."""
    return f"proof fails: {outcome.failure}" if outcome.failure else deciding(outcome).summary


def table(outcomes: Sequence[Outcome]) -> "Table":
    """One row a claim: its name, source rows, title and finding below each other, then the verdict.

    The first column marks the claims that are not as expected.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column("")
    made.add_column("claim (source rows), title, finding", ratio=1, overflow="fold")
    for heading in ("expected", "verdict", "proved"):
        made.add_column(heading, no_wrap=True)
    made.add_column("seconds", justify="right", no_wrap=True)
    for outcome in outcomes:
        claim, fine = outcome.claim, outcome.as_expected
        rows = f" ({' '.join(claim.rows)})" if claim.rows else ""
        words = ((claim.name, "bold"), rows, f"\n{claim.title}\n", (finding(outcome), "dim"))
        made.add_row(
            Text("✓", "green") if fine else Text("✗", "bold red"),
            Text.assemble(*words),
            Text(claim.expected, STYLES[claim.expected]),
            Text(outcome.verdict, STYLES[outcome.verdict]),
            Text("yes", "green") if outcome.proved else Text("NO", "bold red"),
            f"{outcome.seconds:.1f}",
        )
    return made


def to_json(outcomes: Sequence[Outcome], settings: Settings, missing: Sequence[str] = ()) -> str:
    """The ledger as JSON text; numbers that are not finite are null.

    `missing` names the claims that were asked for and did not finish; without any, `complete`.
    """
    kinds = [status(outcome) for outcome in outcomes]
    content = {
        "schema": SCHEMA,
        "complete": not missing,
        "missing": list(missing),
        "versions": versions(),
        "settings": asdict(settings),
        "summary": {"claims": len(kinds)}
        | {
            kind.replace(" ", "_"): kinds.count(kind)
            for kind in ("as expected", "contradicted", "unproved", "undecided")
        },
        "claims": [_claim(outcome, settings) for outcome in outcomes],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def versions() -> dict[str, str]:
    """What computed the ledger."""
    names = ("varprop", "torch", "numpy", "sympy")
    found = {name: str(import_module(name).__version__) for name in names}
    return found | {"python": platform.python_version()}


def write(path: Path, text: str) -> None:
    """All of `text` or nothing: a reader of `path` sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _claim(outcome: Outcome, settings: Settings) -> dict[str, Any]:
    claim = outcome.claim
    texts = ("name", "title", "statement", "source", "note", "derivation")
    return {name: getattr(claim, name) for name in texts} | {
        "rows": list(claim.rows),
        "expected": claim.expected,
        "verdict": outcome.verdict,
        "proved": outcome.proved,
        "as_expected": outcome.as_expected,
        "proof": outcome.proof,
        "failure": outcome.failure,
        "seed": seeded(claim, settings).seed,
        "seconds": round(outcome.seconds, 3),
        "evidence": [
            {
                "name": item.name,
                "verdict": item.verdict,
                "summary": item.summary,
                "figures": {name: _number(value) for name, value in item.figures.items()},
                "axes": list(item.axes),
                "series": [
                    {name: _column(value) for name, value in series._asdict().items()}
                    for series in item.series
                ],
            }
            for item in outcome.evidence
        ],
    }


def _column(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else [_number(x) for x in value]


def _number(value: Any) -> Any:
    """A JSON number, of Python's types; null where it is not finite."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, (bool, int)):
        return value
    return float(value) if math.isfinite(value) else None
