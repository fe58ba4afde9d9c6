"""BCF records: the binary form of VCF (specification section 6), read by cyvcf2 and written by numpy."""

from __future__ import annotations

import contextlib
import itertools
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedReader
from typing import Any

import numpy as np

from ..errors import DataError
from .records import ABSENT, Site, Table, structured
from .scratch import People, site_blocks

_PIECE = 1 << 16  # bytes copied at a time
_PLACE = 8  # bytes of a record's contig and position


def read_header(stream: BufferedReader, start: bytes, source: str) -> bytes:
    """Return the bytes of the header of a BCF stream whose first five bytes are `start`."""
    header = start + stream.read(4)
    left = int.from_bytes(header[5:], "little")
    while left and (part := stream.read(min(left, _PIECE))):  # a damaged size may be gigabytes
        header += part
        left -= len(part)
    if header[:4] != b"BCF\2" or len(header) < 9 or left:
        raise DataError(f"{source} is a BCF of version 1, or damaged; rewrite it with `bcftools view -Ob`.")
    return header


def header_lines(header: bytes) -> list[str]:
    """Return the lines of the text in a header."""
    return header[9:].rstrip(b"\0").decode().rstrip("\n").split("\n")


def contig_names(lines: Sequence[str]) -> list[str]:
    """Return contig names by their number in the records: that of IDX, or else the order in the header."""
    names: dict[int, str] = {}
    for line in lines:
        if line.startswith("##contig=<"):
            fields = structured(line)
            names[int(fields["IDX"]) if fields.get("IDX", "").isdigit() else len(names)] = fields.get("ID", "")
    return [names.get(number, "") for number in range(1 + max(names, default=-1))] if len(names) < 1 << 20 else []


@contextlib.contextmanager
def opened(source: str, header: bytes, parts: Iterable[bytes]) -> Iterator[Any]:
    """Open BCF records of a stream by cyvcf2, which needs a file: a temporary one.

    htslib checks records that it reads one after the other, but not those it finds by an index: damaged ones end the
    process. So it is never given an index.

    Parameters
    ----------
    source : str
        What messages call the file.
    header : bytes
        The header of the stream.
    parts : iterable of bytes
        The records behind it.
    """
    with tempfile.NamedTemporaryFile(suffix=".bcf") as copy:
        copy.write(header)
        copy.writelines(parts)
        copy.flush()
        yield opened_file(source, copy.name)


def up_to(body: BufferedReader, contig: int, end: int | None) -> Iterator[bytes]:
    """Yield the records of a stream, up to the last of a contig (by its number) that starts at `end` or before."""
    while len(sizes := body.read(8)) == 8:
        record = body.read(_PLACE)
        number, begin = struct.unpack("<ii", record.ljust(_PLACE, b"\xff"))
        if number != contig or (end is not None and begin >= end):
            return
        yield sizes + record
        left = sum(struct.unpack("<II", sizes)) - _PLACE
        while left > 0 and (part := body.read(min(left, _PIECE))):
            yield part
            left -= len(part)
    yield sizes  # part of a record, of a file that is cut


def opened_file(source: str, path: str) -> Any:
    """Open a BCF file by cyvcf2; raise a DataError if its header cannot be read."""
    from cyvcf2 import VCF
    from cyvcf2.cyvcf2 import set_htslib_log_level

    set_htslib_log_level(0)  # it would write to standard error
    message = f"{source} is damaged: its header cannot be read; fetch it again."
    try:
        with _refused(message):
            return VCF(path)
    except OSError:
        raise DataError(message) from None


def fill(table: Table, file: Any, n: int, chosen: np.ndarray | None) -> None:
    """Put the records of a BCF file into a table, up to the end of the file or of the table's region.

    Parameters
    ----------
    table : Table
        Where they go.
    file : cyvcf2.VCF
        The records.
    n : int
        Samples in the file.
    chosen : array of int or None
        Columns of the samples that are kept.
    """
    for number in itertools.count(1):
        with _refused(f"{table.source} is truncated or damaged: record {number} cannot be read; fetch it again."):
            record = next(file, None)
            if record is None:
                return
            site = Site(record.CHROM, record.POS, record.ID or ".", record.REF, tuple(record.ALT))
        where = table.place(site)
        if where == "end":
            return
        if where == "take":
            with _refused(f"{table.source}: record {site} has no GT; genotype calls are needed."):
                calls = record.genotype.array()
            if len(calls) != n:
                table.refuse(site, f"has {len(calls)} instead of {n} samples; the file is damaged.")
            _add(table, site, calls if chosen is None else calls[chosen])


@contextlib.contextmanager
def _refused(message: str) -> Iterator[None]:
    """Raise a DataError where cyvcf2 raises an Exception: it has no class of its own for damaged data."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise DataError(message) from None


def _add(table: Table, site: Site, calls: np.ndarray) -> None:
    width = calls.shape[1] - 1
    phased = calls[:, -1]
    if width == 2 and calls.view(np.uint16).max(initial=0) <= 1 and (phased == phased[0]).all():
        row = table.row()
        row[:, 0], row[:, 1] = calls[:, 0], calls[:, 1]
        table.add_complete(site, bool(phased[0]))
        return
    alleles = calls[:, :width].astype(np.int32)
    if width == 1:
        alleles = np.column_stack([alleles, np.full(len(alleles), ABSENT)])
    if width > 2 and (alleles[:, 2:] != ABSENT).any():
        sample = int((alleles[:, 2:] != ABSENT).any(axis=1).argmax())
        ploidy = int((alleles[sample] != ABSENT).sum())
        table.refuse(
            site, f"has {ploidy} alleles in the call of sample {table.samples[sample]}; accepted: one or two alleles."
        )
    table.add(site, alleles[:, :2].copy(), phased.astype(bool))


def records(genotypes: People) -> Iterator[tuple[bytes, memoryview]]:
    """Yield each variant as a BCF record (no QUAL, FILTER or INFO; GT only), in two parts: site and calls."""
    variants, n, ploidy = genotypes.variants, genotypes.n_samples, genotypes.ploidy
    numbers = {name: i for i, name in enumerate(variants.contig_lengths)}
    phase = np.array([0, 1 if genotypes.phased else 0][:ploidy], dtype=np.int8)
    gt = b"\x11\x01" + bytes([ploidy << 4 | 1])  # GT is the string number 1, behind PASS
    for start, block in site_blocks(genotypes):
        for i, calls in enumerate((block + np.int8(1)) << 1 | phase, start=start):
            alleles = [variants.ref[i]] if variants.alt[i] == "." else [variants.ref[i], variants.alt[i]]
            shared = struct.pack(
                "<iiiIII",
                numbers[variants.contig[i]],
                variants.position[i] - 1,
                len(variants.ref[i]),
                0x7F800001,  # the bit pattern of a missing float
                len(alleles) << 16,
                1 << 24 | n,
            )
            texts = ["" if variants.id[i] == "." else variants.id[i], *alleles]
            shared += b"".join(_characters(text.encode()) for text in texts) + b"\0"
            sizes = struct.pack("<II", len(shared), len(gt) + calls.nbytes)
            yield sizes + shared + gt, np.ascontiguousarray(calls).data.cast("B")


def _characters(text: bytes) -> bytes:
    if len(text) < 15:
        return bytes([len(text) << 4 | 7]) + text
    width, kind = (1, 1) if len(text) < 1 << 7 else (2, 2) if len(text) < 1 << 15 else (4, 3)
    return bytes([0xF7, 1 << 4 | kind]) + len(text).to_bytes(width, "little") + text
