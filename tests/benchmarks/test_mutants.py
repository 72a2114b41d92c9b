"""The catalogue of planted mistakes: `verify` refutes each, and nothing else.

A test fails on a true theory with probability 1e-6 (the error rate of `verify`), and on a mistake
with at most 1e-4 by the design of the draws, in practice far less: see the p-values of the table.
"""

import json
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch

import benchmarks
from benchmarks.mutants import main, study
from benchmarks.mutants.catalogue import HARMLESS, MUTANTS, alike
from benchmarks.mutants.faces import two_faced
from benchmarks.mutants.mutant import ENGINE, THEORY, Mutant
from varprop.comparison import verify
from varprop.initializers import normal
from varprop.layers import Dense
from varprop.moments import Moments
from varprop.montecarlo import simulate
from varprop.stats import Verdict
from varprop.theory import tied_second_moment

CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED
BOTH_SIDES = ("fan average for fan_in", "bias counted twice", "gain of tanh", "alpha left out")
BY_NAME = {mutant.name: mutant for mutant in (*MUTANTS, *HARMLESS)}
TABLE = Path(benchmarks.__file__).parent / "results" / "mutants.json"

each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


def affected(mutant: Mutant) -> set[str]:
    """The quantities whose expected value is changed by more than rounding."""
    return {quantity for (_, quantity), size in mutant.effects.items() if abs(size) > 1e-9}


@each
def test_a_mistake_on_one_side_is_refuted(mutant, seed):
    report = verify(mutant.planted, mutant.inputs, seed=seed)
    assert report.verdict is REFUTED, str(report)
    refuted = {row.quantity for row in report.judged if row.verdict is REFUTED}
    if mutant.by_hand is None:
        assert refuted <= affected(mutant)
    else:
        assert mutant.by_hand[0] in refuted


@each
def test_a_mistake_changes_what_is_judged(mutant):
    where, size = mutant.effect
    if isnan(size):
        assert mutant.true.tied or mutant.name == "QR without signs"
    else:
        assert abs(size) > 0.05, where


@pytest.mark.parametrize("name", BOTH_SIDES)
def test_a_mistake_on_both_sides_is_another_truth(name, seed):
    mutant = BY_NAME[name]
    assert mutant.lawful and mutant.wrong != mutant.true
    assert verify(mutant.wrong, mutant.inputs, seed=seed).verdict is not REFUTED


@pytest.mark.parametrize("name", BOTH_SIDES)
def test_a_mistake_on_the_other_side_is_refuted(name, seed):
    mutant = BY_NAME[name]
    turned = replace(mutant, side=THEORY if mutant.side is ENGINE else ENGINE)
    assert verify(turned.planted, turned.inputs, seed=seed).verdict is REFUTED


@pytest.mark.parametrize("name", ["signs as normal", "uniform as normal"])
def test_a_near_truth_is_not_refuted(name, seed):
    mutant = BY_NAME[name]
    assert verify(mutant.planted, mutant.inputs, seed=seed).verdict is not REFUTED


def test_weights_that_are_not_fresh_change_what_is_judged(generator):
    """The two mutants whose effect no rule gives."""
    assert tied_second_moment(6, 8) > 4
    weights = torch.empty(1000, 32, 32)
    mistaken = BY_NAME["QR without signs"].wrong["dense_1"].layer
    mistaken.fill((weights,), generator)
    entry = weights[:, 0, 0]  # of the Haar law: mean 0, standard deviation sqrt(2/32)
    assert entry.mean() < -5 * (2 / 32 / 1000) ** 0.5


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
    pair = [
        simulate(n, draws=64, seed=seed, engine="explicit") for n in (mutant.planted, mutant.wrong)
    ]
    planted, wrong = (sample.values(mutant.true.output, "second_moment") for sample in pair)
    assert np.array_equal(planted, wrong)


def test_the_catalogue_is_whole():
    names = [mutant.name for mutant in (*MUTANTS, *HARMLESS)]
    assert len(MUTANTS) >= 25 and len(set(names)) == len(names)
    assert {mutant.side for mutant in MUTANTS} == {THEORY, ENGINE}
    assert {m.name for group in alike() for m in group} | {"tied weights as independent"} == {
        m.name for m in MUTANTS
    }


def test_the_saved_table_is_of_this_catalogue():
    rows = json.loads(TABLE.read_text())["rows"]
    saved = {row["name"]: (row["side"], row["mistake"]) for row in rows if row["kind"] != "control"}
    assert saved == {name: (m.side.value, m.sentence) for name, m in BY_NAME.items()}
    assert all(row["as_expected"] == row["runs"] for row in rows)
    assert all(row["runs"] == study.SEEDS for row in rows if row["kind"] == "mistake")


@pytest.mark.slow
@each
def test_a_mistake_is_refuted_under_every_seed(mutant, seed):
    reports = [verify(mutant.planted, mutant.inputs, seed=seed + k) for k in range(study.SEEDS)]
    assert all(report.verdict is REFUTED for report in reports)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", HARMLESS, ids=lambda mutant: mutant.name)
def test_a_near_truth_is_never_refuted(mutant, seed):
    reports = [
        verify(mutant.planted, mutant.inputs, seed=seed + k) for k in range(study.CONFIRMING)
    ]
    assert all(report.verdict is not REFUTED for report in reports)


@pytest.fixture
def small_catalogue(monkeypatch):
    """Sets the mistakes and the near-truth of the study, which then runs no network alone."""

    def choose(*names: str, harmless: str) -> None:
        monkeypatch.setattr(study, "MUTANTS", tuple(BY_NAME[name] for name in names))
        monkeypatch.setattr(study, "HARMLESS", (BY_NAME[harmless],))
        monkeypatch.setattr(study, "alike", list)

    return choose


def test_the_command_writes_both_tables(small_catalogue, tmp_path, capsys):
    small_catalogue("1/n for 2/n", "tied weights as independent", harmless="uniform as normal")
    assert main(["--jobs", "1", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "mutants.json").read_text())["rows"]
    assert [row["verdicts"] for row in rows] == ["1 REFUTED", "1 REFUTED", "1 CONFIRMED"]
    assert rows[1]["effect"] is None  # JSON has no nan
    text = (tmp_path / "mutants.md").read_text()
    assert "REFUTED in 2 of 2 runs" in text and "**1/n for 2/n**" in text
    written = [str(tmp_path / name) for name in ("mutants.json", "mutants.md")]
    assert capsys.readouterr().out.split() == written


def test_a_verdict_that_must_not_be_fails_the_command(small_catalogue, tmp_path):
    small_catalogue("2/n for 1/n", harmless="gain of tanh")
    assert main(["--jobs", "1", "--out", str(tmp_path)]) == 1


def test_a_bad_seed_fails_the_command(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--seed", "-1", "--out", str(tmp_path)])
    assert "--seed must not be negative" in capsys.readouterr().err
