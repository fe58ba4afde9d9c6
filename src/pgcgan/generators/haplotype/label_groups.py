"""Groups of labels that draw their haplotypes from the same people.

A label of fifty people has too few haplotypes of its own to tell which runs of codes are common, and what its people
share with those of a neighbouring population is lost if each is counted apart. Labels with few people are therefore
grouped where that predicts their haplotypes better: chain, runs and local ancestry are counted in groups, and a label
is told from its group by the frequency of each code (`CodeModel.label_frequency`), to which draws are raked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform

FEW_PEOPLE = 250  # labels with as many are counted on their own
MOST_FST = 0.02  # within a group, of its parts: populations of a continent have less, continents more
_BLOCKS = 24  # in a row, that groupings are tried on
_CUTS = 4  # groupings that are tried, at most


def trial_blocks(blocks: int) -> slice:
    """Return the blocks in the middle that groupings are tried on."""
    first = max(0, (blocks - _BLOCKS) // 2)
    return slice(first, first + _BLOCKS)


def find_groups(
    code_counts: Sequence[np.ndarray], people: np.ndarray, nats: Callable[[np.ndarray], float]
) -> np.ndarray:
    """Return the group of each label: array of int, shape (labels,).

    Labels are joined in the order of a hierarchical clustering by their code frequencies (average linkage of Hudson's
    Fst, up to .02); of a few cuts of that tree, the one that predicts training rows best is taken.

    Parameters
    ----------
    code_counts : sequence of arrays, shape (labels, codes)
        How often each label has each code of each block.
    people : array of int, shape (labels,)
        People of each label.
    nats : callable
        From the groups of labels to the mean of -log P of a row left out.
    """
    n_labels = len(people)
    every = np.arange(n_labels)
    few = np.flatnonzero(people < FEW_PEOPLE)
    if len(few) < 2:
        return every
    tree = linkage(squareform(_distances(code_counts)[np.ix_(few, few)], checks=False), method="average")
    fewest = len(few) - int((tree[:, 2] <= MOST_FST).sum())
    sizes = np.unique(np.geomspace(fewest, len(few), _CUTS).round().astype(int))
    if len(sizes) == 1:
        return every
    groupings = [_numbered(every, few, cut_tree(tree, int(size))[:, 0]) for size in sizes]
    return min(groupings, key=nats)


def _numbered(every: np.ndarray, few: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Return groups numbered in the order of their first labels; labels that are not among the few are alone."""
    first = every.copy()
    first[few] = [few[cluster == c].min() for c in cluster]
    return np.unique(first, return_inverse=True)[1]


def _distances(code_counts: Sequence[np.ndarray]) -> np.ndarray:
    """Return Hudson's Fst of each pair of labels over the codes of all blocks (Bhatia 2013, ratio of averages)."""
    n_labels = len(code_counts[0])
    within, between = np.zeros(n_labels), np.zeros((n_labels, n_labels))
    for counts in code_counts:
        n = np.maximum(counts.sum(axis=1, keepdims=True, dtype=np.float64), 2)
        frequency = counts / n
        between += 1 - frequency @ frequency.T
        within += ((1 - (frequency**2).sum(axis=1, keepdims=True)) * n / (n - 1))[:, 0]
    fst = 1 - (within[:, None] + within) / 2 / np.maximum(between, 1e-12)
    np.fill_diagonal(fst, 0)
    return np.maximum(fst, 0)
