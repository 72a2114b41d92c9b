"""trace: a torch.nn.Module as a network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from varprop.network import Network
from varprop.torch_modules.export import exported
from varprop.torch_modules.laws import Assigned, Laws
from varprop.torch_modules.modules import check_module, evaluated, kind_of, one_thread, type_name
from varprop.torch_modules.reader import Operation, Reader


@dataclass(frozen=True)
class TracedNetwork(Network):
    """A network that was read off a module; `modules` has the path in it of each node."""

    modules: Mapping[str, str] = field(default_factory=dict, compare=False)


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
    return traced(module, _channels(module, inputs), weights, bias)[0]


def traced(
    module: nn.Module, channels: int, weights: Laws = None, bias: Laws = None
) -> tuple[TracedNetwork, tuple[Operation, ...]]:
    """The network, and how the module computes each node after the input."""
    laws = Assigned("weights", weights), Assigned("bias", bias)
    with one_thread, evaluated(module):
        reader = Reader(module, exported(module, channels, *kind_of(module)), *laws)
    for assigned in laws:
        assigned.check_used()
    network = TracedNetwork(reader.graph.network().nodes, reader.modules)
    return network, tuple(reader.operations)


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
