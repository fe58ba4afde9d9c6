"""The baselines against closed forms and independent neighbours; test_generator.py has what all families promise."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from pgcgan import SMOTE, Genotypes, IndependentSites, LiStephens, PCAGaussian, Variants
from pgcgan.errors import DataError
from pgcgan.registry import BASELINES, create


def people(
    haplotypes: np.ndarray,
    labels: dict[str, list[str]] | None = None,
    positions: np.ndarray | None = None,
    *,
    ploidy: int = 2,
    contigs: list[str] | None = None,
    phased: bool = True,
) -> Genotypes:
    """Return people from haplotype rows (samples * ploidy, variants)."""
    rows, sites = haplotypes.shape
    n = rows // ploidy
    position = np.arange(1, sites + 1) * 100 if positions is None else positions
    return Genotypes(
        haplotypes.T.reshape(sites, n, ploidy),
        Variants(contigs or ["1"] * sites, position, ["."] * sites, ["A"] * sites, ["G"] * sites),
        [f"p{i}" for i in range(n)],
        labels or {"super_pop": ["EUR"] * n},
        phased,
    )


def within(share: np.ndarray | float, expected: np.ndarray | float, trials: int) -> bool:
    """Return whether binomial shares lie within five standard errors of what is expected."""
    error = np.sqrt(np.asarray(expected) * (1 - np.asarray(expected)) / trials)
    return bool((np.abs(np.asarray(share) - expected) <= 5 * error + 1e-9).all())


# ---- all of them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "li-stephens"])  # a mosaic may mutate
@pytest.mark.parametrize("unphased", [False, True])
def test_an_allele_that_a_label_lacks_is_not_drawn_for_it(name: str, unphased: bool, cohort: Genotypes) -> None:
    train = cohort.without_phase() if unphased else cohort
    people = create(name).fit(train).sample({"SAS": 3, "AFR": 70}, seed=1)
    for label in ("AFR", "SAS"):
        own = train.select(samples=train.label("super_pop") == label).allele_frequency()
        synthetic = people.select(samples=people.label("super_pop") == label).allele_frequency()
        assert (own == 0).any()
        assert synthetic[own == 0].max() == 0


@pytest.mark.parametrize("name", BASELINES)
def test_missing_calls_are_filled_from_the_frequency_of_the_label(name: str) -> None:
    random = np.random.default_rng(1)
    full = (random.random((4000, 3)) < [0.2, 0.5, 0.9]).astype(np.int8)
    full[2000:, 0] = 1 - full[2000:, 0]  # the second label has .8 there
    holes = full.copy()
    holes[:1200, 0] = -1
    holes[2000:, 1] = -1  # one label has no call at all at this site: the other one's frequency counts
    labels = {"super_pop": ["A"] * 1000 + ["B"] * 1000}
    model = create(name, **({"mutation": 0.0} if name == "li-stephens" else {})).fit(people(holes, labels))
    synthetic = model.sample({"A": 2000, "B": 2000}, seed=0)
    for label, expected in (("A", (0.2, 0.5, 0.9)), ("B", (0.8, 0.5, 0.9))):
        frequency = synthetic.select(samples=synthetic.label("super_pop") == label).allele_frequency()
        assert np.allclose(frequency, expected, atol=0.1 if name == "smote" else 0.06), (label, frequency)


# ---- independent sites --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unphased", [False, True])
def test_independent_sites_have_the_frequencies_and_no_linkage(cohort: Genotypes, unphased: bool) -> None:
    train = cohort.without_phase() if unphased else cohort
    synthetic = IndependentSites().fit(train).sample({"AFR": 3000}, seed=0)
    expected = train.select(samples=train.label("super_pop") == "AFR").allele_frequency()
    assert within(synthetic.allele_frequency(), expected, 6000)
    varied = (expected > 0.1) & (expected < 0.9)
    r2 = np.corrcoef(synthetic.dosages()[:, varied], rowvar=False)[np.triu_indices(varied.sum(), 1)] ** 2
    assert r2.mean() == pytest.approx(1 / 2999, rel=0.1)  # the expectation of r² without association
    heterozygous = (synthetic.dosages() == 1).mean(axis=0)
    assert within(heterozygous, 2 * expected * (1 - expected), 3000)  # Hardy-Weinberg


# ---- Li-Stephens --------------------------------------------------------------------------------------------------

POSITIONS = np.array([1000, 2000, 12_000, 112_000, 112_500])


def two_templates(**more: object) -> Genotypes:
    """Return one person with a haplotype of 0 only and one of 1 only: every switch that lands on the other shows."""
    return people(np.array([[0] * 5, [1] * 5], dtype=np.int8), positions=POSITIONS, **more)  # type: ignore[arg-type]


def observed_switches(model: LiStephens, train: Genotypes, n: int = 4000) -> np.ndarray:
    rows = model.fit(train).sample(n, seed=0).haplotypes()
    return (rows[:, 1:] != rows[:, :-1]).mean(axis=0)


def test_switches_of_the_mosaic_follow_the_formula() -> None:
    apart = np.diff(POSITIONS)
    # 1 - exp(-4 Ne r d / n), n = 2 haplotypes, and half of the switches land on the same one
    expected = (1 - np.exp(-4 * 10_000 * 2e-9 * apart / 2)) / 2
    model = LiStephens(recombination_rate=2e-9, effective_size=10_000, mutation=0)
    assert within(observed_switches(model, two_templates()), expected, 8000)
    expected = (1 - np.exp(-apart / 50_000)) / 2
    assert within(observed_switches(LiStephens(segment_length=50_000, mutation=0), two_templates()), expected, 8000)
    model = LiStephens(segment_length=1e12, mutation=0)
    two_contigs = two_templates(contigs=["1", "1", "2", "2", "2"])
    assert within(observed_switches(model, two_contigs), np.array([0, 0.5, 0, 0]), 8000)


MAPS = {
    "shapeit": "pos\tchr\tcM\n2000\t1\t5.0\n112000\t1\t5.11\n5\t2\t0\n",
    "hapmap": (
        "Chromosome Position(bp) Rate(cM/Mb) Map(cM)\n"
        "chr1 2000 9 5.0\nchr1 12000 9 5.01\nchr1 112000 0 5.11\nchr2 5 0 0\n"
    ),
    "plink": "2 . 0 5\n1 . 5.0 2000\n1 . 5.11 112000\n",
    "impute2": "position COMBINED_rate(cM/Mb) Genetic_Map(cM)\n2000 1.0 5.0\n112000 0 5.11\n",
}


@pytest.mark.parametrize("form", MAPS)
def test_a_genetic_map_sets_the_switches(form: str, tmp_path: Path) -> None:
    path = tmp_path / "map.gz"
    path.write_bytes(gzip.compress(MAPS[form].encode()))
    # .01 cM from 2,000 to 12,000 and .1 cM from there to 112,000; outside of the map 3e-8 per base
    morgans = np.array([1000 * 3e-8, 0.0001, 0.001, 500 * 3e-8])
    model = LiStephens(recombination_rate=3e-8, effective_size=1000, genetic_map=path, mutation=0)
    assert within(observed_switches(model, two_templates()), (1 - np.exp(-4 * 1000 * morgans / 2)) / 2, 8000)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("pos\tchr\tcM\n1\t7\t0\n", r"contig '1'.*: 7"),
        ("pos\tcM\n1\t0\n2\tx\n", "line 3 .*'2 x'"),
        ("pos\tcM\n", "no positions"),
        ("a\tb\n", r"position\(bp\).*map\(cm\).* a, b"),
        ("", "no line"),
        ("pos\tcM\n1\t0\n2\tnan\n", "line 3 .*'2 nan'"),
        ("pos\tcM\n1\t0\n2\tinf\n", "line 3 .*'2 inf'"),
        ("pos\tcM\n-1\t0\n", "line 2 .*'-1 0'"),
        (f"pos\tcM\n{10**30}\t0\n", "line 2 "),
        ("pos\tcM\n1000\t1.5\n2000\t1.25\n", "1.5 at 1000 to 1.25 at 2000"),
        ("2 . 0 1\n2 . 0.5 10000\n", r"contig '1'.*: 2"),
    ],
)
def test_what_is_no_genetic_map(text: str, facts: str, tmp_path: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=facts) as caught:
        LiStephens(genetic_map=path).fit(two_templates())
    assert str(path) in str(caught.value)
    for change in (lambda: path.write_bytes(b"\xff\xfe\x00"), path.unlink):
        change()
        with pytest.raises(DataError, match=str(path)):
            LiStephens(genetic_map=path).fit(two_templates())


def test_a_map_of_one_contig_is_not_taken_for_all(tmp_path: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_text("pos\tcM\n1\t0\n2000\t1\n")
    with pytest.raises(DataError, match="names no contig.* 1, 2"):
        LiStephens(genetic_map=path).fit(two_templates(contigs=["1", "1", "2", "2", "2"]))


def test_mutation_of_the_mosaic() -> None:
    train = people(np.zeros((6, 500), dtype=np.int8))
    theta = 1 / (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5)
    synthetic = LiStephens().fit(train).sample(400, seed=0)
    assert within(synthetic.calls.mean(), theta / (2 * (theta + 6)), synthetic.calls.size)
    assert LiStephens(mutation=0).fit(train).sample(50, seed=0).calls.max() == 0
    # unphased: a count of 2 loses each of its alleles on its own
    train = people(np.ones((6, 500), dtype=np.int8), phased=False)
    dosages = LiStephens(mutation=0.2).fit(train).sample(400, seed=0).dosages()
    assert within((dosages == 1).mean(), 2 * 0.2 * 0.8, dosages.size)
    assert within((dosages == 0).mean(), 0.2 * 0.2, dosages.size)


def test_the_mosaic_keeps_local_linkage_and_long_segments_copy(cohort: Genotypes) -> None:
    train = cohort.select(samples=cohort.label("super_pop") == "AFR")
    real = {row.tobytes() for row in train.haplotypes()}
    copies = LiStephens(segment_length=1e12, mutation=0).fit(train).sample(50, seed=0).haplotypes()
    assert all(row.tobytes() in real for row in copies)
    mosaic = LiStephens(segment_length=30_000, mutation=0).fit(train).sample(500, seed=0)
    assert not all(row.tobytes() in real for row in mosaic.haplotypes())
    near = np.flatnonzero((np.diff(train.variants.position) < 200) & (train.allele_frequency()[1:] > 0.1))
    alleles = [(g.haplotypes()[:, near], g.haplotypes()[:, near + 1]) for g in (train, mosaic)]
    joint = [(a & b).mean(axis=0) for a, b in alleles]
    assert np.abs(joint[0] - joint[1]).max() < 0.12


# ---- PCA-Gaussian -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unphased", [False, True])
def test_pca_gaussian_keeps_the_frequencies(cohort: Genotypes, unphased: bool) -> None:
    train = cohort.without_phase() if unphased else cohort
    synthetic = PCAGaussian(components=20).fit(train).sample({"EUR": 3000}, seed=0)
    own = train.select(samples=train.label("super_pop") == "EUR")
    for value in (1, 2) if unphased else (1,):
        rows = (own.dosages(), synthetic.dosages()) if unphased else (own.haplotypes(), synthetic.haplotypes())
        assert within((rows[1] >= value).mean(axis=0), (rows[0] >= value).mean(axis=0), len(rows[1]))


def test_pca_gaussian_is_the_orthant_formula() -> None:
    random = np.random.default_rng(3)
    first = random.permutation(np.repeat([0, 1], 500))
    second = np.where(random.random(1000) < 0.8, first, 1 - first)
    second[np.flatnonzero(second == 1)[: max(0, int(second.sum()) - 500)]] = 0
    second[np.flatnonzero(second == 0)[: max(0, 500 - int(second.sum()))]] = 1
    assert first.sum() == second.sum() == 500
    rho = np.corrcoef(first, second)[0, 1]
    haplotypes = np.column_stack([first, second]).astype(np.int8)
    synthetic = PCAGaussian(components=2).fit(people(haplotypes)).sample(20_000, seed=0).haplotypes()
    # Sheppard (1899): two normal values with correlation rho are both positive with 1/4 + asin(rho) / (2 pi)
    assert within(synthetic.all(axis=1).mean(), 0.25 + np.arcsin(rho) / (2 * np.pi), 40_000)


# ---- SMOTE --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unphased", [False, True])
def test_smote_stays_between_neighbours(cohort: Genotypes, unphased: bool) -> None:
    train = cohort.without_phase() if unphased else cohort
    own = train.select(samples=train.label("super_pop") == "EAS")
    synthetic = SMOTE(neighbours=3).fit(train).sample({"EAS": 40}, seed=0)
    rows, new = (own.dosages(), synthetic.dosages()) if unphased else (own.haplotypes(), synthetic.haplotypes())
    distance = np.abs(rows[:, None].astype(int) - rows[None]).sum(axis=2)
    np.fill_diagonal(distance, 10**6)
    third = np.sort(distance, axis=1)[:, 2]
    pairs = np.argwhere(distance <= third[:, None])
    first, second = rows[pairs[:, 0]], rows[pairs[:, 1]]
    for row in new:
        assert ((row == first) | (row == second)).all(axis=1).any()
    parents = {row.tobytes() for row in rows}
    assert any(row.tobytes() not in parents for row in new)


def test_smote_needs_a_neighbour() -> None:
    rows = np.zeros((6, 2), dtype=np.int8)
    with pytest.raises(DataError, match="'B' has a single person"):
        SMOTE().fit(people(rows, {"super_pop": ["A", "A", "B"]}, phased=False))
    with pytest.raises(DataError, match="'B' has a single haplotype"):
        SMOTE().fit(people(rows, {"super_pop": ["A"] * 5 + ["B"]}, ploidy=1))
    # as many neighbours as there are
    assert SMOTE(neighbours=50).fit(people(rows)).sample(3, seed=0).n_samples == 3
