"""The benchmark of the evaluation, on a tiny cohort, and its section of the document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import evaluation

    yield evaluation
    sys.path.remove(str(FOLDER))


@pytest.mark.oracle("plink1.9")
def test_it_measures_and_the_tools_agree(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "in_own_process", lambda _, o: benchmark.measure(o[1], Path(o[3])))
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- evaluation -->\n<!-- /evaluation -->\n")
    small = ["--people", "80", "--sites", "200", "--ld-sites", "60"]
    benchmark.main([*small, "--out", str(tmp_path), "--document", str(document)])
    result = json.loads((tmp_path / "evaluation.json").read_text())
    runs = {run["kind"]: run for run in result["runs"]}
    assert list(runs) == list(benchmark.KINDS)
    assert {runs[k]["pairs"] for k in benchmark.TITLES} == {60 * 59 // 2}
    for kind in ("plink", "scikit-allel"):
        assert runs[kind]["mean_r2"] == pytest.approx(runs["pgcgan"]["mean_r2"], rel=1e-4)
    assert runs["evaluate"]["peak_bytes"] > 0
    assert sum(runs["evaluate"]["topics"].values()) <= runs["evaluate"]["seconds"]
    benchmark.main(
        ["--large", "--people", "400", "--sites", "300", "--out", str(tmp_path), "--document", str(document)]
    )
    text = document.read_text()
    large = json.loads((tmp_path / "evaluation.json").read_text())["large"]
    assert large["run"]["used"] == {"train": 320, "synthetic": 320, "holdout": 80}
    assert large["run"]["data_bytes"] == 300 * (320 + 320 + 80) * 2
    assert "**400 people at 300 sites** (patchworks" in text
    assert f"and **{large['run']['peak_bytes'] / 1e9:.1f} GB**" in text
    ratio = runs["scikit-allel"]["seconds"] / runs["pgcgan"]["seconds"]
    assert f"| scikit-allel | {runs['scikit-allel']['seconds']:.2f} | 1 / {ratio:,.1f} |" in text


def test_the_document_shows_what_was_measured(benchmark: ModuleType) -> None:
    text = (FOLDER.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = text.split("<!-- evaluation -->")[1].split("<!-- /evaluation -->")[0].strip()
    result = json.loads((FOLDER / "results" / "evaluation.json").read_text(encoding="utf-8"))
    assert shown == benchmark.as_markdown(result).strip()
