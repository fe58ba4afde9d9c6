"""The tables beside genotypes (.bim, .fam, .pvar, .psam, .legend, .samples, panels), read line by line.

An error names the file and the line.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import NoReturn

from ..errors import DataError, MissingExtra
from .bgzf import opened
from .records import MAX_POSITION, position_of
from .remote import contents, is_address, named

_OTHER_BLANKS = re.compile(r"[^\S \t]")

Row = tuple[int, list[str]]  # the number of a line, from 1, and its fields


def refuse(path: str, number: int, reason: str) -> NoReturn:
    """Raise a DataError that names the file and the line."""
    raise DataError(f"{named(path)}, line {number}: {reason}")


def numbered_lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file (plain, gzip, .zst, on the disk or on a server) with their numbers from 1.

    Raises
    ------
    DataError
        If the file is absent, damaged or not UTF-8 text.
    MissingExtra
        If zstandard is not installed and needed.
    """
    if is_address(path):
        yield from _decoded(path, io.BytesIO(contents(path)))
    elif path.endswith(".zst"):
        yield from _decoded(path, _zst_lines(path))
    else:
        with opened(path) as stream:
            yield from _decoded(path, stream)


def _decoded(path: str, lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            refuse(path, number, f"the byte {error.object[error.start]:#04x} is not UTF-8 text.")
        yield number, text.rstrip("\r\n")


def split_at_blanks(line: str) -> list[str]:
    """Return what stands between blanks and tabs; other characters that Unicode counts as blanks are part of names."""
    return re.findall(r"[^ \t]+", line) if _OTHER_BLANKS.search(line) else line.split()


def rows(path: str, columns: str | None = None, *, comment: str | None = None) -> Iterator[Row]:
    """Yield the number and the fields of each line that is not blank; fields are separated by blanks.

    Parameters
    ----------
    path : str
        The table.
    columns : str, optional
        Names of the columns that each line has at least, for messages. Without it the first line says how many
        each line has exactly.
    comment : str, optional
        Lines that begin so are left out.

    Raises
    ------
    DataError
        If the file cannot be read, or a line has too few or too many columns.
    """
    names = None if columns is None else columns.split(", ")
    width = None if names is None else len(names)
    for number, line in numbered_lines(path):
        fields = split_at_blanks(line)
        if not fields or (comment is not None and line.startswith(comment)):
            continue
        if width is None:
            width = len(fields)
        if names is not None and len(fields) < width:
            refuse(path, number, f"it has {len(fields)} of the {width} columns: {', '.join(names)}.")
        if names is None and len(fields) != width:
            refuse(path, number, f"it has {len(fields)} columns instead of {width}.")
        yield number, fields


def position(path: str, number: int, text: str) -> int:
    """Return the position in a column; raise a DataError if it is none."""
    place = position_of(text)
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


def _zst_lines(path: str) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise MissingExtra("zstandard", "plink", "Reading .zst files") from None
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    inside = False
    rest = b""
    try:
        with open(path, "rb") as stream:
            while data := stream.read(1 << 20):
                while data:
                    rest += frame.decompress(data)
                    inside = not frame.eof
                    data = frame.unused_data if frame.eof else b""
                    if frame.eof:
                        frame = decompressor.decompressobj()
                *whole, rest = rest.split(b"\n")
                yield from whole
    except zstandard.ZstdError as error:
        raise DataError(f"{path} is damaged: {error}; fetch it again.") from None
    if inside:
        raise DataError(f"{path} is truncated: the compressed data stop in the middle; fetch it again.")
    if rest:
        yield rest
