"""Plain, gzip and bgzip files as streams of bytes, and bgzip files that are written.

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
import zlib
from collections.abc import Iterator
from typing import Any, NoReturn

import pysam

from ..errors import DataError, MissingFile
from ..runtime.files import open_regular
from . import remote
from .remote import named

EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BUFFER = 1 << 16
_PIECE = 1 << 20  # bytes deflated at a time
_MOST_TAIL = 1 << 18  # bytes behind the last record: its block, and empty ones
MAX_LINE = 1 << 25  # bytes of a line, what there is for each sample aside
SAMPLE_BYTES = 256  # of a record, for each sample: what its line may have more

pysam.set_verbosity(0)  # htslib would write to standard error


class _Inflated(io.RawIOBase):
    """The inflated bytes of a file on the disk."""

    def __init__(self, path: str):
        self._file: Any = pysam.BGZFile(path, None, None)
        self._path = path

    def readable(self) -> bool:
        """Return True."""
        return True

    def go(self, virtual_offset: int) -> None:
        """Go to a place in a bgzip file."""
        with self._damage_refused():
            self._file.seek(virtual_offset)

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or the first part of it."""
        with self._damage_refused():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file; only now pysam reports some kinds of damage."""
        if not self.closed:
            super().close()
            with self._damage_refused():
                self._file.close()

    @contextlib.contextmanager
    def _damage_refused(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            raise DataError(f"{named(self._path)} is truncated or damaged; fetch it again.") from None


@contextlib.contextmanager
def opened(path: str, virtual_offset: int = 0) -> Iterator[io.BufferedReader]:
    """Open a plain, gzip or bgzip file, its address, or "-" for standard input, as a stream of inflated bytes.

    A virtual offset says where to start in a bgzip file: compressed offset << 16 | offset in the inflated block, as
    indexes have it. A DataError says that there is no such file, or, also while the stream is read, that it is damaged.
    """
    if remote.is_address(path):
        with _opened_on_server(path, virtual_offset) as stream:
            yield stream
        return
    _check_readable(path)
    inflated: Any = _Inflated(path)
    with io.BufferedReader(inflated, _BUFFER) as stream:
        if virtual_offset:
            try:
                inflated.go(virtual_offset)
                at_block = bool(stream.peek(1))
            except DataError:
                at_block = False
            if not at_block:
                with contextlib.suppress(DataError):
                    inflated.close()
                _refuse_index(path)
        yield stream


@contextlib.contextmanager
def _opened_on_server(url: str, virtual_offset: int) -> Iterator[io.BufferedReader]:
    file: Any = remote.RemoteFile(url, virtual_offset >> 16)
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


def lines_of(stream: io.BufferedIOBase, path: str, most: int = MAX_LINE) -> Iterator[bytes]:
    """Yield the lines of a stream, none of which may be longer than `most`: a few bytes inflate to gigabytes."""
    while line := stream.readline(most + 1):
        if len(line) > most:
            raise DataError(f"{named(path)} has a line of more than {most} bytes: it is damaged, or was made to harm.")
        yield line


def _is_bgzip(head: bytes) -> bool:
    return head[:4] == EOF_BLOCK[:4] and head[12:14] == b"BC"


def check_indexable(path: str) -> None:
    """Raise a DataError if a file on the disk is not bgzip, so that the index beside it is that of another one."""
    if remote.is_address(path):
        return
    with open_regular(path) as file:
        head = file.read(18)
    if not _is_bgzip(head):
        form = "compressed with gzip, not bgzip" if head[:2] == EOF_BLOCK[:2] else "not compressed"
        new = f"{path.removesuffix('.gz').removesuffix('.vcf')}.bgzip.vcf.gz"
        raise DataError(
            f"{path} is {form}, so that no index can belong to it; `bcftools view -Oz -o {new} {path} && tabix -p vcf "
            f"{new}` makes a file and its index, or move the index away to read {path} from the start."
        )


def ends_at(path: str, virtual_offset: int) -> bool:
    """True if the content of a bgzip file ends at a place; of a server that sends whole files it is not asked."""
    begin, inside = virtual_offset >> 16, virtual_offset & 0xFFFF
    if remote.is_address(path):
        facts = remote.about(path)
        if facts.size is None or not facts.ranges:
            return True
        of_server: Any = remote.RemoteFile(path, begin)
        with io.BufferedReader(of_server) as stream:
            tail, size = stream.read(_MOST_TAIL), facts.size
    else:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(min(begin, size))
            tail = file.read(_MOST_TAIL)
    at = 0
    while begin + at < size and _is_bgzip(tail[at : at + 18]):
        length = 1 + int.from_bytes(tail[at + 16 : at + 18], "little")
        if int.from_bytes(tail[at + length - 4 : at + length], "little") != inside:
            return False
        at, inside = at + length, 0
    return begin + at == size and inside == 0


def _refuse_index(path: str) -> NoReturn:
    raise DataError(
        f"The index beside {named(path)} is that of another file: no compressed block begins where it says; delete it, "
        "or make it anew with `bcftools index -f` (VCF, BCF) or `tabix -f -p vcf` (VCF)."
    )


def _check_readable(path: str) -> None:
    """Raise a DataError if a file cannot be opened, or is a bgzip file without its last block."""
    if path == "-":
        try:
            os.read(0, 0)  # pysam crashes where it is closed
        except OSError as error:
            raise DataError(f"Standard input cannot be read: {error.strerror}.") from None
        return
    try:
        with open_regular(path, pipes=True) as file:
            if not file.seekable():
                return
            head = file.read(18)
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(EOF_BLOCK)))
            end = file.read()
    except FileNotFoundError:
        raise MissingFile(f"There is no file {path}.") from None
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
