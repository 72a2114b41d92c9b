"""Measured singular values of input-output Jacobians of drawn networks."""

from typing import Any

import numpy as np
import torch
from torch.func import jvp, vjp, vmap

from varprop.montecarlo.devices import find_device, whole
from varprop.montecarlo.explicit import draw_blocks
from varprop.montecarlo.progress import tracked
from varprop.montecarlo.shared import load_forward_mode, own_numbers
from varprop.montecarlo.weights import BLOCK
from varprop.network import Network, check_not_symbolic

CHUNK_BYTES = 32 * 2**20  # weights, and tangents of all directions, that are held at once


def singular_values(
    network: Network,
    inputs: Any = None,
    *,
    draws: int,
    seed: int,
    device: str = "auto",
    progress: bool | None = None,
) -> np.ndarray:
    """Singular values of J = d output / d input, (draws, points, min(n_in, n_out)), falling.

    Real weights, in float64, from the streams that `simulate` reads: draw k of a seed has the
    inputs and parameters of draw k of the explicit engine in float64. Singular values below 1e-16
    times the largest are rounding.

    Raises ValueError for symbolic networks, unfit inputs, an absent device.
    """
    check_not_symbolic(network, "singular values need")
    draws, seed = whole("draws", draws, least=1), whole("seed", seed, least=0)
    place = find_device(device)
    x = None if inputs is None else network.check_inputs(inputs)
    load_forward_mode()
    blocks, step = -(-draws // BLOCK), _blocks_at_once(network, 1 if x is None else len(x))
    with own_numbers(place):
        parts = [
            _of_blocks(network, x, seed, range(start, min(start + step, blocks)), place)
            for start in tracked(range(0, blocks, step), "drawing Jacobians", progress)
        ]
    return np.concatenate(parts)[:draws]


def _blocks_at_once(network: Network, points: int) -> int:
    directions = min(network.sizes[network.input], network.sizes[network.output])
    tangents = directions * points * max(network.sizes.values())
    return max(1, CHUNK_BYTES // (8 * BLOCK * (tangents + network.parameter_count)))


def _of_blocks(
    network: Network, inputs: np.ndarray | None, seed: int, blocks: range, device: torch.device
) -> np.ndarray:
    x, _, _, parameters = draw_blocks(network, inputs, seed, blocks, device, torch.float64)
    return torch.linalg.svdvals(jacobian(network, parameters, x)).cpu().numpy()


def jacobian(
    network: Network, parameters: dict[str, tuple[torch.Tensor, ...]], x: torch.Tensor
) -> torch.Tensor:
    """J (draws, points, n_out, n_in) at x (draws, points, n_in), by the shorter of both modes."""

    def forward(value: torch.Tensor) -> torch.Tensor:
        values = {network.input: value}
        for name, layer, inputs in network.nodes[1:]:
            values[name] = layer.apply(parameters[name], *(values[i] for i in inputs))
        return values[network.output]

    first, last = network.sizes[network.input], network.sizes[network.output]
    size = min(first, last)
    basis = torch.eye(size, dtype=x.dtype, device=x.device)
    step = max(1, CHUNK_BYTES // (8 * x.shape[0] * x.shape[1] * max(network.sizes.values())))
    if first <= last:

        def column(direction: torch.Tensor) -> torch.Tensor:
            return jvp(forward, (x,), (direction.expand_as(x),))[1]

        return vmap(column, chunk_size=step)(basis).movedim(0, -1)
    pulled: Any = vjp(forward, x)
    out, pull = pulled

    def row(direction: torch.Tensor) -> torch.Tensor:
        return pull(direction.expand_as(out))[0]

    return vmap(row, chunk_size=step)(basis).movedim(0, -2)
