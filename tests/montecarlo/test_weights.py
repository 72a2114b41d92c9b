"""Parameters in memory: no number depends on what is kept, cut, drawn again or stacked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

import varprop as vp
from varprop.initializers import normal, orthogonal, uniform
from varprop.layers import Dense, Elementwise
from varprop.montecarlo import explicit, weights
from varprop.montecarlo.streams import Stream, stream_states
from varprop.montecarlo.weights import BLOCK, Group, Storage, Weights, cut, plan, workspace
from varprop.network import Graph

CPU = torch.device("cpu")


def network():
    """Divisible and orthogonal layers, a bias, weights used twice, a value used twice."""
    graph = Graph(12)
    z = graph.add(Dense(12, 18, normal(variance=0.1), uniform(a=-0.5, b=0.5)), graph.input)
    x = graph.add(Elementwise("tanh"), z)
    y = graph.add(Dense(18, 18, orthogonal()), x)
    a = graph.add(vp.Dense(18, 18, normal(variance=0.1)), graph.add(vp.Add(), x, y))
    b = graph.add(replace(graph.network()[a].layer, tied=a), graph.add(Elementwise("relu"), a))
    graph.add(Dense(18, 7, uniform(a=-0.4, b=0.4)), graph.add(vp.Scale(0.8), b))
    return graph.network()


@pytest.fixture(params=["whole", "for each network", "in tiles"])
def cutting(request, monkeypatch):
    """Layers of this size as narrow, as large and as huge ones."""
    large, huge = {"whole": (10**4, 10**5), "for each network": (50, 10**5), "in tiles": (50, 90)}[
        request.param
    ]
    monkeypatch.setattr(weights, "LARGE", large)
    monkeypatch.setattr(weights, "HUGE", huge)
    return request.param


def run(seed, blocks=range(3), x=None, net=None, **how):
    return explicit.run_blocks(net or network(), x, seed, blocks, CPU, torch.float64, **how)


def assert_alike(found, expected, rounding=1e-12):
    for node, record in expected[0].items():
        for name, value in vars(record).items():
            other = getattr(found[0][node], name)
            assert np.allclose(other, value, rtol=rounding, atol=rounding), (node, name)


@pytest.mark.parametrize("memory", [1, 5_000, 16_000, 40_000, 60_000, 200_000])
def test_memory_changes_nothing(cutting, memory, seed, rng):
    x = rng.standard_normal((2, 12))
    expected = run(seed, x=x)
    assert_alike(run(seed, x=x, memory=memory), expected)
    assert_alike(run(seed, x=x, memory=memory, blocks=range(1)), run(seed, x=x, blocks=range(1)))


def test_every_way_to_store_is_taken(cutting):
    """The sizes of memory above are those where something changes."""
    net = network()
    found = [plan(net, 2, 8, m, True) for m in (1, 5_000, 16_000, 40_000, 60_000, 200_000)]
    nodes = set(cut(net))
    assert found[0].draws == 1 and not found[0].kept
    assert any(0 < len(s.kept) < len(nodes) for s in found) or cutting == "whole"
    assert any(s.kept == nodes and s.draws == BLOCK for s in found)
    if cutting != "whole":
        assert any(s.kept == nodes and s.draws < BLOCK for s in found)
        tiles = {len(piece.tiles) for piece in cut(net).values()}
        assert tiles == {1} if cutting == "for each network" else max(tiles) > 2


def test_memory_stays_below_the_bound():
    """In a thread of its own: what a thread held before, it may keep."""
    net = vp.mlp(64, 12)

    def held(storage):
        groups = storage.groups(range(40))
        return max(Weights(storage, 0, g, torch.float32, CPU)._buffer.numel() for g in groups)

    for memory in (10**5, 10**6, 3 * 10**6, 10**8):
        with ThreadPoolExecutor(1) as fresh:
            most = fresh.submit(held, plan(net, 1, 4, memory, True)).result()
        assert 4 * 64 * 64 <= most <= max(memory, 4 * 64 * 64)  # at least one layer


def test_the_parameters_are_those_of_their_streams(cutting, seed):
    """By the rule of the module: (block, node) whole, or in tiles network by network."""
    net = network()
    *_, found = explicit.draw_blocks(net, None, seed, range(2), CPU, torch.float64)
    stream = Stream(CPU)
    for index, (name, layer, _) in enumerate(net):
        piece, count = cut(net).get(name), layer.parameter_count()
        if piece is None:
            continue
        for block in range(2):
            mine = [p[block * BLOCK : (block + 1) * BLOCK] for p in found[name]]
            tiles = len(piece.tiles)
            states = stream_states(seed, (block, index), 1 if count < 50 else BLOCK * tiles)
            if not piece.large:
                drawn = layer.draw(BLOCK, stream.start(states[0]), torch.float64, CPU)
                assert all(map(torch.equal, mine, drawn))
                continue
            for draw in range(BLOCK):
                for k, (outputs, shapes) in enumerate(piece.tiles):
                    out = tuple(torch.empty(1, *shape, dtype=torch.float64) for shape in shapes)
                    layer.fill(out, stream.start(states[draw * tiles + k]))
                    assert torch.equal(mine[0][draw, outputs], out[0][0])
                    if len(out) > 1:
                        assert torch.equal(mine[1][draw, :, outputs], out[1][0])


def test_threads_do_not_disturb_each_other(seed):
    """Tangents, gradients and parameters of eight calls on four threads, bit by bit."""
    net = vp.mlp(24, 8, activation="gelu")
    alone = [run(seed, range(k, k + 1), net=net) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda k: run(seed, range(k, k + 1), net=net), range(8)))
    for a, b in zip(alone, together, strict=True):
        assert_alike(b, a, rounding=0.0)
        assert np.array_equal(a[1], b[1])


@pytest.mark.parametrize("memory", [1, 2**28])
def test_what_is_not_asked_for_is_none(cutting, memory, seed):
    full, _ = run(seed)
    for tangents, backward in ((False, False), (True, False), (False, True)):
        some, defect = run(seed, tangents=tangents, backward=backward, memory=memory)
        assert defect is None
        for node, record in some.items():
            for name, value in vars(record).items():
                asked = not (name.startswith("tangent") and not tangents)
                asked = asked and not (name.startswith("grad") and not backward)
                assert (value is not None) == asked, (node, name)
                if asked:
                    expected = getattr(full[node], name)
                    assert np.allclose(value, expected, rtol=1e-12, atol=1e-12), (node, name)


def test_a_thread_keeps_its_pages_and_gives_back_what_is_too_much():
    first = workspace(10**6, CPU)
    assert workspace(10**6 - 100, CPU).data_ptr() == first.data_ptr()
    large = workspace(10**8, CPU)
    assert large.numel() >= 10**8
    del first, large
    assert workspace(10**6, CPU).numel() < 10**8


def test_streams_differ_beyond_32_bits(seed):
    """torch's `manual_seed` on the CPU drops the high half of a seed; whole states do not."""
    same = [torch.Generator().manual_seed((k << 32) | 5) for k in (1, 2)]
    assert torch.equal(*(torch.rand(9, generator=g) for g in same))
    (state,) = stream_states(seed, (0, 1))
    other = state.copy()
    other[200] ^= np.uint64(1 << 40)
    a, b = (torch.rand(2000, generator=Stream(CPU).start(s)) for s in (state, other))
    assert not torch.equal(a, b)


def test_group_and_storage_cover_all_draws():
    for blocks, draws in ((3, BLOCK), (1, 2)):
        groups = list(Storage({}, blocks, draws, frozenset()).groups(range(5, 12)))
        assert all(isinstance(g, Group) for g in groups)
        covered = [(b, d) for g in groups for b in g.blocks for d in g.draws]
        assert sorted(covered) == [(b, d) for b in range(5, 12) for d in range(BLOCK)]
