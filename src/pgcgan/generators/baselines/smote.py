"""SMOTE: rows between neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...errors import DataError
from ...numerics import nearest_neighbours, unary_code
from ..generator import Generator
from ..rows import Rows
from ..store import Array
from .training_rows import ROWS_SCHEMA, filled_states, packed_rows, unpacked_rows


class SMOTE(Generator):
    """A row between a training row and one of its nearest neighbours of the same label (Chawla et al. 2002).

    Alleles cannot be interpolated: with one u, uniform on [0, 1], for the pair, each site takes the neighbour's value
    with probability u and the row's own otherwise. The saved directory holds the training rows.

    Parameters
    ----------
    label, seed
        As in the other generators.
    neighbours : int
        How many nearest neighbours (Hamming distance, alleles) to choose from.
    """

    name = "smote"
    holds_training_rows = True
    bounds: ClassVar = {"neighbours": (1, np.inf)}
    schema: ClassVar = {"near": Array("int32", ("pairs",), 0), **ROWS_SCHEMA}

    def __init__(self, label: str | Sequence[str] = "super_pop", *, seed: int = 0, neighbours: int = 5):
        super().__init__(label, seed=seed)
        self.neighbours = neighbours

    def _fit(self, rows: Rows) -> None:
        states = filled_states(rows, np.random.default_rng([self.seed, 1]))
        self.rows_ = [states[rows.of_label(k)] for k in range(len(rows.label_names))]
        for name, own in zip(rows.label_names, self.rows_, strict=True):
            if len(own) < 2:
                raise DataError(
                    f"Label {name!r} has a single {'haplotype' if rows.n_states == 2 else 'person'}, and SMOTE needs a "
                    "neighbour: give more people, or take another model."
                )
        self.near_ = [
            nearest_neighbours(unary_code(own, rows.n_states - 1), min(self.neighbours, len(own) - 1))
            for own in self.rows_
        ]

    def _draw(self, label: int, people: int, random: np.random.Generator) -> np.ndarray:
        rows = people * self.rows_per_person
        own, near = self.rows_[label], self.near_[label]
        first = random.integers(len(own), size=rows)
        second = near[first, random.integers(near.shape[1], size=rows)]
        take = random.random((rows, own.shape[1])) < random.random((rows, 1))
        return np.where(take, own[second], own[first])

    def _arrays(self) -> dict[str, np.ndarray]:
        return {**packed_rows(self.rows_), "near": np.concatenate([near.ravel() for near in self.near_])}

    def _restore(self, arrays: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> None:
        self.rows_ = unpacked_rows(arrays, len(self.variants_), self.n_states - 1)
        shapes = [(len(own), min(self.neighbours, len(own) - 1)) for own in self.rows_]
        ends = np.cumsum([rows * neighbours for rows, neighbours in shapes])
        if ends[-1] != len(arrays["near"]):
            raise ValueError(f"near has {len(arrays['near'])} entries; {ends[-1]} fit")
        self.near_ = [
            near.reshape(shape) for near, shape in zip(np.split(arrays["near"], ends[:-1]), shapes, strict=True)
        ]
        if any(near.size and near.max() >= len(near) for near in self.near_):
            raise ValueError("near has numbers of rows that do not exist")
