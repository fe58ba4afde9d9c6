"""The container: properties that hold for any genotypes, closed forms, and every message it can give."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
from collections import Counter
from pathlib import Path

import allel
import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import pgcgan
from pgcgan import Genotypes, Variants, concat
from pgcgan.errors import DataError, MissingExtra, PgcganError, listed
from pgcgan.genotypes import parse_region


def sites(n: int, contigs: list[str] | None = None, **more: object) -> Variants:
    names = contigs or ["1"] * n
    return Variants(names, np.arange(1, n + 1) * 10, ["."] * n, ["A"] * n, ["G"] * n, **more)  # type: ignore[arg-type]


def genotypes(calls: np.ndarray, phased: bool = True, contigs: list[str] | None = None) -> Genotypes:
    n = calls.shape[1]
    labels = {"pop": ["AB"[i % 2] for i in range(n)], "n": [str(i) for i in range(n)]}
    return Genotypes(calls, sites(len(calls), contigs), [f"s{i}" for i in range(n)], labels, phased)


@st.composite
def any_genotypes(draw: st.DrawFn) -> Genotypes:
    shape = (draw(st.integers(1, 7)), draw(st.integers(1, 6)), draw(st.sampled_from([1, 2])))
    calls = draw(arrays(np.int8, shape, elements=st.integers(-1, 1)))
    contigs = sorted(draw(st.lists(st.sampled_from(["1", "2", "X"]), min_size=shape[0], max_size=shape[0])))
    return genotypes(calls, draw(st.booleans()), contigs)


# ---- views ----------------------------------------------------------------------------------------------------------


@given(any_genotypes())
def test_haplotypes_and_dosages_are_the_calls_again(g: Genotypes) -> None:
    haplotypes, dosages = g.haplotypes(), g.dosages()
    assert haplotypes.shape == (g.n_samples * g.ploidy, g.n_variants)
    assert dosages.shape == (g.n_samples, g.n_variants)
    assert haplotypes.dtype == dosages.dtype == np.int8
    assert haplotypes.flags.c_contiguous
    assert dosages.flags.c_contiguous
    for v in range(g.n_variants):
        for s in range(g.n_samples):
            call = g.calls[v, s].tolist()
            assert haplotypes[s * g.ploidy : (s + 1) * g.ploidy, v].tolist() == call
            assert dosages[s, v] == (-1 if -1 in call else sum(call))


@given(any_genotypes())
def test_frequency_is_that_of_scikit_allel(g: Genotypes) -> None:
    frequency = g.allele_frequency()
    array = allel.GenotypeArray(g.calls) if g.ploidy == 2 else allel.HaplotypeArray(g.calls[:, :, 0])
    counts = array.count_alleles(max_allele=1)
    called = counts.sum(axis=1) > 0
    assert np.allclose(frequency[called], counts.to_frequencies()[called, 1])
    assert np.isnan(frequency[~called]).all()


@given(any_genotypes())
def test_dropping_phase_keeps_the_pairs(g: Genotypes) -> None:
    loose = g.without_phase()
    assert not loose.phased
    assert np.array_equal(loose.dosages(), g.dosages())
    assert np.array_equal(loose.calls, np.sort(g.calls, axis=2))
    flipped = Genotypes(g.calls[:, :, ::-1], g.variants, g.samples, g.labels, phased=False)
    assert loose.equals(flipped)
    assert g.equals(Genotypes(g.calls[:, :, ::-1], g.variants, g.samples, g.labels, g.phased)) == (
        not g.phased or np.array_equal(g.calls, g.calls[:, :, ::-1])
    )


@given(any_genotypes())
def test_copies_and_pickles_hold_the_same(g: Genotypes) -> None:
    for again in (pickle.loads(pickle.dumps(g)), copy.deepcopy(g), copy.copy(g)):
        assert again.equals(g) and again.variants.contig_lengths == g.variants.contig_lengths
        assert not again.calls.flags.writeable and not again.samples.flags.writeable


# ---- parts ----------------------------------------------------------------------------------------------------------


@given(any_genotypes(), st.data())
def test_select_then_concat_is_the_whole(g: Genotypes, data: st.DataObject) -> None:
    people = np.array(data.draw(st.lists(st.booleans(), min_size=g.n_samples, max_size=g.n_samples)))
    order = np.concatenate([np.flatnonzero(people), np.flatnonzero(~people)])
    assert concat([g.select(samples=people), g.select(samples=~people)]).equals(g.select(samples=order))
    cut = data.draw(st.integers(0, g.n_variants))
    parts = [g.select(sites=slice(None, cut)), g.select(sites=slice(cut, None))]
    assert concat(parts, axis="variants").equals(g)


@given(any_genotypes(), st.permutations(range(6)))
def test_select_by_name_mask_and_index_agree(g: Genotypes, order: list[int]) -> None:
    index = [i for i in order if i < g.n_samples]
    by_index = g.select(samples=np.array(index))
    assert by_index.equals(g.select(samples=[f"s{i}" for i in index]))
    assert by_index.label("n").tolist() == [str(i) for i in index]
    assert np.array_equal(by_index.calls, g.calls[:, index])


def test_filters_add_up() -> None:
    calls = np.zeros((6, 10, 2), dtype=np.int8)
    for v, copies in enumerate([0, 1, 2, 19, 20, 10]):
        calls[v].reshape(-1)[:copies] = 1
    g = genotypes(calls)
    assert g.select(min_maf=0.1).variants.position.tolist() == [30, 60]
    assert g.select(min_maf=0.05).variants.position.tolist() == [20, 30, 40, 60]
    assert g.select(min_maf=0.05, region="1:30-50").variants.position.tolist() == [30, 40]
    assert g.select(min_maf=0.05, region="1:30-50", sites=[3, 4, 5]).variants.position.tolist() == [40]
    # the frequency is that among the people selected: person 9 alone carries the ref allele of site 40
    assert g.select(min_maf=0.05, samples=np.arange(9)).variants.position.tolist() == [20, 30, 60]
    assert g.select(min_maf=0).n_variants == 6
    missing = Genotypes(np.full((1, 2, 2), -1), sites(1), ["a", "b"])
    assert missing.select(min_maf=0).n_variants == 0  # no call, no frequency


@given(st.integers(2, 60), st.integers(1, 9), st.integers(0, 5))
def test_split_is_stratified_and_shares_nobody(n: int, tenths: int, seed: int) -> None:
    g = genotypes(np.zeros((1, n, 2), dtype=np.int8))
    fraction = tenths / 10
    strata = Counter(g.label("pop"))
    expected = {k: round(fraction * v) for k, v in strata.items()}
    if sum(expected.values()) in (0, n):
        with pytest.raises(DataError) as caught:
            g.split(fraction, by="pop", seed=seed)
        assert str(caught.value) == f"Splitting {n} people by {fraction} leaves one side empty; give more people."
        return
    first, second = g.split(fraction, by="pop", seed=seed)
    assert Counter(first.label("pop")) == +Counter(expected)
    assert sorted([*first.samples, *second.samples]) == sorted(g.samples)
    for part in (first, second):  # the original order
        assert [int(v) for v in part.label("n")] == sorted(int(v) for v in part.label("n"))
    assert first.equals(g.split(fraction, by="pop", seed=seed)[0])


def test_split_depends_on_the_seed() -> None:
    g = genotypes(np.zeros((1, 40, 2), dtype=np.int8))
    assert not g.split(0.5, seed=1)[0].equals(g.split(0.5, seed=2)[0])


def test_with_labels() -> None:
    g = genotypes(np.zeros((1, 3, 2), dtype=np.int8))
    more = g.with_labels({"sex": {"s2": "f", "s0": "m", "s1": "m", "s9": "x"}, "pop": ["C", "D", "E"]})
    assert more.label("sex").tolist() == ["m", "m", "f"]
    assert more.label("pop").tolist() == ["C", "D", "E"]
    assert g.label("pop").tolist() == ["A", "B", "A"]
    assert "sex" not in g.labels


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("6", ("6", 1, None)),
        ("6:29,602,876-33268403", ("6", 29602876, 33268403)),
        ("chr6:5-", ("chr6", 5, None)),
        ("6:7", ("6", 7, 7)),
        ("HLA:A*01:5-6", ("HLA:A*01", 5, 6)),
    ],
)
def test_regions(text: str, parsed: tuple[str, int, int | None]) -> None:
    assert parse_region(text) == parsed


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_regions_round_trip(start: int, more: int) -> None:
    assert parse_region(f"c:{start}-{start + more}") == ("c", start, start + more)


# ---- frozen ---------------------------------------------------------------------------------------------------------


def test_it_is_frozen() -> None:
    given_calls = np.zeros((2, 3, 2), dtype=np.int8)
    g = genotypes(given_calls)
    for array in (g.calls, g.samples, g.labels["pop"], g.variants.position, g.variants.contig):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(TypeError):
        g.labels["pop"] = g.samples  # type: ignore[index]
    with pytest.raises(TypeError):
        g.variants.contig_lengths["1"] = 5  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        g.phased = False  # type: ignore[misc]
    given_calls[0] = 1  # the giver's array stays writeable
    assert repr(genotypes(given_calls)) == "Genotypes(3 samples x 2 variants, phased, labels: pop, n)"


def test_contig_table_is_kept_and_completed() -> None:
    variants = sites(2, ["X", "X"], contig_lengths={"1": 100}, assembly="b37")
    assert dict(variants.contig_lengths) == {"1": 100, "X": None}
    assert dict(variants.select([0]).contig_lengths) == {"1": 100, "X": None}
    assert variants.select([0]).assembly == "b37"
    other = sites(1, ["X"], contig_lengths={"X": 7})
    people = [f"s{i}" for i in range(2)]
    joined = concat(
        [
            Genotypes(np.zeros((2, 2, 2)), variants, people),
            Genotypes(np.zeros((1, 2, 2)), other, people),
        ],
        axis="variants",
    )
    assert dict(joined.variants.contig_lengths) == {"1": 100, "X": 7}
    assert joined.variants.assembly == "b37"


def test_concat_keeps_the_labels_that_all_have() -> None:
    g = genotypes(np.zeros((1, 2, 2), dtype=np.int8))
    renamed = Genotypes(g.calls, g.variants, ["t0", "t1"], {"pop": ["C", "C"]})
    joined = concat([g, renamed])
    assert dict(joined.labels).keys() == {"pop"}
    assert joined.label("pop").tolist() == ["A", "B", "C", "C"]


def test_equals_sees_every_difference() -> None:
    g = genotypes(np.zeros((2, 3, 2), dtype=np.int8))
    one = np.zeros((2, 3, 2), dtype=np.int8)
    one[1, 2, 0] = 1
    assert g.equals(genotypes(np.zeros((2, 3, 2), dtype=np.int8)))
    assert not g.equals(genotypes(one))
    assert not g.equals(genotypes(np.zeros((2, 3, 2), dtype=np.int8), contigs=["1", "2"]))
    assert not g.equals(g.select(sites=[0]))
    assert not g.equals(g.without_phase())
    assert not g.equals(g.with_labels({"pop": ["A", "A", "A"]}))
    assert not g.equals(g.with_labels({"more": ["A", "A", "A"]}))
    assert not g.equals(Genotypes(g.calls, g.variants, ["s0", "s1", "sx"], g.labels))


# ---- messages -------------------------------------------------------------------------------------------------------

ZERO = np.zeros((2, 3, 2), dtype=np.int8)
BAD = ZERO.copy()
BAD[1, 2] = (0, 2)
NAMES = ["a", "b", "c"]


def message_of(action: object) -> str:
    with pytest.raises(DataError) as caught:
        action()  # type: ignore[operator]
    return str(caught.value)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda: Genotypes(ZERO[0], sites(2), NAMES),
            "calls must have the shape (variants, samples, ploidy), got (3, 2).",
        ),
        (
            lambda: Genotypes(BAD, sites(2), NAMES),
            "Call [0, 2] of sample c at 1:20 A>G is not made of 0 (ref), 1 (alt) and -1 (missing); split multi-allelic "
            "records first.",
        ),
        (
            lambda: Genotypes(ZERO, sites(2), NAMES[:2]),
            "calls have the shape (2, 3, 2), but there are 2 variants and 2 samples.",
        ),
        (
            lambda: Genotypes(np.zeros((2, 3, 4)), sites(2), NAMES),
            "Ploidy 4 is not supported; accepted: 1 (haploid), 2 (diploid).",
        ),
        (lambda: Genotypes(ZERO, sites(2), ["a", "b", "a"]), "Sample names occur more than once: a."),
        (lambda: Genotypes(ZERO, sites(2), NAMES, {"pop": ["x"]}), "Label 'pop' has 1 values for 3 samples."),
        (
            lambda: Genotypes(ZERO, sites(2), NAMES, {"pop": NAMES}).label("super_pop"),
            "There is no label 'super_pop'; labels here: pop. Labels come from the panel file (panel=…, --panel).",
        ),
        (
            lambda: Variants(["1"], [5, 6], ["."], ["A"], ["G"]),
            "variants.contig has 1 entries, variants.position has 2.",
        ),
        (
            lambda: Variants(["1"], [[5]], ["."], ["A"], ["G"]),
            "variants.position must be one-dimensional, got shape (1, 1).",
        ),
        (
            lambda: Variants(["1"], [-5], ["."], ["A"], ["G"]),
            "Variant 0 has the position -5; positions start at 1.",
        ),
        (
            lambda: genotypes(ZERO).select(samples=["s0", "x", "y"]),
            "2 samples are not in the data: x, y.",
        ),
        (lambda: genotypes(ZERO).select(min_maf=0.7), "min_maf is 0.7; accepted: 0 to 0.5."),
        (
            lambda: genotypes(ZERO).select(region="6:1-5"),
            "Region '6:1-5': there is no variant on contig '6'; contigs with variants: 1.",
        ),
        (
            lambda: parse_region("6:9-5"),
            "Region '6:9-5' cannot be read; accepted: contig, contig:start-end, contig:start- or contig:position "
            "(1-based, start at most end), for example 6:29602876-33268403.",
        ),
        (
            lambda: parse_region("6:a-b"),
            "Region '6:a-b' cannot be read; accepted: contig, contig:start-end, contig:start- or contig:position "
            "(1-based, start at most end), for example 6:29602876-33268403.",
        ),
        (lambda: genotypes(ZERO).split(1.5), "The fraction to split is 1.5; accepted: between 0 and 1."),
        (
            lambda: genotypes(ZERO).with_labels({"sex": {"s0": "f"}}),
            "Label 'sex' has no value for 2 samples: s1, s2.",
        ),
        (lambda: concat([]), "concat needs at least one part."),
        (lambda: concat([genotypes(ZERO)], axis="ploidy"), "concat along 'ploidy'; accepted: samples, variants."),
        (
            lambda: concat([genotypes(ZERO), genotypes(ZERO, phased=False)]),
            "Part 1 differs from the first in phase state or ploidy.",
        ),
        (
            lambda: concat([genotypes(ZERO), genotypes(ZERO, contigs=["1", "2"])]),
            "Part 1 has other variants than the first; select the common sites before.",
        ),
        (
            lambda: concat([genotypes(ZERO), genotypes(ZERO[:, :2])], axis="variants"),
            "Part 1 has other samples than the first, or another order.",
        ),
        (
            lambda: concat([genotypes(ZERO), genotypes(ZERO)]),
            "Sample names occur more than once: s0, s1, s2.",
        ),
    ],
)
def test_messages(action: object, message: str) -> None:
    assert message_of(action) == message


def test_errors_are_of_one_family() -> None:
    assert issubclass(DataError, PgcganError)
    assert PgcganError.exit_code == 2
    assert str(MissingExtra("pandas", "frame", "to_frame")) == (
        "to_frame needs 'pandas', which is not installed: pip install 'pgcgan[frame]'"
    )
    assert listed([]) == "none"
    assert listed("abcde") == "a, b, c, d, e"
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"


# ---- from and to arrays and frames ----------------------------------------------------------------------------------


@given(any_genotypes())
def test_arrays_of_a_set_give_it_again(g: Genotypes) -> None:
    names = {"samples": g.samples.tolist(), "labels": dict(g.labels), "position": g.variants.position.tolist()}
    sites = {"contig": g.variants.contig.tolist(), "alt": "G"}
    assert Genotypes.from_numpy(g.calls, phased=g.phased, **names, **sites).equals(g)
    if g.ploidy == 2:
        assert Genotypes.from_numpy(g.haplotypes(), phased=True, **names, **sites).calls.tolist() == g.calls.tolist()
        counted = Genotypes.from_numpy(g.dosages(), phased=False, **names, **sites)
        assert counted.dosages().tolist() == g.dosages().tolist() and not counted.phased


def test_an_array_alone_gets_names_and_positions() -> None:
    g = Genotypes.from_numpy(np.array([[0, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]]))
    assert g.shape == (3, 2, 2) and len(g) == 3
    assert g.samples.tolist() == ["P000001", "P000002"]
    assert g.calls[:, 0].tolist() == [[0, 0], [1, 0], [1, 1]]
    assert g.variants.name(2) == "1:3 A>C"


@pytest.mark.parametrize(
    ("array", "phased", "fact"),
    [
        (np.zeros((3, 4), dtype=int), True, r"\(3, 4\)"),
        (np.full((4, 4), 2), True, "up to 2.*phased=False"),
        (np.full((4, 4), 3), False, "0 to 3"),
        (np.full((4, 4), 0.5), False, "whole numbers"),
        (np.full((4, 4, 2), np.nan), True, "whole numbers"),
        (np.zeros(5, dtype=int), True, r"\(5,\)"),
        (np.full((4, 4, 2), 2), True, r"\[2, 2\]"),
    ],
)
def test_arrays_that_are_no_alleles(array: np.ndarray, phased: bool, fact: str) -> None:
    with pytest.raises(DataError, match=fact):
        Genotypes.from_numpy(array, phased=phased)


def test_labels_of_an_array_are_one_a_person() -> None:
    rows = np.zeros((100, 3), dtype=int)
    with pytest.raises(DataError, match=r"'pop' has 100 values for 50 samples.*two rows.*\(variants, people, 1\)"):
        Genotypes.from_numpy(rows, labels={"pop": ["A"] * 100})
    with pytest.raises(DataError, match="labels is a list.*mapping"):
        Genotypes.from_numpy(rows, labels=["A"] * 50)  # type: ignore[arg-type]
    frame = pandas.DataFrame({"pop": ["A"] * 50})
    assert Genotypes.from_numpy(rows, labels=frame).label("pop").tolist() == ["A"] * 50  # type: ignore[arg-type]


def test_parts_by_brackets_keep_the_axes_as_numpy_does() -> None:
    g = genotypes(np.random.default_rng(0).integers(0, 2, (6, 4, 2)))
    assert g[2].calls.tolist() == g.calls[2:3].tolist()
    assert g[-1].variants.name(0) == "1:60 A>G"
    assert g[1:4, [3, 0]].calls.tolist() == g.calls[1:4][:, [3, 0]].tolist()
    assert g[:, "s2"].samples.tolist() == ["s2"]
    assert g[g.variants.position > 40, ["s1", "s0"]].samples.tolist() == ["s1", "s0"]
    with pytest.raises(IndexError):
        g[6]
    with pytest.raises(TypeError):
        iter(g)  # type: ignore[call-overload]


def test_sites_of_another_set_in_its_order() -> None:
    g = genotypes(np.random.default_rng(1).integers(0, 2, (6, 4, 2)))
    aligned = g.align(g[[4, 1, 3]])
    assert aligned.calls.tolist() == g.calls[[4, 1, 3]].tolist()
    assert g.align(g.variants) is g
    other = sites(9)
    assert g.select(sites=slice(2, None)).align(other).variants.position.tolist() == [30, 40, 50, 60]
    with pytest.raises(DataError, match="no site in common: contigs 1 and chr1.*rename-chrs"):
        g.align(sites(6, ["chr1"] * 6))


def test_sites_as_a_frame() -> None:
    frame = sites(3).to_frame()
    assert frame.columns.tolist() == ["contig", "position", "id", "ref", "alt"]
    assert frame.iloc[1].tolist() == ["1", 20, ".", "A", "G"]


@given(any_genotypes())
def test_a_dataset_has_the_names_and_axes_of_sgkit(g: Genotypes) -> None:
    data = g.to_xarray()
    assert data.call_genotype.dims == ("variants", "samples", "ploidy")
    assert data.call_genotype.values.tolist() == g.calls.tolist()
    assert (data.call_genotype_mask.values == (g.calls == -1)).all()
    assert data.call_genotype_phased.dims == ("variants", "samples")
    assert (data.call_genotype_phased.values == g.phased).all()
    assert data.contig_id.values[data.variant_contig.values].tolist() == g.variants.contig.tolist()
    assert data.variant_position.values.tolist() == g.variants.position.tolist()
    assert data.variant_allele.dims == ("variants", "alleles")
    assert data.variant_allele.values.tolist() == np.stack([g.variants.ref, g.variants.alt], axis=1).tolist()
    assert data.sample_id.values.tolist() == g.samples.tolist()
    assert {name: data[f"sample_{name}"].values.tolist() for name in g.labels if name != "id"} == {
        name: values.tolist() for name, values in g.labels.items() if name != "id"
    }


def test_a_dataset_is_that_of_the_zarr_file(tmp_path: Path) -> None:
    """The names are those that other programs read: VCF Zarr as it is written has the same arrays."""
    zarr = pytest.importorskip("zarr")
    g = genotypes(np.random.default_rng(2).integers(0, 2, (6, 4, 2)))
    pgcgan.write(g, tmp_path / "x.vcz")
    store, data = zarr.open_group(tmp_path / "x.vcz", mode="r"), g.to_xarray()
    for name in (
        "call_genotype",
        "call_genotype_phased",
        "variant_position",
        "variant_allele",
        "sample_id",
        "contig_id",
    ):
        assert np.asarray(store[name]).tolist() == data[name].values.tolist(), name
        assert store[name].attrs["_ARRAY_DIMENSIONS"] == list(data[name].dims), name


def test_a_dataset_without_xarray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pgcgan\[xarray\]"):
        genotypes(np.zeros((2, 2, 2))).to_xarray()
