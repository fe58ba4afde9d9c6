"""Population structure: principal components, Fst, heterozygosity and inbreeding."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from sklearn.utils.extmath import randomized_svd

from .matched import People, Sets, filled
from .resampling import interval, stretches, wasserstein
from .rows import Measured, NotComputable, Row

COMPONENTS = 10
SLICED_COMPONENTS = 20
DIRECTIONS = 200
_GRID = 500


def principal_components(columns: np.ndarray, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the first principal axes of centred columns (equals sklearn.decomposition.PCA).

    Parameters
    ----------
    columns : array of float32, shape (sites, rows)
    count : int
        Number of axes; fewer are returned if there are fewer sites or rows.
    seed : int
        Of the randomised singular value decomposition (Halko et al. 2011).

    Returns
    -------
    mean : array of float32, shape (sites, 1)
    axes : array of float32, shape (sites, count)
    """
    count = min(count, columns.shape[0], columns.shape[1] - 1)
    if count < 1:
        raise NotComputable("needs at least two rows for principal components")
    mean = columns.mean(axis=1, keepdims=True)
    axes, _, _ = randomized_svd(columns - mean, count, n_oversamples=10, n_iter=4, random_state=seed)
    return mean, axes


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, directions: int = DIRECTIONS, seed: int = 0) -> float:
    """Return the mean over random directions of the 1-Wasserstein distance of the projections (Bonneel et al. 2015).

    Parameters
    ----------
    a, b : arrays of float, shape (rows, dimensions)
    directions : int
        Number of directions, uniform on the sphere.
    seed : int
        Of the directions.
    """
    drawn = np.random.default_rng(seed).normal(size=(a.shape[1], directions))
    drawn /= np.linalg.norm(drawn, axis=0)
    grid = (np.arange(_GRID) + 0.5) / _GRID
    quantiles = []
    for points in (a, b):
        ordered = np.sort(points @ drawn, axis=0)
        quantiles.append(ordered[np.minimum((grid * len(ordered)).astype(int), len(ordered) - 1)])
    return float(np.abs(quantiles[0] - quantiles[1]).mean())


def _columns(cohort: People, kind: str, means: np.ndarray | None = None) -> np.ndarray:
    return filled(cohort.values if kind == "rows" else cohort.dosages, means)


def _scores(sets: Sets, kind: str) -> dict[str, np.ndarray]:
    """Return the projections of each set on the axes of train: rows ("rows") or people's dosages ("people")."""
    root = sets.root
    if kind not in root.projections:
        train = _columns(root.train, kind)
        mean, axes = principal_components(train, SLICED_COMPONENTS, root.seed)
        found = {"train": (train - mean).T @ axes}
        for name in ("synthetic", "holdout"):
            if getattr(root, name) is not None:
                found[name] = (_columns(root.cohort(name), kind, mean.ravel()) - mean).T @ axes
        root.projections[kind] = found
    whole = root.projections[kind]
    if sets.parent is None:
        return whole
    return {n: points[sets.rows_in_root(n) if kind == "rows" else sets.index[n]] for n, points in whole.items()}


def _unseen_scores(sets: Sets, kind: str) -> list[dict[str, np.ndarray]]:
    """Return the projections of one half of train, and of the held-out people, on the axes of the other half; twice.

    The axes of train fit train itself better than anybody unseen, so train cannot stand for a set that they were not
    fitted on: its variance on them is too large.
    """
    root = sets.root
    key = f"halves of {kind}"
    if f"{key} 0" not in root.projections:
        held = root.cohort("holdout")
        order = root.generator(13).permutation(root.train.people)
        if root.train.labels is not None:
            order = order[np.argsort(root.train.labels[order].astype(str), kind="stable")]
        halves = np.sort(order[0::2]), np.sort(order[1::2])
        for k, (fitted, unseen) in enumerate((halves, halves[::-1])):
            train = _columns(root.train.take(fitted), kind)
            mean, axes = principal_components(train, SLICED_COMPONENTS, root.seed)
            found = {
                "people": unseen,
                "unseen": (_columns(root.train.take(unseen), kind, mean.ravel()) - mean).T @ axes,
                "holdout": (_columns(held, kind, mean.ravel()) - mean).T @ axes,
                "fitted": (train - mean).T @ axes,
            }
            root.projections[f"{key} {k}"] = found
    parts = []
    for k in range(2):
        whole = root.projections[f"{key} {k}"]
        unit = whole["fitted"][:, :1].std(axis=0)
        if sets.parent is None:
            parts.append({"unit": unit, "unseen": whole["unseen"], "holdout": whole["holdout"]})
            continue
        mine = np.isin(whole["people"], sets.index["train"])
        rows = np.repeat(mine, len(whole["unseen"]) // len(mine))
        held_rows = sets.rows_in_root("holdout") if kind == "rows" else sets.index["holdout"]
        parts.append({"unit": unit, "unseen": whole["unseen"][rows], "holdout": whole["holdout"][held_rows]})
    return [part for part in parts if len(part["unseen"]) > 1]


def _variance_ratios(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    below = reference[:, :COMPONENTS].var(axis=0)
    varies = below > 1e-9
    if not varies.any():
        raise NotComputable("the rows do not vary")
    return points[:, :COMPONENTS].var(axis=0)[varies] / below[varies]


def pca(sets: Sets) -> list[Row]:
    """Compare the clouds of haplotypes, and apart the clouds of people's dosages, on the principal components of train.

    Variance ratio: var_c(S) / var_c(H) of the scores on component c, mean of the first 10; each is in the note. Sliced
    Wasserstein (Bonneel et al. 2015): the mean 1-Wasserstein distance of the scores along 200 random directions in the
    first 20 components, divided by the SD of train on the first. The components are those of
    `sklearn.decomposition.PCA`. The floor takes one half of train on the components of the other half, mean of both
    ways: train fits its own components better than anybody unseen.
    """
    sets.require()
    measured = Measured(sets.label, "structure")
    for kind, suffix in (("rows", ""), ("people", ", people")):
        if kind == "people" and not sets.train.phased:
            continue  # the rows are people's dosages already
        scores = _scores(sets, kind)
        unit = float(_scores(sets.root, kind)["train"][:, 0].std())
        reference = scores[sets.reference_name]
        own = _variance_ratios(scores["synthetic"], reference)
        ratio_floor = distance_floor = None
        if sets.holdout and sets.root.train.people >= 4:
            halves = [h for h in _unseen_scores(sets, kind) if h["unit"] > 0]
            if halves:
                ratio_floor = float(np.mean([_variance_ratios(h["unseen"], h["holdout"]).mean() for h in halves]))
                apart = [sliced_wasserstein(h["unseen"], h["holdout"], seed=sets.seed) / h["unit"][0] for h in halves]
                distance_floor = float(np.mean(apart))
        per_person = sets.train.per_person if kind == "rows" else 1
        synthetic = scores["synthetic"][:, :COMPONENTS].reshape(sets.synthetic.people, per_person, -1).astype(float)
        first, second = synthetic.mean(axis=1), (synthetic**2).mean(axis=1)
        below = reference[:, :COMPONENTS].var(axis=0)
        varies = below > 1e-9

        def resampled(
            i: np.ndarray,
            first: np.ndarray = first,
            second: np.ndarray = second,
            below: np.ndarray = below,
            varies: np.ndarray = varies,
        ) -> float:
            variance = second[i].mean(axis=0) - first[i].mean(axis=0) ** 2
            return float((variance[varies] / below[varies]).mean())

        measured.add(
            f"PCA variance ratio{suffix}",
            float(own.mean()),
            ratio_floor,
            "1",
            interval(resampled, sets.synthetic.people, sets.seed),
            "by component: " + " ".join(f"{r:.2f}" for r in own),
        )
        measured.add(
            f"sliced Wasserstein{suffix}",
            sliced_wasserstein(scores["synthetic"], reference, seed=sets.seed) / unit,
            distance_floor,
            "lower",
            note=f"{reference.shape[1]} components, in SDs of train on the first",
        )
    if sets.parent is None:
        sets.figures["pca"] = _pca_figure(sets)
    return measured.rows


def _pca_figure(sets: Sets) -> dict:
    figure: dict = {}
    for name, points in _scores(sets, "rows").items():
        cohort = sets.cohort(name)
        chosen = np.sort(sets.generator(8).permutation(len(points))[:600])
        people = chosen // cohort.per_person
        figure[name] = {
            "x": points[chosen, 0].round(2).astype(float).tolist(),
            "y": (points[chosen, 1] if points.shape[1] > 1 else points[chosen, 0] * 0).round(2).astype(float).tolist(),
            "label": ["all"] * len(chosen) if cohort.labels is None else [str(v) for v in cohort.labels[people]],
        }
    return figure


def hudson_sums(
    alts_a: np.ndarray, called_a: np.ndarray, alts_b: np.ndarray, called_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return numerator and denominator of Hudson's Fst by site; sites with fewer than two called alleles give 0.

    Equals `allel.hudson_fst`. Parameters as in `hudson_fst`.
    """
    usable = (called_a > 1) & (called_b > 1)
    n, m = np.maximum(called_a, 2).astype(float), np.maximum(called_b, 2).astype(float)
    p, q = alts_a / n, alts_b / m
    between = p * (1 - q) + q * (1 - p)
    within = p * (1 - p) * n / (n - 1) + q * (1 - q) * m / (m - 1)
    return np.where(usable, between - within, 0.0), np.where(usable, between, 0.0)


def hudson_fst(alts_a: np.ndarray, called_a: np.ndarray, alts_b: np.ndarray, called_b: np.ndarray) -> float:
    """Return Hudson's Fst between two groups as a ratio of averages (Bhatia et al. 2013; allel.average_hudson_fst).

    With p, q the alt-allele frequencies among n, m called alleles: Σ [p(1-q) + q(1-p) - p(1-p) n/(n-1)
    - q(1-q) m/(m-1)] / Σ [p(1-q) + q(1-p)], sums over sites.

    Parameters
    ----------
    alts_a, called_a, alts_b, called_b : arrays of int, shape (sites,)
        Alt alleles and called alleles of each group; sites with fewer than two called alleles in a group are left out.
    """
    numerator, denominator = hudson_sums(alts_a, called_a, alts_b, called_b)
    total = denominator.sum()
    if total == 0:
        raise NotComputable("no site differs between the two labels")
    return float(numerator.sum() / total)


def fst(sets: Sets) -> list[Row]:
    """Compare Hudson's Fst of each pair of labels: |Fst(S) - Fst(H)|, and the mean of that over pairs.

    A pair without any difference between its labels is left out. Intervals resample stretches of sites.
    """
    parts = {k: v for k, v in sets.by_label.items() if min(v.synthetic.people, v.reference.people) >= 2}
    if len(parts) < 2:
        raise NotComputable("needs at least two labels with two people in each set")
    measured = Measured(sets.label, "structure")
    starts = stretches(sets.train.sites)
    pairs = []
    for first, second in combinations(parts, 2):
        sums = {}
        for name in sets.names:
            a, b = parts[first].cohort(name), parts[second].cohort(name)
            by_site = np.stack(hudson_sums(a.alts, a.called, b.alts, b.called), axis=1)
            sums[name] = np.add.reduceat(by_site, starts, axis=0)
        if all(s[:, 1].sum() > 0 for s in sums.values()):
            pairs.append((f"{first} - {second}", sums))
    if not pairs:
        raise NotComputable("no site differs between any two labels")

    def error(sums: dict[str, np.ndarray], one: str, other: str, i: np.ndarray | slice = slice(None)) -> float:
        top, bottom = sums[one][i].sum(axis=0), sums[other][i].sum(axis=0)
        return float(abs(top[0] / top[1] - bottom[0] / bottom[1])) if top[1] > 0 < bottom[1] else float("nan")

    def of_pairs(chosen: list[dict[str, np.ndarray]], label: str, note: str) -> None:
        def mean(one: str, other: str, i: np.ndarray | slice = slice(None)) -> float:
            return float(np.mean([error(sums, one, other, i) for sums in chosen]))

        floor = mean("train", "holdout") if sets.holdout else None
        span = interval(lambda i: mean("synthetic", sets.reference_name, i), len(starts), sets.seed)
        measured.add("Fst error", mean("synthetic", sets.reference_name), floor, "lower", span, note, label)

    of_pairs([s for _, s in pairs], "all", f"Hudson, mean absolute error of {len(pairs)} pairs of labels")
    for label, sums in pairs:
        found = {name: s.sum(axis=0) for name, s in sums.items()}
        shown = {name: found[name][0] / found[name][1] for name in ("synthetic", sets.reference_name)}
        of_pairs([sums], label, ", ".join(f"{name} {value:.4f}" for name, value in shown.items()))
    return measured.rows


def heterozygosity(cohort: People) -> np.ndarray:
    """Return the share of heterozygous among called genotypes of each person: float, shape (people,).

    Equals `allel.GenotypeArray.count_het(axis=0)` over the called genotypes, and 1 - O(HOM) / OBS_CT of `plink2 --het`.
    """
    if cohort.calls.shape[2] != 2:
        raise NotComputable("needs diploid genotypes")
    called = (cohort.dosages >= 0).sum(axis=0)
    return (cohort.dosages == 1).sum(axis=0) / np.maximum(called, 1)


def heterozygote_shares(cohort: People) -> tuple[np.ndarray, np.ndarray]:
    """Return observed and expected heterozygosity by site: floats, shape (sites,); 0 where fewer than two are called.

    Observed as `allel.heterozygosity_observed`; expected 2pq · n / (n - 1) with n called alleles (Nei 1978), that is
    `allel.heterozygosity_expected` without its bias.
    """
    if cohort.calls.shape[2] != 2:
        raise NotComputable("needs diploid genotypes")
    called = (cohort.dosages >= 0).sum(axis=1)
    usable = (called > 1) & (cohort.called > 1)
    p, n = cohort.frequency, np.maximum(cohort.called, 2)
    expected = 2 * p * (1 - p) * n / (n - 1)
    observed = (cohort.dosages == 1).sum(axis=1) / np.maximum(called, 1)
    return np.where(usable, observed, 0.0), np.where(usable, expected, 0.0)


def inbreeding(cohort: People) -> float:
    """Return F = 1 - Σ observed / Σ expected heterozygosity over all sites (`heterozygote_shares`).

    It is where the two haplotypes of a person must agree: 0 under random mating, above 0 if they are too alike, below 0
    if they come from groups that differ.
    """
    observed, expected = heterozygote_shares(cohort)
    if expected.sum() == 0:
        raise NotComputable("no site is polymorphic")
    return float(1 - observed.sum() / expected.sum())


def heterozygosities(sets: Sets) -> list[Row]:
    """Compare heterozygosity per person and the inbreeding coefficient F within labels.

    The first is the 1-Wasserstein distance between the distributions over people of S and of H, the second
    |F(S) - F(H)| within a label, overall its mean over labels. Intervals resample people, and for F stretches of sites.
    """
    sets.require()
    measured = Measured(sets.label, "structure")
    own, reference = heterozygosity(sets.synthetic), heterozygosity(sets.reference)
    floor = wasserstein(heterozygosity(sets.train), reference) if sets.holdout else None
    note = f"mean synthetic {own.mean():.4f}, {sets.reference_name} {reference.mean():.4f}"
    span = interval(lambda i, j: wasserstein(own[i], reference[j]), (len(own), len(reference)), sets.seed)
    measured.add("heterozygosity W1", wasserstein(own, reference), floor, "lower", span, note)
    parts = [sets] if sets.parent is not None or not sets.by_label else list(sets.by_label.values())
    starts = stretches(sets.train.sites)
    sums = []
    for part in parts:
        try:
            part.require()
            by_set = {n: np.stack(heterozygote_shares(part.cohort(n)), axis=1) for n in sets.names}
            if all(shares[:, 1].sum() > 0 for shares in by_set.values()):
                sums.append({n: np.add.reduceat(shares, starts, axis=0) for n, shares in by_set.items()})
        except NotComputable:
            continue
    if not sums:
        measured.cannot("inbreeding error", "lower", "needs polymorphic sites and 5 people in each set")
        return measured.rows

    def mean_error(one: str, other: str, i: np.ndarray | slice = slice(None)) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = [[s[n][i].sum(axis=0)[0] / s[n][i].sum(axis=0)[1] for n in (one, other)] for s in sums]
        return float(np.mean([abs(a - b) for a, b in ratios]))

    measured.add(
        "inbreeding error",
        mean_error("synthetic", sets.reference_name),
        mean_error("train", "holdout") if sets.holdout else None,
        "lower",
        interval(lambda i: mean_error("synthetic", sets.reference_name, i), len(starts), sets.seed),
        "absolute error of F within labels" + ("" if len(parts) == 1 else f", mean of {len(sums)}"),
    )
    return measured.rows
