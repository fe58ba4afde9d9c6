"""Genetic maps: Morgans between sites, from the tables of HapMap, SHAPEIT, IMPUTE2 and PLINK."""

from __future__ import annotations

import gzip
import os

import numpy as np

from ...errors import DataError, listed
from ...genotypes import Variants

_POSITION = ("pos", "position", "position(bp)", "bp")
_CENTIMORGAN = ("cm", "map(cm)", "genetic_map(cm)")
_CONTIG = ("chr", "chrom", "#chr", "#chrom", "chromosome", "contig")


def map_distance(path: str | os.PathLike[str], sites: Variants, rate: float) -> np.ndarray:
    """Return the Morgans between neighbouring sites, shape (variants - 1,), from a genetic map."""
    contigs, positions, centimorgans = _read_map(path)
    distance = np.abs(np.diff(sites.position)) * rate
    for contig in dict.fromkeys(sites.contig):
        own = np.ones(len(positions), bool) if contigs is None else contigs == contig.removeprefix("chr")
        if not own.any():
            raise DataError(
                f"{path} has no line for contig {contig!r}; contigs there: {listed(dict.fromkeys(contigs or ()))}."
            )
        order = np.argsort(positions[own], kind="stable")
        at, cm = positions[own][order], centimorgans[own][order]
        here = np.flatnonzero(sites.contig == contig)
        position = sites.position[here]
        # beyond its ends the map goes on at the plain rate
        outside = (position - np.clip(position, at[0], at[-1])) * rate
        morgans = np.interp(position, at, cm) / 100 + outside
        distance[here[:-1]] = np.maximum(np.diff(morgans), 0)
    return distance


def _read_map(path: str | os.PathLike[str]) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt") if zipped else open(path, encoding="utf-8") as stream:
            lines = [line.replace(",", " ").split() for line in stream if line.strip()]
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, EOFError):
        raise DataError(f"{path} cannot be read as a genetic map (text or gzip).") from None
    header = [name.lower() for name in lines[0]] if lines else []
    columns = [
        next((header.index(n) for n in names if n in header), None) for names in (_POSITION, _CENTIMORGAN, _CONTIG)
    ]
    at, cm, contig = columns
    if at is None and cm is None and len(header) == 4 and header[3].isdigit():
        at, cm, contig = 3, 2, 0  # PLINK .map: contig, id, centimorgans, position
    elif at is None or cm is None:
        raise DataError(
            f"{path} is not a genetic map: its header needs a position (one of {', '.join(_POSITION)}) and "
            f"centimorgans (one of {', '.join(_CENTIMORGAN)}), and it has {listed(lines[0]) if lines else 'no line'}."
        )
    else:
        lines = lines[1:]
    try:
        positions = np.array([int(row[at]) for row in lines], dtype=np.int64)
        centimorgans = np.array([float(row[cm]) for row in lines])
        names = None if contig is None else np.array([row[contig].removeprefix("chr") for row in lines], dtype=object)
    except (ValueError, IndexError):
        bad = next(i for i, row in enumerate(lines, start=1) if not _is_map_row(row, at, cm))
        raise DataError(
            f"{path}: line {bad} behind the header has no position and centimorgans: {' '.join(lines[bad - 1])!r}."
        ) from None
    if not len(positions):
        raise DataError(f"{path} has a header but no positions.")
    return names, positions, centimorgans


def _is_map_row(row: list[str], at: int, cm: int) -> bool:
    try:
        int(row[at])
        float(row[cm])
    except (ValueError, IndexError):
        return False
    return True
