"""Genomic regions as text, `contig:start-end`, and names of contigs."""

from __future__ import annotations

from collections.abc import Iterable

from .errors import DataError
from .text import whole_number

MAX_POSITION = (1 << 62) - 1  # sums of two fit into int64

_OTHER_NAMES = {"23": "X", "24": "Y", "25": "XY", "26": "MT", "M": "MT"}  # of PLINK and UCSC


def parse_region(region: str) -> tuple[str, int, int | None]:
    """Return contig, first and last position (1-based, inclusive; None = to the end) of a region string.

    Raises
    ------
    DataError
        If the region is not `contig`, `contig:start-end`, `contig:start-` or `contig:position`.
    """
    contig, colon, span = region.rpartition(":") if isinstance(region, str) else ("", ":", "")
    if not colon:
        return region, 1, None
    start, dash, end = span.replace(",", "").partition("-")
    first = whole_number(start, MAX_POSITION)
    last = whole_number(end, MAX_POSITION) if end else (None if dash else first)
    if not contig or not first or (end and last is None) or (last is not None and last < first):
        raise DataError(
            f"Region {region!r} cannot be read; accepted: contig, contig:start-end, contig:start- or contig:position "
            "(1-based, start at most end), for example 6:29602876-33268403."
        )
    return contig, first, last


def plain_contig(name: str) -> str:
    """Return the name of a contig without `chr`, and X, Y, XY and MT for the numbers that PLINK gives them."""
    plain = name[3:] if name[:3].lower() == "chr" else name
    return _OTHER_NAMES.get(plain, plain)


def named_otherwise(region: str, contigs: Iterable[str]) -> str:
    """Return the advice to name the contig of a region as the file does, or nothing if there is no such contig."""
    contig, colon, span = region.rpartition(":")
    asked = contig if colon else region
    names = [name for name in contigs if name != asked and plain_contig(name) == plain_contig(asked)]
    return f"; the contig is named {names[0]} there: --region {names[0]}{colon}{span if colon else ''}" if names else ""
