"""The benchmark of windows runs as its help says, and writes what it has measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def benchmark() -> Iterator[ModuleType]:
    folder = str(Path(__file__).parents[1] / "benchmarks")
    sys.path.insert(0, folder)
    import windows

    yield windows
    sys.path.remove(folder)


@pytest.mark.torture
def test_a_genome_is_planned_fitted_generated_and_evaluated(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "scale.md"
    document.write_text("<!-- genome -->\n<!-- /genome -->\n<!-- windows -->\n<!-- /windows -->\n")
    monkeypatch.setattr(benchmark, "DOCUMENT", document)
    command = ["windows.py", "--name", "genome", "--people", "200", "--length", "40000", "--size", "400"]
    command += [
        "--workers",
        "0",
        "--results",
        str(tmp_path),
        "--set",
        "run_carriers=4",
        "--set",
        "inverse_temperature=1.0",
    ]
    monkeypatch.setattr(sys, "argv", command)
    benchmark.main()
    result = json.loads((tmp_path / "genome.json").read_text())
    assert result["people trained on"] + result["unseen"] == 200
    assert result["windows"] == 2
    assert result["rows"]["far pairs r, between contigs"]["floor"] > 0
    (run,) = result["runs"]
    assert run["seconds"] == pytest.approx(sum(stage["seconds"] for stage in run["stages"].values()), abs=0.2)
    assert "| far pairs r, between contigs |" in document.read_text()
    slower = {stage: {**of, "seconds": 3 * of["seconds"]} for stage, of in run["stages"].items()}
    two = benchmark.rendered({**result, "runs": [{**run, "stages": slower, "seconds": 3 * run["seconds"]}, run]})
    assert "**3.00 times** as fast with 0 workers as with 0 (the fit 3.00 times)" in two
    assert "evaluation are the same." in two
    assert "are **not** the same." in benchmark.rendered({**result, "runs": [run, run], "same bytes": False})
