"""The calibration study as a command: what it keeps, tells, refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks import calibration
from benchmarks.calibration import design, store, study, table
from benchmarks.calibration.cells import DOUBT, Size, row
from benchmarks.calibration.naive import Naive, lengths
from benchmarks.calibration.power import Design
from benchmarks.calibration.setting import Setting
from varprop.stats import binomial_interval, draws_needed

CELLS = [Size(Setting(4, 1), 20, 5), Naive(8, 2, 10, 20, "t on q_L")]


def run(folder, cells=CELLS, seed=3):
    return list(study.run(cells, seed, folder, jobs=1))


def test_a_finished_cell_is_not_measured_again(tmp_path, monkeypatch):
    first = run(tmp_path)
    for cell in CELLS:
        monkeypatch.setattr(type(cell), "measure", lambda *_: pytest.fail("measured again"))
    assert run(tmp_path) == first
    assert len(list(tmp_path.iterdir())) == len(CELLS)


def test_a_killed_study_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Killed within the second cell: the first is kept, and the numbers are those of one run."""
    whole = run(tmp_path / "whole")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Naive, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed")
    assert len(list((tmp_path / "killed").iterdir())) == 1
    monkeypatch.setattr(Size, "measure", lambda *_: pytest.fail("measured again"))
    again = run(tmp_path / "killed")
    assert [cell["rows"] for cell in again] == [cell["rows"] for cell in whole]


def test_other_seeds_settings_and_code_are_measured_anew(monkeypatch):
    cell = CELLS[0]
    keys = {store.key(cell, 0), store.key(cell, 1), store.key(Size(Setting(4, 1), 20, 6), 0)}
    monkeypatch.setattr(store, "_code", lambda: ["changed"])
    assert len(keys | {store.key(cell, 0)}) == 4


def test_a_damaged_file_is_named(tmp_path):
    run(tmp_path)
    path = tmp_path / f"{store.key(CELLS[0], 3)}.json"
    for text in ("{", "[]", '{"kind": "size"}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"{path.name} is not the cell of its name; remove"):
            run(tmp_path)


def test_the_seed_of_a_cell_does_not_depend_on_the_others():
    assert study.seed_of(CELLS[0], 1) == study.seed_of(Size(Setting(4, 1), 20, 5), 1)
    assert len({study.seed_of(cell, seed) for cell in CELLS for seed in (0, 1)}) == 4


@pytest.mark.parametrize("cells", [design.quick(), design.full(), design.full(0.1)])
def test_every_cell_of_a_design_is_one_of_its_own(cells):
    assert len({store.key(cell, 0) for cell in cells}) == len(cells)
    assert {cell.kind for cell in cells} == set(table.SECTIONS)
    for cell in cells:
        if cell.kind != "naive":
            assert cell.setting.network().sizes[cell.setting.network().output]


def test_the_full_design_covers_what_it_must():
    sizes = [cell.setting for cell in design.full() if cell.kind == "size"]
    assert {s.width for s in sizes} == {16, 64, 256, 1024}
    assert {s.engine for s in sizes} == {"explicit", "conditional"}
    assert {s.activation for s in sizes} == {"relu", "tanh", "gelu", "identity"}
    assert {s.inputs for s in sizes} == {1, 2}
    assert {s.weights for s in sizes} == {"normal", *design.LAWS}
    for ratio in (0.05, 0.25, 1):
        assert any(abs(s.depth / s.width / ratio - 1) < 0.1 for s in sizes)


def test_planted_layers_have_another_variance():
    setting = Setting(8, 2, "tanh", weights="orthogonal")
    right, wrong = (setting.network(1.5, planted) for planted in ("none", "one"))
    dense = [n.name for n in right if n.name.startswith("dense")]
    for level, name in enumerate(dense):
        factor = 1.5 if level in setting.faulty("one") else 1.0
        for part in ("weights", "bias"):
            ours, theirs = (getattr(net[name].layer, part).at(8, 8) for net in (right, wrong))
            assert float(theirs.variance) == pytest.approx(factor * float(ours.variance))


@pytest.mark.parametrize("weights", ["normal", "uniform", *design.LAWS])
def test_every_law_has_the_scale_of_its_activation(weights):
    (dense,) = [n for n in Setting(16, 0, weights=weights).network() if n.inputs]
    assert float(dense.layer.weights.at(16, 16).variance) == pytest.approx(2 / 16)


def test_the_design_of_a_power_is_that_of_the_draws_it_needs():
    made = Design(2 / 64, 5e-7, 24)
    draws = made.draws(0.05, 0.9)
    assert draws == draws_needed(0.05, 2 / 64, 5e-7, 0.1, tests=24)
    assert made.power(0.05, draws - 1) < 0.9 <= made.power(0.05, draws)
    assert made.power(0.05, draws // 3) is None


def test_rates_and_their_intervals():
    assert row("refuted", 0.05, 5, 100)["kept"]
    assert not row("refuted", 0.05, 30, 100)["kept"]
    assert not row("refuted", 0.9, 5, 100, at_least=True)["kept"]
    assert row("refuted", None, 5, 100, at_least=True)["kept"]
    low, _ = binomial_interval(16, 100, DOUBT)
    assert row("refuted", low - 1e-9, 16, 100)["kept"] is False


@pytest.mark.statistical
def test_lengths_by_hand_have_their_known_law(generator, rng):
    """E q_L = 1, E q_L^2 = (1 + 5/n)^L exactly."""
    found = lengths(8, 3, 200_000, rng)
    for power, exact in ((1, 1.0), (2, (1 + 5 / 8) ** 3)):
        values = found**power
        assert abs(values.mean() - exact) < 6 * values.std() / len(values) ** 0.5


@pytest.mark.statistical
def test_pooled_neurons_reject_a_true_theory(seed):
    """Var q of the readout is (2 + 5 L)/n, 16 times that of independent neurons: about 62 %."""
    (found,) = Naive(128, 6, 20, 100, "pooled neurons").measure(seed)
    assert not found["kept"] and found["low"] > 0.3


def test_the_command_writes_table_and_results(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(design, "quick", lambda: CELLS)
    status = calibration.main(["--quick", "--jobs", "1", "--out", str(tmp_path)])
    saved = json.loads((tmp_path / "calibration.json").read_text())
    assert [cell["kind"] for cell in saved["cells"]] == ["size", "naive"]
    assert status == 0 and saved["environment"]["versions"]["varprop"]
    told = (tmp_path / "calibration.md").read_text()
    assert "## Size" in told and "relu, normal, width 4, depth 1, conditional" in told
    assert "calibration.md" in capsys.readouterr().out


def test_a_broken_rate_is_marked_and_fails_the_command(tmp_path, monkeypatch):
    @dataclass(frozen=True)
    class Broken(Size):
        def measure(self, seed):
            return [row("refuted", 0.01, 50, 100) | {"untested": 0.0}]

    monkeypatch.setattr(design, "quick", lambda: [Broken(Setting(4, 1), 20, 100)])
    assert calibration.main(["--jobs", "1", "--out", str(tmp_path)]) == 1
    told = (tmp_path / "calibration.md").read_text()
    assert "0.5 [0.4, 0.6] **broken**" in told and "rates 1 are broken" in told


@pytest.mark.parametrize(
    "wrong", [["--seed", "-1"], ["--jobs", "0"], ["--part", "2"], ["--quick", "--full"]]
)
def test_wrong_arguments_are_refused(tmp_path, capsys, wrong):
    with pytest.raises(SystemExit) as stopped:
        calibration.main([*wrong, "--out", str(tmp_path)])
    assert stopped.value.code == 2 and wrong[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_processes_give_the_numbers_of_one(tmp_path):
    alone = run(tmp_path / "alone")
    found = list(study.run(CELLS, 3, tmp_path / "pool", jobs=2))
    by_kind = {cell["kind"]: cell["rows"] for cell in found}
    assert by_kind == {cell["kind"]: cell["rows"] for cell in alone}
    assert np.isfinite([cell["cpu_s"] for cell in found]).all()
