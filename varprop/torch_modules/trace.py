"""trace: a torch.nn.Module as a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from varprop.comparison.checks import difference
from varprop.network import Network
from varprop.torch_modules.export import exported
from varprop.torch_modules.laws import DEFAULTS, Assigned, Laws
from varprop.torch_modules.modules import (
    check_module,
    evaluated,
    kind_of,
    likeness,
    one_thread,
    type_name,
)
from varprop.torch_modules.positions import blaming_positions
from varprop.torch_modules.reader import Operation, Reader


class Program(NamedTuple):
    """The operations of each node after the input, in all modules of this likeness."""

    likeness: tuple
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class TracedNetwork(Network):
    """A network that was read off a module; `modules` has the path in it of each node.

    `program` is how modules like it compute; it is not copied to other processes.
    """

    modules: Mapping[str, str] = field(default_factory=dict, compare=False)
    program: Program | None = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "program": None}


def trace(
    module: nn.Module, inputs: Any = None, *, weights: Laws = None, bias: Laws = None
) -> TracedNetwork:
    """The network of `module` in evaluation mode; `inputs` (points, channels) tell its input size.

    Without inputs it is that of the first torch.nn.Linear. `weights` and `bias` are the laws from
    which the module's parameters were drawn: an initializer, its name, or a mapping of module paths
    or patterns ("body.*") to those. Default: the laws of torch's own constructors,
    U(-1/sqrt(fan_in), 1/sqrt(fan_in)). Nodes are named by kind, as everywhere (dense_1, relu_1,
    ...), and `modules` of the result has the path of each. A layer that is used again is `tied`.

    Raises ValueError for inputs that the module does not take, for more outputs than one tensor,
    and for an operation that no layer expresses, with its name and path.
    """
    module = check_module(module)
    with blaming_positions(module):
        channels = _channels(module, inputs)
    return traced(module, channels, weights, bias)


def traced(
    module: nn.Module, channels: int, weights: Laws = None, bias: Laws = None
) -> TracedNetwork:
    """The network of a module whose inputs have `channels` channels."""
    laws = Assigned("weights", weights), Assigned("bias", bias)
    kind = kind_of(module)
    with one_thread, evaluated(module), blaming_positions(module):
        reader = Reader(module, exported(module, channels, *kind), *laws)
    for assigned in laws:
        assigned.check_used()
    program = Program(likeness(module), tuple(reader.operations))
    return TracedNetwork(reader.graph.network().nodes, reader.modules, program)


def program_of(module: nn.Module, network: Network) -> Program:
    """How the module computes the nodes; only a module unlike the one of `network` is traced.

    Raises ValueError where it is not of the graph `network`.
    """
    known = network.program if isinstance(network, TracedNetwork) else None
    if known is not None and known.likeness == likeness(module):
        return known
    found = traced(module, network.sizes[network.input], *DEFAULTS.values())
    if apart := difference(network, found):
        raise ValueError(
            f"{type_name(module)} is of another network: {apart} in the module; "
            "varprop.trace(module, inputs) gives the network that it is"
        )
    assert found.program is not None
    return found.program


def _channels(module: nn.Module, inputs: Any) -> int:
    if inputs is not None:
        shape = np.shape(inputs) if not isinstance(inputs, torch.Tensor) else tuple(inputs.shape)
        if len(shape) not in (1, 2) or not shape[-1]:
            raise ValueError(
                f"inputs must have shape (points, channels), got {shape}; flatten each to one row"
            )
        return int(shape[-1])
    for part in module.modules():
        if isinstance(part, nn.Linear):
            return part.in_features
    raise ValueError(
        f"{type_name(module)} has no torch.nn.Linear that tells its input size; "
        "give inputs of shape (points, channels)"
    )
