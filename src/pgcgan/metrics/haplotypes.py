"""Haplotypes as points: pairwise distances, homozygosity, shared tracts, nearest neighbours and two-sample tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

from ..numerics import fill_missing, roc_auc
from .comparison import MIN_PEOPLE, Comparison
from .rows import NotComputable, Row, RowBuilder, interval
from .structure import principal_components

WINDOW = 100  # sites, for H1 and H12
TRACT_UNIT = 16  # sites
TRACT_ROWS = 300
CLASSIFIER_COMPONENTS = 50
_CHUNK_SITES = 1024
FOLDS = 5
NEIGHBOURS = 5  # of a real row, within which its ball ends


# ---- distances ----------------------------------------------------------------------------------------------------


def pairwise_distances(comparison: Comparison) -> list[Row]:
    """Compare distributions of pairwise Hamming distances, in shares of the sites: within a set, and across to H.

    The 1-Wasserstein distance (`scipy.stats.wasserstein_distance`) of the distribution within S, and of the one between
    S and H, to the distribution within H.
    """
    builder = comparison.builder("haplotypes")
    length = comparison.train.n_sites * comparison.train.levels
    reference = comparison.reference_name

    def histogram(a: str, b: str) -> np.ndarray:
        distances = comparison.distances(a, b)
        counts = np.bincount(np.rint(distances).astype(np.int32).ravel(), minlength=length + 1).astype(float)
        if a == b:
            counts[0] -= len(distances)  # a row's distance to itself
        return counts / counts.sum()

    within_reference = histogram(reference, reference)

    def shift(a: str, b: str) -> float:
        return float(np.abs(np.cumsum(histogram(a, b) - within_reference)).sum() / length)

    within = comparison.compare(lambda name, _: shift(name, name))
    builder.add("pairwise distance W1, within", *within, "lower", note="share of sites")
    builder.add("pairwise distance W1, across", *comparison.compare(shift), "lower", note="share of sites")
    return builder.rows


def _window_codes(values: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return one random 64-bit code per row and window of sites; equal stretches have equal codes."""
    windows = values.shape[0] // size
    keys = np.random.default_rng([seed, 9]).integers(1, 2**63, size=size, dtype=np.uint64)
    out = np.empty((windows, values.shape[1]), dtype=np.uint64)
    for w in range(windows):
        out[w] = (values[w * size : (w + 1) * size].astype(np.uint64) * keys[:, None]).sum(axis=0, dtype=np.uint64)
    return out


def garud_h(codes: np.ndarray) -> tuple[float, float]:
    """Return H1 and H12 of one window, of a code of each haplotype (Garud et al. 2015; allel.garud_h)."""
    shares = np.sort(np.unique(codes, return_counts=True)[1] / len(codes))[::-1]
    return float((shares**2).sum()), float(shares[:2].sum() ** 2 + (shares[2:] ** 2).sum())


def _require_complete_haplotypes(comparison: Comparison) -> None:
    if not comparison.train.phased:
        raise NotComputable("needs phased haplotypes")
    if any(cohort.missing for cohort in comparison.cohorts.values()):
        raise NotComputable("needs haplotypes without missing calls")


def homozygosity(comparison: Comparison) -> list[Row]:
    """Compare H1 and H12 in windows of 100 sites, at equal numbers of haplotypes: RMSE over windows.

    H1 = Σ p_h², H12 = (p_1 + p_2)² + Σ_{h>2} p_h², p_h the frequencies of the haplotypes of a window in falling order
    (Garud et al. 2015; `allel.garud_h`).
    """
    builder = comparison.builder("haplotypes")
    _require_complete_haplotypes(comparison)
    size = min(WINDOW, comparison.train.n_sites)
    by_window = {}
    for name, people in comparison.subsamples[0].items():
        cohort = comparison.cohort(name)
        codes = _window_codes(cohort.values[:, cohort.rows_of(people)], size, comparison.seed)
        by_window[name] = np.array([garud_h(window) for window in codes])
    count = len(by_window["synthetic"])
    for column, name in enumerate(("H1 RMSE", "H12 RMSE")):

        def rmse(a: str, b: str, windows: np.ndarray | slice = slice(None), column: int = column) -> float:
            return float(np.sqrt(((by_window[a] - by_window[b])[windows, column] ** 2).mean()))

        span = interval(partial(rmse, "synthetic", comparison.reference_name), count, comparison.seed)
        builder.add(name, *comparison.compare(rmse), "lower", span, f"{count} windows of {size} sites")
    return builder.rows


def longest_shared_tracts(queries: np.ndarray, panel: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return for each query row the longest run of sites identical to one row of the panel: int, shape (query rows,).

    Both are int8, shape (sites, rows). Runs are counted in whole units of 16 sites, so that a tract is found in about a
    sixteenth of the work.
    """
    a, b = _window_codes(queries, TRACT_UNIT, seed), _window_codes(panel, TRACT_UNIT, seed)
    run = np.zeros((queries.shape[1], panel.shape[1]), dtype=np.int32)
    best = np.zeros_like(run)
    for query_codes, panel_codes in zip(a, b, strict=True):
        run += 1
        run *= query_codes[:, None] == panel_codes[None, :]
        np.maximum(best, run, out=best)
    return best.max(axis=1).astype(int) * TRACT_UNIT


def shared_tracts(comparison: Comparison) -> list[Row]:
    """Compare the longest tract that a haplotype shares with any training haplotype: synthetic beside held-out.

    The longest run of sites at which the haplotype equals one haplotype of train (`longest_shared_tracts`), median over
    haplotypes.
    """
    _require_complete_haplotypes(comparison)
    if comparison.train.n_sites < TRACT_UNIT * 2:
        raise NotComputable(f"needs at least {2 * TRACT_UNIT} sites")
    builder = comparison.builder("haplotypes")
    tracts = {}
    for name, cohort in comparison.cohorts.items():
        if name != "train":
            rows = np.sort(comparison.generator(10).permutation(cohort.n_rows)[:TRACT_ROWS])
            tracts[name] = longest_shared_tracts(cohort.values[:, rows], comparison.train.values, comparison.seed)
    floor = float(np.median(tracts["holdout"])) if comparison.holdout else None
    lengths = tracts["synthetic"]
    span = interval(lambda i: float(np.median(lengths[i])), len(lengths), comparison.seed)
    note = f"median of {len(lengths)} haplotypes, sites, whole units of {TRACT_UNIT}; far above the floor means copying"
    builder.add("longest shared tract", float(np.median(lengths)), floor, "floor", span, note)
    return builder.rows


# ---- indistinguishable --------------------------------------------------------------------------------------------


def farther_than_own(across: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return for each point whether its nearest neighbour in the other set is farther than in its own (strict).

    The distances across have the shape (points, points of the other set), those within the set (points, points).
    """
    inner = own.astype(np.float32, copy=True)
    np.fill_diagonal(inner, np.inf)
    return across.min(axis=1) > inner.min(axis=1)


def _means_by_row(
    comparison: Comparison, names: tuple[str, str], measure: Callable[[np.ndarray, np.ndarray], tuple]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means over subsamples of what is measured of the rows of two sets; NaN for a row that is in none."""
    sums, counts = ([np.zeros(comparison.cohort(name).n_rows) for name in names] for _ in range(2))
    for subsample in comparison.subsamples:
        rows = [comparison.cohort(name).rows_of(subsample[name]) for name in names]
        for k, values in enumerate(measure(*rows)):
            sums[k][rows[k]] += values
            counts[k][rows[k]] += 1
    with np.errstate(invalid="ignore"):
        return sums[0] / counts[0], sums[1] / counts[1]


def adversarial_accuracy(comparison: Comparison, real: str, other: str) -> tuple[np.ndarray, np.ndarray]:
    """Return AA_truth and AA_syn by row of two sets, mean over ten subsamples of equal numbers (Yale et al. 2020).

    The second set takes the part of the synthetic one. A row's number is the share of subsamples in which its nearest
    neighbour in the other set was farther than in its own; NaN for a row that was in no subsample. Their means are
    AA_truth and AA_syn.
    """
    across = comparison.distances(real, other)
    within_real, within_other = (comparison.distances(name, name) for name in (real, other))

    def farther(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        block = across[np.ix_(a, b)]
        truth = farther_than_own(block, within_real[np.ix_(a, a)])
        return truth, farther_than_own(block.T, within_other[np.ix_(b, b)])

    return _means_by_row(comparison, (real, other), farther)


def _add_mean(
    builder: RowBuilder, name: str, by_row: np.ndarray, floor: float | None, aim: str, comparison: Comparison, note: str
) -> None:
    """Append the mean over rows; its interval resamples the people all of whose rows were in a subsample."""
    people = by_row.reshape(-1, comparison.train.rows_per_person)
    people = people[np.isfinite(people).all(axis=1)].mean(axis=1)
    span = interval(lambda i: float(people[i].mean()), len(people), comparison.seed)
    builder.add(name, float(np.nanmean(by_row)), floor, aim, span, note)


def nearest_neighbours(comparison: Comparison) -> list[Row]:
    """Compare sets by nearest neighbours: AA_truth and AA_syn against held-out and training people.

    AA_truth = P(d_RS > d_RR), the share of real rows whose nearest synthetic row is farther than their nearest real
    one; AA_syn = P(d_SR > d_SS) the other way round; equal n, strict (Yale et al. 2020). Both are .5 for an ideal set.
    A high AA_truth is missing variety, a low one (against train) copying; the mean of the two hides both.
    """
    builder = comparison.builder("indistinguishable")
    floors: list[float | None] = [None, None]
    if comparison.holdout:
        floors = [float(np.nanmean(by_row)) for by_row in adversarial_accuracy(comparison, "holdout", "train")]
    rows = len(comparison.subsamples[0]["train"]) * comparison.train.rows_per_person
    note = f"equal n of {rows} rows, mean of {len(comparison.subsamples)} subsamples"
    for against, suffix in (("holdout", ""), ("train", ", against train")):
        if against not in comparison.cohorts:
            for name in ("AA_truth", "AA_syn"):
                builder.cannot(name, "0.5", "needs held-out people")
            continue
        by_set = adversarial_accuracy(comparison, against, "synthetic")
        for name, by_row, floor in zip(("AA_truth", "AA_syn"), by_set, floors, strict=True):
            _add_mean(builder, name + suffix, by_row, floor, "0.5", comparison, note)
    return builder.rows


def density_and_coverage(own: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return density by row of the other set and coverage by real row (Naeem et al. 2020; `prdc.compute_prdc`).

    Each real row has a ball that reaches to its k-th nearest real row, k = 5. Density: the number of balls that a row
    of the other set lies in, divided by k; its mean is 1 for two samples of one distribution and above 1 for a set that
    is too typical. Coverage: whether a ball holds any row of the other set; at equal n its mean is near 1 - 1 / 2^k for
    two samples of one distribution, and small where variety is missing. Both strictly inside. The distances within the
    real set have the shape (real rows, real rows), those across (real rows, other rows).
    """
    radius = np.partition(own, NEIGHBOURS, axis=1)[:, NEIGHBOURS, None]
    return (across < radius).sum(axis=0) / NEIGHBOURS, across.min(axis=1) < radius[:, 0]


def neighbourhoods(comparison: Comparison) -> list[Row]:
    """Compare density and coverage of the balls around real rows (k = 5), in ten subsamples of equal size.

    Definitions in `density_and_coverage`. Balls are those of the held-out people (of train where there are none), the
    floor puts train instead of the synthetic set.
    """
    builder = comparison.builder("indistinguishable")
    real = comparison.reference_name
    if len(comparison.subsamples[0][real]) * comparison.train.rows_per_person <= NEIGHBOURS:
        raise NotComputable(f"needs more than {NEIGHBOURS} rows in each set")
    within = comparison.distances(real, real)

    def by_row(other: str) -> tuple[np.ndarray, np.ndarray]:
        across = comparison.distances(real, other)
        return _means_by_row(
            comparison, (other, real), lambda a, b: density_and_coverage(within[np.ix_(b, b)], across[np.ix_(b, a)])
        )

    floors: list[float | None] = [None, None]
    if comparison.holdout:
        floors = [float(np.nanmean(values)) for values in by_row("train")]
    note = f"{NEIGHBOURS} neighbours, equal n, mean of {len(comparison.subsamples)} subsamples"
    for name, values, floor in zip(("density", "coverage"), by_row("synthetic"), floors, strict=True):
        _add_mean(builder, name, values, floor, "floor", comparison, note)
    return builder.rows


def _features(pooled: np.ndarray, seed: int) -> np.ndarray:
    """Return 50 principal components of the pooled rows and three counts per row.

    The counts: alleles that are minor in the pool, those of them with a frequency below 5 %, and changes between
    neighbouring sites.
    """
    if pooled.min() < 0:
        pooled = fill_missing(pooled.T).T
    top = max(1.0, float(pooled.max()))
    frequency = pooled.mean(axis=1) / top
    is_major, rare = frequency > 0.5, np.minimum(frequency, 1 - frequency) < 0.05
    sign = np.where(is_major, -1, 1).astype(np.float32)
    minors = [(sign * used) @ pooled + top * (is_major & used).sum() for used in (np.ones_like(rare), rare)]
    changes = np.zeros(pooled.shape[1])
    for start in range(0, len(pooled) - 1, _CHUNK_SITES):
        changes += np.abs(np.diff(pooled[start : start + _CHUNK_SITES + 1], axis=0)).sum(axis=0)
    _, axes = principal_components(pooled, CLASSIFIER_COMPONENTS, seed)
    return np.column_stack([pooled.T @ axes, *minors, changes]).astype(np.float32)


def two_sample_scores(pooled: np.ndarray, per_person: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return cross-validated probabilities of belonging to the first set, by classifier (Lopez-Paz and Oquab 2017).

    Five folds; the haplotypes of one person, `per_person` consecutive rows, stay in one fold. The pooled rows, float32
    of shape (sites, rows), are those of the first set and as many of the second; -1 is missing. They are changed in
    place: at many sites a copy would be most of the memory of an evaluation.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    target = np.repeat([1, 0], pooled.shape[1] // 2)
    features = _features(pooled, seed)
    generator = np.random.default_rng([seed, 11])
    fold = np.empty(len(target) // per_person, dtype=int)
    for members in np.split(np.arange(len(fold)), 2):
        fold[generator.permutation(members)] = np.arange(len(members)) % FOLDS
    folds = PredefinedSplit(np.repeat(fold, per_person))
    models = {
        "gradient boosting": HistGradientBoostingClassifier(max_iter=80, random_state=seed),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # non-convergence at the iteration limit does not change the verdict
        return {
            name: cross_val_predict(model, features, target, cv=folds, method="predict_proba")[:, 1]
            for name, model in models.items()
        }


def classifiers(comparison: Comparison) -> list[Row]:
    """Run classifier two-sample tests (C2ST): cross-validated AUC at equal numbers of people.

    The area under the ROC curve of the probabilities of `two_sample_scores`, S against H, beside T against H; .5 is
    indistinguishable. The interval resamples people, not the training of the classifiers.
    """
    subsample, width = comparison.subsamples[0], comparison.train.rows_per_person
    people = len(subsample["train"])
    if people < 4 * MIN_PEOPLE:
        raise NotComputable(f"needs at least {4 * MIN_PEOPLE} people in each set, there are {people}")
    count = people * width

    def scores_of(name: str) -> dict[str, np.ndarray]:
        pooled = np.empty((comparison.train.n_sites, 2 * count), dtype=np.float32)
        for first, other in ((0, name), (count, comparison.reference_name)):
            cohort = comparison.cohort(other)
            pooled[:, first : first + count] = cohort.values[:, cohort.rows_of(subsample[other])]
        return two_sample_scores(pooled, width, comparison.seed)

    scores = scores_of("synthetic")
    floors = scores_of("train") if comparison.holdout else {}
    builder = RowBuilder(comparison.label, "indistinguishable")
    absent = any(cohort.missing for cohort in comparison.cohorts.values())
    remark = "; missing calls take the pooled mean, which alone can tell the sets apart" if absent else ""
    note = (
        f"{FOLDS} folds of people; {CLASSIFIER_COMPONENTS} pooled components and three counts per row, n = {count}"
        f"{remark}"
    )
    for name in scores:

        def auc(scores: np.ndarray, i: np.ndarray | slice = slice(None), j: np.ndarray | slice = slice(None)) -> float:
            first, second = scores.reshape(2, people, width)
            return roc_auc(first[i].ravel(), second[j].ravel())

        span = interval(partial(auc, scores[name]), (people, people), comparison.seed)
        floor = auc(floors[name]) if floors else None
        builder.add(f"C2ST AUC, {name}", auc(scores[name]), floor, "0.5", span, note)
    return builder.rows
