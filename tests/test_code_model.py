"""Blocks and chain: round trips, what a template may be, and the closed form of the transition probabilities."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import coo_array

from pgcgan.generators.haplotype.blocks import Blocks, carried, find_blocks, unique_rows
from pgcgan.generators.haplotype.chain import Chain, fit_chain
from pgcgan.generators.haplotype.code_rows import CodeRows, table_of
from pgcgan.generators.haplotype.context_tree import empty_context_tree
from pgcgan.generators.haplotype.fitting import fit_shrinkage


def states(most: int = 1, least: int = 0, rows: tuple[int, int] = (1, 24)) -> st.SearchStrategy[np.ndarray]:
    """Matrices of states, rows by sites."""
    shape = st.tuples(st.integers(*rows), st.integers(1, 40))
    return shape.flatmap(lambda s: hnp.arrays(np.int8, s, elements=st.integers(least, most)))


def mosaic(random: np.random.Generator, rows: int, sites: int, founders: int = 8) -> np.ndarray:
    """Return haplotypes that copy a few founders and now and then change over: linked sites."""
    panel = (random.random((founders, sites)) < random.random(sites) * 0.8 + 0.1).astype(np.int8)
    switch = random.random((rows, sites)) < 0.01
    source = random.integers(founders, size=(rows, sites))
    last = np.maximum.accumulate(np.where(switch, np.arange(sites), 0), axis=1)
    return panel[np.take_along_axis(source, last, axis=1), np.arange(sites)]


def two_each(people: int) -> np.ndarray:
    return np.repeat(np.arange(people), 2)


# ---- blocks -------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.sampled_from([2, 3]).flatmap(lambda n: st.tuples(st.just(n), states(most=n - 1))))
def test_where_every_row_is_a_template_codes_are_lossless(case: tuple[int, np.ndarray]) -> None:
    n_states, rows = case
    blocks = find_blocks(rows, np.arange(len(rows)), states=n_states, min_carriers=1, coverage=1.0)
    codes = blocks.encode(rows)
    assert codes.dtype == np.int16
    assert codes.min() >= 0
    assert np.array_equal(blocks.decode(codes, np.random.default_rng(0)), rows)


def test_a_row_made_of_templates_gets_their_codes() -> None:
    rows = mosaic(np.random.default_rng(1), 400, 120)
    rows[np.random.default_rng(2).random(rows.shape) < 0.01] = 0
    blocks = find_blocks(rows, two_each(200))
    assert len(blocks) > 3
    wanted = np.array([[i % size for size in blocks.sizes] for i in range(max(blocks.sizes))])
    of_templates = np.hstack([t[wanted[:, b]] for b, t in enumerate(blocks.templates)])
    assert np.array_equal(blocks.encode(of_templates), wanted)


def test_the_nearest_template_and_the_more_frequent_of_two() -> None:
    templates = np.array([[0, 0, 0, 0], [1, 1, 1, 1]], dtype=np.int8)
    blocks = Blocks(np.array([0, 4]), [templates], [])
    rows = np.array(
        [[0, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1], [-1, 1, 1, -1], [-1, -1, 1, -1], [-1, -1, -1, -1]], dtype=np.int8
    )
    # a tie goes to the first; a row with fewer than half of its sites called has no code
    assert blocks.encode(rows)[:, 0].tolist() == [0, 1, 0, 1, -1, -1]


@given(states(), st.integers(1, 4))
def test_expected_allele_frequencies_are_those_of_the_rows(rows: np.ndarray, min_carriers: int) -> None:
    blocks = find_blocks(rows, np.arange(len(rows)), min_carriers=min_carriers, coverage=0.6)
    codes = blocks.encode(rows)
    expected = np.hstack([e[codes[:, b], :, 1] for b, e in enumerate(blocks.emission)])
    assert np.allclose(expected.mean(axis=0), rows.mean(axis=0), atol=1e-5)


def test_decoded_rows_have_the_expected_frequencies() -> None:
    emission = np.array([[[0.9, 0.1], [0.0, 1.0]], [[1.0, 0.0], [0.25, 0.75]]], dtype=np.float32)
    blocks = Blocks(np.array([0, 2]), [emission.argmax(axis=2).astype(np.int8)], [emission])
    codes = np.repeat([0, 1], 20_000)[:, None]
    rows = blocks.decode(codes, np.random.default_rng(5))
    frequency = rows.reshape(2, 20_000, 2).mean(axis=1)
    assert frequency[0, 1] == 1
    assert frequency[1, 0] == 0
    assert np.allclose(frequency, emission[:, :, 1], atol=5 * 0.5 / np.sqrt(20_000))
    dosage = np.array([[[0.2, 0.5, 0.3]]], dtype=np.float32)
    three = Blocks(np.array([0, 1]), [np.ones((1, 1), np.int8)], [dosage]).decode(codes * 0, np.random.default_rng(6))
    assert np.allclose(np.bincount(three[:, 0], minlength=3) / 40_000, [0.2, 0.5, 0.3], atol=5 * 0.5 / 200)


@given(states(rows=(1, 12)), st.sets(st.integers(1, 39)))
def test_blocks_tile_the_sites_and_cross_no_contig(rows: np.ndarray, breaks: set[int]) -> None:
    breaks = {b for b in breaks if b < rows.shape[1]}
    blocks = find_blocks(rows, np.arange(len(rows)), breaks=sorted(breaks), min_carriers=1, max_sites=16)
    assert blocks.edges[0] == 0
    assert blocks.edges[-1] == rows.shape[1]
    assert (np.diff(blocks.edges) >= 1).all()
    assert (np.diff(blocks.edges) <= 16).all()
    assert breaks <= set(blocks.edges.tolist())
    assert [t.shape[1] for t in blocks.templates] == np.diff(blocks.edges).tolist()


def test_block_length_follows_linkage() -> None:
    random = np.random.default_rng(3)
    column = (random.random((400, 1)) < 0.4).astype(np.int8)
    same = find_blocks(np.repeat(column, 300, axis=1), two_each(200))
    assert same.edges.tolist() == [0, 128, 256, 300]
    assert same.sizes == [2, 2, 2]
    unlinked = find_blocks((random.random((400, 300)) < 0.5).astype(np.int8), two_each(200))
    # 2^7 equally frequent patterns would have about 3 carriers each
    assert np.diff(unlinked.edges).max() <= 7
    rows = mosaic(random, 400, 300)
    assert 7 < np.diff(find_blocks(rows, two_each(200)).edges).mean() < 128
    assert max(find_blocks(rows, two_each(200), max_codes=5).sizes) <= 5


def test_unlinked_sites_are_blocks_of_their_own() -> None:
    random = np.random.default_rng(7)
    label = np.arange(2000) % 2
    free = (random.random((2000, 60)) < np.where(label == 0, 0.2, 0.7)[:, None]).astype(np.int8)
    assert np.diff(find_blocks(free, two_each(1000), label=label).edges).tolist() == [1] * 60
    # linked sites are not, and the two can stand side by side
    linked = mosaic(random, 2000, 60)
    lengths = np.diff(find_blocks(np.hstack([free, linked]), two_each(1000), breaks=[60], label=label).edges)
    assert lengths[:60].tolist() == [1] * 60
    assert np.median(lengths[60:]) > 5


def test_a_few_missing_calls_do_not_break_the_blocks_up() -> None:
    random = np.random.default_rng(3)
    rows = mosaic(random, 400, 300)
    whole = find_blocks(rows, two_each(200))
    holes = np.where(random.random(rows.shape) < 0.01, -1, rows).astype(np.int8)
    assert len(find_blocks(holes, two_each(200))) < 3 * len(whole)


@settings(max_examples=20)
@given(states(rows=(10, 24)), st.integers(1, 2))
def test_blocks_are_as_long_as_the_coverage_allows(rows: np.ndarray, min_carriers: int) -> None:
    person = np.arange(len(rows)) // 2

    def covered(left: int, right: int) -> float:
        patterns = [tuple(r) for r in rows[:, left:right]]
        enough = [
            p for p in set(patterns) if len({person[i] for i, q in enumerate(patterns) if q == p}) >= min_carriers
        ]
        return sum(p in enough for p in patterns) / len(patterns)

    blocks = find_blocks(rows, person, min_carriers=min_carriers, coverage=0.8)
    left, edges = 0, [0]
    while left < rows.shape[1]:  # one site after the other, in plain Python
        right = left + 1
        while right < rows.shape[1] and covered(left, right + 1) >= 0.8:
            right += 1
        edges.append(right)
        left = right
    # a block may have been cut into its sites where they say more of the rows, and nowhere else
    block_edges = blocks.edges.tolist()
    assert set(edges) <= set(block_edges)
    for a, b in pairwise(edges):
        assert [e for e in block_edges if a <= e <= b] in ([a, b], list(range(a, b + 1)))


@given(states(least=-1), st.integers(2, 4))
def test_a_template_has_enough_carriers(rows: np.ndarray, min_carriers: int) -> None:
    person = np.arange(len(rows)) // 2
    blocks = find_blocks(rows, person, min_carriers=min_carriers, coverage=0.5)
    for left, right, templates in zip(blocks.edges, blocks.edges[1:], blocks.templates, strict=False):
        assert templates.min() >= 0
        carriers = [len(set(person[(rows[:, left:right] == t).all(axis=1)].tolist())) for t in templates]
        counts = [int((rows[:, left:right] == t).all(axis=1).sum()) for t in templates]
        assert counts == sorted(counts, reverse=True)
        # the one exception cannot tell anybody apart: a single site at which no state has enough carriers
        assert min(carriers) >= min_carriers or (right - left == 1 and len(templates) == 1)


def test_a_template_has_enough_carriers_even_where_one_person_is_all_there_is() -> None:
    # two people, four haplotypes, two of them equal: the commonest pattern covers half of the rows, with one carrier
    rows = np.array([[0, 1], [0, 1], [1, 1], [0, 0]], dtype=np.int8)
    assert find_blocks(rows, two_each(2), min_carriers=2, coverage=0.5).edges.tolist() == [0, 1, 2]


def test_two_haplotypes_of_one_person_are_one_carrier() -> None:
    common, rare = np.zeros((1, 6), dtype=np.int8), np.ones((1, 6), dtype=np.int8)
    rows = np.vstack([common.repeat(98, axis=0), rare.repeat(2, axis=0)])
    homozygous, apart = two_each(50), np.array([*range(50), *range(48), 48, 49])
    assert set(find_blocks(rows, homozygous, min_carriers=2).sizes) == {1}
    assert find_blocks(rows, apart, min_carriers=2).sizes == [2]


def test_missing_states_make_no_template_and_no_emission() -> None:
    rows = np.array([[0, 0]] * 6 + [[1, 1]] * 6 + [[1, -1]] * 4 + [[-1, -1]] * 2, dtype=np.int8)
    blocks = find_blocks(rows, np.arange(18), min_carriers=3, coverage=0.6)
    assert [t.tolist() for t in blocks.templates] == [[[0, 0], [1, 1]]]
    assert blocks.encode(rows)[:, 0].tolist() == [0] * 6 + [1] * 10 + [-1] * 2
    # among rows of a code, called states only
    assert blocks.emission[0].tolist() == [[[1, 0], [1, 0]], [[0, 1], [0, 1]]]


def test_a_code_without_rows_emits_its_template() -> None:
    rows = np.array([[0, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 0, 1, 0, -1]], dtype=np.int8)
    for blocks in (find_blocks(rows, np.arange(3), min_carriers=1), find_blocks(rows, np.arange(3), min_carriers=3)):
        for emission in blocks.emission:
            assert np.allclose(emission.sum(axis=2), 1)


@pytest.mark.parametrize("states", [2, 3])
def test_stored_blocks_come_back_bit_for_bit(states: int) -> None:
    random = np.random.default_rng(states)
    edges, sizes = np.array([0, 3, 4, 9]), [4, 1, 7]
    templates, emission = [], []
    for length, size in zip(np.diff(edges), sizes, strict=True):
        of_block = random.integers(states, size=(size, length), dtype=np.int8)
        shared = random.random((length, states, states), dtype=np.float32)
        of_codes = shared[np.arange(length), of_block]
        of_codes[0, 0] = random.random(states)  # a code with probabilities of its own
        emission.append(of_codes / of_codes.sum(axis=2, keepdims=True))
        templates.append(of_block)
    arrays = Blocks(edges, templates, emission).arrays()
    assert len(arrays["blocks.own_emission"]) < sum(sizes) * (states - 1)
    stored = Blocks.from_arrays(arrays, 9, states)
    assert all(np.array_equal(a, b) for a, b in zip(stored.templates, templates, strict=True))
    for one, two in zip(stored.emission, emission, strict=True):
        assert np.array_equal(one[:, :, :-1], two[:, :, :-1])
        assert np.allclose(one[:, :, -1], two[:, :, -1], atol=1e-6)


def test_a_dosage_of_2_without_1_is_refused() -> None:
    emission = np.full((1, 8, 3), 1 / 3, dtype=np.float32)
    arrays = Blocks(np.array([0, 8]), [np.full((1, 8), 2, dtype=np.int8)], [emission]).arrays()
    arrays["blocks.templates"] = np.array([0b11110111, 0b11111111], dtype=np.uint8)
    with pytest.raises(ValueError, match=r"blocks\.templates"):
        Blocks.from_arrays(arrays, 8, 3)


@given(states(most=2, least=-1))
def test_unique_rows_are_those_of_numpy(rows: np.ndarray) -> None:
    distinct, inverse = unique_rows(rows)
    assert np.array_equal(distinct[inverse], rows)
    assert {tuple(r) for r in distinct} == {tuple(r) for r in np.unique(rows, axis=0)}
    assert len(distinct) == len(np.unique(rows, axis=0))


# ---- chain --------------------------------------------------------------------------------------------------------

SIZES = (3, 1, 4, 2)
WEIGHTS = (0.3, 1.0, 10.0)


def coded(seed: int, rows: int = 40, unknown: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Return codes with some unknown, each depending on the one before and on the label, and labels."""
    random = np.random.default_rng(seed)
    label = random.integers(2, size=rows)
    codes = np.empty((rows, len(SIZES)), dtype=np.int16)
    before = label
    for b, size in enumerate(SIZES):
        codes[:, b] = np.where(random.random(rows) < 0.7, (before + label) % size, random.integers(size, size=rows))
        before = codes[:, b]
    codes[random.random(codes.shape) < unknown] = -1
    return codes, label


def counted(codes: np.ndarray, label: np.ndarray, label_weight: float, pooled_weight: float) -> Chain:
    """Count in plain Python."""
    transition_counts, code_counts = [], []
    for b, size in enumerate(SIZES):
        pair = np.zeros((2, SIZES[b - 1] if b else 1, size), dtype=np.float32)
        single = np.zeros((2, size), dtype=np.float32)
        for row, own in zip(codes, label, strict=True):
            if row[b] >= 0:
                single[own, row[b]] += 1
                if b == 0 or row[b - 1] >= 0:
                    pair[own, row[b - 1] if b else 0, row[b]] += 1
        transition_counts.append(pair)
        code_counts.append(single)
    return Chain(transition_counts, code_counts, label_weight, pooled_weight)


def by_hand(chain: Chain, block: int, previous: int, label: int) -> np.ndarray:
    """Return the formula of the class, for one row, from the counts."""
    pairs, singles = chain.transition_counts[block].astype(float), chain.code_counts[block].astype(float)
    k = singles.shape[1]
    unseen = previous < 0
    source = 0 if block == 0 else previous
    own, pooled_own = (np.zeros(k), np.zeros(k)) if unseen else (pairs[label, source], pairs[:, source].sum(axis=0))
    p = (singles.sum(axis=0) + 1 / k) / (singles.sum() + 1)
    p_label = (singles[label] + chain.pooled_weight * p) / (singles[label].sum() + chain.pooled_weight)
    pooled = (pooled_own + chain.pooled_weight * p) / (pooled_own.sum() + chain.pooled_weight)
    tilted = pooled * p_label / p
    tilted /= tilted.sum()
    return (own + chain.label_weight * tilted) / (own.sum() + chain.label_weight)


def table(chain: Chain, block: int) -> np.ndarray:
    """Return all log-probabilities of a block: (labels, codes before and "unknown", codes)."""
    labels, sources, _ = chain.transition_counts[block].shape
    label, before = np.meshgrid(np.arange(labels), [*range(sources), -1], indexing="ij")
    return chain.log_probs(block, before.ravel(), label.ravel()).reshape(labels, sources + 1, -1)


@given(st.integers(0, 999), st.sampled_from(WEIGHTS), st.sampled_from(WEIGHTS))
def test_the_chain_is_its_formula(seed: int, label_weight: float, pooled_weight: float) -> None:
    codes, label = coded(seed)
    chain = counted(codes, label, label_weight, pooled_weight)
    for b, size in enumerate(SIZES):
        log_probs = table(chain, b)
        assert log_probs.shape == (2, (SIZES[b - 1] if b else 1) + 1, size)
        assert np.allclose(np.exp(log_probs).sum(axis=2), 1, atol=1e-5)
        for own in (0, 1):
            for previous in [*range(SIZES[b - 1] if b else 1), -1]:
                # block 0 has no block before: "unknown" is the same as its one source
                expected = by_hand(chain, b, 0 if b == 0 else previous, own)
                assert np.allclose(np.exp(log_probs[own, previous]), expected, atol=1e-5)
        log_probs = chain.log_probs(b, codes[:, b - 1], label, codes[:, b])
        assert np.allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 999), st.sampled_from(WEIGHTS), st.sampled_from(WEIGHTS))
def test_leaving_a_row_out_is_counting_without_it(seed: int, label_weight: float, pooled_weight: float) -> None:
    codes, label = coded(seed, rows=12, unknown=0.2)
    chain = counted(codes, label, label_weight, pooled_weight)
    for b in range(len(SIZES)):
        log_probs = chain.log_probs(b, codes[:, b - 1], label, codes[:, b])
        for i in range(len(codes)):
            without = counted(np.delete(codes, i, axis=0), np.delete(label, i), label_weight, pooled_weight)
            expected = by_hand(without, b, int(codes[i, b - 1]) if b else 0, int(label[i]))
            assert np.allclose(np.exp(log_probs[i]), expected, atol=1e-5)


def test_without_shrinkage_the_chain_is_the_conditional_frequency() -> None:
    codes, label = coded(1, rows=300)
    chain = counted(codes, label, 1e-7, 1e-7)
    for own in (0, 1):
        for previous in range(SIZES[1]):
            seen = (label == own) & (codes[:, 1] == previous) & (codes[:, 2] >= 0)
            share = np.bincount(codes[seen, 2], minlength=SIZES[2]) / seen.sum()
            assert np.allclose(np.exp(table(chain, 2)[own, previous]), share, atol=1e-5)
        seen = (label == own) & (codes[:, 2] >= 0)
        share = np.bincount(codes[seen, 2], minlength=SIZES[2]) / seen.sum()
        assert np.allclose(chain.label_frequency(2)[own], share, atol=1e-5)


def test_label_frequency_is_shrunk_toward_the_pooled_one() -> None:
    transitions = np.array([[[6, 2]], [[0, 0]]], dtype=np.float32)
    chain = Chain([transitions], [transitions[:, 0]], 1.0, 1.0, 2.0)
    pooled = np.array([6.5, 2.5]) / 9
    assert np.allclose(chain.label_frequency(0)[0], (np.array([6, 2]) + 2 * pooled) / 10)
    # a label without any row has the pooled frequency
    assert np.allclose(chain.label_frequency(0)[1], pooled)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=20), st.integers(1, 3))
def test_two_rows_of_one_person_are_one_carrier(pairs: list[tuple[int, int]], least: int) -> None:
    pattern, person = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    people = {k: len({p for q, p in pairs if q == k}) for k, _ in pairs}
    enough = sorted(k for k, n in people.items() if n >= least)
    patterns, carriers = carried(pattern, person, least)
    assert patterns.tolist() == enough
    assert carriers.tolist() == [people[k] for k in enough]


def training(codes: np.ndarray, label: np.ndarray) -> CodeRows:
    return CodeRows(codes, label, np.arange(len(codes)), SIZES, 2)


def test_a_table_of_values_equals_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    one, two, weight = random.integers(3, size=50), random.integers(4, size=50), random.random(50)
    assert np.array_equal(table_of((one, two), (3, 4)), coo_array((np.ones(50), (one, two)), (3, 4)).toarray())
    expected = coo_array((weight, (one, two)), (3, 4)).toarray()
    assert np.allclose(table_of((one, two), (3, 4), weight), expected)


def fitted_chain(codes: np.ndarray, label: np.ndarray) -> tuple[Chain, float]:
    """Return the chain with its weights, and the nats a row that they reach."""
    rows = training(codes, label)
    chain, _, nats = fit_shrinkage(fit_chain(rows), empty_context_tree(len(SIZES)), rows)
    return chain, nats


def test_fit_counts_and_takes_the_weights_of_the_best_left_out_likelihood() -> None:
    for seed in (2, 3):
        codes, label = coded(seed, rows=200)
        fitted, nats = fitted_chain(codes, label)
        plain = counted(codes, label, fitted.label_weight, fitted.pooled_weight)
        for b in range(len(SIZES)):
            assert np.array_equal(fitted.transition_counts[b], plain.transition_counts[b])
            assert np.array_equal(fitted.code_counts[b], plain.code_counts[b])

        def score(chain: Chain, codes: np.ndarray = codes, label: np.ndarray = label) -> float:
            total = 0.0
            for b in range(len(SIZES)):
                known = np.flatnonzero(codes[:, b] >= 0)
                log_probs = chain.log_probs(b, codes[:, b - 1], label, codes[:, b])
                total += float(log_probs[known, codes[known, b]].sum())
            return total

        assert score(fitted) == pytest.approx(-nats * len(codes), rel=1e-4)
        # no other pair of weights that it tries is better
        for label_weight in (1.0, 3.0, 10.0, 30.0, 100.0):
            for pooled_weight in (0.3, 1.0, 3.0, 10.0, 30.0):
                other = replace(fitted, label_weight=label_weight, pooled_weight=pooled_weight)
                assert score(other) <= score(fitted) + 1e-3


def test_a_chain_with_other_weights_is_that_chain_and_shares_its_counts() -> None:
    codes, label = coded(5)
    chain = fit_chain(training(codes, label))
    other, plain = replace(chain, label_weight=7.0, pooled_weight=0.3), replace(chain)
    assert other.transition_counts is chain.transition_counts
    assert all(map(np.array_equal, other.pooled_transition_counts, chain.pooled_transition_counts))
    assert (chain.label_weight, chain.pooled_weight) == (plain.label_weight, plain.pooled_weight)
    anew = Chain(chain.transition_counts, chain.code_counts, 7.0, 0.3, chain.frequency_weight)
    for b in range(len(SIZES)):
        asked = (b, codes[:, b - 1], label, codes[:, b])
        assert np.array_equal(other.log_probs(*asked), anew.log_probs(*asked))


def test_a_code_counts_its_share_after_another() -> None:
    codes, label = coded(7, rows=100)
    share = np.random.default_rng(1).random(codes.shape).astype(np.float32)
    chain = fit_chain(training(codes, label), share)
    assert np.array_equal(chain.code_counts[2], fit_chain(training(codes, label)).code_counts[2])
    rows = (label == 1) & (codes[:, 1] == 0) & (codes[:, 2] == 1)
    assert chain.transition_counts[2][1, 0, 1] == pytest.approx(share[rows, 2].sum())
    # and what a row contributed is what is left out
    row = np.flatnonzero(rows)[:1]
    copies = {name: [x.copy() for x in getattr(chain, name)] for name in ("transition_counts", "code_counts")}
    less = replace(chain, **copies)
    less.transition_counts[2][1, 0, 1] -= share[row[0], 2]
    less.code_counts[2][1, 1] -= 1
    less = replace(less)
    one, two = np.array([0]), np.array([1])
    left_out = chain.log_probs(2, one, two, two, share[row, 2])
    assert np.allclose(left_out, less.log_probs(2, one, two), atol=1e-5)
    # another label is asked: only what is known of all labels changes
    elsewhere = chain.log_probs(2, one, one, two, share[row, 2], np.array([False]))
    assert np.allclose(elsewhere, less.log_probs(2, one, one), atol=1e-5)
    assert not np.allclose(elsewhere, chain.log_probs(2, one, one), atol=1e-5)


def test_the_weight_of_frequencies_has_the_best_left_out_likelihood() -> None:
    codes, label = coded(6, rows=60)
    fitted = fit_chain(training(codes, label))

    def score(weight: float) -> float:
        total = 0.0
        for b, size in enumerate(SIZES):
            for i in np.flatnonzero(codes[:, b] >= 0):
                others = (np.arange(len(codes)) != i) & (codes[:, b] >= 0)
                pooled = (np.bincount(codes[others, b], minlength=size) + 1 / size) / (others.sum() + 1)
                own = np.bincount(codes[others & (label == label[i]), b], minlength=size)
                total += np.log((own + weight * pooled) / (own.sum() + weight))[codes[i, b]]
        return total

    assert max((1.0, 3.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0), key=score) == fitted.frequency_weight


def test_labels_that_are_alike_are_pooled_more() -> None:
    random = np.random.default_rng(4)
    codes, label = coded(5, rows=400, unknown=0)
    alike, _ = fitted_chain(codes, random.permutation(label))
    different, _ = fitted_chain(codes, label)
    assert alike.label_weight > different.label_weight
    assert alike.frequency_weight > different.frequency_weight
