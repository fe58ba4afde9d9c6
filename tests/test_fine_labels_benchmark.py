"""The benchmark of classifiers of fine labels, on a simulated cohort, and its section of the document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import pgcgan

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import fine_labels

    yield fine_labels
    sys.path.remove(str(FOLDER))


def test_the_classifiers_know_labels_that_are_there_and_no_others(benchmark: ModuleType) -> None:
    random = np.random.default_rng(1)
    label = np.arange(160) % 2
    own = random.uniform(0.2, 0.8, (60, 1, 1)) + np.where(label[:, None] == 0, 0.15, -0.15)
    calls = (random.random((60, 160, 2)) < own).astype(np.int8)
    people = pgcgan.Genotypes.from_numpy(calls, labels={"pop": [f"P{k}" for k in label]})
    train, test = people[:, :100], people[:, 100:]
    assert benchmark.accuracy([train], test, 1) > 0.8
    mixed = pgcgan.Genotypes.from_numpy(train.calls, labels={"pop": random.permutation(train.label("pop")).tolist()})
    assert abs(benchmark.accuracy([mixed], test, 1) - 0.5) < 0.2


@pytest.mark.torture
def test_it_measures_real_and_synthetic_people(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = pgcgan.simulate(160, length=60_000, seed=1, populations=["AFR"]).select(min_maf=0.02)
    monkeypatch.setattr(benchmark, "read_parts", lambda folder, data: people.split(0.7, by="pop", seed=1))
    (tmp_path / benchmark.DATA.vcf).touch()
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- fine-labels -->\n<!-- /fine-labels -->\n")
    folders = ["--data", str(tmp_path), "--out", str(tmp_path), "--document", str(document)]
    benchmark.main([*folders, "--seeds", "1,2", "--generators", "oversampling,independent"])
    runs = json.loads((tmp_path / "fine-labels.json").read_text())["runs"]
    assert [len(runs["independent"][cell]) for cell in ("alone", "added", "AA_truth")] == [2, 2, 2]
    shown = np.mean(runs["independent"]["alone"])
    assert f"| independent | {shown:.3f} ±" in document.read_text()


def test_the_document_shows_what_was_measured(benchmark: ModuleType) -> None:
    text = (FOLDER.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = text.split("<!-- fine-labels -->")[1].split("<!-- /fine-labels -->")[0].strip()
    result = json.loads((FOLDER / "results" / "fine-labels.json").read_text(encoding="utf-8"))
    assert shown == benchmark.as_markdown(result)
