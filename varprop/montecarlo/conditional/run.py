"""One block of draws through the network and back."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import torch

from varprop.laws import Law
from varprop.laws.structured import Orthogonal
from varprop.layers import Add, Dense, Elementwise, Input, Scale
from varprop.layers.elementwise import torch_function
from varprop.montecarlo.conditional.measure import Sums, records
from varprop.montecarlo.conditional.rows import Rows, scaled
from varprop.montecarlo.conditional.weights import Gaussian, Haar
from varprop.montecarlo.conditional.workspace import Workspace
from varprop.montecarlo.record import Record
from varprop.montecarlo.streams import block_generator, on_sphere, signs
from varprop.network import Network, Node

BLOCK = 512  # the most draws that share one random stream
HELD = 2**29  # bytes that the vectors of a block may take, where one draw takes less

Back = Callable[[Rows], Rows]  # the gradient at a layer's input, given that at its output


def why_not(network: Network) -> str | None:
    """Why the engine is not exact for the network; None where it is."""
    for name, layer, _ in network:
        if isinstance(layer, Dense):
            law = layer.weight_law
            if layer.tied is not None:
                return f"{name} uses the weights of {layer.tied} again"
            constant = law.independent and law.variance == 0
            if not (law.gaussian or constant or isinstance(law, Orthogonal)):
                return f"{name} has weights that are neither Gaussian nor Haar: {layer.weights}"
        elif not isinstance(layer, (Add, Elementwise, Input, Scale)):
            return f"{name} is a {layer.kind} layer"
    return None


def block_size(network: Network, points: int) -> int:
    """Draws that share one random stream: fewer in networks of many neurons.

    Fixed by the network and the number of inputs, so that no draw depends on a machine's memory.
    """
    one = 8 * 3 * points * sum(network.sizes.values())
    return BLOCK >> max(0, math.ceil(math.log2(min(BLOCK, BLOCK * one / HELD))))


def run_block(
    network: Network,
    inputs: np.ndarray | None,
    seed: int,
    block: int,
    device: torch.device,
    *,
    dtype: torch.dtype = torch.float64,
    backward: bool = True,
) -> dict[str, Record]:
    """The records of one block of draws, from the block's own random stream.

    `dtype` is that of the random numbers, and of the vectors too where there is one input; several
    inputs are computed in float64, so that nearly equal ones keep their difference. Vectors carry
    powers of two: no depth or gain leaves the range of floats, except in activations that are not
    homogeneous, which see their argument at its true size, and in the records, which are plain
    float64. Without `backward` there are neither tangents nor gradients, and the networks are other
    ones: fewer numbers are drawn. Memory is kept from one block of a thread to its next. Raises
    ValueError for a dtype other than float32 and float64.
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"the conditional engine draws in float32 or float64, got {dtype}; "
            "use engine='explicit' for other numbers"
        )
    generator = block_generator(seed, block, device)
    draws = block_size(network, 1 if inputs is None else len(inputs))
    first, last = network.sizes[network.input], network.sizes[network.output]
    t = on_sphere(draws, 1, first, generator, device, dtype)
    u = signs(draws, last, generator, device)
    if inputs is None:
        x = on_sphere(draws, 1, first, generator, device, dtype)
    else:
        x = torch.as_tensor(inputs, dtype=torch.float64, device=device).expand(draws, -1, -1)
    points = x.shape[1]
    kind = dtype if points == 1 else torch.float64
    random = _Random(generator, dtype, kind, device, Workspace.of_thread())
    start = Rows.of(torch.cat([x, t.expand_as(x)], 1) if backward else x).to(kind)
    sums, backs = _forward(network, start, points, random)
    gradients = None
    if backward:
        end = Rows.of(u.to(kind).expand(draws, points, last))
        gradients = _backward(network, end, backs)
    return records(sums, gradients, points)


class _Random:
    """Random numbers of `dtype` from one stream, given as `kind` in the workspace."""

    def __init__(
        self,
        generator: torch.Generator,
        dtype: torch.dtype,
        kind: torch.dtype,
        device: torch.device,
        workspace: Workspace,
    ) -> None:
        self.how = {"generator": generator, "dtype": dtype, "device": device}
        self.kind = kind
        self.workspace = workspace

    def normal(self, *shape: int, keep: bool = False) -> torch.Tensor:
        if not keep:
            return torch.randn(*shape, **self.how).to(self.kind)
        out = self.empty(*shape)
        if self.kind == self.how["dtype"]:
            return out.normal_(generator=self.how["generator"])
        return out.copy_(torch.randn(*shape, **self.how))

    def empty(self, *shape: int) -> torch.Tensor:
        return self.workspace.take(shape, self.kind, self.how["device"])

    def bias(self, layer: Dense, draws: int) -> torch.Tensor | None:
        if layer.bias_law is None:
            return None
        return layer.bias_law.sample((draws, 1, layer.fan_out), **self.how).to(self.kind)


def _forward(
    network: Network, start: Rows, points: int, random: _Random
) -> tuple[dict[str, Sums], dict[str, Back]]:
    """What each node is measured by, and the way back through each layer."""
    readers = Counter(name for node in network for name in node.inputs)
    rows = {network.input: start}  # values, then tangents: (draws, 2 points, channels)
    sums = {network.input: Sums.of(start, points)}
    backs: dict[str, Back] = {}
    for node in network.nodes[1:]:
        own = all(readers[i] == 1 and isinstance(network[i].layer, Dense) for i in node.inputs)
        ins = [rows[i] for i in node.inputs]
        out, backs[node.name] = _step(node, ins, points, random, own)
        rows[node.name] = out
        sums[node.name] = Sums.of(out, points)
        readers.subtract(node.inputs)
        for name in {name for name in node.inputs if not readers[name]}:
            del rows[name]
    return sums, backs


def _backward(network: Network, end: Rows, backs: dict[str, Back]) -> dict[str, Rows]:
    """The Gram matrices of the gradients; the way back is used up."""
    gradients, found = {network.output: end}, {}
    for name, _, names in reversed(network.nodes):
        g = gradients.pop(name)
        found[name] = replace(g, x=g.x.new_empty(0))
        if names:
            below = backs.pop(name)(g)
            for i in names:
                gradients[i] = gradients[i].plus(below) if i in gradients else below
    return found


def _step(
    node: Node, ins: list[Rows], points: int, random: _Random, own: bool
) -> tuple[Rows, Back]:
    """`own`: nothing else reads the memory of what goes in."""
    layer = node.layer
    if isinstance(layer, Dense):
        return _dense(layer, ins[0], points, random)
    if isinstance(layer, Elementwise):
        return _elementwise(layer, ins[0], points, random, own)
    if isinstance(layer, Scale):
        factor = float(layer.factor)
        return ins[0].times(factor), lambda g: g.times(factor)
    return ins[0].plus(ins[1]), lambda g: g


def _dense(layer: Dense, v: Rows, points: int, random: _Random) -> tuple[Rows, Back]:
    law, size = layer.weight_law, layer.fan_out
    mean, s = _mean_and_std(law)
    # the power of two of the weights joins the exponents where it is large
    power = math.frexp(max(abs(mean), s))[1]
    power = power if abs(power) > 16 else 0
    if isinstance(law, Orthogonal):
        h, weight = Haar.forward(v, math.ldexp(float(law.gain), -power), size, random)
    else:
        mean, s = math.ldexp(mean, -power), math.ldexp(s, -power)
        h, weight = Gaussian.forward(v, mean, s, size, random)
    exponent = v.exponents + power if power else v.exponent
    bias = random.bias(layer, len(h))
    if bias is not None and exponent is None:
        h[:, :points] += bias
    elif bias is not None and exponent is not None:
        common = exponent.clone()
        common[:, :points].clamp_(min=0)  # beside a bias of any size, nothing tiny counts
        h, exponent = scaled(h, exponent - common), common
        h[:, :points] += scaled(bias.expand(-1, points, -1), -common[:, :points])

    def back(d: Rows) -> Rows:
        return Rows.of(weight.backward(d, random), d.exponents + power if power else d.exponent)

    return Rows.of(h, exponent), back


@lru_cache
def _mean_and_std(law: Law) -> tuple[float, float]:
    return float(law.mean), math.sqrt(law.variance)


def _elementwise(
    layer: Elementwise, v: Rows, points: int, random: _Random, own: bool
) -> tuple[Rows, Back]:
    """x = phi(z), in the place of z where that is `own` and the way back does not read it."""
    exponent, z = v.exponent, v.x[:, :points]
    if exponent is not None and not layer.homogeneous:
        z = scaled(z, exponent[:, :points])
        exponent = torch.cat([torch.zeros_like(exponent[:, :points]), exponent[:, points:]], 1)
    value, pulled = _applied(layer, z)
    parts = [value, pulled(v.x[:, points:])] if v.x.shape[1] > points else [value]
    place = v.x if own and not layer.slope_reads_argument else random.empty(*v.x.shape)
    x = torch.cat(parts, 1, out=place)
    if layer.slope_rule is not None:
        pulled = partial(layer.slope_rule, z, x[:, :points])
    return Rows.of(x, exponent), lambda g: Rows.of(pulled(g.x), g.exponent)


def _applied(layer: Elementwise, z: torch.Tensor) -> tuple[torch.Tensor, Callable]:
    """phi(z), and the product of phi'(z) with a vector: by torch's own rule where it has one."""
    phi, rule = layer.activation, layer.slope_rule
    if rule is not None:
        value = torch_function(phi)(z)
        return value, partial(rule, z, value)
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = torch_function(phi)(z, *phi.arguments)
        one = torch.ones((), dtype=z.dtype, device=z.device)
        (slope,) = torch.autograd.grad(value, z, one.expand_as(value))
    return value.detach(), slope.mul
