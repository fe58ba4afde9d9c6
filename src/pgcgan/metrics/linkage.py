"""Linkage disequilibrium: r² of neighbours, its decay, signed r of far pairs, and third moments of triples."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..numerics import fill_missing, standardise
from .comparison import Cohort, Comparison
from .frequency import minor
from .rows import NotComputable, Row, Span, block_starts, correlation, correlation_of, interval, moments, rmse_of

COMMON = 0.05
WINDOW = 500  # sites
DECAY_BINS = 25
FAR_SITES = 1000
FAR_PIECES = 40  # blocks of those sites that the bootstrap resamples
TRIPLES_PER_GAP = 1500
GAPS = tuple(2**k for k in range(11))
_BLOCK = 100  # sites of a block, for the products and the bootstrap
Agreement = tuple[float, float | None, str, Span]  # value, floor, aim and interval


def common_sites(comparison: Comparison) -> np.ndarray:
    """Return the indices of sites with MAF >= 5 % in train; raise NotComputable if there are fewer than three."""
    sites = np.flatnonzero(minor(comparison.train.frequency) >= COMMON)
    if len(sites) < 3:
        raise NotComputable(f"needs at least 3 sites with MAF >= 5 % in train, there are {len(sites)}")
    return sites


def standardised(cohort: Cohort, sites: np.ndarray) -> np.ndarray:
    """Return rows at some sites as float32, shape (sites, rows), such that z @ z.T holds Pearson's r of all pairs."""
    return standardise(cohort.filled(sites).T).T


def _distance_edges(position: np.ndarray, contig: np.ndarray) -> np.ndarray:
    """Return the edges of log-spaced bins from the median gap to the farthest pair within the window."""
    last = np.minimum(np.arange(len(position)) + WINDOW, np.searchsorted(contig, contig, side="right") - 1)
    farthest = max(2, int((position[last] - position).max())) + 1
    gaps = np.diff(position)[np.diff(contig) == 0]
    nearest = max(1, int(np.median(gaps)) if len(gaps) else 1)
    return np.geomspace(nearest, max(farthest, 2 * nearest), DECAY_BINS + 1)


def _pair_sums(
    comparison: Comparison, sites: np.ndarray
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Return sums of r² over pairs of neighbouring sites, its decay, and the distances of that in bp.

    The sums are `resampling.moments` of the r² of two cohorts by block of sites, shape (blocks, 6); the decay is the
    mean r² of a cohort by distance bin, of bins with ten pairs or more; a distance is the middle of such a bin.
    """
    scaled = {name: standardised(cohort, sites) for name, cohort in comparison.cohorts.items()}
    compared = [("synthetic", comparison.reference_name)] + ([("train", "holdout")] if comparison.holdout else [])
    position, names = comparison.position[sites], comparison.contig[sites]
    contig = np.cumsum(np.concatenate([[0], names[1:] != names[:-1]]).astype(int))  # in the order of the file
    edges = _distance_edges(position, contig)
    products: dict[tuple[str, str], list[np.ndarray]] = {pair: [] for pair in compared}
    totals = {name: np.zeros(DECAY_BINS) for name in scaled}
    counts = np.zeros(DECAY_BINS)
    block = max(8, min(_BLOCK, len(sites) // 20))
    for start in range(0, len(sites) - 1, block):
        stop, end = min(start + block, len(sites)), min(start + block + WINDOW, len(sites))
        offset = np.arange(start, end)[None, :] - np.arange(start, stop)[:, None]
        near = (offset > 0) & (offset <= WINDOW)
        if not near.any():
            continue
        squared = {n: ((z[start:stop] @ z[start:end].T)[near] ** 2).astype(np.float64) for n, z in scaled.items()}
        for first, second in compared:
            products[first, second].append(moments(squared[first], squared[second], np.array([0]))[0])
        distance = (position[None, start:end] - position[start:stop, None])[near]
        same = (contig[None, start:end] == contig[start:stop, None])[near]
        bins = np.searchsorted(edges, distance, side="right") - 1
        inside = same & (bins >= 0) & (bins < DECAY_BINS)
        counts += np.bincount(bins[inside], minlength=DECAY_BINS)
        for name, values in squared.items():
            totals[name] += np.bincount(bins[inside], weights=values[inside], minlength=DECAY_BINS)
    used = counts >= 10
    decay = {name: total[used] / counts[used] for name, total in totals.items()}
    return {k: np.array(v) for k, v in products.items()}, decay, np.sqrt(edges[:-1] * edges[1:])[used]


def linkage_disequilibrium(comparison: Comparison) -> list[Row]:
    """Compare r² of 0/1 columns (dosages where unphased) of sites with MAF >= 5 % in train, up to 500 sites apart.

    r²_ij = corr(x_i, x_j)² over the rows of a set: for haplotypes that of Hill and Robertson (1968), as
    `plink2 --r2-phased`; for dosages that of Rogers and Huff (2008), as `allel.rogers_huff_r` squared and
    `plink2 --r2-unphased`. LD RMSE = sqrt(mean (r²_ij(S) - r²_ij(H))²) and LD r = corr(r²_ij(S), r²_ij(H)) over all
    pairs; a site that is monomorphic in one set counts with r² = 0 there. The decay is the mean r² in 25 log-spaced
    distance bins on one contig, and its RMSE that of the curve.
    """
    builder = comparison.builder("linkage")
    sites = common_sites(comparison)
    sums, decay, distance = _pair_sums(comparison, sites)
    note = f"{len(sites)} sites, pairs up to {WINDOW} sites apart" + ("" if comparison.train.phased else ", dosages")
    for name, function, aim in (("LD RMSE", rmse_of, "lower"), ("LD r", correlation_of, "higher")):

        def statistic(a: str, b: str, blocks: np.ndarray | slice = slice(None), function: Any = function) -> float:
            return function(sums[a, b][blocks].sum(axis=0))

        value, floor = comparison.compare(statistic)
        if not np.isfinite(value):
            builder.cannot(name, aim, "r² does not vary in one of the sets")
            continue
        pair = ("synthetic", comparison.reference_name)
        span = interval(partial(statistic, *pair), len(sums[pair]), comparison.seed)
        builder.add(name, value, floor, aim, span, note)
    if len(distance) < 3:
        builder.cannot("LD decay RMSE", "lower", "too few pairs of sites on one contig")
    else:
        rmse = comparison.compare(lambda a, b: float(np.sqrt(np.mean((decay[a] - decay[b]) ** 2))))
        builder.add("LD decay RMSE", *rmse, "lower", note=f"mean r² in {len(distance)} distance bins")
    if comparison.parent is None:
        curves = {name: curve.round(5).tolist() for name, curve in decay.items()}
        comparison.figures["ld_decay"] = {"distance": distance.round(1).tolist(), **curves}
        comparison.figures["ld_matrix"] = _matrix_figure(comparison, sites)
    return builder.rows


def _matrix_figure(comparison: Comparison, sites: np.ndarray) -> dict:
    shown = sites[np.linspace(0, len(sites) - 1, min(100, len(sites))).round().astype(int)]
    figure = {
        "reference_name": comparison.reference_name,
        "contig": comparison.contig[shown].astype(str).tolist(),
        "position": comparison.position[shown].tolist(),
    }
    for key, cohort in (("reference", comparison.reference), ("synthetic", comparison.synthetic)):
        z = standardised(cohort, shown)
        figure[key] = np.clip((z @ z.T) ** 2, 0, 1).round(2).astype(float).tolist()
    return figure


def far_pairs(comparison: Comparison) -> list[Row]:
    """Correlate signed r of random pairs of common sites more than 500 sites apart with that of the reference.

    corr(r_ij(S), r_ij(H)), r signed: it shows ancestry and haplotypes longer than the window of r². All pairs among
    1,000 random sites are taken; the interval resamples blocks of these sites.
    """
    builder = comparison.builder("linkage")
    sites = common_sites(comparison)
    if len(sites) < WINDOW + 12:
        raise NotComputable(f"no two of the {len(sites)} common sites are more than {WINDOW} sites apart")
    chosen = np.sort(comparison.generator(5).permutation(len(sites))[:FAR_SITES])
    first, second = np.nonzero(np.triu(chosen[None, :] - chosen[:, None] > WINDOW))

    def signed(cohort: Cohort) -> np.ndarray:
        z = standardised(cohort, sites[chosen])
        return (z @ z.T)[first, second].astype(float)

    r = {name: signed(cohort) for name, cohort in comparison.cohorts.items()}
    synthetic, reference = r["synthetic"], r[comparison.reference_name]
    pieces = min(FAR_PIECES, len(chosen))
    piece = np.arange(len(chosen)) * pieces // len(chosen)
    cell = piece[first] * pieces + piece[second]
    products = (np.ones(len(first)), synthetic, reference, synthetic**2, reference**2, synthetic * reference)
    sums = np.stack([np.bincount(cell, p, pieces * pieces).reshape(pieces, pieces) for p in products], axis=2)

    def resampled(i: np.ndarray) -> float:
        times = np.bincount(i, minlength=pieces).astype(float)
        return correlation_of(np.einsum("a,b,abk->k", times, times, sums))

    note = f"signed r of {len(first)} pairs more than {WINDOW} sites apart"
    span = interval(resampled, pieces, comparison.seed)
    builder.add("far pairs r", *comparison.compare(lambda a, b: correlation(r[a], r[b])), "higher", span, note)
    return builder.rows


def _triples(count: int, generator: np.random.Generator) -> np.ndarray:
    triples = []
    for gap in GAPS:
        if 2 * gap < count:
            start = generator.integers(0, count - 2 * gap, TRIPLES_PER_GAP)
            triples.append(np.stack([start, start + gap, start + 2 * gap], axis=1))
    return np.concatenate(triples)


def third_moments(columns: np.ndarray, triples: np.ndarray) -> np.ndarray:
    """Return the third central moment E[(x - x̄)(y - ȳ)(z - z̄)] of triples of sites: shape (triples,).

    The columns are int8, shape (sites, rows), where a missing call takes the mean of its site; triples name three.
    """
    out = np.empty(len(triples))
    for start in range(0, len(triples), 500):
        x, y, z = (fill_missing(columns[sites].T).T for sites in triples[start : start + 500].T)
        for of_site in (x, y, z):
            of_site -= of_site.mean(axis=1, keepdims=True)
        out[start : start + 500] = np.einsum("ij,ij,ij->i", x, y, z) / columns.shape[1]
    return out


def three_point(comparison: Comparison) -> list[Row]:
    """Correlate third central moments of triples of common sites (gaps 1, 2 … 1024; and random) with the reference's.

    m_ijk = E[(x_i - x̄_i)(x_j - x̄_j)(x_k - x̄_k)] over the rows of a set; the metric is corr(m(S), m(H)) over triples
    (Yelmen et al. 2021). Within labels means: moments taken among the people of one label, correlated there, and the
    median over labels. Intervals resample blocks of the sites at which triples start.
    """
    builder = comparison.builder("linkage")
    root = comparison.root
    sites = common_sites(root)
    generator = root.generator(6)
    regular = _triples(len(sites), generator)
    name, where = "3-point r within labels", f"gaps 1 to {GAPS[-1]}"

    def within(part: Comparison) -> Agreement:
        return part.cached("3-point", lambda: _triple_agreement(part, sites, regular))

    if comparison.parent is not None:
        builder.add(name, *within(comparison), f"{len(regular)} triples, {where}")
        return builder.rows
    scattered = np.stack([generator.choice(len(sites), 3, replace=False) for _ in range(5000)])
    overall = _triple_agreement(comparison, sites, regular)
    builder.add("3-point r", *overall, f"{len(regular)} triples, {where}")
    overall = _triple_agreement(comparison, sites, scattered)
    builder.add("3-point r, random triples", *overall, f"{len(scattered)} triples, anywhere")
    values, floors = [], []
    for part in comparison.by_label.values():
        try:
            part.require()
            value, floor, *_ = within(part)
        except NotComputable:
            continue
        values.append(value)
        floors += [] if floor is None else [floor]
    if not values:
        builder.cannot(name, "higher", "needs labels with at least 5 people in each set")
        return builder.rows
    floor = float(np.median(floors)) if floors else None
    builder.add(name, float(np.median(values)), floor, "higher", note=f"median of {len(values)} labels")
    return builder.rows


def _triple_agreement(comparison: Comparison, sites: np.ndarray, triples: np.ndarray) -> Agreement:
    """Return the correlation of third moments with the reference's, its floor, its aim and its interval."""
    third = {name: third_moments(cohort.values[sites], triples) for name, cohort in comparison.cohorts.items()}
    order = np.argsort(triples[:, 0], kind="stable")
    starts = block_starts(len(order), 50)
    sums = moments(third["synthetic"][order], third[comparison.reference_name][order], starts)
    span = interval(lambda i: correlation_of(sums[i].sum(axis=0)), len(starts), comparison.seed)
    return *comparison.compare(lambda a, b: correlation(third[a], third[b])), "higher", span
