"""Reading and writing PLINK 2, against pgenlib, plink2 and the VCF reader on the same data."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pgenlib
import pytest
import zstandard
from handmade import small
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgcgan import Genotypes, Variants, read, write
from pgcgan.errors import DataError, MissingExtra, UsageError

HEAD = '##fileformat=VCFv4.2\n##contig=<ID=6,length=1000>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">\n'
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
VCF = """6 10 rs1 A C 0|1 1|0 .|. 1|1
6 11 . A C 0|0 0|0 0|0 0|0
6 11 x A G 0|1 0|1 1|0 0|1
6 30 rs3 AT A .|. .|. .|. .|.
6 400 rs4 G <DEL> 1|1 1|1 0|1 1|1
7 5 . T C 0|0 0|1 0|0 0|0
"""


def vcf_file(folder: Path, records: str, samples: str = "a b c d") -> Path:
    path = folder / "in.vcf"
    rows = [line.split() for line in records.strip().splitlines()]
    lines = ["\t".join([*row[:5], ".", ".", ".", "GT", *row[5:]]) for row in rows]
    path.write_text(HEAD + "\t".join([COLUMNS, *samples.split()]) + "\n" + "\n".join(lines) + "\n")
    return path


def plink2(*arguments: object) -> str:
    """Run plink2; what it says, which must hold no warning."""
    run = subprocess.run(["plink2", *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr + run.stdout
    return run.stdout + run.stderr


def made(folder: Path, records: str, *options: str, samples: str = "a b c d") -> tuple[Path, Path]:
    """Return a VCF, and the .pgen that plink2 makes of it."""
    source = vcf_file(folder, records, samples)
    plink2("--vcf", source, "--make-pgen", *options, "--out", folder / "p")
    return source, folder / "p.pgen"


def decoded(pgen: Path, n: int, variants: int) -> tuple[np.ndarray, np.ndarray]:
    """Return calls (-1 missing) and whether the phase of each is known, by pgenlib."""
    codes, known = np.empty((variants, 2 * n), np.int32), np.empty((variants, n), bool)
    with pgenlib.PgenReader(bytes(pgen)) as reader:
        reader.read_alleles_and_phasepresent_range(0, variants, codes, known)
    codes[codes == -9] = -1
    return codes.reshape(variants, n, 2), known


# ---- the same answer as other readers -----------------------------------------------------------------------------

names = st.from_regex(r"[A-Za-z][\w.-]{0,8}", fullmatch=True)


@st.composite
def cohorts(draw):
    v, n = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    pairs = st.sampled_from([(0, 0), (0, 1), (1, 0), (1, 1), (-1, -1)])
    calls = np.array(draw(st.lists(pairs, min_size=v * n, max_size=v * n)), dtype=np.int8).reshape(v, n, 2)
    alleles = draw(st.lists(st.sampled_from(["A", "AT", "<DEL>", "<CN0>", "GGG", "T"]), min_size=v, max_size=v))
    position = np.sort(draw(st.lists(st.integers(1, 2**31 - 4), min_size=v, max_size=v, unique=True)))
    contigs = sorted(draw(st.lists(st.sampled_from(["1", "chr2", "6", "HLA"]), min_size=v, max_size=v)))
    ids = draw(st.lists(names | st.just("."), min_size=v, max_size=v))
    samples = draw(st.lists(names, min_size=n, max_size=n, unique=True))
    labels = {}
    if draw(st.booleans()):
        labels["super_pop"] = draw(st.lists(st.sampled_from(["AFR", "EUR"]), min_size=n, max_size=n))
    phased = draw(st.booleans())
    order = np.lexsort((position, contigs))
    variants = Variants(np.array(contigs, dtype=object)[order], position[order], ids, ["C"] * v, alleles)
    return Genotypes(calls if phased else np.sort(calls, axis=2), variants, samples, labels, phased)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cohorts())
def test_a_round_trip_keeps_everything_and_pgenlib_reads_the_same(tmp_path, people):
    path = tmp_path / "a.pgen"
    write(people, path, force=True)
    got = read(path)
    het = people.calls[..., 0] != people.calls[..., 1]
    # without a heterozygous call there is no phase to keep
    assert got.equals(people if het.any() else replace(people, phased=False))
    calls, known = decoded(path, people.n_samples, people.n_variants)
    assert np.array_equal(calls, people.calls)
    assert (known[het] == people.phased).all()


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("options", [(), ("vzs",)])
@pytest.mark.parametrize("separator", "|/")
def test_what_plink2_makes_of_a_vcf_is_read_as_the_vcf(tmp_path, options, separator):
    source, pgen = made(tmp_path, VCF.replace("|", separator), *options)
    assert (tmp_path / "p.pvar.zst").exists() is bool(options)
    assert read(pgen).equals(read(source))
    assert read(pgen).variants.contig_lengths == {"6": 1000, "7": None}


@pytest.mark.oracle("plink2")
def test_records_of_fixed_width(tmp_path):
    source, pgen = made(tmp_path, VCF.replace("|", "/"), "format=2")
    assert pgen.read_bytes()[2] == 2
    assert read(pgen).equals(read(source))


@pytest.mark.oracle("plink2")
def test_a_vcf_through_pgen_is_the_same_vcf_and_plink2_has_no_warning(tmp_path, cohort):
    part = cohort.select(sites=slice(0, None, 3))
    people = replace(part, calls=np.where(np.arange(part.n_samples)[:, None] % 50 == 7, -1, part.calls))
    write(people, tmp_path / "a.vcf.gz")
    write(read(tmp_path / "a.vcf.gz", tmp_path / "a.panel.tsv"), tmp_path / "b.pgen")
    write(read(tmp_path / "b.pgen"), tmp_path / "c.vcf.gz")
    assert (tmp_path / "c.vcf.gz").read_bytes() == (tmp_path / "a.vcf.gz").read_bytes()
    assert (tmp_path / "c.panel.tsv").read_text() == (tmp_path / "a.panel.tsv").read_text()
    said = plink2("--pfile", tmp_path / "b", "--validate", "--out", tmp_path / "v")
    said += plink2("--pfile", tmp_path / "b", "--export", "vcf", "--out", tmp_path / "d")
    said += plink2("--pfile", tmp_path / "b", "--make-pgen", "vzs", "--out", tmp_path / "e")
    assert "warning" not in said.lower()
    assert "2 categorical phenotypes loaded" in said
    assert read(tmp_path / "d.vcf").equals(read(tmp_path / "a.vcf.gz"))
    assert read(tmp_path / "e.pgen").equals(people)


@pytest.mark.oracle("plink2")
def test_unphased_people_through_pgen(tmp_path, cohort):
    people = cohort.select(sites=slice(0, 40)).without_phase()
    write(people, tmp_path / "a.pgen")
    assert "warning" not in plink2("--pfile", tmp_path / "a", "--export", "vcf", "--out", tmp_path / "a").lower()
    assert read(tmp_path / "a.vcf", tmp_path / "a.panel.tsv").equals(people)
    assert read(tmp_path / "a.pgen").equals(people)


# ---- parts of a file ----------------------------------------------------------------------------------------------


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize(
    "options",
    [
        {"region": "6"},
        {"region": "7"},
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
    source, pgen = made(tmp_path, VCF)
    assert read(pgen, **options).equals(read(source, **options))


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize("options", [{"region": "8"}, {"region": "6:12-29"}, {"region": "6:5-2"}, {"samples": ["z"]}])
def test_parts_that_are_not_there_are_refused_as_in_a_vcf(tmp_path, options):
    source, pgen = made(tmp_path, VCF)
    texts = []
    for path in (source, pgen):
        with pytest.raises(DataError) as caught:
            read(path, **options)
        texts.append(str(caught.value).replace(str(path), "FILE"))
    assert texts[0].split("; its contigs")[0] == texts[1].split("; its contigs")[0]


def test_only_the_records_of_a_region_are_decoded(tmp_path, cohort):
    people = cohort.select(sites=slice(0, 100))
    write(people, tmp_path / "a.pgen")
    whole = (tmp_path / "a.pgen").read_bytes()
    (tmp_path / "a.pgen").write_bytes(whole[:-200])
    contig, position = people.variants.contig[0], people.variants.position
    got = read(tmp_path / "a.pgen", region=f"{contig}:1-{position[9]}")
    assert got.equals(people.select(sites=slice(0, int((position <= position[9]).sum()))))
    with pytest.raises(DataError, match="is truncated or damaged, pgenlib says: .*; fetch it again."):
        read(tmp_path / "a.pgen")


def test_many_blocks_are_read_as_one(tmp_path, cohort, monkeypatch):
    write(cohort, tmp_path / "a.pgen")
    monkeypatch.setattr("pgcgan.io.plink2._BLOCK", 2 * cohort.n_samples * 7)
    people = cohort.samples[::-3].tolist()
    assert read(tmp_path / "a.pgen", samples=people).equals(cohort.select(samples=people))
    write(cohort, tmp_path / "b.pgen")
    assert (tmp_path / "b.pgen").read_bytes() == (tmp_path / "a.pgen").read_bytes()


# ---- policies -----------------------------------------------------------------------------------------------------


@pytest.mark.oracle("plink2")
def test_several_alt_alleles(tmp_path):
    source, pgen = made(tmp_path, VCF + "7 6 . A C,G 0|2 2|1 .|. 1|0\n7 7 . A C 0|1 0|1 0|1 0|1\n")
    with pytest.raises(DataError) as caught:
        read(pgen)
    assert str(caught.value) == (
        f"{pgen}: record 7:6 A>C,G has 2 ALT alleles; multiallelic='split' or 'drop' (--multiallelic split|drop) "
        "accepts it."
    )
    for policy in ("split", "drop"):
        for samples in (None, ["d", "b"]):
            options = {"multiallelic": policy, "samples": samples}
            assert read(pgen, **options).equals(read(source, **options))


@pytest.mark.oracle("plink2")
def test_a_mixture_of_phase(tmp_path):
    source, pgen = made(tmp_path, "6 10 . A C 0|1 1|0 .|. 1|1\n6 11 . A C 0|1 0/1 0/0 1|1\n")
    with pytest.raises(DataError) as caught:
        read(pgen)
    assert str(caught.value) == (
        f"{pgen}: phased and unphased calls are mixed, 0|1 of sample a at 6:10 A>C and 0/1 of sample b at 6:11 A>C; "
        "unphased=True (--unphased) reads all calls as unordered pairs."
    )
    assert read(pgen, unphased=True).equals(read(source, unphased=True))
    assert read(pgen, samples=["a", "c"]).phased
    assert not read(pgen, samples=["b", "c"], region="6:11").phased


@pytest.mark.oracle("plink2")
def test_duplicate_records(tmp_path):
    _, pgen = made(tmp_path, VCF + "7 5 . T C 1|1 1|1 1|1 1|1\n")
    with pytest.raises(DataError, match="record 7:5 T>C occurs a second time .* duplicates='drop'"):
        read(pgen)
    kept = read(pgen, duplicates="drop")
    assert kept.n_variants == 6
    assert kept.calls[5].tolist() == [[0, 0], [0, 1], [0, 0], [0, 0]]


def test_no_alt_allele(tmp_path):
    people = small([[[0, 0], [-1, -1]], [[0, 1], [1, 1]]])
    people = replace(people, variants=replace(people.variants, alt=[".", "C"]))
    write(people, tmp_path / "a.pgen")
    assert read(tmp_path / "a.pgen").equals(people)
    (tmp_path / "a.pvar").write_text((tmp_path / "a.pvar").read_text().replace("A\tC", "A\t."))
    with pytest.raises(DataError, match="record 6:11 A>. has no allele 1, with which sample s0 is called."):
        read(tmp_path / "a.pgen")


# ---- haploid calls ------------------------------------------------------------------------------------------------

SEXED = """X 3000000 . A C 1 1|0 0|1 0
X 3000001 . A C 0 1|0 1|1 .
"""
PSAM = "#IID\tSEX\na\t1\nb\t2\nc\t2\nd\tM\n"


def sexed(folder: Path, records: str) -> Path:
    (folder / "sex.psam").write_text(PSAM)
    source = vcf_file(folder, records)
    plink2("--vcf", source, "--psam", folder / "sex.psam", "--make-pgen", "--out", folder / "p")
    plink2("--pfile", folder / "p", "--export", "vcf", "--out", folder / "back")
    return folder / "p.pgen"


@pytest.mark.oracle("plink2")
@pytest.mark.parametrize(
    ("records", "options"),
    [
        (SEXED, {"haploid": "diploid"}),
        (SEXED, {"samples": ["d", "a"]}),
        (SEXED, {"samples": ["c", "b"]}),
        (SEXED.replace("X ", "chrX ").replace("|", "/"), {"haploid": "diploid"}),
        ("Y 5 . A C 1 . . 0\nY 6 . A C 1 . . 1\n", {}),
        ("MT 5 . A C 1 0 0 0\nMT 6 . A C 1 . 0 1\n", {}),
        ("23 5 . A C 1 0|0 1|0 0\n", {"samples": ["a", "d"]}),
        ("PAR1 5 . A C 1|1 0|0 1|0 1|0\n", {}),
    ],
)
def test_haploid_calls_are_those_that_plink2_exports(tmp_path, records, options):
    pgen = sexed(tmp_path, records)
    got, expected = read(pgen, **options), read(tmp_path / "back.vcf", **options)
    assert got.ploidy == expected.ploidy
    assert np.array_equal(got.calls, expected.calls)


@pytest.mark.oracle("plink2")
def test_men_beside_women_on_x_are_refused(tmp_path):
    pgen = sexed(tmp_path, SEXED)
    with pytest.raises(DataError) as caught:
        read(pgen)
    assert str(caught.value).startswith(
        f"{pgen}: sample a at X:3000000 A>C is haploid, sample b at X:3000000 A>C is diploid; haploid='diploid'"
    )


def test_haploid_people_are_written_where_plink2_has_them(tmp_path):
    calls = [[[0], [1], [-1]], [[1], [1], [0]]]
    men = {"gender": ["male"] * 3}
    for contig, labels in (("X", men), ("chrY", {}), ("MT", {})):
        people = small(calls, contig, labels=labels)
        write(people, tmp_path / "a.pgen", force=True)
        got = read(tmp_path / "a.pgen")
        assert (got.ploidy, got.calls.tolist()) == (1, people.calls.tolist())
    for contig, labels in (("6", men), ("X", {}), ("X", {"gender": ["male", "female", "male"]})):
        with pytest.raises(DataError) as caught:
            write(small(calls, contig, labels=labels), tmp_path / "b.pgen")
        assert str(caught.value) == (
            f"Haploid calls on contig {contig} cannot be written to a .pgen, which holds them for men (label gender) "
            "on X and for everybody on Y and MT only; write a VCF."
        )
    assert not list(tmp_path.glob("b.*"))


@pytest.mark.oracle("plink2")
def test_plink2_exports_the_haploid_people_that_are_written(tmp_path):
    people = small([[[0], [1], [-1]], [[1], [1], [0]]], "X", labels={"gender": ["male"] * 3})
    write(people, tmp_path / "a.pgen")
    assert "warning" not in plink2("--pfile", tmp_path / "a", "--export", "vcf", "--out", tmp_path / "a").lower()
    assert read(tmp_path / "a.vcf", tmp_path / "a.panel.tsv").equals(people)


# ---- the tables ---------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path):
    """Return a small set on disk: two people, three sites."""
    write(small([[[0, 1], [1, 1]], [[0, 0], [1, 0]], [[-1, -1], [0, 1]]]), tmp_path / "a.pgen")
    return tmp_path / "a.pgen"


@pytest.mark.parametrize(
    ("psam", "labels"),
    [
        ("#IID\tSEX\tSuperPop\nx\t1\tAFR\ny\t2\tEUR\n", {"SuperPop": "AFR EUR", "gender": "male female"}),
        ("#FID IID PAT MAT SEX POP\nf x 0 0 M A\nf y 0 0 0 B\n", {"POP": "A B", "gender": "male unknown"}),
        ("##comment\n#IID SID case height site\nx 0 1 1.5 NONE\ny 0 2 -9 Oslo\n", {}),
        ("fam x 0 0 2 -9\nfam y 0 0 2 -9\n", {"gender": "female female"}),
        ("#IID\nx\ny", {}),
    ],
)
def test_the_people_and_labels_of_a_psam(pair, psam, labels):
    pair.with_suffix(".psam").write_text(psam)
    got = read(pair)
    assert got.samples.tolist() == ["x", "y"]
    assert {k: " ".join(v) for k, v in got.labels.items()} == labels
    assert {k: " ".join(v) for k, v in read(pair, samples=["y"]).labels.items()} == {
        k: v.split()[1] for k, v in labels.items()
    }


def test_a_panel_replaces_the_labels_of_the_psam(pair, tmp_path):
    pair.with_suffix(".psam").write_text("#IID\tSEX\tSuperPop\ns0\t1\tAFR\ns1\t2\tEUR\n")
    (tmp_path / "panel.tsv").write_text("sample\tpop\ns1\tFIN\ns0\tYRI\n")
    assert {k: v.tolist() for k, v in read(pair, tmp_path / "panel.tsv").labels.items()} == {"pop": ["YRI", "FIN"]}
    assert read(pair, pair.with_suffix(".psam")).label("SuperPop").tolist() == ["AFR", "EUR"]


def test_the_columns_of_a_pvar_are_found_by_name(pair):
    expected = read(pair)
    lines = "#CHROM ID POS ALT REF INFO\n6 . 10 C A PR\n6 . 11 C A AC=1;AN=4\n6 . 12 C A .\n"
    pair.with_suffix(".pvar").write_text(lines)
    assert read(pair).equals(expected)
    # several frames, as plink2 writes for large files, and one that holds no data
    packed = [zstandard.compress(part.encode()) for part in (lines[:40], lines[40:])]
    skippable = bytes.fromhex("5e2a4d18") + (4).to_bytes(4, "little") + b"\0" * 4
    pair.with_suffix(".pvar").unlink()
    Path(f"{pair.with_suffix('.pvar')}.zst").write_bytes(packed[0] + skippable + packed[1] + skippable)
    assert read(pair).equals(expected)


PVAR = "#CHROM\tPOS\tID\tREF\tALT\n6\t10\t.\tA\tC\n6\t11\t.\tA\tC\n6\t12\t.\tA\tC\n"
ZST = zstandard.compress(PVAR.encode() * 500)
ERRORS = {
    "no pgen": (".pgen", None, "There is no file {pgen}."),
    "no pvar": (".pvar", None, "There is no file {pvar} (nor {pvar}.zst), which belongs to {pgen}."),
    "no psam": (".psam", None, "There is no file {psam}, which belongs to {pgen}."),
    "empty": (
        ".pgen",
        b"",
        "{pgen} is not a PLINK 2 .pgen file (one begins with the bytes 6c 1b, this nothing: it is empty).",
    ),
    "magic": (
        ".pgen",
        b"BCF\2\2" * 9,
        "{pgen} is not a PLINK 2 .pgen file (one begins with the bytes 6c 1b, this with 42 43 46 02).",
    ),
    "bed": (
        ".pgen",
        b"\x6c\x1b\x01" + b"\0" * 20,
        "{pgen} is a PLINK 1 .bed by its first bytes; `plink2 --bfile NAME --make-pgen` makes a .pgen of one.",
    ),
    "pgi": (
        ".pgen",
        b"\x6c\x1b\x20" + b"\0" * 20,
        "{pgen} has its index in a file of its own (.pgen.pgi), which is not read; `plink2 --pfile NAME --make-pgen` "
        "writes one with the index inside.",
    ),
    "short header": (".pgen", b"\x6c\x1b\x10\0\0", "{pgen} is truncated: it ends inside its header; fetch it again."),
    "people": (
        ".psam",
        b"#IID\nx\ny\nz\n",
        "{pgen} holds 2 samples, {psam} lists 3: they are not of the same set, or one is truncated.",
    ),
    "sites": (
        ".pvar",
        PVAR[:-11].encode(),
        "{pgen} holds 3 variants, {pvar} lists 2: they are not of the same set, or one is truncated.",
    ),
    "twice": (".psam", b"#FID\tIID\nf\tx\ng\tx\n", "{psam}, line 3: the sample x is on line 2 too."),
    "psam columns": (".psam", b"#IID SEX\nx 1\ny\n", "{psam}, line 3: it has 1 columns instead of 2."),
    "psam header": (
        ".psam",
        b"#ID SEX\nx 1\ny 1\n",
        "{psam}: the header line begins with '#ID'; accepted: #IID, #FID.",
    ),
    "psam no IID": (".psam", b"#FID SEX\nx 1\ny 1\n", "{psam} has no column IID; its columns: FID, SEX."),
    "psam same": (".psam", b"#IID A A\nx 1 1\ny 1 1\n", "{psam} has columns of the same name: A."),
    "psam empty": (".psam", b"", "{psam} is empty; a line '#IID SEX …' and a line for each person are needed."),
    "psam nobody": (".psam", b"#IID\n", "{psam} has no samples."),
    "psam binary": (".psam", b"#IID\n\xff\xfe\n", "{psam}, line 2: the byte 0xff is not UTF-8 text."),
    "pvar header": (
        ".pvar",
        b"6\t.\t0\t10\tC\tA\n",
        "{pvar} has no header line '#CHROM POS ID REF ALT', but '6\\t.\\t0\\t10\\tC\\tA'; `plink2 --pfile NAME "
        "--make-pgen` writes one.",
    ),
    "pvar empty": (".pvar", b"", "{pvar} has no header line '#CHROM POS ID REF ALT'."),
    "pvar columns": (".pvar", PVAR[:-5].encode(), "{pvar}, line 4: it has 3 columns instead of at least 5."),
    "pvar position": (
        ".pvar",
        PVAR.replace("11", "1e1").encode(),
        "{pvar}, line 3: the position '1e1' is not a whole number from 0 to 4611686018427387903.",
    ),
    "pvar order": (
        ".pvar",
        PVAR.replace("12", "9").encode(),
        "{pgen}: record 6:9 A>C comes after 6:11 A>C: positions go back; sort the file with `bcftools sort`.",
    ),
    "zst cut": (
        ".pvar.zst",
        ZST[:-9],
        "{pvar}.zst is truncated: the compressed data stop in the middle; fetch it again.",
    ),
    "zst no zst": (".pvar.zst", PVAR.encode(), "{pvar}.zst is damaged: "),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_is_said(pair, case):
    suffix, content, message = ERRORS[case]
    path = pair.with_suffix(suffix)
    if suffix == ".pvar.zst":
        pair.with_suffix(".pvar").unlink()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(pair)
    expected = message.format(pgen=pair, psam=pair.with_suffix(".psam"), pvar=pair.with_suffix(".pvar"))
    assert str(caught.value).startswith(expected)
    assert str(caught.value) == expected or case == "zst no zst"


def test_a_pgen_cut_anywhere_is_refused(pair):
    whole = pair.read_bytes()
    for length in range(len(whole)):
        pair.write_bytes(whole[:length])
        with pytest.raises(DataError, match="a.pgen (is truncated|is not a PLINK 2 .pgen file)"):
            read(pair)


@pytest.mark.parametrize(
    ("module", "package", "purpose"),
    [("pgenlib", "Pgenlib", "Reading .pgen files"), ("zstandard", "zstandard", "Reading .zst files")],
)
def test_without_the_extra(pair, monkeypatch, module, package, purpose):
    if module == "zstandard":
        pair.with_suffix(".pvar").unlink()
        Path(f"{pair.with_suffix('.pvar')}.zst").write_bytes(ZST)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra) as caught:
        read(pair)
    assert str(caught.value) == f"{purpose} needs '{package}', which is not installed: pip install 'pgcgan[plink]'"


def test_without_the_extra_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pgenlib", None)
    with pytest.raises(MissingExtra, match="Writing .pgen files needs 'Pgenlib'"):
        write(small([[[0, 1]]]), tmp_path / "a.pgen")
    assert not list(tmp_path.iterdir())


# ---- writing ------------------------------------------------------------------------------------------------------


def test_the_text_files_that_are_written(tmp_path):
    labels = {
        "pop": ["YRI", "FIN"],
        "gender": ["female", "male"],
        "site": ["New York", "Oslo"],
        "batch": ["1", "2"],
        "IID": ["A", "B"],
    }
    people = small([[[0, 1], [1, 1]]], labels=labels)
    variants = replace(people.variants, contig_lengths={"5": 9, "6": 100}, assembly="GRCh38")
    files = write(replace(people, variants=variants), tmp_path / "a.pgen", command="pgcgan  generate m", seed=7)
    assert [f.name for f in files] == ["a.pgen", "a.pvar", "a.psam", "a.panel.tsv"]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    pvar = (tmp_path / "a.pvar").read_text().splitlines()
    assert pvar[0].startswith("##source=pgcgan ")
    assert pvar[1:] == [
        "##pgcganCommand=pgcgan generate m",
        "##pgcganSeed=7",
        "##contig=<ID=5,length=9,assembly=GRCh38>",
        "##contig=<ID=6,length=100,assembly=GRCh38>",
        "#CHROM\tPOS\tID\tREF\tALT",
        "6\t10\t.\tA\tC",
    ]
    assert (tmp_path / "a.psam").read_text() == "#IID\tSEX\tpop\ns0\t2\tYRI\ns1\t1\tFIN\n"
    got = read(tmp_path / "a.pgen", tmp_path / "a.panel.tsv")
    assert {k: v.tolist() for k, v in got.labels.items()} == labels
    assert (dict(got.variants.contig_lengths), got.variants.assembly) == ({"5": 9, "6": 100}, "GRCh38")


@pytest.mark.oracle("plink2")
def test_plink2_takes_any_label_that_goes_into_the_psam(tmp_path):
    values = ["Ab", "_c,d", "é=1"]
    taken = ["1kg", "a,b", "x=y", "NA", "pop", "é", "PHENO1", "COVAR"]
    labels = {name: values for name in [*taken, "Pop", "sid", "two words"]}
    labels |= {f"not {v}": ["a", v, "b"] for v in ("NONE", "inf", "-9", "0", "1a", "New York")}
    people = replace(small([[[0, 1], [1, 1], [0, 0]]], labels=labels), samples=["é", "a:b,c", "x|y"])
    write(people, tmp_path / "a.pgen")
    said = plink2("--pfile", tmp_path / "a", "--freq", "--out", tmp_path / "a")
    assert "8 categorical phenotypes loaded" in said and "warning" not in said.lower()
    assert {k: v.tolist() for k, v in read(tmp_path / "a.pgen").labels.items()} == dict.fromkeys(taken, values)
    assert read(tmp_path / "a.pgen", tmp_path / "a.panel.tsv").equals(people)


@pytest.mark.parametrize("present", ["a.pgen", "a.pvar", "a.psam", "a.pvar.zst"])
def test_nothing_is_overwritten_without_force(tmp_path, present):
    (tmp_path / present).write_text("mine")
    with pytest.raises(UsageError) as caught:
        write(small([[[0, 1]]]), tmp_path / "a.pgen")
    assert str(caught.value) == (
        f"{tmp_path / present} exists; force=True (--force) replaces it, or choose another name."
    )
    assert [p.read_text() for p in tmp_path.iterdir()] == ["mine"]
    write(small([[[0, 1]]]), tmp_path / "a.pgen", force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pgen", "a.psam", "a.pvar"]


@pytest.mark.parametrize("name", ["0", "#x", "a b"])
def test_names_that_a_psam_cannot_hold(tmp_path, name):
    with pytest.raises(DataError) as caught:
        write(replace(small([[[0, 1]]]), samples=[name]), tmp_path / "a.pgen")
    assert str(caught.value) == (
        f"The sample name {name!r} cannot be written to a .psam: it is 0, begins with #, or has blanks."
    )


def test_calls_and_positions_that_a_pgen_cannot_hold(tmp_path):
    with pytest.raises(DataError) as caught:
        write(small([[[0, 1], [1, 1]], [[0, 0], [-1, 1]]]), tmp_path / "a.pgen")
    assert str(caught.value) == (
        "The half-call of sample s1 at 6:11 A>C cannot be written to a .pgen, in which both alleles of a call are "
        "known or none; make it missing, or write a VCF."
    )
    far = Variants(["6"], [2**31 - 3], ["."], ["A"], ["C"])
    with pytest.raises(DataError, match="Variant 6:2147483645 A>C cannot be written to a .pvar: positions end at"):
        write(replace(small([[[0, 1]]]), variants=far), tmp_path / "a.pgen")
    assert not list(tmp_path.iterdir())
