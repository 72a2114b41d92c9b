"""Activations made of others, of a SymPy expression, or of a torch function."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
import torch

from varprop.activations import Activation, X, custom, get, pieces
from varprop.activations.torch_code import torch_code
from varprop.layers.elementwise import torch_function

COMPOSITES: dict[str, tuple[Activation, Callable]] = {
    "relu of tanh": (get("relu").of(get("tanh")), lambda z: np.maximum(np.tanh(z), 0)),
    "tanh of relu": (get("tanh").of(get("relu")), lambda z: np.tanh(np.maximum(z, 0))),
    "relu of gelu": (get("relu").of(get("gelu")), lambda z: np.where(z > 0, get("gelu")(z), 0)),
    "relu of sin": (get("relu").of(get("sin")), lambda z: np.maximum(np.sin(z), 0)),
    "identity plus relu": (get("identity").plus(get("relu")), lambda z: z + np.maximum(z, 0)),
    "0.8 abs": (get("abs").times(0.8), lambda z: 0.8 * np.abs(z)),
    "relu of shifted": (get("relu").of(custom("", X - 1)), lambda z: np.maximum(z - 1, 0)),
}


@pytest.mark.parametrize("label", COMPOSITES)
def test_compositions(label):
    """Values, and second moments to ten digits: a kink that is lost costs more than that."""
    phi, plain = COMPOSITES[label]
    z = np.linspace(-3, 3, 61)
    assert phi(z) == pytest.approx(plain(z), rel=1e-13, abs=1e-14)
    assert phi.homogeneous == np.allclose(plain(2 * z), 2 * plain(z))
    for q in (2.0,):
        reach = np.linspace(-12 * math.sqrt(q), 12 * math.sqrt(q), 200_001)
        marks = sorted({-12.0 * math.sqrt(q), 12.0 * math.sqrt(q), *phi.kinks})
        marks = [m for m in marks if abs(m) <= 12 * math.sqrt(q)]
        truth = 0.0
        node, weight = np.polynomial.legendre.leggauss(120)
        for low, high in pairwise(marks):
            x = (high + low) / 2 + (high - low) / 2 * node
            density = np.exp(-x * x / (2 * q)) / math.sqrt(2 * math.pi * q)
            truth += (high - low) / 2 * np.sum(weight * plain(x) ** 2 * density)
        assert phi.second_moment(q) == pytest.approx(truth, rel=1e-9)
        rough = np.trapezoid(plain(reach) ** 2 * np.exp(-(reach**2) / (2 * q)), reach)
        assert truth == pytest.approx(rough / math.sqrt(2 * math.pi * q), rel=1e-6)


def test_the_identity_composes_to_the_other():
    relu = get("relu")
    assert relu.of(get("identity")) is relu
    assert get("identity").of(relu) is relu


def test_roots_beyond_a_finite_list_are_found():
    kinks = get("relu").of(get("sin")).kinks
    assert [k for k in kinks if abs(k) < 7] == pytest.approx([k * math.pi for k in range(-2, 3)])
    assert pieces.real_roots(X**2 + 1) == []
    assert pieces.real_roots(X - sp.Rational(1, 3)) == pytest.approx([1 / 3])


def test_custom_takes_any_symbol():
    t = sp.Symbol("t", positive=True)
    assert custom("cube", t**3)(2.0) == 8.0
    assert custom("cube", t**3) == custom("cube", X**3)
    assert custom("one", sp.Integer(1)).second_moment(np.array([1.0, 2.0])) == pytest.approx([1, 1])


def test_kinks_of_a_custom_activation_are_found():
    """relu and hard tanh written by hand, with no kink named, against the table."""
    x = sp.Symbol("t")
    hand = custom("mine", sp.Max(x, 0))
    assert hand.kinks == (0.0,)
    assert hand.mean(1.3) == pytest.approx(get("relu").mean(1.3), rel=1e-13)
    hard = custom("hard tanh", sp.Piecewise((-1, x < -1), (1, x > 1), (x, True)))
    assert hard.kinks == (-1.0, 1.0)
    assert hard.kernel(1.3, 0.6, 0.4) == pytest.approx(get("hardtanh").kernel(1.3, 0.6, 0.4))
    assert hard.formula("kernel") == get("hardtanh").formula("kernel")


# -- torch functions made from expressions ---------------------------------------------------

x = sp.Symbol("x", real=True)
EXPRESSIONS = {
    "bump": (x * sp.exp(-(x**2)), lambda z: z * torch.exp(-(z**2))),
    "two cases": (
        sp.Piecewise((sp.exp(x) - 1, x < 0), (sp.log(1 + x), True)),
        lambda z: torch.where(z < 0, torch.expm1(z.clamp(max=0)), torch.log1p(z.clamp(min=0))),
    ),
    "nested": (sp.Max(sp.Abs(x) - 1, 0) ** 2, lambda z: torch.relu(z.abs() - 1) ** 2),
    "powers": (
        2**x + sp.sqrt(1 + x**2) + sp.atan(x),
        lambda z: 2**z + (1 + z * z) ** 0.5 + z.atan(),
    ),
    "constant": (sp.Integer(3), lambda z: 0 * z + 3),
}


@pytest.mark.parametrize("label", EXPRESSIONS)
def test_a_torch_function_from_the_expression_alone(label):
    """Values and slopes on a grid; and far out, where an idle case would overflow."""
    expression, by_hand = EXPRESSIONS[label]
    phi = custom(label, expression)
    function = torch_function(phi)
    z = torch.linspace(-4.03, 3.97, 161, dtype=torch.float64).requires_grad_()
    assert function(z).detach().numpy() == pytest.approx(by_hand(z).detach().numpy(), rel=1e-13)
    (slope,) = torch.autograd.grad(function(z).sum(), z)
    assert slope.numpy() == pytest.approx(phi.slope(z.detach().numpy()), rel=1e-12, abs=1e-13)
    far = torch.tensor([-900.0, 900.0], dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(function(far).sum(), far)
    assert not torch.isnan(slope).any()


def test_an_undeclared_kink_costs_no_correctness():
    """Without its kinks an activation has no pieces, so no closed form, but the right numbers."""
    blind = Activation("blind", sp.Max(X - 1, 0))
    assert blind.formula("second_moment") is None and blind.formula("kernel") is None
    known = custom("known", sp.Max(X - 1, 0))
    assert blind.second_moment(0.5) == pytest.approx(known.second_moment(0.5), rel=1e-9)
    z = torch.tensor([-1.0, 0.5, 3.0])
    assert torch_function(blind)(z).tolist() == [0.0, 0.0, 2.0]


def test_at_a_kink_the_torch_function_has_the_value_of_the_expression():
    assert torch_function(get("step"))(torch.tensor([-0.0, 0.0, 1.0])).tolist() == [0.5, 0.5, 1.0]
    hard = custom("hard", get("hardshrink").expression)
    kinks = torch.tensor([-0.5, 0.5, 0.6])
    assert torch_function(hard)(kinks).tolist() == torch.nn.Hardshrink()(kinks).tolist()
    assert torch.isnan(torch_function(hard)(torch.tensor([torch.nan]))).all()


def test_a_function_that_torch_lacks_is_refused():
    with pytest.raises(ValueError, match="no torch function is known for besselj in besselj"):
        torch_code(sp.besselj(0, X))


# -- activations from a torch function alone --------------------------------------------------


def leaky_soft(z: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.softplus(z, 1.0, 1e6) - 0.1 * torch.relu(-z)


def test_an_activation_from_a_torch_function():
    """Against the same function as an expression: moments, kernels, slopes, composites."""
    phi = custom("leaky soft", torch_function=leaky_soft, kinks=(0.0,))
    twin = custom("twin", sp.log(1 + sp.exp(X)) + sp.Rational(1, 10) * sp.Min(X, 0))
    grid = np.linspace(-5.1, 4.9, 11)
    assert phi(grid) == pytest.approx(twin(grid), rel=1e-13)
    assert phi.slope(grid) == pytest.approx(twin.slope(grid), rel=1e-13)
    for name in ("mean", "second_moment", "fourth_moment", "derivative_second_moment"):
        assert getattr(phi, name)(1.3) == pytest.approx(getattr(twin, name)(1.3), rel=1e-12)
    assert phi.curvature(1.3) == pytest.approx(twin.curvature(1.3), rel=1e-11)
    assert phi.kernel(1.3, 0.6, 0.4) == pytest.approx(twin.kernel(1.3, 0.6, 0.4), rel=1e-12)
    derived = phi.derivative_kernel(1.3, 0.6, 0.4)
    assert derived == pytest.approx(twin.derivative_kernel(1.3, 0.6, 0.4), rel=1e-12)
    assert torch_function(phi) is leaky_soft
    double = phi.of(get("tanh")).plus(get("relu")).times(2)
    z = torch.tensor([-0.7, 0.4], dtype=torch.float64)
    expected = 2 * (leaky_soft(torch.tanh(z)) + torch.relu(z))
    assert double(z.numpy()) == pytest.approx(expected.numpy(), rel=1e-13)
    assert torch_function(double)(z).numpy() == pytest.approx(expected.numpy(), rel=1e-13)


def test_a_constant_torch_function_has_slope_zero():
    phi = custom("one", torch_function=lambda z: torch.ones_like(z))
    assert phi.derivative_second_moment(1.0) == 0
    assert phi.second_moment(1.0) == pytest.approx(1)


def test_both_may_be_given():
    phi = custom("cube", X**3, torch_function=lambda z: z * z * z)
    assert torch_function(phi)(torch.tensor(2.0)) == 8
    assert phi.formula("kernel") == get("monomial", k=3).formula("kernel")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"torch_function": lambda z: z.sum()}, "must act elementwise"),
        ({"torch_function": lambda z: torch.softmax(z, 0)}, "must act elementwise"),
        (
            {"torch_function": lambda z: z.no_such_method()},
            "must map a float64 tensor to one of its",
        ),
        ({"torch_function": torch.sign, "kinks": (0.0,)}, "jumps at 0.0; give a SymPy expression"),
        ({"torch_function": torch.sign}, "of odd jumps at 0.0; give a SymPy expression"),
        ({"torch_function": torch.round}, r"jumps at -9.5; give a SymPy expression"),
        (
            {"torch_function": lambda z: torch.tanh(z) + 1e-3 * (z > 1.2345)},
            "jumps at 1.2345; give a SymPy expression",
        ),
        ({"torch_function": torch.sqrt}, "of odd jumps|odd must be real on the whole line; at z"),
        (
            {"expression": X**2, "torch_function": torch.relu},
            "torch function of odd is not its expression: at -5.03 they are 0 and 25.3",
        ),
        ({}, "must be a SymPy expression in one symbol, got None; .* or give torch_function"),
    ],
)
def test_torch_functions_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        custom("odd", **arguments)


@pytest.mark.parametrize(
    "function",
    [
        torch.exp,
        lambda z: z**9,
        lambda z: z.abs() ** 0.75,
        lambda z: torch.sign(z) * z.abs() ** (1 / 3),
        lambda z: torch.tanh(1000 * z),
        lambda z: torch.sin(50 * z),
    ],
    ids=["exp", "ninth power", "root", "cube root", "steep", "wave"],
)
def test_a_steep_torch_function_is_no_jump(function):
    assert custom("steep", torch_function=function).mean(0.0) == pytest.approx(
        float(function(torch.tensor(0.0, dtype=torch.float64)))
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ("f", sp.sqrt(X)),
            r"f must be real on the whole line; at z = -5.03 it is 2.243\*I; write",
        ),
        (("f", sp.I * X), r"f must be real .* at z = -5.03 it is -5.03\*I; write it for all z"),
        (("f", sp.log(X + 15)), r"f must be real .* at z = -37.1 it is 3.096 \+ 3.142\*I; write"),
        (("f", sp.Piecewise((X, X > 0))), "f must be real .* at z = -5.03 it is nan; write it"),
        (("f", sp.floor(X)), r"of f cannot be computed in floats from floor\(x\): .*; write it"),
        (("f", X, 3), r"kinks of f must be a tuple of finite numbers, got 3; .* kinks=\(3,\)"),
        (("f", X, ("a",)), r"kinks of f must be a tuple of finite numbers, got \('a',\)"),
        (("f", X, (math.inf,)), r"kinks of f must be a tuple of finite numbers, got \(inf,\)"),
        ((3, X), "the name of an activation must be a string, got 3; write custom_activation"),
    ],
    ids=repr,
)
def test_expressions_kinks_and_names_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        custom(*arguments)


def test_a_real_function_that_floats_lose_far_out_is_accepted():
    """e^(e^z) overflows from z = 6.6 on, where the quotient is inf / inf but 1 in truth."""
    tower = sp.exp(sp.exp(X))
    assert custom("tower", tower / (1 + tower))(0.0) == pytest.approx(math.e / (1 + math.e))
