"""The suite of assertions runs as a user's would: under no settings of this one."""

from benchmarks.assertions import run


def test_a_suite_of_assertions_passes():
    row = run("one process", ("-k", "relu-1.0-0.0"))
    assert str(row["result"]).startswith("4 passed, 26 deselected")
