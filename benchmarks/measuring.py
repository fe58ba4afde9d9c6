"""What the benchmark scripts share: processes, memory, the machine, and the files that they write."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from pgcgan.errors import DataError
from pgcgan.metrics import MEASURES, NotComputable
from pgcgan.metrics.comparison import Comparison

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "benchmarks" / "results"


def in_own_process(script: str, options: Sequence[str]) -> Any:
    """Run a script of this folder with options that make it print JSON as its last line; return what it printed."""
    command = [sys.executable, str(Path(script).resolve()), *options]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"{Path(script).name} {' '.join(options)} failed (exit status {run.returncode}).")
    return json.loads(run.stdout.splitlines()[-1])


def peak_memory() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    try:
        # on Linux ru_maxrss of a new process starts at the size of the process that started it; this does not
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def machine() -> dict[str, Any]:
    """Return what the times depend on: cores, processor, system, and how busy it is now (load average, 1 minute)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "processor": processor,
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def some_rows(comparison: Comparison, names: Sequence[str]) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return value and floor of some rows of `pgcgan.evaluate` over all labels, without computing the others.

    Rows that cannot be computed, for instance because there are too few sites for far pairs, are left out.
    """
    values: dict[str, float | None] = {}
    floors: dict[str, float | None] = {}
    for _, metrics, function, _ in MEASURES:
        if not {name for name, _ in metrics} & set(names):
            continue
        # on one thread, as `evaluate` does, so that the numbers are the same
        with contextlib.suppress(NotComputable), threadpool_limits(1):
            for row in function(comparison):
                if row.metric in names and row.label == "all":
                    values[row.metric], floors[row.metric] = short(row.value), short(row.floor)
    return values, floors


def short(number: float | None) -> float | None:
    """Return a number with five significant digits, as it is stored."""
    return None if number is None else float(f"{number:.5g}")


def numbers(kind: type) -> Any:
    """Return a reader of numbers joined by commas, for the command line."""

    def read(text: str) -> list[Any]:
        return [kind(part) for part in text.split(",")]

    read.__name__ = "list of numbers"
    return read


def write_result(result: dict[str, Any], folder: Path) -> Path:
    """Write `NAME.json` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['name']}.json"
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)
    return path


def write_section(document: Path, name: str, text: str) -> None:
    """Replace what is between `<!-- NAME -->` and `<!-- /NAME -->` in a markdown file."""
    content = document.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if content.count(start) != 1 or content.count(end) != 1 or content.index(start) > content.index(end):
        raise DataError(f"{document.name} must hold the markers {start} and {end} once, in this order.")
    head, rest = content.split(start)
    partial = document.with_suffix(".part")
    partial.write_text(f"{head}{start}\n{text.strip()}\n{end}{rest.split(end)[1]}", encoding="utf-8")
    os.replace(partial, document)
