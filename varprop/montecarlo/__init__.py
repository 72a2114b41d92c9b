"""Monte Carlo: drawn networks, measured."""

from varprop.montecarlo.growing import grow
from varprop.montecarlo.jacobian import singular_values
from varprop.montecarlo.resampled import MeanLengths, mean_length
from varprop.montecarlo.sample import Sample
from varprop.montecarlo.simulate import simulate
from varprop.montecarlo.sweep import Sweep, sweep

__all__ = [
    "MeanLengths",
    "Sample",
    "Sweep",
    "grow",
    "mean_length",
    "simulate",
    "singular_values",
    "sweep",
]
