"""Prediction of the next block code of rows, given their label and the codes so far."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from .chain import Chain
from .context_tree import ContextTree
from .local_ancestry import AdmixtureHMM


class NextCodePredictor:
    """Rows of given labels, block by block: `log_probs` predicts the next code, `observe` takes the code that came.

    Parameters
    ----------
    chain : Chain
    context_tree : ContextTree
        Refines the chain.
    admixture : AdmixtureHMM
    label : array of int, shape (rows,)
    """

    def __init__(self, chain: Chain, context_tree: ContextTree, admixture: AdmixtureHMM, label: np.ndarray):
        self.label = np.asarray(label, dtype=np.int64)
        self._chain, self._context_tree, self._admixture = chain, context_tree, admixture
        self._last = np.zeros(len(label), dtype=np.int64)
        self._runs: list[dict[int, np.ndarray]] = []
        # the groups that each row may be drawn from here, row by row, and their probabilities given the codes so far
        self._state = admixture.proportions[self.label]
        self._row, self._source = np.nonzero(self._state)
        self._predicted: tuple[np.ndarray, np.ndarray] | None = None
        context_tree.advance(self._last, self._runs)

    def log_probs(self, leave_out: np.ndarray | None = None) -> np.ndarray:
        """Return log P(·) for the next block: float32, shape (rows, codes of the block).

        Parameters
        ----------
        leave_out : array of int, shape (rows,), optional
            See `Chain.log_probs`.
        """
        probability, which = self._by_source(leave_out)
        weight = self._state[self._row, self._source]
        first = np.searchsorted(self._row, np.arange(len(self.label) + 1))
        mixed = csr_array((weight, which, first), shape=(len(self.label), len(probability))) @ probability
        self._predicted = probability, which
        return np.log(np.maximum(mixed, 1e-12), dtype=np.float32)

    def log_probs_by_group(self, codes: np.ndarray) -> np.ndarray:
        """Return log P of the next code of training rows if it is drawn from each of their possible groups.

        Parameters
        ----------
        codes : array of int, shape (rows,)
            The codes, which are left out of the counts; -1 = unknown.

        Returns
        -------
        array of float32, shape (rows, groups)
            0 where the code is unknown, or the row is never drawn from the group.
        """
        known = codes[self._row] >= 0
        row, source = self._row[known], self._source[known]
        block, run, own_group = len(self._runs) - 1, self._runs[-1], self._admixture.group[self.label]
        weights = self._context_tree.leave_out_weights(block, run, own_group, codes)
        weights = {order: weight[row] for order, weight in weights.items()}
        own, is_own = codes[row], source == own_group[row]
        left_out = self._chain.left_out(block, self._last[row], source, own, weights[1], is_own)
        probability = left_out.probability(self._chain.label_weight, self._chain.pooled_weight)
        run_of = {order: index[row] for order, index in run.items()}
        probability = self._context_tree.refine_own(block, probability, run_of, source, own, weights, is_own)
        log_probs = np.zeros_like(self._state)
        log_probs[row, source] = np.log(np.maximum(probability, 1e-12))
        return log_probs

    def observe(self, codes: np.ndarray) -> None:
        """Take the codes of the block, shape (rows,); -1 = unknown."""
        self._last = np.asarray(codes, dtype=np.int64)
        if len(self._row) > len(self.label):
            if self._predicted is not None:
                probability, which = self._predicted
                code = self._last[self._row]
                factor = probability[which, np.maximum(code, 0)]
                self._state[self._row, self._source] *= np.where(code >= 0, factor, 1)
                self._state /= np.maximum(self._state.sum(axis=1, keepdims=True), 1e-30)
            self._state = self._admixture.next_state(self._state, self.label)
        self._predicted = None
        if len(self._runs) < len(self._context_tree.runs):
            self._context_tree.advance(self._last, self._runs)

    def restart(self, begins: np.ndarray, label: np.ndarray) -> None:
        """Change the labels of rows, each at the beginning of a new stretch of haplotype.

        Parameters
        ----------
        begins : array of bool, shape (rows,)
            Where a stretch begins. The code before it has to be observed as unknown, so that nothing is predicted from
            the stretch before.
        label : array of int, shape (rows,)
            Of all rows from here on.
        """
        self.label = np.asarray(label, dtype=np.int64)
        proportions = self._admixture.proportions[self.label]
        self._state = np.where(begins[:, None], proportions, self._state)
        self._row, self._source = np.nonzero(proportions)

    def _by_source(self, leave_out: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return distinct distributions (predictions, codes), and which of them each row has from each source."""
        block, run, last = len(self._runs) - 1, self._runs[-1], self._last
        if leave_out is None:  # rows with the same longest run have the same prediction from the same source
            longest = last + 1
            for i, index in enumerate(run.values()):
                longest = np.where(index >= 0, (i + 1 << 40) + index, longest) if i else longest
            _, same = np.unique(longest, return_inverse=True)
            _, first, which = np.unique(
                same[self._row] * self._state.shape[1] + self._source,
                return_index=True,
                return_inverse=True,
            )
        else:
            first = which = np.arange(len(self._row))
        row, source = self._row[first], self._source[first]
        run_of = {order: index[row] for order, index in run.items()}
        if leave_out is None:
            probability = self._chain.probabilities(block, last[row], source)
            return self._context_tree.refine(block, probability, run_of, source), which
        own_group = self._admixture.group[self.label]
        weights = self._context_tree.leave_out_weights(block, run, own_group, leave_out)
        weights = {order: weight[row] for order, weight in weights.items()}
        codes, is_own = leave_out[row], source == own_group[row]
        probability = np.exp(self._chain.log_probs(block, last[row], source, codes, weights[1], is_own))
        return self._context_tree.refine(block, probability, run_of, source, codes, weights, is_own), which
