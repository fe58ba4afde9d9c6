"""Two evaluations side by side."""

from __future__ import annotations

import json

import pytest

from pgcgan.metrics import Evaluation, Row
from pgcgan.metrics.compare import compare, distance_to_aim


def made(*rows: Row, **provenance: object) -> Evaluation:
    return Evaluation(rows, {}, dict(provenance))


@pytest.mark.parametrize(
    ("aim", "topic", "floor", "value", "distance"),
    [
        ("lower", "linkage", 0.01, 0.015, 0.005),
        ("lower", "linkage", 0.01, 0.005, 0),  # better than real people is luck or copying
        ("lower", "linkage", None, 0.005, 0.005),
        ("higher", "linkage", 0.9, 0.8, 0.1),
        ("higher", "linkage", 0.9, 0.95, 0),
        ("higher", "linkage", None, 0.95, 0.05),
        ("floor", "utility", 0.78, 0.85, 0.07),
        ("floor", "utility", None, 0.85, None),
        ("at most floor", "privacy", 0.04, 0.01, 0),
        ("at most floor", "privacy", 0.04, 0.05, 0.01),
        ("0.5", "indistinguishable", 0.5, 0.4, 0.1),
        ("0.5", "privacy", 0.5, 0.46, 0),  # an attack that does worse than guessing
        ("0.5", "privacy", 0.5, None, None),
    ],
)
def test_distance_to_the_aim(
    aim: str, topic: str, floor: float | None, value: float | None, distance: float | None
) -> None:
    found = distance_to_aim(Row(topic, "m", "all", value, floor, aim))
    assert found == (None if distance is None else pytest.approx(distance))


def test_lines_say_which_is_nearer_and_whether_the_intervals_are_apart() -> None:
    first = made(
        Row("linkage", "LD RMSE", "all", 0.020, 0.010, "lower", 0.018, 0.022),
        Row("privacy", "membership AUC", "all", 0.51, 0.5, "0.5", 0.49, 0.53),
        Row("frequency", "AF r", "all", 0.99, 0.98, "higher"),
        Row("frequency", "AF r", "EUR", 0.9, 0.98, "higher"),
        Row("haplotypes", "H1 RMSE", "all", None, note="needs phased haplotypes"),
        sites=100,
        people={"holdout": {"used": 50}},
    )
    second = made(
        Row("linkage", "LD RMSE", "all", 0.014, 0.010, "lower", 0.013, 0.016),
        Row("privacy", "membership AUC", "all", 0.52, 0.5, "0.5", 0.50, 0.54),
        Row("frequency", "AF r", "all", 0.985, 0.98, "higher"),
        Row("haplotypes", "H1 RMSE", "all", 0.1, 0.1),
        Row("utility", "label fidelity", "all", 0.7, 0.8, "floor"),
        sites=90,
        people={"holdout": {"used": 60}},
    )
    found = compare(first, second, ("old", "new"))
    by_key = {(line.metric, line.label): line for line in found.lines}
    assert {k: (line.nearer, line.beyond) for k, line in by_key.items()} == {
        ("LD RMSE", "all"): ("b", True),
        ("membership AUC", "all"): ("a", False),
        ("AF r", "all"): ("same", None),
        ("AF r", "EUR"): ("", None),
        ("H1 RMSE", "all"): ("", None),
        ("label fidelity", "all"): ("", None),
    }
    assert by_key["H1 RMSE", "all"].floor == 0.1
    lines = str(found).splitlines()
    assert lines[0].split() == ["topic", "metric", "floor", "old", "new", "aim", "nearer", "intervals"]
    assert lines[1].split() == ["linkage", "LD", "RMSE", "0.0100", "0.0200", "0.0140", "lower", "new", "apart"]
    assert lines[-2:] == ["- They differ in sites: 100 and 90.", "- They differ in the holdout people used: 50 and 60."]
    assert "EUR" not in str(found) and "EUR" in found.table(per_label=True)
    content = json.loads(found.to_json())
    assert (content["a"], content["b"], len(content["lines"])) == ("old", "new", 6)
