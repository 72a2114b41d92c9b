"""A growing sample: the draws of simulate, to the bit, and none of them drawn twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import varprop as vp
from tests.montecarlo.bits import SMALL, assert_same_bits, make
from varprop.montecarlo import conditional, explicit, grow
from varprop.montecarlo.growing import COPIES, memory_needed
from varprop.montecarlo.runner import Job

LOOKS = [20, 33, 100, 700, 1500]


@pytest.fixture
def drawn(monkeypatch):
    """The blocks that are drawn from now on, by either engine."""
    blocks, one, several = [], conditional.run_block, explicit.run_blocks

    def run_block(network, inputs, seed, block, *rest, **how):
        blocks.append(block)
        return one(network, inputs, seed, block, *rest, **how)

    def run_blocks(network, inputs, seed, some, *rest, **how):
        blocks.extend(some)
        return several(network, inputs, seed, some, *rest, **how)

    monkeypatch.setattr(conditional, "run_block", run_block)
    monkeypatch.setattr(explicit, "run_blocks", run_blocks)
    return blocks


@pytest.mark.parametrize("engine", ["explicit", "conditional"])
@pytest.mark.parametrize("stored", [False, True])
def test_each_sample_is_that_of_simulate(engine, stored, seed, tmp_path, drawn):
    how = {"seed": seed, "engine": engine}
    store = tmp_path if stored else None
    grown = list(grow(SMALL, draws=LOOKS, store=store, **how))
    units = make(SMALL, engine=engine).units(LOOKS[-1])
    assert sorted(drawn) == list(range(units[-1].stop))
    for sample, count in zip(grown, LOOKS, strict=True):
        alone = vp.simulate(SMALL, draws=count, **how)
        assert sample.draws == count and sample.engine == engine
        assert_same_bits(sample, alone)
        if engine == "explicit":
            assert np.array_equal(sample.duality, alone.duality)
        for node in SMALL:  # reductions over draws see the same layout
            a, b = (s.values(node.name, "second_moment") for s in (sample, alone))
            assert np.array_equal(a.mean(0), b.mean(0))


def test_executor_and_chunk_change_no_bit(seed, rng):
    x = rng.standard_normal((2, 12))
    with ThreadPoolExecutor(2) as executor:
        grown = list(grow(SMALL, x, draws=[40, 300], seed=seed, executor=executor, chunk=8))
    for sample in grown:
        assert_same_bits(sample, vp.simulate(SMALL, x, draws=sample.draws, seed=seed))


def test_what_is_not_asked_for_is_not_drawn(seed, drawn):
    samples = grow(SMALL, draws=LOOKS, seed=seed, engine="explicit")
    assert not drawn
    next(samples)
    first = make(SMALL, engine="explicit").units(LOOKS[0])
    assert sorted(drawn) == list(range(first[-1].stop))


def test_a_store_lets_a_broken_run_go_on(seed, tmp_path, drawn, monkeypatch):
    how = {"seed": seed, "engine": "conditional", "store": tmp_path}
    samples = grow(SMALL, draws=LOOKS, **how)
    for _ in range(3):
        next(samples)
    samples.close()
    before = len(drawn)
    assert_same_bits(
        list(grow(SMALL, draws=LOOKS, **how))[-1], vp.simulate(SMALL, draws=LOOKS[-1], **how)
    )
    units = make(SMALL).units(LOOKS[-1])
    assert before and sorted(drawn) == list(range(units[-1].stop))


def test_an_error_says_how_to_keep_the_draws(seed, monkeypatch):
    def fails(*args, **how):
        raise RuntimeError("no more")

    samples = grow(SMALL, draws=LOOKS, seed=seed, engine="conditional")
    next(samples)
    monkeypatch.setattr(conditional, "run_block", fails)
    with pytest.raises(RuntimeError) as caught:
        list(samples)
    assert any("pass store=PATH" in note for note in caught.value.__notes__)


def test_memory_holds_the_measurements_several_times(seed):
    """The last sample, the units kept and the new sample, beside the units at work."""
    task, draws = make(SMALL, engine="explicit"), 10**6
    alone = Job("alone", task, draws).measurements
    assert alone == draws * task.record_bytes > 10 * task.unit_bytes
    assert memory_needed(task, draws, ("cpu",)) >= COPIES * alone + task.unit_bytes
    with pytest.raises(ValueError, match="ask for fewer draws"):
        next(grow(SMALL, draws=[draws, draws], seed=seed, engine="explicit", memory=COPIES * alone))
