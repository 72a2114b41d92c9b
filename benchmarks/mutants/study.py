"""Every mutant through `verify` at its default settings, and the same networks without a mistake."""

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from benchmarks.mutants import HARMLESS, MUTANTS, Mutant
from benchmarks.timing import Benchmark
from varprop.comparison import verify
from varprop.network import Network
from varprop.stats import Verdict

SEEDS = 20


def measure(quick: bool) -> Benchmark:
    """Mutants, near-truths and controls under 20 seeds, or one."""
    seeds = range(1 if quick else SEEDS)
    rows = [_row(mutant, Verdict.REFUTED, seeds) for mutant in MUTANTS]
    rows += [_row(mutant, Verdict.CONFIRMED, seeds) for mutant in HARMLESS]
    for mutants in alike():
        rows.append(_control(mutants, seeds))
    runs = Counter[str]()
    missed = []
    for row in rows:
        runs[row["expected"]] += row["as_expected"]
        if row["as_expected"] < len(seeds):
            missed.append(f"{row['name']} {row['as_expected']} of {len(seeds)}")
    notes = [f"{count} runs {verdict} as they must be" for verdict, count in runs.items()]
    notes += [f"not as expected in every run: {', '.join(missed)}"] if missed else []
    about = (
        f"{len(MUTANTS)} mistakes, each on one side, under {len(seeds)} seed(s); then near-truths "
        "and networks without a mistake. `gap`, `draws` and CPU seconds are medians"
    )
    return {"about": about, "rows": rows, "ratios": {}, "notes": notes}


def alike() -> list[list[Mutant]]:
    """Mutants by their true network and inputs; without tied weights, which have no true theory."""
    groups: dict[Any, list[Mutant]] = {}
    for mutant in MUTANTS:
        if not mutant.true.tied:
            groups.setdefault((mutant.true, mutant.pair), []).append(mutant)
    return list(groups.values())


def _row(mutant: Mutant, expected: Verdict, seeds: Sequence[int]) -> dict[str, Any]:
    where, size = mutant.effect
    stated = {"effect": size if isfinite(size) else None, "of": where}
    found = _runs(mutant.planted, mutant.inputs, expected, seeds)
    side = mutant.side.value
    return {"name": mutant.name, "mistake": mutant.sentence, "side": side} | stated | found


def _control(mutants: Sequence[Mutant], seeds: Sequence[int]) -> dict[str, Any]:
    """The true network of these mutants on both sides."""
    first = mutants[0]
    told = f"none: the network of {', '.join(m.name for m in mutants)}"
    found = _runs(first.true, first.inputs, Verdict.CONFIRMED, seeds)
    return {"name": "control", "mistake": told, "side": "", "effect": 0.0, "of": ""} | found


def _runs(
    network: Network, inputs: np.ndarray | None, expected: Verdict, seeds: Sequence[int]
) -> dict[str, Any]:
    reports, seconds = [], []
    for seed in seeds:
        start = time.process_time()
        reports.append(verify(network, inputs, seed=seed))
        seconds.append(time.process_time() - start)
    worst = [report.worst for report in reports]
    named = Counter(f"{row.node} {row.quantity} ({row.test})" for row in worst)
    return {
        "expected": str(expected),
        "as_expected": sum(report.verdict is expected for report in reports),
        "worst": named.most_common(1)[0][0],
        "gap": statistics.median(row.gap for row in worst),
        "p_at_most": max(row.p_value for row in worst),
        "draws": int(statistics.median(report.draws for report in reports)),
        "cpu_s": statistics.median(seconds),
    }
