"""Whether the labels mean the same in the synthetic people: classifiers trained on one set and tested on another."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression

from .matched import People, Sets, filled
from .resampling import interval
from .rows import NO_HOLDOUT, Measured, NotComputable, Row
from .structure import principal_components

COMPONENTS = 200
KEPT = (10, 25, 50, 100)  # people of the label that augmentation starts from


class LabelClassifier:
    """Logistic regression on the first 200 principal components of the set it is trained on.

    All components are divided by one number, their root mean square, so that the penalty (C = 1) weighs the same for
    any number of sites and the late components stay small.

    Parameters
    ----------
    cohort : People
        With labels; each row is one example.
    seed : int
        Of the principal components.
    """

    def __init__(self, cohort: People, seed: int = 0):
        columns = cohort.columns()
        self.mean, self.axes = principal_components(columns, COMPONENTS, seed)
        target = np.repeat(np.asarray(cohort.labels).astype(str), cohort.per_person)
        scores = (columns - self.mean).T @ self.axes
        self.unit = float(np.sqrt((scores**2).mean())) or 1.0
        self.model = LogisticRegression(max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the iteration limit is part of the definition
            self.model.fit(scores / self.unit, target)

    def predicted(self, cohort: People) -> np.ndarray:
        """Return the label that each row is given: str, shape (people, rows a person)."""
        scores = (filled(cohort.values, self.mean.ravel()) - self.mean).T @ self.axes / self.unit
        return np.asarray(self.model.predict(scores)).reshape(cohort.people, cohort.per_person)

    def right(self, cohort: People) -> np.ndarray:
        """Return whether each row's label is predicted: bool, shape (people, rows a person)."""
        return np.asarray(self.predicted(cohort) == np.asarray(cohort.labels).astype(str)[:, None])


def labels(sets: Sets) -> list[Row]:
    """Train on synthetic, test on real (TSTR), and label fidelity: train on real, test on synthetic.

    The value per label is the share of that label's rows that are recognised.
    """
    sets.require()
    if sets.train.labels is None:
        raise NotComputable("needs labels")
    if len(np.unique(sets.train.labels.astype(str))) < 2:
        raise NotComputable("needs at least two labels")
    measured = Measured(sets.label, "utility")
    by_real = LabelClassifier(sets.train, sets.seed)
    fidelity = by_real.right(sets.synthetic)
    floor = None
    if sets.holdout:
        by_synthetic = LabelClassifier(sets.synthetic, sets.seed)
        tested, floor = by_synthetic.right(sets.holdout), by_real.right(sets.holdout)
        _add(measured, "TSTR accuracy", tested, sets.holdout, floor, sets.holdout, "higher", sets.seed)
    else:
        measured.cannot("TSTR accuracy", "higher", NO_HOLDOUT)
    _add(measured, "label fidelity", fidelity, sets.synthetic, floor, sets.holdout, "floor", sets.seed)
    return measured.rows


def f1(predicted: np.ndarray, truth: np.ndarray, value: str) -> float:
    """Return F1 of one label, 2 TP / (2 TP + FP + FN); 0 where nothing is or was given that label.

    Equals `sklearn.metrics.f1_score(..., labels=[value], average="macro", zero_division=0)`.

    Parameters
    ----------
    predicted, truth : arrays of str, any one shape
    value : str
    """
    called, is_one = predicted == value, truth == value
    total = int(called.sum()) + int(is_one.sum())
    return 2 * int((called & is_one).sum()) / total if total else 0.0


def augmented(value: str, kept: int) -> str:
    """Return the name of the metric of augmentation."""
    return f"augmentation F1 of {value}, {kept} kept"


def augmentation(sets: Sets, value: str) -> list[Row]:
    """Measure what a classifier of labels gains from the synthetic people of a label that has few.

    Of that label k train people are kept, the others whole; synthetic people of the label are added until there are
    as many as in train, and F1 of the label is taken on the held-out people. Beside it: nothing added (in the note)
    and, as the floor, the real people put back. The generator may have known them: what a generator gives that has
    not is measured with one that was fitted to the reduced people.

    Parameters
    ----------
    sets : Sets
        Overall.
    value : str
        The label.
    """
    names = [augmented(value, k) for k in KEPT]
    measured = Measured(sets.label, "utility")
    train, synthetic, holdout = sets.train, sets.synthetic, sets.holdout
    if holdout is None or train.labels is None or synthetic.labels is None or holdout.labels is None:
        for name in names:
            measured.cannot(name, "floor", NO_HOLDOUT if holdout is None else "needs labels")
        return measured.rows
    members, others = (np.flatnonzero(keep) for keep in (train.labels == value, train.labels != value))
    made = synthetic.take(np.flatnonzero(synthetic.labels == value))
    order = sets.generator(30).permutation(members)
    truth = np.repeat(holdout.labels.astype(str)[:, None], holdout.per_person, axis=1)

    def score(cohort: People) -> tuple[float, tuple[float | None, float | None]]:
        predicted = LabelClassifier(cohort, sets.seed).predicted(holdout)
        span = interval(lambda i: f1(predicted[i], truth[i], value), len(truth), sets.seed)
        return f1(predicted, truth, value), span

    whole = score(train)[0]
    curves: dict[str, list[float]] = {"nothing added": [], "synthetic people added": [], "real people put back": []}
    kept = [k for k in KEPT if k < len(members)]
    for k, name in zip(KEPT, names, strict=True):
        if k not in kept:
            measured.cannot(name, "floor", f"train has {len(members)} people of {value}")
            continue
        reduced = train.take(np.concatenate([others, order[:k]]))
        alone, _ = score(reduced)
        found, span = score(_joined(reduced, made.take(np.arange(len(members) - k))))
        note = f"nothing added {alone:.3f}, floor: the real people put back"
        measured.add(name, found, whole, "floor", span, note)
        for curve, number in zip(curves.values(), (alone, found, whole), strict=True):
            curve.append(round(number, 4))
    if kept:
        sets.figures["augmentation"] = {"label": value, "score": f"F1 of {value}", "kept": kept, "curves": curves}
    return measured.rows


def _joined(first: People, second: People) -> People:
    assert first.labels is not None and second.labels is not None
    calls = np.concatenate([first.calls, second.calls], axis=1)
    return People(calls, np.concatenate([first.labels, second.labels]), first.phased)


def _add(
    measured: Measured,
    name: str,
    right: np.ndarray,
    cohort: People,
    floor: np.ndarray | None,
    floor_cohort: People | None,
    aim: str,
    seed: int,
) -> None:
    unit = "haplotypes" if cohort.phased else "people"
    assert cohort.labels is not None
    for value in ("all", *np.unique(cohort.labels.astype(str))):
        mine = right if value == "all" else right[cohort.labels == value]
        theirs = None
        if floor is not None and floor_cohort is not None and floor_cohort.labels is not None:
            theirs = floor if value == "all" else floor[floor_cohort.labels == value]
        people = mine.mean(axis=1)
        measured.add(
            name,
            float(mine.mean()),
            None if theirs is None or not len(theirs) else float(theirs.mean()),
            aim,
            interval(lambda i, p=people: float(p[i].mean()), len(people), seed),
            f"logistic regression on {COMPONENTS} components, {unit}",
            label=str(value),
        )
