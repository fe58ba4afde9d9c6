"""What is said on standard error while a command or a fit runs."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..text import visible, visible_lines, without_secrets

SECONDS_BETWEEN_LINES = 10.0  # where standard error is not a terminal
COLOURS = {"like real": 32, "near": 33, "deviates": 31}  # green, yellow, red
OnEvent = Callable[[dict[str, Any]], None]  # what takes the events of a fit, an evaluation or a writer
_verbosity = 0


def set_verbosity(level: int) -> None:
    """Set how much is said: 0, with -1 only results and errors, with 1 each event."""
    global _verbosity
    _verbosity = level


def say(text: str) -> None:
    """Say something on standard error: standard output is for what was asked for (a table, JSON, a VCF)."""
    if _verbosity >= 0:
        print(visible_lines(without_secrets(text)), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a result of several lines on standard output; names in it cannot reach the terminal as commands.

    The column of standings of a table, if it has one, is coloured where standard output is a terminal.
    """
    lines = visible_lines(without_secrets(text)).split("\n")
    start = lines[0].find("standing")
    if start >= 0 and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        for i, line in enumerate(lines):
            word = next((word for word in COLOURS if line.startswith(word, start)), None)
            if word is not None:
                lines[i] = f"{line[:start]}\x1b[{COLOURS[word]}m{word}\x1b[0m{line[start + len(word) :]}"
    print("\n".join(lines))


@contextlib.contextmanager
def progress(what: str) -> Iterator[OnEvent]:
    """Yield a receiver of events: a live line on a terminal, else a plain line every few seconds."""
    if _verbosity < 0:
        yield lambda event: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        what_is_done = TextColumn("{task.description}", markup=False)
        detail_of_it = TextColumn("{task.fields[detail]}", markup=False)
        with Progress(what_is_done, *columns, detail_of_it, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=1.0, detail="")

            def live(event: dict[str, Any]) -> None:
                name, fraction, detail = _described(event)
                bar.update(task, completed=fraction, description=visible(name) or what, detail=visible(detail))

            yield live
    else:
        last = time.monotonic()

        def plain(event: dict[str, Any]) -> None:
            nonlocal last
            if _verbosity > 0 or time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                name, fraction, detail = _described(event)
                say(f"{name or what}: {fraction:.0%}{'  ' + detail if detail else ''}")

        yield plain


@contextlib.contextmanager
def reported(on_event: OnEvent | None, shown: bool) -> Iterator[OnEvent | None]:
    """Yield the receiver of the events of a fit: the caller's, a live line if it is to be shown, or both."""
    if not shown:
        yield on_event
        return
    with progress("training") as live:

        def both(event: dict[str, Any]) -> None:
            live(event)
            if on_event is not None:
                on_event(event)

        yield both


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
