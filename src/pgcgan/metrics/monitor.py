"""A few metrics that a training run computes every few seconds."""

from __future__ import annotations

import numpy as np

from ..numerics import fill_missing, nearest_distances, roc_auc, standardise
from .frequency import minor
from .linkage import COMMON, WINDOW

_PAIR_BLOCK, _PAIR_BLOCKS, _FAR_SITES = 64, 8, 600  # sites and blocks whose pairs are looked at


def quick(
    train: np.ndarray, synthetic: np.ndarray, valid: np.ndarray, *, seed: int = 0, floor: bool = False
) -> dict[str, float]:
    """Return a few metrics of synthetic haplotypes against validation haplotypes, in about a second.

    Parameters
    ----------
    train, synthetic, valid : arrays of int8, shape (haplotypes, sites)
        Rows of 0, 1 and -1 (missing), as `Genotypes.haplotypes()` gives; any numbers of rows.
    seed : int
        Random seed of the subsamples of haplotypes and sites; keep it fixed during a training.
    floor : bool
        Whether to use the training haplotypes instead of the synthetic ones (the privacy numbers then mean nothing and
        are left out).

    Returns
    -------
    dict of str to float
        af_rmse, ld_rmse (of some neighbouring pairs), far_r (NaN if no sites are far apart), aa_truth, aa_syn (at equal
        n), membership_auc, nn_gap (median distance to the nearest synthetic haplotype, validation minus train, as a
        share of the sites). Definitions as in `evaluate`.
    """
    generator = np.random.default_rng([seed, 2])
    if floor:
        synthetic = train
    p, q = (_frequencies(rows) for rows in (synthetic, valid))
    metrics = {"af_rmse": float(np.sqrt(np.mean((p - q) ** 2)))}
    common = np.flatnonzero(minor(_frequencies(train)) >= COMMON)
    metrics["ld_rmse"] = _near_pairs_rmse(synthetic, valid, common, generator)
    metrics["far_r"] = _far_pairs_r(synthetic, valid, common, generator)
    size = min(len(train), len(synthetic), len(valid))
    a, b = (fill_missing(rows[generator.permutation(len(rows))[:size]]) for rows in (valid, synthetic))
    metrics["aa_truth"] = float((nearest_distances(a, b) > nearest_distances(a)).mean())
    metrics["aa_syn"] = float((nearest_distances(b, a) > nearest_distances(b)).mean())
    if not floor:
        released = fill_missing(synthetic)
        seen, unseen = (nearest_distances(fill_missing(rows), released) for rows in (train, valid))
        metrics["membership_auc"] = roc_auc(-seen, -unseen)
        metrics["nn_gap"] = float(np.median(unseen) - np.median(seen)) / train.shape[1]
    return metrics


def _near_pairs_rmse(a: np.ndarray, b: np.ndarray, common: np.ndarray, generator: np.random.Generator) -> float:
    """Return the RMSE of r² of pairs within the window, of a few blocks of sites with all sites that follow them."""
    if len(common) < 3:
        return float("nan")
    errors = []
    for start in generator.permutation(np.arange(0, len(common) - 1, _PAIR_BLOCK))[:_PAIR_BLOCKS]:
        sites = common[start : start + _PAIR_BLOCK + WINDOW]
        offset = np.arange(len(sites))[None, :] - np.arange(min(_PAIR_BLOCK, len(sites)))[:, None]
        near = (offset > 0) & (offset <= WINDOW)
        r = [(z[:, :_PAIR_BLOCK].T @ z)[near] for z in (standardise(fill_missing(rows[:, sites])) for rows in (a, b))]
        errors.append(r[0] ** 2 - r[1] ** 2)
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def _far_pairs_r(a: np.ndarray, b: np.ndarray, common: np.ndarray, generator: np.random.Generator) -> float:
    """Return the correlation of signed r of pairs beyond the window, of some hundred sites."""
    chosen = np.sort(generator.permutation(len(common))[:_FAR_SITES])
    far = np.triu(chosen[None, :] - chosen[:, None] > WINDOW)
    if far.sum() < 3:
        return float("nan")
    r = [(z.T @ z)[far] for z in (standardise(fill_missing(rows[:, common[chosen]])) for rows in (a, b))]
    return float(np.corrcoef(*r)[0, 1])


DIVERSE = 0.5  # below this share of the diversity of training people, a generator is losing diversity


def diversity(train: np.ndarray, synthetic: np.ndarray) -> float:
    """Return the diversity of synthetic rows as a share of that of training rows of the same label.

    The lesser of two ratios: of the mean share of columns in which two rows differ (low where a generator varies one
    row), and of the number of distinct rows (low where it repeats a few rows).

    Parameters
    ----------
    train, synthetic : arrays of int, shape (rows, columns)
        Block codes or alleles; of the larger set only as many rows are used as the smaller one has. -1 is missing and
        differs from nothing.

    Returns
    -------
    float
        About 1 for rows like those of training; 0 if all synthetic rows are equal; 1 if the training rows are, too.
    """
    rows = min(len(train), len(synthetic))
    measures = [(_differing(x[:rows]), len(np.unique(x[:rows], axis=0)) - 1) for x in (synthetic, train)]
    return min((own / real if real else 1.0) for own, real in zip(*measures, strict=True))


def _differing(rows: np.ndarray) -> float:
    """Return the mean share of columns in which two different rows differ."""
    known = (rows >= 0).astype(np.int64)
    same = -known.sum(axis=0)
    for value in np.unique(rows[rows >= 0]):
        same += (rows == value).sum(axis=0) ** 2
    called = known.sum(axis=0)
    pairs = called * (called - 1)
    return float((1 - same[pairs > 0] / pairs[pairs > 0]).mean()) if (pairs > 0).any() else 0.0


def _frequencies(rows: np.ndarray) -> np.ndarray:
    return (rows > 0).sum(axis=0) / np.maximum((rows >= 0).sum(axis=0), 1)
