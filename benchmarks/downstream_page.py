"""What the sections of docs/uses.md share: tables, means over seeds, and the line on how a row was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any


def at(content: Any, *keys: str) -> Any:
    """Return what nested mappings hold under these keys; None where one is absent."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def over_seeds(row: Mapping[str, Any] | None, *keys: str) -> list[float]:
    """Return a figure of a row, a number a seed; seeds without it are left out."""
    runs = (row or {}).get("runs", {})
    values = [at(run, *keys) for run in runs.values()]
    return [value for value in values if value is not None]


def mean_of(row: Mapping[str, Any] | None, *keys: str) -> float | None:
    """Return the mean of a figure over the seeds; None without one."""
    values = over_seeds(row, *keys)
    return mean(values) if values else None


def cell(row: Mapping[str, Any] | None, *keys: str, digits: int = 3, spread: bool = False) -> str:
    """Return a figure for a table: the mean over the seeds, and with `spread` their standard deviation."""
    values = over_seeds(row, *keys)
    if not values:
        return "–"
    text = f"{mean(values):.{digits}f}"
    return f"{text} ± {stdev(values):.{digits}f}" if spread and len(values) > 1 else text


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table whose first column is text and whose others are numbers."""
    rule = "|---|" + "--:|" * (len(header) - 1)
    return ["| " + " | ".join(header) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]


def measured(result: Mapping[str, Any]) -> list[str]:
    """Return when and how the rows were measured, rows of the same run in one line."""
    rows: dict[str, list[str]] = {}
    for name, row in result["rows"].items():
        how, seeds = row["provenance"], list(row["runs"])
        where = how["machine"]
        # some tools print their version without their name
        tools = "; ".join(v if v[:1].isalpha() else f"{name} {v}" for name, v in how["tools"].items())
        text = (
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}; pgcgan {how['pgcgan']}, {how['date'][:10]}, "
            f"{where['cores']} core{'s' if where['cores'] > 1 else ''} ({where['processor']}); {tools}"
        )
        rows.setdefault(text, []).append(name)
    people = f"{sum(result['train'].values()):,} training and {sum(result['holdout'].values()):,} held-out people"
    return [f"{result['title']}, {result['sites']:,} sites, {people}.", ""] + [
        f"- {', '.join(names)}: {text}." for text, names in rows.items()
    ]
