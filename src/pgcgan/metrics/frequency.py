"""Allele frequencies, sites lost and the site-frequency spectrum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.special import gammaln

from .matched import Measured, NotComputable, Row, Sets, correlation, interval, stretches

RARE = 0.05
LOST_BINS = (0.0, 0.001, 0.01, 0.05, 0.5)
PROJECTED = 100  # alleles; the spectra of all sets are projected to at most this many


def minor(frequency: np.ndarray) -> np.ndarray:
    """Return the minor allele frequency."""
    return np.minimum(frequency, 1 - frequency)


def allele_frequencies(sets: Sets) -> list[Row]:
    """Compare alt-allele frequencies per site: Pearson r, RMSE, largest error, and the RMSE of sites with MAF < 5 %."""
    measured = Measured(sets, "frequency")
    value, floor = sets.compare(lambda a, b: _root_mean_square(a.frequency - b.frequency))
    squares = (sets.synthetic.frequency - sets.reference.frequency) ** 2
    measured.add("AF RMSE", value, floor, "lower", _rmse_interval(squares, sets.seed), _basis(sets))
    measured.add(
        "AF max error", *sets.compare(lambda a, b: float(np.abs(a.frequency - b.frequency).max())), note="one site"
    )
    rare = minor(sets.train.frequency) < RARE
    if rare.any():
        value, floor = sets.compare(lambda a, b: _root_mean_square((a.frequency - b.frequency)[rare]))
        note = f"{int(rare.sum())} sites with MAF < 5 % in train"
        measured.add("AF RMSE, MAF < 5 %", value, floor, "lower", _rmse_interval(squares[rare], sets.seed), note)
    try:
        value, floor = sets.compare(lambda a, b: correlation(a.frequency, b.frequency))
        measured.add("AF r", value, floor, "higher")
    except NotComputable as reason:
        measured.rows.append(Row("frequency", "AF r", sets.label, None, aim="higher", note=str(reason)))
    if sets.parent is None:
        sites = np.sort(sets.generator(3).permutation(len(rare))[:1500])
        sets.figures["allele_frequency"] = {
            "reference_name": sets.reference_name,
            "reference": sets.reference.frequency[sites].round(4).tolist(),
            "synthetic": sets.synthetic.frequency[sites].round(4).tolist(),
            "train": sets.train.frequency[sites].round(4).tolist() if sets.holdout else None,
            "by_label": {},
        }
    else:
        figure = sets.parent.figures["allele_frequency"]["by_label"]
        sites = np.sort(sets.generator(3).permutation(len(rare))[: min(400, 8000 // len(sets.parent.by_label))])
        named = {"reference": sets.reference, "synthetic": sets.synthetic}
        if sets.holdout:
            named["train"] = sets.train
        figure[sets.label] = {n: c.frequency[sites].round(4).tolist() for n, c in named.items()}
    return measured.rows


def sites_lost(sets: Sets) -> list[Row]:
    """Count sites polymorphic in train and monomorphic in the synthetic set, all and by MAF in train.

    The floor is the mean of 20 bootstrap samples of the training people, of the same number.
    """
    measured = Measured(sets, "frequency")
    train = sets.train
    maf = minor(train.frequency)
    polymorphic = maf > 0
    if not polymorphic.any():
        raise NotComputable("no site is polymorphic in train")
    lost = polymorphic & (minor(sets.synthetic.frequency) == 0)
    dosages = np.maximum(train.dosages, 0).astype(np.float32)
    copies = (train.dosages >= 0).astype(np.float32) if train.missing else None
    draws = sets.generator(4).multinomial(train.people, np.full(train.people, 1 / train.people), size=20).T
    alts = dosages @ draws.astype(np.float32)
    called = train.calls.shape[2] * (copies @ draws.astype(np.float32) if copies is not None else float(train.people))
    lost_by_chance = polymorphic[:, None] & ((alts < 0.5) | (alts > called - 0.5))
    bins = {"sites lost": polymorphic}
    if sets.parent is None:
        for low, high in pairwise(LOST_BINS):
            bins[f"sites lost, MAF {low:g}-{high:g}"] = polymorphic & (maf > low) & (maf <= high)
    for name, chosen in bins.items():
        if not chosen.any():
            continue
        share = lost[chosen].astype(float)
        starts = stretches(len(share))
        sums, sizes = np.add.reduceat(share, starts), np.diff([*starts, len(share)])
        measured.add(
            name,
            share.mean(),
            lost_by_chance[chosen].mean(),
            "lower",
            interval(lambda i, s=sums, n=sizes: s[i].sum() / n[i].sum(), len(starts), sets.seed),
            f"share of {int(chosen.sum())} sites; floor: bootstrap of train",
        )
    return measured.rows


def folded_spectrum(alts: np.ndarray, called: np.ndarray, size: int) -> np.ndarray:
    """Return the folded site-frequency spectrum projected to `size` alleles, polymorphic classes only, summing to 1.

    Without projection (every site called in `size` alleles) it equals `allel.sfs_folded`, normalised, without the
    monomorphic class.

    Parameters
    ----------
    alts, called : arrays of int, shape (sites,)
        Alt alleles and called alleles of each site.
    size : int
        Alleles to project to (hypergeometric; Gutenkunst et al. 2009); sites with fewer called alleles are left out.

    Returns
    -------
    array of float, shape (size // 2,)
        Share of minor-allele counts 1, 2, …, size // 2.
    """
    spectrum = np.zeros(size + 1)
    usable = called >= size
    pairs, counts = np.unique(np.stack([called[usable], alts[usable]]), axis=1, return_counts=True)
    for n in np.unique(pairs[0]):
        of_n = pairs[0] == n
        k, j = pairs[1][of_n][:, None], np.arange(size + 1)[None, :]
        with np.errstate(invalid="ignore"):
            log_share = _log_choose(k, j) + _log_choose(n - k, size - j) - _log_choose(n, size)
        spectrum += counts[of_n] @ np.exp(log_share)
    folded = spectrum + spectrum[::-1]
    folded = folded[: size // 2 + 1]
    if size % 2 == 0:
        folded[-1] /= 2
    total = folded[1:].sum()
    if total == 0:
        raise NotComputable("no site is polymorphic")
    return folded[1:] / total


def _log_choose(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
    possible = (np.asarray(k) >= 0) & (np.asarray(k) <= n)
    inner = np.where(possible, n - np.asarray(k), 0)
    return np.where(possible, gammaln(np.asarray(n) + 1) - gammaln(np.asarray(k) + 1) - gammaln(inner + 1), -np.inf)


def spectra(sets: Sets) -> list[Row]:
    """Compare folded site-frequency spectra: total variation, and the share of singletons."""
    measured = Measured(sets, "frequency")
    cohorts = [c for c in (sets.train, sets.synthetic, sets.holdout) if c is not None]
    size = min(PROJECTED, *(int(np.median(c.called)) for c in cohorts))
    if size < 4:
        raise NotComputable(f"needs at least 4 called alleles a site, there are {size}")

    spectrum = {c: folded_spectrum(c.alts, c.called, size) for c in cohorts}
    value, floor = sets.compare(lambda a, b: 0.5 * float(np.abs(spectrum[a] - spectrum[b]).sum()))
    measured.add("SFS distance", value, floor, "lower", note=f"total variation, projected to {size} alleles")
    shares = {name: float(spectrum[getattr(sets, name)][0]) for name in ("synthetic", "train", sets.reference_name)}
    note = f"share of the polymorphic sites, projected to {size} alleles; floor: train"
    if sets.holdout:
        note += f"; held-out {shares['holdout']:.4f}"
    measured.add("singleton share", shares["synthetic"], shares["train"], "floor", note=note)
    if sets.parent is None:
        named = {"train": sets.train, "holdout": sets.holdout, "synthetic": sets.synthetic}
        sets.figures["sfs"] = {
            "alleles": size,
            **{n: spectrum[c].round(7).tolist() for n, c in named.items() if c is not None},
        }
    return measured.rows


def _root_mean_square(differences: np.ndarray) -> float:
    return float(np.sqrt(np.mean(differences**2)))


def _rmse_interval(squares: np.ndarray, seed: int) -> tuple[float | None, float | None]:
    starts = stretches(len(squares))
    sums, sizes = np.add.reduceat(squares, starts), np.diff([*starts, len(squares)])
    return interval(lambda i: float(np.sqrt(sums[i].sum() / sizes[i].sum())), len(starts), seed)


def _basis(sets: Sets) -> str:
    return "" if sets.holdout else "against train: no held-out people were given"
