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
from ..regions import parse_region
from ..text import whole_number
from .header import structured
from .records import ABSENT, Site, Table
from .scratch import People, site_blocks

_PIECE = 1 << 16  # bytes copied at a time
_BLOCK = 1 << 19  # numbers of calls decoded at a time: they stay in the cache of the processor
_MOST_HEADER = 1 << 26  # bytes
_MOST_CONTIGS = 1 << 22  # that a header may number
_SIZES = struct.Struct("<II")  # at the start of a record: bytes of the site, and of the calls
_PLACE = 8  # bytes of a record's contig and position


def read_header(stream: BufferedReader, start: bytes, source: str) -> bytes:
    """Return the bytes of the header of a BCF stream whose first five bytes are `start`."""
    header = bytearray(start + stream.read(4))
    left = int.from_bytes(header[5:], "little")
    if left > _MOST_HEADER:
        raise DataError(f"{source} has a header of {left} bytes, more than {_MOST_HEADER}: it is damaged.")
    while left and (part := stream.read(min(left, _PIECE))):  # a damaged size may be gigabytes
        header += part
        left -= len(part)
    if header[:4] != b"BCF\2" or len(header) < 9 or left:
        raise DataError(f"{source} is a BCF of version 1, or damaged; rewrite it with `bcftools view -Ob`.")
    return bytes(header)


def header_lines(header: bytes) -> list[str]:
    """Return the lines of the text in a header."""
    return header[9:].rstrip(b"\0").decode().rstrip("\n").split("\n")


def contig_names(lines: Sequence[str]) -> list[str]:
    """Return contig names by their number in the records: that of IDX, or else the order in the header."""
    names: dict[int, str] = {}
    for line in lines:
        if line.startswith("##contig=<"):
            fields = structured(line)
            number = whole_number(fields.get("IDX", ""), _MOST_CONTIGS)
            names[len(names) if number is None else number] = fields.get("ID", "")
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


class _TooLarge(DataError):
    """A record is larger than any that people have."""


def parts(body: BufferedReader, source: str, most: int, region: str | None, contigs: Sequence[str]) -> Iterator[bytes]:
    """Yield the records of a stream in pieces; of a region those up to its end, and the first one wherever it is.

    Parameters
    ----------
    body : stream
        From the start of a record on.
    source : str
        What messages call the file.
    most : int
        Bytes that a record may have: htslib makes room for any size, of which four gigabytes are a few kilobytes of a
        compressed file.
    region : str or None
        The region that is wanted; None for all.
    contigs : sequence of str
        Contigs by number.

    Raises
    ------
    DataError
        If a record has more bytes.
    """
    contig, _, end = ("", 1, None) if region is None else parse_region(region)
    number, first = 0, True
    while len(sizes := body.read(8)) == 8:
        number += 1
        left = sum(_SIZES.unpack(sizes))
        if left > most:
            record = f"record {number}" if region is None else "a record"  # of a region the first one has any number
            raise _TooLarge(
                f"{source} is truncated or damaged: {record} has {left} bytes, more than {most}; fetch it again."
            )
        if region is not None:
            place = body.read(_PLACE)
            at, begin = struct.unpack("<ii", place.ljust(_PLACE, b"\xff"))
            outside = not 0 <= at < len(contigs) or contigs[at] != contig or (end is not None and begin >= end)
            if outside and not first:
                return
            sizes, left, first = sizes + place, left - _PLACE, False
        yield sizes
        while left > 0 and (part := body.read(min(left, _PIECE))):
            yield part
            left -= len(part)
    yield sizes  # part of a record, of a file that is cut


def check_sizes(records: Iterator[bytes]) -> None:
    """Go through the records of a file that cyvcf2 will read by itself: one that is too large is refused."""
    try:
        for _ in records:
            pass
    except _TooLarge:
        raise
    except DataError:  # cyvcf2 will say which record is damaged
        return


def opened_file(source: str, path: str) -> Any:
    """Open a BCF file by cyvcf2; raise a DataError if its header cannot be read."""
    from cyvcf2 import VCF
    from cyvcf2.cyvcf2 import set_htslib_log_level

    set_htslib_log_level(0)  # it would write to standard error
    message = f"{source} is damaged: its header cannot be read; fetch it again."
    try:
        return VCF(path)
    except Exception as error:
        if not isinstance(error, OSError):
            _check_is_damage(error)
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
    sites: list[Site] = []
    block = np.empty((max(1, _BLOCK // max(1, 3 * n)), n, 3), dtype=np.int16)
    for site, calls in _records(table, file):
        if calls is not None and len(calls) != n:
            table.refuse(site, f"has {len(calls)} instead of {n} samples; the file is damaged.")
        usual = calls is not None and calls.shape[1] == 3 and len(site.alts) == 1
        if sites and (not usual or len(sites) == len(block)):
            if not _add_block(table, sites, block[: len(sites)], chosen):
                return
            sites = []
        if usual and calls is not None:
            block[len(sites)] = calls
            sites.append(site)
        elif not _add(table, site, calls, chosen):
            return
    if sites:
        _add_block(table, sites, block[: len(sites)], chosen)


def _records(table: Table, file: Any) -> Iterator[tuple[Site, np.ndarray | None]]:
    """Yield the site of each record, and its calls: int16, shape (samples, ploidy + 1), the last is True if phased."""
    for number in itertools.count(1):
        try:
            record = next(file, None)
            if record is None:
                return
            site = Site(record.CHROM, record.POS, record.ID or ".", record.REF, tuple(record.ALT))
        except Exception as error:
            _check_is_damage(error)
            raise DataError(
                f"{table.source} is truncated or damaged: record {number} cannot be read; fetch it again."
            ) from None
        try:
            calls = record.genotype.array()
        except Exception as error:
            _check_is_damage(error)
            calls = None
        yield site, calls


def _check_is_damage(error: Exception) -> None:
    """Raise an error again unless cyvcf2 raised it for damaged data, for which it has no class of its own."""
    if type(error) is not Exception:
        raise error


def _add_block(table: Table, sites: list[Site], block: np.ndarray, chosen: np.ndarray | None) -> bool:
    """Add diploid, biallelic records; return False when reading can stop."""
    phased = block[..., 2]
    if block.view(np.uint16).max() > 1 or (phased != phased[0, 0]).any():
        return all(_add(table, site, calls, chosen) for site, calls in zip(sites, block, strict=True))
    calls = block if chosen is None else block[:, chosen]
    rows = table.rows(len(sites))
    rows[..., 0], rows[..., 1] = calls[..., 0], calls[..., 1]
    return table.add_rows(sites, rows, bool(phased[0, 0]))


def _add(table: Table, site: Site, calls: np.ndarray | None, chosen: np.ndarray | None) -> bool:
    """Add a record of any kind; return False when reading can stop."""
    where = table.place(site)
    if where != "take":
        return where != "end"
    if calls is None:
        table.refuse(site, "has no GT; genotype calls are needed.")
    calls = calls if chosen is None else calls[chosen]
    width, phased = calls.shape[1] - 1, calls[:, -1].astype(bool)
    alleles = calls[:, :width].astype(np.int32)
    if width == 1:
        alleles = np.column_stack([alleles, np.full(len(alleles), ABSENT)])
    if width > 2 and (alleles[:, 2:] != ABSENT).any():
        sample = int((alleles[:, 2:] != ABSENT).any(axis=1).argmax())
        ploidy = int((alleles[sample] != ABSENT).sum())
        table.refuse(
            site, f"has {ploidy} alleles in the call of sample {table.samples[sample]}; accepted: one or two alleles."
        )
    table.add(site, alleles[:, :2].copy(), phased)
    return True


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
