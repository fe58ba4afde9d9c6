"""Person ancestry: found where the two haplotypes of people share it, and equal to what was simulated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from pgcgan.generators.haplotype import code_model, person_ancestry
from pgcgan.generators.haplotype.blocks import find_blocks
from pgcgan.generators.haplotype.code_model import CodeModel
from pgcgan.generators.haplotype.code_rows import CodeRows
from pgcgan.generators.haplotype.fitting import fit_code_model
from pgcgan.generators.haplotype.person_ancestry import (
    MOST_AXES,
    PersonAncestry,
    fit_ancestry,
    fit_loadings,
    infer_ancestry,
    known_ancestry,
    shared_components,
    with_loadings,
)

PEOPLE, SITES = 400, 40


def structured(seed: int, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return alleles (people, 2, sites) of unlinked sites, labels, and the z and weights that they were drawn with."""
    random = np.random.default_rng(seed)
    label = np.arange(PEOPLE) % 2
    z = random.standard_normal((PEOPLE, 1)) * np.where(label == 0, 1.3, 0.6)[:, None]
    weights = strength * random.standard_normal((SITES, 1))
    logits = random.uniform(-1.5, 1.5, (2, SITES))[label] + z @ weights.T
    alleles = random.random((PEOPLE, 2, SITES)) < 1 / (1 + np.exp(-logits[:, None]))
    return alleles.astype(np.int8), label, z, weights


def code_model_of(alleles: np.ndarray, label: np.ndarray) -> tuple[CodeModel, CodeRows]:
    rows, person = alleles.reshape(-1, SITES), np.repeat(np.arange(PEOPLE), 2)
    blocks = find_blocks(rows, person, max_sites=1)
    coded = CodeRows(blocks.encode(rows).astype(np.int64), label.repeat(2), person, blocks.sizes, 2)
    return fit_code_model(coded, 3), coded


def scores_of(alleles: np.ndarray) -> np.ndarray:
    rows = alleles.reshape(-1, SITES).astype(float)
    axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2]
    return (rows - rows.mean(axis=0)) @ axes[:20].T


@pytest.fixture(scope="module")
def of_two() -> tuple[np.ndarray, np.ndarray, CodeModel, CodeRows, PersonAncestry]:
    """Return alleles and labels of structured people, their code model and codes, and the ancestry fitted to them."""
    alleles, label, _, _ = structured(2)
    model, codes = code_model_of(alleles, label)
    return alleles, label, model, codes, infer_ancestry(model.left_out_log_probs, codes, scores_of(alleles), seed=1)


def test_components_count_where_both_haplotypes_share_them() -> None:
    random = np.random.default_rng(1)
    label = np.arange(PEOPLE) % 3
    scores = random.standard_normal((PEOPLE, 2, 30))
    # a difference between labels is not ancestry within them
    scores[:, :, 4] += 5 * label[:, None]
    assert len(shared_components(scores, label)) == 0
    both = random.standard_normal(PEOPLE)
    scores[:, :, 7] += both[:, None]
    scores[:, :, 2] += 2 * both[:, None]
    scores[:, 0, 9] += both  # one haplotype alone
    assert shared_components(scores, label).tolist() == [2, 7]
    everywhere = random.standard_normal((PEOPLE, 1, 30)) + random.standard_normal((PEOPLE, 2, 30))
    assert len(shared_components(everywhere, label)) == MOST_AXES
    assert len(shared_components(scores[:12], label[:12])) == 0


def test_the_fit_recovers_weights_and_spread_that_people_were_drawn_with(of_two) -> None:
    weights, (alleles, _, _, codes, fitted) = structured(2)[3], of_two
    ancestry = fitted
    assert 1 <= ancestry.axes <= 2  # the component that tells the labels apart may carry some of it too
    # templates are ordered by frequency: the weights of the allele 1 against the allele 0
    rows = alleles.reshape(-1, SITES)
    swapped = np.array([rows[codes.codes[:, b] == 0, b].mean() > 0.5 for b in range(SITES)])
    of_one = np.stack([w[1] - w[0] for w in ancestry.loadings]) * np.where(swapped, -1, 1)[:, None]
    strongest = []
    for own in (0, 1):
        direction, size, _ = np.linalg.svd(of_one @ ancestry.spread[own])
        assert abs(np.corrcoef(direction[:, 0], weights[:, 0])[0, 1]) > 0.95
        strongest.append(size[0] / np.linalg.norm(weights))
    # 1.3 and .6; all of it less, because the weights of so few people are held back
    assert 0.5 < strongest[0] < 1.3
    assert 1.5 < strongest[0] / strongest[1] < 3


def test_without_structure_there_is_no_ancestry(of_two) -> None:
    alleles, label, _, _ = structured(3, strength=0.0)
    model, codes = code_model_of(alleles, label)
    assert infer_ancestry(model.left_out_log_probs, codes, scores_of(alleles)).axes == 0
    # one haplotype a person says nothing about what two share
    alleles, label, model, codes, _ = of_two
    assert infer_ancestry(model.left_out_log_probs, codes.at(slice(None, None, 2)), scores_of(alleles)[::2]).axes == 0


def test_the_fit_is_repeatable_and_takes_unknown_codes() -> None:
    alleles, label, _, _ = structured(4)
    model, codes = code_model_of(alleles, label)
    unknown = np.random.default_rng(1).random((PEOPLE, 2, SITES)).reshape(-1, SITES) < 0.05
    rows = replace(codes, codes=np.where(unknown, -1, codes.codes))
    offset = [log_probs for _, _, log_probs in model.left_out_log_probs(rows)]
    start = scores_of(alleles)[:, :1].reshape(PEOPLE, 2, 1).mean(axis=1)
    one, two = (fit_ancestry(rows, np.concatenate(offset, axis=1).T, start, seed=5) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.loadings, two.loadings, strict=True))
    assert np.array_equal(one.spread, two.spread)
    assert np.isfinite(np.concatenate(one.loadings)).all()


def test_people_taken_in_parts_give_the_same_fit(of_two, monkeypatch: pytest.MonkeyPatch) -> None:
    alleles, label, model, codes, fitted = of_two
    whole = fitted
    monkeypatch.setattr(person_ancestry, "_PART", 7 * 2 * len(label) + 1)
    monkeypatch.setattr(code_model, "ROWS_AT_A_TIME", 33)
    parts = infer_ancestry(model.left_out_log_probs, codes, scores_of(alleles), seed=1)
    for a, b in zip(whole.loadings, parts.loadings, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(whole.spread, parts.spread, rtol=1e-3, atol=1e-4)


def test_the_spread_of_known_ancestry_is_the_shrunk_covariance() -> None:
    random = np.random.default_rng(6)
    label = np.repeat([0, 1, 2], [100, 50, 4])
    scores = random.standard_normal((154, 2)) * np.array([3.0, 0.5]) + label[:, None]
    known = known_ancestry(scores, label, 4)
    within = np.vstack([scores[label == k] - scores[label == k].mean(axis=0) for k in range(3)])
    within /= np.sqrt((within**2).mean(axis=0))
    assert np.allclose(known.z, within)
    pooled = within.T @ within / 154
    for k, people in enumerate((100, 50, 4, 0)):
        own = within[label == k]
        expected = (own.T @ own + 20 * pooled) / (people + 20)
        assert np.allclose(known.spread[k] @ known.spread[k].T, expected, atol=1e-4)


def test_loadings_of_known_ancestry_are_those_of_a_ridge_logistic_regression() -> None:
    random = np.random.default_rng(7)
    z = random.standard_normal((2000, 2))
    truth = np.array([[0.0, 0.0], [1.0, -0.5], [-0.5, 2.0]])
    offset = np.log(random.dirichlet([2, 2, 2], size=2000)).astype(np.float32)
    p = np.exp(offset + z @ truth.T)
    p /= p.sum(axis=1, keepdims=True)
    codes = (random.random((2000, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    codes[:20] = -1  # count nothing
    offset[:20] = 99
    fitted = fit_loadings(offset, codes, z)

    def loss(flat: np.ndarray) -> float:
        weights, rows = flat.reshape(3, 2), slice(20, None)
        logits = offset[rows] + z[rows] @ weights.T
        return float((logsumexp(logits, axis=1) - logits[np.arange(1980), codes[rows]]).sum() + 0.05 * (flat**2).sum())

    best = minimize(loss, np.zeros(6)).x.reshape(3, 2)
    # the same for all codes changes nothing
    assert np.allclose(fitted - fitted[0], best - best[0], atol=0.02)
    assert np.allclose(fitted - fitted[0], truth, atol=0.3)


def test_known_ancestry_of_no_axis_is_no_ancestry(of_two) -> None:
    _, label, model, codes, _ = of_two
    without = with_loadings(model.predictor, codes, known_ancestry(np.zeros((PEOPLE, 0)), label, 2))
    assert (without.axes, without.spread.shape) == (0, (2, 0, 0))
