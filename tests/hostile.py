"""Inputs made to harm: what is done to valid files, the command line that meets them, and what it has to say.

Each is read in a process of its own, whose address space and processor time are limited by what the same command takes
with the valid file, measured in the same session: twice the memory and ten times the processor time.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from corpus import Case
from damaging import both, cell, data, gone, json_of, large_header, rows, text, vouched
from harming import (
    COLUMNS,
    METADATA,
    bcf_header,
    bcf_record,
    bomb,
    header,
    instead,
    offsets,
    people,
    provenance,
    row,
    shortened,
    sites,
    surrogate,
    wrong_contig,
)

LEAST_MEMORY = 1 << 26  # bytes that a valid file counts with at least: heaps of threads, a module that is imported
LEAST_SECONDS = 0.3  # of processor time that a valid file counts with at least: a machine that others work on too
SECONDS = 300  # of the wall clock: only for what waits for ever, such as a pipe
MOST = 500  # characters of a line on standard error
LARGE = "9" * 400
LONG = "9" * 5000
READ = "info x.vcf"
REGION = "info x.vcf.gz --region 1:1-20000"
MODEL = "generate haplotype.model -n 2 -o new.vcf"


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit status (negative: the signal that ended it), what it printed, and what it took."""

    status: int
    out: str
    err: str
    memory: int  # bytes of address space beyond those of this process
    seconds: float  # of processor time


@dataclass(frozen=True)
class Limits:
    """What a command may take: bytes of address space beyond those of this process, and seconds of processor time."""

    memory: int
    seconds: int

    @classmethod
    def of(cls, valid: Outcome) -> Limits:
        """Return the limits for the damaged file, by what the valid one took."""
        return cls(2 * max(valid.memory, LEAST_MEMORY), math.ceil(10 * max(valid.seconds, LEAST_SECONDS)))


PLENTY = Limits(1 << 31, 120)


TRAIN = "train x.vcf --panel x.panel.tsv --label gender --model independent -o m --force"
COMPARE = "compare e.json e.json"
REPORT = "report e.json -o new.html"

CASES = [
    # ---- links
    Case("a lock that is a link", TRAIN,
         "m cannot be written: Too many levels of symbolic links.",
         lambda f: ((f / "m").mkdir(), (f / "m" / ".lock").symlink_to("../x.panel.tsv"))),
    Case("a lock that is another name of a file", TRAIN,
         "its lock file is a link or a device; remove it",
         lambda f: ((f / "m").mkdir(), os.link(f / "x.panel.tsv", f / "m" / ".lock"))),
    # ---- time and memory
    Case("a position near 2^44", "convert x.vcf new.vcf.gz", "positions of an indexed file end at 2147483647",
         cell(29, 1, str((1 << 44) - 1))),
    Case("a position near 2^62", "convert x.vcf new.bcf", "positions of an indexed file end at 2147483647",
         cell(29, 1, str((1 << 62) - 1))),
    Case("a position near 2^63 in a model", MODEL, "positions end at 4611686018427387903",
         sites(lambda s: s["position"].__setitem__(-1, (1 << 63) - 1))),
    Case("a contig length near 2^62", "convert x.vcf new.bcf", "Contig 9 has the length 4611686018427387903",
         header(f"##contig=<ID=9,length={(1 << 62) - 1}>")),
    Case("a contig line of 200 kB", READ, "people: 24", header(f"##contig=<{'a' * 200_000}>"), 0),
    Case("a contig line of 200 kB of commas", READ, "people: 24", header(f"##contig=<{'a=,' * 66_000}>"), 0),
    Case("a contig line of 200 kB of quotes", READ, "people: 24", header(f'##contig=<a="{chr(92)}"' * 60_000), 0),
    Case("an index of 2^31 levels", "info x.bcf --region 1:1-20000", "in 2147483647 levels",
         data("x.bcf.csi", lambda b: gzip.compress((w := gzip.decompress(b))[:8] + b"\xff\xff\xff\x7f" + w[12:]))),
    Case("an index that inflates to gigabytes", REGION, "it inflates to more than ",
         bomb("x.vcf.gz.tbi", b"TBI\1", bytes(1 << 24), 200)),
    Case("one name twice among 40,000", READ, "names samples more than once in its header: s7.", people(40_000, "s7")),
    Case("a compressed line of gigabytes", "info x.vcf.gz", "x.vcf.gz has a line of more than 33554432 bytes",
         bomb("x.vcf.gz", b"##fileformat=VCFv4.2\n##", b"A" * (1 << 24), 200)),
    Case("a compressed record of gigabytes", "info x.vcf.gz", "x.vcf.gz has a line of more than ",
         bomb("x.vcf.gz", b"##fileformat=VCFv4.2\n" + "\t".join([*COLUMNS, "a\n"]).encode(), b"A" * (1 << 24), 200)),
    Case("a compressed line of haplotypes of gigabytes", "info x.hap.gz", "x.hap.gz has a line of more than ",
         bomb("x.hap.gz", b"", b"0 1 " * (1 << 22), 200)),
    Case("a compressed header of gigabytes", "info x.vcf.gz", " header lines, of ",
         bomb("x.vcf.gz", b"##fileformat=VCFv4.2\n", b"##\n" * (1 << 22), 20)),
    Case("a compressed panel of gigabytes", f"{READ} --panel p.gz", "inflates to more than 100 times its size",
         bomb("p.gz", b"sample\tpop\n", b"a\tb\n" * (1 << 22), 20)),
    Case("a .pvar.zst of gigabytes", "info x.pgen", "inflates to more than 100 times its size",
         both(gone("x.pvar"), bomb("x.pvar.zst", b"", b"##a\n" * (1 << 22), 20))),
    Case("a .pvar.zst with a line of gigabytes", "info x.pgen", "has a line of more than 33554432 bytes",
         both(gone("x.pvar"), bomb("x.pvar.zst", b"##", b"a" * (1 << 24), 200))),
    Case("a BCF header of gigabytes", "info x.bcf", "x.bcf has a header of 4294967295 bytes",
         bomb("x.bcf", b"BCF\2\2\xff\xff\xff\xff", bytes(1 << 24), 20)),
    Case("a BCF record of gigabytes", "info x.bcf", "x.bcf is truncated or damaged: record 1 has 2147483656 bytes",
         bcf_record((1 << 31) + 8)),
    Case("a Zarr chunk that inflates to gigabytes", "info x.zarr", "call_genotype/0.0.0 is truncated or damaged",
         both(json_of(lambda s: s.update(compressor={"id": "gzip", "level": 1}), "x.zarr/call_genotype/.zarray"),
              bomb("x.zarr/call_genotype/0.0.0", b"", bytes(1 << 24), 200))),
    Case("a Zarr chunk of text that inflates to gigabytes", "info x.zarr", "sample_id/0 is truncated or damaged",
         both(json_of(lambda s: s.update(compressor={"id": "gzip", "level": 1}), "x.zarr/sample_id/.zarray"),
              bomb("x.zarr/sample_id/0", b"", bytes(1 << 24), 200))),
    Case("a Zarr chunk of four billion texts", "info x.zarr", "it holds 4294967295 texts",
         both(json_of(lambda s: s.update(compressor=None), "x.zarr/sample_id/.zarray"),
              data("x.zarr/sample_id/0", lambda b: b"\xff" * 8))),
    Case("a Zarr chunk of terabytes, zstandard", "info z.zarr", "variant_position/c/0 is truncated or damaged",
         data("z.zarr/variant_position/c/0", lambda b: b[:4] + b"\xe0" + (1 << 40).to_bytes(8, "little") + b[5:])),
    Case("Zarr chunks packed twice", "info z.zarr", "the array variant_position cannot be read: it is packed by",
         json_of(lambda s: s["codecs"].append(s["codecs"][-1]), "z.zarr/variant_position/zarr.json")),
    Case("a Zarr array packed by a filter", "info x.zarr", "the array variant_position cannot be read: it is packed by",
         json_of(lambda s: s.update(filters=[{"id": "zlib", "level": 1}]), "x.zarr/variant_position/.zarray")),
    Case("a Zarr array of terabytes that is not there", "info x.zarr", "variant_",
         text("x.zarr/variant_position/.zarray", r'("shape": \[\s*)\d+', r"\g<1>1000000000000")),
    Case("a million ALT alleles", f"{READ} --multiallelic split", "has 1000001 ALT alleles; accepted: up to 10000",
         cell(5, 4, "T" + ",C" * 1_000_000)),
    Case("a panel without end", f"{READ} --panel /dev/zero", "it is a device, and a regular file is needed"),
    Case("a VCF without end", "info /dev/zero", "it is a device, and a regular file is needed"),
    Case("a VCF that is a pipe", "info x.vcf", "it is a named pipe, and a regular file is needed", instead("x.vcf")),
    Case("a panel that is a pipe", f"{READ} --panel x.panel.tsv", "it is a named pipe", instead("x.panel.tsv")),
    Case("a split that is a pipe", "train x.vcf --panel x.panel.tsv --label gender --split split.tsv -o new.model",
         "it is a named pipe", instead("split.tsv")),
    Case("a .pgen that is a pipe", "info x.pgen", "it is a named pipe", instead("x.pgen")),
    Case("a .bed that is a pipe", "info y.bed", "There is no file y.bed", instead("y.bed")),
    Case("a .psam without end", "info x.pgen", "it is a device", instead("x.psam", "/dev/zero")),
    Case("a .pvar.zst that is a pipe", "info x.pgen", "it is a named pipe",
         both(gone("x.pvar"), instead("x.pvar.zst"))),
    Case("a .legend that is a pipe", "info x.hap.gz", "it is a named pipe", instead("x.legend")),
    Case("a .npz that is a pipe", "info x.npz", "it is a named pipe", instead("x.npz")),
    Case("a .trees that is a pipe", "info x.trees", "it is a named pipe", instead("x.trees")),
    Case("an index without end", REGION, "sites: ", instead("x.vcf.gz.tbi", "/dev/zero"), 0),
    Case("a model.json without end", "info haplotype.model", "it is a device", instead(METADATA, "/dev/zero")),
    Case("a model.json that is a pipe", "info haplotype.model", "it is a named pipe", instead(METADATA)),
    Case("sites that are a pipe", MODEL, "it is a named pipe", instead("haplotype.model/sites.json")),
    Case("arrays without end", MODEL, "it is a device", instead("haplotype.model/arrays.safetensors", "/dev/zero")),
    Case("a window that is a pipe", "generate windows.model -n 2 -o new.vcf", "windows.model lacks its window 00001",
         instead("windows.model/windows/00001/model.json")),
    Case("a chunk without end", "info x.zarr", "it is a device", instead("x.zarr/call_genotype/0.0.0", "/dev/zero")),
    Case("a chunk that is a pipe", "info x.zarr", "it is a named pipe", instead("x.zarr/contig_id/0")),
    Case("metadata of an array that are a pipe", "info x.zarr", "call_genotype",
         instead("x.zarr/call_genotype/.zarray")),
    Case("attributes of an array that are a pipe", "info x.zarr", "it is a named pipe",
         instead("x.zarr/call_genotype/.zattrs")),
    Case("attributes without end", "info x.zarr", "it is a device", instead("x.zarr/.zattrs", "/dev/zero")),
    Case("metadata without end, zarr format 3", "info z.zarr", "it is a device", instead("z.zarr/zarr.json",
                                                                                         "/dev/zero")),
    Case("an evaluation without end", "report /dev/zero -o new.html", "it is a device"),
    Case("an evaluation that is a pipe", REPORT, "it is a named pipe", instead("e.json")),
    Case("more people than memory has", "generate haplotype.model -n 999999999999 -o new.vcf",
         "The names of 999999999999 people alone take "),
    # ---- numbers
    Case("an index that points near 2^64", REGION, "it points at the offset 18446744073709551614", offsets(-2 % 2**64)),
    Case("an index that points near 2^63", REGION, "The index x.vcf.gz.tbi is that of another", offsets(2**63 - 2)),
    Case("a contig length of another script", READ, "the contig 9 has the length '²'",
         header("##contig=<ID=9,length=²>")),
    Case("a contig length of Arabic digits", READ, "has the length '٣'", header("##contig=<ID=9,length=٣>")),
    Case("a contig length of 25 digits", READ, "the contig 9 has the length '9999999999999999999999999'",
         header(f"##contig=<ID=9,length={'9' * 25}>")),
    Case("a contig length of 5,000 digits", READ, "the contig 9 has the length '9999",
         header(f"##contig=<ID=9,length={LONG}>")),
    Case("a contig length of 25 digits in a .pvar", "info x.pgen", "x.pvar: the contig 9 has the length",
         data("x.pvar", lambda b: f"##contig=<ID=9,length={'9' * 25}>\n".encode() + b)),
    Case("a contig number of another script", "info x.bcf", "people: 24", bcf_header("##contig=<ID=9,IDX=²>"), 0),
    Case("a region, and a contig number of another script", "info x.bcf --region 1:1-20000",
         "The index x.bcf.csi is that of another file, or of x.bcf before it was changed",
         both(bcf_header("##contig=<ID=9,IDX=²>"), lambda f: os.utime(f / "x.bcf.csi"))),
    Case("an index of the file before records were taken out", REGION, "`bcftools index -f`", shortened("x.vcf.gz")),
    Case("an index of the file before another contig was put in", "info x.vcf.gz --region 2:1-20000",
         "The index x.vcf.gz.tbi is that of another file", shortened("x.vcf.gz", b"2")),
    Case("an index that begins at another contig", "info x.vcf.gz --region 2:1-20000", "2 begins where 1:",
         wrong_contig),
    Case("a contig number of eleven digits", "info x.bcf", "its header cannot be read",
         bcf_header("##contig=<ID=9,IDX=99999999999>")),
    Case("a position of another script", READ, "the position '²' on contig 1", cell(5, 1, "²")),
    Case("a region of another script", f"{READ} --region 1:²-", "Region '1:²-' cannot be read"),
    Case("a region of 400 digits", f"{READ} --region 1:1-{LARGE}", "cannot be read; accepted: contig"),
    Case("a number of people of 5,000 digits", f"generate haplotype.model -n {LONG} -o new.vcf",
         "is not a whole number from 0 to "),
    Case("a number of people with an underscore", "generate haplotype.model -n 1_0 -o new.vcf", "-n 1_0: accepted"),
    Case("a seed of 5,000 digits", f"{MODEL} --seed {LONG}", "seed"),
    Case("a seed of 400 digits", f"{MODEL} --seed {LARGE}", "seed"),
    Case("a start of 400 digits", f"{MODEL} --start {LARGE}", "start is too large"),
    Case("a parameter of 400 digits", f"train x.vcf --panel x.panel.tsv --label gender -o m --set min_carriers={LARGE}",
         "min_carriers"),
    Case("a parameter of 100,000 brackets",
         f"train x.vcf --panel x.panel.tsv --label gender -o m --set min_carriers={'(' * 100_000}", "min_carriers"),
    Case("chunks of 0", "info x.zarr", "the array call_genotype has chunks of (0, ",
         text("x.zarr/call_genotype/.zarray", r'("chunks": \[\s*)\d+', r"\g<1>0")),
    Case("chunks of 0, zarr format 3", "info z.zarr", "call_genotype",
         text("z.zarr/call_genotype/zarr.json", r'("chunk_shape": \[\s*)\d+', r"\g<1>0")),
    Case("chunks of terabytes", "info x.zarr", "the array sample_id has chunks of (",
         text("x.zarr/sample_id/.zarray", r'("chunks": \[\s*)\d+', r"\g<1>1000000000000")),
    Case("a shape of True", "info x.npz", "version.npy has the shape (True,)",
         large_header("x.npz", "version.npy", "True,")),
    Case("a negative shape", "info x.npz", "has the shape (-1, -60)", large_header("x.npz", "calls.npy", "-1, -60")),
    # ---- JSON
    Case("half a character in a label of a model", "info haplotype.model", "holds half a character",
         surrogate(METADATA, '"female')),
    Case("half a character in a model, as JSON", "info haplotype.model --json", "holds half a character",
         surrogate(METADATA, '"command')),
    Case("half a character in sites", MODEL, "holds half a character",
         vouched(surrogate("haplotype.model/sites.json", '"contig'))),
    Case("half a character in an evaluation", REPORT, "holds half a character", surrogate("e.json", "AF RMSE")),
    Case("half a character in a comparison", COMPARE, "holds half a character", surrogate("e.json", "AF RMSE")),
    Case("half a character in a window", "info windows.model", "holds half a character",
         surrogate("windows.model/model.json", '"contig')),
    Case("half a character in Zarr attributes", "info x.zarr", "",
         json_of(lambda s: s.update(vcf_meta_information=[["reference", "\ud800"]]), "x.zarr/.zattrs"), 0),
    Case("a number beyond any float", "info haplotype.model", "the number 1e999 is too large",
         text(METADATA, r'"seed": 1', '"seed": 1e999')),
    Case("a seed of 400 digits in a model", "info haplotype.model", "has 400 digits",
         text(METADATA, r'"seed": 1', f'"seed": {LARGE}')),
    Case("as many people as no memory names", "info haplotype.model", "label_counts",
         json_of(lambda s: s["label_counts"].update(female=10**30))),
    Case("a window that is no window", "generate windows.model -n 2 -o new.vcf", "windows.model is damaged (",
         json_of(lambda s: s["details"]["windows"][0].update(index="../../x"), "windows.model/model.json")),
    Case("a genome of no windows", "info windows.model", "windows.model is damaged (",
         json_of(lambda s: s["details"].update(windows=[]), "windows.model/model.json")),
    Case("a value of 400 digits", COMPARE, "has 400 digits",
         text("e.json", r'"value": [0-9.e-]+', f'"value": {LARGE}')),
    Case("a value of 400 digits in a report", REPORT, "has 400 digits",
         text("e.json", r'"value": [0-9.e-]+', f'"value": {LARGE}')),
    Case("an aim that nobody has", COMPARE, "row 0 has the aim 'sideways'", row(aim="sideways")),
    Case("an aim that is not a number", REPORT, "row 0 has the aim 'nan'", row(aim="nan")),
    Case("an aim of 400 digits", COMPARE, "row 0 has the aim '9999", row(aim=LARGE)),
    Case("people that are a list", COMPARE, "the provenance has a value of another type for people",
         json_of(lambda s: s["provenance"].update(people=[1]), "e.json")),
    Case("remarks that are a number", COMPARE, "the provenance has a value of another type for remarks",
         json_of(lambda s: s["provenance"].update(remarks=5), "e.json")),
    Case("people that are a list, on a card", "card haplotype.model --evaluation e.json", "of another type for people",
         json_of(lambda s: s["provenance"].update(people={"train": 5}), "e.json")),
    Case("a provenance of nothing", "card haplotype.model", "`unknown`", provenance(), 0),
    Case("a provenance of lists", "card haplotype.model", "has provenance: ", provenance(libraries=[], command=["a"])),
    Case("libraries of lists", "info haplotype.model", "has provenance: ", provenance(libraries={"numpy": [1]})),
    # ---- addresses
    Case("an address with an open bracket", "info http://[::1/x.vcf", "names no server and port that can be"),
    Case("an address with a port beyond all", "info http://h:99999999/x.vcf", "names no server and port that can be"),
    Case("an address with a port of 0", "info http://127.0.0.1:0/x.vcf", "names no server and port that can be"),
    Case("an address without a server", "info http:///x.vcf", "names no server and port that can be"),
    Case("a panel at no address", f"{READ} --panel http://[::1/p", "names no server and port that can be"),
    # ---- injection
    Case("a line end in the assembly", MODEL, r"assembly 'a\n##evil=1'",
         sites(lambda s: s.update(assembly="a\n##evil=1"))),
    Case("a line end in a contig", MODEL, r"contig 'a\n##evil=1'",
         sites(lambda s: s["contig_lengths"].update({"a\n##evil=1": 5}))),
    Case("a bracket in a contig", MODEL, "contig 'a>'", sites(lambda s: s["contig_lengths"].update({"a>": 5}))),
    Case("an escape in the assembly", MODEL, r"assembly 'a\x1b[31m'",
         sites(lambda s: s.update(assembly="a\x1b[31m"))),
    Case("an escape in a contig", READ, r"\x1b[31m1",
         data("x.vcf", lambda b: b.replace(b"\n1\t", b"\n\x1b[31m1\t"))),
    Case("an escape in a metric", COMPARE, r"\x9bX\nY", row(metric="\x9bX\nY"), 0),
    Case("an escape in a label column", "compare f.json e.json", r"\x1b]0;x\x07",
         both(data("f.json", lambda b: b), lambda f: shutil.copy(f / "e.json", f / "f.json"),
              json_of(lambda s: s["provenance"].update(label=["\x1b]0;x\x07"]), "e.json")), 0),
    Case("a message of 100 kB", READ, "has the call 'A|T' of sample ",
         both(cell(5, 3, "A" * 100_000), cell(5, 11, "A|T"))),
    Case("a sample name of 100 kB", f"{READ} --panel x.panel.tsv", "samples only in x.vcf: ",
         text("x.vcf", r"FORMAT\t\S+", "FORMAT\t" + "s" * 100_000)),
    Case("escapes in names of samples", f"{READ} --panel x.panel.tsv", r"\x1b[31m",
         text("x.vcf", r"FORMAT\t\S+", "FORMAT\t\x1b[31ms")),
    Case("escapes in an ALT allele", READ, r"\x1b[31m", both(cell(5, 4, "<\x1b[31m>"), cell(5, 11, "A|T"))),
    Case("a bidirectional override", READ, r"\u202e", both(cell(5, 4, "<\u202e>"), cell(5, 11, "A|T"))),
    Case("a record of many lines", "info x.vcf", "is truncated", rows(lambda r: [r[0][:40]])),
]  # fmt: skip


def address_space(peak: bool = False) -> int:
    """Return the address space of this process, now or at most."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(r"VmPeak:\s*(\d+)" if peak else r"VmSize:\s*(\d+)", status)[0])


def run(line: str, folder: Path, limits: Limits) -> Outcome:
    """Run a command in a child of this process, with limits to its address space (beyond ours) and processor time."""
    out, err, took = (tempfile.TemporaryFile() for _ in range(3))  # noqa: SIM115
    child = os.fork()
    if not child:
        status = 70
        try:
            os.chdir(folder)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
            mapped = address_space()
            resource.setrlimit(resource.RLIMIT_AS, (mapped + limits.memory, mapped + limits.memory))
            resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds))
            signal.alarm(SECONDS)
            from pgcgan import cli

            status = cli.main(shlex.split(line))
            os.write(took.fileno(), str(address_space(peak=True) - mapped).encode())
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, ended, usage = os.wait4(child, 0)
    texts = []
    for stream in (out, err, took):
        stream.seek(0)
        texts.append(stream.read().decode(errors="replace"))
        stream.close()
    seconds = usage.ru_utime + usage.ru_stime
    return Outcome(os.waitstatus_to_exitcode(ended), texts[0], texts[1], int(texts[2] or 0), seconds)


def copied(valid: Path, folder: Path, line: str) -> Path:
    """Return a copy of the valid files that a command line needs."""
    folder.mkdir()
    for entry in valid.iterdir():
        if entry.is_file():
            shutil.copy2(entry, folder)
        elif entry.name in line:
            shutil.copytree(entry, folder / entry.name)
    return folder
