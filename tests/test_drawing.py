"""Drawing codes: evenly, raked to targets, and with the probabilities of the code model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from pgcgan.generators.haplotype.chain import Chain
from pgcgan.generators.haplotype.code_model import CodeModel
from pgcgan.generators.haplotype.context_tree import empty_context_tree
from pgcgan.generators.haplotype.drawing import CodeSampler, draw_evenly, rake, raking_bias, softmax
from pgcgan.generators.haplotype.local_ancestry import no_admixture
from pgcgan.generators.haplotype.person_ancestry import PersonAncestry, no_ancestry

SIZES = [3, 5, 2]
ROWS = 20_000
ERROR = 5 * 0.5 / np.sqrt(ROWS)


def chain_model(seed: int = 1, sizes: list[int] = SIZES) -> CodeModel:
    """Return a chain over a few codes of two labels, and nothing else."""
    random = np.random.default_rng(seed)
    before = [1, *sizes[:-1]]
    transitions = [random.gamma(0.7, 30, (2, a, b)).astype(np.float32) for a, b in zip(before, sizes, strict=True)]
    chain = Chain(transitions, [t.sum(axis=1) for t in transitions], 1.0, 1.0, 3.0)
    alone = no_admixture(np.arange(2))
    return CodeModel(chain, empty_context_tree(len(sizes)), alone, no_ancestry(sizes, 2), chain.code_counts)


# ---- evenly -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 700), st.integers(1, 9))
def test_counts_of_identical_rows_are_those_expected(seed: int, rows: int, codes: int) -> None:
    random = np.random.default_rng(seed)
    probability = random.dirichlet(np.ones(codes))
    drawn = draw_evenly(np.tile(np.log(probability), (rows, 1)), np.zeros(rows, dtype=int), random)
    counts = np.bincount(drawn, minlength=codes)
    # multiples of the golden ratio: any interval of probabilities holds as many of them as it should, within 3
    assert np.abs(counts - rows * probability).max() < 3
    # independent draws of 700 rows are off by 13 now and then


@given(st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_counts_of_two_states_are_within_two_of_their_expectation(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    p = random.random()
    logits = np.log(np.tile([p, 1 - p], (rows, 1)))
    count = (draw_evenly(logits, np.zeros(rows, dtype=int), random) == 0).sum()
    assert abs(count - rows * p) < 2


def test_rows_are_drawn_with_their_own_probabilities() -> None:
    random = np.random.default_rng(2)
    logits = random.normal(size=(6, 4)).astype(np.float32)
    label = np.array([0, 0, 0, 1, 1, 1])
    drawn = np.stack([draw_evenly(logits, label, np.random.default_rng(seed)) for seed in range(ROWS // 4)])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for row in range(6):
        frequency = np.bincount(drawn[:, row], minlength=4) / len(drawn)
        assert np.allclose(frequency, expected[row], atol=2 * ERROR)
    assert np.allclose(softmax(logits), expected)


def test_a_code_of_probability_zero_is_not_drawn() -> None:
    logits = np.tile(np.array([-np.inf, 0, -np.inf, 1, -np.inf], np.float32), (500, 1))
    assert set(draw_evenly(logits, np.zeros(500, dtype=int), np.random.default_rng(1))) == {1, 3}


# ---- raking -------------------------------------------------------------------------------------------------------


def test_raked_rows_meet_the_targets() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(size=(600, 5)).astype(np.float32)
    label = random.integers(2, size=600)
    target = random.dirichlet(5 * np.ones(5), size=3).astype(np.float32)
    bias = raking_bias(logits, label, target)
    for k in (0, 1):
        expected = softmax(logits[label == k] + bias[k]).mean(axis=0)
        assert np.allclose(expected, target[k], atol=2e-3)
    assert not bias[2].any()  # a label without rows


def test_the_bias_is_that_of_the_convex_problem() -> None:
    """Raking maximises target · bias - mean log sum exp(logits + bias)."""
    random = np.random.default_rng(4)
    logits = random.normal(size=(200, 3))
    target = np.array([0.2, 0.5, 0.3])

    def loss(bias: np.ndarray) -> float:
        return float(np.log(np.exp(logits + bias).sum(axis=1)).mean() - target @ bias)

    best = minimize(loss, np.zeros(3)).x
    bias = raking_bias(logits.astype(np.float32), np.zeros(200, dtype=int), target[None].astype(np.float32))[0]
    assert np.allclose(bias - bias[0], best - best[0], atol=0.01)


def test_a_bias_is_bounded() -> None:
    logits = np.tile(np.array([0, -30], np.float32), (10, 1))
    bias = raking_bias(logits, np.zeros(10, dtype=int), np.array([[0.1, 0.9]], np.float32))
    assert np.abs(bias).max() <= 4


def test_targets_set_the_bias_before_codes_are_drawn() -> None:
    model = chain_model()
    sampler = CodeSampler.of(model)
    random = np.random.default_rng(5)
    targets = [random.dirichlet(5 * np.ones(size), size=2).astype(np.float32) for size in SIZES]
    label = np.repeat([0, 1], ROWS // 2)
    codes = sampler.draw(label, random, targets=targets)
    for b, size in enumerate(SIZES):
        for k in (0, 1):
            frequency = np.bincount(codes[label == k, b], minlength=size) / (ROWS // 2)
            assert np.allclose(frequency, targets[b][k], atol=0.004)


def test_a_raked_sampler_has_the_shrunk_frequencies_and_leaves_the_other_as_it_is() -> None:
    model = chain_model()
    sampler = CodeSampler.of(model)
    sampler.inverse_temperature = 1.3
    raked = rake(sampler, seed=1, most_rows=4000)
    assert not any(bias.any() for bias in sampler.label_bias)
    assert raked.inverse_temperature == 1.3
    label = np.repeat([0, 1], ROWS // 2)
    codes = raked.draw(label, np.random.default_rng(6))
    for b, size in enumerate(SIZES):
        for k in (0, 1):
            frequency = np.bincount(codes[label == k, b], minlength=size) / (ROWS // 2)
            assert np.allclose(frequency, model.label_frequency(b)[k], atol=0.02)


# ---- rows of codes ------------------------------------------------------------------------------------------------


def joint(codes: np.ndarray, sizes: list[int]) -> np.ndarray:
    return np.bincount(np.ravel_multi_index(tuple(codes.T), sizes), minlength=np.prod(sizes)) / len(codes)


def exact(model: CodeModel, label: int, change: float = 1.0, at: int = -1) -> np.ndarray:
    """Return the probability of every row of codes, from the chain; of one block raised to a power."""
    first = np.exp(model.chain.log_probs(0, np.zeros(1, int), np.array([label])))[0].astype(float)
    total = first
    for b in range(1, len(model.sizes)):
        before = np.arange(model.sizes[b - 1])
        p = np.exp(model.chain.log_probs(b, before, np.full(len(before), label))).astype(float)
        if b == at:
            p = p**change
            p /= p.sum(axis=1, keepdims=True)
        total = total[..., None] * p
    return total.ravel()


def test_rows_have_the_probabilities_of_the_chain() -> None:
    model = chain_model()
    for label in (0, 1):
        codes = CodeSampler.of(model).draw(np.full(ROWS, label), np.random.default_rng(7))
        assert np.allclose(joint(codes, SIZES), exact(model, label), atol=ERROR)


def test_the_temperature_is_for_blocks_of_more_than_three_codes() -> None:
    model = chain_model()
    sampler = CodeSampler.of(model)
    sampler.inverse_temperature = 2.0
    codes = sampler.draw(np.zeros(ROWS, int), np.random.default_rng(8))
    assert np.allclose(joint(codes, SIZES), exact(model, 0, 2.0, at=1), atol=ERROR)


def test_ancestry_adds_its_loadings() -> None:
    model = chain_model(sizes=[3])
    loadings = np.array([[0.0, 1.0], [0.5, 0.0], [-1.0, 0.5]], dtype=np.float32)
    spread = np.stack([np.diag([1.0, 2.0]), np.array([[1.0, 0.0], [1.0, 1.0]])]).astype(np.float32)
    sampler = CodeSampler.of(replace(model, ancestry=PersonAncestry([loadings], spread)))
    z = np.array([1.0, -2.0], dtype=np.float32)
    codes = sampler.draw(np.zeros(ROWS, int), np.random.default_rng(9), ancestry=np.tile(z, (ROWS, 1)))
    expected = exact(model, 0) * np.exp(loadings @ z)
    assert np.allclose(joint(codes, [3]), expected / expected.sum(), atol=ERROR)
    # and z is normal, with the covariance of the label
    label = np.repeat([0, 1], ROWS)
    drawn = sampler.draw_ancestry(label, np.random.default_rng(10))
    for k in (0, 1):
        covariance = np.cov(drawn[label == k].T)
        assert np.allclose(covariance, spread[k] @ spread[k].T, atol=0.15)
    # both haplotypes of a person have it: they correlate by the variance of the probability
    own = np.random.default_rng(15).standard_normal((ROWS, 2)) @ spread[0].T
    p = softmax(np.log(exact(model, 0)) + own @ loadings.T)[:, 2]
    people = sampler.draw_people(np.zeros(ROWS, int), 2, np.random.default_rng(11))
    both = np.corrcoef((people[:, :, 0] == 2).T)[0, 1]
    assert both == pytest.approx(p.var() / (p.mean() * (1 - p.mean())), abs=0.03)


def test_codes_that_rows_have_already_stay_and_are_gone_on_from() -> None:
    model = chain_model()
    begun = np.random.default_rng(12).integers([3, 5], size=(ROWS, 2))
    codes = CodeSampler.of(model).draw(np.zeros(ROWS, int), np.random.default_rng(13), begun=begun)
    assert np.array_equal(codes[:, :2], begun)
    p = np.exp(model.chain.log_probs(2, np.arange(5), np.zeros(5, int)))
    for before in range(5):
        after = codes[begun[:, 1] == before, 2]
        assert after.mean() == pytest.approx(p[before, 1], abs=5 * 0.5 / np.sqrt(len(after)))
    people = CodeSampler.of(model).draw_people(
        np.zeros(50, int), 2, np.random.default_rng(14), begun=begun[:100].reshape(50, 2, 2)
    )
    assert np.array_equal(people[:, :, :2], begun[:100].reshape(50, 2, 2))
