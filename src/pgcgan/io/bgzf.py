"""Byte streams of plain, gzip and bgzip files, and where in a bgzip file a region begins (.tbi and .csi indexes).

The standard library's inflate is used: it is a few hundredths of a second slower on a region than htslib's, and says
of a truncated or damaged file that it is one.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ..errors import DataError
from . import remote
from .records import log

EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BUFFER = 1 << 20
_REMOTE_BUFFER = 1 << 16


def named(path: str) -> str:
    """Return what messages call an input."""
    return "standard input" if path == "-" else path


@contextmanager
def opened(path: str, virtual_offset: int = 0) -> Iterator[io.BufferedReader]:
    """Open a file, or standard input for "-", as a stream of inflated bytes.

    Parameters
    ----------
    path : str
        A plain, gzip or bgzip file, its http or https address, or "-".
    virtual_offset : int
        Where to start in a bgzip file: compressed offset << 16 | offset in the inflated block, as indexes have it.

    Raises
    ------
    DataError
        If there is no such file, or it turns out to be truncated or damaged, also later while the stream is read.
    """
    with _raw(path) as raw:
        if virtual_offset:
            raw.seek(virtual_offset >> 16)
        head = raw.peek(18)[:18]
        compressed = head[:2] == b"\x1f\x8b"
        block = len(head) == 18 and compressed and bool(head[3] & 4) and head[12:14] == b"BC"
        if virtual_offset and not block:
            _refuse_index(path)
        if block and not virtual_offset:
            _check_end(raw, path)
        try:
            if not compressed:
                yield raw
                return
            inflated: Any = gzip.GzipFile(fileobj=raw, mode="rb")
            with io.BufferedReader(inflated, _BUFFER) as stream:
                if len(stream.read(virtual_offset & 0xFFFF)) < virtual_offset & 0xFFFF:
                    _refuse_index(path)
                yield stream
        except EOFError:
            raise DataError(
                f"{named(path)} is truncated: the compressed data stop in the middle; fetch it again."
            ) from None
        except (zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{named(path)} is damaged: {error}; fetch it again.") from None


def _raw(path: str) -> io.BufferedReader:
    if remote.is_address(path):
        source: Any = remote.RemoteFile(path)
        return io.BufferedReader(source, _REMOTE_BUFFER)
    try:
        return open(0, "rb", closefd=False) if path == "-" else open(path, "rb")
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.") from None


def _check_end(raw: io.BufferedReader, path: str) -> None:
    if isinstance(raw.raw, remote.RemoteFile):
        last = raw.raw.last(len(EOF_BLOCK))
    elif os.path.isfile(path):
        size = os.path.getsize(path)
        raw.seek(max(0, size - len(EOF_BLOCK)))
        last = raw.read()
        raw.seek(0)
    else:
        return
    if last is not None and last != EOF_BLOCK:
        raise DataError(
            f"{path} is truncated: the bgzip end-of-file block is missing; fetch it again, or, if all records are "
            f"there, rewrite it with `bcftools view -Oz -o complete.vcf.gz {path}`."
        )


def _refuse_index(path: str) -> NoReturn:
    raise DataError(
        f"The index beside {path} is that of another file: no compressed block begins where it says; make it anew with "
        "`tabix -f -p vcf` (VCF) or `bcftools index -f` (VCF, BCF)."
    )


def index_of(path: str) -> str | None:
    """Return the .csi or .tbi index beside a file, or None.

    Raises
    ------
    DataError
        If a file on a server has none: to find a region by reading all of it is not what was meant.
    """
    if remote.is_address(path):
        for suffix in (".tbi", ".csi"):
            address = remote.beside(path, suffix)
            try:
                remote.about(address)
            except remote.NotThere:
                continue
            return address
        raise DataError(
            f"{path} has no index on the server (.tbi or .csi at the end of its name), by which a region is found; "
            "download the file, or read it whole, without a region."
        )
    for suffix in (".csi", ".tbi"):
        index = Path(path + suffix)
        if path != "-" and index.is_file():
            if index.stat().st_mtime < os.stat(path).st_mtime:
                log.warning("The index %s is older than %s; make it anew if the file has changed since.", index, path)
            return str(index)
    return None


def region_start(index: str, contig: str, contigs: list[str] | None, start: int, end: int | None) -> int | None:
    """Return the virtual offset from which a sequential read meets every record that starts in a region.

    Parameters
    ----------
    index : str
        A .tbi or .csi file, or its address.
    contig : str
        Contig of the region.
    contigs : list of str or None
        Contigs by number, for the index of a BCF, which has no names in it.
    start, end : int
        1-based, both included; end None means to the end of the contig.

    Returns
    -------
    int or None
        None if the index knows of no record there.

    Raises
    ------
    DataError
        If the index cannot be read.
    """
    try:
        data = remote.contents(index) if remote.is_address(index) else Path(index).read_bytes()
        return _first_chunk(gzip.decompress(data), contig, contigs, start, end)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise DataError(
            f"The index {index} cannot be read ({error}); make it anew with `tabix -f -p vcf` (VCF) or "
            "`bcftools index -f` (VCF, BCF)."
        ) from None


def _first_chunk(data: bytes, contig: str, contigs: list[str] | None, start: int, end: int | None) -> int | None:
    # SAM specification, "The BAI/Tabix index format" and CSIv1: bins of a binning scheme, each with chunks of the file.
    magic = data[:4]
    if magic == b"TBI\1":
        shift, depth, csi = 14, 5, False
        references, *_, size = struct.unpack_from("<8i", data, 4)
        names, at = data[36 : 36 + size], 36 + size
    elif magic == b"CSI\1":
        shift, depth, size = struct.unpack_from("<3i", data, 4)
        names, csi = (data[16 + 28 : 16 + size], True) if size >= 28 else (b"", True)
        (references,) = struct.unpack_from("<i", data, 16 + size)
        at = 20 + size
    else:
        raise ValueError("it is neither TBI nor CSI")
    known = names.rstrip(b"\0").decode().split("\0") if names.strip(b"\0") else (contigs or [])
    if contig not in known:
        return None
    first, last = start - 1, (1 << (shift + 3 * depth)) if end is None else end
    wanted = known.index(contig)
    for reference in range(references):
        (n_bins,) = struct.unpack_from("<i", data, at)
        at += 4
        bins: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        for _ in range(n_bins):
            number, lowest = struct.unpack_from("<IQ", data, at) if csi else (*struct.unpack_from("<I", data, at), 0)
            at += 12 if csi else 4
            (n_chunks,) = struct.unpack_from("<i", data, at)
            flat = struct.unpack_from(f"<{2 * n_chunks}Q", data, at + 4)
            at += 4 + 16 * n_chunks
            if reference == wanted:
                bins[number] = (lowest, list(zip(flat[::2], flat[1::2], strict=True)))
        linear: tuple[int, ...] = ()
        if not csi:
            (n_windows,) = struct.unpack_from("<i", data, at)
            linear = struct.unpack_from(f"<{n_windows}Q", data, at + 4)
            at += 4 + 8 * n_windows
        if reference == wanted:
            return _lowest(bins, linear, first, last, shift, depth)
    return None


def _lowest(
    bins: dict[int, tuple[int, list[tuple[int, int]]]],
    linear: tuple[int, ...],
    first: int,
    last: int,
    shift: int,
    depth: int,
) -> int | None:
    floor = linear[first >> shift] if linear and first >> shift < len(linear) else 0
    offset, chunks, width = 0, [], shift + 3 * depth
    for level in range(depth + 1):
        low, high = offset + (first >> width), offset + ((last - 1) >> width)
        if low in bins:
            # CSI keeps the lowest offset of overlapping records in each bin: the deepest bin present bounds best.
            floor = max(floor, bins[low][0])
        chunks += [chunk for number, (_, held) in bins.items() if low <= number <= high for chunk in held]
        offset, width = offset + (1 << (3 * level)), width - 3
    ends = [max(begin, floor) for begin, end in chunks if end > floor]
    return min(ends) if ends else None
