"""The augmentation benchmark, on a tiny simulated cohort, and the document that it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import pgcgan
from pgcgan import IndependentSites
from pgcgan.errors import DataError, UsageError
from pgcgan.genotypes import Genotypes
from pgcgan.registry import family

FOLDER = Path(__file__).parents[1] / "benchmarks"
SMALL = {"steps": 2, "width": 8, "critic_width": 16, "batch": 16, "threads": 1, "inverse_temperature": 1.0}
LABEL = "super_pop"


@pytest.fixture(scope="module")
def augmentation() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import augmentation

    yield augmentation
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def people(cohort: Genotypes) -> Genotypes:
    return cohort.select(sites=slice(0, 240, 4))


@pytest.fixture(scope="module")
def parts(people: Genotypes) -> tuple[Genotypes, Genotypes]:
    return people.split(0.7, by=LABEL, seed=1)


@pytest.fixture(scope="module")
def folder(people: Genotypes, parts: tuple[Genotypes, Genotypes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with the files of the real one."""
    made = tmp_path_factory.mktemp("data")
    pgcgan.write(people, made / "hla.vcf.gz")
    (made / "hla.panel.tsv").rename(made / "panel.tsv")
    rows = [f"{s}\t{name}" for name, part in zip(("train", "test"), parts, strict=True) for s in part.samples]
    (made / "split.tsv").write_text("\n".join(["sample\tsplit", *rows, ""]))
    return made


@pytest.fixture
def target(folder: Path, tmp_path: Path) -> list[str]:
    """Return the options of a run that writes beside an empty document."""
    (tmp_path / "doc.md").write_text("before\n<!-- augmentation -->\nold\n<!-- /augmentation -->\nafter\n")
    return ["--data", str(folder), "--out", str(tmp_path), "--document", str(tmp_path / "doc.md")]


def results(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "augmentation.json").read_text())


def cell_of(result: dict[str, Any], label: str, keep: int, generator: str) -> dict[str, Any]:
    (cell,) = [c for c in result["cells"] if (c["label"], c["keep"], c["generator"]) == (label, keep, generator)]
    return cell


def f1_and_balanced_accuracy(truth: np.ndarray, predicted: np.ndarray, label: str) -> tuple[float, float]:
    """Return both from the confusion table, counted by hand."""
    table = Counter(zip(truth.tolist(), predicted.tolist(), strict=True))
    of = Counter(truth.tolist())
    hits = table[label, label]
    false = sum(n for (t, p), n in table.items() if p == label and t != label)
    missed = of[label] - hits
    recalls = [table[value, value] / of[value] for value in of]
    return 2 * hits / (2 * hits + false + missed), sum(recalls) / len(recalls)


def test_the_reduced_set_has_k_people_of_the_label_and_all_others(
    augmentation: ModuleType, parts: tuple[Genotypes, Genotypes]
) -> None:
    train, _ = parts
    names = {seed: augmentation.reduced_set(train, "AMR", 4, seed).samples.tolist() for seed in range(5)}
    others = set(train.samples[train.label(LABEL) != "AMR"])
    of_amr = set(train.samples) - others
    for seed, kept in names.items():
        assert others <= set(kept) and len(of_amr & set(kept)) == 4 and len(kept) == len(others) + 4
        assert kept == [name for name in train.samples if name in set(kept)]
        assert set(kept) < set(augmentation.reduced_set(train, "AMR", 7, seed).samples)
    assert names[1] == augmentation.reduced_set(train, "AMR", 4, 1).samples.tolist()
    assert len({tuple(n) for n in names.values()}) == 5


def test_fitted_on_the_reduced_set_alone_and_topped_up_to_the_whole_number(
    augmentation: ModuleType, parts: tuple[Genotypes, Genotypes], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, holdout = parts
    fitted: list[Genotypes] = []
    trained: list[Any] = []

    def spy(kind: type) -> None:
        before = kind.fit
        monkeypatch.setattr(
            kind, "fit", lambda self, people, **o: (fitted.append(people), before(self, people, **o))[1]
        )

    generators = sys.modules["augmentation_table"].GENERATORS
    for name in set(generators) - {"none", "oversampling"}:
        spy(family(name))

    class Classifier(augmentation.LabelClassifier):
        def __init__(self, people: Any, seed: int):
            trained.append(people)
            super().__init__(people, seed)

    monkeypatch.setattr(augmentation, "LabelClassifier", Classifier)
    experiment = augmentation.Experiment(train, holdout, settings=SMALL)
    reduced = augmentation.reduced_set(train, "AMR", 4, 2)
    assert not set(reduced.samples) & set(holdout.samples)
    whole = Counter(train.label(LABEL).tolist())
    for generator in [c for c in augmentation.COLUMNS if c != "haplotype-all"]:  # one training is enough; see below
        fitted.clear()
        trained.clear()
        cell = experiment.cell("AMR", 4, generator, [2])
        assert 0 <= cell["f1"][0] <= 1 and 0 < cell["balanced_accuracy"][0] <= 1, generator
        given = reduced if generator in generators else train
        needs_fit = generator not in ("none", "oversampling", "real")
        assert [f.samples.tolist() for f in fitted] == [given.samples.tolist()] * needs_fit, generator
        (people,) = trained
        real = train if generator == "real" else reduced
        assert np.array_equal(people.calls[:, : real.n_samples], real.calls), generator
        assert set(people.labels[real.n_samples :]) <= {"AMR"}
        expected = Counter(reduced.label(LABEL).tolist()) if generator == "none" else whole
        assert Counter(people.labels.tolist()) == expected, generator
        if generator == "oversampling":
            of_label = reduced.calls[:, reduced.label(LABEL) == "AMR"]
            times = Counter(people.calls[:, i].tobytes() for i in range(reduced.n_samples, people.calls.shape[1]))
            missing = whole["AMR"] - 4
            assert set(times) == {of_label[:, i].tobytes() for i in range(4)}
            assert sorted(times.values()) == sorted(missing // 4 + (i < missing % 4) for i in range(4))


def test_the_scores_are_those_of_a_confusion_table(
    augmentation: ModuleType, parts: tuple[Genotypes, Genotypes]
) -> None:
    # with fewer sites than components, the classifier is a logistic regression on the centred haplotypes themselves
    train, holdout = parts
    reduced = augmentation.reduced_set(train, "AMR", 6, 3)
    rows, truth = reduced.haplotypes().astype(float), np.repeat(holdout.label(LABEL).astype(str), 2)
    mean = rows.mean(axis=0)
    unit = np.sqrt(((rows - mean) ** 2).mean())
    model = LogisticRegression(max_iter=2000).fit((rows - mean) / unit, np.repeat(reduced.label(LABEL).astype(str), 2))
    predicted = model.predict((holdout.haplotypes() - mean) / unit)
    f1, balanced = f1_and_balanced_accuracy(truth, predicted, "AMR")
    cell = augmentation.Experiment(train, holdout).cell("AMR", 6, "none", [3])
    assert 0 < f1 < 1
    assert cell["f1"] == [pytest.approx(f1, rel=1e-4)]
    assert cell["balanced_accuracy"] == [pytest.approx(balanced, rel=1e-4)]


def test_a_label_that_is_never_predicted_has_an_f1_of_nought(
    augmentation: ModuleType, parts: tuple[Genotypes, Genotypes], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, holdout = parts
    truth = np.repeat(holdout.label(LABEL).astype(str), 2)
    answers = {1: np.full(len(truth), "EUR"), 2: truth, 3: np.where(truth == "AMR", "EUR", truth)}
    monkeypatch.setattr(augmentation.Experiment, "_classified", lambda *arguments: answers[arguments[-1]])
    cell = augmentation.Experiment(train, holdout).cell("AMR", 6, "none", [1, 2, 3])
    assert cell["f1"] == [0, 1, 0] and cell["balanced_accuracy"] == [0.2, 1, 0.8]


def test_real_top_up_is_the_floor_of_the_evaluation(
    augmentation: ModuleType, parts: tuple[Genotypes, Genotypes]
) -> None:
    train, holdout = parts
    experiment = augmentation.Experiment(train, holdout)
    predicted, _ = experiment._predicted("AMR", 4, "real", 1)
    synthetic = IndependentSites(seed=1).fit(train).sample(train.n_samples, seed=1)
    floor = pgcgan.evaluate(train, synthetic, holdout=holdout, label=LABEL, seed=1).get("TSTR accuracy").floor
    assert (predicted == np.repeat(holdout.label(LABEL), 2)).mean() == pytest.approx(floor)
    assert experiment.cell("AMR", 4, "real", [1])["f1"] == experiment.cell("AMR", 8, "real", [1])["f1"]


def test_a_later_run_replaces_only_what_it_measures(
    augmentation: ModuleType, target: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    augmentation.main([*target, "--labels", "AMR,EUR", "--keep", "4", "--generators", "none,smote", "--seeds", "1,2"])
    first = results(tmp_path)
    assert len(first["cells"]) == 4 and list(first["runs"]) == ["1"]
    augmentation.main([*target, "--labels", "AMR", "--keep", "4,8", "--generators", "smote", "--seeds", "3"])
    second = results(tmp_path)
    for label, generator in (("AMR", "none"), ("EUR", "none"), ("EUR", "smote")):
        assert cell_of(second, label, 4, generator) == cell_of(first, label, 4, generator)
    replaced = cell_of(second, "AMR", 4, "smote")
    # other seeds stay, the same are replaced
    was = cell_of(first, "AMR", 4, "smote")
    assert replaced["seeds"] == [1, 2, 3] and replaced["f1"][:2] == was["f1"] and replaced["run"] == "1,2"
    assert len(replaced["f1"]) == len(replaced["balanced_accuracy"]) == 3
    assert len(second["cells"]) == 5 and list(second["runs"]) == ["1", "2"]
    assert second["runs"]["2"]["command"] == (
        "benchmarks/augmentation.py --labels AMR --keep 4,8 --generators smote --seeds 3"
    )
    # the rows stand in order, what is not measured is empty, and a mean over some of the rows is not shown
    f1 = (tmp_path / "doc.md").read_text().split("#### Balanced accuracy")[0]
    rows = [line.split(" | ") for line in f1.splitlines() if line.startswith("| ")]
    assert [row[:2] for row in rows[1:]] == [["| AMR", "4"], ["| AMR", "8"], ["| EUR", "4"], ["| mean", ""]]
    assert rows[0][2:] == ["no augmentation", "SMOTE |"]
    values = cell_of(second, "EUR", 4, "none")["f1"]
    assert rows[3][2] == f"{sum(values) / 2:.3f} ± {abs(values[0] - values[1]) / 2**0.5:.3f}"
    assert rows[1][3].startswith(f"{sum(replaced['f1']) / 3:.3f} ± ") and rows[2][2] == "" and rows[4][2] == ""
    # what a run measured stays if it is then interrupted
    before = augmentation.Experiment.cell

    def interrupted(self: Any, label: str, keep: int, *others: Any) -> dict[str, Any]:
        if keep == 8:
            raise KeyboardInterrupt
        return before(self, label, keep, *others)

    monkeypatch.setattr(augmentation.Experiment, "cell", interrupted)
    with pytest.raises(KeyboardInterrupt):
        augmentation.main([*target, "--keep", "6,8", "--labels", "AMR", "--generators", "none", "--seeds", "1"])
    third = results(tmp_path)
    assert cell_of(third, "AMR", 6, "none")["run"] == "3" and len(third["cells"]) == 6


def test_runs_without_a_cell_left_are_forgotten(augmentation: ModuleType) -> None:
    about = {"sites": 5}
    cell = {"label": "AMR", "keep": 4, "generator": "none", "seeds": [1]}
    once = augmentation.merged(None, about, {"date": "a"}, [cell])
    twice = augmentation.merged(once, about, {"date": "b"}, [cell])
    assert once["runs"] == {"1": {"date": "a"}} and twice["runs"] == {"2": {"date": "b"}}
    assert twice["cells"] == [{**cell, "run": "2"}]
    with pytest.raises(DataError, match="about other data: sites is 5, and here it is 6; give another folder"):
        augmentation.merged(twice, {"sites": 6}, {}, [])


def test_fitted_on_all_train_people_once_or_loaded(
    augmentation: ModuleType,
    parts: tuple[Genotypes, Genotypes],
    target: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, _ = parts
    fits: list[Any] = []
    fit = pgcgan.HaplotypeModel.fit
    monkeypatch.setattr(pgcgan.HaplotypeModel, "fit", lambda self, *a, **o: (fits.append(self), fit(self, *a, **o))[1])
    options = [*target, "--labels", "AMR", "--keep", "4,8", "--generators", "haplotype-all", "--seeds", "1,2"]
    augmentation.main(options)
    assert len(fits) == 1 and fits[0].label_counts_ == Counter(train.label(LABEL).tolist())
    trained = results(tmp_path)
    fits[0].save(tmp_path / "model")
    augmentation.main([*options, "--model", str(tmp_path / "model")])
    loaded = results(tmp_path)
    assert len(fits) == 1
    for keep in (4, 8):
        here, there = (cell_of(r, "AMR", keep, "haplotype-all") for r in (trained, loaded))
        assert here["fits"] == 1 and here["fit_seconds"] > 0 and here["settings"] == {}
        assert there["f1"] == here["f1"] and there["fit_seconds"] is None
    assert "haplotype, all train: model trained beforehand" in (tmp_path / "doc.md").read_text()
    IndependentSites(LABEL).fit(augmentation.reduced_set(train, "AMR", 4, 1)).save(tmp_path / "other")
    with pytest.raises(SystemExit, match="error: The model was trained on other people .super_pop: AFR .* AMR 4, "):
        augmentation.main([*options, "--model", str(tmp_path / "other")])
    assert results(tmp_path) == loaded


def test_where_a_generator_refuses_the_cell_says_why(
    augmentation: ModuleType, target: list[str], tmp_path: Path
) -> None:
    # one person is nobody to learn from for the model, and the others go on
    options = ["--labels", "AMR", "--keep", "1", "--generators", "none,haplotype", "--seeds", "1"]
    augmentation.main([*target, *options])
    cell = cell_of(results(tmp_path), "AMR", 1, "haplotype")
    assert "f1" not in cell and "AMR" in cell["note"]
    text = (tmp_path / "doc.md").read_text()
    assert f"- No value (–): AMR, 1 kept, haplotype — {cell['note']}" in text
    assert next(line for line in text.splitlines() if line.startswith("| AMR")).endswith("| – |")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--labels", "OCE"], "There is no label 'OCE' in train; accepted: AFR, AMR, EAS, EUR, SAS."),
        (["--labels", "AMR", "--keep", "4,50"], r"50 people of AMR cannot be kept of \d+; accepted: fewer than that."),
        (["--steps", "many"], "argument --steps: invalid whole_number value: 'many'"),
        (["--keep", "0"], "argument --keep: invalid comma_joined value: '0'"),
        (["--generators", "none,magic"], "unknown generator 'magic'; accepted: none, oversampling, smote, "),
        (["--generators", "none", "--model", "m"], "--model goes with the generator haplotype-all"),
    ],
)
def test_options_that_are_off(
    augmentation: ModuleType,
    target: list[str],
    tmp_path: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
) -> None:
    with pytest.raises(SystemExit) as stopped:
        augmentation.main([*target, *options])
    printed = capsys.readouterr().err + str(stopped.value.code)
    assert re.search(message, printed), printed
    assert not (tmp_path / "augmentation.json").exists() and "old" in (tmp_path / "doc.md").read_text()


def test_an_unknown_setting_is_found_before_anything_is_measured(
    augmentation: ModuleType, parts: tuple[Genotypes, Genotypes]
) -> None:
    stored: list[Any] = []
    experiment = augmentation.Experiment(*parts, settings={"epoch": 3})
    with pytest.raises(UsageError, match="'epoch'"):
        augmentation.measure(experiment, ["AMR"], [4], ["none", "gan"], [1], stored.append)
    assert not stored


def test_where_the_haplotype_model_is_behind_the_document_says_so(augmentation: ModuleType) -> None:
    def cell(keep: int, generator: str, f1: list[float]) -> dict[str, Any]:
        return {"label": "AMR", "keep": keep, "generator": generator, "f1": f1}

    cells = [
        cell(10, "haplotype", [0.4, 0.5]), cell(10, "smote", [0.6, 0.4]), cell(10, "li-stephens", [0.3, 0.3]),
        cell(10, "real", [0.9]), cell(25, "haplotype", [0.6]), cell(25, "smote", [0.5]), cell(50, "smote", [0.9]),
    ]  # fmt: skip
    import augmentation_table

    assert augmentation_table._behind({"cells": cells}) == ["- AMR, 10 kept: 0.450; SMOTE 0.500."]


def test_without_the_data_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    document = tmp_path / "doc.md"
    document.write_text("<!-- augmentation -->\nold\n<!-- /augmentation -->\n")
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--document", str(document)]
    run = subprocess.run([sys.executable, str(FOLDER / "augmentation.py"), *options], capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == ""
    assert run.stdout == "Augmentation: hla.vcf.gz is not in the data folder (--data DIR); nothing is measured.\n"
    assert "old" in document.read_text() and not (tmp_path / "out").exists()


def test_render_writes_the_document_again(augmentation: ModuleType, target: list[str], tmp_path: Path) -> None:
    augmentation.main([*target, "--labels", "AMR", "--keep", "4", "--generators", "none,real", "--seeds", "1"])
    written = (tmp_path / "doc.md").read_text()
    assert written.startswith("before\n<!-- augmentation -->\n### HLA region\n") and written.endswith("-->\nafter\n")
    assert "| no augmentation | *real top-up* |" in written
    (tmp_path / "doc.md").write_text("before\n<!-- augmentation -->\n<!-- /augmentation -->\nafter\n")
    augmentation.main([*target, "--render"])
    assert (tmp_path / "doc.md").read_text() == written


def test_the_document_shows_what_was_measured(augmentation: ModuleType) -> None:
    text = augmentation.DOCUMENT.read_text(encoding="utf-8")
    shown = text.split("<!-- augmentation -->")[1].split("<!-- /augmentation -->")[0].strip()
    path = FOLDER / "results" / "augmentation.json"
    expected = augmentation.as_markdown(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else ""
    assert shown == (expected.strip() or "Not measured yet."), "run the script with --render"
