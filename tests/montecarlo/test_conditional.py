"""The conditional engine: exact in law, and it says where it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

import varprop as vp
from varprop.initializers import constant, normal, orthogonal, trunc_normal, uniform, variance_scaling
from varprop.layers import Add, Dense, Elementwise, Scale
from varprop.montecarlo.conditional import run_block, weights
from varprop.montecarlo.conditional.rows import Frame
from varprop.network import Graph
from varprop.stats import holm, studentized_test

ERROR = 1e-6
CPU = torch.device("cpu")


def opposed(rng, n):
    x = rng.standard_normal(n)
    return np.stack([x, 2 * x, -x])


def many(rng, n):
    """More points than channels, a duplicate, a zero, and norms from 1e-3 to 1e3."""
    x = rng.standard_normal((n + 2, n)) * np.logspace(-3, 3, n + 2)[:, None]
    x[1] = x[0]
    x[2] = 0
    return x


def two(rng, n):
    return rng.standard_normal((2, n))


def branched(weights, bias, n=8, activation="gelu"):
    """Two layers read the input, a sum takes one value twice, a value is used in three places."""
    graph = Graph(n)
    x = graph.input
    a = graph.add(Dense(n, n, weights, bias), x)
    b = graph.add(Dense(n, n, weights), x)
    r = graph.add(Elementwise(activation), a)
    s = graph.add(Add(), r, graph.add(Scale(-0.7), b))
    t = graph.add(Add(), s, s)
    w = graph.add(Dense(n, n + 3, weights), t)
    v = graph.add(Dense(n + 3, n, weights), graph.add(Elementwise("tanh"), w))
    graph.add(Dense(n, 3, weights), graph.add(Add(), graph.add(Add(), v, r), x))
    return graph.network()


LECUN = variance_scaling(1, "fan_in", "normal")
HAAR = orthogonal(gain=1.2)
CASES = {  # network, its inputs
    "relu": (vp.mlp(12, 4), None),
    "width 2": (vp.mlp(2, 3, activation="tanh", weights=LECUN), None),
    "width 3": (vp.mlp(3, 3, activation="softplus", weights=LECUN), two),
    "width 16": (vp.mlp(16, 2, weights=LECUN, bias=normal(variance=0.1)), two),
    "tanh": (
        vp.mlp(10, 3, activation="tanh", weights=normal(variance=0.2), bias=normal(variance=0.1)),
        two,
    ),
    "shifted": (
        vp.mlp(7, 2, activation="tanh", weights=normal(mean=0.2, std=0.3), bias=uniform(0, 1)),
        two,
    ),
    "dependent": (vp.mlp(8, 3, activation="gelu"), opposed),
    "many": (vp.mlp(widths=[3, 4, 2], activation="tanh", weights=LECUN), many),
    "rectangular": (vp.mlp(widths=[5, 16, 7, 3]), two),
    "residual": (vp.residual(8, 2, activation="gelu", scale=0.8), None),
    "branched": (branched(LECUN, normal(variance=0.1)), two),
    "haar": (vp.mlp(3, 3, activation="tanh", weights=HAAR), None),
    "haar pair": (vp.mlp(4, 2, activation="gelu", weights=HAAR, bias=normal(variance=0.1)), two),
    "haar rectangular": (vp.mlp(widths=[5, 16, 3, 4, 2], activation="tanh", weights=HAAR), two),
    "haar wide": (vp.mlp(widths=[16, 6, 4], activation="relu", weights=HAAR), None),
    "haar many": (vp.mlp(widths=[3, 4, 2], activation="tanh", weights=HAAR), many),
    "haar branched": (branched(HAAR, None, n=4), two),
}


def columns(sample):
    """{name: (draws,)}: all that is measured, and products that tell how the parts depend."""
    found, network = {}, sample.network
    for name, record in sample.records.items():
        for field, values in vars(record).items():
            flat = values.reshape(len(values), -1)
            found.update({(name, field, i): flat[:, i] for i in range(flat.shape[1])})
    last, first = sample.records[network.output], sample.records[network.input]
    for name, record in sample.records.items():
        forward, back = record.second[:, 0, 0], record.grad_second[:, 0, 0]
        size = forward.mean() or 1.0, back.mean() or 1.0
        found[name, "both"] = forward / size[0] + back / size[1]
        found[name, "product"] = forward * back
        found[name, "forward"] = forward + last.second[:, 0, 0]
        found[name, "along"] = record.tangent_second[:, 0] * first.grad_second[:, -1, -1]
        found[name, "tangent"] = record.tangent_second[:, -1] / (1e-30 + back)
    return found


def smallest_p(a, b):
    """Kolmogorov-Smirnov tests of every column, adjusted by Holm; constants must be equal."""
    p_values, right = [], columns(b)
    for key, left in columns(a).items():
        size = max(np.abs(left).max(), np.abs(right[key]).max())
        if max(np.ptp(left), np.ptp(right[key])) <= 1e-5 * size:
            assert np.abs(left - right[key]).max() <= 1e-5 * size, key
            continue
        p_values.append(float(stats.ks_2samp(left, right[key], method="asymp").pvalue))
    assert len(p_values) > 20
    return holm(p_values, ERROR).adjusted.min()


def compared(name, seed, rng, draws=3000, dtype="float64"):
    network, points = CASES[name]
    inputs = None if points is None else points(rng, network.sizes["input"])
    explicit = vp.simulate(
        network, inputs, draws=draws, seed=seed, engine="explicit", dtype="float64"
    )
    fast = vp.simulate(network, inputs, draws=draws, seed=seed + 1, engine="conditional", dtype=dtype)
    return smallest_p(explicit, fast)


@pytest.mark.statistical
@pytest.mark.parametrize("name", CASES)
def test_it_agrees_in_law_with_the_explicit_engine(name, seed, rng):
    """Every field of every record, and products of them: error rate 1e-6."""
    assert compared(name, seed, rng) > ERROR
