"""Layers with two faces: the rules of one layer, the draws of another.

For the explicit engine, which asks a layer for its draws; the conditional one asks for its law.
"""

from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

import torch

from varprop.layers import Layer
from varprop.layers.base import Parameters, SlopeRule
from varprop.network import Network, Node

L = TypeVar("L", bound=Layer)


class Drawn:
    """What the engine asks of a layer, answered by the layer `drawn`."""

    drawn: Layer

    @property
    def homogeneous(self) -> bool:
        return self.drawn.homogeneous

    @property
    def divisible(self) -> bool:
        return self.drawn.divisible

    @property
    def slope_rule(self) -> SlopeRule | None:
        return self.drawn.slope_rule

    def shapes(self, outputs: int | None = None) -> tuple[tuple[int, ...], ...]:
        return self.drawn.shapes(outputs)

    def fill(self, parameters: Parameters, generator: torch.Generator) -> None:
        self.drawn.fill(parameters, generator)

    def apply(
        self, parameters: Parameters, *values: torch.Tensor, unit: torch.Tensor | float = 1.0
    ) -> torch.Tensor:
        return self.drawn.apply(parameters, *values, unit=unit)

    def transpose(self, parameters: Parameters, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.drawn.transpose(parameters, gradient)


@cache
def _with_two_faces(kind: type[Layer]) -> type[Layer]:
    return type(f"TwoFaced{kind.__name__}", (Drawn, kind), {})


def two_faced(theory: Layer, engine: Layer) -> Layer:
    """A layer that has the moment rules of `theory` and draws and computes as `engine` does."""
    if theory is engine:
        return theory
    layer = as_type(_with_two_faces(type(theory)), theory)
    object.__setattr__(layer, "drawn", engine)
    return layer


def as_type(kind: type[L], layer: Layer, **more: Any) -> L:
    """The layer with its fields as they are, and the methods of `kind`, a subclass of its class."""
    return kind(**{f.name: getattr(layer, f.name) for f in fields(layer)}, **more)  # type: ignore


def with_faces(theory: Network, engine: Network) -> Network:
    """The network of which `predict` reads the one, and `simulate` draws the other."""
    pairs = zip(theory, engine, strict=True)
    return Network(tuple(Node(a.name, two_faced(a.layer, b.layer), a.inputs) for a, b in pairs))
