"""Names, parameters, and the messages for what is wrong with them."""

import math

import numpy as np
import pytest
import sympy as sp
import torch
from torch import nn

import varprop as vp
from varprop.activations import ACTIVATIONS, X, custom, get


@pytest.mark.parametrize("label", ACTIVATIONS)
def test_names_read_back(label):
    phi = get(label)
    aliases = {"prelu": "leaky_relu"}
    assert phi.name == aliases.get(label, label)
    assert get(str(phi)) == phi
    assert get(phi) is phi


def test_parameters_of_names():
    assert get("leaky_relu(0.2)") == get("leaky_relu", a=0.2)
    assert get("leaky_relu", a=0.2) != get("leaky_relu", a=0.1)
    assert str(get("leaky_relu", a=0.2)) == "leaky_relu(0.2)"
    for a in (0.1, 1 / 3, math.sqrt(0.05), 0.123456789012345):
        phi = get("leaky_relu", a=a)
        assert phi.arguments == (a,)
        assert phi(-1.0) == pytest.approx(-a, rel=1e-15)


def test_several_parameters():
    wide = get("hardtanh", low=-2, high=1)
    assert get("hardtanh(-2, 1)") == get("hardtanh(low=-2, high=1)") == wide
    assert get("hardtanh(-2)", high=1) == wide
    assert wide.kinks == (-2.0, 1.0)
    assert wide(np.array([-3.0, 0.3, 3.0])).tolist() == [-2.0, 0.3, 1.0]
    assert get("monomial", k=3)(2.0) == 8.0
    assert get("monomial(3)") == get("monomial", k=np.int64(3))
    assert get("polynomial(1, 0, -2)")(3.0) == -17.0
    assert get("polynomial", coefficients=(1, 0, -2)) == get("polynomial(1, 0, -2)")
    assert get("softplus", beta=np.float64(2.0)) == get("softplus(2, 20)")
    assert get("elu", alpha=sp.Rational(1, 2)) == get("elu(0.5)")


CLASSES = {
    "relu": nn.ReLU(),
    "tanh": nn.Tanh(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU(approximate="tanh"),
    "leaky_relu(0.2)": nn.LeakyReLU(0.2),
    "leaky_relu(0.25)": nn.PReLU(),
    "rrelu(0.1, 0.4)": nn.RReLU(0.1, 0.4),
    "elu(0.5)": nn.ELU(0.5),
    "celu(2)": nn.CELU(2.0),
    "hardtanh(-2, 1)": nn.Hardtanh(-2.0, 1.0),
    "hardshrink(0.3)": nn.Hardshrink(0.3),
    "softshrink(0.3)": nn.Softshrink(0.3),
    "threshold(0.3, -0.2)": nn.Threshold(0.3, -0.2),
    "softplus(2, 10)": nn.Softplus(2.0, 10.0),
    "logsigmoid": nn.LogSigmoid(),
    "identity": nn.Identity(),
}


@pytest.mark.parametrize("name", CLASSES)
def test_modules_of_torch_are_activations_by_their_values(name):
    """At points on all sides of all kinks; the modules compute by themselves."""
    module, phi = CLASSES[name].double().eval(), get(CLASSES[name])
    z = torch.linspace(-12, 12, 241, dtype=torch.float64)
    assert phi == get(name)
    assert phi(z.numpy()) == pytest.approx(module(z).detach().numpy(), rel=1e-12, abs=1e-14)


def test_names_of_torchs_classes_are_names():
    for name in ("ReLU", "GELU", "Tanh", "SiLU", "LogSigmoid", "Hardswish", "ReLU6", "SELU"):
        assert get(name) == get(name.lower()) == get(getattr(nn, name))
    assert get("LeakyReLU") == get("leaky_relu") == get(nn.LeakyReLU)
    assert get("LeakyReLU(0.2)") == get("LeakyReLU", a=0.2) == get("leaky_relu", a=0.2)
    assert vp.mlp(8, 2, activation="ReLU") == vp.mlp(8, 2, activation=nn.ReLU)
    assert len({name.lower().replace("_", "") for name in ACTIVATIONS}) == len(ACTIVATIONS)


class Bent(nn.ReLU):
    """A relu by its class alone."""


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: get("Relux"), r"unknown activation 'Relux'; did you mean 'relu'\?"),
        (
            lambda: get(nn.Threshold),
            r"Threshold has none: pass an instance, such as torch\.nn\.Thr",
        ),
        (lambda: get(nn.PReLU(3)), "one function for all channels, got PReLU.* with 3 slopes"),
        (lambda: get(nn.Linear(2, 2)), r"activation of torch.nn is needed, got Linear\("),
        (lambda: get(nn.Softmax(0)), r"got Softmax.*custom_activation, or read .* varprop\.trace"),
        (lambda: get(Bent()), r"got Bent\(\)"),
        (lambda: get("rel"), r"unknown activation 'rel'; did you mean 'relu'\?"),
        (lambda: get("nothing like it"), r"known: identity, relu, .*custom_activation"),
        (lambda: get("relu", a=0.1), "relu takes no parameter; got a"),
        (lambda: get("leaky_relu", slope=0.1), "leaky_relu takes a; got slope"),
        (lambda: get("leaky_relu(x)"), "parameter of leaky_relu must be a number, got 'x'"),
        (lambda: get("leaky_relu(1,2)"), "leaky_relu takes a; got 2 values"),
        (lambda: get("leaky_relu(1)", a=2), "leaky_relu got a twice"),
        (lambda: get("hardtanh(low=-1, 2)"), "values without a name come first"),
        (lambda: get("relu(1)"), r"relu takes no parameter; got 'relu\(1\)': write 'relu'"),
        (
            lambda: get("leaky_relu", a=float("nan")),
            "a of leaky_relu must be a finite number, got nan",
        ),
        (lambda: get("leaky_relu", a="x"), "a of leaky_relu must be a finite number, got 'x'"),
        (
            lambda: get("leaky_relu", a=sp.oo),
            "a of leaky_relu must be a number or a real expression",
        ),
        (lambda: get("hardtanh", low=sp.Symbol("a")), "low of hardtanh must be a number, got a"),
        (lambda: get("hardtanh", low=2), "hardtanh needs low < high, got 2 and 1.0"),
        (lambda: get("rrelu", lower=2), "rrelu needs lower <= upper, got 2 and 0.33"),
        (lambda: get("softshrink(-1)"), "a of softshrink must be positive, got -1.0"),
        (lambda: get("celu", alpha=0), "alpha of celu must be positive, got 0"),
        (lambda: get("monomial", k=0.5), "k of monomial must be an integer of at least 1, got 0.5"),
        (lambda: get("hermite", k=-1), "k of hermite must be an integer of at least 0, got -1"),
        (lambda: get("polynomial", coefficients=(1, None)), "coefficient of polynomial must be a"),
        (
            lambda: get("relu").kernel(1.0, 1.0),
            "kernel takes the correlation c or the gap, exactly",
        ),
        (lambda: get("relu").kernel(1.0, 1.0, 0.5, gap=0.5), "exactly one"),
        (lambda: get("relu").kernel(1.0, 1.0, -1.5), r"a correlation c must be a number in"),
        (
            lambda: get("relu").second_moment(-1.0),
            "variance q must be a finite number, at least 0; got -1.0",
        ),
        (
            lambda: get("tanh").kernel(-1.0, 1.0, 0.5),
            "variance q must be a finite number, at least 0",
        ),
        (lambda: custom("square", "x**2"), r"must be a SymPy expression .* got 'x\*\*2'"),
        (lambda: custom("two", sp.Symbol("u") * sp.Symbol("v")), "must have one symbol, got u, v"),
        (lambda: custom("t", sp.tanh(X), homogeneous=True), "not homogeneous: phi"),
    ],
)
def test_nonsense_is_refused_with_the_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call()
