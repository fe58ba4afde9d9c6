"""The benchmark of phenotypes as labels: the simulated status, and the document that shows what was measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pgcgan.genotypes import Genotypes

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def phenotypes() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import phenotypes

    yield phenotypes
    sys.path.remove(str(FOLDER))


def test_the_causal_site_has_the_odds_ratio_that_is_stated(phenotypes: ModuleType, cohort: Genotypes) -> None:
    few = cohort.select(sites=slice(0, 200))
    rows = np.resize(np.arange(few.n_samples), 20_000)
    names = np.array([f"p{k}" for k in range(len(rows))])
    labels = {"super_pop": few.label("super_pop")[rows]}
    many = Genotypes(few.calls[:, rows], few.variants, names, labels, few.phased)
    train, holdout, causal = phenotypes.with_status(many, few, 1)
    assert set(holdout.label("status")) <= {"case", "control"}
    own = train.label("super_pop").astype(str)
    design = np.column_stack([train.calls[causal].sum(axis=1), *(own == label for label in np.unique(own)[1:])])
    model = LogisticRegression(C=1e6, max_iter=1000).fit(design.astype(float), train.label("status") == "case")
    assert model.coef_[0, 0] == pytest.approx(np.log(2), abs=0.1)
    again, _, same = phenotypes.with_status(many, few, 1)
    assert same == causal and np.array_equal(again.label("status"), train.label("status"))


def test_the_table_counts_the_seeds_whose_interval_holds_the_truth(phenotypes: ModuleType) -> None:
    found = {"log odds ratio": 0.70, "standard error": 0.1, "z": 7.0, "lambda": 1.10, "p < .05": 0.05}
    runs = {"1": found, "2": {**found, "log odds ratio": 0.30, "lambda": 1.30}}
    made = {"pgcgan": "0", "date": "2026-11-26T00:00:00", "command": "benchmarks/phenotypes.py"}
    result = {"train": 10, "holdout": 4, "sites": 3, "rows": {"gan": runs}, "plink2": "PLINK", "provenance": made}
    assert "| gan | 2 | 0.500 ± 0.283 | 1 of 2 | 1.20 ± 0.14 | 0.050 ± 0.000 |" in phenotypes.as_markdown(result)


def test_without_the_data_it_says_so(
    phenotypes: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phenotypes.main(["--data", str(tmp_path)])
    assert "snp805.vcf.gz is not in the data folder" in capsys.readouterr().out


def test_the_document_shows_what_was_measured(phenotypes: ModuleType) -> None:
    text = phenotypes.DOCUMENT.read_text(encoding="utf-8")
    shown = text.split("<!-- phenotypes -->")[1].split("<!-- /phenotypes -->")[0].strip()
    path = phenotypes.RESULTS / "phenotypes.json"
    expected = "Not measured yet."
    if path.exists():
        expected = phenotypes.as_markdown(json.loads(path.read_text(encoding="utf-8")))
    assert shown == expected.strip()
