"""PersonAncestry: found where the two haplotypes of people share it, fitted to what simulated people were made with."""

from __future__ import annotations

import numpy as np
import pytest

from pgcgan.generators.haplotype import CodeModel, find_blocks, fit_code_model, shared_components
from pgcgan.generators.haplotype.ancestry import MOST_AXES, fit_ancestry

PEOPLE, SITES = 600, 120


def structured(seed: int, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return alleles (people, 2, sites) of unlinked sites, labels, and the z and weights that they were drawn with."""
    random = np.random.default_rng(seed)
    label = np.arange(PEOPLE) % 2
    z = random.standard_normal((PEOPLE, 1)) * np.where(label == 0, 1.3, 0.6)[:, None]
    weights = strength * random.standard_normal((SITES, 1))
    logits = random.uniform(-1.5, 1.5, (2, SITES))[label] + z @ weights.T
    alleles = random.random((PEOPLE, 2, SITES)) < 1 / (1 + np.exp(-logits[:, None]))
    return alleles.astype(np.int8), label, z, weights


def prior_of(alleles: np.ndarray, label: np.ndarray) -> tuple[CodeModel, np.ndarray]:
    rows, person = alleles.reshape(-1, SITES), np.repeat(np.arange(PEOPLE), 2)
    blocks = find_blocks(rows, person, max_sites=1)
    codes = blocks.encode(rows).astype(np.int64)
    return fit_code_model(codes, label.repeat(2), person, blocks.sizes, 2, 3), codes.reshape(PEOPLE, 2, -1)


def scores_of(alleles: np.ndarray) -> np.ndarray:
    rows = alleles.reshape(-1, SITES).astype(float)
    axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2]
    return ((rows - rows.mean(axis=0)) @ axes[:20].T).reshape(PEOPLE, 2, 20)


@pytest.fixture(scope="module")
def of_two() -> tuple[np.ndarray, np.ndarray, CodeModel, np.ndarray, CodeModel]:
    """Return alleles and labels of structured people, their prior and codes, and the prior with ancestry."""
    alleles, label, _, _ = structured(2)
    prior, codes = prior_of(alleles, label)
    return alleles, label, prior, codes, prior.with_ancestry(codes, label, scores_of(alleles), seed=1)


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


def test_the_fit_finds_weights_and_spread_that_people_were_drawn_with(of_two) -> None:
    weights, (alleles, _, _, codes, fitted) = structured(2)[3], of_two
    found = fitted.ancestry
    assert 1 <= found.axes <= 2  # the component that tells the labels apart may carry some of it too
    # templates are ordered by frequency: the weights of the allele 1 against the allele 0
    rows = alleles.reshape(-1, SITES)
    swapped = np.array([rows[codes.reshape(-1, SITES)[:, b] == 0, b].mean() > 0.5 for b in range(SITES)])
    of_one = np.stack([w[1] - w[0] for w in found.weights]) * np.where(swapped, -1, 1)[:, None]
    strongest = []
    for own in (0, 1):
        direction, size, _ = np.linalg.svd(of_one @ found.spread[own])
        assert abs(np.corrcoef(direction[:, 0], weights[:, 0])[0, 1]) > 0.95
        strongest.append(size[0] / np.linalg.norm(weights))
    # 1.3 and .6; all of it less, because the weights of so few people are held back
    assert 0.5 < strongest[0] < 1.3
    assert 1.5 < strongest[0] / strongest[1] < 3


def test_without_structure_there_is_no_ancestry(of_two) -> None:
    alleles, label, _, _ = structured(3, strength=0.0)
    prior, codes = prior_of(alleles, label)
    same = prior.with_ancestry(codes, label, scores_of(alleles))
    assert same.ancestry.axes == 0
    # one haplotype a person says nothing about what two share
    alleles, label, prior, codes, _ = of_two
    assert prior.with_ancestry(codes[:, :1], label, scores_of(alleles)[:, :1]).ancestry.axes == 0


def test_the_fit_is_repeatable_and_takes_unknown_codes() -> None:
    alleles, label, _, _ = structured(4)
    prior, codes = prior_of(alleles, label)
    codes = np.where(np.random.default_rng(1).random(codes.shape) < 0.05, -1, codes)
    rows = codes.reshape(-1, SITES)
    offset = np.concatenate([refined for _, refined in prior.own_log_probs(rows, label.repeat(2))], axis=1)
    start = scores_of(alleles)[:, :, :1].mean(axis=1)
    one, two = (fit_ancestry(codes, label, prior.sizes, offset, start, 2, seed=5) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.weights, two.weights, strict=True))
    assert np.array_equal(one.spread, two.spread)
    assert np.isfinite(np.concatenate(one.weights)).all()


def test_people_taken_in_parts_give_the_same_fit(of_two, monkeypatch: pytest.MonkeyPatch) -> None:
    alleles, label, prior, codes, fitted = of_two
    whole = fitted.ancestry
    monkeypatch.setattr("pgcgan.generators.haplotype.ancestry._AT_ONCE", 0)
    monkeypatch.setattr("pgcgan.generators.haplotype.ancestry._PART", 7 * 2 * sum(prior.sizes) + 1)
    monkeypatch.setattr("pgcgan.generators.haplotype._ROWS_AT_A_TIME", 33)
    parts = prior.with_ancestry(codes, label, scores_of(alleles), seed=1).ancestry
    for a, b in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(whole.spread, parts.spread, rtol=1e-3, atol=1e-4)
