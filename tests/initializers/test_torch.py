"""torch's own initializers and layer defaults against the laws."""

import inspect
import math
from types import SimpleNamespace

import pytest
import sympy
import torch
from torch import nn

from varprop import initializers, laws
from varprop.initializers import EXAMPLES, INITIALIZERS, Initializer, get
from varprop.initializers.fans import GAINS

s = sympy.Symbol("s", positive=True)
in_torch = [e for e in EXAMPLES if hasattr(nn.init, e.name + "_")]
in_torch = [e for e in in_torch if "variance" not in dict(e.arguments)]


def torch_draws(
    example: Initializer, generator: torch.Generator, weigh: SimpleNamespace
) -> torch.Tensor:
    """Matrices (..., rows, fan_in) filled by torch.nn.init itself."""
    law, arguments = weigh.law_of(example), dict(example.arguments)
    rows, cols = weigh.shape_of(law)
    kernel = arguments.pop("kernel", ())
    fill = getattr(nn.init, example.name + "_")
    if not isinstance(law, laws.Constant | laws.Dirac):
        arguments["generator"] = generator
    count = 1500
    shape = (rows, cols // math.prod(kernel), *kernel)
    return torch.stack(
        [fill(torch.empty(shape, dtype=torch.float64), **arguments) for _ in range(count)]
    ).reshape(count, rows, cols)


def agree(
    law: laws.Law, w: torch.Tensor, generator: torch.Generator, weigh: SimpleNamespace
) -> bool:
    if isinstance(law, laws.Sparse) and weigh.structure_holds(law, w):
        return weigh.departure(laws.Normal(0, law.std**2), w[w != 0]) < 1
    return (
        weigh.structure_holds(law, w)
        and weigh.departure(law, weigh.evidence(law, w, generator)) < 1
    )


@pytest.mark.parametrize("example", in_torch, ids=str)
@pytest.mark.statistical
def test_torch_follows_our_law_and_a_planted_fault_does_not(
    example: Initializer, generator: torch.Generator, weigh: SimpleNamespace
) -> None:
    law, w = weigh.law_of(example), torch_draws(example, generator, weigh)
    assert agree(law, w, generator, weigh)
    if law.mean == 0 and law.variance == 0:
        assert not agree(law, w + 0.03, generator, weigh)
    else:
        assert not agree(law, 1.03 * w, generator, weigh)


@pytest.mark.parametrize("example", in_torch, ids=str)
def test_names_and_defaults_are_torchs(example: Initializer) -> None:
    ours = inspect.signature(INITIALIZERS[example.name]).parameters
    theirs = inspect.signature(getattr(nn.init, example.name + "_")).parameters
    for name, parameter in theirs.items():
        if name not in ("tensor", "generator"):
            assert ours[name].default == parameter.default


def test_every_torch_initializer_is_here() -> None:
    public = {name[:-1] for name in nn.init.__all__ if name.endswith("_")}
    assert public <= set(INITIALIZERS)


def test_gains_are_torchs() -> None:
    for name in (*GAINS, "leaky_relu"):
        assert float(initializers.calculate_gain(name)) == nn.init.calculate_gain(name)
    assert initializers.calculate_gain("leaky_relu", s) == sympy.sqrt(2 / (1 + s**2))


E_DIM = 96
LAYER_DEFAULTS = {  # our law, torch's tensor
    "linear weight": ("torch_default_weight", lambda: nn.Linear(256, 800).weight),
    "linear bias": ("torch_default_bias", lambda: nn.Linear(256, 100_000).bias),
    "conv weight": (
        "torch_default_weight",
        lambda: nn.Conv2d(64, 512, 3, groups=2, bias=False).weight,
    ),
    "conv bias": ("torch_default_bias", lambda: nn.Conv2d(2, 60_000, 3, groups=2).bias),
    "embedding": ("torch_default_embedding", lambda: nn.Embedding(2000, 100).weight),
    "lstm input": (
        initializers.torch_default_recurrent(hidden=128),
        lambda: nn.LSTM(400, 128).weight_ih_l0,
    ),
    "gru hidden": (
        initializers.torch_default_recurrent(hidden=256),
        lambda: nn.GRU(9, 256).weight_hh_l0,
    ),
    "bilinear": (
        initializers.torch_default_bilinear(in1=40),
        lambda: nn.Bilinear(40, 90, 50).weight,
    ),
    "attention": (
        "torch_default_in_proj",
        lambda: torch.stack([nn.MultiheadAttention(E_DIM, 4).in_proj_weight for _ in range(8)]),
    ),
    "attention out": (
        "torch_default_weight",
        lambda: nn.MultiheadAttention(384, 4).out_proj.weight,
    ),
}
FAN_INS = {"linear bias": 256, "conv weight": 288, "conv bias": 9, "attention": E_DIM}


@pytest.mark.parametrize("layer", LAYER_DEFAULTS)
@pytest.mark.statistical
def test_torch_layers_follow_our_defaults(layer: str, weigh: SimpleNamespace) -> None:
    initializer, make = LAYER_DEFAULTS[layer]
    w = make().detach()
    fan_in = FAN_INS.get(layer, w.shape[-1])
    law = get(initializer).at(fan_in, 7)
    assert weigh.departure(law, w) < 1
    assert weigh.departure(law, 1.03 * w) > 1
    assert weigh.departure(law, w / 1.03) > 1


@pytest.mark.statistical
def test_fan_out_for_fan_in_is_noticed(generator: torch.Generator, weigh: SimpleNamespace) -> None:
    w = nn.init.kaiming_normal_(torch.empty(400, 380), mode="fan_out", generator=generator)
    assert weigh.departure(initializers.kaiming_normal(mode="fan_out").at(380, 400), w) < 1
    assert weigh.departure(initializers.kaiming_normal(mode="fan_in").at(380, 400), w) > 1
