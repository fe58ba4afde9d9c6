"""Labels of several columns: which blocks tell the values of the last column apart, and which only seem to.

With `label=("super_pop", "status")` the cases and controls of a population come from the same people. Their code
frequencies differ by chance at every block, by who happened to be sampled, and beyond chance at few. A model that
learned the former would make synthetic cases and controls that differ everywhere: a test at each site would find more
than it should. `own_shares` tells the blocks apart, and `CodeModel.label_frequency` takes the frequencies of the
parent, the label without its last column, at the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from ...labels import JOIN

_ROUNDS = 200
_LEAST_VARIANCE = 0.5  # of the differences beyond chance, in units of the variance of chance


def parents_of(names: Sequence[str], columns: int) -> np.ndarray:
    """Return which labels agree in all of so many columns but the last, as equal numbers: int, shape (labels,).

    With one column, every label is by itself.
    """
    of_label = [name.rsplit(JOIN, 1)[0] if columns > 1 else name for name in names]
    return np.unique(of_label, return_inverse=True)[1]


def own_shares(label_counts: Sequence[np.ndarray], parent: np.ndarray) -> np.ndarray:
    """Return how probable it is that labels of one parent differ beyond chance: float32, shape (blocks,).

    Chi-squared of the codes of labels with the same parent, added up over parents, is a mixture: where they differ by
    chance it follows its distribution, elsewhere that distribution stretched by a factor. Share and factor are fitted
    to all blocks (expectation-maximisation), and the probability is that of the second part given the block's value; 1
    where no parent has two labels.

    Parameters
    ----------
    label_counts : sequence of arrays, shape (labels, codes of the block)
        How often each label has each code.
    parent : array of int, shape (labels,)
    """
    statistic, freedom = np.zeros((2, len(label_counts)))
    for of_parent in (parent == k for k in np.unique(parent)):
        for b, counts in enumerate(label_counts):
            table = counts[of_parent].astype(np.float64)
            table = table[table.any(axis=1)][:, table.any(axis=0)]
            expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / max(table.sum(), 1)
            statistic[b] += ((table - expected) ** 2 / expected).sum()
            freedom[b] += max(0, table.shape[0] - 1) * max(0, table.shape[1] - 1)
    tested = freedom > 0
    shares = np.ones(len(label_counts), dtype=np.float32)
    if tested.any():
        shares[tested] = _probability_of_difference(statistic[tested], freedom[tested])
    return shares


def _probability_of_difference(statistic: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return the probability of the second part of the mixture for each block: (blocks,)."""
    share, variance = 0.5, 1.0
    by_chance = chi2.logpdf(statistic, freedom)
    for _ in range(_ROUNDS):
        beyond = chi2.logpdf(statistic / (1 + variance), freedom) - np.log1p(variance)
        odds = np.log(share) - np.log1p(-share) + beyond - by_chance
        probability = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        share = float(np.clip(probability.mean(), 1e-6, 1 - 1e-6))
        variance = max(_LEAST_VARIANCE, float(probability @ statistic / max(probability @ freedom, 1e-9)) - 1)
    return probability
