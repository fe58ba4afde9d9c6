"""The tables beside genotypes (.bim, .fam, .pvar, .psam, .legend, .samples, panels), read line by line.

An error names the file and the line.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NoReturn

from ..errors import DataError, MissingExtra
from ..regions import MAX_POSITION
from ..runtime.files import open_regular
from ..text import whole_number
from .bgzf import lines_of, opened
from .remote import contents, is_address, named

_MOST_INFLATED = 100  # bytes in memory for each byte of a file; real tables take fewer than 50
_ZST_WINDOW = 1 << 27  # bytes: what `zstd` itself accepts without a further option
_ZST_PIECE = 1 << 9  # compressed bytes inflated at a time: they make 16 megabytes at most
_FREE = 1 << 24  # bytes in memory from which on that is looked at
_LINE = 100  # bytes that a line takes in memory besides its characters
_OTHER_BLANKS = re.compile(r"[^\S \t]")

Row = tuple[int, list[str]]  # the number of a line, from 1, and its fields


def refuse(path: str, number: int, reason: str) -> NoReturn:
    """Raise a DataError that names the file and the line."""
    raise DataError(f"{named(path)}, line {number}: {reason}")


def numbered_lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file (plain, gzip, .zst, on the disk or on a server) with their numbers from 1."""
    most = _MOST_INFLATED * os.stat(path).st_size if os.path.isfile(path) else None
    inflated = 0
    with contextlib.ExitStack() as stack:
        if path.endswith(".zst") and not is_address(path):
            lines = _zst_lines(path)
        else:
            stream = io.BytesIO(contents(path)) if is_address(path) else stack.enter_context(opened(path))
            lines = lines_of(stream, path)
        for number, line in enumerate(lines, start=1):
            inflated += len(line) + _LINE
            if most is not None and inflated > max(most, _FREE):
                refuse(path, number, f"the file inflates to more than {_MOST_INFLATED} times its size: it is no table.")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                refuse(path, number, f"the byte {error.object[error.start]:#04x} is not UTF-8 text.")
            yield number, text.rstrip("\r\n")


def split_at_blanks(line: str) -> list[str]:
    """Return what stands between blanks and tabs; other characters that Unicode counts as blanks are part of names."""
    return re.findall(r"[^ \t]+", line) if _OTHER_BLANKS.search(line) else line.split()


def rows(path: str, columns: str | None = None, *, comment: str | None = None) -> Iterator[Row]:
    """Yield the number and the fields of each line that is not blank, nor begins with `comment`.

    Each line has at least the columns named ("a, b, c"); without names, exactly as many as the first line.
    """
    width = None if columns is None else columns.count(",") + 1
    for number, line in numbered_lines(path):
        fields = split_at_blanks(line)
        if not fields or (comment is not None and line.startswith(comment)):
            continue
        if width is None:
            width = len(fields)
        if columns is not None and len(fields) < width:
            refuse(path, number, f"it has {len(fields)} of the {width} columns: {columns}.")
        if columns is None and len(fields) != width:
            refuse(path, number, f"it has {len(fields)} columns instead of {width}.")
        yield number, fields


def position(path: str, number: int, text: str) -> int:
    """Return the position in a column; raise a DataError if it is none."""
    place = whole_number(text, MAX_POSITION)
    if place is None:
        refuse(path, number, f"the position {text!r} is not a whole number from 0 to {MAX_POSITION}.")
    return place


def sample_names(path: str, table: Iterable[Row], column: int, advice: str = "") -> list[str]:
    """Return the names in a column; raise a DataError if there is none, or one occurs twice."""
    lines: dict[str, int] = {}
    for number, fields in table:
        name = fields[column]
        if name in lines:
            refuse(path, number, f"the sample {name} is on line {lines[name]} too{advice}.")
        lines[name] = number
    if not lines:
        raise DataError(f"{path} has no samples.")
    return list(lines)


def write_rows(path: str, rows: Iterable[Iterable[Any]], head: Iterable[str] = ()) -> None:
    """Write lines, and below them rows of fields with tabs between them."""
    with open(path, "w", encoding="utf-8", newline="\n") as table:
        table.writelines(f"{line}\n" for line in head)
        table.writelines("\t".join(map(str, row)) + "\n" for row in rows)


class _Zst(io.RawIOBase):
    """The inflated bytes of a .zst file, of which few are in memory at a time."""

    file: BinaryIO

    def __init__(self, decompressor: Any):
        self._decompressor = decompressor
        self._frame: Any = None
        self._left, self._ready = b"", memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the first part of the buffer; raises EOFError where the file ends within a frame."""
        while not self._ready:
            data = self._left or self.file.read(_ZST_PIECE)
            if not data:
                if self._frame is not None:
                    raise EOFError
                return 0
            self._frame = self._frame or self._decompressor.decompressobj()
            self._ready = memoryview(self._frame.decompress(data))
            self._left = self._frame.unused_data if self._frame.eof else b""
            self._frame = None if self._frame.eof else self._frame
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


def _zst_lines(path: str) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise MissingExtra("zstandard", "plink", "Reading .zst files") from None
    inflating: Any = _Zst(zstandard.ZstdDecompressor(max_window_size=_ZST_WINDOW))
    try:
        with open_regular(path) as inflating.file, io.BufferedReader(inflating) as stream:
            yield from lines_of(stream, path)
    except zstandard.ZstdError as error:
        raise DataError(f"{path} is damaged: {error}; fetch it again.") from None
    except EOFError:
        raise DataError(f"{path} is truncated: the compressed data stop in the middle; fetch it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.") from None
