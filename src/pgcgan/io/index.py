"""The .tbi or .csi index beside a file, and where in the file a region begins.

The index is read here, not by htslib: that corrupts memory where an index is damaged (of damaged .csi files one in
eight ended the process; htslib 1.24).
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import DataError, PgcganError
from ..runtime.files import read_regular
from . import remote
from .bgzf import ends_at
from .records import log, refuse_index

_MOST_INFLATED = 20  # bytes of an index for each byte of its file, if it is not small
_FREE = 1 << 24
_MOST_OFFSET = (1 << 63) - 1  # that a file can be read from


def index_of(path: str) -> str | None:
    """Return the .csi or .tbi index beside a file, or None; raise a DataError if a file on a server has none."""
    if remote.is_address(path):
        for suffix in (".tbi", ".csi"):
            address = remote.beside(path, suffix)
            try:
                remote.about(address)
            except remote.NotThere:
                continue
            return address
        raise DataError(
            f"{remote.named(path)} has no index on the server (.tbi or .csi at the end of its name), by which a region "
            "is found; download the file, or read it whole, without a region."
        )
    for suffix in (".csi", ".tbi"):
        index = Path(path + suffix)
        if path != "-" and index.is_file():
            if index.stat().st_mtime < os.stat(path).st_mtime:
                log.warning("The index %s is older than %s; make it anew if the file has changed since.", index, path)
            return str(index)
    return None


def region_start(
    path: str, index: str, contig: str, start: int, end: int | None, contigs: Sequence[str] = ()
) -> int | None:
    """Return the virtual offset from which a sequential read meets all records of a region; None without any.

    An index of another file, or of an older one of the same name, would hide records. So the place where the last
    record ends, which every index has, must be the end of the file.

    Parameters
    ----------
    path, index : str
        The bgzip file and its .tbi or .csi, or their addresses.
    contig, start, end : str, int, int or None
        The region, 1-based, both ends included; None means to the end of the contig.
    contigs : sequence of str
        Contigs by number, for the index of a BCF, which has no names in it.

    Raises
    ------
    DataError
        If the index cannot be read, or is not that of the file.
    """
    try:
        data = remote.contents(index) if remote.is_address(index) else read_regular(index)
        offset, last = _first_chunk(_inflated(data), contig, list(contigs), start - 1, end)
    except PgcganError:
        raise
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise DataError(
            f"The index {remote.named(index)} cannot be read ({error}); make it anew with `tabix -f -p vcf` (VCF) or "
            "`bcftools index -f` (VCF, BCF)."
        ) from None
    if not ends_at(path, last):
        refuse_index(path, index, "the last record ends where there is none")
    return offset


def _inflated(data: bytes) -> bytes:
    """Return the content of an index; raise ValueError if it is much larger than that of any index."""
    most = max(_MOST_INFLATED * len(data), _FREE)
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it inflates to more than {most} bytes")
    return content


_Bins = dict[int, tuple[int, list[tuple[int, int]]]]  # number -> lowest offset of its records, chunks of the file


def _first_chunk(data: bytes, contig: str, contigs: list[str], first: int, end: int | None) -> tuple[int | None, int]:
    """Return where the records of a region begin, if there are any, and where the last record of the file ends.

    The formats are those of the SAM specification, "The tabix index format" and CSIv1.
    """
    stream = io.BytesIO(data)

    def numbers(form: str) -> tuple[int, ...]:
        return struct.unpack(form, stream.read(struct.calcsize(form)))

    magic = stream.read(4)
    if magic == b"TBI\1":
        shift, depth = 14, 5
        references, *_, size = numbers("<8i")
        names = stream.read(size)
    elif magic == b"CSI\1":
        shift, depth, size = numbers("<3i")
        names = stream.read(size)[28:]
        (references,) = numbers("<i")
    else:
        raise ValueError("it is neither TBI nor CSI")
    if not 0 <= depth <= 20 or not 0 <= shift <= 40 or size < 0:
        raise ValueError(f"intervals of 2^{shift} bases in {depth} levels")
    contigs = names.rstrip(b"\0").decode().split("\0") if names.strip(b"\0") else contigs
    wanted = contigs.index(contig) if contig in contigs else -1
    to = (1 << (shift + 3 * depth)) if end is None else end
    n_bins = ((1 << (3 * depth + 3)) - 1) // 7  # behind them counts of records may be, as if they were a bin
    offset, last = None, 0
    for number in range(references):  # all: what is damaged elsewhere is damaged
        bins, linear = _contig(numbers, magic == b"CSI\1")
        last = max([last, *(e for b, (_, chunks) in bins.items() if b < n_bins for _, e in chunks)])
        if number == wanted:
            offset = _lowest(bins, linear, first, to, shift, depth)
    return offset, last


def _contig(numbers: Callable[[str], tuple[int, ...]], csi: bool) -> tuple[_Bins, tuple[int, ...]]:
    """Return the bins of a contig, and of a .tbi the lowest offset of the records in each window of 2^14 bases."""
    bins: _Bins = {}
    for _ in range(*numbers("<i")):
        number, lowest = numbers("<IQ") if csi else (*numbers("<I"), 0)
        (n_chunks,) = numbers("<i")
        flat = numbers(f"<{2 * n_chunks}Q")
        if number in bins:
            raise ValueError(f"the bin {number} occurs twice")
        bins[number] = (lowest, list(zip(flat[::2], flat[1::2], strict=True)))
    return bins, () if csi else numbers(f"<{numbers('<i')[0]}Q")


def _lowest(bins: _Bins, linear: tuple[int, ...], first: int, last: int, shift: int, depth: int) -> int | None:
    floor = linear[first >> shift] if first >> shift < len(linear) else 0
    offset, chunks, width = 0, [], shift + 3 * depth
    for level in range(depth + 1):
        low, high = offset + (first >> width), offset + ((last - 1) >> width)
        if low in bins:
            # CSI keeps the lowest offset of overlapping records in each bin: the deepest bin present bounds best.
            floor = max(floor, bins[low][0])
        chunks += [chunk for number, (_, inside) in bins.items() if low <= number <= high for chunk in inside]
        offset, width = offset + (1 << (3 * level)), width - 3
    starts = [max(begin, floor) for begin, end in chunks if end > floor]
    if starts and min(starts) > _MOST_OFFSET:
        raise ValueError(f"it points at the offset {min(starts)}")
    return min(starts) if starts else None
