"""The few metrics that a training looks at while it runs."""

from __future__ import annotations

import numpy as np

from . import frequency, haplotypes, linkage
from .matched import filled, hamming


def quick(
    train: np.ndarray, synthetic: np.ndarray, valid: np.ndarray, *, seed: int = 0, floor: bool = False
) -> dict[str, float]:
    """Return a few metrics of synthetic haplotypes against validation haplotypes, in about a second.

    Parameters
    ----------
    train, synthetic, valid : arrays of int8, shape (haplotypes, sites)
        Rows of 0, 1 and -1 (missing), as `Genotypes.haplotypes()` gives; any numbers of rows.
    seed : int
        Of the cuts and of the sample of pairs; keep it fixed during a training.
    floor : bool
        Whether to put the training haplotypes in the place of the synthetic ones (the privacy numbers then mean
        nothing and are left out).

    Returns
    -------
    dict of str to float
        af_rmse, ld_rmse (a fixed sample of neighbouring pairs), far_r (NaN if no sites are far apart), aa_truth, aa_syn
        (at equal n), membership_auc, nn_gap (median distance to the nearest synthetic haplotype, validation minus
        train, as a share of the sites). Definitions as in `evaluate`.
    """
    generator = np.random.default_rng([seed, 2])
    if floor:
        synthetic = train
    of = {"train": train.T, "synthetic": synthetic.T, "valid": valid.T}
    columns = {n: of[n] for n in ("synthetic", "valid")}
    p, q = (_frequencies(columns[n]) for n in ("synthetic", "valid"))
    found = {"af_rmse": float(np.sqrt(np.nanmean((p - q) ** 2)))}

    common = np.flatnonzero(frequency.minor(_frequencies(of["train"])) >= linkage.COMMON)
    near: list[list[np.ndarray]] = [[], []]
    if len(common) >= 3:
        starts = generator.permutation(np.arange(0, len(common) - 1, 64))[:8]
        for start in starts:
            chosen = common[start : start + 64 + linkage.WINDOW]
            for k, name in enumerate(columns):
                z = linkage.standardised(filled(columns[name][chosen]))
                r = z[:64] @ z.T
                offset = np.arange(len(chosen))[None, :] - np.arange(len(r))[:, None]
                near[k].append(r[(offset > 0) & (offset <= linkage.WINDOW)] ** 2)
        a, b = (np.concatenate(parts) for parts in near)
        found["ld_rmse"] = float(np.sqrt(np.mean((a - b) ** 2)))
    else:
        found["ld_rmse"] = float("nan")
    picked = np.sort(generator.permutation(len(common))[:600])
    i, j = np.nonzero(np.triu(picked[None, :] - picked[:, None] > linkage.WINDOW))
    found["far_r"] = float("nan")
    if len(i) >= 3:
        signed = []
        for values in columns.values():
            z = linkage.standardised(filled(values[common[picked]]))
            signed.append((z @ z.T)[i, j])
        found["far_r"] = float(np.corrcoef(*signed)[0, 1])

    cut = min(len(train), len(synthetic), len(valid))
    rows = {n: np.ascontiguousarray(v[:, np.sort(generator.permutation(v.shape[1])[:cut])]) for n, v in of.items()}
    across = hamming(rows["valid"], rows["synthetic"])
    within = {n: hamming(rows[n], rows[n]) for n in ("valid", "synthetic")}
    found["aa_truth"] = float(haplotypes.farther_than_own(across, within["valid"]).mean())
    found["aa_syn"] = float(haplotypes.farther_than_own(across.T, within["synthetic"]).mean())
    if not floor:
        released = np.ascontiguousarray(of["synthetic"])
        seen, unseen = (hamming(rows[n], released).min(axis=1) for n in ("train", "valid"))
        found["membership_auc"] = haplotypes.roc_auc(-seen, -unseen)
        found["nn_gap"] = float(np.median(unseen) - np.median(seen)) / train.shape[1]
    return found


DIVERSE = 0.5  # of what training people of a label have: below this, a generator is losing diversity


def diversity(train: np.ndarray, drawn: np.ndarray) -> float:
    """Return how diverse drawn rows are, as a share of what training rows of the same label are.

    The lesser of two ratios: the mean share of columns in which two rows differ (what a generator loses that draws rows
    around one), and the number of distinct rows (what a generator loses that knows a few by heart).

    Parameters
    ----------
    train, drawn : arrays of int, shape (rows, columns)
        Block codes or alleles; as many rows are looked at as both have. -1 is missing and differs from nothing.

    Returns
    -------
    float
        About 1 for rows like those of training; 0 where all drawn rows are equal; 1 where training rows are, too.
    """
    rows = min(len(train), len(drawn))
    told = [(_differing(x[:rows]), len(np.unique(x[:rows], axis=0)) - 1) for x in (drawn, train)]
    return min((d / t if t else 1.0) for d, t in zip(*told, strict=True))


def _differing(rows: np.ndarray) -> float:
    """Return the mean share of columns in which two different rows differ."""
    known = (rows >= 0).astype(np.int64)
    same = -known.sum(axis=0)
    for value in np.unique(rows[rows >= 0]):
        same += (rows == value).sum(axis=0) ** 2
    called = known.sum(axis=0)
    pairs = called * (called - 1)
    return float((1 - same[pairs > 0] / pairs[pairs > 0]).mean()) if (pairs > 0).any() else 0.0


def _frequencies(values: np.ndarray) -> np.ndarray:
    called = (values >= 0).sum(axis=1)
    return (values > 0).sum(axis=1) / np.maximum(called, 1)
