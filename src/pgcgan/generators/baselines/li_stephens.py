"""The mosaic of Li and Stephens."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...errors import UsageError
from ..generator import Generator
from ..genetic_map import morgans_of
from ..rows import Rows
from ..store import Array
from .training_rows import ROWS_SCHEMA, filled_states, packed_rows, unpacked_rows


class LiStephens(Generator):
    """A mosaic of the training haplotypes of the label (Li and Stephens 2003).

    Between neighbouring sites the copied haplotype is drawn anew with probability 1 - exp(-4 Ne r / n), with r the
    genetic distance in Morgans and n the haplotypes of the label; between contigs always. Each copied allele then
    mutates with probability theta / (2 (theta + n)), theta = 1 / (1 + 1/2 + … + 1/(n - 1)). Unphased people are copied
    as pairs of alleles. The model is its training data: the saved directory holds them, and long segments copy them.

    Parameters
    ----------
    label, seed
        As in the other generators.
    recombination_rate : float
        Per base pair and generation, where there is no map.
    effective_size : float
        Ne; 11,418 is the value that HAPGEN2 recommends for Europeans.
    genetic_map : path, optional
        A table with a header and columns for position, centimorgans and (optionally) contig, as HapMap, SHAPEIT and
        IMPUTE2 have them, or a PLINK .map without header; plain or gzip. Beyond the ends of the map the recombination
        rate counts.
    segment_length : float, optional
        Mean length of a copied segment in base pairs, instead of rate, size and map.
    mutation : float, optional
        Mutation probability per allele, instead of the formula.
    """

    name = "li-stephens"
    holds_training_rows = True
    bounds: ClassVar = {"mutation": (0, 0.5)}
    schema: ClassVar = {
        "distance": Array("float64", ("gaps",), 0, np.inf),
        "per_row": Array("float64", ("labels",), 0),
        **ROWS_SCHEMA,
    }

    def __init__(
        self,
        label: str | Sequence[str] = "super_pop",
        *,
        seed: int = 0,
        recombination_rate: float = 1e-8,
        effective_size: float = 11418.0,
        genetic_map: str | os.PathLike[str] | None = None,
        segment_length: float | None = None,
        mutation: float | None = None,
    ):
        super().__init__(label, seed=seed)
        self.recombination_rate = recombination_rate
        self.effective_size = effective_size
        self.genetic_map = genetic_map
        self.segment_length = segment_length
        self.mutation = mutation

    def _check(self) -> None:
        for name in ("recombination_rate", "effective_size", "segment_length"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}; accepted: more than 0.")

    def _fit(self, rows: Rows) -> None:
        states = filled_states(rows, np.random.default_rng([self.seed, 1]))
        contig, apart = rows.variants.contig, np.abs(np.diff(rows.variants.position)).astype(np.float64)
        self.rows_ = [states[rows.of_label(k)] for k in range(len(rows.label_names))]
        if self.segment_length is not None:
            self.distance_, self.per_row_ = apart / self.segment_length, np.ones(len(self.rows_))
        else:
            if self.genetic_map is not None:
                morgans = np.diff(morgans_of(self.genetic_map, rows.variants, self.recombination_rate))
            else:
                morgans = apart * self.recombination_rate
            self.distance_ = 4 * self.effective_size * morgans
            self.per_row_ = np.array([1 / len(own) for own in self.rows_])
        self.distance_[contig[1:] != contig[:-1]] = np.inf

    def _draw(self, label: int, people: int, random: np.random.Generator) -> np.ndarray:
        rows = people * self.rows_per_person
        templates = self.rows_[label]
        n, sites = templates.shape
        switch = np.ones((rows, sites), dtype=bool)
        switch[:, 1:] = random.random((rows, sites - 1)) < -np.expm1(-self.distance_ * self.per_row_[label])
        source = np.zeros((rows, sites), dtype=np.int64)
        source[switch] = random.integers(n, size=int(switch.sum()))
        start = np.maximum.accumulate(np.where(switch, np.arange(sites), 0), axis=1)
        drawn = templates[np.take_along_axis(source, start, axis=1), np.arange(sites)]
        if self.mutation is not None:
            mutation = self.mutation
        elif n > 1:
            theta = 1 / (1 / np.arange(1, n)).sum()
            mutation = theta / (2 * (theta + n))
        else:
            mutation = 0.0
        # a count of alleles mutates as its alleles do: alt ones to ref, ref ones to alt
        lost = random.binomial(drawn, mutation)
        gained = random.binomial(self.n_states - 1 - drawn, mutation)
        return (drawn - lost + gained).astype(np.int8)

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"distance": self.distance_, "per_row": self.per_row_, **packed_rows(self.rows_)}

    def _restore(self, arrays: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> None:
        self.distance_, self.per_row_ = arrays["distance"], arrays["per_row"]
        if len(self.distance_) != len(self.variants_) - 1:
            raise ValueError(f"distance has {len(self.distance_)} entries for {len(self.variants_)} sites")
        self.rows_ = unpacked_rows(arrays, len(self.variants_), self.n_states - 1)
