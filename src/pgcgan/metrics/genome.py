"""Whole genomes: linkage across window boundaries, pairs of sites on two contigs, and ancestry across contigs."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..genotypes import Genotypes
from ..numerics import fill_missing, principal_axes, standardise
from .comparison import Cohort
from .rows import NotComputable, correlation

AXES = 3
FAR_PAIRS = 4000
_RESAMPLES = 500


def linkage_error(real: Genotypes, synthetic: Genotypes, cut: int) -> np.ndarray:
    """Return the differences of r² between pairs of sites on either side of a cut, fewer than half of them apart.

    r² is that of 0/1 columns (dosages where a set has no phase), as in `linkage.linkage_disequilibrium`.

    Parameters
    ----------
    real, synthetic : Genotypes
        The sites around the cut alone.
    cut : int
        Number of the first site behind it.

    Returns
    -------
    array of float, shape (pairs,)
        Squared correlation in `real`, less that in `synthetic`.
    """
    phased = real.phased and synthetic.phased
    sites = np.arange(real.n_variants)
    across = (sites[:, None] < cut) & (sites >= cut) & (sites - sites[:, None] < max(2, len(sites) // 2))
    r = [(z.T @ z)[across] for z in (standardise(_filled(people, phased)) for people in (real, synthetic))]
    return r[0] ** 2 - r[1] ** 2


def _filled(people: Genotypes, phased: bool) -> np.ndarray:
    return fill_missing(Cohort(people.calls, None, phased).values.T)


def far_pairs(real: Genotypes, synthetic: Genotypes, *, seed: int = 0) -> float:
    """Return the correlation of signed r (of dosages) of random pairs of sites on two contigs with that of real people.

    Parameters
    ----------
    real, synthetic : Genotypes
    seed : int
        Random seed of the choice of pairs.
    """
    random = np.random.default_rng(seed)
    contig = np.unique(real.variants.contig.astype(str), return_inverse=True)[1]
    i, j = random.integers(0, real.n_variants, (2, 20 * FAR_PAIRS))
    pairs = np.flatnonzero(contig[i] != contig[j])[:FAR_PAIRS]
    if len(pairs) < 100:
        raise NotComputable("needs sites on two contigs")
    scaled = (standardise(_filled(people, phased=False)) for people in (real, synthetic))
    return correlation(*(np.einsum("ij,ij->j", z[:, i[pairs]], z[:, j[pairs]]).astype(float) for z in scaled))


def ancestry_scores(fitted: Genotypes, people: Genotypes, fitted_label: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return people's scores on the axes of ancestry within labels, for each contig.

    The axes are principal components of the dosages of the fitted people, less the means of their labels, over all
    sites; the score on a contig is the sum over its sites only.

    Parameters
    ----------
    fitted, people : Genotypes
        At the same sites.
    fitted_label, label : array of str, shape (people,)
        Labels of the fitted people, and of those who are scored.

    Returns
    -------
    array, shape (contigs, people, axes)
    """
    contigs = list(dict.fromkeys(fitted.variants.contig))
    if len(contigs) < 2:
        raise NotComputable("needs sites on two contigs")
    dosages = _centred_within(fitted, fitted_label)
    count = min(AXES, dosages.shape[1] - 1, fitted.n_samples - 1)
    if count < 1:
        raise NotComputable("needs at least two sites and two people")
    axes = principal_axes(dosages, count)
    scored = _centred_within(people, label)
    return np.stack([scored[:, on] @ axes[:, on].T for on in (fitted.variants.contig == c for c in contigs)])


def _centred_within(people: Genotypes, label: np.ndarray) -> np.ndarray:
    """Return dosages less the mean of the label: float32, shape (people, sites)."""
    dosages = _filled(people, phased=False)
    for value in np.unique(label):
        dosages[label == value] -= dosages[label == value].mean(axis=0)
    return dosages


def agreement(scores: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the correlation of people's scores between contigs on each axis, with a 95 % bootstrap interval.

    Parameters
    ----------
    scores : array, shape (contigs, people, axes)
        From `ancestry_scores`. The mean over pairs of contigs is taken.
    seed : int
        Random seed of the bootstrap over people.

    Returns
    -------
    r, low, high : array of float, shape (axes,)
    """

    def value(part: np.ndarray) -> np.ndarray:
        pairs = list(combinations(range(len(part)), 2))
        return np.array([np.mean([correlation(part[a, :, k], part[b, :, k]) for a, b in pairs]) for k in axes])

    axes = range(scores.shape[2])
    random = np.random.default_rng(seed)
    people = scores.shape[1]
    drawn = [value(scores[:, random.integers(0, people, people)]) for _ in range(_RESAMPLES)]
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return value(scores), low, high
