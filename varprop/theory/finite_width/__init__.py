"""Finite width: fluctuations of lengths over networks, and the exact laws of lengths."""

from varprop.theory.finite_width.lengths import Absent, Lengths, lengths

__all__ = ["Absent", "Lengths", "lengths"]
