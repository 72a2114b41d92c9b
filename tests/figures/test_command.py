"""The command over several figures: one that fails, an interruption, and what lies on the disk."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from figures import __main__ as command
from figures import checkout, style
from figures.produce import produce
from figures.results import Results
from tests.figures.plain import plain_figure
from varprop.montecarlo import store


@pytest.fixture
def known(monkeypatch):
    """Three figures that cost nothing, under the command."""
    figures = {name: plain_figure() for name in ("one", "two", "three")}
    monkeypatch.setattr(command, "KNOWN", tuple(figures))
    monkeypatch.setattr(command, "NAMES", tuple(figures))
    monkeypatch.setattr(command, "STUDIES", ())
    monkeypatch.setattr(command, "load", figures.__getitem__)
    return figures


def run(*names: str, out: Path) -> int:
    return command.main([*names, "--device", "cpu", "--out", str(out)])


def test_a_figure_that_fails_does_not_lose_the_others(known, tmp_path, capsys):
    known["two"].fails = RuntimeError("no such thing")
    assert run(out=tmp_path) == command.FAILED
    said = capsys.readouterr()
    assert "two: FAILED, RuntimeError: no such thing" in said.err and "Traceback" in said.err
    assert "3 figures: 2 CONFIRMED, 1 FAILED (two)" in said.out
    assert {path.stem for path in tmp_path.glob("*.png")} == {"one", "three"}


def test_bad_input_of_one_figure_is_one_line_without_a_traceback(known, tmp_path, capsys):
    known["two"].fails = ValueError("no digits")
    assert run("two", out=tmp_path) == command.FAILED
    said = capsys.readouterr().err
    assert "two: FAILED, ValueError: no digits" in said and "Traceback" not in said


def test_an_interrupted_run_goes_on(known, tmp_path, capsys):
    known["two"].fails = KeyboardInterrupt()
    assert run(out=tmp_path) == command.INTERRUPTED
    assert "finished figures are kept" in capsys.readouterr().err
    known["two"].fails = None
    assert run(out=tmp_path) == 0
    assert [figure.computed for figure in known.values()] == [1, 2, 1]


def test_progress_is_told_before_each_figure(known, tmp_path, capsys):
    run("three", "one", out=tmp_path)
    said = capsys.readouterr().err.splitlines()
    assert said == ["figures: 1 of 2, three", "figures: 2 of 2, one"]


def test_one_doubted_figure_is_told_by_the_status(known, tmp_path, capsys):
    known["two"] = plain_figure("REFUTED")
    assert run(out=tmp_path) == command.UNCONFIRMED
    assert "3 figures: 2 CONFIRMED, 1 REFUTED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one", "gallery"], "gallery stands alone"),
        (["gallery", "--seed", "3"], "gallery takes --out alone"),
        (["--out", "{file}"], "cannot write in"),
        (["--out", "{file}/deeper"], "cannot write in"),
        (["--device", "abacus"], "unknown device 'abacus'"),
    ],
)
def test_unusable_arguments_are_one_line_before_any_work(
    known, tmp_path, capsys, arguments, message
):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        command.main([argument.format(file=tmp_path / "file") for argument in arguments])
    said = capsys.readouterr().err
    assert stopped.value.code == command.UNUSABLE
    assert message in said and said.count("\n") == 1
    assert not any(figure.computed for figure in known.values())


@pytest.mark.parametrize("size", [None, 11])
def test_a_folder_without_cifar_is_refused_before_any_training(tmp_path, capsys, size):
    if size:
        (tmp_path / "data_batch_1.bin").write_bytes(b"x" * size)
    with pytest.raises(SystemExit) as stopped:
        command.main(["training", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert stopped.value.code == command.UNUSABLE and said.count("\n") == 1
    assert f"--data: {tmp_path / 'data_batch_1.bin'} " in said


def test_failures_alone_state_no_rate_of_claims(known, tmp_path, capsys):
    known["one"].fails = known["two"].fails = ValueError("no digits")
    assert run("one", "two", out=tmp_path) == command.FAILED
    assert "claims true" not in capsys.readouterr().out


def test_saved_results_say_which_code_made_them(known, tmp_path, capsys):
    run("one", out=tmp_path)
    capsys.readouterr()
    run("one", out=tmp_path)
    state = checkout.state()
    assert f"drawn from saved results of {checkout.told(state)}," in capsys.readouterr().out


@pytest.mark.parametrize("panel", ["", "a panel that no axes show"])
def test_a_doubted_claim_without_axes_of_its_own_marks_all(tmp_path, panel):
    figure = plain_figure("REFUTED", panel)
    produce("one", figure, figure.parameters(False), 0, "cpu", tmp_path)
    (drawn,) = figure.drawn
    marks = [text for axes in drawn.axes for text in axes.texts if text.get_text() == "REFUTED"]
    assert marks and marks[0].get_color() == style.ALARM


def test_a_figure_is_made_again_in_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        figure = plain_figure()
        produce("one", figure, figure.parameters(False), 0, "cpu", tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        if not path.name.endswith(".time.json"):
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_write_that_is_interrupted_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "figure.pdf"
    store.replace_file(path, b"before")
    monkeypatch.setattr(store.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.replace_file(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_results_count_as_finished_only_when_all_is_known_of_them(tmp_path, monkeypatch):
    """Times are written first: where they cannot be, the figure is computed again."""
    figure = plain_figure()
    monkeypatch.setattr(Results, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        produce("one", figure, figure.parameters(False), 0, "cpu", tmp_path)
    monkeypatch.undo()
    assert produce("one", figure, figure.parameters(False), 0, "cpu", tmp_path).computed
    assert json.loads((tmp_path / "one.time.json").read_text())["wall_seconds"] >= 0


def test_results_of_another_form_are_not_results(tmp_path):
    """As saved by a version whose claims have other fields: they are computed again."""
    for about in ({"claims": [{"unheard": 1}]}, {}):
        np.savez(tmp_path / "one.npz", about=np.array(json.dumps(about)))
        assert Results.load(tmp_path / "one.npz") is None


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_the_state_of_a_checkout(tmp_path):
    assert checkout.state(tmp_path) == "not a checkout"
    git(tmp_path, "init")
    (tmp_path / "file").write_text("a")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "a")
    clean = checkout.state(tmp_path)
    assert isinstance(clean, dict) and len(clean["commit"]) == 40 and not clean["dirty"]
    (tmp_path / "file").write_text("b")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "new").touch()
    changed = checkout.state(tmp_path)
    assert changed == {"commit": clean["commit"], "dirty": True, "changed": 2}
    assert checkout.told(changed) == f"{clean['commit'][:12]}, changed"
    assert checkout.state(tmp_path / "inner") == "not a checkout", "a copy inside another project"
