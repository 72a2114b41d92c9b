"""The catalogue of planted mistakes: `verify` refutes each, and nothing else."""

import json
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

import benchmarks.mutants
from benchmarks.mutants import ENGINE, HARMLESS, MUTANTS, THEORY, Mutant
from benchmarks.mutants.faces import two_faced
from benchmarks.mutants.study import SEEDS, alike
from varprop.comparison import verify
from varprop.initializers import normal
from varprop.layers import Dense
from varprop.moments import Moments
from varprop.montecarlo import simulate
from varprop.stats import Verdict
from varprop.theory import tied_second_moment

CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED
BOTH_SIDES = ("fan average for fan_in", "forgotten bias", "erf without sqrt(2)", "alpha left out")
BY_NAME = {mutant.name: mutant for mutant in (*MUTANTS, *HARMLESS)}
TABLE = Path(benchmarks.mutants.__file__).parents[1] / "results" / "mutants.json"

each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


def draws(mutant: Mutant) -> int:
    """What the strongest of some twenty rows needs, of relative variance 5/32 pooled over three.

    512 draws see 14 % at 1e-6 / 20 and 1e-4, 1 500 see 8 %.
    """
    size = abs(mutant.effect[1])
    return 512 if size > 0.14 else 1500


@each
def test_a_mistake_on_one_side_is_refuted(mutant, seed):
    report = verify(mutant.planted, mutant.inputs, seed=seed, draws=draws(mutant))
    assert report.verdict is REFUTED, str(report)
    seen = {row.quantity for row in report.judged if row.verdict is REFUTED}
    assert mutant.seen_by in seen


@each
def test_a_mistake_changes_what_is_judged(mutant):
    where, size = mutant.effect
    if isnan(size):
        assert mutant.true.tied and tied_second_moment(6, 8) > 2
    else:
        assert abs(size) > 0.05, where
