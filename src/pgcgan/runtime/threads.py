"""Threads: what is fitted or drawn is the same, whatever machine does it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

A = TypeVar("A")
B = TypeVar("B")

_LOCK = threading.RLock()  # the number of threads belongs to the process


@contextmanager
def single_thread() -> Iterator[None]:
    """Let the numerical libraries use one thread, and no other task of this process compute meanwhile.

    Sums of floating-point numbers depend on the number of threads that add them up. On one thread the same seed gives
    the same bytes on any number of cores.
    """
    with _LOCK, threadpool_limits(1):
        yield


def in_threads(function: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """Return what a function returns for each item; independent pieces of work, on as many cores as there are.

    Each piece computes on one thread, so that the results do not depend on the number of cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(function, items))
