"""The pytest plugin, in test sessions of its own."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from fractions import Fraction
from xml.etree import ElementTree

import pytest

import varprop as vp
from varprop.testing import assert_matches_theory, runner

pytest_plugins = ["pytester"]

PLUGIN = (
    "-p",
    "varprop.pytest_plugin",
    "-p",
    "no:cacheprovider",
    "-W",
    "error",
    "--strict-markers",
)

SHARES = """
    import pytest
    from varprop.testing import assert_matches_theory, runner

    def note(record_property):
        test = runner.running
        record_property("share", None if test.share is None else repr(test.share))
        record_property("seeds", [test.seed(1), test.seed(2)])

    def test_fixture(matches_theory, record_property):
        assert matches_theory is assert_matches_theory
        note(record_property)

    @pytest.mark.varprop(weight=3)
    @pytest.mark.parametrize("k", [1, 2])
    def test_marked(k, record_property):
        note(record_property)

    class TestClass:
        @pytest.fixture
        def through(self, matches_theory):
            return matches_theory

        def test_through_a_fixture(self, through, record_property):
            note(record_property)

    def test_bare(record_property):
        note(record_property)
"""


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """What inner sessions import for the first time, pytester unloads after them."""
    before, runner.running = runner.running, None
    for engine in ("explicit", "conditional"):
        assert_matches_theory(vp.mlp(8, 1), margin=0.4, engine=engine)
    runner.running = before


@pytest.fixture
def inner(pytester, monkeypatch):
    """Runs the tests of a text in this process with this plugin only."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(text, *args):
        pytester.makepyfile(text)
        return pytester.inline_run(*PLUGIN, *args), pytester

    return run


def noted(run) -> dict[str, dict]:
    reports = run.getreports("pytest_runtest_logreport")
    return {
        r.nodeid.partition("::")[2]: dict(r.user_properties) for r in reports if r.when == "call"
    }


# -- the budget -------------------------------------------------------------------------------


def shares(run) -> dict[str, float | None]:
    return {
        name: None if found["share"] is None else float(found["share"])
        for name, found in noted(run).items()
    }


def test_no_test_runs_after_a_session(inner):
    before = runner.running
    inner("def test_it(): pass")
    assert runner.running is before


def test_the_budget_is_shared_by_weight_among_the_tests_that_take_part(inner):
    run, _ = inner(SHARES, "--varprop-budget", "0.01")
    found = shares(run)
    assert found.pop("test_bare") is None
    unit = 0.01 / (1 + 3 + 3 + 1)
    expected = {
        "test_fixture": unit,
        "test_marked[1]": 3 * unit,
        "test_marked[2]": 3 * unit,
        "TestClass::test_through_a_fixture": unit,
    }
    assert found == pytest.approx(expected)
    assert sum(map(Fraction, found.values())) <= Fraction(0.01) * (1 + Fraction(1, 10**12))


def test_tests_that_are_not_selected_take_no_share(inner):
    run, _ = inner(SHARES, "-k", "fixture")
    assert shares(run) == pytest.approx(
        {"test_fixture": 5e-4, "TestClass::test_through_a_fixture": 5e-4}
    )


def test_options_stand_in_the_ini_file_too_and_the_command_line_wins(inner, pytester):
    pytester.makeini("[pytest]\nvarprop_budget = 0.04\nvarprop_seed = 7\n")
    run, _ = inner(SHARES)
    assert shares(run)["test_fixture"] == pytest.approx(0.04 / 8)
    seven = noted(run)["test_bare"]["seeds"]
    run, _ = inner(SHARES, "--varprop-budget", "0.08", "--varprop-seed", "8")
    assert shares(run)["test_fixture"] == pytest.approx(0.08 / 8)
    assert noted(run)["test_bare"]["seeds"] != seven


def test_the_closest_marker_wins_and_an_argument_over_it(inner):
    text = """
        import pytest
        import varprop as vp
        from varprop.testing import assert_matches_theory, runner

        pytestmark = pytest.mark.varprop(margin=0.4, false_pass=0.01)

        @pytest.mark.varprop(margin=0.3)
        def test_it():
            assert runner.running.settings() == {"margin": 0.3, "false_pass": 0.01}
            assert assert_matches_theory(vp.mlp(8, 1)).margin == 0.3
            assert assert_matches_theory(vp.mlp(8, 1), margin=0.45).margin == 0.45
    """
    run, _ = inner(text)
    run.assertoutcome(passed=1)


def test_a_marker_that_a_fixture_or_the_test_adds_counts(inner):
    text = """
        import pytest
        import varprop as vp

        @pytest.fixture
        def rough(request):
            request.node.add_marker(pytest.mark.varprop(margin=0.4))

        def test_by_a_fixture(rough, matches_theory):
            assert matches_theory(vp.mlp(8, 1)).margin == 0.4

        def test_by_the_test(request, matches_theory):
            request.applymarker(pytest.mark.varprop(margin=0.4))
            assert matches_theory(vp.mlp(8, 1)).margin == 0.4
    """
    run, _ = inner(text)
    run.assertoutcome(passed=2)


def test_none_in_a_marker_leaves_the_default(inner):
    text = """
        import pytest
        from varprop.testing import runner

        pytestmark = pytest.mark.varprop(margin=0.4, weight=2)

        @pytest.mark.varprop(margin=None, false_pass=None, weight=None)
        def test_it():
            assert runner.running.settings() == {"margin": 0.4}
    """
    run, _ = inner(text)
    run.assertoutcome(passed=1)


# -- seeds ------------------------------------------------------------------------------------


def seeds(run) -> dict[str, list[int]]:
    return {name: found["seeds"] for name, found in noted(run).items()}


def test_every_assertion_has_its_own_seed_from_the_test_id_and_the_session(inner):
    first, again = (seeds(inner(SHARES)[0]) for _ in range(2))
    alone = seeds(inner(SHARES, "-k", "bare")[0])
    fresh = seeds(inner(SHARES, "--varprop-seed", "1")[0])
    assert first == again
    assert alone["test_bare"] == first["test_bare"]
    everything = [s for found in (first, fresh) for pair in found.values() for s in pair]
    assert len(set(everything)) == len(everything) == 20
    assert all(0 <= s < 2**32 for s in everything)


AGAIN = """
    from _pytest.runner import runtestprotocol

    def pytest_runtest_protocol(item):
        for _ in range(2):
            item._initrequest()
            runtestprotocol(item)
        return True
"""


def test_a_test_that_is_run_again_has_the_same_seeds(inner):
    _, pytester = inner("")
    pytester.makeconftest(AGAIN)
    pytester.makepyfile(
        """
        from varprop.testing import runner

        def test_it():
            test = runner.running
            with open("seeds", "a") as file:
                print(test.seed(next(test.numbers)), file=file)
        """
    )
    pytester.inline_run(*PLUGIN)
    first, second = (pytester.path / "seeds").read_text().split()
    assert first == second


# -- what a user sees -------------------------------------------------------------------------

WRONG = """
    import pytest
    import varprop as vp
    from varprop.testing import assert_matches_theory

    right = vp.mlp(16, 3)
    twice = vp.mlp(16, 3, weights=vp.init.normal(variance=2.8 / 16))  # should be 2 / n

    @pytest.fixture
    def wrong(monkeypatch):
        plain = vp.predict
        monkeypatch.setattr(vp, "predict", lambda net, inputs=None: plain(right, inputs))

    @pytest.mark.varprop(margin=0.3)
    def test_right(matches_theory):
        matches_theory(right)
        assert_matches_theory(right, margin=0.4)

    @pytest.mark.varprop(margin=0.3)
    def test_wrong_gain(wrong):
        assert_matches_theory(twice)

    def test_untested(matches_theory):
        matches_theory(vp.mlp(8, 1, weights=vp.init.zeros()), margin=0.4)
"""


def test_a_wrong_theory_fails_with_what_it_takes_to_judge_and_repeat_it(inner):
    _, pytester = inner("")
    pytester.makepyfile(WRONG)
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(passed=1, failed=2)
    out = result.stdout
    out.fnmatch_lines(["varprop: seed 0, budget 0.001, scale 1"])
    out.fnmatch_lines(
        [
            "*test_wrong_gain*",
            ">       assert_matches_theory(twice)",
            "E       AssertionError: the theory is REFUTED",
            "E         *_* *second_moment: effect +*% in [[]+*%, +*%] (* test)",
            "E       * draws (conditional engine), seed *, margin 0.3, error rate 0.000167, *",
            "E       fresh and larger: pytest *::test_wrong_gain --varprop-seed 1 --varprop-sc* 4",
        ]
    )
    out.fnmatch_lines(["E       AssertionError: some steps could not be tested"])
    out.no_fnmatch_line("*varprop/testing.py*")
    # the command runs: the same test alone, of other and four times as many networks
    command = re.search(r"fresh and larger: (pytest .*test_wrong_gain.*)", out.str())
    assert command is not None
    again = pytester.runpytest_inprocess(*PLUGIN, *shlex.split(command[1])[1:])
    again.assert_outcomes(failed=1)
    found = [re.search(r"E +(\d+) draws .* seed (\d+)", str(r.stdout)) for r in (result, again)]
    assert all(found)
    one, two = ([int(v) for v in match.groups()] for match in found if match)
    assert two[0] > 3 * one[0] and two[1] != one[1]


BUDGETS = {
    "none": ((), "", ()),
    "option": (("--varprop-budget", "4e-4"), "", ("--varprop-budget", "0.0004")),
    "the default over the file": (
        ("--varprop-budget", "1e-3"),
        "varprop_budget = 0.01",
        ("--varprop-budget", "0.001"),
    ),
    "-o": (("-o", "varprop_budget=0.02"), "", ("--varprop-budget", "0.02")),
}


@pytest.mark.parametrize("case", BUDGETS)
def test_the_command_has_the_budget_and_fails_again_by_it(case, inner):
    """Of one assertion the error rate is half of the test's share: here of the whole budget."""
    given, file, told = BUDGETS[case]
    _, pytester = inner("")
    pytester.makeini(f"[pytest]\n{file}")
    pytester.makepyfile(WRONG)
    result = pytester.runpytest_inprocess(*PLUGIN, *given, "-k", "wrong_gain")
    result.assert_outcomes(failed=1)
    command = re.search(r"fresh and larger: (pytest .*test_wrong_gain.*)", result.stdout.str())
    assert command is not None
    words = shlex.split(command[1])[1:]
    assert tuple(words[words.index("--varprop-scale") + 2 :]) == told
    again = pytester.runpytest_inprocess(*PLUGIN, *words)
    again.assert_outcomes(failed=1)
    rates = [re.search(r"error rate (\S+),", str(r.stdout)) for r in (result, again)]
    assert len({match[1] for match in rates if match}) == 1 and all(rates)


def test_the_command_holds_where_pytest_was_started(inner, monkeypatch):
    _, pytester = inner("")
    pytester.makeini("[pytest]")
    below = pytester.mkdir("a folder")
    (below / "test_here.py").write_text(
        "import pytest\nfrom varprop.testing import runner\n\n"
        "@pytest.mark.parametrize('text', ['a::b c'])\n"
        "def test_it(text, record_property):\n    record_property('rerun', runner.running.rerun)\n"
    )
    for start, path in ((pytester.path, "a folder/test_here.py"), (below, "test_here.py")):
        monkeypatch.chdir(start)
        (found,) = noted(pytester.inline_run(*PLUGIN, f"--rootdir={pytester.path}", path)).values()
        options = [f"{path}::test_it[a::b c]", "--varprop-seed", "1", "--varprop-scale", "4"]
        assert shlex.split(found["rerun"]) == ["pytest", *options]
        assert noted(pytester.inline_run(*PLUGIN, f"--rootdir={pytester.path}", *options))


def test_the_summary_has_a_row_for_each_assertion_and_their_false_alarms(inner):
    _, pytester = inner("")
    pytester.makepyfile(WRONG)
    out = pytester.runpytest_inprocess(*PLUGIN, "-k", "right or untested").stdout
    out.fnmatch_lines(
        [
            "*- varprop -*",
            "test *verdict *worst *gap *interval *sees *draws *seconds",
            "*::test_right (1) *ED *_* *% *[[]*%, *%] *% *",
            "*::test_right (2) *ED *",
            "*::test_untested *UNDECIDED, failed *not tested*",
            "3 assertions, false alarms at most 0.00058 in all (budget 0.001), seed 0",
        ]
    )
    quiet = pytester.runpytest_inprocess(*PLUGIN, "-q", "-k", "right").stdout
    quiet.no_fnmatch_line("*test_right (1)*")
    quiet.fnmatch_lines(["2 assertions, false alarms at most *"])


def test_a_session_without_assertions_has_no_summary(inner):
    _, pytester = inner("")
    pytester.makepyfile("def test_nothing(): pass")
    pytester.runpytest_inprocess(*PLUGIN).stdout.no_fnmatch_line("*false alarms*")


# a report as assertions give it, without the cost of making one
TOLD = """
    import pytest
    from types import SimpleNamespace
    from varprop.testing import runner

    ROW = SimpleNamespace(node="relu_1", quantity="mean", gap=0.01, low=-0.02, high=0.03)

    @pytest.mark.varprop
    @pytest.mark.parametrize("k", range(4))
    def test_told(k):
        test = runner.running
        report = SimpleNamespace(
            worst=ROW, verdict="CONFIRMED", margin=0.05, error_rate=test.share, draws=k,
            seed=test.seed(1), engine="explicit",
        )
        test.record(runner.Assertion(1, report, 0.049, 0.5, None))
"""


def test_workers_of_xdist_agree_on_the_shares_and_report_to_junit(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(TOLD)
    args = (*PLUGIN, "-p", "xdist.plugin", "-n", "2", "--junitxml", "out.xml")
    result = pytester.runpytest_subprocess(*args)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["4 assertions, false alarms at most 0.001 in all*"])
    cases = ElementTree.parse(pytester.path / "out.xml").iter("testcase")
    found = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in cases
    }
    assert {p["varprop.1.error_rate"] for p in found.values()} == {"0.00025"}
    assert {p["varprop.1.gap"] for p in found.values()} == {"+1.000%"}
    assert [found[f"test_told[{k}]"]["varprop.1.draws"] for k in range(4)] == ["0", "1", "2", "3"]
    assert len({p["varprop.1.seed"] for p in found.values()}) == 4


def test_unittest_cases_take_part_by_the_marker(inner):
    text = """
        import unittest
        import pytest
        from varprop.testing import runner

        @pytest.mark.varprop
        class TestCase(unittest.TestCase):
            def test_one(self):
                assert runner.running.share == 1e-3
    """
    run, _ = inner(text)
    assert run.listoutcomes()[0] and not run.listoutcomes()[2]


# -- mistakes ---------------------------------------------------------------------------------

MISTAKES = {
    "seed": (("--varprop-seed", "-1"), "--varprop-seed must be a whole number from 0, got '-1'"),
    "budget": (("--varprop-budget", "1"), "--varprop-budget must be a probability between 0 and"),
    "scale": (("--varprop-scale", "0.1"), "--varprop-scale must be a number from 1: fewer draws"),
    "text": (("--varprop-scale", "big"), "--varprop-scale must be a number from 1: fewer draws"),
    "ini": (("-o", "varprop_seed=x"), "varprop_seed must be a whole number from 0, got 'x'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_bad_option_is_a_usage_error_with_the_rule(inner, name):
    args, message = MISTAKES[name]
    _, pytester = inner("")
    result = pytester.runpytest_inprocess(*PLUGIN, *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


@pytest.mark.parametrize(
    "mark, message",
    [
        ("0.1", "the marker varprop takes margin, * and weight by name, got 0.1 at *::test_it"),
        ("tolerance=1", "the marker varprop takes margin, * and weight by name, got 'tolerance'*"),
        ("weight=0", "*weight must be a positive number, got 0 at *::test_it"),
        ("weight=True", "*weight must be a positive number, got True at *::test_it"),
    ],
)
def test_a_bad_marker_is_a_usage_error_that_names_the_test(inner, mark, message):
    _, pytester = inner("")
    pytester.makepyfile(f"import pytest\n@pytest.mark.varprop({mark})\ndef test_it(): pass")
    result = pytester.runpytest_inprocess(*PLUGIN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}"])


def test_a_run_that_does_not_use_the_plugin_loads_nothing_heavy():
    code = "import sys, varprop.pytest_plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numpy", "scipy", "sympy", "torch", "pandas", "rich", "statsmodels"}
    ours = {name for name in done.stdout.split() if name.partition(".")[0] == "varprop"}
    assert {name.split(".")[1] for name in ours - {"varprop"}} == {"testing", "pytest_plugin"}
