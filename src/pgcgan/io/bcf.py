"""BCF records: the binary form of VCF (specification section 6), read and written by numpy.

They are read one after the other from a stream, so that a region, a pipe and a server need no copy of the file, and no
damaged record reaches htslib, which makes room for any size and checks no record that it finds by an index.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from io import BufferedReader

import numpy as np

from ..errors import DataError
from ..genotypes import MISSING
from .bgzf import MAX_LINE, SAMPLE_BYTES
from .header import numbered
from .records import ABSENT, Site, Table
from .scratch import People, site_blocks

_PIECE = 1 << 16  # bytes of a header read at a time
_MOST_HEADER = 1 << 26  # bytes
_SIZES = struct.Struct("<II")  # at the start of a record: bytes of the site, and of the calls
_SITE = struct.Struct("<iiIIII")  # contig, position from 0, length of REF, QUAL, alleles << 16 | INFO, FORMAT << 24 | n
_WIDTHS = {0: 0, 1: 1, 2: 2, 3: 4, 5: 4, 7: 1}  # type -> bytes of a value: none, three integers, float, character
_TEXT = 7


def read_header(stream: BufferedReader, start: bytes, source: str) -> list[str]:
    """Return the lines of the header of a BCF stream whose first five bytes are `start`."""
    header = bytearray(start + stream.read(4))
    left = int.from_bytes(header[5:], "little")
    if left > _MOST_HEADER:
        raise DataError(f"{source} has a header of {left} bytes, more than {_MOST_HEADER}: it is damaged.")
    while left and (part := stream.read(min(left, _PIECE))):  # a damaged size may be gigabytes
        header += part
        left -= len(part)
    if header[:4] != b"BCF\2" or len(header) < 9 or left:
        raise DataError(f"{source} is a BCF of version 1, or damaged; rewrite it with `bcftools view -Ob`.")
    return header[9:].rstrip(b"\0").decode().rstrip("\n").split("\n")


def fill(table: Table, stream: BufferedReader, lines: Sequence[str], n: int, chosen: np.ndarray | None) -> None:
    """Put the records of a stream, from any record on, into a table, up to the end of its region."""
    contigs = numbered(lines, table.source, "contig")
    keys = numbered(lines, table.source, "FILTER", "INFO", "FORMAT")
    gt, most = keys.index("GT") if "GT" in keys else None, MAX_LINE + SAMPLE_BYTES * n
    number = 0

    def damaged(what: str) -> DataError:
        record = f"record {number}" if table.region is None else "a record"  # of a region the first has any number
        return DataError(f"{table.source} is truncated or damaged: {record} {what}; fetch it again.")

    while sizes := stream.read(_SIZES.size):
        number += 1
        try:
            of_site, of_calls = _SIZES.unpack(sizes)
            if of_site + of_calls > most:
                raise damaged(f"has {of_site + of_calls} bytes, more than {most}")
            shared, data = stream.read(of_site), stream.read(of_calls)
            if len(data) < of_calls:
                raise EOFError
            site, samples, formats = _site(shared, contigs)
            codes = _codes(data, formats, gt, samples)
        except (struct.error, LookupError, EOFError):
            raise damaged("cannot be read") from None
        where = table.place(site)
        if where == "end":
            return
        if where == "take":
            if samples != n:
                table.refuse(site, f"has {samples} instead of {n} samples; the file is damaged.")
            if codes is None:
                table.refuse(site, "has no GT; genotype calls are needed.")
            _add(table, site, codes if chosen is None else codes[chosen])


def _site(shared: bytes, contigs: Sequence[str]) -> tuple[Site, int, int]:
    """Return a site, its number of samples and of FORMAT fields."""
    contig, position, _, _, alleles, formats = _SITE.unpack_from(shared)
    texts, at = [], _SITE.size
    for _ in range(1 + (alleles >> 16)):
        kind, length, at = _typed(shared, at)
        if kind not in (0, _TEXT) or at + length > len(shared):
            raise EOFError
        texts.append(shared[at : at + length].decode())
        at += length
    if contig < 0 or not contigs[contig] or position < -1:
        raise LookupError
    site = Site(contigs[contig], position + 1, texts[0] or ".", texts[1], tuple(texts[2:]))
    return site, formats & 0xFFFFFF, formats >> 24


def _typed(data: bytes, at: int) -> tuple[int, int, int]:
    """Return type, number of values and the offset of the first of them."""
    kind, length = data[at] & 15, data[at] >> 4
    if length < 15:
        return kind, length, at + 1
    length, at = _integer(data, at + 1)
    return kind, length, at


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """Return a whole number with its type before it, and the offset behind it."""
    kind = data[at] & 15
    end = at + 1 + _WIDTHS[kind]
    return int.from_bytes(data[at + 1 : end], "little"), end


def _codes(data: bytes, formats: int, gt: int | None, n: int) -> np.ndarray | None:
    """Return the codes of the calls: int8, int16 or int32, shape (samples, ploidy); None if there is no GT."""
    at = 0
    for _ in range(formats):
        key, at = _integer(data, at)
        kind, width, at = _typed(data, at)
        end = at + n * width * _WIDTHS[kind]
        if end > len(data):
            raise EOFError
        if key == gt and n * width and kind in (1, 2, 3):
            return np.frombuffer(data[at:end], f"<i{_WIDTHS[kind]}").reshape(n, width)
        at = end
    return None


def _add(table: Table, site: Site, codes: np.ndarray) -> None:
    """Add a record; a code is (allele + 1) << 1 | phased, 0 or 1 for missing, the least + 1 for no allele."""
    width = codes.shape[1]
    if width == 2 and codes.itemsize == 1:
        # Both codes of a call are a word; less those of 0/0, bits 1 and 9 are the alleles, bit 8 is the phase.
        words = codes.view("<u2")[:, 0] - np.uint16(0x0202)
        other = words & np.uint16(0xFDFC)
        if other[0] in (0, 0x0100) and (other == other[0]).all():
            table.row().view("<u2")[:, 0] = words >> 1 & 0x0101
            table.add_complete(site, bool(other[0]))
            return
    calls = np.full((len(codes), max(2, width)), ABSENT, dtype=np.int32)
    calls[:, :width] = np.where(codes == np.iinfo(codes.dtype).min + 1, ABSENT, np.maximum((codes >> 1) - 1, MISSING))
    more = (calls[:, 2:] != ABSENT).any(axis=1)
    if more.any():
        sample = int(more.argmax())
        table.refuse(
            site,
            f"has {(calls[sample] != ABSENT).sum()} alleles in the call of sample {table.samples[sample]}; accepted: "
            "one or two alleles.",
        )
    table.add(site, calls[:, :2].copy(), codes[:, min(1, width - 1)] & 1 == 1)


def records(genotypes: People) -> Iterator[bytes | memoryview]:
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
            yield sizes + shared + gt
            yield np.ascontiguousarray(calls).data.cast("B")


def _characters(text: bytes) -> bytes:
    if len(text) < 15:
        return bytes([len(text) << 4 | 7]) + text
    width, kind = (1, 1) if len(text) < 1 << 7 else (2, 2) if len(text) < 1 << 15 else (4, 3)
    return bytes([0xF7, 1 << 4 | kind]) + len(text).to_bytes(width, "little") + text
