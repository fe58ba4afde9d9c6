"""The protocol of all families of generators: one set of promises, tested for each family that needs no torch."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import small

import pgcgan
from pgcgan import Genotypes
from pgcgan.errors import DataError, ModelError, UsageError
from pgcgan.generators.generator import Generator
from pgcgan.generators.store import check_arrays
from pgcgan.registry import BASELINES, create

# the haplotype model as quick as it can be with all of its parts
QUICK: dict[str, dict[str, Any]] = {"haplotype": {"run_carriers": 4, "inverse_temperature": 1.0}}
FAMILIES = ("haplotype", *BASELINES)


@pytest.fixture(scope="module")
def train(cohort: Genotypes) -> Genotypes:
    return cohort.select(sites=slice(0, 40))


@pytest.fixture(scope="module", params=FAMILIES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def new(name: str, label: str | list[str] = "super_pop", **parameters: Any) -> Generator:
    return create(name, label, **QUICK.get(name, {}) | {"seed": 1} | parameters)


@pytest.fixture(scope="module")
def model(name: str, train: Genotypes) -> Generator:
    return new(name).fit(train)


# ---- sampling -----------------------------------------------------------------------------------------------------


def test_people_are_those_asked_for(model: Generator, train: Genotypes) -> None:
    people = model.sample({"SAS": 3, "AFR": 130}, seed=1, prefix="T")
    assert Counter(people.label("super_pop")) == {"AFR": 130, "SAS": 3}
    assert set(people.labels) == {"super_pop"}
    assert people.samples[[0, 129, 130]].tolist() == ["T-AFR-000001", "T-AFR-000130", "T-SAS-000001"]
    assert people.variants.equals(train.variants)
    assert dict(people.variants.contig_lengths) == dict(train.variants.contig_lengths)
    assert people.phased
    assert set(np.unique(people.calls)) == {0, 1}
    assert model.label == ("super_pop",)
    assert model.label_counts_ == Counter(train.label("super_pop"))
    assert Counter(model.sample(train.n_samples, seed=0).label("super_pop")) == model.label_counts_


def test_a_person_depends_on_seed_label_and_number_alone(model: Generator) -> None:
    people = model.sample({"AFR": 140, "EUR": 5, "SAS": 9}, seed=4)
    assert people.equals(model.sample({"AFR": 140, "EUR": 5, "SAS": 9}, seed=4))
    some = model.sample({"AFR": 131, "SAS": 2}, seed=4)
    assert np.array_equal(some.calls, people.select(samples=some.samples).calls)
    other = model.sample({"AFR": 140, "EUR": 5, "SAS": 9}, seed=5)
    assert (other.calls != people.calls).any(axis=(0, 2)).mean() > 0.9


def test_blocks_of_people_join_to_the_whole(model: Generator) -> None:
    whole = model.sample(150, seed=4)
    blocks = list(model.iter_samples(150, seed=4, people_per_block=37))
    assert [block.n_samples for block in blocks] == [37, 37, 37, 37, 2]
    assert np.array_equal(np.concatenate([block.calls for block in blocks], axis=1), whole.calls)
    assert np.concatenate([block.samples for block in blocks]).tolist() == whole.samples.tolist()
    with pytest.raises(UsageError, match="people_per_block is 0; accepted: 1 or more"):
        list(model.iter_samples(5, people_per_block=0))


def test_the_same_seed_gives_the_same_model_whatever_the_random_state_of_the_caller(
    model: Generator, name: str, train: Genotypes
) -> None:
    people = model.sample(60, seed=2)
    np.random.seed(3)
    before = np.random.get_state()[1].tolist()
    again = new(name).fit(train)
    assert again.sample(60, seed=2).equals(people)
    assert np.random.get_state()[1].tolist() == before
    arrays = again._arrays()
    assert all(np.array_equal(array, arrays[key]) for key, array in model._arrays().items())


# ---- kinds of data ------------------------------------------------------------------------------------------------


def test_unphased_in_unphased_out(name: str, train: Genotypes, tmp_path: Path) -> None:
    unphased = train.select(sites=slice(0, 30)).without_phase()
    model = new(name).fit(unphased)
    people = model.sample(60, seed=1)
    assert not people.phased
    assert (np.diff(people.calls, axis=2) >= 0).all()
    assert set(np.unique(people.dosages())) == {0, 1, 2}
    # the order of the alleles in the input means nothing
    turned = replace(unphased, calls=unphased.calls[:, :, ::-1])
    assert new(name).fit(turned).sample(60, seed=1).equals(people)
    assert pgcgan.load(model.save(tmp_path / "m")).sample(60, seed=1).equals(people)


@pytest.mark.parametrize("phased", [True, False])
def test_missing_calls_teach_nothing_and_no_synthetic_person_misses_any(
    phased: bool, name: str, train: Genotypes
) -> None:
    train = train.select(sites=slice(0, 30))
    calls = train.calls.copy()
    calls[np.random.default_rng(1).random(calls.shape[:2]) < 0.03] = -1
    calls[:, 5] = -1  # one person without any call
    holes = replace(train, calls=calls)
    people = new(name).fit(holes if phased else holes.without_phase()).sample(60, seed=0)
    assert people.calls.min() == 0


def test_a_site_is_what_is_called_there_however_little(name: str) -> None:
    random = np.random.default_rng(0)
    calls = (random.random((6, 40, 2)) < random.uniform(0.2, 0.8, size=(6, 1, 1))).astype(np.int8)
    calls[2] = -1
    calls[2, :4] = [[1, 0], [0, 1], [0, 0], [1, 0]]  # 3 of 8 alleles
    mutation = {"mutation": 0.0} if name == "li-stephens" else {}
    people = new(name, **mutation).fit(small(calls, labels={"super_pop": ["A"] * 40})).sample(2000, seed=0)
    # the baselines fill missing calls by drawing them, once
    drawn = 0.0 if name == "haplotype" else 3 * math.sqrt(3 / 8 * 5 / 8 / 72)
    assert people.allele_frequency()[2] == pytest.approx(3 / 8, abs=drawn + 5 * 0.5 / math.sqrt(4000))


def test_haploid_people(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    calls = (random.random((20, 80, 1)) < random.uniform(0.2, 0.8, size=(20, 1, 1))).astype(np.int8)
    model = new(name).fit(small(calls, labels={"super_pop": ["A", "B"] * 40}))
    people = model.sample({"B": 9}, seed=1)
    assert people.calls.shape == (20, 9, 1)
    assert set(np.unique(people.calls)) == {0, 1}
    again = pgcgan.load(model.save(tmp_path / "m"))
    assert (again.ploidy_, again.rows_per_person, again.n_states) == (1, 1, 2)
    assert again.sample({"B": 9}, seed=1).equals(people)


def test_several_label_columns(name: str, train: Genotypes, tmp_path: Path) -> None:
    model = new(name, ["super_pop", "gender"]).fit(train)
    pairs = Counter(zip(train.label("super_pop"), train.label("gender"), strict=True))
    assert model.label_counts_ == {f"{a}/{b}": n for (a, b), n in sorted(pairs.items())}
    people = model.sample({"EUR/female": 4, "AFR/male": 2}, seed=0)
    assert people.samples[[0, 5]].tolist() == ["SYN-AFR-male-000001", "SYN-EUR-female-000004"]
    labels = zip(people.label("super_pop"), people.label("gender"), strict=True)
    assert Counter(labels) == {("EUR", "female"): 4, ("AFR", "male"): 2}
    again = pgcgan.load(model.save(tmp_path / "m"))
    assert again.label == ("super_pop", "gender")
    assert again.sample({"EUR/female": 4, "AFR/male": 2}, seed=0).equals(people)
    with pytest.raises(UsageError, match=r"'EUR'.* AFR/female, AFR/male, AMR/female,"):
        model.sample({"EUR": 4}, seed=0)


def test_the_smallest_cohorts(name: str, train: Genotypes, tmp_path: Path) -> None:
    for people in (train.select(sites=slice(0, 1)), train.select(samples=np.arange(4))):
        label = "super_pop" if people.n_samples > 4 else "gender"
        model = new(name, label).fit(people)
        assert pgcgan.load(model.save(tmp_path / "m", force=True)).sample(7, seed=1).equals(model.sample(7, seed=1))


# ---- what a model is ----------------------------------------------------------------------------------------------


def test_a_constructor_stores_its_arguments_and_fit_what_it_learns(name: str, train: Genotypes) -> None:
    generator = new(name)
    assert vars(generator).keys() == {"label", "seed", *generator.parameter_names()}
    assert not generator.is_fitted
    model = generator.fit(train)
    assert model is generator
    learned = vars(model).keys() - {"label", "seed", *generator.parameter_names()}
    assert {attribute for attribute in learned if not attribute.endswith("_")} == {"_provenance"}
    assert {"label_counts_", "variants_", "phased_", "ploidy_"} < learned


def test_the_arrays_are_those_of_the_schema_and_all_are_learned_and_read_back(
    model: Generator, name: str, train: Genotypes
) -> None:
    with pytest.raises(AttributeError, match="_'"):
        new(name)._arrays()
    arrays = model._arrays()
    check_arrays(arrays, model.schema, labels=len(model.label_counts_), sites=len(train.variants))
    again = new(name)
    for attribute in ("label_counts_", "variants_", "phased_", "ploidy_"):
        setattr(again, attribute, getattr(model, attribute))
    again._restore(arrays, model._details())
    restored = again._arrays()
    assert all(np.array_equal(array, restored[key]) for key, array in arrays.items())


def test_what_is_saved_is_what_is_loaded(model: Generator, name: str, tmp_path: Path) -> None:
    target = model.save(tmp_path / "a" / "model")
    again = pgcgan.load(target)
    assert type(again) is type(model)
    assert (again.label, again.seed, again.parameters()) == (model.label, model.seed, model.parameters())
    assert again.facts() == model.facts()
    assert again.sample(40, seed=3).equals(model.sample(40, seed=3))
    copy = again.save(tmp_path / "copy")
    files = sorted(path.name for path in target.iterdir())
    assert files == ["MODEL_CARD.md", "arrays.safetensors", "model.json", "sites.json"]
    assert all((target / file).read_bytes() == (copy / file).read_bytes() for file in files)


def test_facts(model: Generator, name: str, train: Genotypes) -> None:
    facts = model.facts()
    position = train.variants.position
    assert (facts["model"], facts["people trained on"], facts["sites"]) == (name, 150, 40)
    assert facts["contigs"] == {"1": f"{position[0]}-{position[-1]}"}
    assert facts["holds training rows"] is (name in ("li-stephens", "smote"))
    assert facts["parameters"] == QUICK.get(name, {})  # those that differ from the defaults
    assert repr(model).startswith(f"{type(model).__name__}(label='super_pop', seed=1")
    assert repr(model).endswith("; fitted to 150 people)")


def test_scalars_of_numpy_are_parameters(train: Genotypes, tmp_path: Path) -> None:
    model = create("smote", seed=np.int64(3), neighbours=np.int64(2)).fit(train)
    again = pgcgan.load(model.save(tmp_path / "m"))
    assert (again.seed, again.parameters()) == (3, {"neighbours": 2})


# ---- errors -------------------------------------------------------------------------------------------------------


def test_a_model_that_is_not_fitted(name: str, tmp_path: Path) -> None:
    generator = new(name)
    for call in (lambda: generator.sample(3, seed=0), lambda: generator.save(tmp_path / "m"), generator.facts):
        with pytest.raises(UsageError, match=f"{name} model has not been fitted"):
            call()
    assert not (tmp_path / "m").exists()
    assert repr(generator).startswith(f"{type(generator).__name__}(label='super_pop', seed=1")
    assert repr(generator).endswith("; not fitted)")


def test_labels_counts_and_seeds_that_cannot_be_sampled(model: Generator) -> None:
    with pytest.raises(UsageError, match="'MARS'.*: AFR, AMR, EAS, EUR, SAS"):
        model.sample({"MARS": 3}, seed=0)
    with pytest.raises(UsageError, match=r"-1.*0 or more"):
        model.sample(3, seed=-1)
    with pytest.raises(UsageError, match=r"2\.5.*whole number"):
        model.sample({"EUR": 2.5}, seed=0)  # type: ignore[dict-item]


@pytest.mark.parametrize("seed", [-5, 1.5, "one", True, None])
def test_a_seed_that_is_no_seed(seed: Any, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        create(name, seed=seed)
    assert f"{seed!r}" in str(caught.value)


def test_data_that_cannot_be_learned(name: str, train: Genotypes) -> None:
    empty = train.calls.copy()
    empty[[1, 3]] = -1
    first = train.variants.position[1]
    for people, label, facts in (
        (train, "disease", "'disease'.*: pop, super_pop, gender"),
        (replace(train, calls=empty), "super_pop", f"2 sites .* 1:{first} "),
        (train.select(samples=np.zeros(150, dtype=bool)), "super_pop", "0 samples x 40 variants"),
        (train.select(sites=np.zeros(40, dtype=bool)), "super_pop", "150 samples x 0 variants"),
    ):
        with pytest.raises(DataError, match=facts):
            new(name, label).fit(people)


BOUNDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "haplotype": {
        "min_carriers": (0, 2.5, True, "3", None),
        "run_carriers": (-1, 1.0),
        "min_deviations": (0, 2.5),
        "min_transitions": (0, 2.5),
        "coverage": (-0.1, 1.1, math.nan, "all", None),
        "max_sites": (0, 16.0),
        "max_codes": (0, 32_768),
        "group_labels": (1, None),
        "context_tree": (1, None),
        "local_ancestry": ("yes",),
        "calibrate": (0,),
        "inverse_temperature": (-1, 11, math.inf),
        "private": (-0.1, 1.1, "yes"),
    },
    "li-stephens": {
        "recombination_rate": (0, -1.0, math.inf, None),
        "effective_size": (0, True),
        "genetic_map": (3,),
        "segment_length": (0, math.inf, "long"),
        "mutation": (-0.1, 0.6, math.nan),
    },
    "pca-gaussian": {"components": (0, 1.5)},
    "smote": {"neighbours": (0, None)},
    "independent": {},
}


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [(n, parameter, v) for n, bounds in BOUNDS.items() for parameter, values in bounds.items() for v in values],
)
def test_a_parameter_that_is_off_is_named(name: str, parameter: str, value: Any, train: Genotypes) -> None:
    family = type(create(name))
    with pytest.raises(UsageError) as caught:
        family(**{parameter: value}).fit(train)
    assert parameter in str(caught.value)
    assert (repr(value) in str(caught.value)) or (str(value) in str(caught.value))


def test_every_parameter_has_bounds_that_are_tested() -> None:
    for name in FAMILIES:
        assert create(name).parameter_names() == list(BOUNDS[name])
        create(name).check_parameters()


def test_a_model_of_another_family_is_not_read(model: Generator, name: str, tmp_path: Path) -> None:
    target = model.save(tmp_path / "m")
    other = type(create("smote" if name == "independent" else "independent"))
    with pytest.raises(ModelError, match=f"{target} holds a {name} model, not a {other.name} model"):
        other.load(target)
