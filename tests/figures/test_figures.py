"""The figures at tiny sizes: what is computed, saved, drawn, told, and refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pytest

from figures import bands, checkout, glorot, results, style
from figures.__main__ import NAMES, main
from figures.hashing import data_hash
from figures.produce import Produced, produce
from figures.results import Claim, Results

# torch loads its forward-mode rules with a function that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

GLOROT = {
    "width": 24,
    "margin": 0.4,
    "draws": 64,
    "judged_points": 1,
    "points": 20,
    "bins": 11,
}
TINY = {
    "std_by_layer": {
        "width": 16,
        "depth": 6,
        "shown": [1, 3, 6],
        "draws": 48,
        "critical_draws": 64,
        "margin": 0.4,
    },
    "glorot_activations": GLOROT,
    "glorot_gradients": GLOROT,
    "jacobian_spectra": {"width": 16, "depth": 3, "draws": 72, "bins": 20, "margin": 0.4},
    "coherence": {"dimension": 7, "draws": 72, "steps": 60, "margin": 0.2, "sizes": [5, 8, 14]},
    "phase_diagram": {"grid": 12, "width": 16, "draws": 64, "margin": 0.4},
    "gain_table": {"width": 16, "draws": 64, "margin": 0.5},
    "depth_scales": {"width": 16, "draws": 64, "margin": 0.4, "shown": [2, 3, 4]},
    "c_map": {"width": 16, "draws": 64, "margin": 0.4, "shown": [0.5, 0.9]},
    "lognormal_lengths": {"widths": [4, 6], "ratio": 1, "draws": 256, "margin": 0.4, "bins": 9},
    "fluctuation_growth": {"width": 16, "depth": 2, "draws": 512, "margin": 0.45},
    "mean_against_median": {"width": 6, "depth": 3, "draws": 256, "margin": 0.4},
    "overflow_layers": {
        "widths": [8, 16],
        "widest_float64": 4,
        "draws": 64,
        "wide_draws": 64,
        "width": 16,
        "tanh_layers": 5,
        "margin": 0.5,
    },
    "slow_decay": {
        "width": 16,
        "draws": 64,
        "margin": 0.5,
        "shown": [2, 3],
        "depth": 300,
        "tolerance": 0.2,
    },
    "phase_families": {"grid": 8, "width": 16, "draws": 64, "margin": 0.4},
    "filters": {"draws": 300, "margin": 0.2, "measured": ["LeNet-5, C1: 5×5"]},
    "bases_propagation": {"width": 16, "depth": 5, "draws": 400, "steps": 20, "margin": 0.4},
    "singular_values": {
        "width": 12,
        "draws": 240,
        "margin": 0.4,
        "squares": [0.01, 1.0],
        "grid": 2,
    },
    "truncation": {"entries": 1024, "margin": 0.4, "asked": [0.1, 1.0], "cuts": [0.5, 2.0]},
    "kurtosis_of_weights": {
        "width": 12,
        "depth": 2,
        "draws": 512,
        "margin": 0.4,
        "mean_margin": 0.4,
    },
    "naive_intervals": {
        "width": 8,
        "ratios": [0.5, 4],
        "sizes": [10],
        "batch": 400,
        "batches": 2,
        "margin": 0.4,
    },
    "pytorch_default": {"width": 16, "depth": 2, "draws": 48, "margin": 0.4, "shown": [1, 2]},
    "residual_growth": {"width": 16, "depth": 2, "draws": 64, "margin": 0.4, "shown": [1, 2]},
    "relu_ended_branches": {
        "width": 16,
        "depth": 2,
        "draws": 64,
        "margin": 0.4,
        "shown": [1, 2],
        "depths": [2, 3],
    },
}

ENGINES = {"naive_intervals": "conditional", "pytorch_default": "module, explicit"}


KINDS = ("npz", "png", "pdf", "json", "time.json")


class Made(NamedTuple):
    name: str
    out: Path
    first: Produced


def module(name: str):
    return import_module(f"figures.{name}")


def again(name: str, out: Path, seed: int = 5, device: str = "cpu", **changed) -> Produced:
    return produce(name, module(name), {**TINY[name], **changed}, seed, device, out)


@pytest.fixture(scope="module", params=NAMES)
def made(request, tmp_path_factory) -> Made:
    out = tmp_path_factory.mktemp(request.param)
    return Made(request.param, out, again(request.param, out))


@pytest.fixture
def no_computing(made, monkeypatch):
    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(module(made.name), "compute", refuse)


def test_every_figure_has_tiny_parameters_of_the_same_names():
    assert set(TINY) == set(NAMES)
    for name, tiny in TINY.items():
        for full in (False, True):
            asked = module(name).parameters(full)
            assert set(asked) == set(tiny)
            assert json.loads(json.dumps(asked)) == asked, "parameters are told in the manifest"


def test_writes_results_drawings_and_manifest(made):
    assert made.first.computed
    endings = {path.name for path in made.first.files}
    assert endings == {f"{made.name}.{kind}" for kind in KINDS}
    assert {path.name for path in made.out.iterdir()} == endings


def test_manifest_says_how_it_was_made_and_what_was_found(made):
    manifest = json.loads((made.out / f"{made.name}.json").read_text(encoding="utf-8"))
    assert manifest["figure"] == made.name
    assert manifest["seed"] == 5
    assert manifest["device"] == "cpu"
    assert manifest["dtype"] in ("float32", "float64")
    assert manifest["engine"] == ENGINES.get(made.name, "explicit")
    assert manifest["parameters"] == TINY[made.name]
    git = checkout.state()
    assert git == manifest["git"] or git["commit"] == manifest["git"]["commit"]
    assert {"varprop", "python", "torch", "numpy", "scipy", "sympy"} <= set(manifest["versions"])
    assert manifest["verdict"] in ("CONFIRMED", "UNDECIDED", "REFUTED")
    assert manifest["claims"]
    assert all(claim["statement"] and claim["evidence"] for claim in manifest["claims"])
    if made.name.startswith("glorot"):
        assert manifest["data"]["sha256"] == data_hash(glorot.pixels())
    times = json.loads((made.out / f"{made.name}.time.json").read_text(encoding="utf-8"))
    assert times["wall_seconds"] > 0 and times["cpu_seconds"] > 0
    networks = manifest["networks"].values()
    assert all(net["weights"] and net["draws"] and net["parameters"] for net in networks)


def test_drawing_again_neither_computes_nor_changes_a_byte(made, no_computing):
    """Not even where the reader has other settings."""
    before = {path: path.read_bytes() for path in made.first.files}
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9}):
        second = again(made.name, made.out)
    assert not second.computed
    assert {path: path.read_bytes() for path in second.files} == before


DRAW = """
import sys
from importlib import import_module
from pathlib import Path
from figures.produce import render
from figures.results import Results
saved, out = map(Path, sys.argv[1:])
for path in saved.glob("*.npz"):
    render(import_module(f"figures.{path.stem}"), Results.load(path), out / path.stem)
"""


def same_bytes_elsewhere(names: Sequence[str], tmp_path: Path) -> None:
    """Draw in another process too, with other settings of the reader and another hash seed."""
    saved, other = tmp_path / "saved", tmp_path / "other"
    for name in names:
        again(name, saved)
    other.mkdir()
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsavefig.dpi: 50\n")
    reader = {"MPLCONFIGDIR": str(tmp_path), "PYTHONHASHSEED": "17", "TZ": "Asia/Tokyo"}
    subprocess.run(
        [sys.executable, "-c", DRAW, str(saved), str(other)],
        cwd=Path(style.__file__).parents[1], env={**os.environ, **reader}, check=True,
    )  # fmt: skip
    drawn = list(other.iterdir())
    assert {path.name for path in drawn} == {
        f"{n}.{kind}" for n in names for kind in style.METADATA
    }
    for path in drawn:
        assert path.read_bytes() == (saved / path.name).read_bytes(), path.name


def test_another_process_draws_the_same_bytes(tmp_path):
    same_bytes_elsewhere(["coherence"], tmp_path)


@pytest.mark.slow
def test_another_process_draws_the_same_bytes_of_every_figure(tmp_path):
    same_bytes_elsewhere(NAMES, tmp_path)


def test_drawings_carry_no_date_and_embed_truetype_fonts(made):
    pdf = (made.out / f"{made.name}.pdf").read_bytes()
    assert b"CreationDate" not in pdf and b"ModDate" not in pdf
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert b"Software" not in (made.out / f"{made.name}.png").read_bytes()[:400]


def test_drawings_have_the_width_of_a_page(made):
    assert module(made.name).draw(made.first.results).get_figwidth() == style.PAGE


@pytest.mark.parametrize(("what", "value"), [("seed", 6), ("device", "cuda"), ("margin", 0.3)])
def test_other_parameters_seed_or_device_are_computed(made, no_computing, what, value):
    with pytest.raises(AssertionError, match="computed again"):
        again(made.name, made.out, **{what: value})


def test_any_device_will_do_for_auto(made):
    assert made.first.results.match(TINY[made.name], 5, "auto")
    assert not made.first.results.match(TINY[made.name], 5, "cuda")


def test_a_damaged_file_is_not_a_result(tmp_path):
    path = tmp_path / "broken.npz"
    path.write_bytes(b"PK\x03\x04 not a zip file")
    assert Results.load(path) is None
    assert Results.load(tmp_path / "absent.npz") is None


def test_results_survive_saving(made):
    saved = Results.load(made.out / f"{made.name}.npz")
    assert saved is not None
    assert saved.claims == made.first.results.claims
    assert saved.about == made.first.results.about


def test_every_claim_is_in_the_caption(made):
    drawn = " ".join(text.get_text() for text in module(made.name).draw(made.first.results).texts)
    drawn = drawn.replace("\N{NO-BREAK SPACE}", " ")
    for claim in style.told(made.first.results.claims):
        told = f"{claim.verdict}: {claim.statement}".replace("\N{NO-BREAK SPACE}", " ")
        assert told[:60] in drawn


def with_doubt(made, places, verdict) -> Results:
    """The results of the figure with this verdict on the claims at these places alone."""
    claims = list(confirmed(made.first.results.claims))
    for k in places:
        claims[k] = replace(claims[k], verdict=verdict)
    return replace(made.first.results, claims=tuple(claims))


@pytest.mark.parametrize("verdict", ["REFUTED", "UNDECIDED"])
def test_what_is_not_confirmed_is_marked_where_it_is_drawn(made, verdict):
    figure = module(made.name).draw(with_doubt(made, [0], verdict))
    marks = [text for axes in figure.axes for text in axes.texts if text.get_text() == verdict]
    assert marks and all(mark.get_color() == style.ALARM for mark in marks)
    alarms = [text for text in figure.texts if text.get_color() == style.ALARM]
    assert alarms[0].get_text().startswith(f"{verdict}: ")


def test_every_doubted_claim_is_marked_on_axes_of_its_own_panel(made):
    """One claim of each panel in doubt at a time."""
    panels: dict[str, int] = {}
    for k, claim in enumerate(made.first.results.claims):
        panels.setdefault(claim.panel, k)
    for panel, k in panels.items():
        results = with_doubt(made, [k], "REFUTED")
        figure = module(made.name).draw(results)
        marks = [
            text for axes in figure.axes for text in axes.texts if text.get_text() == "REFUTED"
        ]
        assert panel and marks, f"{panel}: nothing on the axes says that the claim is REFUTED"
        assert not results.unmarked()


def test_claims_are_refuted_by_chance_at_no_more_than_the_rate_of_all_figures(made):
    rates = [claim.error_rate for claim in made.first.results.claims]
    assert all(0 <= rate <= results.ERROR_RATE for rate in rates if rate is not None)


def test_nothing_is_marked_where_all_is_confirmed(made):
    about, arrays = made.first.results.about, made.first.results.arrays
    figure = module(made.name).draw(Results(arrays, confirmed(made.first.results.claims), about))
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    assert not [text for text in texts if text.get_color() == style.ALARM]


def confirmed(claims) -> tuple[Claim, ...]:
    return tuple(replace(claim, verdict="CONFIRMED") for claim in claims)


def test_no_file_is_written_when_the_claim_cannot_be_judged(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise ValueError("too few draws")

    monkeypatch.setattr(module("glorot_gradients"), "compare", fails)
    with pytest.raises(ValueError, match="too few draws"):
        again("glorot_gradients", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_name_is_one_line_and_status_2(capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        main(["no_such_figure", "--out", str(tmp_path)])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no_such_figure" in said and all(name in said for name in NAMES)


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--device", "abacus"], ["--quick", "--full"]])
def test_other_wrong_arguments_are_one_line_too(capsys, tmp_path, wrong):
    with pytest.raises(SystemExit) as stopped:
        main(["glorot_gradients", *wrong, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_command_reports_verdict_and_files(capsys, tmp_path, monkeypatch):
    figure = module("glorot_activations")
    monkeypatch.setattr(figure, "parameters", lambda full: TINY["glorot_activations"])
    status = main(["glorot_activations", "--quick", "--device", "cpu", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    loaded = Results.load(tmp_path / "glorot_activations.npz")
    assert loaded is not None
    assert status == (0 if loaded.verdict == "CONFIRMED" else 1)
    assert said.startswith(f"glorot_activations: {loaded.verdict}, computed")
    assert str(tmp_path / "glorot_activations.pdf") in said


def test_predicted_densities_are_densities():
    from scipy.integrate import quad

    density = module("glorot_activations").tanh_density
    for q in (0.05, 0.4, 1.5):
        assert quad(density, -1, 1, args=(q,), limit=200)[0] == pytest.approx(1, abs=1e-6)


def test_histograms_are_densities(made):
    if "histograms" not in made.first.results.arrays:
        pytest.skip("this figure has no histograms")
    arrays = made.first.results.arrays
    mass = (arrays["histograms"] * np.diff(arrays["edges"])[..., None, :]).sum(-1)
    assert (mass <= 1 + 1e-9).all() and (mass > 0.9).all()


def test_gradients_of_one_network_are_those_of_its_own_forward_pass(seed):
    import torch

    x = glorot.digits(3)
    net = glorot.network("standard", 8, x.shape[1])
    values, gradients = glorot.one_network(net, x, seed, torch.device("cpu"))
    slope = 1 - values["tanh_5"] ** 2
    np.testing.assert_allclose(
        gradients["dense_5"], gradients["tanh_5"] * slope, rtol=1e-4, atol=1e-7
    )
    assert set(np.unique(gradients["dense_6"])) <= {-1.0, 1.0}
    np.testing.assert_allclose(values["input"], x, rtol=1e-6)


def test_predictions_by_point_are_those_of_each_point(made):
    import varprop as vp

    x = glorot.digits(3)
    net = glorot.network("normalised", 8, x.shape[1])
    each = glorot.by_point(net, x)
    for quantity in ("second_moment", "grad_second_moment"):
        alone = [vp.predict(net, x[p]).value("dense_3", quantity) for p in range(3)]
        np.testing.assert_allclose(each.value("dense_3", quantity), alone, rtol=1e-12)


def test_product_bands_of_equal_ratios_are_their_powers():
    found = 3.0 * 0.5 ** np.arange(5) * np.ones((30, 1))
    bands_of_powers = bands.product_bands(found, [1, 4], 0.05)
    np.testing.assert_allclose(bands_of_powers, [[1.5, 3 * 0.5**4]] * 3)


def test_a_sample_too_skewed_for_its_band_leaves_the_line_undecided(rng):
    figure = module("std_by_layer")
    found = rng.lognormal(-4.5, 3.0, (40, 3))
    skewed = bands.mean_bands(found, np.ones(3), [1, 2], 0.05)
    assert np.isnan(skewed[1:]).all() and np.isfinite(skewed[0]).all()
    claim = figure._whole_depth(found, np.ones(3), [1, 2], 16, "Xavier")
    assert claim.verdict == "UNDECIDED" and "too few networks" in claim.evidence


def test_percent_signs_its_numbers():
    assert results.percent(-0.0312) == "−3.1\N{NO-BREAK SPACE}%"
    assert results.percent(0.5, 0) == "+50\N{NO-BREAK SPACE}%"
