"""Frequencies and spectra against scikit-allel and closed forms."""

from __future__ import annotations

import allel
import numpy as np
import pytest

from pgcgan.metrics.comparison import Cohort, Comparison
from pgcgan.metrics.frequency import allele_frequencies, projected_counts, sites_lost, spectra
from pgcgan.metrics.rows import NotComputable


def people(calls: np.ndarray) -> Cohort:
    return Cohort(calls.astype(np.int8), None, phased=True)


def sets(train: np.ndarray, synthetic: np.ndarray, holdout: np.ndarray | None = None) -> Comparison:
    sites = len(train)
    return Comparison(
        people(train),
        people(synthetic),
        None if holdout is None else people(holdout),
        position=np.arange(1, sites + 1),
        contig=np.full(sites, "1", dtype=object),
    )


def drawn(generator: np.random.Generator, frequency: np.ndarray, count: int) -> np.ndarray:
    return (generator.random((len(frequency), count, 2)) < frequency[:, None, None]).astype(np.int8)


def by_name(rows: list) -> dict:
    return {row.metric: row for row in rows}


def test_frequency_and_counts_equal_scikit_allel_with_missing_calls() -> None:
    generator = np.random.default_rng(0)
    calls = drawn(generator, generator.random(50), 20)
    calls[generator.random(calls.shape) < 0.1] = -1
    counts = allel.GenotypeArray(calls).count_alleles(max_allele=1)
    ours = people(calls)
    assert np.array_equal(ours.alts, counts[:, 1])
    assert np.array_equal(ours.called, counts.sum(axis=1))
    assert np.allclose(ours.frequency, counts.to_frequencies()[:, 1])


@pytest.mark.parametrize("chosen", [np.array([4, 0, 7]), np.arange(20) % 3 == 0], ids=["indices", "mask"])
def test_people_of_a_cohort_are_the_same_before_and_after_their_calls_are_dropped(chosen: np.ndarray) -> None:
    generator = np.random.default_rng(3)
    calls = drawn(generator, generator.random(30), 20)
    labels = np.array([f"L{i}" for i in range(20)])
    part = Cohort(calls, labels, phased=True).take(chosen)
    expected = calls[:, chosen]
    assert (part.n_sites, part.n_people, part.n_rows, part.ploidy) == (30, expected.shape[1], expected[0].size, 2)
    for _ in range(2):
        assert np.array_equal(part.calls, expected)
        assert np.array_equal(part.values, expected.reshape(30, -1))
        assert np.array_equal(part.dosages, expected.sum(axis=2))
        part.forget()
    assert np.array_equal(part.take(np.array([1])).calls, expected[:, [1]])
    assert part.labels is not None and part.labels.tolist() == labels[chosen].tolist()


def test_the_spectrum_equals_scikit_allel() -> None:
    generator = np.random.default_rng(1)
    calls = drawn(generator, generator.beta(0.3, 1.5, 400), 15)
    counts = allel.GenotypeArray(calls).count_alleles(max_allele=1)
    expected = allel.sfs_folded(counts)[1:].astype(float)
    ours = people(calls)
    spectrum = projected_counts(ours.alts, ours.called, 30).sum(axis=0)
    assert len(spectrum) == 15
    assert np.allclose(spectrum[: len(expected)], expected)


def test_projection_equals_the_mean_over_all_subsamples() -> None:
    # one site, 3 alt of 5 alleles, projected to 3: C(3,j) C(2,3-j) / C(5,3) = .1·(0, 3, 6, 1) for j = 0..3
    # classes 1 and 2 fold together, 0 and 3 are monomorphic
    assert projected_counts(np.array([3]), np.array([5]), 3) == pytest.approx(np.array([[0.9]]))
    # 2 of 6 projected to 4: C(2,j) C(4,4-j) / C(6,4) = 1/15, 8/15, 6/15 for j = 0, 1, 2
    assert projected_counts(np.array([2]), np.array([6]), 4) == pytest.approx(np.array([[8 / 15, 6 / 15]]))
    assert not projected_counts(np.array([2]), np.array([3]), 4).any()  # too few called alleles


def test_rmse_maximum_and_floor_are_what_they_are_by_hand() -> None:
    train = np.zeros((2, 2, 2))
    train[0, 0] = 1  # frequencies 1/2, 0
    synthetic = np.zeros((2, 2, 2))
    synthetic[:, :, 0] = 1  # 1/2, 1/2
    holdout = np.zeros((2, 2, 2))
    holdout[0, 0, 0] = 1  # 1/4, 0
    rows = by_name(allele_frequencies(sets(train, synthetic, holdout)))
    assert rows["AF RMSE"].value == pytest.approx(np.sqrt((0.25**2 + 0.5**2) / 2))
    assert rows["AF RMSE"].floor == pytest.approx(np.sqrt(0.25**2 / 2))
    assert rows["AF max error"].value == pytest.approx(0.5)
    assert rows["AF RMSE, MAF < 5 %"].value == pytest.approx(0.5)


def test_lost_sites_are_counted_and_their_floor_is_a_bootstrap_of_train() -> None:
    # 40 people, 200 singletons: a bootstrap of 40 people misses one given person with (1 - 1/40)^40 = .363
    train = np.zeros((200, 40, 2))
    train[np.arange(200), np.arange(200) % 40, 0] = 1
    synthetic = train.copy()
    synthetic[:50] = 0
    row = by_name(sites_lost(sets(train, synthetic)))["sites lost"]
    assert row.value == pytest.approx(0.25)
    assert row.floor == pytest.approx((1 - 1 / 40) ** 40, abs=0.06)


def test_spectrum_distance_is_zero_for_the_same_people_and_large_for_other_frequencies() -> None:
    generator = np.random.default_rng(2)
    train = drawn(generator, np.full(300, 0.02), 30)
    common = drawn(generator, np.full(300, 0.5), 30)
    assert by_name(spectra(sets(train, train)))["SFS distance"].value == 0
    assert by_name(spectra(sets(train, common)))["SFS distance"].value > 0.8


def test_a_spectrum_of_monomorphic_sites_says_why_not() -> None:
    nothing = np.zeros((5, 10, 2))
    with pytest.raises(NotComputable, match="no site is polymorphic"):
        spectra(sets(nothing, nothing))


def test_rare_sites_are_apart_and_where_there_are_none_the_rows_say_so() -> None:
    generator = np.random.default_rng(3)
    frequency = np.r_[np.full(40, 0.02), np.full(60, 0.4)]
    train, synthetic, holdout = (drawn(generator, frequency, 200) for _ in range(3))
    rows = by_name(allele_frequencies(sets(train, synthetic, holdout)))
    rare = np.minimum(train.mean(axis=(1, 2)), 1 - train.mean(axis=(1, 2))) < 0.05
    a, b = synthetic.mean(axis=(1, 2))[rare], holdout.mean(axis=(1, 2))[rare]
    assert rows["AF max error, MAF < 5 %"].value == pytest.approx(np.abs(a - b).max())
    assert rows["AF r, MAF < 5 %"].value == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert rows["AF r"].low < rows["AF r"].value < rows["AF r"].high
    common = by_name(allele_frequencies(sets(*(c[~rare] for c in (train, synthetic, holdout)))))
    for name in ("AF RMSE", "AF max error", "AF r"):
        assert common[f"{name}, MAF < 5 %"].value is None
        assert common[f"{name}, MAF < 5 %"].note == "no site has a MAF < 5 % in train"
        assert common[name].value is not None


def test_lost_sites_by_frequency_bin() -> None:
    train = np.zeros((30, 100, 2))
    train[np.arange(10), np.arange(10), 0] = 1  # MAF .005
    train[10:, :20] = 1  # MAF .2
    synthetic = train.copy()
    synthetic[:5] = 0
    rows = by_name(sites_lost(sets(train, synthetic)))
    assert rows["sites lost, MAF 0.001-0.01"].value == 0.5
    assert rows["sites lost, MAF 0.001-0.01"].floor == pytest.approx((1 - 1 / 100) ** 100, abs=0.1)
    assert rows["sites lost, MAF 0.05-0.5"].value == rows["sites lost, MAF 0.05-0.5"].floor == 0
    assert rows["sites lost, MAF 0.01-0.05"].note == "no polymorphic site of train has such a MAF"


def test_the_share_of_singletons_has_an_interval_around_it() -> None:
    generator = np.random.default_rng(4)
    train, synthetic = (drawn(generator, generator.beta(0.2, 1.5, 500), 40) for _ in range(2))
    row = by_name(spectra(sets(train, synthetic)))["singleton share"]
    counts = allel.GenotypeArray(synthetic.astype(np.int8)).count_alleles(max_allele=1)
    folded = allel.sfs_folded(counts)[1:]
    assert row.value == pytest.approx(folded[0] / folded.sum())  # 80 alleles: nothing is projected
    assert row.low < row.value < row.high
