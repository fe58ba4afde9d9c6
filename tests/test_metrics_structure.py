"""Components, Fst, heterozygosity and F against scikit-learn, scikit-allel, scipy and closed forms."""

from __future__ import annotations

import allel
import numpy as np
import pytest
from sklearn.decomposition import PCA

from pgcgan.metrics.comparison import Cohort, Comparison
from pgcgan.metrics.rows import NotComputable
from pgcgan.metrics.structure import (
    fst,
    heterozygosities,
    heterozygosity,
    heterozygote_shares,
    hudson_sums,
    pca,
    principal_components,
    sliced_wasserstein,
)


def two_populations(seed: int, each: int = 60, sites: int = 300, shift: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    frequency = np.random.default_rng(99).uniform(0.3, 0.7, sites)
    sign = np.random.default_rng(98).choice([-1, 1], sites)
    generator = np.random.default_rng(seed)
    calls = [generator.random((sites, each, 2)) < (frequency + s * shift * sign)[:, None, None] for s in (-0.5, 0.5)]
    return np.concatenate(calls, axis=1).astype(np.int8), np.repeat(["A", "B"], each).astype(object)


def sets(*parts: tuple[np.ndarray, np.ndarray]) -> Comparison:
    made = [Cohort(calls, labels, phased=True) for calls, labels in parts]
    sites = len(parts[0][0])
    holdout = made[2] if len(made) > 2 else None
    return Comparison(
        made[0], made[1], holdout, position=np.arange(1, sites + 1), contig=np.full(sites, "1", dtype=object)
    )


def by_name(rows: list) -> dict:
    return {row.metric: row for row in rows if row.label == "all"}


def test_components_equal_those_of_scikit_learn() -> None:
    rows = two_populations(0)[0].reshape(300, -1).T.astype(np.float32)
    mean, axes = principal_components(rows.T.copy(), 3)
    other = PCA(3, svd_solver="full").fit(rows)
    ours = np.abs((rows - mean.T) @ axes)
    assert np.allclose(ours[:, 0], np.abs(other.transform(rows)[:, 0]), atol=0.05)
    assert ours.var(axis=0)[0] == pytest.approx(np.abs(other.transform(rows)).var(axis=0)[0], rel=1e-2)
    assert np.allclose(np.abs(axes[:, 0] @ other.components_[0]), 1, atol=1e-4)


def test_sliced_wasserstein_of_a_shift_is_the_shift_times_the_mean_cosine() -> None:
    # in two dimensions the mean of |cos| over directions is 2 / pi
    points = np.random.default_rng(2).normal(size=(4000, 2))
    found = sliced_wasserstein(points, points + np.array([3.0, 0.0]), directions=1000)
    assert found == pytest.approx(3 * 2 / np.pi, rel=0.03)


def test_fst_equals_scikit_allel_with_missing_calls() -> None:
    calls, labels = two_populations(3)
    calls = calls.copy()
    calls[np.random.default_rng(4).random(calls.shape[:2]) < 0.1] = -1
    a, b = (Cohort(calls[:, labels == v], None, phased=True) for v in "AB")
    counts = [allel.GenotypeArray(p.calls).count_alleles(max_allele=1) for p in (a, b)]
    numerator, denominator = allel.hudson_fst(*counts)
    expected = np.nansum(numerator) / np.nansum(denominator)
    top, bottom = (part.sum() for part in hudson_sums(a.alts, a.called, b.alts, b.called))
    assert top / bottom == pytest.approx(expected)


def test_fst_rows_show_each_pair_and_notice_merged_populations() -> None:
    train, holdout = two_populations(5), two_populations(6)
    mixed = (two_populations(7, shift=0.0)[0], train[1])
    rows = fst(sets(train, mixed, holdout))
    assert [r.label for r in rows] == ["all", "A - B"]
    assert rows[0].value > 5 * rows[0].floor


def test_heterozygosity_equals_scikit_allel() -> None:
    calls = two_populations(8)[0].copy()
    calls[np.random.default_rng(9).random(calls.shape[:2]) < 0.1] = -1
    array = allel.GenotypeArray(calls)
    people = Cohort(calls, None, phased=True)
    assert np.allclose(heterozygosity(people), array.count_het(axis=0) / array.count_called(axis=0))
    observed = allel.heterozygosity_observed(array)
    counts = array.count_alleles(max_allele=1)
    n = counts.sum(axis=1)
    expected = allel.heterozygosity_expected(counts.to_frequencies(), ploidy=2) * n / (n - 1)
    assert np.allclose(heterozygote_shares(people), (observed, expected))


def test_haplotypes_paired_across_populations_show_as_negative_inbreeding() -> None:
    calls, _ = two_populations(10, shift=0.5)
    a, b = calls[:, :60], calls[:, 60:]
    crossed = np.stack([a[:, :, 0], b[:, :, 0]], axis=2)
    observed, expected = (shares.sum() for shares in heterozygote_shares(Cohort(crossed, None, phased=True)))
    assert 1 - observed / expected < -0.05
    one_label = np.full(60, "A", dtype=object)
    found = by_name(heterozygosities(sets((a, one_label), (crossed, one_label), (b, one_label))))
    assert found["inbreeding error"].value > 5 * found["inbreeding error"].floor
    assert found["inbreeding error"].floor < 0.06


def test_variance_ratio_and_distance_notice_a_collapsed_set() -> None:
    train, holdout = two_populations(11), two_populations(12)
    middle = (two_populations(13, shift=0.0)[0], train[1])
    good, bad = (by_name(pca(sets(train, s, holdout))) for s in (two_populations(14), middle))
    assert good["PCA variance ratio"].value == pytest.approx(1, abs=0.15)
    assert good["PCA variance ratio"].floor == pytest.approx(1, abs=0.15)  # not that of the people the axes fit
    first = float(bad["PCA variance ratio"].note.split(": ")[1].split()[0])
    assert first < 0.5
    assert bad["sliced Wasserstein"].value > 2 * good["sliced Wasserstein"].value


def test_dosages_are_projected_apart_as_scikit_learn_does() -> None:
    train, synthetic, holdout = (two_populations(s) for s in (15, 16, 17))
    rows = by_name(pca(sets(train, synthetic, holdout)))
    dosages = [part[0].sum(axis=2).T.astype(float) for part in (train, synthetic, holdout)]
    fitted = PCA(10, svd_solver="full").fit(dosages[0])
    made, real = (fitted.transform(d).var(axis=0) for d in dosages[1:])
    first = [float(rows[f"PCA variance ratio{s}"].note.split(": ")[1].split()[0]) for s in (", people", "")]
    assert first[0] == pytest.approx((made / real)[0], abs=0.01)
    haplotypes = [part[0].reshape(300, -1).T.astype(float) for part in (train, synthetic, holdout)]
    fitted = PCA(10, svd_solver="full").fit(haplotypes[0])
    made, real = (fitted.transform(h).var(axis=0) for h in haplotypes[1:])
    assert first[1] == pytest.approx((made / real)[0], abs=0.01)


def test_errors_of_fst_and_inbreeding_have_intervals() -> None:
    train, synthetic, holdout = (two_populations(s) for s in (18, 19, 20))
    parts = sets(train, synthetic, holdout)
    for row in (*fst(parts), *heterozygosities(parts)):
        assert row.low is not None and row.low <= row.value * 1.5 and row.high >= row.value / 1.5, row.metric


def test_labels_that_do_not_differ_have_no_fst() -> None:
    same = np.zeros((50, 20, 2), dtype=np.int8)
    same[:, 0, 0] = 0
    labels = np.repeat(["A", "B"], 10).astype(object)
    with pytest.raises(NotComputable, match="no site differs between any two labels"):
        fst(sets((same, labels), (same, labels), (same, labels)))
