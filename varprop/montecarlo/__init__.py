"""Monte Carlo: drawn networks, measured."""

from varprop.montecarlo.simulate import Sample, simulate

__all__ = ["Sample", "simulate"]
