"""The laws of one weight entry: exact moments as SymPy expressions, samplers in torch."""

from varprop.laws.base import Law, Scalar, exact
from varprop.laws.iid import Constant, Laplace, Normal, Rademacher, Uniform
from varprop.laws.inverse import relative_scale, truncated_std
from varprop.laws.numeric import TruncatedMoments, truncated_normal
from varprop.laws.pitfalls import Finding, TruncationReport, clipped_moment, truncation_report
from varprop.laws.structured import Dirac, Eye, Orthogonal, Sparse, Spherical
from varprop.laws.truncated import TruncatedNormal

__all__ = [
    "Constant",
    "Dirac",
    "Eye",
    "Finding",
    "Laplace",
    "Law",
    "Normal",
    "Orthogonal",
    "Rademacher",
    "Scalar",
    "Sparse",
    "Spherical",
    "TruncatedMoments",
    "TruncatedNormal",
    "TruncationReport",
    "Uniform",
    "clipped_moment",
    "exact",
    "relative_scale",
    "truncated_normal",
    "truncated_std",
    "truncation_report",
]
