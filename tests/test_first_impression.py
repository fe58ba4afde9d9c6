"""What a newcomer meets first: how objects show themselves, seeds, parameters, errors as Python has them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import pgcgan
from pgcgan import Genotypes
from pgcgan.errors import UsageError
from pgcgan.generators.estimate import Estimate, ExpectedLeak
from pgcgan.generators.generator import Generator
from pgcgan.genome import Source
from pgcgan.metrics import Row, Shadow
from pgcgan.metrics.gate import THRESHOLDS
from pgcgan.registry import MODELS, create
from pgcgan.release import Release
from pgcgan.report import findings


@pytest.fixture(scope="module")
def people() -> Genotypes:
    """Return 3,000 people of 60 labels with long names, at 800 sites: nothing of it is to be printed whole."""
    random = np.random.default_rng(0)
    labels = {f"column {i} {'x' * 90}": [f"label-{n % 60}-{'y' * 90}" for n in range(3000)] for i in range(30)}
    calls = random.integers(0, 2, (800, 3000, 2))
    return Genotypes.from_numpy(calls, labels=labels | {"super_pop": ["A", "B"] * 1500}, ref="A" * 500)


@pytest.fixture(scope="module")
def parts(people: Genotypes) -> list[Genotypes]:
    few = people[:40, :90].with_labels({"super_pop": ["A", "B"] * 45})
    return [few[:, start : start + 30] for start in (0, 30, 60)]


def test_every_object_shows_itself_in_less_than_a_thousand_characters(
    people: Genotypes, parts: Sequence[Genotypes]
) -> None:
    train, synthetic, holdout = parts
    evaluation = pgcgan.evaluate(train, synthetic, holdout=holdout, label="super_pop")
    model = pgcgan.IndependentSites().fit(people)
    assert len(evaluation.to_json()) > 50_000
    shown: list[Any] = [
        people, people.variants, evaluation, evaluation.rows[0], pgcgan.judge(evaluation), model,
        pgcgan.judge(evaluation).checks[0], next(iter(THRESHOLDS.values())), pgcgan.compare(evaluation, evaluation),
        pgcgan.compare(evaluation, evaluation).lines[0], Row("a", "b", "all", 1.0), ExpectedLeak(100, 10),
        Shadow(people, frozenset(people.samples)), Release.of(model, 50, 1), Estimate(1, 2, 3, 4, 5.0),
        Source("x", "y"), evaluation.plot, evaluation.plot.pca(), findings(evaluation)[0],
        *(create(name) for name in MODELS), pgcgan.GenomeModel(of_windows={"min_carriers": 4}),
    ]  # fmt: skip
    assert {len(repr(each)) < 1000 for each in shown} == {True}
    assert "30 train, 30 synthetic, 30 holdout" in repr(evaluation) and "40 sites" in repr(evaluation)
    assert "800 sites" in repr(people.variants)


def test_an_evaluation_writes_its_report(parts: Sequence[Genotypes], tmp_path: Path) -> None:
    from pgcgan.report import render, write_report

    evaluation = pgcgan.evaluate(parts[0], parts[1], label="super_pop")
    assert evaluation.report(tmp_path / "r.html") == tmp_path / "r.html"
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == render(evaluation)
    with pytest.raises(ValueError, match=r"r\.html exists"):
        evaluation.report(tmp_path / "r.html")
    assert evaluation.report(tmp_path / "r.json") == tmp_path / "r.json"
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert pgcgan.Evaluation.from_json(text).to_json(tmp_path / "r.json", force=True) + "\n" == text
    with pytest.raises(ValueError, match=r"r\.json exists.*force"):
        evaluation.to_json(tmp_path / "r.json")
    with pytest.raises(UsageError, match=r"r\.pdf.*\.html or \.json"):
        evaluation.report(tmp_path / "r.pdf")
    with pytest.raises(UsageError, match=r"r\.json.*\.html"):
        write_report(evaluation, tmp_path / "r.json", force=True)


# ---- models -------------------------------------------------------------------------------------------------------


def test_without_a_seed_people_are_new_each_time_and_the_seed_brings_them_back(parts: Sequence[Genotypes]) -> None:
    model = pgcgan.IndependentSites().fit(parts[0])
    first = model.sample(20)
    seed = model.sample_seed_
    second = model.sample(20)
    assert not np.array_equal(first.calls, second.calls) and model.sample_seed_ != seed
    assert model.sample(20, seed=seed).equals(first) and model.sample_seed_ == seed


@pytest.mark.parametrize("name", [*MODELS, "windows"])
def test_scikit_learn_clones_a_model_and_sets_its_parameters(name: str) -> None:
    model: Generator = pgcgan.GenomeModel() if name == "windows" else create(name, ["super_pop", "gender"], seed=7)
    copied = clone(model)
    assert copied is not model and type(copied) is type(model) and not copied.is_fitted
    assert copied.get_params() == model.get_params()
    assert set(model.get_params()) == {"label", "seed", *model.parameter_names()}
    assert model.set_params(seed=3, label="pop") is model
    assert (model.seed, model.label, copied.seed) == (3, ("pop",), 7 if name != "windows" else 0)
    with pytest.raises(UsageError, match="'deep_fakes'.*label, seed"):
        model.set_params(deep_fakes=1)


@pytest.mark.parametrize("name", ["haplotype", "independent", "li-stephens", "pca-gaussian", "smote"])
def test_a_fitted_model_can_be_pickled(name: str, parts: Sequence[Genotypes]) -> None:
    model = create(name, seed=1).fit(parts[0])
    again = pickle.loads(pickle.dumps(model))
    assert again.sample(10, seed=2).equals(model.sample(10, seed=2)) and repr(again) == repr(model)


def test_a_model_shows_the_parameters_that_were_changed() -> None:
    assert "seed=0, min_carriers=7; not fitted" in repr(pgcgan.HaplotypeModel(min_carriers=7))
    assert "min_carriers" not in repr(pgcgan.HaplotypeModel())


@pytest.mark.parametrize(
    ("label", "fact"), [(3, "3"), (None, "None"), (["pop", 3], "3"), (["pop", "sex", "pop"], "pop, sex, pop")]
)
def test_labels_that_are_no_columns(label: Any, fact: str, parts: Sequence[Genotypes]) -> None:
    with pytest.raises(UsageError, match=fact):
        pgcgan.HaplotypeModel(label=label)
    if label is not None:
        with pytest.raises(UsageError, match=fact):
            pgcgan.evaluate(parts[0], parts[1], label=label)


def test_a_fit_shows_how_far_it_is(
    parts: Sequence[Genotypes], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgcgan.runtime.progress.SECONDS_BETWEEN_LINES", 0.0)
    events: list[dict[str, Any]] = []
    model = pgcgan.HaplotypeModel(run_carriers=4, inverse_temperature=1.0)
    model.fit(parts[0], progress=True, on_event=events.append)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(events) > 1 and lines[0].startswith(f"{events[0]['stage']}: ")
    model.fit(parts[0])
    assert capsys.readouterr().err == ""


# ---- errors -------------------------------------------------------------------------------------------------------


def test_what_is_not_genotypes_is_named_with_what_makes_them(parts: Sequence[Genotypes], tmp_path: Path) -> None:
    array: Any = parts[0].calls
    match = "not (ndarray|str);.*from_numpy.*read"
    for model in (pgcgan.HaplotypeModel(), pgcgan.GenomeModel()):
        with pytest.raises(UsageError, match=match):
            model.fit(array)
    given: list[tuple[Any, Any, Any]] = [(array, parts[1], None), ("a.vcf.gz", parts[1], None), (*parts[:2], array)]
    for train, synthetic, holdout in given:
        with pytest.raises(UsageError, match=match):
            pgcgan.evaluate(train, synthetic, holdout=holdout)
    with pytest.raises(UsageError, match=match):
        pgcgan.evaluate(parts[0], parts[1], more=array)
    with pytest.raises(UsageError, match=match):
        pgcgan.concat([array, parts[0]])
    pgcgan.write(parts[0], tmp_path / "a.vcf.gz")
    region: Any = ("1", 5, 10)
    with pytest.raises(ValueError, match=r"\('1', 5, 10\) cannot be read.*contig:start-end"):
        pgcgan.read(tmp_path / "a.vcf.gz", region=region)
    assert parts[0].select(samples="P000001").samples.tolist() == ["P000001"]


def test_errors_are_those_of_python(tmp_path: Path, parts: Sequence[Genotypes]) -> None:
    for name in ("a.vcf.gz", "a.bed", "a.pgen", "a.npz", "a.trees", "a.vcz", "a.hap.gz"):
        with pytest.raises(FileNotFoundError, match="There is no"):
            pgcgan.read(tmp_path / name, panel=None)
    with pytest.raises(FileNotFoundError, match="not a finished"):
        pgcgan.load(tmp_path)
    with pytest.raises(ValueError, match="-1"):
        pgcgan.IndependentSites().fit(parts[0]).sample(-1)
    with pytest.raises(ValueError, match="no label 'x'"):
        parts[0].label("x")
    with pytest.raises(ValueError, match="no_such"):
        create("independent", no_such=1)
