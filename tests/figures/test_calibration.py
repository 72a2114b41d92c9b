"""The calibration figure: drawn from a saved study, which it neither measures nor improves."""

from __future__ import annotations

import json

import pytest

from benchmarks.calibration import table
from benchmarks.calibration.cells import row
from figures import calibration, style
from figures.__main__ import FAILED, main
from figures.produce import produce
from varprop.stats import Verdict


def cell(kind, rows, **settings):
    setting = {"width": 16, "depth": 4, "activation": "relu", "weights": "normal", "inputs": 1}
    return {"kind": kind, "settings": {"setting": setting, **settings}, "rows": rows}


def saved_study(refuted: int = 4):
    power = [row("refuted", 0.9, 95, 100, True) | {"draws": 40}]
    power += [row("refuted", None, 3, 100, True) | {"draws": 10}]
    versions = {"varprop": "0.1.0", "torch": "2"}
    return {
        "command": "python -m benchmarks calibration --quick",
        "seed": 0,
        "environment": {"device": "cpu", "versions": versions},
        "cells": [
            cell("size", [row("refuted", 0.05, refuted, 100), row("refuted", 0.01, 0, 100)]),
            cell("certification", [row("confirmed", 0.05, 3, 100)], planted="one"),
            *(cell("power", power, discrepancy=0.1, planted=layers) for layers in ("one", "all")),
            cell("naive", [row("refuted", 0.05, 50, 100)], method="t on q_L"),
        ],
    }


@pytest.fixture
def study(tmp_path, monkeypatch):
    path = tmp_path / "study.json"
    monkeypatch.setattr(calibration, "STUDY", path)

    def save(**changed):
        path.write_text(json.dumps(saved_study(**changed)))

    save()
    return save


def test_it_is_drawn_from_the_saved_study_and_says_which(study, tmp_path):
    asked = calibration.parameters(False)
    first = produce("calibration", calibration, asked, 0, "auto", tmp_path / "out")
    assert first.computed and first.results.verdict == Verdict.CONFIRMED
    manifest = json.loads((tmp_path / "out" / "calibration.json").read_text(encoding="utf-8"))
    assert manifest["study"]["command"].endswith("--quick")
    assert first.results.match(calibration.parameters(True), 0, "auto")
    study(refuted=5)
    assert not first.results.match(calibration.parameters(True), 0, "auto"), "another study"
    assert calibration.draw(first.results).get_figwidth() == style.PAGE


def test_a_broken_rate_refutes_the_claim_and_marks_the_panel(study):
    study(refuted=40)
    results = calibration.compute(calibration.parameters(False), 0, "cpu")
    assert [claim.verdict for claim in results.claims] == ["REFUTED", "CONFIRMED", "CONFIRMED"]
    figure = calibration.draw(results)
    marks = [axes for axes in figure.axes for text in axes.texts if text.get_text() == "REFUTED"]
    assert marks == [figure.axes[0]]


def test_without_a_study_the_command_says_how_to_make_one(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibration, "STUDY", tmp_path / "absent.json")
    assert main(["calibration", "--out", str(tmp_path / "out")]) == FAILED
    assert "python -m benchmarks calibration --full" in capsys.readouterr().err


def test_the_published_study_keeps_every_rate():
    """Nothing is broken, and table and results are of one run."""
    study = json.loads(calibration.STUDY.read_text(encoding="utf-8"))
    own = [c for c in study["cells"] if c["kind"] != "naive"]
    assert own and all(row["kept"] for c in own for row in c["rows"])
    told = calibration.STUDY.with_suffix(".md").read_text(encoding="utf-8")
    assert told == table.markdown(study["cells"], study["environment"], study["command"])
