"""The laws of one weight entry: exact moments as SymPy expressions, samplers in torch."""

from varprop.laws.base import Law, Scalar, exact
from varprop.laws.iid import Constant, Laplace, Normal, Rademacher, TruncatedNormal, Uniform
from varprop.laws.structured import Dirac, Eye, Orthogonal, Sparse

__all__ = [
    "Constant",
    "Dirac",
    "Eye",
    "Laplace",
    "Law",
    "Normal",
    "Orthogonal",
    "Rademacher",
    "Scalar",
    "Sparse",
    "TruncatedNormal",
    "Uniform",
    "exact",
]
