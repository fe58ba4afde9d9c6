"""Linkage disequilibrium: r² of neighbours, its decay, signed r of far pairs, and third moments of triples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from .frequency import minor
from .matched import People, Sets
from .resampling import correlation, correlation_of, interval, moments, rmse_of, stretches
from .rows import Measured, NotComputable, Row

COMMON = 0.05
WINDOW = 500  # sites
DECAY_BINS = 25
FAR_SITES = 1000
FAR_PIECES = 40  # stretches of those sites that the bootstrap resamples
TRIPLES_PER_GAP = 1500
GAPS = tuple(2**k for k in range(11))
_BLOCK = 100  # sites; a stretch of the bootstrap, too


def common_sites(sets: Sets) -> np.ndarray:
    """Return the indices of sites with MAF >= 5 % in train; raise NotComputable if there are fewer than three."""
    sites = np.flatnonzero(minor(sets.train.frequency) >= COMMON)
    if len(sites) < 3:
        raise NotComputable(f"needs at least 3 sites with MAF >= 5 % in train, there are {len(sites)}")
    return sites


def standardised(columns: np.ndarray) -> np.ndarray:
    """Return columns with mean 0 and length 1, so that a product of two is Pearson's r; constant ones become 0.

    Parameters
    ----------
    columns : array of float32, shape (sites, rows)
    """
    out = columns - columns.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", out, out))
    length[length < 1e-6] = np.inf
    out /= length[:, None]
    return out


@dataclass(frozen=True)
class _Pass:
    """Sums over pairs of neighbouring sites, for each stretch of sites."""

    sums: dict[tuple[str, str], np.ndarray]  # (blocks, 6): n, a, b, aa, bb, ab
    decay: dict[str, np.ndarray]  # mean r² by distance bin
    edges: np.ndarray  # bp
    counts: np.ndarray


def _pass(sets: Sets, sites: np.ndarray) -> _Pass:
    scaled = {name: standardised(sets.cohort(name).columns(sites)) for name in sets.names}
    comparisons = [("synthetic", sets.reference_name)] + ([("train", "holdout")] if sets.holdout else [])
    position, names = sets.position[sites], sets.contig[sites]
    contig = np.cumsum(np.concatenate([[0], names[1:] != names[:-1]]).astype(int))  # in the order of the file
    last = np.minimum(np.arange(len(sites)) + WINDOW, np.searchsorted(contig, contig, side="right") - 1)
    farthest = max(2, int((position[last] - position).max())) + 1
    gaps = np.diff(position)[np.diff(contig) == 0]
    nearest = max(1, int(np.median(gaps)) if len(gaps) else 1)
    edges = np.geomspace(nearest, max(farthest, 2 * nearest), DECAY_BINS + 1)
    products: dict[tuple[str, str], list[list[float]]] = {pair: [] for pair in comparisons}
    sums = {name: np.zeros(DECAY_BINS) for name in scaled}
    counts = np.zeros(DECAY_BINS)
    block = max(8, min(_BLOCK, len(sites) // 20))
    for start in range(0, len(sites) - 1, block):
        stop, end = min(start + block, len(sites)), min(start + block + WINDOW, len(sites))
        offset = np.arange(start, end)[None, :] - np.arange(start, stop)[:, None]
        near = (offset > 0) & (offset <= WINDOW)
        if not near.any():
            continue
        squared = {n: ((z[start:stop] @ z[start:end].T)[near] ** 2).astype(np.float64) for n, z in scaled.items()}
        for first, second in comparisons:
            a, b = squared[first], squared[second]
            products[first, second].append([len(a), a.sum(), b.sum(), a @ a, b @ b, a @ b])
        distance = (position[None, start:end] - position[start:stop, None])[near]
        same = (contig[None, start:end] == contig[start:stop, None])[near]
        bins = np.searchsorted(edges, distance, side="right") - 1
        inside = same & (bins >= 0) & (bins < DECAY_BINS)
        counts += np.bincount(bins[inside], minlength=DECAY_BINS)
        for name, values in squared.items():
            sums[name] += np.bincount(bins[inside], weights=values[inside], minlength=DECAY_BINS)
    with np.errstate(invalid="ignore"):
        decay = {name: values / counts for name, values in sums.items()}
    return _Pass({k: np.array(v) for k, v in products.items()}, decay, edges, counts)


def linkage_disequilibrium(sets: Sets) -> list[Row]:
    """Compare r² of 0/1 columns (dosages where unphased) of sites with MAF >= 5 % in train, up to 500 sites apart.

    r²_ij = corr(x_i, x_j)² over the rows of a set: for haplotypes that of Hill and Robertson (1968), as
    `plink2 --r2-phased`; for dosages that of Rogers and Huff (2008), as `allel.rogers_huff_r` squared and
    `plink2 --r2-unphased`. LD RMSE = sqrt(mean (r²_ij(S) - r²_ij(H))²) and LD r = corr(r²_ij(S), r²_ij(H)) over all
    pairs; a site that is monomorphic in one set counts with r² = 0 there. The decay is the mean r² in 25 log-spaced
    distance bins on one contig, and its RMSE that of the curve.
    """
    sets.require()
    measured = Measured(sets.label, "linkage")
    sites = common_sites(sets)
    done = _pass(sets, sites)
    own = done.sums["synthetic", sets.reference_name]
    floor = done.sums.get(("train", "holdout"))
    note = f"{len(sites)} sites, pairs up to {WINDOW} sites apart" + ("" if sets.train.phased else ", dosages")
    for name, function, aim in (("LD RMSE", rmse_of, "lower"), ("LD r", correlation_of, "higher")):
        value = function(own.sum(axis=0))
        if not np.isfinite(value):
            measured.cannot(name, aim, "r² does not vary in one of the sets")
            continue
        measured.add(
            name,
            value,
            None if floor is None else function(floor.sum(axis=0)),
            aim,
            interval(lambda i, f=function: f(own[i].sum(axis=0)), len(own), sets.seed),
            note,
        )
    filled_bins = done.counts >= 10
    if filled_bins.sum() < 3:
        measured.cannot("LD decay RMSE", "lower", "too few pairs of sites on one contig")
    else:
        curves = {n: c[filled_bins] for n, c in done.decay.items()}

        def rmse(a: str, b: str) -> float:
            return float(np.sqrt(np.mean((curves[a] - curves[b]) ** 2)))

        measured.add(
            "LD decay RMSE",
            rmse("synthetic", sets.reference_name),
            rmse("train", "holdout") if sets.holdout else None,
            "lower",
            note=f"mean r² in {int(filled_bins.sum())} distance bins",
        )
    if sets.parent is None:
        middle = np.sqrt(done.edges[:-1] * done.edges[1:])[filled_bins]
        shown = sites[np.linspace(0, len(sites) - 1, min(100, len(sites))).round().astype(int)]
        sets.figures["ld_decay"] = {
            "distance": middle.round(1).tolist(),
            **{name: curve[filled_bins].round(5).tolist() for name, curve in done.decay.items()},
        }
        sets.figures["ld_matrix"] = {
            "reference_name": sets.reference_name,
            "contig": sets.contig[shown].astype(str).tolist(),
            "position": sets.position[shown].tolist(),
            **{
                key: np.clip((z @ z.T) ** 2, 0, 1).round(2).astype(float).tolist()
                for key, z in (
                    ("reference", standardised(sets.reference.columns(shown))),
                    ("synthetic", standardised(sets.synthetic.columns(shown))),
                )
            },
        }
    return measured.rows


def far_pairs(sets: Sets) -> list[Row]:
    """Correlate signed r of random pairs of common sites more than 500 sites apart with that of the reference.

    corr(r_ij(S), r_ij(H)), r signed: it shows what blocks and windows do not hold, ancestry and haplotypes longer than
    the window. All pairs among 1,000 random sites are taken; the interval resamples stretches of these sites.
    """
    sets.require()
    sites = common_sites(sets)
    if len(sites) < WINDOW + 12:
        raise NotComputable(f"no two of the {len(sites)} common sites are more than {WINDOW} sites apart")
    chosen = np.sort(sets.generator(5).permutation(len(sites))[:FAR_SITES])
    first, second = np.nonzero(np.triu(chosen[None, :] - chosen[:, None] > WINDOW))

    def signed(cohort: People) -> np.ndarray:
        z = standardised(cohort.columns(sites[chosen]))
        return (z @ z.T)[first, second].astype(float)

    found = {name: signed(sets.cohort(name)) for name in sets.names}
    own, reference = found["synthetic"], found[sets.reference_name]
    floor = correlation(found["train"], found["holdout"]) if sets.holdout else None
    pieces = min(FAR_PIECES, len(chosen))
    piece = np.arange(len(chosen)) * pieces // len(chosen)
    cell = piece[first] * pieces + piece[second]
    columns = (np.ones(len(own)), own, reference, own * own, reference * reference, own * reference)
    sums = np.stack([np.bincount(cell, column, pieces * pieces).reshape(pieces, pieces) for column in columns], axis=2)

    def resampled(i: np.ndarray) -> float:
        times = np.bincount(i, minlength=pieces).astype(float)
        return correlation_of(np.einsum("a,b,abk->k", times, times, sums))

    measured = Measured(sets.label, "linkage")
    note = f"signed r of {len(first)} pairs more than {WINDOW} sites apart"
    span = interval(resampled, pieces, sets.seed)
    measured.add("far pairs r", correlation(own, reference), floor, "higher", span, note)
    return measured.rows


def _triples(count: int, generator: np.random.Generator) -> np.ndarray:
    triples = []
    for gap in GAPS:
        if 2 * gap < count:
            start = generator.integers(0, count - 2 * gap, TRIPLES_PER_GAP)
            triples.append(np.stack([start, start + gap, start + 2 * gap], axis=1))
    return np.concatenate(triples)


def third_moments(columns: np.ndarray, triples: np.ndarray) -> np.ndarray:
    """Return the third central moment E[(x - x̄)(y - ȳ)(z - z̄)] of triples of sites.

    Parameters
    ----------
    columns : array of float32, shape (sites, rows)
    triples : array of int, shape (triples, 3)
    """
    centred = columns - columns.mean(axis=1, keepdims=True)
    out = np.empty(len(triples))
    for start in range(0, len(triples), 500):
        x, y, z = triples[start : start + 500].T
        out[start : start + 500] = np.einsum("ij,ij,ij->i", centred[x], centred[y], centred[z]) / centred.shape[1]
    return out


def three_point(sets: Sets) -> list[Row]:
    """Correlate third central moments of triples of common sites (gaps 1, 2 … 1024; and random) with the reference's.

    m_ijk = E[(x_i - x̄_i)(x_j - x̄_j)(x_k - x̄_k)] over the rows of a set; the metric is corr(m(S), m(H)) over triples
    (Yelmen et al. 2021). Within labels means: moments taken among the people of one label, correlated there, and the
    median over labels. Intervals resample stretches of the sites that triples start at.
    """
    sets.require()
    root = sets.root
    sites = common_sites(root)
    generator = root.generator(6)
    regular = _triples(len(sites), generator)
    scattered = np.stack([generator.permutation(len(sites))[:3] for _ in range(5000)])
    measured = Measured(sets.label, "linkage")

    def agreement(part: Sets, which: np.ndarray) -> tuple[float, float | None, tuple[float | None, float | None]]:
        found = {}
        for name in part.names:
            found[name] = third_moments(part.cohort(name).columns(sites), which)
        own, reference = found["synthetic"], found[part.reference_name]
        order = np.argsort(which[:, 0], kind="stable")
        starts = stretches(len(order), 50)
        sums = moments(own[order], reference[order], starts)
        span = interval(lambda i: correlation_of(sums[i].sum(axis=0)), len(starts), sets.seed)
        return (
            correlation(own, reference),
            correlation(found["train"], found["holdout"]) if part.holdout else None,
            span,
        )

    if sets.parent is not None:
        value, floor, span = sets.kept("3-point", partial(agreement, sets, regular))
        note = f"{len(regular)} triples, gaps 1 to {GAPS[-1]}"
        measured.add("3-point r within labels", value, floor, "higher", span, note)
        return measured.rows
    for name, which, what in (
        ("3-point r", regular, f"gaps 1 to {GAPS[-1]}"),
        ("3-point r, random triples", scattered, "anywhere"),
    ):
        value, floor, span = agreement(sets, which)
        measured.add(name, value, floor, "higher", span, f"{len(which)} triples, {what}")
    found = []
    for part in sets.by_label.values():
        try:
            part.require()
            found.append(part.kept("3-point", partial(agreement, part, regular)))
        except NotComputable:
            continue
    if not found:
        measured.cannot("3-point r within labels", "higher", "needs labels with at least 5 people in each set")
        return measured.rows
    floors = [f for _, f, _ in found if f is not None]
    measured.add(
        "3-point r within labels",
        float(np.median([v for v, _, _ in found])),
        float(np.median(floors)) if floors else None,
        "higher",
        note=f"median of {len(found)} labels",
    )
    return measured.rows
