"""trace: what a module's operations become."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import varprop as vp
from varprop.layers import Elementwise
from varprop.torch_modules.trace import traced

MODULES = {
    nn.ReLU(): "relu",
    nn.ReLU(inplace=True): "relu",
    nn.ReLU6(): "relu6",
    nn.LeakyReLU(0.2): "leaky_relu(0.2)",
    nn.PReLU(init=0.375): "leaky_relu(0.375)",
    nn.RReLU(0.1, 0.3): "rrelu(0.1, 0.3)",
    nn.ELU(0.5): "elu(0.5)",
    nn.CELU(2.0): "celu(2)",
    nn.SELU(): "selu",
    nn.GELU(): "gelu",
    nn.GELU("tanh"): "gelu_tanh",
    nn.SiLU(): "silu",
    nn.Mish(): "mish",
    nn.Tanh(): "tanh",
    nn.Sigmoid(): "sigmoid",
    nn.LogSigmoid(): "logsigmoid",
    nn.Softplus(2.0, 15.0): "softplus(2, 15)",
    nn.Softsign(): "softsign",
    nn.Tanhshrink(): "tanhshrink",
    nn.Hardtanh(-2.0, 1.5): "hardtanh(-2, 1.5)",
    nn.Hardsigmoid(): "hardsigmoid",
    nn.Hardswish(): "hardswish",
    nn.Hardshrink(0.3): "hardshrink(0.3)",
    nn.Softshrink(0.2): "softshrink(0.2)",
    nn.Threshold(0.1, 0.05): "threshold(0.1, 0.05)",
}
FUNCTIONS = {
    lambda z: functional.leaky_relu_(z, 0.3): "leaky_relu(0.3)",
    lambda z: z.relu_(): "relu",
    lambda z: z.clamp(min=0): "relu",
    lambda z: z.clamp(-1, 2): "hardtanh(-1, 2)",
    lambda z: z * torch.sigmoid(z): "silu",
    lambda z: torch.special.ndtr(z): "normal_cdf",
    torch.erf: "erf",
    torch.sin: "sin",
    torch.cos: "cos",
    torch.exp: "exp",
    torch.abs: "abs",
    torch.sign: "sign",
    torch.square: "monomial(2)",
    lambda z: z**3: "monomial(3)",
}
NOTHING = (
    nn.Identity(),
    nn.Dropout(0.3),
    nn.AlphaDropout(0.3),
    nn.Flatten(),
    lambda z: z.view(len(z), -1),
    lambda z: z.contiguous().clone(),
    lambda z: z.to(torch.float64),
)


class Chain(nn.Module):
    """Each of `parts` after a linear layer of its own."""

    def __init__(self, parts):
        super().__init__()
        self.parts, self.linear = parts, nn.ModuleList(nn.Linear(4, 4) for _ in parts)
        self.held = nn.ModuleList(p for p in parts if isinstance(p, nn.Module))

    def forward(self, x):
        for part, linear in zip(self.parts, self.linear, strict=True):
            x = part(linear(x))
        return x


class Written(nn.Module):
    """The module whose forward is `rule(self, x)`, with linear layers a, b, one and a number s."""

    def __init__(self, rule):
        super().__init__()
        self.rule, self.a, self.b = rule, nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.one = nn.Linear(4, 1)
        self.s, self.w = nn.Parameter(torch.tensor(0.25)), nn.Parameter(torch.ones(4, 4))

    def forward(self, x):
        return self.rule(self, x)


def same_as_table(parts):
    """Each part is read as the activation of that name, and computes it."""
    network = traced(Chain(list(parts)).double(), 4)
    operations = network.program.operations
    read = [(n, op) for n, op in zip(network.nodes[1:], operations, strict=True)]
    read = [(n, op) for n, op in read if isinstance(n.layer, Elementwise)]
    z = torch.linspace(-7, 7, 201, dtype=torch.float64)
    for (node, operation), name in zip(read, parts.values(), strict=True):
        phi = vp.activation(name)
        slope = [torch.tensor(0.375, dtype=z.dtype)] if operation.tensors else []
        assert node.layer.activation == phi
        assert node.name.startswith(phi.name)
        assert operation.call(z, *slope).numpy() == pytest.approx(
            phi(z.numpy()), rel=1e-12, abs=1e-14
        )


def test_every_module_of_an_activation_is_that_of_the_table():
    same_as_table(MODULES)


def test_functions_and_methods_are_read_like_modules():
    same_as_table(FUNCTIONS)


def test_what_changes_nothing_is_left_out():
    network = vp.trace(Chain(NOTHING).double())
    assert [n.name for n in network] == ["input", *(f"dense_{k + 1}" for k in range(len(NOTHING)))]


def graph_of(rule, **laws):
    network = vp.trace(Written(rule), **laws)
    return [(n.name, *n.inputs) for n in network], network


def test_residual_sums_differences_and_factors():
    def rule(m, x):
        return x - 0.5 * m.b(torch.relu(m.a(x))) / 4 + m.s * x

    nodes, network = graph_of(rule)
    assert nodes == [
        ("input",),
        ("dense_1", "input"),
        ("relu_1", "dense_1"),
        ("dense_2", "relu_1"),
        ("scale_1", "dense_2"),
        ("scale_2", "scale_1"),
        ("scale_3", "scale_2"),
        ("add_1", "input", "scale_3"),
        ("scale_4", "input"),
        ("add_2", "add_1", "scale_4"),
    ]
    assert [network[f"scale_{k}"].layer.factor for k in (1, 2, 3, 4)] == [0.5, 0.25, -1.0, 0.25]
    assert network["dense_1"].layer.bias is not None and network["dense_2"].layer.bias is None
    assert (network.modules["dense_1"], network.modules["dense_2"]) == ("a", "b")


def test_what_is_overwritten_is_read_as_what_overwrote_it():
    def rule(m, x):
        z = m.a(x)
        same = z.view(len(x), 4)
        functional.relu(z, inplace=True)
        return same + m.b(x)

    nodes, _ = graph_of(rule)
    assert ("relu_1", "dense_1") in nodes and nodes[-1] == ("add_1", "relu_1", "dense_2")


def test_sums_and_products_in_place():
    def rule(m, x):
        z = m.a(x)
        total = z
        total += m.b(x)
        total *= 2
        return z

    nodes, _ = graph_of(rule)
    assert nodes[3:] == [("add_1", "dense_1", "dense_2"), ("scale_1", "add_1")]


def test_a_copy_made_before_stays():
    def rule(m, x):
        z = m.a(x)
        before = z.clone()
        return torch.relu_(z) + before

    nodes, _ = graph_of(rule)
    assert nodes[-1] == ("add_1", "relu_1", "dense_1")


def test_a_layer_used_twice_is_tied():
    _, network = graph_of(lambda m, x: m.a(torch.tanh(m.a(x))))
    assert network["dense_2"].layer.tied == "dense_1"


def test_laws_by_default_for_all_and_by_path():
    def rule(m, x):
        return m.b(torch.relu(m.a(x)))

    default = graph_of(rule)[1]
    assert default["dense_1"].layer.weight_law.variance == pytest.approx(1 / 12)
    assert default["dense_1"].layer.bias_law.variance == pytest.approx(1 / 12)
    one = graph_of(rule, weights="kaiming_normal", bias="zeros")[1]
    assert {one[n].layer.weights.name for n in ("dense_1", "dense_2")} == {"kaiming_normal"}
    assert one["dense_1"].layer.bias.name == "zeros"
    some = graph_of(rule, weights={"*": "xavier_normal", "b": vp.init.normal(std=0.1)})[1]
    assert some["dense_1"].layer.weights.name == "xavier_normal"
    assert float(some["dense_2"].layer.weight_law.variance) == pytest.approx(0.01)


def test_a_module_that_is_one_layer_has_torch_s_laws_and_the_empty_path():
    for module in (nn.Linear(3, 4), nn.Linear(3, 4, bias=False)):
        (layer,) = [node.layer for node in vp.trace(module) if node.name == "dense_1"]
        assert layer.weights == vp.init.torch_default_weight()
    told = vp.trace(nn.Linear(3, 4), weights={"": "kaiming_normal"})
    assert told["dense_1"].layer.weights == vp.init.kaiming_normal()


def test_weights_that_no_constructor_filled_need_a_law():
    def rule(m, x):
        return functional.linear(x, m.w)

    with pytest.raises(ValueError, match=r"law of 'w' must be given.*weights=\{'w': law\}"):
        graph_of(rule)
    assert graph_of(rule, weights={"w": "kaiming_normal"})[1].output == "dense_1"


UNSUPPORTED = {
    r"Written: aten.softmax.int is not supported; supported are linear": lambda m, x: x.softmax(-1),
    r"mul of two values is not": lambda m, x: x * m.a(x),
    r"add of a value and a constant is not": lambda m, x: m.a(x) + 1,
    r"a linear layer whose weights are computed": lambda m, x: functional.linear(x, x),
    r"division by 0 is not": lambda m, x: m.a(x) / 0,
    r"dropout that is random in evaluation mode": lambda m, x: functional.dropout(m.a(x), 0.5),
    r"elu with scale=2": lambda m, x: torch.ops.aten.elu(x, 1.0, 2.0),
    r"an operation on parameters alone": lambda m, x: functional.linear(x, m.w.abs()),
    r"add of values of different shapes": lambda m, x: x + m.one(x),
    r"shares its weight with another, but not its bias": lambda m, x: functional.linear(
        m.a(x), m.a.weight
    ),
    r"must be the same for all inputs.*data-dependent": lambda m, x: x if x.sum() > 0 else -x,
    r"one tensor \(points, channels\), got tuple of Written": lambda m, x: (x, x),
    r"one tensor \(points, channels\), got shape \(2,\)": lambda m, x: x.sum(-1),
}


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_what_no_layer_expresses_is_named(message, capfd):
    with pytest.raises(ValueError, match=message):
        graph_of(UNSUPPORTED[message])
    assert capfd.readouterr() == ("", "")


def test_the_path_of_what_is_not_supported():
    body = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.BatchNorm1d(4)))
    with pytest.raises(ValueError, match=r"1\.0 \(BatchNorm1d\): aten\.batch_norm\.default is not"):
        vp.trace(body)
    shaped = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (2, 2)), nn.Flatten())
    with pytest.raises(ValueError, match=r"1 \(Unflatten\): aten\.unflatten"):
        vp.trace(shaped)


class Image(nn.Module):
    """A convolution that gets its position from the forward."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv1d(1, 2, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.stem(x[:, None]).flatten(1))


POSITIONS = {
    "the module is a convolution: Conv2d": lambda: vp.trace(nn.Conv2d(1, 1, 1)),
    "'0' of Sequential is a convolution: Conv2d.*trace the parts": lambda: vp.trace(
        nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2, 2)), torch.zeros(1, 3, 3, 3)
    ),
    "'stem' of Image is a convolution: Conv1d": lambda: vp.trace(Image(), torch.zeros(1, 4)),
    "'stem' of Image is a convolution: .*no layer of": lambda: vp.trace(Image()),
    "'0' of Sequential is a recurrent layer: GRU": lambda: vp.trace(
        nn.Sequential(nn.GRU(4, 4)), torch.zeros(1, 4)
    ),
    "'0' of Sequential is an embedding": lambda: vp.trace(
        nn.Sequential(nn.Embedding(4, 4), nn.Flatten(), nn.Linear(4, 4))
    ),
}


@pytest.mark.parametrize("message", POSITIONS)
def test_parts_that_work_on_positions_are_blamed(message):
    with pytest.raises(ValueError, match=f"(?i){message}"):
        POSITIONS[message]()


def test_the_dense_head_of_a_convolution_is_traced_by_itself():
    assert [n.name for n in vp.trace(Image().head)] == ["input", "dense_1"]


def test_a_part_with_positions_that_is_not_used_hinders_nothing():
    module = Written(lambda m, x: m.a(x))
    module.unused = nn.Conv2d(1, 1, 1)
    assert [n.name for n in vp.trace(module)] == ["input", "dense_1"]


BAD = {
    r"does not take inputs of shape \(points, 5\): mat1": lambda: vp.trace(
        nn.Linear(4, 4), np.zeros((2, 5))
    ),
    r"inputs must have shape \(points, channels\), got \(2, 3, 4\)": lambda: vp.trace(
        nn.Linear(4, 4), torch.zeros(2, 3, 4)
    ),
    r"ReLU has no torch.nn.Linear that tells its input size": lambda: vp.trace(nn.ReLU()),
    r"a torch.nn.Module is needed, got type; call it": lambda: vp.trace(nn.Linear),
    r"a torch.nn.Module is needed, got int": lambda: vp.trace(3),
    r"unknown path in weights '3': known: 0, 1": lambda: vp.trace(
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), weights={"3": "kaiming_normal"}
    ),
    r"one dtype and one device, got 0.weight in torch.float16.*1.weight": lambda: vp.trace(
        nn.Sequential(nn.Linear(4, 4).half(), nn.Linear(4, 4))
    ),
    r"compute in one of float64.*got torch.float8_e5m2; convert": lambda: vp.trace(
        nn.Linear(4, 4).to(torch.float8_e5m2)
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        BAD[message]()
