"""Shrinkage weights of chain and context tree, chosen by the leave-one-out likelihood of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from .chain import Chain
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
    codes, label = codes[np.unique(rows)], label[np.unique(rows)]
    some = np.unique(np.linspace(0, len(sizes) - 1, _CHAIN_BLOCKS).astype(int))
    used = [order for order in ORDERS if any(order in lengths for lengths in tree.runs)]
    # of each row's run: the count of the row's code after it, that of all codes, and the sum if each is at most d
    counted = {order: np.zeros((2 + len(_DISCOUNTS), len(sizes), len(codes)), dtype=np.float32) for order in used}
    added = np.ones((len(sizes), len(codes)), dtype=np.float32)
    history: list[dict[int, np.ndarray]] = []
    for b, size in enumerate(sizes):
        tree.advance(codes[:, b - 1], history)
        own = codes[:, b]
        weight_of_own = tree.leave_out_weights(b, history[b], label, own)
        added[b] = weight_of_own[1]
        for order, runs in tree.runs[b].items():
            context = runs.context_id(history[b][order], label)
            use = np.flatnonzero((context >= 0) & (own >= 0))
            use = use[runs.carriers[context[use]] - 1 >= tree.min_carriers]
            counts = runs.counts(context[use], size)
            counts[np.arange(len(use)), own[use]] -= weight_of_own[order][use]
            most = [np.minimum(counts, discount).sum(axis=1) for discount in _DISCOUNTS]
            counted[order][:, b, use] = counts[np.arange(len(use)), own[use]], counts.sum(axis=1), *most

    def of_chain(chain: Chain, blocks: np.ndarray) -> np.ndarray:
        """Return the chain's probabilities of the rows' own codes: (blocks, rows)."""
        probability = np.ones((len(blocks), len(codes)), dtype=np.float32)
        for i, b in enumerate(blocks):
            own = codes[:, b]
            log_probs = chain.log_probs(b, codes[:, b - 1], label, own, added[b])
            probability[i] = np.where(own >= 0, np.exp(log_probs[np.arange(len(own)), np.maximum(own, 0)]), 1)
        return probability

    def refined(
        probability: np.ndarray, blocks: np.ndarray | slice, order: int, weights: tuple[float, float]
    ) -> np.ndarray:
        concentration, discount = weights
        count, total = counted[order][0, blocks], counted[order][1, blocks]
        less = concentration + counted[order][2 + _DISCOUNTS.index(discount), blocks]
        with_run = (count - np.minimum(count, np.float32(discount)) + less * probability) / (total + concentration)
        return np.where(total > 0, with_run, probability)

    def score(
        probability: np.ndarray,
        blocks: np.ndarray | slice,
        orders: Sequence[int],
        weights: dict[int, tuple[float, float]],
    ) -> float:
        for order in orders:
            probability = refined(probability, blocks, order, weights[order])
        return float(np.log(np.maximum(probability, 1e-12)).sum(dtype=np.float64))

    weights = dict(tree.weights)
    everywhere = slice(None)
    for _ in range(_ROUNDS):
        chains = [
            chain.reweighted(label_weight=a, pooled_weight=b) for a, b in product(_LABEL_WEIGHTS, _POOLED_WEIGHTS)
        ]
        chain = max(chains, key=lambda trial: score(of_chain(trial, some), some, used, weights))
        probability = of_chain(chain, np.arange(len(sizes)))
        for i, order in enumerate(used):
            trials = list(product(_CONCENTRATIONS, _DISCOUNTS))
            scores = [score(probability, everywhere, used[i:], {**weights, order: trial}) for trial in trials]
            weights[order] = trials[int(np.argmax(scores))]
            probability = refined(probability, everywhere, order, weights[order])
    nats = -float(np.log(np.maximum(probability, 1e-12)).sum(dtype=np.float64)) / len(codes)
    return chain, replace(tree, weights=weights), nats
