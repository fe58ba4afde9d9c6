"""`evaluate` as a whole: floors, matching, what cannot be computed, errors, JSON and the quick subset."""

from __future__ import annotations

import json

import msprime
import numpy as np
import pytest

from pgcgan.errors import DataError, UsageError
from pgcgan.genotypes import Genotypes, Variants
from pgcgan.metrics import MEASURES, Evaluation, Row, evaluate
from pgcgan.report import headline


@pytest.fixture(scope="module")
def population() -> Genotypes:
    """Return 330 people of one simulation, in two populations.

    With ten times the usual recombination few haplotypes are equal, as in a longer region of real people.
    """
    demography = msprime.Demography()
    demography.add_population(name="A", initial_size=20_000)
    demography.add_population(name="B", initial_size=20_000)
    demography.add_population(name="C", initial_size=10_000)
    demography.add_population_split(time=1500, derived=["A", "B"], ancestral="C")
    trees = msprime.sim_ancestry(
        {"A": 165, "B": 165}, sequence_length=500_000, recombination_rate=1e-7, demography=demography, random_seed=4
    )
    trees = msprime.sim_mutations(trees, rate=1.5e-8, random_seed=5, model=msprime.BinaryMutationModel())
    alt = trees.genotype_matrix().astype(np.int8).reshape(trees.num_sites, 330, 2)
    alt = alt[(alt.mean(axis=(1, 2)) > 0.02) & (alt.mean(axis=(1, 2)) < 0.98)]
    alt = alt[np.linspace(0, len(alt) - 1, 1000).astype(int)]
    variants = Variants(
        ["1"] * len(alt), np.arange(len(alt)) * 700 + 1, ["."] * len(alt), ["A"] * len(alt), ["G"] * len(alt)
    )
    labels = {"pop": np.repeat(["A", "B"], 165), "super_pop": np.repeat(["S1", "S2"], 165)}
    return Genotypes(alt, variants, [f"P{i}" for i in range(330)], labels)


def renamed(people: Genotypes, prefix: str = "SYN") -> Genotypes:
    return Genotypes(
        people.calls,
        people.variants,
        [f"{prefix}_{i}" for i in range(people.n_samples)],
        people.labels,
        people.phased,
    )


@pytest.fixture(scope="module")
def parts(population: Genotypes) -> tuple[Genotypes, Genotypes, Genotypes]:
    """Return train, fresh people in the place of synthetic ones, and held-out people, of one population."""
    index = np.arange(330)
    return (
        population.select(samples=index % 11 < 4),
        renamed(population.select(samples=(index % 11 >= 4) & (index % 11 < 8))),
        population.select(samples=index % 11 >= 8),
    )


@pytest.fixture(scope="module")
def fresh(parts: tuple[Genotypes, Genotypes, Genotypes]) -> Evaluation:
    train, synthetic, holdout = parts
    return evaluate(train, synthetic, holdout=holdout)


def independent_sites(people: Genotypes, seed: int = 0) -> Genotypes:
    """Return people whose sites are shuffled apart within each label: frequencies kept, linkage gone."""
    generator = np.random.default_rng(seed)
    calls = people.calls.copy()
    for value in np.unique(people.labels["pop"].astype(str)):
        mine = np.flatnonzero(people.labels["pop"] == value)
        block = calls[:, mine].reshape(len(calls), -1)
        calls[:, mine] = generator.permuted(block, axis=1).reshape(len(calls), len(mine), 2)
    return renamed(Genotypes(calls, people.variants, people.samples, people.labels))


def test_fresh_real_people_meet_the_floor(fresh: Evaluation) -> None:
    for metric in ("AF RMSE", "LD RMSE", "sliced Wasserstein"):
        row = fresh.get(metric)
        assert 0.5 < row.value / row.floor < 2, metric
    for metric in ("AA_truth", "AA_syn", "C2ST AUC, gradient boosting"):
        assert fresh.get(metric).value == pytest.approx(0.5, abs=0.12), metric
    assert fresh.get("membership AUC").low < 0.5 < fresh.get("membership AUC").high
    assert fresh.get("privacy loss").low < 0 < fresh.get("privacy loss").high
    assert fresh.get("TSTR accuracy").value == pytest.approx(fresh.get("TSTR accuracy").floor, abs=0.1)
    assert fresh.get("PCA variance ratio").value == pytest.approx(1, abs=0.15)


def test_shares_and_their_intervals_are_shares(fresh: Evaluation) -> None:
    shares = ("AA_", "C2ST", "membership", "informed", "frequency attack", "exact", "near", "copied", "closest", "TSTR")
    shares += ("label fidelity", "sites lost", "singleton share", "coverage")
    rows = [row for row in fresh.rows if row.metric.startswith(shares) and row.value is not None]
    assert len(rows) > 60
    for row in rows:
        ends = [v for v in (row.low, row.value, row.high, row.floor) if v is not None]
        assert min(ends) >= 0 and max(ends) <= 1, row
        assert row.low is None or row.high is None or row.low <= row.high, row


def test_every_interval_holds_its_value(fresh: Evaluation) -> None:
    spans = [(row.metric, row.label, row.low, row.value, row.high) for row in fresh.rows if row.low is not None]
    assert {"heterozygosity W1", "inbreeding error", "Fst error"} <= {metric for metric, *_ in spans}
    assert [span for span in spans if not span[2] <= span[3] <= span[4]] == []


def test_the_verdict_on_other_real_people_and_on_the_training_people_themselves(
    parts: tuple[Genotypes, Genotypes, Genotypes], fresh: Evaluation
) -> None:
    assert "training membership was not detected by these attacks" in headline(fresh)
    train, _, holdout = parts
    itself = evaluate(train, train, holdout=holdout)
    assert "it copies its training people: 100 % of the synthetic people" in headline(itself)
    remarks = " ".join(itself.provenance["remarks"])
    assert f"{train.n_samples} synthetic people have names of train people" in remarks
    assert "the same people" in remarks


def test_planted_copies_are_flagged(parts: tuple[Genotypes, Genotypes, Genotypes], fresh: Evaluation) -> None:
    train, synthetic, holdout = parts
    calls = synthetic.calls.copy()
    calls[:, ::10] = train.calls[:, ::10]  # every tenth person is a copy
    leaky = evaluate(train, Genotypes(calls, train.variants, synthetic.samples, synthetic.labels), holdout=holdout)
    gain = leaky.get("exact copies").value - leaky.get("exact copies").floor
    assert gain > 0.05
    assert leaky.get("exact copies").standing == "poor"
    found, unleaked = (e.get("membership TPR at 1 % FPR") for e in (leaky, fresh))
    assert found.value > 3 * unleaked.value
    assert found.low > 0.02
    assert fresh.get("exact copies").standing != "poor"


def test_lost_linkage_is_seen_by_linkage_and_neighbours_but_not_by_frequencies(
    parts: tuple[Genotypes, Genotypes, Genotypes], fresh: Evaluation
) -> None:
    train, _, holdout = parts
    apart = evaluate(train, independent_sites(train), holdout=holdout)
    assert apart.get("AF RMSE").value == pytest.approx(apart.get("AF RMSE").floor, rel=0.01)
    assert apart.get("LD RMSE").value > 2 * apart.get("LD RMSE").floor
    assert apart.get("AA_truth").value > 0.9
    assert apart.get("C2ST AUC, gradient boosting").value > 0.9
    assert apart.get("PCA variance ratio").value < 0.5
    assert fresh.get("LD RMSE").standing == "good"


def test_the_same_seed_gives_the_same_numbers_and_json_round_trips(
    parts: tuple[Genotypes, Genotypes, Genotypes], fresh: Evaluation
) -> None:
    train, synthetic, holdout = parts
    again = evaluate(train, synthetic, holdout=holdout)
    assert again.rows == fresh.rows
    text = fresh.to_json()
    back = Evaluation.from_json(text)
    assert back.rows == fresh.rows
    assert back.figures == fresh.figures
    assert back.to_json() == text
    assert "NaN" not in text and "Infinity" not in text
    assert list(fresh.to_frame().columns)[:4] == ["topic", "metric", "label", "value"]


def test_json_keeps_numbers_that_are_not_finite_and_none_apart() -> None:
    row = Row("t", "m", "all", float("nan"), float("inf"), "lower", None, float("-inf"))
    made = Evaluation((row,), {"f": {"x": [1.5, float("nan"), None], "float": 2.0}}, {"label": ["NaN"], "seed": None})
    text = made.to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    back = Evaluation.from_json(text)
    assert repr(back.rows) == repr(made.rows)
    assert repr(back.figures) == repr(made.figures)
    assert back.provenance == made.provenance
    assert back.to_json() == text


def test_a_notebook_shows_the_overall_rows_and_the_remarks(fresh: Evaluation) -> None:
    page = fresh._repr_html_()
    overall = [r for r in fresh.rows if r.label == "all"]
    assert page.count("<tr>") == len(overall) + 1
    assert "<th>interval</th>" in page
    assert "Verdict: " in page and str(fresh).endswith(fresh.verdict())
    assert "80 of 100 &lt;b&gt;" in Evaluation((), {}, {"remarks": ["80 of 100 <b>"]})._repr_html_()


def test_other_json_is_refused() -> None:
    with pytest.raises(DataError, match="This is not an evaluation in JSON"):
        Evaluation.from_json('{"rows": 3}')
    with pytest.raises(DataError, match="figures and provenance must be objects"):
        Evaluation.from_json('{"rows": [], "figures": [], "provenance": {}}')


def test_rows_keep_their_order_and_the_table_shows_the_overall_ones(fresh: Evaluation) -> None:
    topics = list(dict.fromkeys(r.topic for r in fresh.rows))
    assert topics == list(dict.fromkeys(topic for topic, *_ in MEASURES))
    overall = [r.metric for r in fresh.rows if r.label == "all"]
    assert len(overall) == len(set(overall))
    lines = str(fresh).splitlines()
    assert lines[0].split() == ["topic", "metric", "value", "floor", "standing", "aim", "interval"]
    assert sum("AF RMSE " in line for line in fresh.table().splitlines()) == 1
    assert sum("AF RMSE " in line for line in fresh.table(per_label=True).splitlines()) == 3
    with pytest.raises(UsageError, match="no row 'AF rmse' for the label 'all'.*did you mean 'AF RMSE'"):
        fresh.get("AF rmse")
    with pytest.raises(UsageError, match="for the label 'S9'; labels: all, S1, S2"):
        fresh.get("AF RMSE", "S9")


def test_rows_by_brackets_and_one_by_one(fresh: Evaluation) -> None:
    assert fresh["AF RMSE"] is fresh.get("AF RMSE") and fresh["AF RMSE", "S1"] is fresh.get("AF RMSE", "S1")
    assert tuple(fresh) == fresh.rows and len(fresh) == len(fresh.rows)


def test_names_are_escaped_in_a_notebook() -> None:
    nasty = Evaluation((Row("<b>", "<script>x</script>", "all", 1.0),), {}, {})
    assert "&lt;script&gt;" in nasty._repr_html_()
    assert "<script>" not in nasty._repr_html_()


def test_super_pop_is_the_label_of_choice_and_several_are_joined(
    parts: tuple[Genotypes, Genotypes, Genotypes], fresh: Evaluation
) -> None:
    assert fresh.provenance["label"] == ["super_pop"]
    assert {r.label for r in fresh.rows if r.metric == "AA_syn"} == {"all", "S1", "S2"}
    train, synthetic, holdout = parts
    both = evaluate(train, synthetic, holdout=holdout, label=["super_pop", "pop"])
    assert {r.label for r in both.rows if r.metric == "AA_syn"} == {"all", "S1/A", "S2/B"}


def test_synthetic_people_are_matched_label_by_label(parts: tuple[Genotypes, Genotypes, Genotypes]) -> None:
    train, synthetic, holdout = parts
    few_b = synthetic.select(samples=np.r_[0:60, 60:80])
    found = evaluate(train, few_b, holdout=holdout)
    assert found.provenance["people_by_label"]["train"] == {"S1": 60, "S2": 20}
    assert found.provenance["people_by_label"]["synthetic"] == {"S1": 60, "S2": 20}
    assert any("80 of 120 train people are used" in remark for remark in found.provenance["remarks"])


def test_without_held_out_people_floors_are_absent_and_rows_say_so(
    parts: tuple[Genotypes, Genotypes, Genotypes],
) -> None:
    train, synthetic, _ = parts
    found = evaluate(train, synthetic)
    assert found.get("AF RMSE").value > 0
    assert all(r.floor is None for r in found.rows if r.topic in ("linkage", "structure", "utility"))
    row = found.get("membership AUC")
    assert row.value is None
    assert row.note == "needs held-out people (holdout=…, --split)"
    assert "needs held-out people" in str(found)


def test_unphased_missing_and_unlabelled_people_are_measured_as_far_as_they_go(
    parts: tuple[Genotypes, Genotypes, Genotypes],
) -> None:
    train, synthetic, holdout = parts
    calls = train.calls.copy()
    calls[np.random.default_rng(0).random(calls.shape[:2]) < 0.03] = -1
    rough = Genotypes(calls, train.variants, train.samples, {}, phased=True).without_phase()
    found = evaluate(rough, synthetic, holdout=holdout)
    assert found.get("H12 RMSE").note == "needs phased haplotypes"
    assert found.get("label fidelity").note == "needs labels"
    assert found.get("AA_truth").value == pytest.approx(0.5, abs=0.15)
    assert found.get("membership AUC").value == pytest.approx(0.5, abs=0.1)
    remarks = " ".join(found.provenance["remarks"])
    assert "Not all sets are phased" in remarks
    assert "Missing calls" in remarks
    assert remarks.startswith("No label column is common")
    assert "train has none; synthetic has pop, super_pop" in remarks and "panel=" in remarks


def test_two_people_give_a_table_of_reasons(parts: tuple[Genotypes, Genotypes, Genotypes]) -> None:
    train, synthetic, holdout = (p.select(samples=np.arange(2)) for p in parts)
    found = evaluate(train, synthetic, holdout=holdout)
    assert found.get("LD RMSE").note == "needs at least 5 people, the train set has 2"
    assert found.get("AF RMSE").value is not None


def test_sets_are_compared_at_the_sites_they_share(parts: tuple[Genotypes, Genotypes, Genotypes]) -> None:
    train, synthetic, holdout = (part.select(sites=slice(0, 60)) for part in parts)
    left, right = np.arange(50), np.arange(10, 60)
    whole = evaluate(train, synthetic.select(sites=left), holdout=holdout.select(sites=right))
    shared = [part.select(sites=np.arange(10, 50)) for part in (train, synthetic, holdout)]
    assert whole.rows == evaluate(shared[0], shared[1], holdout=shared[2]).rows
    assert whole.provenance["sites"] == 40
    assert whole.provenance["remarks"][0].startswith("40 sites are compared")
    with pytest.raises(DataError, match="no site in common"):
        evaluate(train, parts[1].select(sites=slice(60, 100)), holdout=holdout)


def test_people_who_may_be_real_are_remarked_on(parts: tuple[Genotypes, Genotypes, Genotypes]) -> None:
    train, _, holdout = (part.select(sites=slice(0, 30)) for part in parts)
    remarks = " ".join(evaluate(train, train, holdout=holdout).provenance["remarks"])
    assert f"{train.n_samples} synthetic people have names of train people" in remarks
    assert "have the genotypes of the train people" in remarks
    assert "holdout people" not in remarks


def test_people_in_both_real_sets_are_refused(parts: tuple[Genotypes, Genotypes, Genotypes]) -> None:
    train, synthetic, _ = parts
    with pytest.raises(DataError, match="120 people are in train and in holdout: P0, P1, P100"):
        evaluate(train, synthetic, holdout=train)


def test_unknown_labels_are_refused(parts: tuple[Genotypes, Genotypes, Genotypes]) -> None:
    train, synthetic, holdout = parts
    with pytest.raises(DataError, match="The train set has no label 'region'; its labels: pop, super_pop"):
        evaluate(train, synthetic, holdout=holdout, label="region")
    other = synthetic.with_labels({"super_pop": ["X"] * synthetic.n_samples})
    with pytest.raises(DataError, match="No label value is common to the sets: train has S1, S2; synthetic has X"):
        evaluate(train, other, holdout=holdout)


def test_events_count_to_the_end(parts: tuple[Genotypes, Genotypes, Genotypes]) -> None:
    train, synthetic, holdout = (p.select(samples=np.r_[0:8, 60:68]) for p in parts)
    events: list[dict] = []
    evaluate(train, synthetic, holdout=holdout, on_event=events.append)
    assert [e["done"] for e in events] == list(range(events[0]["total"]))
    assert {e["label"] for e in events} == {"all", "S1", "S2"}


def test_others_stand_beside_and_a_training_is_shown(fresh: Evaluation) -> None:
    history = [
        {"step": 5, "loss": 3.0, "metrics": {"af_rmse": 0.4}},
        {"step": 10, "loss": 2.0, "metrics": {}},
        {"step": 14, "loss": 1.0, "metrics": {"af_rmse": 0.3}},
    ]
    both = fresh.beside({"again": fresh}).with_training(history)
    assert both.rows == fresh.rows and "baselines" not in fresh.figures
    assert len(both.figures["baselines"]["again"]) == sum(r.label == "all" for r in fresh.rows)
    expected = {"step": [5, 10, 14], "curves": {"loss": [3.0, 2.0, 1.0], "af rmse": [0.4, None, 0.3]}}
    assert both.figures["training"] == expected
    assert Evaluation.from_json(both.to_json()).figures == both.figures
    assert "training" not in both.with_training(history[:1]).figures


def test_augmentation_is_measured_where_asked_for(parts: tuple[Genotypes, Genotypes, Genotypes]) -> None:
    train, other, holdout = parts
    value = str(train.label("super_pop")[0])
    found = evaluate(train, renamed(other), holdout=holdout, augment=value, label="super_pop", seed=1)
    rows = [r for r in found.rows if r.metric.startswith("augmentation")]
    assert len(rows) == 4 and rows[0].metric == f"augmentation F1 of {value}, 10 kept"
    with pytest.raises(DataError, match="No label has the value 'MARS'; the values: "):
        evaluate(train, renamed(other), holdout=holdout, augment="MARS", label="super_pop")
