"""Rejecting near-copies: distances by brute force, exact counts; earlier releases; shadow models."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import pgcgan
from pgcgan.errors import DataError, ModelError, UsageError
from pgcgan.generators.baselines import SMOTE, LiStephens
from pgcgan.genotypes import Genotypes
from pgcgan.metrics import evaluate
from pgcgan.release import Release, further_people, read_releases, recorded, sample_apart, shadow_models


@pytest.fixture(scope="module")
def train(cohort: Genotypes) -> Genotypes:
    return cohort.select(sites=slice(0, 150))


@pytest.fixture(scope="module")
def mosaic(train: Genotypes) -> LiStephens:
    """Return a generator that often copies: long segments of training haplotypes."""
    return LiStephens("super_pop", seed=1, segment_length=100_000.0).fit(train)


def nearest(made: Genotypes, train: Genotypes) -> np.ndarray:
    """Return each person's distance to the nearest training haplotype, the nearer of their two, one by one."""
    rows = train.haplotypes()
    own = made.haplotypes().reshape(made.n_samples, 2, -1)
    return np.array([min(int((rows != h).sum(axis=1).min()) for h in person) for person in own])


@pytest.mark.parametrize("distance", [1, 4, 0.02])
def test_nobody_is_nearer_than_asked_and_counts_are_exact(
    mosaic: LiStephens, train: Genotypes, distance: float
) -> None:
    counts = {"EUR": 30, "AFR": 11}
    made, refused = sample_apart(mosaic, counts, train, distance, seed=5)
    sites = distance * train.n_variants if distance < 1 else distance
    assert nearest(made, train).min() >= sites
    assert Counter(made.label("super_pop")) == counts
    assert made.samples[0] == "SYN-AFR-000001" and made.samples[-1] == "SYN-EUR-000030"
    # those kept are the first ones far enough of those that the generator makes, and the others were refused
    expected = 0
    for label, count in counts.items():
        drawn = mosaic.sample({label: 1000}, seed=5)
        passed = np.flatnonzero(nearest(drawn, train) >= sites)[:count]
        assert np.array_equal(made.calls[:, made.label("super_pop") == label], drawn.calls[:, passed])
        expected += passed[-1] + 1 - count
    assert refused == expected > 0


def test_the_same_seed_gives_the_same_people(mosaic: LiStephens, train: Genotypes) -> None:
    first, second = (sample_apart(mosaic, 40, train, 2, seed=9) for _ in range(2))
    assert np.array_equal(first[0].calls, second[0].calls) and first[1] == second[1]
    assert not np.array_equal(first[0].calls, sample_apart(mosaic, 40, train, 2, seed=10)[0].calls)


def test_more_sites_and_unphased_people_are_compared_at_the_sites_of_the_generator(
    train: Genotypes, cohort: Genotypes
) -> None:
    dosages = SMOTE("super_pop", seed=1).fit(train.without_phase())
    made, _ = sample_apart(dosages, 20, cohort, 3, seed=2)
    rows = train.calls.sum(axis=2)
    for person in made.calls.sum(axis=2).T:
        assert np.abs(rows - person[:, None]).sum(axis=0).min() >= 3


def test_a_distance_that_nobody_keeps_is_given_up(mosaic: LiStephens, train: Genotypes) -> None:
    with pytest.raises(UsageError, match=r"0 of 3 .*EUR.* 150 .*1000 draws.*--min-distance"):
        sample_apart(mosaic, {"EUR": 3}, train, 150)


@pytest.mark.parametrize("distance", [0, -1, 1.5, float("nan")])
def test_a_distance_that_is_none_is_refused(mosaic: LiStephens, train: Genotypes, distance: float) -> None:
    with pytest.raises(UsageError, match=f"minimum distance is {distance:g};"):
        sample_apart(mosaic, 3, train, distance)


def test_people_without_the_sites_or_the_phase_are_refused(mosaic: LiStephens, train: Genotypes) -> None:
    with pytest.raises(DataError, match=f"1 of the 150 sites.*{re.escape(train.variants.name(0))}"):
        sample_apart(mosaic, 3, train.select(sites=slice(1, None)), 1)
    with pytest.raises(DataError, match="real people are unphased"):
        sample_apart(mosaic, 3, train.without_phase(), 1)


# ---- earlier releases ---------------------------------------------------------------------------------------------


def test_releases_are_counted_and_generated_again(mosaic: LiStephens, tmp_path: Path) -> None:
    directory = mosaic.save(tmp_path / "m")
    with recorded(directory, first := Release.of(mosaic, {"EUR": 5, "AFR": 2}, 3)) as others:
        assert others == []
    with recorded(directory, second := Release.of(mosaic, {"EUR": 4}, 3, start=3)) as others:
        assert others == [first]
    # of the people 1 to 5 and 4 to 7 of EUR, 1 to 3 are in the first release alone
    further = further_people(mosaic, [first], second)
    for label, count in (("EUR", 3), ("AFR", 2)):
        expected = mosaic.sample({label: count}, seed=3)
        assert np.array_equal(further.calls[:, further.label("super_pop") == label], expected.calls)
    assert further.n_samples == 5
    assert further_people(mosaic, [second], second) is None
    assert read_releases(directory) == [first, second]
    assert pgcgan.load(directory).sample(4, seed=0).equals(mosaic.sample(4, seed=0))
    with recorded(directory, first) as others:  # the same people again
        assert others == [second]
    assert read_releases(directory) == [second, first]


def test_a_release_that_fails_is_not_recorded_and_two_at_once_are_refused(mosaic: LiStephens, tmp_path: Path) -> None:
    directory = mosaic.save(tmp_path / "m")
    release = Release.of(mosaic, 10, 0)
    with pytest.raises(KeyError), recorded(directory, release):
        with pytest.raises(UsageError, match=str(os.getpid())), recorded(directory, release):
            pass
        raise KeyError
    assert read_releases(directory) == []
    with recorded(directory, release):
        pass
    mosaic.save(directory, force=True)  # another model of the same name
    assert read_releases(directory) == []


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"releases": [{"seed": 1, "people": {"EUR": 1.5}, "before": {"EUR": 0}}]}']
)
def test_a_damaged_record_is_refused(mosaic: LiStephens, tmp_path: Path, text: str) -> None:
    directory = mosaic.save(tmp_path / "m")
    (directory / "releases.json").write_text(text)
    with pytest.raises(ModelError, match="releases.json"):
        read_releases(directory)


# ---- shadow models ------------------------------------------------------------------------------------------------


def test_shadow_models_know_as_many_people_of_each_label(cohort: Genotypes) -> None:
    people = cohort.select(sites=slice(0, 150))
    train, holdout = people.split(0.6, by="super_pop", seed=1)
    generator = LiStephens("super_pop", seed=1, segment_length=100_000.0).fit(train)
    shadows = shadow_models(generator, train, holdout, 2, seed=1)
    label = dict(zip(people.samples, people.label("super_pop"), strict=True))
    for shadow in shadows:
        assert Counter(label[name] for name in shadow.members) == Counter(train.label("super_pop"))
        assert Counter(shadow.synthetic.label("super_pop")) == Counter(train.label("super_pop"))
        assert shadow.members & set(holdout.samples) and shadow.members & set(train.samples)
    assert shadows[0].members != shadows[1].members
    synthetic = generator.sample(generator.label_counts_, seed=9)
    rows = evaluate(train, synthetic, holdout=holdout, shadows=shadows)
    assert rows.get("informed membership AUC, pool, shadow models").low > 0.6  # long pieces of training haplotypes
    assert rows.provenance["shadow models"] == 2
    assert "pool, shadow models" in rows.figures["informed_roc"]["curves"]
