"""Rounding errors by layer against sums over grids, closed forms and sign probabilities."""

import numpy as np
import pytest
import sympy as sp
import torch

from varprop.builders import mlp
from varprop.initializers import normal
from varprop.layers import Dense, Elementwise
from varprop.network import Graph
from varprop.theory import predict, rounding_of

UNITS = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11, torch.float32: 2.0**-24}
m, u = sp.symbols("m u", positive=True)
ONCE = sp.integrate(u**2 / 3 / m**2 / (m * sp.log(2)), (m, 1, 2))  # of log-uniform mantissas


def once(dtype):
    return float(ONCE.subs(u, UNITS[dtype]))


def test_the_error_of_log_uniform_mantissas():
    x = sp.Symbol("x", real=True)
    spacing = sp.integrate(x**2 / (2 * u), (x, -u, u))  # uniform over one spacing 2 u
    assert sp.simplify(spacing - u**2 / 3) == 0
    assert sp.simplify(ONCE - u**2 / (8 * sp.log(2))) == 0


@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize("scale", [0.037, 1.0, 3.3, 40.0])
def test_a_gaussian_input_is_rounded_like_log_uniform_mantissas(dtype, scale):
    theory = predict(mlp(64, 1), np.full((1, 64), scale))
    error = rounding_of(theory, dtype).values["input"][0]
    assert error**2 == pytest.approx(once(dtype), rel=0.05)  # 1 % by the law, 4 096 quantiles


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_relu_layers_add_two_roundings_each(dtype):
    """Weights and sums: e_l^2 = (1 + 2 l) u^2 / (8 ln 2), as chi = 1 and relu rounds nothing."""
    found = rounding_of(predict(mlp(64, 12)), dtype).values
    for layer in range(1, 14):
        expected = (1 + 2 * layer) * once(dtype)
        assert found[f"dense_{layer}"][0] ** 2 == pytest.approx(expected, rel=0.05)
    for layer in range(1, 13):
        assert found[f"relu_{layer}"] == pytest.approx(found[f"dense_{layer}"], rel=0.02)


@pytest.mark.parametrize("terms", [16, 128])
def test_a_float32_product_rounds_its_partial_sums(terms):
    net = mlp(widths=[terms, 8], activation="identity")
    found = rounding_of(predict(net), torch.float32, parameters=False).values["dense_1"][0]
    variances = np.arange(1, terms + 1) / terms
    assert found**2 == pytest.approx(variances.sum() * once(torch.float32), rel=0.05)


def test_the_share_of_a_partial_sum_in_proportion_to_the_whole():
    """s ~ N(0, c), z = s + N(0, 1 - c): E (s^2 | z) = c^2 z^2 + c (1 - c)."""
    s, z, c = sp.Symbol("s", real=True), sp.Symbol("z", real=True), sp.Rational(1, 3)
    weight = sp.exp(-(s**2) / (2 * c) - (z - s) ** 2 / (2 * (1 - c)))
    whole, part = (sp.integrate(f * weight, (s, -sp.oo, sp.oo)) for f in (1, s**2))
    assert sp.simplify(part / whole - (c**2 * z**2 + c * (1 - c))) == 0


def test_a_sign_changes_with_the_angle_between_exact_and_rounded():
    """One relu layer: the gradient errs where the sign does, arccos(c)/pi, and by rounding."""
    dtype, net = torch.bfloat16, mlp(64, 1, output=None)
    found = rounding_of(predict(net), dtype)
    drift = 2 * once(dtype)  # inputs and weights; storing z changes no sign
    share = np.arccos(1 - drift / 2) / np.pi
    expected = share / 0.5  # of E phi'^2
    assert found.gradients["dense_1"][0] ** 2 == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("variance", [1.0, 2.5])
def test_errors_travel_like_tangents(variance):
    """What a layer receives is multiplied by chi q / q', beside what it adds."""
    net = mlp(64, 8, activation="tanh", weights=normal(variance=variance / 64))
    theory, dtype = predict(net), torch.bfloat16
    found = rounding_of(theory, dtype).values
    phi = net["tanh_8"].layer.activation
    q = theory.value("dense_8", "second_moment")[0]
    below = theory.value("dense_7", "second_moment")[0]
    chi = variance * float(phi.derivative_second_moment(below)) * below / q
    z = np.sqrt(below) * np.linspace(-8, 8, 200_001)
    weight = np.exp(-(z**2) / below / 2)
    slope2 = 1 / np.cosh(z) ** 4
    ratio = (weight * z**2 * slope2).sum() / (weight * slope2).sum() / below  # of stored z
    received = found["dense_7"][0] ** 2 - once(dtype) * (1 - ratio)
    rounded = torch.tensor(np.tanh(z)).to(torch.bfloat16).double().numpy()
    own = (weight * (rounded - np.tanh(z)) ** 2).sum() / (weight * np.tanh(z) ** 2).sum()
    expected = chi * received + own + 2 * once(dtype)
    assert found["dense_8"][0] ** 2 == pytest.approx(expected, rel=0.05)


def test_small_numbers_lose_more_in_float16():
    net = mlp(64, 3, activation="identity", weights=normal(variance=0.01 / 64))
    found = rounding_of(predict(net, np.full((1, 64), 1e-4)), torch.float16)
    assert found.values["dense_3"][0] > 10 * found.values["input"][0]


def test_what_has_no_prediction_is_refused():
    with pytest.raises(ValueError, match="need numbers, and this prediction has SymPy symbols"):
        rounding_of(predict(mlp(sp.Symbol("n", positive=True), 2)), torch.float16)
    with pytest.raises(ValueError, match=r"beside torch.float64, got torch.float64"):
        rounding_of(predict(mlp(8, 1)), torch.float64)
    graph = Graph(8)
    z = graph.add(Dense(8, 8, "kaiming_normal"), graph.input)
    graph.add(Elementwise("tanh"), graph.add(Elementwise("tanh"), z))
    with pytest.raises(ValueError, match="tanh_2 reads values that were made from one pre-activ"):
        rounding_of(predict(graph.network()), torch.float16)
