"""Allele frequencies, sites lost and the site-frequency spectrum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.special import gammaln

from .matched import People, Sets
from .resampling import correlation, correlation_of, interval, moments, rmse_of, stretches
from .rows import Measured, NotComputable, Row

RARE = 0.05
LOST_BINS = (0.0, 0.001, 0.01, 0.05, 0.5)
PROJECTED = 100  # alleles; the spectra of all sets are projected to at most this many


def minor(frequency: np.ndarray) -> np.ndarray:
    """Return the minor allele frequency."""
    return np.minimum(frequency, 1 - frequency)


def allele_frequencies(sets: Sets) -> list[Row]:
    """Compare alt-allele frequencies per site: RMSE, largest error and Pearson r, all sites and those with MAF < 5 %.

    With p_i(S) the alt-allele frequency of site i among the called alleles of S, and H the held-out people:
    RMSE = sqrt(mean_i (p_i(S) - p_i(H))²), max = max_i |p_i(S) - p_i(H)|, r = corr_i(p_i(S), p_i(H)). The minor allele
    frequency that splits the sites is that of train. Frequencies equal `allel.AlleleCountsArray.to_frequencies` and
    `plink2 --freq`; the three summaries are those of Yelmen et al. (2021).
    """
    measured = Measured(sets.label, "frequency")
    rare = minor(sets.train.frequency) < RARE
    subsets = {"": np.ones(len(rare), dtype=bool), ", MAF < 5 %": rare}
    for suffix, chosen in subsets.items():
        note = f"{int(chosen.sum())} sites with MAF < 5 % in train" if suffix else _basis(sets)
        if not chosen.any():
            for name, aim in (("AF RMSE", "lower"), ("AF max error", "lower"), ("AF r", "higher")):
                measured.cannot(name + suffix, aim, "no site has a MAF < 5 % in train")
            continue
        starts = stretches(int(chosen.sum()))

        def rmse(a: People, b: People, chosen: np.ndarray = chosen) -> float:
            return float(np.sqrt(np.mean((a.frequency - b.frequency)[chosen] ** 2)))

        def largest(a: People, b: People, chosen: np.ndarray = chosen) -> float:
            return float(np.abs((a.frequency - b.frequency)[chosen]).max())

        def agreement(a: People, b: People, chosen: np.ndarray = chosen) -> float:
            return correlation(a.frequency[chosen], b.frequency[chosen])

        own = moments(sets.synthetic.frequency[chosen], sets.reference.frequency[chosen], starts)
        span = interval(lambda i, m=own: rmse_of(m[i].sum(axis=0)), len(starts), sets.seed)
        measured.add(f"AF RMSE{suffix}", *sets.compare(rmse), "lower", span, note)
        measured.add(f"AF max error{suffix}", *sets.compare(largest), "lower", note="the one worst site")
        try:
            span = interval(lambda i, m=own: correlation_of(m[i].sum(axis=0)), len(starts), sets.seed)
            measured.add(f"AF r{suffix}", *sets.compare(agreement), "higher", span, note)
        except NotComputable as reason:
            measured.cannot(f"AF r{suffix}", "higher", str(reason))
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
    """Count sites polymorphic in train and monomorphic in the synthetic set, all and in bins of the MAF in train.

    Share of the sites i with 0 < MAF_i(T) that have MAF_i(S) = 0. The floor is what chance takes from train itself: the
    mean share over 20 bootstrap samples of its people, of the same number (for a singleton (1 - 1/n)^n, about .37).
    """
    measured = Measured(sets.label, "frequency")
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
    for low, high in pairwise(LOST_BINS):
        bins[f"sites lost, MAF {low:g}-{high:g}"] = polymorphic & (maf > low) & (maf <= high)
    for name, chosen in bins.items():
        if not chosen.any():
            measured.cannot(name, "lower", "no polymorphic site of train has such a MAF")
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
    return _normalised(projected_counts(alts, called, size).sum(axis=0))


def projected_counts(alts: np.ndarray, called: np.ndarray, size: int) -> np.ndarray:
    """Return for each site the probability of minor-allele counts 1 … size // 2 among `size` of its called alleles.

    Parameters
    ----------
    alts, called, size
        As in `folded_spectrum`.

    Returns
    -------
    array of float, shape (sites, size // 2)
        Rows of zeros for sites with fewer called alleles.
    """
    out = np.zeros((len(alts), size // 2))
    usable = np.flatnonzero(called >= size)
    if not len(usable):
        return out
    pairs, which = np.unique(np.stack([called[usable], alts[usable]]), axis=1, return_inverse=True)
    n, k = pairs[0][:, None], pairs[1][:, None]
    j = np.arange(size + 1)[None, :]
    log_share = _log_choose(k, j) + _log_choose(n - k, size - j) - _log_choose(n, np.full_like(n, size))
    share = np.exp(log_share)
    folded = (share + share[:, ::-1])[:, : size // 2 + 1]
    if size % 2 == 0:
        folded[:, -1] /= 2
    out[usable] = folded[which.ravel(), 1:]
    return out


def _normalised(spectrum: np.ndarray) -> np.ndarray:
    total = spectrum.sum()
    if total == 0:
        raise NotComputable("no site is polymorphic")
    return spectrum / total


def _log_choose(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
    possible = (np.asarray(k) >= 0) & (np.asarray(k) <= n)
    inner = np.where(possible, n - np.asarray(k), 0)
    return np.where(possible, gammaln(np.asarray(n) + 1) - gammaln(np.asarray(k) + 1) - gammaln(inner + 1), -np.inf)


def spectra(sets: Sets) -> list[Row]:
    """Compare folded site-frequency spectra: total variation ½ Σ_k |f_k(S) - f_k(H)|, and the share of singletons f_1.

    All spectra are projected to one number of alleles first (at most 100), so that sizes do not matter. The spectrum is
    that of `allel.sfs_folded` (`folded_spectrum`); the interval of the singletons resamples stretches of sites.
    """
    measured = Measured(sets.label, "frequency")
    cohorts = [c for c in (sets.train, sets.synthetic, sets.holdout) if c is not None]
    size = min(PROJECTED, *(int(np.median(c.called)) for c in cohorts))
    if size < 4:
        raise NotComputable(f"needs at least 4 called alleles a site, there are {size}")
    sums = {c: projected_counts(c.alts, c.called, size) for c in cohorts}
    spectrum = {c: _normalised(by_site.sum(axis=0)) for c, by_site in sums.items()}
    value, floor = sets.compare(lambda a, b: 0.5 * float(np.abs(spectrum[a] - spectrum[b]).sum()))
    measured.add("SFS distance", value, floor, "lower", note=f"total variation, projected to {size} alleles")
    shares = {name: float(spectrum[getattr(sets, name)][0]) for name in ("synthetic", "train", sets.reference_name)}
    note = f"share of the polymorphic sites, projected to {size} alleles; floor: train"
    if sets.holdout:
        note += f"; held-out {shares['holdout']:.4f}"
    starts = stretches(sets.train.sites)
    pieces = np.add.reduceat(sums[sets.synthetic], starts, axis=0)
    first, total = pieces[:, 0], pieces.sum(axis=1)
    span = interval(lambda i: _ratio(first[i].sum(), total[i].sum()), len(starts), sets.seed)
    measured.add("singleton share", shares["synthetic"], shares["train"], "floor", span, note)
    if sets.parent is None:
        named = {"train": sets.train, "holdout": sets.holdout, "synthetic": sets.synthetic}
        sets.figures["sfs"] = {
            "alleles": size,
            **{n: spectrum[c].round(7).tolist() for n, c in named.items() if c is not None},
        }
    return measured.rows


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def _basis(sets: Sets) -> str:
    return "" if sets.holdout else "against train: no held-out people were given"
