"""Local ancestry: EM and predictions against an enumeration of all paths of states."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcgan.generators.haplotype.code_model import CodeModel
from pgcgan.generators.haplotype.code_rows import CodeRows
from pgcgan.generators.haplotype.fitting import fit_code_model
from pgcgan.generators.haplotype.local_ancestry import AdmixtureHMM, fit_admixture, no_admixture

SIZES = [3, 4, 3, 2, 3]


def by_paths(log_probs: np.ndarray, label: np.ndarray, admixture: AdmixtureHMM) -> np.ndarray:
    """Return the log-likelihood of each row as a sum over all paths of states."""
    rows, blocks, labels = log_probs.shape
    total = np.zeros(rows)
    for path in product(range(labels), repeat=blocks):
        proportions = admixture.proportions[label].astype(float)
        switch = admixture.switch_rate[label].astype(float)
        weight = proportions[:, path[0]] * np.exp(log_probs[:, 0, path[0]])
        for b in range(1, blocks):
            stay = (1 - switch) * (path[b] == path[b - 1])
            weight = weight * (stay + switch * proportions[:, path[b]]) * np.exp(log_probs[:, b, path[b]])
        total += weight
    return np.log(total)


def mosaics(seed: int, rows: int = 600, blocks: int = 40, rate: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities under three labels, of rows of label 2 that are patchworks of 0 and 1, and the label."""
    random = np.random.default_rng(seed)
    label = np.arange(rows) % 3
    source = np.empty((rows, blocks), dtype=int)
    for b in range(blocks):
        fresh = np.where(label == 2, (random.random(rows) < 0.3).astype(int), label)
        new = random.random(rows) < (rate if b else 1.0)
        source[:, b] = np.where(new, fresh, source[:, b - 1])
    # each source says .8 of a code of its own, and .1 of those of the others
    return np.log(np.where(np.arange(3) == source[:, :, None], 0.8, 0.1)), label


def test_proportions_and_switch_rates_are_recovered() -> None:
    log_probs, label = mosaics(1)
    admixture = fit_admixture(log_probs, label, np.arange(3))
    assert np.allclose(admixture.proportions[2], [0.7, 0.3, 0.0], atol=0.06)
    assert admixture.switch_rate[2] == pytest.approx(0.1, abs=0.03)
    for own in (0, 1):
        assert admixture.proportions[own, own] > 0.97
    assert np.allclose(admixture.proportions.sum(axis=1), 1, atol=1e-6)
    # the likelihood by plain enumeration, on the first blocks, against labels that each draw from themselves
    part, labels = log_probs[:60, :5], label[:60]
    alone = replace(admixture, proportions=np.eye(3))
    assert by_paths(part, labels, admixture).sum() > by_paths(part, labels, alone).sum() + 50


def test_labels_that_explain_themselves_draw_from_themselves_alone() -> None:
    log_probs, label = mosaics(2)
    unmixed = label < 2
    admixture = fit_admixture(log_probs[unmixed], label[unmixed], np.arange(3))
    assert np.array_equal(admixture.proportions, np.eye(3))
    assert not admixture.switch_rate.any()


def fitted(seed: int) -> tuple[CodeModel, np.ndarray, np.ndarray]:
    """Return a code model with local ancestry over a few blocks, its codes and labels."""
    random = np.random.default_rng(seed)
    label = np.arange(200) % 2
    founders = np.stack([random.integers(size, size=4) for size in SIZES], axis=1)
    codes = founders[(label * 2 + random.integers(2, size=200)) % 4]
    codes = np.where(random.random(codes.shape) < 0.2, random.integers(2, size=codes.shape), codes)
    model = fit_code_model(CodeRows(codes, label, np.arange(200) // 2, SIZES, 2), 2, group_labels=False)
    proportions = np.array([[0.7, 0.3], [0.0, 1.0]], dtype=np.float32)
    admixture = AdmixtureHMM(proportions, np.array([0.2, 0.1], dtype=np.float32), np.arange(2))
    return replace(model, admixture=admixture), codes, label


@settings(max_examples=8)
@given(st.integers(0, 99))
def test_predictions_are_the_sum_over_all_paths(seed: int) -> None:
    model, _, _ = fitted(seed)
    random = np.random.default_rng(seed)
    label = random.integers(2, size=20)
    codes = np.stack([random.integers(size, size=20) for size in SIZES], axis=1)
    predictor, log_likelihood = model.predictor(label), np.zeros(20)
    single = replace(model, admixture=replace(model.admixture, proportions=np.eye(2)))
    alone = [single.predictor(np.full(20, k)) for k in (0, 1)]
    by_label = np.zeros((20, len(SIZES), 2))
    for b in range(len(SIZES)):
        log_probs = predictor.log_probs()
        assert np.allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-5)
        log_likelihood += log_probs[np.arange(20), codes[:, b]]
        predictor.observe(codes[:, b])
        for k in (0, 1):
            by_label[:, b, k] = alone[k].log_probs()[np.arange(20), codes[:, b]]
            alone[k].observe(codes[:, b])
    assert np.allclose(log_likelihood, by_paths(by_label, label, model.admixture), atol=1e-4)


def test_an_unknown_code_says_nothing_about_the_state() -> None:
    model, _, _ = fitted(3)
    model = replace(model, admixture=replace(model.admixture, switch_rate=np.zeros(2, dtype=np.float32)))
    predictor = model.predictor(np.zeros(2, dtype=int))
    predictor.log_probs()
    predictor.observe(np.array([-1, -1]))
    # no run, no code before: the next code has the frequency in the labels drawn from, .7 and .3
    expected = [np.exp(model.chain.log_probs(1, np.array([-1]), np.array([k])))[0] for k in (0, 1)]
    assert np.allclose(np.exp(predictor.log_probs()[0]), 0.7 * expected[0] + 0.3 * expected[1], atol=1e-5)


def test_each_label_predicts_a_row_without_the_row_itself() -> None:
    model, codes, label = fitted(4)
    from_all = AdmixtureHMM(np.ones((2, 2), np.float32), np.zeros(2, np.float32), np.arange(2))
    predictor = replace(model, admixture=from_all).predictor(label)
    alone = replace(model, admixture=no_admixture(np.arange(2))).predictor(label)
    rows = np.arange(200)
    for b in range(len(SIZES)):
        by_label = predictor.log_probs_by_group(codes[:, b])
        own = alone.log_probs(codes[:, b])[rows, codes[:, b]]
        assert np.allclose(by_label[rows, label], own, atol=1e-5)
        predictor.observe(codes[:, b])
        alone.observe(codes[:, b])
