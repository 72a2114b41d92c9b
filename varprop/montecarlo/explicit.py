"""The explicit engine: real weight tensors for many networks at once.

The forward pass, its tangents (forward-mode differentiation) and its gradients (reverse mode) are
computed layer by layer, so that each value can carry its own power of two: networks whose signal
leaves the range of floats are measured like any other.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch.autograd import forward_ad

from varprop.layers import Dense
from varprop.montecarlo.record import Record, measure
from varprop.montecarlo.streams import block_generator, on_sphere, signs
from varprop.network import Network, Node

BLOCK = 8  # draws that share one random stream


@dataclass
class Scaled:
    """A tensor (draws, points, channels) that stands for x 2^exponent, exponent (draws, 1, 1)."""

    x: torch.Tensor
    exponent: torch.Tensor

    @staticmethod
    def of(x: torch.Tensor) -> "Scaled":
        return Scaled(x, torch.zeros(len(x), 1, 1, dtype=torch.float64, device=x.device))

    def at(self, exponent: torch.Tensor) -> torch.Tensor:
        """The tensor in multiples of 2^exponent."""
        if torch.equal(exponent, self.exponent):
            return self.x
        return (self.x.double() * torch.exp2(self.exponent - exponent)).to(self.x.dtype)

    def balanced(self) -> "Scaled":
        """The same numbers with entries of moderate size."""
        largest = self.x.detach().abs().amax((1, 2), keepdim=True).double()
        power = torch.floor(torch.log2(torch.where(largest > 0, largest, 1.0)))
        power = torch.where(torch.isfinite(power), power, 0.0)
        far = 2 if self.x.dtype == torch.float16 else 32
        if not bool((power.abs() > far).any()):
            return self
        shifted = (self.x.double() * torch.exp2(-power)).to(self.x.dtype)
        return Scaled(shifted, self.exponent + power)


def run_blocks(
    network: Network,
    inputs: np.ndarray | None,
    seed: int,
    blocks: range,
    device: torch.device,
    dtype: torch.dtype,
    track_scale: bool = True,
) -> tuple[dict[str, Record], np.ndarray]:
    """The records of the draws in `blocks`, and the duality defect of each draw and point.

    The defect is |u.(J t) - (J'u).t| / (|u| |J t| + |J'u| |t|): rounding, unless an engine is
    wrong.
    """
    load_forward_mode()
    x, t, u, parameters = draw_blocks(network, inputs, seed, blocks, device, dtype)
    values: dict[str, Scaled] = {network.input: Scaled.of(x)}
    tangents: dict[str, Scaled] = {network.input: Scaled.of(t)}
    tape: dict[str, tuple[list[torch.Tensor], torch.Tensor]] = {}
    for node in network.nodes[1:]:
        value, tangent, tape[node.name] = _step(node, parameters, values, tangents)
        values[node.name] = value.balanced() if track_scale else value
        tangents[node.name] = tangent.balanced() if track_scale else tangent
    parameters.clear()
    gradients = _reverse(
        network, Scaled.of(u.expand_as(values[network.output].x)), tape, track_scale
    )
    records = {
        node.name: measure(
            values[node.name].x,
            tangents[node.name].x,
            gradients[node.name].x,
            (
                values[node.name].exponent,
                tangents[node.name].exponent,
                gradients[node.name].exponent,
            ),
        )
        for node in network.nodes
    }
    defect = _duality(u, tangents[network.output], t, gradients[network.input])
    return records, defect


def draw_blocks(
    network: Network,
    inputs: np.ndarray | None,
    seed: int,
    blocks: range,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, tuple[torch.Tensor, ...]]]:
    """Inputs, tangents, cotangents and parameters, each block from its own stream."""
    first, last = network.sizes[network.input], network.sizes[network.output]
    parts = []
    for block in blocks:
        generator = block_generator(seed, block, device)
        t = on_sphere(BLOCK, 1, first, generator, device)
        u = signs(BLOCK, last, generator, device)
        if inputs is None:
            x = on_sphere(BLOCK, 1, first, generator, device)
        else:
            x = torch.as_tensor(inputs, device=device).expand(BLOCK, *inputs.shape)
        drawn = [node.layer.draw(BLOCK, generator, dtype, device) for node in network.nodes]
        parts.append((x, t, u, drawn))
    x, t, u = (_joined([p[i] for p in parts]).to(dtype).contiguous() for i in range(3))
    parameters = {
        node.name: tuple(_joined(same) for same in zip(*(p[3][i] for p in parts), strict=True))
        for i, node in enumerate(network.nodes)
    }
    for node in network:
        if isinstance(node.layer, Dense) and node.layer.tied is not None:
            parameters[node.name] = parameters[node.layer.tied]
    return x, t.expand_as(x), u, parameters


def _joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


@cache
def load_forward_mode() -> None:
    """The first dual tensor of a process loads rules by a way that torch itself deprecates."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.ones(1))


def _step(
    node: Node,
    parameters: dict[str, tuple[torch.Tensor, ...]],
    values: dict[str, Scaled],
    tangents: dict[str, Scaled],
) -> tuple[Scaled, Scaled, tuple[list[torch.Tensor], torch.Tensor]]:
    """One layer: its value and tangent, and what reverse mode needs."""
    ins = [values[name] for name in node.inputs]
    slopes = [tangents[name] for name in node.inputs]
    exponent = torch.zeros_like(ins[0].exponent)
    if node.layer.homogeneous:
        exponent = torch.stack([v.exponent for v in ins]).amax(0)
        if len(parameters[node.name]) > 1:  # beside a bias of any size, nothing tiny counts
            exponent = exponent.clamp_min(0.0)
    slope = torch.stack([t.exponent for t in slopes]).amax(0)
    leaves = [v.at(exponent).detach().requires_grad_() for v in ins]
    unit = torch.exp2(-exponent).to(leaves[0].dtype)
    with torch.enable_grad(), forward_ad.dual_level():
        duals = [
            forward_ad.make_dual(v, t.at(slope).contiguous())
            for v, t in zip(leaves, slopes, strict=True)
        ]
        out = node.layer.apply(parameters[node.name], *duals, unit=unit)
        primal, tangent = forward_ad.unpack_dual(out)
        tangent = torch.zeros_like(primal) if tangent is None else tangent
    return (
        Scaled(primal.detach(), exponent),
        Scaled(tangent.detach(), slope),
        (leaves, primal),
    )


def _reverse(
    network: Network,
    cotangent: Scaled,
    tape: dict[str, tuple[list[torch.Tensor], torch.Tensor]],
    track_scale: bool,
) -> dict[str, Scaled]:
    """Gradients of every node by reverse mode, layer by layer."""
    gradients = {network.output: cotangent}
    for node in reversed(network.nodes[1:]):
        leaves, out = tape[node.name]
        g = gradients[node.name]
        parts = torch.autograd.grad(out, leaves, g.x.to(out.dtype))
        for name, part in zip(node.inputs, parts, strict=True):
            new = Scaled(part, g.exponent)
            new = new.balanced() if track_scale else new
            if name in gradients:
                old = gradients[name]
                common = torch.maximum(old.exponent, new.exponent)
                new = Scaled(old.at(common) + new.at(common), common)
            gradients[name] = new
    return gradients


def _duality(u: torch.Tensor, jt: Scaled, t: torch.Tensor, g: Scaled) -> np.ndarray:
    ahead, seed, back = jt.x.double(), u.double(), g.x.double()
    shift = torch.exp2(g.exponent - jt.exponent)[..., 0]
    size = seed.norm(dim=-1) * ahead.norm(dim=-1)
    size = size + back.norm(dim=-1) * t.double().norm(dim=-1) * shift
    difference = (seed * ahead).sum(-1) - (back * t.double()).sum(-1) * shift
    return (difference.abs() / size.clamp_min(1e-300)).cpu().numpy()
