"""Independent sites: allele frequencies and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..generator import Generator
from ..rows import Rows
from ..store import Array
from .training_rows import filled_states


class IndependentSites(Generator):
    """Every allele drawn from the allele frequency of its site in its label: right frequencies, no linkage at all."""

    name = "independent"
    schema: ClassVar = {"frequency": Array("float64", ("labels", "sites"), 0, 1)}

    def _fit(self, rows: Rows) -> None:
        states = filled_states(rows, np.random.default_rng([self.seed, 1]))
        labels = range(len(rows.label_names))
        self.frequency_ = np.array([states[rows.of_label(k)].mean(axis=0, dtype=np.float64) for k in labels])
        self.frequency_ /= rows.n_states - 1

    def _draw(self, label: int, people: int, random: np.random.Generator) -> np.ndarray:
        p = self.frequency_[label]
        return random.binomial(self.n_states - 1, p, size=(people * self.rows_per_person, len(p))).astype(np.int8)

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"frequency": self.frequency_}

    def _restore(self, arrays: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> None:
        self.frequency_ = arrays["frequency"]
