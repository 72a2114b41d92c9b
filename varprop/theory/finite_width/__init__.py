"""Finite width: fluctuations of lengths over networks, and the exact laws of lengths."""

from varprop.theory.finite_width.chain import gradient_law, length_law
from varprop.theory.finite_width.factor import Factor
from varprop.theory.finite_width.gradients import GradientLengths, gradient_lengths
from varprop.theory.finite_width.law import LengthLaw
from varprop.theory.finite_width.lengths import Absent, Lengths, lengths

__all__ = [
    "Absent",
    "Factor",
    "GradientLengths",
    "LengthLaw",
    "Lengths",
    "gradient_law",
    "gradient_lengths",
    "length_law",
    "lengths",
]
