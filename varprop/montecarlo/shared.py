"""Settings of torch that hold for the whole process, entered once for all threads."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch.autograd import forward_ad


class Shared:
    """A context that the first thread enters and the last one leaves.

    torch has one level of forward-mode differentiation and one TF32 switch in a process: a thread
    that left on its own would take it from the others.
    """

    def __init__(self, make: Callable[[], AbstractContextManager]) -> None:
        self._make, self._lock, self._inside = make, threading.Lock(), 0
        self._stack = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._stack.enter_context(self._make())
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._stack.close()


@cache
def load_forward_mode() -> None:
    """The first dual tensor of a process loads rules by a way that torch itself deprecates."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.ones(1))


@contextmanager
def _forward_mode() -> Iterator[None]:
    load_forward_mode()
    with forward_ad.dual_level():
        yield


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products of float32 in float32: no TF32, no bfloat16."""
    backends: Any = torch.backends  # whose annotations lack mkldnn's
    products = backends.cuda.matmul, backends.mkldnn.matmul
    before = [kind.fp32_precision for kind in products]
    for kind in products:
        kind.fp32_precision = "ieee"
    try:
        yield
    finally:
        for kind, precision in zip(products, before, strict=True):
            kind.fp32_precision = precision


@contextmanager
def own_numbers(device: torch.device) -> Iterator[None]:
    """Without the caller's autocast, inference mode and gradients, which hold for its thread.

    They would make numbers depend on the thread that computes them.
    """
    with torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield


forward_mode = Shared(_forward_mode)
full_precision = Shared(_full_precision)
