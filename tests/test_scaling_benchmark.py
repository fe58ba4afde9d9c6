"""The benchmark of growth, on tiny cohorts, and its section of the document."""

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
    import scaling

    yield scaling
    sys.path.remove(str(FOLDER))


@pytest.mark.torture
def test_it_measures_fits_of_the_sizes_asked_for(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "in_own_process", lambda _, options: benchmark.measure_fit(Path(options[1])))
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- scaling -->\n<!-- /scaling -->\n")
    folders = ["--out", str(tmp_path), "--document", str(document), "--cohorts", str(tmp_path / "cohorts")]
    sizes = ["--sites", "60,120", "--people", "40,80", "--at-people", "60", "--at-sites", "80"]
    benchmark.main([*sizes, *folders])
    result = json.loads((tmp_path / "scaling.json").read_text())
    assert [(f["people"], f["sites"]) for f in result["fits"]] == [(60, 60), (60, 120), (40, 80), (80, 80)]
    for fit in result["fits"]:
        assert fit["data_bytes"] == 2 * fit["people"] * fit["sites"]
        assert all(fit["parts"][part] > 0 for part in benchmark.PARTS)
        assert sum(fit["parts"].values()) <= fit["cpu_seconds"]
        assert 0 < fit["peak_bytes"] <= fit["peak_with_sample_bytes"]
    text = document.read_text()
    assert "| 60 | 60 |" in text
    assert "- 2 times the sites: " in text
    assert "- 2 times the people: " in text
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cohorts").iterdir()}
    assert benchmark.cohort_of(60, 120, tmp_path / "cohorts").name in before
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cohorts").iterdir()} == before


def test_growth_is_a_power(benchmark: ModuleType) -> None:
    fits = [
        {"sites": sites, "people": people, "cpu_seconds": 0.001 * sites * people**2, "peak_bytes": 1e9 * sites**0.5}
        for people, sites in ((100, 10), (100, 160), (100, 20), (400, 20))
    ]
    assert benchmark._growth(fits) == [
        "- 16 times the sites: 16 times the time (power 1.00), 4 times the memory (power 0.50).",
        "- 4 times the people: 16 times the time (power 2.00), 1 times the memory (power 0.00).",
    ]


def test_the_document_shows_what_was_measured(benchmark: ModuleType) -> None:
    text = (FOLDER.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = text.split("<!-- scaling -->")[1].split("<!-- /scaling -->")[0].strip()
    measured = FOLDER / "results" / "scaling.json"
    expected = "Not measured yet."
    if measured.exists():
        expected = benchmark.as_markdown(json.loads(measured.read_text(encoding="utf-8"))).strip()
    assert shown == expected
