"""People of a mixture of labels: their proportions, stretches and alleles, and the file of their local ancestry."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run
from handmade import small

import pgcgan
from pgcgan import Genotypes, HaplotypeModel, Variants
from pgcgan.errors import UsageError
from pgcgan.generators.haplotype.mixed_people import draw_codes, draw_paths, stretch_probability
from pgcgan.labels import label_columns, plan_counts
from pgcgan.mixtures import Mixing, mixture_of

MIXTURE = "A:0.5+B:0.5"
OFTEN = 2000.0  # generations: a new stretch between most of the sites below
LABELS = {"AFR": 60, "EUR": 40, "CEU+GBR": 10, "x:y": 10}


# ---- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("AFR:0.8+EUR:0.2", {"AFR": 0.8, "EUR": 0.2}),
        ("EUR:.20+AFR:0.80", {"AFR": 0.8, "EUR": 0.2}),
        ("EUR:0.333+x:y:0.333+CEU+GBR:0.334", {"EUR": 0.333, "CEU+GBR": 0.334, "x:y": 0.333}),
        ("AFR:0.9995+EUR:5e-4+x:y:0", {"AFR": 0.9995, "EUR": 0.0005}),
        ("AFR:0.3334+EUR:0.3334+x:y:0.3334", {"AFR": 0.3334, "EUR": 0.3334, "x:y": 0.3334}),
    ],
)
def test_a_mixture_has_shares_of_labels(text: str, shares: dict[str, float]) -> None:
    assert list(mixture_of(text, LABELS).items()) == list(shares.items())


def test_a_mixture_has_one_text_and_one_of_a_single_label_is_that_label() -> None:
    first, second = (plan_counts({text: 5, "EUR": 1}, LABELS) for text in ("AFR:.80+EUR:.2", "EUR:0.2+AFR:0.8+x:y:0"))
    assert list(first.items()) == list(second.items()) == [("EUR", 1), ("AFR:0.8+EUR:0.2", 5)]
    assert plan_counts({"AFR:0+EUR:1": 3}, LABELS) == {"EUR": 3}
    # a label of the training people is itself, whatever it looks like
    assert plan_counts({"AFR:0.8+EUR:0.2": 2}, {**LABELS, "AFR:0.8+EUR:0.2": 9}) == {"AFR:0.8+EUR:0.2": 2}
    for n in ({"AFR:0.8+EUR:0.2": 5, "EUR:0.2+AFR:0.8": 7}, {"EUR": 5, "EUR:1": 7}):
        with pytest.raises(UsageError, match="twice.* 5 .*7"):
            plan_counts(n, LABELS)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("AFR:0.8+MARS:0.2", ("MARS", "AFR, EUR")),
        ("AFR:0.8+EUR:0.3", ("1.1", "accepted: 1")),
        ("AFR:0.8+EUR:0.198", ("0.998", "0.001")),
        ("AFR:1.2+EUR:-0.2", ("'AFR'", "1.2", "0 to 1")),
        ("EUR:-0.2+AFR:1.2", ("'EUR'", "-0.2", "0 to 1")),
        ("AFR:0.5+AFR:0.5", ("'AFR'", "twice")),
        ("AFR:0.5+EUR", ("EUR", "share")),
        ("AFR:half", ("AFR", "share")),
        ("AFR:", ("AFR", "share")),
        (":0.5", ("AFR, EUR",)),
        ("AFR:nan+EUR:0.5", ("AFR:nan+EUR",)),
    ],
)
def test_what_is_no_mixture(text: str, facts: Iterable[str]) -> None:
    with pytest.raises(UsageError) as caught:
        plan_counts({text: 5}, LABELS)
    assert all(fact in str(caught.value) for fact in (text, *facts))


def test_several_label_columns_have_a_mixture_each() -> None:
    plan = {"EUR/male": 1, "AFR/male:0.5+EUR/male:0.25+EUR/female:0.25": 2, "AFR/male:0.5+EUR/male:0.5": 1}
    columns = label_columns(plan, ["super_pop", "gender"])
    assert columns["super_pop"].tolist() == ["EUR", *["AFR:0.5+EUR:0.5"] * 3]
    assert columns["gender"].tolist() == ["male", *["male:0.75+female:0.25"] * 2, "male"]


@pytest.mark.parametrize(
    ("options", "facts"),
    [({"generations": 0}, "generations is 0"), ({"spread": 1.0}, "spread is 1"), ({"spread": -0.1}, "spread is -0.1")],
)
def test_bounds(options: dict[str, Any], facts: str) -> None:
    with pytest.raises(UsageError, match=facts):
        Mixing(**options)


# ---- ancestry -----------------------------------------------------------------------------------------------------


def sites(position: list[int], contig: list[str] | None = None) -> Variants:
    n = len(position)
    return Variants(contig or ["1"] * n, position, ["."] * n, ["A"] * n, ["C"] * n)


def test_stretches_begin_by_the_distance_between_the_middles_of_blocks(tmp_path: Path) -> None:
    position = [1_000, 3_000, 5_000, 7_000, 9_000, 9_000, 7_000, 8_000]
    variants = sites(position, ["1"] * 6 + ["2"] * 2)
    edges = np.array([0, 2, 4, 5, 6, 8])  # middles at 2, 6, 9, 9 kb; then another contig
    expected = [1, 1 - np.exp(-50 * 4e3 * 1e-8), 1 - np.exp(-50 * 3e3 * 1e-8), 0, 1]
    assert np.allclose(stretch_probability(edges, variants, Mixing(50)), expected, atol=1e-12)
    path = tmp_path / "map.txt"
    path.write_text("chr\tpos\tcM\n1\t0\t0\n1\t10000\t20\n2\t0\t0\n2\t10000\t1\n")
    expected[1:3] = 1 - np.exp(-50 * 0.08), 1 - np.exp(-50 * 0.06)
    assert np.allclose(stretch_probability(edges, variants, Mixing(50, genetic_map=path)), expected, atol=1e-12)


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.4])
def test_proportions_have_the_mean_and_the_variance_asked_for(spread: float) -> None:
    shares, people, blocks = np.array([0.2, 0.0, 0.7, 0.1]), 4000, 100
    label = draw_paths(shares, people, np.ones(blocks), spread, np.random.default_rng(1)).label
    for k, p in enumerate(shares):
        own = (label == k).mean(axis=(1, 2))
        # the proportion of a person varies, and what 200 independent stretches have of it
        variance = p * (1 - p) * (spread + (1 - spread) / (2 * blocks))
        assert own.mean() == pytest.approx(p, abs=5 * np.sqrt(variance / people))
        assert own.var() == pytest.approx(variance, rel=0.15)
    # both haplotypes of a person have its proportions
    both = np.corrcoef((label == 2).mean(axis=2).T)[0, 1]
    assert both == pytest.approx(spread / (spread + (1 - spread) / blocks), abs=0.08)


def test_tracts_are_exponential_with_the_mean_stated() -> None:
    generations, p, step = 8.0, 0.3, 0.002  # Morgans between blocks
    variants = sites(list(range(1, 30_001)))
    begin = stretch_probability(np.arange(30_001), variants, Mixing(generations * step / 1e-8))
    paths = draw_paths(np.array([p, 1 - p]), 30, begin, 0.0, np.random.default_rng(2))
    assert paths.begins[:, :, 1:].mean() == pytest.approx(1 - np.exp(-generations * step), rel=0.02)
    lengths: dict[int, list[float]] = {0: [], 1: []}
    for row in paths.label.reshape(60, -1).tolist():
        tracts = [(label, len(list(tract)) * step) for label, tract in groupby(row)][1:-1]  # whole ones
        for label, length in tracts:
            lengths[label].append(length)
    for label, share in ((0, p), (1, 1 - p)):
        own, mean = np.array(lengths[label]), 1 / (generations * (1 - share))
        assert own.mean() == pytest.approx(mean, rel=0.06)
        assert own.std() == pytest.approx(mean, rel=0.08)
        assert np.median(own) == pytest.approx(mean * np.log(2), rel=0.08)


# ---- people -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def train() -> Genotypes:
    """Return people of A, B, and two similar labels at unlinked sites; at every third, A has 1 and all others 0."""
    random = np.random.default_rng(3)
    frequency = random.uniform(0.1, 0.9, size=(4, 48))
    frequency[3] = (frequency[2] + random.normal(0, 0.06, 48)).clip(0.02, 0.98)
    frequency[:, ::3] = np.array([1, 0, 0, 0])[:, None]
    label = np.repeat([0, 1, 2, 3], [90, 90, 60, 60])
    calls = (random.random((48, 300, 2)) < frequency[label].T[:, :, None]).astype(np.int8)
    people = small(calls, labels={"super_pop": np.array(["A", "B", "C", "D"])[label].tolist()})
    variants = sites([100_000 * (i % 30 + 1) for i in range(48)], ["1"] * 30 + ["2"] * 18)
    return replace(people, variants=variants)


@pytest.fixture(scope="module")
def model(train: Genotypes) -> HaplotypeModel:
    return HaplotypeModel(run_carriers=4, inverse_temperature=1.0, seed=1).fit(train)


def test_alleles_are_those_of_the_true_ancestry(model: HaplotypeModel) -> None:
    n = {"B": 4, MIXTURE: 600}
    people = model.sample(n, seed=5, generations=OFTEN / 10)
    truth = model.sample_ancestry(n, generations=OFTEN / 10)  # of the latest sample
    assert truth.samples.tolist() == people.samples.tolist()
    assert people.samples[4] == "SYN-A-0.5-B-0.5-000001"
    assert Counter(people.label("super_pop")) == {"B": 4, MIXTURE: 600}
    of_a = truth.at_sites() == 0
    assert of_a.shape == people.calls.shape
    assert not of_a[:, :4].any()
    diagnostic = slice(0, None, 3)
    assert ((people.calls == 1) == of_a)[diagnostic].mean() > 0.995
    # the label changes within haplotypes: between neighbours .1 Mb apart by half of 1 - exp(-200 * .001)
    changes = (of_a[1:] != of_a[:-1])[:29].mean()
    assert changes == pytest.approx((1 - np.exp(-0.2)) / 2, abs=0.012)


@pytest.mark.parametrize("sources", ["AB", "AC", "CD"])
def test_frequencies_of_a_mixture_lie_at_the_mean_of_its_sources(
    sources: str, model: HaplotypeModel, train: Genotypes
) -> None:
    first, second = sources
    people = model.sample({first: 1000, second: 1000, f"{first}:0.5+{second}:0.5": 1000}, seed=6, generations=OFTEN)
    one, other, mixed = (
        people.select(samples=people.label("super_pop") == name).allele_frequency()
        for name in dict.fromkeys(people.label("super_pop"))
    )
    assert np.abs(mixed - (one + other) / 2).max() < 5 * 0.5 * np.sqrt(1 / 2000 + 1 / 4000)
    real = np.mean(
        [train.select(samples=train.label("super_pop") == name).allele_frequency() for name in sources], axis=0
    )
    assert np.sqrt(np.mean((mixed - real) ** 2)) < 0.03


def test_rows_that_have_a_label_have_its_frequencies(model: HaplotypeModel) -> None:
    begin = stretch_probability(model.blocks_.edges, model.variants_, Mixing(OFTEN))
    paths = draw_paths(np.array([0.5, 0, 0.5, 0]), 256, begin, 0.0, np.random.default_rng(4))
    codes = draw_codes(model.sampler_, paths, np.random.default_rng(5), rake=True)
    for haplotype in range(2):
        for b in range(len(model.blocks_)):
            for k in (0, 2):
                own = codes[paths.label[:, haplotype, b] == k, haplotype, b]
                expected = model.code_model_.label_frequency(b)[k, 1]
                assert own.mean() == pytest.approx(expected, abs=0.04)  # by chance: up to .13


def test_people_lie_between_the_sources_by_their_proportions(model: HaplotypeModel) -> None:
    n = {"A": 150, "B": 150, "A:0.7+B:0.3": 300}
    people = model.sample(n, seed=7, generations=OFTEN, spread=0.2)
    share = (model.sample_ancestry(n, seed=7, generations=OFTEN, spread=0.2).at_sites() == 0).mean(axis=(0, 2))
    dosages = people.dosages().astype(float)
    centre = dosages[:300].mean(axis=0)
    axis = np.linalg.svd(dosages[:300] - centre, full_matrices=False)[2][0]
    score = (dosages - centre) @ axis
    of_a, of_b, mixed = score[:150].mean(), score[150:300].mean(), score[300:]
    place = (mixed - of_b) / (of_a - of_b)
    assert place.mean() == pytest.approx(share[300:].mean(), abs=0.02)
    assert np.corrcoef(place, share[300:])[0, 1] > 0.9
    assert share[300:].mean() == pytest.approx(0.7, abs=5 * np.sqrt(0.2 * 0.21 / 300))


def test_a_person_depends_on_seed_mixture_and_number_alone(model: HaplotypeModel) -> None:
    options: dict[str, Any] = {"seed": 8, "generations": OFTEN, "spread": 0.1}
    people = model.sample({"A": 3, MIXTURE: 520, "A:0.2+C:0.8": 5}, **options)
    truth = model.sample_ancestry({"A": 3, MIXTURE: 520, "A:0.2+C:0.8": 5}, **options)
    assert people.equals(model.sample({"A:0.2+C:0.8": 5, MIXTURE: 520, "A": 3}, **options))
    some = model.sample({"B:0.50+A:.5": 20}, start=495, **options)
    known = model.sample_ancestry({"B:0.50+A:.5": 20}, start=495, **options)
    where = [people.samples.tolist().index(name) for name in some.samples]
    assert some.samples[0] == "SYN-A-0.5-B-0.5-000496"
    assert np.array_equal(some.calls, people.calls[:, where])
    assert np.array_equal(known.label, truth.label[where])
    blocks = list(model.iter_samples({MIXTURE: 520}, people_per_block=100, **options))
    mixed = people.calls[:, people.label("super_pop") == MIXTURE]
    assert np.array_equal(np.concatenate([b.calls for b in blocks], axis=1), mixed)
    # plain labels as ever, whatever is said of mixtures
    assert np.array_equal(model.sample({"A": 3}, seed=8).calls, people.calls[:, :3])
    assert not np.array_equal(model.sample({MIXTURE: 20}, seed=9, generations=OFTEN).calls, mixed[:, :20])


def read_breakpoints(path: Path) -> dict[str, list[list[tuple[str, str, int, float]]]]:
    """Read a .bp file as haptools documents it: a line with SAMPLE_1 or SAMPLE_2, then label, contig, end and cM."""
    people: dict[str, list[list[tuple[str, str, int, float]]]] = defaultdict(list)
    for line in path.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) == 1:
            name, haplotype = re.fullmatch("(.+)_([12])", line).groups()  # type: ignore[union-attr]
            people[name].append([])
            assert len(people[name]) == int(haplotype)
        else:
            label, contig, end, cm = fields
            people[list(people)[-1]][-1].append((label, contig, int(end), float(cm)))
    return people


def test_breakpoints_are_written_as_haptools_reads_them(model: HaplotypeModel, tmp_path: Path) -> None:
    truth = model.sample_ancestry({"C": 1, MIXTURE: 30}, seed=10, generations=500)
    written = read_breakpoints(truth.write(tmp_path / "people.bp"))
    assert list(written) == truth.samples.tolist()
    assert written["SYN-C-000001"] == [[("C", "1", 3_000_000, 3.0), ("C", "2", 1_800_000, 1.8)]] * 2
    at_sites = truth.at_sites()
    position, contig = model.variants_.position, model.variants_.contig
    for person, haplotypes in enumerate(written.values()):
        for number, tracts in enumerate(haplotypes):
            assert all(a[:2] != b[:2] for a, b in pairwise(tracts))
            for name in ("1", "2"):
                ends = [end for _, of, end, _ in tracts if of == name]
                labels = [label for label, of, _, _ in tracts if of == name]
                # haptools: a site belongs to the first stretch that does not end before it
                looked_up = [labels[i] for i in np.searchsorted(ends, position[contig == name])]
                expected = at_sites[contig == name, person, number]
                assert looked_up == [model_label(k) for k in expected]
    with pytest.raises(UsageError, match=r"people\.bp exists.*force"):
        truth.write(tmp_path / "people.bp")
    before = (tmp_path / "people.bp").read_bytes()
    truth.write(tmp_path / "people.bp", force=True)
    assert (tmp_path / "people.bp").read_bytes() == before


def model_label(index: int) -> str:
    return "ABCD"[index]


@pytest.mark.parametrize("what", ["independent", "unphased"])
def test_models_that_have_no_mixtures(what: str, train: Genotypes) -> None:
    few = train.select(sites=slice(0, 12))
    fitted = (
        pgcgan.IndependentSites().fit(few)
        if what == "independent"
        else HaplotypeModel(run_carriers=4, inverse_temperature=1.0).fit(few.without_phase())
    )
    with pytest.raises(UsageError) as caught:
        fitted.sample({MIXTURE: 3})
    assert all(fact in str(caught.value) for fact in (MIXTURE, fitted.name, "haplotype", "phased"))


# ---- the command --------------------------------------------------------------------------------------------------


def test_generate_writes_people_of_a_mixture_and_their_ancestry(run: Run) -> None:
    quick = "--set run_carriers=4 --set inverse_temperature=1.0 --set local_ancestry=False --min-maf 0.2"
    assert run(f"train cohort.vcf.gz --panel cohort.panel.tsv {quick} -o my.model")[0] == 0
    ask = "generate my.model -n AFR=2 -n EUR:0.3+AFR:0.7=6 --seed 4"
    options = "--generations 90000 --spread 0.1"
    status, out, err = run(f"{ask} {options} -o mixed.vcf.gz")
    assert status == 0 and "8 people" in out + err and "mixed.bp" in out + err
    people = pgcgan.read("mixed.vcf.gz", "mixed.panel.tsv")
    assert Counter(people.label("super_pop")) == {"AFR": 2, "AFR:0.7+EUR:0.3": 6}
    tracts = read_breakpoints(Path("mixed.bp"))
    assert list(tracts) == people.samples.tolist()
    labels = {label for person in tracts.values() for row in person for label, *_ in row}
    assert labels == {"AFR", "EUR"}
    # the same again, and by --like from the panel that was written
    assert run(f"{ask} {options} -o again.vcf.gz")[0] == 0
    assert run(f"generate my.model --like mixed.panel.tsv --seed 4 {options} -o like.vcf.gz")[0] == 0
    for name in ("again", "like"):
        assert Path(f"{name}.bp").read_bytes() == Path("mixed.bp").read_bytes()
        assert pgcgan.read(f"{name}.vcf.gz", f"{name}.panel.tsv").equals(people)
    for line, facts in {
        f"{ask} -o mixed.bcf": ("mixed.bp", "--force"),
        f"{ask} -o -": ("AFR:0.7+EUR:0.3", "-o"),
        f"{ask} --min-distance 3 --real cohort.vcf.gz -o x.vcf.gz": ("--min-distance", "AFR:0.7+EUR:0.3"),
        "generate my.model -n AFR=2 --spread 0.1 -o x.vcf.gz": ("--spread",),
        "generate my.model -n AFR:0.7+EUR:0.4=2 -o x.vcf.gz": ("AFR:0.7+EUR:0.4", "1.1"),
        "generate two.model -n AFR/male:0.5+EUR/male:0.5=2 -o x.vcf.gz": ("AFR/male:0.5+EUR/male:0.5", "independent"),
        f"{ask} --generations -1 -o x.vcf.gz": ("generations", "-1"),
    }.items():
        status, _, err = run(line)
        assert status == 2 and all(fact in err for fact in facts), (line, err)
    assert not Path("x.vcf.gz").exists() and not Path("x.bp").exists()
