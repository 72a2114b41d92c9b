"""Operations of torch's graphs that a network can express: tables by name, without a trailing _."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch.fx import Node
from torch.nn import functional

from varprop import activations
from varprop.activations import Activation
from varprop.activations.torch_names import PARAMETERS


class Unsupported(ValueError):
    """An operation that no layer expresses."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not supported; supported are linear layers, every activation of "
            "varprop.activations that torch has, sums and differences of values, products with "
            "numbers, and what changes nothing in evaluation mode (dropout, identity, reshaping "
            "to the same shape)"
        )


# the same number in, the same number out, wherever the shape stays
UNCHANGED = {
    *("alias", "clone", "contiguous", "flatten", "reshape", "view", "view_as", "to", "squeeze"),
    *("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"),
}
COPIED = {"clone"}  # of these, the ones that share no memory with what they read


class Entry(NamedTuple):
    """An activation, and torch's names of its parameters; all others must be torch's defaults."""

    activation: str
    parameters: Mapping[str, str] = {}


ELEMENTWISE: dict[str, Entry] = {
    **{
        name: Entry(name)
        for name in (
            *("relu", "relu6", "selu", "gelu", "silu", "mish", "tanh", "sigmoid", "hardsigmoid"),
            *("hardswish", "erf", "sin", "cos", "exp", "abs", "sign"),
        )
    },
    **{name: Entry(name, parameters) for name, parameters in PARAMETERS.items()},
    "clamp": Entry("hardtanh", {"min": "low", "max": "high"}),
    "log_sigmoid": Entry("logsigmoid"),
    "special_erf": Entry("erf"),
    "special_ndtr": Entry("normal_cdf"),
    "pow": Entry("monomial", {"exponent": "k"}),
    "square": Entry("monomial"),
}


class Fused(NamedTuple):
    """Several operations that are one activation of `source`."""

    activation: str
    source: Node
    call: Callable[[torch.Tensor], torch.Tensor]


def name_of(node: Node) -> str:
    """`relu` for aten.relu_.default."""
    packet = getattr(node.target, "_opname", None) or getattr(node.target, "__name__", node.target)
    return str(packet).removesuffix("_")


def in_place(node: Node) -> bool:
    return node.op == "call_function" and str(getattr(node.target, "_opname", "")).endswith("_")


def bound(node: Node) -> dict[str, Any]:
    """The arguments of the operation by name, with torch's defaults where none is given."""
    found: dict[str, Any] = {}
    for place, argument in enumerate(_schema(node)):
        default = argument.default_value if argument.has_default_value() else None
        given = node.args[place] if place < len(node.args) else default
        found[argument.name] = node.kwargs.get(argument.name, given)
    return found


def activation_of(node: Node, number: Callable[[Any], float]) -> Activation | None:
    """The activation that an operation on one tensor is, or None.

    `number` reads a parameter of one element. Raises Unsupported for parameters that the activation
    has not.
    """
    given, defaults = bound(node), {a.name: a.default_value for a in _schema(node)}
    if (special := _special(name_of(node), given)) is not None:
        return activations.get(special)
    if (entry := ELEMENTWISE.get(name_of(node))) is None:
        return None
    source = next(iter(given))
    if (form := given.pop("approximate", "none")) != "none":
        entry = Entry(f"{entry.activation}_{form}")
    for name, value in given.items():
        known = name == source or name in entry.parameters
        if not known and value != defaults[name]:
            raise Unsupported(f"{name_of(node)} with {name}={value!r}")
    values = {ours: number(given[torchs]) for torchs, ours in entry.parameters.items()}
    return activations.get(entry.activation, **values)


def _special(kind: str, given: Mapping[str, Any]) -> str | None:
    """The activation that has a name of its own at these bounds."""
    bounds = {"hardtanh": ("min_val", "max_val"), "clamp": ("min", "max"), "clamp_min": ("min",)}
    if kind not in bounds:
        return None
    low, high = ([given[name] for name in bounds[kind]] + [None])[:2]
    return {(0, None): "relu", (0, 6): "relu6"}.get((low, high))


def fused(node: Node) -> Fused | None:
    """The activation of which this is the last operation; torch has no single one for these."""
    inputs = [v for v in node.args if isinstance(v, Node)]
    if len(inputs) != 2 or node.kwargs:
        return None
    a, b = inputs
    kind = name_of(node)
    if kind == "sub" and _is(b, "tanh", a):
        return Fused("tanhshrink", a, functional.tanhshrink)
    if kind == "mul" and (_is(b, "sigmoid", a) or _is(a, "sigmoid", b)):
        return Fused("silu", a if _is(b, "sigmoid", a) else b, functional.silu)
    if kind == "div" and name_of(b) == "add" and len(b.args) == 2 and b.args[1] == 1:
        inner = b.args[0]
        if isinstance(inner, Node) and _is(inner, "abs", a):
            return Fused("softsign", a, functional.softsign)
    return None


def _is(node: Node, kind: str, of: Node) -> bool:
    return node.op == "call_function" and name_of(node) == kind and node.args == (of,)


def _schema(node: Node) -> Any:
    return node.target._schema.arguments  # type: ignore[union-attr]
