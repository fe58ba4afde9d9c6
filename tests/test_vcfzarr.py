"""Reading and writing VCF Zarr, against bio2zarr, vcztools, zarr and the VCF reader on the same data."""

from __future__ import annotations

import gzip
import json
import mmap
import os
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import bio2zarr.vcf
import bio2zarr.vcz
import bio2zarr.vcz_verification
import numpy as np
import pysam
import pytest
import zarr
from click.testing import CliRunner
from handmade import small
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vcztools.cli import vcztools_main

from pgcgan import Genotypes, Variants, cli, read, write
from pgcgan.errors import DataError, MissingExtra, UsageError
from pgcgan.io import scratch, vcfzarr

HEAD = """##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##FILTER=<ID=q10,Description="low">
##reference=GRCh37
##contig=<ID=6,length=1000>
##contig=<ID=X>
##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">
"""
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
VCF = """6 10 rs1 A C 0|1 1|0 .|. 1|1
6 11 . A C 0|0 0|0 0|0 0|1
6 11 x A G 0|1 0|1 1|0 0|1
6 30 rs3 AT A .|. .|. .|. .|.
6 400 rs4 G <DEL> 1|1 1|1 0|1 1|1
X 5 . T C 0|0 0|1 0|0 0|0
"""


def vcf_file(folder: Path, records: str, samples: str = "a b c d") -> Path:
    """Return an indexed VCF of some records."""
    plain = folder / "in.vcf"
    rows = [line.split() for line in records.strip().splitlines()]
    lines = ["\t".join([*row[:5], ".", ".", ".", "GT", *row[5:]]) for row in rows]
    plain.write_text(HEAD + "\t".join([COLUMNS, *samples.split()]) + "\n" + "\n".join(lines) + "\n")
    pysam.tabix_compress(str(plain), f"{plain}.gz", force=True)
    pysam.tabix_index(f"{plain}.gz", preset="vcf", force=True)
    return folder / "in.vcf.gz"


def bio2zarr_of(source: Path, target: Path, **options: object) -> Path:
    """Return the VCF Zarr that bio2zarr makes of a VCF."""
    bio2zarr.vcf.convert([str(source)], str(target), **options)
    return target


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def in_chunks(monkeypatch):
    """Write chunks of three variants and four people, so that small data have several of each."""
    monkeypatch.setattr(vcfzarr, "_VARIANTS", 3)
    monkeypatch.setattr(vcfzarr, "_SAMPLES", 4)


# ---- round trips --------------------------------------------------------------------------------------------------

# "." is a VCF's word for none
words = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters=","), min_size=1, max_size=6)
words = words.filter(lambda word: word != ".")


@st.composite
def cohorts(draw):
    v, n, ploidy = draw(st.integers(1, 12)), draw(st.integers(1, 9)), draw(st.sampled_from([1, 2, 2]))
    pairs = st.sampled_from([(0, 0), (0, 1), (1, 0), (1, 1), (-1, -1)])
    calls = np.array(draw(st.lists(pairs, min_size=v * n, max_size=v * n)), dtype=np.int8).reshape(v, n, 2)[
        ..., :ploidy
    ]
    position = np.sort(draw(st.lists(st.integers(1, 2**33), min_size=v, max_size=v, unique=True)))
    contigs = sorted(draw(st.lists(st.sampled_from(["1", "chr2", "6", "HLA:A*01"]), min_size=v, max_size=v)))
    order = np.lexsort((position, contigs))
    ids, refs, alts = (draw(st.lists(w, min_size=v, max_size=v)) for w in (words | st.just("."), words, words))
    lengths = {c: draw(st.none() | st.integers(1, 2**40)) for c in ["empty", *dict.fromkeys(contigs)]}
    samples = draw(st.lists(words, min_size=n, max_size=n, unique=True))
    names = draw(st.lists(st.sampled_from(["pop", "super_pop", "ids", "a-b", "Größe"]), unique=True, max_size=3))
    labels = {name: draw(st.lists(words, min_size=n, max_size=n)) for name in names}
    phased = ploidy == 1 or draw(st.booleans())
    sites = Variants(
        np.array(contigs, dtype=object)[order], position[order], ids, refs, alts, lengths, draw(st.none() | words)
    )
    return Genotypes(calls if phased else np.sort(calls, axis=2), sites, samples, labels, phased)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=24)
@given(people=cohorts(), suffix=st.sampled_from([".vcz", ".zarr.zip"]))
def test_a_round_trip_keeps_everything_and_zarr_reads_the_same(tmp_path, in_chunks, people, suffix):
    path = tmp_path / f"a{suffix}"
    write(people, path, force=True)
    got = read(path)
    assert got.equals(people)
    assert got.variants.contig_lengths == people.variants.contig_lengths
    assert got.variants.assembly == people.variants.assembly
    root = zarr.open_group(zarr.storage.ZipStore(path, mode="r") if suffix.endswith("zip") else path, mode="r")
    assert np.array_equal(root["call_genotype"][:], people.calls)
    assert np.array_equal(root["call_genotype_mask"][:], people.calls < 0)
    assert (root["call_genotype_phased"][:] == people.phased).all()
    assert root["sample_id"][:].tolist() == people.samples.tolist()
    root.store.close()


def test_labels_without_a_word_for_a_name_are_in_the_panel_only(tmp_path):
    people = small([[[0, 1], [1, 0]]], labels={"id": ["x", "y"], "a b": ["1", "2"], "pop": ["p", "q q"]})
    write(people, tmp_path / "a.vcz")
    assert set(read(tmp_path / "a.vcz").labels) == {"pop"}
    assert read(tmp_path / "a.vcz", tmp_path / "a.panel.tsv").equals(people)


def test_labels_of_others_are_taken_where_they_are_words_for_everybody(tmp_path):
    write(small([[[0, 1], [1, 0]]]), tmp_path / "a.vcz")
    root = zarr.open_group(tmp_path / "a.vcz", mode="r+")
    for name, values in {"fixed": np.array(["u", "v"]), "some": np.array(["u", ""]), "age": np.array([3, 4])}.items():
        root.create_array(f"sample_{name}", data=values)
    root.create_array("sample_two", data=np.array([["a", "b"], ["c", "d"]]))
    assert {k: v.tolist() for k, v in read(tmp_path / "a.vcz", samples=["s1"]).labels.items()} == {"fixed": ["v"]}


def test_the_same_people_give_the_same_bytes(tmp_path, cohort):
    for name in ("a", "b"):
        write(cohort, tmp_path / f"{name}.vcz", command="pgcgan generate", seed=3)
        write(cohort, tmp_path / f"{name}.vcz.zip", command="pgcgan generate", seed=3)
    assert tree(tmp_path / "a.vcz") == tree(tmp_path / "b.vcz")
    assert (tmp_path / "a.vcz.zip").read_bytes() == (tmp_path / "b.vcz.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.vcz.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == tree(tmp_path / "a.vcz")


# ---- what bio2zarr writes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("separator", "|/")
def test_what_bio2zarr_makes_of_a_vcf_is_read_as_the_vcf(tmp_path, separator, zarr_format):
    source = vcf_file(tmp_path, VCF.replace("|", separator))
    made = bio2zarr_of(source, tmp_path / "b.vcz", zarr_format=zarr_format, variants_chunk_size=2, samples_chunk_size=3)
    assert read(made).equals(read(source))
    assert read(made).variants.contig_lengths == {"6": 1000, "X": None}
    assert read(made).variants.assembly == "GRCh37"
    shutil.make_archive(str(tmp_path / "b.vcz"), "zip", made)
    assert read(tmp_path / "b.vcz.zip").equals(read(source))


def test_what_bio2zarr_makes_of_people_that_we_wrote_is_the_same(tmp_path, cohort):
    write(cohort, tmp_path / "a.vcf.gz")
    made = bio2zarr_of(tmp_path / "a.vcf.gz", tmp_path / "b.zarr", variants_chunk_size=100, samples_chunk_size=40)
    assert read(made, tmp_path / "a.panel.tsv").equals(cohort)


ODD = {
    "several ALT alleles": (
        "6 10 . A C,G,<DEL> 0|2 1|0 3|3 .|.\n6 11 . A C 0|0 0|1 0|0 1|1",
        {"multiallelic": "split"},
    ),
    "those dropped": ("6 10 . A C,G 0|2 1|0 0|0 .|.\n6 11 . A C 0|0 0|1 0|0 1|1", {"multiallelic": "drop"}),
    "half-calls": ("6 10 . A C 0|. .|1 0|1 .|.", {"half_calls": "missing"}),
    "haploid men": ("X 10 . A C 0|1 1 0 .", {"haploid": "diploid"}),
    "haploid people": ("X 10 . A C 1 0 1 0\nX 11 . A C . 0 1 1", {}),
    "duplicates": ("6 10 . A C 0|1 0|0 0|1 1|1\n6 10 b A C 1|1 0|0 0|0 0|0", {"duplicates": "drop"}),
    "mixed phase": ("6 10 . A C 0|1 1/0 0/1 1|1\n6 11 . A C 1/0 0|0 0/0 0|0", {"unphased": True}),
    "phase of homozygous calls only": ("6 10 . A C 0|0 1/1 0|0 1|1", {}),
    "no ALT allele": ("6 10 . A . 0|0 .|. 0|0 0|0", {}),
    "ten alleles": ("6 10 . A C,G,T,AA,AC,AG,AT,CC,CG,CT 0|10 9|0 0|0 .|.", {"multiallelic": "split"}),
}


@pytest.mark.parametrize("records, options", ODD.values(), ids=ODD)
def test_odd_records_are_read_as_those_of_the_vcf(tmp_path, records, options):
    source = vcf_file(tmp_path, records)
    with zarr.config.set({"array.write_empty_chunks": True}):
        made = bio2zarr_of(source, tmp_path / "b.vcz")
    assert read(made, **options).equals(read(source, **options))
    texts = []
    for path in (source, made):
        try:
            texts.append(repr(read(path)))
        except DataError as error:
            texts.append(str(error).replace(str(path), "FILE"))
    assert texts[0] == texts[1]


def test_allele_numbers_of_more_than_a_byte(tmp_path):
    alts = ",".join("C" * i for i in range(1, 141))
    source = vcf_file(tmp_path, f"6 10 . A {alts} 0|140 139|0 0|0 .|.\n6 11 . A C 0|0 0|1 0|0 1|1")
    made = bio2zarr_of(source, tmp_path / "b.vcz")
    assert zarr.open_group(made, mode="r")["call_genotype"].dtype == np.int16
    assert read(made, multiallelic="split").equals(read(source, multiallelic="split"))


def test_order_is_checked_as_in_a_vcf(tmp_path):
    write(small([[[0, 1]], [[1, 1]]]), tmp_path / "a.vcz")
    zarr.open_group(tmp_path / "a.vcz", mode="r+")["variant_position"][:] = [11, 10]
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.vcz")
    assert str(caught.value) == (
        f"{tmp_path}/a.vcz: record 6:10 A>C comes after 6:11 A>C: positions go back; "
        "sort the file with `bcftools sort`."
    )


def test_a_person_taken_out_is_passed_over(tmp_path):
    people = small([[[0, 1], [1, 0], [1, 1]]], labels={"pop": ["x", "y", "z"]})
    write(people, tmp_path / "a.vcz")
    zarr.open_group(tmp_path / "a.vcz", mode="r+")["sample_id"][1] = ""
    assert read(tmp_path / "a.vcz").equals(people.select(samples=["s0", "s2"]))


# ---- parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"region": "6"},
        {"region": "X"},
        {"region": "6:11-30"},
        {"region": "6:12-"},
        {"region": "6:400"},
        {"samples": ["d", "a"]},
        {"samples": ["b", "d"], "region": "6:11-11"},
        {"samples": ["c", "b", "a"], "min_maf": 0.2},
        {"min_maf": 0.3},
        {"unphased": True},
    ],
)
def test_parts_are_those_of_the_vcf(tmp_path, options):
    source = vcf_file(tmp_path, VCF)
    made = bio2zarr_of(source, tmp_path / "b.vcz", variants_chunk_size=2, samples_chunk_size=3)
    assert read(made, **options).equals(read(source, **options))


@pytest.mark.parametrize("options", [{"region": "8"}, {"region": "6:12-29"}, {"region": "6:5-2"}, {"samples": ["z"]}])
def test_parts_that_are_not_there_are_refused_as_in_a_vcf(tmp_path, options):
    source = vcf_file(tmp_path, VCF)
    texts = []
    for path in (source, bio2zarr_of(source, tmp_path / "b.vcz")):
        with pytest.raises(DataError) as caught:
            read(path, **options)
        texts.append(str(caught.value).replace(str(path), "FILE"))
    assert texts[0] == texts[1]


def test_only_the_chunks_of_the_region_and_the_people_are_read(tmp_path, cohort, in_chunks):
    people = cohort.select(sites=slice(0, 20), samples=np.arange(10))
    write(people, tmp_path / "a.vcz")
    chunks = {p.name for p in (tmp_path / "a.vcz" / "call_genotype").glob("[0-9]*")}
    assert chunks == {f"{i}.{j}.0" for i in range(7) for j in range(3)}
    for name in ("call_genotype", "call_genotype_phased"):
        for path in (tmp_path / "a.vcz" / name).glob("[0-9]*"):
            if not path.name.startswith(("1.0", "1.2", "2.0", "2.2")):
                path.unlink()
    contig, position = people.variants.contig[0], people.variants.position
    wanted = people.samples[[9, 2, 0]]
    got = read(tmp_path / "a.vcz", samples=wanted, region=f"{contig}:{position[4]}-{position[7]}")
    assert got.equals(people.select(samples=wanted, sites=slice(4, 8)))
    with pytest.raises(DataError, match="the chunk 1.1.0 of the array call_genotype is not there; fetch"):
        read(tmp_path / "a.vcz", samples=people.samples[[5]], region=f"{contig}:{position[4]}")


# ---- what others read ---------------------------------------------------------------------------------------------


def vcztools(*arguments: object) -> bytes:
    """Run vcztools; what it writes."""
    made = CliRunner().invoke(vcztools_main, [str(a) for a in arguments], catch_exceptions=False)
    assert (made.exit_code, made.stderr) == (0, "")
    return made.stdout_bytes


def bcftools(*arguments: object) -> bytes:
    return subprocess.run(["bcftools", *map(str, arguments)], capture_output=True, check=True).stdout


@pytest.fixture
def odd_people(cohort):
    """Return people at two contigs, with missing calls, names, an allele without a name and no length of a contig."""
    part = cohort.select(sites=slice(0, 40), samples=np.arange(11))
    v = part.variants
    sites = Variants(
        ["6"] * 30 + ["X"] * 10,
        v.position,
        [f"rs{i}" if i % 3 else "." for i in range(40)],
        ["AT" if i == 4 else r for i, r in enumerate(v.ref)],
        ["<DEL>" if i == 7 else "." if i == 9 else a for i, a in enumerate(v.alt)],
        {"6": 10_000_000, "7": 5, "X": 20_000_000},
        "GRCh38",
    )
    calls = np.where(np.random.default_rng(1).random((40, 11, 1)) < 0.1, -1, part.calls)
    calls[9] = np.minimum(calls[9], 0)
    return Genotypes(calls, sites, part.samples, part.labels)


@pytest.mark.oracle
@pytest.mark.parametrize("kind, suffix", [("phased", ".vcz"), ("unphased", ".vcz.zip"), ("haploid", ".vcz")])
def test_vcztools_writes_the_vcf_that_we_write(tmp_path, monkeypatch, odd_people, suffix, kind):
    monkeypatch.setattr(vcfzarr, "_VARIANTS", 10)
    monkeypatch.setattr(vcfzarr, "_SAMPLES", 6)
    people = odd_people
    if kind == "unphased":
        people = people.without_phase()
    if kind == "haploid":
        people = Genotypes(people.calls[..., :1], people.variants, people.samples)
    made = tmp_path / f"a{suffix}"
    write(people, made, command="pgcgan  generate m", seed=5)
    write(people, tmp_path / "a.vcf.gz", command="pgcgan  generate m", seed=5, force=True)
    vcztools("view", made, "-o", tmp_path / "b.vcf")
    assert bcftools("view", "-H", tmp_path / "b.vcf") == bcftools("view", "-H", tmp_path / "a.vcf.gz")
    header = set(bcftools("view", "-h", "--no-version", tmp_path / "b.vcf").decode().splitlines())
    ours = set(bcftools("view", "-h", "--no-version", tmp_path / "a.vcf.gz").decode().splitlines())
    contigs = {line for line in ours if line.startswith("##contig")}
    assert ours - header - contigs == {"##fileformat=VCFv4.2"}
    assert {line.replace(",assembly=GRCh38", "") for line in contigs} <= header
    assert "##reference=GRCh38" in header
    assert read(tmp_path / "b.vcf").variants.assembly == "GRCh38"
    # by the index of regions, and some people
    first, last = people.variants.position[[5, 33]]
    names = ",".join(people.samples[[8, 1]])
    for region in (f"6:{first}-{last}", "X", f"6:{first}-{first}"):
        part = [line for line in vcztools("view", "-H", "-I", "-r", region, "-s", names, made).splitlines()]
        assert part == bcftools("view", "-H", "-I", "-r", region, "-s", names, tmp_path / "a.vcf.gz").splitlines()
        assert part


def test_bio2zarr_finds_our_arrays_to_be_those_of_the_vcf(tmp_path, in_chunks, odd_people):
    write(odd_people, tmp_path / "a.vcz")
    write(odd_people, tmp_path / "a.vcf.gz", force=True)
    bio2zarr.vcz_verification.verify(str(tmp_path / "a.vcf.gz"), str(tmp_path / "a.vcz"))
    theirs = bio2zarr_of(tmp_path / "a.vcf.gz", tmp_path / "b.vcz", variants_chunk_size=3, samples_chunk_size=4)
    a, b = (zarr.open_group(path, mode="r") for path in (tmp_path / "a.vcz", theirs))
    assert set(b.array_keys()) == {
        name for name in a.array_keys() if not name.startswith("sample_") or name == "sample_id"
    }
    for name, array in b.arrays():
        ours = a[name]
        assert ours.attrs["_ARRAY_DIMENSIONS"] == array.attrs["_ARRAY_DIMENSIONS"], name
        assert ours.chunks == array.chunks, name
        bits = "u4" if name == "variant_quality" else None
        assert np.array_equal(ours[:].view(bits) if bits else ours[:], array[:].view(bits) if bits else array[:]), name
    assert (a["variant_quality"][:].view("u4") == 0x7F800001).all()
    assert len(bio2zarr.vcz.VcfZarr(tmp_path / "a.vcz").summary_table()) == len(list(a.arrays()))


def test_how_it_was_made_is_kept(tmp_path):
    write(small([[[0, 1]]]), tmp_path / "a.zarr", command="pgcgan  generate m", seed=5)
    attributes = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())
    assert attributes["source"].startswith("pgcgan ")
    assert attributes["vcf_meta_information"] == [["pgcganCommand", "pgcgan generate m"], ["pgcganSeed", "5"]]


# ---- chunks that are not there ------------------------------------------------------------------------------------


def test_chunks_of_zeros_that_bio2zarr_leaves_out(tmp_path):
    source = vcf_file(tmp_path, "6 10 . A C 0/1 0/0 0/0 0/0\n6 11 . A C 0/0 0/0 0/0 0/0\nX 3 . A C 1/1 0/0 0/0 0/0")
    made = bio2zarr_of(source, tmp_path / "b.vcz", variants_chunk_size=1)
    there = {p.parent.name + "/" + p.name for p in made.glob("*/[0-9]*")}
    assert "call_genotype/0.0.0" in there
    assert "call_genotype/1.0.0" not in there
    assert "variant_contig/0" not in there  # the first contig is number 0
    assert "call_genotype_phased/0.0" not in there
    with pytest.raises(DataError) as caught:
        read(made)
    assert str(caught.value) == (
        f"{made}: the chunk 1.0.0 of the array call_genotype is not there: it is lost, or its writer left it out "
        "because nobody in it has an ALT allele or a missing call. Fetch the file again, or make it again with the "
        "environment variable ZARR_ARRAY__WRITE_EMPTY_CHUNKS=True; `vcztools view` writes such calls as REF."
    )
    assert read(made, region="X").equals(read(source, region="X"))
    # the two ways out
    (tmp_path / "b.vcf").write_bytes(vcztools("view", made))
    assert read(tmp_path / "b.vcf").equals(read(source))
    again = [sys.executable, "-m", "bio2zarr", "vcf2zarr", "convert", "-Q", source, tmp_path / "c.vcz", "-l", "1"]
    subprocess.run(again, check=True, env={**os.environ, "ZARR_ARRAY__WRITE_EMPTY_CHUNKS": "True"})
    assert read(tmp_path / "c.vcz").equals(read(source))


def test_a_lost_chunk_of_contigs_is_told_from_one_left_out_by_the_index(tmp_path):
    source = vcf_file(tmp_path, "6 10 . A C 0|1 0|1 0|0 0|0\nX 13 . A C 1|1 0|1 0|0 0|0")
    made = bio2zarr_of(source, tmp_path / "b.vcz", variants_chunk_size=1)
    assert [p.name for p in (made / "variant_contig").glob("[0-9]")] == ["1"]
    assert read(made).equals(read(source))
    (made / "variant_contig" / "1").unlink()
    with pytest.raises(DataError) as caught:
        read(made)
    assert str(caught.value) == f"{made}: the chunk 1 of the array variant_contig is not there; fetch the file again."


@pytest.mark.parametrize(
    "array", ["call_genotype", "call_genotype_phased", "variant_contig", "variant_allele", "sample_id"]
)
def test_no_chunk_of_ours_may_be_lost(tmp_path, in_chunks, array):
    write(small(np.zeros((5, 6, 2)), phased=False), tmp_path / "a.vcz")
    chunk = sorted((tmp_path / "a.vcz" / array).glob("[0-9]*"))[-1]
    chunk.unlink()
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.vcz")
    assert (
        str(caught.value)
        == f"{tmp_path}/a.vcz: the chunk {chunk.name} of the array {array} is not there; fetch the file again."
    )


@pytest.mark.parametrize("length", [0, 10, 20, -1])
def test_a_chunk_that_is_cut_off(tmp_path, length):
    write(small(np.random.default_rng(1).integers(0, 2, (50, 20, 2))), tmp_path / "a.vcz")
    chunk = tmp_path / "a.vcz" / "call_genotype" / "0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:length])
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.vcz")
    assert str(caught.value).startswith(f"{tmp_path}/a.vcz: call_genotype/0.0.0 is truncated or damaged")


@pytest.mark.parametrize("packed", ["gzip", "zstd", "blosc", "none"])
def test_shards_of_chunks_are_read_and_what_inflates_in_them_is_refused(tmp_path, packed):
    people = small(np.random.default_rng(1).integers(0, 2, (50, 20, 2)))
    write(people, tmp_path / "a.vcz")
    codecs = zarr.codecs
    packers = {"gzip": codecs.GzipCodec(), "zstd": codecs.ZstdCodec(), "blosc": codecs.BloscCodec(), "none": None}
    old = zarr.open_group(tmp_path / "a.vcz", mode="r")
    new = zarr.open_group(tmp_path / "b.vcz", mode="w", zarr_format=3)
    new.attrs.update(dict(old.attrs))
    for name, array in old.arrays():
        shards = (60, 20, 2) if name == "call_genotype" else None
        chunks = (10, 10, 2) if shards else array.chunks
        config = {"write_empty_chunks": True}
        new.create_array(
            name, data=array[...], chunks=chunks, shards=shards, compressors=packers[packed], config=config
        )
    assert read(tmp_path / "b.vcz").equals(people)
    shard = tmp_path / "b.vcz" / "call_genotype" / "c" / "0" / "0" / "0"
    index = np.frombuffer(shard.read_bytes()[-4 - 16 * 12 : -4], dtype="<u8").copy()
    bomb = gzip.compress(bytes(1 << 22)) if packed == "gzip" else b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 40
    if packed in ("gzip", "zstd"):
        index[0], index[1] = 0, len(bomb)
        stored = bomb + index.tobytes()
        shard.write_bytes(stored + bytes(4))
        with pytest.raises(DataError, match=r"call_genotype/c/0/0/0 .*it inflates to more than 200 bytes"):
            read(tmp_path / "b.vcz")


# ---- files that are refused ---------------------------------------------------------------------------------------


def rewrite(name: str, **changes: object):
    """Return a function that puts an array of other values or another shape in the place of one."""

    def change(path: Path) -> None:
        root = zarr.open_group(path, mode="r+")
        del root[name]
        root.create_array(name, config={"write_empty_chunks": True}, **changes)

    return change


def metadata(name: str, old: str, new: str):
    def change(path: Path) -> None:
        file = path / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def take_out(name: str):
    return lambda path: shutil.rmtree(path / name)


REFUSED = {
    "no call_genotype": (
        take_out("call_genotype"),
        "FILE has no array call_genotype; a VCF Zarr of genotypes, as bio2zarr makes one, has it.",
    ),
    "no alleles": (
        take_out("variant_allele"),
        "FILE has no array variant_allele; a VCF Zarr of genotypes, as bio2zarr makes one, has it.",
    ),
    "no metadata of the group": (
        lambda path: (path / ".zgroup").unlink(),
        "FILE is not a VCF Zarr, or its metadata are damaged: No group found in store 'FILE' at path ''.",
    ),
    "metadata of an array cut off": (
        lambda path: (path / "call_genotype" / ".zarray").write_text('{"shape": [2'),
        "FILE: the metadata of the array call_genotype are damaged: "
        "Expecting ',' delimiter: line 1 column 13 (char 12).",
    ),
    "metadata of an array lost": (
        lambda path: (path / "call_genotype_phased" / ".zarray").unlink(),
        "FILE: the array call_genotype_phased has no metadata (.zarray); fetch the file again.",
    ),
    "a chunk of another shape": (
        metadata("call_genotype/.zarray", '"chunks": [\n    2,\n    3', '"chunks": [\n    2,\n    4'),
        "FILE: call_genotype/0.0.0 is truncated or damaged: it inflates to 12 bytes instead of 16; fetch the file "
        "again.",
    ),
    "fewer people in the calls": (
        rewrite("call_genotype", data=np.zeros((2, 2, 2), dtype=np.int8)),
        "FILE: the array call_genotype has the shape (2, 2, 2); needed: (2, 3, any).",
    ),
    "more people in the separators": (
        rewrite("call_genotype_phased", data=np.ones((2, 4), dtype=bool)),
        "FILE: the array call_genotype_phased has the shape (2, 4); needed: (2, 3).",
    ),
    "more alleles than records": (
        rewrite("variant_allele", data=np.array([["A", "C"]] * 3)),
        "FILE: the array variant_allele has the shape (3, 2); needed: (2, any).",
    ),
    "calls of floats": (
        rewrite("call_genotype", data=np.zeros((2, 3, 2))),
        "FILE: the array call_genotype is of the type float64; needed: whole numbers.",
    ),
    "four haplotypes": (
        rewrite("call_genotype", data=np.ones((2, 3, 4), dtype=np.int8)),
        "FILE: call_genotype is of ploidy 4; accepted: 1 and 2.",
    ),
    "an allele that is not there": (
        rewrite("call_genotype", data=np.full((2, 3, 2), 2, dtype=np.int8)),
        "FILE: record 6:10 A>C has no allele 2, with which sample s0 is called.",
    ),
    "a number that means nothing": (
        rewrite("call_genotype", data=np.array([[[0, 0], [0, -5], [0, 0]]] * 2, dtype=np.int8)),
        "FILE: record 6:10 A>C has the allele number -5 of sample s1; accepted: -1 (missing), -2 (no second allele), "
        "0 (REF) and up.",
    ),
    "a contig that is not there": (
        rewrite("variant_contig", data=np.array([0, 3], dtype=np.int8)),
        "FILE: record 1 (from 0) is on the contig number 3; contig_id lists 1.",
    ),
    "an allele without a name": (
        rewrite("variant_allele", data=np.array([["A", "", "C"], ["A", "C", ""]])),
        "FILE: record 0 (from 0), 6:10 A>C, has an allele without a name.",
    ),
    "nobody": (
        rewrite("sample_id", data=np.array(["", "", ""])),
        "FILE has no samples: it lists sites only; genotypes of people are needed.",
    ),
    "somebody twice": (
        rewrite("sample_id", data=np.array(["a", "b", "a"])),
        "FILE names samples more than once in sample_id: a.",
    ),
    "a pickled array": (
        metadata("sample_id/.zarray", '"id": "vlen-utf8"\n    }', '"id": "vlen-utf8"}, {"id": "pickle"}'),
        "FILE: the array sample_id is pickled, which would run what it holds; not read.",
    ),
}


@pytest.mark.parametrize("change, message", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path, capfd, change, message):
    path = tmp_path / "a.vcz"
    write(small([[[0, 1], [1, 0], [0, 0]], [[1, 1], [0, 0], [0, 0]]]), path)
    change(path)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).replace(str(path), "FILE") == message
    assert capfd.readouterr() == ("", "")


def test_what_is_no_zarr(tmp_path):
    for name in ("none.vcz", "none.zarr.zip"):
        with pytest.raises(DataError) as caught:
            read(tmp_path / name)
        assert str(caught.value) == f"There is no VCF Zarr {tmp_path}/{name}."
    for name in ("a.vcz", "a.vcz.zip"):
        (tmp_path / name).write_text("hello")
        with pytest.raises(DataError, match=f"{name} is not a VCF Zarr, or its metadata are damaged: "):
            read(tmp_path / name)
    write(small([[[0, 1]]]), tmp_path / "b.vcz.zip")
    whole = (tmp_path / "b.vcz.zip").read_bytes()
    (tmp_path / "b.vcz.zip").write_bytes(whole[:-30])
    with pytest.raises(DataError, match="b.vcz.zip is not a VCF Zarr, or its metadata are damaged: File is not a zip"):
        read(tmp_path / "b.vcz.zip")


@pytest.mark.parametrize("purpose", ["Reading", "Writing"])
def test_without_the_extra(tmp_path, monkeypatch, purpose):
    write(small([[[0, 1]]]), tmp_path / "a.vcz")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtra) as caught:
        read(tmp_path / "a.vcz") if purpose == "Reading" else write(small([[[0, 1]]]), tmp_path / "b.vcz")
    assert str(caught.value) == (
        f"{purpose} VCF Zarr files needs 'zarr', which is not installed: pip install 'pgcgan[zarr]'"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.vcz"]


# ---- how it is written --------------------------------------------------------------------------------------------


class Streamed:
    """People whose calls come in blocks of variants; what is asked for is noted."""

    def __init__(self, like: Genotypes, n_variants: int):
        self.n_variants, self.n_samples, self.ploidy = n_variants, like.n_samples, like.ploidy
        self.phased, self.samples, self.labels = like.phased, like.samples, like.labels
        row = like.variants.select([0] * n_variants)
        self.variants = replace(row, position=np.arange(1, n_variants + 1))
        self.asked: list[slice] = []
        self.calls = self

    def __getitem__(self, block: slice) -> np.ndarray:
        assert isinstance(block, slice)
        self.asked.append(block)
        return np.full((block.stop - block.start, self.n_samples, 2), block.start // 100 % 2, dtype=np.int8)


def test_writing_takes_one_row_of_chunks_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(vcfzarr, "_VARIANTS", 100)
    write(small([[[0, 1]]]), tmp_path / "warm.vcz")
    people = Streamed(small(np.zeros((1, 2000, 2))), 5000)
    tracemalloc.start()
    vcfzarr.write_vcfzarr(people, str(tmp_path / "a.vcz"), force=False, command=None, seed=None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(b.start, b.stop) for b in people.asked] == [(i, i + 100) for i in range(0, 5000, 100)]
    row = 100 * 2000 * 2
    assert peak < 10 * row < 5000 * 2000 * 2 / 4, peak / row
    assert zarr.open_group(tmp_path / "a.vcz", mode="r")["call_genotype"][:, 0, 0].tolist() == [
        i // 100 % 2 for i in range(5000)
    ]


def test_people_in_parts_are_written_as_one(tmp_path, in_chunks, odd_people):
    parts = [odd_people.select(samples=part) for part in (np.arange(3), np.arange(3, 11))]
    write(iter(parts), f"{tmp_path}/a.vcz/")
    write(odd_people, tmp_path / "b.vcz")
    assert tree(tmp_path / "a.vcz") == tree(tmp_path / "b.vcz")


@pytest.mark.parametrize("options", [{}, {"samples": ["s4", "s1"]}, {"region": "6:12-17"}])
def test_calls_too_large_for_memory_are_read_to_disk(tmp_path, in_chunks, monkeypatch, options):
    calls = np.random.default_rng(1).integers(0, 2, (20, 6, 2))
    calls[9, 2] = -1
    write(small(calls), tmp_path / "a.vcz")
    expected = read(tmp_path / "a.vcz", **options)
    monkeypatch.setattr(scratch, "too_large", lambda size: True)
    got = read(tmp_path / "a.vcz", **options)
    bases = [got.calls]
    while getattr(bases[-1], "base", None) is not None:
        bases.append(bases[-1].base)
    assert isinstance(bases[-1], mmap.mmap)
    assert got.equals(expected)


@pytest.mark.parametrize("policy", [{"multiallelic": "split"}, {"multiallelic": "drop"}])
def test_records_that_are_split_or_dropped_among_plain_ones(tmp_path, policy):
    lines = [f"6 {10 + i} . A {'C,G 0|2 1|0 0|0 1|2' if i in (2, 5) else 'C 0|1 1|0 0|0 1|1'}" for i in range(9)]
    lines[7] = lines[6]
    source = vcf_file(tmp_path, "\n".join(lines))
    made = bio2zarr_of(source, tmp_path / "b.vcz", variants_chunk_size=4)
    options = {**policy, "duplicates": "drop"}
    assert read(made, **options).equals(read(source, **options))
    assert read(made, region="6:16-18", duplicates="drop").equals(read(source, region="6:16-18", duplicates="drop"))


def test_chunks_have_fewer_variants_where_there_are_many_people(tmp_path, monkeypatch):
    monkeypatch.setattr(vcfzarr, "_ROW_BYTES", 60)
    people = small(np.tile([[[0, 1]]], (7, 10, 1)))
    write(people, tmp_path / "a.vcz")
    root = zarr.open_group(tmp_path / "a.vcz", mode="r")
    assert root["call_genotype"].chunks == (3, 10, 2)
    assert {a.chunks[0] for name, a in root.arrays() if name.startswith("variant_")} == {3}
    assert read(tmp_path / "a.vcz").equals(people)


def test_nothing_is_touched_without_force(tmp_path):
    write(small([[[0, 1]]], labels={"pop": ["x"]}), tmp_path / "a.vcz")
    before = tree(tmp_path)
    with pytest.raises(UsageError) as caught:
        write(small([[[1, 1]]]), tmp_path / "a.vcz")
    assert str(caught.value) == f"{tmp_path}/a.vcz exists; force=True (--force) replaces it, or choose another name."
    assert tree(tmp_path) == before


@pytest.mark.parametrize("slash", ["", "/"])
def test_force_replaces_the_whole_folder(tmp_path, slash):
    write(small(np.zeros((4, 1, 2))), tmp_path / "a.vcz")
    (tmp_path / "a.vcz" / "more").write_text("old")
    people = small([[[0, 1]]], labels={"pop": ["x"]})
    assert write(people, f"{tmp_path}/a.vcz{slash}", force=True) == [tmp_path / "a.vcz", tmp_path / "a.panel.tsv"]
    assert sorted(os.listdir(tmp_path)) == ["a.panel.tsv", "a.vcz"]
    assert not (tmp_path / "a.vcz" / "more").exists()
    assert read(f"{tmp_path}/a.vcz{slash}").equals(people)


def test_force_replaces_a_file_but_no_other_folder(tmp_path):
    (tmp_path / "a.vcz").write_text("old")
    write(small([[[0, 1]]]), tmp_path / "a.vcz", force=True)
    assert read(tmp_path / "a.vcz").equals(small([[[0, 1]]]))
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError) as caught:
        write(small([[[0, 1]]]), tmp_path / "b.zarr", force=True)
    assert str(caught.value) == (
        f"{tmp_path}/b.zarr is a folder without .zgroup or zarr.json, which is not an earlier output; remove it, or "
        "choose another name."
    )
    assert tree(tmp_path / "b.zarr") == {"thesis.txt": b"mine"}
    with pytest.raises(UsageError, match="b.vcf cannot be written: Is a directory."):
        (tmp_path / "b.vcf").mkdir()
        write(small([[[0, 1]]]), tmp_path / "b.vcf", force=True)


def test_a_failure_leaves_what_was_there(tmp_path):
    write(small([[[0, 1]]]), tmp_path / "a.vcz")
    before = tree(tmp_path)
    people = Streamed(small(np.zeros((1, 2, 2))), 2)
    people.calls = None
    with pytest.raises(TypeError):
        vcfzarr.write_vcfzarr(people, str(tmp_path / "a.vcz"), force=True, command=None, seed=None)
    assert tree(tmp_path) == before
    assert os.listdir(tmp_path) == ["a.vcz"]


# ---- the command line ---------------------------------------------------------------------------------------------


def test_the_commands_take_a_zarr(tmp_path, monkeypatch, capsys, cohort):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pgcgan"])
    write(cohort, "in.vcz")

    def run(line: str) -> tuple[str, str]:
        status = cli.main(line.split())
        said = capsys.readouterr()
        assert status == 0, said.err
        return said

    assert f"people: {cohort.n_samples}" in run("info in.vcz/").out
    run("train in.vcz/ --panel in.panel.tsv --model independent -o m")
    run("generate m -n 20 --seed 1 -o out.vcz/")
    run("generate m -n 20 --seed 1 -o out.vcf --force")
    assert read("out.vcz", "out.panel.tsv").equals(read("out.vcf", "out.panel.tsv"))
    assert "AF RMSE" in run("evaluate --real in.vcz --panel in.panel.tsv --synthetic out.vcz/").out
