"""One thread at a time: what is fitted or drawn is the same, whatever machine does it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

_LOCK = threading.RLock()  # the number of threads belongs to the process


@contextmanager
def single_thread() -> Iterator[None]:
    """Let the numerical libraries use one thread, and no other task of this process compute meanwhile.

    Sums of floating-point numbers depend on the number of threads that add them up. On one thread the same seed gives
    the same bytes on any number of cores.
    """
    with _LOCK, threadpool_limits(1):
        yield
