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
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from ..errors import MissingExtra, PgcganError, UsageError

ACCEPTED = "serial, processes, processes:N, dask://HOST:PORT"
_LOSSES = 3  # times that worker processes may die before it is no accident
_CONNECTING = 10  # seconds


class Promise(Protocol):
    """What `submit` returns."""

    def result(self) -> Any:
        """Wait for the task; return what it returned, or raise what it raised."""


class Executor(Protocol):
    """What runs tasks, somewhere, in any order: any of `concurrent.futures`, or a client of Dask."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Promise:
        """Have the task done."""


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
        count = int(match[1]) if match[1] else len(os.sched_getaffinity(0))
        processes = Processes(count)
        try:
            yield processes
        finally:
            processes.close()
    elif match := re.fullmatch(r"dask://(.+:[0-9]+)", name):
        with _dask(match[1]) as client:
            yield client
    else:
        raise UsageError(f"Unknown executor {name!r}; accepted: {ACCEPTED}.")


class Serial:
    """Tasks are done here, each when its result is asked for."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Promise:
        """Keep the task."""
        return _Kept(partial(function, *arguments))


class _Kept:
    def __init__(self, task: Callable[[], Any]):
        self._task, self._done = task, Future[Any]()

    def result(self) -> Any:
        if not self._done.done():
            self._done.set_result(self._task())
        return self._done.result()


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

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Promise:
        """Queue the task."""
        task = _Task(self, function, arguments)
        try:
            task.future = self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            self._renew(self._pool)
            task.future = self._pool.submit(function, *arguments)
        task.pool = self._pool
        self._tasks.append(task)
        return task

    def _renew(self, broken: ProcessPoolExecutor) -> None:
        """Start new processes, and submit again what the old ones left."""
        if broken is not self._pool:
            return
        self._left -= 1
        if self._left < 0:
            raise PgcganError(
                f"Worker processes were killed {_LOSSES + 1} times; if memory is short, use fewer (processes:N) or "
                "smaller windows, and run the same command with --resume."
            )
        broken.shutdown(wait=False, cancel_futures=True)
        self._pool = self._started()
        for task in self._tasks:
            if not task.future.done() or isinstance(task.future.exception(), BrokenProcessPool):
                task.future, task.pool = self._pool.submit(task.function, *task.arguments), self._pool

    def close(self) -> None:
        """End the processes; tasks that have not begun are given up."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Task:
    future: Future[Any]
    pool: ProcessPoolExecutor

    def __init__(self, owner: Processes, function: Callable[..., Any], arguments: Sequence[Any]):
        self.owner, self.function, self.arguments = owner, function, arguments

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
        raise UsageError(
            f"No Dask scheduler answers at {address} ({str(error).splitlines()[0]}); start one with `dask scheduler`, "
            "and workers with `dask worker`."
        ) from None
    try:
        yield _Impure(client)
    except KilledWorker as error:
        raise PgcganError(
            f"Dask gave a task up after its workers were lost again and again ({error}); run the same command with "
            "--resume."
        ) from None
    except CancelledError as error:
        raise PgcganError(
            f"The Dask scheduler at {address} was lost ({str(error).splitlines()[0]}); run the same command with "
            "--resume."
        ) from None
    finally:
        client.close()


class _Impure:
    """A Dask client that does what it is asked: tasks write files, and what was done before says nothing."""

    def __init__(self, client: Any):
        self._client = client

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Promise:
        promise: Promise = self._client.submit(function, *arguments, pure=False)
        return promise
