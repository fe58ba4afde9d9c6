"""Fairness: who gains when a cohort with few people of most labels is balanced with synthetic people.

One label keeps all of its training people, the others keep a few. Then each label is filled up to the size of the
largest: with repeated people, with synthetic people of a generator that was fitted to the unbalanced cohort alone, or
with the real people who were left out (the ceiling). Each cohort trains an ancestry classifier and a polygenic score,
and is the panel of an imputation; all are tested on the held-out people of each label.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import downstream_association as association
import downstream_imputation as imputation
import numpy as np
from cohorts import LABEL, label_counts
from downstream_page import measured, over_seeds, table
from downstream_people import Cohort, joined
from downstream_tools import missing
from measuring import short
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from pgcgan import Genotypes

NAME, TITLE = "fairness", "Balancing a cohort"
TOOLS = ("beagle", "plink2", "plink1.9")
LARGEST, KEPT = "EUR", 25  # the label that keeps its people, and how many the others keep
SCORES = 5  # polygenic traits
COMPONENTS = 50
BEFORE, REPEATED, CEILING = "unbalanced", "repeated people", "real people"
FILLS = (BEFORE, REPEATED, "haplotype", "haplotype, private", "Li-Stephens", CEILING)
USES = {"ancestry": "ancestry, accuracy", "imputation": "imputation, mean r²", "score": "polygenic score, r²"}


def filled(fill: str, cohort: Cohort, seed: int) -> Genotypes:
    """Return the unbalanced cohort, each label filled up to the size of the largest."""
    counts = label_counts(cohort.train)
    before = cohort.thinned({label: KEPT for label in counts if label != LARGEST}, seed)
    size = {label: counts[LARGEST] - count for label, count in label_counts(before).items()}
    if fill == BEFORE:
        return before
    if fill == REPEATED:
        return joined(before, _repeated(before, size))
    if fill == CEILING:
        return cohort.thinned({label: counts[LARGEST] for label in counts}, seed)
    return joined(before, cohort.synthetic(fill, seed, people=before, counts=size))


def _repeated(people: Genotypes, more: Mapping[str, int]) -> Genotypes:
    """Return copies of people under new names, so many of each label, in turns."""
    labels = people.label(LABEL).astype(str)
    rows = np.concatenate([np.resize(np.flatnonzero(labels == label), count) for label, count in more.items()])
    names = np.array([f"copy_{k}" for k in range(len(rows))], dtype=object)
    return Genotypes(people.calls[:, rows], people.variants, names, {LABEL: labels[rows]}, people.phased)


def ancestry(people: Genotypes, test: Genotypes, seed: int) -> dict[str, float]:
    """Return for each label the share of its people that a logistic regression on principal components recognises."""
    x, y = people.dosages().astype(np.float32), people.label(LABEL).astype(str)
    components = min(COMPONENTS, min(x.shape) - 1)
    model = make_pipeline(PCA(components, whiten=True, random_state=seed), LogisticRegression(max_iter=1000))
    guesses = model.fit(x, y).predict(test.dosages().astype(np.float32))
    truth = test.label(LABEL).astype(str)
    return {label: float((guesses[truth == label] == label).mean()) for label in np.unique(truth).tolist()}


def imputed(people: Genotypes, test: Genotypes, seed: int) -> dict[str, float]:
    """Return for each label the mean r² of sites that Beagle imputes, nine of ten masked."""
    every = imputation.MASKS["nine of ten"]
    left = np.arange(people.n_variants) % every == 0
    with tempfile.TemporaryDirectory() as temporary:
        panel = imputation.write_panel(people, Path(temporary))
        dosages = imputation.impute("beagle", panel, test, left, seed)
    frequency = np.full(people.n_variants, 0.5)  # the classes of frequency are not asked for
    result = imputation.accuracy(test, dosages, ~left, frequency)
    return {label: result[label]["r2"] for label in label_counts(test)}


def scored(people: Genotypes, cohort: Cohort, seed: int) -> dict[str, float]:
    """Return for each label the mean r² of polygenic scores that were trained on people."""
    test, labels = cohort.holdout, cohort.holdout.label(LABEL).astype(str)
    chosen = [t for t in association.traits(cohort.train, seed) if t.name.startswith("polygenic")][:SCORES]
    values: dict[str, list[float]] = {label: [] for label in np.unique(labels).tolist()}
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryDirectory() as test_files:
        association.write_cohort(test, Path(test_files), {})
        association.scan(people, chosen, Path(temporary))
        for trait in chosen:
            score, of_test = association.polygenic_score(trait, Path(temporary), Path(test_files)), trait.of(test)
            for label, numbers in values.items():
                members = labels == label
                varies = score is not None and score[members].std() > 0
                numbers.append(np.corrcoef(score[members], of_test[members])[0, 1] ** 2 if varies else 0.0)
    return {label: float(np.mean(numbers)) for label, numbers in values.items()}


def measure(
    cohort: Cohort, seeds: Sequence[int], only: Sequence[str] | None, say: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each way to fill up the cohort with its figures by use and label."""
    for sentence in missing(TOOLS):
        say(sentence)
    with_beagle, with_plink = not missing(["beagle"]), not missing(["plink2", "plink1.9"])
    for fill in FILLS:
        if only is not None and fill not in only:
            continue
        runs = {}
        for seed in seeds:
            people = filled(fill, cohort, seed)
            figures = {"ancestry": ancestry(people, cohort.holdout, seed)}
            if with_beagle:
                figures["imputation"] = imputed(people, cohort.holdout, seed)
            if with_plink:
                figures["score"] = scored(people, cohort, seed)
            runs[str(seed)] = {
                "people": label_counts(people),
                **{use: {label: short(x) for label, x in of_labels.items()} for use, of_labels in figures.items()},
            }
            say(f"  {fill}, seed {seed}: {runs[str(seed)]}")
        yield fill, {"runs": runs}


# ---- the page -----------------------------------------------------------------------------------------------------


def as_markdown(result: Mapping[str, Any]) -> list[str]:
    """Return the section of docs/uses.md: worst, best and mean label, and each label."""
    rows = {fill: result["rows"][fill] for fill in FILLS if fill in result["rows"]}
    labels, lines = list(result["holdout"]), []
    for use, title in USES.items():
        shown = []
        for fill, row in rows.items():
            means = {label: mean(values) for label in labels if (values := over_seeds(row, use, label))}
            if means:
                worst, best = min(means, key=lambda k: means[k]), max(means, key=lambda k: means[k])
                ends = [f"{means[worst]:.3f} ({worst})", f"{means[best]:.3f} ({best})", f"{mean(means.values()):.3f}"]
                shown.append([fill, *ends, *(f"{means[label]:.3f}" for label in labels if label in means)])
        if shown:
            lines += [*table([title, "worst", "best", "mean", *labels], shown), ""]
    return [*lines, *measured(result)]
