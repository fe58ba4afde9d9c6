"""Reading and writing IMPUTE haplotypes, against bcftools and the VCF reader on the same data."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import small
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgcgan import Genotypes, Variants, read, write
from pgcgan.errors import DataError, UsageError

HEAD = (
    '##fileformat=VCFv4.2\n##contig=<ID=6>\n##contig=<ID=X>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">\n'
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"


def vcf_file(folder: Path, records: str, samples: str = "a b c") -> Path:
    path = folder / "in.vcf"
    rows = [line.split() for line in records.strip().splitlines()]
    lines = ["\t".join([*row[:5], ".", ".", ".", "GT", *row[5:]]) for row in rows]
    path.write_text(HEAD + "\t".join([COLUMNS, *samples.split()]) + "\n" + "\n".join(lines) + "\n")
    return path


def bcftools(*arguments: object) -> str:
    run = subprocess.run(["bcftools", *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


names = st.from_regex(r"[A-Za-z][\w.-]{0,8}", fullmatch=True)


@st.composite
def cohorts(draw):
    v, n, ploidy = draw(st.integers(1, 12)), draw(st.integers(1, 9)), draw(st.integers(1, 2))
    size = v * n * ploidy
    calls = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))).reshape(v, n, ploidy)
    alleles = draw(st.lists(st.sampled_from(["A", "AT", "<DEL>", "GGG_T", "T", "."]), min_size=v, max_size=v))
    position = np.sort(draw(st.lists(st.integers(1, 2**40), min_size=v, max_size=v, unique=True)))
    contigs = sorted(draw(st.lists(st.sampled_from(["1", "chr2", "6", "HLA:1_x"]), min_size=v, max_size=v)))
    ids = draw(st.lists(names | st.just("."), min_size=v, max_size=v))
    samples = draw(st.lists(names, min_size=n, max_size=n, unique=True))
    labels = {}
    if draw(st.booleans()):
        labels["super_pop"] = draw(st.lists(st.sampled_from(["AFR", "EUR"]), min_size=n, max_size=n))
    order = np.lexsort((position, contigs))
    variants = Variants(np.array(contigs, dtype=object)[order], position[order], ids, ["C"] * v, alleles)
    calls[np.array(alleles) == "."] = 0
    return Genotypes(calls, variants, samples, labels)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cohorts(), st.sampled_from([".hap", ".hap.gz"]))
def test_a_round_trip_keeps_everything(tmp_path, people, suffix):
    write(people, tmp_path / f"a{suffix}", force=True)
    assert read(tmp_path / f"a{suffix}").equals(people)


# ---- bcftools -----------------------------------------------------------------------------------------------------

RECORDS = """6 10 . A C 0|1 1|0 1|1
6 11 . AT A 0|0 1|0 0|0
6 11 . A G 0|0 1|0 0|1
X 30 . G <DEL> 0|0 1|1 0|1
"""


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("records", "options"),
    [
        (RECORDS, {}),
        (RECORDS, {"region": "6:11"}),
        (RECORDS, {"region": "X", "samples": ["c", "a"]}),
        (RECORDS, {"min_maf": 0.4}),
        (RECORDS.replace("1|1", ".|."), {}),
        (RECORDS.replace("|", "/"), {}),
        (RECORDS.replace("1|0", "1/0"), {"unphased": True}),
        ("X 5 . A C 0 1 1\nX 6 . A C 1 1 0\n", {}),
        ("X 5 . A C 0 1|0 1\nX 6 . A C 1 1|1 0\n", {"haploid": "diploid"}),
        ("X 5 . A C 0 1|0 1\nX 6 . A C 1 1|1 0\n", {"samples": ["b"]}),
    ],
)
@pytest.mark.parametrize("inflate", [False, True])
def test_what_bcftools_makes_of_a_vcf_is_read_as_the_vcf(tmp_path, records, options, inflate):
    source = vcf_file(tmp_path, records)
    bcftools("convert", "--haplegendsample", tmp_path / "h", source)
    path = tmp_path / "h.hap.gz"
    if inflate:
        for packed in (path, tmp_path / "h.legend.gz"):
            packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
            packed.unlink()
        path = tmp_path / "h.hap"
    assert read(path, **options).equals(read(source, **options))


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            RECORDS.replace("1|0", "1/0"),
            "phased and unphased calls are mixed, 0|1 of sample a at 6:10 A>C and 1/0 of sample b at 6:10 A>C; "
            "unphased=True (--unphased) reads all calls as unordered pairs.",
        ),
        (
            "X 5 . A C 0 1|0 1\n",
            "sample a at X:5 A>C is haploid, sample b at X:5 A>C is diploid; haploid='diploid' (--haploid "
            "diploid) doubles "
            "haploid calls to homozygous ones, or select one ploidy by samples or region (X outside the "
            "pseudo-autosomal "
            "regions: women only).",
        ),
    ],
)
def test_policies_are_those_of_the_vcf(tmp_path, records, message):
    bcftools("convert", "--haplegendsample", tmp_path / "h", vcf_file(tmp_path, records))
    with pytest.raises(DataError) as caught:
        read(tmp_path / "h.hap.gz")
    assert str(caught.value) == f"{tmp_path / 'h.hap.gz'}: {message}"


@pytest.mark.oracle
def test_bcftools_reads_what_is_written(tmp_path, cohort):
    people = cohort.select(sites=slice(0, None, 3))
    assert [f.name for f in write(people, tmp_path / "a.hap.gz")] == [
        "a.hap.gz",
        "a.legend.gz",
        "a.samples",
        "a.panel.tsv",
    ]
    bcftools("convert", "--haplegendsample2vcf", tmp_path / "a", "-o", tmp_path / "b.vcf")
    assert read(tmp_path / "b.vcf", tmp_path / "a.panel.tsv").equals(people)
    write(read(tmp_path / "b.vcf", tmp_path / "a.panel.tsv"), tmp_path / "c.hap.gz")
    for suffix in ("hap.gz", "legend.gz", "samples", "panel.tsv"):
        assert (tmp_path / f"c.{suffix}").read_bytes() == (tmp_path / f"a.{suffix}").read_bytes()
    # and the bytes of a file that bcftools makes of the same people
    bcftools("convert", "--haplegendsample", tmp_path / "d", tmp_path / "b.vcf")
    for suffix in ("hap.gz", "legend.gz"):
        texts = [gzip.decompress((tmp_path / f"{name}.{suffix}").read_bytes()) for name in "ad"]
        assert texts[0] == texts[1]


@pytest.mark.oracle
def test_bcftools_reads_ids_and_haploid_people(tmp_path):
    people = small([[[0], [1]], [[1], [1]]], "X")
    people = replace(people, variants=replace(people.variants, id=["rs1", "."]))
    write(people, tmp_path / "a.hap.gz")
    bcftools("convert", "--haplegendsample2vcf", tmp_path / "a", "-o", tmp_path / "b.vcf")
    assert read(tmp_path / "b.vcf").calls.tolist() == people.calls.tolist()
    assert read(tmp_path / "a.hap.gz").equals(people)


# ---- legends and people -------------------------------------------------------------------------------------------


def files(
    folder: Path, hap: str, legend: str, samples: str = "sample population group sex\na . . 0\nb . . 0\n"
) -> Path:
    (folder / "a.hap").write_text(hap)
    (folder / "a.legend").write_text(legend)
    (folder / "a.samples").write_text(samples)
    return folder / "a.hap"


LEGEND = "id position a0 a1 TYPE\nrs9:10:A:C 10 A C SNP\n20:11:A:G 11 A G SNP\n"


def test_a_legend_that_does_not_name_the_contig(tmp_path):
    path = files(tmp_path, "0 1 1 1\n1 0 0 0\n", LEGEND)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{tmp_path / 'a.legend'}, line 2: the id rs9:10:A:C does not name the contig; a region (region='6', "
        "--region 6) names it."
    )
    got = read(path, region="20")
    assert got.variants.contig.tolist() == ["20", "20"]
    assert got.variants.id.tolist() == ["rs9:10:A:C", "."]
    assert got.calls.tolist() == [[[0, 1], [1, 1]], [[1, 0], [0, 0]]]
    assert read(path, region="20:11").n_variants == 1


@pytest.mark.parametrize(
    ("samples", "labels"),
    [
        (
            "sample population group sex\na YRI AFR 1\nb FIN EUR 2\n",
            {"pop": "YRI FIN", "super_pop": "AFR EUR", "gender": "male female"},
        ),
        (
            "sample population group sex\na YRI AFR 2\nb YRI AFR 2\n",
            {"pop": "YRI YRI", "super_pop": "AFR AFR", "gender": "female female"},
        ),
        # what bcftools writes of people of whom it knows nothing
        ("sample population group sex\na a a 2\nb b b 2\n", {}),
        ("sample population group sex\na a a 1\nb b b 2\n", {"gender": "male female"}),
        ("ID POP GROUP SEX\na YRI AFR male\nb FIN . female\n", {"pop": "YRI FIN", "gender": "male female"}),
        ("ID_1 ID_2 missing sex\n0 0 0 D\nfam a 0 1\nfam b 0 0\n", {"gender": "male unknown"}),
        ("ID_1 ID_2 missing\nfam a 0\nfam b 0\n", {}),
    ],
)
def test_the_people_and_their_labels(tmp_path, samples, labels):
    path = files(tmp_path, "0 1 1 1\n", "id position a0 a1\n6:10_A_C 10 A C\n", samples)
    got = read(path)
    assert got.samples.tolist() == ["a", "b"]
    assert {k: " ".join(v) for k, v in got.labels.items()} == labels
    (tmp_path / "a.samples").rename(tmp_path / "a.sample")
    assert read(path, samples=["b", "a"]).equals(got.select(samples=["b", "a"]))


LEGEND2 = "id position a0 a1\n6:10_A_C 10 A C\n6:11_A_C 11 A C\n"
ERRORS = {
    "hap short": ("hap", "0 1 1 1\n", "{hap} ends after 1 lines, {legend} goes on: one of them is truncated."),
    "hap long": (
        "hap",
        "0 1 1 1\n" * 3,
        "{hap} goes on after 2 lines, with which {legend} ends: one of them is truncated.",
    ),
    "hap line": (
        "hap",
        "0 1 1 1\n0 1 1\n",
        "{hap}, line 2: 6:11 A>C has 3 alleles instead of 4, two for each of 2 samples; the file is "
        "truncated, or of other "
        "people than the .samples file.",
    ),
    "hap allele": (
        "hap",
        "0 1 1 1\n0 1 2 1\n",
        "{hap}, line 2: 6:11 A>C has the allele '2' of sample b; accepted: 0, 1, ? (missing), - (second of a haploid "
        "call).",
    ),
    "hap dash": (
        "hap",
        "0 1 - 1\n",
        "{hap}, line 1: 6:10 A>C has the allele '-' of sample b; accepted: 0, 1, ? (missing), - (second of a haploid "
        "call).",
    ),
    "half": (
        "hap",
        "0 1 ? 1\n0 1 1 1\n",
        "{hap}: record 6:10 A>C has the half-call .|1 of sample b; half_calls='missing' (--half-calls "
        "missing) accepts it.",
    ),
    "no hap": ("hap", None, "There is no file {hap}."),
    "no legend": (
        "legend",
        None,
        "There is no file {legend} or {legend}.gz, which belongs to {hap}.",
    ),
    "no samples": ("samples", None, "There is no file {samples} or {sample}, which belongs to {hap}."),
    "legend header": (
        "legend",
        "6:10_A_C 10 A C\n",
        "{legend} begins with '6:10_A_C 10 A C'; a header 'id position a0 a1' is needed.",
    ),
    "legend empty": (
        "legend",
        "",
        "{legend} is empty; a header 'id position a0 a1' and a line for each site are needed.",
    ),
    "legend columns": ("legend", LEGEND2[:-4], "{legend}, line 3: it has 2 columns instead of 4."),
    "legend position": (
        "legend",
        LEGEND2.replace(" 11 ", " x "),
        "{legend}, line 3: the position 'x' is not a whole number from 0 to 4611686018427387903.",
    ),
    "legend text": ("legend", b"id position a0 a1\n\xff\xfe\n", "{legend}, line 2: the byte 0xff is not UTF-8 text."),
    "legend order": (
        "legend",
        LEGEND2.replace("11", "9"),
        "{hap}: record 6:9 A>C comes after 6:10 A>C: positions go back; sort the file with `bcftools sort`.",
    ),
    "duplicate": (
        "legend",
        LEGEND2.replace("11", "10"),
        "{hap}: record 6:10 A>C occurs a second time (the same contig, position, REF and ALT C, and the same ID or "
        "none); duplicates='drop' (--duplicates drop) keeps the first, and IDs of their own keep both.",
    ),
    "samples header": (
        "samples",
        "a . . 0\nb . . 0\n",
        "{samples} begins with 'a . . 0'; accepted headers: 'sample population group sex', 'ID_1 ID_2 missing …'.",
    ),
    "samples empty": (
        "samples",
        "",
        "{samples} is empty; a header 'sample population group sex' and a line for each person are needed.",
    ),
    "samples nobody": ("samples", "sample population group sex\n", "{samples} has no samples."),
    "samples columns": ("samples", "sample sex\na 1\nb\n", "{samples}, line 3: it has 1 columns instead of 2."),
    "samples twice": ("samples", "sample sex\na 1\na 1\n", "{samples}, line 3: the sample a is on line 2 too."),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_is_said(tmp_path, case):
    suffix, content, message = ERRORS[case]
    path = files(tmp_path, "0 1 1 1\n1 0 0 0\n", LEGEND2)
    assert read(path).n_variants == 2
    if content is None:
        path.with_suffix(f".{suffix}").unlink()
    else:
        path.with_suffix(f".{suffix}").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read(path)
    beside = {s: path.with_suffix(f".{s}") for s in ("hap", "legend", "samples", "sample")}
    assert str(caught.value) == message.format(**beside)


def test_a_compressed_file_that_is_cut_is_refused(tmp_path):
    rng = np.random.default_rng(1)
    write(small(rng.integers(0, 2, (200, 20, 2))), tmp_path / "a.hap.gz")
    for name in ("a.hap.gz", "a.legend.gz"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:-50])
        with pytest.raises(DataError, match=f"{name} is truncated"):
            read(tmp_path / "a.hap.gz")
        (tmp_path / name).write_bytes(whole)


# ---- writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "message"),
    [
        (
            small([[[0, 1], [1, 1]]], phased=False),
            "The genotypes are unphased: IMPUTE haplotypes cannot hold that; write a VCF, or phase and impute first.",
        ),
        (
            small([[[0, 1], [1, 1]], [[0, 1], [-1, -1]]]),
            "The call of sample s1 at 6:11 A>C is missing: IMPUTE haplotypes cannot hold that; write a VCF, or "
            "phase and "
            "impute first.",
        ),
        (
            replace(small([[[0, 1]]]), samples=["a b"]),
            "The sample name 'a b' cannot be written to a .samples file: it has blanks.",
        ),
    ],
)
def test_what_haplotypes_cannot_hold(tmp_path, people, message):
    with pytest.raises(DataError) as caught:
        write(people, tmp_path / "a.hap.gz")
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_the_text_that_is_written(tmp_path):
    labels = {"pop": ["Yoruba people", "FIN"], "super_pop": ["AFR", "EUR"], "gender": ["male", "female"]}
    people = small([[[0, 1], [1, 1]], [[0, 0], [0, 1]]], labels=labels)
    write(people, tmp_path / "a.hap")
    assert (tmp_path / "a.hap").read_text() == "0 1 1 1\n0 0 0 1\n"
    assert (tmp_path / "a.legend").read_text() == LEGEND2
    assert (tmp_path / "a.samples").read_text() == "sample population group sex\ns0 . AFR 1\ns1 . EUR 2\n"
    assert read(tmp_path / "a.hap", tmp_path / "a.panel.tsv").equals(people)
    with pytest.raises(UsageError, match="a.hap exists; force=True"):
        write(people, tmp_path / "a.hap")
    shutil.copytree(tmp_path, tmp_path / "copy")
    write(people, tmp_path / "copy" / "a.hap", force=True)
    assert (tmp_path / "copy" / "a.hap").read_bytes() == (tmp_path / "a.hap").read_bytes()
