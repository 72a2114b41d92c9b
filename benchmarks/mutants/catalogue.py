"""All mistakes and near-truths."""

from typing import Any

from benchmarks.mutants import backward, forward, gains, graphs, harmless, laws
from benchmarks.mutants.mutant import Mutant

MUTANTS = tuple(
    mutant for theme in (laws, gains, forward, backward, graphs) for mutant in theme.MUTANTS
)
HARMLESS = harmless.HARMLESS


def alike() -> list[list[Mutant]]:
    """Mutants by their true network and inputs; without tied weights, which have no true theory."""
    groups: dict[Any, list[Mutant]] = {}
    for mutant in MUTANTS:
        if not mutant.true.tied:
            groups.setdefault((mutant.true, mutant.pair), []).append(mutant)
    return list(groups.values())
