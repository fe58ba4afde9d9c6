"""The baselines: closed forms, independent neighbours, and the promises that all four share."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from pgcgan import Genotypes, Variants
from pgcgan.errors import DataError, ModelError, UsageError
from pgcgan.generators.baselines import BASELINES, SMOTE, Baseline, IndependentSites, LiStephens, PCAGaussian
from pgcgan.generators.baselines.pca_gaussian import _principal_axes
from pgcgan.generators.baselines.smote import _nearest

ALL = pytest.mark.parametrize("kind", BASELINES.values(), ids=BASELINES)


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
    """Tell whether binomial shares lie within five standard errors of what is expected."""
    error = np.sqrt(np.asarray(expected) * (1 - np.asarray(expected)) / trials)
    return bool((np.abs(np.asarray(share) - expected) <= 5 * error + 1e-9).all())


# ---- what all of them promise -------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("unphased", [False, True])
def test_counts_names_labels_sites(kind: type[Baseline], unphased: bool, cohort: Genotypes) -> None:
    train = cohort.without_phase() if unphased else cohort
    made = kind().fit(train).sample({"SAS": 3, "AFR": 70}, seed=1, prefix="T")
    assert Counter(made.label("super_pop")) == {"AFR": 70, "SAS": 3}
    assert made.samples[[0, 69, 70]].tolist() == ["T_AFR_000001", "T_AFR_000070", "T_SAS_000001"]
    assert set(made.labels) == {"super_pop"}
    assert made.variants.equals(train.variants)
    assert dict(made.variants.contig_lengths) == {"1": 200_000}
    assert made.phased is not unphased
    assert made.calls.min() >= 0
    if unphased:
        assert (np.diff(made.calls, axis=2) >= 0).all()
    for label, size in (("AFR", 70), ("SAS", 3)):
        own = train.select(samples=train.label("super_pop") == label)
        new = made.select(samples=made.label("super_pop") == label)
        assert new.n_samples == size
        fixed = own.allele_frequency() == 0
        assert fixed.any()
        if kind is not LiStephens:  # a mosaic may mutate
            assert new.allele_frequency()[fixed].max() == 0


@ALL
def test_the_same_seed_gives_the_same_people(kind: type[Baseline], cohort: Genotypes) -> None:
    model = kind().fit(cohort)
    made = model.sample(150, seed=4)
    assert made.equals(kind().fit(cohort).sample(150, seed=4))
    assert not made.equals(model.sample(150, seed=5))
    assert sum(Counter(made.label("super_pop")).values()) == 150
    assert Counter(made.label("super_pop")) == Counter(cohort.label("super_pop"))
    # a person depends on the seed, the label and the number, not on who else is asked for nor on the block size
    some = model.sample({"EUR": 5}, seed=4)
    assert np.array_equal(some.calls, made.select(samples=some.samples).calls)
    blocks = list(model.iter_samples(150, seed=4, people_per_block=37))
    assert [b.n_samples for b in blocks] == [37, 37, 37, 37, 2]
    assert np.array_equal(np.concatenate([b.calls for b in blocks], axis=1), made.calls)
    assert np.concatenate([b.samples for b in blocks]).tolist() == made.samples.tolist()


@ALL
@pytest.mark.parametrize("unphased", [False, True])
def test_save_and_load(kind: type[Baseline], unphased: bool, cohort: Genotypes, tmp_path: Path) -> None:
    train = cohort.without_phase() if unphased else cohort
    model = kind(["super_pop", "gender"]).fit(train)
    target = model.save(tmp_path / "a" / "model")
    assert sorted(p.name for p in target.iterdir()) == ["MODEL_CARD.md", "arrays.npz", "baseline.json"]
    assert [p.name for p in target.parent.iterdir()] == ["model"]
    again = Baseline.load(target)
    assert type(again) is kind
    assert again.label_counts == model.label_counts
    assert again.label == ("super_pop", "gender")
    assert again.sample(40, seed=3).equals(model.sample(40, seed=3))
    sheet = json.loads((target / "baseline.json").read_text())
    assert sheet["holds_training_rows"] is (kind in (LiStephens, SMOTE))
    assert not any(name in (target / "baseline.json").read_text() for name in train.samples)
    with np.load(target / "arrays.npz", allow_pickle=False) as arrays:
        assert all(array.dtype.kind in "iufb" for array in arrays.values())


@ALL
def test_missing_calls_are_filled_from_the_frequency_of_the_label(kind: type[Baseline]) -> None:
    random = np.random.default_rng(1)
    full = (random.random((4000, 3)) < [0.2, 0.5, 0.9]).astype(np.int8)
    full[2000:, 0] = 1 - full[2000:, 0]  # the second label has .8 there
    holes = full.copy()
    holes[:1200, 0] = -1
    holes[2000:, 1] = -1  # one label has no call at all at this site: the other one's frequency counts
    labels = {"super_pop": ["A"] * 1000 + ["B"] * 1000}
    model = kind(**({"mutation": 0.0} if kind is LiStephens else {})).fit(people(holes, labels))
    made = model.sample({"A": 2000, "B": 2000})
    for label, expected in (("A", (0.2, 0.5, 0.9)), ("B", (0.8, 0.5, 0.9))):
        frequency = made.select(samples=made.label("super_pop") == label).allele_frequency()
        assert np.allclose(frequency, expected, atol=0.1 if kind is SMOTE else 0.06), (label, frequency)


@ALL
def test_combinations_of_labels(kind: type[Baseline], cohort: Genotypes) -> None:
    made = kind(["super_pop", "gender"]).fit(cohort).sample({"EUR/female": 4, "AFR/male": 2})
    pairs = Counter(zip(made.label("super_pop"), made.label("gender"), strict=True))
    assert pairs == {("EUR", "female"): 4, ("AFR", "male"): 2}
    assert made.samples[-1] == "SYN_EUR_female_000004"


@ALL
def test_haploid_people(kind: type[Baseline], cohort: Genotypes) -> None:
    rows = cohort.haplotypes()
    labels = {"super_pop": np.repeat(cohort.label("super_pop"), 2).tolist()}
    made = kind().fit(people(rows, labels, ploidy=1)).sample(20)
    assert made.calls.shape == (cohort.n_variants, 20, 1)


@ALL
def test_errors(kind: type[Baseline], cohort: Genotypes, tmp_path: Path) -> None:
    name = kind.name
    with pytest.raises(UsageError) as caught:
        kind().sample(3)
    assert str(caught.value) == f"The {name} baseline has not been fitted; call fit(genotypes) or load(path) first."
    with pytest.raises(UsageError) as caught:
        kind().save(tmp_path / "m")
    assert str(caught.value) == f"The {name} baseline has not been fitted; there is nothing to save."
    with pytest.raises(DataError) as caught:
        kind("disease").fit(cohort)
    assert str(caught.value).startswith("There is no label 'disease'; labels here: pop, super_pop, gender.")
    with pytest.raises(DataError) as caught:
        kind().fit(cohort.select(samples=np.zeros(cohort.n_samples, dtype=bool)))
    assert str(caught.value) == f"There is nothing to fit: 0 samples at {cohort.n_variants} variants."
    with pytest.raises(DataError) as caught:
        kind().fit(people(np.array([[0, -1], [1, -1], [1, -1], [0, -1]])))
    assert str(caught.value) == (
        "1 sites have no call in any sample, the first is 1:200 A>G; leave them out (min_maf, --min-maf, does)."
    )
    model = kind().fit(cohort)
    with pytest.raises(UsageError) as caught:
        model.sample({"GBR": 3})
    assert str(caught.value) == "Unknown label 'GBR'; the model knows: AFR, AMR, EAS, EUR, SAS."
    with pytest.raises(UsageError) as caught:
        model.sample(3, seed=-1)
    assert str(caught.value) == "The seed is -1; accepted: a whole number, 0 or more."


def test_nothing_is_overwritten_without_force(cohort: Genotypes, tmp_path: Path) -> None:
    target = tmp_path / "model"
    IndependentSites().fit(cohort).save(target)
    before = (target / "arrays.npz").read_bytes()
    other = IndependentSites("gender").fit(cohort)
    with pytest.raises(UsageError) as caught:
        other.save(target)
    assert str(caught.value) == f"{target} exists; force=True (--force) replaces it."
    assert (target / "arrays.npz").read_bytes() == before
    other.save(target, force=True)
    assert Baseline.load(target).label == ("gender",)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("")
    with pytest.raises(UsageError) as caught:
        other.save(tmp_path / "thesis", force=True)
    assert str(caught.value) == (
        f"{tmp_path / 'thesis'} exists and is not a baseline; it is not replaced, name another directory."
    )
    assert (tmp_path / "thesis" / "chapter1.tex").exists()


def test_what_cannot_be_loaded(cohort: Genotypes, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        Baseline.load(tmp_path)
    assert str(caught.value) == f"{tmp_path} is not a saved baseline: there is no baseline.json in it."
    target = IndependentSites().fit(cohort).save(tmp_path / "m")
    with pytest.raises(ModelError) as caught:
        SMOTE.load(target)
    assert str(caught.value) == f"{target} holds a independent baseline, not smote."
    sheet = json.loads((target / "baseline.json").read_text())
    (target / "baseline.json").write_text(json.dumps(sheet | {"format_version": 9}))
    with pytest.raises(ModelError) as caught:
        Baseline.load(target)
    assert str(caught.value) == (
        f"{target} has the format version 9; this pgcgan reads 1. Fit it again, or use the pgcgan that wrote it."
    )
    (target / "baseline.json").write_text(json.dumps(sheet))
    (target / "arrays.npz").unlink()
    with pytest.raises(ModelError, match=r"is damaged \(.*\); fit and save the baseline again\.$"):
        Baseline.load(target)
    (target / "baseline.json").write_text("{")
    with pytest.raises(ModelError) as caught:
        Baseline.load(target)
    assert str(caught.value) == f"{target} is damaged: baseline.json is not JSON."


# ---- independent sites --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unphased", [False, True])
def test_independent_sites_have_the_frequencies_and_no_linkage(cohort: Genotypes, unphased: bool) -> None:
    train = cohort.without_phase() if unphased else cohort
    made = IndependentSites().fit(train).sample({"AFR": 3000})
    expected = train.select(samples=train.label("super_pop") == "AFR").allele_frequency()
    assert within(made.allele_frequency(), expected, 6000)
    varied = (expected > 0.1) & (expected < 0.9)
    r2 = np.corrcoef(made.dosages()[:, varied], rowvar=False)[np.triu_indices(varied.sum(), 1)] ** 2
    assert r2.mean() == pytest.approx(1 / 2999, rel=0.1)  # the expectation of r² without association
    heterozygous = (made.dosages() == 1).mean(axis=0)
    assert within(heterozygous, 2 * expected * (1 - expected), 3000)  # Hardy-Weinberg


# ---- Li-Stephens --------------------------------------------------------------------------------------------------

POSITIONS = np.array([1000, 2000, 12_000, 112_000, 112_500])


def two_templates(**more: object) -> Genotypes:
    """Return one person with a haplotype of 0 only and one of 1 only: every switch that lands on the other shows."""
    return people(np.array([[0] * 5, [1] * 5], dtype=np.int8), positions=POSITIONS, **more)  # type: ignore[arg-type]


def observed_switches(model: LiStephens, train: Genotypes, n: int = 4000) -> np.ndarray:
    made = model.fit(train).sample(n).haplotypes()
    return (made[:, 1:] != made[:, :-1]).mean(axis=0)


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
    ("text", "message"),
    [
        ("pos\tchr\tcM\n1\t7\t0\n", "{path} has no line for contig '1'; contigs there: 7."),
        ("pos\tcM\n1\t0\n2\tx\n", "{path}: line 2 behind the header has no position and centimorgans: '2 x'."),
        ("pos\tcM\n", "{path} has a header but no positions."),
        (
            "a\tb\n",
            "{path} is not a genetic map: its header needs a position (one of pos, position, position(bp), bp) and "
            "centimorgans (one of cm, map(cm), genetic_map(cm)), and it has a, b.",
        ),
    ],
)
def test_what_is_no_genetic_map(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        LiStephens(genetic_map=path).fit(two_templates())
    assert str(caught.value) == message.format(path=path)
    path.unlink()
    with pytest.raises(DataError) as caught:
        LiStephens(genetic_map=path).fit(two_templates())
    assert str(caught.value) == f"There is no file {path}."


def test_mutation_of_the_mosaic() -> None:
    train = people(np.zeros((6, 500), dtype=np.int8))
    theta = 1 / (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5)
    made = LiStephens().fit(train).sample(400)
    assert within(made.calls.mean(), theta / (2 * (theta + 6)), made.calls.size)
    assert LiStephens(mutation=0).fit(train).sample(50).calls.max() == 0
    # unphased: a count of 2 loses each of its alleles on its own
    train = people(np.ones((6, 500), dtype=np.int8), phased=False)
    dosages = LiStephens(mutation=0.2).fit(train).sample(400).dosages()
    assert within((dosages == 1).mean(), 2 * 0.2 * 0.8, dosages.size)
    assert within((dosages == 0).mean(), 0.2 * 0.2, dosages.size)


def test_the_mosaic_keeps_local_linkage_and_long_segments_copy(cohort: Genotypes) -> None:
    train = cohort.select(samples=cohort.label("super_pop") == "AFR")
    real = {row.tobytes() for row in train.haplotypes()}
    copies = LiStephens(segment_length=1e12, mutation=0).fit(train).sample(50).haplotypes()
    assert all(row.tobytes() in real for row in copies)
    mosaic = LiStephens(segment_length=30_000, mutation=0).fit(train).sample(500)
    assert not all(row.tobytes() in real for row in mosaic.haplotypes())
    near = np.flatnonzero((np.diff(train.variants.position) < 200) & (train.allele_frequency()[1:] > 0.1))
    alleles = [(g.haplotypes()[:, near], g.haplotypes()[:, near + 1]) for g in (train, mosaic)]
    joint = [(a & b).mean(axis=0) for a, b in alleles]
    assert np.abs(joint[0] - joint[1]).max() < 0.12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segment_length": 0}, "segment_length is 0; accepted: more than 0."),
        ({"effective_size": -1}, "effective_size is -1; accepted: more than 0."),
        ({"mutation": 0.6}, "mutation is 0.6; accepted: 0 to 0.5."),
    ],
)
def test_mosaic_options(options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        LiStephens(**options).fit(two_templates())  # type: ignore[arg-type]
    assert str(caught.value) == message


# ---- PCA-Gaussian -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unphased", [False, True])
def test_pca_gaussian_keeps_the_frequencies(cohort: Genotypes, unphased: bool) -> None:
    train = cohort.without_phase() if unphased else cohort
    made = PCAGaussian(components=20).fit(train).sample({"EUR": 3000})
    own = train.select(samples=train.label("super_pop") == "EUR")
    for value in (1, 2) if unphased else (1,):
        rows = (own.dosages(), made.dosages()) if unphased else (own.haplotypes(), made.haplotypes())
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
    made = PCAGaussian(components=2).fit(people(haplotypes)).sample(20_000).haplotypes()
    # Sheppard (1899): two normal values with correlation rho are both positive with 1/4 + asin(rho) / (2 pi)
    assert within(made.all(axis=1).mean(), 0.25 + np.arcsin(rho) / (2 * np.pi), 40_000)


def test_leading_axes_are_those_of_the_exact_decomposition() -> None:
    random = np.random.default_rng(5)
    spectrum = 0.8 ** np.arange(300)
    left, _ = np.linalg.qr(random.standard_normal((400, 300)))
    right, _ = np.linalg.qr(random.standard_normal((350, 300)))
    matrix = ((left * spectrum) @ right.T).astype(np.float32)
    axes = _principal_axes(matrix, 10, random)  # takes the randomised way: 350 > 4 * 30
    assert axes.shape == (10, 350)
    assert np.allclose(np.abs(np.sum(axes * right[:, :10].T, axis=1)), 1, atol=1e-4)


def test_pca_components_are_checked() -> None:
    with pytest.raises(UsageError) as caught:
        PCAGaussian(components=0).fit(two_templates())
    assert str(caught.value) == "components is 0; accepted: 1 or more."


# ---- SMOTE --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unphased", [False, True])
def test_smote_stays_between_neighbours(cohort: Genotypes, unphased: bool) -> None:
    train = cohort.without_phase() if unphased else cohort
    own = train.select(samples=train.label("super_pop") == "EAS")
    made = SMOTE(neighbours=3).fit(train).sample({"EAS": 40})
    rows, new = (own.dosages(), made.dosages()) if unphased else (own.haplotypes(), made.haplotypes())
    distance = np.abs(rows[:, None].astype(int) - rows[None]).sum(axis=2)
    np.fill_diagonal(distance, 10**6)
    third = np.sort(distance, axis=1)[:, 2]
    pairs = np.argwhere(distance <= third[:, None])
    first, second = rows[pairs[:, 0]], rows[pairs[:, 1]]
    for row in new:
        assert ((row == first) | (row == second)).all(axis=1).any()
    parents = {row.tobytes() for row in rows}
    assert any(row.tobytes() not in parents for row in new)


def test_neighbours_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(8)
    for top in (2, 3):
        rows = random.integers(0, top, size=(700, 90)).astype(np.int8)
        distance, _ = NearestNeighbors(n_neighbors=6, metric="manhattan").fit(rows).kneighbors(rows)
        near = _nearest(rows, 5)
        own = np.abs(rows[near].astype(int) - rows[:, None]).sum(axis=2)
        assert np.array_equal(own, distance[:, 1:])
        assert (near != np.arange(700)[:, None]).all()


def test_smote_needs_a_neighbour() -> None:
    rows = np.zeros((6, 2), dtype=np.int8)
    with pytest.raises(DataError) as caught:
        SMOTE().fit(people(rows, {"super_pop": ["A", "A", "B"]}, phased=False))
    assert str(caught.value) == (
        "Label 'B' has a single person, and SMOTE needs a neighbour: give more people, or take another baseline."
    )
    with pytest.raises(UsageError) as caught:
        SMOTE(neighbours=0).fit(people(rows))
    assert str(caught.value) == "neighbours is 0; accepted: 1 or more."
