"""Gaussian expectations by quadrature, and the one bridge from SymPy expressions to numbers."""

from varprop.gaussian.expectations import expectation, pair_expectation
from varprop.gaussian.memory import forget, remembered
from varprop.gaussian.rules import Estimate, legendre_unit
from varprop.gaussian.symbols import (
    compiled,
    evaluate,
    is_finite_real,
    is_symbolic,
    symbolic_expectation,
)

__all__ = [
    "Estimate",
    "compiled",
    "evaluate",
    "expectation",
    "forget",
    "is_finite_real",
    "is_symbolic",
    "legendre_unit",
    "pair_expectation",
    "remembered",
    "symbolic_expectation",
]
