"""Finite width: fluctuations of lengths over networks, 1/n terms, and exact laws of lengths."""

from varprop.theory.finite_width.chain import gradient_law, length_law
from varprop.theory.finite_width.factor import Factor
from varprop.theory.finite_width.gradients import GradientLengths, gradient_lengths
from varprop.theory.finite_width.law import LengthLaw
from varprop.theory.finite_width.lengths import Lengths, lengths
from varprop.theory.finite_width.pairs import Pairs, pairs
from varprop.theory.finite_width.refusal import Absent, NoTheory
from varprop.theory.finite_width.small_gradients import GradientTerms, gradient_terms

__all__ = [
    "Absent",
    "Factor",
    "GradientLengths",
    "GradientTerms",
    "LengthLaw",
    "Lengths",
    "NoTheory",
    "Pairs",
    "gradient_law",
    "gradient_lengths",
    "gradient_terms",
    "length_law",
    "lengths",
    "pairs",
]
