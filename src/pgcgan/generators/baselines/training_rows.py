"""Rows without missing states, and the training rows that two of the baselines keep, as packed bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...arrays import pack, unpack
from ..rows import Rows
from ..store import Array

# two planes of bits: states 0, 1 and 2
ROWS_SCHEMA = {
    "rows_low": Array("uint8", ("rows", "bytes"), 0, 255),
    "rows_high": Array("uint8", ("rows", "bytes"), 0, 255),
    "rows_count": Array("int64", ("labels",), 1),
}


def filled_states(rows: Rows, random: np.random.Generator) -> np.ndarray:
    """Return states, each missing one drawn from the allele frequency of its site in its label: int8, (rows, sites)."""
    states, levels = np.array(rows.states), rows.n_states - 1
    missing = states < 0
    if not missing.any():
        return states
    overall = np.where(missing, 0, states).sum(axis=0) / (levels * np.maximum((~missing).sum(axis=0), 1))
    for label in range(len(rows.label_names)):
        index = rows.of_label(label)
        own, absent = states[index], missing[index]
        called = (~absent).sum(axis=0)
        frequency = np.where(called, np.where(absent, 0, own).sum(axis=0) / (levels * np.maximum(called, 1)), overall)
        states[index] = np.where(absent, random.binomial(levels, frequency, size=own.shape), own)
    return states


def packed_rows(rows: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the rows of all labels as arrays to save; `ROWS_SCHEMA` says what they are."""
    states = np.concatenate(rows)
    return {
        **dict(zip(("rows_low", "rows_high"), pack(states), strict=True)),
        "rows_count": np.array([len(part) for part in rows]),
    }


def unpacked_rows(arrays: Mapping[str, np.ndarray], sites: int, levels: int) -> list[np.ndarray]:
    """Return the rows of each label that `packed_rows` gave; raise ValueError if they do not fit."""
    count, width = arrays["rows_count"], arrays["rows_low"].shape[1]
    if count.sum() != len(arrays["rows_low"]) or width != -(-sites // 8):
        raise ValueError(
            f"rows_low has the shape {arrays['rows_low'].shape}; {(int(count.sum()), -(-sites // 8))} fits"
        )
    states = unpack([arrays["rows_low"], arrays["rows_high"]], sites)
    if states.min() < 0 or states.max() > levels:
        raise ValueError(f"the training rows have states beyond 0 to {levels}")
    return np.split(states, np.cumsum(count)[:-1])
