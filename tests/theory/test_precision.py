"""The layer at which a dtype is left: by the mean second moment, and over networks."""

import math

import numpy as np
import pytest
import torch

from varprop.builders import mlp
from varprop.initializers import normal
from varprop.stats import binomial_interval
from varprop.theory import exceedance, predict, range_of


def linear(width: int, depth: int, activation: str = "identity"):
    return mlp(width, depth, activation=activation, weights=normal(std=1), output=None)


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("depth", [1, 2, 9])
@pytest.mark.statistical
def test_exceedance_is_the_share_of_drawn_networks(activation, depth, rng):
    """Plain NumPy networks; each share within a Clopper-Pearson interval at 1e-6."""
    width, draws = 3, 4000
    net = linear(width, depth, activation)
    x = rng.standard_normal((draws, width))
    x *= math.sqrt(width) / np.linalg.norm(x, axis=-1, keepdims=True)
    for layer in range(depth):
        x = np.maximum(x, 0.0) if layer and activation == "relu" else x
        x = np.einsum("rij,rj->ri", rng.standard_normal((draws, width, width)), x)
    top = np.abs(x).max(-1)
    for bound in (0.3, 3.0, 30.0):
        expected = exceedance(net, f"dense_{depth}", math.log(bound))
        low, high = binomial_interval(int((top > bound).sum()), draws, 1e-6)
        assert low <= expected <= high


def test_exceedance_beyond_the_range_of_floats_is_that_of_scaled_weights():
    """Weights of twice the deviation take every bound 2^l times as far."""
    one, two = linear(32, 300), mlp(32, 300, activation="identity", weights=normal(std=2))
    log_bound = 300 * math.log(32) / 2 - 3
    expected = exceedance(one, "dense_300", log_bound)
    assert 0.05 < expected < 0.95
    assert exceedance(two, "dense_300", log_bound + 300 * math.log(2)) == pytest.approx(
        expected, abs=1e-9
    )


def test_range_and_exceedance_agree_where_networks_hardly_differ():
    net = linear(512, 9)
    node = range_of(predict(net), torch.float16).overflow
    limit = math.log(torch.finfo(torch.float16).max)
    assert node == "dense_4"
    assert exceedance(net, "dense_3", limit) < 1e-3
    assert exceedance(net, node, limit) > 1 - 1e-3


def test_a_range_beyond_float64_is_that_of_its_first_layers():
    assert range_of(predict(linear(256, 300)), torch.float32).overflow == "dense_32"


def test_what_cannot_be_told_is_refused():
    with pytest.raises(ValueError, match=r"below float64.*use exceedance"):
        range_of(predict(linear(4, 2)), torch.float64)
    with pytest.raises(ValueError, match=r"'relu_1' is Elementwise; name a dense node"):
        exceedance(linear(4, 2, "relu"), "relu_1", 0.0)
    with pytest.raises(ValueError, match="linear on both sides of zero"):
        exceedance(linear(4, 2, "tanh"), "dense_2", 0.0)
