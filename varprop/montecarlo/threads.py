"""One intra-op thread for each unit of work, and the caller's number of threads given back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_inside: list[int] = []  # of each run that is under way, the number of threads to give back


@contextmanager
def one_thread_each() -> Iterator[None]:
    """While inside, threads that start compute on one intra-op thread.

    torch keeps a number for each thread, from which a new thread takes the last one set by any: a
    pool thread that sets its own would change those of the caller's later threads for good.
    """
    with _lock:
        found = torch.get_num_threads()
        own = _inside[0] if found == 1 and _inside else found
        _inside.append(own)
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside.remove(own)
            torch.set_num_threads(own)
            if _inside:  # others still run: the threads that they start take the last number set
                setter = threading.Thread(target=torch.set_num_threads, args=(1,))
                setter.start()
                setter.join()
