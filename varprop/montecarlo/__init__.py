"""Monte Carlo: drawn networks, measured."""

from varprop.montecarlo.jacobian import singular_values
from varprop.montecarlo.sample import Sample
from varprop.montecarlo.simulate import simulate
from varprop.montecarlo.sweep import Sweep, sweep

__all__ = ["Sample", "Sweep", "simulate", "singular_values", "sweep"]
