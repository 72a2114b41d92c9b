"""Memory that the blocks of one thread use again."""

import math
import threading

import torch

_held = threading.local()


class Workspace:
    """Vectors of a block, carved from tensors that the next block overwrites.

    Fresh memory is paged in by the system at about the cost of filling it with random numbers. One
    workspace serves one thread.
    """

    def __init__(self) -> None:
        self._kept: list[torch.Tensor] = []
        self._next = 0

    @staticmethod
    def of_thread() -> "Workspace":
        """That of the calling thread; everything taken from it so far may be overwritten."""
        if not hasattr(_held, "workspace"):
            _held.workspace = Workspace()
        _held.workspace._next = 0
        return _held.workspace

    def take(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> torch.Tensor:
        """An uninitialised tensor."""
        count, place = math.prod(shape), self._next
        self._next += 1
        if place < len(self._kept):
            old = self._kept[place]
            if old.numel() >= count and old.dtype == dtype and old.device == device:
                return old[:count].view(shape)
            self._kept[place] = torch.empty(count, dtype=dtype, device=device)
        else:
            self._kept.append(torch.empty(count, dtype=dtype, device=device))
        return self._kept[place].view(shape)
