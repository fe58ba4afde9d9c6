"""Reading and writing VCF and BCF, against cyvcf2, pysam, scikit-allel and bcftools on the same files."""

from __future__ import annotations

import gzip
import logging
import os
import random
import subprocess
import sys
from pathlib import Path

import allel
import cyvcf2
import numpy as np
import pysam
import pysam.bcftools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pgcgan
from pgcgan import Genotypes, Variants
from pgcgan.errors import DataError, UsageError
from pgcgan.io import read, vcf_write, write

HEADER = """##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency, with a comma">
##contig=<ID=6,length=170899992,assembly="b36, old">
##contig=<ID=X,length=155270560,assembly="b36, old">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
"""
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"


def vcf_text(rows, samples, header=HEADER, end="\n"):
    """One VCF as text; a row is (contig, position, id, ref, alt, format, calls)."""
    lines = [*header.splitlines(), "\t".join([COLUMNS, *samples])]
    for contig, position, name, ref, alt, form, calls in rows:
        lines.append("\t".join([contig, str(position), name, ref, alt, ".", "PASS", ".", form, *calls]))
    return end.join(lines) + end


def store(folder: Path, text: str, suffix: str, csi: bool = False) -> Path:
    """Write text as .vcf, .gz (plain gzip), .vcf.gz (bgzip, indexed) or .bcf (by bcftools, indexed)."""
    plain = folder / "plain.vcf"
    plain.write_text(text)
    path = folder / f"data{suffix}"
    if suffix == ".vcf":
        path.write_text(text)
    elif suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif suffix == ".vcf.gz":
        pysam.tabix_compress(str(plain), str(path), force=True)
        pysam.tabix_index(str(path), preset="vcf", csi=csi, force=True)
    else:
        pysam.bcftools.view("-Ob", "-o", str(path), str(plain), catch_stdout=False)
        pysam.bcftools.index("-f", str(path))
    return path


def simple(calls, position=10, contig="6", form="GT", alt="C", ref="A", name="."):
    return (contig, position, name, ref, alt, form, calls)


def random_rows(seed, n_samples, n_rows, *, separator="|", odd=False, top=1, step=60_000):
    """Diploid records; `odd` mixes in missing calls, further FORMAT fields and missing trailing fields."""
    rng = random.Random(seed)
    rows, position = [], 1
    for i in range(n_rows):
        position += rng.randrange(1, step)
        alleles = rng.randrange(1, top + 1)
        calls = [separator.join(str(rng.randrange(alleles + 1)) for _ in range(2)) for _ in range(n_samples)]
        form = "GT"
        if odd and i % 3:
            calls = [c if rng.random() < 0.9 else rng.choice([f".{separator}.", "."]) for c in calls]
        if odd and i % 2:
            form = "GT:DP"
            calls = [f"{c}:{rng.randrange(200)}" if rng.random() < 0.8 else c for c in calls]
        alt = ",".join("A" + "C" * (k + 1) for k in range(alleles))
        rows.append(("6", position, f"rs{i}", "A", alt, form, calls))
    return rows


def cyvcf2_calls(path, ploidy=2):
    """Calls by cyvcf2: -1 missing (a missing haploid call fills both sides), shape (variants, samples, ploidy)."""
    with np.errstate(all="ignore"):
        rows = [v.genotype.array()[:, :ploidy] for v in cyvcf2.VCF(str(path))]
    calls = np.array(rows)
    calls[calls == -2] = -1
    return calls


SUFFIXES = [".vcf", ".gz", ".vcf.gz", ".bcf"]


# ---- the same answer as other readers ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("separator", "|/")
def test_calls_equal_cyvcf2_pysam_and_scikit_allel(tmp_path, suffix, odd, separator):
    rows = random_rows(3, 11, 120, separator=separator, odd=odd)
    samples = [f"s{i}" for i in range(11)]
    path = store(tmp_path, vcf_text(rows, samples), suffix)
    got = read(path)
    assert np.array_equal(got.calls, cyvcf2_calls(path))
    assert got.phased is (separator == "|")
    expected = allel.read_vcf(str(tmp_path / "plain.vcf"))
    assert np.array_equal(got.calls, expected["calldata/GT"])
    assert got.samples.tolist() == expected["samples"].tolist()
    # pysam does not open plain gzip.
    with pysam.VariantFile(str(tmp_path / "plain.vcf" if suffix == ".gz" else path)) as reference:
        for i, record in enumerate(reference):
            site = (got.variants.contig[i], got.variants.position[i], got.variants.id[i])
            assert site == (record.contig, record.pos, record.id)
            assert (got.variants.ref[i], (got.variants.alt[i],)) == (record.ref, record.alts)
        assert i + 1 == got.n_variants == len(rows)
    assert dict(got.variants.contig_lengths) == {"6": 170899992, "X": 155270560}
    assert got.variants.assembly == "b36, old"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_last_line_without_one(tmp_path, end):
    rows = [simple(["0|1", "1|1"]), simple(["0|1:3", "1|0"], 11, form="GT:DP")]
    path = tmp_path / "a.vcf"
    path.write_bytes(vcf_text(rows, ["a", "b"], end=end).rstrip().encode())
    assert read(path).calls.tolist() == [[[0, 1], [1, 1]], [[0, 1], [1, 0]]]
    path.write_bytes(path.read_bytes() + (end * 3).encode())
    assert read(path).n_variants == 2


def test_a_blank_line_does_not_end_the_file(tmp_path):
    text = vcf_text([simple(["0|1"])], ["a"]) + "\n" + "6\t20\t.\tA\tC\t.\t.\t.\tGT\t1|1\n"
    (tmp_path / "a.vcf").write_text(text)
    assert read(tmp_path / "a.vcf").variants.position.tolist() == [10, 20]


def test_gt_that_is_not_the_first_field_and_leading_separators(tmp_path):
    rows = [simple(["7:0|1", "8:1|1"], form="DP:GT"), simple(["/0/1", "|1|1"], 11), simple(["|1|0", "0|0"], 12)]
    path = tmp_path / "a.vcf"
    path.write_text(vcf_text(rows, ["a", "b"]))
    with pytest.raises(DataError, match="phased and unphased calls are mixed"):
        read(path)
    assert read(path, unphased=True).calls.tolist() == [[[0, 1], [1, 1]], [[0, 1], [1, 1]], [[0, 1], [0, 0]]]


@pytest.mark.parametrize("suffix", [".vcf", ".bcf"])
def test_many_alleles_are_split_as_bcftools_norm_does(tmp_path, suffix):
    rows = random_rows(5, 9, 40, odd=True, top=13)
    path = store(tmp_path, vcf_text(rows, [f"s{i}" for i in range(9)]), suffix)
    pysam.bcftools.norm("-m-", "-Ov", "-o", str(tmp_path / "norm.vcf"), str(path), catch_stdout=False)
    got = read(path, multiallelic="split")
    # bcftools keeps the number of alleles of a lone ".", as cyvcf2 does.
    assert np.array_equal(got.calls, cyvcf2_calls(tmp_path / "norm.vcf"))
    reference = [(v.POS, v.REF, v.ALT[0]) for v in cyvcf2.VCF(str(tmp_path / "norm.vcf"))]
    assert list(zip(got.variants.position, got.variants.ref, got.variants.alt, strict=True)) == reference


TOKENS = ["0|0", "0|1", "1|0", "1/1", "0/1", ".", "./.", ".|.", "0|.", "./1", "1", "0", "2|1", "0/9", "10|3", "10"]


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.booleans(), *[st.sampled_from(TOKENS)] * 4), min_size=1, max_size=8),
    chosen=st.permutations(range(4)).flatmap(lambda p: st.integers(1, 4).map(lambda k: p[:k])),
)
def test_the_decoders_of_text_and_of_bcf_agree_on_any_calls(tmp_path_factory, rows, chosen):
    alts = ",".join("A" + "C" * k for k in range(1, 11))
    records = [
        simple([f"{c}:7" if more else c for c in calls], 10 + i, form="GT:DP" if more else "GT", alt=alts)
        for i, (more, *calls) in enumerate(rows)
    ]
    folder = tmp_path_factory.mktemp("any")
    path = store(folder, vcf_text(records, "abcd"), ".bcf")
    options = {
        "multiallelic": "split",
        "half_calls": "missing",
        "haploid": "diploid",
        "unphased": True,
        "samples": ["abcd"[i] for i in chosen],
    }
    got = read(path, **options)
    assert read(folder / "plain.vcf", **options).equals(got)
    alleles = np.array(
        [
            [[-1 if a == "." else int(a) for a in (c.replace("/", "|") + "|" + c).split("|")[:2]] for c in r[1:]]
            for r in rows
        ]
    )
    alleles[(alleles < 0).any(axis=2)] = -1
    expected = np.stack([np.where(alleles < 0, -1, alleles == k) for k in range(1, 11)], axis=1).reshape(-1, 4, 2)
    assert np.array_equal(got.calls, np.sort(expected, axis=2)[:, chosen])


def test_more_alleles_than_a_byte_of_bcf_holds(tmp_path):
    alts = ["A" + "C" * (k + 1) for k in range(130)]
    path = store(tmp_path, vcf_text([simple(["0|130", "127|3"], alt=",".join(alts))], ["a", "b"]), ".bcf")
    got = read(path, multiallelic="split")
    assert got.calls.sum() == 3 and got.n_variants == 130
    assert got.calls[129].tolist() == [[0, 1], [0, 0]] and got.calls[126].tolist() == [[0, 0], [1, 0]]


def test_dropped_records_are_reported(tmp_path, caplog):
    rows = [simple(["0|1"]), simple(["0|2"], 11, alt="C,G"), simple(["1|1"], 12), simple(["0|1"], 12)]
    path = tmp_path / "a.vcf"
    path.write_text(vcf_text(rows, ["a"]))
    with caplog.at_level(logging.WARNING, logger="pgcgan.io"):
        got = read(path, multiallelic="drop", duplicates="drop")
    assert got.variants.position.tolist() == [10, 12] and got.calls[1].tolist() == [[1, 1]]
    assert [r.message for r in caplog.records] == [
        f"{path}: dropped records with several ALT alleles: 1 (6:11 A>C,G)",
        f"{path}: dropped duplicate records: 1 (6:12 A>C)",
    ]


@pytest.mark.parametrize("suffix", [".vcf", ".bcf"])
def test_monomorphic_and_symbolic_records_are_kept_as_they_are(tmp_path, suffix):
    header = HEADER + '##ALT=<ID=DEL,Description="Deletion">\n'
    rows = [
        simple(["0|0", ".|."], alt="."),
        simple(["0|1", "1|1"], 11, alt="<DEL>"),
        simple(["0|1", "0|0"], 12, alt="*"),
    ]
    path = store(tmp_path, vcf_text(rows, ["a", "b"], header), suffix)
    got = read(path)
    assert got.variants.alt.tolist() == [".", "<DEL>", "*"]
    assert got.calls[0].tolist() == [[0, 0], [-1, -1]]
    written = write(got, tmp_path / f"out{suffix}")
    assert read(written[0]).equals(got)


# ---- phase, ploidy, missing calls -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".vcf", ".bcf"])
@pytest.mark.parametrize(
    ("calls", "phased"),
    [
        (["0|1", "0/0", "1/1"], True),  # a homozygous call has no phase
        (["0/1", "0|0", "./."], False),
        (["0|1", "./.", "."], True),
        (["0/0", "1/1", "0/0"], False),  # nothing heterozygous: the separators decide
        (["0|0", "1|1", "0/0"], True),
    ],
)
def test_phase_is_that_of_the_heterozygous_calls(tmp_path, suffix, calls, phased):
    path = store(tmp_path, vcf_text([simple(calls)], ["a", "b", "c"]), suffix)
    assert read(path).phased is phased


@pytest.mark.parametrize("suffix", [".vcf", ".bcf"])
def test_haploid_files_and_doubling(tmp_path, suffix):
    path = store(tmp_path, vcf_text([simple(["0", "1", "."]), simple(["1", ".", "0"], 11)], ["a", "b", "c"]), suffix)
    got = read(path)
    assert got.calls.tolist() == [[[0], [1], [-1]], [[1], [-1], [0]]]
    assert read(path, haploid="diploid").calls.tolist() == [[[0, 0], [1, 1], [-1, -1]], [[1, 1], [-1, -1], [0, 0]]]
    mixed = store(
        tmp_path, vcf_text([simple(["0", "1|0", "."]), simple(["1", "0|0", "."], 11)], ["a", "b", "c"]), suffix
    )
    doubled = read(mixed, haploid="diploid")
    assert doubled.phased
    assert doubled.calls.tolist() == [[[0, 0], [1, 0], [-1, -1]], [[1, 1], [0, 0], [-1, -1]]]
    assert read(mixed, samples=["a", "c"]).ploidy == 1
    assert read(mixed, samples=["b"]).ploidy == 2


@pytest.mark.parametrize("suffix", [".vcf", ".bcf"])
def test_half_calls_become_missing(tmp_path, suffix):
    path = store(tmp_path, vcf_text([simple(["0|.", ".|1", "0|1"])], ["a", "b", "c"]), suffix)
    assert read(path, half_calls="missing").calls.tolist() == [[[-1, -1], [-1, -1], [0, 1]]]


# ---- parts of a file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "csi"), [(".vcf", False), (".gz", False), (".vcf.gz", False), (".vcf.gz", True), (".bcf", True)]
)
def test_regions_equal_a_scan_by_another_reader(tmp_path, suffix, csi):
    rows = random_rows(8, 30, 1500) + [simple(["0|1"] * 30, p, "X") for p in range(5, 2000, 7)]
    path = store(tmp_path, vcf_text(rows, [f"s{i}" for i in range(30)]), suffix, csi)
    everything = [(v.CHROM, v.POS, v.ID) for v in cyvcf2.VCF(str(path))]
    calls = cyvcf2_calls(path)
    rng = random.Random(0)
    last = max(r[1] for r in rows)
    regions = [("6", 1, last), ("X", 1, 10**9), ("X", 1000, 1000 + 6), ("6", rows[700][1], rows[700][1])]
    for _ in range(25):
        start = rng.randrange(1, last)
        regions.append(("6", start, start + 10 ** rng.randrange(6, 8)))
    for contig, start, end in regions:
        wanted = [i for i, (c, p, _) in enumerate(everything) if c == contig and start <= p <= end]
        if not wanted:
            continue
        got = read(path, region=f"{contig}:{start}-{end}")
        assert got.variants.position.tolist() == [everything[i][1] for i in wanted]
        assert np.array_equal(got.calls, calls[wanted])
    assert read(path, region="X").n_variants == 285
    assert read(path, region=f"6:{rows[1400][1]}-").n_variants == 100


def test_an_index_saves_reading_the_rest(tmp_path):
    rng = random.Random(0)
    rows = [simple(rng.choices(["0|0", "0|1", "1|1"], k=2000), 100_000 * i) for i in range(1, 21)] * 30
    rows = [simple(row[-1], 100_000 * i) for i, row in enumerate(rows, start=1)]
    path = store(tmp_path, vcf_text(rows, [f"s{i}" for i in range(2000)]), ".vcf.gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255  # a damaged block that the region does not touch
    path.write_bytes(data)
    os.utime(f"{path}.tbi")
    assert read(path, region=f"6:{rows[590][1]}-").n_variants == 10
    with pytest.raises(DataError, match="damaged"):
        read(path)


@pytest.mark.parametrize("suffix", [".vcf", ".bcf"])
@pytest.mark.parametrize("odd", [False, True])
def test_samples_in_the_order_asked_for(tmp_path, suffix, odd):
    rows = random_rows(4, 9, 60, odd=odd)
    path = store(tmp_path, vcf_text(rows, [f"s{i}" for i in range(9)]), suffix)
    wanted = ["s7", "s2", "s3"]
    got = read(path, samples=wanted)
    assert got.samples.tolist() == wanted
    assert np.array_equal(got.calls, cyvcf2_calls(path)[:, [7, 2, 3]])
    assert got.equals(read(path).select(samples=wanted))


def test_policies_look_at_the_chosen_people_only(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_text(vcf_text([simple(["0|1", "0/1", "0|."])], ["a", "b", "c"]))
    assert read(path, samples=["a"]).phased and not read(path, samples=["b"]).phased


def test_rare_sites_are_left_out_by_frequency_among_the_chosen(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_text(vcf_text([simple(["0|1", "0|0"]), simple(["1|1", "0|1"], 11)], ["a", "b"]))
    assert read(path, min_maf=0.25).n_variants == 2
    assert read(path, min_maf=0.3, samples=["a"]).variants.position.tolist() == [10]


# ---- writing ----------------------------------------------------------------------------------------------------


def artificial(calls, phased=True, labels=None, positions=None, **variants):
    calls = np.array(calls, dtype=np.int8)
    n = len(calls)
    columns = {
        "contig": ["6"] * n,
        "position": positions or list(range(100, 100 + n)),
        "id": [f"rs{i}" for i in range(n)],
        "ref": ["A"] * n,
        "alt": ["C"] * n,
    } | variants
    return Genotypes(calls, Variants(**columns), [f"P{i}" for i in range(calls.shape[1])], labels or {}, phased)


@st.composite
def cohorts(draw):
    ploidy = draw(st.sampled_from([1, 2]))
    phased = True if ploidy == 1 else draw(st.booleans())
    variants, people = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    flat = draw(st.lists(st.integers(-1, 1), min_size=variants * people * ploidy, max_size=variants * people * ploidy))
    calls = np.array(flat, dtype=np.int8).reshape(variants, people, ploidy)
    if ploidy == 2:
        calls[(calls < 0).any(axis=2)] = -1
    gaps = draw(st.lists(st.integers(1, 2**27), min_size=variants, max_size=variants))
    text = st.text("ACGT", min_size=1, max_size=40)
    return Genotypes(
        calls,
        Variants(
            contig=["6"] * (variants // 2) + ["HLA-X"] * (variants - variants // 2),
            position=np.cumsum(gaps),
            id=draw(st.lists(st.sampled_from([".", "rs1", "i" * 300]), min_size=variants, max_size=variants)),
            ref=draw(st.lists(text, min_size=variants, max_size=variants)),
            alt=draw(st.lists(st.one_of(text, st.just("<DEL>")), min_size=variants, max_size=variants)),
            contig_lengths={"6": 2**30, "unused": None},
            assembly=draw(st.sampled_from([None, "b37", 'odd, "one" \\ here'])),
        ),
        [f"p {i}" for i in range(people)],
        draw(st.sampled_from([{}, {"super_pop": ["EUR"] * people, "site": ["x y"] * people}])),
        phased,
    )


@settings(max_examples=60, deadline=None)
@given(genotypes=cohorts(), suffix=st.sampled_from([".vcf", ".vcf.gz", ".vcf.bgz", ".bcf"]))
def test_round_trip(tmp_path_factory, genotypes, suffix):
    folder = tmp_path_factory.mktemp("trip")
    written = write(genotypes, folder / f"x{suffix}", command="pgcgan 'two  blanks'\nand a line", seed=7)
    panel = folder / "x.panel.tsv" if genotypes.labels else None
    got = read(written[0], panel)
    assert got.equals(genotypes)
    assert got.variants.assembly == genotypes.variants.assembly
    assert dict(got.variants.contig_lengths) == dict(genotypes.variants.contig_lengths)
    assert sorted(folder.iterdir()) == sorted(written)


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".bcf"])
def test_people_chosen_from_a_cohort_are_written(tmp_path, suffix, cohort):
    people, _ = cohort.split(0.5, by="super_pop", seed=1)
    write(people, tmp_path / f"people{suffix}")
    assert np.array_equal(cyvcf2_calls(tmp_path / f"people{suffix}"), people.calls)


@pytest.mark.parametrize("ploidy", [1, 2])
@pytest.mark.parametrize("phased", [True, False])
def test_text_and_bcf_are_what_bcftools_makes_of_each_other(tmp_path, ploidy, phased):
    calls = np.random.default_rng(1).integers(-1, 2, (50, 7, ploidy))
    genotypes = artificial(calls, phased)
    write(genotypes, tmp_path / "x.vcf")
    write(genotypes, tmp_path / "x.bcf")
    write(genotypes, tmp_path / "x.vcf.gz")
    as_text = {n: pysam.bcftools.view("-H", str(tmp_path / n)) for n in ("x.vcf", "x.bcf", "x.vcf.gz")}
    own = "".join(line for line in (tmp_path / "x.vcf").read_text().splitlines(True) if not line.startswith("#"))
    assert as_text["x.vcf"] == as_text["x.bcf"] == as_text["x.vcf.gz"] == own
    # The records are, byte for byte, those that htslib encodes, but for the phase bit of the first allele, which
    # htslib sets since 1.22 and older ones, as the specification up to VCF 4.3, do not.
    pysam.bcftools.view(
        "--no-version", "-Ob", "-o", str(tmp_path / "y.bcf"), str(tmp_path / "x.vcf"), catch_stdout=False
    )
    ours, theirs = records_of(tmp_path / "x.bcf"), records_of(tmp_path / "y.bcf")
    assert ours.shape == theirs.shape
    assert not ((ours ^ theirs) & 0xFE).any()


def records_of(path):
    data = gzip.decompress(path.read_bytes())
    return np.frombuffer(data[9 + int.from_bytes(data[5:9], "little") :], dtype=np.uint8)


def test_the_header_says_where_it_comes_from_and_no_date(tmp_path):
    genotypes = artificial([[[0, 1]]], contig_lengths={"6": 1000}, assembly="GRCh38")
    write(genotypes, tmp_path / "x.vcf", command="pgcgan generate m -n 1", seed=3)
    assert (tmp_path / "x.vcf").read_text() == (
        "##fileformat=VCFv4.2\n"
        '##FILTER=<ID=PASS,Description="All filters passed">\n'
        f"##source=pgcgan {pgcgan.__version__}\n"
        "##pgcganCommand=pgcgan generate m -n 1\n"
        "##pgcganSeed=3\n"
        "##contig=<ID=6,length=1000,assembly=GRCh38>\n"
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP0\n"
        "6\t100\trs0\tA\tC\t.\t.\t.\tGT\t0|1\n"
    )


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".bcf"])
def test_the_same_genotypes_give_the_same_bytes(tmp_path, suffix):
    genotypes = artificial(np.random.default_rng(2).integers(0, 2, (300, 20, 2)), labels={"pop": ["GBR"] * 20})
    first = write(genotypes, tmp_path / f"a{suffix}", seed=1)
    second = write(genotypes, tmp_path / f"b{suffix}", seed=1)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert len(first) == (2 if suffix == ".vcf" else 3)


@pytest.mark.parametrize(("suffix", "index"), [(".vcf.gz", ".tbi"), (".bcf", ".csi")])
def test_the_index_is_taken_by_htslib(tmp_path, suffix, index):
    genotypes = artificial(
        np.random.default_rng(2).integers(0, 2, (3000, 9, 2)), positions=list(range(1, 3_000_000, 1000))
    )
    path, beside = write(genotypes, tmp_path / f"x{suffix}")
    assert beside == Path(f"{path}{index}")
    with pysam.VariantFile(str(path)) as reference:
        assert [r.pos for r in reference.fetch("6", 1_000_000, 1_010_001)] == list(range(1_000_001, 1_010_002, 1000))


def test_positions_beyond_a_tabix_index_get_a_csi_one(tmp_path):
    written = write(artificial([[[0, 1]], [[1, 1]]], positions=[5, 600_000_000]), tmp_path / "x.vcf.gz")
    assert [p.name for p in written] == ["x.vcf.gz", "x.vcf.gz.csi"]
    assert read(written[0], region="6:600000000").calls.tolist() == [[[1, 1]]]


def test_the_panel_beside_has_the_columns_of_1000_genomes_first(tmp_path):
    labels = {"batch": ["b 1", "2"], "super_pop": ["EUR", "AFR"], "gender": ["male", "female"], "pop": ["GBR", "YRI"]}
    written = write(artificial([[[0, 1], [1, 1]]], labels=labels), tmp_path / "x.vcf.gz")
    assert written[-1].name == "x.panel.tsv"
    assert written[-1].read_text() == (
        "sample\tpop\tsuper_pop\tgender\tbatch\nP0\tGBR\tEUR\tmale\tb 1\nP1\tYRI\tAFR\tfemale\t2\n"
    )


def test_nothing_is_left_of_a_write_that_fails(tmp_path, monkeypatch):
    target = tmp_path / "x.vcf.gz"
    target.write_bytes(b"precious")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vcf_write.pysam, "tabix_index", full)
    with pytest.raises(UsageError, match=r"x\.vcf\.gz cannot be written: No space left on device\."):
        write(artificial([[[0, 1]]], labels={"pop": ["GBR"]}), target, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["x.vcf.gz"] and target.read_bytes() == b"precious"


def test_force_replaces_and_takes_an_index_of_the_other_kind_away(tmp_path):
    first = write(artificial([[[0, 1]]], positions=[600_000_000]), tmp_path / "x.vcf.gz")
    assert first[1].suffix == ".csi"
    second = write(artificial([[[1, 1]]], positions=[7]), tmp_path / "x.vcf.gz", force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.vcf.gz", "x.vcf.gz.tbi"]
    assert read(second[0], region="6").calls.tolist() == [[[1, 1]]]


def test_standard_input_and_output(tmp_path):
    genotypes = artificial(np.random.default_rng(5).integers(0, 2, (40, 6, 2)))
    write(genotypes, tmp_path / "x.vcf")
    write(genotypes, tmp_path / "x.bcf")
    script = "import pgcgan; pgcgan.write(pgcgan.read('-', region='6:110-119'), '-')"
    for name in ("x.vcf", "x.bcf"):
        with subprocess.Popen(["cat", str(tmp_path / name)], stdout=subprocess.PIPE) as pipe:
            ran = subprocess.run([sys.executable, "-c", script], stdin=pipe.stdout, capture_output=True, check=False)
        assert ran.stderr == b""
        (tmp_path / "out.vcf").write_bytes(ran.stdout)
        assert read(tmp_path / "out.vcf").equals(genotypes.select(sites=slice(10, 20)))


# ---- other tools ------------------------------------------------------------------------------------------------


@pytest.mark.oracle("bcftools", "plink2", "vcftools")
@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf"])
@pytest.mark.parametrize("phased", [True, False])
def test_other_tools_take_the_file_without_a_warning(tmp_path, suffix, phased):
    genotypes = artificial(
        np.random.default_rng(9).integers(-1, 2, (200, 30, 2)),
        phased,
        labels={"super_pop": ["EUR"] * 30},
        contig_lengths={"6": 170899992, "7": None},
        assembly="NCBI36/hg18",
    )
    whole = genotypes.calls.copy()
    whole[(whole < 0).any(axis=2)] = -1
    genotypes = Genotypes(whole, genotypes.variants, genotypes.samples, genotypes.labels, phased)
    path = str(write(genotypes, tmp_path / f"x{suffix}", command="pgcgan generate -n EUR=30", seed=1)[0])
    out = str(tmp_path / "out")
    kind = ["--bcf", path] if suffix == ".bcf" else ["--vcf", path]
    gz = ["--bcf", path] if suffix == ".bcf" else ["--gzvcf", path]
    for command in (
        ["bcftools", "view", "-r", "6:100-150", path],
        ["bcftools", "stats", path],
        ["plink2", *kind, "--freq", "--out", out],
        ["vcftools", *gz, "--freq", "--out", out],
    ):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        said = (ran.stderr + (ran.stdout if command[0] != "bcftools" else "")).lower()
        assert ran.returncode == 0, said
        assert "warning" not in said and "error" not in said and "[w::" not in said and "[e::" not in said, said
    rows = [line.split() for line in Path(out + ".afreq").read_text().splitlines()[1:]]
    assert np.allclose([float(r[-2]) for r in rows], genotypes.allele_frequency(), atol=1e-5)
    by_vcftools = [line.split() for line in Path(out + ".frq").read_text().splitlines()[1:]]
    assert np.allclose([float(r[-1].split(":")[1]) for r in by_vcftools], genotypes.allele_frequency(), atol=1e-5)
