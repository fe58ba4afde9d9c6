"""Attacks on sets that leak by construction and on sets that do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve as sklearn_roc_curve

from pgcgan.metrics.comparison import Cohort, Comparison
from pgcgan.metrics.privacy import (
    closest_records,
    frequency_attack,
    likelihood_ratio_scores,
    membership,
    near_copies,
    person_distances,
    privacy_loss,
    true_positive_rate,
)
from pgcgan.metrics.rows import NotComputable

FREQUENCY = np.random.default_rng(100).beta(0.8, 2, 400).clip(0.02, 0.98)


def drawn(seed: int, people: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((400, people, 2)) < FREQUENCY[:, None, None]).astype(np.int8)


def sets(train: np.ndarray, synthetic: np.ndarray, holdout: np.ndarray | None) -> Comparison:
    parts = [None if c is None else Cohort(c, None, True) for c in (train, synthetic, holdout)]
    assert parts[0] is not None and parts[1] is not None
    return Comparison(*parts, position=np.arange(1, 401), contig=np.full(400, "1", dtype=object))


def attacked(synthetic: np.ndarray) -> dict:
    whole = sets(drawn(0, 200), synthetic, drawn(1, 150))
    rows = membership(whole) + privacy_loss(whole) + closest_records(whole) + frequency_attack(whole)
    return {row.metric: row for row in rows}


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30), st.lists(st.integers(0, 6), min_size=2, max_size=30))
def test_true_positive_rate_equals_the_interpolated_curve_of_scikit_learn(members: list, others: list) -> None:
    fpr, tpr, _ = sklearn_roc_curve([1] * len(members) + [0] * len(others), members + others, drop_intermediate=False)
    last = np.append(np.diff(fpr) > 0, True)
    for rate in (0.01, 0.1, 0.5):
        found = true_positive_rate(np.array(members), np.array(others), rate)
        assert found == pytest.approx(np.interp(rate, fpr[last], tpr[last]))


def test_independent_people_leak_nothing() -> None:
    rows = attacked(drawn(2, 200))
    assert rows["membership AUC"].low < 0.5 < rows["membership AUC"].high
    assert rows["membership TPR at 1 % FPR"].value < 0.04
    assert rows["privacy loss"].low < 0 < rows["privacy loss"].high
    assert rows["frequency attack AUC"].low < 0.5 < rows["frequency attack AUC"].high
    assert rows["exact copies"].value == 0
    assert rows["closest record, median"].value == pytest.approx(rows["closest record, median"].floor, rel=0.05)


def test_five_percent_of_copied_people_are_noticed() -> None:
    synthetic = drawn(2, 200)
    synthetic[:, :10] = drawn(0, 200)[:, :10]
    rows = attacked(synthetic)
    assert rows["exact copies"].value == pytest.approx(0.05)
    assert rows["exact copies"].standing == "poor"
    assert rows["membership TPR at 1 % FPR"].low > 0.02
    assert rows["membership TPR at 1 % FPR"].standing != "good"


def test_a_copy_of_all_training_people_is_a_total_leak() -> None:
    rows = attacked(drawn(0, 200))
    assert rows["membership AUC"].value == 1
    assert rows["membership TPR at 1 % FPR"].value == 1
    assert rows["privacy loss"].value > 0.3
    assert rows["frequency attack AUC"].low > 0.55
    assert rows["closest record, median"].value == 0


def test_likelihood_ratio_is_the_log_ratio_of_genotype_probabilities() -> None:
    released, background = np.array([0.2, 0.6]), np.array([0.3, 0.5])
    found = likelihood_ratio_scores(np.array([[2, -1], [1, 0]], dtype=np.int8), released, background)
    first = 2 * np.log(0.2 / 0.3) + np.log(0.6 / 0.5) + np.log(0.4 / 0.5)
    assert found == pytest.approx([first, 2 * np.log(0.4 / 0.5)], rel=1e-5)


def test_attacks_without_held_out_people_say_what_they_need() -> None:
    whole = sets(drawn(0, 20), drawn(1, 20), None)
    for attack in (membership, privacy_loss, frequency_attack):
        with pytest.raises(NotComputable, match="needs held-out people"):
            attack(whole)
    assert closest_records(whole)[0].floor is None


def test_near_copies_by_hand() -> None:
    # three people of two rows; the second person carries a row of the first, the third is 20 from everybody
    within = np.array(
        [
            [0, 5, 0, 9, 20, 21],
            [5, 0, 6, 9, 20, 20],
            [0, 6, 0, 9, 20, 20],
            [9, 9, 9, 0, 20, 20],
            [20, 20, 20, 20, 0, 1],
            [21, 20, 20, 20, 1, 0],
        ]
    )
    across = np.array([[0, 5, 9], [5, 5, 9], [0, 5, 9], [9, 5, 9], [20, 2, 3], [20, 20, 9]])
    # a row that two people carry is nobody's; 2 is a tenth of 20, although the person's own rows are 1 apart; 3 is not
    assert near_copies(within, across, 2).tolist() == [False, True, False]
    assert near_copies(np.zeros((2, 2)), np.zeros((2, 3)), 2).tolist() == [False] * 3  # one person has no neighbour


def test_people_are_compared_with_their_haplotypes_either_way_round() -> None:
    rows = np.array([[1, 9, 7, 2], [9, 2, 3, 8]])
    assert person_distances(rows, 2).tolist() == [[3, 5]]
    assert person_distances(rows, 1) is rows


def test_a_person_copied_with_haplotypes_exchanged_is_a_copied_person_and_half_a_copy_is_not() -> None:
    synthetic = drawn(2, 200)
    original = drawn(0, 200)
    synthetic[:, 0] = original[:, 3, ::-1]
    synthetic[:, 1, 0] = original[:, 4, 0]
    rows = attacked(synthetic)
    assert rows["copied people"].value == pytest.approx(1 / 200)
    assert rows["near copies"].value == rows["exact copies"].value == pytest.approx(3 / 400)
    assert rows["copied people"].floor == 0
