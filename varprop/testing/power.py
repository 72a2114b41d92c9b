"""What a report could see, and the draws that see a given fault."""

from math import ceil, inf, isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from varprop.comparison import Report
    from varprop.theory import Prediction

STEPS = ("exact", "t", "identity")  # tests of one step, beside those of their drift
HEADROOM = 1.05  # of draws, because where no null law is known the spread is an estimate


def draws_that_see(
    margin: float, theory: "Prediction", error_rate: float, false_pass: float
) -> int:
    """Draws with which a fault of `margin` in any one step escapes as often as `false_pass`."""
    from varprop.comparison.design import Design
    from varprop.comparison.judge import FAMILIES
    from varprop.stats import draws_needed

    plan = Design.of(theory, error_rate)
    if not plan.variance:
        return plan.least
    rates = error_rate / FAMILIES, false_pass, plan.tests
    return max(plan.least, ceil(HEADROOM * draws_needed(margin, plan.variance, *rates)))


def smallest_fault(report: "Report") -> float:
    """The smallest fault in one step that would have escaped as often as the report's false pass.

    That of the least sharply tested step, from the width of its interval; infinite where a step
    could not be tested.
    """
    from varprop.stats import smallest_detectable

    variance, rates = _sharpness(report)
    if variance in (0, inf):
        return variance
    return smallest_detectable(report.draws, variance, *rates)


def enough(report: "Report", margin: float) -> int:
    """Draws that see `margin`, given how the networks of a report fluctuate."""
    from varprop.stats import draws_needed

    variance, rates = _sharpness(report)
    return ceil(HEADROOM * draws_needed(margin, variance, *rates))


def _sharpness(report: "Report") -> tuple[float, tuple[float, float, int]]:
    """The largest relative variance of a step in one draw; false alarms, false passes, tests."""
    from varprop.comparison.judge import FAMILIES
    from varprop.stats import quantile

    assert report.at is not None  # reports of compare and verify say at which levels they judge
    draws, error_rate, false_pass = report.at
    steps = [row for row in report.rows() if row.test in STEPS]
    width = max((inf if isnan(row.gap) else row.high - row.low for row in steps), default=inf)
    error = width / 2 / float(quantile(false_pass, 0.0, upper=True))
    return error**2 * draws, (error_rate / FAMILIES, false_pass, len(steps))
