"""Fans, names, and the answers to mistakes."""

import inspect
import math
import pickle

import pytest
import sympy
import torch
from torch import nn

from varprop import initializers, laws
from varprop.initializers import EXAMPLES, INITIALIZERS, Initializer, fans, get

n, m, s = sympy.symbols("n m s", positive=True)


def test_fans_are_those_of_the_layer() -> None:
    for layer in (nn.Linear(5, 7), nn.Conv2d(6, 8, (3, 5)), nn.Conv1d(6, 8, 3)):
        assert fans(tuple(layer.weight.shape)) == nn.init._calculate_fan_in_and_fan_out(
            layer.weight
        )
    conv = nn.Conv2d(6, 8, 3, groups=2, padding=2, bias=False)
    # naive count: terms in one output, outputs that one input enters
    with torch.no_grad():
        conv.weight.fill_(1)
    x = torch.zeros(1, 6, 5, 5)
    terms = conv(torch.ones(1, 6, 5, 5)).max()
    x[0, 0, 2, 2] = 1
    assert fans(tuple(conv.weight.shape), groups=2) == (int(terms), int(conv(x).sum()))
    assert fans((n, m, 3, 3)) == (9 * m, 9 * n)


def test_every_initializer_has_an_example() -> None:
    assert {example.name for example in EXAMPLES} == set(INITIALIZERS)


def test_initializers_print_compare_and_travel(example: Initializer) -> None:
    assert eval(str(example), dict(INITIALIZERS)) == example
    again = pickle.loads(pickle.dumps(example))
    assert again == example and hash(again) == hash(example)
    assert get(example) is example
    assert INITIALIZERS[example.name].__doc__


def test_str_states_the_arguments() -> None:
    text = "kaiming_normal(a=0, mode='fan_in', nonlinearity='relu')"
    assert str(initializers.kaiming_normal(nonlinearity="relu")) == text
    assert str(initializers.normal(variance=s**2 / n)) == "normal(mean=0, variance=s**2/n)"
    assert get("kaiming_normal") == initializers.kaiming_normal()
    assert initializers.kaiming_normal().at(n, m) == initializers.kaiming_normal(
        nonlinearity="relu"
    ).at(n, m)


def test_moments_without_fans() -> None:
    assert initializers.normal(std=0.5).variance == sympy.Rational(1, 4)
    assert initializers.uniform().mean == sympy.Rational(1, 2)
    assert initializers.kaiming_normal().kurtosis == 3
    fan_in = sympy.Symbol("fan_in", positive=True)
    assert initializers.normal(variance=2 / fan_in).variance == 2 / fan_in


MISTAKES = {
    "variance of Normal must be real, finite, at least 0, got -1": lambda: laws.Normal(0, -1),
    "std must be real, finite, at least 0, got -1": lambda: initializers.normal(std=-1),
    "scale of TruncatedNormal must be real, finite, above 0, got 0": lambda: (
        initializers.trunc_normal(std=0)
    ),
    "mean of Normal must be real, finite, got nan": lambda: laws.Normal(float("nan")),
    "mean of Normal must be real, finite, got 's': pass a number": lambda: laws.Normal("s"),
    "gain must be real, finite, at least 0, got inf": lambda: initializers.xavier_normal(
        gain=math.inf
    ),
    "normal takes std or variance, got both": lambda: initializers.normal(std=1, variance=1),
    "upper bound must be real, finite, at least 1, got 0: swap": lambda: initializers.uniform(1, 0),
    "upper bound must be real, above 1, got 1": lambda: initializers.trunc_normal(a=1, b=1),
    "sparsity must be real, finite, above 0, below 1, got 3/2": lambda: initializers.sparse(1.5),
    "scale must be real, finite, at least 0, got -1": lambda: initializers.variance_scaling(-1),
    "mode must be a known name, got 'fan_it': did you mean fan_in": lambda: (
        initializers.variance_scaling(mode="fan_it")
    ),
    "got 'avg': did you mean fan_avg or average? choose from average": lambda: (
        initializers.msra_filler("avg")
    ),
    "distribution must be a known name, got 'norma'": lambda: initializers.variance_scaling(
        distribution="norma"
    ),
    "nonlinearity must be a known name, got 'gelu'": lambda: initializers.kaiming_normal(
        nonlinearity="gelu"
    ),
    "did you mean kaiming_normal": lambda: get("kaiming_norma"),
    "listed in varprop.initializers.INITIALIZERS": lambda: Initializer("nonsense"),
    "missing a required argument: 'sparsity': call sparse": lambda: get("sparse"),
    "fan_in must be real, finite, above 0, got 0: pass the sizes": lambda: get("ones").at(0, 3),
    "use .at(fan_in, fan_out).variance": lambda: initializers.kaiming_normal().variance,
    "fans need a weight of at least 2 axes, got shape (3,)": lambda: fans((3,)),
    "groups must divide the output channels, got groups=2": lambda: fans((3, 4), groups=2),
    "rows of Dirac must be a multiple of 2, got 3": lambda: laws.Dirac(3, 8, (2,), 2),
    "sampling needs numbers, got symbols (n, s)": lambda: laws.Normal(0, s**2 / n).sample(
        (3,), generator=torch.Generator()
    ),
    "fills matrices (..., 3, 4), got shape (4, 3)": lambda: laws.Orthogonal(1, 3, 4).sample(
        (4, 3), generator=torch.Generator()
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_answered(message: str) -> None:
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)


JUNK = ("1", "abc", b"1", None, True, math.nan, 1j, [1, 2], (), {}, sympy.I, object(), len)
SIZES = {"sparse": {"sparsity": 0.1}, "dirac": {"kernel": (2, 2)}, "constant": {"val": 1}}
SIZES |= {"torch_default_recurrent": {"hidden": 3}, "torch_default_bilinear": {"in1": 3}}
OPTIONAL = {("normal", "variance"), ("kaiming_normal", "a"), ("kaiming_uniform", "a")}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_argument_refuses_what_it_cannot_mean_and_shows_it(name: str) -> None:
    for parameter in inspect.signature(INITIALIZERS[name]).parameters:
        for junk in JUNK:
            if (name, parameter) in OPTIONAL and junk is None:
                continue
            if parameter == "kernel" and junk == ():
                continue  # a linear layer
            arguments = {**SIZES.get(name, {}), parameter: junk}
            with pytest.raises(ValueError, match="got") as caught:
                INITIALIZERS[name](**arguments).at(8, 8)
            assert repr(junk) in str(caught.value)


@pytest.mark.parametrize("value", [None, 0.1, True])
def test_what_is_no_name_is_refused_with_the_remedy(value):
    with pytest.raises(ValueError, match=r"or its name is needed, got .* varprop\.init"):
        get(value)
