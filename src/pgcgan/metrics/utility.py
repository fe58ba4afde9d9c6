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
        columns = cohort.columns
        self.mean, self.axes = principal_components(columns, COMPONENTS, seed)
        target = np.repeat(np.asarray(cohort.labels).astype(str), cohort.per_person)
        scores = (columns - self.mean).T @ self.axes
        self.unit = float(np.sqrt((scores**2).mean())) or 1.0
        self.model = LogisticRegression(max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the iteration limit is part of the definition
            self.model.fit(scores / self.unit, target)

    def right(self, cohort: People) -> np.ndarray:
        """Return whether each row's label is predicted: bool, shape (people, rows a person)."""
        scores = (filled(cohort.values, self.mean.ravel()) - self.mean).T @ self.axes / self.unit
        target = np.repeat(np.asarray(cohort.labels).astype(str), cohort.per_person)
        return (self.model.predict(scores) == target).reshape(cohort.people, cohort.per_person)


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
