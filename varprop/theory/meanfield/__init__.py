"""Mean field theory of deep stacks in the limit of wide layers: phases, depth scales, gains."""

from varprop.theory.meanfield.critical import (
    CriticalPoint,
    critical_bias,
    critical_line,
    critical_point,
    critical_points,
)
from varprop.theory.meanfield.decay import power_laws
from varprop.theory.meanfield.diagram import PhaseDiagram, phase_diagram
from varprop.theory.meanfield.field import MeanField, mean_field
from varprop.theory.meanfield.fixed_points import FixedPoint
from varprop.theory.meanfield.gains import CRITERIA, Gain, GainTable, gain, gain_table
from varprop.theory.meanfield.residual import ResidualStack, residual_stack
from varprop.theory.meanfield.vanishing import PowerLaw

__all__ = [
    "CRITERIA",
    "CriticalPoint",
    "FixedPoint",
    "Gain",
    "GainTable",
    "MeanField",
    "PhaseDiagram",
    "PowerLaw",
    "ResidualStack",
    "critical_bias",
    "critical_line",
    "critical_point",
    "critical_points",
    "gain",
    "gain_table",
    "mean_field",
    "phase_diagram",
    "power_laws",
    "residual_stack",
]
