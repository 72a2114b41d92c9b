"""Memory that the blocks of one thread use again."""

import math
import threading

import torch

from varprop.montecarlo.pages import pages

CHUNK = 16 * 2**20  # bytes that are asked for at once
ALIGN = 64  # bytes

_held = threading.local()


class Workspace:
    """Vectors of a block, carved from chunks of memory that the next block overwrites.

    Fresh memory is paged in by the system at about the cost of filling it with random numbers. One
    workspace serves one thread.
    """

    def __init__(self) -> None:
        self._chunks: list[torch.Tensor] = []
        self._chunk = self._used = 0

    @staticmethod
    def of_thread() -> "Workspace":
        """That of the calling thread; everything taken from it so far may be overwritten."""
        if not hasattr(_held, "workspace"):
            _held.workspace = Workspace()
        _held.workspace._chunk = _held.workspace._used = 0
        return _held.workspace

    def take(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> torch.Tensor:
        """An uninitialised tensor."""
        size = math.prod(shape) * dtype.itemsize
        while self._chunk < len(self._chunks):
            chunk = self._chunks[self._chunk]
            if chunk.device == device and self._used + size <= chunk.numel():
                break
            self._chunk, self._used = self._chunk + 1, 0
        else:
            self._chunks.append(chunk := pages(max(size, CHUNK), device))
        start = self._used
        self._used = -(-(start + size) // ALIGN) * ALIGN
        return chunk[start : start + size].view(dtype).view(shape)
