"""The chain: each block's code given the label and the code of the block before, in closed form."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .code_rows import CodeRows, table_of

_MOST_TABLE = 2_000_000  # probabilities of a block


@dataclass(frozen=True)
class LeftOutCounts:
    """Counts without a training row, at the row's own code and over all codes: arrays of float64, shape (rows,).

    Parameters
    ----------
    transitions, transitions_of_all : array
        In the label, after the row's code before: to the row's own code, and to all.
    pooled, pooled_of_all : array
        The same in all labels.
    counts, counts_of_all : array
        In the label, whatever the code before.
    frequency : array
        Of the own code in all labels.
    products : array
        The sum over codes of pooled transitions * counts / frequency.
    """

    transitions: np.ndarray
    transitions_of_all: np.ndarray
    pooled: np.ndarray
    pooled_of_all: np.ndarray
    counts: np.ndarray
    counts_of_all: np.ndarray
    frequency: np.ndarray
    products: np.ndarray

    def probability(self, label_weight: float, pooled_weight: float) -> np.ndarray:
        """Return P_l(own code | code before) of a `Chain` with these weights."""
        a, w = label_weight, pooled_weight
        prior = (self.pooled + w * self.frequency) * (self.counts + w * self.frequency) / self.frequency
        prior /= self.products + w * (self.pooled_of_all + self.counts_of_all + w)
        return (self.transitions + a * prior) / (self.transitions_of_all + a)


@dataclass(frozen=True)
class Chain:
    """A Markov chain over block codes, conditional on the label.

    The probability of code j after code i in a row with label l is

        P_l(j | i)  =  (n_l(i, j) + a P°(j | i, l)) / (n_l(i) + a),    P°(j | i, l)  ∝  P(j | i) P_l(j) / P(j),

    where n counts training rows, P(j | i) is the pooled transition shrunk toward the pooled frequency with weight
    `pooled_weight`, P_l(j) the frequency in the label shrunk likewise, and a = `label_weight`. Where neighbours are
    unlinked, P° is the label's own frequency; where a label has few people, it is the pooled transition tilted to
    the label's frequencies.

    Parameters
    ----------
    transition_counts : list of float32 arrays, shape (labels, codes of block b - 1, codes of block b)
        Transition counts; entry 0 has one previous code. They count less where longer runs explain them.
    code_counts : list of float32 arrays, shape (labels, codes of block b)
        Code counts.
    label_weight, pooled_weight : float
        The weights of the shrinkages in P.
    frequency_weight : float
        The weight of the pooled frequencies in `label_frequency`.
    """

    transition_counts: list[np.ndarray]
    code_counts: list[np.ndarray]
    label_weight: float
    pooled_weight: float
    frequency_weight: float = 0.0
    pooled_transition_counts: list[np.ndarray] = field(init=False, repr=False)
    pooled_code_counts: list[np.ndarray] = field(init=False, repr=False)
    _tables: dict[int, np.ndarray] = field(init=False, repr=False, default_factory=dict)
    _sums: dict[int, tuple[Any, ...]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pooled_transition_counts", [p.sum(axis=0) for p in self.transition_counts])
        object.__setattr__(self, "pooled_code_counts", [s.sum(axis=0) for s in self.code_counts])

    def reweighted(self, **weights: float) -> Chain:
        """Return the chain with other weights; it shares the counts, which are by far the larger part."""
        chain = copy.copy(self)
        object.__setattr__(chain, "_tables", {})
        for name, weight in weights.items():
            object.__setattr__(chain, name, weight)
        return chain

    def label_frequency(self, block: int) -> np.ndarray:
        """Return the code frequencies of each label, shrunk toward the pooled ones with weight `frequency_weight`.

        What a label's people have by chance beyond the population they come from is left behind. Shape (labels, codes).
        """
        pooled = self.pooled_code_counts[block]
        frequency = (pooled + 1 / len(pooled)) / (pooled.sum() + 1)
        counts, weight = self.code_counts[block], np.float32(max(self.frequency_weight, 1e-3))
        return (counts + weight * frequency) / (counts.sum(axis=1, keepdims=True) + weight)

    def probabilities(self, block: int, previous: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return P_l(· | previous): float32, shape (rows, codes of the block); parameters as in `log_probs`.

        They are looked up in a table of all previous codes and labels where that is of a reasonable size.
        """
        n_labels, before, codes = self.transition_counts[block].shape
        if n_labels * (before + 1) * codes > _MOST_TABLE:
            return np.exp(self.log_probs(block, previous, label))
        if block not in self._tables:
            # the last row of a label is that of an unknown code, -1
            every = np.tile(np.append(np.arange(before), -1), n_labels)
            of_label = np.repeat(np.arange(n_labels), before + 1)
            table = np.exp(self.log_probs(block, every, of_label)).reshape(n_labels, before + 1, codes)
            self._tables[block] = table
        looked_up: np.ndarray = self._tables[block][label, previous if block else 0]
        return looked_up

    def left_out(
        self, block: int, previous: np.ndarray, label: np.ndarray, own: np.ndarray, weight: np.ndarray, own_label: Any
    ) -> LeftOutCounts:
        """Return what is counted without each of some training rows of the block; its codes are known.

        Parameters
        ----------
        block : int
        previous, label : arrays of int, shape (rows,)
            As in `log_probs`.
        own : array of int, shape (rows,)
            The code of each row.
        weight : array of float32, shape (rows,)
            How much the row's code counted after the one before.
        own_label : array of bool, shape (rows,), or True
            False where `label` is not the label that the row contributed to.
        """
        known = previous >= 0 if block else np.ones(len(label), dtype=bool)
        source = np.where(known, previous, 0) if block else np.zeros(len(label), dtype=np.int64)
        in_label, in_all = self.code_counts[block], self.pooled_code_counts[block]
        after, after_in_all = self.transition_counts[block], self.pooled_transition_counts[block]
        if block not in self._sums:
            # the sums over all codes that the shrinkages need, so that a row's own code is all that is left to look at
            total, frequency = float(in_all.sum()), (in_all + 1 / len(in_all)) / float(in_all.sum())
            both = after_in_all.astype(np.float64) @ (in_label / frequency).T
            self._sums[block] = total, in_label.sum(axis=1), after.sum(axis=2), after_in_all.sum(axis=1), both
        total, of_label, of_source, of_source_in_all, both = self._sums[block]
        less = np.where(known, weight, 0).astype(np.float64)
        is_own = np.asarray(own_label, dtype=np.float64)
        common, codes = in_all[own].astype(np.float64), len(in_all)
        before = np.where(known, after_in_all[source, own], 0).astype(np.float64)
        counted = in_label[label, own].astype(np.float64)
        frequency = (common - 1 + 1 / codes) / total
        others = np.where(known, both[source, label], 0) - before * counted * total / (common + 1 / codes)
        return LeftOutCounts(
            transitions=np.where(known, after[label, source, own], 0) - less * is_own,
            transitions_of_all=np.where(known, of_source[label, source], 0) - less * is_own,
            pooled=before - less,
            pooled_of_all=np.where(known, of_source_in_all[source], 0) - less,
            counts=counted - is_own,
            counts_of_all=of_label[label] - is_own,
            frequency=frequency,
            products=others + (before - less) * (counted - is_own) / frequency,
        )

    def log_probs(
        self,
        block: int,
        previous: np.ndarray,
        label: np.ndarray,
        leave_out: np.ndarray | None = None,
        leave_out_weight: np.ndarray | None = None,
        own_label: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return log P_l(· | previous): float32, shape (rows, codes of the block).

        Parameters
        ----------
        block : int
            The block whose code is predicted.
        previous, label : array of int, shape (rows,)
            The code of the block before (ignored for block 0; -1 = unknown) and the label of each row.
        leave_out : array of int, shape (rows,), optional
            The code that the row itself contributed to the counts and that is left out of them; -1 for none. A
            training row that is predicted from counts that contain it looks far more likely than an unseen one.
        leave_out_weight : array of float32, shape (rows,), optional
            How much the row's code counted after the one before; by default 1.
        own_label : array of bool, shape (rows,), optional
            False where `label` is not the label that the row contributed to; by default it is.
        """
        transitions, counts = self.transition_counts[block], self.code_counts[block]
        known = previous >= 0 if block else np.ones(len(label), dtype=bool)
        source = np.where(known, previous, 0) if block else np.zeros(len(label), dtype=np.int64)
        label_transitions = transitions[label, source] * known[:, None]
        pooled_transitions = self.pooled_transition_counts[block][source] * known[:, None]
        label_counts = counts[label]
        pooled_counts = np.broadcast_to(self.pooled_code_counts[block], label_counts.shape)
        if leave_out is not None:
            one = np.zeros((len(label), counts.shape[1]), dtype=np.float32)
            rows = np.flatnonzero(leave_out >= 0)
            one[rows, leave_out[rows]] = 1
            is_own = np.float32(1) if own_label is None else own_label[:, None]
            label_counts, pooled_counts = label_counts - one * is_own, pooled_counts - one
            one *= (known if leave_out_weight is None else known * leave_out_weight)[:, None]
            label_transitions, pooled_transitions = label_transitions - one * is_own, pooled_transitions - one
        frequency = (pooled_counts + 1 / counts.shape[1]) / (pooled_counts.sum(axis=1, keepdims=True) + 1)
        weight = np.float32(self.pooled_weight)
        tilt = (label_counts + weight * frequency) / (label_counts.sum(axis=1, keepdims=True) + weight) / frequency
        pooled = (pooled_transitions + weight * frequency) / (pooled_transitions.sum(axis=1, keepdims=True) + weight)
        prior = pooled * tilt
        prior /= prior.sum(axis=1, keepdims=True)
        weight = np.float32(self.label_weight)
        probability = (label_transitions + weight * prior) / (label_transitions.sum(axis=1, keepdims=True) + weight)
        return np.log(np.maximum(probability, 1e-12)).astype(np.float32)


def fit_chain(rows: CodeRows, share: np.ndarray | None = None) -> Chain:
    """Count transitions and choose the weight of the pooled frequencies by leave-one-out likelihood.

    Parameters
    ----------
    rows : CodeRows
    share : array of float32, shape (rows, blocks), optional
        What each code counts after the one before; by default 1.
    """
    transition_counts = []
    for b, size in enumerate(rows.sizes):
        passing, source = rows.transitions(b)
        columns = rows.label[passing], source, rows.codes[passing, b]
        shape = rows.n_labels, rows.sizes[b - 1] if b else 1, size
        transition_counts.append(table_of(columns, shape, None if share is None else share[passing, b]))
    some_blocks = np.unique(np.linspace(0, len(rows.sizes) - 1, 16).astype(int)).tolist()
    first = Chain(transition_counts, rows.counts(), 1.0, 1.0)
    trials = [first.reweighted(frequency_weight=weight) for weight in (1.0, 3.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)]
    return max(trials, key=lambda chain: sum(_frequency_likelihood(chain, b) for b in some_blocks))


def _frequency_likelihood(chain: Chain, block: int) -> float:
    """Return the leave-one-out log-likelihood (nats) of all rows' codes under the frequencies of their labels."""
    counts, pooled = chain.code_counts[block], chain.pooled_code_counts[block]
    others = np.maximum(counts - 1, 0)
    frequency = (np.maximum(pooled - 1, 0) + 1 / len(pooled)) / np.maximum(pooled.sum(), 1)
    total = np.maximum(counts.sum(axis=1, keepdims=True) - 1, 0) + chain.frequency_weight
    return float((counts * np.log((others + chain.frequency_weight * frequency) / total)).sum())
