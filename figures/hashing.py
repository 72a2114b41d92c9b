"""The hash of data."""

import hashlib

import numpy as np


def data_hash(data: np.ndarray) -> str:
    """The SHA-256 of an array's type, shape and values, for the manifest."""
    data = np.ascontiguousarray(data)
    head = f"{data.dtype.str} {data.shape} ".encode()
    return hashlib.sha256(head + data.tobytes()).hexdigest()
