"""What a container may still take bounds what is free."""

from __future__ import annotations

import os
import sys

import pytest

from varprop.montecarlo.memory import memory_free

MB = 10**6
SYSTEM = "MemTotal:  16000000 kB\nMemAvailable:  8000000 kB\n"
SPARE = 8_000_000 * 1024  # of the system


def written(top, files):
    for name, text in {"proc/meminfo": SYSTEM, **files}.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))
    return top


def version_two(group, bound, used, cache=0):
    at = f"sys/fs/cgroup/{group}".rstrip("/")
    return {
        f"{at}/memory.max": f"{bound}\n",
        f"{at}/memory.current": f"{used}\n",
        f"{at}/memory.stat": f"anon 1\ninactive_file {cache}\n",
    }


def version_one(group, bound, used, cache=0):
    at = f"sys/fs/cgroup/memory/{group}".rstrip("/")
    return {
        f"{at}/memory.limit_in_bytes": f"{bound}\n",
        f"{at}/memory.usage_in_bytes": f"{used}\n",
        f"{at}/memory.stat": f"inactive_file 7\ntotal_inactive_file {cache}\n",
    }


TWO, ONE = {"proc/self/cgroup": "0::/a/b\n"}, {"proc/self/cgroup": "5:cpu:/x\n4:memory:/a\n0::/\n"}
CASES = {  # files, bytes free
    "no groups": ({}, SPARE),
    "groups without bounds": ({**TWO, **version_two("a/b", "max", 3 * MB)}, SPARE),
    "version 2": ({**TWO, **version_two("a/b", 100 * MB, 30 * MB)}, 70 * MB),
    "files in memory can go": ({**TWO, **version_two("a/b", 100 * MB, 30 * MB, 20 * MB)}, 90 * MB),
    "a group above": (
        {**TWO, **version_two("a/b", "max", MB), **version_two("a", 50 * MB, 40 * MB)},
        10 * MB,
    ),
    "a container that sees its group as the root": (
        {**TWO, **version_two("", 60 * MB, 40 * MB)},
        20 * MB,
    ),
    "full": ({**TWO, **version_two("a/b", 10 * MB, 11 * MB)}, 0),
    "version 1": ({**ONE, **version_one("a", 100 * MB, 60 * MB, 5 * MB)}, 45 * MB),
    "version 1 without a bound": ({**ONE, **version_one("a", 2**63 - 4096, MB)}, SPARE),
    "version 1, a group above": (
        {**ONE, **version_one("a", 2**63 - 4096, MB), **version_one("", 9 * MB, MB)},
        8 * MB,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_least_bound_counts(case, tmp_path):
    files, free = CASES[case]
    assert memory_free(written(tmp_path, files)) == free


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_reads_this_system():
    free, total = memory_free(), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert free is not None and 0 < free < total
