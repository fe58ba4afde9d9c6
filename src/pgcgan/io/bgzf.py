"""Plain, gzip and bgzip files as streams of bytes, bgzip files that are written, and the index beside a file.

Files on the disk are inflated and deflated by pysam. It crashes where a file cannot be opened, and reports damage only
when a file is closed, without a reason; so files are opened here first, and errors get their reason here. Bytes from a
server come by `remote` (htslib would follow a redirection to any scheme, and take a whole file for the part it asked
for) and are inflated by the standard library.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pysam

from ..errors import DataError
from . import remote
from .records import log
from .remote import named

EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BUFFER = 1 << 16
_PIECE = 1 << 20  # bytes deflated at a time

pysam.set_verbosity(0)  # htslib would write to standard error


class _Inflated(io.RawIOBase):
    """The inflated bytes of a file, as Python's buffers want to read them."""

    def __init__(self, file: Any):
        self._file = file

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or the first part of it."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextlib.contextmanager
def opened(path: str, virtual_offset: int = 0) -> Iterator[io.BufferedReader]:
    """Open a file as a stream of inflated bytes.

    Parameters
    ----------
    path : str
        A plain, gzip or bgzip file, its http or https address, or "-" for standard input.
    virtual_offset : int
        Where to start in a bgzip file: compressed offset << 16 | offset in the inflated block, as indexes have it.

    Raises
    ------
    DataError
        If there is no such file, or it turns out to be truncated or damaged, also later while the stream is read.
    """
    if remote.is_address(path):
        with _opened_on_server(path, virtual_offset) as stream:
            yield stream
        return
    _check_readable(path)
    inflated: Any = pysam.BGZFile(path)
    stream = io.BufferedReader(_Inflated(inflated), _BUFFER)
    at_block = True
    try:
        if virtual_offset:
            with contextlib.suppress(OSError):
                inflated.seek(virtual_offset)
            at_block = bool(stream.peek(1))
        if at_block:
            yield stream
    finally:
        try:
            inflated.close()
        except OSError:
            if at_block:
                raise DataError(f"{named(path)} is truncated or damaged; fetch it again.") from None
    if not at_block:
        _refuse_index(path)


@contextlib.contextmanager
def _opened_on_server(url: str, virtual_offset: int) -> Iterator[io.BufferedReader]:
    file = remote.RemoteFile(url, virtual_offset >> 16)
    with io.BufferedReader(file, _BUFFER) as raw:
        head = raw.peek(18)[:18]
        if virtual_offset and not _is_bgzip(head):
            _refuse_index(url)
        end = file.last(len(EOF_BLOCK)) if _is_bgzip(head) and not virtual_offset else None
        if end is not None:
            _check_end(head, end, url)
        if head[:2] != EOF_BLOCK[:2]:
            yield raw
            return
        inflated: Any = gzip.GzipFile(fileobj=raw, mode="rb")
        try:
            with io.BufferedReader(inflated, _BUFFER) as stream:
                inside = virtual_offset & 0xFFFF
                if len(stream.read(inside)) < inside:
                    _refuse_index(url)
                yield stream
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise DataError(f"{named(url)} is truncated or damaged; fetch it again.") from None


def _is_bgzip(head: bytes) -> bool:
    return head[:4] == EOF_BLOCK[:4] and head[12:14] == b"BC"


def _refuse_index(path: str) -> NoReturn:
    raise DataError(
        f"The index beside {named(path)} is that of another file: no compressed block begins where it says; make it "
        "anew with `tabix -f -p vcf` (VCF) or `bcftools index -f` (VCF, BCF)."
    )


def _check_readable(path: str) -> None:
    """Raise a DataError if a file cannot be opened, or is a bgzip file without its last block."""
    if path == "-":
        return
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return
            head = file.read(18)
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(EOF_BLOCK)))
            end = file.read()
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.") from None
    _check_end(head, end, path)


def _check_end(head: bytes, end: bytes, path: str) -> None:
    """Raise a DataError if a file begins as a bgzip file does, but does not end as one."""
    if _is_bgzip(head) and end != EOF_BLOCK:
        raise DataError(
            f"{named(path)} is truncated: the bgzip end-of-file block is missing; fetch it again, or, if all records "
            f"are there, rewrite it with `bcftools view -Oz -o complete.vcf.gz {named(path)}`."
        )


def write_bgzip(path: str, parts: Iterator[bytes | memoryview], level: int) -> None:
    """Write a bgzip file of some bytes; a memoryview among them may be overwritten when the next part is asked for."""
    open(path, "wb").close()
    mode: Any = f"wb{level}"
    try:
        with pysam.BGZFile(path, mode, None) as file:
            piece = bytearray()
            for part in parts:
                piece += part
                if len(piece) >= _PIECE:
                    file.write(bytes(piece))
                    piece.clear()
            file.write(bytes(piece))
    except OSError:
        with open(path, "ab") as full:  # which says why
            full.write(bytes(_BUFFER))
        raise


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
            f"{named(path)} has no index on the server (.tbi or .csi at the end of its name), by which a region is "
            "found; download the file, or read it whole, without a region."
        )
    for suffix in (".csi", ".tbi"):
        index = Path(path + suffix)
        if path != "-" and index.is_file():
            if index.stat().st_mtime < os.stat(path).st_mtime:
                log.warning("The index %s is older than %s; make it anew if the file has changed since.", index, path)
            return str(index)
    return None


def region_start(index: str, contig: str, start: int, end: int | None) -> int | None:
    """Return the virtual offset from which a sequential read meets every record that starts in a region.

    Parameters
    ----------
    index : str
        A .tbi or .csi file of a VCF, or its address.
    contig : str
        Contig of the region.
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
    # pysam goes to the first block of a region before it reads: of an empty file, it goes there and finds nothing
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty.vcf.gz")
        empty.write_bytes(EOF_BLOCK)
        copy = index
        if remote.is_address(index):
            copy = f"{empty}{Path(index.partition('?')[0]).suffix}"
            Path(copy).write_bytes(remote.contents(index))
        try:
            with pysam.TabixFile(str(empty), index=copy) as table:
                if contig not in table.contigs:
                    return None
                with contextlib.suppress(StopIteration):
                    next(table.fetch(contig, start - 1, end))
                return table.tell() or None
        except (OSError, ValueError, UnicodeDecodeError) as error:
            raise DataError(
                f"The index {named(index)} cannot be read ({error}); make it anew with `tabix -f -p vcf` (VCF) or "
                "`bcftools index -f` (VCF, BCF)."
            ) from None
