"""Genotypes as plain numpy arrays: what is in the file, and what is refused."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcgan import Genotypes, Variants
from pgcgan.errors import DataError, UsageError
from pgcgan.io import read, write

text = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=6)
contig = text.filter(lambda name: not {*name} & {*'<>,"\\'})  # a header line of a VCF could not hold it
allele = text.filter(lambda s: "," not in s)
label = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n\0"), min_size=1, max_size=6).filter(
    lambda value: value == value.strip() and value not in (".", "NA", "NaN", "nan", "sample", "father", "mother")
)  # others are refused, see test_labels.py


@st.composite
def any_genotypes(draw):
    """Genotypes of any shape, with any names, in order."""
    n_sites, n_people, ploidy = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.integers(1, 2))

    def column(kind, n, **options):
        return draw(st.lists(kind, min_size=n, max_size=n, **options))

    calls = np.array(column(st.sampled_from([0, 1, -1]), n_sites * n_people * ploidy), dtype=np.int8)
    calls = calls.reshape(n_sites, n_people, ploidy)
    calls[(calls < 0).any(axis=2)] = -1
    contigs = column(contig, 3, unique=True)
    runs = sorted(column(st.integers(0, 2), n_sites))
    alts = column(allele, n_sites)
    calls[[alt == "." for alt in alts]] = 0
    positions = np.cumsum(column(st.integers(1, 10**8), n_sites))
    lengths = dict(zip(contigs, column(st.one_of(st.none(), st.integers(0, 10**9)), 3), strict=True))
    assembly = draw(st.one_of(st.none(), text))
    sites = Variants(
        [contigs[i] for i in runs], positions, column(text, n_sites), column(allele, n_sites), alts, lengths,
        assembly,
    )  # fmt: skip
    names = draw(st.lists(label, max_size=3, unique=True))
    labels = {name: column(label, n_people) for name in names}
    return Genotypes(calls, sites, column(label, n_people, unique=True), labels, draw(st.booleans()))


def one(**changes):
    """Two people at three sites."""
    calls = np.array([[[0, 1], [1, 1]], [[1, 0], [-1, -1]], [[0, 0], [0, 1]]], dtype=np.int8)
    sites = Variants(["6", "6", "X"], [10, 12, 5], ["a", "b", "."], ["A"] * 3, ["C", "G", "T"], {"6": 100, "X": None})
    parts = {"calls": calls, "variants": sites, "samples": ["p0", "p1"], "labels": {"pop": ["A", "B"]}} | changes
    return Genotypes(**parts)


@settings(max_examples=80)
@given(genotypes=any_genotypes())
def test_any_genotypes_come_back_whole(tmp_path_factory, genotypes):
    path = tmp_path_factory.mktemp("npz") / "x.npz"
    write(genotypes, path)
    got = read(path)
    assert got.equals(genotypes)
    assert list(got.labels) == list(genotypes.labels)
    assert dict(got.variants.contig_lengths) == dict(genotypes.variants.contig_lengths)
    assert got.variants.assembly == genotypes.variants.assembly
    assert np.array_equal(got.calls, genotypes.calls)


def test_the_arrays_are_plain_and_complete(tmp_path):
    written = write(one(), tmp_path / "x.npz", command="pgcgan convert", seed=4)
    assert [p.name for p in written] == ["x.npz", "x.panel.tsv"]
    with np.load(written[0], allow_pickle=False) as stored:
        arrays = {name: stored[name].tolist() for name in stored}
        assert stored["calls"].dtype == np.int8
    assert arrays == {
        "version": 1,
        "calls": [[[0, 1], [1, 1]], [[1, 0], [-1, -1]], [[0, 0], [0, 1]]],
        "samples": ["p0", "p1"],
        "contig": ["6", "6", "X"],
        "position": [10, 12, 5],
        "id": ["a", "b", "."],
        "ref": ["A", "A", "A"],
        "alt": ["C", "G", "T"],
        "contig_names": ["6", "X"],
        "contig_lengths": [100, -1],
        "assembly": "",
        "label_names": ["pop"],
        "labels": [["A", "B"]],
        "phased": True,
        "command": "pgcgan convert",
        "seed": 4,
    }


def test_the_same_genotypes_give_the_same_bytes(tmp_path):
    write(one(), tmp_path / "x.npz")
    os.utime(tmp_path, (0, 0))
    write(one(), tmp_path / "y.npz")
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {"region": "6:11-"},
        {"region": "X", "samples": ["p1"]},
        {"samples": ["p1", "p0"], "min_maf": 0.1},
        {"panel": "people.tsv", "intersect": True},
        {"unphased": True},
    ],
)
def test_the_options_do_what_they_do_for_vcf(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.tsv").write_text("sample\tpop\np1\tZ\np9\tZ\n")
    write(one(labels={}), "x.npz")
    write(one(labels={}), "x.vcf")
    assert read("x.npz", **options).equals(read("x.vcf", **options))


def test_a_panel_takes_the_place_of_the_labels(tmp_path):
    write(one(labels={"pop": ["A", "B"], "gender": ["f", "m"]}), tmp_path / "x.npz")
    (tmp_path / "people.tsv").write_text("sample\tpop\np1\tZ\np0\tY\n")
    got = read(tmp_path / "x.npz", tmp_path / "people.tsv")
    assert {name: values.tolist() for name, values in got.labels.items()} == {"pop": ["Y", "Z"]}


def test_policies_of_haploid_calls_half_calls_and_duplicates(tmp_path):
    haploid = one(calls=one().calls[:, :, :1])
    write(haploid, tmp_path / "h.npz")
    assert read(tmp_path / "h.npz").equals(haploid)
    doubled = read(tmp_path / "h.npz", haploid="diploid")
    assert doubled.calls.tolist() == [[[0, 0], [1, 1]], [[1, 1], [-1, -1]], [[0, 0], [0, 0]]]
    half = one().calls.copy()
    half[1, 1, 0] = 1
    write(one(calls=half), tmp_path / "i.npz", force=True)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "i.npz")
    assert str(caught.value) == (
        f"{tmp_path / 'i.npz'}: 6:12 A>G has a half-call of sample p1; half_calls='missing' (--half-calls missing) "
        "accepts it."
    )
    assert read(tmp_path / "i.npz", half_calls="missing").equals(one())
    twice = Variants(["6", "6", "X"], [10, 10, 5], ["a", "a", "."], ["A"] * 3, ["C", "C", "T"])
    write(one(variants=twice), tmp_path / "d.npz", force=True)
    with pytest.raises(DataError, match=r"d\.npz, site 1 \(from 0\): 6:10 A>C occurs a second time, after .*site 0"):
        read(tmp_path / "d.npz")
    assert read(tmp_path / "d.npz", duplicates="drop").variants.id.tolist() == ["a", "."]


# ---- what is refused ------------------------------------------------------------------------------------------------


def changed(tmp_path, **changes):
    """Write the arrays of `one` by numpy, some of them replaced, or left out for None."""
    write(one(), tmp_path / "plain.npz")
    with np.load(tmp_path / "plain.npz") as stored:
        arrays = dict(stored) | changes
    np.savez(tmp_path / "x.npz", **{name: array for name, array in arrays.items() if array is not None})
    return tmp_path / "x.npz"


ARRAYS = (
    "version, calls, samples, contig, position, id, ref, alt, contig_names, contig_lengths, assembly, label_names, "
    "labels, phased"
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alt": None}, f" has no array 'alt'; the arrays of genotypes are {ARRAYS}."),
        ({"version": np.int64(2)}, " is of version 2; this pgcgan reads version 1."),
        ({"version": np.array(["1"])}, " is of version ['1']; this pgcgan reads version 1."),
        (
            {"calls": np.zeros((3, 2))},
            ": the array 'calls' is of the type float64; needed: whole numbers.",
        ),
        (
            {"calls": np.zeros((3, 2), dtype=np.int8)},
            ": the array 'calls' has the shape (3, 2); needed: (variants, samples, ploidy).",
        ),
        ({"samples": np.array(["a"])}, ": the array 'samples' has 1 samples, 'calls' has 2."),
        ({"ref": np.array(["A", "A"])}, ": the array 'ref' has 2 variants, 'calls' has 3."),
        ({"labels": np.array([["A"]])}, ": the array 'labels' has 1 samples, 'calls' has 2."),
        ({"label_names": np.array([], dtype="U1")}, ": the array 'labels' has 1 labels, 'label_names' has 0."),
        ({"id": np.arange(3)}, ": the array 'id' is of the type int64; needed: text."),
        ({"phased": np.array(1)}, ": the array 'phased' is of the type int64; needed: bool."),
        ({"position": np.array([10, -12, 5])}, ": Variant 1 has the position -12; positions start at 1."),
        ({"samples": np.array(["a", "a"])}, ": Sample names occur more than once: a."),
        (
            {"calls": np.full((3, 2, 2), 2)},
            ": Call [2, 2] of sample p0 at 6:10 A>C is not made of 0 (ref), 1 (alt) and -1 (missing); split "
            "multi-allelic records first.",
        ),
        (
            {"calls": np.zeros((3, 2, 3), dtype=np.int8)},
            ": Ploidy 3 is not supported; accepted: 1 (haploid), 2 (diploid).",
        ),
        (
            {"position": np.array([12, 10, 5])},
            ", site 1 (from 0): 6:10 A>G comes after 6:12 A>C: positions go back; sort the sites of all arrays.",
        ),
    ],
)  # fmt: skip
def test_arrays_that_do_not_make_genotypes(tmp_path, changes, message):
    path = changed(tmp_path, **changes)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == f"{path}{message}"


class Opened:
    """Does what a pickle should never get to do."""

    def __reduce__(self):
        return os.mkdir, ("opened",)


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = changed(tmp_path, samples=np.array([Opened(), "p1"], dtype=object))
    with pytest.raises(DataError, match=r"x\.npz is not a \.npz file of plain arrays, or is damaged: Object arrays"):
        read(path)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("content", [b"", b"##fileformat=VCFv4.2\n", b"PK\x03\x04 and no more", "cut", "bit", "npy"])
def test_files_that_are_none_or_damaged(tmp_path, content):
    path = tmp_path / "x.npz"
    write(one(), path)
    whole = path.read_bytes()
    if content == "cut":
        content = whole[: len(whole) // 2]
    elif content == "bit":
        at = whole.index(b"calls.npy") + 60
        content = whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
    elif content == "npy":
        np.save(tmp_path / "y.npy", np.zeros(3))
        content = (tmp_path / "y.npy").read_bytes()
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} is not a .npz file"):
        read(path)


def test_no_file_and_names_that_numpy_would_change(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path / "x.npz")
    assert str(caught.value) == f"There is no file {tmp_path / 'x.npz'}."
    with pytest.raises(DataError) as caught:
        write(one(samples=["p0", "p1\0"]), tmp_path / "x.npz")
    assert "'p1\\x00'" in str(caught.value) and "numpy drops" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_without_force(tmp_path):
    (tmp_path / "x.npz").write_text("mine")
    with pytest.raises(UsageError, match=r"x\.npz exists; force=True \(--force\) replaces it"):
        write(one(), tmp_path / "x.npz")
    assert (tmp_path / "x.npz").read_text() == "mine"
    write(one(), tmp_path / "x.npz", force=True)
    assert read(tmp_path / "x.npz").equals(one())
