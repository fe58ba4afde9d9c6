"""What a saved baseline holds, read with its kinds, shapes and bounds checked, and the rows of labels as bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def expect(
    arrays: Mapping[str, np.ndarray], name: str, kinds: str, *shape: int, least: float = -np.inf, most: float = np.inf
) -> np.ndarray:
    """Return an array of these kinds and of this shape whose values lie between bounds; raise ValueError if not."""
    array = arrays[name]
    if array.dtype.kind not in kinds or array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape} of {array.dtype}; {shape} is needed")
    if not bool(((array >= least) & (array <= most)).all()):  # NaN is in no bounds
        raise ValueError(f"{name} has values beyond {least:g} to {most:g}")
    return array


def group_arrays(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the rows of all labels as arrays to save: two planes of packed bits, their shape, and rows per label."""
    # values 0, 1 and 2 take two bits at most; packed by bit plane they compress well and read back without a pickle
    together = np.concatenate(list(rows.values()))
    return {
        "rows_low": np.packbits(together & 1, axis=1),
        "rows_high": np.packbits(together >> 1, axis=1),
        "rows_shape": np.array(together.shape),
        "rows_count": np.array([len(r) for r in rows.values()]),
    }


def groups_of(
    arrays: Mapping[str, np.ndarray], labels: Mapping[str, int], sites: int, most: int
) -> dict[str, np.ndarray]:
    """Return the rows of each label that `group_arrays` gave; raise ValueError if a value is above `most`."""
    count = expect(arrays, "rows_count", "iu", len(labels), least=1)
    rows = sum(count.tolist())
    if arrays["rows_shape"].tolist() != [rows, sites]:
        raise ValueError(f"rows_shape is {arrays['rows_shape'].tolist()}; {[rows, sites]} is needed")
    planes = (expect(arrays, name, "u", rows, -(-sites // 8)) for name in ("rows_low", "rows_high"))
    low, high = (np.unpackbits(plane, axis=1, count=sites) for plane in planes)
    together = (low + 2 * high).astype(np.int8)
    if together.max() > most:
        raise ValueError(f"the rows have values above {most}")
    return dict(zip(labels, np.split(together, np.cumsum(count)[:-1]), strict=True))
