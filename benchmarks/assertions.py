"""What a user's suite of thirty assertions costs, in one process and on two workers."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.timing import Benchmark

SUITE = Path(__file__).with_name("suite_of_assertions.py")
GOAL = "<= 60"
CASES = {"one process": (), "two workers": ("-p", "xdist.plugin", "-n", "2")}
PLUGIN = "varprop.pytest_plugin"


def measure(quick: bool) -> Benchmark:
    """The whole run of pytest: start, imports, draws, verdicts. Raises where a test fails."""
    chosen = ("-k", "relu-1.0-0.0") if quick else ()
    rows = [run(case, (*options, *chosen)) for case, options in CASES.items()]
    return {
        "about": "seconds of a suite of 30 assertions on MLPs of depth 20, width 128",
        "rows": rows,
        "ratios": {
            f"{r['case']}, wall seconds": {"value": r["wall_s"], "goal": GOAL} for r in rows
        },
        "notes": [],
    }


def run(case: str, options: tuple[str, ...]) -> dict[str, object]:
    root = SUITE.parent.parent
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    alone = ["-c", os.devnull, "-p", PLUGIN, "-p", "no:cacheprovider"]  # no settings of this suite
    command = [sys.executable, "-m", "pytest", "-q", *alone]
    start, before = time.perf_counter(), _children()
    done = subprocess.run(
        [*command, *options, str(SUITE)], cwd=root, env=environment, capture_output=True, text=True
    )
    wall, cpu = time.perf_counter() - start, _children() - before
    if done.returncode:
        raise RuntimeError(f"the suite failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    passed = next(line for line in reversed(done.stdout.splitlines()) if "passed" in line)
    return {"case": case, "wall_s": wall, "cpu_s": cpu, "result": passed.strip(" =")}


def _children() -> float:
    """CPU seconds of finished child processes, and theirs."""
    times = os.times()
    return times.children_user + times.children_system
