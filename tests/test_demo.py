"""The simulated cohort: known statistics of real people, checked with scikit-allel."""

from __future__ import annotations

from collections import Counter

import allel
import numpy as np
import pytest

from pgcgan import Genotypes, simulate
from pgcgan.errors import DataError, UsageError
from pgcgan.simulation import SHARES


@pytest.fixture(scope="module")
def wide() -> Genotypes:
    """Return 8 Mb of 120 people: long enough that a statistic of the history stands out of the genealogy's noise."""
    return simulate(120, length=8_000_000, seed=11)


def fst(genotypes: Genotypes, one: str, other: str, column: str = "super_pop") -> float:
    """Return Hudson's Fst by scikit-allel, ratio of averages."""
    calls = allel.GenotypeArray(genotypes.calls)
    counts = [
        calls.count_alleles(subpop=np.flatnonzero(genotypes.label(column) == value), max_allele=1)
        for value in (one, other)
    ]
    numerator, denominator = allel.hudson_fst(*counts)
    return float(np.nansum(numerator) / np.nansum(denominator))


def test_differentiation_is_that_of_real_people(wide: Genotypes) -> None:
    # targets: 1000 Genomes exome SNPs
    assert fst(wide, "EUR", "EAS") == pytest.approx(0.10, abs=0.03)
    assert fst(wide, "AFR", "EUR") == pytest.approx(0.12, abs=0.03)
    assert fst(wide, "EUR", "SAS") == pytest.approx(0.04, abs=0.02)
    assert 0 < fst(wide, "AFR1", "AFR2", "pop") < 0.02
    # the admixed stand nearest to the Europeans and East Asians they come from
    assert max(fst(wide, "AMR", "EUR"), fst(wide, "AMR", "EAS")) < fst(wide, "AMR", "AFR")


def test_diversity_and_linkage_are_human(wide: Genotypes) -> None:
    for name, low, high in (("AFR", 0.75, 1.15), ("EUR", 0.6, 0.95)):
        counts = allel.GenotypeArray(wide.calls).count_alleles(
            subpop=np.flatnonzero(wide.label("super_pop") == name), max_allele=1
        )
        assert low < 1000 * allel.mean_pairwise_difference(counts).sum() / 8e6 < high  # differences per kb
    common = wide.select(min_maf=0.1, region="1:1-2000000")
    position = common.variants.position
    r2 = np.corrcoef(common.haplotypes(), rowvar=False) ** 2
    apart = np.abs(position[:, None] - position[None, :])
    assert r2[(apart > 0) & (apart < 2_000)].mean() > 0.35
    assert r2[apart > 1_000_000].mean() < 0.08


def test_sites(wide: Genotypes) -> None:
    frequency = wide.allele_frequency()
    assert wide.phased
    assert frequency.min() > 0
    assert frequency.max() < 1
    assert wide.calls.min() == 0  # nothing is missing
    assert set(wide.variants.ref) | set(wide.variants.alt) == set("ACGT")
    assert (wide.variants.ref != wide.variants.alt).all()
    assert (np.diff(wide.variants.position) > 0).all()
    assert wide.variants.position.min() >= 1
    assert wide.variants.position.max() <= 8_000_000
    assert dict(wide.variants.contig_lengths) == {"1": 8_000_000}
    assert set(wide.variants.contig) == {"1"}


def test_labels_and_names() -> None:
    cohort = simulate(2504, length=5_000, seed=2)
    assert Counter(cohort.label("super_pop")) == SHARES
    assert Counter(cohort.label("pop"))["AFR1"] == 331
    assert all(pop[:3] == sup for pop, sup in zip(cohort.label("pop"), cohort.label("super_pop"), strict=True))
    assert set(cohort.label("gender")) == {"female", "male"}
    assert cohort.samples[0] == "AFR-0001"
    assert cohort.samples[661] == "AMR-0001"


def test_the_same_seed_gives_the_same_people() -> None:
    one = simulate(20, length=30_000, seed=5)
    assert one.equals(simulate(20, length=30_000, seed=5))
    assert not one.equals(simulate(20, length=30_000, seed=6))
    assert simulate(20, length=30_000, seed=0).n_variants > 0


def test_unphased_is_the_same_people_without_order() -> None:
    phased = simulate(20, length=30_000, seed=5)
    unphased = simulate(20, length=30_000, seed=5, unphased=True)
    assert not unphased.phased
    assert np.array_equal(unphased.dosages(), phased.dosages())
    assert (np.diff(unphased.calls, axis=2) >= 0).all()  # 1/0 would be 1|0 with its phase still legible


def test_populations() -> None:
    assert Counter(simulate(90, length=5_000, populations=["EUR", "EAS"]).label("super_pop")) == {"EAS": 45, "EUR": 45}
    assert Counter(simulate(90, length=5_000, populations={"EUR": 1, "AFR": 8}).label("super_pop")) == {
        "AFR": 80,
        "EUR": 10,
    }
    assert simulate(1, length=50_000, populations=["AMR"]).samples.tolist() == ["AMR-0001"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"people": 0}, "simulate: the number of people is 0; accepted: a whole number, 1 or more."),
        ({"length": 2.5}, "simulate: the number of base pairs is 2.5; accepted: a whole number, 1 or more."),
        ({"seed": -1}, "simulate: the seed is -1; accepted: a whole number, 0 or more."),
        ({"populations": ["EUR", "GBR"]}, "simulate: unknown population 'GBR'; accepted: AFR, AMR, EAS, EUR, SAS."),
    ],
)
def test_usage_errors(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        simulate(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_too_short_to_vary() -> None:
    with pytest.raises(DataError) as caught:
        simulate(1, length=1)
    assert str(caught.value) == (
        "simulate: no site is polymorphic among 1 people over 1 base pairs; give more of either."
    )
