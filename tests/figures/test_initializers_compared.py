"""The comparison of initializers: its numbers, its claims, its report, its drawing, its data."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import figures.__main__ as command
from figures import initializers_compared as figure
from figures import initializers_report as page
from figures import style
from figures.produce import produce
from figures.results import Results
from figures.training import data

TINY = {"channels": 2, "batch": 45, "epochs": 3, "seeds": 2}
EPOCHS, SEEDS = 8, 6
NAMES = tuple(page.TITLES)


@pytest.fixture(scope="module")
def asked():
    return figure.parameters(False) | TINY


@pytest.fixture(scope="module")
def made(asked, tmp_path_factory):
    out = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure, "load", lambda source: few(data.load(source)))
        return produce("initializers_compared", figure, asked, 5, "cpu", out)


def few(whole: data.Dataset) -> data.Dataset:
    """The first images, called all."""
    rows = {name: getattr(whole, name)[:90] for name in ("train", "train_labels", "test")}
    return dataclasses.replace(whole, **rows, test_labels=whole.test_labels[:90])


@pytest.fixture
def arrays(rng):
    """Made-up curves for which every published statement holds, in both networks."""
    epochs = np.arange(EPOCHS + 1)
    shape = (2, len(NAMES), SEEDS, EPOCHS + 1)
    level = {"he": (0.9, 1.0, 0.0), "glorot": (0.8, 4.0, 0.08), "random": (0.3, 6.0, 0.05)}
    accuracy, trained = np.empty(shape), np.empty(shape)
    for k, name in enumerate(NAMES):
        top, slow, jumps = level[name.partition("_")[0]]
        curve = top - (top - 0.1) * np.exp(-epochs / slow)
        curve = curve - jumps * (epochs == 6) * 4
        noise = rng.normal(0, 1e-3, shape[2:])
        spread = 0.05 * (name.partition("_")[0] != "he") * np.array([-1, 1, -1.1, 1.1, -1.2, 1.2])
        accuracy[:, k] = curve + noise + spread[:, None] * (epochs == EPOCHS)
        gap = {"he_uniform": 0.01, "random_uniform": 0.3}.get(name, 0.1)
        trained[:, k] = accuracy[:, k] + gap + rng.normal(0, 1e-3, shape[2:])
    start = {"he_uniform": 2.8}
    loss = np.empty(shape)
    for k, name in enumerate(NAMES):
        loss[:, k] = start.get(name, 2.4) + rng.normal(0, 1e-3, shape[2:])
    accuracy[0, 4:, :, 1:] = 0.1 + rng.normal(0, 1e-3, (2, SEEDS, EPOCHS))
    return {
        "validation_accuracy": accuracy,
        "validation_loss": loss,
        "train_accuracy": trained[..., 1:],
        "batch_accuracy": accuracy + np.array([0, 0, 0, 0, 0.3, 0.3])[:, None, None]
        + rng.normal(0, 1e-3, shape),
        "fitted_accuracy": trained[..., -1:],
        "diverged": np.full(shape[:3], -1),
    }  # fmt: skip


def test_what_holds_reproduces_and_the_contrary_does_not(arrays):
    asked = page.statements(arrays, 1)
    found = dict(zip((s.row for s in asked), page.judge(asked), strict=True))
    assert {row for row, d in found.items() if d.verdict != "CONFIRMED"} == set()
    for name in ("validation_accuracy", "train_accuracy", "fitted_accuracy", "validation_loss"):
        arrays[name] = arrays[name][:, [2, 3, 4, 5, 0, 1]]  # He's place is now Random's
    asked = page.statements(arrays, 1)
    found = dict(zip((s.row for s in asked), page.judge(asked), strict=True))
    for row in ("D2a", "D2b", "D2c", "D4a", "D5"):
        assert found[row].verdict == "REFUTED", row


def test_running_statistics_are_what_is_blamed(arrays):
    (decision,) = page.judge([page.own(arrays)])
    assert decision.verdict == "CONFIRMED"
    arrays["batch_accuracy"] = arrays["validation_accuracy"]
    (decision,) = page.judge([page.own(arrays)])
    assert decision.verdict == "UNDECIDED"


def verdicts(arrays) -> dict[str, str]:
    return {claim.series: claim.verdict for claim in figure._claims(arrays)}


def test_claims_hold_for_such_curves_and_fall_with_a_planted_fault(arrays):
    accuracy = arrays["validation_accuracy"]
    accuracy[1, ..., -1] = 0.95 + (accuracy[1, ..., -1] - 0.9) / 50
    assert set(verdicts(arrays).values()) == {"CONFIRMED"}
    swapped = accuracy.copy()
    swapped[0, 2:4], swapped[0, 4:] = accuracy[0, 4:], accuracy[0, 2:4]
    found = verdicts({"validation_accuracy": swapped})
    assert found["fails"] == found["early"] == "REFUTED"
    exposed = accuracy.copy()
    exposed[1, ..., -1] = accuracy[0, ..., -1]
    assert verdicts({"validation_accuracy": exposed})["hidden"] == "REFUTED"


def test_the_crossing_is_where_the_line_between_epochs_is(rng):
    curves = np.sort(rng.uniform(0.0, 1.0, (20, 6)), axis=1)
    curves[:, 0], curves[:, -1] = 0.0, 1.0
    found = page.crossing(curves)
    for curve, t in zip(curves, found, strict=True):
        assert np.interp(t, range(6), curve) == pytest.approx(0.5, abs=1e-9)
    never, lost = np.full(6, 0.4), np.array([0.1, 0.2, np.nan, 0.6, 0.7, 0.8])
    assert page.crossing(never) == 5 and np.isnan(page.crossing(lost))


def test_writes_a_report_with_every_statement_and_number(made):
    (path,) = (path for path in made.files if path.suffix == ".md")
    text = path.read_text(encoding="utf-8")
    assert made.results.about["data"]["note"] in text
    asked = page.statements(made.results.arrays, 1)
    assert all(f"| {one.row} | {one.text} | " in text for one in asked)
    assert all(f"| {name} | " in text for one in asked for name in one.contrasts)
    assert all(text.count(f"| {title} | ") == 2 for title in page.TITLES.values())
    assert sum(text.count(f"{word} |") for word in page.WORDS.values()) == 2 * len(asked)


def test_the_manifest_says_the_data_and_the_networks(made, asked):
    (path,) = (path for path in made.files if path.name == "initializers_compared.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert manifest["data"]["sha256"] == data.digits().digest == asked["digest"]
    assert manifest["parameters"] == asked and manifest["seed"] == 5
    assert manifest["device"] == "cpu" and manifest["dtype"] == "float32"
    assert set(manifest["networks"]) == set(page.NETWORKS)
    assert "BatchNorm" in manifest["networks"]["with batch-norm"]["layers"]
    assert "BatchNorm" not in manifest["networks"]["without batch-norm"]["layers"]


def test_drawing_again_neither_trains_nor_changes_a_byte(made, asked, monkeypatch):
    monkeypatch.setattr(figure, "train", None)
    before = {path: path.read_bytes() for path in made.files}
    out = made.files[0].parent
    again = produce("initializers_compared", figure, asked, 5, "cpu", out)
    assert not again.computed
    assert {path: path.read_bytes() for path in again.files} == before


def test_the_caption_states_data_claims_and_doubts(made):
    drawing = figure.draw(made.results)
    assert drawing.get_figwidth() == style.PAGE
    drawn = " ".join(text.get_text() for text in drawing.texts).replace("\N{NO-BREAK SPACE}", " ")
    assert "scikit-learn's digits" in drawn and "1437 to train" in drawn
    for claim in made.results.claims:
        assert f"{claim.verdict}: {claim.statement}"[:60] in drawn
    doubted = {claim.panel for claim in made.results.claims if not claim.confirmed}
    marks = [t for axes in drawing.axes for t in axes.texts if t.get_color() == style.ALARM]
    assert len(marks) == len(doubted)


def test_full_trains_longer_and_more_seeds():
    quick, full = (figure.parameters(size) for size in (False, True))
    assert full["epochs"] == 30 > quick["epochs"] and full["seeds"] > quick["seeds"] == 5
    assert json.loads(json.dumps(full)) == full
    kept = 1 - full["momentum"]
    assert kept ** (1437 // 64) == pytest.approx(0.99 ** (50_000 / 512), rel=1e-12)


@pytest.fixture
def cifar(tmp_path, monkeypatch, rng):
    """A folder in the format of CIFAR-10, with 80 records a file, which are taken for all."""
    monkeypatch.setattr(data, "RECORDS", 80)
    folder = tmp_path / "cifar"
    folder.mkdir()
    for name in (*data.TRAINING, data.TEST):
        records = rng.integers(0, 256, (80, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        (folder / name).write_bytes(records.tobytes())
    return folder


@pytest.mark.slow
def test_the_command_trains_on_the_folder_that_is_named_and_goes_on_from_states(
    cifar, tmp_path, monkeypatch, capsys
):
    real = figure.parameters
    small = TINY | {"batch": 200}
    monkeypatch.setattr(figure, "PUBLISHED_STEPS", 1.0)
    monkeypatch.setattr(data, "TRAINING", data.TRAINING * 2)  # 800 images: a batch of 512 fits
    monkeypatch.setattr(figure, "parameters", lambda full, data: real(full, data) | small)
    out = tmp_path / "out"
    line = ["initializers_compared", "--device", "cpu", "--out", str(out), "--data", str(cifar)]
    status = command.main(line)
    results = Results.load(out / "initializers_compared.npz")
    assert results is not None and status == (results.verdict != "CONFIRMED")
    assert results.about["data"]["note"].startswith("CIFAR-10 (32 × 32 colour, 800 to train, 80")
    assert len(list((out / "states").iterdir())) == 2
    (out / "initializers_compared.npz").unlink()
    monkeypatch.setattr("figures.training.group.Group.learn", None)
    assert command.main(line) == status
    again = Results.load(out / "initializers_compared.npz")
    assert again is not None and again.claims == results.claims
    assert "initializers_compared.md" in capsys.readouterr().out


def test_training_figures_are_built_only_when_named(monkeypatch):
    built: list[str] = []
    monkeypatch.setattr(command, "_all", lambda names, asked: built.extend(names) or 0)
    assert command.main([]) == 0
    assert set(built) == set(command.NAMES + command.STUDIES)
    built.clear()
    assert command.main(["training"]) == 0
    assert tuple(built) == command.TRAINING


def test_data_for_no_training_figure_is_one_line_and_status_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["coherence", "--data", "somewhere", "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert stopped.value.code == command.UNUSABLE and said.count("\n") == 1
    assert "--data is for the training figures" in said
