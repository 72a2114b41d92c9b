"""What public calls say to arguments of the wrong kind: the rule, what came, and the remedy."""

import re
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop.initializers import normal
from varprop.theory.meanfield import mean_field

HUGE = 10**400  # beyond the range of floats
MINUS = sp.Symbol("m", negative=True)
TANH, RELU = vp.activation("tanh"), vp.activation("relu")
NET = vp.mlp(4, 2)
THEORY = vp.predict(NET)
FIELD = mean_field("tanh", weight_variance=1.5)
VARIANCE = "a variance q must be a finite number, at least 0; got {}; give floats, or a SymPy"
CORRELATION = "a correlation c must be a number in [-1, 1]; got {}; divide the covariance by"
RATE = "{} must lie between 0 and 0.5, got {}"

CASES = {
    "a bool as parameter": (
        lambda: vp.activation("elu", alpha=True),
        "the parameter alpha of elu must be a finite number, got True",
    ),
    "a huge parameter": (
        lambda: vp.activation("softplus", beta=HUGE),
        "the parameter beta of softplus must be a finite number, got 1000",
    ),
    "a dictionary as variance": (lambda: TANH.second_moment({}), VARIANCE.format("{}")),
    "a huge variance": (
        lambda: RELU.kernel(1.0, HUGE, 0.5),
        "a variance q must be a finite number, at least 0; got 1000",
    ),
    "a negative symbol as variance": (lambda: RELU.second_moment(MINUS), VARIANCE.format("m")),
    "an imaginary variance": (lambda: RELU.kernel(sp.I, 1, 0.5), VARIANCE.format("I")),
    "SymPy's nan as variance": (lambda: RELU.kernel(1, sp.nan, 0.5), VARIANCE.format("nan")),
    "SymPy's infinity as variance": (lambda: TANH.mean(sp.oo), VARIANCE.format("oo")),
    "a SymPy correlation above 1": (
        lambda: RELU.kernel(1, 1, sp.Integer(2)),
        CORRELATION.format("2"),
    ),
    "no torch function": (
        lambda: vp.custom_activation("f", torch_function=3),
        "the torch function of f must be a function of one tensor, got 3; give it as",
    ),
    "an infinite expression": (
        lambda: vp.custom_activation("f", sp.zoo),
        "f must be finite, got zoo; write phi as a function of z",
    ),
    "homogeneous to a degree": (
        lambda: vp.custom_activation("f", sp.Symbol("x"), homogeneous=1),
        "homogeneous is True (phi(a z) = a phi(z) for a > 0) or False, got 1",
    ),
    "a huge depth": (
        lambda: vp.mlp(4, 10**9),
        "depth must be at most 1000000, as every layer is a node, got 1000000000; for deeper "
        "stacks see varprop.recurrence",
    ),
    "one number as widths": (
        lambda: vp.mlp(widths=np.array(3)),
        "widths needs an input and an output size, got array(3)",
    ),
    "an array as output": (
        lambda: vp.mlp(4, 2, output=np.ones(3)),
        "fan_out must be a positive integer or a SymPy symbol, got array",
    ),
    "a negative symbol as width": (
        lambda: vp.mlp(MINUS, 2),
        "input size must be a positive integer or a SymPy symbol, got m",
    ),
    "an array as scale": (
        lambda: vp.residual(4, 2, scale=np.ones(2)),
        "a scale factor must be a finite number or a SymPy expression, got array",
    ),
    "a huge scale": (lambda: vp.Scale(HUGE), "a scale factor must be a finite number or a SymPy"),
    "an imaginary scale": (
        lambda: vp.Scale(sp.I),
        "a scale factor must be a finite number or a SymPy expression, got I",
    ),
    "closing by number": (
        lambda: vp.residual(4, 2, closing=0),
        "closing is True (branches end in weights) or False, got 0",
    ),
    "no weights": (
        lambda: vp.Dense(3, 4, None),
        "an initializer or its name is needed, got None: make one with varprop.init",
    ),
    "tied by truth": (
        lambda: vp.Dense(3, 4, normal(), tied=True),
        "tied is the name of an earlier dense node, or None, got True",
    ),
    "a number as nodes": (
        lambda: vp.Network(3),
        "a network is a tuple of varprop.Node(name, layer, inputs), got 3; varprop.Graph builds",
    ),
    "layers as nodes": (
        lambda: vp.Network((vp.Input(3),)),
        "a network is a tuple of varprop.Node(name, layer, inputs), got Input(channels=3);",
    ),
    "an array as order": (
        lambda: vp.predict(NET, order=np.zeros(2)),
        "order must be 0 (the limit), 1 (with the 1/n term) or None (the best there is), got array",
    ),
    "an imaginary second moment": (
        lambda: vp.predict(NET, sp.I),
        "x.x/n must be a finite number of at least 0, or a SymPy expression, got I; declare it",
    ),
    "a word as margin": (
        lambda: vp.verify(NET, margin="small"),
        RATE.format("margin", "'small'"),
    ),
    "an array as error rate": (
        lambda: vp.verify(NET, error_rate=np.ones(2)),
        RATE.format("error_rate", "array"),
    ),
    "a huge bound": (
        lambda: vp.truncated_normal(0, 1, -2, HUGE),
        "high must be real numbers, got 1000",
    ),
    "several wanted": (
        lambda: vp.truncation_report(1.0, wanted=[1, 2]),
        "std, low, high and wanted must be single numbers",
    ),
    "a fraction of Python": (
        lambda: mean_field("tanh", weight_variance=Fraction(3, 2)),
        "weight_variance must be a finite number above 0, or a SymPy expression, got Fraction(3",
    ),
    "a shortcut whose square is no float": (
        lambda: mean_field("tanh", weight_variance=1.0, skip=1e200),
        "skip must be a finite number of at least -1e+150 and at most 1e+150, or a SymPy",
    ),
    "an imaginary start": (
        lambda: FIELD.iterate(sp.I, 3),
        "q0 must be a finite number of at least 0, got I; it is the variance of the first layer",
    ),
    "half a layer": (
        lambda: FIELD.iterate_correlation(0.5, 1.5),
        "depth must be a whole number of at least 0, got 1.5; it counts the layers",
    ),
    "a word as deficit": (
        lambda: FIELD.correlation_map("half"),
        "the deficit 1 - c must be a finite number, got 'half'; give 1 - c, from 0 to 2",
    ),
    "a list as criterion": (
        lambda: vp.gain("tanh", ["critical"]),
        "unknown criterion ['critical']; the criteria are second_moment,",
    ),
    "a list as node": (
        lambda: vp.length_law(NET, node=["relu_1"]),
        "unknown node ['relu_1']: did you mean relu_1",
    ),
    "a list as quantity": (
        lambda: THEORY.value("relu_1", ["mean"]),
        "unknown quantity of relu_1 ['mean']: ",
    ),
    "a list as parametrisation": (
        lambda: vp.ntk(NET, parametrisation=["ntk"]),
        "parametrisation must be 'standard' or 'ntk', got ['ntk']",
    ),
    "a symbol as singular value": (
        lambda: vp.jacobian_spectrum("relu", 2).density(MINUS),
        "a law is asked at real numbers, got m; give a number or an array",
    ),
    "a number as shape": (
        lambda: vp.init.fans(3),
        "fans need a weight of at least 2 axes, got shape 3: for a bias, pass the shape",
    ),
    "half a group": (
        lambda: vp.init.fans((4, 4), groups=0.5),
        "groups must be a positive integer or a SymPy expression, got 0.5: pass the groups",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_used_is_named(case):
    call, message = CASES[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_lists_and_sympy_numbers_are_numbers():
    """A list is an array, and an exact number is its float where no formula is asked for."""
    assert FIELD.variance_map([1.0, 2.0]).shape == (2,)
    assert FIELD.iterate(sp.Rational(1, 2), 3).tolist() == FIELD.iterate(0.5, 3).tolist()
    assert vp.gain("tanh", q=sp.Rational(1, 2)).value == vp.gain("tanh", q=0.5).value
    one, other = (
        vp.phase_diagram("tanh", [1.5], [0.1], keep=keep) for keep in (sp.Rational(1, 2), 0.5)
    )
    assert one.fixed_point == other.fixed_point


def test_exact_numbers_are_points_of_a_law():
    law = vp.length_law(NET)
    half = sp.Rational(1, 2)
    assert law.quantile(half) == law.quantile(0.5)
    assert law.moment(half) == law.moment(0.5)
