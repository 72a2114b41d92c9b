"""Activations: a SymPy expression, its torch function, and its closed forms."""

from varprop.activations.activation import Activation
from varprop.activations.custom import custom
from varprop.activations.names import get
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Q, X
from varprop.activations.table import ACTIVATIONS
from varprop.activations.table.rectified import identity

__all__ = [
    "ACTIVATIONS",
    "Q1",
    "Q2",
    "SINE",
    "THETA",
    "Activation",
    "C",
    "Q",
    "X",
    "custom",
    "get",
    "identity",
]
