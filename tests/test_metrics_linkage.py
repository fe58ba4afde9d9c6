"""r², its decay, far pairs and third moments against scikit-allel and direct sums."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import pgcgan
from pgcgan.metrics.comparison import Cohort, Comparison
from pgcgan.metrics.linkage import far_pairs, linkage_disequilibrium, standardised, third_moments, three_point
from pgcgan.metrics.rows import NotComputable


def chain(seed: int, sites: int, people: int, switch: float = 0.1) -> np.ndarray:
    """Return phased calls whose neighbouring sites agree but with probability `switch`."""
    generator = np.random.default_rng(seed)
    first = generator.random((1, people, 2)) < 0.5
    return (np.cumsum(np.concatenate([first, generator.random((sites - 1, people, 2)) < switch]), axis=0) % 2).astype(
        np.int8
    )


def sets(
    train: np.ndarray, synthetic: np.ndarray, holdout: np.ndarray | None = None, phased: bool = True
) -> Comparison:
    parts = [None if c is None else Cohort(c, None, phased) for c in (train, synthetic, holdout)]
    assert parts[0] is not None and parts[1] is not None
    sites = len(train)
    return Comparison(*parts, position=np.arange(1, sites + 1) * 100, contig=np.full(sites, "1", dtype=object))


def by_name(rows: list) -> dict:
    return {row.metric: row for row in rows}


@pytest.fixture(scope="module")
def common(cohort: pgcgan.Genotypes) -> pgcgan.Genotypes:
    return cohort.select(sites=slice(0, 60))


@pytest.mark.oracle("plink2")
def test_haplotype_r2_equals_plink2(common: pgcgan.Genotypes, tmp_path: Path) -> None:
    z = standardised(Cohort(common.calls, None, phased=True), np.arange(60))
    ours = (z @ z.T) ** 2
    pgcgan.write(common, tmp_path / "common.vcf")
    plink2 = ["plink2", "--threads", "1"]
    made = ["--vcf", "common.vcf", "--set-all-var-ids", "@:#", "--make-pgen", "--out", "common"]
    subprocess.run([*plink2, *made], cwd=tmp_path, check=True, capture_output=True)
    for i, j in ((0, 1), (2, 9), (30, 31), (5, 50)):
        ids = [f"1:{common.variants.position[k]}" for k in (i, j)]
        run = subprocess.run(
            [*plink2, "--pfile", "common", "--ld", *ids], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        theirs = float(re.search(r"r\^2 = (\S+)", run.stdout)[1])
        assert ours[i, j] == pytest.approx(theirs, rel=1e-4, abs=1e-6)


@pytest.mark.oracle("plink1.9")
def test_dosage_r2_of_all_pairs_equals_plink(common: pgcgan.Genotypes, tmp_path: Path) -> None:
    z = standardised(Cohort(common.calls, None, phased=False), np.arange(60))
    pgcgan.write(common, tmp_path / "common.vcf")
    line = "plink1.9 --vcf common.vcf --double-id --set-missing-var-ids @:# --r2 square bin --out r2 --threads 1"
    subprocess.run(line.split(), cwd=tmp_path, check=True, capture_output=True)
    theirs = np.fromfile(tmp_path / "r2.ld.bin").reshape(60, 60)
    assert np.allclose((z @ z.T) ** 2, theirs, atol=1e-5)


def test_ld_rmse_and_r_equal_a_sum_over_all_pairs() -> None:
    train, synthetic, holdout = chain(1, 640, 40), chain(2, 640, 40, 0.2), chain(3, 640, 30)

    def squares(calls: np.ndarray) -> np.ndarray:
        r = np.corrcoef(calls.reshape(640, -1).astype(float))
        i, j = np.triu_indices(640, 1)
        return (r[i, j] ** 2)[j - i <= 500]

    rows = by_name(linkage_disequilibrium(sets(train, synthetic, holdout)))
    a, b, c = map(squares, (train, synthetic, holdout))
    assert rows["LD RMSE"].value == pytest.approx(np.sqrt(np.mean((b - c) ** 2)), rel=1e-4)
    assert rows["LD RMSE"].floor == pytest.approx(np.sqrt(np.mean((a - c) ** 2)), rel=1e-4)
    assert rows["LD r"].value == pytest.approx(np.corrcoef(b, c)[0, 1], rel=1e-3)
    assert rows["LD RMSE"].low < rows["LD RMSE"].value < rows["LD RMSE"].high


def test_decay_curve_falls_and_is_lower_where_linkage_is_lost() -> None:
    pair = sets(chain(4, 300, 60), chain(5, 300, 60, 0.5), chain(6, 300, 60))
    rows = by_name(linkage_disequilibrium(pair))
    curve = pair.figures["ld_decay"]
    assert curve["holdout"][0] > 0.5 > curve["holdout"][-1]
    assert max(curve["synthetic"]) < 0.1
    assert rows["LD decay RMSE"].value > 3 * rows["LD decay RMSE"].floor


def test_a_site_lost_in_the_synthetic_set_counts_as_uncorrelated() -> None:
    train = chain(7, 12, 50)
    synthetic = train.copy()
    synthetic[3] = 0
    rows = by_name(linkage_disequilibrium(sets(train, synthetic)))
    r = np.corrcoef(train.reshape(12, -1).astype(float))
    gone = np.delete(r[3], 3) ** 4
    assert rows["LD RMSE"].value == pytest.approx(np.sqrt(gone.sum() / 66), rel=1e-4)


def test_far_pairs_see_what_neighbours_do_not() -> None:
    # two ancestries that differ at every site; shuffling the halves of the haplotypes keeps all near pairs but few
    generator = np.random.default_rng(8)
    frequency = generator.choice([0.2, 0.8], size=(1200, 1))

    def cohort(seed: int, broken: bool) -> np.ndarray:
        draw = np.random.default_rng(seed)
        ancestry = draw.random((1, 200)) < 0.5
        other = draw.random((1, 200)) < 0.5 if broken else ancestry
        which = np.concatenate([np.repeat(ancestry, 600, 0), np.repeat(other, 600, 0)])
        alt = draw.random((1200, 200)) < np.where(which, frequency, 1 - frequency)
        return alt.astype(np.int8).reshape(1200, 100, 2)

    row = by_name(far_pairs(sets(cohort(1, False), cohort(2, True), cohort(3, False))))["far pairs r"]
    assert row.floor > 0.9
    assert row.value < row.floor - 0.2
    assert row.low < row.value < row.high < row.floor


def test_far_pairs_of_few_sites_say_why_not() -> None:
    small = chain(9, 100, 20)
    with pytest.raises(NotComputable, match="more than 500 sites apart"):
        far_pairs(sets(small, small))


def test_third_moments_equal_their_definition() -> None:
    columns = chain(10, 20, 15).reshape(20, -1).astype(np.int8)
    columns[3, :4] = -1
    triples = np.array([[0, 3, 9], [2, 2, 5], [3, 4, 5]])
    called = np.where(columns < 0, np.nan, columns)
    centred = np.nan_to_num(called - np.nanmean(called, axis=1, keepdims=True))  # a missing call is at the mean
    expected = [(centred[i] * centred[j] * centred[k]).mean() for i, j, k in triples]
    assert np.allclose(third_moments(columns, triples), expected, atol=1e-6)


def test_three_point_is_one_for_the_same_people_and_near_zero_for_independent_sites() -> None:
    generator = np.random.default_rng(11)
    templates = (generator.random((200, 6)) < 0.3).astype(np.int8)  # few haplotypes: strong third moments
    train, holdout = (templates[:, np.random.default_rng(s).integers(0, 6, (100, 2))] for s in (1, 2))
    same = by_name(three_point(sets(train, train)))
    assert same["3-point r"].value == pytest.approx(1)
    shuffled = np.stack([generator.permutation(row.ravel()).reshape(100, 2) for row in train])
    lost = by_name(three_point(sets(train, shuffled, holdout)))
    assert lost["3-point r"].floor > 0.8
    assert abs(lost["3-point r"].value) < 0.3
    assert lost["3-point r within labels"].value is None


def test_decay_bins_end_with_the_farthest_pair_and_stay_on_one_contig() -> None:
    train = chain(12, 1200, 30)
    parts = sets(train, chain(13, 1200, 30))
    linkage_disequilibrium(parts)
    distance = parts.figures["ld_decay"]["distance"]
    assert 0.8 * 50_000 < distance[-1] < 50_000  # 500 sites of 100 bp
    two = Comparison(
        parts.train,
        parts.synthetic,
        None,
        position=np.tile(np.arange(1, 301) * 100, 4),
        contig=np.repeat(np.array(["1", "2", "10", "X"], dtype=object), 300),
    )
    linkage_disequilibrium(two)
    assert two.figures["ld_decay"]["distance"][-1] < 30_000
