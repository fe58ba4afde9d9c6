"""Writing bgzip files, and the index by which a region of one is found (.tbi, .csi).

The blocks are deflated by libdeflate, as those of a bgzip that was built with it are: quicker than zlib, and smaller.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

import deflate
import numpy as np

from .bgzf import EOF_BLOCK

Kind = Literal["tbi", "vcf.csi", "bcf.csi"]

TBI_END = 1 << 29  # a .tbi index holds no position from here on
_HEAD = EOF_BLOCK[:16]  # of every block; its size follows
_DATA = 0xFF00  # bytes of data in a block, as htslib has it
_ROOM = (1 << 16) - 26  # what head, check sum and length leave of the largest block
_SHIFT = 14  # the smallest bin has 2^14 bases
_OF_VCF = (2, 1, 2, 0, ord("#"), 0)  # preset, columns of contig, begin and end (none), sign of comments, lines to skip


class BgzfWriter:
    """A bgzip file that is written from the beginning to the end.

    Parameters
    ----------
    file : binary file
        Where the blocks go; it stays open.
    level : int
        Of libdeflate, 1 (quick) to 12 (small).

    Attributes
    ----------
    size : int
        Bytes of data written so far.
    """

    def __init__(self, file: BinaryIO, level: int):
        self.size = 0
        self._file = file
        self._level = level
        self._held = bytearray()
        self._blocks = [0]  # where each begins in the file

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        view = memoryview(data)
        self.size += len(view)
        if self._held:
            more = _DATA - len(self._held)
            self._held += view[:more]
            view = view[more:]
            if len(self._held) < _DATA:
                return
            self._block(self._held)
            self._held.clear()
        while len(view) >= _DATA:
            self._block(view[:_DATA])
            view = view[_DATA:]
        self._held += view

    def close(self) -> None:
        """Write what is left, and the block that says that nothing is missing."""
        if self._held:
            self._block(self._held)
            self._held.clear()
        self._file.write(EOF_BLOCK)

    def virtual(self, offsets: np.ndarray) -> np.ndarray:
        """Return where bytes of the data are found: offset of their block in the file << 16 | offset in the block."""
        return np.array(self._blocks, dtype=np.int64)[offsets // _DATA] << 16 | offsets % _DATA

    def _block(self, data: bytearray | memoryview) -> None:
        packed: bytes | bytearray = deflate.deflate_compress(data, self._level)
        if len(packed) > _ROOM:  # as it is: one stored block (RFC 1951)
            packed = b"\1" + struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data
        size = len(_HEAD) + 2 + len(packed) + 8
        self._file.write(_HEAD + struct.pack("<H", size - 1))
        self._file.write(packed)
        self._file.write(struct.pack("<II", deflate.crc32(data), len(data)))
        self._blocks.append(self._blocks[-1] + size)


@dataclass
class _Contig:
    bins: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    windows: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    first: int = 0
    last: int = 0
    records: int = 0


def index(
    names: Sequence[str], number: np.ndarray, begin: np.ndarray, end: np.ndarray, virtual: np.ndarray, kind: Kind
) -> bytes:
    """Return the index of a file of records, in order by contig and position.

    Parameters
    ----------
    names : sequence of str
        The contigs; for a .tbi, and the .csi of a VCF, in the order in which they come.
    number : array of int, shape (records,)
        Contig of each record, by its place in `names`.
    begin, end : array of int, shape (records,)
        The bases of each record's REF: 0-based, end not included.
    virtual : array of int, shape (records + 1,)
        Virtual offset of each record, and of what follows the last.
    kind : {"tbi", "vcf.csi", "bcf.csi"}
        SAM specification, "The tabix index format" and CSIv1.

    Returns
    -------
    bytes
        To be bgzipped in turn.
    """
    csi = kind != "tbi"
    depth = 5
    while csi and int(end.max()) > 1 << (_SHIFT + 3 * depth):
        depth += 1
    listed = b"".join(name.encode() + b"\0" for name in names)
    words = struct.pack("<7i", *_OF_VCF, len(listed)) + listed if kind != "bcf.csi" else b""
    if csi:
        parts = [b"CSI\1", struct.pack("<3i", _SHIFT, depth, len(words)), words, struct.pack("<i", len(names))]
    else:
        parts = [b"TBI\1", struct.pack("<i", len(names)), words]
    for contig in _contigs(len(names), number, begin, end, virtual, depth):
        parts.append(struct.pack("<i", len(contig.bins) + bool(contig.records)))
        for bin_number, chunks in contig.bins.items():
            lowest = struct.pack("<Q", contig.windows[_first_window(bin_number, depth)]) if csi else b""
            parts.append(struct.pack("<I", bin_number) + lowest + struct.pack("<i", len(chunks)))
            parts += [struct.pack("<QQ", *chunk) for chunk in chunks]
        if contig.records:  # a bin that does not exist keeps what `bcftools index --stats` says
            none = ((1 << 3 * (depth + 1)) - 1) // 7 + 1
            parts.append(struct.pack("<I", none) + (bytes(8) if csi else b"") + struct.pack("<i", 2))
            parts.append(struct.pack("<4Q", contig.first, contig.last, contig.records, 0))
        if not csi:
            parts += [struct.pack("<i", len(contig.windows)), contig.windows.astype("<u8").tobytes()]
    return b"".join([*parts, bytes(8)])


def _contigs(
    count: int, number: np.ndarray, begin: np.ndarray, end: np.ndarray, virtual: np.ndarray, depth: int
) -> list[_Contig]:
    found = [_Contig() for _ in range(count)]
    bins = _bins(begin, end, depth)
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    for a, b in zip(starts.tolist(), [*starts[1:].tolist(), len(number)], strict=True):
        contig = found[number[a]]
        contig.first, contig.last, contig.records = int(virtual[a]), int(virtual[b]), b - a
        runs = np.flatnonzero(np.diff(bins[a:b], prepend=-1)) + a  # records of one bin, one after the other
        for first, last in zip(runs.tolist(), [*runs[1:].tolist(), b], strict=True):
            contig.bins.setdefault(int(bins[first]), []).append((int(virtual[first]), int(virtual[last])))
        low, high = begin[a:b] >> _SHIFT, (end[a:b] - 1) >> _SHIFT
        lowest = np.full(int(high.max()) + 1, np.iinfo(np.int64).max)
        np.minimum.at(lowest, low, virtual[a:b])
        for i in np.flatnonzero(high > low).tolist():
            part = lowest[low[i] : high[i] + 1]
            np.minimum(part, virtual[a + i], out=part)
        # a window that no record reaches into has the offset of the next that one does
        contig.windows = np.minimum.accumulate(lowest[::-1])[::-1]
    return found


def _bins(begin: np.ndarray, end: np.ndarray, depth: int) -> np.ndarray:
    """Return the number of the smallest bin that holds each interval (reg2bin of the SAM specification)."""
    bins = np.zeros(len(begin), dtype=np.int64)
    for level in range(1, depth + 1):
        shift = _SHIFT + 3 * (depth - level)
        inside = begin >> shift == (end - 1) >> shift
        bins[inside] = ((1 << 3 * level) - 1) // 7 + (begin[inside] >> shift)
    return bins


def _first_window(bin_number: int, depth: int) -> int:
    """Return the number of the first of the smallest bins inside a bin."""
    level = 0
    while ((1 << 3 * (level + 1)) - 1) // 7 <= bin_number:
        level += 1
    return (bin_number - ((1 << 3 * level) - 1) // 7) << 3 * (depth - level)
