"""Labels that draw from each other: EM against enumeration of all paths, and the walk against the sum over paths."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcgan.generators.haplotype import CodeModel, AdmixtureHMM, fit_code_model, fit_admixture

SIZES = [3, 4, 3, 2, 3]


def by_paths(log_probs: np.ndarray, label: np.ndarray, sources: AdmixtureHMM) -> np.ndarray:
    """Return the log-likelihood of each row as a sum over all paths of sources."""
    rows, blocks, labels = log_probs.shape
    total = np.zeros(rows)
    for path in product(range(labels), repeat=blocks):
        share, switch = sources.share[label].astype(float), sources.switch[label].astype(float)
        weight = share[:, path[0]] * np.exp(log_probs[:, 0, path[0]])
        for b in range(1, blocks):
            stay = (1 - switch) * (path[b] == path[b - 1])
            weight = weight * (stay + switch * share[:, path[b]]) * np.exp(log_probs[:, b, path[b]])
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


def test_shares_and_rates_are_found() -> None:
    log_probs, label = mosaics(1)
    found = fit_admixture(log_probs, label)
    assert np.allclose(found.share[2], [0.7, 0.3, 0.0], atol=0.06)
    assert found.switch[2] == pytest.approx(0.1, abs=0.03)
    for own in (0, 1):
        assert found.share[own, own] > 0.97
    assert np.allclose(found.share.sum(axis=1), 1, atol=1e-6)
    # the truth, and the likelihood by plain enumeration, on the first blocks
    part, mine = log_probs[:60, :5], label[:60]
    assert by_paths(part, mine, found).sum() > by_paths(part, mine, replace(found, share=np.eye(3))).sum() + 50


def test_labels_that_explain_themselves_are_left_alone() -> None:
    log_probs, label = mosaics(2)
    keep = label < 2
    found = fit_admixture(log_probs[keep], label[keep])
    assert np.array_equal(found.share, np.eye(3)) and not found.switch.any()


def fitted(seed: int) -> tuple[CodeModel, np.ndarray, np.ndarray]:
    """Return a prior over a few codes, with sources, its codes and labels."""
    random = np.random.default_rng(seed)
    label = np.arange(200) % 2
    founders = np.stack([random.integers(size, size=4) for size in SIZES], axis=1)
    codes = founders[(label * 2 + random.integers(2, size=200)) % 4]
    codes = np.where(random.random(codes.shape) < 0.2, random.integers(2, size=codes.shape), codes)
    prior = fit_code_model(codes, label, np.arange(200) // 2, SIZES, 2, 2)
    share = np.array([[0.7, 0.3], [0.0, 1.0]], dtype=np.float32)
    return replace(prior, sources=AdmixtureHMM(share, np.array([0.2, 0.1], dtype=np.float32))), codes, label


@settings(max_examples=15)
@given(st.integers(0, 99))
def test_a_walk_is_the_sum_over_all_paths(seed: int) -> None:
    prior, _, _ = fitted(seed)
    random = np.random.default_rng(seed)
    label = random.integers(2, size=20)
    codes = np.stack([random.integers(size, size=20) for size in SIZES], axis=1)
    walk, said = prior.walk(label), np.zeros(20)
    single = replace(prior, sources=replace(prior.sources, share=np.eye(2)))
    alone = [single.walk(np.full(20, k)) for k in (0, 1)]
    by_label = np.zeros((20, len(SIZES), 2))
    for b in range(len(SIZES)):
        found = walk.log_probs()
        assert np.allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)
        said += found[np.arange(20), codes[:, b]]
        walk.step(codes[:, b])
        for k in (0, 1):
            by_label[:, b, k] = alone[k].log_probs()[np.arange(20), codes[:, b]]
            alone[k].step(codes[:, b])
    assert np.allclose(said, by_paths(by_label, label, prior.sources), atol=1e-4)


def test_an_unknown_code_says_nothing_about_the_source() -> None:
    prior, _, _ = fitted(3)
    prior = replace(prior, sources=replace(prior.sources, switch=np.zeros(2, dtype=np.float32)))
    label = np.zeros(2, dtype=int)
    walk = prior.walk(label)
    walk.log_probs()
    walk.step(np.array([-1, -1]))
    # no run, no code before: what comes next is the frequency in the sources, .7 and .3
    expected = [np.exp(prior.fallback.log_probs(1, np.array([-1]), np.array([k])))[0] for k in (0, 1)]
    assert np.allclose(np.exp(walk.log_probs()[0]), 0.7 * expected[0] + 0.3 * expected[1], atol=1e-5)


def test_each_label_is_asked_without_the_row_itself() -> None:
    prior, codes, label = fitted(4)
    every = AdmixtureHMM(np.ones((2, 2), np.float32), np.zeros(2, np.float32))
    walk = replace(prior, sources=every).walk(label)
    alone = replace(prior, sources=replace(prior.sources, share=np.eye(2, dtype=np.float32)))
    for b, (_, own_label) in enumerate(alone.own_log_probs(codes, label)):
        found = walk.of_each_label(codes[:, b])
        mine = own_label[np.arange(200), codes[:, b]]
        assert np.allclose(found[np.arange(200), label], mine, atol=1e-5)
        walk.step(codes[:, b])
