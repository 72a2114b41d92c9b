"""What a test runner tells an assertion: seed, error rate, settings; and what it is told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from varprop.comparison import Report

ERROR_RATE = 1e-6  # of an assertion that takes no part in a budget
LARGER = 4  # times the draws, in the call or command that a failure recommends


@dataclass(frozen=True)
class Assertion:
    """One call: its number in the test, the report, the smallest fault seen, why it failed."""

    number: int
    report: "Report"
    seen: float
    seconds: float
    failure: str | None


@dataclass
class RunningTest:
    """A test that is running.

    `seed` of the k-th assertion; `share` bounds the test's false alarms, None where it takes no
    part in a budget; `rerun` is the command that repeats the test on fresh and more networks;
    `settings` gives the defaults of its assertions.
    """

    seed: Callable[[int], int]
    share: float | None
    scale: float
    rerun: str
    settings: Callable[[], dict[str, Any]] = dict
    record: Callable[[Assertion], None] = lambda assertion: None
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def error_rate(self, number: int) -> float:
        """Of the k-th assertion: share/(k(k+1)), whose sum over any number of them is < share."""
        return ERROR_RATE if self.share is None else self.share / (number * (number + 1))


# One process runs one test at a time. A context variable would be missing in the threads that a
# test starts, and stale in an event loop that outlives it.
running: RunningTest | None = None
