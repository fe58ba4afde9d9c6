"""Broken and odd inputs: what is done to valid files, the command line that meets them, and what it has to say.

    python tests/corpus.py FOLDER

writes each case into a folder of its own, to be looked at by hand; `test_bad_input.py` runs them all.
"""

from __future__ import annotations

import gzip
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from damaging import (
    Trap,
    another_byte,
    array,
    arrays,
    both,
    cell,
    data,
    first_alone,
    gone,
    half,
    json_of,
    large_header,
    rows,
    text,
    vouched,
)
from fuzzing import write_valid

NOTHING: Callable[[Path], None] = lambda folder: None  # noqa: E731
READ = "info x.vcf"
TRAIN = "train x.vcf --panel x.panel.tsv --label gender --model independent -o new.model"
ARRAYS = "haplotype.model/arrays.safetensors"
MODEL = "generate haplotype.model -n 2 -o new.vcf"


@dataclass(frozen=True)
class Case:
    """One input.

    Parameters
    ----------
    name : str
        What is wrong or odd.
    line : str
        The command line, without `pgcgan`.
    said : str
        What the one line on standard error has to hold; for status 0, what standard output or error has to.
    damage : callable
        Takes the folder of valid files.
    status : int
    """

    name: str
    line: str
    said: str
    damage: Callable[[Path], None] = NOTHING
    status: int = 2


TAKE = "--multiallelic split --half-calls missing --haploid diploid --duplicates drop --unphased"

CASES = [
    # ---- files that are not what they should be
    Case("bgzip cut in the middle", "info x.vcf.gz", "x.vcf.gz is truncated: the bgzip end-of-file block is missing",
         data("x.vcf.gz", half)),
    Case("bgzip without its last block", "info x.vcf.gz", "rewrite it with `bcftools view -Oz -o complete.vcf.gz",
         data("x.vcf.gz", lambda b: b[:-28])),
    Case("bgzip with a wrong byte", "info x.vcf.gz", "x.vcf.gz is truncated or damaged",
         data("x.vcf.gz", lambda b: b[:300] + bytes([b[300] ^ 255]) + b[301:])),
    Case("gzip cut in the middle", "info x.vcf.gz", "x.vcf.gz is truncated",
         data("x.vcf.gz", lambda b: half(gzip.compress(gzip.decompress(b))))),
    Case("an empty file", READ, "this with nothing: it is empty", data("x.vcf", lambda b: b"")),
    Case("a picture", READ, "x.vcf is not a VCF or BCF file (a VCF begins with '##fileformat=VCF', this with",
         data("x.vcf", lambda b: b"\x89PNG\r\n\x1a\n" + bytes(90))),
    Case("a byte order mark", READ, "is not a VCF or BCF file", data("x.vcf", lambda b: b"\xef\xbb\xbf" + b)),
    Case("UTF-16", READ, "is not a VCF or BCF file", data("x.vcf", lambda b: b.decode().encode("utf-16"))),
    Case("a folder", "convert x.vcf new.bcf", "x.vcf cannot be opened: Is a directory.",
         both(gone("x.vcf"), lambda f: (f / "x.vcf").mkdir())),
    Case("no such file", "info y.vcf", "There is no file y.vcf."),
    Case("BCF of version 1", "info x.bcf", "x.bcf is a BCF of version 1, or damaged",
         data("x.bcf", lambda b: gzip.compress(b"BCF\4" + gzip.decompress(b)[4:]))),
    Case("BCF cut in a record", "info x.bcf", "x.bcf is truncated or damaged: record 30",
         data("x.bcf", lambda b: gzip.compress(gzip.decompress(b)[:-7]))),
    Case("BCF record of a gigabyte", "info x.bcf", "x.bcf is truncated or damaged: record 31",
         data("x.bcf", lambda b: gzip.compress(gzip.decompress(b) + b"\xff\xff\xff\x3f" * 2 + bytes(64)))),
    Case("no index", "info x.vcf.gz --region 1:1-20000", "sites: ", gone("x.vcf.gz.tbi"), 0),
    Case("an index of nonsense", "info x.vcf.gz --region 1:1-20000", "The index x.vcf.gz.tbi cannot be read (",
         data("x.vcf.gz.tbi", lambda b: b"nonsense")),
    Case("an empty index", "info x.vcf.gz --region 1:1-20000", "make it anew with `tabix -f -p vcf` (VCF)",
         data("x.vcf.gz.tbi", lambda b: b"")),
    # ---- records
    Case("CRLF", "convert x.vcf new.vcf", "24 people at 30 sites", data("x.vcf", lambda b: b.replace(b"\n", b"\r\n")),
         0),
    Case("no samples", READ, "x.vcf has no samples: it lists sites only",
         data("x.vcf", lambda b: b"\n".join(line if line.startswith(b"##") else b"\t".join(line.split(b"\t")[:8])
                                            for line in b.splitlines()) + b"\n")),
    Case("a sample twice", READ, "x.vcf names samples more than once in its header: twin.",
         text("x.vcf", r"(FORMAT)\t\S+\t\S+", r"\1\ttwin\ttwin")),
    Case("an empty sample name", "convert x.vcf new.vcf", "has an empty name for sample 1 in its header",
         text("x.vcf", r"(FORMAT)\t\S+", r"\1\t")),
    Case("records out of order", READ, "positions go back; sort the file with `bcftools sort`.",
         rows(lambda r: [r[3], *r[:3], *r[4:]])),
    Case("a contig that comes back", READ, "but contig 1 began before it; sort with `bcftools sort`.",
         cell(4, 0, "2")),
    Case("mixed ploidy", READ, "is haploid, sample ", cell(2, 12, "1")),
    Case("mixed ploidy, accepted", f"convert x.vcf new.vcf {TAKE}", "24 people at 30 sites", cell(2, 12, "1"), 0),
    Case("three alleles in a call", READ, "has the call '0|1|1' of sample ", cell(2, 12, "0|1|1")),
    Case("a half-call", READ, "half_calls='missing' (--half-calls missing) accepts it.", cell(5, 10, ".|1")),
    Case("a multi-allelic record", READ,
         "has 2 ALT alleles; multiallelic='split' or 'drop' (--multiallelic split|drop)",
         cell(5, 4, "C,G")),
    Case("multi-allelic, split", "convert x.vcf new.vcf --multiallelic split", "24 people at 31 sites",
         cell(5, 4, "TTT,GGG"), 0),
    Case("a symbolic allele", "convert x.vcf new.vcf", "24 people at 30 sites", cell(5, 4, "<DEL>"), 0),
    Case("a breakend with a comma in no list", READ, "has 2 ALT alleles", cell(5, 4, "<DEL>,<INS>")),
    Case("an ALT that nobody named", "convert x.vcf new.vcf", "has no allele 1, with which sample ", cell(5, 4, ".")),
    Case("an allele that is not there", READ, "has no allele 7, with which sample ", cell(5, 11, "0|7")),
    Case("an allele number of twenty digits", READ, "has the call '0|99999999999999999999' of sample ",
         cell(5, 11, "0|99999999999999999999")),
    Case("a call that is none", READ, "has the call 'A|T' of sample ", cell(5, 11, "A|T")),
    Case("mixed phase", READ, "phased and unphased calls are mixed", both(cell(5, 11, "0/1"), cell(6, 11, "0|1"))),
    Case("a record twice", READ, "duplicates='drop' (--duplicates drop) keeps the first",
         rows(lambda r: [*r[:3], r[2], *r[3:]])),
    Case("no GT", READ, "has no GT (its FORMAT is DP); genotype calls are needed.", cell(5, 8, "DP")),
    Case("a position that is no number", READ, "the position 'x' on contig 1 is not a number", cell(5, 1, "x")),
    Case("a negative position", READ, "the position '-5' on contig 1 is not a number", cell(0, 1, "-5")),
    Case("a position of thirty digits", READ, "is not a number from 0 to", cell(5, 1, "9" * 30)),
    Case("a position with an underscore", READ, "the position '1_0' on contig 1 is not a number", cell(0, 1, "1_0")),
    Case("a position beyond BCF", "convert x.vcf new.bcf", "positions of an indexed file end at 2147483647",
         cell(29, 1, "3000000000")),
    Case("an INFO of four megabytes", "convert x.vcf new.vcf", "24 people at 30 sites",
         cell(5, 7, "X=" + "A" * 4_000_000), 0),
    Case("an allele of a megabyte", "convert x.vcf new.vcf.gz", "24 people at 30 sites", cell(5, 3, "A" * 1_000_000),
         0),
    Case("blanks in the place of tabs", READ, "has no header line '#CHROM POS ID REF ALT",
         data("x.vcf", lambda b: b.replace(b"\t", b" "))),
    Case("a last line cut short", READ, "the file is truncated", data("x.vcf", lambda b: b[:-30])),
    Case("a last line cut in its first columns", READ, "the file is truncated or not tab-separated",
         data("x.vcf", lambda b: b[: b.rindex(b"\n", 0, -1) + 8])),
    Case("a header and no records", READ, "x.vcf holds no record; its contigs: 1.", rows(lambda r: [])),
    Case("a sample name that is not UTF-8", READ, "x.vcf is not UTF-8 text at byte 0xff.",
         data("x.vcf", lambda b: b.replace(b"FORMAT\t", b"FORMAT\t\xff", 1))),
    Case("an ID that is not UTF-8", READ, "x.vcf is not UTF-8 text at byte 0xfe.",
         data("x.vcf", lambda b: b.replace(b"\n1\t", b"\n\xfe1\t"))),
    Case("a NUL byte in a call", READ, "has the call ", cell(5, 11, "0|\0")),
    Case("a region without records", f"{READ} --region 1:900000-900001", "that starts in the region 1:900000-900001"),
    Case("a region on no contig", f"{READ} --region chr99", "that starts in the region chr99; its contigs: 1."),
    Case("a region backwards", f"{READ} --region 1:20-10", "Region '1:20-10' cannot be read; accepted: contig,"),
    Case("a site without any call", f"{TRAIN.replace('--model independent ', '')}",
         "no call in any person, the first",
         rows(lambda r: [re.sub(r"\t[01]\|[01]", "\t.|.", r[0]), *r[1:]])),
    # ---- labels
    Case("a panel of other people", TRAIN, "samples only in x.vcf: 24 (",
         text("x.panel.tsv", r"^(?!sample)(\S+)", r"other_\1", 0)),
    Case("a panel that lacks one", TRAIN, "intersect=True (--intersect) goes on with those in both.",
         rows(lambda r: r[:-1], "x.panel.tsv")),
    Case("an empty panel", TRAIN, "x.panel.tsv is empty; a header line", data("x.panel.tsv", lambda b: b"\n\n")),
    Case("a panel of a header", TRAIN, "x.panel.tsv has a header but no samples.",
         rows(lambda r: r[:1], "x.panel.tsv")),
    Case("no sample column", TRAIN, "x.panel.tsv has no sample column; accepted names: ",
         text("x.panel.tsv", "^sample", "person")),
    Case("two columns of one name", TRAIN, "x.panel.tsv has columns of the same name: pop.",
         text("x.panel.tsv", "super_pop", "pop")),
    Case("a label that is NaN", TRAIN, "label 'gender' is empty ('NaN') for sample ",
         text("x.panel.tsv", "\tmale$", "\tNaN")),
    Case("a person with two labels", TRAIN, "occurs twice with different labels, ",
         rows(lambda r: [*r, r[1].rpartition("\t")[0] + "\tother"], "x.panel.tsv")),
    Case("a row with too many cells", TRAIN, "has 6 columns, the header has 4.",
         rows(lambda r: [r[0], r[1] + "\tx\ty", *r[2:]], "x.panel.tsv")),
    Case("a panel in UTF-16", TRAIN, "x.panel.tsv, line 1: the byte 0xff is not UTF-8 text.",
         data("x.panel.tsv", lambda b: b.decode().encode("utf-16"))),
    Case("a panel with an unclosed quote", TRAIN, "x.panel.tsv cannot be read as a table of commas (unexpected end of",
         data("x.panel.tsv", lambda b: b.replace(b"\t", b",").replace(b",", b',"', 1))),
    Case("a label with one person", "train x.vcf --panel x.panel.tsv --label group -o new.model",
         "Labels with a single person cannot be learned without giving that person away: MARS;", first_alone),
    Case("no such label", TRAIN.replace("gender", "disease"), "There is no label 'disease'; labels here: "),
    Case("a slash in a label of two", TRAIN.replace("gender", "gender --label pop"),
         "Label 'pop' has the value 'a/b'",
         text("x.panel.tsv", r"^(?!sample)(\S+)\t\S+", r"\1\ta/b", 0)),
    Case("a split that trains on nobody", f"{TRAIN} --split split.tsv", "split.tsv puts nobody in the split 'train'",
         text("split.tsv", "train", "test", 0)),
    Case("a split without its column", f"{TRAIN} --split split.tsv", "split.tsv has no column 'split'; its columns: ",
         text("split.tsv", "split", "part")),
    # ---- PLINK, IMPUTE, numpy
    Case("a .bed with a site less than its .bim", "info y.bed",
         "the files do not belong together, or one is truncated.",
         data("y.bed", lambda b: b[:-6])),
    Case("a .bim with a line less", "info y.bed", "but 29 sites in y.bim and 24 samples in y.fam make",
         rows(lambda r: r[:-1], "y.bim")),
    Case("a .fam of other people", "info y.bed", "but 30 sites in y.bim and 12 samples in y.fam make",
         rows(lambda r: r[:12], "y.fam")),
    Case("a .fam with one id twice", "info y.bed", "y.fam, line 2: the sample ",
         rows(lambda r: [r[0], r[0], *r[2:]], "y.fam")),
    Case("a .bed that is text", "info y.bed", "y.bed is not a PLINK 1 .bed file: it begins with the bytes 66 6f 6f",
         data("y.bed", lambda b: b"foo" + b[3:])),
    Case("no .fam", "info y.bed", "There is no file y.fam; a PLINK 1 file set is", gone("y.fam")),
    Case("a .bim with five columns", "info y.bed", "y.bim, line 1: it has 5 of the 6 columns",
         text("y.bim", r"\t\S+$", "")),
    Case("a .bim that is not UTF-8", "info y.bed", "y.bim, line 1: the byte 0xff is not UTF-8 text.",
         data("y.bim", lambda b: b"\xff" + b)),
    Case("a .pvar with a line less", "info x.pgen", "x.pgen holds 30 variants, x.pvar lists 29",
         rows(lambda r: r[:-1], "x.pvar")),
    Case("a .psam with a line less", "info x.pgen", "x.pgen holds 24 samples, x.psam lists 23",
         rows(lambda r: r[:-1], "x.psam")),
    Case("a .pgen cut in the middle", "info x.pgen", "x.pgen is truncated or damaged, pgenlib says: ",
         data("x.pgen", half)),
    Case("a .bed called .pgen", "info x.pgen", "x.pgen is a PLINK 1 .bed by its first bytes",
         lambda f: shutil.copy(f / "y.bed", f / "x.pgen")),
    Case("no .pvar", "info x.pgen", "There is no file x.pvar (nor x.pvar.zst)", gone("x.pvar")),
    Case("a .hap with a line less", "info x.hap.gz", "x.hap.gz ends after 29 lines, x.legend goes on",
         data("x.hap.gz", lambda b: gzip.compress(b"\n".join(gzip.decompress(b).splitlines()[:-1]) + b"\n"))),
    Case("a .legend with a line less", "info x.hap.gz", "x.hap.gz goes on after 29 lines, with which x.legend ends",
         rows(lambda r: r[:-1], "x.legend")),
    Case("a .samples of other people", "info x.hap.gz", "has 48 alleles instead of 46",
         rows(lambda r: r[:-1], "x.samples")),
    Case("no .legend", "info x.hap.gz", "There is no file x.legend.gz or x.legend, which belongs to x.hap.gz.",
         gone("x.legend")),
    Case("a .npz that is text", "info x.npz", "x.npz is not a .npz file of plain arrays",
         data("x.npz", lambda b: b"text")),
    Case("a .npz without an array", "info x.npz", "x.npz has no array 'ref'", arrays("x.npz", ref=None)),
    Case("a .npz with a pickle in it", "info x.npz", "x.npz is not a .npz file of plain arrays",
         arrays("x.npz", samples=np.array([Trap()] * 24, dtype=object))),
    Case("a pickle called .npz", "info x.npz", "x.npz is not a .npz file of plain arrays",
         data("x.npz", lambda b: pickle.dumps(Trap()))),
    Case("a .npz whose arrays disagree", "info x.npz", "x.npz: the array ",
         arrays("x.npz", position=np.arange(29))),
    Case("a .npz that asks for terabytes", "info x.npz", "calls.npy says that it holds 2000000000000 bytes of int8",
         large_header("x.npz", "calls.npy", "1000000000, 1000, 2")),
    # ---- Zarr
    Case("a Zarr without contigs", "info x.zarr", "x.zarr has no array contig_id",
         lambda f: shutil.rmtree(f / "x.zarr" / "contig_id")),
    Case("attributes that are a list", "info x.zarr", "x.zarr is not a VCF Zarr, or its metadata are damaged: ",
         data("x.zarr/.zattrs", lambda b: b"[]")),
    Case("a group that is a list", "info z.zarr", "z.zarr is not a VCF Zarr, or its metadata are damaged: ",
         data("z.zarr/zarr.json", lambda b: b"[1]")),
    Case("an array that is null", "info x.zarr", "the metadata of the array sample_id are damaged: ",
         data("x.zarr/sample_id/.zarray", lambda b: b"null")),
    Case("billions of people", "info x.zarr", "the chunk 1 of the array sample_id is not there",
         text("x.zarr/sample_id/.zarray", r'("shape": \[\s*)\d+', r"\g<1>100000000000")),
    Case("billions of contigs, zarr format 3", "info z.zarr", "the chunk 1 of the array contig_id is not there",
         text("z.zarr/contig_id/zarr.json", r'("shape": \[\s*)\d+', r"\g<1>100000000000")),
    Case("a chunk of text of gigabytes", "info x.zarr", "x.zarr: contig_id/0 is truncated or damaged",
         lambda f: (f / "x.zarr/contig_id/0").write_bytes(
             (b := (f / "x.zarr/contig_id/0").read_bytes())[:4] + b"\xff" * 4 + b[8:])),
    # ---- models
    Case("a model without arrays", MODEL, "arrays.safetensors", gone(ARRAYS)),
    Case("a model without sites", MODEL, "sites.json", gone("haplotype.model/sites.json")),
    Case("a model without its metadata", MODEL, "haplotype.model has no model.json",
         gone("haplotype.model/model.json")),
    Case("a model with another file in it", MODEL, "2 people at 30 sites: new.vcf",
         data("haplotype.model/NOTES.txt", lambda b: b"mine"), 0),
    Case("a model of pgcgan 0.1", MODEL, "pgcgan 0.1; this version reads 3",
         lambda f: (f / "haplotype.model/model.json").rename(f / "haplotype.model/manifest.json")),
    Case("arrays cut in the middle", MODEL, "arrays.safetensors is not the file that was saved", data(ARRAYS, half)),
    Case("arrays cut in the middle, and vouched for", MODEL, f"{ARRAYS} is damaged (", vouched(data(ARRAYS, half))),
    Case("arrays with another byte", MODEL, "arrays.safetensors is not the file that was saved", another_byte),
    Case("arrays of another model", MODEL, "arrays.safetensors is not the file that was saved",
         lambda f: shutil.copy(f / "smote.model" / "arrays.safetensors", f / "haplotype.model")),
    Case("arrays of another family, and vouched for", MODEL, "haplotype.model is damaged (the array ",
         vouched(lambda f: shutil.copy(f / "smote.model" / "arrays.safetensors", f / "haplotype.model"))),
    Case("metadata of another model", MODEL, "is not the file that was saved",
         lambda f: shutil.copy(f / "smote.model" / "model.json", f / "haplotype.model")),
    Case("sites of another model", MODEL, "sites.json is not the file that was saved",
         json_of(lambda s: s["position"].__setitem__(0, 1), "haplotype.model/sites.json")),
    Case("a model of a later version", MODEL, "99", json_of(lambda s: s.update(format=99))),
    Case("a model of an unknown family", MODEL, "'oracle'", json_of(lambda s: s.update(model="oracle"))),
    Case("metadata that are a list", MODEL, "haplotype.model/model.json is damaged (",
         data("haplotype.model/model.json", lambda b: b"[]")),
    Case("JSON a hundred thousand deep", MODEL, "haplotype.model/model.json is damaged (",
         data("haplotype.model/model.json", lambda b: b"[" * 100_000)),
    Case("a number of ten thousand digits", MODEL, "haplotype.model/model.json is damaged (",
         data("haplotype.model/model.json", lambda b: b'{"format": ' + b"9" * 10_000 + b"}")),
    Case("blocks of terabytes", MODEL, "haplotype.model is damaged (",
         array("blocks.sizes", lambda a: a * np.int64(0) + 32_767)),
    Case("a network of petabytes", "generate gan.model -n 2 -o new.vcf", "gan.model is damaged (",
         json_of(lambda s: s["parameters"].update(width=10**9), "gan.model/model.json")),
    Case("a network of another width", "generate gan.model -n 2 -o new.vcf", "gan.model is damaged (",
         json_of(lambda s: s["parameters"].update(width=16), "gan.model/model.json")),
    Case("a parameter that is a word", MODEL, "min_carriers",
         json_of(lambda s: s["parameters"].update(min_carriers="a"))),
    Case("a parameter that nobody has", MODEL, "layers", json_of(lambda s: s["parameters"].update(layers=2))),
    Case("a label with no people", MODEL, "label_counts", json_of(lambda s: s["label_counts"].update(female=-1))),
    Case("arrays that are not numbers", MODEL, "chain.counts", array("chain.counts", lambda a: a * np.nan)),
    Case("an array of another shape", MODEL, "chain.weights", array("chain.weights", lambda a: a[:-1])),
    Case("edges that go back", MODEL, "haplotype.model is damaged (", array("blocks.edges", lambda a: a[::-1])),
    Case("codes that are not there", MODEL, "haplotype.model is damaged (",
         array("context_tree.code", lambda a: a + np.int32(30_000))),
    Case("training that was interrupted", "generate gan.model -n 2 -o new.vcf",
         "has not finished; run the same command with --resume.",
         both(gone("gan.model/model.json"), data("gan.model/run.json", lambda b: b"{}"))),
    Case("a frequency above 1", "generate independent.model -n 2 -o new.vcf", "frequency",
         array("frequency", lambda a: a + 1, "independent")),
    Case("neighbours that are not there", "generate smote.model -n 2 -o new.vcf", "near",
         array("near", lambda a: a * 0 + 99, "smote")),
    Case("a genome without a window", "generate windows.model -n 2 -o new.vcf", "00001",
         lambda f: shutil.rmtree(f / "windows.model/windows/00001")),
    Case("a genome whose ancestry has another shape", "generate windows.model -n 2 -o new.vcf",
         "windows.model is damaged (", json_of(lambda s: s["details"]["ancestry"].pop(), "windows.model/model.json")),
    # ---- evaluations
    Case("an evaluation that is no JSON", "report e.json -o new.html", "e.json: This is not an evaluation in JSON (",
         data("e.json", half)),
    Case("an evaluation that is not text", "report e.json -o new.html", "e.json is not a text file (UTF-8)",
         data("e.json", lambda b: b"\xff" + b)),
    Case("an evaluation with a number for a name", "report e.json -o new.html", "has a value of another type",
         json_of(lambda s: s["rows"][0].update(metric=3), "e.json")),
    Case("a figure of another shape", "report e.json -o new.html", "its figures cannot be drawn (",
         json_of(lambda s: s["figures"].update({k: [1, "a"] for k in s["figures"]}), "e.json")),
]  # fmt: skip


def main() -> int:
    """Write every case into a folder of its own."""
    target = Path(sys.argv[1])
    valid = target / "valid"
    valid.mkdir(parents=True)
    write_valid(valid)
    for case in CASES:
        here = target / re.sub(r"\W+", "-", case.name)
        shutil.copytree(valid, here)
        case.damage(here)
        (here / "COMMAND").write_text(f"pgcgan {case.line}\n# {case.status}: {case.said}\n")
    print(f"{len(CASES)} cases in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
