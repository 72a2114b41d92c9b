"""What simulate refuses, and what it says then."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

import varprop as vp
from varprop.initializers import normal

NET = vp.mlp(4, 1)
GOOD = {"draws": 4, "seed": 0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"draws": 1}, "draws must be a whole number of at least 2, got 1"),
        ({"draws": 4.0}, "draws must be a whole number of at least 2, got 4.0"),
        ({"draws": True}, "draws must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"chunk": 0, "engine": "explicit"}, "chunk must be a whole number of at least 1, got 0"),
        ({"engine": "fast"}, "unknown engine 'fast'; use 'auto', 'explicit' or 'conditional'"),
        ({"dtype": "float8"}, "unknown dtype 'float8'; use one of float64, float32"),
        ({"dtype": torch.int64}, "unknown dtype torch.int64"),
        ({"device": "abacus"}, "unknown device 'abacus'; use 'auto', 'cpu', 'cuda'"),
        ({"device": "meta"}, "unknown device 'meta'; use 'auto', 'cpu', 'cuda'"),
        ({"chunk": 0, "engine": "conditional"}, "chunk must be a whole number of at least 1"),
        ({"inputs": np.ones((2, 5))}, r"inputs must have shape \(points, 4\).*got \(2, 5\)"),
        ({"inputs": np.full((1, 4), np.nan)}, "inputs must be finite; point 0, channel 0 is nan"),
        ({"inputs": np.array(["a"] * 4)}, "inputs must be real numbers"),
    ],
)
def test_a_wrong_argument_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        vp.simulate(NET, **(GOOD | change))


def test_a_symbolic_network_is_sent_to_predict():
    n = sp.Symbol("n", positive=True)
    with pytest.raises(ValueError, match=r"simulate needs numbers.*use predict for formulas"):
        vp.simulate(vp.mlp(n, 1), **GOOD)
    s = sp.Symbol("s", positive=True)
    with pytest.raises(ValueError, match="SymPy symbols"):
        vp.simulate(vp.mlp(4, 1, weights=normal(variance=s)), **GOOD)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_an_absent_device_is_named():
    with pytest.raises(ValueError, match="'cuda' asked for, but torch finds no CUDA device"):
        vp.simulate(NET, device="cuda", **GOOD)


def test_what_a_sample_has_and_has_not(seed):
    sample = vp.simulate(NET, draws=4, seed=seed, engine="explicit")
    with pytest.raises(ValueError, match="unknown quantity of relu_1 'ntk': known: mean"):
        sample.values("relu_1", "ntk")
    with pytest.raises(ValueError, match="unknown node 'relu_9': did you mean relu_1"):
        sample.values("relu_9", "mean")
    assert "sample of 4 networks" in str(sample) and f"seed {seed}" in str(sample)
    assert sample.quantities("dense_1")[-1] == "weight_grad_second_moment"
    rows = {(r.node, r.quantity): r for r in sample.rows()}
    values = sample.values("dense_2", "second_moment")[:, 0]
    row = rows["dense_2", "second_moment"]
    assert row.value == pytest.approx(values.mean())
    assert row.standard_error == pytest.approx(np.std(values, ddof=1) / 2)


@pytest.mark.parametrize(
    ("dtype", "tracked", "engine"),
    [
        ("float32", True, "conditional"),
        ("float16", True, "explicit"),
        (torch.bfloat16, True, "explicit"),
        ("float64", False, "explicit"),
    ],
)
def test_auto_takes_the_engine_that_does_what_was_asked(dtype, tracked, engine, seed):
    sample = vp.simulate(NET, draws=2, seed=seed, dtype=dtype, track_scale=tracked)
    assert sample.engine == engine
