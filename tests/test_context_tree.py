"""The context tree against a plain count of runs, block by block; arrays of the code model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcgan.generators.haplotype.code_model import SCHEMA, CodeModel
from pgcgan.generators.haplotype.code_rows import CodeRows
from pgcgan.generators.haplotype.context_tree import ORDERS, count_runs
from pgcgan.generators.haplotype.fitting import fit_code_model
from pgcgan.generators.haplotype.local_ancestry import AdmixtureHMM, no_admixture
from pgcgan.generators.store import check_arrays

SIZES = [3, 2, 4, 3, 3, 2, 3, 4, 3, 2]


def copied(seed: int, rows: int = 120, unknown: float = 0.03) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes that follow one of a few founders for long, their labels and their people (two rows each)."""
    random = np.random.default_rng(seed)
    founders = np.stack([random.integers(size, size=6) for size in SIZES], axis=1)
    source = random.integers(6, size=rows)
    label = (source + random.integers(2, size=rows)) % 2
    codes = founders[source]
    other = random.random(codes.shape) < 0.08
    codes = np.where(other, np.stack([random.integers(size, size=rows) for size in SIZES], axis=1), codes)
    codes[random.random(codes.shape) < unknown] = -1
    return codes, label, np.arange(rows) // 2


def passed_on(count: float, power: float) -> float:
    return count**power if count > 1 else count


def by_hand(model: CodeModel, codes: np.ndarray, label: np.ndarray, person: np.ndarray, row: np.ndarray, asked: int,
            block: int, left_out: int | None) -> np.ndarray:  # fmt: skip
    """Return P(next code) of one row in one label from the training rows themselves, all but one."""
    tree, size = model.context_tree, SIZES[block]

    def run_of(r: np.ndarray, order: int) -> tuple[int, ...] | None:
        run = tuple(r[block - order : block].tolist()) if block >= order else (-1,)
        return None if -1 in run else run

    # the people who carry a run, in the whole cohort and in each label
    people: dict[Any, set[int]] = {}
    for order in ORDERS:
        for i, r in enumerate(codes):
            if (run := run_of(r, order)) is not None:
                people.setdefault((run, None), set()).add(person[i])
                people.setdefault((run, label[i]), set()).add(person[i])

    def carriers(run: tuple[int, ...], own: int | None) -> int:
        return len(people.get((run, own), ()))

    others = [i for i in range(len(codes)) if i != left_out and codes[i, block] >= 0]
    share = dict.fromkeys(others, 1.0)
    after: dict[int, np.ndarray] = {}
    for order in reversed(ORDERS):
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i in others:
            run = run_of(codes[i], order)
            if run and min(carriers(run, None), carriers(run, label[i])) >= tree.min_carriers:
                groups.setdefault((run, label[i], codes[i, block]), []).append(i)
        after[order] = np.zeros(size)
        for (run, own, code), members in groups.items():
            count = sum(share[i] for i in members)
            if (run, own) == (run_of(row, order), asked):
                after[order][code] = count
            for i in members:
                share[i] *= passed_on(count, tree.power) / count
    pairs = np.zeros((2, SIZES[block - 1] if block else 1, size), dtype=np.float32)
    singles = np.zeros((2, size), dtype=np.float32)
    for i in others:
        singles[label[i], codes[i, block]] += 1
        if block == 0 or codes[i, block - 1] >= 0:
            pairs[label[i], codes[i, block - 1] if block else 0, codes[i, block]] += share[i]
    chain = replace(model.chain, transition_counts=[pairs] * (block + 1), code_counts=[singles] * (block + 1))
    last = np.array([row[block - 1] if block else 0])
    p = np.exp(chain.log_probs(block, last, np.array([asked])))[0].astype(float)
    for order in ORDERS:
        run = run_of(row, order)
        own_label = left_out is not None and label[left_out] == asked
        if run and carriers(run, None) >= tree.min_carriers <= carriers(run, asked) - own_label:
            a, d = tree.weights[order]
            less = np.minimum(after[order], d)
            p = (after[order] - less + (a + less.sum()) * p) / (after[order].sum() + a)
    return p


def fitted(seed: int = 1, min_carriers: int = 2) -> tuple[CodeModel, np.ndarray, np.ndarray, np.ndarray]:
    codes, label, person = copied(seed)
    model = fit_code_model(CodeRows(codes, label, person, SIZES, 2), min_carriers, group_labels=False)
    assert model.context_tree.runs[-1]
    return model, codes, label, person


def alone(model: CodeModel) -> CodeModel:
    """Return the model whose labels draw from themselves only."""
    return replace(model, admixture=no_admixture(np.arange(2)))


def left_out_log_probs(model: CodeModel, codes: np.ndarray, label: np.ndarray) -> Iterator[np.ndarray]:
    """Yield, block by block, the log-probabilities of each training row's codes with the row itself left out."""
    predictor = model.predictor(label)
    for b in range(codes.shape[1]):
        yield predictor.log_probs(codes[:, b])
        predictor.observe(codes[:, b])


@settings(max_examples=3)
@given(st.integers(0, 50), st.integers(1, 4))
def test_probabilities_are_those_of_a_plain_count(seed: int, min_carriers: int) -> None:
    model, codes, label, person = fitted(seed, min_carriers)
    # new rows: halves of two training rows
    random = np.random.default_rng(seed)
    new = np.concatenate([codes[:6, :5], codes[random.permutation(len(codes))[:6], 5:]], axis=1)
    predictor = alone(model).predictor(label[:6])
    for b in range(len(SIZES)):
        probability = np.exp(predictor.log_probs())
        assert np.allclose(probability.sum(axis=1), 1, atol=1e-5)
        for i in range(6):
            expected = by_hand(model, codes, label, person, new[i], int(label[i]), b, None)
            assert np.allclose(probability[i], expected, atol=1e-5)
        predictor.observe(new[:, b])


@settings(max_examples=3)
@given(st.integers(0, 50), st.integers(1, 3))
def test_a_training_row_is_left_out(seed: int, min_carriers: int) -> None:
    model, codes, label, person = fitted(seed, min_carriers)
    for b, log_probs in enumerate(left_out_log_probs(alone(model), codes, label)):
        for i in range(0, len(codes), 41):
            if codes[i, b] >= 0:
                expected = by_hand(model, codes, label, person, codes[i], int(label[i]), b, i)
                assert np.allclose(np.exp(log_probs[i]), expected, atol=1e-5)


@settings(max_examples=3)
@given(st.integers(0, 50), st.integers(1, 3))
def test_the_own_code_of_a_training_row_is_predicted_by_each_label_without_the_row(seed: int, carriers: int) -> None:
    model, codes, label, person = fitted(seed, carriers)
    from_all = AdmixtureHMM(np.ones((2, 2), np.float32), np.zeros(2, np.float32), np.arange(2))
    predictor = replace(model, admixture=from_all).predictor(label)
    for b in range(len(SIZES)):
        log_probs = predictor.log_probs_by_group(codes[:, b])
        assert (log_probs[codes[:, b] < 0] == 0).all()
        for i in range(0, len(codes), 41):
            for asked in (0, 1):
                if codes[i, b] >= 0:
                    expected = by_hand(model, codes, label, person, codes[i], asked, b, i)[codes[i, b]]
                    assert np.exp(log_probs[i, asked]) == pytest.approx(expected, abs=1e-5)
        predictor.observe(codes[:, b])


def test_a_run_of_too_few_people_says_nothing() -> None:
    codes, label, person = copied(3, unknown=0)
    # one person whose two haplotypes are unlike anybody's: no run of theirs is followed, however often they carry it
    codes = np.concatenate([codes, np.tile([2, 1, 3, 2, 2, 1, 2, 3, 2, 1], (2, 1))])
    label, person = np.append(label, [0, 0]), np.append(person, [99, 99])
    [(tree, _)] = count_runs(CodeRows(codes, label, person, SIZES, 2), min_carriers=2, powers=[0.5])
    for b, lengths in enumerate(tree.runs):
        for order, runs in lengths.items():
            rows = [(*row[b - order : b], own) for row, own in zip(codes, label, strict=True)]
            carriers = {run: len({person[i] for i, r in enumerate(rows) if r == run}) for run in rows}
            assert sorted(runs.carriers) == sorted(n for n in carriers.values() if n >= 2)


def test_long_runs_are_followed_where_several_people_share_them() -> None:
    model, codes, label, person = fitted()
    rows = np.arange(len(codes))

    def nats(model: CodeModel) -> float:
        total = 0.0
        for b, log_probs in enumerate(left_out_log_probs(model, codes, label)):
            known = codes[:, b] >= 0
            total -= log_probs[rows[known], codes[known, b]].sum()
        return total / len(codes)

    training = CodeRows(codes, label, person, SIZES, 2)
    chain = fit_code_model(training, 2, group_labels=False, longest_run=1, local_ancestry=False)
    assert nats(model) < nats(chain) - 1.0
    # nothing is gained from codes without memory, and nothing is lost
    random = np.random.default_rng(2)
    free = np.stack([random.integers(size, size=400) for size in SIZES], axis=1)
    training = CodeRows(free, random.integers(2, size=400), np.arange(400) // 2, SIZES, 2)
    model = fit_code_model(training, 2, group_labels=False)
    assert not any(model.context_tree.runs)


def test_what_is_too_far_back_is_discarded() -> None:
    model, codes, _, _ = fitted()
    history = list[dict[int, np.ndarray]]()
    for b in range(codes.shape[1]):
        model.context_tree.advance(codes[:, b - 1], history)
        # half of the longest run is looked up 16 blocks back
        assert len(history) == b + 1
        assert not any(history[: max(0, b - 15)])
        assert all(history[max(1, b - 15) :])


def test_the_weights_are_the_best_of_a_coordinate() -> None:
    model, codes, label, _ = fitted(4)

    def score(weights: dict[int, tuple[float, float]]) -> float:
        changed = replace(alone(model), context_tree=replace(model.context_tree, weights=weights))
        return sum(
            float(log_probs[np.flatnonzero(codes[:, b] >= 0), codes[codes[:, b] >= 0, b]].sum())
            for b, log_probs in enumerate(left_out_log_probs(changed, codes, label))
        )

    best = score(model.context_tree.weights)
    last = max(model.context_tree.runs[-1])
    for weights in ((1.0, 0.5), (8.0, 0.0), (64.0, 0.95)):
        assert score({**model.context_tree.weights, last: weights}) <= best + 1e-3


def test_arrays_hold_the_whole_code_model() -> None:
    model, codes, label, _ = fitted()
    arrays = model.arrays()
    check_arrays(arrays, SCHEMA, labels=2)
    again = CodeModel.from_arrays(arrays, SIZES, 2)
    pairs = zip(left_out_log_probs(model, codes, label), left_out_log_probs(again, codes, label), strict=True)
    assert all(np.array_equal(before, after) for before, after in pairs)
    for b in range(len(SIZES)):
        assert np.array_equal(again.label_frequency(b), model.label_frequency(b))
    # blocks too few for any run
    few = CodeRows(codes[:, :2], label, np.arange(len(codes)), SIZES[:2], 2)
    short = fit_code_model(few, 2, group_labels=False)
    assert CodeModel.from_arrays(short.arrays(), SIZES[:2], 2).context_tree.runs == [{}, {}]


CHANGES = {
    "chain.used": (lambda a: a[::-1], lambda a: a + 10**6, lambda a: np.repeat(a[:1], len(a))),
    "labels.codes": (lambda a: a[1:],),
    "labels.group": (lambda a: a + 1, lambda a: a * 0),
    "context_tree.table": (lambda a: a[:-1], lambda a: np.concatenate([a, a[-1:]]),
                           lambda a: a + 99 * np.eye(6, dtype=int)[0],
                           lambda a: a * [1, 3, 1, 1, 1, 1], lambda a: a * [0, 1, 1, 1, 1, 1]),
    "context_tree.keys": (lambda a: a[1:],),
    "context_tree.label_keys": (lambda a: a[1:],),
    "context_tree.first": (lambda a: a + 1, lambda a: a[::-1], lambda a: a[1:]),
    "context_tree.code": (lambda a: a[1:], lambda a: a + 9),
    "context_tree.count": (lambda a: a[1:],),
    "context_tree.carriers": (lambda a: a[1:],),
    "person_ancestry.loadings": (lambda a: a[1:],),
}  # fmt: skip


@pytest.fixture(scope="module")
def valid_arrays() -> dict[str, np.ndarray]:
    return fitted()[0].arrays()


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, changes in CHANGES.items() for change in changes]
)
def test_arrays_that_do_not_fit_together_are_refused(
    name: str, change: Any, valid_arrays: dict[str, np.ndarray]
) -> None:
    with pytest.raises(ValueError):
        CodeModel.from_arrays({**valid_arrays, name: change(valid_arrays[name])}, SIZES, 2)


def test_arrays_of_other_blocks_are_refused(valid_arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError):
        CodeModel.from_arrays(valid_arrays, SIZES[:-1], 2)
    with pytest.raises(ValueError):
        CodeModel.from_arrays(valid_arrays, SIZES, 3)


def test_without_runs_a_code_model_is_the_chain() -> None:
    codes, label, person = copied(1)
    training = CodeRows(codes, label, person, SIZES, 2)
    model = fit_code_model(training, 2, group_labels=False, longest_run=1, local_ancestry=False)
    predictor = model.predictor(label)
    for b in range(len(SIZES)):
        expected = model.chain.log_probs(b, codes[:, b - 1], label)
        assert np.allclose(predictor.log_probs(), expected, atol=1e-6)
        predictor.observe(codes[:, b])
