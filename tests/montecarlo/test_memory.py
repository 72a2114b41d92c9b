"""Networks that do not fit: the peak of a fresh process stays below the bound asked for.

Every tensor there has a mapping of its own, given back when it is freed: what the allocator of a
process keeps of freed memory comes to several MB, and varies from run to run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

CHILD = textwrap.dedent(
    """
    import json
    import os
    import sys
    import torch
    import varprop as vp

    def peak():  # of this program: ru_maxrss would also count the process that started it
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024

    torch.set_num_threads(1)
    how = {"draws": 2, "seed": 0, "engine": "explicit"}
    for width, depth, memory in json.loads(sys.argv[1]):
        fork = os.fork()  # a peak of its own for each, after one import for all
        if fork == 0:
            vp.simulate(vp.mlp(8, 2, activation="tanh"), **how)  # what torch and varprop take
            network, before = vp.mlp(width, depth, activation="tanh"), peak()
            sample = vp.simulate(network, memory=memory, **how)
            assert float(sample.duality.max()) < 1e-4
            print(peak() - before, flush=True)
            os._exit(0)
        os.waitpid(fork, 0)
    """
)

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def peaks(*cases):
    """Bytes that one block of draws, forward and backward, adds to a process: one for each
    (width, depth, memory)."""
    command = [sys.executable, "-c", CHILD, json.dumps(cases)]
    mapped = os.environ | {"MALLOC_MMAP_THRESHOLD_": "8192"}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=mapped).stdout
    found = list(map(int, said.split()))
    assert len(found) == len(cases), "a case did not reach its end"
    return found


@needs_proc
def test_a_wide_layer_and_a_deep_stack_stay_below_the_bound():
    """Two layers of 16 MB for each network, 8 networks; 200 of 260 kB each."""
    wide, deep, much = 20 * 10**6, 24 * 10**6, 10**9
    cases = [(2000, 1, wide), (2000, 1, much), (256, 200, deep), (256, 200, much)]
    wide_bound, wide_free, deep_bound, deep_free = peaks(*cases)
    assert wide_bound < wide < wide_free
    assert deep_bound < deep < deep_free


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(("width", "depth"), [(30_000, 1), (64, 10_000)])
def test_what_memory_could_never_hold_runs(width, depth):
    memory = 400 * 10**6
    (found,) = peaks((width, depth, memory))
    assert found < memory
