"""The ledger as one HTML page that needs nothing else: no script, no font, no network."""

import re
from collections.abc import Sequence
from html import escape

from varprop.ledger.claim import Evidence, Outcome, Settings
from varprop.ledger.plots import svg
from varprop.ledger.run import experiment_text
from varprop.ledger.table import status, versions
from varprop.stats import Verdict

CSS = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --green: #1f8a4c;
  --violet: #8d55b8; --amber: #b07a10; --red: #cc3d3d; --link: #2f7fc1; }
@media (prefers-color-scheme: dark) { :root { --green: #4cc27f; --violet: #bb8ae0;
  --amber: #d9a441; --red: #ff7070; --link: #6cb2ee; } }
body { font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  max-width: 56rem; margin: 2.5rem auto 4rem; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; }
h2 { font-size: 1.25rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
.quiet { opacity: .72; font-size: .875rem; }
.warning { border-left: 3px solid var(--red); padding: .3rem .8rem; background: var(--soft); }
table { border-collapse: collapse; font-size: .875rem; }
th { text-align: left; font-weight: 600; }
th, td { padding: .3rem .8rem .3rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
table.all { width: 100%; } .all td:last-child { padding-right: 0; white-space: nowrap; }
.figures td { text-align: right; font-variant-numeric: tabular-nums; }
.figures th { font-weight: 400; padding-right: 2rem; }
section { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1.6rem; }
blockquote { margin: .4rem 0 1rem; padding: .1rem 0 .1rem 1rem; border-left: 3px solid var(--line);
  font-size: 1.05rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: .8rem 0;
  font-size: .9rem; }
dt { opacity: .72; } dd { margin: 0; }
.badge { font-size: .7rem; font-weight: 650; letter-spacing: .05em; padding: .1rem .45rem;
  border: 1px solid; border-radius: .3rem; white-space: nowrap; vertical-align: .12em; }
.CONFIRMED { color: var(--green); } .REFUTED { color: var(--violet); }
.UNDECIDED { color: var(--amber); } .bad { color: var(--red); font-weight: 600; }
figure { margin: .8rem 0; } figcaption { opacity: .72; font-size: .875rem; }
svg { display: block; width: 100%; max-width: 44rem; height: auto; }
details { margin-top: 1.2rem; } summary { cursor: pointer; font-size: .9rem; }
pre { font: .8rem/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  background: var(--soft); padding: .8rem 1rem; overflow-x: auto; white-space: pre-wrap; }
p.done { margin: .3rem 0; } pre, .wide { overflow-wrap: anywhere; }
@media print { body { font-size: 10.5pt; max-width: none; margin: 0; }
  h2, h3, .done { break-after: avoid; } figure, .figures { break-inside: avoid; }
  a { color: inherit; } details::details-content { content-visibility: visible; } }
"""


def page(
    outcomes: Sequence[Outcome],
    settings: Settings,
    missing: Sequence[str] = (),
    sections: Sequence[str] | None = None,
) -> str:
    """The whole document: a table of all claims, then one section each. It names no date.

    `sections` are those of the outcomes where they were made before; their plots take a while.
    """
    if sections is None:
        sections = [section(place, outcome) for place, outcome in enumerate(outcomes)]
    fine = sum(outcome.as_expected for outcome in outcomes)
    made = ", ".join(f"{name} {number}" for name, number in versions().items())
    stopped = (
        f'<p class="warning">The run was stopped. Not finished: {escape(", ".join(missing))}.</p>'
        if missing
        else ""
    )
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>varprop ledger</title><style>{CSS}</style></head><body>",
        "<h1>Ledger of claims</h1>",
        f"<p>{fine} of {len(outcomes)} claims as expected.</p>",
        f'<p class="quiet">Seed {settings.seed}, device {escape(settings.device)}, '
        f"draws of the quick profile × {settings.scale:g}; {escape(made)}. A claim is "
        "CONFIRMED, REFUTED or UNDECIDED as it stands in its source; what is wrong there is "
        "expected to be REFUTED.</p>",
        stopped,
        '<table class="all"><thead><tr><th>claim</th><th>rows</th><th>expected</th>'
        "<th>verdict</th><th>proof</th><th></th></tr></thead><tbody>",
        *(_line(outcome) for outcome in outcomes),
        "</tbody></table>",
        *sections,
        "</body></html>\n",
    ]
    return "\n".join(line for line in lines if line)


def anchor(name: str) -> str:
    """The id of a claim's section."""
    return "claim-" + re.sub(r"[^\w.-]", lambda found: f"_{ord(found[0]):x}_", name)


def _line(outcome: Outcome) -> str:
    claim = outcome.claim
    return (
        f'<tr><td><a href="#{anchor(claim.name)}">{escape(claim.title)}</a></td>'
        f"<td>{escape(' '.join(claim.rows))}</td><td>{badge(claim.expected)}</td>"
        f"<td>{badge(outcome.verdict)}</td><td>{_proved(outcome)}</td><td>{_mark(outcome)}</td></tr>"
    )


def section(place: int, outcome: Outcome) -> str:
    """The claim at `place` of the page, counted from 0, with its plots."""
    claim = outcome.claim
    facts = {
        "Source": escape(claim.source) + _rows(claim.rows),
        "Expected": badge(claim.expected),
        "Verdict": f"{badge(outcome.verdict)} {_mark(outcome)}",
        "Proof": f"{escape(claim.derivation)}: {_proved(outcome)} {escape(outcome.failure)}",
        "Note": escape(claim.note),
    }
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items() if text)
    texts = [experiment_text(experiment) for experiment in claim.experiments]
    shown = [
        _evidence(item, text, f"p{place}-{number}")
        for number, (item, text) in enumerate(zip(outcome.evidence, texts, strict=True))
    ]
    return "\n".join(
        [
            f'<section id="{anchor(claim.name)}">',
            f"<h2>{escape(claim.title)} {badge(outcome.verdict)}</h2>",
            f"<blockquote>{escape(claim.statement)}</blockquote>",
            f"<dl>{listed}</dl>",
            *shown,
            f"<details><summary>Derivation: {escape(claim.derivation)}</summary>"
            f"<pre>{escape(outcome.proof)}</pre></details>",
            f'<p class="quiet"><code>varprop verify --only {escape(claim.name)}</code> &nbsp; '
            '<a href="#">back to the table</a></p>',
            "</section>",
        ]
    )


def _evidence(item: Evidence, text: str, prefix: str) -> str:
    parts = [f"<h3>{escape(item.name)} {badge(item.verdict)}</h3>"]
    parts += [f'<p class="done quiet">{escape(text)}</p>'] if text else []
    parts += [f'<p class="done">{escape(item.summary)}</p>']
    if item.figures:
        rows = (
            f"<tr><th>{escape(name)}</th><td>{_number(value)}</td></tr>"
            for name, value in item.figures.items()
        )
        parts.append(f'<table class="figures">{"".join(rows)}</table>')
    if item.series:
        parts.append(
            f"<figure>{svg(item, prefix)}<figcaption>{_caption(item)}</figcaption></figure>"
        )
    return "\n".join(parts)


def _caption(item: Evidence) -> str:
    told = ["Points: measured"]
    if any(s.low is not None or s.high is not None for s in item.series):
        told[0] += ", with bounds"
    if any(s.predicted is not None for s in item.series):
        told.append("line: predicted")
    return "; ".join(told) + "."


def badge(verdict: Verdict) -> str:
    return f'<span class="badge {verdict}">{verdict}</span>'


def _proved(outcome: Outcome) -> str:
    return "verified" if outcome.proved else '<span class="bad">fails</span>'


def _mark(outcome: Outcome) -> str:
    if outcome.as_expected:
        return '<span class="CONFIRMED" title="as expected">✓</span>'
    return f'<span class="bad">✗ {status(outcome)}</span>'


def _rows(rows: Sequence[str]) -> str:
    return f' <span class="quiet">(rows {escape(", ".join(rows))})</span>' if rows else ""


def _number(value: float) -> str:
    return escape(f"{value:.6g}").replace("-", "\N{MINUS SIGN}")
