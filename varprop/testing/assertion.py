"""assert_matches_theory: passes where a theory has been tested and stands."""

from dataclasses import dataclass, replace
from itertools import zip_longest
from math import ceil, inf
from operator import methodcaller
from time import perf_counter
from typing import TYPE_CHECKING, Any

import varprop as vp
from varprop.testing import runner
from varprop.testing.power import draws_that_see, enough, enough_to_test, smallest_fault
from varprop.testing.runner import ERROR_RATE, LARGER, Assertion, RunningTest
from varprop.testing.subjects import Subject, subject_of
from varprop.testing.words import damning, described, untested

if TYPE_CHECKING:
    from varprop.comparison import Report

SHARES = (0.7, 0.1, 0.1, 0.1)  # of both error rates: of the planned draws, then of larger samples
DEFAULTS = {
    "margin": 0.05,
    "error_rate": ERROR_RATE,
    "false_pass": 1e-4,
    "seed": 0,
    "equivalence": False,
    "engine": None,
    "scale": 1.0,
    "draws": None,
}


@dataclass(frozen=True)
class Asked:
    """The settings of one call, with those of the running test and the defaults filled in.

    `fixed`: the names that neither the session nor the defaults decided.
    """

    margin: float
    error_rate: float
    false_pass: float
    seed: int
    equivalence: bool
    engine: str | None
    scale: float
    draws: int | None
    fixed: frozenset[str]


def assert_matches_theory(
    subject: Any,
    inputs: Any = None,
    *,
    margin: float | None = None,
    error_rate: float | None = None,
    false_pass: float | None = None,
    seed: int | None = None,
    equivalence: bool | None = None,
    weights: Any = None,
    bias: Any = None,
    engine: str | None = None,
    scale: float | None = None,
    draws: int | None = None,
) -> "Report":
    """Raise AssertionError unless measured networks behave as their theory says; else the report.

    A pass means: a fault of at least `margin` (default 0.05) in any one step, from one layer to the
    next, forward or backward, would have escaped with probability at most `false_pass` (1e-4); of
    twice the margin in a step whose rule holds only to leading order in the width, and is itself
    allowed the margin. A true theory fails with probability at most `error_rate`, over all steps
    together. As many networks are drawn as this takes. An interval may then reach beyond the
    margin; but steps that could not be tested, or not that sharply with the `draws` asked for,
    fail. With `equivalence=True` only CONFIRMED passes: every interval lies inside the margin.

    `subject` is one of

    - a varprop Network: what is asserted is theory, of laws. So it is measured by the conditional
      engine where that is exact in law, and else, or with engine="explicit", by real weights.
    - a function that makes fresh torch modules, or one module: what is asserted is its own code and
      weights, by `varprop.measure`, to be drawn from the laws `weights` and `bias` (see
      `varprop.trace`; default: torch's own). One module is one network: a pass says that nothing
      was refuted and all was tested, by tests that see `smallest_fault(report)`, which must be
      below the margin where one is given.

    `scale` multiplies the draws. Under pytest, what is None comes from the marker `varprop` of the
    running test, then from the session: a seed from the test's id, an error rate from the budget.
    Elsewhere the error rate is 1e-6 and the seed 0.

    Raises ValueError for a subject without a theory, and for bad arguments.
    """
    __tracebackhide__ = methodcaller("errisinstance", AssertionError)
    given = {
        "margin": margin,
        "error_rate": error_rate,
        "false_pass": false_pass,
        "seed": seed,
        "equivalence": equivalence,
        "engine": engine,
        "scale": scale,
        "draws": draws,
    }
    given = {name: value for name, value in given.items() if value is not None}
    test = runner.running
    number = 1 if test is None else next(test.numbers)
    asked = _asked(given, test, number)
    start = perf_counter()
    taken = subject_of(subject, inputs, weights, bias, asked.engine)
    report, seen = _judged(taken, inputs, asked)
    failure = _failure(report, seen, asked, taken.single)
    if failure is not None:
        failure += f"\nfresh and larger: {_rerun(test, given, asked, taken.single)}"
    if test is not None:
        test.record(Assertion(number, report, seen, perf_counter() - start, failure))
    if failure is not None:
        raise AssertionError(failure)
    return report


def _asked(given: dict[str, Any], test: RunningTest | None, number: int) -> Asked:
    from varprop.comparison.checks import check_rates
    from varprop.gaussian import is_finite_real
    from varprop.montecarlo.devices import whole

    session, fixed = {}, given
    if test is not None:
        fixed = {**test.settings(), **given}
        session = {
            "error_rate": test.error_rate(number),
            "seed": test.seed(number),
            "scale": test.scale,
        }
    asked = Asked(**{**DEFAULTS, **session, **fixed}, fixed=frozenset(fixed))
    if not isinstance(asked.equivalence, bool):
        raise ValueError(f"equivalence must be True or False, got {asked.equivalence!r}")
    check_rates(asked.margin, asked.error_rate, asked.false_pass, "steps")
    if asked.draws is not None:
        whole("draws", asked.draws, least=1)
    if not (is_finite_real(asked.scale) and asked.scale >= 1):
        raise ValueError(
            f"scale must be at least 1, got {asked.scale!r}: fewer draws would not see the margin; "
            "give a larger margin"
        )
    return asked


def _judged(subject: Subject, inputs: Any, asked: Asked) -> tuple["Report", float]:
    """The report, and the smallest fault that it would have found."""
    theory = vp.predict(subject.network, inputs)
    rates = {name: getattr(asked, name) for name in ("margin", "error_rate", "false_pass")}
    if asked.equivalence and subject.laws and asked.draws is None and asked.scale == 1:
        how = {"seed": asked.seed, "engine": asked.engine or "auto", "progress": False}
        report = vp.verify(subject.network, inputs, **rates, **how)
        return report, smallest_fault(report)
    once = subject.single or asked.draws is not None or asked.equivalence
    shares = (1.0,) if once else SHARES
    draws, report, seen = _planned(subject, theory, asked, shares[0]), None, inf
    for share, later in zip_longest(shares, shares[1:]):
        levels = {name: share * rates[name] for name in ("error_rate", "false_pass")}
        report = vp.compare(
            theory, subject.sample(draws, asked.seed), margin=asked.margin, **levels
        )
        report, seen = replace(report, error_rate=asked.error_rate), smallest_fault(report)
        if later is None or seen <= asked.margin:
            break
        grown = later / share
        more = enough(report, asked.margin, grown) if seen < inf else enough_to_test(report)
        if more is None:
            break
        draws = more
    assert report is not None
    return report, seen


def _planned(subject: Subject, theory: Any, asked: Asked, share: float) -> int:
    """Draws that see a fault of the margin in any step, or those that decide its equivalence."""
    from varprop.comparison import draws_for

    if subject.single:
        return asked.draws or 1
    if asked.draws is not None:
        draws = asked.draws
    elif asked.equivalence:
        draws = draws_for(subject.network, asked.margin, asked.false_pass, theory=theory)
    else:
        rates = share * asked.error_rate, share * asked.false_pass
        draws = draws_that_see(asked.margin, theory, *rates)
    return ceil(asked.scale * draws)


def _failure(report: "Report", seen: float, asked: Asked, single: bool) -> str | None:
    """Why the assertion fails; None where it passes."""
    margin, rows, what = asked.margin, [], None
    if report.verdict == "REFUTED":
        what, rows = "the theory is REFUTED", damning(report, "REFUTED")
    elif lost := untested(report):
        what, rows = "some steps could not be tested", lost
    elif asked.equivalence and report.verdict != "CONFIRMED":
        what = f"not every interval lies inside the margin of {margin:.3g}"
        what += "" if report.needed is None else f" (about {report.needed} networks would decide)"
        rows = damning(report, "UNDECIDED")
    elif not asked.equivalence and seen > margin and not (single and "margin" not in asked.fixed):
        who = "one network sees" if single else f"{report.draws} draws see"
        what = (
            f"nothing was refuted, but {who} faults of {seen:.2%} and more, not the margin of "
            f"{margin:.2%}: about {enough(report, margin)} draws see it"
        )
    return None if what is None else described(what, rows, report, asked.false_pass)


def _rerun(test: RunningTest | None, given: dict[str, Any], asked: Asked, single: bool) -> str:
    """How to ask again, of fresh and more networks."""
    if single:
        return "pass a function that makes fresh modules, in place of one module"
    if test is not None and not {"seed", "scale"} & asked.fixed:
        return test.rerun
    more = {**given, "seed": asked.seed + 1, "scale": LARGER * asked.scale}
    arguments = "".join(f", {name}={value!r}" for name, value in more.items())
    return f"assert_matches_theory(<the same subject and inputs>{arguments})"
