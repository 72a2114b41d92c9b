"""What every layer is: one frozen dataclass with a theory face and a sampling face of one shape."""

from abc import ABC, abstractmethod
from typing import Any

import torch

from varprop.moments import Gradients, Moments, Tangents

Parameters = tuple[torch.Tensor, ...]


class Layer(ABC):
    """y = layer(x_1, ..., x_k), channels last.

    Theory: `moments` maps the laws of the inputs to the law of the output; `gradients` the law of
    dL/dy to the laws of dL/dx_i; `tangents` the laws of forward tangents. Sampling: `draw` makes
    fresh parameters for many networks at once, `apply` computes y on values of shape
    (draws, points, channels).
    """

    kind: str  # how nodes of this layer are named: dense_1, relu_2, ...
    homogeneous: bool = True  # layer(a x) = a layer(x) for a > 0, biases scaled along

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
        return ()

    @abstractmethod
    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        """The output for values in multiples of 1 / unit: biases are multiplied by `unit`."""

    def parameter_count(self) -> int:
        """Weights and biases of one network."""
        return 0

    @property
    def arguments(self) -> tuple:
        """Everything the layer holds that may be symbolic."""
        return ()
