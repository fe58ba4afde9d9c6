"""PLINK 1 file sets, against bed-reader, plink1.9, plink2 and bcftools on the same files."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import tracemalloc
from pathlib import Path

import bed_reader
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pgcgan
from pgcgan import Genotypes, Variants
from pgcgan.errors import DataError, UsageError
from pgcgan.io import plink1, read, write
from pgcgan.io.ploidy import haploid_people

MISSING = -127  # bed-reader's
PAIRS = {0: (0, 0), 1: (0, 1), 2: (1, 1), MISSING: (-1, -1)}


def pairs(counts):
    """Return the calls of counts of ALT, by a plain loop."""
    return np.array([[PAIRS[c] for c in row] for row in np.asarray(counts).tolist()], dtype=np.int8)


def store(folder, counts, *, bim=None, fam=None, major="SNP"):
    """Write a file set by bed-reader: counts of A1, shape (sites, people), and the lines of the two tables."""
    counts = np.asarray(counts, dtype=np.int8)
    n_sites, n_people = counts.shape
    path = Path(folder) / "x.bed"
    bed_reader.to_bed(path, np.ascontiguousarray(counts.T), major=major, num_threads=1)
    bim = [f"6 s{i} 0 {10 + i} G A" for i in range(n_sites)] if bim is None else bim
    fam = [f"f{i} p{i} 0 0 0 -9" for i in range(n_people)] if fam is None else fam
    path.with_suffix(".bim").write_text("".join("\t".join(line.split(" ")) + "\n" for line in bim))
    path.with_suffix(".fam").write_text("".join(f"{line}\n" for line in fam))
    return path


def cohort_of(counts, *, alt="G", labels=None, phased=False, contig="6"):
    """Return genotypes with these counts of ALT."""
    counts = np.asarray(counts)
    n = len(counts)
    alts = [alt] * n if isinstance(alt, str) else alt
    sites = Variants([contig] * n, np.arange(10, 10 + n), [f"s{i}" for i in range(n)], ["A"] * n, alts)
    return Genotypes(pairs(counts), sites, [f"p{i}" for i in range(counts.shape[1])], labels or {}, phased)


COUNTS = np.random.default_rng(4).choice([0, 1, 2, MISSING], size=(40, 13), p=[0.5, 0.2, 0.2, 0.1])
tables = st.integers(1, 9).flatmap(
    lambda n: st.lists(st.lists(st.sampled_from(list(PAIRS)), min_size=n, max_size=n), min_size=1, max_size=9)
)


# ---- the same answer as bed-reader ----------------------------------------------------------------------------------


@given(counts=tables, major=st.sampled_from(["SNP", "individual"]), block=st.integers(1, 40), data=st.data())
def test_any_table_is_read_as_bed_reader_wrote_it(tmp_path_factory, counts, major, block, data):
    path = store(tmp_path_factory.mktemp("bed"), counts, major=major)
    people = [f"p{i}" for i in range(len(counts[0]))]
    chosen = data.draw(st.lists(st.sampled_from(people), min_size=1, unique=True))
    first = data.draw(st.integers(0, len(counts) - 1))
    last = data.draw(st.integers(first, len(counts) - 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plink1, "_BLOCK", block)
        patch.setattr(plink1, "_IN_CACHE", block)
        whole = read(path)
        part = read(path, samples=chosen, region=f"6:{10 + first}-{10 + last}")
    expected = pairs(counts)
    assert np.array_equal(whole.calls, expected)
    assert (whole.phased, whole.samples.tolist()) == (False, people)
    assert np.array_equal(part.calls, expected[first : last + 1][:, [people.index(s) for s in chosen]])
    assert part.samples.tolist() == chosen
    assert part.variants.position.tolist() == list(range(10 + first, 11 + last))


@given(counts=tables, block=st.integers(1, 40))
def test_any_table_is_written_as_bed_reader_reads_it(tmp_path_factory, counts, block):
    path = tmp_path_factory.mktemp("bed") / "y.bed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plink1, "_BLOCK", block)
        written = write(cohort_of(counts), path)
    assert written == [path, path.with_suffix(".bim"), path.with_suffix(".fam")]
    with bed_reader.open_bed(path) as bed:
        assert np.array_equal(bed.read(dtype="int8").T, counts)
        assert bed.major == "SNP"
        assert bed.iid.tolist() == [f"p{i}" for i in range(len(counts[0]))]
        assert bed.sid.tolist() == [f"s{i}" for i in range(len(counts))]
        assert (set(bed.allele_1), set(bed.allele_2), set(bed.chromosome)) == ({"G"}, {"A"}, {"6"})
        assert bed.bp_position.tolist() == list(range(10, 10 + len(counts)))


names = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=5)
# on Y, MT, 24 and the like nobody is diploid
contigs = names.filter(lambda s: haploid_people(s, True, np.ones(1, dtype=bool)) is None)
alleles = names.filter(lambda s: "," not in s and s not in ("0", "."))


@settings(max_examples=40)
@given(data=st.data(), contig=contigs)
def test_names_of_any_kind_come_back(tmp_path_factory, data, contig):
    n_sites, n_people = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    counts = data.draw(
        st.lists(st.lists(st.sampled_from(list(PAIRS)), min_size=n_people, max_size=n_people), min_size=n_sites,
                 max_size=n_sites)
    )  # fmt: skip
    columns = [data.draw(st.lists(kind, min_size=n_sites, max_size=n_sites)) for kind in (names, alleles, alleles)]
    people = data.draw(st.lists(names.filter(lambda s: s != "0"), min_size=n_people, max_size=n_people, unique=True))
    given_ = Genotypes(pairs(counts), Variants([contig] * n_sites, range(1, n_sites + 1), *columns), people, {}, False)
    path = tmp_path_factory.mktemp("names") / "n.bed"
    write(given_, path)
    assert read(path).equals(given_)


def test_only_the_wanted_calls_are_read(tmp_path, monkeypatch):
    path = store(tmp_path, COUNTS)
    decoded, table = [], plink1._FOUR_CALLS

    class Spy:
        def __getitem__(self, data):
            decoded.append(np.array(data))
            return table[data]

    monkeypatch.setattr(plink1, "_FOUR_CALLS", Spy())
    got = read(path, samples=["p7", "p2"], region="6:13-15", min_maf=0)
    stored = np.fromfile(path, dtype=np.uint8)[3:].reshape(len(COUNTS), -1)
    assert np.array_equal(np.concatenate(decoded), stored[3:6])
    assert np.array_equal(got.calls, pairs(COUNTS[3:6][:, [7, 2]]))


# ---- options, as for VCF --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"region": "6:20-30", "min_maf": 0.2},
        {"region": "6", "samples": ["p4", "p0"]},
        {"panel": "people.tsv", "intersect": True, "min_maf": 0.3},
        {"region": "6:20-", "panel": "people.tsv", "intersect": True, "samples": ["p9", "p3", "p4"]},
    ],
)
def test_the_options_do_what_they_do_for_vcf(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    Path("people.tsv").write_text(
        "sample\tpop\n" + "".join(f"p{i}\t{'AB'[i % 2]}\n" for i in (11, 3, 2, 9, 4)) + "z\tA\n"
    )
    write(cohort_of(COUNTS), "x.bed")
    write(cohort_of(COUNTS), "x.vcf")
    assert read("x.bed", **options).equals(read("x.vcf", **options))


def test_the_panel_is_checked_before_the_sites_are_read(tmp_path):
    path = store(tmp_path, COUNTS, bim=["damaged"])
    (tmp_path / "people.tsv").write_text("sample\tpop\np0\tA\n")
    with pytest.raises(DataError, match=r"There are samples only in .*x\.bed: 12"):
        read(path, tmp_path / "people.tsv")


def test_duplicates_are_refused_or_dropped(tmp_path, caplog):
    bim = ["6 a 0 10 G A", "6 b 0 10 T A", "6 a 0 10 G A", "6 d 0 11 G A", "6 . 0 11 G A", "X f 0 11 G A"]
    path = store(tmp_path, COUNTS[:6], bim=bim)
    bim_file = path.with_suffix(".bim")
    with pytest.raises(DataError) as caught:
        read(path)
    for fact in (f"{bim_file}, line 3: 6:10 A>G", f"{bim_file}, line 1,", "duplicates='drop' (--duplicates drop)"):
        assert fact in str(caught.value)
    with caplog.at_level(logging.WARNING):
        got = read(path, duplicates="drop")
    assert got.variants.id.tolist() == ["a", "b", "d", "f"]
    assert np.array_equal(got.calls, pairs(COUNTS[[0, 1, 3, 5]]))
    assert caplog.messages == [f"{path}: dropped duplicate sites: 2 (6:10 A>G, 6:11 A>G)"]
    # outside the region nothing is refused
    assert read(path, region="X").variants.id.tolist() == ["f"]


def test_unknown_alleles(tmp_path):
    bim = ["6 a 0 10 0 A", "6 b 0 11 . A", "6 c 0 12 G 0", "6 d 0 13 0 0"]
    path = store(tmp_path, [[0, 0], [0, MISSING], [0, 1], [MISSING, MISSING]], bim=bim)
    got = read(path)
    assert got.variants.ref.tolist() == ["A", "A", "N", "N"]
    assert got.variants.alt.tolist() == [".", ".", "G", "."]
    store(tmp_path, [[0, 0], [0, 1], [0, 1], [MISSING, MISSING]], bim=bim)
    with pytest.raises(DataError) as caught:
        read(path, samples=["p1"])
    assert str(caught.value) == (
        f"{path.with_suffix('.bim')}, line 2: 6:11 A>. has no name for the allele A1, which sample p1 carries."
    )
    assert read(path, samples=["p0"]).n_variants == 4


def test_blank_lines_and_line_ends_are_passed_over(tmp_path):
    path = store(tmp_path, COUNTS[:2, :2])
    path.with_suffix(".bim").write_bytes(b"6 a 0 10 G A\r\n\r\n6 b 0 9 G A\r\n")
    path.with_suffix(".fam").write_bytes(b"\n0 p0 0 0 1 -9\r\n  \n0 p1 0 0 2 1")
    with pytest.raises(DataError, match=r"x\.bim, line 3: 6:9 A>G comes after 6:10 A>G: positions go back"):
        read(path)
    path.with_suffix(".bim").write_bytes(b"6 a 0 10 G A\r\n\r\n6 b 0 11 G A")
    got = read(path)
    assert (got.samples.tolist(), got.variants.alt.tolist()) == (["p0", "p1"], ["G", "G"])
    assert dict(got.labels) == {}


# ---- what is refused ------------------------------------------------------------------------------------------------

BIM = ["6 a 0 10 G A", "6 b 0 11 G A"]
FAM = ["1 p0 0 0 1 -9", "1 p1 0 0 2 -9", "1 p2 0 0 0 -9"]
REFUSED = {
    "a short line of the .bim": (
        {"bim": [BIM[0], "6 b 0 11 G"]},
        ".bim, line 2: it has 5 of the 6 columns: contig, id, cM, position, A1, A2.",
    ),
    "a short line of the .fam": (
        {"fam": [*FAM[:2], "p2"]},
        ".fam, line 3: it has 1 of the 6 columns: family, individual, father, mother, sex, phenotype.",
    ),
    "a position that is no number": (
        {"bim": [BIM[0], "6 b 0 eleven G A"]},
        ".bim, line 2: the position 'eleven' is not a whole number from 0 to 4611686018427387903.",
    ),
    "a negative position": (
        {"bim": ["6 a 0 -3 G A", BIM[1]]},
        ".bim, line 1: the position '-3' is not a whole number from 0 to 4611686018427387903.",
    ),
    "an id twice": (
        {"fam": [*FAM[:2], "2 p0 0 0 0 -9"]},
        ".fam, line 3: the sample p0 is on line 1 too; each needs an id (column 2) of their own, whatever the "
        "family (`plink1.9 --update-ids` changes them).",
    ),
    "positions that go back": (
        {"bim": [BIM[1], BIM[0]]},
        ".bim, line 2: 6:10 A>G comes after 6:11 A>G: positions go back; sort the files with "
        "`plink1.9 --bfile STEM --keep-allele-order --make-bed --out NEW`.",
    ),
    "a site more": (
        {"bim": [*BIM, "6 c 0 12 G A"]},
        ".bed has 5 bytes, but 3 sites in STEM.bim and 3 samples in STEM.fam make 6: the files do not belong together, "
        "or one is truncated.",
    ),
    "people more": (
        {"fam": [*FAM, "1 p3 0 0 0 -9", "1 p4 0 0 0 -9"]},
        ".bed has 5 bytes, but 2 sites in STEM.bim and 5 samples in STEM.fam make 7: the files do not belong together, "
        "or one is truncated.",
    ),
    "no sites": ({"bim": []}, ".bim has no sites."),
    "no people": ({"fam": []}, ".fam has no samples."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_that_cannot_be_used(tmp_path, case):
    changed, message = REFUSED[case]
    path = store(tmp_path, COUNTS[:2, :3], **({"bim": BIM, "fam": FAM} | changed))
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).replace(str(path)[:-4], "STEM") == "STEM" + message


def test_a_contig_that_comes_back(tmp_path):
    path = store(tmp_path, COUNTS[:3, :3], bim=["6 a 0 10 G A", "X b 0 11 G A", "6 c 0 12 G A"])
    with pytest.raises(DataError, match=r"x\.bim, line 3: 6:12 A>G comes after X:11 A>G, but contig 6 began before"):
        read(path)
    assert read(path, region="6").variants.id.tolist() == ["a", "c"]
    with pytest.raises(DataError, match=r"x\.bed holds no record that starts in the region 7; its contigs: 6, X\.$"):
        read(path, region="7")


@pytest.mark.parametrize("suffix", [".bed", ".bim", ".fam"])
def test_a_file_of_the_set_that_is_absent(tmp_path, suffix):
    path = store(tmp_path, COUNTS[:2, :3])
    os.unlink(path.with_suffix(suffix))
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        f"There is no file {path.with_suffix(suffix)}; a PLINK 1 file set is NAME.bed, NAME.bim and NAME.fam."
    )


@pytest.mark.parametrize(
    ("content", "begins"),
    [(b"", "(none)"), (b"chr6\t10\t20\n", "63 68 72"), (b"\x6c\x1b\x02\0\0", "6c 1b 02"), (b"\x6c", "6c")],
)
def test_a_bed_that_is_none(tmp_path, content, begins):
    path = store(tmp_path, COUNTS[:2, :3])
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path} is not a PLINK 1 .bed file: it begins with the bytes {begins}; such a file begins with 6c 1b 01, or "
        "6c 1b 00 if it is sample-major."
    )


def test_a_table_that_is_no_text(tmp_path):
    path = store(tmp_path, COUNTS[:2, :3])
    path.with_suffix(".bim").write_bytes(b"6 a 0 10 G A\n6 \xff 0 11 G A\n")
    with pytest.raises(DataError, match=r"x\.bim, line 2: the byte 0xff is not UTF-8 text\.$"):
        read(path)


HALF = np.array([[[0, 1], [-1, 1]]], dtype=np.int8)
SITE = Variants(["6"], [10], ["a"], ["A"], ["G"])
UNWRITABLE = {
    "phase": (
        cohort_of([[0, 1]], phased=True),
        "PATH cannot hold phase, which the genotypes have; unphased=True (--unphased) writes them as unordered pairs.",
    ),
    "haploid": (
        Genotypes(HALF[:, :, 1:], SITE, ["p0", "p1"], {}, False),
        "PATH cannot tell haploid genotypes, which these are, from homozygous ones; read them with haploid='diploid' "
        "(--haploid diploid), which doubles them, or write another format.",
    ),
    "half-call": (
        Genotypes(HALF, SITE, ["p0", "p1"], {}, False),
        "The half-call of sample p1 at 6:10 A>G cannot be written to a .bed file; make it missing.",
    ),
    "blank in a name": (
        Genotypes(HALF[:, :1], SITE, ["Ann B"], {}, False),
        "Sample names with blanks in them cannot be written to PATH, whose columns are separated by blanks: 'Ann B'.",
    ),
    "sample 0": (
        Genotypes(HALF[:, :1], SITE, ["0"], {}, False),
        "The sample name '0' cannot be written to PATH: PLINK takes it for unknown.",
    ),
    "ref 0": (
        Genotypes(HALF[:, :1], Variants(["6"], [10], ["a"], ["0"], ["G"]), ["p"], {}, False),
        "The ref '0' cannot be written to PATH: PLINK takes it for unknown.",
    ),
    "carriers of no ALT": (
        cohort_of([[0, 0], [1, 0]], alt="."),
        "Variant 6:11 A>. has no ALT allele, but people carry one; give it a name before writing.",
    ),
    "nothing": (
        Genotypes(np.zeros((0, 2, 2), dtype=np.int8), Variants([], [], [], [], []), ["a", "b"], {}, False),
        "There is nothing to write: 2 people at 0 sites.",
    ),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_a_bed_cannot_hold_is_refused_and_nothing_is_left(tmp_path, case):
    genotypes, message = UNWRITABLE[case]
    with pytest.raises(DataError) as caught:
        write(genotypes, tmp_path / "y.bed")
    assert str(caught.value).replace(str(tmp_path / "y.bed"), "PATH") == message
    assert list(tmp_path.iterdir()) == []


# ---- writing --------------------------------------------------------------------------------------------------------


def test_phase_is_dropped_when_the_caller_says_so(tmp_path):
    calls = np.array([[[1, 0], [0, 1], [1, 1], [-1, -1]]], dtype=np.int8)
    phased = Genotypes(calls, SITE, list("abcd"))
    for name in ("y.bed", "y.vcf", "y.npz"):
        write(phased, tmp_path / name, unphased=True)
        got = read(tmp_path / name)
        assert got.equals(phased.without_phase()), name
        assert got.calls.tolist() == [[[0, 1], [0, 1], [1, 1], [-1, -1]]], name


def test_labels_go_into_a_panel_and_sex_into_the_fam(tmp_path):
    labels = {"super_pop": ["A", "B", "A"], "gender": ["male", "female", "unknown"]}
    given_ = cohort_of([[0, 1, 2]], labels=labels)
    written = write(given_, tmp_path / "y.bed", command="ignored", seed=1)
    assert [p.name for p in written] == ["y.bed", "y.bim", "y.fam", "y.panel.tsv"]
    assert read(tmp_path / "y.bed", tmp_path / "y.panel.tsv").equals(given_)
    assert (tmp_path / "y.fam").read_text() == "0\tp0\t0\t0\t1\t-9\n0\tp1\t0\t0\t2\t-9\n0\tp2\t0\t0\t0\t-9\n"
    assert (tmp_path / "y.bim").read_text() == "6\ts0\t0\t10\tG\tA\n"


@pytest.mark.parametrize("there", ["y.bed", "y.bim", "y.fam", "y.panel.tsv"])
def test_nothing_is_overwritten_without_force(tmp_path, there):
    given_ = cohort_of([[0, 1]], labels={"pop": ["A", "B"]})
    (tmp_path / there).write_text("mine")
    with pytest.raises(UsageError) as caught:
        write(given_, tmp_path / "y.bed")
    assert str(caught.value) == (
        f"{tmp_path / there} exists; force=True (--force) replaces it, or choose another name."
    )
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(there, "mine")]
    write(given_, tmp_path / "y.bed", force=True)
    assert read(tmp_path / "y.bed", tmp_path / "y.panel.tsv").equals(given_)


def test_a_panel_of_the_same_content_is_no_hindrance(tmp_path):
    given_ = cohort_of([[0, 1]], labels={"pop": ["A", "B"]})
    write(given_, tmp_path / "y.vcf")
    write(given_, tmp_path / "y.bed")
    other = cohort_of([[0, 1]], labels={"pop": ["A", "C"]})
    with pytest.raises(UsageError, match=r"y\.panel\.tsv exists"):
        write(other, tmp_path / "y.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["y.bed", "y.bim", "y.fam", "y.panel.tsv", "y.vcf"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_write_that_stops_leaves_what_was_there(tmp_path, monkeypatch, stop):
    write(cohort_of(COUNTS), tmp_path / "y.bed")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    own = bed_reader.create_bed.write

    def write_some(self, row):
        if self.write_count == 5:
            raise stop
        own(self, row)

    monkeypatch.setattr(bed_reader.create_bed, "write", write_some)
    expected = KeyboardInterrupt if stop is KeyboardInterrupt else UsageError
    with pytest.raises(expected) as caught:
        write(cohort_of(COUNTS[:, :5]), tmp_path / "y.bed", force=True)
    if expected is UsageError:
        assert str(caught.value) == f"{tmp_path / 'y.bed'} cannot be written: No space left on device."
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_the_bed_is_never_there_without_its_tables(tmp_path, monkeypatch, moved):
    """Whatever of the renaming happened before the end came, NAME.bed is whole, or not there."""
    given_ = cohort_of(COUNTS, labels={"pop": ["A"] * 13})
    write(cohort_of(COUNTS[:7]), tmp_path / "y.bed")
    done = []
    own = os.replace

    def replace(a, b):
        if len(done) == moved:
            raise KeyboardInterrupt
        done.append(b)
        own(a, b)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write(given_, tmp_path / "y.bed", force=True)
    assert not (tmp_path / "y.bed").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_long_alleles_take_no_memory_of_their_own_width(tmp_path):
    long = "A" * 100_000
    alts = ["C"] * 5000 + [long]
    counts = np.zeros((5001, 1), dtype=int)
    tracemalloc.start()
    write(cohort_of(counts, alt=alts), tmp_path / "y.bed")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # an array of text as wide as the longest allele has 2 GB
    assert read(tmp_path / "y.bed").variants.alt.tolist() == alts


# ---- PLINK and bcftools ---------------------------------------------------------------------------------------------


def silent(*command, cwd):
    """Run a program; its output, which must hold no warning and no error."""
    run = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    said = run.stdout + run.stderr
    assert run.returncode == 0, said
    assert not re.search(r"warning|error", said, re.IGNORECASE), said
    return said


@pytest.fixture
def people(cohort):
    """Return simulated people without phase, with missing calls and a site nobody carries."""
    part = cohort.select(samples=np.arange(0, 150, 3))
    calls = part.calls.copy()
    calls[np.random.default_rng(7).random(calls.shape[:2]) < 0.03] = -1
    calls[3] = 0
    v = part.variants
    alt = [*v.alt[:3], ".", *v.alt[4:]]
    ids = [f"rs{i}" for i in range(len(v))]
    sites = Variants(v.contig, v.position, ids, v.ref, alt)
    return Genotypes(calls, sites, part.samples, part.labels, phased=True).without_phase()


@pytest.mark.oracle("plink1.9", "bcftools")
def test_plink19_reads_what_is_written(tmp_path, people):
    write(people, tmp_path / "y.bed")
    silent("plink1.9", "--bfile", "y", "--keep-allele-order", "--recode", "vcf-iid", "--out", "p", cwd=tmp_path)
    rows = silent("bcftools", "query", "-f", r"%ID %POS %REF %ALT[ %GT]\n", "p.vcf", cwd=tmp_path).splitlines()
    text = {(0, 0): "0/0", (0, 1): "0/1", (1, 1): "1/1", (-1, -1): "./."}
    v = people.variants
    assert rows == [
        " ".join([v.id[i], str(v.position[i]), v.ref[i], v.alt[i], *(text[tuple(c)] for c in people.calls[i].tolist())])
        for i in range(len(v))
    ]
    silent("plink1.9", "--bfile", "y", "--freq", "--missing", "--hardy", "--out", "p", cwd=tmp_path)
    sexes = [line.split()[4] for line in (tmp_path / "y.fam").read_text().splitlines()]
    assert sexes == ["1" if sex == "male" else "2" for sex in people.labels["gender"]]


@pytest.mark.oracle("plink2")
def test_plink2_reads_what_is_written_and_writes_what_is_read(tmp_path, people):
    write(people, tmp_path / "y.bed")
    silent("plink2", "--bfile", "y", "--export", "vcf", "--out", "p", cwd=tmp_path)
    exported = read(tmp_path / "p.vcf")
    assert exported.equals(Genotypes(people.calls, people.variants, people.samples, {}, False))
    silent("plink2", "--bfile", "y", "--freq", "--missing", "--hardy", "--out", "p", cwd=tmp_path)
    silent("plink2", "--vcf", "p.vcf", "--make-bed", "--out", "z", cwd=tmp_path)
    assert read(tmp_path / "z.bed").equals(exported)
    assert (tmp_path / "z.bed").read_bytes() == (tmp_path / "y.bed").read_bytes()


@pytest.mark.oracle("plink1.9", "plink2")
@pytest.mark.parametrize("major", ["SNP", "individual"])
def test_unknown_alleles_and_both_layouts_are_read_as_plink_exports_them(tmp_path, major):
    bim = ["6 a 0 10 0 A", "6 b 0 11 . A", "6 c 0 12 G 0", "6 d 0 13 0 0", "6 e 0 13 T <DEL>", "6 f 0 14 T C"]
    counts = [[0, 0, MISSING], [0, MISSING, 0], [0, 1, 2], [MISSING] * 3, [2, 1, 0], [1, 1, MISSING]]
    path = store(tmp_path, counts, bim=bim, fam=["0 p0 0 0 1 -9", "0 p1 0 0 2 -9", "0 p2 0 0 1 -9"], major=major)
    mine = read(path)
    silent("plink1.9", "--bfile", "x", "--keep-allele-order", "--recode", "vcf-iid", "--out", "p1", cwd=tmp_path)
    assert read(tmp_path / "p1.vcf").equals(mine)
    if major == "SNP":  # plink2 reads a sample-major file in a run of its own
        silent("plink2", "--bfile", "x", "--export", "vcf", "--out", "p2", cwd=tmp_path)
        assert read(tmp_path / "p2.vcf").equals(mine)


@pytest.mark.oracle("plink1.9")
def test_plink19_sorts_as_the_message_says(tmp_path):
    path = store(tmp_path, COUNTS[:3], bim=["6 a 0 12 G A", "6 b 0 11 G A", "2 c 0 10 G A"],
                 fam=[f"0 p{i} 0 0 1 -9" for i in range(13)])  # fmt: skip
    with pytest.raises(DataError) as caught:
        read(path)
    command = re.search("`(.*)`", str(caught.value)).group(1)
    silent(*command.split(), cwd=tmp_path)
    got = read(tmp_path / "NEW.bed")
    assert got.variants.id.tolist() == ["c", "b", "a"]
    assert np.array_equal(got.calls, pairs(COUNTS[:3][::-1]))


def test_the_front_door_reads_and_writes_it(tmp_path, people):
    pgcgan.write(people, tmp_path / "y.bed")
    assert pgcgan.read(tmp_path / "y.bed", panel=tmp_path / "y.panel.tsv").equals(people)
