"""docs/evaluation.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import pgcgan
from pgcgan.metrics.gate import THRESHOLDS

DOCUMENT = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_gate() -> None:
    shown = DOCUMENT.split("<!-- thresholds -->")[1].split("<!-- /thresholds -->")[0].strip().splitlines()[2:]
    assert shown == [f"| {metric} | {t.limit} | {t.why} |" for metric, t in THRESHOLDS.items()]


def test_every_metric_is_explained(cohort: pgcgan.Genotypes) -> None:
    parts = [cohort.select(samples=np.arange(k, 60, 3), sites=slice(0, 40)) for k in range(3)]
    made = pgcgan.Genotypes(parts[1].calls, parts[1].variants, [f"S{i}" for i in range(20)], parts[1].labels)
    metrics = {row.metric for row in pgcgan.evaluate(parts[0], made, holdout=parts[2]).rows}
    for metric in metrics:
        stem = re.split(r", (?!within|across)|, MAF", metric)[0]
        assert all(word in DOCUMENT for word in re.split(r", ", stem)), metric


def test_options_that_are_named_exist() -> None:
    sources = "".join(p.read_text(encoding="utf-8") for p in (Path(pgcgan.__file__).parent / "cli").glob("*.py"))
    for option in {name[2:] for name in re.findall(r"--[a-z-]+", DOCUMENT)}:
        assert re.search(rf"\b{option.replace('-', '_')}\b|\"--{option}\"", sources), option
