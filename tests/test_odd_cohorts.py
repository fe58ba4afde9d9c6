"""Small and odd cohorts through the command line: something sensible, or one sentence before anything is started."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import pgcgan
from pgcgan import cli
from pgcgan.genotypes import Genotypes

MADE = 400


@pytest.fixture(scope="module")
def whole() -> Genotypes:
    """Return 240 people at 130 common sites: what the odd cohorts are made of."""
    return pgcgan.simulate(240, length=120_000, seed=5).select(min_maf=0.05).select(sites=slice(0, 130))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that writes a cohort, trains on it, and generates; it returns the people and what was said."""
    monkeypatch.chdir(tmp_path)

    def command(line: str) -> tuple[int, str]:
        status = cli.main(shlex.split(line))
        return status, capsys.readouterr().err

    def one(people: Genotypes, options: str = "", counts: str = f"-n {MADE}", reading: str = "") -> Genotypes:
        pgcgan.write(people, "cohort.vcf.gz", force=True)
        status, err = command(f"train cohort.vcf.gz --panel cohort.panel.tsv -o model {options} {reading}")
        assert status == 0, err
        said = err.splitlines()
        haplotypes = f", {2 * people.n_samples:,} haplotypes" if people.phased else ", unphased"
        assert said[0].startswith(f"{people.n_variants:,} sites, {people.n_samples:,} people{haplotypes}: about ")
        assert said[-1] == f"trained on {people.n_samples} people at {people.n_variants} sites: model"
        status, err = command(f"generate model {counts} -o made.vcf.gz --force")
        assert status == 0, err
        made = pgcgan.read("made.vcf.gz", "made.panel.tsv")
        assert made.n_variants == people.n_variants
        assert (made.calls >= 0).all()
        assert made.phased == people.phased
        return made

    one.command = command  # type: ignore[attr-defined]
    return one


def frequency_error(real: Genotypes, made: Genotypes) -> float:
    return float(np.sqrt(np.mean((made.allele_frequency() - real.allele_frequency()) ** 2)))


def linkage(people: Genotypes) -> np.ndarray:
    """Return r² of dosages of all pairs of sites up to 20 apart; missing calls are the mean of their site."""
    dosage = people.dosages().astype(float)
    dosage[dosage < 0] = np.nan
    dosage = np.where(np.isnan(dosage), np.nanmean(dosage, axis=0), dosage)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.corrcoef(dosage.T) ** 2
    i, j = np.triu_indices(len(found), 1)
    return np.nan_to_num(found[i, j][j - i <= 20])


def alike(real: Genotypes, made: Genotypes) -> float:
    return float(np.corrcoef(linkage(real), linkage(made))[0, 1])


def of(people: Genotypes, label: str, column: str = "super_pop") -> Genotypes:
    return people.select(samples=people.label(column).astype(str) == label)


def relabelled(people: Genotypes, labels: dict[str, np.ndarray]) -> Genotypes:
    return Genotypes(people.calls, people.variants, people.samples, labels, people.phased)


def polymorphic(people: Genotypes) -> Genotypes:
    frequency = people.allele_frequency()
    return people.select(sites=(frequency > 0) & (frequency < 1))


def test_twenty_people_of_one_label(run, whole: Genotypes) -> None:
    people = polymorphic(of(whole, "EUR").select(samples=np.arange(20)))
    made = run(people)
    assert Counter(made.label("super_pop")) == {"EUR": MADE}
    # 40 haplotypes: their own frequencies are known to .05 to .08
    assert frequency_error(people, made) < 0.05
    # so few are given away by runs that three of them share: by default their linkage is kept less well for that
    assert alike(people, made) > 0.7
    assert alike(people, run(people, "--set run_carriers=3 --force")) > 0.8
    real = {row.tobytes() for row in people.haplotypes()}
    assert np.mean([row.tobytes() in real for row in made.haplotypes()]) < 0.5


def test_a_label_of_three_people_among_others(run, whole: Genotypes) -> None:
    eur, eas = of(whole, "EUR"), of(whole, "EAS").select(samples=np.arange(3))
    people = whole.select(samples=[*eur.samples, *eas.samples])
    made = run(people, counts="-n EUR=300 -n EAS=200")
    assert Counter(made.label("super_pop")) == {"EAS": 200, "EUR": 300}
    assert frequency_error(eur, of(made, "EUR")) < 0.04
    assert alike(eur, of(made, "EUR")) > 0.9
    # three people know little of their label: theirs is between their own frequencies and everybody's
    few = of(made, "EAS").allele_frequency()
    own, pooled = eas.allele_frequency(), people.allele_frequency()
    assert np.sqrt(np.mean((few - pooled) ** 2)) < np.sqrt(np.mean((own - pooled) ** 2))
    assert np.corrcoef(few, own)[0, 1] > 0.8
    real = {row.tobytes() for row in eas.haplotypes()}
    assert np.mean([row.tobytes() in real for row in of(made, "EAS").haplotypes()]) < 0.2


def test_one_label_only(run, whole: Genotypes) -> None:
    people = relabelled(whole, {"cohort": np.full(whole.n_samples, "mine", dtype=object)})
    made = run(people, "--label cohort")
    assert Counter(made.label("cohort")) == {"mine": MADE}
    assert frequency_error(people, made) < 0.03
    assert alike(people, made) > 0.95


def test_fifty_sites(run, whole: Genotypes) -> None:
    people = whole.select(sites=slice(0, 50))
    made = run(people)
    assert frequency_error(people, made) < 0.03
    assert alike(people, made) > 0.95


def test_all_sites_are_rare(run) -> None:
    people = pgcgan.simulate(240, length=120_000, seed=5)
    copies = (people.calls == 1).sum(axis=(1, 2))
    people = people.select(sites=(copies >= 1) & (copies <= 4)).select(sites=slice(0, 80))
    made = run(people, counts="-n 1000")
    expected, found = people.allele_frequency(), made.allele_frequency()
    assert found.mean() == pytest.approx(expected.mean(), rel=0.15)
    assert frequency_error(people, made) < 0.004  # 2 of 480 haplotypes
    assert (found > 0).mean() > 0.85


def test_unlinked_sites(run, whole: Genotypes) -> None:
    whole = whole.select(sites=slice(0, 60))
    random, calls = np.random.default_rng(1), whole.calls.copy()
    for label in np.unique(whole.label("super_pop").astype(str)):
        mine = np.flatnonzero(whole.label("super_pop").astype(str) == label)
        for site in range(len(calls)):
            calls[site, mine] = random.permutation(calls[site, mine].ravel()).reshape(-1, 2)
    people = Genotypes(calls, whole.variants, whole.samples, dict(whole.labels))
    made = run(people, counts="-n 1000")
    assert frequency_error(people, made) < 0.025
    # what is left is what labels differ by
    assert linkage(made).mean() == pytest.approx(linkage(people).mean(), abs=0.01)
    assert pgcgan.PGcGAN.load("model").facts()["chosen"]["blocks"] == people.n_variants


def test_unphased(run, whole: Genotypes) -> None:
    people = whole.without_phase()
    made = run(people)
    assert frequency_error(people, made) < 0.035
    assert alike(people, made) > 0.9


def test_missing_calls(run, whole: Genotypes) -> None:
    calls = whole.calls.copy()
    calls[np.random.default_rng(2).random(calls.shape[:2]) < 0.05] = -1
    made = run(Genotypes(calls, whole.variants, whole.samples, dict(whole.labels)))
    assert frequency_error(whole, made) < 0.04
    assert alike(whole, made) > 0.85


def test_many_small_labels(run, whole: Genotypes) -> None:
    pops = np.empty(whole.n_samples, dtype=object)  # 25 of about ten people, each inside one super-population
    for label in np.unique(whole.label("super_pop").astype(str)):
        mine = np.flatnonzero(whole.label("super_pop").astype(str) == label)
        pops[mine] = [f"{label}{k}" for k in np.sort(np.arange(len(mine)) % 5)]
    labels = {"super_pop": whole.label("super_pop"), "pop": pops}
    people = relabelled(whole, labels)
    counts = Counter(pops.tolist())
    assert len(counts) == 25
    made = run(people, "--label pop", "--like cohort.panel.tsv")
    assert Counter(made.label("pop")) == counts
    assert frequency_error(people, made) < 0.04
    # people of a population are nearest to those of its super-population; ten of each are too few to see that
    status, err = run.command("generate model -n 2400 -o more.vcf.gz")
    assert status == 0, err
    made = pgcgan.read("more.vcf.gz", "more.panel.tsv")
    groups = sorted(set(labels["super_pop"]))
    real = {g: of(people, g).allele_frequency() for g in groups}
    for g in groups:
        mine = made.select(samples=np.array([str(p).startswith(g) for p in made.label("pop")])).allele_frequency()
        assert min(groups, key=lambda other: float(((real[other] - mine) ** 2).sum())) == g


def test_two_label_columns(run, whole: Genotypes) -> None:
    made = run(whole, "--label super_pop --label gender", "--like cohort.panel.tsv")
    assert Counter(zip(made.label("super_pop"), made.label("gender"), strict=True)) == Counter(
        zip(whole.label("super_pop"), whole.label("gender"), strict=True)
    )
    assert frequency_error(whole, made) < 0.035
    assert alike(whole, made) > 0.9


def nothing_called(people: Genotypes) -> Genotypes:
    calls = people.calls.copy()
    calls[4] = -1
    return Genotypes(calls, people.variants, people.samples, dict(people.labels))


def one_alone(people: Genotypes) -> Genotypes:
    labels = people.label("super_pop").astype(object)
    labels[7] = "MARS"
    return relabelled(people, {**people.labels, "super_pop": labels})


@pytest.mark.parametrize(
    ("odd", "options", "message"),
    [
        (one_alone, "", "Labels with a single person cannot be learned without giving that person away: MARS; "),
        (
            lambda g: g.select(samples=np.arange(1)),
            "",
            "Labels with a single person cannot be learned without giving that person away: AFR; ",
        ),
        (one_alone, "--label super_pop --label gender", "Labels with a single person cannot be learned "),
        (nothing_called, "", "1 sites have no call in any person, the first is 1:"),
        (lambda g: g, "--label country", "There is no label 'country'; labels here: "),
        (lambda g: g, "--min-maf 0.5", "No site of cohort.vcf.gz has a minor allele frequency of 0.5 (--min-maf) or "),
    ],
)
def test_what_cannot_be_learned_is_said_in_a_sentence_before_the_start(
    run, whole: Genotypes, tmp_path: Path, odd, options: str, message: str
) -> None:
    pgcgan.write(odd(whole), "cohort.vcf.gz")
    status, err = run.command(f"train cohort.vcf.gz --panel cohort.panel.tsv -o model {options}")
    assert status == 2
    assert err.startswith(f"pgcgan: error: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "model").exists()
