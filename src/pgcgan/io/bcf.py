"""BCF records: the binary form of VCF (specification section 6), read and written by numpy."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from typing import Any

import numpy as np

from ..errors import DataError
from ..genotypes import MISSING
from .records import ABSENT, Site, Table
from .scratch import People, site_blocks

_INTEGERS: dict[int, np.dtype[Any]] = {1: np.dtype("<i1"), 2: np.dtype("<i2"), 3: np.dtype("<i4")}
_WIDTH = {0: 0, 1: 1, 2: 2, 3: 4, 5: 4, 7: 1}
_AT_A_TIME = 1 << 24


def read_header(stream: BufferedReader, start: bytes, source: str) -> list[str]:
    """Return the text header of a BCF stream whose first five bytes are `start`."""
    if start[:4] != b"BCF\2":
        raise DataError(f"{source} is a BCF of version 1, or damaged; rewrite it with `bcftools view -Ob`.")
    (size,) = struct.unpack("<I", _exactly(stream, 4, source))
    text = _exactly(stream, size, source).rstrip(b"\0").decode()
    return text.rstrip("\n").split("\n")


def contigs(lines: Sequence[str]) -> list[str]:
    """Return contig names by their number in the records."""
    return _dictionary(lines, "contig")


def _dictionary(lines: Sequence[str], *keys: str) -> list[str]:
    # Numbers are those of IDX= where it is given, else the order of first occurrence; PASS is the string number 0.
    numbers: dict[str, int] = {} if keys == ("contig",) else {"PASS": 0}
    for line in lines:
        found = re.match(rf"##(?:{'|'.join(keys)})=<(?:.*?[<,])?ID=([^,>]+)", line)
        if found:
            explicit = re.search(r",IDX=(\d+)>?$", line)
            numbers.setdefault(found[1], int(explicit[1]) if explicit else max(numbers.values(), default=-1) + 1)
    names = [""] * (max(numbers.values(), default=-1) + 1)
    for name, number in numbers.items():
        names[number] = name
    return names


def _exactly(stream: BufferedReader, size: int, source: str) -> bytes:
    # a damaged size may be gigabytes: no more is asked for at a time than a record has
    parts, left = [], size
    while left and (part := stream.read(min(left, _AT_A_TIME))):
        parts.append(part)
        left -= len(part)
    data = b"".join(parts)
    if left:
        raise DataError(f"{source} is truncated: it stops in the middle of a record or of its header; fetch it again.")
    return data


def _typed(data: bytes, at: int) -> tuple[int, int, int]:
    """Return type, number of values and the offset behind a type descriptor."""
    kind, length = data[at] & 15, data[at] >> 4
    at += 1
    if length == 15:
        length, at = _integer(data, at)
    if kind not in _WIDTH or length < 0 or at + length * _WIDTH[kind] > len(data):
        raise ValueError(f"a value of type {kind} and length {length}")
    return kind, length, at


def _integer(data: bytes, at: int) -> tuple[int, int]:
    kind, _, at = _typed(data, at)
    width = _WIDTH[kind]
    return int.from_bytes(data[at : at + width], "little", signed=True), at + width


def _string(data: bytes, at: int) -> tuple[str, int]:
    _, length, at = _typed(data, at)
    return data[at : at + length].decode(), at + length


def fill(table: Table, stream: BufferedReader, lines: Sequence[str], n: int, chosen: np.ndarray | None) -> None:
    """Put the records of a BCF stream into a table, up to the end of the file or of the table's region.

    Parameters
    ----------
    table : Table
        Where they go.
    stream : BufferedReader
        Behind the header, or at a record.
    lines : sequence of str
        The header, which numbers contigs and FORMAT keys.
    n : int
        Samples in the file.
    chosen : array of int or None
        Columns of the samples that are kept.
    """
    names, strings = contigs(lines), _dictionary(lines, "FILTER", "INFO", "FORMAT")
    gt = strings.index("GT") if "GT" in strings else None
    number = 0
    while sizes := stream.read(8):
        number += 1
        if len(sizes) < 8:
            _exactly(stream, 8, table.source)
        n_shared, n_calls = struct.unpack("<II", sizes)
        shared = _exactly(stream, n_shared, table.source)
        data = _exactly(stream, n_calls, table.source)
        try:
            contig, position, _, _, alleles, formats = struct.unpack_from("<iiifII", shared)
            identifier, at = _string(shared, 24)
            texts = []
            for _ in range(alleles >> 16):
                text, at = _string(shared, at)
                texts.append(text)
            if not 0 <= contig < len(names) or not texts or not -1 <= position < (1 << 31) - 1:
                raise ValueError(f"contig {contig}, position {position + 1}, {len(texts)} alleles")
        except UnicodeDecodeError:
            raise
        except (struct.error, ValueError, IndexError, KeyError) as error:
            raise DataError(
                f"{table.source} is damaged: record {number} cannot be read ({error}); fetch it again."
            ) from None
        # An absent ID is an empty string or "."; a record without ALT has one allele, or the allele ".".
        alts = tuple(texts[1:]) if texts[1:] != ["."] else ()
        site = Site(names[contig], position + 1, identifier or ".", texts[0], alts)
        where = table.place(site)
        if where == "end":
            return
        if where == "take":
            if formats & 0xFFFFFF != n:
                table.refuse(site, f"has {formats & 0xFFFFFF} instead of {n} samples; the file is damaged.")
            try:
                codes = _genotype_codes(table, site, data, formats >> 24, gt, n)
            except (ValueError, IndexError, KeyError) as error:
                table.refuse(site, f"cannot be read ({error}): the file is damaged; fetch it again.")
            _decode(table, site, codes if chosen is None else codes[chosen])


def _genotype_codes(table: Table, site: Site, data: bytes, n_formats: int, gt: int | None, n: int) -> np.ndarray:
    """Return the codes of the calls: shape (samples, ploidy)."""
    at = 0
    for _ in range(n_formats):
        key, at = _integer(data, at)
        kind, width, at = _typed(data, at)
        if key == gt and kind in _INTEGERS:
            break
        at += n * width * _WIDTH[kind]
    else:
        table.refuse(site, "has no GT; genotype calls are needed.")
    if not width:
        raise ValueError("calls without alleles")
    return np.frombuffer(data, _INTEGERS[kind], n * width, at).reshape(n, width)


def _decode(table: Table, site: Site, codes: np.ndarray) -> None:
    width = codes.shape[1]
    # A code is (allele + 1) << 1 | phased, 0 or 1 for missing; two negative values stand for missing and for the end.
    if codes.itemsize == 1 and width == 2 and len(codes):
        phased = bool(codes[0, 1] & 1)
        # both codes of a call as a word: less those of 0|0 or 0/0, the alleles are bits 1 and 9, and bit 0 says nothing
        words = np.ascontiguousarray(codes).view("<u2")[:, 0] - np.uint16(0x0302 if phased else 0x0202)
        if not (words & np.uint16(0xFDFC)).any():
            np.right_shift(words, 1, out=table.row().view("<u2")[:, 0])
            table.add_complete(site, phased)
            return
    calls = (codes.astype(np.int32) >> 1) - 1
    end = codes == np.iinfo(codes.dtype).min + 1
    calls[calls < 0] = MISSING
    calls[end] = ABSENT
    if width == 1:
        calls = np.column_stack([calls, np.full(len(calls), ABSENT)])
        table.add(site, calls, np.zeros(len(calls), dtype=bool))
        return
    if width > 2 and not end[:, 2:].all():
        sample = int(np.flatnonzero(~end[:, 2:].all(axis=1))[0])
        ploidy = int((~end[sample]).sum())
        table.refuse(
            site, f"has {ploidy} alleles in the call of sample {table.samples[sample]}; accepted: one or two alleles."
        )
    calls[end[:, 0], 0] = MISSING
    table.add(site, calls[:, :2].copy(), (codes[:, 1] & 1).astype(bool))


def records(genotypes: People, numbers: Mapping[str, int]) -> Iterator[tuple[bytes, memoryview]]:
    """Yield each variant as a BCF record (no QUAL, FILTER or INFO; GT only), in two parts: site and calls.

    Parameters
    ----------
    genotypes : Genotypes or Stored
        What is written.
    numbers : mapping of str to int
        Number of each contig in the header. GT is the string number 1, behind PASS.
    """
    variants, n, ploidy = genotypes.variants, genotypes.n_samples, genotypes.ploidy
    far = np.flatnonzero(variants.position > (1 << 31) - 1)
    if len(far):
        raise DataError(
            f"Variant {variants.name(int(far[0]))} cannot be written to a .bcf: positions end at {(1 << 31) - 1}; "
            "write a .vcf.gz."
        )
    phase = np.array([0, 1 if genotypes.phased else 0][:ploidy], dtype=np.int8)
    gt = b"\x11\x01" + bytes([ploidy << 4 | 1])
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
