"""Genetic maps: Morgans between sites, from the tables of HapMap, SHAPEIT, IMPUTE2 and PLINK."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, listed
from ..genotypes import Variants
from ..io.table import numbered_lines
from ..regions import plain_contig

_POSITION = ("pos", "position", "position(bp)", "bp")
_CENTIMORGAN = ("cm", "map(cm)", "genetic_map(cm)")
_CONTIG = ("chr", "chrom", "#chr", "#chrom", "chromosome", "contig")
_MOST_DIGITS = 18  # that fit into int64


@dataclass(frozen=True)
class GeneticMap:
    """Positions and centimorgans, sorted by position within each contig.

    Parameters
    ----------
    source : str
        The file, for messages.
    contigs : list of str or None
        That of each line; None where the map does not name it.
    positions : array of int64
    centimorgans : array of float64
    """

    source: str
    contigs: np.ndarray | None
    positions: np.ndarray
    centimorgans: np.ndarray

    def of_contig(self, contig: str) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and centimorgans of one contig."""
        own = np.ones(len(self.positions), dtype=bool) if self.contigs is None else self.contigs == plain_contig(contig)
        if not own.any():
            raise DataError(
                f"{self.source} has no line for contig {contig!r}, on which the data have sites; contigs of the map: "
                f"{listed(dict.fromkeys(() if self.contigs is None else self.contigs))}."
            )
        order = np.lexsort((self.centimorgans[own], self.positions[own]))
        at, cm = self.positions[own][order], self.centimorgans[own][order]
        falls = np.flatnonzero(np.diff(cm) < 0)
        if len(falls):
            i = int(falls[0])
            raise DataError(
                f"{self.source}: on contig {contig} the centimorgans fall from {cm[i]:g} at {at[i]} to {cm[i + 1]:g} "
                f"at {at[i + 1]}; a genetic map never decreases."
            )
        return at, cm


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
    genetic_map = read_map(path)
    contigs = list(dict.fromkeys(sites.contig))
    if genetic_map.contigs is None and len(contigs) > 1:
        raise DataError(
            f"{genetic_map.source} names no contig, and the data have sites on {listed(contigs)}; give a map with a "
            f"column {_CONTIG[0]}."
        )
    for contig in contigs:
        at, cm = genetic_map.of_contig(contig)
        here = np.flatnonzero(sites.contig == contig)
        position = sites.position[here]
        # beyond its ends the map goes on at the plain rate
        outside = (position - np.clip(position, at[0], at[-1])) * rate
        morgans[here] = np.interp(position, at, cm) / 100 + outside
    return morgans


def read_map(path: str | os.PathLike[str]) -> GeneticMap:
    """Read a genetic map.

    Raises
    ------
    DataError
        If the file cannot be read, or a line has no position and no finite centimorgans.
    """
    lines = _lines(path)
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
            place, distance = row[at], float(row[cm])
            contigs.append("" if contig is None else plain_contig(row[contig]))
        except (ValueError, IndexError):
            place, distance = "", math.nan
        if not re.fullmatch(rf"[0-9]{{1,{_MOST_DIGITS}}}", place) or not math.isfinite(distance):
            raise DataError(
                f"{path}, line {number} has no position and no finite centimorgans: {' '.join(row)[:60]!r}."
            )
        positions.append(int(place))
        centimorgans.append(distance)
    names = None if contig is None else np.array(contigs, dtype=object)
    return GeneticMap(os.fspath(path), names, np.array(positions, dtype=np.int64), np.array(centimorgans))


def _lines(path: str | os.PathLike[str]) -> list[tuple[int, list[str]]]:
    """Return the numbers and the fields of the lines that are not blank."""
    return [(n, line.replace(",", " ").split()) for n, line in numbered_lines(os.fspath(path)) if line.strip()]
