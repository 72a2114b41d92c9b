"""The claims about PyTorch's defaults: other modules than those it makes are refuted."""

import numpy as np
import pytest
from torch import nn

from figures import pytorch_default as figure

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
SIZES = {"width": 64, "depth": 3, "draws": 640, "margin": 0.4, "shown": [1, 3]}


def initialized_again(width, depth):
    made = nn.Sequential()
    for _ in range(depth):
        made.append(nn.Linear(width, width))
        nn.init.kaiming_uniform_(made[-1].weight, nonlinearity="relu")
        made.append(nn.ReLU())
    return made


@pytest.mark.slow
@pytest.mark.statistical
def test_modules_of_another_initialization_are_refuted(seed, monkeypatch):
    monkeypatch.setattr(figure, "module", initialized_again)
    results = figure.compute(SIZES, seed, "cpu")
    refuted = {(c.panel, c.series) for c in results.claims if c.verdict == "REFUTED"}
    assert refuted == {(panel, "default with bias") for panel in ("moments", "alike")}


@pytest.mark.statistical
def test_the_law_of_other_entries_is_refuted(rng):
    entries = {"weight": rng.uniform(-1, 1, 30_000), "bias": rng.uniform(-1, 1, 8_000)}
    assert figure._law_claim(entries, "x").verdict == "CONFIRMED"
    assert figure._law_claim({**entries, "bias": np.zeros(8_000)}, "x").verdict == "REFUTED"
    wider = {**entries, "weight": 6**0.5 * entries["weight"]}
    assert figure._law_claim(wider, "x").verdict == "REFUTED"


def test_making_weights_leaves_the_generator_of_torch_where_it_was():
    import torch

    before = torch.get_rng_state()
    edges, counts, claims = figure._weights(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert {claim.verdict for claim in claims} == {"CONFIRMED"}
    np.testing.assert_allclose((counts * np.diff(edges)).sum(1), 1.0)
    again = figure._weights(3)[1]
    np.testing.assert_array_equal(again, counts)


def test_lines_fall_to_the_floor_of_the_biases():
    """Default: E x^2 is 6^-l without biases; with them it ends at 1/(5n), and c at 1."""
    import varprop as vp

    n, depth = 32, 20
    x = figure.orthogonal_pair(n)
    np.testing.assert_allclose(x @ x.T / n, np.eye(2))
    for bias, expected in (("torch_default_bias", 1 / (5 * n)), (None, 6.0**-depth)):
        net = vp.mlp(n, depth, weights="torch_default_weight", bias=bias, output=None)
        theory = vp.predict(net, x)
        found = theory.value(f"relu_{depth}", "second_moment")[0]
        assert found == pytest.approx(expected, rel=1e-9)
        assert (theory.value(f"relu_{depth}", "correlation")[0, 1] > 1 - 1e-9) == (bias is not None)
