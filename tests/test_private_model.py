"""Differential privacy of the private haplotype model: sensitivity, noise, accountant, and what the directory holds."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import small
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, norm

import pgcgan
from pgcgan import Genotypes, PrivateHaplotypeModel
from pgcgan.errors import DataError, MissingExtra, ModelError, UsageError
from pgcgan.generators.haplotype import private_counts, private_model
from pgcgan.generators.haplotype.blocks import Blocks
from pgcgan.generators.haplotype.private_counts import (
    exact_alleles,
    exact_codes,
    exact_patterns,
    exact_transitions,
    release_counts,
    release_people,
    squared_sensitivity,
)
from pgcgan.generators.haplotype.private_estimates import project
from pgcgan.generators.haplotype.private_noise import (
    LARGEST_SIGMA,
    PrivacyBudget,
    Release,
    discrete_gaussian,
    noise_multiplier,
)
from pgcgan.generators.rows import Rows, rows_of

SHARES = {"codes": 0.3, "transitions": 0.3, "alleles": 0.3}


@pytest.fixture(scope="module")
def people(cohort: Genotypes) -> Genotypes:
    """Eight times the people of the cohort, at 60 sites."""
    part = cohort.select(sites=slice(0, 60))
    calls = np.tile(part.calls, (1, 8, 1))
    labels = {"super_pop": np.tile(part.label("super_pop"), 8)}
    return Genotypes(calls, part.variants, [f"s{i}" for i in range(calls.shape[1])], labels, phased=True)


# ---- noise --------------------------------------------------------------------------------------------------------


def pmf(sigma: float, x: np.ndarray) -> np.ndarray:
    support = np.arange(-math.ceil(40 * sigma), math.ceil(40 * sigma) + 1)
    return np.exp(-(x**2) / (2 * sigma**2)) / np.exp(-(support**2) / (2 * sigma**2)).sum()


@pytest.mark.parametrize("sigma", [1, 2, 9])
def test_the_noise_is_a_discrete_gaussian(sigma: int) -> None:
    n = 40_000
    noise = discrete_gaussian(sigma, (n // 4, 4), np.random.default_rng(sigma).bytes)
    assert noise.dtype == np.int64
    values = np.arange(-3 * sigma, 3 * sigma + 1)
    expected = n * pmf(sigma, values)
    counts = np.array([(noise == v).sum() for v in values])
    assert (((counts - expected) ** 2 / expected).sum() - len(values)) / math.sqrt(2 * len(values)) < 4


def test_large_noise_has_its_moments_and_no_bounds_are_passed() -> None:
    noise = discrete_gaussian(LARGEST_SIGMA, (20_000,), np.random.default_rng(1).bytes) / LARGEST_SIGMA
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.02
    assert abs((noise**4).mean() - 3) < 0.3
    for sigma in (0, LARGEST_SIGMA + 1):
        with pytest.raises(ValueError, match=str(sigma)):
            discrete_gaussian(sigma, (1,))


# ---- sensitivity --------------------------------------------------------------------------------------------------


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[Rows, Rows, Blocks]:
    """Return rows of a cohort, of the same cohort without one person, and blocks."""
    n, sites, seed = draw(st.integers(1, 6)), draw(st.integers(2, 9)), draw(st.integers(0, 2**32 - 1))
    phased, missing = draw(st.booleans()), draw(st.sampled_from([0.0, 0.3]))
    random = np.random.default_rng(seed)
    calls = random.integers(0, 2, (sites, n, 2))
    calls[:, :, 1] = np.where(random.random(n) < 0.5, calls[:, :, 0], calls[:, :, 1])
    calls[random.random(calls.shape) < missing] = -1
    label = random.integers(0, 3, n)
    rows = replace_rows(small(calls, phased=phased), label)
    per, out = rows.rows_per_person, draw(st.integers(0, n - 1))
    others = np.arange(n) != out
    without = replace(rows, states=rows.states[np.repeat(others, per)], label=label[others])
    inner = np.flatnonzero(random.random(sites - 1) < 0.5) + 1
    edges = np.array([0, *inner, sites])
    templates = [
        random.integers(0, rows.n_states, (int(random.integers(1, 4)), w)).astype(np.int8) for w in np.diff(edges)
    ]
    return rows, without, Blocks(edges, templates, [])


def replace_rows(people: Genotypes, label: np.ndarray) -> Rows:
    """Return the rows of people, with any label of three."""
    haplotypes = people.phased
    return Rows(
        states=people.calls.reshape(people.n_variants, -1).T if haplotypes else people.dosages(),
        label=label,
        label_names=("a", "b", "c"),
        rows_per_person=2 if haplotypes else 1,
        n_states=2 if haplotypes else 3,
        variants=people.variants,
    )


def tables(rows: Rows, blocks: Blocks) -> dict[str, tuple[list[np.ndarray], int]]:
    """Return all exact tables of a cohort, each kind with the squared sensitivity that is stated for it."""
    per, codes = rows.rows_per_person, blocks.encode(rows.states).astype(np.int64)
    of_label, sizes, zero = rows.row_label, blocks.sizes, np.zeros_like(rows.row_label)
    return {
        "people": ([np.bincount(rows.label, minlength=3)], 1),
        "codes": (exact_codes(codes, of_label, sizes, 3), squared_sensitivity(len(blocks), per)),
        "by label": (exact_transitions(codes, of_label, sizes, 3), squared_sensitivity(len(blocks) - 1, per)),
        "pooled": (exact_transitions(codes, zero, sizes, 1), squared_sensitivity(len(blocks) - 1, per)),
        "alleles": (
            exact_alleles(rows.states, codes, blocks, rows.n_states),
            squared_sensitivity(int(blocks.edges[-1]), per),
        ),
    }


def pattern_distance(rows: Rows, without: Rows, edges: np.ndarray) -> int:
    distance = 0
    for one, other in zip(exact_patterns(rows.states, edges), exact_patterns(without.states, edges), strict=True):
        counts = [{p.tobytes(): int(c) for p, c in zip(*of, strict=True)} for of in (one, other)]
        distance += sum((counts[0].get(k, 0) - counts[1].get(k, 0)) ** 2 for k in counts[0].keys() | counts[1].keys())
    return distance


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cohorts())
def test_one_person_changes_no_table_by_more_than_is_stated(case: tuple[Rows, Rows, Blocks]) -> None:
    rows, without, blocks = case
    for (one, stated), (other, _) in zip(tables(rows, blocks).values(), tables(without, blocks).values(), strict=True):
        assert sum(int(((a - b) ** 2).sum()) for a, b in zip(one, other, strict=True)) <= stated
    stated = squared_sensitivity(len(blocks), rows.rows_per_person)
    assert pattern_distance(rows, without, blocks.edges) <= stated


def test_a_homozygous_person_attains_what_is_stated() -> None:
    calls = np.zeros((6, 3, 2), dtype=np.int8)
    calls[:, 2] = 1
    rows = replace_rows(small(calls), np.array([0, 1, 2]))
    without = replace(rows, states=rows.states[:4], label=rows.label[:2])
    blocks = Blocks(np.array([0, 2, 6]), [np.eye(2, dtype=np.int8), np.tile([[0], [1]], 4).astype(np.int8)], [])
    for (one, stated), (other, _) in zip(tables(rows, blocks).values(), tables(without, blocks).values(), strict=True):
        assert sum(int(((a - b) ** 2).sum()) for a, b in zip(one, other, strict=True)) == stated
    assert pattern_distance(rows, without, blocks.edges) == 4 * 2


# ---- accountant ---------------------------------------------------------------------------------------------------


def closed_form_delta(epsilon: float, multiplier: float) -> float:
    """Return the delta of the Gaussian mechanism (Balle and Wang 2018, theorem 8)."""
    a, b = 1 / (2 * multiplier), epsilon * multiplier
    return float(norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b))


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-6), (1.0, 1e-6), (3.0, 1e-5), (10.0, 1e-6)])
def test_the_noise_suffices_by_the_closed_form_and_is_not_wasted(epsilon: float, delta: float) -> None:
    multiplier = noise_multiplier(epsilon, delta)
    assert closed_form_delta(epsilon, multiplier) <= delta
    assert closed_form_delta(epsilon, 0.85 * multiplier) > delta


def test_releases_add_up_to_what_is_stated() -> None:
    budget = PrivacyBudget(2.0, 1e-6, with_threshold=True)
    assert budget.gaussian_delta == pytest.approx(0.9e-6)
    for what, share, squared in (("a", 0.2, 1_000_000), ("b", 0.5, 4_000_000), ("c", 0.3, 640_000)):
        budget.spend(what, share, squared)
    # of several Gaussian releases, (Δ / σ)² adds up; the closed form of one with the sum is a lower bound
    multiplier = 1 / math.sqrt(sum(r.squared_sensitivity / r.sigma**2 for r in budget.releases))
    assert multiplier == pytest.approx(budget.noise_multiplier, rel=1e-3)
    assert closed_form_delta(budget.spent(), multiplier) <= budget.gaussian_delta
    statement = budget.statement()
    assert 1.98 < statement["epsilon by the accountant"] <= 2
    assert [r["share"] for r in statement["releases"]] == pytest.approx([0.2, 0.5, 0.3], abs=1e-3)
    budget.releases.append(Release("one more", 1, 10))
    with pytest.raises(RuntimeError, match=r"more than 2\.0"):
        budget.statement()


@pytest.mark.parametrize("epsilon", [1.0, 10.0])
def test_a_pattern_of_one_person_stays_below_the_threshold(epsilon: float) -> None:
    budget, cells, sigma = PrivacyBudget(epsilon, 1e-6, with_threshold=True), 50, 20
    least = math.ceil(budget.threshold(sigma, cells) - 2)  # of the noise, for a pattern with both haplotypes
    tail = pmf(sigma, np.arange(least, least + 20 * sigma)).sum()
    assert math.exp(epsilon) * cells * tail <= 0.1 * 1e-6
    assert math.exp(epsilon) * cells * pmf(sigma, np.arange(0.9 * least, 40 * sigma)).sum() > 0.1 * 1e-6


# ---- an attack ----------------------------------------------------------------------------------------------------


def epsilon_lower_bound(inside: np.ndarray, outside: np.ndarray, delta: float) -> float:
    """Return the epsilon that scores with and without a person prove with 95 % confidence (Clopper and Pearson 1934).

    The threshold is chosen on the first half of the scores; both error rates are bounded on the second.
    """

    def bound(inside: np.ndarray, outside: np.ndarray, threshold: float) -> float:
        hits, false = int((inside > threshold).sum()), int((outside > threshold).sum())
        low = beta.ppf(0.025, hits, len(inside) - hits + 1) if hits else 0.0
        high = beta.ppf(0.975, false + 1, len(outside) - false) if false < len(outside) else 1.0
        return math.log(max(low - delta, 1e-9) / high)

    half = len(inside) // 2
    thresholds = np.quantile(np.concatenate([inside[:half], outside[:half]]), np.linspace(0, 0.995, 100))
    best = max(thresholds, key=lambda t: bound(inside[:half], outside[:half], t))
    return bound(inside[half:], outside[half:], best)


def attack(monkeypatch: pytest.MonkeyPatch, epsilon: float, less_noise: int, fits: int) -> float:
    """Return the epsilon that the likelihood ratio of all released counts proves, for a person in a cohort of six."""
    calls = np.random.default_rng(2).integers(0, 2, (6, 6, 2))
    calls[:, 5] = 1
    rows = replace_rows(small(calls), np.array([0, 1, 2, 0, 1, 2]))
    without = replace(rows, states=rows.states[:10], label=rows.label[:5])
    blocks = Blocks(np.array([0, 3, 6]), [np.tile([[0], [1]], 3).astype(np.int8)] * 2, [])
    random_bytes = np.random.default_rng(3).bytes

    @cache
    def draws(sigma: int) -> Iterator[int]:
        return iter(discrete_gaussian(sigma, (80 * fits,), random_bytes).tolist())

    def noise(sigma: int, shape: tuple[int, ...]) -> np.ndarray:
        return np.array(list(islice(draws(max(1, sigma // less_noise)), math.prod(shape)))).reshape(shape)

    monkeypatch.setattr(private_counts, "discrete_gaussian", noise)
    kinds = ("people", "codes", "pooled", "alleles")
    exact = [tables(cohort, blocks) for cohort in (rows, without)]
    direction = [[a - b for a, b in zip(exact[0][kind][0], exact[1][kind][0], strict=True)] for kind in kinds]

    def score(cohort: Rows) -> float:
        budget = PrivacyBudget(epsilon, 1e-5, with_threshold=False)
        n = release_people(cohort, budget, 0.1)
        counts = release_counts(cohort, blocks, budget, SHARES, by_label=False)
        released = [[n], counts.codes, counts.transitions, counts.alleles]
        return sum(
            float((d * y).sum()) / r.sigma**2
            for r, ds, ys in zip(budget.releases, direction, released, strict=True)
            for d, y in zip(ds, ys, strict=True)
        )

    inside, outside = (np.array([score(cohort) for _ in range(fits)]) for cohort in (rows, without))
    return epsilon_lower_bound(inside, outside, 1e-5)


def test_an_attack_proves_no_larger_epsilon_and_detects_too_little_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.2 < attack(monkeypatch, 3.0, less_noise=1, fits=1500) <= 3
    assert attack(monkeypatch, 3.0, less_noise=10, fits=400) > 3.5


# ---- the model ----------------------------------------------------------------------------------------------------


def test_counts_are_projected_on_those_that_can_be() -> None:
    assert project(np.array([[5.0, 1.0], [-4.0, 0.0]]), 4).tolist() == [[4.0, 0.0], [0.0, 0.0]]
    assert project(np.array([3.0, 2.0, -1.0]), 9).tolist() == pytest.approx([14 / 3, 11 / 3, 2 / 3])


@pytest.mark.parametrize("public", [False, True])
def test_with_many_people_it_learns_frequencies_and_linkage(people: Genotypes, cohort: Genotypes, public: bool) -> None:
    panel = cohort.select(sites=slice(0, 60), samples=np.arange(0, 150, 2)) if public else None
    model = PrivateHaplotypeModel(epsilon=20.0, delta=1e-4, block_sites=20).fit(people, public=panel)
    synthetic = model.sample(1000, seed=2)
    frequency, expected = synthetic.allele_frequency(), people.allele_frequency()
    assert np.sqrt(np.mean((frequency - expected) ** 2)) < 0.03
    near = np.arange(59)
    r = [np.corrcoef(g.haplotypes().T + 0.0)[near, near + 1] for g in (people, synthetic)]
    assert np.corrcoef(*np.nan_to_num(r))[0, 1] > 0.8
    counts = {name: int(n) for name, n in zip(*np.unique(people.label("super_pop"), return_counts=True), strict=True)}
    assert model.label_counts_.keys() == counts.keys()
    assert all(abs(model.label_counts_[name] - n) < 60 for name, n in counts.items())


@pytest.mark.parametrize("phased", [True, False])
def test_a_directory_gives_the_same_people_and_states_the_guarantee(
    people: Genotypes, tmp_path: Path, phased: bool
) -> None:
    part = people if phased else people.without_phase()
    model = PrivateHaplotypeModel(epsilon=3.0, block_sites=15, seed=4).fit(part)
    target = model.save(tmp_path / "m")
    again = pgcgan.load(target)
    assert isinstance(again, PrivateHaplotypeModel)
    assert again.sample(20, seed=5).equals(model.sample(20, seed=5))
    assert again.facts() == model.facts()
    stated = json.loads((target / "model.json").read_text())["details"]["privacy"]
    assert (stated["epsilon"], stated["delta"]) == (3.0, 1e-6)
    assert 2.7 < stated["epsilon by the accountant"] <= 3
    per = 2 if phased else 1
    assert {r["what"]: r["squared_sensitivity"] for r in stated["releases"]} == {
        "people by label": 1,
        "haplotypes of blocks": 4 * per**2,
        "codes by label": 4 * per**2,
        "transitions between blocks": 3 * per**2,
        "alleles by code": 60 * per**2,
    }
    metadata = json.loads((target / "model.json").read_text())
    for damaged in ({"privacy": {**stated, "epsilon": 0.1}}, {"privacy": {}}, {}):
        (target / "model.json").write_text(json.dumps({**metadata, "details": damaged}))
        with pytest.raises(ModelError, match="damaged"):
            pgcgan.load(target)
    card = (target / "MODEL_CARD.md").read_text()
    assert "(3, 1e-06)-differential privacy" in card
    assert "one person with all haplotypes" in card
    assert "nothing here is differential privacy" not in card
    # the seed does not fix the noise
    assert PrivateHaplotypeModel(epsilon=3.0, block_sites=15, seed=4).fit(part).label_counts_ != model.label_counts_


@pytest.mark.parametrize("public", [False, True])
def test_nothing_but_the_noisy_counts_depends_on_the_cohort(
    people: Genotypes, cohort: Genotypes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, public: bool
) -> None:
    """With the same noisy counts, two other cohorts give the same bytes."""

    def released(tables: list[np.ndarray], sigma: int) -> list[np.ndarray]:
        random = np.random.default_rng(7)
        return [random.integers(-50, 500, table.shape) for table in tables]

    patterns = np.random.default_rng(8).integers(0, 2, (3, 20)).astype(np.int8)
    monkeypatch.setattr(private_counts, "noisy", released)
    monkeypatch.setattr(private_counts, "exact_patterns", lambda *_: [(patterns, np.array([5, 4, 3]))] * 3)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    panel = cohort.select(sites=slice(0, 60), samples=np.arange(0, 150, 2)) if public else None
    random = np.random.default_rng(9)
    other = replace(people.select(samples=np.arange(700)), calls=random.integers(-1, 2, (60, 700, 2)).astype(np.int8))
    files = []
    for name, part in (("one", people), ("other", other)):
        path = PrivateHaplotypeModel(epsilon=5.0, block_sites=20).fit(part, public=panel).save(tmp_path / name)
        files.append({file.name: file.read_bytes() for file in sorted(path.iterdir())})
    assert len(files[0]) == 4
    assert files[0] == files[1]


def test_contigs_are_cut_without_looking_at_the_people(people: Genotypes) -> None:
    contig = np.repeat(["1", "2"], [25, 35]).astype(object)
    rows = rows_of(replace(people, variants=replace(people.variants, contig=contig, contig_lengths={})), ("super_pop",))
    assert private_model.block_edges(rows, 20).tolist() == [0, 20, 25, 45, 60]


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "facts"),
    [
        ({"epsilon": 0.0}, ["epsilon", "0.01", "20"]),
        ({"epsilon": 100.0}, ["epsilon", "100"]),
        ({"epsilon": "one"}, ["epsilon", "'one'"]),
        ({"delta": 0.1}, ["delta", "0.1", "0.001"]),
        ({"block_sites": 0}, ["block_sites", "0"]),
    ],
)
def test_parameters_that_are_off(people: Genotypes, parameters: dict[str, Any], facts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        PrivateHaplotypeModel(**parameters).fit(people)
    assert all(fact in str(caught.value) for fact in facts)


def test_public_people_at_other_sites_or_without_phase(people: Genotypes) -> None:
    alt = people.variants.alt.copy()
    alt[4] = next(base for base in "ACGT" if base not in (people.variants.ref[4], alt[4]))
    for public, fact in (
        (people.select(sites=slice(0, 30)), "30"),
        (replace(people, variants=replace(people.variants, alt=alt)), f"alt at site 5: {alt[4]}"),
        (people.without_phase(), "phased"),
    ):
        with pytest.raises(DataError, match=fact):
            PrivateHaplotypeModel().fit(people, public=public)


def test_without_the_accountant_the_extra_is_named(people: Genotypes, monkeypatch: pytest.MonkeyPatch) -> None:
    noise_multiplier.cache_clear()
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pgcgan\[private\]'"):
        PrivateHaplotypeModel().fit(people)


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ("--delta 1e-6", ["--delta", "--epsilon"]),
        ("--public cohort.vcf.gz", ["--public", "--epsilon"]),
        ("--epsilon 1 --model gan", ["--epsilon", "--model gan"]),
        ("--epsilon 1 --windows 100", ["--epsilon", "--windows"]),
        ("--epsilon 1 --min-maf 0.01", ["--min-maf", "--epsilon"]),
        ("--epsilon 0", ["epsilon", "0.01"]),
        ("--private 0.6 --epsilon 1", ["--private", "--epsilon"]),
        ("--private 0.6 --model gan", ["--private", "--model gan"]),
        ("--private 0.6 --windows 100", ["--private", "--windows"]),
        ("--private 2", ["private is 2", "0 to 1"]),
        ("--epsilon 1 --public public.vcf.gz", ["public.vcf.gz", "--public", "2 of"]),
    ],
)
def test_options_that_do_not_go_together(run: Any, options: str, facts: list[str]) -> None:
    if "public.vcf.gz" in options:
        public = pgcgan.read("cohort.vcf.gz")
        pgcgan.write(public.select(sites=slice(2, None)), "public.vcf.gz")
    code, _, error = run(f"train cohort.vcf.gz --panel cohort.panel.tsv -o new {options}")
    assert code == 2
    assert all(fact in error for fact in facts)
    assert not Path("new").exists()


def test_a_private_model_from_the_shell(run: Any) -> None:
    code, _, error = run("train cohort.vcf.gz --panel cohort.panel.tsv -o new --epsilon 8 --public cohort.vcf.gz")
    assert code == 0, error
    facts = pgcgan.load("new").facts()
    assert (facts["model"], facts["privacy"]["epsilon"]) == ("private-haplotype", 8.0)
    assert "public people" in facts["privacy"]["public"]
