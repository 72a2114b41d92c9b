"""Activations: a SymPy expression, its torch function, and its closed forms."""

from varprop.activations.activation import Activation, custom
from varprop.activations.symbols import Q1, Q2, SINE, THETA, C, Q, X
from varprop.activations.table import ACTIVATIONS, get, identity

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
