"""Training rows as codes of blocks, with their labels and people: what a code model is fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..rows import Rows
from .blocks import Blocks

ROWS_AT_A_TIME = 8192  # the predictions for a row take a hundred times the memory of its codes


@dataclass(frozen=True)
class CodeRows:
    """Rows of block codes.

    Parameters
    ----------
    codes : array of int64, shape (rows, blocks)
        -1 is unknown.
    label, person : arrays of int, shape (rows,)
        Label of each row, and the person it belongs to; the rows of a person follow one another.
    sizes : sequence of int
        Codes per block.
    n_labels : int
    """

    codes: np.ndarray
    label: np.ndarray
    person: np.ndarray
    sizes: Sequence[int]
    n_labels: int

    @classmethod
    def of(cls, rows: Rows, blocks: Blocks) -> CodeRows:
        """Return the codes of training rows in these blocks."""
        codes = blocks.encode(rows.states).astype(np.int64)
        return cls(codes, rows.row_label, rows.row_person, blocks.sizes, len(rows.label_names))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def rows_per_person(self) -> int:
        """How many rows each person has."""
        return len(self) // len(np.unique(self.person))

    def at(self, rows: np.ndarray | slice) -> CodeRows:
        """Return some of the rows."""
        return replace(self, codes=self.codes[rows], label=self.label[rows], person=self.person[rows])

    def evenly(self, most: int) -> CodeRows:
        """Return at most so many of the rows, evenly spread."""
        return self.at(np.linspace(0, len(self) - 1, max(1, min(len(self), most))).astype(int))

    def in_blocks(self, blocks: slice) -> CodeRows:
        """Return the rows in some of the blocks."""
        return replace(self, codes=self.codes[:, blocks], sizes=self.sizes[blocks])

    def in_groups(self, group: np.ndarray) -> CodeRows:
        """Return the rows with groups as labels, given the group of each label: (labels,)."""
        return replace(self, label=group[self.label], n_labels=int(group.max()) + 1)

    def known(self, block: int) -> np.ndarray:
        """Return the indices of the rows whose code of a block is known."""
        return np.flatnonzero(self.codes[:, block] >= 0)

    def transitions(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows whose codes of a block and of the one before are known, and their codes of the one before.

        Before the first block, every row has the code 0.
        """
        before = self.codes[:, block - 1] if block else np.zeros(len(self), dtype=np.int64)
        rows = np.flatnonzero((self.codes[:, block] >= 0) & (before >= 0))
        return rows, before[rows]

    def counts(self) -> list[np.ndarray]:
        """Return how often each label has each code: a float32 array (labels, codes) for each block."""
        known = ((b, size, self.known(b)) for b, size in enumerate(self.sizes))
        return [table_of((self.label[rows], self.codes[rows, b]), (self.n_labels, size)) for b, size, rows in known]


def table_of(columns: tuple[np.ndarray, ...], shape: tuple[int, ...], weights: np.ndarray | None = None) -> np.ndarray:
    """Return how often each combination of values occurs: a float32 array of `shape`, whose axes are the columns.

    Columns and weights, which are 1 by default, have the shape (rows,).
    """
    cells = np.ravel_multi_index(columns, shape)
    return np.bincount(cells, weights, minlength=math.prod(shape)).reshape(shape).astype(np.float32)
