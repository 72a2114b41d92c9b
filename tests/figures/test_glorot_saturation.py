"""Saturation of layers during training, and the gradients of weights: claims that can fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import varprop as vp
from figures import glorot, glorot_gradients, glorot_saturation
from figures import glorot_saturation_report as report
from figures.assertions import judged
from figures.results import Results
from figures.training import Snapshot

# torch loads its forward-mode rules with a function that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

SEEDS, EPOCHS = 6, 40


def rises(middles, ends, start: float = 0.1) -> np.ndarray:
    """(layer, 1 + epochs) from `start` to `ends`, half of it at the epochs `middles`."""
    epochs = np.arange(EPOCHS + 1)
    steps = 1 / (1 + np.exp(-(epochs - np.array(middles)[:, None])))
    return start + (np.array(ends)[:, None] - start) * steps


@pytest.fixture
def published(rng):
    """Arrays (seed, layer, 1 + epochs) of networks that do what is published."""
    epochs = np.arange(EPOCHS + 1)
    driven = np.where(epochs == 0, 0.5, 0.02)
    others = np.array([0.55, 0.6, 0.7])[:, None] + 0 * epochs
    arrays = {
        f"{report.SHALLOW}/mean": np.array([*others, driven]),
        f"{report.DEEP}/mean": np.array([*others, others[-1], driven]),
        f"{report.TANH}/high": rises((5, 10, 15, 20, 25), np.full(5, 0.97)),
        f"{report.SOFTSIGN}/high": rises((15, 15.5, 16, 16.5, 17), np.full(5, 0.8)),
    }
    runs = {
        name: values + rng.normal(0, 0.003, (SEEDS, *values.shape))
        for name, values in arrays.items()
    }
    for seed, last in enumerate(runs[f"{report.SHALLOW}/mean"][:, -1]):
        last[20 + seed :] += 0.18
    return runs


def verdicts(arrays) -> dict[str, str]:
    return {claim.series: claim.verdict for claim in judged(report.statements(arrays))}


def test_networks_that_do_what_is_published_confirm_all_of_it(published):
    assert set(verdicts(published).values()) == {"CONFIRMED"}
    found = {claim.series: claim.verdict for claim in report.claims(published)}
    assert found.pop("first is last") == "REFUTED", "it says the contrary of what is published"
    assert set(found.values()) == {"CONFIRMED"}


def changed(arrays, net: str, change):
    return arrays | {net: change(arrays[net])}


def risen(curves: np.ndarray, layer: int, epoch: int, by: float) -> np.ndarray:
    """The curves, with one layer higher from an epoch on."""
    moved = curves.copy()
    moved[:, layer, epoch:] += by
    return moved


CEILINGS = np.array([1, 1, 1, 0.03])[:, None]
FAULTS = {
    "driven to 0": (f"{report.SHALLOW}/mean", lambda a: risen(a, -1, 0, 0.2)),
    "others above": (f"{report.SHALLOW}/mean", lambda a: risen(a, 0, 0, -0.2)),
    "others in order": (f"{report.SHALLOW}/mean", lambda a: risen(a, 0, 0, 0.3)),
    "escapes": (f"{report.SHALLOW}/mean", lambda a: np.minimum(a, CEILINGS)),
    "longer": (f"{report.DEEP}/mean", lambda a: risen(a, -1, 5, 0.2)),
    "never": (f"{report.DEEP}/mean", lambda a: risen(a, -1, 30, 0.2)),
    "saturates": (f"{report.TANH}/high", lambda a: risen(a, 2, 0, -0.2)),
    "in sequence": (f"{report.TANH}/high", lambda a: a[:, ::-1]),
    "less": (f"{report.SOFTSIGN}/high", lambda a: risen(a, 4, 0, 0.3)),
    "together": (f"{report.TANH}/high", lambda a: a[:, [2, 2, 2, 2, 2]]),
}


@pytest.mark.parametrize("statement", list(FAULTS))
def test_the_contrary_of_each_statement_is_refuted(published, statement):
    wrong = changed(published, *FAULTS[statement])
    assert verdicts(wrong)[statement] == "REFUTED"


def test_what_holds_instead_can_fail_too(published):
    found = changed(published, f"{report.TANH}/high", lambda a: a[:, ::-1])
    reverse = {claim.series: claim.verdict for claim in report.claims(found)}
    assert reverse["first is last"] == "CONFIRMED"
    low = changed(published, f"{report.SHALLOW}/mean", lambda a: risen(a, 2, 0, -0.3))
    assert {c.series: c.verdict for c in report.claims(low)}["third above"] == "REFUTED"


def test_the_page_tells_each_statement_and_the_networks_that_escaped(published):
    arrays = changed(published, f"{report.DEEP}/mean", lambda a: risen(a, -1, 30, 0.2))
    about = {"data": {"note": "noise", "sha256": "0" * 64}}
    page = report.page(Results(arrays, (), about))
    assert page.count("| reproduces |") == 9 and page.count("| does not reproduce |") == 1
    assert f"Of {SEEDS} networks with five sigmoid layers, {SEEDS} have left" in page
    assert all(one.statement in page for one in report.statements(arrays).values())
    assert "| tanh | 3 | 0.10 | 0.97 | 15.0 |" in page


def test_half_of_a_rise_is_found_between_epochs():
    curves = np.array([[1.0, 1.0, 2.0, 5.0, 4.0], [3.0, 2.0, 2.0, 2.0, 7.0]])
    np.testing.assert_allclose(report.halfway(curves), [2 + 1 / 3, 3 + 3 / 5])


def test_moments_are_over_images_and_units_of_each_hidden_layer(rng):
    values = {name: rng.normal(size=(7, 3, 5)) for name in ("dense_1", "phi_1", "phi_2")}
    seen = {name: torch.as_tensor(x) for name, x in values.items()}
    found = glorot_saturation.watch(Snapshot(0, {}, seen, {}))
    for run in range(3):
        for layer, name in enumerate(("phi_1", "phi_2")):
            own = values[name][:, run].ravel()
            expected = {"mean": own.mean(), "std": own.std(ddof=1), "high": np.quantile(own, 0.98)}
            for key, value in expected.items():
                assert float(found[key][run, layer]) == pytest.approx(value, rel=1e-9)


@pytest.fixture(scope="module")
def weight_gradients():
    """Prediction and sample of square tanh networks, by initialization."""
    x = glorot.digits(2)

    def made(init: str):
        net = glorot.network(init, 48, x.shape[1])
        sample = vp.simulate(net, x, draws=1024, seed=8, device="cpu", engine="explicit")
        return vp.predict(net, x), sample

    return {init: made(init) for init in glorot.INITS}


def test_gradients_of_weights_are_told_from_those_of_another_law(weight_gradients):
    theory, sample = weight_gradients["standard"]
    assert glorot_gradients._of_weights(theory, sample, 0.2, "standard").verdict == "CONFIRMED"
    other, _ = weight_gradients["normalised"]
    wrong = glorot_gradients._of_weights(other, sample, 0.2, "standard")
    assert wrong.verdict == "REFUTED" and wrong.panel == "standard weights"


def test_equal_gradients_of_weights_are_those_of_square_layers_with_standard_weights(
    weight_gradients,
):
    theory, sample = weight_gradients["standard"]
    alike = glorot_gradients._alike(theory, sample, 0.3, "standard")
    assert alike.verdict == "CONFIRMED"
    # Of 64 inputs and 48 units, normalised weights are not those of square layers.
    theory, sample = weight_gradients["normalised"]
    unlike = glorot_gradients._alike(theory, sample, 0.01, "normalised")
    assert unlike.verdict == "REFUTED"
