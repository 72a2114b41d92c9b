"""Networks that do not fit: the peak of a fresh process stays below the bound asked for."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

CHILD = textwrap.dedent(
    """
    import sys
    import torch
    import varprop as vp

    def peak():  # of this program: ru_maxrss would also count the process that started it
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024

    torch.set_num_threads(1)
    width, depth, memory = map(int, sys.argv[1:])
    how = {"draws": 2, "seed": 0, "engine": "explicit"}
    vp.simulate(vp.mlp(8, 2, activation="tanh"), **how)  # what torch and varprop take themselves
    network, before = vp.mlp(width, depth, activation="tanh"), peak()
    sample = vp.simulate(network, memory=memory, **how)
    assert float(sample.duality.max()) < 1e-4
    print(peak() - before)
    """
)

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def peak(width, depth, memory):
    """Bytes that one block of draws, forward and backward, adds to a process."""
    command = [sys.executable, "-c", CHILD, *map(str, (width, depth, memory))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@needs_proc
def test_a_wide_layer_and_a_deep_stack_stay_below_the_bound():
    """Two layers of 36 MB for each network, 8 networks; 200 of 260 kB each."""
    wide = 40 * 10**6
    assert peak(3000, 1, wide) < wide < peak(3000, 1, 10**9)
    deep = 24 * 10**6
    assert peak(256, 200, deep) < deep < peak(256, 200, 10**9)


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(("width", "depth"), [(30_000, 1), (64, 10_000)])
def test_what_memory_could_never_hold_runs(width, depth):
    memory = 400 * 10**6
    assert peak(width, depth, memory) < memory
