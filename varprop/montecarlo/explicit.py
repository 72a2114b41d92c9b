"""The explicit engine: real weight tensors for many networks at once.

A node holds values and tangents as rows of one tensor, so a linear layer moves both by one
product, and its gradients by the product with its transpose. Any other layer is differentiated
twice over, in reverse by torch's autograd for the gradients, and for the tangents by its own rule
or in forward mode: two computations, so that one can witness against the other. Rows carry their
own power of two: networks whose signal leaves the range of floats are measured like any other.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.autograd import forward_ad

from varprop.layers import Layer
from varprop.layers.base import Parameters
from varprop.montecarlo.record import Record, measure
from varprop.montecarlo.scaled import Scaled, common_exponent, concatenated
from varprop.montecarlo.shared import forward_mode, full_precision
from varprop.montecarlo.streams import block_generator, on_sphere, signs
from varprop.montecarlo.weights import BLOCK, Group, Storage, Weights, cut, plan
from varprop.network import Network, Node

MEMORY = 2**28  # bytes
TOGETHER = 2**15  # entries that are measured by one call: in float64 they fit a cache
CANCELLED = 1e-3  # a duality defect above this may be a sum that cancels

Tape = dict[str, tuple[list[torch.Tensor], torch.Tensor]]


def run_blocks(
    network: Network,
    inputs: np.ndarray | None,
    seed: int,
    blocks: range,
    device: torch.device,
    dtype: torch.dtype,
    track_scale: bool = True,
    *,
    tangents: bool = True,
    backward: bool = True,
    memory: int = MEMORY,
) -> tuple[dict[str, Record], np.ndarray | None]:
    """The records of the draws in `blocks`, and the duality defect of each draw and point.

    The defect is |u.(J t) - (J'u).t| / (|u| |J t| + |J'u| |t|): rounding, unless an engine is
    wrong. Fields of what is not asked for are None, and the defect without tangents or gradients.
    At most about `memory` bytes of parameters and values are held at once; what does not fit is
    drawn again for the backward pass. May run in many threads: any range costs the same, and long
    ranges of narrow networks cost less than many short ones.
    """
    points = 1 if inputs is None else len(inputs)
    storage = plan(network, points, dtype.itemsize, memory, backward)
    parts, defects = [], []
    with ExitStack() as settings:
        settings.enter_context(full_precision)
        if tangents:
            settings.enter_context(forward_mode)
        for group in storage.groups(blocks):
            x, t, u = draw_ends(network, inputs, seed, group, device, dtype)
            weights = Weights(storage, seed, group, dtype, device)
            run = _Run(network, weights, x.shape[1], track_scale, tangents, backward)
            run.forward(torch.cat([x, t.expand_as(x)], 1) if tangents else x)
            if backward:
                run.reverse(u.expand(-1, points, -1))
            parts.append(run.records())
            if tangents and backward:
                defects.append(run.duality(u, t))
    records = {
        node.name: Record.joined([part[node.name] for part in parts], BLOCK * len(blocks))
        for node in network
    }
    return records, np.concatenate(defects) if defects else None


def draw_ends(
    network: Network,
    inputs: np.ndarray | None,
    seed: int,
    group: Group,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs (draws, points, channels), tangents and cotangents (draws, 1, channels)."""
    first, last = network.sizes[network.input], network.sizes[network.output]
    parts = []
    for block in group.blocks:
        generator = block_generator(seed, block, device)
        t = on_sphere(BLOCK, 1, first, generator, device)
        u = signs(BLOCK, last, generator, device)
        if inputs is None:
            x = on_sphere(BLOCK, 1, first, generator, device)
        else:
            x = torch.as_tensor(inputs, device=device).expand(BLOCK, *inputs.shape)
        parts.append([v[group.draws.start : group.draws.stop] for v in (x, t, u)])
    x, t, u = (torch.cat(list(same)).to(dtype) for same in zip(*parts, strict=True))
    return x, t, u


def draw_blocks(
    network: Network,
    inputs: np.ndarray | None,
    seed: int,
    blocks: range,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, tuple[torch.Tensor, ...]]]:
    """Inputs, tangents, cotangents and all parameters, as `run_blocks` draws them."""
    group = Group(blocks, range(BLOCK))
    x, t, u = draw_ends(network, inputs, seed, group, device, dtype)
    weights = Weights(
        Storage(cut(network), len(blocks), BLOCK, frozenset()), seed, group, dtype, device
    )
    parameters = {}
    for node in network:
        pieces = [[p.clone() for p in some] for _, some in weights.pieces(node)]
        parameters[node.name] = tuple(
            torch.cat(same, 1 if k == 0 else -1) for k, same in enumerate(zip(*pieces, strict=True))
        )
    return x, t.expand_as(x), u, parameters


@dataclass
class _Run:
    """One group of networks: the signal of each node, rows are `points` values, then tangents."""

    network: Network
    weights: Weights
    points: int
    track_scale: bool
    tangents: bool
    taped: bool
    signals: dict[str, Scaled] = field(default_factory=dict)
    gradients: dict[str, Scaled] = field(default_factory=dict)
    tape: Tape = field(default_factory=dict)

    def forward(self, rows: torch.Tensor) -> None:
        self.signals[self.network.input] = Scaled(rows)
        unit = rows.new_zeros(1, rows.shape[1], 1)
        unit[:, : self.points] = 1.0  # a tangent meets no bias
        for node in self.network.nodes[1:]:
            step = self._linear(node, unit) if node.layer.linear else self._other(node)
            self.signals[node.name] = self._balanced(step, node.layer)

    def _balanced(self, signal: Scaled, layer: Layer) -> Scaled:
        """Rows of moderate size; a homogeneous activation leaves them so, nearly."""
        moderate = layer.homogeneous and not layer.linear
        return signal.balanced() if self.track_scale and not moderate else signal

    def _linear(self, node: Node, unit: torch.Tensor) -> Scaled:
        ins = [self.signals[name] for name in node.inputs]
        exponent, outs = common_exponent(ins), []
        for _, parameters in self.weights.pieces(node):
            if not outs and exponent is not None:
                if len(parameters) > 1:  # beside a bias of any size, nothing tiny counts
                    exponent = torch.cat(
                        [exponent[:, : self.points].clamp_min(0.0), exponent[:, self.points :]], 1
                    )
                unit = unit * torch.exp2(-exponent).to(unit.dtype)
            rows = [signal.at(exponent) for signal in ins]
            outs.append(node.layer.apply(parameters, *rows, unit=unit))
        return Scaled(outs[0] if len(outs) == 1 else torch.cat(outs, -1), exponent)

    def _other(self, node: Node) -> Scaled:
        """A layer that is not linear: its slopes are what torch makes of `apply`."""
        values = [self.signals[name].rows(0, self.points) for name in node.inputs]
        ((_, parameters),) = self.weights.pieces(node)
        exponent = common_exponent(values) if node.layer.homogeneous else None
        unit = 1.0 if exponent is None else torch.exp2(-exponent).to(values[0].x.dtype)
        leaves = [v.at(exponent).contiguous() for v in values]
        if self.taped:
            # not on dual numbers, of which reverse mode would take second derivatives
            leaves = [v.detach().requires_grad_() for v in leaves]
            with torch.enable_grad():
                out = node.layer.apply(parameters, *leaves, unit=unit)
            self.tape[node.name] = leaves, out
        else:
            out = node.layer.apply(parameters, *leaves, unit=unit)
        if not self.tangents:
            return Scaled(out.detach(), exponent)
        moving = [self.signals[n].rows(self.points, 2 * self.points) for n in node.inputs]
        slope = common_exponent(moving)
        tangents = [t.at(slope) for t in moving]
        with torch.no_grad():
            if (rule := node.layer.slope_rule) is not None:
                value = out.detach()
                tangent = rule(leaves[0].detach(), value, tangents[0])
            else:
                value, tangent = _dual(node.layer, parameters, leaves, tangents, unit)
        return concatenated(1, [Scaled(value, exponent), Scaled(tangent, slope)])

    def reverse(self, cotangent: torch.Tensor) -> None:
        """Gradients of every node, from the last to the first."""
        self.gradients[self.network.output] = Scaled(cotangent)
        for node in reversed(self.network.nodes[1:]):
            g = self.gradients[node.name]
            for name, part in zip(node.inputs, self._pulled(node, g.x), strict=True):
                new = self._balanced(Scaled(part, g.exponent), node.layer)
                if name in self.gradients:
                    old = self.gradients[name]
                    common = common_exponent([old, new])
                    new = Scaled(old.at(common) + new.at(common), common)
                self.gradients[name] = new

    def _pulled(self, node: Node, g: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if not node.layer.linear:
            leaves, out = self.tape.pop(node.name)
            return torch.autograd.grad(out, leaves, g.to(out.dtype))
        total = None
        for outputs, parameters in self.weights.pieces(node):
            part = node.layer.transpose(parameters, g[..., outputs])
            total = part if total is None else tuple(map(torch.add, total, part))
        assert total is not None
        return total

    def records(self) -> dict[str, Record]:
        """Measured for many nodes of one size at once."""
        found: dict[str, Record] = {}
        for names in self._alike():
            together = [self.signals[name] for name in names]
            values = concatenated(0, [s.rows(0, self.points) for s in together])
            tangents, gradients = Scaled(values.x[:0]), Scaled(values.x[:0])
            t = g = None
            if self.tangents:
                tangents = concatenated(0, [s.rows(self.points, 2 * self.points) for s in together])
                t = tangents.x
            if self.gradients:
                gradients = concatenated(0, [self.gradients[name] for name in names])
                g = gradients.x
            exponents = tuple(
                0 if s.exponent is None else s.exponent for s in (values, tangents, gradients)
            )
            record = measure(values.x, t, g, exponents)
            found.update(zip(names, record.split(len(names)), strict=True))
        return {node.name: found[node.name] for node in self.network}

    def _alike(self) -> Iterator[list[str]]:
        by_size: dict[int, list[str]] = {}
        for name, size in self.network.sizes.items():
            by_size.setdefault(size, []).append(name)
        for names in by_size.values():
            step = max(1, TOGETHER // self.signals[names[0]].x.numel())
            for first in range(0, len(names), step):
                yield names[first : first + step]

    def duality(self, u: torch.Tensor, t: torch.Tensor) -> np.ndarray:
        """|u.(Jt) - (J'u).t| of each draw and point, relative to the largest |g| |t| of a node.

        g.t is the same on every cut through the network, and rounds as |g| |t| does: where it
        cancels exactly, as weights of two values can make it, both ends are rounding alone.
        """
        jt = self.signals[self.network.output].rows(self.points, 2 * self.points)
        g = self.gradients[self.network.input]
        ahead, seed, back, start = (v.double() for v in (jt.x, u, g.x, t))
        shift = torch.exp2(g.exponents - jt.exponents)[..., 0]
        size = seed.norm(dim=-1) * ahead.norm(dim=-1)
        size = size + back.norm(dim=-1) * start.norm(dim=-1) * shift
        difference = ((seed * ahead).sum(-1) - (back * start).sum(-1) * shift).abs()
        if bool((difference > CANCELLED * size).any()):
            inside = [self._node_size(name, jt.exponents) for name in self.network.sizes]
            wide = torch.stack([size, *inside]).amax(0)
            size = torch.where(difference > CANCELLED * size, wide, size)
        return (difference / size.clamp_min(1e-300)).cpu().numpy()

    def _node_size(self, name: str, exponents: torch.Tensor) -> torch.Tensor:
        """|g| |t| at a node, in multiples of 2^exponents."""
        t, g = self.signals[name].rows(self.points, 2 * self.points), self.gradients[name]
        shift = torch.exp2(g.exponents + t.exponents - exponents)[..., 0]
        return g.x.double().norm(dim=-1) * t.x.double().norm(dim=-1) * shift


def _dual(
    layer: Layer,
    parameters: Parameters,
    values: list[torch.Tensor],
    tangents: list[torch.Tensor],
    unit: torch.Tensor | float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and tangent of a layer by forward mode."""
    pairs = zip(values, tangents, strict=True)
    duals = [forward_ad.make_dual(v.detach(), t.contiguous()) for v, t in pairs]
    value, tangent = forward_ad.unpack_dual(layer.apply(parameters, *duals, unit=unit))
    return value, torch.zeros_like(value) if tangent is None else tangent
