"""Distances, homozygosity, shared tracts and two-sample tests on cases with a known answer."""

from __future__ import annotations

import allel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from sklearn.metrics import roc_auc_score

from pgcgan.metrics.comparison import Cohort, Comparison
from pgcgan.metrics.haplotypes import (
    NEIGHBOURS,
    adversarial_accuracy,
    density_and_coverage,
    farther_than_own,
    garud_h,
    longest_shared_tracts,
    nearest_neighbours,
    neighbourhoods,
    pairwise_distances,
    two_sample_scores,
)
from pgcgan.numerics import allele_differences


def drawn(seed: int, people: int, frequency: float = 0.5, sites: int = 80) -> np.ndarray:
    return (np.random.default_rng(seed).random((sites, people, 2)) < frequency).astype(np.int8)


def sets(train: np.ndarray, synthetic: np.ndarray, holdout: np.ndarray | None, phased: bool = True) -> Comparison:
    parts = [None if c is None else Cohort(c, None, phased) for c in (train, synthetic, holdout)]
    assert parts[0] is not None and parts[1] is not None
    sites = len(train)
    return Comparison(*parts, position=np.arange(1, sites + 1), contig=np.full(sites, "1", dtype=object))


def test_identical_sets_are_indistinguishable_and_disjoint_clusters_are_not() -> None:
    train = drawn(0, 30, 0.1)
    apart = 1 - drawn(1, 30, 0.1)
    copies = sets(train, train, drawn(2, 30, 0.1))
    truth, syn = adversarial_accuracy(copies, "train", "synthetic")
    assert truth.mean() == syn.mean() == 0  # each row's nearest neighbour over there is itself
    clusters = sets(train, apart, drawn(2, 30, 0.1))
    truth, syn = adversarial_accuracy(clusters, "holdout", "synthetic")
    assert truth.mean() == syn.mean() == 1


def test_nearest_neighbours_compare_strictly_and_skip_the_row_itself() -> None:
    across = np.array([[2.0, 3.0], [1.0, 5.0]])
    own = np.array([[0.0, 2.0], [2.0, 0.0]])
    assert farther_than_own(across, own).tolist() == [False, False]
    assert farther_than_own(across + 0.5, own).tolist() == [True, False]


def test_two_samples_of_one_distribution_score_about_a_half() -> None:
    train, synthetic, holdout = (drawn(seed, n, sites=2000) for seed, n in ((3, 300), (4, 300), (5, 150)))
    rows = {r.metric: r for r in nearest_neighbours(sets(train, synthetic, holdout))}
    for name in ("AA_truth", "AA_syn"):
        assert rows[name].value == pytest.approx(0.5, abs=0.08)
        assert rows[name].low < rows[name].value < rows[name].high
        assert rows[name].standing in ("good", "fair")


def test_garud_statistics_equal_scikit_allel() -> None:
    haplotypes = drawn(6, 40, sites=4).reshape(4, -1)
    codes = np.array([int("".join(map(str, column)), 2) for column in haplotypes.T])
    h1, h12, _, _ = allel.garud_h(allel.HaplotypeArray(haplotypes))
    assert garud_h(codes) == pytest.approx((h1, h12))


def test_a_planted_tract_is_found_with_its_length() -> None:
    panel, queries = drawn(7, 20, sites=320).reshape(320, -1), drawn(8, 3, sites=320).reshape(320, -1)
    queries[64:192, 1] = panel[64:192, 5]
    found = longest_shared_tracts(queries, panel)
    assert found[1] == 128
    assert max(found[[0, 2]]) <= 16
    assert longest_shared_tracts(panel[:, :1], panel).tolist() == [320]


def test_pairwise_distance_of_a_less_diverse_set() -> None:
    # rows of frequency f differ at 2f(1 - f) of the sites on average: .5 against .32
    rows = {r.metric: r for r in pairwise_distances(sets(drawn(9, 80), drawn(10, 80, 0.2), drawn(11, 80)))}
    assert rows["pairwise distance W1, within"].value == pytest.approx(0.18, abs=0.01)
    assert rows["pairwise distance W1, within"].floor < 0.01


def test_classifiers_tell_other_frequencies_apart_but_not_the_same() -> None:
    def rows(seed: int, frequency: float) -> np.ndarray:
        return drawn(seed, 100, frequency).reshape(80, -1)

    for other, low, high in ((rows(13, 0.5), 0.4, 0.6), (rows(13, 0.3), 0.95, 1.0)):
        for scores in two_sample_scores(np.concatenate([rows(12, 0.5), other], axis=1, dtype=np.float32), 2).values():
            assert low <= roc_auc_score(np.repeat([1, 0], 200), scores) <= high


def test_both_haplotypes_of_a_person_stay_in_one_fold() -> None:
    # pairs of equal haplotypes with random labels: with a person split over folds the twin would give the label away
    first, second = (np.repeat(drawn(s, 120, sites=60)[:, :, :1], 2, axis=2).reshape(60, -1) for s in (14, 15))
    for scores in two_sample_scores(np.concatenate([first, second], axis=1, dtype=np.float32), 2).values():
        assert roc_auc_score(np.repeat([1, 0], 240), scores) < 0.65


def line(*places: int) -> np.ndarray:
    """Return haplotypes on a line, two a person: the distance between two is that of their places."""
    return (np.arange(60)[:, None] < np.array(places)[None, :]).astype(np.int8).reshape(60, -1, 2)


@pytest.mark.parametrize(
    ("offsets", "truth", "syn"),
    [
        (
            (2, 3),
            0.5,
            0.5,
        ),  # the nearer row of each pair is 1 away from the other set, which is no farther than its own
        ((3, 4), 1.0, 1.0),
        ((1, 2), 0.0, 0.0),
        ((0, 1), 0.0, 0.0),  # copies
        ((4, 4), 1.0, 1.0),  # pairs of equal rows beside the real ones
    ],
)
def test_adversarial_accuracy_of_places_on_a_line(offsets: tuple[int, int], truth: float, syn: float) -> None:
    real = [p for k in range(5) for p in (10 * k, 10 * k + 1)]
    made = [p for k in range(5) for p in (10 * k + offsets[0], 10 * k + offsets[1])]
    found = adversarial_accuracy(sets(line(*real), line(*made), None), "train", "synthetic")
    assert [x.mean() for x in found] == [truth, syn]


def test_a_collapsed_set_is_seen_in_one_number_and_hidden_in_their_mean() -> None:
    real = [p for k in range(5) for p in (10 * k, 10 * k + 1)]
    truth, syn = adversarial_accuracy(sets(line(*real), line(*[10] * 10), None), "train", "synthetic")
    assert (truth.mean(), syn.mean()) == (0.8, 0.0)  # .4 together, as for a set that is nearly right


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from([12, 30]))
def test_density_and_coverage_equal_prdc(seed: int, sites: int) -> None:
    generator = np.random.default_rng(seed)
    real, other = ((generator.random((sites, n)) < generator.uniform(0.1, 0.5)).astype(np.int8) for n in (20, 27))
    density, coverage = density_and_coverage(*(allele_differences(real.T, rows.T) for rows in (real, other)))
    theirs = compute_prdc(real.T.astype(float), other.T.astype(float), nearest_k=NEIGHBOURS)
    assert density.mean() == pytest.approx(theirs["density"])
    assert coverage.mean() == pytest.approx(theirs["coverage"])


def test_density_and_coverage_of_equal_typical_and_collapsed_sets() -> None:
    train, fresh, holdout = (drawn(seed, n, 0.3, 400) for seed, n in ((16, 120), (17, 120), (18, 60)))
    own = {r.metric: r for r in neighbourhoods(sets(train, fresh, holdout))}
    assert own["density"].value == pytest.approx(1, abs=0.2)
    assert own["coverage"].value == pytest.approx(1 - 2.0**-NEIGHBOURS, abs=0.06)
    assert own["coverage"].low < own["coverage"].value < own["coverage"].high
    few = np.repeat(fresh[:, :2], 60, axis=1)
    collapsed = {r.metric: r for r in neighbourhoods(sets(train, few, holdout))}
    assert collapsed["coverage"].value < 0.5 * collapsed["coverage"].floor
    typical = {r.metric: r for r in neighbourhoods(sets(train, drawn(19, 120, 0.2, 400), holdout))}
    assert typical["density"].value > 1.5 * typical["density"].floor
