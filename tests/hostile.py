"""Inputs made to harm: what is done to valid files, the command line that meets them, and what it has to say.

Each is read in a process of its own, whose address space and processor time are limited by those of the valid file.
"""

from __future__ import annotations

import gzip
import os
import resource
import shlex
import shutil
import signal
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corpus import Case
from damaging import both, cell, data, gone, json_of, large_header, rows, text, vouched

SECONDS = 300  # of the wall clock: only for what waits for ever, such as a pipe
MOST = 500  # characters of a line on standard error
LARGE = "9" * 400
LONG = "9" * 5000
READ = "info x.vcf"
REGION = "info x.vcf.gz --region 1:1-20000"
MODEL = "generate haplotype.model -n 2 -o new.vcf"
METADATA = "haplotype.model/model.json"


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit status (negative: the signal that ended it) and what it printed."""

    status: int
    out: str
    err: str


def header(line: str) -> Callable[[Path], None]:
    """Put a line behind the first one of x.vcf."""
    return data("x.vcf", lambda content: content.replace(b"\n", f"\n{line}\n".encode(), 1))


def bgzipped(content: bytes) -> bytes:
    """Return what bgzip makes of bytes."""
    import pysam

    with tempfile.TemporaryDirectory() as place:
        with pysam.BGZFile(f"{place}/file.gz", "wb") as file:
            file.write(content)
        return Path(f"{place}/file.gz").read_bytes()


def bcf_header(line: str) -> Callable[[Path], None]:
    """Put a line at the end of the header of x.bcf."""

    def change(content: bytes) -> bytes:
        whole = gzip.decompress(content)
        added = f"{line}\n".encode()
        size = int.from_bytes(whole[5:9], "little") + len(added)
        return bgzipped(whole[:5] + size.to_bytes(4, "little") + whole[9:].replace(b"#CHROM", added + b"#CHROM", 1))

    return data("x.bcf", change)


def instead(name: str, target: str | None = None) -> Callable[[Path], None]:
    """Put a link to a device, or a named pipe, in the place of a file."""

    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name) if target is None else (folder / name).symlink_to(target)

    return change


def offsets(first: int) -> Callable[[Path], None]:
    """Let the index of x.vcf.gz point at a place of the file."""

    def change(content: bytes) -> bytes:
        whole = gzip.decompress(content)
        head = whole[: 36 + struct.unpack_from("<i", whole, 32)[0]]
        return gzip.compress(head + struct.pack("<iIiQQi", 1, 4681, 1, first, (1 << 64) - 1, 0))

    return data("x.vcf.gz.tbi", change)


def people(n: int, *more: str) -> Callable[[Path], None]:
    """Write x.vcf of many people at one site."""

    def change(folder: Path) -> None:
        names = [*(f"s{i}" for i in range(n)), *more]
        lines = ["##fileformat=VCFv4.2", "\t".join([*_COLUMNS, *names]), "\t".join([*_SITE, *["0|1"] * len(names)])]
        (folder / "x.vcf").write_text("\n".join(lines) + "\n")

    return change


_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
_SITE = ("1", "5", ".", "A", "C", ".", ".", ".", "GT")


def contigs(n: int) -> Callable[[Path], None]:
    """Write x.vcf with one site on each of many contigs."""

    def change(folder: Path) -> None:
        lines = ["##fileformat=VCFv4.2", *(f"##contig=<ID=c{i},length=1000>" for i in range(n))]
        lines += ["\t".join([*_COLUMNS, "a", "b"])]
        lines += ["\t".join([f"c{i}", *_SITE[1:], "0|1", "1|0"]) for i in range(n)]
        (folder / "x.vcf").write_text("\n".join(lines) + "\n")

    return change


def bomb(name: str, start: bytes, block: bytes, times: int) -> Callable[[Path], None]:
    """Write a file of few bytes that inflates to many, by gzip or zstandard."""

    def change(folder: Path) -> None:
        import zstandard

        packed = zstandard.compress if name.endswith(".zst") else gzip.compress
        (folder / name).write_bytes(packed(start) + packed(block) * times)

    return change


def surrogate(name: str, old: str) -> Callable[[Path], None]:
    """Put half a character into a text of a JSON file."""
    return data(name, lambda content: content.replace(old.encode(), old[:-1].encode() + b"\\ud800" + old[-1:].encode()))


def provenance(**changed: object) -> Callable[[Path], None]:
    """Replace what a model says of how it was made."""
    return json_of(lambda metadata: metadata.update(provenance=changed), METADATA)


def row(**changed: object) -> Callable[[Path], None]:
    """Change the first row of an evaluation."""
    return json_of(lambda content: content["rows"][0].update(changed), "e.json")


def sites(function: Callable[[dict], object]) -> Callable[[Path], None]:
    """Change the sites of a model, which vouches for them."""
    return vouched(json_of(function, "haplotype.model/sites.json"))


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
    Case("30,000 contigs", READ, "people: 2", contigs(30_000), 0),
    Case("a compressed line of gigabytes", "info x.vcf.gz", "x.vcf.gz has a line of more than 33554432 bytes",
         bomb("x.vcf.gz", b"##fileformat=VCFv4.2\n##", b"A" * (1 << 24), 200)),
    Case("a compressed record of gigabytes", "info x.vcf.gz", "x.vcf.gz has a line of more than ",
         bomb("x.vcf.gz", b"##fileformat=VCFv4.2\n" + "\t".join([*_COLUMNS, "a\n"]).encode(), b"A" * (1 << 24), 200)),
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
    Case("an index that points near 2^63", REGION, "", offsets(2**63 - 2)),
    Case("a contig length of another script", READ, "the contig 9 has the length '²'",
         header("##contig=<ID=9,length=²>")),
    Case("a contig length of Arabic digits", READ, "has the length '٣'", header("##contig=<ID=9,length=٣>")),
    Case("a contig length of 25 digits", READ, "the contig 9 has the length '9999999999999999999999999'",
         header(f"##contig=<ID=9,length={'9' * 25}>")),
    Case("a contig length of 5,000 digits", READ, "the contig 9 has the length '9999",
         header(f"##contig=<ID=9,length={LONG}>")),
    Case("a contig length of 25 digits in a .pvar", "info x.pgen", "x.pvar: the contig 9 has the length",
         data("x.pvar", lambda b: f"##contig=<ID=9,length={'9' * 25}>\n".encode() + b)),
    Case("a contig number of another script", "info x.bcf --region 1:1-20000", "its contigs: 1, 9",
         both(bcf_header("##contig=<ID=9,IDX=²>"), lambda f: os.utime(f / "x.bcf.csi"))),
    Case("a contig number of eleven digits", "info x.bcf --region 1:1-20000", "its header cannot be read",
         both(bcf_header("##contig=<ID=9,IDX=99999999999>"), lambda f: os.utime(f / "x.bcf.csi"))),
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


def run(case: Case, folder: Path, memory: int, seconds: int) -> Outcome:
    """Run a command in a child of this process, with limits to its address space (beyond ours) and processor time."""
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    child = os.fork()
    if not child:
        status = 70
        try:
            os.chdir(folder)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
            mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (mapped + memory, mapped + memory))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            signal.alarm(SECONDS)
            from pgcgan import cli

            status = cli.main(shlex.split(case.line))
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    for stream in (out, err):
        stream.seek(0)
    printed = [stream.read().decode(errors="replace") for stream in (out, err)]
    out.close()
    err.close()
    return Outcome(os.waitstatus_to_exitcode(ended), *printed)


def copied(valid: Path, folder: Path, case: Case) -> Path:
    """Return a copy of the valid files with the damage of a case."""
    shutil.copytree(valid, folder)
    case.damage(folder)
    return folder
