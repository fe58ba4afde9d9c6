"""Open files that are read: regular files only, so that nobody waits for a pipe or reads a device without end."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def open_regular(path: str | os.PathLike[str], *, pipes: bool = False) -> BufferedReader:
    """Open a file for reading; a symbolic link is followed, what it leads to must be a regular file.

    Parameters
    ----------
    path : path
    pipes : bool
        Accept a pipe of the shell without a name too (`<(command)`, /dev/stdin).

    Raises
    ------
    OSError
        If there is none, it may not be read, or it is a folder, a named pipe, a device or a socket.
    """
    name = os.fspath(path)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a null character
        raise OSError(errno.EINVAL, str(error), name) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if not stat.S_ISREG(mode) and not (pipes and stat.S_ISFIFO(mode) and _is_nameless(name)):
            kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "not a file")
            raise OSError(errno.EINVAL, f"it is {kind}, and a regular file is needed", name)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise an OSError unless a path leads to a regular file that may be read, before a library opens it."""
    open_regular(path).close()


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a regular file; raises as `open_regular`."""
    with open_regular(path) as stream:
        return stream.read()


def _is_nameless(path: str) -> bool:
    return Path(os.path.realpath(path)).name.startswith("pipe:[") or path.startswith("/dev/fd/")
