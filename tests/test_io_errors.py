"""The text of each error of reading and writing genotypes: what, where, what is accepted, the way out."""

from __future__ import annotations

import gzip
import logging
import os
import re
from pathlib import Path

import numpy as np
import pysam
import pysam.bcftools
import pytest

from pgcgan import Genotypes, Variants, read, write
from pgcgan.errors import DataError, UsageError

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=6,length=1000>\n##contig=<ID=X>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
)
PHASE = "unphased=True (--unphased) reads all calls as unordered pairs."
PLOIDY = (
    "haploid='diploid' (--haploid diploid) doubles haploid calls to homozygous ones, or select one ploidy by samples "
    "or region (X outside the pseudo-autosomal regions: women only)."
)
SORT = "sort the file with `bcftools sort`."


def vcf(*records, samples="a b", form="GT"):
    """One VCF as text from records `position ref alt call call` (contig 6) or `contig:position …`."""
    lines = [COLUMNS + "".join(f"\t{s}" for s in samples.split())]
    for record in records:
        place, ref, alt, *calls = record.split()
        contig, _, position = place.rpartition(":")
        lines.append("\t".join([contig or "6", position, ".", ref, alt, ".", ".", ".", form, *calls]))
    return HEADER + "\n".join(lines) + "\n"


# Errors that text and binary files share: text, message.
RECORDS = {
    "several ALT": (
        vcf("10 A C 0|1 0|0", "11 A C,G 0|1 0|2"),
        "record 6:11 A>C,G has 2 ALT alleles; multiallelic='split' or 'drop' (--multiallelic split|drop) accepts it.",
    ),
    "half-call": (
        vcf("10 A C 0|1 0|0", "11 A C 0|1 .|1"),
        "record 6:11 A>C has the half-call .|1 of sample b; half_calls='missing' (--half-calls missing) accepts it.",
    ),
    "half-call, unphased": (
        vcf("11 A C 0/. ./."),
        "record 6:11 A>C has the half-call 0/. of sample a; half_calls='missing' (--half-calls missing) accepts it.",
    ),
    "mixed ploidy in a record": (
        vcf("X:10 A C 0|1 1|1", "X:11 A C 0|1 1"),
        f"sample b at X:11 A>C is haploid, sample a at X:10 A>C is diploid; {PLOIDY}",
    ),
    "mixed ploidy between records": (
        vcf("X:10 A C 0 1", "X:11 A C 0|1 1|1"),
        f"sample a at X:10 A>C is haploid, sample a at X:11 A>C is diploid; {PLOIDY}",
    ),
    "mixed phase": (
        vcf("10 A C 0/0 0|0", "11 A C 1|1 0|1", "12 A C 0/1 1|1"),
        f"phased and unphased calls are mixed, 0|1 of sample b at 6:11 A>C and 0/1 of sample a at 6:12 A>C; {PHASE}",
    ),
    "mixed phase in a record": (
        vcf("10 A C 1/0 0|1"),
        f"phased and unphased calls are mixed, 0|1 of sample b at 6:10 A>C and 1/0 of sample a at 6:10 A>C; {PHASE}",
    ),
    "duplicate": (
        vcf("10 A C 0|1 0|1", "10 A G 0|1 0|1", "10 A C 0|1 0|1"),
        "record 6:10 A>C occurs a second time (the same contig, position, REF and ALT C, and the same ID or none); "
        "duplicates='drop' (--duplicates drop) keeps the first, and IDs of their own keep both.",
    ),
    "out of order": (
        vcf("10 A C 0|1 0|1", "9 A G 0|1 0|1"),
        f"record 6:9 A>G comes after 6:10 A>C: positions go back; {SORT}",
    ),
    "a contig that comes back": (
        vcf("6:10 A C 0|1 0|1", "X:9 A G 0|1 0|1", "6:11 A T 0|1 1|1"),
        "record 6:11 A>T comes after X:9 A>G, but contig 6 began before it; sort with `bcftools sort`.",
    ),
    "three alleles in a call": (
        vcf("10 A C 0|1 0|1|1"),
        None,  # the two forms word it differently, below
    ),
    "no GT": (vcf("10 A C 3 4", form="DP"), None),
    "no records": (vcf(), "holds no record; its contigs: 6, X."),
}


def write_form(tmp_path, text, form):
    path = tmp_path / f"x{form}"
    if form == ".vcf":
        path.write_text(text)
    else:
        (tmp_path / "plain").write_text(text)
        pysam.bcftools.view("-Ob", "-o", str(path), str(tmp_path / "plain"), catch_stdout=False)
    return path


def message_of(path, **options):
    with pytest.raises(DataError) as caught:
        read(path, **options)
    text = str(caught.value)
    assert text.startswith(str(path))
    return text.removeprefix(str(path)).lstrip(": ")


@pytest.mark.parametrize("form", [".vcf", ".bcf"])
@pytest.mark.parametrize("case", [c for c in RECORDS if RECORDS[c][1]])
def test_records_that_need_a_decision(tmp_path, case, form):
    text, message = RECORDS[case]
    assert message_of(write_form(tmp_path, text, form)) == message


def test_calls_of_more_than_two_alleles_and_records_without_gt(tmp_path):
    triploid, no_gt = RECORDS["three alleles in a call"][0], RECORDS["no GT"][0]
    assert message_of(write_form(tmp_path, triploid, ".vcf")) == (
        "record 6:10 A>C has the call '0|1|1' of sample b; accepted: one or two alleles (0|1, 0/1, 1, ./.)."
    )
    assert message_of(write_form(tmp_path, triploid, ".bcf")) == (
        "record 6:10 A>C has 3 alleles in the call of sample b; accepted: one or two alleles."
    )
    assert message_of(write_form(tmp_path, no_gt, ".vcf")) == (
        "record 6:10 A>C has no GT (its FORMAT is DP); genotype calls are needed."
    )
    assert message_of(write_form(tmp_path, no_gt, ".bcf")) == "record 6:10 A>C has no GT; genotype calls are needed."


TEXTS = {
    "": (
        "is not a VCF or BCF file (a VCF begins with '##fileformat=VCF', this with nothing: it is empty); accepted: "
        ".vcf, .vcf.gz, .vcf.bgz, .bcf; by their names also .bed, .pgen, .hap, .hap.gz, .vcz, .zarr, .trees, .npz."
    ),
    "sample pop\n": (
        "is not a VCF or BCF file (a VCF begins with '##fileformat=VCF', this with 'sample pop\\n'); accepted: "
        ".vcf, .vcf.gz, .vcf.bgz, .bcf; by their names also .bed, .pgen, .hap, .hap.gz, .vcz, .zarr, .trees, .npz."
    ),
    HEADER: (
        "has no header line '#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT samples…' (tab-separated) after its '##' "
        "lines, but ''."
    ),
    HEADER + COLUMNS.replace("\t", " ") + "\n": (
        "has no header line '#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT samples…' (tab-separated) after its '##' "
        "lines, but '#CHROM POS ID REF ALT QUAL FILTER INFO F'."
    ),
    vcf(samples=""): "has no samples: it lists sites only; genotypes of people are needed.",
    vcf(samples="a b c b"): "names samples more than once in its header: b.",
    vcf("10 A C 0|1 0|2"): "record 6:10 A>C has no allele 2, with which sample b is called.",
    vcf("10 A . 0|1 0|0"): "record 6:10 A>. has no allele 1, with which sample a is called.",
    vcf(
        "10 A C 0|1 0|0", "x A C 0|1 0|0"
    ): "the position 'x' on contig 6 is not a number from 0 to 4611686018427387903.",
    vcf("10 A C 0|1 0-1"): (
        "record 6:10 A>C has the call '0-1' of sample b; accepted: one or two alleles (0|1, 0/1, 1, ./.)."
    ),
    vcf("10 A C 0|1 0|1 0|1"): "record 6:10 A>C has 3 instead of 2 sample columns; the file is truncated or damaged.",
    vcf("10 A C 0|1 0|1", "11 A C 0|1"): (
        "record 6:11 A>C has 1 instead of 2 sample columns; the file is truncated or damaged."
    ),
    vcf("10 A C 0|1 0|1").replace("\t.\t.\t.\tGT\t0|1\t0|1\n", "\t."): (
        "the line '6\\t10\\t.\\tA\\tC\\t.'… has 6 instead of 11 tab-separated columns; the file is truncated or not "
        "tab-separated."
    ),
    vcf("10 A C 0|1 0|1").removesuffix("1\n"): (
        "record 6:10 A>C has the call '0|' of sample b; accepted: one or two alleles (0|1, 0/1, 1, ./.)."
    ),
}


@pytest.mark.parametrize("text", TEXTS)
def test_text_that_is_no_vcf_or_stops_early(tmp_path, text):
    path = tmp_path / "x.vcf"
    path.write_text(text)
    assert message_of(path) == TEXTS[text]


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path / "none.vcf")
    assert str(caught.value) == f"There is no file {tmp_path}/none.vcf."
    assert message_of(tmp_path) == "cannot be opened: Is a directory."
    (tmp_path / "x.vcf").write_bytes(vcf(samples="å b").encode("latin-1"))
    assert message_of(tmp_path / "x.vcf") == "is not UTF-8 text at byte 0xe5."


def long_vcf(tmp_path):
    rng = np.random.default_rng(0)
    calls = rng.integers(0, 2, (400, 100, 2))
    variants = Variants(["6"] * 400, range(1, 401), ["."] * 400, ["A"] * 400, ["C"] * 400)
    return write(Genotypes(calls, variants, [f"s{i}" for i in range(100)]), tmp_path / "long.vcf.gz")[0]


def test_compressed_files_that_are_truncated_or_damaged(tmp_path):
    data = long_vcf(tmp_path).read_bytes()
    path = tmp_path / "x.vcf.gz"
    path.write_bytes(data[:-28])
    end = (
        "is truncated: the bgzip end-of-file block is missing; fetch it again, or, if all records are there, rewrite "
        f"it with `bcftools view -Oz -o complete.vcf.gz {path}`."
    )
    assert message_of(path) == end
    path.write_bytes(data[: len(data) // 2])
    assert message_of(path) == end
    path.write_bytes(gzip.compress(gzip.decompress(data))[:-1000])
    assert message_of(path).startswith("is truncated")
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 255
    path.write_bytes(damaged)
    assert "damaged" in message_of(path)


def test_a_truncated_bcf(tmp_path):
    path = write_form(tmp_path, vcf("10 A C 0|1 0|1", "11 A C 0|1 0|1"), ".bcf")
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole[:-3]))
    message = message_of(path)
    assert message.startswith("is truncated") and "record 2" in message


def test_an_index_that_is_none(tmp_path, caplog):
    path = long_vcf(tmp_path)
    index = tmp_path / "long.vcf.gz.tbi"
    index.write_text("text")
    with pytest.raises(DataError) as caught:
        read(path, region="6:10-20")
    assert re.fullmatch(
        rf"The index {index} cannot be read \(.+\); make it anew with `tabix -f -p vcf` \(VCF\) or `bcftools index -f` "
        r"\(VCF, BCF\)\.",
        str(caught.value),
    )
    pysam.tabix_index(str(path), preset="vcf", force=True)
    os.utime(index, (1, 1))
    with caplog.at_level(logging.WARNING, logger="pgcgan.io"):
        assert read(path, region="6:10-20").n_variants == 11
    assert [r.message for r in caplog.records] == [
        f"The index {index} is older than {path}; make it anew if the file has changed since."
    ]


def test_an_index_of_other_records(tmp_path):
    path = long_vcf(tmp_path)
    whole = gzip.decompress(path.read_bytes())
    pysam.tabix_index(str(path), preset="vcf", force=True)
    index = tmp_path / "long.vcf.gz.tbi"
    assert read(path, region="6:10-20").n_variants == 11
    lines = whole.splitlines(keepends=True)
    for content in (b"".join(lines[:-1]), b"".join([*lines, lines[-1].replace(b"6\t", b"X\t", 1)])):
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(content)
        os.utime(index)
        for region in ("6:10-20", "X", "7"):
            with pytest.raises(DataError) as caught:
                read(path, region=region)
            assert f"The index {index} is that of another file" in str(caught.value)
            assert "delete it" in str(caught.value) and "`bcftools index -f`" in str(caught.value)
        pysam.bcftools.index("-f", "-t", str(path))
        assert read(path, region="6:10-20").n_variants == 11
        pysam.bcftools.index("-f", str(path))
        index.unlink()
        assert read(path, region="6:10-20").n_variants == 11
        Path(f"{path}.csi").unlink()
        pysam.tabix_index(str(path), preset="vcf", force=True)
    with pysam.BGZFile(str(path), "wb") as file:  # no record at all: nothing can be hidden
        file.write(b"".join(line for line in lines if line.startswith(b"#")))
    os.utime(index)
    with pytest.raises(DataError, match="holds no record"):
        read(path, region="6:10-20")


def test_sites_or_contigs_that_memory_does_not_hold(tmp_path, monkeypatch):
    path = long_vcf(tmp_path)
    monkeypatch.setattr("pgcgan.io.records._UNCHECKED", 1000)
    monkeypatch.setattr("pgcgan.io.records.available_bytes", lambda: 20_000)
    with pytest.raises(DataError) as caught:
        read(path)
    assert re.search(r"more than 2\d records", str(caught.value)) and "--region" in str(caught.value)
    assert read(path, region="6:10-20").n_variants == 11
    monkeypatch.setattr("pgcgan.io.records._MOST_CONTIGS", 0)
    with pytest.raises(DataError, match="on more than 0 contigs"):
        read(path, region="6:10-20")


@pytest.mark.parametrize("form", [".vcf", ".vcf.gz"])
def test_regions_and_samples_that_are_not_there(tmp_path, form):
    path = long_vcf(tmp_path)
    if form == ".vcf":
        (tmp_path / "x.vcf").write_bytes(gzip.decompress(path.read_bytes()))
        path = tmp_path / "x.vcf"
    assert message_of(path, region="chr6:1-5") == (
        "holds no record that starts in the region chr6:1-5; its contigs: 6; the contig is named 6 there: "
        "--region 6:1-5."
    )
    assert (
        message_of(path, region="6:500-900") == "holds no record that starts in the region 6:500-900; its contigs: 6."
    )
    with pytest.raises(DataError, match=r"^Region '6:9-5' cannot be read; accepted: contig, contig:start-end"):
        read(path, region="6:9-5")
    with pytest.raises(DataError) as caught:
        read(path, samples=["s1", "who", "else"])
    assert str(caught.value) == f"Samples that are not in {path}: 2 (who, else)."


def test_everything_dropped(tmp_path):
    path = write_form(tmp_path, vcf("10 A C,G 0|1 0|2"), ".vcf")
    assert message_of(path, multiallelic="drop") == "holds no record that is kept (1 dropped); its contigs: 6, X."


@pytest.mark.parametrize(
    ("option", "accepted"),
    [
        ("multiallelic", "error, split, drop"),
        ("half_calls", "error, missing"),
        ("haploid", "error, diploid"),
        ("duplicates", "error, drop"),
    ],
)
def test_unknown_policies_list_the_known(option, accepted):
    with pytest.raises(UsageError) as caught:
        read("never opened.vcf", **{option: "perhaps"})
    assert str(caught.value) == f"{option} is 'perhaps'; accepted: {accepted}."


# ---- writing ----------------------------------------------------------------------------------------------------


def one(positions=(5,), contigs=None, **changed):
    n = len(positions)
    columns = {"id": ["."] * n, "ref": ["A"] * n, "alt": ["C"] * n} | changed
    names = columns.pop("samples", ["a"])
    labels = columns.pop("labels", {})
    return Genotypes(
        np.zeros((n, len(names), 2), dtype=np.int8), Variants(contigs or ["6"] * n, positions, **columns), names, labels
    )


def test_formats_that_are_not_known(tmp_path):
    with pytest.raises(UsageError) as caught:
        write(one(), tmp_path / "x.txt")
    assert str(caught.value) == (
        f"The format of {tmp_path}/x.txt is not known; accepted: names that end in .vcf, .vcf.gz, .vcf.bgz, .bcf, "
        ".bed, .npz, .pgen, .hap, .hap.gz, .zarr, .vcz, .zarr.zip, .vcz.zip, or -."
    )


@pytest.mark.parametrize("existing", ["x.vcf.gz", "x.vcf.gz.tbi", "x.vcf.gz.csi", "x.panel.tsv"])
def test_nothing_is_overwritten_without_force(tmp_path, existing):
    (tmp_path / existing).write_text("old")
    with pytest.raises(UsageError) as caught:
        write(one(labels={"pop": ["GBR"]}), tmp_path / "x.vcf.gz")
    assert str(caught.value) == (
        f"{tmp_path}/{existing} exists; force=True (--force) replaces it, or choose another name."
    )
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(existing, "old")]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(UsageError) as caught:
        write(one(), tmp_path / "none" / "x.vcf")
    assert str(caught.value) == f"The folder {tmp_path}/none of the output {tmp_path}/none/x.vcf does not exist."
    (tmp_path / "x.vcf").mkdir()
    with pytest.raises(UsageError) as caught:
        write(one(), tmp_path / "x.vcf", force=True)
    assert str(caught.value) == f"{tmp_path}/x.vcf cannot be written: Is a directory."
    assert [p.name for p in tmp_path.iterdir()] == ["x.vcf"]


@pytest.mark.parametrize(
    ("genotypes", "message"),
    [
        (one((5, 4)), "Variant 6:4 A>C comes after 6:5 A>C: sort the variants before writing."),
        (
            one((5, 4, 6), ["6", "X", "6"]),
            "The variants of contig 6 are not together: sort the variants before writing.",
        ),
        (one(()), "There is nothing to write: 1 person at 0 sites."),
        (
            one(samples=["a\tb"]),
            "The sample name 'a\\tb' cannot be written: it is empty, or has blanks, line ends or commas in it.",
        ),
        (
            one(alt=["C,G"]),
            "The alt 'C,G' cannot be written: it is empty, or has blanks, line ends or commas in it.",
        ),
        (
            one(labels={"pop": [""]}),
            "The label 'pop' '' cannot be written: it is empty, or has blanks, line ends or commas in it.",
        ),
    ],
)
def test_genotypes_that_make_no_file(tmp_path, genotypes, message):
    with pytest.raises(DataError) as caught:
        write(genotypes, tmp_path / "x.vcf.gz")
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".vcf", ".bcf", ".npz", ".vcz"])
def test_an_allele_without_a_name_that_people_carry_is_not_written(tmp_path, suffix):
    sites = Variants(["6", "6"], [10, 11], [".", "."], ["A", "A"], [".", "."])
    genotypes = Genotypes(np.array([[[0, 0]], [[0, 1]]], dtype=np.int8), sites, ["a"])
    with pytest.raises(DataError) as caught:
        write(genotypes, tmp_path / f"x{suffix}")
    assert str(caught.value) == (
        "Variant 6:11 A>. has no ALT allele, but people carry one; give it a name before writing."
    )
    assert list(tmp_path.iterdir()) == []
