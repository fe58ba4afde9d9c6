"""Small numbers as packed bits: alleles (-1 missing, 0, 1) and counts of alleles (0, 1, 2) take one or two bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pack(values: np.ndarray, planes: int = 2) -> list[np.ndarray]:
    """Return the lowest bits of numbers from -1 to 2 as planes of packed bits, the lowest first.

    Parameters
    ----------
    values : array of int8, shape (rows, columns)
    planes : {1, 2}
        One is enough for 0 and 1. With two, -1 is 3.

    Returns
    -------
    list of array of uint8, shape (rows, ceil(columns / 8))
    """
    return [np.packbits((values >> k) & 1, axis=1) for k in range(planes)]


def unpack(planes: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Return the numbers that `pack` packed: int8, shape (rows, columns)."""
    low, *more = (np.unpackbits(plane, axis=1, count=columns).view(np.int8) for plane in planes)
    for high in more:
        low += 2 * high
        low[low == 3] = -1
    return low
