"""The catalogue of planted mistakes: `verify` refutes each, and nothing else."""

import json
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

import benchmarks.mutants
from benchmarks.mutants.catalogue import HARMLESS, MUTANTS, alike
from benchmarks.mutants.faces import two_faced
from benchmarks.mutants.mutant import ENGINE, THEORY
from benchmarks.mutants.study import SEEDS
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


@each
def test_a_mistake_on_one_side_is_refuted(mutant, seed):
    report = verify(mutant.planted, mutant.inputs, seed=seed)
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


@pytest.mark.parametrize("name", BOTH_SIDES)
def test_a_mistake_on_both_sides_is_another_truth(name, seed):
    mutant = BY_NAME[name]
    assert mutant.lawful and mutant.wrong != mutant.true
    assert verify(mutant.wrong, mutant.inputs, seed=seed).verdict is CONFIRMED


@pytest.mark.parametrize("name", BOTH_SIDES)
def test_a_mistake_on_the_other_side_is_refuted(name, seed):
    mutant = BY_NAME[name]
    turned = replace(mutant, side=THEORY if mutant.side is ENGINE else ENGINE)
    assert verify(turned.planted, turned.inputs, seed=seed).verdict is REFUTED


@pytest.mark.parametrize("name", ["signs as normal", "orthogonal as normal"])
def test_a_near_truth_is_confirmed(name, seed):
    mutant = BY_NAME[name]
    assert verify(mutant.planted, mutant.inputs, seed=seed).verdict is CONFIRMED


def test_networks_of_dead_layers_are_judged(seed):
    """Weights of one sign kill about half of the networks, whose steps have nothing to test."""
    mutant = BY_NAME["one-sided weights"]
    assert verify(mutant.planted, seed=seed, draws=600).verdict is not CONFIRMED


def test_a_layer_of_two_faces_has_the_rules_of_one_and_the_draws_of_the_other(seed):
    theory, engine = (Dense(8, 8, normal(std=s)) for s in (0.5, 0.1))
    layer = two_faced(theory, engine)
    law = Moments.unit()
    assert layer.moments("z", law).second == theory.moments("z", law).second
    mutant = BY_NAME["fan average for fan_in"]
    pair = [simulate(n, draws=64, seed=seed) for n in (mutant.planted, mutant.wrong)]
    out = mutant.true.output
    assert np.array_equal(*(sample.values(out, "second_moment") for sample in pair))


def test_the_catalogue_is_whole():
    names = [mutant.name for mutant in (*MUTANTS, *HARMLESS)]
    assert len(MUTANTS) >= 25 and len(set(names)) == len(names)
    assert {mutant.side for mutant in MUTANTS} == {THEORY, ENGINE}
    assert {m.name for group in alike() for m in group} | {"tied weights as independent"} == {
        m.name for m in MUTANTS
    }


def test_the_saved_table_is_of_this_catalogue():
    rows = json.loads(TABLE.read_text())["rows"]
    saved = {row["name"]: (row["side"], row["mistake"]) for row in rows if row["side"] != "none"}
    assert saved == {name: (m.side.value, m.sentence) for name, m in BY_NAME.items()}
    assert all(row["as_expected"] == row["runs"] == SEEDS for row in rows)


@pytest.mark.slow
@each
def test_a_mistake_is_refuted_under_every_seed(mutant, seed):
    """Each run misses with a probability of at most 1e-4 by the design of the draws."""
    reports = [verify(mutant.planted, mutant.inputs, seed=seed + k) for k in range(SEEDS)]
    assert all(report.verdict is REFUTED for report in reports)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", HARMLESS, ids=lambda mutant: mutant.name)
def test_a_near_truth_is_never_refuted(mutant, seed):
    reports = [verify(mutant.planted, mutant.inputs, seed=seed + k) for k in range(SEEDS)]
    assert all(report.verdict is not REFUTED for report in reports)
