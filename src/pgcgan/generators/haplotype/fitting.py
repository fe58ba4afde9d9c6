"""Fitting the distribution of rows of block codes: groups of labels, chain, context tree and local ancestry.

Every choice here is made by the likelihood of training rows, each left out of the counts that predict it.

A label of fifty people has too few haplotypes of its own to tell which runs of codes are common, and what its people
share with those of a neighbouring population is lost if each is counted apart. Labels with few people are therefore
grouped where that predicts their haplotypes better: chain, runs and local ancestry are counted in groups, and a label
is told from its group by the frequency of each code (`CodeModel.label_frequency`), to which draws are raked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform
from scipy.special import logsumexp

from ...runtime.threads import in_threads
from .chain import Chain, fit_chain
from .code_model import CodeModel, own_frequency
from .code_rows import CodeRows
from .context_tree import ORDERS, POWERS, ContextTree, count_runs, empty_context_tree, refined
from .local_ancestry import AdmixtureHMM, fit_admixture, no_admixture
from .person_ancestry import no_ancestry

FEW_PEOPLE = 250  # labels with as many are counted on their own
MOST_FST = 0.02  # within a group, of its parts: populations of a continent have less, continents more
_TRIAL_BLOCKS = 24  # in the middle, that groupings are tried on
_CUTS = 4  # groupings that are tried, at most
_USUAL = 0.5, (10.0, 10.0), dict.fromkeys(ORDERS, (1.0, 0.7))  # power and weights with which groupings are compared

_ADMIXTURE_CODES = 400_000  # codes of training rows that local ancestry is fitted to
_GAIN = 0.01  # relative gain in likelihood that the context tree must bring: it makes drawing slower

# weights of chain and context tree that are tried
_LABEL_AND_POOLED = list(product((0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0), (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)))
_DISCOUNTS = (0.0, 0.3, 0.5, 0.7, 0.85, 0.95)
_OF_RUNS = list(product((0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0), _DISCOUNTS))
_SHRINKAGE_CODES = 100_000  # codes of training rows that they are fitted to
_CHAIN_BLOCKS = 16  # that the chain's weights are tried on
_ROUNDS = 2


def fit_code_model(
    rows: CodeRows,
    min_carriers: int,
    *,
    group_labels: bool = True,
    longest_run: int = ORDERS[-1],
    local_ancestry: bool = True,
) -> CodeModel:
    """Fit groups of labels, chain, context tree and local ancestry; weights are chosen by leave-one-out likelihood.

    So many people must share a run of codes, of `longest_run` blocks at most, before it is followed; with 1, there is
    no context tree. `group_labels` groups labels with few people where that predicts rows better.
    """
    counts = rows.counts()
    people = np.array([len(np.unique(rows.person[rows.label == k])) for k in range(rows.n_labels)])
    first = max(0, (len(rows.sizes) - _TRIAL_BLOCKS) // 2)
    some = rows.in_blocks(slice(first, first + _TRIAL_BLOCKS))

    def nats(group: np.ndarray) -> float:
        model = count_code_model(some, group, min_carriers, *_USUAL, longest_run)
        return _nats(with_local_ancestry(model, some) if local_ancestry else model, some)

    group = find_groups(counts, people, nats) if group_labels else np.arange(rows.n_labels)
    grouped = rows.in_groups(group)
    counted = count_runs(grouped, min_carriers, POWERS, longest_run) if longest_run > 1 else []

    def fitted(runs_and_share: tuple[ContextTree, np.ndarray | None]) -> tuple[Chain, ContextTree, float]:
        runs, share = runs_and_share
        return fit_shrinkage(fit_chain(grouped, share), runs, grouped)

    (chain, tree, least), *trials = in_threads(fitted, [(empty_context_tree(len(rows.sizes)), None), *counted])
    enough = (1 - _GAIN) * least
    for trial in trials:
        if trial[2] < min(least, enough):
            chain, tree, least = trial
    model = CodeModel(chain, tree, no_admixture(group), no_ancestry(rows.sizes, rows.n_labels), counts)
    return with_local_ancestry(model, rows) if local_ancestry else model


def count_code_model(
    rows: CodeRows,
    group: np.ndarray,
    min_carriers: int,
    power: float,
    chain_weights: tuple[float, float],
    run_weights: Mapping[int, tuple[float, float]],
    longest_run: int = ORDERS[-1],
) -> CodeModel:
    """Count a code model, without local ancestry, with weights that are given: see `ContextTree` and `Chain`.

    `group` is the group of each label, `chain_weights` are `label_weight` and `pooled_weight` of the chain.
    """
    grouped = rows.in_groups(group)
    ((runs, share),) = count_runs(grouped, min_carriers, (power,), longest_run)
    of_label, pooled = chain_weights
    chain = replace(fit_chain(grouped, share), label_weight=of_label, pooled_weight=pooled)
    tree = replace(runs, weights=dict(run_weights))
    return CodeModel(chain, tree, no_admixture(group), no_ancestry(rows.sizes, rows.n_labels), rows.counts())


# ---- groups of labels ---------------------------------------------------------------------------------------------


def find_groups(
    code_counts: Sequence[np.ndarray], people: np.ndarray, nats: Callable[[np.ndarray], float]
) -> np.ndarray:
    """Return the group of each label, (labels,), given its code counts (labels, codes) by block and number of people.

    Labels are joined in the order of a hierarchical clustering by their code frequencies (average linkage of Hudson's
    Fst, up to .02); of a few cuts of that tree, the one is taken that predicts training rows best: with the least mean
    of -log P of a row left out (`nats`).
    """
    n_labels = len(people)
    every = np.arange(n_labels)
    few = np.flatnonzero(people < FEW_PEOPLE)
    if len(few) < 2:
        return every
    tree = linkage(squareform(fst_of_labels(code_counts)[np.ix_(few, few)], checks=False), method="average")
    fewest = len(few) - int((tree[:, 2] <= MOST_FST).sum())
    sizes = np.unique(np.geomspace(fewest, len(few), _CUTS).round().astype(int))
    if len(sizes) == 1:
        return every
    groupings = []
    for size in sizes.tolist():
        cluster, first = cut_tree(tree, size)[:, 0], every.copy()
        first[few] = [few[cluster == c].min() for c in cluster]
        groupings.append(np.unique(first, return_inverse=True)[1])  # numbered in the order of their first labels
    return min(groupings, key=nats)


def fst_of_labels(code_counts: Sequence[np.ndarray]) -> np.ndarray:
    """Return Hudson's Fst of each pair of labels over the codes of all blocks (Bhatia 2013, ratio of averages)."""
    n_labels = len(code_counts[0])
    within, between = np.zeros(n_labels), np.zeros((n_labels, n_labels))
    for counts in code_counts:
        n = np.maximum(counts.sum(axis=1, keepdims=True, dtype=np.float64), 2)
        frequency = counts / n
        between += 1 - frequency @ frequency.T
        within += ((1 - (frequency**2).sum(axis=1, keepdims=True)) * n / (n - 1))[:, 0]
    fst = 1 - (within[:, None] + within) / 2 / np.maximum(between, 1e-12)
    np.fill_diagonal(fst, 0)
    return np.maximum(fst, 0)


def _nats(model: CodeModel, rows: CodeRows) -> float:
    """Return the mean of -log P of a training row left out, of a model counted in these rows.

    P is tilted from the code frequencies of the group to those of the label, without the row itself.
    """
    nats = 0.0
    for part, b, log_probs in model.left_out_log_probs(rows):
        known = np.flatnonzero(rows.codes[part, b] >= 0)
        code, label = rows.codes[part, b][known], rows.label[part][known]
        counts = model.label_counts[b][label]
        counts[np.arange(len(code)), code] -= 1
        of_group = model.chain.label_frequency(b)[model.admixture.group[label]]
        tilted = log_probs[known] + np.log(own_frequency(counts, of_group) / of_group)
        nats -= float((tilted[np.arange(len(code)), code] - logsumexp(tilted, axis=1)).sum())
    return nats / len(rows)


# ---- weights of chain and context tree ----------------------------------------------------------------------------


def fit_shrinkage(chain: Chain, tree: ContextTree, rows: CodeRows) -> tuple[Chain, ContextTree, float]:
    """Choose the weights of chain and context tree, each in turn, by the leave-one-out likelihood of training rows.

    Returned with both is what it reaches: the mean of -log P of a row left out, in nats.
    """
    left_out = _LeftOut.of(chain, tree, rows.evenly(_SHRINKAGE_CODES // len(rows.sizes)))
    some = left_out.at(np.unique(np.linspace(0, len(rows.sizes) - 1, _CHAIN_BLOCKS).astype(int)))
    weights, used = dict(tree.weights), list(left_out.of_runs)
    for _ in range(_ROUNDS):
        scores = [some.score(some.by_chain(*trial), used, weights) for trial in _LABEL_AND_POOLED]
        of_label, pooled = _LABEL_AND_POOLED[int(np.argmax(scores))]
        probability = left_out.by_chain(of_label, pooled)
        for i, order in enumerate(used):
            scores = [left_out.score(probability, used[i:], {**weights, order: trial}) for trial in _OF_RUNS]
            weights[order] = _OF_RUNS[int(np.argmax(scores))]
            probability = left_out.by_runs(probability, order, weights[order])
    nats = -left_out.score(probability, [], weights) / left_out.rows
    return replace(chain, label_weight=of_label, pooled_weight=pooled), replace(tree, weights=weights), nats


@dataclass(frozen=True)
class _LeftOut:
    """What chain and context tree count without each of so many training rows.

    `of_chain` has for each block the rows whose code is known, and what `Chain.left_out` returns for them; `of_runs`
    for each length of runs the counts of the rows' own codes, of all codes, and the sums of min(count, discount) over
    all codes for each discount: (2 + discounts, blocks, rows).
    """

    rows: int
    of_chain: list[tuple[np.ndarray, Callable[[float, float], np.ndarray]]]
    of_runs: dict[int, np.ndarray]

    @classmethod
    def of(cls, chain: Chain, tree: ContextTree, rows: CodeRows) -> _LeftOut:
        """Count."""
        shape = 2 + len(_DISCOUNTS), len(rows.sizes), len(rows)
        used = [order for order in ORDERS if any(order in lengths for lengths in tree.runs)]
        counted = cls(len(rows), [], {order: np.zeros(shape, dtype=np.float32) for order in used})
        history: list[dict[int, np.ndarray]] = []
        for b in range(len(rows.sizes)):
            tree.advance(rows.codes[:, b - 1], history)
            known = rows.known(b)
            before, own, label = rows.codes[known, b - 1], rows.codes[known, b], rows.label[known]
            run, is_own = {order: index[known] for order, index in history[b].items()}, np.ones(len(known), dtype=bool)
            weights = tree.leave_out_weights(b, run, label, own)
            counted.of_chain.append((known, chain.left_out(b, before, label, own, weights[1], is_own)))
            for order, use, *counts, taken in tree.left_out(b, run, label, own, weights, is_own, _DISCOUNTS):
                counted.of_runs[order][:, b, known[use]] = *counts, *taken
        return counted

    def at(self, blocks: np.ndarray) -> _LeftOut:
        """Return what is counted in some blocks."""
        of_runs = {order: counts[:, blocks] for order, counts in self.of_runs.items()}
        return _LeftOut(self.rows, [self.of_chain[b] for b in blocks], of_runs)

    def by_chain(self, label_weight: float, pooled_weight: float) -> np.ndarray:
        """Return the chain's probabilities of the rows' own codes: (blocks, rows); 1 where the code is unknown."""
        probability = np.ones((len(self.of_chain), self.rows), dtype=np.float32)
        for of_block, (known, of_chain) in zip(probability, self.of_chain, strict=True):
            of_block[known] = of_chain(label_weight, pooled_weight)
        return probability

    def by_runs(self, probability: np.ndarray, order: int, weights: tuple[float, float]) -> np.ndarray:
        """Return the probabilities refined by the runs of one length."""
        count, total, taken = (self.of_runs[order][i] for i in (0, 1, 2 + _DISCOUNTS.index(weights[1])))
        return np.where(total > 0, refined(probability, count, total, taken, weights), probability)

    def score(self, probability: np.ndarray, orders: Sequence[int], weights: dict[int, tuple[float, float]]) -> float:
        """Return the log-likelihood of the rows, refined by the runs of these lengths."""
        for order in orders:
            probability = self.by_runs(probability, order, weights[order])
        return float(np.log(np.maximum(probability, 1e-12)).sum(dtype=np.float64))


# ---- local ancestry -----------------------------------------------------------------------------------------------


def with_local_ancestry(model: CodeModel, rows: CodeRows) -> CodeModel:
    """Return the model with local ancestry, fitted to as many of its training rows as are needed."""
    group = model.admixture.group
    n_labels, n_groups = model.n_labels, int(group.max()) + 1
    if n_groups == 1:
        return model
    rows = rows.evenly(_ADMIXTURE_CODES // len(rows.sizes))
    from_all = AdmixtureHMM(np.ones((n_labels, n_groups), np.float32), np.zeros(n_labels, np.float32), group)
    log_probs = np.empty((*rows.codes.shape, n_groups), dtype=np.float32)
    for part, b, of_groups in replace(model, admixture=from_all).left_out_log_probs(rows, by_group=True):
        log_probs[part, b] = of_groups
    return replace(model, admixture=fit_admixture(log_probs, rows.label, group))
