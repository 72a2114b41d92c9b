"""mean_length: mean squared lengths of networks too deep for a plain mean, by resampling.

In a chain of dense layers with Gaussian weights a pre-activation is N(0, v) given the layer below,
v = s^2 |x|^2 + E b^2, s^2 = Var(w): a network is a sequence of such v. The mean length is carried
by ever fewer of them, the deeper the fewer. So a block of B networks is resampled at each dense
layer in proportion to G = w_l / w_(l-1), and with m_l the product of the block's mean G

    E q_l = E [m_l mean(q_l / w_l)],      q_l = |x_l|^2 / n_l,

which is unbiased in each block for any w_l > 0 (Del Moral 2004), for it is the normalizing constant
of a sequential Monte Carlo sampler. w = v, so a dead network (v = 0) is dropped; where v may
vanish and a bias or phi(0) != 0 may revive it, w = v + mean(v). The resampled networks of a block
are not independent: the replicate is the block.

Variance of the plain mean times its CPU time, over the same of this one (n = 32, B = 256, both as
plain loops; relu and linear with the exact variance of the plain mean, the others with the measured
one, which is too small at L = 4 n):

    L / n              .25      1        4
    relu               1.0      11       4e6
    gelu               1.2      23       > 100
    relu, E b^2 = .5    .8      1.7      40
    linear              .5      1.8      200
    tanh                .7       .5       .9

so it pays where lengths are heavy-tailed, from about L = n on, and not where they are held.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from varprop.layers import Dense, Elementwise, Input, Scale
from varprop.montecarlo.devices import whole
from varprop.montecarlo.progress import bar
from varprop.montecarlo.sample import Averaged
from varprop.montecarlo.streams import Stream, stream_states
from varprop.network import Network, Node, check_not_symbolic
from varprop.results import Result
from varprop.stats import tail_guard

BLOCK = 256  # networks that are resampled together
KEY = (0, 1)  # after the block: longer stream keys than those of `simulate`


@dataclass(frozen=True, eq=False, repr=False)
class MeanLengths(Result):
    """Estimates of x.x/n by node, `logs[node]` (blocks, points): one logarithm from each block."""

    network: Network
    draws: int
    seed: int
    logs: Mapping[str, np.ndarray]

    def mean(self, node: str) -> tuple[np.ndarray, np.ndarray]:
        """E x.x/n (points,) and its standard error over blocks; inf beyond the range of floats."""
        scaled, largest = self._scaled(node)
        error = scaled.std(0, ddof=1) / len(scaled) ** 0.5
        with np.errstate(over="ignore"):
            return scaled.mean(0) * np.exp(largest), error * np.exp(largest)

    def _scaled(self, node: str) -> tuple[np.ndarray, np.ndarray]:
        """The blocks' estimates in units of the largest, and its logarithm."""
        logs = self.logs[self.network[node].name]
        largest = np.where(logs.max(0) > -np.inf, logs.max(0), 0.0)
        return np.exp(logs - largest), largest

    def rows(self) -> Iterator[Averaged]:
        for node in self.logs:
            trusted = tail_guard(self._scaled(node)[0]).trusted
            for point, (value, error) in enumerate(zip(*self.mean(node), strict=True)):
                numbers = float(value), float(error), bool(trusted[point])
                yield Averaged(node, "second_moment", point, None, *numbers)

    def __str__(self) -> str:
        value, error = self.mean(self.network.output)
        return (
            f"mean length of {self.network.output}: {value[0]:.6g} +- {error[0]:.2g} over "
            f"{self.draws} networks resampled in blocks of {BLOCK} ({self.network}), "
            f"seed {self.seed}"
        )


def mean_length(
    network: Network,
    inputs: Any = None,
    *,
    draws: int,
    seed: int,
    progress: bool | None = None,
) -> MeanLengths:
    """E x.x/n at every node, for chains of dense layers with Gaussian weights and biases.

    `inputs` (points, channels), or None for x.x/n = 1; points are estimated apart. `draws` are
    rounded up to whole blocks of 256, two at least, for a standard error; a mean is trusted from
    some thirty blocks on.

    Raises ValueError naming the node that is outside the rule, and for symbolic networks.
    """
    check_not_symbolic(network, "a mean length needs")
    for node in network:
        if reason := _outside(node, network):
            raise ValueError(
                f"{reason}, and resampling needs one chain of dense layers with Gaussian weights "
                "and biases; measure this network with varprop.simulate"
            )
    draws, seed = whole("draws", draws, least=BLOCK + 1), whole("seed", seed, least=0)
    start = np.ones(1)
    if inputs is not None:
        start = (network.check_inputs(inputs) ** 2).mean(-1)
    blocks, found = -(-draws // BLOCK), []
    stream = Stream(torch.device("cpu"))
    with bar("drawing lengths", blocks, "blocks", progress, long=blocks > 64) as advance:
        for block in range(blocks):
            states = stream_states(seed, (block, *KEY), len(start))
            runs = [_block(network, q, stream.start(s)) for q, s in zip(start, states, strict=True)]
            found.append(np.array(runs))  # (points, nodes)
            advance(1)
    logs = np.moveaxis(np.array(found), -1, 0)
    if np.any(np.isnan(logs) | (logs == np.inf)):
        raise ValueError(
            "a length left the range of float64 on its way; scale the weights by a constant and "
            "the result by its powers"
        )
    names = [node.name for node in network]
    return MeanLengths(network, blocks * BLOCK, seed, dict(zip(names, logs, strict=True)))


def _block(network: Network, q: float, generator: torch.Generator) -> list[float]:
    """The logarithm of one block's estimate at each node."""
    logs = [_log(q)]
    lengths = torch.full((BLOCK,), float(q), dtype=torch.float64)  # |x|^2 / n
    chosen = torch.ones_like(lengths)  # w by which each network was last chosen
    x, total = torch.zeros(BLOCK, 1, dtype=torch.float64), 0.0
    floored = _floored(network)
    for node in network.nodes[1:]:
        layer = node.layer
        if isinstance(layer, Dense):
            v = layer.fan_in * layer.weight_variance * lengths + float(layer.bias_second)
            w = v + (float(v.mean()) or 1.0) if node.name in floored else v
            ratio = w / chosen
            total += _log(float(ratio.mean()))
            if total > -np.inf:
                some = _resampled(ratio, generator)
                v, chosen = v[some], w[some]
            else:
                chosen = torch.ones_like(v)
            shape = BLOCK, layer.fan_out
            normal = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
            x = normal * v.sqrt()[:, None]
        else:
            x = layer.apply((), x)
        lengths = x.square().mean(-1)
        logs.append(total + _log(float((lengths / chosen).mean())))
    return logs


def _floored(network: Network) -> set[str]:
    """Dense layers whose v may vanish, and above which something does not keep zeros."""
    floored, revived = set(), False
    for name, layer, _ in reversed(network.nodes[1:]):
        if isinstance(layer, Dense):
            bias = bool(layer.bias_second)
            if revived and not bias:
                floored.add(name)
            revived = revived or bias
        else:
            zero = torch.zeros(1, dtype=torch.float64, device="cpu")
            revived = revived or bool(layer.apply((), zero) != 0)
    return floored


def _resampled(ratio: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Which networks go on: systematic resampling, each as often as its share, rounded."""
    steps = torch.arange(1, BLOCK + 1) - torch.rand(1, generator=generator, dtype=torch.float64)
    heights = torch.cumsum(ratio / ratio.sum(), 0)
    return torch.searchsorted(heights / heights[-1], steps / BLOCK).clamp_(max=BLOCK - 1)


def _log(value: float) -> float:
    return -np.inf if value == 0 else float(np.log(value))  # nan stays nan


def _outside(node: Node, network: Network) -> str | None:
    """Why resampling does not know the node; None where it does."""
    name, layer, inputs = node
    place = [n.name for n in network].index(name)
    if len(inputs) > 1 or (inputs and inputs[0] != network.nodes[place - 1].name):
        return f"{name} is no link of one chain"
    if isinstance(layer, Dense):
        bias = layer.bias_law
        if layer.tied is not None:
            return f"{name} uses the weights of {layer.tied} again"
        if not (layer.weight_law.gaussian and layer.weight_law.mean == 0):
            return f"{name} has weights that are not centred Gaussian: {layer.weights}"
        if bias is not None and bias.variance and not (bias.gaussian and bias.mean == 0):
            return f"{name} has biases that are not centred Gaussian: {layer.bias}"
        if bias is not None and not bias.variance and bias.mean:
            return f"{name} has a constant bias: {layer.bias}"
        return None
    if isinstance(layer, Input):
        return None
    if not isinstance(layer, (Elementwise, Scale)):
        return f"{name} is a {layer.kind} layer"
    first = isinstance(network.nodes[place - 1].layer, Input)
    return f"{name} reads the input" if first else None
