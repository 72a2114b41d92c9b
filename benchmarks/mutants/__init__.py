"""The mutation study: wrong theories and broken engines, each of which `verify` must refute.

`python -m benchmarks mutants --out benchmarks/results/mutants.json`
"""

from benchmarks.mutants import backward, forward, graphs, laws
from benchmarks.mutants.harmless import HARMLESS
from benchmarks.mutants.mutant import ENGINE, THEORY, Mutant, Side

MUTANTS = (*laws.MUTANTS, *forward.MUTANTS, *backward.MUTANTS, *graphs.MUTANTS)

__all__ = ["ENGINE", "HARMLESS", "MUTANTS", "THEORY", "Mutant", "Side"]
