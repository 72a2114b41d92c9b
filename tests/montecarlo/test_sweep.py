"""A sweep is simulate on every grid point, with one pool and one store."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import varprop as vp
from varprop.montecarlo import conditional, explicit

GRID = {"width": [6, 9], "depth": (1, 3)}
HOW = {"draws": 200, "seed": 7}


def rows_of(sample):
    return [tuple(row) for row in sample.rows()]


def test_a_grid_point_has_the_draws_that_simulate_gives_it_alone(seed):
    found = vp.sweep(vp.mlp, GRID, draws=200, seed=seed)
    rows = [tuple(row) for row in found.rows()]
    alone = [
        (width, depth, *row)
        for width in GRID["width"]
        for depth in GRID["depth"]
        for row in rows_of(vp.simulate(vp.mlp(width, depth), draws=200, seed=seed))
    ]
    assert rows == alone
    assert str(found) == f"sweep of 4 networks over width, depth, 200 draws of each, seed {seed}"


def test_quantities_choose_the_rows(seed):
    chosen = ["second_moment", "length_fluctuation"]
    found = vp.sweep({"a": vp.mlp(6, 1), "b": vp.mlp(6, 2)}, quantities=chosen, **HOW)
    table = found.frame()
    assert list(table.columns[:2]) == ["network", "node"]
    assert set(table["quantity"]) == set(chosen)
    assert len(table) == 2 * (len(vp.mlp(6, 1).nodes) + len(vp.mlp(6, 2).nodes))
    one = table[(table["network"] == "b") & (table["node"] == "relu_2")]
    sample = vp.simulate(vp.mlp(6, 2), **HOW)
    assert one["value"].iloc[0] == sample.values("relu_2", "second_moment").mean()


def test_inputs_of_all_and_of_each(seed, rng):
    x = rng.standard_normal((2, 6))
    list_of = [vp.mlp(6, 1), vp.mlp(6, 2)]
    shared = vp.sweep(list_of, inputs=x, **HOW)
    rows = [tuple(r)[1:] for r in shared.rows() if r.network == "1"]
    alone = rows_of(vp.simulate(list_of[1], x, **HOW))
    assert repr(rows) == repr(alone)  # a layer of six dead units has no correlation: nan

    def diagonal(network):
        return np.ones((1, network.sizes[network.input]))

    each = vp.sweep(vp.mlp, GRID, inputs=diagonal, **HOW)
    inputs = [r.value for r in each.rows() if r.node == "input" and r.quantity == "mean"]
    assert inputs == [1.0] * 4


def test_units_of_all_networks_share_one_pool(seed):
    """While one network's only unit is under way, the next one's is too."""

    class Watched(ThreadPoolExecutor):
        def __init__(self):
            super().__init__(1)
            self.flight, self.most = set(), 0

        def submit(self, fn, /, *args, **kwargs):
            future = super().submit(fn, *args, **kwargs)
            self.flight = {f for f in self.flight if not f[0].done()} | {
                (future, id(args[0].network))
            }
            self.most = max(self.most, len({network for _, network in self.flight}))
            return future

    with Watched() as executor:
        networks = [vp.mlp(12, 4) for _ in range(6)]
        vp.sweep(networks, draws=100, seed=seed, executor=executor, engine="conditional")
    assert executor.most == 2


def test_a_sweep_goes_on_from_its_store_and_from_that_of_simulate(tmp_path, seed, monkeypatch):
    how = {"draws": 300, "seed": seed, "engine": "conditional", "store": tmp_path}
    vp.simulate(vp.mlp(9, 1), **how)
    vp.sweep(vp.mlp, {"width": [6], "depth": [1]}, **how)
    drawn, plain = [], conditional.run_block

    def counted(network, *args, **how):
        drawn.append((network.sizes["input"], len(network.nodes)))
        return plain(network, *args, **how)

    monkeypatch.setattr(conditional, "run_block", counted)
    found = vp.sweep(vp.mlp, GRID, **how)
    assert set(drawn) == {(6, len(vp.mlp(6, 3).nodes)), (9, len(vp.mlp(9, 3).nodes))}
    del how["store"]
    assert list(found.rows()) == list(vp.sweep(vp.mlp, GRID, **how).rows())


def test_faces(tmp_path, seed):
    found = vp.sweep(vp.mlp, GRID, **HOW)
    saved = vp.Sweep.from_json(found.to_json(tmp_path / "a.json"))
    assert json.loads((tmp_path / "a.json").read_text())["kind"] == "Sweep"
    assert str(saved) == str(found)
    left, right = saved.frame(), found.frame()
    assert list(left["width"]) == list(right["width"]) and len(left) == len(right)
    ax = found.plot("second_moment")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(labels) == sorted(f"width={w}, depth={d}" for w in (6, 9) for d in (1, 3))
    points = {len(line.get_xdata()) for line in ax.lines}
    assert points == {len(vp.mlp(6, 1).nodes), len(vp.mlp(6, 3).nodes)}
    import matplotlib.pyplot as plt

    plt.close(ax.figure)


def small(value):
    return vp.mlp(value, 1)


@pytest.mark.parametrize(
    ("networks", "grid", "change", "words"),
    [
        (
            vp.mlp,
            {"width": [4, 0], "depth": [1]},
            {},
            "at the grid point width=0, depth=1: input size",
        ),
        (vp.mlp, {"width": [4], "depht": [1]}, {}, "at the grid point width=4, depht=1: .*depht"),
        ({"good": vp.mlp(4, 1), "bad": 3}, None, {}, "at the grid point bad: a varprop Network"),
        ([vp.mlp(4, 1), vp.mlp(5, 1)], None, {"inputs": np.ones((1, 4))}, "grid point 1: inputs"),
        (
            [vp.mlp(4, 1, weights="kaiming_uniform")],
            None,
            {"engine": "conditional"},
            "point 0: the cond",
        ),
        (vp.mlp, None, {}, "a function of networks needs a grid, its arguments with lists"),
        (vp.mlp, {"width": 4, "depth": [1]}, {}, "a function of networks needs a grid"),
        (vp.mlp, {"width": [], "depth": [1]}, {}, "a function of networks needs a grid"),
        (small, {"value": [4]}, {}, "'value' cannot name a parameter of a grid.*wrap the function"),
        (lambda _w: small(_w), {"_w": [4]}, {}, "'_w' cannot name .* without a leading undersc"),
        (lambda **how: small(4), {"class": [4]}, {}, "'class' cannot name .* no keyword"),
        ({1: vp.mlp(4, 1), "1": vp.mlp(5, 1)}, None, {}, r"print differently, got \[1, '1'\]; ren"),
        ([vp.mlp(4, 1)], {"width": [4]}, {}, "a grid needs a function that makes the networks"),
        ([], None, {}, "a sweep needs a list of networks, a mapping"),
        (vp.mlp(4, 1), None, {}, "a sweep needs a list of networks, a mapping"),
        ([vp.mlp(4, 1)], None, {"quantities": ["length"]}, "quantities must be a list of names"),
        ([vp.mlp(4, 1)], None, {"quantities": "mean"}, "quantities must be a list of names"),
        ([vp.mlp(4, 1)], None, {"quantities": []}, "quantities must be a list of names"),
        (
            [vp.mlp(4, 1)],
            None,
            {"quantities": ["mean", "ntk"], "backward": False},
            "ntk was not measured.*simulate with backward=True",
        ),
        ([vp.mlp(4, 1)], None, {"backward": 0}, "point 0: backward must be True or False, got 0"),
        ([vp.mlp(4, 1)], None, {"draws": 1}, "draws must be a whole number of at least 2"),
    ],
)
def test_a_wrong_grid_point_is_named_before_anything_is_drawn(
    networks, grid, change, words, monkeypatch, tmp_path
):
    def drawn(*args, **how):
        raise AssertionError("drawn before all was checked")

    monkeypatch.setattr(conditional, "run_block", drawn)
    monkeypatch.setattr(explicit, "run_blocks", drawn)
    with pytest.raises(ValueError, match=words):
        vp.sweep(networks, grid, store=tmp_path, **(HOW | change))
    assert not list(tmp_path.iterdir())
