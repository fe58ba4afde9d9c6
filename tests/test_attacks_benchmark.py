"""The benchmark of membership attacks: its likelihoods, its verdict on a model that leaks, and its section."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import pgcgan
from pgcgan.genotypes import Genotypes

FOLDER = Path(__file__).parents[1] / "benchmarks"
QUICK = {"seed": 1, "calibrate": False, "inverse_temperature": 1.0, "run_carriers": 4}


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import attacks

    yield attacks
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def people() -> Genotypes:
    return pgcgan.simulate(120, length=100_000, seed=4).select(min_maf=0.02)


def test_the_likelihood_of_unlinked_sites_is_that_of_their_frequencies(benchmark: ModuleType) -> None:
    random = np.random.default_rng(1)
    calls = (random.random((6, 400, 2)) < np.array([0.5, 0.4, 0.3, 0.2, 0.5, 0.1])[:, None, None]).astype(np.int8)
    sites = pgcgan.Variants(["1"] * 6, np.arange(6) * 10**6 + 1, [f"s{i}" for i in range(6)], ["A"] * 6, ["C"] * 6)
    names = [f"p{i}" for i in range(400)]
    unlinked = Genotypes(calls, sites, names, {"super_pop": np.array(["x"] * 400, dtype=object)}, True)
    model = pgcgan.HaplotypeModel(**QUICK, max_sites=1).fit(unlinked)
    nats = benchmark.likelihoods(model, unlinked)
    share = (calls > 0).mean(axis=(1, 2))[:, None, None]
    expected = np.where(calls > 0, np.log(share), np.log1p(-share)).sum(axis=(0, 2))
    assert np.corrcoef(nats["codes"], expected)[0, 1] > 0.99
    assert np.abs(nats["codes"] - expected).mean() < 0.2
    # a code is an allele here: nothing is left to say
    assert np.allclose(nats["alleles"], nats["codes"], atol=1e-5)


def test_a_model_of_few_people_gives_them_away(benchmark: ModuleType, people: Genotypes) -> None:
    train, holdout = people.split(0.5, by="super_pop", seed=1)
    model = pgcgan.HaplotypeModel(**{**QUICK, "run_carriers": 1}, min_carriers=1).fit(train)
    inside, outside = (benchmark.likelihoods(model, part) for part in (train, holdout))
    assert benchmark.roc_auc(inside["alleles"], outside["alleles"]) > 0.75
    outside = outside["codes"]
    # and nothing is found where there is nothing: other people on both sides
    half = np.arange(holdout.n_samples) % 2 == 0
    assert 0.3 < benchmark.roc_auc(outside[half], outside[~half]) < 0.7


def test_distances_are_counted_in_alleles(benchmark: ModuleType, people: Genotypes) -> None:
    some, other = people.select(samples=np.arange(3)), people.select(samples=np.arange(50, 60))
    rows, drawn = some.haplotypes(), other.haplotypes()
    expected = [min((rows[2 * i + k] != row).sum() for k in (0, 1) for row in drawn) for i in range(3)]
    assert benchmark.nearest(some, other).tolist() == expected
    assert benchmark.nearest(some, some).tolist() == [0, 0, 0]


@pytest.mark.torture
def test_it_measures_and_writes(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- attacks -->\n<!-- /attacks -->\n")
    row = {name: {"AUC": [0.6, 0.5, 0.7], "TPR": [0.02, None, None]} for name in benchmark.ATTACKS}
    monkeypatch.setattr(benchmark, "attack", lambda model, train, holdout, seed: row)
    folders = ["--out", str(tmp_path), "--document", str(document)]
    benchmark.main([*folders, "--people", "60", "--length", "15000"])
    result = json.loads((tmp_path / "attacks.json").read_text())
    assert list(result["sets"]) == ["simulated"]
    assert [run["min_carriers"] for run in result["sets"]["simulated"]["runs"]] == [3, 10]
    text = document.read_text()
    assert "| 0.600 (0.500 to 0.700) | 0.0200 |" in text and "### Simulated cohort" in text
    document.write_text("<!-- attacks -->\n<!-- /attacks -->\n")
    benchmark.main([*folders, "--render"])
    assert document.read_text() == text
    capsys.readouterr()
    benchmark.main([*folders, "--data", str(tmp_path)])
    assert "nothing is measured" in capsys.readouterr().out


def test_the_document_shows_what_was_measured(benchmark: ModuleType) -> None:
    text = (FOLDER.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = text.split("<!-- attacks -->")[1].split("<!-- /attacks -->")[0].strip()
    result = json.loads((FOLDER / "results" / "attacks.json").read_text(encoding="utf-8"))
    assert shown == benchmark.as_markdown(result)
