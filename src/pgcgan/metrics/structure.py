"""Population structure: principal components, Fst, heterozygosity and inbreeding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from ..numerics import fill_missing, principal_axes
from .comparison import Cohort, Comparison
from .rows import NotComputable, Row, RowBuilder, Span, block_starts, interval

COMPONENTS = 10
SLICED_COMPONENTS = 20
DIRECTIONS = 200
_GRID = 500


def principal_components(columns: np.ndarray, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the first principal axes of columns, and centre them (equals sklearn.decomposition.PCA).

    The columns are float32, shape (sites, rows), and are centred in place: a copy would take as much memory again. The
    mean has the shape (sites, 1), the axes (sites, count); they are fewer if there are fewer sites or rows.
    """
    count = min(count, columns.shape[0], columns.shape[1] - 1)
    if count < 1:
        raise NotComputable("needs at least two rows for principal components")
    mean = columns.mean(axis=1, keepdims=True)
    columns -= mean
    return mean, principal_axes(columns.T, count, seed).T


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, directions: int = DIRECTIONS, seed: int = 0) -> float:
    """Return the mean over random directions of the 1-Wasserstein distance of the projections (Bonneel et al. 2015).

    The points are of shape (rows, dimensions); directions are uniform on the sphere.
    """
    drawn = np.random.default_rng(seed).normal(size=(a.shape[1], directions))
    drawn /= np.linalg.norm(drawn, axis=0)
    grid = (np.arange(_GRID) + 0.5) / _GRID
    quantiles = []
    for points in (a, b):
        ordered = np.sort(points @ drawn, axis=0)
        quantiles.append(ordered[np.minimum((grid * len(ordered)).astype(int), len(ordered) - 1)])
    return float(np.abs(quantiles[0] - quantiles[1]).mean())


def _columns(cohort: Cohort, kind: str, means: np.ndarray | None = None) -> np.ndarray:
    return fill_missing((cohort.values if kind == "rows" else cohort.dosages).T, means).T


def _projected(cohorts: Sequence[Cohort], kind: str, seed: int) -> list[np.ndarray]:
    """Return the scores of cohorts on the principal axes of the first."""
    columns = _columns(cohorts[0], kind)
    mean, axes = principal_components(columns, SLICED_COMPONENTS, seed)
    own = columns.T @ axes
    del columns
    return [own, *(_columns(cohort, kind, mean.ravel()).T @ axes - mean.T @ axes for cohort in cohorts[1:])]


def _scores(comparison: Comparison, kind: str) -> dict[str, np.ndarray]:
    """Return the scores of each set on the axes of train: of rows ("rows") or of people's dosages ("people")."""
    root = comparison.root
    cohorts = root.cohorts  # train is the first
    overall = root.cached(("scores", kind), lambda: _projected(list(cohorts.values()), kind, root.seed))
    return {name: points[_chosen(comparison, name, kind)] for name, points in zip(cohorts, overall, strict=True)}


def _chosen(comparison: Comparison, name: str, kind: str) -> np.ndarray | slice:
    """Return where the rows or people compared are among those of all labels."""
    if comparison.parent is None:
        return slice(None)
    return comparison.rows_in_root(name) if kind == "rows" else comparison.index[name]


def _unseen_scores(comparison: Comparison, kind: str) -> list[tuple[np.float32, np.ndarray, np.ndarray]]:
    """Return the scores of one half of train, and of the held-out people, on the axes of the other half; twice.

    The axes of train fit train itself better than anybody unseen: its variance on them is too large to be a floor. The
    SD of the other half on its first axis comes first; a half without one, or with less than two scores, is left out.
    """
    root = comparison.root

    def project() -> list[list[np.ndarray]]:
        halves = [np.sort(half) for half in root.halves(root.train, 13)]
        return [
            [unseen, *_projected([*map(root.train.take, (fitted, unseen)), root.cohort("holdout")], kind, root.seed)]
            for fitted, unseen in (halves, halves[::-1])
        ]

    parts = []
    for people, fitted, unseen, holdout in root.cached(("scores of halves", kind), project):
        unit = fitted[:, 0].std()  # float32, as is what it divides
        if comparison.parent is not None:
            of_label = np.isin(people, comparison.index["train"])
            unseen = unseen[np.repeat(of_label, len(unseen) // len(people))]
        if len(unseen) > 1 and unit > 0:
            parts.append((unit, unseen, holdout[_chosen(comparison, "holdout", kind)]))
    return parts


def _variances(points: np.ndarray) -> np.ndarray:
    return points[:, :COMPONENTS].var(axis=0)


def _ratios(variances: np.ndarray, reference: np.ndarray) -> np.ndarray:
    varies = reference > 1e-9
    if not varies.any():
        raise NotComputable("the rows do not vary")
    return variances[varies] / reference[varies]


def pca(comparison: Comparison) -> list[Row]:
    """Compare the clouds of haplotypes, and those of people's dosages, on the principal components of train.

    Variance ratio: var_c(S) / var_c(H) of the scores on component c, mean of the first 10; each is in the note. Sliced
    Wasserstein (Bonneel et al. 2015): the mean 1-Wasserstein distance of the scores along 200 random directions in the
    first 20 components, divided by the SD of train on the first. The components are those of
    `sklearn.decomposition.PCA`. The floor takes one half of train on the components of the other half, mean of both
    ways: train fits its own components better than anybody unseen.
    """
    builder = comparison.builder("structure")
    _add_components(builder, comparison, "rows", "")
    if comparison.train.phased:  # otherwise the rows are people's dosages already
        _add_components(builder, comparison, "people", ", people")
    if comparison.parent is None:
        comparison.figures["pca"] = _pca_figure(comparison)
    return builder.rows


def _add_components(builder: RowBuilder, comparison: Comparison, kind: str, suffix: str) -> None:
    scores = _scores(comparison, kind)
    unit = float(_scores(comparison.root, kind)["train"][:, 0].std())
    reference, synthetic = scores[comparison.reference_name], scores["synthetic"]
    below = _variances(reference)
    ratios = _ratios(_variances(synthetic), below)
    ratio_floor = distance_floor = None
    if comparison.holdout and comparison.root.train.n_people >= 4 and (halves := _unseen_scores(comparison, kind)):
        ratio_floor = float(np.mean([_ratios(_variances(a), _variances(b)).mean() for _, a, b in halves]))
        apart = [sliced_wasserstein(a, b, seed=comparison.seed) / sd for sd, a, b in halves]
        distance_floor = float(np.mean(apart))
    points = synthetic[:, :COMPONENTS].astype(float)
    points = points.reshape(comparison.synthetic.n_people, -1, points.shape[1])
    first, second = points.mean(axis=1), (points**2).mean(axis=1)

    def resampled(i: np.ndarray) -> float:
        return float(_ratios(second[i].mean(axis=0) - first[i].mean(axis=0) ** 2, below).mean())

    span = interval(resampled, len(points), comparison.seed)
    note = "by component: " + " ".join(f"{ratio:.2f}" for ratio in ratios)
    builder.add(f"PCA variance ratio{suffix}", float(ratios.mean()), ratio_floor, "1", span, note)
    distance = sliced_wasserstein(synthetic, reference, seed=comparison.seed) / unit
    note = f"{reference.shape[1]} components, in SDs of train on the first"
    builder.add(f"sliced Wasserstein{suffix}", distance, distance_floor, "lower", note=note)


def _pca_figure(comparison: Comparison) -> dict:
    """Return people on the first two components of the dosages of train, and the share of its variance on each."""
    scores = _scores(comparison, "people" if comparison.train.phased else "rows")
    total = float(_columns(comparison.train, "people").var(axis=1, dtype=np.float64).sum())
    explained = scores["train"][:, :2].var(axis=0, dtype=np.float64) / (total or 1.0)
    figure: dict = {"unit": "people", "explained": explained.round(4).tolist()}
    for name, points in scores.items():
        labels = comparison.cohort(name).labels
        chosen = np.sort(comparison.generator(8).permutation(len(points))[:600])
        second = points[chosen, 1] if points.shape[1] > 1 else np.zeros(len(chosen))
        figure[name] = {
            "x": points[chosen, 0].round(2).astype(float).tolist(),
            "y": second.round(2).astype(float).tolist(),
            "label": ["all"] * len(chosen) if labels is None else [str(v) for v in labels[chosen]],
        }
    return figure


def hudson_sums(
    alts_a: np.ndarray, called_a: np.ndarray, alts_b: np.ndarray, called_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return numerator and denominator of Hudson's Fst by site; their sums give Fst as a ratio of averages.

    With p, q the alt-allele frequencies among n, m called alleles: p(1-q) + q(1-p) - p(1-p) n/(n-1) - q(1-q) m/(m-1)
    over p(1-q) + q(1-p) (Bhatia et al. 2013; `allel.hudson_fst`). A site with fewer than two called alleles in a group
    gives 0. All arrays are of shape (sites,).
    """
    usable = (called_a > 1) & (called_b > 1)
    n, m = np.maximum(called_a, 2).astype(float), np.maximum(called_b, 2).astype(float)
    p, q = alts_a / n, alts_b / m
    between = p * (1 - q) + q * (1 - p)
    within = p * (1 - p) * n / (n - 1) + q * (1 - q) * m / (m - 1)
    return np.where(usable, between - within, 0.0), np.where(usable, between, 0.0)


def fst(comparison: Comparison) -> list[Row]:
    """Compare Hudson's Fst of each pair of labels: |Fst(S) - Fst(H)|, and the mean of that over pairs.

    A pair without any difference between its labels is left out. Intervals resample blocks of sites.
    """
    parts = {k: v for k, v in comparison.by_label.items() if min(v.synthetic.n_people, v.reference.n_people) >= 2}
    if len(parts) < 2:
        raise NotComputable("needs at least two labels with two people in each set")
    builder = RowBuilder(comparison.label, "structure")
    starts = block_starts(comparison.train.n_sites)
    pairs = {}
    for first, second in combinations(parts, 2):
        sums = {}
        for name in comparison.cohorts:
            a, b = parts[first].cohort(name), parts[second].cohort(name)
            by_site = np.stack(hudson_sums(a.alts, a.called, b.alts, b.called), axis=1)
            sums[name] = np.add.reduceat(by_site, starts, axis=0)
        if all(s[:, 1].sum() > 0 for s in sums.values()):
            pairs[f"{first} - {second}"] = sums
    if not pairs:
        raise NotComputable("no site differs between any two labels")

    def add(label: str, chosen: list[dict[str, np.ndarray]], note: str) -> None:
        def error(one: str, other: str, blocks: np.ndarray | slice = slice(None)) -> float:
            return float(np.mean([abs(_ratio(s[one][blocks]) - _ratio(s[other][blocks])) for s in chosen]))

        builder.add("Fst error", *_judged(comparison, error, len(starts)), note, label)

    add("all", list(pairs.values()), f"Hudson, mean absolute error of {len(pairs)} pairs of labels")
    for label, sums in pairs.items():
        shown = {name: _ratio(sums[name]) for name in ("synthetic", comparison.reference_name)}
        add(label, [sums], ", ".join(f"{name} {value:.4f}" for name, value in shown.items()))
    return builder.rows


def _judged(comparison: Comparison, error: Callable[..., float], blocks: int) -> tuple[float, float | None, str, Span]:
    """Return an error of two sets by name, its floor, its aim, and its interval by resampled blocks of sites."""
    value, floor = comparison.compare(error)
    of_synthetic = partial(error, "synthetic", comparison.reference_name)
    return value, floor, "lower", interval(of_synthetic, blocks, comparison.seed, distance=value)


def _ratio(sums: np.ndarray) -> float:
    top, bottom = sums.sum(axis=0)
    return float(top / bottom) if bottom > 0 else float("nan")


def heterozygosity(cohort: Cohort) -> np.ndarray:
    """Return the share of heterozygous among called genotypes of each person: float, shape (people,).

    Equals `allel.GenotypeArray.count_het(axis=0)` over the called genotypes, and 1 - O(HOM) / OBS_CT of `plink2 --het`.
    """
    if cohort.ploidy != 2:
        raise NotComputable("needs diploid genotypes")
    dosages = cohort.dosages
    return (dosages == 1).sum(axis=0) / np.maximum((dosages >= 0).sum(axis=0), 1)


def heterozygote_shares(cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    """Return observed and expected heterozygosity of diploid people by site; 0 where fewer than two are called.

    Observed as `allel.heterozygosity_observed`; expected 2pq · n / (n - 1) with n called alleles (Nei 1978), that is
    `allel.heterozygosity_expected` without its bias.
    """
    dosages = cohort.dosages
    called = (dosages >= 0).sum(axis=1)
    usable = (called > 1) & (cohort.called > 1)
    p, n = cohort.frequency, np.maximum(cohort.called, 2)
    expected = 2 * p * (1 - p) * n / (n - 1)
    observed = (dosages == 1).sum(axis=1) / np.maximum(called, 1)
    return np.where(usable, observed, 0.0), np.where(usable, expected, 0.0)


def heterozygosities(comparison: Comparison) -> list[Row]:
    """Compare heterozygosity per person and the inbreeding coefficient F within labels.

    The first is the 1-Wasserstein distance between the distributions over people of S and of H, the second
    |F(S) - F(H)| within a label, overall its mean over labels, with F = 1 - Σ observed / Σ expected heterozygosity over
    sites (`heterozygote_shares`): 0 under random mating, above 0 if the two haplotypes of a person are too alike, below
    0 if they come from groups that differ. Intervals resample people, and for F blocks of sites.
    """
    from scipy.stats import wasserstein_distance

    builder = comparison.builder("structure")
    share = {name: heterozygosity(cohort) for name, cohort in comparison.cohorts.items()}
    synthetic, reference = share["synthetic"], share[comparison.reference_name]
    note = f"mean synthetic {synthetic.mean():.4f}, {comparison.reference_name} {reference.mean():.4f}"
    value, floor = comparison.compare(lambda a, b: wasserstein_distance(share[a], share[b]))
    span = interval(
        lambda i, j: float(wasserstein_distance(synthetic[i], reference[j])),
        (len(synthetic), len(reference)),
        comparison.seed,
        distance=value,
    )
    builder.add("heterozygosity W1", value, floor, "lower", span, note)
    _add_inbreeding(builder, comparison)
    return builder.rows


def _add_inbreeding(builder: RowBuilder, comparison: Comparison) -> None:
    by_label = comparison.parent is None and comparison.by_label
    parts = list(comparison.by_label.values()) if by_label else [comparison]
    starts = block_starts(comparison.train.n_sites)
    sums = []
    for part in parts:
        try:
            part.require()
            shares = {name: np.stack(heterozygote_shares(cohort), axis=1) for name, cohort in part.cohorts.items()}
        except NotComputable:
            continue
        if all(share[:, 1].sum() > 0 for share in shares.values()):
            sums.append({name: np.add.reduceat(share, starts, axis=0) for name, share in shares.items()})
    if not sums:
        builder.cannot("inbreeding error", "lower", "needs polymorphic sites and 5 people in each set")
        return

    def mean_error(one: str, other: str, blocks: np.ndarray | slice = slice(None)) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):
            totals = [[by_name[name][blocks].sum(axis=0) for name in (one, other)] for by_name in sums]
            return float(np.mean([abs(a[0] / a[1] - b[0] / b[1]) for a, b in totals]))

    note = "absolute error of F within labels" + ("" if len(parts) == 1 else f", mean of {len(sums)}")
    builder.add("inbreeding error", *_judged(comparison, mean_error, len(starts)), note)
