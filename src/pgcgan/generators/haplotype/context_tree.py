"""The context tree: a variable-order Markov chain over block codes.

A chain over block codes forgets everything but the block before. The context tree counts which codes follow a run of
2, 4, 8, 16 or 32 codes in the people of a label, and refines the chain by these counts, the longest run last. Each run
is weighed against the shorter ones by how often it occurs (Pitman-Yor weights, as in Wood et al., "A stochastic
memoizer for sequence data", ICML 2009). A code counts less for shorter runs the more often longer runs explain it (as
in Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995); otherwise common haplotypes are
drawn too often. Only runs that at least `min_carriers` people of the label carry are used. Runs are counted within
labels: runs counted over all labels would lead rows out of their label, a little at every block. Haplotypes of other
labels reach a label through local ancestry alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .blocks import carried
from .code_rows import CodeRows

ORDERS = (2, 4, 8, 16, 32)  # lengths of runs, in blocks
_LOOKED_BACK = ORDERS[-1] // 2  # blocks; results for earlier blocks are discarded to save memory
# a code that followed a run k times counts k ** power times for shorter runs; the data choose the power
POWERS = (0.5, 1.0)


@dataclass(frozen=True)
class RunCounts:
    """The runs of one length that end before one block, and the codes that follow them in each label.

    Parameters
    ----------
    keys : array of int64, shape (runs,), sorted
        A run, whatever its label, as `part * others + other`: its later and its earlier half by their numbers among
        the runs of half the length; there are so many `others`.
    label_keys : array of int64, shape (contexts,), sorted
        A context: a run within one of so many `labels`, as `run * labels + label`.
    first : array of int64, shape (contexts + 1,)
        Context r was followed by the codes `code[first[r]:first[r + 1]]`, which count `count` times each.
    code : array of int32
    count : array of float32
    carriers : array of int32, shape (contexts,)
        People of the label who carry the run.
    """

    keys: np.ndarray
    others: int
    label_keys: np.ndarray
    labels: int
    first: np.ndarray
    code: np.ndarray
    count: np.ndarray
    carriers: np.ndarray

    def find(self, part: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the number of each run, given its later and its earlier half; -1 where it is not kept."""
        return np.where((part >= 0) & (other >= 0), _place(self.keys, part * self.others + other), -1)

    def context_of(self, run: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return the number of the context of each run and label; -1 where there is none."""
        return _place(self.label_keys, run * self.labels + label)

    def counts(self, context: np.ndarray, codes: int) -> np.ndarray:
        """Return how often each code follows each context: float32, shape (rows, codes)."""
        start, stop = self.first[context], self.first[context + 1]
        length = stop - start
        entry = np.repeat(stop - np.cumsum(length), length) + np.arange(length.sum())
        counts = np.zeros((len(context), codes), dtype=np.float32)
        counts[np.repeat(np.arange(len(context)), length), self.code[entry]] = self.count[entry]
        return counts

    @cached_property
    def _entries(self) -> tuple[int, np.ndarray, np.ndarray]:
        """A number above all codes; the sorted pairs `context * number + code`; and `count`, with 0 for no pair."""
        number = int(self.code.max(initial=0)) + 1
        pairs = np.repeat(np.arange(len(self.label_keys)), np.diff(self.first)) * number + self.code
        return number, pairs, np.append(self.count, np.float32(0))

    def count_of(self, context: np.ndarray, code: np.ndarray) -> np.ndarray:
        """Return how often a code follows a context: float32, shape (rows,)."""
        number, pairs, count = self._entries
        return count[np.where(code < number, _place(pairs, context * number + code), -1)]

    def sum_up_to(self, discount: float) -> np.ndarray:
        """Return the sum of min(count, discount) over the codes of each context: float64, shape (contexts,)."""
        up_to = np.concatenate([[0], np.cumsum(np.minimum(self.count, discount), dtype=np.float64)])
        return up_to[self.first[1:]] - up_to[self.first[:-1]]


def _place(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return where sorted keys have each wanted one; -1 where they have not."""
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)


def refined(
    probability: np.ndarray, count: np.ndarray, total: np.ndarray, taken: np.ndarray, weights: tuple[float, float]
) -> np.ndarray:
    """Return probabilities that shorter runs give, refined by what follows a run; see `ContextTree.weights`.

    `count` is that of the code, `total` that of all codes, and `taken` the sum of min(count, discount) over all codes.
    """
    concentration, discount = weights
    more = np.maximum(count - np.float32(discount), 0)
    return np.asarray((more + (concentration + taken) * probability) / (total + concentration))


@dataclass(frozen=True)
class ContextTree:
    """Runs of codes and their weights.

    Parameters
    ----------
    runs : list (blocks) of dicts {length: RunCounts}
    min_carriers : int
        Runs of fewer people are not used; for a training row, runs of fewer other people.
    power : float
        A code that followed a run k times counts k ** power times for shorter runs.
    weights : dict {length: (concentration a, discount d)}
        Of the counts n after a run, k are of a code to which shorter runs give the probability p. With the run, it is
        (max(k - d, 0) + (a + s) p) / (n + a), where s is the sum of min(k, d) over all codes.
    """

    runs: list[dict[int, RunCounts]]
    min_carriers: int = 0
    power: float = 1.0
    weights: dict[int, tuple[float, float]] = field(default_factory=lambda: dict.fromkeys(ORDERS, (1.0, 0.5)))

    def advance(self, codes: np.ndarray, history: list[dict[int, np.ndarray]]) -> None:
        """Append to `history` the number of each row's run of each length before the next block.

        `codes` are those of the block before, (rows,), and anything before the first. What is too far back is emptied.
        """
        block = len(history)
        run = {1: codes} if block else {}
        for order, runs in self.runs[block].items():
            run[order] = runs.find(run[order // 2], history[block - order // 2][order // 2])
        history.append(run)
        if block >= _LOOKED_BACK:
            history[block - _LOOKED_BACK] = {}

    def shared_by(self, labels: int) -> ContextTree:
        """Return a context tree that was counted without labels as that of each of several labels."""

        def shared(of: RunCounts) -> RunCounts:
            context = np.repeat(np.arange(len(of.label_keys)), labels)
            length = np.diff(of.first)[context]
            first = np.concatenate([[0], np.cumsum(length)])
            entry = np.repeat(of.first[context] - first[:-1], length) + np.arange(first[-1])
            keys = of.label_keys[context] * labels + np.tile(np.arange(labels), len(of.label_keys))
            code, count, carriers = of.code[entry], of.count[entry], of.carriers[context]
            return RunCounts(of.keys, of.others, keys, labels, first, code, count, carriers)

        return replace(self, runs=[{order: shared(of) for order, of in lengths.items()} for lengths in self.runs])

    def _followed(
        self, block: int, run: dict[int, np.ndarray], label: np.ndarray, is_own: np.ndarray | None
    ) -> Iterator[tuple[int, RunCounts, np.ndarray, np.ndarray]]:
        """Yield the runs that are followed, shorter ones first: length, counts, rows that have one, their contexts.

        Other people must carry the run of a training row whose own label is asked (`is_own`).
        """
        for order, runs in self.runs[block].items():
            context = runs.context_of(run[order], label)
            rows = np.flatnonzero(context >= 0)
            if is_own is not None:
                rows = rows[runs.carriers[context[rows]] - is_own[rows] >= self.min_carriers]
            yield order, runs, rows, context[rows]

    def leave_out_weights(
        self, block: int, run: dict[int, np.ndarray], label: np.ndarray, codes: np.ndarray
    ) -> dict[int, np.ndarray]:
        """Return how much training rows' codes add to the counts after their runs of each length; 1 is the chain.

        `run` are the runs that `advance` has appended for the block; a code may be unknown.
        """
        weights: dict[int, np.ndarray] = {}
        added = np.ones(len(codes), dtype=np.float32)
        for order, runs in reversed(self.runs[block].items()):
            weights[order] = added
            context = runs.context_of(run[order], label)
            rows = np.flatnonzero((context >= 0) & (codes >= 0))
            count = runs.count_of(context[rows], codes[rows])
            added = added.copy()
            added[rows] = _passed_on(count, self.power) - _passed_on(count - added[rows], self.power)
        weights[1] = added
        return weights

    def left_out(
        self, block: int, run: dict[int, np.ndarray], label: np.ndarray, own: np.ndarray,
        weights: dict[int, np.ndarray], is_own: np.ndarray, discounts: Sequence[float] | None = None,
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]]:  # fmt: skip
        """Yield what follows the runs of training rows whose codes are known, each left out, shorter runs first.

        Yields the length, the rows that have a run, and for each of them the count of its own code, that of all codes,
        and the sums of min(count, discount) over all codes: for these discounts, or for that of the length.
        """
        for order, runs, rows, context in self._followed(block, run, label, is_own):
            before, less = runs.count_of(context, own[rows]), weights[order][rows] * is_own[rows]
            count = before - less
            taken = [
                runs.sum_up_to(d)[context] - np.minimum(before, d) + np.minimum(count, d)
                for d in discounts or self.weights[order][1:]
            ]
            yield order, rows, count, runs.sum_up_to(np.inf)[context] - less, taken

    def refine(
        self,
        block: int,
        probability: np.ndarray,
        run: dict[int, np.ndarray],
        label: np.ndarray,
        leave_out: tuple[np.ndarray, dict[int, np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """Return the probabilities of a block's codes, refined by runs of all lengths: float32, shape (rows, codes).

        Those of the chain are changed in place, by the counts of a label, (rows,), after the runs that `advance` has
        appended for the block. Of training rows, `leave_out` is what they contributed: their codes (-1 for none), how
        much these count (`leave_out_weights`), and whether the label is theirs.
        """
        own, weights, is_own = leave_out or (None, {}, None)
        for order, runs, rows, context in self._followed(block, run, label, is_own):
            counts = runs.counts(context, probability.shape[1])
            if own is not None and is_own is not None:
                counted = np.flatnonzero(is_own[rows] & (own[rows] >= 0))
                counts[counted, own[rows[counted]]] -= weights[order][rows[counted]]
            taken = np.minimum(counts, self.weights[order][1]).sum(axis=1, keepdims=True)
            total = counts.sum(axis=1, keepdims=True)
            probability[rows] = refined(probability[rows], counts, total, taken, self.weights[order])
        return probability


def _passed_on(count: np.ndarray, power: float) -> np.ndarray:
    """Return how much a count is worth for shorter runs."""
    return np.where(count > 1, np.maximum(count, 1) ** np.float32(power), count)


def empty_context_tree(blocks: int) -> ContextTree:
    """Return a context tree without runs, which leaves the chain as it is."""
    return ContextTree([{} for _ in range(blocks)])


def count_runs(
    rows: CodeRows, min_carriers: int, powers: Sequence[float], longest: int = ORDERS[-1]
) -> list[tuple[ContextTree, np.ndarray]]:
    """Count the codes after each run, of `longest` blocks at most, that enough people carry.

    Two haplotypes of one person are one carrier. For each power (`ContextTree`) the context tree is returned, whose
    weights `fit_shrinkage` fits, and how much each row's code counts for the chain, which is used where no run is
    known: float32, shape (rows, blocks).
    """
    codes, label, person, sizes, n_labels = rows.codes, rows.label, rows.person, rows.sizes, rows.n_labels
    trees: list[list[dict[int, RunCounts]]] = [[{} for _ in sizes] for _ in powers]
    shares = [np.ones(codes.shape, dtype=np.float32) for _ in powers]
    # the number of the run of each length before each block in each row; -1: not kept
    number: list[dict[int, np.ndarray]] = [{}]
    for b in range(1, len(sizes)):
        number.append({1: codes[:, b - 1].astype(np.int64)})
        # of each length: which context each row has, what the runs and contexts are, and the carriers of the contexts
        contexts: dict[int, tuple[np.ndarray, tuple[np.ndarray, int, np.ndarray, int], np.ndarray]] = {}
        for order in ORDERS:
            half, earlier = order // 2, b - order // 2
            if order > longest or half not in number[b] or earlier < 1 or half not in number[earlier]:
                break
            others = sizes[earlier - 1] if half == 1 else len(trees[0][earlier][half].keys)
            run, keys, _ = _numbered(number[b][half], number[earlier][half], others, person, min_carriers)
            if not len(keys):
                break
            number[b][order] = run
            context, label_keys, carriers = _numbered(run, label, n_labels, person, min_carriers)
            contexts[order] = context, (keys, others, label_keys, n_labels), carriers
        for order, (context, names, carriers) in reversed(contexts.items()):
            known = np.flatnonzero((context >= 0) & (codes[:, b] >= 0))
            entries, entry = np.unique(context[known] * sizes[b] + codes[known, b], return_inverse=True)
            first = np.searchsorted(entries, np.arange(len(carriers) + 1) * sizes[b])
            code = (entries % sizes[b]).astype(np.int32)
            for power, runs, share in zip(powers, trees, shares, strict=True):
                count = np.bincount(entry, weights=share[known, b], minlength=len(entries)).astype(np.float32)
                runs[b][order] = RunCounts(*names, first, code, count, carriers)
                share[known, b] *= (_passed_on(count, power) / count)[entry]
        for runs in trees:
            runs[b] = dict(reversed(runs[b].items()))  # shorter runs first
        if b >= _LOOKED_BACK:
            number[b - _LOOKED_BACK] = {}
    counted = [ContextTree(runs, min_carriers, power) for power, runs in zip(powers, trees, strict=True)]
    return list(zip(counted, shares, strict=True))


def _numbered(
    part: np.ndarray, other: np.ndarray, others: int, person: np.ndarray, min_carriers: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the number of each row's pair (part, other), -1 where it has too few carriers; the keys; the carriers."""
    rows = np.flatnonzero((part >= 0) & (other >= 0))
    key = part[rows] * others + other[rows]
    keys, carriers = carried(key, person[rows], min_carriers)
    number = np.full(len(part), -1, dtype=np.int64)
    number[rows] = _place(keys, key)
    return number, keys, carriers
