"""Counts, label columns and names of synthetic people."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcgan.errors import DataError, UsageError
from pgcgan.labels import label_columns, label_groups, plan_counts, sample_names

TRAINED = {"AFR": 527, "AMR": 279, "EAS": 401, "EUR": 406, "SAS": 390}


@given(
    n=st.integers(1, 5000),
    counts=st.dictionaries(st.sampled_from([*"ABCDEFGH"]), st.integers(1, 3000), min_size=1),
)
def test_a_number_is_shared_out_in_proportion(n: int, counts: dict[str, int]) -> None:
    plan = plan_counts(n, counts)
    assert sum(plan.values()) == n
    for label, count in counts.items():
        # the quota rule of the largest-remainder (Hamilton) method: each share is rounded down or up, never further
        assert abs(plan.get(label, 0) - Fraction(n * count, sum(counts.values()))) < 1


def test_largest_remainders_by_hand() -> None:
    # quotas 4.7, 3.1, 2.2 -> 4, 3, 2 and the one left goes to the remainder .7
    assert plan_counts(10, {"A": 47, "B": 31, "C": 22}) == {"A": 5, "B": 3, "C": 2}
    # quotas 2.5 and 2.5: a tie between equals goes to the earlier
    assert plan_counts(5, {"B": 7, "A": 7}) == {"B": 3, "A": 2}
    assert plan_counts(1, {"A": 1, "B": 9}) == {"B": 1}
    assert plan_counts(sum(TRAINED.values()), TRAINED) == TRAINED


def test_a_mapping_is_exact_and_in_the_order_of_training() -> None:
    assert list(plan_counts({"SAS": 3, "AFR": 100_001, "EUR": 0}, TRAINED).items()) == [("AFR", 100_001), ("SAS", 3)]


@pytest.mark.parametrize(
    ("n", "facts"),
    [
        ({"MARS": 3}, "'MARS'.*: AFR, AMR, EAS, EUR, SAS"),
        ({"EUR": -1}, "'EUR' is -1;.* 0 or more"),
        ({"EUR": 2.5}, r"'EUR' is 2\.5;.* whole number"),
        (-3, "-3;.* 0 or more"),
        (True, "True;.* whole number"),
        (0, "at least one"),
        ({"EUR": 0}, "at least one"),
    ],
)
def test_what_cannot_be_planned(n: object, facts: str) -> None:
    with pytest.raises(UsageError, match=facts):
        plan_counts(n, TRAINED)  # type: ignore[arg-type]


def test_names() -> None:
    plan = {"EUR": 2, "EUR/GBR": 1, "SAS": 1}
    assert sample_names(plan).tolist() == ["SYN-EUR-000001", "SYN-EUR-000002", "SYN-EUR-GBR-000001", "SYN-SAS-000001"]
    # "A/B" and "A_B" share a stem: still no name twice
    assert sample_names({"A/B": 2, "A_B": 1}, "x").tolist() == ["x-A-B-000001", "x-A-B-000002", "x-A-B-000003"]
    for prefix in ("my people", "", "a/b"):
        with pytest.raises(UsageError, match=f"{prefix!r}"):
            sample_names(plan, prefix)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["x", "y y", "z_"])), min_size=1))
def test_columns_undo_grouping(people: list[tuple[str, str]]) -> None:
    labels = {
        "first": np.array([a for a, _ in people], dtype=object),
        "second": np.array([b for _, b in people], dtype=object),
        "other": np.array(["-"] * len(people), dtype=object),
    }
    plan = Counter(label_groups(labels, ["first", "second"]))
    columns = label_columns(plan, ["first", "second"])
    assert list(columns) == ["first", "second"]
    assert Counter(zip(columns["first"], columns["second"], strict=True)) == Counter(people)
    assert label_groups(columns, ["first", "second"]).tolist() == [c for c, n in plan.items() for _ in range(n)]


def test_the_group_of_one_column_is_the_column() -> None:
    labels = {"disease": np.array(["yes/no", "yes"], dtype=object)}
    assert label_groups(labels, ["disease"]).tolist() == ["yes/no", "yes"]
    assert label_columns({"yes/no": 2}, ["disease"])["disease"].tolist() == ["yes/no", "yes/no"]


def test_labels_that_cannot_be_grouped() -> None:
    labels = {"pop": np.array(["A/B"], dtype=object), "sex": np.array(["f"], dtype=object)}
    with pytest.raises(DataError, match="'super_pop'.*: pop, sex"):
        label_groups(labels, ["super_pop"])
    with pytest.raises(DataError, match="'pop' has the value 'A/B'"):
        label_groups(labels, ["pop", "sex"])
    with pytest.raises(UsageError, match="pop, sex"):
        label_groups(labels, [])
