"""Label classifiers: recognised, shuffled and unlabelled."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pgcgan.metrics.comparison import Cohort, Comparison
from pgcgan.metrics.rows import NotComputable
from pgcgan.metrics.utility import KEPT, LabelClassifier, augmentation, labels

SITES = 60
SIGN = np.random.default_rng(50).choice([-1, 1], SITES)
LABELS = np.repeat(["A", "B"], 80).astype(object)


def drawn(seed: int, column: np.ndarray | None = LABELS, missing: float = 0.0) -> Cohort:
    generator = np.random.default_rng(seed)
    side = np.where(LABELS == "A", -0.15, 0.15)
    frequency = 0.5 + SIGN[:, None] * side[None, :]
    calls = (generator.random((SITES, len(LABELS), 2)) < frequency[:, :, None]).astype(np.int8)
    calls[generator.random(calls.shape) < missing] = -1
    return Cohort(calls, column, phased=True)


def sets(train: Cohort, synthetic: Cohort, holdout: Cohort | None) -> Comparison:
    return Comparison(
        train, synthetic, holdout, position=np.arange(1, SITES + 1), contig=np.full(SITES, "1", dtype=object)
    )


def test_the_classifier_reaches_the_accuracy_of_the_true_frequencies() -> None:
    # 60 sites, log-likelihood ratio of ±log(.65/.35) each: P(right) is about Phi(60 · .3 / sqrt(60 · .91)) = .99
    assert LabelClassifier(drawn(0)).right(drawn(1)).mean() > 0.93


def test_rows_overall_and_by_label_with_floors_and_intervals() -> None:
    rows = labels(sets(drawn(0), drawn(1), drawn(2)))
    assert [(r.metric, r.label) for r in rows] == [
        (m, v) for m in ("TSTR accuracy", "label fidelity") for v in ("all", "A", "B")
    ]
    for row in rows:
        assert row.value == pytest.approx(row.floor, abs=0.06)
        assert row.low <= row.value <= row.high


def test_wrong_labels_are_noticed_on_both_rows() -> None:
    swapped = drawn(1, LABELS[::-1])
    rows = {(r.metric, r.label): r for r in labels(sets(drawn(0), swapped, drawn(2)))}
    for metric in ("TSTR accuracy", "label fidelity"):
        assert rows[metric, "all"].value < 0.1
        assert rows[metric, "all"].standing == "poor"


def test_missing_calls_are_accepted() -> None:
    rows = labels(sets(drawn(0, missing=0.05), drawn(1), drawn(2, missing=0.05)))
    assert rows[0].value > 0.9


@pytest.mark.parametrize(
    ("column", "reason"), [(None, "needs labels"), (np.full(160, "A", dtype=object), "needs at least two labels")]
)
def test_without_two_labels_it_says_why_not(column: np.ndarray | None, reason: str) -> None:
    with pytest.raises(NotComputable, match=reason):
        labels(sets(drawn(0, column), drawn(1, column), drawn(2, column)))


def test_people_of_the_same_distribution_do_what_real_ones_do() -> None:
    measured = sets(drawn(0), drawn(1), drawn(2))
    rows = {r.metric: r for r in augmentation(measured, "B")}
    assert [*rows] == [f"augmentation F1 of B, {k} kept" for k in KEPT]
    few = rows["augmentation F1 of B, 10 kept"]
    data = measured.figures["augmentation"]
    assert data["kept"] == [10, 25, 50] and data["label"] == "B"
    alone, added, back = (data["curves"][n] for n in data["curves"])
    truth, predicted = (
        x.ravel() for x in (np.repeat(LABELS, 2).astype(str), LabelClassifier(drawn(0)).predicted(drawn(2)))
    )
    assert few.floor == pytest.approx(f1_score(truth, predicted, labels=["B"], average="macro"))
    assert few.value == pytest.approx(few.floor, abs=0.05) and few.value == pytest.approx(added[0], abs=1e-4)
    assert few.low <= few.value <= few.high
    assert alone[0] < few.value - 0.05 and f"nothing added {alone[0]:.3f}" in few.note
    assert "mean over 3 draws" in few.note
    assert back == [back[0]] * 3
    assert rows["augmentation F1 of B, 100 kept"].value is None
    assert rows["augmentation F1 of B, 100 kept"].note == "train has 80 people of B"


def test_people_of_the_other_label_gain_nothing() -> None:
    swapped = sets(drawn(0), drawn(1, LABELS[::-1]), drawn(2))
    rows = {r.metric: r for r in augmentation(swapped, "B")}
    few = rows["augmentation F1 of B, 10 kept"]
    assert few.value < few.floor - 0.2 and few.standing == "poor"


def test_augmentation_needs_unseen_people_and_labels() -> None:
    assert {r.note for r in augmentation(sets(drawn(0), drawn(1), None), "B")} == {
        "needs held-out people (holdout=…, --split)"
    }
    assert {r.note for r in augmentation(sets(drawn(0, None), drawn(1, None), drawn(2, None)), "B")} == {"needs labels"}


def test_augmentation_needs_a_second_label() -> None:
    alone = np.full(len(LABELS), "A", dtype=object)
    rows = augmentation(sets(*(drawn(seed, alone) for seed in range(3))), "A")
    assert {(row.value, row.note) for row in rows} == {(None, "needs at least two labels")}
