"""The figures of constant, deep and scaled nets: claims, symmetry, drawing."""

from __future__ import annotations

import json
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import varprop as vp
from figures import assertions, constant_weights, he_depth, style, symmetry, trainability
from figures.produce import produce
from figures.results import Results
from figures.training import Conv, Dense, MaxPool, Network, Pass, Phi, Run, digits

TINY = {
    "he_depth": {"width": 8, "batch": 359, "epochs": 1, "seeds": 2},
    "trainability": {
        "width": 8,
        "depths": [2, 24],
        "variances": [1.0, 1.5, 2.0, 4.2],
        "batch": 359,
        "epochs": 1,
        "seeds": {"tanh": 2, "ReLU": 2},
    },
    "constant_weights": {
        "channels": 2,
        "batch": 359,
        "epochs": 2,
        "judged": 1,
        "seeds": 2,
        "steps": 3,
    },
    "glorot_saturation": {
        "width": 8,
        "batch": 359,
        "epochs": {"sigmoid": 2, "tanh": 1, "softsign": 1},
        "seeds": 2,
    },
}
SEEDS = 6


@pytest.fixture(scope="module", params=TINY)
def made(request, tmp_path_factory):
    name = request.param
    figure: Any = import_module(f"figures.{name}")
    asked = figure.parameters(False) | TINY[name]
    out = tmp_path_factory.mktemp(name)
    first = produce(name, figure, asked, 5, "cpu", out)
    return SimpleNamespace(name=name, figure=figure, asked=asked, out=out, first=first)


def test_both_sizes_have_the_same_parameters_and_can_be_told(made):
    quick, full = (made.figure.parameters(size) for size in (False, True))
    assert set(quick) == set(full) == set(made.asked)
    assert json.loads(json.dumps(full)) == full


@pytest.mark.slow
def test_drawing_again_neither_trains_nor_changes_a_byte(made, monkeypatch):
    monkeypatch.setattr(made.figure, "train", None)
    before = {path: path.read_bytes() for path in made.first.files}
    again = produce(made.name, made.figure, made.asked, 5, "cpu", made.out)
    assert not again.computed
    assert {path: path.read_bytes() for path in again.files} == before


def test_the_manifest_says_the_data_and_the_networks(made):
    manifest = json.loads((made.out / f"{made.name}.json").read_text(encoding="utf-8"))
    assert manifest["data"]["sha256"] == digits().digest
    assert manifest["parameters"] == made.asked and manifest["engine"].startswith("SGD")
    for net in manifest["networks"].values():
        assert net["weights"] and net["draws"] == 2 and net["parameters"] > 0


def test_the_caption_states_data_claims_and_doubts(made):
    drawing = made.figure.draw(made.first.results)
    assert drawing.get_figwidth() == style.PAGE
    drawn = " ".join(text.get_text() for text in drawing.texts).replace("\N{NO-BREAK SPACE}", " ")
    assert "scikit-learn's digits" in drawn
    for claim in made.first.results.claims:
        assert f"{claim.verdict}: {claim.statement}"[:60] in drawn
    doubted = any(not claim.confirmed for claim in made.first.results.claims)
    marks = [t for axes in drawing.axes for t in axes.texts if t.get_color() == style.ALARM]
    assert bool(marks) == doubted


def verdicts(claims) -> dict[str, str]:
    return {claim.series: claim.verdict for claim in claims}


def test_an_assertion_is_told_by_its_weakest_measure(rng):
    strong, weak = 5 + rng.normal(0, 0.1, SEEDS), 2.5 + rng.normal(0, 0.1, SEEDS)
    asked = {"a": assertions.Assertion("above 2", "p", {"strong": strong, "weak": weak}, 2.0)}
    (claim,) = assertions.judged(asked)
    assert claim.verdict == "CONFIRMED" and claim.evidence.startswith("weak: 2.")
    broken = {"a": assertions.Assertion("above 2", "p", {"strong": strong, "weak": weak - 1}, 2.0)}
    (claim,) = assertions.judged(broken)
    assert claim.verdict == "REFUTED"
    lost = {"a": assertions.Assertion("above 2", "p", {"lost": np.full(SEEDS, np.nan)}, 2.0)}
    (claim,) = assertions.judged(lost)
    assert claim.verdict == "UNDECIDED" and "no number" in claim.evidence


@pytest.fixture
def losses(rng):
    """(depth, series, seed, epoch) after what is published."""
    epochs, chance = np.arange(1, 21), np.log(10)
    fast, slow = chance * np.exp(-epochs / 5), chance * np.exp(-epochs / 20)
    flat = np.full(20, chance)
    curves = np.array([[fast, slow], [fast, flat]])[:, :, None]
    return curves + rng.normal(0, 0.01, (2, 2, SEEDS, 20))


def he_claims(losses: np.ndarray) -> dict[str, str]:
    arrays = {"train_loss": losses, "chance": np.array(np.log(10))}
    return verdicts(assertions.judged(he_depth._assertions(arrays)))


def test_what_is_published_of_he_is_confirmed_and_its_contrary_refuted(losses):
    assert set(he_claims(losses).values()) == {"CONFIRMED"}
    swapped = he_claims(losses[:, ::-1])
    assert swapped["He learns"] == swapped["earlier"] == swapped["stalls"] == "REFUTED"
    stuck = losses.copy()
    stuck[0, 1] = losses[1, 1]
    assert he_claims(stuck)["Xavier learns"] == "REFUTED"
    stuck[:, 0] = np.nan
    assert he_claims(stuck)["He learns"] != "CONFIRMED", "a net that diverges has not learned"


def test_one_early_net_of_xaviers_ends_no_stall_and_losses_above_chance_make_none(losses):
    """A net that leaves its plateau late moves the mean little; one that explodes hides none."""
    late, early = losses.copy(), losses.copy()
    late[1, 1, 0, 17:] = 1.0
    late = np.concatenate([late, losses], axis=2)
    assert he_claims(late)["stalls"] == "CONFIRMED"
    assert he_depth._won({"train_loss": late, "chance": np.log(10)})[1, 1, 0] > 1
    early[1, 1] = losses[0, 1]
    early[1, 1, :, -1] = 1e9
    assert he_claims(early)["stalls"] == "REFUTED"


@pytest.fixture
def accuracies(rng):
    """Of nets that train as far as six depth scales."""
    asked = trainability.parameters(False)
    reach = trainability.frontier(np.array(asked["variances"]))
    depths = np.array(asked["depths"])
    tanh = 1 / (1 + (depths[:, None] / reach) ** 4)
    relu = np.array([[0.9, 0.9, 0.9], *[[0.1, 0.8, 0.1]] * 3])
    noise = rng.normal(0, 0.01, (4, 10, SEEDS))
    arrays = {"tanh": tanh[..., None] + noise[:, :7], "relu": relu[..., None] + noise[:, 7:]}
    critical = np.array(float(vp.critical_line("tanh", trainability.BIAS)))
    return arrays | {"frontier": reach, "critical": critical}


def trainability_claims(arrays) -> dict[str, str]:
    asked = trainability.parameters(False)
    return verdicts(assertions.judged(trainability._assertions(arrays, asked)))


def test_nets_that_train_to_six_depth_scales_confirm_the_frontier(accuracies):
    assert set(trainability_claims(accuracies).values()) == {"CONFIRMED"}
    mirrored = accuracies | {"tanh": 1.1 - accuracies["tanh"]}
    found = trainability_claims(mirrored)
    assert found["frontier"] == found["follows"] == "REFUTED"
    scaled = accuracies | {"relu": accuracies["relu"][:, [1, 0, 2]]}
    assert trainability_claims(scaled)["scale"] == "REFUTED"


def test_a_frontier_of_another_theory_is_refuted(accuracies):
    """Planted: depth scales in the reverse order of the weight variances' own."""
    order = np.argsort(accuracies["frontier"])
    wrong = np.empty_like(accuracies["frontier"])
    wrong[order] = accuracies["frontier"][order[::-1]]
    found = trainability_claims(accuracies | {"frontier": wrong})
    assert found["frontier"] == found["follows"] == "REFUTED"


def test_within_and_beyond_are_taken_at_one_depth_and_phase(rng):
    variances, reach = [1.0, 1.5, 2.0, 4.0], np.array([22.0, 90.0, 100.0, 42.0])
    found = {10: rng.random((4, 3)), 30: rng.random((4, 3)), 50: rng.random((4, 3))}
    ahead = trainability._ahead(found, reach, variances, 1.76)
    assert set(ahead) == {"30 layers, order", "50 layers, order", "50 layers, chaos"}
    for name, values in ahead.items():
        depth = int(name[:2])
        beyond = 0 if name.endswith("order") else 3
        within = [k for k in range(4) if reach[k] > depth]
        naive = [np.mean([found[depth][k, s] for k in within]) - found[depth][beyond, s]
                 for s in range(3)]  # fmt: skip
        np.testing.assert_allclose(values, naive)


def test_the_frontier_is_where_differences_of_inputs_have_shrunk_by_six_foldings():
    """Of the correlation map itself: 1 - c after xi_c more layers is smaller by e."""
    (reach,) = trainability.frontier(np.array([1.3]))
    field = vp.mean_field("tanh", weight_variance=1.3, bias_variance=trainability.BIAS)
    line = np.asarray(field.iterate_correlation(1e-3, round(reach)))
    assert np.log(line[0] / line[-1]) == pytest.approx(6, rel=0.05)


LAYERS = (Conv(3), Phi("relu"), MaxPool(), Conv(4), Phi("relu"), MaxPool(), Dense(5), Phi("relu"),
          Dense(10))  # fmt: skip


def drawn(weights: str, seed: int) -> dict[str, torch.Tensor]:
    law = vp.init.constant(0.3) if weights == "constant" else vp.init.get(weights)
    bias = vp.init.constant(0.1)
    return Network(LAYERS, (2, 8, 8)).draw([Run("", law, seed, 0.1, bias)])


def test_tied_nets_act_as_one_channel_a_layer_whatever_they_were(seed):
    held = symmetry.tied(drawn("he_normal", seed))
    assert float(symmetry.parted(held)) == 0 < float(symmetry.parted(drawn("he_normal", seed)))
    x = torch.randn(7, 1, 2, 8, 8, generator=torch.Generator().manual_seed(seed % 2**31))
    seen: dict[str, torch.Tensor] = {}
    Network(LAYERS, (2, 8, 8))(x, held, Pass(batch=True), seen)
    for name in ("conv_1", "conv_2", "dense_1"):
        values = seen[name]
        torch.testing.assert_close(values, values[:, :, :1].expand_as(values))
    assert not torch.allclose(seen["dense_2"][..., 0], seen["dense_2"][..., 1])


@pytest.mark.parametrize("name", ["conv_1.weight", "conv_2.bias", "dense_1.weight"])
def test_one_other_number_parts_neurons(name):
    held = drawn("constant", 3)
    assert float(symmetry.parted(held)) == 0
    held[name][..., -1] += 0.0
    held[name].view(1, -1)[0, -1] += 0.25
    assert float(symmetry.parted(held)) == pytest.approx(0.25)


@pytest.mark.parametrize("name", list(constant_weights.OPTIMIZERS))
def test_steps_keep_equal_neurons_equal_and_do_move_them(name):
    data, own = digits(), constant_weights.OPTIMIZERS[name]
    made = constant_weights.layers(2, 10)
    network = Network(made, data.shape)
    start = network.draw([Run("", vp.init.constant(0.2), 1, 0.0, vp.init.constant(0.1))])
    assert max(symmetry.parted_by_steps(network, start, data, own, 4, 32)) < 1e-12
    broken = {key: held.clone() for key, held in start.items()}
    broken["conv_1.weight"][0, 0] += 1e-3
    found = symmetry.parted_by_steps(network, broken, data, own, 4, 32)
    assert min(found) > 5e-4 and found[0] != found[-1]


def test_verdicts_on_equality_and_on_the_zero_net():
    equal, apart = np.full((1, 2, 5), 1e-17), np.full((1, 2, 5), 0.3)
    assert constant_weights._equal(np.concatenate([equal, apart])).confirmed
    assert not constant_weights._equal(np.concatenate([apart, apart])).confirmed
    assert not constant_weights._equal(np.concatenate([equal, equal])).confirmed
    assert constant_weights._dead(np.zeros((3, 4))).confirmed
    assert not constant_weights._dead(np.array([[0, 1e-30]])).confirmed


@pytest.fixture
def constant():
    """Results of the constant net after what is published, and what they are made from."""
    mean = 0.1 + 0.002 * np.linspace(-1, 1, SEEDS)[:, None] * np.ones(43)
    arrays = {
        "accuracy": mean * np.array([1, 2.3, 9.5])[:, None, None],
        "largest": np.zeros((3, SEEDS, 43)),
        "parted": np.zeros((3, SEEDS, 43)),
        "steps": np.stack([np.zeros((2, 5)), np.ones((2, 5))]),
        "chance": np.array(0.11),
    }
    data = {"name": "digits", "note": "digits", "sha256": "0" * 64}
    return arrays, {"parameters": constant_weights.parameters(False), "data": data}


def rows_of_report(arrays, about) -> list[str]:
    claims = constant_weights._claims(arrays, 3)
    text = constant_weights.report(Results(arrays, claims, about))
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row[1] for row in rows[1:]]


def test_the_report_leaves_open_what_other_data_cannot_decide(constant):
    arrays, about = constant
    yes, no, unknown = "reproduced", "not reproduced", "the data cannot decide"
    assert rows_of_report(arrays, about) == [yes, yes, yes, unknown, yes, unknown]
    parted = arrays | {"parted": np.ones((3, SEEDS, 43))}
    apart = parted | {"steps": np.ones((2, 2, 5)), "largest": np.ones((3, SEEDS, 43))}
    assert rows_of_report(apart, about) == [no, yes, yes, unknown, no, no]


def test_the_published_number_is_compared_on_the_published_training_alone(constant):
    arrays, about = constant
    same = {
        "parameters": about["parameters"] | {"batch": 16, "rate": 0.002, "epochs": 42},
        "data": about["data"] | {"name": "CIFAR-10"},
    }
    assert rows_of_report(arrays, same)[3] == "reproduced"
    higher = arrays | {"accuracy": arrays["accuracy"] + 0.2}
    assert rows_of_report(higher, same)[3] == "not reproduced"
    spread = arrays["accuracy"] + np.linspace(-0.2, 0.2, SEEDS)[:, None]
    assert rows_of_report(arrays | {"accuracy": spread}, same)[3] == "the data cannot decide"
    assert rows_of_report(higher, about | {"data": same["data"]})[3] == "the data cannot decide"


def test_accuracy_of_the_constant_net_is_above_chance_and_far_below_the_default(rng):
    final = np.array([0.1, 0.25, 0.95])[:, None, None] + rng.normal(0, 0.01, (3, SEEDS, 4))
    arrays = {
        "accuracy": final,
        "largest": np.zeros((3, SEEDS, 4)),
        "steps": np.stack([np.zeros((2, 5)), np.ones((2, 5))]),
        "chance": np.array(0.11),
    }
    claims = constant_weights._claims(arrays, 3)
    assert all(claim.confirmed for claim in claims)
    learned = arrays | {"accuracy": final[[0, 2, 2]] + rng.normal(0, 0.01, final.shape)}
    assert verdicts(constant_weights._claims(learned, 3))["below"] == "REFUTED"
    stuck = arrays | {"accuracy": final[[0, 0, 2]] - 0.05}
    assert verdicts(constant_weights._claims(stuck, 3))["above"] == "REFUTED"


def test_the_zero_net_moves_nothing_but_its_last_bias(tmp_path):
    asked = constant_weights.parameters(False) | TINY["constant_weights"]
    arrays = constant_weights.compute(asked, 1, "cpu").arrays
    zero, constant, default = arrays["largest"]
    assert (zero == 0).all() and (constant > 0.004).all() and (default > 0.01).all()
    assert arrays["parted"][2].min() > 0.1
