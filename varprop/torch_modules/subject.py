"""The modules of one sample: what they have in common, and the measurement of one of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import nn
from torch.autograd import forward_ad

from varprop.layers import Dense
from varprop.montecarlo.record import Record, measure
from varprop.montecarlo.shared import forward_mode
from varprop.network import Network
from varprop.torch_modules.modules import kind_of, tensors_of, type_name
from varprop.torch_modules.reader import Operation
from varprop.torch_modules.trace import program_of

Values = dict[str, torch.Tensor]
TELLING = 16  # entries of a continuous law that are the same in two draws by no chance


@dataclass(frozen=True)
class Subject:
    """What the modules of one sample have in common: how they compute, and in which numbers."""

    network: Network
    operations: tuple[Operation, ...]
    dtype: torch.dtype
    device: torch.device
    shapes: Mapping[str, torch.Size]

    @classmethod
    def of(cls, module: nn.Module, network: Network) -> "Subject":
        """As the first module says; raises ValueError where it is not of the graph `network`."""
        operations = program_of(module, network).operations
        dtype, device = kind_of(module)
        if device.type not in ("cpu", "cuda"):
            raise ValueError(
                f"{type_name(module)} must be on 'cpu' or 'cuda' to be measured, got {device}; "
                "move it there with module.to(device)"
            )
        shapes = {name: t.shape for name, t in tensors_of(module).items()}
        return cls(network, operations, dtype, device, shapes)

    def tensors(self, module: nn.Module, draw: int, previous: Values) -> Values:
        """The parameters that the nodes read.

        Raises ValueError for another structure, those of `previous` again, or numbers not finite.
        """
        found = tensors_of(module)
        same = {name: t.shape for name, t in found.items()} == self.shapes
        if not same or kind_of(module) != (self.dtype, self.device):
            raise ValueError(
                f"draw {draw} has other parameters than draw 0; every call must make a module of "
                "the same layers, dtype and device"
            )
        read = {n: found[n].detach() for operation in self.operations for n in operation.tensors}
        for operation in self.operations:
            for name in operation.tensors:
                if not bool(torch.isfinite(read[name]).all()):
                    raise ValueError(
                        f"{name}, of node {operation.node}, has values that are not finite in "
                        f"draw {draw}; initialize it"
                    )
        if previous and all(torch.equal(read[name], t) for name, t in previous.items()):
            raise ValueError(
                f"draw {draw} has the parameters of draw {draw - 1}; pass a function that makes "
                "a fresh module each time it is called, from torch's default generator"
            )
        return read

    def check_fresh(self, tensors: Values, draw: int, met: dict[tuple[str, bytes], int]) -> None:
        """Raises ValueError for weights that an earlier draw had; `met`: those of all draws."""
        for operation in self.operations:
            layer = self.network[operation.node].layer
            if not isinstance(layer, Dense) or not layer.weight_law.atomless:
                continue
            name = operation.tensors[0]
            if tensors[name].numel() < TELLING:
                continue
            content = tensors[name].contiguous().view(torch.uint8).cpu().numpy().tobytes()
            first = met.setdefault((name, blake2b(content, digest_size=16).digest()), draw)
            if first != draw:
                raise ValueError(
                    f"draw {draw} has {name}, of node {operation.node}, of draw {first}; every "
                    "call must draw all weights afresh, from torch's default generator, and must "
                    "not seed it"
                )

    def run(
        self,
        module: nn.Module,
        tensors: Values,
        x: torch.Tensor,
        t: torch.Tensor,
        u: torch.Tensor,
    ) -> tuple[dict[str, Record], np.ndarray]:
        """The record of every node, and the duality defect of each point."""
        values, gradients = self._back(tensors, x[0], u[0])
        self._check_output(module, x[0], values[self.network.output])
        tangents = self._along(tensors, x[0], t[0])
        records: dict[str, Record] = {}
        ends = tangents[self.network.output], gradients[self.network.input]
        defect = duality(u[0], t[0], *ends)[None]
        for names in by_size(self.network):
            x, t, g = (torch.stack([s[n] for n in names]) for s in (values, tangents, gradients))
            records.update(zip(names, measure(x, t, g).split(len(names)), strict=True))
        return records, defect

    def _values(self, x: torch.Tensor, tensors: Values) -> Values:
        values = {self.network.input: x}
        for node, reads, own, call in self.operations:
            values[node] = call(*(values[r] for r in reads), *(tensors[n] for n in own))
        return values

    def _back(self, tensors: Values, x: torch.Tensor, u: torch.Tensor) -> tuple[Values, Values]:
        with torch.enable_grad():
            values = self._values(x.clone().requires_grad_(), tensors)
        output = values[self.network.output]
        gradients = torch.autograd.grad(output, list(values.values()), u.expand_as(output))
        return {n: v.detach() for n, v in values.items()}, dict(zip(values, gradients, strict=True))

    def _along(self, tensors: Values, x: torch.Tensor, t: torch.Tensor) -> Values:
        with forward_mode:
            start = forward_ad.make_dual(x, t.expand_as(x).contiguous())
            pairs = {n: forward_ad.unpack_dual(v) for n, v in self._values(start, tensors).items()}
        return {
            n: torch.zeros_like(p.primal) if p.tangent is None else p.tangent
            for n, p in pairs.items()
        }

    def _check_output(self, module: nn.Module, x: torch.Tensor, output: torch.Tensor) -> None:
        """Raises ValueError where the module computes something else than the nodes."""
        own = module(x.clone())  # it may write to it
        size, difference = (v.double().norm() for v in (own, own - output))
        if own.shape != output.shape or difference > size * torch.finfo(self.dtype).eps ** 0.5:
            raise ValueError(
                f"{type_name(module)} computes something else than was traced: relative "
                f"difference {float(difference / size):.1e} of its outputs; it must be one "
                "function of its input, for any number of points"
            )


def duality(
    u: torch.Tensor, t: torch.Tensor, ahead: torch.Tensor, back: torch.Tensor
) -> np.ndarray:
    """|u.(J t) - (J'u).t| / (|u| |J t| + |J'u| |t|) of each point."""
    u, t, ahead, back = (v.double() for v in (u, t, ahead, back))
    size = u.norm(dim=-1) * ahead.norm(dim=-1) + back.norm(dim=-1) * t.norm(dim=-1)
    found = ((u * ahead).sum(-1) - (back * t).sum(-1)).abs() / size.clamp_min(1e-300)
    return found.cpu().numpy()


def by_size(network: Network) -> Iterable[list[str]]:
    """The nodes in groups of as many channels."""
    groups: dict[int, list[str]] = {}
    for name, size in network.sizes.items():
        groups.setdefault(size, []).append(name)
    return groups.values()
