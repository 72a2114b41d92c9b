"""The kurtosis of one neuron: predicted by brute force, measured, and refuted where it is wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

import varprop as vp
from varprop.comparison import neuron
from varprop.montecarlo.neurons import layer_values
from varprop.stats import Verdict, normality_test

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
CPU = torch.device("cpu")
SMALL = vp.init.normal(variance=0.7)


def predicted(network, node, inputs):
    return neuron.neuron_study(network, node, inputs=inputs, draws=50, seed=0).theory.value


def test_the_predicted_kurtosis_of_gaussian_weights_is_an_integral():
    """3 E v^2/(E v)^2 over two hidden units by a grid of values of relu(Z): no rule of layers."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    value = np.append(0.0, 5 * (nodes + 1))  # relu(Z) is 0 or a half-normal number below 10
    chance = np.append(0.5, 5 * weights * np.exp(-(value[1:] ** 2) / 2) / np.sqrt(2 * np.pi))
    weight, bias = 0.9, 0.3
    normal = vp.init.normal
    network = vp.mlp(2, 1, weights=normal(variance=weight), bias=normal(variance=bias))
    x = np.array([[0.6, -1.1]])
    first = weight * (x**2).sum() + bias
    v = weight * first * (value[:, None] ** 2 + value**2) + bias
    both = chance[:, None] * chance
    expected = 3 * (both * v**2).sum() / (both * v).sum() ** 2
    assert expected > 3.5
    assert predicted(network, "dense_2", x) == pytest.approx(expected, rel=1e-12)
    assert predicted(network, "dense_1", x) == pytest.approx(3, rel=1e-12)


def test_the_predicted_kurtosis_of_signs_is_an_enumeration():
    signs = vp.init.rademacher
    network = vp.mlp(2, 1, output=1, weights=signs(), bias=vp.init.rademacher(scale=0.5))
    layer = network["dense_2"].layer
    assert isinstance(layer, vp.Dense)
    size, shift = float(layer.weight_variance) ** 0.5, float(layer.bias_second) ** 0.5
    x = np.array([[0.6, -1.1]])
    z = []
    for s in map(np.array, product((-1, 1), repeat=9)):
        hidden = np.maximum(size * s[:4].reshape(2, 2) @ x[0] + shift * s[4:6], 0)
        z.append(size * s[6:8] @ hidden + shift * s[8])
    expected = np.mean(np.power(z, 4)) / np.mean(np.square(z)) ** 2
    assert predicted(network, "dense_2", x) == pytest.approx(expected, rel=1e-12)


@pytest.mark.statistical
def test_an_exact_kurtosis_that_is_not_gaussian(seed):
    study = vp.neuron_study(vp.mlp(32, 1), "dense_2", draws=20_000, seed=seed)
    assert study.theory.value == pytest.approx(3 * (1 + 5 / 32))
    assert study.theory.p_value > 1e-6
    assert (study.verdict is REFUTED) == (study.theory.p_value <= study.error_rate)
    assert study.kurtosis == pytest.approx(study.theory.value, rel=0.1)
    assert study.gaussian.verdict is REFUTED
    assert [row.value for row in study.rows()] == [study.theory.value, 3]
    assert study.theory.measured == study.gaussian.measured == study.kurtosis
    p = study.gaussian.p_value
    assert f"predicted 3.469 (exact); REFUTED: it is Gaussian, p = {p:.2g}" in str(study)


@pytest.mark.statistical
def test_a_first_layer_is_gaussian_at_any_width(seed):
    study = vp.neuron_study(vp.mlp(64, 1, input=3), "dense_1", draws=5_000, seed=seed)
    assert study.theory.value == 3 and study.theory.regime == "exact"
    for row in study.rows():
        assert row.p_value > 1e-6
        assert row.verdict is (CONFIRMED if row.p_value > study.error_rate else REFUTED)
        assert -0.05 < row.low < row.gap < row.high < 0.05


LINEAR = {"activation": "identity", "output": 64}  # whose moments a sample of this size shows


@pytest.mark.statistical
@pytest.mark.parametrize("other", [vp.mlp(10, 1, **LINEAR), vp.mlp(8, 1, output=64)])
def test_a_wrong_fluctuation_is_refuted(other, seed, monkeypatch):
    """Planted faults: the theory of a network two units wider, and of another activation."""
    true = neuron.predict
    monkeypatch.setattr(
        neuron, "predict", lambda network, *how, **order: true(other, *how, **order)
    )
    study = vp.neuron_study(vp.mlp(8, 1, **LINEAR), "dense_2", draws=20_000, seed=seed)
    assert study.verdict is REFUTED
    assert study.kurtosis == pytest.approx(3 * (1 + 2 / 8), rel=0.03)


@pytest.mark.parametrize("memory", [2**26, 1])
@pytest.mark.parametrize("tied", [False, True])
def test_the_values_are_those_of_the_explicit_engine(memory, tied, seed, monkeypatch):
    network, x = vp.mlp(6, 3, bias=SMALL, tied=tied), np.ones((1, 6))
    for inputs in (None, x):
        how = {"draws": 21, "seed": seed, "engine": "explicit", "dtype": "float64"}
        sample = vp.simulate(network, inputs, **how)
        z = torch.cat([*layer_values(network, "dense_2", inputs, seed, 21, CPU, memory)])
        assert z.shape == (21, 1, 6)
        for quantity, k in (("mean", 1), ("second_moment", 2)):
            expected = torch.tensor(sample.values("dense_2", quantity))
            torch.testing.assert_close((z**k).mean(-1), expected, rtol=1e-12, atol=1e-14)


def test_the_standard_error_is_that_of_a_ratio(rng):
    """The jackknife: the kurtosis again without each network."""
    z = rng.normal(size=(400, 16)) * rng.uniform(0.5, 2, size=(400, 1))
    square, fourth = (z**2).mean(1), (z**4).mean(1)
    without = (fourth.sum() - fourth) / 399 / ((square.sum() - square) / 399) ** 2
    expected = 399 * np.var(without) ** 0.5 / 400**0.5 * (400 / 399) ** 0.5
    stacks = iter([torch.from_numpy(z)[:, None]])
    measured = neuron._measured("dense_1", stacks, 1.0)
    assert measured.standard_error == pytest.approx(expected, rel=0.02)
    assert measured.contrast(2.5).mean() == pytest.approx(measured.kurtosis - 2.5)


def test_normality_is_that_of_one_neuron(seed):
    network = vp.mlp(4, 2)
    z = torch.cat([*layer_values(network, "dense_2", None, seed, 60, CPU)])
    expected = normality_test(z[:, 0, 0].numpy(), 1e-3)
    study = vp.neuron_study(network, "dense_2", draws=60, seed=seed)
    assert study.normality.anderson == pytest.approx(expected.anderson, rel=1e-9)
    assert study.normality.excess == pytest.approx(expected.excess, rel=1e-9)


def test_a_kurtosis_has_no_scale(seed):
    """Squares of 2^-300 squared leave the range of floats, and the study does not."""
    one, tiny = (
        vp.neuron_study(vp.mlp(4, 1, weights=vp.init.normal(std=s)), "dense_2", draws=60, seed=seed)
        for s in (1.0, 2.0**-150)
    )
    assert tiny.kurtosis == pytest.approx(one.kurtosis, rel=1e-9)
    assert tiny.normality.anderson == pytest.approx(one.normality.anderson, rel=1e-6)


def test_what_cannot_be_decided_says_why(seed):
    few = vp.neuron_study(vp.mlp(8, 1, output=1), "dense_2", draws=100, seed=seed)
    assert few.verdict is UNDECIDED and few.theory.needed == 25_324
    assert "fourth moments of 1 channel(s) are too skewed" in few.theory.note
    deep = vp.neuron_study(vp.mlp(4, 30, output=64), "dense_31", draws=600, seed=seed)
    assert deep.verdict is UNDECIDED and "of the fourth moment: draw more" in str(deep)
    joined = vp.neuron_study(vp.residual(8, 2), "dense_3", draws=60, seed=seed)
    assert joined.verdict is UNDECIDED and "measure this network" in str(joined)
    assert np.isnan(joined.theory.value) and "predicted no theory" in str(joined)


def test_smooth_activations_are_known_to_order_one_over_n(seed):
    tanh = vp.mlp(32, 2, activation="tanh")
    study = vp.neuron_study(tanh, "dense_3", draws=60, seed=seed)
    spread = vp.predict(tanh).value("tanh_2", "length_fluctuation")[0]
    assert study.theory.regime == "corrected"
    assert study.theory.value == pytest.approx(3 * (1 + spread))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"node": "relu_1"}, "pre-activations of a dense node, .* take one of dense_1, dense_2"),
        ({"node": "dense_7"}, "unknown node 'dense_7': did you mean"),
        ({"inputs": np.ones((3, 4))}, "takes one input, got 3; study each on its own"),
        ({"error_rate": 1e-6}, "error_rate must be at least 0.001, .* got 1e-06"),
        ({"margin": 0}, "margin must lie between 0 and 0.5, got 0"),
        ({"draws": 49}, "draws must be a whole number of at least 50, got 49"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"inputs": np.zeros((1, 4))}, "needs draws that differ, got node 0 constant"),
        ({"network": 3}, "a varprop Network is needed, got int"),
    ],
)
def test_what_is_refused(change, words):
    how = {"network": vp.mlp(4, 1), "node": "dense_2", "draws": 60, "seed": 0, **change}
    with pytest.raises(ValueError, match=words):
        vp.neuron_study(**how)


def test_an_undecided_study_that_was_tested_says_the_networks_that_would_decide(seed):
    study = vp.neuron_study(vp.mlp(64, 1), "dense_2", draws=500, seed=seed)
    row = study.theory._replace(verdict=UNDECIDED, note="", needed=777)
    assert str(replace(study, theory=row)).endswith("; about 777 networks would decide")
    refused = row._replace(note="too few")  # which says its own remedy
    assert str(replace(study, theory=refused)).endswith("; too few")
