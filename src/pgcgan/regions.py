"""Genomic regions as text: `contig:start-end`."""

from __future__ import annotations

from .errors import DataError
from .text import whole_number

MAX_POSITION = (1 << 62) - 1  # sums of two fit into int64


def parse_region(region: str) -> tuple[str, int, int | None]:
    """Return contig, first and last position (1-based, inclusive; None = to the end) of a region string.

    Raises
    ------
    DataError
        If the region is not `contig`, `contig:start-end`, `contig:start-` or `contig:position`.
    """
    contig, colon, span = region.rpartition(":")
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
