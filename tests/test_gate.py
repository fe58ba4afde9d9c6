"""The release gate: copied people are flagged, fresh people are not; limits are read and judged as documented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import pgcgan
from pgcgan.errors import UsageError
from pgcgan.genotypes import Genotypes
from pgcgan.metrics import Evaluation, Row, evaluate
from pgcgan.metrics.gate import HELD_OUT, THRESHOLDS, Gate, judge, parse_limit, parse_thresholds

Parts = tuple[Genotypes, Genotypes, Genotypes]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Return train, fresh people in the place of synthetic ones, and held-out people, of one simulation."""
    people = pgcgan.simulate(600, length=250_000, seed=11).select(min_maf=0.02)
    order = np.random.default_rng(0).permutation(600)
    train, fresh, holdout = (people.select(samples=np.sort(order[k])) for k in np.split(np.arange(600), [240, 480]))
    return train, fresh, holdout


def with_calls(people: Genotypes, calls: np.ndarray) -> Genotypes:
    names = [f"SYN_{i}" for i in range(people.n_samples)]
    return Genotypes(calls, people.variants, names, people.labels, people.phased)


def copied(parts: Parts, share: float, changed: float = 0.0) -> Genotypes:
    """Return the fresh people, a share of them replaced by training people with a share of alleles changed."""
    train, fresh, _ = parts
    generator = np.random.default_rng(1)
    calls = fresh.calls.copy()
    count = round(share * fresh.n_samples)
    victims = generator.permutation(train.n_samples)[:count]
    calls[:, :count] = train.calls[:, victims] ^ (generator.random((len(calls), count, 2)) < changed)
    return with_calls(fresh, calls)


def judged(parts: Parts, synthetic: Genotypes) -> tuple[Evaluation, Gate]:
    found = evaluate(parts[0], synthetic, holdout=parts[2])
    return found, judge(found)


def test_fresh_people_of_the_same_simulation_pass(parts: Parts) -> None:
    found, gate = judged(parts, with_calls(parts[1], parts[1].calls))
    assert gate.passed and bool(gate), str(gate)
    lines = str(gate).splitlines()
    assert lines[0] == f"gate passed: all {len(gate.checks)} checks"
    # too few held-out people have the rarest haplotypes: 6 of 60
    left_out = {*THRESHOLDS} - {check.metric for check in gate.checks}
    assert left_out <= {f"{POOL}, rarest tenth", f"{PANEL}, rarest tenth"}
    used = {name: people["used"] for name, people in found.provenance["people"].items()}  # matched label by label
    for fact in (f"{used['synthetic']} synthetic", f"{used['train'] + 120} candidates (pool)", "60 other people"):
        assert fact in lines[1]
    assert "several sets" in lines[2]
    for metric in ("exact copies", "near copies", "copied people"):
        row = found.get(metric)
        assert row.low <= row.floor <= row.high


def test_five_percent_of_copied_people_are_flagged(parts: Parts) -> None:
    found, gate = judged(parts, copied(parts, 0.05))
    assert "copied people" in {check.metric for check in gate.failures} and not gate
    row = found.get("copied people")
    assert row.value == pytest.approx(0.05 + row.floor, abs=0.01)
    assert row.low > row.floor
    assert row.standing == "poor"
    assert "  copied people: " in str(gate)


def test_copies_with_some_alleles_changed_are_flagged_though_nothing_is_equal(parts: Parts) -> None:
    _, gate = judged(parts, copied(parts, 0.05, changed=0.005))
    failed = {check.metric for check in gate.failures}
    assert "copied people" in failed
    assert "exact copies" not in failed


def test_lost_linkage_fails_on_fidelity_alone(parts: Parts) -> None:
    train = parts[0]
    generator = np.random.default_rng(2)
    apart = generator.permuted(train.calls.reshape(train.n_variants, -1), axis=1).reshape(train.calls.shape)
    _, gate = judged(parts, with_calls(train, apart))
    failed = {check.metric for check in gate.failures}
    assert {"LD RMSE", "AA_truth", "C2ST AUC, gradient boosting"} <= failed
    assert not failed & {POOL, PANEL, "membership AUC", "exact copies", "near copies", "copied people"}


def test_what_cannot_be_computed_fails_and_says_so(parts: Parts) -> None:
    gate = judge(evaluate(parts[0], with_calls(parts[1], parts[1].calls)))
    reasons = {check.metric: check.reason for check in gate.failures}
    assert reasons[POOL] == "cannot be computed: needs held-out people (holdout=…, --split)"
    assert reasons["AF RMSE"] == "the limit 2x is relative to the floor, and there is none (no held-out people)"
    assert reasons[HELD_OUT] == "0 people is below 50"


# ---- limits -------------------------------------------------------------------------------------------------------


def verdict(row: Row, limit: str) -> bool:
    """Judge one row alone."""
    others = {metric: "off" for metric in THRESHOLDS} | {row.metric: limit}
    gate = judge(Evaluation((row,), {}, {}), others)
    assert [check.metric for check in gate.checks] == [row.metric]
    return gate.passed


POOL, PANEL = "informed membership AUC, pool", "informed membership AUC, panel"
AUC = Row("privacy", "C2ST AUC", "all", 0.56, 0.5, "0.5", 0.52, 0.6)
LEAK = Row("privacy", POOL, "all", 0.62, 0.5, "0.5", 0.58, 0.66)
RARE = Row("privacy", f"{POOL}, rarest tenth", "all", 0.7, 0.5, "0.5", 0.55, 0.85)


@pytest.mark.parametrize(
    ("row", "limit", "passed"),
    [
        (AUC, "0.53", False),
        (AUC, "0.57", True),
        (replace(AUC, low=0.49, high=0.63), "0.53", True),  # holds chance
        (replace(AUC, low=None, high=None), "0.53", False),  # no interval, no excuse
        (LEAK, "0.65", False),  # the upper end counts
        (replace(LEAK, high=0.64), "0.65", True),
        (replace(LEAK, low=0.49), "0.65", False),  # chance is no excuse for the mean of all
        (RARE, "0.8", False),
        (replace(RARE, low=0.45), "0.8", True),  # but for few people
        (Row("linkage", "LD RMSE", "all", 0.019, 0.01), "2x", True),
        (Row("linkage", "LD RMSE", "all", 0.021, 0.01), "2x", False),
        (Row("linkage", "LD r", "all", 0.94, 0.95, "higher"), "0.9", True),
        (Row("linkage", "LD r", "all", 0.89, 0.95, "higher"), "0.9", False),
        (Row("utility", "TSTR accuracy", "all", 0.76, 0.78, "higher"), "-0.01", False),
        (Row("utility", "TSTR accuracy", "all", 0.775, 0.78, "higher"), "-0.01", True),
        (Row("privacy", "exact copies", "all", 0.045, 0.04, "at most floor"), "+0.01", True),
        (Row("privacy", "exact copies", "all", 0.055, 0.04, "at most floor"), "+0.01", False),
        (Row("privacy", "copied people", "all", 0.05, 0.01, "at most floor", 0.0, 0.09), "+0.02", False),  # no excuse
        (Row("indistinguishable", "AA_truth", "all", 0.36, 0.44, "0.5"), "~0.1", True),
        (Row("indistinguishable", "AA_truth", "all", 0.55, 0.44, "0.5"), "~0.1", False),
        (Row("indistinguishable", "AA_truth", "all", 0.39, 0.5, "0.5"), "0.4..0.6", False),
        (Row("indistinguishable", "AA_truth", "all", 0.61, 0.5, "0.5"), "0.4..", True),
        (Row("indistinguishable", "AA_truth", "all", 0.61, 0.5, "0.5"), "..0.6", False),
    ],
)
def test_a_row_against_a_limit(row: Row, limit: str, passed: bool) -> None:
    assert verdict(row, limit) is passed


def checked(*rows: Row, **provenance: object) -> dict[str, bool]:
    """Return which of the checks of attacks pass, by metric."""
    gate = judge(Evaluation(rows, {}, dict(provenance)))
    return {check.metric: check.passed for check in gate.checks if check.metric.startswith("informed")}


def test_the_worst_label_is_judged_on_its_own() -> None:
    labels = [replace(LEAK, label=label, high=high) for label, high in (("A", 0.6), ("B", 0.76), ("C", 0.55))]
    fine = replace(LEAK, high=0.6)
    assert checked(fine, *labels)[f"{POOL}, worst label"] is False
    assert checked(fine, labels[0], labels[2])[f"{POOL}, worst label"] is True
    message = str(judge(Evaluation((fine, *labels), {}, {})))
    assert f"  {POOL}, worst label: B: 0.760 is above 0.750" in message and "--private" in message
    assert "--epsilon" in message and "more training people" in message and "fewer synthetic people" in message
    assert f"{POOL}, worst label" not in checked(fine)  # of one label there is no worst


def test_the_stronger_attack_counts_if_more_people_are_public() -> None:
    both = replace(LEAK, metric=f"{POOL}, all synthetic people", value=0.7, high=0.74)
    assert checked(replace(LEAK, high=0.6))[POOL] is True
    assert checked(replace(LEAK, high=0.6), both)[POOL] is False
    rare = replace(RARE, high=0.7), replace(RARE, metric=f"{POOL}, all synthetic people, rarest tenth", high=0.9)
    assert checked(*rare)[f"{POOL}, rarest tenth"] is False


@pytest.mark.parametrize("limit", ["", "x", "2 x", "..", "0.6..0.4", "0.5%", "nan", "--1", "on"])
def test_a_limit_that_cannot_be_read_is_refused(limit: str) -> None:
    with pytest.raises(UsageError, match=r"of 'LD r' cannot be read; accepted: a number, LOW\.\.HIGH, 2x \(times"):
        parse_limit("LD r", limit)


def test_thresholds_are_read_and_their_metrics_must_exist() -> None:
    assert parse_thresholds(["membership AUC=0.55", "LD RMSE = 1.5x"]) == {"membership AUC": "0.55", "LD RMSE": "1.5x"}
    with pytest.raises(UsageError, match="--threshold 'membership AUC' cannot be read; accepted: METRIC=LIMIT"):
        parse_thresholds(["membership AUC"])
    with pytest.raises(UsageError, match="There is no metric 'AUC' to set a threshold for; metrics: held-out people"):
        judge(Evaluation((AUC,), {}, {}), {"AUC": "0.5"})


def test_every_default_can_be_read_and_names_a_row(parts: Parts) -> None:
    small = [part.select(samples=np.arange(8)) for part in parts]
    rows = {row.metric for row in evaluate(small[0], with_calls(small[1], small[1].calls), holdout=small[2]).rows}
    for metric, threshold in THRESHOLDS.items():
        assert parse_limit(metric, threshold.limit) is not None
        assert metric == HELD_OUT or metric.removesuffix(", worst label").removesuffix(", rarest tenth") in rows
