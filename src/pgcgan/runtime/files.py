"""Files that are being written: beside their place, in a folder that is held by a lock as long as the run lives.

A run that is killed cannot clean up after itself. The kernel gives up its locks, though, so that the next run in the
same folder can tell what a dead run left from what a live one is writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError

LOCK = ".lock"
_PREFIX = ".pgcgan-"
_NAME = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")  # as tempfile.mkdtemp makes it, nothing else


@contextlib.contextmanager
def workspace(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield a new folder within `folder`; it is removed at the end, and those of dead runs are removed before.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    remove_dead(folder)
    while True:
        made = tempfile.mkdtemp(prefix=_PREFIX, dir=folder)
        lock = None
        try:
            lock = _locked(os.path.join(made, LOCK), wait=True)
        except FileNotFoundError:
            if not os.path.isdir(folder):
                raise
            continue  # another run came between making and locking, and took it for a dead run's
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        break
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def write_text(target: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    try:
        with workspace(target.parent) as made:
            partial = Path(made) / target.name
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from None


def remove_dead(folder: str | os.PathLike[str]) -> None:
    """Remove what killed runs left in a folder: workspaces that nobody holds."""
    try:
        left = [e.path for e in os.scandir(folder) if _NAME.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    except OSError:  # whoever writes there will say what is wrong
        return
    for path in left:
        lock = os.path.join(path, LOCK)
        if not os.path.lexists(lock):  # killed, or about to be locked: in both cases empty
            with contextlib.suppress(OSError):
                os.rmdir(path)
            continue
        with contextlib.suppress(OSError):  # held by a live run; or not ours to remove
            held = _locked(lock, wait=False)
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)


@contextlib.contextmanager
def held(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a directory for this process alone, and remove what killed runs left in it.

    Raises
    ------
    UsageError
        If another process holds it; the message names the process.
    """
    path = os.path.join(directory, LOCK)
    while True:
        try:
            lock = _locked(path, wait=False)
            break
        except BlockingIOError:
            with contextlib.suppress(FileNotFoundError):  # it ended a moment ago: try again
                process = Path(path).read_text(encoding="ascii", errors="replace").strip()
                raise UsageError(
                    f"{os.fspath(directory)} is being written by another run (process {process or 'unknown'}); wait "
                    "until it has ended, or choose another directory."
                ) from None
    try:
        with contextlib.suppress(OSError):  # a full disk is noticed by what matters
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        remove_dead(directory)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(lock)


def _locked(path: str, wait: bool) -> int:
    """Return a descriptor of a file that this process has locked, and that is still there under its name.

    Raises
    ------
    BlockingIOError
        If another process holds it and this one does not wait.
    OSError
        If the file cannot be opened, or went while the lock was waited for.
    """
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            there = os.stat(path)
        except FileNotFoundError:
            os.close(lock)
            if not wait:
                continue
            raise
        except BlockingIOError:
            os.close(lock)
            raise
        except OSError:
            if wait:  # a file system without locks: nobody will take ours for a dead run's either
                return lock
            os.close(lock)
            raise
        if os.path.samestat(there, os.fstat(lock)):
            return lock
        os.close(lock)
