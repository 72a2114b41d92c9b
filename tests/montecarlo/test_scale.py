"""Networks whose signal leaves the range of floats are measured like any other."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import varprop as vp
from varprop.activations import get as activation
from varprop.initializers import normal
from varprop.layers import Dense, Elementwise
from varprop.network import Graph
from varprop.stats import binomial_interval, contrast_test

DRAWS, WIDTH, DEPTH = 8, 256, 100


def deep(kind, bias=None, depth=DEPTH, width=WIDTH, middle=None):
    """`depth` layers of N(0, 1) weights; `middle` is the one activation in between."""
    graph = Graph(width)
    x = graph.input
    for level in range(depth):
        x = graph.add(Dense(width, width, normal(variance=1.0), bias), x)
        act = middle if middle is not None and level == depth // 2 else kind
        if act != "identity":
            x = graph.add(Elementwise(activation(act)), x)
    return graph.network()


@pytest.mark.parametrize("activate", ["tanh", "relu"])
def test_tracking_does_not_change_a_moderate_network(activate, seed, rng):
    network = vp.mlp(24, 12, activation=activate, weights=normal(variance=0.3), bias="zeros")
    inputs = rng.standard_normal((2, 24))
    runs = [
        vp.simulate(
            network, inputs, draws=8, seed=seed, engine="explicit", dtype="float64", track_scale=t
        )
        for t in (True, False)
    ]
    for node in network:
        for quantity in runs[0].quantities(node.name):
            a, b = (run.values(node.name, quantity) for run in runs)
            assert np.allclose(a, b, rtol=1e-11, atol=1e-11 * np.abs(b).max()), (node, quantity)


@pytest.mark.parametrize(
    ("kind", "middle", "dtype"),
    [
        ("identity", None, "float64"),
        ("relu", None, "float32"),
        ("identity", "tanh", "float32"),
        ("relu", "tanh", "float32"),
    ],
)
def test_a_hundred_layers_of_unit_normal_weights(kind, middle, dtype, seed):
    """log |x_L|^2/n is a sum of independent logs: its mean is known and its spread is small."""
    network = deep(kind, normal(variance=1.0) if middle else None, middle=middle)
    sample = vp.simulate(network, draws=DRAWS, seed=seed, engine="explicit", dtype=dtype)
    gain = 1.0 if kind == "identity" else 0.5
    last = sample.values(network.output, "second_moment")[:, 0]
    first = sample.values(network.input, "grad_second_moment")[:, 0]
    assert np.isfinite(last).all() and np.all(last > 0)
    layers = DEPTH // 2 - 1 if middle else DEPTH
    # per layer, log of chi-square_n / n (identity): mean -1/n, variance 2/n; relu -5/2n, 5/n
    per = (1.0, 2.0) if kind == "identity" else (2.5, 5.0)
    mean = layers * (math.log(WIDTH * gain) - per[0] / WIDTH)
    error = math.sqrt(layers * per[1] / WIDTH / DRAWS)
    # the layers after tanh start from |x|^2/n in (0.9, 1): N(0, 256) pre-activations saturate
    slack = 0.1 + layers * 10 / WIDTH**2
    assert abs(np.log(last).mean() - mean) < 5.0 * error + slack
    if middle is None:
        assert abs(np.log(first).mean() - mean) < 5.0 * error + slack  # the same law in reverse
    assert sample.duality is not None
    assert sample.duality.max() < 1e3 * torch.finfo(getattr(torch, dtype)).eps


def test_the_expected_growth_is_that_of_chi_squares(seed):
    """One-step ratios of a deep identity network are chi-square, at p > 1e-6."""
    network = deep("identity")
    sample = vp.simulate(network, draws=DRAWS, seed=seed, engine="explicit")
    squares = [sample.values(n.name, "second_moment")[:, 0] for n in network]
    ratios = np.stack([b / a / WIDTH for a, b in itertools.pairwise(squares)], 1)

    def p_value(expected):
        variance, third = np.full(ratios.size, 2 / WIDTH), np.full(ratios.size, 8 / WIDTH**2)
        return contrast_test(ratios.ravel() / expected - 1, variance, third).p_value

    assert p_value(1.0) > 1e-6
    assert p_value(1.04) < 1e-6  # 800 ratios of variance 2/256 see 3 % at 1e-6/1e-4


def test_without_tracking_it_overflows_as_a_plain_forward_pass_does(seed):
    network = deep("relu", depth=60)
    sample = vp.simulate(
        network, draws=2, seed=seed, engine="explicit", dtype="float32", track_scale=False
    )
    assert not np.isfinite(sample.values("relu_60", "second_moment")).any()
    assert np.isfinite(sample.values("relu_10", "second_moment")).all()
    kept = vp.simulate(network, draws=2, seed=seed, engine="explicit", dtype="float32")
    assert np.isfinite(kept.values("relu_60", "second_moment")).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_bias_beside_a_vanishing_signal(dtype, seed):
    """30 layers of std 1e-3 leave 1e-90; the next layer is its bias, whatever the unit."""
    graph = Graph(16)
    x = graph.input
    for _ in range(30):
        x = graph.add(Dense(16, 16, normal(variance=1e-6 / 16)), x)
    graph.add(Dense(16, 16, normal(variance=1 / 16), normal(variance=0.1)), x)
    network = graph.network()
    sample = vp.simulate(network, draws=256, seed=seed, engine="explicit", dtype=dtype)
    found = sample.values("dense_31", "second_moment")[:, 0]
    ratio = contrast_test(found / 0.1 - 1, np.full(256, 2 / 16), np.full(256, 8 / 256))
    assert ratio.p_value > 1e-6
    before = sample.values("dense_30", "second_moment")[:, 0]
    assert np.all((before > 1e-185) & (before < 1e-175))
    wrong = contrast_test(found / 0.12 - 1, np.full(256, 2 / 16), np.full(256, 8 / 256))
    assert wrong.p_value < 1e-6


def test_both_engines_measure_the_same_deep_network(seed):
    """Signs of log-ratios against the exact median of He's network: at most 1e-6 each."""
    network = deep("relu", depth=40, width=64)
    runs = [
        vp.simulate(network, draws=256, seed=seed, engine=e) for e in ("explicit", "conditional")
    ]
    logs = [np.log(run.values("relu_40", "second_moment")[:, 0]) for run in runs]
    both = np.sort(np.concatenate(logs))
    above = [int((value > both[256]).sum()) for value in logs]
    # below the pooled median: hypergeometric, narrower than binomial(256, 1/2)
    for count in above:
        low, high = binomial_interval(count, 256, 1e-6)
        assert low < 0.5 < high
    assert all(np.isfinite(r.kurtosis).all() for run in runs for r in run.records.values())
