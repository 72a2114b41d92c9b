"""The values of one layer in drawn networks, channel by channel, a stack of networks at a time."""

from collections.abc import Iterator

import numpy as np
import torch

from varprop.montecarlo.explicit import MEMORY, draw_ends
from varprop.montecarlo.shared import full_precision, own_numbers
from varprop.montecarlo.weights import BLOCK, Group, Storage, Weights, plan
from varprop.network import Network


def layer_values(
    network: Network,
    node: str,
    inputs: np.ndarray | None,
    seed: int,
    draws: int,
    device: torch.device,
    memory: int = MEMORY,
) -> Iterator[torch.Tensor]:
    """Stacks (networks, points, channels) of the node's values, `draws` networks in all, float64.

    Draw k of a seed is draw k of the explicit engine in float64. A plain pass, which keeps no power
    of two apart; layers that the node does not need are not drawn, where they come after it. At
    most about `memory` bytes are held at once.
    """
    points = 1 if inputs is None else len(inputs)
    storage = plan(network, points, torch.float64.itemsize, memory, keep=False)
    left = draws
    for group in storage.groups(range(-(-draws // BLOCK))):
        with own_numbers(device), full_precision:
            stack = _values(network, node, inputs, seed, group, device, storage)[:left]
        if left > 0:
            yield stack
        left -= len(stack)


def _values(
    network: Network,
    node: str,
    inputs: np.ndarray | None,
    seed: int,
    group: Group,
    device: torch.device,
    storage: Storage,
) -> torch.Tensor:
    x, _, _ = draw_ends(network, inputs, seed, group, device, torch.float64)
    weights = Weights(storage, seed, group, torch.float64, device)
    values = {network.input: x}
    for step in network.nodes[1:]:
        before = [values[name] for name in step.inputs]
        parts = [step.layer.apply(own, *before) for _, own in weights.pieces(step)]
        values[step.name] = torch.cat(parts, -1)
        if step.name == node:
            break
    return values[node]
