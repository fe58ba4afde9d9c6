"""Independent sites: frequencies and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .arrays import expect
from .baseline import Baseline


class IndependentSites(Baseline):
    """Every allele drawn from the allele frequency of its site in its label: right frequencies, no linkage at all."""

    name = "independent"
    holds_training_rows = False

    def _fit(self, rows: np.ndarray, groups: dict[str, np.ndarray], levels: int, random: np.random.Generator) -> None:
        self._levels = levels
        self._frequency = {
            label: rows[index].mean(axis=0, dtype=np.float64) / levels for label, index in groups.items()
        }

    def _draw(self, label: str, rows: int, random: np.random.Generator) -> np.ndarray:
        p = self._frequency[label]
        if self._levels == 1:
            return (random.random((rows, len(p))) < p).astype(np.int8)
        return random.binomial(self._levels, p, size=(rows, len(p))).astype(np.int8)

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "levels": np.array(self._levels),
            "frequency": np.array([self._frequency[k] for k in self.label_counts]),
        }

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._levels = int(expect(arrays, "levels", "iu", least=1, most=2))
        shape = len(self.label_counts), len(self._variants)
        frequency = expect(arrays, "frequency", "f", *shape, least=0, most=1)
        self._frequency = dict(zip(self.label_counts, frequency, strict=True))
