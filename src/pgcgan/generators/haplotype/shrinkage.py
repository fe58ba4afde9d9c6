"""Shrinkage weights of chain and context tree, chosen by the leave-one-out likelihood of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from .chain import Chain, LeftOutCounts
from .context_tree import ORDERS, ContextTree

_LABEL_WEIGHTS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_POOLED_WEIGHTS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_CONCENTRATIONS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0)
_DISCOUNTS = (0.0, 0.3, 0.5, 0.7, 0.85, 0.95)
_FITTED_ON = 100_000  # codes of training rows
_CHAIN_BLOCKS = 16  # that the chain's weights are tried on
_ROUNDS = 2


def fit_shrinkage(
    chain: Chain, tree: ContextTree, codes: np.ndarray, label: np.ndarray, sizes: Sequence[int]
) -> tuple[Chain, ContextTree, float]:
    """Choose the weights of chain and context tree, each in turn, by the leave-one-out likelihood of training rows.

    Parameters
    ----------
    chain : Chain
    tree : ContextTree
    codes : array of int, shape (rows, blocks)
    label : array of int, shape (rows,)
    sizes : sequence of int
        Codes per block.

    Returns
    -------
    Chain
    ContextTree
    nats : float
        The mean of -log P of a row left out.
    """
    rows = np.linspace(0, len(codes) - 1, max(1, min(len(codes), _FITTED_ON // len(sizes)))).astype(int)
    left_out = _LeftOut(tree, codes[np.unique(rows)], label[np.unique(rows)], sizes)
    some = np.unique(np.linspace(0, len(sizes) - 1, _CHAIN_BLOCKS).astype(int))
    weights, used = dict(tree.weights), list(left_out.counted)
    for _ in range(_ROUNDS):
        chains = [
            chain.reweighted(label_weight=a, pooled_weight=b) for a, b in product(_LABEL_WEIGHTS, _POOLED_WEIGHTS)
        ]
        chain = max(chains, key=lambda trial: left_out.score(left_out.by_chain(trial, some), some, used, weights))
        probability = left_out.by_chain(chain, np.arange(len(sizes)))
        for i, order in enumerate(used):
            trials = list(product(_CONCENTRATIONS, _DISCOUNTS))
            scores = [left_out.score(probability, slice(None), used[i:], {**weights, order: trial}) for trial in trials]
            weights[order] = trials[int(np.argmax(scores))]
            probability = left_out.refined(probability, slice(None), order, weights[order])
    nats = -_log_sum(probability) / len(left_out.codes)
    return chain, replace(tree, weights=weights), nats


class _LeftOut:
    """Training rows and what chain and context tree count without each of them.

    Parameters
    ----------
    tree : ContextTree
    codes : array of int, shape (rows, blocks)
    label : array of int, shape (rows,)
    sizes : sequence of int

    Attributes
    ----------
    counted : dict of int to array, shape (2 + discounts, blocks, rows)
        Of each row's run of each length: the count of the row's code after it, that of all codes, and the sum of
        min(count, discount) over the codes for each discount.
    """

    def __init__(self, tree: ContextTree, codes: np.ndarray, label: np.ndarray, sizes: Sequence[int]):
        self.codes, self.label = codes, label
        used = [order for order in ORDERS if any(order in lengths for lengths in tree.runs)]
        shape = (2 + len(_DISCOUNTS), len(sizes), len(codes))
        self.counted = {order: np.zeros(shape, dtype=np.float32) for order in used}
        self._chain_weight = np.ones((len(sizes), len(codes)), dtype=np.float32)
        self._counts_of_chain: dict[int, LeftOutCounts] = {}
        history: list[dict[int, np.ndarray]] = []
        for b in range(len(sizes)):
            tree.advance(codes[:, b - 1], history)
            own = codes[:, b]
            weight_of_own = tree.leave_out_weights(b, history[b], label, own)
            self._chain_weight[b] = weight_of_own[1]
            for order, runs in tree.runs[b].items():
                context = runs.context_id(history[b][order], label)
                use = np.flatnonzero((context >= 0) & (own >= 0))
                use = use[runs.carriers[context[use]] - 1 >= tree.min_carriers]
                count, total, taken = runs.left_out(context[use], own[use], weight_of_own[order][use], _DISCOUNTS)
                self.counted[order][:, b, use] = count, total, *taken

    def by_chain(self, chain: Chain, blocks: np.ndarray) -> np.ndarray:
        """Return the chain's probabilities of the rows' own codes: (blocks, rows)."""
        probability = np.ones((len(blocks), len(self.codes)), dtype=np.float32)
        for i, b in enumerate(blocks.tolist()):
            rows = np.flatnonzero(self.codes[:, b] >= 0)
            if b not in self._counts_of_chain:
                of_rows = self.codes[rows, b - 1], self.label[rows], self.codes[rows, b], self._chain_weight[b, rows]
                self._counts_of_chain[b] = chain.left_out(b, *of_rows, own_label=True)
            probability[i, rows] = self._counts_of_chain[b].probability(chain.label_weight, chain.pooled_weight)
        return probability

    def refined(
        self, probability: np.ndarray, blocks: np.ndarray | slice, order: int, weights: tuple[float, float]
    ) -> np.ndarray:
        """Return the probabilities refined by the runs of one length."""
        concentration, discount = weights
        count, total = self.counted[order][0, blocks], self.counted[order][1, blocks]
        mass = concentration + self.counted[order][2 + _DISCOUNTS.index(discount), blocks]
        with_run = (count - np.minimum(count, np.float32(discount)) + mass * probability) / (total + concentration)
        return np.where(total > 0, with_run, probability)

    def score(
        self,
        probability: np.ndarray,
        blocks: np.ndarray | slice,
        orders: Sequence[int],
        weights: dict[int, tuple[float, float]],
    ) -> float:
        """Return the log-likelihood of the rows, refined by the runs of these lengths."""
        for order in orders:
            probability = self.refined(probability, blocks, order, weights[order])
        return _log_sum(probability)


def _log_sum(probability: np.ndarray) -> float:
    return float(np.log(np.maximum(probability, 1e-12)).sum(dtype=np.float64))
