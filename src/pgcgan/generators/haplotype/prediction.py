"""Rows on their way through the blocks: the prior's word on the next code, given the codes so far."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from .chain import Chain
from .context_tree import ContextTree
from .local_ancestry import AdmixtureHMM


class NextCodePredictor:
    """Rows of given labels, block by block: `log_probs` tells what may come next, `step` takes what came.

    Parameters
    ----------
    chain : Chain
    fallback : Chain
        What contexts refine.
    contexts : ContextTree
    sources : AdmixtureHMM
    label : array of int, shape (rows,)
    """

    def __init__(self, chain: Chain, fallback: Chain, contexts: ContextTree, sources: AdmixtureHMM, label: np.ndarray):
        self.label = np.asarray(label, dtype=np.int64)
        self._chain, self._fallback, self._contexts, self._sources = chain, fallback, contexts, sources
        self._last = np.zeros(len(label), dtype=np.int64)
        self._known: list[dict[int, np.ndarray]] = []
        # the sources of each row and, given the codes so far, their probability; row by row
        share = sources.share[self.label]
        self._row, self._source = np.nonzero(share)
        self._weight = share
        self._said: tuple[np.ndarray, np.ndarray] | None = None
        contexts.follow(self._last, self._known)

    def chain_log_probs(self, own: np.ndarray | None = None) -> np.ndarray:
        """Return log P(·) for the next block of the chain alone: float32, shape (rows, codes of the block).

        Parameters
        ----------
        own : array of int, shape (rows,), optional
            See `Chain.log_probs`.
        """
        return self._chain.log_probs(len(self._known) - 1, self._last, self.label, own)

    def log_probs(self, own: np.ndarray | None = None) -> np.ndarray:
        """Return log P(·) for the next block: float32, shape (rows, codes of the block).

        Parameters
        ----------
        own : array of int, shape (rows,), optional
            See `Chain.log_probs`.
        """
        probability, which = self._of_sources(own)
        weight = self._weight[self._row, self._source]
        first = np.searchsorted(self._row, np.arange(len(self.label) + 1))
        mixed = csr_array((weight, which, first), shape=(len(self.label), len(probability))) @ probability
        self._said = probability, which
        return np.log(np.maximum(mixed, 1e-12), dtype=np.float32)

    def of_each_label(self, own: np.ndarray) -> np.ndarray:
        """Return log P of the code that training rows have next, if drawn from each of their sources.

        Parameters
        ----------
        own : array of int, shape (rows,)
            That code, which is left out of what is known; -1 = unknown.

        Returns
        -------
        array of float32, shape (rows, labels)
            0 where the code is unknown, or the label no source.
        """
        probability, which = self._of_sources(own)
        code = own[self._row]
        found = np.zeros_like(self._weight)
        taken = np.log(np.maximum(probability[which, np.maximum(code, 0)], 1e-12))
        found[self._row, self._source] = np.where(code >= 0, taken, 0)
        return found

    def step(self, codes: np.ndarray) -> None:
        """Take the codes of the block, shape (rows,); -1 = unknown."""
        self._last = np.asarray(codes, dtype=np.int64)
        if len(self._row) > len(self.label):
            if self._said is not None:
                probability, which = self._said
                code = self._last[self._row]
                factor = probability[which, np.maximum(code, 0)]
                self._weight[self._row, self._source] *= np.where(code >= 0, factor, 1)
                self._weight /= np.maximum(self._weight.sum(axis=1, keepdims=True), 1e-30)
            self._weight = self._sources.after(self._weight, self.label)
        self._said = None
        if len(self._known) < len(self._contexts.runs):
            self._contexts.follow(self._last, self._known)

    def _of_sources(self, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of the next code (cases, codes) and which case each source of each row is."""
        block, run, last = len(self._known) - 1, self._known[-1], self._last
        contributed = None
        if own is None:  # rows with the same longest run are told the same by the same source
            longest = last + 1
            for i, found in enumerate(run.values()):
                longest = np.where(found >= 0, (i + 1 << 40) + found, longest) if i else longest
            _, same = np.unique(longest, return_inverse=True)
            _, first, which = np.unique(
                same[self._row] * len(self._sources.share) + self._source, return_index=True, return_inverse=True
            )
        else:
            contributed = self._contexts.contributed(block, run, self.label, own)
            first = which = np.arange(len(self._row))
        row, source = self._row[first], self._source[first]
        run = {order: found[row] for order, found in run.items()}
        if own is None or contributed is None:
            probability = np.exp(self._fallback.log_probs(block, last[row], source))
            return self._contexts.refine(block, probability, run, source), which
        own, own_label = own[row], source == self.label[row]
        contributed = {order: found[row] for order, found in contributed.items()}
        probability = np.exp(self._fallback.log_probs(block, last[row], source, own, contributed[1], own_label))
        return self._contexts.refine(block, probability, run, source, own, contributed, own_label), which
