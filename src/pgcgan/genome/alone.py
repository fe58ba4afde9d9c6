"""One task at a time, on one thread: what is fitted or drawn is the same wherever that is done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..generators.model import threads

_ONE_AT_A_TIME = threading.Lock()  # random state and number of threads belong to the process


@contextmanager
def alone() -> Iterator[None]:
    """Let a task have this process for itself."""
    with _ONE_AT_A_TIME, threads(1):
        yield
