"""What every layer is: one frozen dataclass with a theory face and a sampling face of one shape."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch

from varprop.moments import Gradients, Moments, Tangents

Parameters = tuple[torch.Tensor, ...]
SlopeRule = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Layer(ABC):
    """y = layer(x_1, ..., x_k), channels last.

    Theory: `moments` maps the laws of the inputs to the law of the output; `gradients` the law of
    dL/dy to the laws of dL/dx_i; `tangents` the laws of forward tangents. Sampling: `draw` makes
    fresh parameters for many networks at once (`shapes` says which, `fill` draws them), `apply`
    computes y on values of shape (draws, points, channels); a linear layer has its `transpose` too.
    """

    kind: str  # how nodes of this layer are named: dense_1, relu_2, ...
    homogeneous: bool = True  # layer(a x) = a layer(x) for a > 0, biases scaled along
    linear: bool = False  # y = A x + b, biases times `unit`: at unit 0 `apply` is A alone
    divisible: bool = False  # parameters of some of the outputs can be drawn apart from the others

    @abstractmethod
    def size(self, *sizes: Any) -> Any:
        """The number of output channels; raises ValueError where the input sizes do not fit."""

    @abstractmethod
    def moments(self, name: str, *inputs: Moments) -> Moments:
        """The law of the output of the node `name`."""

    @abstractmethod
    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        """The law of dL/dx_i for each input, given that of dL/dy."""

    @abstractmethod
    def tangents(self, inputs: tuple[Moments, ...], tangents: tuple[Tangents, ...]) -> Tangents:
        """The law of the output tangent given those of the input tangents."""

    def draw(
        self, draws: int, generator: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> Parameters:
        """Fresh parameters with a leading axis of `draws`; none for a layer without weights."""
        parameters = tuple(
            torch.empty(draws, *shape, dtype=dtype, device=device) for shape in self.shapes()
        )
        self.fill(parameters, generator)
        return parameters

    def shapes(self, outputs: int | None = None) -> tuple[tuple[int, ...], ...]:
        """Of the parameters of one network; of `outputs` output channels of a divisible layer."""
        return ()

    def fill(self, parameters: Parameters, generator: torch.Generator) -> None:
        """Draw parameters of these `shapes`, with an axis of draws in front, in place."""
        if parameters:
            raise NotImplementedError(f"{self.kind} does not say how its parameters are drawn")

    @abstractmethod
    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        """The output for values in multiples of 1 / unit: biases are multiplied by `unit`."""

    def transpose(self, parameters: Parameters, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """A' g for each input of a linear layer: the gradients there, given g at the output."""
        raise NotImplementedError(f"{self.kind} is not linear")

    def parameter_count(self) -> int:
        """Weights and biases of one network."""
        return sum(math.prod(shape) for shape in self.shapes())

    @property
    def slope_rule(self) -> SlopeRule | None:
        """rule(z, y, v) = phi'(z) v for y = phi(z), where torch has an operation for it."""
        return None

    @property
    def arguments(self) -> tuple:
        """Everything the layer holds that may be symbolic."""
        return ()
