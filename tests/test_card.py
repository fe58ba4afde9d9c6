"""The model card: it describes the model, depends on nothing else, and is never read back."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pgcgan
from pgcgan import cli
from pgcgan.generators.card import model_card
from pgcgan.genotypes import Genotypes
from pgcgan.metrics import Evaluation, Row
from pgcgan.registry import BASELINES, create, family


@pytest.fixture(scope="module")
def train(cohort: Genotypes) -> Genotypes:
    return cohort.select(sites=slice(0, 60))


@pytest.fixture(scope="module")
def saved(train: Genotypes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return (
        pgcgan.HaplotypeModel(seed=4, run_carriers=5, coverage=0.9)
        .fit(train)
        .save(tmp_path_factory.mktemp("card") / "m")
    )


def measured(*rows: tuple[str, float | None, float | None]) -> Evaluation:
    """Return an evaluation with these overall rows, and others that are no business of the card."""
    overall = [Row("topic", name, "all", value, floor) for name, value, floor in rows]
    return Evaluation((*overall, Row("topic", "AF RMSE", "EUR", 99.0), Row("topic", "Fst error", "all", 77.0)), {}, {})


def test_it_agrees_with_the_model_directory(saved: Path, train: Genotypes) -> None:
    text = (saved / "MODEL_CARD.md").read_text(encoding="utf-8")
    metadata = json.loads((saved / "model.json").read_text(encoding="utf-8"))
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Data",
        "Labels",
        "How it was made",
        "What it gives away",
        "Evaluation",
        "Limits",
    ]
    position = train.variants.position
    assert f"- people trained on: {train.n_samples}\n- sites: 60, at `1` {position[0]}-{position[-1]}\n" in text
    assert "- genotypes: phased, diploid\n" in text
    table = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|$", text, re.MULTILINE))
    assert {name: int(count) for name, count in table.items()} == metadata["label_counts"]
    assert f"- command: `{metadata['provenance']['command']}`\n- seed: 4\n" in text
    assert "- parameters that differ from their defaults: `run_carriers` 5, `coverage` 0.9\n" in text
    assert "Not evaluated" in text
    assert metadata["provenance"]["date"] not in text
    assert not any(name in text for name in train.samples)


def test_the_same_command_and_seed_give_the_same_card(
    saved: Path, train: Genotypes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")  # another time
    again = pgcgan.HaplotypeModel(seed=4, run_carriers=5, coverage=0.9).fit(train).save(tmp_path / "m")
    assert (again / "model.json").read_bytes() != (saved / "model.json").read_bytes()
    assert (again / "MODEL_CARD.md").read_bytes() == (saved / "MODEL_CARD.md").read_bytes()


@pytest.mark.parametrize("edit", ["absent", "edited", "a directory", "not text"])
def test_a_card_is_never_read_back(edit: str, saved: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(saved, tmp_path / "m"))
    card = copy / "MODEL_CARD.md"
    card.unlink()
    if edit == "edited":
        card.write_text("people trained on: none")
    elif edit == "a directory":
        card.mkdir()
    elif edit == "not text":
        card.write_bytes(b"\xff\xfe\x00")
    assert pgcgan.load(copy).sample(9, seed=0).equals(pgcgan.load(saved).sample(9, seed=0))


def test_figures_of_an_evaluation(saved: Path, tmp_path: Path) -> None:
    model = pgcgan.load(saved)
    rows = [("AF RMSE", 0.01234567, 0.0122), ("membership AUC", None, None), ("exact copies", 0.0, 0.5), ("Fst", 77, 1)]
    text = (model.save(tmp_path / "m", measured=rows) / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| AF RMSE | 0.01235 | 0.0122 |\n| membership AUC | – | – |\n| exact copies | 0 | 0.5 |\n" in text
    assert not re.search("Not evaluated|77|Fst", text)
    overall = [Row("topic", metric, "all", value, floor) for metric, value, floor in rows]
    evaluation = Evaluation((*overall, replace(overall[0], label="EUR", value=0.5)), {}, {})
    assert (model.save(tmp_path / "n", measured=evaluation) / "MODEL_CARD.md").read_text(encoding="utf-8") == text
    assert not (model.save(tmp_path / "window", provenance={"pgcgan": "1"}) / "MODEL_CARD.md").exists()


def test_the_command_prints_and_writes_it(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["pgcgan"])
    assert cli.main(["card", str(saved)]) == 0
    assert capsys.readouterr().out == (saved / "MODEL_CARD.md").read_text(encoding="utf-8")
    (tmp_path / "e.json").write_text(measured(("LD RMSE", 0.0148, 0.0141)).to_json())
    line = ["card", str(saved), "--evaluation", f"{tmp_path}/e.json", "-o", f"{tmp_path}/card.md"]
    assert cli.main(line) == 0
    assert "| LD RMSE | 0.0148 | 0.0141 |\n" in (tmp_path / "card.md").read_text(encoding="utf-8")
    assert not re.search("99|77|Fst", (tmp_path / "card.md").read_text(encoding="utf-8"))
    capsys.readouterr()
    for arguments, fact in ((line, f"{tmp_path}/card.md"), (["card", f"{tmp_path}/none"], f"{tmp_path}/none")):
        assert cli.main(arguments) == 2
        assert fact in capsys.readouterr().err


@pytest.mark.parametrize("name", BASELINES)
def test_it_warns_of_baselines_that_hold_people(name: str, train: Genotypes, tmp_path: Path) -> None:
    text = (create(name).fit(train).save(tmp_path / "b") / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text.startswith(f"# pgcgan model: {name}\n")
    assert f"- sites: 60, at `1` {train.variants.position[0]}-{train.variants.position[-1]}\n" in text
    assert ("holds the genotypes of the people" in text) == family(name).holds_training_rows


def test_contigs_of_a_baseline_each_have_their_span(cohort: Genotypes, tmp_path: Path) -> None:
    v = cohort.variants
    names = ["1"] * 20 + ["2"] * (len(v) - 20)
    two = Genotypes(
        cohort.calls, replace(v, contig=names, contig_lengths={}), cohort.samples, cohort.labels, cohort.phased
    )
    text = (create("independent").fit(two).save(tmp_path / "b") / "MODEL_CARD.md").read_text(encoding="utf-8")
    p = v.position
    assert f"at `1` {p[0]}-{p[19]}, `2` {p[20]}-{p[-1]}\n" in text


def test_names_from_the_input_are_no_markup(saved: Path) -> None:
    facts: dict[str, Any] = pgcgan.load(saved).facts()
    hostile = "a|b `c`\n# <script>alert(1)</script>"
    text = model_card({**facts, "label_counts": {hostile: 60, "*x*": 49}})
    assert "| `` a¦b `c` # <script>alert(1)</script> `` | 60 |\n| `*x*` | 49 |\n" in text
    assert "- Fewer than 50 people: `*x*` 49." in text
