"""Hidden populations: the groups that the people of a label fall into, found in the whole genome."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST_PARTS = 4  # that a population is split into at a time
_LEAST_PEOPLE = 40  # of a population
_REGULARISED = 0.01  # added to the variances of a population, so that none is a handful of people


@dataclass(frozen=True)
class LabelAncestry:
    """The hidden populations of a label, and how the ancestry of their people varies.

    Parameters
    ----------
    population : list of int
        Numbers of the populations: labels of the models of the windows.
    share : list of float
        Of the people of the label, by population.
    root : list of float, populations x axes x axes
        A person's ancestry is root @ standard normal numbers.
    """

    population: list[int]
    share: list[float]
    root: list[list[list[float]]]

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


def split_populations(z: np.ndarray, population: np.ndarray) -> np.ndarray:
    """Split populations into Gaussian parts: array of int, shape (people,), numbered from 0.

    The Bayesian information criterion chooses how many parts a population has; each has at least forty people.

    Parameters
    ----------
    z : array of float, shape (people, axes)
        People's ancestry.
    population : array of int, shape (people,)
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


def label_ancestry(label: np.ndarray, population: np.ndarray, spread: np.ndarray) -> list[LabelAncestry]:
    """Return the ancestry of each label.

    Parameters
    ----------
    label, population : arrays of int, shape (people,)
    spread : array of float, shape (populations, axes, axes)
        See `KnownAncestry`.
    """
    ancestry = []
    for k in range(int(label.max()) + 1):
        own, counts = np.unique(population[label == k], return_counts=True)
        share = (counts / counts.sum()).tolist()
        ancestry.append(LabelAncestry(own.tolist(), share, spread[own].astype(float).tolist()))
    return ancestry
