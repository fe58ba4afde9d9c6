"""What is said on standard error while a command runs."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..text import visible, visible_lines, without_secrets

SECONDS_BETWEEN_LINES = 10.0  # where standard error is not a terminal


def say(text: str) -> None:
    """Say something on standard error: standard output is for what was asked for (a table, JSON, a VCF)."""
    print(visible_lines(without_secrets(text)), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a result of several lines on standard output; names in it cannot reach the terminal as commands."""
    print(visible_lines(without_secrets(text)))


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a receiver of events: a live line on a terminal, else a plain line every few seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        what_is_done = TextColumn("{task.description}", markup=False)
        detail_of_it = TextColumn("{task.fields[detail]}", markup=False)
        with Progress(what_is_done, *columns, detail_of_it, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=1.0, detail="")

            def live(event: dict[str, Any]) -> None:
                name, fraction, detail = _described(event)
                name, detail = visible(name), visible(detail)
                bar.update(task, completed=fraction, description=name or what, detail=detail)

            yield live
        return
    last = time.monotonic()

    def plain(event: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            name, fraction, detail = _described(event)
            say(f"{name or what}: {fraction:.0%}{'  ' + detail if detail else ''}")

    yield plain


def _described(event: Mapping[str, Any]) -> tuple[str, float, str]:
    """Return stage, fraction done and the rest of an event of training or of evaluation."""
    if "done" in event and event.get("total"):
        return str(event.get("topic", "")), event["done"] / event["total"], str(event.get("metric", ""))
    if "detail" in event:
        return str(event["stage"]), event["fraction"], event["detail"]
    shown = {"step": event.get("step"), "loss": event.get("loss"), **(event.get("metrics") or {})}
    text = "  ".join(
        f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items() if isinstance(v, (int, float))
    )
    return str(event.get("stage", "")), float(event.get("fraction") or 0.0), text
