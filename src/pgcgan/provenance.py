"""How a result was made: version, command, seed, libraries, time."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import re
import shlex
import sys
from typing import Any

from .errors import UsageError
from .text import visible, whole_number, without_secrets

_LAST_SECOND = 253402300799  # of the year 9999

VERSION = importlib.metadata.version("pgcgan")


def command_line() -> str:
    """Return the command that runs now, as a shell would take it (`pgcgan train …`, or `python script.py`).

    It stands in headers, cards and JSON, which are given away: files have their names without their folders, addresses
    no key, and nothing is there that is not UTF-8.
    """
    argv = sys.argv or ["python"]
    name = os.path.basename(argv[0]) or "python"
    words = [*(["python", "-m", "pgcgan"] if name == "__main__.py" else [name]), *argv[1:]]
    return visible(shlex.join(_without_folders(without_secrets(word)) for word in words))


def _without_folders(word: str) -> str:
    """Return a word of a command with the name of a file instead of its path, also behind `--option=`."""
    option, equals, value = word.partition("=")
    if equals and not _is_path(word) and _is_path(value):
        return f"{option}={_without_folders(value)}"
    return os.path.basename(word.rstrip("/")) or word if _is_path(word) else word


def _is_path(word: str) -> bool:
    """True if a word names a place on this machine: a label such as EUR/GBR, or an address, does not."""
    folder = os.path.dirname(word.rstrip("/"))
    return "://" not in word and bool(folder) and (word[0] in "/~." or os.path.isdir(folder))


def file_names(**paths: str | None) -> dict[str, str]:
    """Return, by role, the names of files as results that are given away keep them: no folder, no key of an address."""
    names = {role: _without_folders(without_secrets(path)) for role, path in paths.items() if path is not None}
    return {role: "standard input" if name == "-" else visible(name) for role, name in names.items()}


def documentation() -> str | None:
    """Return the address of the documentation that the installed package names, if it names one."""
    entries = importlib.metadata.metadata("pgcgan").get_all("Project-URL") or []
    return dict(entry.split(", ", 1) for entry in entries).get("Documentation")


def now() -> str:
    """Return the time in UTC, ISO 8601, whole seconds; `SOURCE_DATE_EPOCH` is honoured: files can be repeated."""
    moment = datetime.datetime.now(datetime.UTC)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        seconds = whole_number(epoch, _LAST_SECOND)
        if seconds is None:
            raise UsageError(f"SOURCE_DATE_EPOCH is {epoch[:40]!r}; accepted: whole seconds from 0 to {_LAST_SECOND}.")
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.replace(microsecond=0).isoformat()


def libraries(*names: str) -> dict[str, str]:
    """Return the installed version of each named distribution; one that is absent is left out."""
    versions = {}
    for name in names or ("numpy", "torch", "scikit-learn", "pysam", "msprime"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def provenance(seed: int | None = None, **more: Any) -> dict[str, Any]:
    """Return what a result says of how it was made: `seed` of the run, and anything else worth keeping."""
    return {
        "pgcgan": VERSION,
        "command": command_line(),
        "seed": seed,
        "date": now(),
        "python": platform.python_version(),
        "libraries": libraries(),
        **more,
    }


def environment() -> dict[str, Any]:
    """Return what a bug report should say: versions, platform, processors, extras; no path and no name of a person.

    `libraries` are the requirements of pgcgan with the version that is installed, or "absent"; `extras` are its
    optional parts, each with what it needs.
    """
    needed: dict[str, str] = {}
    extras: dict[str, dict[str, str]] = {}
    for requirement in importlib.metadata.requires("pgcgan") or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        version = libraries(name).get(name, "absent")
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", requirement)
        (extras.setdefault(extra[1], {}) if extra else needed)[name] = version
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "pgcgan": VERSION,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "processors": usable,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
        "libraries": needed,
        "extras": {name: _state(parts) for name, parts in extras.items()},
    }


def _state(parts: dict[str, str]) -> str:
    absent = [name for name, version in parts.items() if version == "absent"]
    there = ", ".join(f"{name} {version}" for name, version in parts.items())
    return f"not installed ({', '.join(absent)} absent)" if absent else f"installed ({there})"
