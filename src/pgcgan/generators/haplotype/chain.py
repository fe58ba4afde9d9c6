"""The chain: each block's code given the label and the code of the block before, in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .code_rows import CodeRows, table_of

_MOST_TABLE = 2_000_000  # probabilities of a block
_FREQUENCY_WEIGHTS = (1.0, 3.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)  # that are tried
_FREQUENCY_BLOCKS = 16  # that they are tried on


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
        Entry 0 has one previous code. Transitions count less where longer runs explain them.
    code_counts : list of float32 arrays, shape (labels, codes of block b)
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
    _tables: dict[int, np.ndarray] = field(init=False, repr=False, default_factory=dict)

    @cached_property
    def pooled_transition_counts(self) -> list[np.ndarray]:
        """Transition counts of all labels: an array (codes of block b - 1, codes of block b) for each block."""
        return [counts.sum(axis=0) for counts in self.transition_counts]

    @cached_property
    def pooled_code_counts(self) -> list[np.ndarray]:
        """Code counts of all labels: an array (codes,) for each block."""
        return [counts.sum(axis=0) for counts in self.code_counts]

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
            self._tables[block] = np.exp(self.log_probs(block, every, of_label)).reshape(n_labels, before + 1, codes)
        return np.asarray(self._tables[block][label, previous if block else 0])

    def left_out(
        self, block: int, previous: np.ndarray, label: np.ndarray, own: np.ndarray, weight: np.ndarray,
        is_own: np.ndarray,
    ) -> Callable[[float, float], np.ndarray]:  # fmt: skip
        """Return P_l(own code | previous) of training rows, each left out, as a function of the weights of the chain.

        The function takes `label_weight` and `pooled_weight`, and returns float64, shape (rows,). What depends on the
        counts alone is looked up once: the counts of the rows' own codes, all known, and their sums over all codes.
        The parameters are those of `log_probs`: `leave_out`, its weight, and `own_label`.
        """
        known, source = _known(block, previous)
        in_label, in_all = self.code_counts[block], self.pooled_code_counts[block]
        after, after_in_all = self.transition_counts[block], self.pooled_transition_counts[block]
        codes, total = len(in_all), float(in_all.sum())
        less, is_own = np.where(known, weight, 0).astype(np.float64), is_own.astype(np.float64)
        transitions = np.where(known, after[label, source, own], 0) - less * is_own
        transitions_of_all = np.where(known, after.sum(axis=2)[label, source], 0) - less * is_own
        before = np.where(known, after_in_all[source, own], 0).astype(np.float64)
        pooled, pooled_of_all = before - less, np.where(known, after_in_all.sum(axis=1)[source], 0) - less
        counted, common = in_label[label, own].astype(np.float64), in_all[own].astype(np.float64)
        counts, counts_of_all = counted - is_own, in_label.sum(axis=1)[label] - is_own
        frequency = (common - 1 + 1 / codes) / total
        # the sum over codes of pooled * counts / frequency: of all rows, but for the own code
        products = after_in_all.astype(np.float64) @ (in_label / ((in_all + 1 / codes) / total)).T
        others = np.where(known, products[source, label], 0) - before * counted * total / (common + 1 / codes)
        both = others + pooled * counts / frequency

        def probability(label_weight: float, pooled_weight: float) -> np.ndarray:
            a, w = label_weight, pooled_weight
            prior = (pooled + w * frequency) * (counts + w * frequency) / frequency
            prior /= both + w * (pooled_of_all + counts_of_all + w)
            return np.asarray((transitions + a * prior) / (transitions_of_all + a))

        return probability

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
        previous, label : arrays of int, shape (rows,)
            The code of the block before (ignored for block 0; -1 = unknown) and the label of each row.
        leave_out : array of int, shape (rows,), optional
            The code that the row itself contributed to the counts and that is left out of them; -1 for none. A
            training row that is predicted from counts that contain it looks far more likely than an unseen one.
        leave_out_weight, own_label : arrays of float32 and bool, shape (rows,), optional
            How much the row's code counted after the one before, and whether `label` is the label that the row
            contributed to; by default 1, and it is.
        """
        transitions, counts = self.transition_counts[block], self.code_counts[block]
        known, source = _known(block, previous)
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

    `share` is what each code counts after the one before, float32, shape (rows, blocks); by default 1.
    """
    transition_counts = []
    for b, size in enumerate(rows.sizes):
        passing, source = rows.transitions(b)
        columns = rows.label[passing], source, rows.codes[passing, b]
        shape = rows.n_labels, rows.sizes[b - 1] if b else 1, size
        transition_counts.append(table_of(columns, shape, None if share is None else share[passing, b]))
    chain = Chain(transition_counts, rows.counts(), 1.0, 1.0)
    some = np.unique(np.linspace(0, len(rows.sizes) - 1, _FREQUENCY_BLOCKS).astype(int)).tolist()
    scores = [sum(_frequency_likelihood(chain, b, weight) for b in some) for weight in _FREQUENCY_WEIGHTS]
    return replace(chain, frequency_weight=_FREQUENCY_WEIGHTS[int(np.argmax(scores))])


def _frequency_likelihood(chain: Chain, block: int, weight: float) -> float:
    """Return the leave-one-out log-likelihood (nats) of all rows' codes under the frequencies of their labels."""
    counts, pooled = chain.code_counts[block], chain.pooled_code_counts[block]
    frequency = (np.maximum(pooled - 1, 0) + 1 / len(pooled)) / np.maximum(pooled.sum(), 1)
    total = np.maximum(counts.sum(axis=1, keepdims=True) - 1, 0) + weight
    return float((counts * np.log((np.maximum(counts - 1, 0) + weight * frequency) / total)).sum())


def _known(block: int, previous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the code before is known, and where it is counted; all rows have the code 0 before the first."""
    previous = previous if block else np.zeros_like(previous)
    return previous >= 0, np.maximum(previous, 0)
