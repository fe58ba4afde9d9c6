"""Where tasks are done: in this process, in several, or on a Dask cluster.

All that is asked of an executor is `submit(function, *arguments)`, which returns something with `result()`.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, Protocol

from ..errors import MissingExtra, PgcganError, UsageError

ACCEPTED = "serial, processes, processes:N, dask://HOST:PORT"
_LOSSES = 3  # times that worker processes may die before it is no accident
_CONNECTING = 10  # seconds
_RESUME = "run the same command with --resume"


class Executor(Protocol):
    """What runs tasks, somewhere, in any order: any of `concurrent.futures`, or a client of Dask."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Have a task done; `result()` of what is returned waits for it, and returns or raises what it does."""


@contextmanager
def executor(name: str) -> Iterator[Executor]:
    """Yield the executor of a name, and put it away afterwards.

    Parameters
    ----------
    name : str
        `serial`: here, one after the other. `processes` or `processes:N`: as many processes of this machine as it has
        processors, or N. `dask://HOST:PORT`: the workers of this Dask scheduler, which must see the same files.

    Raises
    ------
    UsageError
        If the name is none of these, or no scheduler answers.
    MissingExtra
        If `distributed` is not installed.
    """
    if name == "serial":
        yield Serial()
    elif match := re.fullmatch(r"processes(?::([1-9][0-9]*))?", name):
        with closing(Processes(int(match[1] or len(os.sched_getaffinity(0))))) as processes:
            yield processes
    elif match := re.fullmatch(r"dask://(.+:[0-9]+)", name):
        with _dask(match[1]) as client:
            yield client
    else:
        raise UsageError(f"Unknown executor {name!r}; accepted: {ACCEPTED}.")


class Serial:
    """Tasks are done here, each when its result is first asked for."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Keep the task."""
        return SimpleNamespace(result=cache(partial(function, *arguments)))


class Processes:
    """Tasks are done by processes of this machine; those of a process that died are done again."""

    def __init__(self, count: int):
        self._count, self._left = count, _LOSSES
        self._tasks: list[_Task] = []
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        # not forked: the threads of torch and of its libraries do not survive that
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._count, mp_context=spawn, initializer=_begin, initargs=(os.getpid(),))

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Queue the task."""
        try:
            future = self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            self._renew(self._pool)
            future = self._pool.submit(function, *arguments)
        task = _Task(self, function, arguments, future, self._pool)
        self._tasks.append(task)
        return task

    def _renew(self, broken: ProcessPoolExecutor) -> None:
        """Start new processes, and submit again what the old ones left."""
        if broken is not self._pool:
            return
        self._left -= 1
        if self._left < 0:
            advice = f"if memory is short, use fewer (processes:N) or smaller windows, and {_RESUME}"
            raise PgcganError(f"Worker processes were killed {_LOSSES + 1} times; {advice}.")
        broken.shutdown(wait=False, cancel_futures=True)
        self._pool = self._started()
        for task in self._tasks:
            if not task.future.done() or isinstance(task.future.exception(), BrokenProcessPool):
                task.future, task.pool = self._pool.submit(task.function, *task.arguments), self._pool

    def close(self) -> None:
        """End the processes; tasks that have not begun are given up."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class _Task:
    owner: Processes
    function: Callable[..., Any]
    arguments: Sequence[Any]
    future: Future[Any]
    pool: ProcessPoolExecutor

    def result(self) -> Any:
        while True:
            try:
                return self.future.result()
            except BrokenProcessPool:
                self.owner._renew(self.pool)


def _begin(parent: int) -> None:
    """Prepare a worker process: Ctrl-C is its parent's affair, and without the parent it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise MissingExtra("distributed", "dask", f"The executor dask://{address}") from None
    try:
        client = Client(f"tcp://{address}", timeout=_CONNECTING, set_as_default=False)
    except (OSError, ValueError) as error:
        reason, advice = str(error).splitlines()[0], "start one with `dask scheduler`, and workers with `dask worker`"
        raise UsageError(f"No Dask scheduler answers at {address} ({reason}); {advice}.") from None
    try:
        # tasks write files: that the same was done before says nothing
        impure: Any = SimpleNamespace(submit=partial(client.submit, pure=False))
        yield impure
    except KilledWorker as error:
        reason = f"Dask gave a task up after its workers were lost again and again ({error})"
        raise PgcganError(f"{reason}; {_RESUME}.") from None
    except CancelledError as error:
        reason = str(error).splitlines()[0]
        raise PgcganError(f"The Dask scheduler at {address} was lost ({reason}); {_RESUME}.") from None
    finally:
        client.close()
