"""The tangent kernel in both parametrisations against autograd on drawn networks."""

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import stats

import varprop as vp

WIDTH, INPUT, SIGMA_W, SIGMA_B = 48, 3, 1.3, 0.4


def network(activation: str) -> vp.Network:
    graph, size = vp.Graph(INPUT), INPUT
    node = graph.input
    for n in (WIDTH, WIDTH):
        law = vp.init.normal(variance=SIGMA_W**2 / size)
        dense = vp.Dense(size, n, law, vp.init.normal(std=SIGMA_B))
        node, size = graph.add(vp.Elementwise(activation), graph.add(dense, node)), n
    graph.add(vp.Dense(size, 1, vp.init.normal(variance=SIGMA_W**2 / size)), node)
    return graph.network()


def measured(x: torch.Tensor, activation, scaled: bool, generator: torch.Generator) -> np.ndarray:
    """Theta of one drawn network, by autograd over its own parameters."""
    sizes, parameters, value = (INPUT, WIDTH, WIDTH, 1), [], x
    for k, (n, m) in enumerate(pairwise(sizes)):
        unit = torch.randn(m, n, generator=generator, dtype=torch.float64)
        bias = torch.randn(m, generator=generator, dtype=torch.float64)
        factor, shift = SIGMA_W / n**0.5, SIGMA_B
        if not scaled:  # the same function, with the weights themselves as parameters
            unit, bias, factor, shift = unit * factor, bias * shift, 1.0, 1.0
        parameters.append(unit.requires_grad_())
        value = value @ (factor * unit).T
        if k < 2:
            parameters.append(bias.requires_grad_())
            value = activation(value + shift * bias)
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(v, parameters, retain_graph=True)])
        for v in value[:, 0]
    ]
    return (torch.stack(rows) @ torch.stack(rows).T).numpy()


@pytest.mark.statistical
@pytest.mark.parametrize("parametrisation", ["standard", "ntk"])
def test_is_the_mean_of_autograd_kernels(parametrisation, generator, rng):
    """ReLU, two inputs: off by O(1/n) at most, so within 3 sigma-levels of 1e-6 plus 6/n."""
    x = rng.standard_normal((2, INPUT))
    theory = vp.ntk(network("relu"), x, parametrisation).astype(float)
    draws = 300
    found = np.array(
        [
            measured(torch.as_tensor(x), torch.relu, parametrisation == "ntk", generator)
            for _ in range(draws)
        ]
    )
    ratio = found / theory
    error = ratio.std(0, ddof=1) / draws**0.5
    bound = stats.norm.isf(0.5e-6 / 3) * error + 6 / WIDTH
    assert np.all(np.abs(ratio.mean(0) - 1) < bound)
    assert np.all(bound < 0.35)


def test_ntk_parametrisation_is_finite_where_the_standard_one_grows():
    n = sp.Symbol("n", positive=True)
    net = vp.mlp(n, 2, weights="kaiming_normal", output=1)
    standard, scaled = (vp.ntk(net, sp.S.One, p)[0, 0] for p in ("standard", "ntk"))
    assert sp.limit(standard, n, sp.oo) == sp.oo
    assert sp.simplify(scaled - 6) == 0  # 2 for each of three layers: x.x/n = 1, all gains 1
    assert vp.predict(net, sp.S.One).value("dense_3", "ntk")[0, 0] == standard


def test_unknown_parametrisation():
    with pytest.raises(ValueError, match="must be 'standard' or 'ntk', got 'mup'"):
        vp.ntk(vp.mlp(4, 1), None, "mup")


def test_tied_weights_have_no_tangent_kernel_of_this_form():
    network = vp.mlp(4, 2, tied=True)
    for parametrisation in ("standard", "ntk"):
        with pytest.raises(ValueError, match="dense_1 shares its own; untie them"):
            vp.ntk(network, parametrisation=parametrisation)
