"""Measured rounding errors and ranges of drawn networks beside predicted ones."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch

import varprop as vp
from varprop.comparison import precision
from varprop.initializers import normal
from varprop.layers import Elementwise
from varprop.montecarlo.explicit import draw_blocks

N, POINTS, DRAWS = 128, 8, 16
FACTOR = 1.5  # at width 128: 1 + 4/n a layer in the square, zeros in the sums of float32
NETWORKS = {
    "relu, 4 layers": vp.mlp(N, 4),
    "relu, 10 layers": vp.mlp(N, 10),
    "tanh, 4 layers": vp.mlp(N, 4, activation="tanh", weights=normal(variance=1 / N)),
    "tanh, 10 layers": vp.mlp(N, 10, activation="tanh", weights=normal(variance=2.5 / N)),
    "tanh with bias": vp.mlp(
        N, 6, activation="tanh", weights=normal(variance=2.5 / N), bias=normal(variance=0.1)
    ),
}


def study(name, rng, seed, **how):
    inputs = rng.normal(size=(POINTS, N))
    return vp.precision_study(NETWORKS[name], inputs, draws=DRAWS, seed=seed, **how)


def worst(result, *quantities):
    """The largest factor between measured and predicted, over nodes and dtypes."""
    table = result.frame()
    table = table[table["quantity"].isin(quantities) & (table["predicted"] > 0)]
    assert len(table)
    mean = table.groupby(["dtype", "node", "quantity"])[["value", "predicted"]].mean()
    return float(np.exp(np.abs(np.log(mean["value"] / mean["predicted"])).max()))


@pytest.mark.parametrize("name", NETWORKS)
def test_errors_and_range_are_as_predicted(name, rng, seed):
    result = study(name, rng, seed)
    assert worst(result, "error", "arithmetic") < FACTOR
    assert worst(result, "largest") < FACTOR
    if "tanh" in name:  # of relu they are rare large steps
        assert worst(result, "grad_error", "grad_arithmetic") < FACTOR


def test_a_swapped_dtype_is_seen(rng, seed):
    result = study("relu, 4 layers", rng, seed, dtypes=("bfloat16", "float16"))
    known = result.predictions
    swapped = {"bfloat16": known["float16"], "float16": known["bfloat16"]}
    assert worst(replace(result, predictions=swapped), "error") > 4


def test_errors_that_do_not_grow_are_seen(rng, seed, monkeypatch):
    """Without chi the relative error of one layer passes to the next unchanged."""
    rule = Elementwise.moments

    def still(self, name, *inputs):
        law, (z,) = rule(self, name, *inputs), inputs
        gap = z.gap * (law.diagonal / z.diagonal)[..., None]
        return replace(law, gap=gap) if law.second.ndim > 2 else law

    monkeypatch.setattr(Elementwise, "moments", still)
    found = study("tanh, 10 layers", rng, seed, dtypes=("bfloat16",))
    assert worst(found, "error") > FACTOR


def test_the_networks_are_those_of_the_explicit_engine(rng, seed):
    """A pass written plainly on the weights that the engine draws in float32."""
    net, inputs = vp.mlp(16, 2), rng.normal(size=(1, 16))
    result = vp.precision_study(net, inputs, dtypes=("float16",), draws=8, seed=seed)
    x, _, _, drawn = draw_blocks(net, inputs, seed, range(1), torch.device("cpu"), torch.float32)
    exact, half = x.double(), x.half()
    for name, layer, _ in net.nodes[1:]:
        exact, half = (
            layer.apply(tuple(p.to(v.dtype) for p in drawn[name]), v) for v in (exact, half)
        )
    error = ((half.double() - exact).norm(dim=-1) / exact.norm(dim=-1)).numpy()
    found = result.measured["float16"]["dense_3"].error
    np.testing.assert_allclose(np.sqrt(found), error, rtol=1e-12)


def test_overflow_and_lost_signals_are_counted(seed):
    net = vp.mlp(64, 8, activation="identity", weights=normal(std=1.0), output=None)
    table = vp.precision_study(net, dtypes=("float16",), draws=16, seed=seed).frame()
    gone = table[(table["quantity"] == "overflow") & table["node"].str.startswith("dense")]
    assert gone["predicted"].max() == 1
    np.testing.assert_array_equal(gone["value"] > 0.5, gone["predicted"] > 0.5)
    assert table[(table["quantity"] == "error") & (table["node"] == "dense_8")].value.isna().all()

    net = vp.mlp(64, 8, activation="identity", weights=normal(std=1e-3), output=None)
    table = vp.precision_study(net, dtypes=("float16",), draws=16, seed=seed).frame()
    lost = table[(table["quantity"] == "zeros") & (table["node"] == "dense_8")]
    assert lost["value"].item() == lost["predicted"].item() == 1


def test_each_point_has_its_own_range(seed):
    net = vp.mlp(64, 4, activation="identity", output=None)
    inputs = np.stack([np.ones(64), np.full(64, 6e4)])
    table = vp.precision_study(net, inputs, dtypes=("float16",), draws=16, seed=seed).frame()
    last = table[table["node"] == "identity_4"].set_index(["quantity", "point"])
    assert last.loc[("overflow", 0), "predicted"] == 0
    assert last.loc[("overflow", 1), "predicted"] == 1
    np.testing.assert_array_equal(last.loc["overflow", "value"] > 0.5, [False, True])
    assert last.loc[("error", 0), "predicted"] > 0
    assert np.isnan(last.loc[("error", 1), "predicted"])


def test_an_overflow_leaves_the_other_predictions(seed, monkeypatch):
    """One dtype's fold fails: its range is predicted still, and the other dtypes whole."""
    fold = precision.rounding_of

    def failing(theory, dtype, **how):
        if dtype == torch.float16:
            raise ValueError("an inner rule")
        return fold(theory, dtype, **how)

    monkeypatch.setattr(precision, "rounding_of", failing)
    net = vp.mlp(64, 8, activation="identity", weights=normal(std=1.0), output=None)
    found = vp.precision_study(net, dtypes=("float16", "float32"), draws=8, seed=seed)
    assert found.refused.startswith("no errors predicted in float16, as it overflows at dense_")
    assert "scale the weights down" in found.refused and "inner" not in found.refused
    rows = {(r.dtype, r.quantity): r.predicted for r in found.rows() if r.node == "dense_8"}
    assert rows["float16", "overflow"] == 1 and rows["float16", "error"] is None
    assert rows["float32", "error"] > 0


def test_weights_far_beyond_the_dtypes_have_a_predicted_range(seed):
    net = vp.mlp(16, 6, weights=normal(std=1e20))
    found = vp.precision_study(net, draws=8, seed=seed)
    assert "no errors predicted in float32, as it overflows at dense_2" in found.refused
    assert found.predictions["float16"].ranges[0].overflow == "dense_1"


@pytest.mark.parametrize("dtype", ["float16", torch.float16])
def test_one_dtype_may_be_given_alone(dtype, seed):
    assert [*vp.precision_study(vp.mlp(8, 1), dtypes=dtype, draws=8, seed=seed).measured] == [
        "float16"
    ]


def test_the_draws_do_not_depend_on_how_many_are_asked_for(seed):
    net = vp.mlp(16, 2)
    few, many = (vp.precision_study(net, draws=d, seed=seed) for d in (3, 20))
    for dtype, nodes in few.measured.items():
        for name, errors in nodes.items():
            own = many.measured[dtype][name].error[:3]
            np.testing.assert_allclose(errors.error, own, rtol=1e-6)


def test_its_text_and_plot(seed):
    result = vp.precision_study(vp.mlp(16, 2), draws=8, seed=seed)
    assert "relative error of dense_3 over 8 networks" in str(result)
    assert "predicted" in str(result)
    assert [line.get_label() for line in result.plot().lines][::2] == [*result.measured]
    with pytest.raises(ValueError, match="no 'errors' in this study; it has arithmetic, error"):
        result.plot("errors")


def test_a_network_without_a_prediction_is_measured(seed):
    graph = vp.Graph(8)
    z = graph.add(vp.Dense(8, 8, "kaiming_normal"), graph.input)
    graph.add(vp.Elementwise("tanh"), graph.add(vp.Elementwise("tanh"), z))
    result = vp.precision_study(graph.network(), draws=8, seed=seed)
    assert "no prediction: tanh_2 reads values" in str(result)
    assert {row.predicted for row in result.rows()} == {None}


@pytest.mark.parametrize("dtypes", [(), ("float64",), ("float16", "float16")])
def test_other_dtypes_are_refused(dtypes):
    with pytest.raises(ValueError, match="dtypes must be different ones of bfloat16, float16"):
        vp.precision_study(vp.mlp(8, 1), dtypes=dtypes, draws=8, seed=0)


def test_symbols_are_refused():
    net = vp.mlp(sp.Symbol("n", positive=True), 1)
    with pytest.raises(ValueError, match="a precision study needs numbers"):
        vp.precision_study(net, draws=8, seed=0)
