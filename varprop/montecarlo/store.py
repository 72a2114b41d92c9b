"""The store: finished units on disk, so that a killed run loses nothing.

    PATH/<key>/experiment.json      what the draws are of, to read
    PATH/<key>/000000-000008.npz    blocks 0 to 7: arrays by field, nodes first, then draws

The key is a hash of everything that the numbers depend on, the code of varprop among it: another
version draws anew, in another folder. A file appears whole or not at all (a
temporary file, synced, then renamed), holds its own checksum, and is the same whoever writes it:
any number of runs may share a store.
"""

import hashlib
import io
import json
import os
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from varprop.montecarlo.describe import describe, digest
from varprop.montecarlo.task import Packed, Task

HEX = 64  # characters of a SHA-256, which end the file as the comment of its zip archive
PART, STALE = ".part", 24 * 3600.0  # unfinished files; those older than this are removed
ABOUT = "about"
HOME = Path(__file__).parents[1]
CODE = ("activations", "gaussian", "initializers", "laws", "layers", "montecarlo")
FILES = ("moments.py", "network.py")  # and these: the code that the numbers depend on


@dataclass(frozen=True)
class Folder:
    """The place of one experiment in the store `root`."""

    root: Path
    key: str

    @property
    def path(self) -> Path:
        return self.root / self.key[:32]

    @staticmethod
    def of(root: "str | os.PathLike[str]", task: Task) -> "Folder":
        """The task's folder, made where it is not yet there.

        Raises ValueError where something else is in its place.
        """
        if not isinstance(root, str | os.PathLike):
            raise ValueError(f"store must be the path of a directory, got {root!r}; name one")
        about = experiment(task)
        folder = Folder(Path(root), digest(about))
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            above = (folder.path, *folder.path.parents)
            taken = next((p for p in above if p.exists() and not p.is_dir()), folder.root)
            raise ValueError(
                f"a store is a directory, and {taken} is a file; name another"
            ) from error
        text = json.dumps(about | {"key": folder.key}, indent=1, sort_keys=True) + "\n"
        readable = folder.path / "experiment.json"
        if not readable.exists():
            replace_file(readable, text.encode())
        elif not readable.is_file() or readable.read_bytes() != text.encode():
            raise ValueError(
                f"{readable} does not describe the experiment whose folder it is in; "
                f"remove {folder.path} or use another store"
            )
        for part in folder.path.glob(f"*{PART}"):
            _remove_if_stale(part)
        return folder

    def file(self, blocks: range) -> Path:
        return self.path / f"{blocks.start:06}-{blocks.stop:06}.npz"

    def write(self, blocks: range, packed: Packed) -> None:
        body = io.BytesIO()
        np.savez(body, allow_pickle=False, **{ABOUT: np.array(self._about(blocks))}, **packed)
        # an archive ends with the length of its comment, then the comment
        data = body.getvalue()[:-2] + HEX.to_bytes(2, "little")
        replace_file(self.file(blocks), data + hashlib.sha256(data).hexdigest().encode())

    def read(self, blocks: range) -> Packed | None:
        """The measurements of the blocks, or None where they are not kept.

        Raises ValueError, with the file, where it is corrupt or of another experiment.
        """
        file = self.file(blocks)
        if file.is_dir():
            raise ValueError(
                f"{file} is a directory, where a file of draws belongs; "
                "remove it, and the same call draws its networks again"
            )
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(data[:-HEX]).hexdigest().encode() != data[-HEX:]:
            raise ValueError(
                f"{file} is corrupt: its checksum does not match its content; "
                "remove it, and the same call draws its networks again"
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            if ABOUT not in arrays or str(arrays[ABOUT]) != self._about(blocks):
                raise ValueError(
                    f"{file} is foreign: it holds other blocks or another experiment; "
                    "remove it, and the same call draws its networks again"
                )
            return {name: arrays[name] for name in arrays.files if name != ABOUT}

    def _about(self, blocks: range) -> str:
        return f"varprop {self.key} blocks {blocks.start} to {blocks.stop}"


def experiment(task: Task) -> dict[str, Any]:
    """What the numbers of a task depend on, readable."""
    return {
        "format": "varprop experiment",
        "code": code_hash(),
        "torch": torch.__version__.partition("+")[0],
        "network": describe(task.network),
        "inputs": describe(task.inputs),
        "seed": task.seed,
        "engine": task.engine,
        "dtype": task.dtype,
        "device": torch.device(task.device).type,
        "track_scale": task.track_scale,
        "backward": task.backward,
        "block": task.block,
        "unit_sizes": list(task.unit_sizes),
    }


@cache
def code_hash(home: Path = HOME) -> str:
    """The SHA-256 of the sources that the numbers depend on, in the order of their paths."""
    files = [home / name for name in FILES]
    files += [file for folder in CODE for file in (home / folder).rglob("*.py")]
    found = {
        file.relative_to(home).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }
    return digest(found)


def replace_file(path: Path, data: bytes) -> None:
    """Write the whole file or nothing, whatever happens."""
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=PART, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make a rename last through a loss of power, where directories can be synced."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_if_stale(part: Path) -> None:
    try:
        if time.time() - part.stat().st_mtime > STALE:
            part.unlink()
    except FileNotFoundError:  # another run finished it
        pass
