"""One architecture and the parameters of many networks of it, drawn by varprop's initializers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import prod

import numpy as np
import torch
from torch import Tensor

import varprop as vp
from figures.training.layers import Layer, Pass, Shape
from varprop.initializers import Initializer, fans
from varprop.laws import Law

FILLED = {"scale": 1.0, "shift": 0.0, "mean": 0.0, "variance": 1.0}  # of batch-norm


@dataclass(frozen=True)
class Run:
    """One network to train: the laws of its weights and biases, its seed and its learning rate.

    The seed fixes the stream of the weights, the order of the data and the dropout masks. `name` is
    that of the runs that differ in nothing but the seed.
    """

    name: str
    weights: Initializer
    seed: int
    rate: float
    bias: Initializer = field(default_factory=vp.init.zeros)


@dataclass(frozen=True)
class Network:
    """Layers one after the other, for images of `shape` (C, H, W)."""

    layers: tuple[Layer, ...]
    shape: Shape

    @cached_property
    def names(self) -> tuple[str, ...]:
        """conv_1, phi_1, conv_2, ...: the kind of the layer and its number among its kind."""
        seen: Counter[str] = Counter()
        names = []
        for layer in self.layers:
            kind = type(layer).__name__.lower()
            seen[kind] += 1
            names.append(f"{kind}_{seen[kind]}")
        return tuple(names)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Of one example: into the first layer, out of it, ..., out of the last."""
        shapes = [self.shape]
        for layer in self.layers:
            shapes.append(layer.outgoing(shapes[-1]))
        return tuple(shapes)

    @property
    def size(self) -> int:
        """Numbers that one example makes in one network, its input among them."""
        return sum(map(prod, self.shapes))

    @property
    def parameter_count(self) -> int:
        """Of one network."""
        held = (shapes for layer, come in self._each() for shapes in layer.shapes(come).values())
        return sum(map(prod, held))

    def draw(self, runs: Sequence[Run]) -> dict[str, Tensor]:
        """Parameters (R, ...) by layer and name, such as "conv_1.weight"."""
        parameters = {}
        for index, (name, (layer, incoming)) in enumerate(
            zip(self.names, self._each(), strict=True)
        ):
            shapes = layer.shapes(incoming)
            for key, shape in shapes.items():
                parameters[f"{name}.{key}"] = torch.stack(
                    [_drawn(run, index, key, shape, shapes) for run in runs]
                )
        return parameters

    def buffers(self, runs: Sequence[Run]) -> dict[str, Tensor]:
        """What is kept but not trained (R, ...), by layer and name."""
        return {
            f"{name}.{key}": torch.full((len(runs), *shape), FILLED[key])
            for name, (layer, incoming) in zip(self.names, self._each(), strict=True)
            for key, shape in layer.buffers(incoming).items()
        }

    def __call__(
        self,
        x: Tensor,
        held: Mapping[str, Tensor],
        how: Pass,
        keep: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """The last layer's numbers (B, R, K) of x (B, R, C, H, W); those of each layer in `keep`.

        held  parameters and buffers; batch-norm changes its buffers where the pass is learning.
        """
        for name, (layer, incoming) in zip(self.names, self._each(), strict=True):
            keys = (*layer.shapes(incoming), *layer.buffers(incoming))
            x = layer(x, {key: held[f"{name}.{key}"] for key in keys}, how)
            if keep is not None:
                keep[name] = x
        return x

    def _each(self) -> list[tuple[Layer, Shape]]:
        return list(zip(self.layers, self.shapes, strict=False))


def stream(*words: int) -> torch.Generator:
    """A generator of its own for these numbers."""
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def _drawn(run: Run, index: int, key: str, shape: Shape, shapes: Mapping[str, Shape]) -> Tensor:
    """One parameter of one network: biases have the fans of their weight."""
    if key in FILLED:
        return torch.full(shape, FILLED[key])
    weight = shapes["weight"]
    law = _law(run.weights if key == "weight" else run.bias, weight)
    matrix = (weight[0], prod(weight[1:])) if key == "weight" else shape
    generator = stream(run.seed, 0, index, key == "weight")
    return law.sample(matrix, generator=generator).reshape(shape)


@lru_cache(maxsize=1024)
def _law(initializer: Initializer, weight: Shape) -> Law:
    return initializer.at(*fans(weight), rows=weight[0])
