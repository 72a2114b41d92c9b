"""Weights that are used twice: one tensor in the engine, outside the theory and marked so."""

import numpy as np
import pytest
import torch

import varprop as vp
from varprop.layers import Dense
from varprop.moments import Regime
from varprop.montecarlo.explicit import draw_blocks
from varprop.network import Graph

LAW = vp.init.normal(variance=1 / 6)


def recurrent(depth, width=6, tied=True):
    return vp.mlp(width, depth, activation="identity", weights=LAW, tied=tied, output=None)


def test_the_engine_uses_one_tensor(seed, rng):
    network, x = recurrent(3), rng.standard_normal((1, 6))
    *_, parameters = draw_blocks(network, x, seed, range(2), torch.device("cpu"), torch.float64)
    assert torch.equal(parameters["dense_3"][0], parameters["dense_1"][0])
    sample = vp.simulate(network, x, draws=16, seed=seed, dtype="float64")
    weights = parameters["dense_1"][0].numpy()
    for w, measured in zip(weights, sample.values("dense_3", "second_moment")[:, 0], strict=True):
        power = np.linalg.matrix_power(w, 3) @ x[0]
        assert measured == pytest.approx(power @ power / 6, rel=1e-10)


def test_the_theory_marks_every_number_that_takes_them_as_fresh():
    theory = vp.predict(recurrent(3))
    assert theory.regime("dense_1", "second_moment") is Regime.EXACT
    for node, quantity in [
        ("dense_2", "second_moment"),
        ("dense_3", "second_moment"),
        ("dense_1", "grad_second_moment"),
    ]:
        assert theory.regime(node, quantity) is Regime.APPROXIMATE
    assert "the weights of dense_1 are used again" in theory.notes()[0]
    untied = vp.predict(recurrent(3, tied=False))
    assert untied.regime("dense_3", "second_moment") is Regime.EXACT and not untied.notes()


def test_a_gradient_that_sums_over_uses_is_not_given_as_one_product(seed):
    network = recurrent(2)
    theory, sample = vp.predict(network), vp.simulate(network, draws=16, seed=seed)
    for result in (theory, sample):
        assert "weight_grad_second_moment" not in result.quantities("dense_1")
        assert "ntk" not in result.quantities(network.output)
    assert network.parameter_count == 36


def test_reused_weights_are_refuted_where_they_matter(seed):
    """E |A^8 x|^2 is far above one at width 6, where fresh weights would keep it."""
    network = recurrent(8)
    sample = vp.simulate(network, draws=6000, seed=seed)
    assert vp.compare(vp.predict(network), sample).verdict is vp.Verdict.REFUTED
    fresh = recurrent(8, tied=False)
    report = vp.compare(vp.predict(fresh), vp.simulate(fresh, draws=6000, seed=seed))
    assert report.verdict is not vp.Verdict.REFUTED


def test_tied_is_true_or_false():
    with pytest.raises(ValueError, match=r"tied is True .* or False, got 'no'"):
        vp.mlp(6, 2, tied="no")


def test_the_conditional_engine_refuses():
    with pytest.raises(ValueError, match="dense_2 uses the weights of dense_1 again"):
        vp.simulate(recurrent(2), draws=8, seed=0, engine="conditional")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Dense(6, 6, LAW, tied="dense_3"), "dense_2 is tied to 'dense_3', which is not an earlier"),
        (Dense(6, 5, LAW, tied="dense_1"), "both must have the same fans, weights and bias"),
        (Dense(6, 6, LAW, tied="input"), "tie to a dense node of the same description"),
    ],
)
def test_ties_that_mean_nothing(second, message):
    graph = Graph(6)
    graph.add(second, graph.add(Dense(6, 6, LAW), graph.input))
    with pytest.raises(ValueError, match=message):
        graph.network()
