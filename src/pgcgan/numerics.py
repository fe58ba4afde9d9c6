"""Numeric routines that several parts need: missing calls, distances, correlations, components and ROC areas.

Rows are haplotypes (0, 1) or dosages (0, 1, 2), columns are sites, and a negative value is a missing call. Only numpy
is loaded on import.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_CHUNK_ROWS, _CHUNK_SITES = 1024, 8192


# ---- missing calls ------------------------------------------------------------------------------------------------


def site_means(rows: np.ndarray) -> np.ndarray:
    """Return the mean of the called values of each site: float32, shape (sites,); 0 where no row has a call.

    Parameters
    ----------
    rows : array of int, shape (rows, sites)
        A negative value is missing.
    """
    called = rows >= 0
    sums = np.where(called, rows, 0).sum(axis=0, dtype=np.float64)
    return (sums / np.maximum(called.sum(axis=0), 1)).astype(np.float32)


def fill_missing(rows: np.ndarray, means: np.ndarray | None = None) -> np.ndarray:
    """Return rows as float32 with the mean of the site instead of missing calls (mean imputation).

    Parameters
    ----------
    rows : array of int, shape (rows, sites)
        A negative value is missing. The memory layout is kept, so that a transposed array may be given.
    means : array of float, shape (sites,), optional
        Means to fill in; by default those of the rows themselves (`site_means`).
    """
    filled = rows.astype(np.float32)
    if rows.size and rows.min() < 0:
        filled = np.where(rows < 0, site_means(rows) if means is None else np.float32(means), filled)
    return filled


# ---- distances ----------------------------------------------------------------------------------------------------


def unary_code(rows: np.ndarray, levels: int) -> np.ndarray:
    """Return 0/1 columns (value >= 1), (value >= 2), …, between which the Hamming distance is Σ|a - b|.

    Parameters
    ----------
    rows : array of int, shape (rows, sites)
        The result is float32, of shape (rows, levels * sites).
    levels : int
        Largest value: 1 for haplotypes, the ploidy for dosages.
    """
    if levels == 1:
        return (rows > 0).astype(np.float32)
    return np.concatenate([(rows >= k).astype(np.float32) for k in range(1, levels + 1)], axis=1)


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances |a|² + |b|² - 2 a·b between rows; for 0/1 rows, the Hamming distance.

    The rows are float32, of shapes (n, sites) and (m, sites), the distances float32, (n, m).
    """
    distances = a @ b.T
    distances *= -2
    distances += np.einsum("ij,ij->i", a, a)[:, None]
    distances += np.einsum("ij,ij->i", b, b)[None, :]
    return distances


def allele_differences(a: np.ndarray, b: np.ndarray, levels: int = 1) -> np.ndarray:
    """Return the number of alleles that differ between each row of one set and each row of another.

    That is the Hamming distance of haplotypes, and the Manhattan distance of dosages. Sites missing in either row are
    left out and the rest is scaled up to all sites; two rows without a common call are as far apart as can be.

    Parameters
    ----------
    a, b : arrays of int8, shapes (n, sites) and (m, sites)
        A negative value is missing.
    levels : int
        Largest value: 1 for haplotypes, the ploidy for dosages.

    Returns
    -------
    array of float32, shape (n, m)
    """
    if not any(rows.size and rows.min() < 0 for rows in (a, b)):
        differences = np.zeros((len(a), len(b)), dtype=np.float32)
        for start in range(0, a.shape[1], _CHUNK_SITES):  # whole numbers, so that the sum is exact
            of_a, of_b = (rows[:, start : start + _CHUNK_SITES] for rows in (a, b))
            x = unary_code(of_a, levels)
            differences += squared_distances(x, x if a is b else unary_code(of_b, levels))
        return differences
    x = unary_code(a, levels)
    y = x if a is b else unary_code(b, levels)
    called_x = np.tile((a >= 0).astype(np.float32), (1, levels))
    called_y = called_x if a is b else np.tile((b >= 0).astype(np.float32), (1, levels))
    differences = x @ y.T
    differences *= -2
    differences += x @ called_y.T
    differences += called_x @ y.T
    called = called_x @ called_y.T
    longest = a.shape[1] * levels
    np.divide(differences * longest, called, out=differences, where=called > 0)
    differences[called == 0] = longest
    return differences


def _distance_chunks(rows: np.ndarray, others: np.ndarray | None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield squared distances a thousand rows at a time; without others, to the other rows (a row to itself: inf)."""
    for start in range(0, len(rows), _CHUNK_ROWS):
        part = slice(start, min(start + _CHUNK_ROWS, len(rows)))
        distances = squared_distances(rows[part], rows if others is None else others)
        if others is None:
            distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf
        yield part, distances


def nearest_distances(rows: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Return the squared distance of each row to the nearest row of another set: float32, shape (rows,).

    For 0/1 rows that is the number of differing alleles. Without another set, the nearest other row of the same set is
    taken. Memory holds the distances of a thousand rows at a time.

    Parameters
    ----------
    rows, others : arrays of float32, shapes (n, sites) and (m, sites)
        Without missing calls (`fill_missing`); dosages may be given as `unary_code`.
    """
    nearest = np.empty(len(rows), dtype=np.float32)
    for part, distances in _distance_chunks(rows, others):
        nearest[part] = distances.min(axis=1)
    return nearest


def nearest_neighbours(rows: np.ndarray, k: int) -> np.ndarray:
    """Return the indices of the k nearest other rows of each row, nearest first, ties by index: int32, shape (rows, k).

    Parameters
    ----------
    rows : array of float32, shape (rows, sites)
        As for `nearest_distances`.
    k : int
        Fewer than there are rows.
    """
    neighbours = np.empty((len(rows), k), dtype=np.int32)
    for part, distances in _distance_chunks(rows, None):
        neighbours[part] = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return neighbours


# ---- correlations and components ----------------------------------------------------------------------------------


def standardise(rows: np.ndarray) -> np.ndarray:
    """Centre columns and scale them to length 1, so that z.T @ z holds Pearson's r of all pairs of sites; return them.

    A column that does not vary becomes 0: its r with any other is 0.

    Parameters
    ----------
    rows : array of float, shape (rows, sites)
        Without missing calls (`fill_missing`). Changed in place: a copy would take as much memory again.
    """
    rows -= rows.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", rows, rows))
    rows /= np.where(length > 1e-6, length, np.inf).astype(rows.dtype)
    return rows


def principal_axes(centred: np.ndarray, count: int, seed: int = 0, iterations: int = 4) -> np.ndarray:
    """Return the leading principal axes (right singular vectors) of centred rows: shape (axes, sites).

    By the randomised singular value decomposition of scikit-learn (Halko, Martinsson and Tropp 2011).

    Parameters
    ----------
    centred : array of float32, shape (rows, sites)
    count : int
        Number of axes; fewer are returned where there are fewer rows or sites.
    seed : int
        Random seed of the decomposition.
    iterations : int
        Power iterations; more are more exact.
    """
    from sklearn.utils.extmath import randomized_svd

    count = min(count, *centred.shape)
    return np.asarray(randomized_svd(centred, count, n_oversamples=10, n_iter=iterations, random_state=seed)[2])


# ---- attacks ------------------------------------------------------------------------------------------------------


def roc_auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return the area under the ROC curve of two groups of scores: P(positive > negative) + P(equal) / 2.

    Counted in sorted scores: a bootstrap asks hundreds of times, and `sklearn.metrics.roc_auc_score`, which it equals,
    takes twenty times as long.

    Parameters
    ----------
    positives, negatives : arrays of float
        Larger means "positive".
    """
    ordered = np.sort(negatives)
    below, not_above = (np.searchsorted(ordered, positives, side=side) for side in ("left", "right"))
    return float((below + not_above).mean() / (2 * len(ordered)))
