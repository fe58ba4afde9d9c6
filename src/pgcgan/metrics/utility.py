"""Utility: classifiers of labels trained on one set and tested on another, and augmentation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..numerics import fill_missing
from .comparison import Cohort, Comparison
from .rows import NO_HOLDOUT, NotComputable, Row, RowBuilder, Span, interval
from .structure import principal_components

COMPONENTS = 200
KEPT = (10, 25, 50, 100)  # people of the label that augmentation starts from
_DRAWS = 3  # of the people that are kept


class LabelClassifier:
    """Logistic regression on the first 200 principal components of the rows of a set with labels.

    All components are divided by one number, their root mean square, so that the penalty (C = 1) weighs the same for
    any number of sites and the late components stay small. The seed is that of the components.
    """

    def __init__(self, cohort: Cohort, seed: int = 0):
        from sklearn.linear_model import LogisticRegression

        columns = cohort.filled()
        self.mean, self.axes = principal_components(columns, COMPONENTS, seed)
        target = np.repeat(np.asarray(cohort.labels).astype(str), cohort.rows_per_person)
        scores = columns.T @ self.axes
        self.unit = float(np.sqrt((scores**2).mean())) or 1.0
        self.model = LogisticRegression(max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the iteration limit is part of the definition
            self.model.fit(scores / self.unit, target)

    def predicted(self, cohort: Cohort) -> np.ndarray:
        """Return the predicted label of each row: str, shape (people, rows a person)."""
        rows = fill_missing(cohort.values.T, self.mean.ravel())
        scores = (rows @ self.axes - self.mean.T @ self.axes) / self.unit
        return np.asarray(self.model.predict(scores)).reshape(cohort.n_people, cohort.rows_per_person)

    def right(self, cohort: Cohort) -> np.ndarray:
        """Return whether each row's label is predicted: bool, shape (people, rows a person)."""
        return np.asarray(self.predicted(cohort) == np.asarray(cohort.labels).astype(str)[:, None])


def labels(comparison: Comparison) -> list[Row]:
    """Train on synthetic, test on real (TSTR), and label fidelity: train on real, test on synthetic.

    The value per label is the share of that label's rows that are recognised.
    """
    builder = comparison.builder("utility")
    if comparison.train.labels is None:
        raise NotComputable("needs labels")
    if len(np.unique(comparison.train.labels.astype(str))) < 2:
        raise NotComputable("needs at least two labels")
    by_real, floor = LabelClassifier(comparison.train, comparison.seed), None
    if comparison.holdout:
        floor = comparison.holdout, by_real.right(comparison.holdout)
        tested = LabelClassifier(comparison.synthetic, comparison.seed).right(comparison.holdout)
        _add(builder, "TSTR accuracy", (comparison.holdout, tested), floor, "higher", comparison.seed)
    else:
        builder.cannot("TSTR accuracy", "higher", NO_HOLDOUT)
    recognised = comparison.synthetic, by_real.right(comparison.synthetic)
    _add(builder, "label fidelity", recognised, floor, "floor", comparison.seed)
    return builder.rows


def augmented(value: str, kept: int) -> str:
    """Return the name of the metric of augmentation."""
    return f"augmentation F1 of {value}, {kept} kept"


def augmentation(comparison: Comparison, value: str) -> list[Row]:
    """Measure what a classifier of labels gains from synthetic people of a label with few real ones.

    Of that label k train people are kept, of the other labels all; synthetic people of the label are added until there
    are as many as in train, and F1 of the label is that of the held-out people, in the mean over three draws of the
    people kept. The note has F1 with nothing added, the floor is F1 with the real people put back. The generator may
    have been fitted to the people left out: to exclude that, fit it to the reduced people.
    """
    names = [augmented(value, k) for k in KEPT]
    builder = RowBuilder(comparison.label, "utility")
    train, synthetic, holdout = comparison.train, comparison.synthetic, comparison.holdout
    if holdout is None or train.labels is None or synthetic.labels is None or holdout.labels is None:
        for name in names:
            builder.cannot(name, "floor", NO_HOLDOUT if holdout is None else "needs labels")
        return builder.rows
    members, others = train.with_label(value), np.flatnonzero(train.labels != value)
    if not len(others):
        for name in names:
            builder.cannot(name, "floor", "needs at least two labels")
        return builder.rows
    additions = synthetic.take(synthetic.with_label(value))
    random = comparison.generator(30)
    orders = [random.permutation(members) for _ in range(_DRAWS)]
    truth = np.repeat(holdout.labels.astype(str)[:, None], holdout.rows_per_person, axis=1)

    def score(cohorts: Sequence[Cohort]) -> tuple[float, Span]:
        predicted = [LabelClassifier(cohort, comparison.seed).predicted(holdout) == value for cohort in cohorts]

        def f1(people: np.ndarray) -> float:
            hits = truth[people] == value
            totals = [int(hits.sum()) + int(called[people].sum()) for called in predicted]
            both = [int((hits & called[people]).sum()) for called in predicted]
            return float(np.mean([2 * n / total if total else 0.0 for n, total in zip(both, totals, strict=True)]))

        return f1(np.arange(len(truth))), interval(f1, len(truth), comparison.seed)

    whole = score([train])[0]
    curves: dict[str, list[float]] = {"nothing added": [], "synthetic people added": [], "real people put back": []}
    kept = [k for k in KEPT if k < len(members)]
    for k, name in zip(KEPT, names, strict=True):
        if k not in kept:
            builder.cannot(name, "floor", f"train has {len(members)} people of {value}")
            continue
        reduced = [train.take(np.concatenate([others, order[:k]])) for order in orders]
        alone, _ = score(reduced)
        added = additions.take(np.arange(len(members) - k))
        topped_up, span = score([_joined(cohort, added) for cohort in reduced])
        draws = f"mean over {_DRAWS} draws of the people kept"
        note = f"nothing added {alone:.3f}; {draws}; floor: the real people put back"
        builder.add(name, topped_up, whole, "floor", span, note)
        for curve, number in zip(curves.values(), (alone, topped_up, whole), strict=True):
            curve.append(round(number, 4))
    if kept:
        comparison.figures["augmentation"] = {"label": value, "score": f"F1 of {value}", "kept": kept, "curves": curves}
    return builder.rows


def _joined(first: Cohort, second: Cohort) -> Cohort:
    assert first.labels is not None and second.labels is not None
    calls = np.concatenate([first.calls, second.calls], axis=1)
    return Cohort(calls, np.concatenate([first.labels, second.labels]), first.phased)


def _add(
    builder: RowBuilder,
    name: str,
    judged: tuple[Cohort, np.ndarray],
    floor: tuple[Cohort, np.ndarray] | None,
    aim: str,
    seed: int,
) -> None:
    """Append the share of people recognised, of all and of each label, from people and whether their rows are right."""
    cohort, right = judged
    assert cohort.labels is not None
    names, counts = np.unique(cohort.labels.astype(str), return_counts=True)
    majority = counts.max() / cohort.n_people
    definition = f"logistic regression on {COMPONENTS} components, {'haplotypes' if cohort.phased else 'people'}"
    guessing = f"{definition}; always guessing the most frequent label: {majority:.3f}"
    for value in (None, *names):
        people = right[cohort.with_label(value)].mean(axis=1)
        of_floor = floor[1][floor[0].with_label(value)] if floor else np.empty(0)
        builder.add(
            name,
            float(people.mean()),
            float(of_floor.mean()) if len(of_floor) else None,
            aim,
            interval(lambda i, p=people: float(p[i].mean()), len(people), seed),
            guessing if value is None else definition,
            label="all" if value is None else str(value),
            chance=float(majority) if value is None else None,
        )
