"""The benchmark of differential privacy: what it measures and writes, on a tiny simulated cohort."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pgcgan.genotypes import Genotypes

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def epsilon() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import epsilon

    yield epsilon
    sys.path.remove(str(FOLDER))


def test_columns_are_measured_once_and_written_beside_each_other(
    epsilon: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- epsilon -->\nold\n<!-- /epsilon -->\nafter\n")
    monkeypatch.setattr(epsilon, "CASES", {"tiny": epsilon.Case("A tiny cohort", 120, 40_000)})
    monkeypatch.setattr(epsilon, "HELD_OUT", 120)
    columns = [("independent sites", None), ("private, public panel", 3.0)]
    monkeypatch.setattr(epsilon, "columns", lambda: columns)
    options = ["--only", "tiny", "--out", str(tmp_path), "--document", str(document)]
    epsilon.main(options)
    text = document.read_text()
    result = json.loads((tmp_path / "epsilon.json").read_text())
    case = result["cases"]["tiny"]
    assert [(c["name"], c["epsilon"]) for c in case["columns"]] == columns
    assert (case["train"], case["public"], case["holdout"]) == (120, 60, 60)
    assert all(c["values"].keys() >= {*epsilon.ROWS, epsilon.POOL, epsilon.FOUND} for c in case["columns"])
    assert "120 training people" in text and "60 public people and 60 held-out people" in text
    assert text.count("\n| private, public panel | 3 |") == 1
    assert text.startswith("before") and text.endswith("after\n")
    monkeypatch.setattr(epsilon, "measure", None)  # all is there: nothing is measured again
    epsilon.main([*options, "--missing"])
    assert document.read_text().count("\n| independent sites | none |") == 1


def test_noisy_independent_sites_are_near_the_frequencies_and_do_not_hold_them(
    epsilon: ModuleType, cohort: Genotypes
) -> None:
    people = cohort.select(sites=slice(0, 40))
    exact, noisy = epsilon.independent(people, None, 1), epsilon.independent(people, 10.0, 1)
    difference = np.abs(exact.frequency_ - noisy.frequency_)
    assert 0.001 < difference.mean() < 0.2
    assert exact.label_counts_.keys() == noisy.label_counts_.keys()
