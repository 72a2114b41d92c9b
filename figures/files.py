"""Files that are whole or absent, and the hash of data."""

import hashlib
import os
from pathlib import Path

import numpy as np


def write_whole(path: Path, content: bytes) -> None:
    """Write the file in one step: a reader, or a process killed meanwhile, never meets half."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def data_hash(data: np.ndarray) -> str:
    """The SHA-256 of an array's type, shape and values, for the manifest."""
    data = np.ascontiguousarray(data)
    head = f"{data.dtype.str} {data.shape} ".encode()
    return hashlib.sha256(head + data.tobytes()).hexdigest()
