"""SMOTE: rows between neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...errors import DataError, UsageError
from .arrays import expect, group_arrays, groups_of
from .baseline import Baseline


class SMOTE(Baseline):
    """A row between a training row and one of its nearest neighbours of the same label (Chawla et al. 2002).

    Alleles cannot be interpolated: with one u, uniform on [0, 1], for the pair, each site takes the neighbour's value
    with probability u and the row's own otherwise. The saved directory holds the training rows.

    Parameters
    ----------
    label, seed
        As in the other baselines.
    neighbours : int
        How many nearest neighbours (Hamming distance, alleles) to choose from.
    """

    name = "smote"
    holds_training_rows = True
    options = ("neighbours",)

    def __init__(self, label: str | Sequence[str] = "super_pop", *, seed: int = 0, neighbours: int = 5):
        super().__init__(label, seed=seed)
        self.neighbours = neighbours

    def _check(self) -> None:
        if self.neighbours < 1:
            raise UsageError(f"neighbours is {self.neighbours}; accepted: 1 or more.")

    def _fit(self, rows: np.ndarray, groups: dict[str, np.ndarray], levels: int, random: np.random.Generator) -> None:
        lonely = [label for label, index in groups.items() if len(index) < 2]
        if lonely:
            raise DataError(
                f"Label {lonely[0]!r} has a single {'haplotype' if levels == 1 else 'person'}, and SMOTE needs a "
                "neighbour: give more people, or take another baseline."
            )
        self._rows = {label: rows[index] for label, index in groups.items()}
        self._near = {label: _nearest(own, min(self.neighbours, len(own) - 1)) for label, own in self._rows.items()}

    def _draw(self, label: str, rows: int, random: np.random.Generator) -> np.ndarray:
        own, near = self._rows[label], self._near[label]
        first = random.integers(len(own), size=rows)
        second = near[first, random.integers(near.shape[1], size=rows)]
        take = random.random((rows, own.shape[1])) < random.random((rows, 1))
        return np.where(take, own[second], own[first])

    def _arrays(self) -> dict[str, np.ndarray]:
        return {**group_arrays(self._rows), "near": np.concatenate([n.ravel() for n in self._near.values()])}

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._rows = groups_of(arrays, self.label_counts, len(self._variants), 1 if self._phased else self._ploidy)
        widths = {label: min(self.neighbours, len(own) - 1) for label, own in self._rows.items()}
        near = expect(arrays, "near", "iu", sum(len(self._rows[k]) * width for k, width in widths.items()), least=0)
        self._near, start = {}, 0
        for label, own in self._rows.items():
            end = start + len(own) * widths[label]
            if not widths[label] or int(near[start:end].max()) >= len(own):
                raise ValueError(f"near names rows that {label} does not have")
            self._near[label] = near[start:end].reshape(len(own), widths[label])
            start = end


def _nearest(rows: np.ndarray, k: int) -> np.ndarray:
    """Return the indices of the k nearest other rows of each row: int32, shape (rows, k); ties by index."""
    # sum of |a - b| over values 0…2 is the Hamming distance of their unary codes, and that is a matrix product
    unary = np.concatenate([rows >= level for level in range(1, max(2, int(rows.max()) + 1))], axis=1).astype(
        np.float32
    )
    weight = unary.sum(axis=1)
    near = np.empty((len(rows), k), dtype=np.int32)
    for start in range(0, len(rows), 512):
        part = slice(start, start + 512)
        distance = weight[part, None] + weight - 2 * (unary[part] @ unary.T)
        distance[np.arange(len(distance)), np.arange(start, start + len(distance))] = np.inf
        near[part] = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return near
