"""Small and odd cohorts: sensible people, or one sentence before anything is started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgcgan
from pgcgan import HaplotypeModel, cli
from pgcgan.genotypes import Genotypes

N = 400


@pytest.fixture(scope="module")
def whole() -> Genotypes:
    """Return 240 people at 130 common sites, from which the odd cohorts are cut."""
    return pgcgan.simulate(240, length=120_000, seed=5).select(min_maf=0.05).select(sites=slice(0, 130))


def synthetic(
    people: Genotypes, counts: int | dict[str, int] = N, label: str | list[str] = "super_pop", **parameters: Any
) -> Genotypes:
    """Fit a haplotype model to people, by default with all defaults, and sample from it."""
    sample = HaplotypeModel(label, **parameters).fit(people).sample(counts, seed=0)
    assert sample.n_variants == people.n_variants
    assert (sample.calls >= 0).all()
    assert sample.phased == people.phased
    return sample


def frequency_error(real: Genotypes, sample: Genotypes) -> float:
    return float(np.sqrt(np.mean((sample.allele_frequency() - real.allele_frequency()) ** 2)))


def linkage(people: Genotypes) -> np.ndarray:
    """Return r² of dosages of all pairs of sites up to 20 apart; missing calls are the mean of their site."""
    dosage = people.dosages().astype(float)
    dosage[dosage < 0] = np.nan
    dosage = np.where(np.isnan(dosage), np.nanmean(dosage, axis=0), dosage)
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = np.corrcoef(dosage.T) ** 2
    i, j = np.triu_indices(len(r2), 1)
    return np.nan_to_num(r2[i, j][j - i <= 20])


def alike(real: Genotypes, sample: Genotypes) -> float:
    return float(np.corrcoef(linkage(real), linkage(sample))[0, 1])


def of(people: Genotypes, label: str, column: str = "super_pop") -> Genotypes:
    return people.select(samples=people.label(column).astype(str) == label)


def relabelled(people: Genotypes, labels: dict[str, np.ndarray]) -> Genotypes:
    return Genotypes(people.calls, people.variants, people.samples, labels, people.phased)


def polymorphic(people: Genotypes) -> Genotypes:
    frequency = people.allele_frequency()
    return people.select(sites=(frequency > 0) & (frequency < 1))


def test_twenty_people_of_one_label(whole: Genotypes) -> None:
    people = polymorphic(of(whole, "EUR").select(samples=np.arange(20)))
    sample = synthetic(people)
    assert Counter(sample.label("super_pop")) == {"EUR": N}
    # 40 haplotypes: their own frequencies are known to .05 to .08
    assert frequency_error(people, sample) < 0.05
    # so few are given away by runs that three of them share: by default their linkage is kept less well for that
    assert alike(people, sample) > 0.7
    assert alike(people, synthetic(people, run_carriers=3)) > 0.8
    real = {row.tobytes() for row in people.haplotypes()}
    assert np.mean([row.tobytes() in real for row in sample.haplotypes()]) < 0.5


def test_a_label_of_three_people_among_others(whole: Genotypes) -> None:
    eur, eas = of(whole, "EUR"), of(whole, "EAS").select(samples=np.arange(3))
    people = whole.select(samples=[*eur.samples, *eas.samples])
    sample = synthetic(people, {"EUR": 300, "EAS": 200})
    assert Counter(sample.label("super_pop")) == {"EAS": 200, "EUR": 300}
    assert frequency_error(eur, of(sample, "EUR")) < 0.04
    assert alike(eur, of(sample, "EUR")) > 0.9
    # three people know little of their label: theirs is between their own frequencies and everybody's
    few = of(sample, "EAS").allele_frequency()
    own, pooled = eas.allele_frequency(), people.allele_frequency()
    assert np.sqrt(np.mean((few - pooled) ** 2)) < np.sqrt(np.mean((own - pooled) ** 2))
    assert np.corrcoef(few, own)[0, 1] > 0.8
    real = {row.tobytes() for row in eas.haplotypes()}
    assert np.mean([row.tobytes() in real for row in of(sample, "EAS").haplotypes()]) < 0.2


def test_one_label_and_fifty_sites(whole: Genotypes) -> None:
    people = relabelled(whole.select(sites=slice(0, 50)), {"cohort": np.full(whole.n_samples, "all", dtype=object)})
    sample = synthetic(people, label="cohort")
    assert Counter(sample.label("cohort")) == {"all": N}
    assert frequency_error(people, sample) < 0.03
    assert alike(people, sample) > 0.95


def test_all_sites_are_rare() -> None:
    people = pgcgan.simulate(240, length=120_000, seed=5)
    copies = (people.calls == 1).sum(axis=(1, 2))
    people = people.select(sites=(copies >= 1) & (copies <= 4)).select(sites=slice(0, 40))
    sample = synthetic(people, 1000)
    expected, frequency = people.allele_frequency(), sample.allele_frequency()
    assert frequency.mean() == pytest.approx(expected.mean(), rel=0.15)
    assert frequency_error(people, sample) < 0.004  # 2 of 480 haplotypes
    assert (frequency > 0).mean() > 0.85


def test_unlinked_sites(whole: Genotypes) -> None:
    whole = whole.select(sites=slice(0, 40))
    random, calls = np.random.default_rng(1), whole.calls.copy()
    for label in np.unique(whole.label("super_pop").astype(str)):
        own = np.flatnonzero(whole.label("super_pop").astype(str) == label)
        for site in range(len(calls)):
            calls[site, own] = random.permutation(calls[site, own].ravel()).reshape(-1, 2)
    people = Genotypes(calls, whole.variants, whole.samples, dict(whole.labels))
    model = HaplotypeModel().fit(people)
    sample = model.sample(1000, seed=0)
    assert frequency_error(people, sample) < 0.025
    # what is left is what labels differ by
    assert linkage(sample).mean() == pytest.approx(linkage(people).mean(), abs=0.01)
    assert model.facts()["chosen"]["blocks"] == people.n_variants


def test_unphased(whole: Genotypes) -> None:
    people = whole.select(sites=slice(0, 60)).without_phase()
    sample = synthetic(people)
    assert frequency_error(people, sample) < 0.035
    assert alike(people, sample) > 0.9


def test_missing_calls(whole: Genotypes) -> None:
    calls = whole.calls.copy()
    calls[np.random.default_rng(2).random(calls.shape[:2]) < 0.05] = -1
    sample = synthetic(Genotypes(calls, whole.variants, whole.samples, dict(whole.labels)))
    assert frequency_error(whole, sample) < 0.04
    assert alike(whole, sample) > 0.85


def test_many_small_labels(whole: Genotypes) -> None:
    pops = np.empty(whole.n_samples, dtype=object)  # 25 of about ten people, each inside one super-population
    for label in np.unique(whole.label("super_pop").astype(str)):
        own = np.flatnonzero(whole.label("super_pop").astype(str) == label)
        pops[own] = [f"{label}{k}" for k in np.sort(np.arange(len(own)) % 5)]
    labels = {"super_pop": whole.label("super_pop"), "pop": pops}
    people = relabelled(whole, labels)
    counts = Counter(pops.tolist())
    assert len(counts) == 25
    model = HaplotypeModel("pop").fit(people)
    sample = model.sample(whole.n_samples, seed=0)
    assert Counter(sample.label("pop")) == counts
    assert frequency_error(people, sample) < 0.04
    # people of a population are nearest to those of its super-population; ten of each are too few to see that
    sample = model.sample(2400, seed=0)
    groups = sorted(set(labels["super_pop"]))
    real = {g: of(people, g).allele_frequency() for g in groups}
    for g in groups:
        in_group = np.array([str(pop).startswith(g) for pop in sample.label("pop")])
        frequency = sample.select(samples=in_group).allele_frequency()
        assert min(groups, key=lambda other: float(((real[other] - frequency) ** 2).sum())) == g


def nothing_called(people: Genotypes) -> Genotypes:
    calls = people.calls.copy()
    calls[4] = -1
    return Genotypes(calls, people.variants, people.samples, dict(people.labels))


def one_alone(people: Genotypes) -> Genotypes:
    labels = people.label("super_pop").astype(object)
    labels[7] = "MARS"
    return relabelled(people, {**people.labels, "super_pop": labels})


@pytest.mark.parametrize(
    ("odd", "options", "facts"),
    [
        (one_alone, "", ["single person", "MARS"]),
        (lambda g: g.select(samples=np.arange(1)), "", ["single person", "AFR"]),
        (one_alone, "--label super_pop --label gender", ["single person", "MARS/"]),
        (nothing_called, "", ["1 site", " 1:"]),
        (lambda g: g, "--label country", ["'country'", "super_pop"]),
        (lambda g: g, "--min-maf 0.5", ["cohort.vcf.gz", "--min-maf"]),
    ],
)
def test_a_cohort_that_cannot_be_learned_is_refused_in_a_line_before_the_start(
    whole: Genotypes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    odd: Callable[[Genotypes], Genotypes],
    options: str,
    facts: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    pgcgan.write(odd(whole.select(sites=slice(0, 20))), "cohort.vcf.gz")
    assert cli.main(f"train cohort.vcf.gz --panel cohort.panel.tsv -o model {options}".split()) == 2
    message = capsys.readouterr().err
    assert message.startswith("pgcgan: error: ")
    assert message.count("\n") == 1
    assert all(fact in message for fact in facts), message
    assert not (tmp_path / "model").exists()
