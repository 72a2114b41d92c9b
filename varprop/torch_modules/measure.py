"""measure: the real weights of modules, by the quantities of the engines."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd import forward_ad

from varprop.comparison.checks import difference
from varprop.montecarlo import Sample
from varprop.montecarlo.devices import whole
from varprop.montecarlo.explicit import draw_ends
from varprop.montecarlo.record import Record
from varprop.montecarlo.record import measure as measured
from varprop.montecarlo.shared import forward_mode, full_precision, own_numbers
from varprop.montecarlo.streams import Stream, stream_states
from varprop.montecarlo.weights import BLOCK, Group
from varprop.network import Network, check_not_symbolic
from varprop.torch_modules.laws import DEFAULTS
from varprop.torch_modules.modules import check_module, evaluated, kind_of, tensors_of, type_name
from varprop.torch_modules.trace import Operation, traced

Values = dict[str, torch.Tensor]

FACTORY = (0, 0, 0)  # the key of the stream from which modules are made


def measure(
    module: nn.Module | Callable[[], nn.Module],
    inputs: Any = None,
    *,
    network: Network,
    draws: int = 1,
    seed: int = 0,
) -> Sample:
    """Measure the module as it is, or `draws` fresh ones made by a function without arguments.

    One module is one network drawn, with the weights that it has; a function is called once for
    each draw, while torch's default generators run on streams of `seed` (they are put back after).
    Every node of `network` is measured in evaluation mode, in the module's own dtype and on its
    device: values, gradients by autograd, and tangents in forward mode. Inputs, tangents and
    cotangents are those of the explicit engine at the same seed. No parameter, gradient or mode of
    the module changes.

    Raises ValueError for a module of another graph than `network`, several draws of one module,
    parameters that are not finite, and whatever `trace` refuses.
    """
    check_not_symbolic(network, "measure needs")
    draws, seed = whole("draws", draws, least=1), whole("seed", seed, least=0)
    x = None if inputs is None else network.check_inputs(inputs)
    if isinstance(module, nn.Module) and draws > 1:
        raise ValueError(
            f"one module is one network drawn, got draws={draws}; pass a function that makes a "
            f"fresh one each time, such as lambda: {type_name(module)}(...)"
        )
    make = (lambda: module) if isinstance(module, nn.Module) else module
    if not callable(make):
        check_module(module)
    parts: list[dict[str, Record]] = []
    defects: list[np.ndarray] = []
    subject = previous = None
    with own_stream(seed):
        for draw in range(draws):
            one = check_module(make())
            if subject is None:
                subject = Subject.of(one, network)
            subject.check(one, draw, previous)
            group = Group(range(draw // BLOCK, draw // BLOCK + 1), _one(draw % BLOCK))
            with own_numbers(subject.device), full_precision, evaluated(one):
                ends = draw_ends(network, x, seed, group, subject.device, subject.dtype)
                record, defect = subject.run(one, *ends)
            parts.append(record)
            defects.append(defect)
            previous = subject.copied(one) if draws > 1 else None
    assert subject is not None
    return Sample(
        network=network,
        records={n.name: Record.joined([p[n.name] for p in parts], draws) for n in network},
        inputs=x,
        draws=draws,
        seed=seed,
        engine="module",
        device=str(subject.device),
        dtype=str(subject.dtype).removeprefix("torch."),
        duality=np.concatenate(defects),
    )


def _one(k: int) -> range:
    return range(k, k + 1)


@contextmanager
def own_stream(seed: int) -> Iterator[None]:
    """torch's default generators on streams of `seed`; afterwards they are where they were."""
    cuda = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    state = stream_states(seed, FACTORY)[0]
    with torch.random.fork_rng(devices=list(cuda)):
        torch.set_rng_state(Stream(torch.device("cpu")).start(state).get_state())
        for k in cuda:
            place = torch.device("cuda", k)
            torch.cuda.set_rng_state(Stream(place).start(state).get_state(), place)
        yield


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
        any_law = DEFAULTS["weights"], DEFAULTS["bias"]
        found, operations = traced(module, network.sizes[network.input], *any_law)
        if apart := difference(network, found):
            raise ValueError(
                f"{type_name(module)} is of another network: {apart} in the module; "
                "varprop.trace(module, inputs) gives the network that it is"
            )
        dtype, device = kind_of(module)
        if device.type not in ("cpu", "cuda"):
            raise ValueError(
                f"{type_name(module)} must be on 'cpu' or 'cuda' to be measured, got {device}; "
                "move it there with module.to(device)"
            )
        shapes = {name: t.shape for name, t in tensors_of(module).items()}
        return cls(network, operations, dtype, device, shapes)

    def check(self, module: nn.Module, draw: int, previous: "Values | None") -> None:
        """Raises ValueError for another structure, the same weights again, or unfit numbers."""
        tensors = tensors_of(module)
        if {name: t.shape for name, t in tensors.items()} != self.shapes or kind_of(module) != (
            self.dtype,
            self.device,
        ):
            raise ValueError(
                f"draw {draw} has other parameters than draw 0; every call must make a module of "
                "the same layers, dtype and device"
            )
        for operation in self.operations:
            for name in operation.tensors:
                if not bool(torch.isfinite(tensors[name]).all()):
                    raise ValueError(
                        f"{name}, of node {operation.node}, has values that are not finite in "
                        f"draw {draw}; initialize it"
                    )
        if previous and all(torch.equal(tensors[name], t) for name, t in previous.items()):
            raise ValueError(
                f"draw {draw} has the parameters of draw {draw - 1}; pass a function that makes "
                "a fresh module each time it is called, from torch's default generator"
            )

    def copied(self, module: nn.Module) -> Values:
        """The parameters that the nodes read."""
        tensors = tensors_of(module)
        return {n: tensors[n].detach().clone() for op in self.operations for n in op.tensors}

    def run(
        self, module: nn.Module, x: torch.Tensor, t: torch.Tensor, u: torch.Tensor
    ) -> tuple[dict[str, Record], np.ndarray]:
        """The record of every node, and the duality defect of each point."""
        tensors = {name: tensor.detach() for name, tensor in tensors_of(module).items()}
        values, gradients = self._back(tensors, x[0], u[0])
        self._check_output(module, x[0], values[self.network.output])
        tangents = self._along(tensors, x[0], t[0])
        records: dict[str, Record] = {}
        ends = tangents[self.network.output], gradients[self.network.input]
        defect = duality(u[0], t[0], *ends)[None]
        for names in by_size(self.network):
            x, t, g = (torch.stack([s[n] for n in names]) for s in (values, tangents, gradients))
            records.update(zip(names, measured(x, t, g).split(len(names)), strict=True))
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
