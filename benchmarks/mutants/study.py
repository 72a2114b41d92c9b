"""Every mutant, near-truth and network without a mistake through `verify` at its defaults."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from benchmarks.mutants.catalogue import HARMLESS, MUTANTS, alike
from benchmarks.mutants.mutant import Mutant
from benchmarks.studies import processes
from varprop.comparison import verify
from varprop.network import Network
from varprop.stats import Verdict

SEEDS = 20
CONFIRMING = 5  # of these seeds, where a verdict takes ten times the draws

Row = dict[str, Any]


def run(seeds: Sequence[int], jobs: int) -> Iterator[Row]:
    """One row for each: mutants, near-truths, networks without a mistake."""
    cases = range(len(_cases()))
    if jobs == 1:
        yield from (_case(case, seeds) for case in cases)
        return
    with processes(jobs) as pool:
        yield from pool.map(_case, cases, [seeds] * len(cases))


def _cases() -> list[Callable[[Sequence[int]], Row]]:
    return [
        *(partial(_planted, m, "mistake", Verdict.REFUTED) for m in MUTANTS),
        *(partial(_planted, m, "near-truth", Verdict.CONFIRMED) for m in HARMLESS),
        *(partial(_control, mutants) for mutants in alike()),
    ]


def _case(number: int, seeds: Sequence[int]) -> Row:
    """By number: the tables hold functions, which do not travel to another process."""
    return _cases()[number](seeds)


def _planted(mutant: Mutant, kind: str, expected: Verdict, seeds: Sequence[int]) -> Row:
    where, size = mutant.effect
    stated = {"side": mutant.side.value, "effect": size if isfinite(size) else None, "at": where}
    found = _runs(mutant.planted, mutant.inputs, expected, seeds)
    return {"kind": kind, "name": mutant.name, "mistake": mutant.sentence, **stated, **found}


def _control(mutants: Sequence[Mutant], seeds: Sequence[int]) -> Row:
    """The true network of these mutants on both sides."""
    first, names = mutants[0], "; ".join(m.name for m in mutants)
    stated = {"side": "none", "effect": 0.0, "at": ""}
    found = _runs(first.true, first.inputs, Verdict.CONFIRMED, seeds)
    return {
        "kind": "control",
        "name": "no mistake",
        "mistake": f"The network of: {names}.",
        **stated,
        **found,
    }


def _runs(
    network: Network, inputs: np.ndarray | None, expected: Verdict, seeds: Sequence[int]
) -> Row:
    reports, seconds = [], []
    for seed in seeds if expected is Verdict.REFUTED else seeds[:CONFIRMING]:
        start = time.process_time()
        reports.append(verify(network, inputs, seed=seed))
        seconds.append(time.process_time() - start)
    worst = [report.worst for report in reports]
    named = Counter(f"{row.node} {row.quantity}" for row in worst)
    verdicts = Counter(str(report.verdict) for report in reports)
    return {
        "expected": str(expected),
        "runs": len(reports),
        "as_expected": verdicts[str(expected)],
        "verdicts": ", ".join(f"{count} {name}" for name, count in verdicts.items()),
        "worst": named.most_common(1)[0][0],
        "gap": statistics.median(row.gap for row in worst),
        "largest_p": max(row.p_value for row in worst),
        "draws": int(statistics.median(report.draws for report in reports)),
        "most_draws": max(report.draws for report in reports),
        "cpu_s": statistics.median(seconds),
    }
