"""Genetic maps: Morgans between sites, from the tables of HapMap, SHAPEIT, IMPUTE2 and PLINK."""

from __future__ import annotations

import math
import os

import numpy as np

from ..errors import DataError, listed
from ..genotypes import Variants
from ..io.table import numbered_lines
from ..regions import plain_contig
from ..text import whole_number

_POSITION = ("pos", "position", "position(bp)", "bp")
_CENTIMORGAN = ("cm", "map(cm)", "genetic_map(cm)")
_CONTIG = ("chr", "chrom", "#chr", "#chrom", "chromosome", "contig")
_MOST = 10**18 - 1  # of a position


def morgans_of(path: str | os.PathLike[str] | None, sites: Variants, rate: float) -> np.ndarray:
    """Return the Morgans of sites along their contigs, shape (variants,), from a genetic map.

    Parameters
    ----------
    path : path or None
        The map; None: `rate` everywhere.
    sites : Variants
    rate : float
        Morgans per base pair, also beyond the ends of the map.

    Raises
    ------
    DataError
        If the file is not a genetic map, lacks a contig of the sites, or is of one contig and the sites of several.
    """
    morgans = sites.position * rate
    if path is None:
        return morgans
    named, positions, centimorgans = _read(path)
    contigs = list(dict.fromkeys(sites.contig))
    if named is None and len(contigs) > 1:
        raise DataError(
            f"{os.fspath(path)} names no contig, and the data have sites on {listed(contigs)}; give a map with a "
            f"column {_CONTIG[0]}."
        )
    for contig in contigs:
        own = np.ones(len(positions), dtype=bool) if named is None else named == plain_contig(contig)
        if named is not None and not own.any():
            raise DataError(
                f"{os.fspath(path)} has no line for contig {contig!r}, on which the data have sites; contigs of the "
                f"map: {listed(dict.fromkeys(named))}."
            )
        order = np.lexsort((centimorgans[own], positions[own]))
        at, cm = positions[own][order], centimorgans[own][order]
        falls = np.flatnonzero(np.diff(cm) < 0)
        if len(falls):
            i = int(falls[0])
            raise DataError(
                f"{os.fspath(path)}: on contig {contig} the centimorgans fall from {cm[i]:g} at {at[i]} to "
                f"{cm[i + 1]:g} at {at[i + 1]}; a genetic map never decreases."
            )
        here = np.flatnonzero(sites.contig == contig)
        position = sites.position[here]
        # beyond its ends the map goes on at the plain rate
        outside = (position - np.clip(position, at[0], at[-1])) * rate
        morgans[here] = np.interp(position, at, cm) / 100 + outside
    return morgans


def _read(path: str | os.PathLike[str]) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Return contigs, positions (int64) and centimorgans of the lines of a map; no contigs where it names none."""
    lines = [(n, line.replace(",", " ").split()) for n, line in numbered_lines(os.fspath(path)) if line.strip()]
    header = [name.lower() for name in lines[0][1]] if lines else []
    at, cm, contig = (
        next((header.index(n) for n in names if n in header), None) for names in (_POSITION, _CENTIMORGAN, _CONTIG)
    )
    if at is None and cm is None and len(header) == 4 and header[3].isdigit():
        at, cm, contig = 3, 2, 0  # PLINK .map: contig, id, centimorgans, position
    elif at is None or cm is None:
        raise DataError(
            f"{path} is not a genetic map: its header needs a position (one of {', '.join(_POSITION)}) and "
            f"centimorgans (one of {', '.join(_CENTIMORGAN)}), and it has "
            f"{listed(lines[0][1]) if lines else 'no line'}."
        )
    else:
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path} has a header but no positions.")
    positions, centimorgans, contigs = [], [], []
    for number, row in lines:
        try:
            place, distance = whole_number(row[at], _MOST), float(row[cm])
            contigs.append("" if contig is None else plain_contig(row[contig]))
        except (ValueError, IndexError):
            place, distance = None, math.nan
        if place is None or not math.isfinite(distance):
            raise DataError(
                f"{path}, line {number} has no position and no finite centimorgans: {' '.join(row)[:60]!r}."
            )
        positions.append(place)
        centimorgans.append(distance)
    names = None if contig is None else np.array(contigs, dtype=object)
    return names, np.array(positions, dtype=np.int64), np.array(centimorgans)
