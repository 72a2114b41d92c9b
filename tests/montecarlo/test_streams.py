"""One stream per block of draws: no result depends on chunks, on the number of draws, or on torch's
global stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import varprop as vp
from varprop.initializers import orthogonal
from varprop.montecarlo.streams import block_generator

CPU = torch.device("cpu")


def network():
    return vp.mlp(16, 3, activation="tanh", bias="lecun_normal", weights=orthogonal())


def fields(sample):
    return [v for record in sample.records.values() for v in vars(record).values()]


@pytest.mark.parametrize("inputs", [None, 2])
def test_chunks_do_not_change_the_sample(inputs, seed, rng):
    x = None if inputs is None else rng.standard_normal((inputs, 16))
    runs = [
        vp.simulate(network(), x, draws=37, seed=seed, dtype="float64", engine="explicit", chunk=c)
        for c in (None, 1, 8, 19, 1000)
    ]
    for run in runs[1:]:
        for a, b in zip(fields(runs[0]), fields(run), strict=True):
            assert np.allclose(a, b, rtol=1e-12, atol=1e-12)
    for a, b in zip(fields(runs[1]), fields(runs[2]), strict=True):  # both: blocks one by one
        assert np.array_equal(a, b)


@pytest.mark.parametrize("engine", ["explicit", "conditional"])
def test_a_longer_run_begins_with_the_shorter_one(engine, seed):
    net = vp.mlp(12, 2)
    how = {"seed": seed, "engine": engine, "chunk": 8}
    short, long = (vp.simulate(net, draws=d, **how) for d in (11, 150))
    for a, b in zip(fields(short), fields(long), strict=True):
        assert len(a) == 11 and len(b) == 150
        assert np.array_equal(a, b[:11])
    other = vp.simulate(net, draws=11, **(how | {"seed": seed + 1}))
    for a, b in zip(fields(short)[7:], fields(other)[7:], strict=True):
        assert not np.any(a[:, 0] == b[:, 0]) or np.all(a == 1)  # grad of the output is 1


def test_draws_differ_within_and_between_blocks(seed):
    for engine in ("explicit", "conditional"):
        sample = vp.simulate(vp.mlp(12, 2), draws=300, seed=seed, engine=engine)
        values = sample.values("dense_3", "second_moment")[:, 0]
        assert np.unique(values).size == 300


def test_streams_of_blocks_and_seeds_are_distinct(seed):
    firsts = {
        int(torch.randint(2**62, (1,), generator=block_generator(s, b, CPU)))
        for s in (seed, seed + 1)
        for b in range(200)
    }
    assert len(firsts) == 400


@pytest.mark.parametrize("engine", ["explicit", "conditional"])
def test_the_global_streams_are_untouched(engine, seed):
    before, first, numpy_state = torch.get_rng_state(), torch.initial_seed(), np.random.get_state()  # noqa: NPY002
    vp.simulate(vp.mlp(8, 2), draws=9, seed=seed, engine=engine)
    assert torch.equal(before, torch.get_rng_state()) and torch.initial_seed() == first
    assert np.array_equal(numpy_state[1], np.random.get_state()[1])  # noqa: NPY002
    torch.rand(1)
    assert not torch.equal(before, torch.get_rng_state())  # the check sees a draw
