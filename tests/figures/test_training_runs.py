"""Runs that train together: against torch's own modules one by one, resumed, and diverging."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import varprop as vp
from figures.training import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Experiment,
    MaxPool,
    Network,
    Pass,
    Phi,
    Run,
    Snapshot,
    Trained,
    digits,
    state,
    train,
)
from figures.training.group import Group
from figures.training.network import stream
from figures.training.runs import _key

LAYERS = (
    Conv(4), BatchNorm(), Phi("relu"), MaxPool(), Dropout(0.2), Conv(4), Phi("tanh"), Dense(12),
    BatchNorm(), Dropout(0.3), Dense(10),
)  # fmt: skip
PLAIN = (Conv(4), Phi("relu"), MaxPool(), Conv(8), Phi("relu"), Dense(10))


@pytest.fixture(scope="module")
def data():
    whole = digits()
    rows = {name: getattr(whole, name)[:96] for name in ("train", "train_labels")}
    rows |= {name: getattr(whole, name)[:64] for name in ("test", "test_labels")}
    return dataclasses.replace(whole, **rows)


def runs(rate: float = 0.1, seeds=(3, 8)) -> tuple[Run, ...]:
    names = ("he_normal", "glorot_uniform", "random_uniform")
    return tuple(Run(name, vp.init.get(name), seed, rate) for name in names for seed in seeds)


def experiment(**changed) -> Experiment:
    whole = {"layers": LAYERS, "runs": runs(), "epochs": 3, "batch": 32, "momentum": 0.9}
    return Experiment(**{**whole, **changed})


def same(a, b) -> bool:
    pairs = [(values, getattr(b, name)) for name, values in vars(a).items() if name != "watched"]
    pairs += [(values, b.watched[name]) for name, values in a.watched.items()]
    return all(
        np.array_equal(x, y, equal_nan=True) if isinstance(x, np.ndarray) else x == y
        for x, y in pairs
    )


class Masked(nn.Module):
    """Dropout by the uniform numbers of a seed, which come in the order of the layers."""

    def __init__(self, rate: float, drawn: list[torch.Tensor]) -> None:
        super().__init__()
        self.rate, self.drawn = rate, drawn

    def forward(self, x):
        if not self.training:
            return x
        return x * (self.drawn.pop(0) >= self.rate) / (1 - self.rate)


def alone(run: Run, data, epochs: int, batch: int, momentum: float) -> list[list[float]]:
    """Train one network by torch's own modules and optimizer: losses and accuracies by epoch."""
    drawn: list[torch.Tensor] = []
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        Masked(0.2, drawn), nn.Conv2d(4, 4, 3, padding=1), nn.Tanh(), nn.Flatten(),
        nn.Linear(64, 12), nn.BatchNorm1d(12), Masked(0.3, drawn), nn.Linear(12, 10),
    )  # fmt: skip
    net = net.double()
    first = Network(LAYERS, data.shape).draw([run])
    with torch.no_grad():
        for own, ours in zip(net.parameters(), first.values(), strict=True):
            own.copy_(ours[0])
    optimizer = torch.optim.SGD(net.parameters(), run.rate, momentum=momentum)
    found = []
    for epoch in range(epochs):
        generator = stream(run.seed, 1, epoch)
        order = torch.randperm(len(data.train), generator=generator)
        losses = []
        net.train()
        for rows in order.split(batch):
            drawn += [torch.rand((batch, *s), generator=generator) for s in ((4, 4, 4), (12,))]
            loss = functional.cross_entropy(net(data.train[rows].double()), data.train_labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            logits = net(data.test.double())
        right = (logits.argmax(1) == data.test_labels).double().mean()
        known = functional.cross_entropy(logits, data.test_labels)
        found.append([float(np.mean(losses)), known.item(), right.item()])
    return found


def test_runs_together_are_those_of_torch_one_by_one_in_double_precision(data):
    """Float32 rounding, 9 steps: the loss agrees to 1e-4, the accuracy to two images of 64."""
    asked = experiment(runs=runs(0.02)[1:4])
    together = train(asked, data)
    for row, run in enumerate(asked.runs):
        found = np.array(alone(run, data, asked.epochs, asked.batch, asked.momentum)).T
        np.testing.assert_allclose(together.train_loss[row], found[0], rtol=1e-4)
        np.testing.assert_allclose(together.validation_loss[row, 1:], found[1], rtol=1e-3)
        np.testing.assert_allclose(together.validation_accuracy[row, 1:], found[2], atol=2 / 64)


def norms(seen: Snapshot) -> dict[str, torch.Tensor]:
    return {"conv_1": seen.parameters["conv_1.weight"].flatten(1).norm(dim=1)}


def test_a_killed_training_goes_on_to_the_same_numbers(data, tmp_path, monkeypatch):
    asked = experiment(watch=norms, runs=runs()[:3])
    whole = train(asked, data)
    learn, epochs = Group.learn, []

    def killed(group):
        if len(epochs) == 2:
            raise KeyboardInterrupt
        epochs.append(group.epoch)
        learn(group)

    monkeypatch.setattr(Group, "learn", killed)
    with pytest.raises(KeyboardInterrupt):
        train(asked, data, states=tmp_path)
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr(Group, "learn", lambda group: (epochs.append(group.epoch), learn(group)))
    assert same(train(asked, data, states=tmp_path), whole)
    assert epochs == [0, 1, 2], "no epoch twice"
    assert same(train(asked, data, states=tmp_path), whole)
    assert epochs == [0, 1, 2] and list(tmp_path.iterdir()) == [kept]


def test_another_experiment_has_another_state(data):
    asked = experiment()
    others = [
        experiment(batch=40),
        experiment(momentum=0.5),
        experiment(watch=norms),
        experiment(runs=runs(0.2)),
        experiment(layers=PLAIN),
    ]
    keys = {_key(one, data, "cpu") for one in (asked, *others)}
    keys |= {_key(asked, dataclasses.replace(data, digest="other"), "cpu")}
    assert len(keys) == 7 and _key(experiment(), data, "cpu") in keys


@pytest.mark.parametrize("length", [0, 200])
def test_a_damaged_state_is_refused_by_name(tmp_path, length):
    path = tmp_path / "some.npz"
    state.write(path, {"epoch": np.arange(40)})
    assert state.read(tmp_path / "absent.npz") is None
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"some\.npz is no state .*remove it"):
        state.read(path)


def test_a_run_that_diverges_is_recorded_and_changes_no_other(data):
    sound = runs()
    wild = tuple(
        dataclasses.replace(run, name="wild", weights=vp.init.normal(std=1e12)) for run in sound[:2]
    )
    mixed = train(experiment(layers=PLAIN, runs=(*wild, *sound), epochs=2), data)
    rate = tuple(dataclasses.replace(run, rate=0.0) for run in sound[:2])
    calm = train(experiment(layers=PLAIN, runs=(*rate, *sound), epochs=2), data)
    assert (mixed.of("wild").diverged >= 0).all()
    assert np.isnan(mixed.of("wild").validation_accuracy[:, -1]).all()
    assert (mixed.diverged[2:] == -1).all()
    for name in ("he_normal", "glorot_uniform", "random_uniform"):
        rows = slice(-2, None)
        np.testing.assert_array_equal(
            mixed.of(name).validation_loss[rows], calm.of(name).validation_loss[rows]
        )


def test_the_statistics_of_the_batch_matter_to_batch_norm_alone(data):
    normed = train(experiment(epochs=1), data)
    assert (normed.batch_loss[:, 0] == normed.validation_loss[:, 0]).all()
    assert (normed.batch_loss[:, 1] != normed.validation_loss[:, 1]).all()
    plain = train(experiment(epochs=1, layers=PLAIN), data)
    assert np.isfinite(plain.batch_loss).all()
    assert (plain.batch_loss == plain.validation_loss).all()


def test_runs_of_a_seed_share_batches_masks_and_streams(data):
    """Two names of one law are one training; and other seeds are other trainings."""
    one, two = (Run(name, vp.init.get("he_normal"), 5, 0.1) for name in ("a", "b"))
    other = dataclasses.replace(two, seed=6)
    history = train(experiment(runs=(one, two, other), epochs=1), data)
    np.testing.assert_array_equal(history.validation_loss[0], history.validation_loss[1])
    assert (history.validation_loss[0] != history.validation_loss[2]).all()


def test_each_run_has_its_own_rate(data):
    still, moving = (Run("x", vp.init.get("he_normal"), 5, rate) for rate in (0.0, 0.1))
    history = train(experiment(layers=PLAIN, runs=(still, moving), epochs=1), data)
    assert (history.validation_loss[0] == history.validation_loss[0, 0]).all()
    assert history.validation_loss[1, -1] < history.validation_loss[1, 0]


def test_snapshots_hold_values_and_gradients_of_every_layer(data):
    seen: list[Snapshot] = []

    def watch(snapshot: Snapshot) -> dict[str, torch.Tensor]:
        seen.append(snapshot)
        return {"epoch": torch.full((6,), float(snapshot.epoch))}

    history = train(experiment(watch=watch, epochs=1), data)
    np.testing.assert_array_equal(history.watched["epoch"], [[0.0, 1.0]] * 6)
    for snapshot in seen:
        values, gradients = snapshot.values, snapshot.gradients
        assert values["conv_2"].shape == (32, 6, 4, 4, 4) == gradients["conv_2"].shape
        bias = gradients["conv_2"].sum((0, 3, 4))
        torch.testing.assert_close(bias, gradients["conv_2.bias"], rtol=1e-3, atol=1e-6)
        slope = 1 - values["phi_2"] ** 2
        torch.testing.assert_close(gradients["conv_2"], gradients["phi_2"] * slope)


@pytest.mark.slow
def test_groups_that_the_memory_forces_are_the_same_training(data, monkeypatch):
    whole = train(experiment(runs=runs(0.02)), data)
    monkeypatch.setattr("figures.training.experiment.MEMORY", 2 * 10**6)
    asked = experiment(runs=runs(0.02))
    assert 1 <= asked.together(data.shape) < len(asked.runs)
    apart = train(asked, data)
    np.testing.assert_allclose(apart.train_loss, whole.train_loss, rtol=1e-4)


def test_weights_are_of_the_law_that_the_run_names():
    """The variance of 72 000 weights of a wide convolution within 6 standard errors."""
    net = Network((Conv(100, 3), Conv(80, 3)), (1, 8, 8))
    for name in ("he_normal", "he_uniform", "glorot_uniform", "random_normal", "random_uniform"):
        run = Run(name, vp.init.get(name), 1, 0.1, vp.init.constant(0.3))
        drawn = net.draw([run])
        law = run.weights.at(900, 720, rows=80)
        w = drawn["conv_2.weight"]
        assert w.shape == (1, 80, 100, 3, 3)
        error = ((float(law.kurtosis) - 1) / w.numel()) ** 0.5
        assert abs(w.var().item() / float(law.variance) - 1) < 6 * error
        assert (drawn["conv_2.bias"] == 0.3).all()


def test_names_and_sizes():
    net = Network(LAYERS, (1, 8, 8))
    assert net.names[:3] == ("conv_1", "batchnorm_1", "phi_1") and net.names[-1] == "dense_2"
    own = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(64, 12), nn.Linear(12, 10)
    )
    assert net.parameter_count == sum(p.numel() for p in own.parameters()) + 2 * 4 + 2 * 12
    logits = net(
        torch.zeros(5, 3, 1, 8, 8), net.draw(runs()[:3]) | net.buffers(runs()[:3]), Pass(True)
    )
    assert logits.shape == (5, 3, 10)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 0}, "epochs must be .* at least 1, got 0"),
        ({"batch": 97}, "must not exceed the 96 training images of digits, got 97: take"),
        ({"runs": ()}, "at least one run, got none"),
        ({"momentum": float("nan")}, r"momentum must lie in \[0, 1\), got nan"),
        (
            {"runs": (Run("a", vp.init.get("he_normal"), 0, float("nan")),)},
            "learning rates must be finite, at least 0, got nan",
        ),
        ({"layers": (Dense(7),)}, r"must give 10 numbers .* got \(7,\): end with Dense\(10\)"),
    ],
)
def test_impossible_experiments_are_refused(data, changed, message):
    with pytest.raises(ValueError, match=message):
        train(experiment(**changed), data)


def test_an_unknown_name_of_runs_is_refused(data):
    history = train(experiment(epochs=1, runs=runs(seeds=(1,))), data)
    with pytest.raises(ValueError, match="no run is named 'he': the runs are he_normal, glorot"):
        history.of("he")


def test_the_manifest_names_the_device_that_was_found():
    found = "cuda" if torch.cuda.is_available() else "cpu"
    assert Trained("auto").device == found and Trained("cpu").device == "cpu"


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan")])
def test_impossible_layers_are_refused(rate):
    with pytest.raises(ValueError, match=r"dropout rate must lie in \[0, 1\), got"):
        Dropout(rate)
    with pytest.raises(ValueError, match="a kernel must be odd to keep the image's size, got 4"):
        Conv(2, 4)
