"""What a report could see, and the draws that see a given fault."""

from math import ceil, inf, isnan, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from varprop.comparison import Judged, Report
    from varprop.theory import Prediction

STEPS = ("exact", "t", "identity")  # tests of one step, beside those of their drift
GROWTH = 4  # times the draws, at most, where a step fluctuates too unevenly to be tested
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
    could not be tested. In a step whose rule holds only to leading order in the width, which is
    allowed the margin, it is what a fault must have beyond that margin.

    Raises ValueError for what is no report of `compare` or `verify`.
    """
    from varprop.stats import smallest_detectable

    variance, rates = _sharpness(report)
    if variance in (0, inf):
        return variance
    return smallest_detectable(report.draws, variance, *rates)


def enough(report: "Report", margin: float, share: float = 1.0) -> int:
    """Draws that see `margin` at that share of a report's rates, if networks fluctuate as there."""
    from varprop.stats import draws_needed

    variance, (false_fail, false_pass, tests) = _sharpness(report)
    rates = share * false_fail, share * false_pass, tests
    return ceil(HEADROOM * draws_needed(margin, variance, *rates))


def enough_to_test(report: "Report") -> int | None:
    """Draws that its untested steps ask for; None where no number of draws would do."""
    wanted = [row.needed for row in report.rows() if isnan(row.gap)]
    known = [needed for needed in wanted if needed is not None]
    if not known or len(known) < len(wanted):
        return None
    return min(ceil(HEADROOM * max(known)), GROWTH * report.draws)


def _sharpness(report: "Report") -> tuple[float, tuple[float, float, int]]:
    """The largest relative variance of a step in one draw; false alarms, false passes, tests."""
    from varprop.comparison.judge import FAMILIES
    from varprop.stats import quantile

    if (at := getattr(report, "at", None)) is None:
        raise ValueError(
            "smallest_fault needs a report of varprop.compare or varprop.verify, which says at "
            f"which levels it judges, got {type(report).__name__} without them"
        )
    draws, error_rate, false_pass = at
    steps = [row for row in report.rows() if row.test in STEPS]
    width = max(map(_width, steps), default=inf)
    error = width / 2 / float(quantile(false_pass, 0.0, upper=True))
    return error**2 * draws, (error_rate / FAMILIES, false_pass, len(steps))


def _width(row: "Judged") -> float:
    """Of its interval, at no gap: that of a ratio is in proportion to what was measured."""
    from varprop.comparison.decide import RATIOS

    if isnan(row.gap):
        return inf
    if row.test == "exact" and row.quantity in RATIOS:
        return log((1 + row.high) / (1 + row.low)) if row.low > -1 and row.high < inf else inf
    return row.high - row.low
