"""How much memory new work can use: what the system has left, and what a container may take."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class _Files(NamedTuple):
    """Where a version of control groups keeps a group's bound, use, and reclaimable file cache."""

    root: str
    bound: str
    used: str
    cache: str


VERSIONS = {  # by the controllers of a line in /proc/self/cgroup
    "memory": _Files(
        "sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
    "": _Files("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
}


def memory_free(top: Path = Path("/")) -> int | None:
    """Bytes that new work can use, where the system says so: the least of all that bound it.

    `top` is the directory that holds `proc` and `sys`.
    """
    system = _available(top)
    rooms = [*_rooms(top), *(() if system is None else (system,))]
    return max(0, min(rooms)) if rooms else None


def _available(top: Path) -> int | None:
    try:
        lines = dict(line.split(":") for line in (top / "proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _rooms(top: Path) -> Iterator[int]:
    """What is left in the control group of this process and in each one that holds it.

    A container sees its own group as the root, whatever path `proc` names.
    """
    try:
        lines = (top / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        files = next((VERSIONS[c] for c in controllers.split(",") if c in VERSIONS), None)
        if files is None:
            continue
        root = top / files.root
        own = root / path.lstrip("/")
        for group in (own, *(p for p in own.parents if p.is_relative_to(root))):
            try:
                bound = (group / files.bound).read_text().strip()
                used = int((group / files.used).read_text())
            except OSError:
                continue
            if bound != "max":
                yield int(bound) - used + _cache(group / "memory.stat", files.cache)


def _cache(stat: Path, name: str) -> int:
    """Bytes of files that the system drops from memory where others need it."""
    try:
        return int(dict(line.split() for line in stat.read_text().splitlines()).get(name, 0))
    except OSError:
        return 0
