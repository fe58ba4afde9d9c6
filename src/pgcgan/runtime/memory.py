"""What memory this process holds, and what it may have."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def resident_bytes() -> int:
    """Return what this process holds in memory now, files that it maps aside; 0 where the system does not say."""
    _, resident, shared = _own_bytes()
    return resident - shared


def _own_bytes() -> list[int]:
    """Return the address space of this process, what of it is in memory, and what of that are files."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[:3]
        return [int(n) * os.sysconf("SC_PAGE_SIZE") for n in pages]
    except (OSError, ValueError):
        return [0, 0, 0]


def available_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the memory that this process may have in all: what it holds and what is free; None if that is unknown.

    The least of what the system has free, what the limit of a control group (a container, a batch job) leaves, and what
    the limit of the process (`ulimit -v`) does; `proc` and `cgroups` are where the system says so.
    """
    free = []
    try:
        lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
        free.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")))
    except (OSError, StopIteration, ValueError):
        with contextlib.suppress(OSError, ValueError):  # not every system says it
            free.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for folder, limit, used, cache in _control_groups(proc, cgroups):
        try:
            most = int((folder / limit).read_text(encoding="ascii"))  # "max" is no limit
            held = int((folder / used).read_text(encoding="ascii"))
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        except (OSError, ValueError):
            continue
        free.append(max(0, most - held + int(statistics.get(cache, 0))))  # the cache of files gives way
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed != resource.RLIM_INFINITY:
        free.append(max(0, allowed - _own_bytes()[0]))
    return resident_bytes() + min(free) if free else None


def out_of_memory(error: BaseException) -> str:
    """Return one sentence for memory that ran out: what was asked for, if the error says it, held and allowed."""
    asked = " ".join(str(error).split()).rstrip(".")
    available = available_bytes()
    allowed = "" if available is None else f", and may hold {available / 1e9:.2f} GB"
    return (
        f"Memory ran out{f' ({asked[:160]})' if asked else ''}: the process holds {resident_bytes() / 1e9:.2f} GB"
        f"{allowed}; read fewer sites or people (--region, --min-maf, --split), or allow it more (ulimit -v)."
    )


def _control_groups(proc: Path, cgroups: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Yield the folders of this process's control groups and of those above, and the names of their files."""
    kinds = {
        "": (cgroups, "memory.max", "memory.current", "inactive_file"),
        "memory": (cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inside = PurePosixPath(path.lstrip("/"))
        for controller in kinds.keys() & controllers.split(","):
            top, *names = kinds[controller]
            # in a container the path may be that of the host, which is not there: its top is the container's
            for group in (inside, *inside.parents):
                yield top / group, names[0], names[1], names[2]
