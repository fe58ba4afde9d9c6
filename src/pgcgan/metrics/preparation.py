"""Checks the sets to be compared and matches them in size and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, listed
from ..genotypes import Genotypes, require_genotypes
from ..labels import label_groups, label_names
from ..text import counted
from ..variants import Variants, common_rows
from .comparison import MAX_BYTES, MAX_PEOPLE, Cohort, Comparison

PREFERRED_LABEL = "super_pop"
_CHUNK_SITES = 4096


@dataclass(frozen=True)
class Shadow:
    """Synthetic people of a generator that was fitted to another part of the real people: an attack learns from them.

    Parameters
    ----------
    synthetic : Genotypes
        At the sites of the people compared.
    members : frozenset of str
        Names of the real people, of train and holdout together, that the generator was fitted to.
    """

    synthetic: Genotypes
    members: frozenset[str]

    def __repr__(self) -> str:
        return f"Shadow({self.synthetic!r}, {len(self.members)} members)"


def prepare(
    train: Genotypes,
    synthetic: Genotypes,
    holdout: Genotypes | None,
    label: str | Sequence[str] | None,
    seed: int,
    more: Genotypes | None = None,
    shadows: Sequence[Shadow] = (),
) -> tuple[Comparison, dict[str, Any]]:
    """Return the matched cohorts, and what was matched, for the provenance; the parameters are those of `evaluate`."""
    given = {"train": train, "synthetic": synthetic}
    if holdout is not None:
        given["holdout"] = holdout
    others = ([more] if more is not None else []) + [shadow.synthetic for shadow in shadows]
    for people in (*given.values(), *others):
        require_genotypes(people)
    _check(given)
    sites_of_all, remarks = _common_sites(given, others)
    given = {name: people.align(sites_of_all) for name, people in given.items()}
    shadows = [Shadow(shadow.synthetic.align(sites_of_all), shadow.members) for shadow in shadows]
    has_missing = {name: bool(people.calls.min() < 0) for name, people in given.items()}
    remarks += _remarks(given, has_missing)
    columns = _label_columns(given, label, remarks)
    phased = all(g.phased for g in given.values())
    labels = {n: label_groups(g.labels, columns) if columns else None for n, g in given.items()}
    used = _matched(labels, given, seed, remarks)
    sites = _sites_with_calls(given, used, has_missing, remarks)
    cohorts = {n: _cohort(g, used[n], labels[n], sites, phased) for n, g in given.items()}
    real = [given[name].samples[i] for name in ("train", "holdout") if name in given for i in used[name]]
    of_shadows = []
    for shadow in shadows:  # as many people as are used of the synthetic ones, and whom of the real people it knew
        order = np.random.default_rng([seed, 520]).permutation(shadow.synthetic.n_samples)
        chosen = np.sort(order[: len(used["synthetic"])])
        known = np.array([name in shadow.members for name in real])
        of_shadows.append((_cohort(shadow.synthetic, chosen, None, sites, phased), known))
    released = given["synthetic"].calls
    if more is not None:
        released = np.concatenate([released, more.align(sites_of_all).calls], axis=1)
    comparison = Comparison(
        cohorts["train"],
        cohorts["synthetic"],
        cohorts.get("holdout"),
        position=given["train"].variants.position[sites],
        contig=given["train"].variants.contig[sites],
        seed=seed,
        released=Cohort(released if sites.all() else released[sites], None, phased),
        shadows=of_shadows,
    )
    return comparison, {
        "label": list(columns),
        "sites": int(sites.sum()),
        "phased": phased,
        "people": {n: {"given": g.n_samples, "used": len(used[n])} for n, g in given.items()},
        **({} if more is None else {"further synthetic people": more.n_samples}),
        **({"shadow models": len(shadows)} if shadows else {}),
        "people_by_label": {n: _counts(cohort) for n, cohort in cohorts.items()},
        "remarks": remarks,
    }


def _remarks(given: dict[str, Genotypes], has_missing: dict[str, bool]) -> list[str]:
    """Return remarks on people in two sets, phase, held-out people and missing calls."""
    remarks = []
    synthetic = given["synthetic"]
    for name, real in given.items():
        if name == "synthetic":
            continue
        if shared := sorted(set(real.samples) & set(synthetic.samples)):
            text = f"{len(shared)} synthetic people have names of {name} people ({listed(shared, 3)})"
            remarks.append(f"{text}: make sure that they are not real people.")
        if _are_equal(real.calls, synthetic.calls):
            remarks.append(f"The synthetic people have the genotypes of the {name} people: they are the same people.")
    if not all(g.phased for g in given.values()):
        remarks.append("Not all sets are phased: rows are dosages, and metrics of haplotypes are not computed.")
    if "holdout" not in given:
        remarks.append(
            "No held-out people were given: the comparison is with the training people; noise floors and privacy "
            "metrics are not computed."
        )
    if any(has_missing.values()):
        remarks.append(
            "Missing calls: frequencies, heterozygosity and distances use called genotypes only; LD, triples and "
            "principal components use the mean of the site instead."
        )
    return remarks


def _are_equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays of calls are equal; a comparison of all at once would take as much memory as they."""
    starts = range(0, len(one), _CHUNK_SITES)
    return one.shape == other.shape and all(
        np.array_equal(one[start : start + _CHUNK_SITES], other[start : start + _CHUNK_SITES]) for start in starts
    )


def _sites_with_calls(
    given: dict[str, Genotypes], used: dict[str, np.ndarray], has_missing: dict[str, bool], remarks: list[str]
) -> np.ndarray:
    """Return one flag per site: True if the people used have a call in every set."""
    sites = np.ones(given["train"].n_variants, dtype=bool)
    for name in (name for name in given if has_missing[name]):
        for start in range(0, len(sites), _CHUNK_SITES):
            part = slice(start, start + _CHUNK_SITES)
            sites[part] &= (given[name].calls[part, used[name]] >= 0).any(axis=(1, 2))
    if not sites.any():
        raise DataError("No site has a call in every set; there is nothing to compare.")
    if left_out := int((~sites).sum()):
        verb = "is" if left_out == 1 else "are"
        remarks.append(f"{counted(left_out, 'site')} without any call in one of the sets {verb} left out.")
    return sites


def _cohort(
    people: Genotypes, chosen: np.ndarray, labels: np.ndarray | None, sites: np.ndarray, phased: bool
) -> Cohort:
    calls = people.calls if sites.all() else people.calls[sites]
    if len(chosen) < calls.shape[1]:
        calls = np.ascontiguousarray(calls[:, chosen])  # so that rows are a view
    return Cohort(calls, None if labels is None else labels[chosen], phased)


def _check(given: dict[str, Genotypes]) -> None:
    train = given["train"]
    for name, genotypes in given.items():
        if genotypes.n_samples == 0 or genotypes.n_variants == 0:
            size = f"{counted(genotypes.n_samples, 'person', 'people')}, {counted(genotypes.n_variants, 'site')}"
            raise DataError(f"The {name} set is empty ({size}).")
        if genotypes.ploidy != train.ploidy:
            raise DataError(
                f"The {name} set has ploidy {genotypes.ploidy}, train has {train.ploidy}; "
                "give sets that were read in the same way."
            )
    if "holdout" in given and (seen := set(train.samples) & set(given["holdout"].samples)):
        raise DataError(
            f"{len(seen)} people are in train and in holdout: {listed(sorted(seen))}. Held-out people must be "
            "unseen; remove them from one set."
        )


def _common_sites(given: dict[str, Genotypes], others: Sequence[Genotypes]) -> tuple[Variants, list[str]]:
    """Return the sites that all sets have, in the order of train, and a remark if some are left out."""
    common = given["train"].variants
    for people in (*given.values(), *others):
        if not people.variants.equals(common):
            common = common.select(np.sort(common_rows(common, people.variants)))
    counts = {name: people.n_variants for name, people in given.items()}
    if set(counts.values()) == {len(common)}:
        return common, []
    each = ", ".join(f"{name} has {count:,}" for name, count in counts.items())
    return common, [f"{len(common):,} sites are compared, those that all sets have ({each})."]


def _label_columns(
    given: dict[str, Genotypes], label: str | Sequence[str] | None, remarks: list[str]
) -> tuple[str, ...]:
    if label is not None:
        columns = label_names(label)
        for name, genotypes in given.items():
            if absent := [c for c in columns if c not in genotypes.labels]:
                raise DataError(
                    f"The {name} set has no label {absent[0]!r}; its labels: {listed(genotypes.labels)}. "
                    "Labels come from the panel file (panel=…, --panel)."
                )
        return columns
    shared = [c for c in given["synthetic"].labels if all(c in g.labels for g in given.values())]
    if shared:
        return (PREFERRED_LABEL if PREFERRED_LABEL in shared else shared[0],)
    labels = "; ".join(f"{name} has {listed(people.labels)}" for name, people in given.items())
    remarks.insert(
        0,
        f"No label column is common to the sets ({labels}): metrics by label are not computed. Labels come from the "
        "panel file (pgcgan.read(path, panel=…), --panel).",
    )
    return ()


def _matched(
    labels: dict[str, np.ndarray | None], given: dict[str, Genotypes], seed: int, remarks: list[str]
) -> dict[str, np.ndarray]:
    """Return the indices of the people used of each set: train and synthetic in equal numbers of each label."""
    values = _common_labels(labels, remarks)
    members = {
        name: [np.arange(given[name].n_samples) if v is None else np.flatnonzero(labels[name] == v) for v in values]
        for name in given
    }
    equal = [min(len(t), len(s)) for t, s in zip(members["train"], members["synthetic"], strict=True)]
    row_bytes = 4 * given["train"].n_variants * given["train"].ploidy
    cap = max(100, min(MAX_PEOPLE, MAX_BYTES // row_bytes))
    used = {}
    for order, name in enumerate(given):
        wanted = [len(m) for m in members[name]] if name == "holdout" else equal
        capped = sum(wanted) > cap
        generator = np.random.default_rng([seed, 500 + order])
        chosen = []
        for people, count in zip(members[name], wanted, strict=True):
            count = max(1, count * cap // sum(wanted)) if capped else count
            chosen.append(people if count == len(people) else generator.permutation(people)[:count])
        used[name] = np.sort(np.concatenate(chosen))
        total = given[name].n_samples
        if len(used[name]) < total and (name != "holdout" or capped):
            why = "to bound the memory" if capped else "to match train and synthetic label by label"
            remarks.append(f"{len(used[name])} of {total} {name} people are used, {why} (seed {seed}).")
    return used


def _common_labels(labels: dict[str, np.ndarray | None], remarks: list[str]) -> Sequence[Any]:
    """Return the label values that all sets have; [None] without labels."""
    columns = {name: set(column) for name, column in labels.items() if column is not None}
    if not columns:
        return [None]
    common = set.intersection(*columns.values())
    if not common:
        values = "; ".join(f"{name} has {listed(sorted(own))}" for name, own in columns.items())
        raise DataError(f"No label value is common to the sets: {values}.")
    for name, own in columns.items():
        if own - common:
            others = listed(sorted(own - common))
            remarks.append(f"Labels of {name} that are not in every set are left out: {others}.")
    return sorted(common)


def _counts(cohort: Cohort) -> dict[str, int]:
    """Return how many people of each label there are."""
    if cohort.labels is None:
        return {"all": cohort.n_people}
    return dict(sorted(Counter(map(str, cohort.labels)).items()))
