"""The key of an experiment: equal networks share it, others never do, in every process."""

from __future__ import annotations

import functools
import itertools
import threading
from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp
import torch

import varprop as vp
from varprop.activations import ACTIVATIONS, X
from varprop.initializers import EXAMPLES
from varprop.montecarlo.describe import describe, digest


def key(network):
    return digest(describe(network))


def examples():
    """Networks of every table, made anew by each call."""
    own = vp.custom_activation("own", X * sp.tanh(X) + sp.Max(X, 0))
    networks = [vp.mlp(4, 1, activation=name) for name in ACTIVATIONS]
    networks += [vp.mlp(4, 1, weights=law) for law in EXAMPLES]
    networks += [vp.mlp(4, 1, bias=law) for law in EXAMPLES]
    networks += [vp.mlp(4, 1, activation=vp.activation("leaky_relu"))]
    networks += [vp.mlp(n, d, tied=t) for n in (4, 5) for d in (2, 3) for t in (False, True)]
    networks += [vp.residual(4, 2, scale=s, closing=c) for s in (0.5, 2) for c in (False, True)]
    networks += [vp.mlp(4, 1, activation=own), vp.mlp(4, 1, output=None), vp.mlp(4, 1, input=3)]
    return networks


def test_networks_share_a_key_where_they_are_equal_and_only_there():
    networks = examples()
    keys = [key(network) for network in networks]
    for (a, i), (b, j) in itertools.combinations(zip(networks, keys, strict=True), 2):
        assert (a == b) == (i == j), f"{a.nodes}\n{b.nodes}"
    assert [key(network) for network in examples()] == keys
    assert len(set(keys)) > 100


def test_numbers_that_are_equal_have_one_description():
    one = vp.mlp(4, 1, weights=vp.init.normal(std=1))
    same = vp.mlp(np.int64(4), 1, weights=vp.init.normal(std=1.0))
    assert key(one) == key(same)
    assert key(one) != key(vp.mlp(4, 1, weights=vp.init.normal(std=1 + 2**-52)))
    assert describe(True) is True and describe(np.bool_(False)) is False
    assert digest(describe(1)) != digest(describe("1")) != digest(describe(True))
    ones = np.ones(3)
    assert describe(ones) == describe(ones.astype(">f8")) != describe(ones.astype("f4"))
    assert describe(ones) != describe(ones[:, None]) != describe(2 * ones[:, None])


def bent(slope):
    def function(z):
        return slope * torch.tanh(z)

    return function


def other(z):
    return torch.sin(z)


def test_functions_are_told_apart():
    functions = [bent(1.0), bent(1.5), other, torch.tanh, torch.sin, torch.nn.functional.mish]
    functions += [functools.partial(torch.nn.functional.softplus, beta=b) for b in (1.0, 2.0)]
    functions += [lambda z: torch.sin(z), lambda z: torch.sin(1.5 * z), torch.nn.Mish()]
    keys = [key(vp.custom_activation("own", torch_function=f)) for f in functions]
    assert len(set(keys)) == len(keys)
    again = [key(vp.custom_activation("own", torch_function=f)) for f in functions[2:6]]
    assert again == keys[2:6]
    assert key(vp.custom_activation("own", torch_function=bent(1.5))) == keys[1]
    text = str(describe(vp.custom_activation("own", torch_function=torch.tanh)))
    assert str(id(torch.tanh)) not in text and "0x" not in text


def bump(width):
    """A relu with a bump between the places where functions are read."""
    return lambda z: torch.relu(z) + 3 * torch.relu(width - (z + 0.2).abs())


def bump_of_default(width):
    def function(z, width=width):
        return torch.relu(z) + 3 * torch.relu(width - (z + 0.2).abs())

    return function


def bump_of_keyword(width):
    def function(z, *, width=width):
        return torch.relu(z) + 3 * torch.relu(width - (z + 0.2).abs())

    return function


class Bump:
    def __init__(self, width):
        self.width = width

    def __call__(self, z):
        return bump(self.width)(z)

    def method(self, z):
        return self(z)


@dataclass
class BumpData:
    width: float

    def __call__(self, z):
        return bump(self.width)(z)


class BumpModule(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.register_buffer("width", torch.tensor(width))

    def forward(self, z):
        return bump(self.width)(z)


WIDTH = 0.09


def bump_of_global(z):
    return bump(WIDTH)(z)


def bump_of_helper(z):
    return bump_of_global(z)


def recursive(z, times=2):
    return torch.tanh(recursive(z, times - 1) if times else z)


def held(inner):
    return lambda z: inner(z)


BUMPS = {
    "closure": bump,
    "default": bump_of_default,
    "keyword": bump_of_keyword,
    "partial": lambda width: functools.partial(bump_of_default(0.0), width=width),
    "object": Bump,
    "method": lambda width: Bump(width).method,
    "module": BumpModule,
    "dataclass": lambda width: held(BumpData(width)),
    "held": lambda width: held(bump(width)),
}


@pytest.mark.parametrize("kind", BUMPS)
def test_constants_that_show_nowhere_where_functions_are_read_are_described(kind):
    make = BUMPS[kind]
    one, other = (describe(make(width)) for width in (0.09, 0.001))
    assert one["values"] == other["values"], "the bump was to hide"
    assert digest(one) != digest(other)
    assert digest(one) == digest(describe(make(0.09)))


@pytest.mark.parametrize("function", [bump_of_global, bump_of_helper])
def test_globals_are_described_through_helpers(function, monkeypatch):
    before = digest(describe(function))
    assert digest(describe(function)) == before
    monkeypatch.setitem(globals(), "WIDTH", 0.001)
    assert digest(describe(function)) != before


def test_lambdas_of_one_line_are_told_apart_where_their_values_do_not():
    one, other = (lambda z: z + (z == 0.77)), (lambda z: z + (z == 0.78))
    assert describe(one)["source"] == describe(other)["source"]
    assert describe(one)["values"] == describe(other)["values"]
    assert digest(describe(one)) != digest(describe(other))


def test_a_function_that_calls_itself_is_described():
    assert digest(describe(recursive)) == digest(describe(recursive))


def test_what_a_function_reads_and_nothing_describes_is_named():
    lock = threading.Lock()
    words = r"<lambda> reads lock: .*cannot name an experiment in a store; use .* or no store"
    with pytest.raises(ValueError, match=words):
        describe(lambda z: torch.sin(z) if lock else z)
    with pytest.raises(ValueError, match=r"reads a variable that is not yet set.* or use no store"):
        describe(lambda z: later if z is None else z)
    later = 1.0
    assert later


def test_what_has_no_description_is_named():
    space = {"torch": torch}
    exec("def nowhere(z):\n    return torch.sin(z)", space)
    with pytest.raises(ValueError, match=r"nowhere cannot name an experiment.*define it in a file"):
        describe(vp.custom_activation("own", torch_function=space["nowhere"]))
    with pytest.raises(ValueError, match=r"of builtins\.object cannot name an experiment"):
        describe(object())
