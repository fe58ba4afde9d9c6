"""Check an evaluation that comes from a file: what its table, comparison and report show is of the right type."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..text import are_texts, is_whole
from .rows import Row

AIMS = ("lower", "higher", "floor", "at most floor")  # or a number
_MOST_COUNT = (1 << 53) - 1
_LARGEST = 1e300  # of a number; sums of some are still finite


def check_row(row: Row, at: int) -> None:
    """Raise ValueError unless names are texts, values are numbers or absent, and the aim is one that can be met."""
    texts = (row.topic, row.metric, row.label, row.aim, row.note)
    numbers = (row.value, row.floor, row.low, row.high, row.chance)
    if not all(isinstance(t, str) for t in texts) or not all(n is None or is_number(n) for n in numbers):
        raise ValueError(f"row {at} has a value of another type")
    if row.aim not in AIMS and not re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", row.aim):
        raise ValueError(f"row {at} has the aim {row.aim[:40]!r}; accepted: {', '.join(AIMS)}, a number")
    try:
        _ = row.standing
    except (ValueError, TypeError, ArithmeticError):
        raise ValueError(f"row {at} cannot be judged by its aim {row.aim!r}") from None


def check_provenance(provenance: Mapping[str, Any]) -> None:
    """Raise ValueError unless the entries that are shown or compared are of their types; others may be anything."""
    sites, seed = provenance.get("sites", 0), provenance.get("seed")
    people, by_label = provenance.get("people", {}), provenance.get("people_by_label", {})
    files = provenance.get("files", {})
    right = {
        "files": isinstance(files, dict) and are_texts(list(files.values())),
        "remarks": are_texts(provenance.get("remarks", [])),
        "label": are_texts(provenance.get("label") or []),
        "sites": is_whole(sites, 0, _MOST_COUNT),
        "seed": seed is None or isinstance(seed, int),
        "people": isinstance(people, dict)
        and all(_are_counts(counts) and {"given", "used"} <= counts.keys() for counts in people.values()),
        "people_by_label": isinstance(by_label, dict) and all(map(_are_counts, by_label.values())),
    }
    for name, is_right in right.items():
        if not is_right:
            raise ValueError(f"the provenance has a value of another type for {name}")


def is_number(value: Any) -> bool:
    """True if this is a number that a table and a figure can show; NaN and infinity are, as what is not known."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < _LARGEST or (isinstance(value, float) and not math.isfinite(value))


def _are_counts(values: Any) -> bool:
    return isinstance(values, dict) and all(is_whole(n, 0, _MOST_COUNT) for n in values.values())
