"""Whole genomes: linkage at cuts, pairs of sites on two contigs, and the ancestry of a person on all contigs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from sklearn.utils.extmath import randomized_svd

from ..genotypes import Genotypes
from .linkage import standardised
from .resampling import correlation
from .rows import NotComputable

AXES = 3
FAR_PAIRS = 4000
_APART = 200  # sites, of far pairs on one contig
_RESAMPLES = 500


def linkage_error(real: Genotypes, made: Genotypes, cut: int) -> np.ndarray:
    """Return the differences of r² between pairs of sites on either side of a cut, fewer than half of them apart.

    r² is that of 0/1 columns (dosages where a set has no phase), as in `linkage.linkage_disequilibrium`.

    Parameters
    ----------
    real, made : Genotypes
        The sites around the cut alone.
    cut : int
        Number of the first site behind it.

    Returns
    -------
    array of float, shape (pairs,)
        Squared correlation in `real`, less that in `made`.
    """
    phased = real.phased and made.phased
    sites = np.arange(real.n_variants)
    across = (sites[:, None] < cut) & (sites >= cut) & (sites - sites[:, None] < max(2, len(sites) // 2))
    a, b = (_correlations(people, phased)[across] ** 2 for people in (real, made))
    return a - b


def _columns(people: Genotypes, phased: bool) -> np.ndarray:
    """Return float32 (sites, rows): haplotypes or dosages; a missing call is the mean of its site."""
    alleles = people.calls.reshape(people.n_variants, -1) if phased else people.calls.sum(axis=2)
    missing = (people.calls < 0).reshape(alleles.shape) if phased else (people.calls < 0).any(axis=2)
    columns = alleles.astype(np.float32)
    if missing.any():
        columns[missing] = np.nan
        columns = np.where(missing, np.nan_to_num(np.nanmean(columns, axis=1, keepdims=True)), columns)
    return columns


def _correlations(people: Genotypes, phased: bool) -> np.ndarray:
    z = standardised(_columns(people, phased))
    return z @ z.T


def far_pairs(real: Genotypes, made: Genotypes, *, between: bool, seed: int = 0) -> float:
    """Return the correlation of signed r (of dosages) of random pairs of sites with that of real people.

    Parameters
    ----------
    real, made : Genotypes
    between : bool
        Pairs on two contigs; else pairs more than 200 sites apart on one.
    seed : int
        Of the pairs.

    Raises
    ------
    NotComputable
        If there are no such pairs.
    """
    random = np.random.default_rng(seed)
    contig = np.unique(real.variants.contig.astype(str), return_inverse=True)[1]
    i, j = random.integers(0, real.n_variants, (2, 20 * FAR_PAIRS))
    apart = contig[i] != contig[j] if between else (contig[i] == contig[j]) & (np.abs(i - j) > _APART)
    kept = np.flatnonzero(apart)[:FAR_PAIRS]
    if len(kept) < 100:
        raise NotComputable("needs sites on two contigs" if between else f"needs contigs of more than {_APART} sites")
    found = []
    for people in (real, made):
        z = standardised(_columns(people, phased=False))
        found.append(np.einsum("ij,ij->i", z[i[kept]], z[j[kept]]).astype(float))
    return correlation(*found)


def ancestry_scores(fitted: Genotypes, people: Genotypes, label: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return people's scores on the axes of ancestry within labels, contig by contig.

    The axes are principal components of the dosages of the fitted people, less the means of their labels, over all
    sites; a contig's score is the part of it that its sites make.

    Parameters
    ----------
    fitted, people : Genotypes
        At the same sites.
    label, own : array of str, shape (people,)
        Labels of the fitted people, and of those who are scored.

    Returns
    -------
    array, shape (contigs, people, axes)

    Raises
    ------
    NotComputable
        If there is one contig, or too few sites or people.
    """
    contigs = list(dict.fromkeys(fitted.variants.contig))
    if len(contigs) < 2:
        raise NotComputable("needs sites on two contigs")
    dosage = _within(fitted, label)
    count = min(AXES, len(dosage) - 1, fitted.n_samples - 1)
    if count < 1:
        raise NotComputable("needs at least two sites and two people")
    axes = randomized_svd(dosage.T, count, n_iter=4, random_state=0)[2]
    mine = _within(people, own)
    return np.stack([mine[s].T @ axes[:, s].T for s in (fitted.variants.contig == c for c in contigs)])


def _within(people: Genotypes, label: np.ndarray) -> np.ndarray:
    dosage = _columns(people, phased=False)
    for value in np.unique(label):
        mine = label == value
        dosage[:, mine] -= dosage[:, mine].mean(axis=1, keepdims=True)
    return dosage


def agreement(scores: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the correlation of people's scores between contigs on each axis, with a 95 % bootstrap interval.

    Parameters
    ----------
    scores : array, shape (contigs, people, axes)
        From `ancestry_scores`. The mean over pairs of contigs is taken.
    seed : int
        Of the resampling of people.

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
