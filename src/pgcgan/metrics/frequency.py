"""Allele frequencies, sites lost and the site-frequency spectrum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .comparison import Comparison
from .rows import NotComputable, Row, RowBuilder, block_starts, correlation, correlation_of, interval, moments, rmse_of

RARE = 0.05
LOST_BINS = (0.0, 0.001, 0.01, 0.05, 0.5)
PROJECTED = 100  # alleles; the spectra of all sets are projected to at most this many


def minor(frequency: np.ndarray) -> np.ndarray:
    """Return the minor allele frequency."""
    return np.minimum(frequency, 1 - frequency)


def allele_frequencies(comparison: Comparison) -> list[Row]:
    """Compare alt-allele frequencies per site: RMSE, largest error and Pearson r, all sites and those with MAF < 5 %.

    With p_i(S) the alt-allele frequency of site i among the called alleles of S, and H the held-out people:
    RMSE = sqrt(mean_i (p_i(S) - p_i(H))²), max = max_i |p_i(S) - p_i(H)|, r = corr_i(p_i(S), p_i(H)). The minor allele
    frequency that splits the sites is that of train. Frequencies equal `allel.AlleleCountsArray.to_frequencies` and
    `plink2 --freq`; the three summaries are those of Yelmen et al. (2021).
    """
    builder = RowBuilder(comparison.label, "frequency")
    rare = minor(comparison.train.frequency) < RARE
    _add_frequency_rows(builder, comparison, "", np.ones(len(rare), dtype=bool))
    if rare.any():
        _add_frequency_rows(builder, comparison, ", MAF < 5 %", rare)
    else:
        for name, aim in (("AF RMSE", "lower"), ("AF max error", "lower"), ("AF r", "higher")):
            builder.cannot(f"{name}, MAF < 5 %", aim, "no site has a MAF < 5 % in train")
    _frequency_figure(comparison)
    return builder.rows


def _add_frequency_rows(builder: RowBuilder, comparison: Comparison, suffix: str, sites: np.ndarray) -> None:
    note = "" if comparison.holdout else "against train: no held-out people were given"
    if suffix:
        note = f"{int(sites.sum())} sites with MAF < 5 % in train"
    p = {name: cohort.frequency[sites] for name, cohort in comparison.cohorts.items()}

    rmse = comparison.compare(lambda a, b: float(np.sqrt(np.mean((p[a] - p[b]) ** 2))))
    largest = comparison.compare(lambda a, b: float(np.abs(p[a] - p[b]).max()))
    starts = block_starts(int(sites.sum()))
    sums = moments(p["synthetic"], p[comparison.reference_name], starts)
    span = interval(lambda i: rmse_of(sums[i].sum(axis=0)), len(starts), comparison.seed)
    builder.add(f"AF RMSE{suffix}", *rmse, "lower", span, note)
    builder.add(f"AF max error{suffix}", *largest, "lower", note="the worst site")
    try:
        agreement = comparison.compare(lambda a, b: correlation(p[a], p[b]))
        span = interval(lambda i: correlation_of(sums[i].sum(axis=0)), len(starts), comparison.seed)
        builder.add(f"AF r{suffix}", *agreement, "higher", span, note)
    except NotComputable as reason:
        builder.cannot(f"AF r{suffix}", "higher", str(reason))


def _frequency_figure(comparison: Comparison) -> None:
    """Store the frequencies of some sites: of 1,500 overall, of fewer for each label."""
    root = comparison.root
    shown = 1500 if comparison is root else min(400, 8000 // len(root.by_label))
    sites = np.sort(comparison.generator(3).permutation(comparison.train.n_sites)[:shown])
    cohorts = {"reference": comparison.reference, "synthetic": comparison.synthetic}
    if comparison.holdout:
        cohorts["train"] = comparison.train
    points: dict = {name: cohort.frequency[sites].round(4).tolist() for name, cohort in cohorts.items()}
    if comparison is root:
        extra = {"reference_name": comparison.reference_name, "by_label": {}}
        root.figures["allele_frequency"] = {"train": None, **points, **extra}
    else:
        root.figures["allele_frequency"]["by_label"][comparison.label] = points


def sites_lost(comparison: Comparison) -> list[Row]:
    """Count sites polymorphic in train and monomorphic in the synthetic set, all and in bins of the MAF in train.

    Share of the sites i with 0 < MAF_i(T) that have MAF_i(S) = 0. The floor is what chance takes from train itself: the
    mean share over 20 bootstrap samples of its people, of the same number (for a singleton (1 - 1/n)^n, about .37).
    """
    builder = RowBuilder(comparison.label, "frequency")
    train = comparison.train
    maf = minor(train.frequency)
    polymorphic = maf > 0
    if not polymorphic.any():
        raise NotComputable("no site is polymorphic in train")
    lost = polymorphic & (minor(comparison.synthetic.frequency) == 0)
    draws = comparison.generator(4).multinomial(train.n_people, np.full(train.n_people, 1 / train.n_people), size=20)
    times = draws.T.astype(np.float32)  # of each person in each sample
    alts = np.maximum(train.dosages, 0).astype(np.float32) @ times
    copies = (train.dosages >= 0).astype(np.float32) @ times if train.missing else float(train.n_people)
    lost_by_chance = polymorphic[:, None] & ((alts < 0.5) | (alts > train.ploidy * copies - 0.5))
    bins = {"sites lost": polymorphic}
    for low, high in pairwise(LOST_BINS):
        bins[f"sites lost, MAF {low:g}-{high:g}"] = polymorphic & (maf > low) & (maf <= high)
    for name, chosen in bins.items():
        if not chosen.any():
            builder.cannot(name, "lower", "no polymorphic site of train has such a MAF")
            continue
        share = lost[chosen].astype(float)
        starts = block_starts(len(share))
        sums, sizes = np.add.reduceat(share, starts), np.diff([*starts, len(share)])
        span = interval(lambda i, s=sums, n=sizes: s[i].sum() / n[i].sum(), len(starts), comparison.seed)
        note = f"share of {int(chosen.sum())} sites; floor: bootstrap of train"
        builder.add(name, share.mean(), lost_by_chance[chosen].mean(), "lower", span, note)
    return builder.rows


def projected_counts(alts: np.ndarray, called: np.ndarray, size: int) -> np.ndarray:
    """Return the probability of minor-allele counts 1 … size // 2 among `size` called alleles: (sites, size // 2).

    The hypergeometric projection of Gutenkunst et al. (2009): with k alt alleles of n, j of them are among the chosen
    with probability C(k, j) C(n - k, size - j) / C(n, size). Without projection (n = size) the sum over sites equals
    `allel.sfs_folded` without the monomorphic class. A site with fewer called alleles has zeros.
    """
    from scipy.special import binom

    out = np.zeros((len(alts), size // 2))
    usable = np.flatnonzero(called >= size)
    (n, k), which = np.unique(np.stack([called[usable], alts[usable]]), axis=1, return_inverse=True)
    n, k, j = n[:, None], k[:, None], np.arange(size + 1)
    share = binom(k, j) * binom(n - k, size - j) / binom(n, size)
    folded = (share + share[:, ::-1])[:, : size // 2 + 1]
    if size % 2 == 0:
        folded[:, -1] /= 2
    out[usable] = folded[which.ravel(), 1:]
    return out


def spectra(comparison: Comparison) -> list[Row]:
    """Compare folded site-frequency spectra: total variation ½ Σ_k |f_k(S) - f_k(H)|, and the share of singletons f_1.

    All spectra are projected to one number of alleles first (at most 100), so that sizes do not matter
    (`projected_counts`). The interval of the singletons resamples blocks of sites.
    """
    builder = RowBuilder(comparison.label, "frequency")
    size = min(PROJECTED, *(int(np.median(cohort.called)) for cohort in comparison.cohorts.values()))
    if size < 4:
        raise NotComputable(f"needs at least 4 called alleles a site, there are {size}")
    by_site = {name: projected_counts(c.alts, c.called, size) for name, c in comparison.cohorts.items()}
    counts = {name: projected.sum(axis=0) for name, projected in by_site.items()}
    if not all(count.any() for count in counts.values()):
        raise NotComputable("no site is polymorphic")
    spectrum = {name: count / count.sum() for name, count in counts.items()}

    distance = comparison.compare(lambda a, b: 0.5 * float(np.abs(spectrum[a] - spectrum[b]).sum()))
    note = f"total variation, projected to {size} alleles"
    builder.add("SFS distance", *distance, "lower", note=note)
    note = f"share of the polymorphic sites, projected to {size} alleles; floor: train"
    if comparison.holdout:
        note += f"; held-out {spectrum['holdout'][0]:.4f}"
    starts = block_starts(comparison.train.n_sites)
    sums = np.add.reduceat(by_site["synthetic"], starts, axis=0)
    singletons, polymorphic = sums[:, 0], sums.sum(axis=1)
    span = interval(lambda i: _ratio(singletons[i].sum(), polymorphic[i].sum()), len(starts), comparison.seed)
    shares = spectrum["synthetic"][0], spectrum["train"][0]
    builder.add("singleton share", *shares, "floor", span, note)
    if comparison.parent is None:
        curves = {name: shares.round(7).tolist() for name, shares in spectrum.items()}
        comparison.figures["sfs"] = {"alleles": size, **curves}
    return builder.rows


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
