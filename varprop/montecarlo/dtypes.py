"""The same drawn networks, forward and back, in several number formats and in float64.

Weights are drawn in float32 and rounded to each dtype. A pass in a dtype stands against two in
float64: one of the networks as drawn, where rounding of inputs and weights counts as error, and one
of the rounded networks, where only the arithmetic of the pass errs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from varprop.montecarlo.explicit import MEMORY, draw_blocks
from varprop.montecarlo.shared import full_precision, own_numbers
from varprop.montecarlo.weights import BLOCK, needs
from varprop.network import Network

Pass = dict[str, tuple[torch.Tensor, torch.Tensor]]  # by node: values and gradients


@dataclass(frozen=True)
class Errors:
    """One node in one dtype, for R networks and P points, forward; `grad_` the same of dL/dx.

    error (R, P) |x~ - x|^2 / |x|^2, with x of the network as drawn;  arithmetic (R, P) the same
    with x of the rounded network;  zeros (R, P) share of entries;  overflow (R, P) whether an entry
    is not finite (then the errors are nan);  smallest, largest (R, P) of |entries| that are not 0.
    """

    error: np.ndarray
    arithmetic: np.ndarray
    zeros: np.ndarray
    overflow: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray
    grad_error: np.ndarray
    grad_arithmetic: np.ndarray
    grad_zeros: np.ndarray
    grad_overflow: np.ndarray
    grad_smallest: np.ndarray
    grad_largest: np.ndarray

    @staticmethod
    def joined(parts: "Sequence[Errors]", draws: int) -> "Errors":
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return Errors(*(np.concatenate(column)[:draws] for column in columns))


def rounding_errors(
    network: Network,
    inputs: np.ndarray | None,
    seed: int,
    draws: int,
    dtypes: Sequence[torch.dtype],
    device: torch.device,
) -> dict[torch.dtype, dict[str, Errors]]:
    """The errors of each dtype at each node; draw k is draw k of the explicit engine in float32."""
    points = 1 if inputs is None else len(inputs)
    blocks = -(-draws // BLOCK)
    each = BLOCK * (needs(network, points, 8).values + 3 * needs(network, points, 8).total)
    step = max(1, MEMORY // each)
    parts: dict = {dtype: {node.name: [] for node in network} for dtype in dtypes}
    for first in range(0, blocks, step):
        some = range(first, min(first + step, blocks))
        with own_numbers(device), full_precision:
            x, _, u, drawn = draw_blocks(network, inputs, seed, some, device, torch.float32)
            u = u.expand(-1, points, -1)
            exact = _there_and_back(network, drawn, x, u, torch.float64)
            for dtype in dtypes:
                rounded = {k: tuple(p.to(dtype) for p in v) for k, v in drawn.items()}
                own = _there_and_back(network, rounded, x.to(dtype), u, dtype)
                same = _there_and_back(network, rounded, x.to(dtype), u, torch.float64)
                for name in own:
                    parts[dtype][name].append(_errors(own[name], exact[name], same[name]))
    return {
        dtype: {name: Errors.joined(some, draws) for name, some in nodes.items()}
        for dtype, nodes in parts.items()
    }


def _there_and_back(
    network: Network,
    parameters: dict[str, tuple[torch.Tensor, ...]],
    x: torch.Tensor,
    u: torch.Tensor,
    dtype: torch.dtype,
) -> Pass:
    """A plain pass: no power of two is kept apart."""
    values = {network.input: x.detach().to(dtype).requires_grad_()}
    with torch.enable_grad():
        for name, layer, inputs in network.nodes[1:]:
            own = tuple(p.to(dtype) for p in parameters[name])
            values[name] = layer.apply(own, *(values[i] for i in inputs))
    gradients = torch.autograd.grad(values[network.output], list(values.values()), u.to(dtype))
    return {n: (v.detach(), g) for (n, v), g in zip(values.items(), gradients, strict=True)}


def _errors(own: tuple, exact: tuple, same: tuple) -> Errors:
    found: list[np.ndarray] = []
    for mine, drawn, rounded in zip(own, exact, same, strict=True):
        size, live = mine.double().abs(), mine != 0
        overflow = ~torch.isfinite(mine).all(-1)
        columns = [
            _relative(mine, drawn, overflow),
            _relative(mine, rounded, overflow),
            (~live).double().mean(-1),
            overflow,
            torch.where(live, size, torch.inf).amin(-1),
            size.amax(-1),
        ]
        found += [column.cpu().numpy() for column in columns]
    return Errors(*found)


def _relative(mine: torch.Tensor, exact: torch.Tensor, overflow: torch.Tensor) -> torch.Tensor:
    """|x~ - x|^2 / |x|^2, nan where a value overflowed, and 0 for equal vectors of zeros."""
    difference = (mine.double() - exact).square().sum(-1)
    ratio = difference / torch.where(difference == 0, 1.0, exact.square().sum(-1))
    return torch.where(overflow, torch.nan, ratio)
