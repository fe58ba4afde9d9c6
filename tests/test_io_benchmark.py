"""The benchmarks of files and of HLA alleles, on tiny cohorts, and their sections of the document."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pgcgan import Genotypes, HaplotypeModel, read, write
from pgcgan.genotypes import Variants

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that loads a benchmark; one of them is called as a module of Python's."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def one(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield one
    for name in ("real_data", "scaling"):
        sys.modules.pop(name, None)


@pytest.mark.oracle("bcftools")
def test_files_are_measured_against_their_peers(load, cohort, tmp_path, monkeypatch):
    benchmark = load("io")
    quick = {"run_carriers": 4, "inverse_temperature": 1.0, "calibrate": False}
    model = HaplotypeModel(seed=1, **quick).fit(cohort.select(sites=slice(0, 100))).save(tmp_path / "quick.model")

    def here(_: str, options: Sequence[str]) -> dict[str, Any]:
        with redirect_stdout(io.StringIO()) as said:
            benchmark.main(options)
        return dict(json.loads(said.getvalue()))

    monkeypatch.setattr(benchmark, "in_own_process", here)
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- io -->\n<!-- /io -->\n")
    options = ["--data", str(tmp_path), "--folder", str(tmp_path / "files"), "--out", str(tmp_path)]
    options += [
        "--document",
        str(document),
        "--repeat",
        "1",
        "--counts",
        "30,60",
        "--formats",
        ".bcf,.bed",
        "--model",
        str(model),
    ]
    benchmark.main([*options, "--read", "60,80", "--written", "90,20"])
    result = json.loads((tmp_path / "io.json").read_text())
    assert [(row["kind"], row["format"]) for row in result["rows"]] == [
        *(("read", name) for name in benchmark.READERS),
        *(("write", name) for name in benchmark.WRITERS),
    ]
    assert all(row["ratio"] == row["theirs"]["cpu_seconds"] / row["ours"]["cpu_seconds"] for row in result["rows"])
    assert [(run["people"], run["format"]) for run in result["generated"]] == [
        (30, ".bcf"), (60, ".bcf"), (30, ".bed"), (60, ".bed"),
    ]  # fmt: skip
    for run in result["generated"]:
        assert 0 < run["model_cpu_seconds"] < run["cpu_seconds"]
        assert run["bytes"] > run["sites"] * run["people"] / (40 if run["format"] == ".bcf" else 4)
    text = document.read_text()
    assert "| read | `.pgen` |" in text and "| write | `.bed` |" in text and "from the model of quick.model" in text
    document.write_text("<!-- io -->\n<!-- /io -->\n")
    benchmark.main([*options, "--render"])
    assert document.read_text() == text


def test_a_large_zarr_is_written_and_trained_on_by_region(load, tmp_path, monkeypatch):
    benchmark = load("biobank")

    def here(_: str, options: Sequence[str]) -> dict[str, Any]:
        with redirect_stdout(io.StringIO()) as said:
            benchmark.main(options)
        return dict(json.loads(said.getvalue()))

    monkeypatch.setattr(benchmark, "in_own_process", here)
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- biobank -->\n<!-- /biobank -->\n")
    options = ["--people", "80", "--sites", "400", "--region-sites", "60", "--folder", str(tmp_path)]
    benchmark.main([*options, "--out", str(tmp_path), "--document", str(document)])
    result = json.loads((tmp_path / "biobank.json").read_text())
    assert result["region"]["sites"] == 60
    assert "400 sites, 80 people, 160 haplotypes: about " in document.read_text()
    cohort = benchmark.read_cohort(benchmark.cohort_of(80, 40, tmp_path))
    whole, label = read(tmp_path / "biobank.zarr"), cohort.label("super_pop")
    assert whole.n_variants == 400 and (np.diff(whole.variants.position) > 0).all()
    for first in range(0, 400, 40):  # every tile has the frequencies of the cohort in every label
        tile = whole.calls[first : first + 40]
        for value in np.unique(label):
            assert np.array_equal(
                tile[:, label == value].sum(axis=(1, 2)), cohort.calls[:, label == value].sum(axis=(1, 2))
            )
    assert read(tmp_path / "biobank-synthetic.zarr").n_samples == 80


def test_alleles_of_a_gene_are_counted(load):
    benchmark = load("markers")
    names = ["HLA_A_01", "rs1", "HLA_A_02", "AA_A_9_30018537_exon2_Y", "HLA_A_0101", "HLA_A_0201", "HLA_B_07"]
    calls = np.zeros((7, 3, 2), dtype=np.int8)
    calls[0] = [[1, 0], [1, 1], [0, 1]]
    calls[2] = [[0, 1], [0, 0], [0, 1]]  # the last person: none on one haplotype, two on the other
    calls[4:6] = 1
    sites = dict.fromkeys(("contig", "ref", "alt"), ["6"] * 7)
    people = Genotypes(calls, Variants(position=range(1, 8), id=names, **sites), ["a", "b", "c"])
    found = benchmark.genes(people)
    assert {key: sites.tolist() for key, sites in found.items()} == {("A", 2): [0, 2], ("A", 4): [4, 5]}
    assert benchmark.carried(people, found["A", 2]) == pytest.approx(
        {
            "one on a haplotype": 4 / 6,
            "none on a haplotype": 1 / 6,
            "several on a haplotype": 1 / 6,
            "at most two in a person": 1,
        }
    )


def test_markers_of_a_cohort(load, cohort, tmp_path):
    benchmark = load("markers")
    ids = [f"HLA_A_{i:02d}" if i < 30 else f"HLA_B_{i:04d}" for i in range(60)]
    few = cohort.select(sites=slice(0, 60))
    columns = {name: getattr(few.variants, name) for name in ("contig", "position", "ref", "alt")}
    write(Genotypes(few.calls, Variants(id=ids, **columns), few.samples, few.labels), tmp_path / benchmark.FILE)
    (tmp_path / "hla_all.panel.tsv").rename(tmp_path / "panel.tsv")
    rows = [f"{name}\t{'test' if i % 5 == 0 else 'train'}\n" for i, name in enumerate(few.samples)]
    (tmp_path / "split.tsv").write_text("sample\tsplit\n" + "".join(rows))
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- markers -->\n<!-- /markers -->\n")
    benchmark.main(["--data", str(tmp_path), "--out", str(tmp_path), "--document", str(document)])
    result = json.loads((tmp_path / "markers.json").read_text())
    assert result["people"] == {"train": 120, "held out": 30, "generated": 120}
    assert [(row["gene"], row["digits"], row["alleles"]) for row in result["rows"]] == [("A", 2, 30), ("B", 4, 30)]
    assert all(row["af_rmse"]["generated"] < 0.2 for row in result["rows"])
    assert "| A | 2 | 30 |" in document.read_text()


def test_without_the_data_it_says_so(load, tmp_path, capsys):
    load("markers").main(["--data", str(tmp_path)])
    assert "hla_all.vcf.gz is not in the data folder" in capsys.readouterr().out
