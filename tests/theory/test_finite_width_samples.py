"""Fluctuations of lengths and of gradients as samples measure them, and under scales."""

import math

import pytest

from varprop import initializers as init
from varprop.builders import mlp
from varprop.layers import Dense, Elementwise, Scale
from varprop.montecarlo import simulate
from varprop.network import Graph
from varprop.theory import predict


@pytest.mark.statistical
@pytest.mark.parametrize("node, kind", [("relu_2", ""), ("input", "grad_")])
def test_samples_tell_the_measured_fluctuation(node, kind, seed):
    """In `frame`, with a standard error that is the jackknife's, and never by network."""
    net, quantity = mlp(32, 2), f"{kind}length_fluctuation"
    sample = simulate(net, draws=4000, seed=seed)
    value, error = getattr(sample, quantity)(node)
    expected = predict(net).value(node, quantity)
    assert abs(value - expected) < 6 * error
    s = sample.values(node, f"{kind}second_moment")[:, 0]
    total, squares, n = s.sum(), (s**2).sum(), len(s)
    means, powers = (total - s) / (n - 1), (squares - s**2) / (n - 1)
    left_out = (powers - means**2) / means**2 * (n - 1) / (n - 2)
    jackknife = math.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    assert error == pytest.approx([jackknife], rel=0.02)
    frame = sample.frame()
    row = frame[(frame.node == node) & (frame.quantity == quantity)]
    assert row.value.item() == pytest.approx(value[0])
    assert row.standard_error.item() == pytest.approx(error[0])
    with pytest.raises(ValueError, match="a number of many networks, not one of each"):
        sample.values(node, quantity)


def test_a_negative_scale_turns_the_slopes():
    """Between two leaky layers: the pieces are -0.5 and 0.25 * 0.5, not those without the scale."""
    graph = Graph(1)
    x = graph.add(Dense(1, 1, init.normal()), graph.input)
    x = graph.add(Scale(-0.5), graph.add(Elementwise("leaky_relu(0.25)"), x))
    graph.add(Elementwise("leaky_relu(0.25)"), x)
    theory = predict(graph.network())
    up, down = 0.25 * 0.5, 0.25 * 0.5  # phi(-0.5 * 1), phi(0.5 * 0.25)
    expected = 3 * 2 * (up**4 + down**4) / (up**2 + down**2) ** 2 - 1
    assert theory.value(graph.network().output, "length_fluctuation") == pytest.approx([expected])
