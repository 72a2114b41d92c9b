"""Layers of many networks of one architecture at once.

Activations of R networks are one tensor (B, R, C, H, W) or (B, R, C): the batch, the network, its
channels. Parameters have the network first: (R, ...). A convolution is then one grouped convolution
and batch-norm is torch's own over R C channels, so no network sees another. On one CPU core, 30
networks of 8 to 32 channels on images of 8 x 8 to 2 x 2, forward and backward: 0.9 to 1.4 times as
fast as vmap of a convolution, 0.6 to 2 times as a loop over networks, 3 to 8 times as products with
unfolded patches; only with one input channel are those faster.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

import varprop as vp
from varprop.layers.elementwise import torch_function

Shape = tuple[int, ...]
Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Pass:
    """How the layers are to compute.

    batch     batch-norm takes the statistics of the batch, not the running ones
    learning  dropout drops, and batch-norm moves its running statistics
    mask      uniform numbers (B, R, ...) of a shape (B, ...), equal for runs of one seed
    """

    batch: bool
    learning: bool = False
    mask: Callable[[Shape], Tensor] | None = None


class Layer(Protocol):
    """`incoming` and `outgoing` are shapes of one example: (C, H, W) or (C,)."""

    def outgoing(self, incoming: Shape) -> Shape: ...

    def shapes(self, incoming: Shape) -> dict[str, Shape]:
        """Of the trained parameters of one network; "weight" and "bias" are drawn by the run."""
        ...

    def buffers(self, incoming: Shape) -> dict[str, Shape]:
        """Of what is kept but not trained."""
        ...

    def __call__(self, x: Tensor, held: Parameters, how: Pass) -> Tensor: ...


@dataclass(frozen=True)
class Plain:
    """A layer that holds nothing and keeps the shape."""

    def outgoing(self, incoming: Shape) -> Shape:
        return incoming

    def shapes(self, incoming: Shape) -> dict[str, Shape]:
        return {}

    def buffers(self, incoming: Shape) -> dict[str, Shape]:
        return {}


@dataclass(frozen=True)
class Conv(Plain):
    """y = w * x + b, stride 1, zeros around so that the image keeps its size; `kernel` is odd."""

    channels: int
    kernel: int = 3

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"a kernel must be odd to keep the image's size, got {self.kernel!r}")

    def outgoing(self, incoming: Shape) -> Shape:
        return (self.channels, *incoming[1:])

    def shapes(self, incoming: Shape) -> dict[str, Shape]:
        weight = (self.channels, incoming[0], self.kernel, self.kernel)
        return {"weight": weight, "bias": (self.channels,)}

    def __call__(self, x: Tensor, held: Parameters, how: Pass) -> Tensor:
        weight, bias = held["weight"].flatten(0, 1), held["bias"].flatten()
        runs = x.shape[1]
        y = functional.conv2d(x.flatten(1, 2), weight, bias, padding="same", groups=runs)
        return y.unflatten(1, (runs, self.channels))


@dataclass(frozen=True)
class Dense(Plain):
    """y = W x + b, of all numbers of an example."""

    units: int

    def outgoing(self, incoming: Shape) -> Shape:
        return (self.units,)

    def shapes(self, incoming: Shape) -> dict[str, Shape]:
        return {"weight": (self.units, prod(incoming)), "bias": (self.units,)}

    def __call__(self, x: Tensor, held: Parameters, how: Pass) -> Tensor:
        x = x.flatten(2).transpose(0, 1)
        y = torch.baddbmm(held["bias"].unsqueeze(1), x, held["weight"].transpose(1, 2))
        return y.transpose(0, 1)


@dataclass(frozen=True)
class BatchNorm(Plain):
    """y = scale (x - mean) / sqrt(var + 1e-5) + shift, by channel (Ioffe and Szegedy, 2015).

    Learning, with the batch's moments, of which `momentum` enters the running ones; evaluated, with
    the running ones.
    """

    momentum: float = 0.1

    def shapes(self, incoming: Shape) -> dict[str, Shape]:
        return {"scale": incoming[:1], "shift": incoming[:1]}

    def buffers(self, incoming: Shape) -> dict[str, Shape]:
        return {"mean": incoming[:1], "variance": incoming[:1]}

    def __call__(self, x: Tensor, held: Parameters, how: Pass) -> Tensor:
        kept = (how.learning or not how.batch) or None
        y = functional.batch_norm(
            x.flatten(1, 2),
            kept and held["mean"].view(-1),
            kept and held["variance"].view(-1),
            held["scale"].flatten(),
            held["shift"].flatten(),
            training=how.batch,
            momentum=self.momentum,
        )
        return y.unflatten(1, x.shape[1:3])


@dataclass(frozen=True)
class MaxPool(Plain):
    """The largest of each `size` x `size` square."""

    size: int = 2

    def outgoing(self, incoming: Shape) -> Shape:
        return (incoming[0], *(side // self.size for side in incoming[1:]))

    def __call__(self, x: Tensor, held: Parameters, how: Pass) -> Tensor:
        return functional.max_pool2d(x.flatten(1, 2), self.size).unflatten(1, x.shape[1:3])


@dataclass(frozen=True)
class Dropout(Plain):
    """While learning, each number is 0 with probability `rate`, else divided by 1 - rate."""

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ValueError(f"a dropout rate must lie in [0, 1), got {self.rate!r}")

    def __call__(self, x: Tensor, held: Parameters, how: Pass) -> Tensor:
        if not how.learning or how.mask is None:
            return x
        kept = how.mask((x.shape[0], *x.shape[2:])) >= self.rate
        return x * kept / (1 - self.rate)


@dataclass(frozen=True)
class Phi(Plain):
    """y = phi(x), one of varprop's activations by name."""

    name: str = "relu"

    def __call__(self, x: Tensor, held: Parameters, how: Pass) -> Tensor:
        function, arguments = _function(self.name)
        return function(x, *arguments)


@lru_cache(maxsize=64)
def _function(name: str) -> tuple[Callable[..., Tensor], tuple[Any, ...]]:
    """Of torch, and its arguments after x; finding it costs more than a layer's products."""
    phi = vp.activation(name)
    return torch_function(phi), tuple(phi.arguments)
