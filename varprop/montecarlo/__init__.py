"""Monte Carlo: drawn networks, measured."""

from varprop.montecarlo.jacobian import singular_values
from varprop.montecarlo.simulate import Sample, simulate

__all__ = ["Sample", "simulate", "singular_values"]
