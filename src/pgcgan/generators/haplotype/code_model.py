"""The distribution of rows of block codes given their label, in closed form.

Labels with few people are joined into groups (`fitting`); `chain` predicts a code from the group and the code before;
`context_tree` refines that by longer runs of codes that several people share; `local_ancestry` lets a label draw
stretches from the haplotypes of other groups; `NextCodePredictor` puts these three together; `person_ancestry` adds
what the two haplotypes of a person have in common; `own_shares` says where labels of several columns differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import chi2

from ...labels import JOIN
from ..store import Array
from .chain import Chain
from .code_rows import ROWS_AT_A_TIME, CodeRows, table_of
from .context_tree import ORDERS, ContextTree, RunCounts, refined
from .local_ancestry import AdmixtureHMM
from .person_ancestry import PersonAncestry

_OWN_SHARE = 0.9  # of a label's code frequencies, where it belongs to a group; the rest are those of the group
_SHARE_ROUNDS = 200
_LEAST_VARIANCE = 0.5  # of the differences beyond chance, in units of the variance of chance
_LARGEST = float(np.finfo(np.float32).max)

SCHEMA = {
    "chain.used": Array("int64", ("transitions",), 0),
    "chain.counts": Array("float32", ("transitions",), 0, _LARGEST),
    "labels.group": Array("int64", ("labels",), 0),
    "labels.codes": Array("float32", ("code counts",), 0, _LARGEST),
    "chain.weights": Array("float64", (3,), 0),
    "context_tree.weights": Array("float64", (len(ORDERS), 2), 0),
    "context_tree.min_carriers": Array("int64", (), 0),
    "context_tree.power": Array("float64", (), 0),
    "context_tree.table": Array("int64", ("tables", 6), 0),
    "context_tree.keys": Array("int64", ("runs",), 0),
    "context_tree.label_keys": Array("int64", ("contexts",), 0),
    "context_tree.first": Array("int64", ("firsts",), 0),
    "context_tree.code": Array("int32", ("entries",), 0),
    "context_tree.count": Array("float32", ("entries",), 0, _LARGEST),
    "context_tree.carriers": Array("int32", ("contexts",), 0),
    "local_ancestry.proportions": Array("float32", ("labels", "groups of labels"), 0, 1.001),
    "local_ancestry.switch_rate": Array("float32", ("labels",), 0, 1),
    "person_ancestry.loadings": Array("float32", ("codes", "axes")),
    "person_ancestry.spread": Array("float32", ("labels", "axes", "axes")),
}

_COLUMNS = {f"context_tree.{name}": name for name in ("keys", "label_keys", "first", "code", "count", "carriers")}


@dataclass(frozen=True)
class CodeModel:
    """A distribution of rows of block codes given their label.

    Parameters
    ----------
    chain : Chain
        Of groups of labels. Transitions count less in it where longer runs explain them.
    context_tree : ContextTree
        Of groups of labels.
    admixture : AdmixtureHMM
        Says which group each label belongs to, and what it draws from others.
    ancestry : PersonAncestry
    label_counts : list of float32 arrays, shape (labels, codes of the block)
        How often each label has each code.
    parent : array of int, shape (labels,), optional
        Labels of one parent have the same number; by default each is by itself. See `own_shares`.
    """

    chain: Chain
    context_tree: ContextTree
    admixture: AdmixtureHMM
    ancestry: PersonAncestry
    label_counts: list[np.ndarray]
    parent: np.ndarray | None = field(default=None, kw_only=True)

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each block."""
        return [counts.shape[1] for counts in self.chain.code_counts]

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.admixture.switch_rate)

    @cached_property
    def own_share(self) -> np.ndarray:
        """How probable it is that labels of one parent differ at each block: float32, shape (blocks,)."""
        return own_shares(self.label_counts, np.arange(self.n_labels) if self.parent is None else self.parent)

    @cached_property
    def is_grouped(self) -> np.ndarray:
        """Whether each label belongs to a group of several: bool, shape (labels,)."""
        return np.asarray(np.bincount(self.admixture.group)[self.admixture.group] > 1)

    def label_frequency(self, block: int) -> np.ndarray:
        """Return the code frequencies of each label: float32, shape (labels, codes).

        Those of a label in a group of several are for the most part its own, so that it stays what it is; where labels
        differ from their siblings by chance alone, they are those of all siblings.
        """
        counts, of_group = self.label_counts[block], self.chain.label_frequency(block)[self.admixture.group]
        own = np.where(self.is_grouped[:, None], own_frequency(counts, of_group), of_group)
        share = self.own_share[block]
        if self.parent is None or share == 1:
            return own
        of_parent = _by_group(counts, self.parent)
        pooled = (counts.sum(axis=0) + 1 / counts.shape[1]) / (counts.sum() + 1)
        of_siblings = ((of_parent + pooled) / (of_parent.sum(axis=1, keepdims=True) + 1))[self.parent]
        return np.asarray(share * own + (1 - share) * of_siblings, dtype=np.float32)

    def predictor(self, label: np.ndarray) -> NextCodePredictor:
        """Return what predicts the codes of rows of these labels, block by block."""
        return NextCodePredictor(self, label)

    def left_out_log_probs(self, rows: CodeRows, *, by_group: bool = False) -> Iterator[tuple[slice, int, np.ndarray]]:
        """Yield log P of the codes of each block in training rows, each left out of the counts, part by part.

        Yields which rows, the block, and log P: float32, shape (rows of the part, codes of the block); or that of the
        rows' own codes by the group they may be drawn from, shape (rows of the part, groups).
        """
        at_a_time = max(1, ROWS_AT_A_TIME // (self.admixture.proportions.shape[1] if by_group else 1))
        for first in range(0, len(rows), at_a_time):
            part = slice(first, first + at_a_time)
            predictor = self.predictor(rows.label[part])
            for b, codes in enumerate(rows.codes[part].T):
                yield part, b, predictor.log_probs_by_group(codes) if by_group else predictor.log_probs(codes)
                predictor.observe(codes)

    def without_rare_transitions(self, rows: CodeRows, least: int) -> CodeModel:
        """Return the model without what fewer training rows have done: it happens as often as chance has it.

        So many rows must pass from a code to the next for the chain to count it; after a run, rows of the label.
        """
        transitions = []
        for b, counts in enumerate(self.chain.transition_counts):
            passing, source = rows.transitions(b)
            passed = table_of((source, rows.codes[passing, b]), counts.shape[1:])
            transitions.append(np.where(passed >= least, counts, np.float32(0)))

        def frequent(runs: RunCounts) -> RunCounts:
            return replace(runs, count=np.where(runs.count >= least, runs.count, np.float32(0)))

        runs = [{order: frequent(of) for order, of in lengths.items()} for lengths in self.context_tree.runs]
        chain, tree = replace(self.chain, transition_counts=transitions), replace(self.context_tree, runs=runs)
        return replace(self, chain=chain, context_tree=tree)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the model as arrays for a file; `SCHEMA` says what they are, `from_arrays` takes them back."""
        counts = np.concatenate([transitions.ravel() for transitions in self.chain.transition_counts])
        used = np.flatnonzero(counts)
        chain, tree = self.chain, self.context_tree
        runs = [(b, order, of) for b, lengths in enumerate(tree.runs) for order, of in lengths.items()]
        table = [(b, order, of.others, len(of.keys), len(of.label_keys), len(of.code)) for b, order, of in runs]
        columns = {
            name: np.concatenate([np.empty(0, SCHEMA[name].dtype), *(getattr(of, column) for _, _, of in runs)])
            for name, column in _COLUMNS.items()
        }
        return {
            "chain.used": used,
            "chain.counts": counts[used],
            "labels.group": self.admixture.group,
            "labels.codes": np.concatenate([counts.ravel() for counts in self.label_counts]),
            "chain.weights": np.array([chain.label_weight, chain.pooled_weight, chain.frequency_weight]),
            "context_tree.weights": np.array([tree.weights[order] for order in ORDERS]),
            "context_tree.min_carriers": np.array(tree.min_carriers),
            "context_tree.power": np.array(tree.power),
            "context_tree.table": np.array(table, dtype=np.int64).reshape(-1, 6),
            **columns,
            "local_ancestry.proportions": self.admixture.proportions,
            "local_ancestry.switch_rate": self.admixture.switch_rate,
            "person_ancestry.loadings": np.concatenate(self.ancestry.loadings),
            "person_ancestry.spread": self.ancestry.spread,
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], sizes: Sequence[int], n_labels: int, parent: np.ndarray | None = None
    ) -> CodeModel:
        """Return the model whose `arrays` these are, checked against `SCHEMA` before, with this `parent`.

        Raise ValueError if they do not fit together.
        """
        group, n_groups = arrays["labels.group"], arrays["local_ancestry.proportions"].shape[1]
        if not np.array_equal(np.unique(group), np.arange(n_groups)):
            raise ValueError(f"labels.group does not number {n_groups} groups")
        shapes = [(n_groups, i, j) for i, j in zip([1, *sizes[:-1]], sizes, strict=True)]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        n_transitions = int(ends[-1])
        used = arrays["chain.used"]
        if len(used) and (int(used[-1]) >= n_transitions or (np.diff(used) <= 0).any()):
            raise ValueError(f"chain.used does not point at {n_transitions} transitions, one after the other")
        passed = np.zeros(n_transitions, dtype=np.float32)
        passed[used] = arrays["chain.counts"]
        transitions = np.split(passed, ends[:-1])
        counts = [part.reshape(n_labels, -1) for part in _cut(arrays, "labels.codes", [n_labels * k for k in sizes])]
        chain = Chain(
            [part.reshape(shape) for part, shape in zip(transitions, shapes, strict=True)],
            [_by_group(part, group) for part in counts],
            *arrays["chain.weights"].tolist(),
        )
        admixture = AdmixtureHMM(arrays["local_ancestry.proportions"], arrays["local_ancestry.switch_rate"], group)
        ancestry = PersonAncestry(_cut(arrays, "person_ancestry.loadings", sizes), arrays["person_ancestry.spread"])
        return cls(chain, _tree_of(arrays, sizes, n_groups), admixture, ancestry, counts, parent=parent)


def own_frequency(counts: np.ndarray, of_group: np.ndarray) -> np.ndarray:
    """Return the code frequencies of labels in groups, given their counts and those of the group: (rows, codes).

    Nine tenths are their own; the likelihood alone would leave less, and what sets a label apart would be lost.
    """
    total = counts.sum(axis=1, keepdims=True)
    weight = (1 / _OWN_SHARE - 1) * total + 1e-3
    return np.asarray((counts + weight * of_group) / (total + weight), dtype=np.float32)


def _by_group(counts: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return counts (labels, codes) added up by group: (groups, codes)."""
    return np.stack([counts[group == k].sum(axis=0) for k in range(int(group.max()) + 1)])


def _tree_of(arrays: Mapping[str, np.ndarray], sizes: Sequence[int], n_groups: int) -> ContextTree:
    """Return the context tree of arrays; raise ValueError if they do not fit together."""
    table = arrays["context_tree.table"]
    _check_table(table[:, :2].tolist(), len(sizes))
    n_runs, n_contexts, n_entries = table[:, 3], table[:, 4], table[:, 5]
    lengths = n_runs, n_contexts, n_contexts + 1, n_entries, n_entries, n_contexts
    columns = [_cut(arrays, name, of_column) for name, of_column in zip(_COLUMNS, lengths, strict=True)]
    runs: list[dict[int, RunCounts]] = [{} for _ in sizes]
    for (block, order, others, _, _, _), parts in zip(table.tolist(), zip(*columns, strict=True), strict=True):
        keys, label_keys, first, code, count, carriers = parts
        if first[0] != 0 or first[-1] != len(code) or (np.diff(first) < 0).any():
            raise ValueError(f"context_tree.first and context_tree.code do not fit together at block {block}")
        if len(code) and code.max() >= sizes[block]:
            raise ValueError(f"context_tree.code has codes that block {block} does not have")
        runs[block][order] = RunCounts(keys, others, label_keys, n_groups, first, code, count, carriers)
    weights = dict(zip(ORDERS, map(tuple, arrays["context_tree.weights"].tolist()), strict=True))
    return ContextTree(runs, int(arrays["context_tree.min_carriers"]), float(arrays["context_tree.power"]), weights)


def _check_table(rows: Sequence[tuple[int, int]], blocks: int) -> None:
    """Raise ValueError if runs of a block and a length (in blocks) cannot be, or come twice."""
    counted: set[tuple[int, int]] = set()
    for block, order in rows:
        if block >= blocks or (block, order) in counted:
            raise ValueError(f"context_tree.table has a row for block {block} of {blocks}")
        # a run is found by its two halves: here, and half of its length back
        half = order // 2
        if order not in ORDERS or order > block or (half > 1 and not {(block, half), (block - half, half)} <= counted):
            raise ValueError(f"context_tree.table has runs of {order} blocks for block {block}")
        counted.add((block, order))


def _cut(arrays: Mapping[str, np.ndarray], name: str, lengths: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """Cut an array into parts of these lengths; raise ValueError if it does not have as many entries."""
    whole = arrays[name]
    if len(whole) != sum(lengths) or min(lengths, default=0) < 0:
        raise ValueError(f"{name} has {len(whole)} entries; {sum(lengths)} fit")
    return np.split(whole, np.cumsum(lengths)[:-1]) if len(lengths) else []


class NextCodePredictor:
    """Rows of given labels, (rows,), block by block: `log_probs` predicts the next code, `observe` takes what came."""

    def __init__(self, model: CodeModel, label: np.ndarray):
        self.label = np.asarray(label, dtype=np.int64)
        self._chain, self._context_tree, self._admixture = model.chain, model.context_tree, model.admixture
        self._last = np.zeros(len(label), dtype=np.int64)
        self._runs: list[dict[int, np.ndarray]] = []
        # the groups that each row may be drawn from here, row by row, and their probabilities given the codes so far
        self._state = self._admixture.proportions[self.label]
        self._row, self._source = np.nonzero(self._state)
        self._predicted: tuple[np.ndarray, np.ndarray] | None = None
        self._context_tree.advance(self._last, self._runs)

    def log_probs(self, leave_out: np.ndarray | None = None) -> np.ndarray:
        """Return log P(·) for the next block: float32, shape (rows, codes); `leave_out` as in `Chain.log_probs`."""
        block, row, source = len(self._runs) - 1, self._row, self._source
        if leave_out is None:  # rows with the same longest run have the same prediction from the same source
            longest = self._last + 1
            for i, index in enumerate(self._runs[-1].values()):
                longest = np.where(index >= 0, (i + 1 << 40) + index, longest) if i else longest
            same = np.unique(longest, return_inverse=True)[1][row] * self._state.shape[1] + source
            _, first, which = np.unique(same, return_index=True, return_inverse=True)
            row, source = row[first], source[first]
            probability = self._chain.probabilities(block, self._last[row], source)
            probability = self._context_tree.refine(block, probability, self._runs_of(row), source)
        else:
            which, own, (weights, is_own) = np.arange(len(row)), leave_out[row], self._weights(leave_out, row, source)
            log_probs = self._chain.log_probs(block, self._last[row], source, own, weights[1], is_own)
            without = own, weights, is_own
            probability = self._context_tree.refine(block, np.exp(log_probs), self._runs_of(row), source, without)
        weight = self._state[self._row, self._source]
        start = np.searchsorted(self._row, np.arange(len(self.label) + 1))
        mixed = csr_array((weight, which, start), shape=(len(self.label), len(probability))) @ probability
        self._predicted = probability, which
        return np.log(np.maximum(mixed, 1e-12), dtype=np.float32)

    def log_probs_by_group(self, codes: np.ndarray) -> np.ndarray:
        """Return log P of the codes of training rows, left out, if drawn from each group: float32, (rows, groups).

        It is 0 where the code is unknown (-1), or the row is never drawn from the group.
        """
        known = codes[self._row] >= 0
        block, row, source = len(self._runs) - 1, self._row[known], self._source[known]
        own, (weights, is_own) = codes[row], self._weights(codes, row, source)
        of_chain = self._chain.left_out(block, self._last[row], source, own, weights[1], is_own)
        probability = of_chain(self._chain.label_weight, self._chain.pooled_weight)
        of_runs = self._context_tree.left_out(block, self._runs_of(row), source, own, weights, is_own)
        for order, rows, count, total, (taken,) in of_runs:
            probability[rows] = refined(probability[rows], count, total, taken, self._context_tree.weights[order])
        log_probs = np.zeros_like(self._state)
        log_probs[row, source] = np.log(np.maximum(probability, 1e-12))
        return log_probs

    def _runs_of(self, row: np.ndarray) -> dict[int, np.ndarray]:
        """Return the runs before the next block of some rows."""
        return {order: run[row] for order, run in self._runs[-1].items()}

    def _weights(
        self, codes: np.ndarray, row: np.ndarray, source: np.ndarray
    ) -> tuple[dict[int, np.ndarray], np.ndarray]:
        """Return how much the codes of training rows count after their runs, and whether a source is their group."""
        own_group = self._admixture.group[self.label]
        weights = self._context_tree.leave_out_weights(len(self._runs) - 1, self._runs[-1], own_group, codes)
        return {order: weight[row] for order, weight in weights.items()}, source == own_group[row]

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
            switch = self._admixture.switch_rate[self.label][:, None]
            self._state = (1 - switch) * self._state + switch * self._admixture.proportions[self.label]
        self._predicted = None
        if len(self._runs) < len(self._context_tree.runs):
            self._context_tree.advance(self._last, self._runs)

    def restart(self, begins: np.ndarray, label: np.ndarray) -> None:
        """Change the labels of all rows, (rows,), where a new stretch of haplotype begins, (rows,).

        The code before has to be observed as unknown there, so that nothing is predicted from the stretch before.
        """
        self.label = np.asarray(label, dtype=np.int64)
        proportions = self._admixture.proportions[self.label]
        self._state = np.where(begins[:, None], proportions, self._state)
        self._row, self._source = np.nonzero(proportions)


# ---- labels of several columns -------------------------------------------------------------------------------------


def parents_of(names: Sequence[str], columns: int) -> np.ndarray:
    """Return which labels agree in all of so many columns but the last, as equal numbers: int, shape (labels,).

    With one column, every label is by itself.
    """
    of_label = [name.rsplit(JOIN, 1)[0] if columns > 1 else name for name in names]
    return np.unique(of_label, return_inverse=True)[1]


def own_shares(label_counts: Sequence[np.ndarray], parent: np.ndarray) -> np.ndarray:
    """Return how probable it is that labels of one parent differ beyond chance: float32, shape (blocks,).

    With `label=("super_pop", "status")` the cases and controls of a population come from the same people. Their code
    frequencies differ by chance at every block, by who happened to be sampled, and beyond chance at few. A model that
    learned the former would make synthetic cases and controls that differ everywhere: a test at each site would find
    more than it should. So `CodeModel.label_frequency` takes the frequencies of the parent, the label without its last
    column, at the others.

    Chi-squared of the codes of labels with the same parent, added up over parents, is a mixture: where they differ by
    chance it follows its distribution, elsewhere that distribution stretched by a factor. Share and factor are fitted
    to all blocks (expectation-maximisation), and the probability is that of the second part given the block's value; 1
    where no parent has two labels. Counts are (labels, codes) for each block, and parents (labels,).
    """
    statistic, freedom = np.zeros((2, len(label_counts)))
    for of_parent in (parent == k for k in np.unique(parent)):
        for b, counts in enumerate(label_counts):
            table = counts[of_parent].astype(np.float64)
            table = table[table.any(axis=1)][:, table.any(axis=0)]
            expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / max(table.sum(), 1)
            statistic[b] += ((table - expected) ** 2 / expected).sum()
            freedom[b] += max(0, table.shape[0] - 1) * max(0, table.shape[1] - 1)
    tested = freedom > 0
    shares = np.ones(len(label_counts), dtype=np.float32)
    if tested.any():
        shares[tested] = _probability_of_difference(statistic[tested], freedom[tested])
    return shares


def _probability_of_difference(statistic: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return the probability of the second part of the mixture for each block: (blocks,)."""
    share, variance = 0.5, 1.0
    by_chance = chi2.logpdf(statistic, freedom)
    for _ in range(_SHARE_ROUNDS):
        beyond = chi2.logpdf(statistic / (1 + variance), freedom) - np.log1p(variance)
        odds = np.log(share) - np.log1p(-share) + beyond - by_chance
        probability = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        share = float(np.clip(probability.mean(), 1e-6, 1 - 1e-6))
        variance = max(_LEAST_VARIANCE, float(probability @ statistic / max(probability @ freedom, 1e-9)) - 1)
    return probability
