"""Ancestry in a genome: hidden populations of labels, and what the haplotypes of a person share within these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..generators.haplotype.person_ancestry import KnownAncestry, known_ancestry, shared_components
from ..numerics import principal_axes, site_means

_MOST_PARTS = 4  # that a population is split into at a time
_LEAST_PEOPLE = 40  # of a population
_REGULARISED = 0.01  # added to the variances of a population, so that none is a handful of people
_SPLITS = 3  # of labels into populations, and of these again
_ROWS = 20_000  # that axes are found with
_COMPONENTS = 40


@dataclass(frozen=True)
class LabelAncestry:
    """The hidden populations of a label, and how the ancestry of their people varies."""

    population: list[int]  # numbers of the populations: labels of the models of the windows
    share: list[float]  # of the people of the label, by population
    root: list[list[list[float]]]  # populations x axes x axes: a person's ancestry is root @ standard normal numbers

    def __post_init__(self) -> None:
        """Raise ValueError where a file says what cannot be."""
        population, share = np.asarray(self.population), np.asarray(self.share, dtype=np.float64)
        root = np.asarray(self.root, dtype=np.float64)
        axes = root.shape[1] if root.ndim > 1 else 0
        fits = share.ndim == 1 and len(share) and population.shape == share.shape and root.size == len(share) * axes**2
        numbered = population.dtype.kind in "iu" and (population >= 0).all()
        if not fits or not numbered or not all(np.isfinite(part).all() for part in (share, root)):
            raise ValueError(f"an ancestry of the shapes {population.shape}, {share.shape} and {root.shape}")

    def draw(self, people: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw the populations of people: int, shape (people,), and their ancestry: float32, shape (people, axes)."""
        # spread evenly: each population has its share of the people, as nearly as can be
        place = random.permutation(people) + random.random()
        group = np.searchsorted(np.cumsum(self.share), place / people)
        group = np.minimum(group, len(self.share) - 1)
        axes = np.asarray(self.root).shape[1]
        root = np.reshape(self.root, (len(self.share), axes, axes))
        z = np.einsum("pij,pj->pi", root[group], random.standard_normal((people, axes)))
        return np.array(self.population, dtype=np.int64)[group], z.astype(np.float32)


def label_ancestry(label: np.ndarray, population: np.ndarray, spread: np.ndarray) -> list[LabelAncestry]:
    """Return the ancestry of each label from people's labels and populations and the `KnownAncestry.spread`."""
    ancestry = []
    for k in range(int(label.max()) + 1):
        own, counts = np.unique(population[label == k], return_counts=True)
        share = (counts / counts.sum()).tolist()
        ancestry.append(LabelAncestry(own.tolist(), share, spread[own].astype(float).tolist()))
    return ancestry


def find_ancestry(calls: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, KnownAncestry]:
    """Return the population of each person, numbered from 0, and people's ancestry within their populations.

    A label is split into the hidden populations that its people fall into, and these again. What is left is ancestry:
    the leading principal components within populations that both haplotypes of people share.

    Parameters
    ----------
    calls : array of int8, shape (sites, people, 2)
        Phased, at common sites of the whole genome; with fewer than two, people have no ancestry beyond their label.
    label : array of int, shape (people,)
    """
    population, scores = label, np.zeros((len(label), 0))
    if len(calls) > 1:
        rows = calls.reshape(len(calls), -1).T
        for _ in range(_SPLITS):
            scores = _shared_scores(rows, population)
            split = split_populations(scores / np.maximum(scores.std(axis=0), 1e-9), population)
            if split.max() == population.max():
                break
            population = split
        scores = _shared_scores(rows, population)
    return population, known_ancestry(scores, population, int(population.max()) + 1)


def split_populations(z: np.ndarray, population: np.ndarray) -> np.ndarray:
    """Split populations (people,) by ancestry (people, axes) into Gaussian parts: int, (people,), numbered from 0.

    The Bayesian information criterion chooses how many parts a population has; each has at least forty people.
    """
    from sklearn.mixture import GaussianMixture

    split = np.zeros(len(population), dtype=np.int64)
    for number in np.unique(population):
        of = np.flatnonzero(population == number)
        least = np.inf
        for parts in range(1, _MOST_PARTS + 1 if z.shape[1] else 1):
            if len(of) < parts * _LEAST_PEOPLE:
                break
            trial = GaussianMixture(parts, reg_covar=_REGULARISED, n_init=3, random_state=0).fit(z[of])
            part = trial.predict(z[of])
            if trial.bic(z[of]) < least and np.bincount(part, minlength=parts).min() >= _LEAST_PEOPLE:
                least = trial.bic(z[of])
                split[of] = part
    return np.unique(population * _MOST_PARTS + split, return_inverse=True)[1]


def _shared_scores(rows: np.ndarray, population: np.ndarray) -> np.ndarray:
    """Return people on the components within populations that both of their haplotypes share: (people, axes).

    Rows are haplotypes, (people * 2, sites). Sites are scaled by sqrt(p (1 - p)) (Patterson, Price and Reich 2006).
    """
    of_row = np.repeat(population, 2)
    centred = np.empty(rows.shape, dtype=np.float32)
    for k in np.unique(population):
        own = rows[of_row == k]
        centred[of_row == k] = np.where(own >= 0, own - site_means(own), 0)
    frequency = np.where(rows > 0, 1, 0).mean(axis=0)
    centred /= np.sqrt(np.maximum(frequency * (1 - frequency), 0.01)).astype(np.float32)
    count = min(_COMPONENTS, min(centred.shape) - 1)
    axes = principal_axes(centred[:: -(-len(centred) // _ROWS)], count)
    scores = (centred @ axes.T).reshape(len(population), 2, count)
    return scores[:, :, shared_components(scores, population)].mean(axis=1)
