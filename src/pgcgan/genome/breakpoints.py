"""Breakpoints: where a contig is cut into windows, at low linkage disequilibrium across the cut."""

from __future__ import annotations

import numpy as np

from ..numerics import fill_missing, standardise

SEARCHED = 0.1  # of a window, on either side of the breakpoint of windows of equal size
BESIDE = 50  # sites on either side of a breakpoint between which linkage is measured
_ROWS = 2000


def even_breakpoints(sites: int, wanted: int) -> list[int]:
    """Return the first sites of all windows of a contig but its first, for windows of equal size near `wanted`."""
    count = max(1, round(sites / wanted))
    return [sites * i // count for i in range(1, count)]


def linkage_across(rows: np.ndarray, beside: int) -> np.ndarray:
    """Return the mean r² between the `beside` sites before and after each possible breakpoint.

    Parameters
    ----------
    rows : array of int8, shape (rows, sites)
        Alleles or dosages; -1 is missing.
    beside : int

    Returns
    -------
    array of float, shape (sites + 1,)
        Entry c is for a breakpoint before site c; inf where there are not enough sites on both sides. r² is the square
        of Pearson's r, missing states at their site's mean; 0 where a site does not vary.
    """
    states, sites = standardise(fill_missing(rows)), rows.shape[1]
    linkage = np.full(sites + 1, np.inf)
    squared = (states.T @ states).astype(np.float64) ** 2
    # sums over rectangles by those from the corner
    corner = np.zeros((sites + 1, sites + 1))
    corner[1:, 1:] = squared.cumsum(axis=0).cumsum(axis=1)
    at = np.arange(beside, sites - beside + 1)
    total = corner[at, at + beside] - corner[at - beside, at + beside] - corner[at, at] + corner[at - beside, at]
    linkage[at] = total / beside**2
    return linkage


def thinned_rows(calls: np.ndarray, phased: bool) -> np.ndarray:
    """Return some rows of calls (variants, samples, ploidy), evenly spread: haplotypes, or dosages without phase."""
    if phased or calls.shape[2] == 1:
        rows = calls.reshape(len(calls), -1).T
    else:
        rows = np.where((calls < 0).any(axis=2), -1, calls.sum(axis=2, dtype=np.int8)).T
    return rows[:: -(-len(rows) // _ROWS)]
