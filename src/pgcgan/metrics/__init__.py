"""Evaluation: how like the real people the synthetic ones are, and what they give away.

Every metric is computed for the synthetic set against held-out people, and printed beside its floor, the same metric
for the training people: an ideal generator meets the floor, and copying the training people cannot beat it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..errors import DataError, listed
from ..genotypes import Genotypes
from ..labels import label_groups
from ..provenance import provenance
from . import frequency, haplotypes, linkage, privacy, structure, utility
from .evaluation import Evaluation, figure
from .matched import MAX_BYTES, MAX_PEOPLE, People, Sets
from .monitor import quick
from .rows import NotComputable, Row

__all__ = ["Evaluation", "NotComputable", "Row", "evaluate", "figure", "quick"]

PREFERRED_LABEL = "super_pop"

# topic, the metrics it yields with their aims (for the rows that say why not), the function, and whether per label too
MEASURES: tuple[tuple[str, tuple[tuple[str, str], ...], Callable[[Sets], list[Row]], bool], ...] = (
    ("frequency", (("AF RMSE", "lower"), ("AF max error", "lower"), ("AF r", "higher")),
     frequency.allele_frequencies, True),
    ("frequency", (("sites lost", "lower"),), frequency.sites_lost, True),
    ("frequency", (("SFS distance", "lower"), ("singleton share", "floor")), frequency.spectra, True),
    ("linkage", (("LD RMSE", "lower"), ("LD r", "higher"), ("LD decay RMSE", "lower")),
     linkage.linkage_disequilibrium, True),
    ("linkage", (("far pairs r", "higher"),), linkage.far_pairs, True),
    ("linkage", (("3-point r within labels", "higher"),), linkage.three_point, True),
    ("structure", (("PCA variance ratio", "1"), ("sliced Wasserstein", "lower")), structure.pca, True),
    ("structure", (("Fst error", "lower"),), structure.fst, False),
    ("structure", (("heterozygosity W1", "lower"), ("inbreeding error", "lower")), structure.heterozygosities, True),
    ("haplotypes", (("pairwise distance W1, within", "lower"), ("pairwise distance W1, across", "lower")),
     haplotypes.pairwise_distances, True),
    ("haplotypes", (("H1 RMSE", "lower"), ("H12 RMSE", "lower")), haplotypes.homozygosity, True),
    ("haplotypes", (("longest shared tract", "floor"),), haplotypes.shared_tracts, False),
    ("indistinguishable", (("AA_truth", "0.5"), ("AA_syn", "0.5"), ("AA_truth, against train", "0.5"),
                           ("AA_syn, against train", "0.5")), haplotypes.nearest_neighbours, True),
    ("indistinguishable", (("density", "floor"), ("coverage", "floor")), haplotypes.neighbourhoods, True),
    ("indistinguishable", (("C2ST AUC, gradient boosting", "0.5"), ("C2ST AUC, logistic", "0.5")),
     haplotypes.classifiers, False),
    ("privacy", (("privacy loss", "0"),), privacy.privacy_loss, True),
    ("privacy", (("membership AUC", "0.5"), ("membership TPR at 1 % FPR", "0.01")), privacy.membership, True),
    ("privacy", (("frequency attack AUC", "0.5"),), privacy.frequency_attack, True),
    ("privacy", (("closest record, median", "floor"), ("closest record, 5 % quantile", "floor"),
                 ("exact copies", "at most floor"), ("near copies", "at most floor"),
                 ("copied people", "at most floor")), privacy.closest_records, True),
    ("utility", (("TSTR accuracy", "higher"), ("label fidelity", "floor")), utility.labels, False),
)  # fmt: skip


# ---- preparation --------------------------------------------------------------------------------------------------


def evaluate(
    train: Genotypes,
    synthetic: Genotypes,
    *,
    holdout: Genotypes | None = None,
    label: str | Sequence[str] | None = None,
    augment: str | None = None,
    seed: int = 0,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Evaluation:
    """Measure a synthetic set against real people.

    Every metric f gives f(synthetic, holdout), beside its floor f(train, holdout). The synthetic set is first matched
    to train in size and composition of labels. Without held-out people the comparison is with train, there are no
    floors, and the rows that need unseen people say so.

    Parameters
    ----------
    train : Genotypes
        The people that the generator was fitted on.
    synthetic : Genotypes
        What it made, at the same sites in the same order.
    holdout : Genotypes, optional
        Real people that the generator has not seen.
    label : str or sequence of str, optional
        Label column or columns; with several, a combination is named by its values joined with "/". Without it
        `super_pop` is taken if all sets have it, else the first column that all sets have, else none.
    augment : str, optional
        A label value: measure also what a classifier gains from its synthetic people where it has few real ones
        (`utility.augmentation`; about ten classifiers are trained).
    seed : int
        Of every random choice; the same seed gives the same numbers.
    on_event : callable, optional
        Called with {"event": "measure", "topic", "metric", "label", "done", "total"} before each measure.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If the sets do not have the same sites or ploidy, train and holdout share people, a label column is absent, or
        a set is empty.
    """
    given: dict[str, Genotypes] = {"train": train, "synthetic": synthetic}
    if holdout is not None:
        given["holdout"] = holdout
    _check(given)
    remarks: list[str] = []
    columns = _label_columns(given, label, remarks)
    phased = all(g.phased for g in given.values())
    if not phased:
        remarks.append("Not all sets are phased: rows are people's dosages, and what needs haplotypes is left out.")
    if holdout is None:
        remarks.append("No held-out people were given: the comparison is with the training people and has no floors.")
    if any(g.calls.min() < 0 for g in given.values()):
        remarks.append(
            "Missing calls: frequencies, heterozygosity and distances use called genotypes only; "
            "LD, triples and components take the site's mean instead."
        )
    combined = {n: label_groups(g.labels, columns) if columns else None for n, g in given.items()}
    used = _matched(combined, given, seed, remarks)
    sites = np.all([_called(g, used[n]) for n, g in given.items()], axis=0)
    if not sites.all():
        remarks.append(f"{int((~sites).sum())} sites without any call in one of the sets are left out.")
    if not sites.any():
        raise DataError("No site has a call in every set; there is nothing to compare.")

    def cohort(name: str) -> People:
        calls = given[name].calls
        people = used[name]
        if not sites.all():
            calls = calls[sites]
        whole = len(people) == calls.shape[1]
        labels = combined[name]
        return People(calls if whole else calls[:, people], None if labels is None else labels[people], phased)

    sets = Sets(
        cohort("train"),
        cohort("synthetic"),
        cohort("holdout") if holdout is not None else None,
        position=train.variants.position[sites],
        contig=train.variants.contig[sites],
        seed=seed,
    )
    if augment is not None and augment not in sets.by_label:
        raise DataError(f"No label has the value {augment!r}; the values: {listed(sets.by_label)}.")
    rows = _measure(sets, augment, on_event)
    made = provenance(
        seed,
        label=list(columns),
        sites=int(sites.sum()),
        phased=phased,
        people={n: {"given": g.n_samples, "used": len(used[n])} for n, g in given.items()},
        people_by_label={n: _counts(combined[n], used[n]) for n in given},
        remarks=remarks,
    )
    return Evaluation(tuple(rows), sets.figures, made)


def _measure(sets: Sets, augment: str | None, on_event: Callable[[dict[str, Any]], None] | None) -> list[Row]:
    # One thread: many of the products are small, and threads that wait for each other on a busy machine cost up to
    # twenty times what they save; the numbers then do not depend on the number of cores, either.
    with threadpool_limits(1):
        return _measure_all(sets, augment, on_event)


def _measure_all(sets: Sets, augment: str | None, on_event: Callable[[dict[str, Any]], None] | None) -> list[Row]:
    parts = sets.by_label if len(sets.by_label) > 1 else {}
    measures = MEASURES
    if augment is not None:
        asked = tuple((utility.augmented(augment, k), "floor") for k in utility.KEPT)
        measures += (("utility", asked, partial(utility.augmentation, value=augment), False),)
    total = sum(1 + len(parts) * per_label for *_, per_label in measures)
    done = 0
    rows: list[Row] = []
    for topic, metrics, function, per_label in measures:
        for part in (sets, *parts.values()) if per_label else (sets,):
            if on_event is not None:
                names = ", ".join(name for name, _ in metrics)
                on_event(
                    {
                        "event": "measure",
                        "topic": topic,
                        "metric": names,
                        "label": part.label,
                        "done": done,
                        "total": total,
                    }
                )
            done += 1
            try:
                rows += function(part)
            except NotComputable as reason:
                rows += [Row(topic, name, part.label, None, aim=aim, note=str(reason)) for name, aim in metrics]
    return rows


def _check(given: dict[str, Genotypes]) -> None:
    train = given["train"]
    for name, genotypes in given.items():
        if genotypes.n_samples == 0 or genotypes.n_variants == 0:
            size = f"{genotypes.n_samples} samples, {genotypes.n_variants} variants"
            raise DataError(f"The {name} set is empty ({size}).")
        if genotypes.ploidy != train.ploidy:
            raise DataError(
                f"The {name} set has ploidy {genotypes.ploidy}, train has {train.ploidy}; "
                "give sets that were read in the same way."
            )
        a, b = train.variants, genotypes.variants
        shared = min(len(a), len(b))
        differs = np.zeros(shared, dtype=bool)
        for field in ("contig", "position", "ref", "alt"):
            differs |= getattr(a, field)[:shared] != getattr(b, field)[:shared]
        way_out = (
            "The sets must have the same sites in the same order: keep the common ones first "
            "(Genotypes.select, bcftools isec), or generate from a model that was trained on these sites."
        )
        if differs.any():
            first = int(np.flatnonzero(differs)[0])
            raise DataError(f"Site {first + 1} is {a.name(first)} in train and {b.name(first)} in {name}. {way_out}")
        if len(a) != len(b):
            longer, where = (a, "train") if len(a) > len(b) else (b, name)
            raise DataError(
                f"train has {len(a)} sites, {name} has {len(b)}; the first that is only in {where} is "
                f"{longer.name(shared)}. {way_out}"
            )
    if "holdout" in given:
        seen = set(train.samples) & set(given["holdout"].samples)
        if seen:
            raise DataError(
                f"{len(seen)} people are in train and in holdout: {listed(sorted(seen))}. Held-out people must be "
                "unseen; take them out of one set."
            )


def _label_columns(
    given: dict[str, Genotypes], label: str | Sequence[str] | None, remarks: list[str]
) -> tuple[str, ...]:
    if label is not None:
        columns = (label,) if isinstance(label, str) else tuple(label)
        for name, genotypes in given.items():
            absent = [c for c in columns if c not in genotypes.labels]
            if absent:
                raise DataError(
                    f"The {name} set has no label {absent[0]!r}; its labels: {listed(genotypes.labels)}. "
                    "Labels come from the panel file (panel=…, --panel)."
                )
        return columns
    shared = [c for c in given["synthetic"].labels if all(c in g.labels for g in given.values())]
    if PREFERRED_LABEL in shared:
        return (PREFERRED_LABEL,)
    if shared:
        return (shared[0],)
    remarks.append("No label column is common to the sets: everything is overall.")
    return ()


def _matched(
    labels: dict[str, np.ndarray | None], given: dict[str, Genotypes], seed: int, remarks: list[str]
) -> dict[str, np.ndarray]:
    """Return the indices of the people used of each set: train and synthetic in equal numbers of each label."""
    people = {n: g.n_samples for n, g in given.items()}
    values: Sequence[Any] = [None]
    if labels["train"] is not None:
        common = set.intersection(*(set(v) for v in labels.values() if v is not None))
        values = sorted(common)
        if not values:
            held = (f"{n} has {listed(sorted(set(v)))}" for n, v in labels.items() if v is not None)
            raise DataError(f"No label value is common to the sets: {'; '.join(held)}.")
        for name, column in labels.items():
            other = sorted(set(column) - common) if column is not None else []
            if other:
                remarks.append(f"Labels of {name} that are not in every set are left out: {listed(other)}.")
    members: dict[str, list[np.ndarray]] = {}
    for name in given:
        column = labels[name]
        members[name] = [np.arange(people[name]) if v is None else np.flatnonzero(column == v) for v in values]
    counts = [min(len(t), len(s)) for t, s in zip(members["train"], members["synthetic"], strict=True)]
    wanted = {"train": counts, "synthetic": counts}
    if "holdout" in given:
        wanted["holdout"] = [len(m) for m in members["holdout"]]
    row_bytes = 4 * given["train"].n_variants * given["train"].ploidy
    cap = max(100, min(MAX_PEOPLE, MAX_BYTES // row_bytes))
    used = {}
    for order, name in enumerate(wanted):
        take = wanted[name]
        if sum(take) > cap:
            take = [max(1, k * cap // sum(take)) for k in take]
        generator = np.random.default_rng([seed, 500 + order])
        chosen = [
            m if k == len(m) else np.sort(generator.permutation(m)[:k])
            for m, k in zip(members[name], take, strict=True)
        ]
        used[name] = np.sort(np.concatenate(chosen))
        if len(used[name]) < people[name]:
            why = "to bound the memory" if sum(wanted[name]) > cap else "to match train and synthetic label by label"
            if name != "holdout" or sum(wanted[name]) > cap:
                remarks.append(f"{len(used[name])} of {people[name]} {name} people are used, {why} (seed {seed}).")
    return used


def _called(genotypes: Genotypes, people: np.ndarray) -> np.ndarray:
    """Tell of each site whether any of these people has a call there; a stretch of sites at a time."""
    calls, found = genotypes.calls, np.empty(genotypes.n_variants, dtype=bool)
    for first in range(0, len(found), 4096):
        found[first : first + 4096] = (calls[first : first + 4096, people] >= 0).any(axis=(1, 2))
    return found


def _counts(labels: np.ndarray | None, used: np.ndarray) -> dict[str, int]:
    if labels is None:
        return {"all": len(used)}
    names, counts = np.unique(labels[used].astype(str), return_counts=True)
    return dict(zip(map(str, names), map(int, counts), strict=True))
