"""Verdicts: theory against measurement."""

from varprop.comparison.decide import margin_p_value
from varprop.comparison.design import draws_for
from varprop.comparison.judge import compare
from varprop.comparison.plan import Plan, plan
from varprop.comparison.precision import PrecisionStudy, precision_study
from varprop.comparison.report import Judged, Report
from varprop.comparison.verify import verify

__all__ = [
    "Judged",
    "Plan",
    "PrecisionStudy",
    "Report",
    "compare",
    "draws_for",
    "margin_p_value",
    "plan",
    "precision_study",
    "verify",
]
