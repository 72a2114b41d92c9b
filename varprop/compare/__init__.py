"""Verdicts: theory against measurement."""

from varprop.compare.judge import compare
from varprop.compare.report import Judged, Report
from varprop.compare.verify import draws_for, verify

__all__ = ["Judged", "Report", "compare", "draws_for", "verify"]
