"""Layers: one file a family, each layer with its moment rules and its sampling."""

from varprop.layers.arithmetic import Add, Input, Scale
from varprop.layers.base import Layer
from varprop.layers.dense import Dense
from varprop.layers.elementwise import Elementwise, accumulate
from varprop.layers.tangents import cross_of

__all__ = ["Add", "Dense", "Elementwise", "Input", "Layer", "Scale", "accumulate", "cross_of"]
