"""The graph of a module, by torch.export, in which no operation changes a value that it reads.

torch.export and not torch.fx.symbolic_trace: it knows shapes, follows control flow that depends on
them (`if x.dim() == 2`), sees through parametrizations, and states what it assumed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import NamedTuple

import torch
from torch import nn
from torch.fx import Graph, Node

from varprop.torch_modules.modules import type_name
from varprop.torch_modules.operations import COPIED, UNCHANGED, in_place, name_of


class Exported(NamedTuple):
    """A graph, its placeholder of the input, and the names of the tensors behind all others."""

    graph: Graph
    channels: int
    input: str
    tensors: dict[str, str]


def exported(
    module: nn.Module, channels: int, dtype: torch.dtype, device: torch.device
) -> Exported:
    """The graph of the module on two points of `channels` channels.

    Raises ValueError where the module cannot compute these, or its operations depend on values.
    """
    x = torch.zeros(2, channels, dtype=dtype, device=device)
    _check_output(module, x)
    try:
        with _quiet():
            program = torch.export.export(module, (x,), strict=False)
    except Exception as error:
        raise ValueError(
            f"the operations of {type_name(module)} must be the same for all inputs, and "
            f"torch.export cannot say what they are: {_first_line(error)}; control flow that "
            "depends on values, and calls to NumPy, cannot be traced"
        ) from error
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    graph = program.graph_module.graph
    _without_changes_in_place(graph)
    return Exported(graph, channels, str(next(iter(signature.user_inputs))), names)


@contextmanager
def _quiet() -> Iterator[None]:
    """torch.export prints the graph so far, and logs, before it raises what we report."""
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    before, log.disabled = log.disabled, True
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        log.disabled = before


def _check_output(module: nn.Module, x: torch.Tensor) -> None:
    try:
        with torch.no_grad():
            y = module(x)
    except Exception as error:
        raise ValueError(
            f"{type_name(module)} does not take inputs of shape (points, {x.shape[1]}): "
            f"{_first_line(error)}; give inputs of its own size, flattened to one row each"
        ) from error
    if not isinstance(y, torch.Tensor) or y.ndim != 2 or len(y) != len(x):
        what = f"shape {tuple(y.shape)}" if isinstance(y, torch.Tensor) else type(y).__name__
        raise ValueError(
            f"a module must return one tensor (points, channels), got {what} of "
            f"{type_name(module)} for an input of shape {tuple(x.shape)}; wrap it in a module "
            "that returns the tensor to be judged"
        )


def _without_changes_in_place(graph: Graph) -> None:
    """Whatever reads a value that was overwritten reads the operation that wrote it."""
    place = {node: k for k, node in enumerate(graph.nodes)}
    memory: dict[Node, Node] = {}  # the first node that has the memory of a node
    for node in graph.nodes:
        source = node.args[0] if node.args else None
        shares = in_place(node) or (name_of(node) in UNCHANGED - COPIED)
        if node.op != "call_function" or not isinstance(source, Node) or not shares:
            memory[node] = node
            continue
        memory[node] = memory[source]
        if in_place(node):
            for other in [n for n, owner in memory.items() if owner is memory[node]]:
                if other is not node:
                    other.replace_all_uses_with(node, lambda user: place[user] > place[node])  # noqa: B023


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].split(" (unhinted")[0].rstrip(".")[:200]
