"""The pytest plugin: seeds, a budget of false alarms, and a summary for `assert_matches_theory`.

    def test_my_network(matches_theory):
        matches_theory(vp.mlp(width=128, depth=20))

The tests that use the fixture `matches_theory` or the marker `varprop` share the session's budget
(--varprop-budget) in proportion to their weights; parametrized tests count one by one. Every worker
of pytest-xdist collects the same tests, so the shares agree. Calls of `assert_matches_theory` in
other tests have the session's seed and scale, and an error rate of 1e-6 beside the budget;
an `error_rate` that a call gives is beside it too. The summary adds up what all were allowed.

The seed of an assertion is made of the session's seed, the id of the test and the number of the
assertion in it, in the order of the calls: in threads, that is the order in which they come.

Imported in every pytest run: only the standard library, pytest and light modules of this package.
"""

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from math import inf, isfinite, isnan
from typing import Any

import pytest

from varprop.testing import assert_matches_theory, runner

MARKER = (
    "varprop(margin=None, false_pass=None, equivalence=None, engine=None, weight=1): defaults of "
    "assert_matches_theory in this test, and its weight in the session's budget of false alarms"
)
SETTINGS = ("margin", "false_pass", "equivalence", "engine")
PREFIX = "varprop"


@dataclass(frozen=True)
class Session:
    """The session's options, and from the end of the collection the share of each test."""

    seed: int
    budget: float
    scale: float
    shares: dict[str, float]


SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("varprop", "theory of variance propagation")
    for name, (default, about, _) in OPTIONS.items():
        group.addoption(f"--varprop-{name}", metavar=name.upper(), help=f"{about} ({default})")
        parser.addini(f"varprop_{name}", f"{about} ({default})", default=default)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    values = {name: _option(config, name) for name in OPTIONS}
    config.stash[SESSION] = Session(**values, shares={})


def _option(config: pytest.Config, name: str) -> Any:
    """From the command line, else the ini file; raises UsageError with the rule."""
    given, source = config.getoption(f"--varprop-{name}"), f"--varprop-{name}"
    if given is None:
        given, source = config.getini(f"varprop_{name}"), f"varprop_{name}"
    _, _, read = OPTIONS[name]
    try:
        return read(str(given))
    except ValueError as rule:
        raise pytest.UsageError(f"{source} must be {rule}, got {given!r}") from None


def _is_given(config: pytest.Config, name: str) -> bool:
    """On the command line, the ini file or by -o, which a command typed later may lack."""
    default, _, _ = OPTIONS[name]
    given = config.getoption(f"--varprop-{name}") is not None
    return given or config.getini(f"varprop_{name}") != default


def _reader(kind: Callable, good: Callable[[Any], bool], rule: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(rule) from None
        if not good(value):
            raise ValueError(rule)
        return value

    return read


OPTIONS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "seed": (
        "0",
        "seed of the session, mixed with each test's id",
        _reader(int, lambda v: v >= 0, "a whole number from 0"),
    ),
    "budget": (
        "1e-3",
        "probability of any false alarm in the session, shared among its tests",
        _reader(float, lambda v: 0 < v < 0.5, "a probability between 0 and 0.5"),
    ),
    "scale": (
        "1",
        "multiplies the draws",
        _reader(float, lambda v: 1 <= v < inf, "a number from 1: fewer draws test too little"),
    ),
}


def pytest_report_header(config: pytest.Config) -> str:
    session = config.stash[SESSION]
    return f"varprop: seed {session.seed}, budget {session.budget:g}, scale {session.scale:g}"


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Share the budget among the tests that are left after every selection."""
    items = getattr(session, "items", [])
    weights = {item.nodeid: _weight(item) for item in items if _takes_part(item)}
    total, own = sum(weights.values()), session.config.stash[SESSION]
    own.shares.update({name: own.budget * w / total for name, w in weights.items()})


def _takes_part(item: pytest.Item) -> bool:
    named = "matches_theory" in getattr(item, "fixturenames", ())
    return named or item.get_closest_marker("varprop") is not None


def _marked(item: pytest.Item) -> dict[str, Any]:
    """The arguments of the markers, the closest first; raises UsageError for unknown ones."""
    found: dict[str, Any] = {}
    for mark in item.iter_markers("varprop"):
        unknown = [*mark.args, *(set(mark.kwargs) - {*SETTINGS, "weight"})]
        if unknown:
            raise pytest.UsageError(
                f"the marker varprop takes {', '.join(SETTINGS)} and weight by name, got "
                f"{unknown[0]!r} at {item.nodeid}"
            )
        given = {name: value for name, value in mark.kwargs.items() if value is not None}
        found = {**given, **found}
    return found


def _weight(item: pytest.Item) -> float:
    weight = _marked(item).get("weight", 1)
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not (number and isfinite(weight) and weight > 0):
        raise pytest.UsageError(
            f"weight must be a positive number, got {weight!r} at {item.nodeid}"
        )
    return weight


@pytest.fixture
def matches_theory() -> Callable[..., Any]:
    """`varprop.testing.assert_matches_theory`, with this test's share of the session's budget."""
    return assert_matches_theory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    before, runner.running = runner.running, _running(item)
    try:
        return (yield)
    finally:
        runner.running = before


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that another plugin runs again has the same seeds again, and so the same answer."""
    assert runner.running is not None  # by pytest_runtest_protocol, around every run
    runner.running.numbers = count(1)


def _running(item: pytest.Item) -> runner.RunningTest:
    session = item.config.stash[SESSION]
    rerun = f"pytest {shlex.quote(_typed(item))} --varprop-seed {session.seed + 1}"
    rerun += f" --varprop-scale {runner.LARGER * session.scale:g}"
    if _is_given(item.config, "budget"):
        rerun += f" --varprop-budget {session.budget!r}"

    def seed(number: int) -> int:
        """32 bits of the session's seed, the test's id and the number of the assertion."""
        text = f"{session.seed}:{item.nodeid}:{number}"
        return int.from_bytes(blake2b(text.encode(), digest_size=4).digest())

    def settings() -> dict[str, Any]:
        """As the markers are now: a fixture or the test may have added one."""
        return {name: value for name, value in _marked(item).items() if name != "weight"}

    def record(assertion: runner.Assertion) -> None:
        item.user_properties.extend(_properties(assertion))

    share = session.shares.get(item.nodeid)
    return runner.RunningTest(seed, share, session.scale, rerun, settings, record)


def _typed(item: pytest.Item) -> str:
    """The test's id as one types it where pytest was started, which need not be its root."""
    path = os.path.relpath(item.path, item.config.invocation_params.dir)
    return "::".join([path, *item.nodeid.split("::")[1:]])


def _properties(assertion: runner.Assertion) -> list[tuple[str, str]]:
    """Of one assertion, as text: they travel to the controller of xdist and into JUnit's XML."""
    report, row = assertion.report, assertion.report.worst
    values = {
        "passed": str(assertion.failure is None),
        "verdict": str(report.verdict),
        "node": row.node,
        "quantity": row.quantity,
        "gap": "not tested" if isnan(row.gap) else f"{row.gap:+.3%}",
        "low": f"{row.low:+.3%}",
        "high": f"{row.high:+.3%}",
        "sees": f"{assertion.seen:.3%}",
        "margin": f"{report.margin:g}",
        "error_rate": f"{report.error_rate:.3g}",
        "draws": str(report.draws),
        "seed": str(report.seed),
        "engine": report.engine,
        "seconds": f"{assertion.seconds:.2f}",
    }
    return [(f"{PREFIX}.{assertion.number}.{name}", text) for name, text in values.items()]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = list(_assertions(terminalreporter.stats))
    if not rows:
        return
    terminalreporter.section("varprop", sep="-")
    if terminalreporter.config.getoption("verbose") >= 0:
        cells = [HEAD, *(_cells(*row) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            terminalreporter.write_line("  ".join(padded).rstrip())
    rate = sum(float(found["error_rate"]) for _, found in rows)
    session = terminalreporter.config.stash[SESSION]
    terminalreporter.write_line(
        f"{len(rows)} assertions, false alarms at most {rate:.2g} in all "
        f"(budget {session.budget:g}), seed {session.seed}"
    )


HEAD = ("test", "verdict", "worst", "gap", "interval", "sees", "draws", "seconds")


def _cells(test: str, found: dict[str, str]) -> tuple[str, ...]:
    verdict = found["verdict"] + ("" if found["passed"] == "True" else ", failed")
    worst, interval = f"{found['node']} {found['quantity']}", f"[{found['low']}, {found['high']}]"
    interval = "" if "nan" in interval else interval
    cells = (verdict, worst, found["gap"], interval, found["sees"], found["draws"])
    return (test, *cells, found["seconds"])


def _assertions(stats: dict[str, list]) -> Any:
    """The tests and properties of all assertions, from the last report of each test."""
    last: dict[str, list] = {}
    for reports in stats.values():
        for report in reports:
            properties = getattr(report, "user_properties", None)
            if properties and len(properties) >= len(last.get(report.nodeid, ())):
                last[report.nodeid] = properties
    for test, properties in last.items():
        grouped: dict[str, dict[str, str]] = {}
        for name, value in properties:
            head, _, rest = str(name).partition(".")
            if head == PREFIX:
                number, _, name = rest.partition(".")
                grouped.setdefault(number, {})[name] = value
        for number, found in grouped.items():
            yield (test if len(grouped) == 1 else f"{test} ({number})"), found
