"""Compare two evaluations row by row: which value is better, and whether the difference is significant."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from ..text import visible
from .evaluation import Evaluation, aligned, figure
from .rows import Row

PROVENANCE = {"sites": "sites", "phased": "phase", "label": "label columns", "seed": "seed"}


@dataclass(frozen=True)
class Line:
    """One metric in two evaluations.

    Parameters
    ----------
    topic, metric, label, aim : str
    floor : float or None
        That of the first evaluation, or of the second where the first has none.
    a, b : float or None
        The two values.
    nearer : {"a", "b", "same", ""}
        Which value is nearer to its aim; two values at or beyond their floors are the same. Empty if one is absent.
    beyond : bool or None
        True if the 95 % intervals of the two values do not overlap; None if one of them has no interval.
    """

    topic: str
    metric: str
    label: str
    aim: str
    floor: float | None
    a: float | None
    b: float | None
    nearer: str
    beyond: bool | None


@dataclass(frozen=True)
class EvaluationComparison:
    """Two evaluations side by side: every metric that either has, in the order of the first.

    Parameters
    ----------
    names : tuple of two str
        Names of the two evaluations.
    lines : tuple of Line
    remarks : tuple of str
        Differences in sites, people or labels, because of which the numbers may not be comparable.
    """

    names: tuple[str, str]
    lines: tuple[Line, ...]
    remarks: tuple[str, ...]

    def table(self, per_label: bool = False) -> str:
        """Return the comparison as aligned plain text.

        Parameters
        ----------
        per_label : bool
            Whether to add the rows of each label.
        """
        numeric = ["floor", *self.names]
        lines = [["topic", "metric", *(["label"] if per_label else []), *numeric, "aim", "nearer", "intervals"]]
        for line in self.lines:
            if line.label == "all" or per_label:
                label = [line.label] if per_label else []
                numbers = map(figure, (line.floor, line.a, line.b))
                nearer = {"a": self.names[0], "b": self.names[1]}.get(line.nearer, line.nearer)
                apart = {True: "apart", False: "overlap", None: ""}[line.beyond]
                lines.append([line.topic, line.metric, *label, *numbers, line.aim, nearer, apart])
        return aligned(lines, numeric)

    def __repr__(self) -> str:
        first, second = (name[:100] for name in self.names)
        return f"EvaluationComparison({first} and {second}: {len(self.lines)} rows, {len(self.remarks)} remarks)"

    def __str__(self) -> str:
        return self.table() + "".join(f"\n- {visible(remark)}" for remark in self.remarks)

    def to_json(self) -> str:
        """Return everything as one JSON object."""
        content = {"a": self.names[0], "b": self.names[1], "remarks": list(self.remarks)}
        return json.dumps({**content, "lines": [asdict(line) for line in self.lines]}, ensure_ascii=False)


def compare(first: Evaluation, second: Evaluation, names: tuple[str, str] = ("a", "b")) -> EvaluationComparison:
    """Compare two evaluations metric by metric.

    Parameters
    ----------
    first, second : Evaluation
        Of two generators, preferably against the same train and held-out people; remarks name the differences.
    names : tuple of two str
        Names to show.
    """
    absent = Row("", "", "", None)
    rows_a, rows_b = ({(row.metric, row.label): row for row in evaluation.rows} for evaluation in (first, second))
    lines = []
    for key in dict.fromkeys([*rows_a, *rows_b]):
        a, b = rows_a.get(key, absent), rows_b.get(key, absent)
        row = b if a is absent else a
        floor = b.floor if a.floor is None else a.floor
        near = _nearer(distance_to_aim(a), distance_to_aim(b))
        lines.append(Line(row.topic, *key, row.aim, floor, a.value, b.value, near, _apart(a, b)))
    return EvaluationComparison(names, tuple(lines), tuple(_differences(first.provenance, second.provenance)))


def distance_to_aim(row: Row) -> float | None:
    """Return how far a value is from its aim; 0 if it is reached.

    A value better than the floor is as good as the floor: the distance of an error below that of real people is 0, and
    so is that of an attack below chance.
    """
    if row.value is None:
        return None
    if row.aim == "lower":
        return max(row.value - (row.floor or 0.0), 0.0)
    if row.aim == "higher":
        return max((1.0 if row.floor is None else row.floor) - row.value, 0.0)
    if row.aim in ("floor", "at most floor"):
        if row.floor is None:
            return None
        return max(row.value - row.floor, 0.0) if row.aim == "at most floor" else abs(row.value - row.floor)
    gap = row.value - float(row.aim)
    return max(gap, 0.0) if row.topic == "privacy" else abs(gap)


def _nearer(a: float | None, b: float | None) -> str:
    if a is None or b is None:
        return ""
    return "same" if a == b else "a" if a < b else "b"


def _apart(a: Row, b: Row) -> bool | None:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None
    return a.high < b.low or b.high < a.low


def _differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    pairs = [(words, a.get(key), b.get(key)) for key, words in PROVENANCE.items()]
    for name in ("train", "holdout"):
        used = [p.get("people", {}).get(name, {}).get("used", 0) for p in (a, b)]
        pairs.append((f"the {name} people used", *used))
    return [f"They differ in {words}: {first} and {second}." for words, first, second in pairs if first != second]
