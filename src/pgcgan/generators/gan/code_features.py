"""What the critic knows of codes from the start: principal components of whole rows and of the templates of a block."""

from __future__ import annotations

import numpy as np

from ..haplotype.blocks import Blocks
from .networks import MAX_POSITIONS

LEADING, COMPONENTS = 16, 96  # numbers of a position, of a row
_ROWS = 2000  # training rows that principal components are of


def component_scores(blocks: Blocks, codes: np.ndarray, count: int = COMPONENTS, seed: int = 0) -> np.ndarray:
    """Return what each code adds to the principal components of a row, each of unit variance.

    From the Gram matrix of the rows, added up block by block, so that memory does not grow with the sites.

    Parameters
    ----------
    blocks : Blocks
    codes : array of int, shape (rows, blocks)
        Of training rows; an unknown code (-1) adds nothing.
    count : int
        Components; fewer where there are fewer rows.
    seed : int
        Of the choice of rows.

    Returns
    -------
    array of float32, shape (codes of all blocks, components)
    """
    rows = np.sort(np.random.default_rng([seed, 11]).permutation(len(codes))[:_ROWS])
    codes = codes[rows]
    gram = np.zeros((len(codes), len(codes)))
    centred = []
    for b in range(len(blocks)):
        means = blocks.means(b)
        known = codes[:, b] >= 0
        centre = means[codes[known, b]].mean(axis=0) if known.any() else 0
        centred.append((means - centre).astype(np.float32))
        of_rows = np.where(known[:, None], centred[b][np.maximum(codes[:, b], 0)], 0)
        gram += of_rows @ of_rows.T
    values, vectors = np.linalg.eigh(gram)
    leading = np.argsort(values)[::-1][: min(count, max(1, len(codes) - 1))]
    scale = np.sqrt(np.maximum(values[leading], 1e-6 * max(values.max(), 1e-12)))
    weights = vectors[:, leading] / scale**2 * np.sqrt(len(codes))
    scores = []
    for b, templates in enumerate(centred):
        known = codes[:, b] >= 0
        of_rows = np.where(known[:, None], templates[np.maximum(codes[:, b], 0)], 0)
        scores.append(templates @ (of_rows.T @ weights))
    return np.concatenate(scores).astype(np.float32)


def leading_components(blocks: Blocks, leading: int = LEADING) -> np.ndarray:
    """Return the principal components of each block's templates, of unit size: float32 (codes of all blocks, leading).

    Blocks that share a position share its numbers: the first block has the first ones, and so on.
    """
    per_position = -(-len(blocks) // MAX_POSITIONS)
    each = max(1, leading // per_position)
    parts = []
    for b in range(len(blocks)):
        means = blocks.means(b)
        u, s, _ = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
        count = min(each, len(s))
        scores = u[:, :count] * s[:count]
        numbers = np.zeros((len(means), leading), dtype=np.float32)
        first = b % per_position * each
        numbers[:, (first + np.arange(count)) % leading] = scores / (scores.std() + 1e-6)
        parts.append(numbers)
    return np.concatenate(parts)
