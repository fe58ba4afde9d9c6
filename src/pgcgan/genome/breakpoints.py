"""Where a contig is cut into windows: where sites on both sides know least of each other."""

from __future__ import annotations

import numpy as np

SEARCHED = 0.1  # of a window, on either side of where the cut would be if all were of one size
BESIDE = 50  # sites on either side of a cut whose linkage is looked at
_ROWS = 2000


def even_cuts(sites: int, wanted: int) -> list[int]:
    """Return the first sites of all windows of a contig but its first, if they were of one size, near `wanted`."""
    count = max(1, round(sites / wanted))
    return [sites * i // count for i in range(1, count)]


def linkage_across(rows: np.ndarray, beside: int) -> np.ndarray:
    """Return the mean r² between the `beside` sites before and after each place where rows could be cut.

    Parameters
    ----------
    rows : array of int8, shape (rows, sites)
        Alleles or dosages; -1 is missing.
    beside : int

    Returns
    -------
    array of float, shape (sites + 1,)
        Entry c is of a cut before site c; inf where there are not enough sites on both sides. r² is the square of
        Pearson's r, missing states at their site's mean; 0 where a site does not vary.
    """
    known = rows >= 0
    states = rows.astype(np.float32)
    mean = np.where(known, states, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    states = np.where(known, states - mean, 0)
    length = np.sqrt((states**2).sum(axis=0))
    states /= np.where(length > 1e-6, length, np.inf)
    sites = rows.shape[1]
    found = np.full(sites + 1, np.inf)
    squared = (states.T @ states).astype(np.float64) ** 2
    # sums over rectangles by those from the corner
    corner = np.zeros((sites + 1, sites + 1))
    corner[1:, 1:] = squared.cumsum(axis=0).cumsum(axis=1)
    cut = np.arange(beside, sites - beside + 1)
    total = (
        corner[cut, cut + beside] - corner[cut - beside, cut + beside] - corner[cut, cut] + corner[cut - beside, cut]
    )
    found[cut] = total / beside**2
    return found


def thinned_rows(calls: np.ndarray, phased: bool) -> np.ndarray:
    """Return some rows of calls (variants, samples, ploidy), evenly spread: haplotypes, or dosages without phase."""
    if phased or calls.shape[2] == 1:
        rows = calls.reshape(len(calls), -1).T
    else:
        rows = np.where((calls < 0).any(axis=2), -1, calls.sum(axis=2, dtype=np.int8)).T
    return rows[:: -(-len(rows) // _ROWS)]
