"""How hostile files are made of valid ones: functions that return what changes a folder, as those of damaging.py."""

from __future__ import annotations

import gzip
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from damaging import data, json_of, vouched

METADATA = "haplotype.model/model.json"


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
        lines = ["##fileformat=VCFv4.2", "\t".join([*COLUMNS, *names]), "\t".join([*_SITE, *["0|1"] * len(names)])]
        (folder / "x.vcf").write_text("\n".join(lines) + "\n")

    return change


def shortened(name: str, contig: bytes = b"") -> Callable[[Path], None]:
    """Take the first records out of a bgzip VCF, or put them on another contig; its index stays, and is newer."""

    def change(folder: Path) -> None:
        lines = gzip.decompress((folder / name).read_bytes()).splitlines(keepends=True)
        records = [line for line in lines if not line.startswith(b"#")]
        moved = [contig + line[line.index(b"\t") :] for line in records[:9]] if contig else []
        head = [line for line in lines if line.startswith(b"#")]
        (folder / name).write_bytes(bgzipped(b"".join([*head, *records[9:], *moved])))
        os.utime(folder / f"{name}.tbi")

    return change


def wrong_contig(folder: Path) -> None:
    """Put records on two contigs into x.vcf.gz, and let its index say that the second begins where the first does."""
    import pysam

    shortened("x.vcf.gz", b"2")(folder)
    path = folder / "x.vcf.gz"
    pysam.tabix_index(str(path), preset="vcf", force=True)
    content = gzip.decompress(Path(f"{path}.tbi").read_bytes())
    assert content.count(b"1\x002\x00") == 1
    Path(f"{path}.tbi").write_bytes(gzip.compress(content.replace(b"1\x002\x00", b"2\x001\x00")))


def bcf_record(size: int) -> Callable[[Path], None]:
    """Put a record of so many bytes, all of them 0, behind the header of x.bcf."""

    def change(folder: Path) -> None:
        whole = gzip.decompress((folder / "x.bcf").read_bytes())
        head = whole[: 9 + int.from_bytes(whole[5:9], "little")]
        bomb("x.bcf", head + struct.pack("<II", size - 8, 8), bytes(1 << 24), 130)(folder)

    return change


COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
_SITE = ("1", "5", ".", "A", "C", ".", ".", ".", "GT")


def contigs(n: int) -> Callable[[Path], None]:
    """Write x.vcf with one site on each of many contigs."""
    return _sites([f"##contig=<ID=c{i},length=1000>" for i in range(n)], [(f"c{i}", "5") for i in range(n)])


def sites_of_one_contig(n: int) -> Callable[[Path], None]:
    """Write x.vcf with as many sites on one contig, and as many header lines."""
    return _sites([f"##FILTER=<ID=c{i},Description=1>" for i in range(n)], [("1", str(i + 1)) for i in range(n)])


def _sites(head: list[str], places: list[tuple[str, str]]) -> Callable[[Path], None]:
    lines = ["##fileformat=VCFv4.2", *head, "\t".join([*COLUMNS, "a", "b"])]
    lines += ["\t".join([*place, *_SITE[2:], "0|1", "1|0"]) for place in places]
    return lambda folder: (folder / "x.vcf").write_text("\n".join(lines) + "\n")


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
