"""Write files and directories whole or not at all: under a temporary name first, renamed when they are complete.

Temporary files lie beside their place, in a folder that is locked as long as the run lives. A run that is killed cannot
clean up after itself, but the kernel releases its locks, so that the next run in the same folder can distinguish what a
dead run left from what a live one is writing.

`whole_file` is for one file, `whole_files` for several that belong together, `whole_directory` for a directory of
files. Files that are read are regular ones only, so that nobody waits for a pipe or reads a device without end.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator, Sequence
from io import BufferedReader
from pathlib import Path

from ..errors import PgcganError, UsageError

LOCK = ".lock"
_REPLACED = ".replaced"  # in a workspace: the folder of what is removed with it
_PREFIX = ".pgcgan-"
_NAME = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")  # as tempfile.mkdtemp makes it, nothing else
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


@contextlib.contextmanager
def workspace(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield a new folder within `folder`, which is removed at the end; those that dead runs left are removed first."""
    remove_dead(folder)
    lock = None
    while lock is None:
        path = tempfile.mkdtemp(prefix=_PREFIX, dir=folder)
        try:
            lock = _locked(os.path.join(path, LOCK), wait=True)
        except FileNotFoundError:  # another run came before this one could lock it, and took it for a dead run's
            if not os.path.isdir(folder):
                raise
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path; the file written there is renamed to `path` if the block ends without an error."""
    with whole_files([Path(path)]) as (partial,):
        yield partial


@contextlib.contextmanager
def whole_files(paths: Sequence[Path], *, stale: Sequence[Path] = ()) -> Iterator[list[Path]]:
    """Yield a temporary path for each of several files that belong together; all are renamed when the block ends well.

    The first is the main one: an old file of its name is taken away first, and the new one is renamed last, so that it
    never stands beside files of another run. It may also be a directory.

    Parameters
    ----------
    paths : sequence of Path
        The places of the files; their folders exist.
    stale : sequence of Path
        Files of earlier outputs that would be taken for files of this one; they are removed.

    Raises
    ------
    UsageError
        If they cannot be written. The old files are then as they were, unless it happened while files were renamed.
    """
    for path in paths:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a rename would replace /dev/null
            raise UsageError(f"{path} is a device or a pipe, which no file can replace; give a name for a file.")
    with _failure_refused(paths[0], paths[0].parent), contextlib.ExitStack() as stack:
        parents = dict.fromkeys(path.parent for path in paths)
        folders = {parent: Path(stack.enter_context(workspace(parent))) for parent in parents}
        partial = [folders[path.parent] / path.name for path in paths]
        yield partial
        for path in partial:
            _follow_umask(path)
        for path in stale:
            path.unlink(missing_ok=True)
        if len(paths) > 1 or paths[0].is_dir() or partial[0].is_dir():
            _take_away(paths[0], folders[paths[0].parent])
        for source, path in reversed(list(zip(partial, paths, strict=True))):
            os.replace(source, path)


@contextlib.contextmanager
def _failure_refused(path: Path, folder: Path) -> Iterator[None]:
    """Raise a UsageError for what the system says while an output is written; of a full disk htslib says nothing."""
    try:
        yield
    except PgcganError:
        raise
    except OSError as error:
        full = error.errno is None and folder.is_dir() and not os.statvfs(folder).f_bavail
        reason = os.strerror(errno.ENOSPC) if full else error.strerror or error
        raise UsageError(f"{path} cannot be written: {reason}.") from None


def check_free(path: str | os.PathLike[str], force: bool, shown: str | os.PathLike[str] = "") -> None:
    """Raise a UsageError if an output exists and is not to be replaced; `shown` is its name for the user."""
    if os.path.exists(path) and not force:
        raise UsageError(f"{shown or path} exists; force=True (--force) replaces it, or choose another name.")


@contextlib.contextmanager
def whole_directory(
    path: str | os.PathLike[str], marker: str, *, others: Collection[str] = (), force: bool = False
) -> Iterator[Path]:
    """Yield a temporary folder; the files written there become those of a directory when the block ends well.

    The directory is made, with those above it, if it does not exist. It is complete if it holds the file `marker`: an
    old one is removed first, the new one is renamed last. No other run can write to the directory meanwhile.

    Parameters
    ----------
    marker : str
        Name of the file without which the directory does not count as complete.
    others : collection of str
        Names of all further files that such a directory may hold, also before it is complete. Those that are not
        written anew are removed.

    Raises
    ------
    UsageError
        If the directory is complete and `force` is not set, it is something else, or it cannot be written.
    """
    directory = Path(path)
    known = {marker, LOCK, *others}
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file; choose another name for the directory.")
    check_free(directory / marker, force, directory)
    if directory.is_dir() and not (directory / marker).is_file():
        foreign = next((p.name for p in directory.iterdir() if p.name not in known and not _NAME.fullmatch(p.name)), "")
        if foreign:
            reason = f"holds other files ({foreign}); it is not replaced, choose another directory"
            raise UsageError(f"{directory} exists and {reason}.")
    new = not directory.exists()
    try:
        with _failure_refused(directory, directory):
            directory.mkdir(parents=True, exist_ok=True)
            with held(directory), workspace(directory) as folder:
                yield Path(folder)
                names = sorted({p.name for p in Path(folder).iterdir()} - {LOCK}, key=lambda name: name == marker)
                for name in names:
                    _follow_umask(Path(folder, name))
                (directory / marker).unlink(missing_ok=True)
                for name in names:
                    if (directory / name).is_dir():
                        _take_away(directory / name, Path(folder))
                    os.replace(Path(folder, name), directory / name)
                for name in known.difference(names, {LOCK}):
                    _take_away(directory / name, Path(folder))
    finally:
        if new:
            with contextlib.suppress(OSError):  # a directory that was made for nothing
                directory.rmdir()


def make_folder(path: Path) -> None:
    """Make a folder of ours, with those above it, unless it is there; one that is a link is refused, and not filled."""
    with _failure_refused(path, path):
        path.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        raise UsageError(f"{path} is a link to another folder, which is not written to; remove it.")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def _follow_umask(path: Path) -> None:
    """Give a file the mode that `open` would have given it, whatever library wrote it."""
    if path.is_file():
        path.chmod(os.stat(path.parent / LOCK).st_mode & 0o666)


def _take_away(old: Path, folder: Path) -> None:
    """Move a file or a directory, if there is one, into the workspace, with which it is removed."""
    if os.path.lexists(old):
        os.makedirs(folder / _REPLACED, exist_ok=True)
        os.rename(old, folder / _REPLACED / old.name)


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
    """Lock a directory for this process alone, and remove what killed runs left in it."""
    path = os.path.join(directory, LOCK)
    lock = None
    while lock is None:
        try:
            lock = _locked(path, wait=False)
        except BlockingIOError:
            with contextlib.suppress(FileNotFoundError):  # it ended a moment ago: try again
                process = read_regular(path)[:20].decode("ascii", errors="replace").strip()
                run = f"another run (process {process or 'unknown'}); wait until it has ended"
                raise UsageError(
                    f"{os.fspath(directory)} is being written by {run}, or choose another directory."
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
    """Return a descriptor of a file that this process has locked and that is still there under its name.

    The file is never opened through a symbolic link, and is a regular file of one name: whoever can write beside a lock
    could otherwise have another file emptied. Raises a BlockingIOError if another process holds it and this one does
    not wait, and an OSError if the file cannot be opened, or went while the lock was waited for.
    """
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            about = os.fstat(lock)
            if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
                raise OSError(errno.EMLINK, "its lock file is a link or a device; remove it", path)
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            there = os.lstat(path)
        except FileNotFoundError:
            os.close(lock)
            if wait:
                raise
            continue
        except OSError:
            if wait:  # a file system without locks: nobody will take ours for a dead run's either
                return lock
            os.close(lock)
            raise
        if os.path.samestat(there, os.fstat(lock)):
            return lock
        os.close(lock)


# ---- reading --------------------------------------------------------------------------------------------------------


def open_regular(path: str | os.PathLike[str], *, pipes: bool = False) -> BufferedReader:
    """Open a file for reading; a symbolic link is followed, what it leads to must be a regular file.

    Parameters
    ----------
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
            kind = _KINDS.get(stat.S_IFMT(mode), "not a file")
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
