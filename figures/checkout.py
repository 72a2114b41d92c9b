"""Which code made a result: the state of the git checkout that it ran from."""

import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def state(root: Path = ROOT) -> "dict[str, Any] | str":
    """The commit and whether files differ from it; in words where `root` is no checkout of its own.

    `changed` counts files of another content than the commit's and files that it does not have,
    except those that git ignores.
    """
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
        if Path(top.strip()).resolve() != root.resolve():  # a copy inside another project
            return "not a checkout"
        commit = _git(root, "rev-parse", "HEAD").strip()
        changed = _git(root, "status", "--porcelain").splitlines()
    except FileNotFoundError:
        return "unknown: git is not installed"
    except subprocess.CalledProcessError:
        return "not a checkout"
    return {"commit": commit, "dirty": bool(changed), "changed": len(changed)}


def told(state: object) -> str:
    """The same for a line of text."""
    if not isinstance(state, dict):
        return str(state or "unknown code")
    return f"{state['commit'][:12]}{', changed' if state['dirty'] else ''}"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
