"""Memory in large pages."""

import mmap

import torch

LEAST = 4 * 2**20  # bytes from which large pages pay


def pages(size: int, device: torch.device) -> torch.Tensor:
    """`size` uninitialised bytes, on the CPU in large pages where the system has them.

    The system hands out small pages one by one, at about the cost of the normals written to them.
    """
    if device.type != "cpu" or size < LEAST or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(size, dtype=torch.uint8, device=device)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.uint8)
