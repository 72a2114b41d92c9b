"""Measured singular values: against products of the same weights, simulate, and exact moments."""

import numpy as np
import pytest
import sympy as sp
import torch
from scipy import stats

import varprop as vp
from varprop.montecarlo.explicit import draw_blocks
from varprop.montecarlo.jacobian import jacobian
from varprop.montecarlo.weights import BLOCK

CPU = torch.device("cpu")


def drawn(network, x, seed):
    x, _, _, parameters = draw_blocks(network, x, seed, range(1), CPU, torch.float64)
    return x, parameters


@pytest.mark.parametrize("widths", [[6, 9, 4], [3, 7, 5], [5, 5, 5]])
def test_is_the_product_of_the_layers(widths, rng, seed):
    """J = W_2 diag(tanh') W_1, by hand, for both modes of differentiation."""
    net = vp.mlp(widths=widths, activation="tanh", weights="lecun_normal", bias=vp.init.normal())
    data = rng.standard_normal((2, widths[0]))
    x, parameters = drawn(net, data, seed)
    first, bias = parameters["dense_1"]
    slopes = 1 - torch.tanh(x @ first.mT + bias) ** 2  # (draws, points, hidden)
    product = parameters["dense_2"][0][:, None] @ (slopes[..., None] * first[:, None])
    torch.testing.assert_close(jacobian(net, parameters, x), product, rtol=1e-12, atol=1e-13)
    values = vp.singular_values(net, data, draws=BLOCK, seed=seed, device="cpu")
    assert values.shape == (BLOCK, 2, min(widths[0], widths[-1]))
    expected = np.linalg.svd(product.numpy(), compute_uv=False)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)


def test_same_networks_as_simulate(seed):
    """With one output channel the gradient is the Jacobian: sum s^2 = n E g^2, draw by draw."""
    net = vp.residual(12, 2, activation="tanh", scale=0.5)
    graph = vp.Graph(12)
    last = graph.input
    for node in net.nodes[1:]:
        inputs = [graph.input if i == "input" else i for i in node.inputs]
        last = graph.add(node.layer, *inputs)
    graph.add(vp.Dense(12, 1, "lecun_normal"), last)
    net = graph.network()
    how = {"draws": 11, "seed": seed, "device": "cpu"}
    sample = vp.simulate(net, dtype="float64", engine="explicit", **how)
    values = vp.singular_values(net, **how)
    assert values.shape == (11, 1, 1)
    gradient = sample.values("input", "grad_second_moment")
    np.testing.assert_allclose((values**2).sum(-1) / 12, gradient, rtol=1e-9)


def test_draws_do_not_depend_on_their_number(seed):
    net = vp.mlp(5, 2)
    few = vp.singular_values(net, draws=3, seed=seed)
    many = vp.singular_values(net, draws=2 * BLOCK + 1, seed=seed)
    np.testing.assert_array_equal(few, many[:3])


def test_orthogonal_linear_networks_are_isometries(seed):
    net = vp.mlp(16, 6, activation="identity", weights=vp.init.orthogonal())
    np.testing.assert_allclose(vp.singular_values(net, draws=4, seed=seed), 1, rtol=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_second_moment_of_gaussian_products_at_width_ten(depth, seed):
    """E (tr M^2, (tr M)^2 / n) / n by the exact recursion of the derivation; error rate 1e-6."""
    import derivations.spectra as proof

    n, draws = 10, 4000
    net = vp.mlp(
        n, depth, activation="identity", weights=vp.init.normal(variance=1 / n), output=None
    )
    squares = vp.singular_values(net, draws=draws, seed=seed)[:, 0] ** 2
    expected = float(proof.finite_second_moment(depth, sp.Integer(n)))
    second = (squares**2).mean(-1)
    z = (second.mean() - expected) / (second.std(ddof=1) / draws**0.5)
    skew = stats.skew(second) / draws**0.5
    corrected = z + skew * z**2 / 3 + skew**2 * z**3 / 27 + skew / 6  # Hall (1992)
    assert abs(corrected) < stats.norm.isf(0.5e-6)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"draws": 0}, "draws must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"inputs": [[1.0]]}, r"inputs must have shape \(points, 4\)"),
        ({"network": vp.mlp(sp.Symbol("n"), 1)}, "need numbers, and this network has SymPy"),
        ({"network": "relu"}, "a varprop Network is needed, got str"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        vp.singular_values(**{"network": vp.mlp(4, 1), "draws": 2, "seed": 0, **changes})
