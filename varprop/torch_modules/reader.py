"""Reading an exported graph: each operation becomes a node of a network."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.fx import Node
from torch.nn import functional

from varprop import activations
from varprop.layers import Add, Dense, Elementwise, Layer, Scale
from varprop.network import Graph
from varprop.torch_modules.export import Exported
from varprop.torch_modules.laws import Assigned
from varprop.torch_modules.modules import tensors_of
from varprop.torch_modules.operations import (
    UNCHANGED,
    Unsupported,
    activation_of,
    bound,
    fused,
    name_of,
)


class Operation(NamedTuple):
    """A node as the module computes it: call(*values of `reads`, *its own `tensors`)."""

    node: str
    reads: tuple[str, ...]
    tensors: tuple[str, ...]
    call: Callable[..., torch.Tensor]


def _sources(node: Node) -> list[Node]:
    one = fused(node) if node.op == "call_function" else None
    return list(node.all_input_nodes) if one is None else [one.source]


def _needed(nodes: list[Node]) -> Iterator[Node]:
    """In their order, the nodes on which the output depends."""
    reached = {nodes[-1]}
    for node in reversed(nodes):
        if node in reached:
            reached.update(_sources(node))
    return (node for node in nodes if node in reached)


class Reader:
    """Adds to a network what each node of an exported graph computes."""

    def __init__(
        self, module: nn.Module, program: Exported, weights: Assigned, bias: Assigned
    ) -> None:
        self.module, self.tensors = module, tensors_of(module)
        self.program, self.names = program, program.tensors
        self.weights, self.bias = weights, bias
        self.graph, self.operations = Graph(program.channels), list[Operation]()
        self.at: dict[Node, str] = {}  # the network's node of a value
        self.modules: dict[str, str] = {}
        self.owners: dict[int, tuple[str, list[int]]] = {}  # dense nodes, biases, by their weight
        for node in _needed(list(program.graph.nodes)):
            self._read(node)

    def _read(self, node: Node) -> None:
        if node.op == "placeholder":
            if node.name == self.program.input:
                self.at[node] = self.graph.input
        elif node.op == "output":
            (value,) = node.all_input_nodes
            if value not in self.at:
                raise ValueError("a module must compute its output from its input")
        else:
            try:
                self.at[node] = self._value(node)
            except ValueError as error:
                raise ValueError(f"{_place(node)}: {error}") from None

    def _value(self, node: Node) -> str:
        if (one := fused(node)) is not None:
            layer = Elementwise(activations.get(one.activation))
            return self._add(node, layer, (self._of(one.source),), one.call)
        if not hasattr(node.target, "_schema"):
            raise Unsupported(f"{node.target}")
        kind, given = name_of(node), bound(node)
        if kind in UNCHANGED:
            source: Any = node.args[0]
            before, after = source.meta["val"], node.meta["val"]
            if (before.shape, before.dtype) != (after.shape, after.dtype):
                raise Unsupported(
                    f"{kind} from {tuple(before.shape)} in {before.dtype} to "
                    f"{tuple(after.shape)} in {after.dtype}"
                )
            if given.get("train"):
                raise Unsupported(f"{kind} that is random in evaluation mode too")
            return self._of(source)
        if kind == "linear":
            return self._dense(node, **given)
        if (arithmetic := self._arithmetic(node, kind, given)) is not None:
            return arithmetic
        activation = activation_of(node, self._number)
        if activation is None:
            raise Unsupported(f"{node.target}")
        return self._elementwise(node, activation, given)

    def _of(self, node: Any) -> str:
        if node not in self.at:
            raise Unsupported("an operation on parameters alone")
        return self.at[node]

    def _add(
        self,
        node: Node,
        layer: Layer,
        reads: tuple[str, ...],
        call: Callable[..., torch.Tensor],
        tensors: tuple[str, ...] = (),
    ) -> str:
        name = self.graph.add(layer, *reads)
        self.operations.append(Operation(name, reads, tensors, call))
        self.modules[name] = _path(node)
        return name

    def _elementwise(self, node: Node, activation: Any, given: dict[str, Any]) -> str:
        reads = [v for v in given.values() if isinstance(v, Node)]
        source, *parameters = reads
        tensors = tuple(self.names[p.name] for p in parameters)
        layer = Elementwise(activation)
        return self._add(node, layer, (self._of(source),), _call(node, reads), tensors)

    def _arithmetic(self, node: Node, kind: str, given: dict[str, Any]) -> str | None:
        """Sums of two values and products of one with a number."""
        if kind == "neg":
            return self._scaled(node, self._of(given["self"]), -1.0)
        if kind not in ("add", "sub", "rsub", "mul", "div"):
            return None
        a, b = given["self"], given["other"]
        if kind in ("mul", "div"):
            if a not in self.at and kind == "mul":
                a, b = b, a
            if b in self.at or given.get("rounding_mode") is not None:
                raise Unsupported(f"{kind} of two values")
            factor = self._number(b)
            if kind == "div" and not factor:
                raise Unsupported("division by 0")
            tensors = (self.names[b.name],) if isinstance(b, Node) else ()
            call = _call(node, [a, b] if tensors else [a])
            return self._add(
                node, Scale(factor if kind == "mul" else 1 / factor), (self._of(a),), call, tensors
            )
        if a not in self.at or b not in self.at:
            raise Unsupported(f"{kind} of a value and a constant")
        if a.meta["val"].shape != b.meta["val"].shape:
            raise Unsupported(f"{kind} of values of different shapes")
        alpha = float(given["alpha"])
        first, second = (b, a) if kind == "rsub" else (a, b)
        right = self._scaled(node, self.at[second], alpha if kind == "add" else -alpha)
        return self._add(node, Add(), (self.at[first], right), torch.add)

    def _scaled(self, node: Node, name: str, factor: float) -> str:
        if factor == 1:
            return name
        return self._add(node, Scale(factor), (name,), partial(torch.mul, other=factor))

    def _dense(self, node: Node, input: Any, weight: Any, bias: Any) -> str:
        for what in (weight, bias):
            if what is not None and what.name not in self.names:
                raise Unsupported("a linear layer whose weights are computed")
        name = self.names[weight.name]
        own = tuple(self.names[p.name] for p in (weight, bias) if p is not None)
        matrix, *offset = (self.tensors[n] for n in own)
        layer, tied = self._dense_layer(name, matrix, bool(offset)), None
        if id(matrix) in self.owners:
            tied, shared = self.owners[id(matrix)]
            if [id(b) for b in offset] != shared:
                raise Unsupported("a layer that shares its weight with another, but not its bias,")
            layer = replace(layer, tied=tied)
        found = self._add(node, layer, (self._of(input),), functional.linear, own)
        if tied is None:
            self.owners[id(matrix)] = found, [id(b) for b in offset]
        return found

    def _dense_layer(self, name: str, matrix: torch.Tensor, offset: bool) -> Dense:
        parts = dict(self.module.named_modules())
        owner, _, last = name.rpartition(".")  # "" and "weight" of a module that is one layer
        default = last == "weight" and isinstance(parts.get(owner), nn.Linear)
        path = owner if default else name.removesuffix(".weight")
        fan_out, fan_in = matrix.shape
        bias = self.bias.at(path, default) if offset else None
        return Dense(fan_in, fan_out, self.weights.at(path, default), bias)

    def _number(self, value: Any) -> float:
        if isinstance(value, Node):
            tensor = self.tensors.get(self.names.get(value.name, ""))
            if tensor is None or tensor.numel() != 1:
                raise Unsupported(f"{value.name} in the place of one number")
            value = tensor.item()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unsupported(f"{value!r} in the place of a number")
        return value


def _call(node: Node, reads: list[Node]) -> Callable[..., torch.Tensor]:
    """The operation as a function of the tensors that it reads; it changes none of them."""
    packet = getattr(torch.ops.aten, name_of(node))
    operation = getattr(packet, node.target._overloadname)  # type: ignore[union-attr]

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        given = dict(zip(reads, tensors, strict=True))
        arguments = [given[a] if isinstance(a, Node) else a for a in node.args]
        return operation(*arguments, **node.kwargs)

    return call


def _path(node: Node) -> str:
    """The module in whose forward the operation is; the module itself has the path ''."""
    stack = [*(node.meta.get("nn_module_stack") or {"": ("", "")}).values()]
    return str(stack[-1][0])


def _place(node: Node) -> str:
    stack = [*(node.meta.get("nn_module_stack") or {"": ("", "module")}).values()]
    path, kind = stack[-1]
    kind = str(kind).rsplit(".", 1)[-1].strip("'>")
    return f"{path} ({kind})" if path else kind
