"""The informed membership attack: controls with a known answer, counts by hand, and the figure."""

from __future__ import annotations

from dataclasses import replace

import msprime
import numpy as np
import pytest
from sklearn.metrics import roc_curve

from pgcgan.metrics.comparison import Cohort, Comparison
from pgcgan.metrics.informed_membership import (
    METRICS,
    SHADOWS,
    WIDTHS,
    Trial,
    attack,
    informed_attacks,
    knowledge,
    roc_at,
    window_codes,
)
from pgcgan.metrics.rows import NotComputable, Row
from pgcgan.numerics import roc_auc


def simulated(size: int, rate: float) -> np.ndarray:
    """Return the calls of 900 people of a population of some size, in random order: (sites, people, ploidy)."""
    trees = msprime.sim_ancestry(
        900, population_size=size, sequence_length=1_000_000, recombination_rate=4e-8, random_seed=6
    )
    trees = msprime.sim_mutations(trees, rate=rate, random_seed=7, model=msprime.BinaryMutationModel())
    alleles = trees.genotype_matrix().astype(np.int8).reshape(trees.num_sites, 900, 2)
    frequency = alleles.mean(axis=(1, 2))
    common = alleles[(frequency > 0.01) & (frequency < 0.99)]
    return common[:, np.random.default_rng(0).permutation(900)]


@pytest.fixture(scope="module")
def calls() -> np.ndarray:
    return simulated(10_000, 1.5e-8)


def auc(comparison: Comparison, attacker: str) -> float:
    trials = attack(comparison, attacker)
    return float(np.mean([roc_auc(*trial.of(np.ones(len(trial.member), dtype=bool))) for trial in trials]))


def compared(train: np.ndarray, synthetic: np.ndarray, holdout: np.ndarray | None, **options: object) -> Comparison:
    train, synthetic, unseen = (None if c is None else Cohort(c, None, True) for c in (train, synthetic, holdout))
    sites = train.n_sites
    return Comparison(
        train, synthetic, unseen, position=np.arange(1, sites + 1), contig=np.full(sites, "1", dtype=object), **options
    )


def by_metric(comparison: Comparison) -> dict[str, Row]:
    return {row.metric: row for row in informed_attacks(comparison) if row.label == "all"}


def test_other_real_people_give_nothing_away(calls: np.ndarray) -> None:
    rows = by_metric(compared(calls[:, :350], calls[:, 350:700], calls[:, 700:]))
    assert {name for name, _ in METRICS} <= set(rows)
    for attacker in ("pool", "panel", "pool, copies"):
        row = rows[f"informed membership AUC, {attacker}"]
        assert row.low < 0.5 < row.high
        assert row.floor == 0.5
        assert rows[f"informed membership TPR at 1 % FPR, {attacker}"].value < 0.04


def test_planted_copies_are_detected() -> None:
    calls = simulated(40_000, 0.7e-8)  # where few people share long haplotypes
    synthetic = calls[:, 350:700].copy()
    synthetic[:, :18] = calls[:, :18]  # 5 % of the training people
    (trial,) = attack(compared(calls[:, :350], synthetic, calls[:, 700:]), "pool, copies")
    members, others = trial.of(np.ones(len(trial.member), dtype=bool))
    assert roc_auc(members[:18], others) > 0.95
    assert roc_auc(members[18:], others) == pytest.approx(0.5, abs=0.06)


def test_independent_sites_give_nothing_away(calls: np.ndarray) -> None:
    rows_of_train = calls[:, :350].reshape(len(calls), -1)
    synthetic = np.random.default_rng(1).permuted(rows_of_train, axis=1).reshape(calls[:, :350].shape)
    comparison = compared(calls[:, :350], synthetic, calls[:, 700:])
    for attacker in ("pool", "panel", "pool, copies"):
        assert auc(comparison, attacker) == pytest.approx(0.5, abs=0.06)


def test_copies_of_everybody_are_a_total_leak(calls: np.ndarray) -> None:
    comparison = compared(calls[:, :350], calls[:, :350], calls[:, 700:])
    assert auc(comparison, "pool") > 0.99
    assert auc(comparison, "panel") > 0.8


def test_rows_by_label_and_of_all_synthetic_people(calls: np.ndarray) -> None:
    sites = calls[:60]
    labels = np.array(["A", "B"] * 450, dtype=object)
    cohorts = [Cohort(sites[:, part], labels[part], True) for part in (slice(0, 350), slice(350, 700), slice(700, 900))]
    place = {"position": np.arange(60), "contig": np.full(60, "1", dtype=object)}
    released = Cohort(sites[:, :700], None, True)
    rows = informed_attacks(Comparison(*cohorts, **place, released=released))
    assert {r.label for r in rows if r.metric == "informed membership AUC, pool"} == {"all", "A", "B"}
    of_a = next(r for r in rows if r.metric == "informed membership AUC, pool" and r.label == "A")
    assert of_a.note.startswith("175 members and 100 others")
    leaks = {r.metric: r.value for r in rows if r.label == "all"}
    assert leaks["informed membership AUC, pool, all synthetic people"] > leaks["informed membership AUC, pool"]


def test_what_it_needs_is_named(calls: np.ndarray) -> None:
    with pytest.raises(NotComputable, match="held-out people"):
        informed_attacks(compared(calls[:, :350], calls[:, 350:700], None))
    with pytest.raises(NotComputable, match=f"{WIDTHS[0]} sites"):
        informed_attacks(compared(calls[:24, :350], calls[:24, 350:700], calls[:24, 700:]))
    with pytest.raises(NotComputable, match="holdout set has 20"):
        informed_attacks(compared(calls[:, :350], calls[:, 350:700], calls[:, 700:720]))


def test_codes_are_equal_where_haplotypes_are() -> None:
    rows = np.random.default_rng(2).integers(0, 2, (450, 30), dtype=np.int8)
    rows[:, 10:20] = rows[:, :10]
    rows[407, 10:20] ^= 1  # after the one window of 400 sites, and in the narrow windows that hold site 407
    for width, codes in zip(WIDTHS, window_codes(rows, 0), strict=True):
        assert codes.shape == (450 // width, 30)
        for window, code in enumerate(codes):
            part = rows[window * width : (window + 1) * width].T
            assert np.array_equal(code[:, None] == code, (part[:, None] == part).all(axis=2))


def test_counts_leave_out_the_own_haplotypes() -> None:
    # one window; person 0 has codes 7 7, person 1 has 7 8; 8 occurs twice among the synthetic rows, 7 never
    judged, released = [np.array([[7, 7, 7, 8]])], [np.array([[8, 8, 9, 9]])]
    features = knowledge(judged, judged, released, 2, in_reference=True).features
    # by class of the reference count: windows, and sum of log(count in S + .5)
    none, two = np.log(0.5), np.log(2.5)
    expected = np.zeros((2, 12))
    expected[0, 2:4] = 2, 2 * none  # both haplotypes of person 0 occur once elsewhere
    expected[1, 4:6] = 1, none  # 7 of person 1 occurs twice elsewhere
    expected[1, 0:2] = 1, two  # 8 of person 1 occurs nowhere else
    assert np.allclose(features, expected)
    panel = knowledge(judged, [np.array([[7, 7, 7, 7, 7, 8]])], released, 2).features
    assert panel[1, 8] == 1 and panel[1, 2] == 1  # five of the reference carry 7, one carries 8


# ---- shadow models and the figure ---------------------------------------------------------------------------------


def mosaic(calls: np.ndarray, seed: int) -> np.ndarray:
    """Return people whose haplotypes are pieces of 50 sites of these people's haplotypes: a generator that leaks."""
    random = np.random.default_rng(seed)
    rows = calls.reshape(len(calls), -1)
    pieces = [rows[k : k + 50][:, random.integers(rows.shape[1], size=rows.shape[1])] for k in range(0, len(rows), 50)]
    return np.concatenate(pieces).reshape(calls.shape)


def test_shadow_models_teach_the_attack_without_a_member(calls: np.ndarray) -> None:
    """Weights learned on mosaics of other people find the training people of a mosaic, and nobody in real people."""
    shadows = []
    for seed in (1, 2):
        part = np.sort(np.random.default_rng(seed).permutation(900)[:350])
        shadows.append((Cohort(mosaic(calls[:, part], seed), None, True), np.isin(np.arange(900), part)))
    train, holdout = calls[:, :350], calls[:, 350:]
    leaking = compared(train, mosaic(train, 3), holdout, shadows=shadows)
    rows = by_metric(leaking)
    name = "informed membership AUC, pool, shadow models"
    assert rows[name].low > 0.6
    assert rows[name].value == pytest.approx(rows["informed membership AUC, pool"].value, abs=0.08)
    unseen = np.random.default_rng(4).permutation(550)
    other, rest = holdout[:, unseen[:350]], holdout[:, unseen[350:]]
    order = np.concatenate([np.arange(350), 350 + unseen[350:]])
    control = compared(train, other, rest, shadows=[(cohort, member[order]) for cohort, member in shadows])
    (trial,) = attack(control, SHADOWS)
    assert roc_auc(*trial.of(np.ones(len(order), dtype=bool))) == pytest.approx(0.5, abs=0.06)


def test_the_curve_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(5)
    member = np.arange(700) < 400
    scores = random.normal(size=700) + 0.8 * member
    trial = Trial(scores, member, None, np.zeros(700, dtype=bool))
    fpr, tpr, _ = roc_curve(member, scores, drop_intermediate=False)
    last = np.append(np.diff(fpr) > 0, True)  # the highest of several at one rate
    grid = np.array([0.001, 0.01, 0.1, 0.5, 1])
    assert roc_at([trial], grid) == pytest.approx(np.interp(grid, fpr[last], tpr[last]))
    assert roc_at([trial, replace(trial, scores=-scores)], grid)[-1] == 1
