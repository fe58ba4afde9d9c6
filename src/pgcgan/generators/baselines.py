"""The generators that people use instead: independent sites, Li-Stephens mosaic, PCA-Gaussian and SMOTE.

They work on haplotypes where the data are phased, and on allele counts of people where they are not, so that unphased
input gives unphased people. A missing allele is drawn, once, in `fit`, from the allele frequency of its site in its
label (of all people where the label has no call there).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from ..arrays import pack, unpack
from ..errors import DataError, UsageError
from ..numerics import nearest_neighbours, principal_axes, unary_code
from .generator import Generator
from .genetic_map import morgans_of
from .rows import Rows
from .store import Array


def _filled_states(rows: Rows, seed: int) -> np.ndarray:
    """Return states, each missing one drawn from the allele frequency of its site in its label: int8, (rows, sites)."""
    states, levels = np.array(rows.states), rows.n_states - 1
    missing = states < 0
    if not missing.any():
        return states
    random = np.random.default_rng([seed, 1])
    overall = np.where(missing, 0, states).sum(axis=0) / (levels * np.maximum((~missing).sum(axis=0), 1))
    for label in range(len(rows.label_names)):
        index = rows.of_label(label)
        own, absent = states[index], missing[index]
        called = (~absent).sum(axis=0)
        frequency = np.where(called, np.where(absent, 0, own).sum(axis=0) / (levels * np.maximum(called, 1)), overall)
        states[index] = np.where(absent, random.binomial(levels, frequency, size=own.shape), own)
    return states


class IndependentSites(Generator):
    """Every allele drawn from the allele frequency of its site in its label: right frequencies, no linkage at all."""

    name = "independent"
    schema: ClassVar = {"frequency": Array("float64", ("labels", "sites"), 0, 1)}

    def _fit(self, rows: Rows) -> None:
        states, labels = _filled_states(rows, self.seed), range(len(rows.label_names))
        self.frequency_ = np.array([states[rows.of_label(k)].mean(axis=0, dtype=np.float64) for k in labels])
        self.frequency_ /= rows.n_states - 1

    def _draw(self, label: int, people: int, random: np.random.Generator) -> np.ndarray:
        p = self.frequency_[label]
        return random.binomial(self.n_states - 1, p, size=(people * self.rows_per_person, len(p))).astype(np.int8)


class PCAGaussian(Generator):
    """A Gaussian for each label in the space of the principal components of all rows, thresholded to alleles.

    A point drawn from the Gaussian of its label's scores is carried back to the sites. There its value is normal with a
    known mean and variance, and the thresholds between 0, 1 (and 2) are the quantiles that give the values their
    frequency in the label. Frequencies are kept, linkage is that of the leading components.

    Parameters
    ----------
    label, seed
        As in the other generators.
    components : int
        Leading principal components; at most as many as rows or sites.
    """

    name = "pca-gaussian"
    bounds: ClassVar = {"components": (1, np.inf)}
    schema: ClassVar = {
        "axes": Array("float32", ("components", "sites")),
        "spread": Array("float32", ("labels", "components", "components")),
        "thresholds": Array("float64", ("labels", "levels", "sites"), -np.inf, np.inf),
    }

    def __init__(self, label: str | Sequence[str] = "super_pop", *, seed: int = 0, components: int = 256):
        super().__init__(label, seed=seed)
        self.components = components

    def _fit(self, rows: Rows) -> None:
        states, levels = _filled_states(rows, self.seed), rows.n_states - 1
        centred = states - states.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.axes_ = principal_axes(centred, self.components, self.seed)  # (components, sites)
        scores = centred @ self.axes_.T
        spreads, thresholds = [], []
        for index in map(rows.of_label, range(len(rows.label_names))):
            own = scores[index] - scores[index].mean(axis=0)
            values, vectors = np.linalg.eigh(own.T @ own / max(len(index) - 1, 1))
            spread = (vectors * np.sqrt(np.maximum(values, 0))).T.astype(np.float32)  # z @ spread has the covariance
            sd = np.sqrt(np.square(spread @ self.axes_).sum(axis=0))
            # share of rows with a value of at least 1, …, levels -> threshold of the centred value
            share = np.array([(states[index] >= k).mean(axis=0) for k in range(1, levels + 1)])
            always = np.where(share == 0, np.inf, -np.inf)  # all rows of the label, or none of them, reach the value
            spreads.append(spread)
            thresholds.append(np.where((share > 0) & (share < 1), _upper_quantile(share) * sd, always))
        self.spread_, self.thresholds_ = np.array(spreads), np.array(thresholds)

    def _draw(self, label: int, people: int, random: np.random.Generator) -> np.ndarray:
        spread = self.spread_[label]
        normal = random.standard_normal((people * self.rows_per_person, len(spread)), dtype=np.float32)
        value = normal @ spread @ self.axes_
        states = np.zeros(value.shape, dtype=np.int8)
        for threshold in self.thresholds_[label]:
            states += value > threshold
        return states


def _upper_quantile(share: np.ndarray) -> np.ndarray:
    """Return the standard normal value that is exceeded with probability `share`; 0 where share is 0 or 1."""
    values, inverse = np.unique(share, return_inverse=True)
    normal = NormalDist()
    quantiles = np.array([-normal.inv_cdf(float(v)) if 0 < v < 1 else 0.0 for v in values])
    return quantiles[inverse].reshape(share.shape)


class KeptRows(Generator):
    """A generator whose model is its training rows; they are saved as packed bits."""

    holds_training_rows = True
    # two planes of bits: states 0, 1 and 2
    schema: ClassVar = {
        "rows_low": Array("uint8", ("rows", "bytes"), 0, 255),
        "rows_high": Array("uint8", ("rows", "bytes"), 0, 255),
        "rows_count": Array("int64", ("labels",), 1),
    }

    def _fit(self, rows: Rows) -> None:
        states = _filled_states(rows, self.seed)
        self.rows_ = [states[rows.of_label(k)] for k in range(len(rows.label_names))]

    def _arrays(self) -> dict[str, np.ndarray]:
        low, high = pack(np.concatenate(self.rows_))
        return {"rows_low": low, "rows_high": high, "rows_count": np.array([len(own) for own in self.rows_])}

    def _restore(self, arrays: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> None:
        sites, shape, count = len(self.variants_), arrays["rows_low"].shape, arrays["rows_count"]
        if shape != (count.sum(), -(-sites // 8)):
            raise ValueError(f"rows_low has the shape {shape}; {(int(count.sum()), -(-sites // 8))} fits")
        states = unpack([arrays["rows_low"], arrays["rows_high"]], sites)
        if states.min() < 0 or states.max() >= self.n_states:
            raise ValueError(f"the training rows have states beyond 0 to {self.n_states - 1}")
        self.rows_ = np.split(states, np.cumsum(count)[:-1])


class LiStephens(KeptRows):
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
    bounds: ClassVar = {"mutation": (0, 0.5)}
    schema: ClassVar = {
        "distance": Array("float64", ("gaps",), 0, np.inf),
        "per_row": Array("float64", ("labels",), 0),
        **KeptRows.schema,
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
        self.recombination_rate, self.effective_size = recombination_rate, effective_size
        self.genetic_map, self.segment_length, self.mutation = genetic_map, segment_length, mutation

    def _check(self) -> None:
        for name in ("recombination_rate", "effective_size", "segment_length"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}; accepted: more than 0.")

    def _fit(self, rows: Rows) -> None:
        super()._fit(rows)
        contig, apart = rows.variants.contig, np.abs(np.diff(rows.variants.position)).astype(np.float64)
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
        return {"distance": self.distance_, "per_row": self.per_row_, **super()._arrays()}

    def _restore(self, arrays: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> None:
        super()._restore(arrays, details)
        self.distance_, self.per_row_ = arrays["distance"], arrays["per_row"]


class SMOTE(KeptRows):
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
    bounds: ClassVar = {"neighbours": (1, np.inf)}
    schema: ClassVar = {"near": Array("int32", ("pairs",), 0), **KeptRows.schema}

    def __init__(self, label: str | Sequence[str] = "super_pop", *, seed: int = 0, neighbours: int = 5):
        super().__init__(label, seed=seed)
        self.neighbours = neighbours

    def _fit(self, rows: Rows) -> None:
        super()._fit(rows)
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
        return {**super()._arrays(), "near": np.concatenate([near.ravel() for near in self.near_])}

    def _restore(self, arrays: Mapping[str, np.ndarray], details: Mapping[str, Any]) -> None:
        super()._restore(arrays, details)
        shapes = [(len(own), min(self.neighbours, len(own) - 1)) for own in self.rows_]
        ends = np.cumsum([rows * neighbours for rows, neighbours in shapes])
        if ends[-1] != len(arrays["near"]):
            raise ValueError(f"near has {len(arrays['near'])} entries; {ends[-1]} fit")
        self.near_ = [
            near.reshape(shape) for near, shape in zip(np.split(arrays["near"], ends[:-1]), shapes, strict=True)
        ]
        if any(near.size and near.max() >= len(near) for near in self.near_):
            raise ValueError("near has numbers of rows that do not exist")
