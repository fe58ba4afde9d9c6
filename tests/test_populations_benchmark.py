"""The benchmark of the finest labels, on a simulated cohort, and its section of the document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import pgcgan

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import populations

    yield populations
    sys.path.remove(str(FOLDER))


@pytest.mark.torture
def test_it_measures_by_population(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = pgcgan.simulate(160, length=60_000, seed=1).select(min_maf=0.02)
    train, holdout = people.split(0.7, by="pop", seed=1)
    monkeypatch.setattr(benchmark, "read_parts", lambda folder, data: (train, holdout))
    (tmp_path / benchmark.DATA.vcf).touch()
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- populations -->\n<!-- /populations -->\n")
    folders = ["--data", str(tmp_path), "--out", str(tmp_path), "--document", str(document)]
    benchmark.main([*folders, "--generators", "independent"])
    result = json.loads((tmp_path / "populations.json").read_text())
    (run,) = result["runs"]
    # the numbers are those of the library
    model = pgcgan.IndependentSites("pop", seed=1).fit(train)
    direct = pgcgan.evaluate(train, model.sample(model.label_counts_, seed=1), holdout=holdout, label="pop", seed=1)
    assert run["rows"]["AF RMSE"] == pytest.approx([direct.get("AF RMSE").value, direct.get("AF RMSE").floor], rel=1e-4)
    assert run["each"]["TSTR accuracy"].keys() == set(train.label("pop").astype(str))
    assert sum(result["people"].values()) == train.n_samples
    text = document.read_text()
    assert f"| AF RMSE | {benchmark.figure(run['rows']['AF RMSE'][1])} |" in text
    document.write_text("<!-- populations -->\n<!-- /populations -->\n")
    benchmark.main([*folders, "--render"])
    assert document.read_text() == text
    (tmp_path / benchmark.DATA.vcf).unlink()
    capsys.readouterr()
    benchmark.main(folders)
    assert "nothing is measured" in capsys.readouterr().out


def test_the_document_shows_what_was_measured(benchmark: ModuleType) -> None:
    text = (FOLDER.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = text.split("<!-- populations -->")[1].split("<!-- /populations -->")[0].strip()
    path = FOLDER / "results" / "populations.json"
    expected = (
        benchmark.as_markdown(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else "Not measured yet."
    )
    assert shown == expected.strip()
