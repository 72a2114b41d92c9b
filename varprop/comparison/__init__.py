"""Verdicts: theory against measurement."""

from varprop.comparison.decide import margin_p_value
from varprop.comparison.design import draws_for
from varprop.comparison.initializer import InitializerReport, check_initializer
from varprop.comparison.judge import compare
from varprop.comparison.neuron import NeuronStudy, neuron_study
from varprop.comparison.plan import Plan, plan
from varprop.comparison.precision import PrecisionStudy, precision_study
from varprop.comparison.report import Judged, Report
from varprop.comparison.samples import compare_samples
from varprop.comparison.verify import verify
from varprop.comparison.width_report import WidthStudy
from varprop.comparison.widths import width_study

__all__ = [
    "InitializerReport",
    "Judged",
    "NeuronStudy",
    "Plan",
    "PrecisionStudy",
    "Report",
    "WidthStudy",
    "check_initializer",
    "compare",
    "compare_samples",
    "draws_for",
    "margin_p_value",
    "neuron_study",
    "plan",
    "precision_study",
    "verify",
    "width_study",
]
