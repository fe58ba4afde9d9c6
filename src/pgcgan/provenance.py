"""How a result was made: version, command, seed, libraries, time."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from typing import Any

VERSION = importlib.metadata.version("pgcgan")


def command_line() -> str:
    """Return the command that runs now, as a shell would take it (`pgcgan train …`, or `python script.py`)."""
    argv = sys.argv or ["python"]
    return shlex.join([os.path.basename(argv[0]) or "python", *argv[1:]])


def now() -> str:
    """Return the time in UTC, ISO 8601, whole seconds; `SOURCE_DATE_EPOCH` is honoured: files can be repeated."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch else datetime.datetime.now(datetime.UTC)
    return moment.replace(microsecond=0).isoformat()


def libraries(*names: str) -> dict[str, str]:
    """Return the installed version of each named distribution; one that is absent is left out."""
    found = {}
    for name in names or ("numpy", "torch", "scikit-learn", "cyvcf2", "pysam", "msprime"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def provenance(seed: int | None = None, **more: Any) -> dict[str, Any]:
    """Return what a result says of how it was made.

    Parameters
    ----------
    seed : int, optional
        The seed of the run.
    **more
        Anything else worth keeping (input files, label columns).
    """
    return {
        "pgcgan": VERSION,
        "command": command_line(),
        "seed": seed,
        "date": now(),
        "python": platform.python_version(),
        "libraries": libraries(),
        **more,
    }
