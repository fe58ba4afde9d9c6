"""The long memory of the chain: what followed the same 2, 4, 8, 16 or 32 codes in several people.

A chain over block codes forgets everything but the block before. Here the codes that followed a longer run of codes
refine it, the longest run last, each weighed against what the shorter ones say by how often it was seen: a context
tree with Pitman-Yor weights (as in Wood et al., "A stochastic memoizer for sequence data", ICML 2009), at run lengths
that double, first over all labels, then within the label. Only runs that at least `min_carriers` people carry count:
a haplotype is followed for as long as several people share it, nobody's own haplotype is. Where sites are unlinked
no run helps, and the chain stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

ORDERS = (2, 4, 8, 16, 32)
Level = tuple[int, bool]  # the length of a run in blocks, and whether it is counted within the label alone
LEVELS: tuple[Level, ...] = tuple((order, by_label) for order in ORDERS for by_label in (False, True))
_CONCENTRATIONS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_DISCOUNTS = (0.0, 0.3, 0.5, 0.7, 0.85, 0.95)
_FITTED_ON = 100_000  # codes of training rows that the weights are fitted on


@dataclass(frozen=True)
class Runs:
    """The runs of one level that end before one block, and what followed them.

    Parameters
    ----------
    keys : array of int64, shape (runs,), sorted
        A run as `part * others + other`: its later and its earlier half by their numbers among the runs of half the
        length, or, within labels, the run and the label.
    others : int
        How many different `other` there are.
    first : array of int64, shape (runs + 1,)
        Run r was followed by the codes `code[first[r]:first[r + 1]]`, `count` times each.
    code, count : arrays of int32
    carriers : array of int32, shape (runs,)
        People who carry the run.
    """

    keys: np.ndarray
    others: int
    first: np.ndarray
    code: np.ndarray
    count: np.ndarray
    carriers: np.ndarray

    def find(self, part: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the number of each run, given its parts; -1 where it is not kept."""
        if not len(self.keys):
            return np.full(len(part), -1, dtype=np.int64)
        key = part * self.others + other
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.where((part >= 0) & (other >= 0) & (self.keys[at] == key), at, -1)

    def counts(self, run: np.ndarray, codes: int) -> np.ndarray:
        """Return how often each code followed each run: float32, shape (rows, codes)."""
        start, stop = self.first[run], self.first[run + 1]
        length = stop - start
        entry = np.repeat(stop - np.cumsum(length), length) + np.arange(length.sum())
        found = np.zeros((len(run), codes), dtype=np.float32)
        found[np.repeat(np.arange(len(run)), length), self.code[entry]] = self.count[entry]
        return found


@dataclass(frozen=True)
class Contexts:
    """Runs of codes and their weights.

    Parameters
    ----------
    runs : list (blocks) of dicts {level: Runs}
    weights : dict {level: (concentration, discount)}
        With n rows that carry a run, k of them followed by a code, t different codes after it, and p the probability
        that the levels before give, the code's probability is (max(k - d, 0) + (a + d t) p) / (n + a).
    min_carriers : int
        Runs of fewer people are not used; for a training row, runs of fewer other people.
    """

    runs: list[dict[Level, Runs]]
    weights: dict[Level, tuple[float, float]]
    min_carriers: int

    def follow(self, codes: np.ndarray, label: np.ndarray, known: list[dict[Level, np.ndarray]]) -> None:
        """Append to `known` the number of each row's run of each level before the next block.

        Parameters
        ----------
        codes : array of int, shape (rows,)
            The codes of the block before (anything, before the first).
        label : array of int, shape (rows,)
        known : list of dicts
            What this method has found for the blocks before the next one.
        """
        block = len(known)
        found: dict[Level, np.ndarray] = {(1, False): codes} if block else {}
        for (order, by_label), runs in self.runs[block].items():
            if by_label:
                found[order, True] = runs.find(found[order, False], label)
            else:
                half = (order // 2, False)
                found[order, False] = runs.find(found[half], known[block - order // 2][half])
        known.append(found)

    def refine(
        self, block: int, probability: np.ndarray, run: dict[Level, np.ndarray], own: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the probabilities of a block's codes, refined by runs of all levels: shape (rows, codes).

        Parameters
        ----------
        block : int
        probability : array of float32, shape (rows, codes)
            What the chain says; changed in place.
        run : dict
            What `follow` has found for this block.
        own : array of int, shape (rows,), optional
            The code that a training row itself contributed, to be left out; -1 = contributed nothing.
        """
        for level, runs in self.runs[block].items():
            rows = np.flatnonzero(run[level] >= 0)
            at = run[level][rows]
            if own is not None:
                enough = runs.carriers[at] - 1 >= self.min_carriers
                rows, at = rows[enough], at[enough]
            if not len(rows):
                continue
            counts = runs.counts(at, probability.shape[1])
            if own is not None:
                mine = np.flatnonzero(own[rows] >= 0)
                counts[mine, own[rows[mine]]] -= 1
            total, kinds = counts.sum(axis=1, keepdims=True), (counts > 0).sum(axis=1, keepdims=True)
            probability[rows] = _mixed(counts, total, kinds, probability[rows], *self.weights[level])
        return probability


def _mixed(
    count: np.ndarray, total: np.ndarray, kinds: np.ndarray, before: np.ndarray, concentration: float, discount: float
) -> np.ndarray:
    return (np.maximum(count - discount, 0) + (concentration + discount * kinds) * before) / (total + concentration)


def find_contexts(
    codes: np.ndarray, label: np.ndarray, person: np.ndarray, sizes: Sequence[int], n_labels: int, min_carriers: int
) -> Contexts:
    """Collect the runs that enough people carry; their weights are still to be fitted.

    Parameters
    ----------
    codes : array of int, shape (rows, blocks)
        Codes of the training rows; -1 is unknown.
    label, person : arrays of int, shape (rows,)
        Label of each row, and the person it belongs to: two haplotypes of one person are one carrier.
    sizes : sequence of int
        Codes per block.
    n_labels : int
    min_carriers : int
    """
    runs: list[dict[Level, Runs]] = [{} for _ in sizes]
    # of the runs of each length before each block: their number in each row (-1: not kept), and how many there are
    number: list[dict[int, np.ndarray]] = [{}]
    kept: list[dict[int, int]] = [{}]
    for b in range(1, len(sizes)):
        number.append({1: codes[:, b - 1].astype(np.int64)})
        kept.append({1: int(sizes[b - 1])})
        for order in ORDERS:
            half, earlier = order // 2, b - order // 2
            if half not in number[b] or earlier < 1 or half not in number[earlier]:
                break
            found, all_runs = _runs(
                number[b][half], number[earlier][half], kept[earlier][half], codes[:, b], person, sizes[b], min_carriers
            )
            if not len(all_runs.keys):
                break
            number[b][order], kept[b][order] = found, len(all_runs.keys)
            runs[b][order, False] = all_runs
            runs[b][order, True] = _runs(found, label, n_labels, codes[:, b], person, sizes[b], min_carriers)[1]
    return Contexts(runs, dict.fromkeys(LEVELS, (16.0, 0.5)), min_carriers)


def _runs(
    part: np.ndarray,
    other: np.ndarray,
    others: int,
    code: np.ndarray,
    person: np.ndarray,
    size: int,
    min_carriers: int,
) -> tuple[np.ndarray, Runs]:
    """Return the number of each row's run (-1: none, or too few carriers) and the runs."""
    rows = np.flatnonzero((part >= 0) & (other >= 0))
    keys, inverse = np.unique(part[rows] * others + other[rows], return_inverse=True)
    people = int(person.max()) + 1
    carried = np.unique(inverse.astype(np.int64) * people + person[rows]) // people
    carriers = np.bincount(carried, minlength=len(keys))
    enough = carriers >= min_carriers
    number = np.full(len(part), -1, dtype=np.int64)
    number[rows] = np.where(enough, np.cumsum(enough) - 1, -1)[inverse]
    known = np.flatnonzero((number >= 0) & (code >= 0))
    entries, count = np.unique(number[known] * size + code[known], return_counts=True)
    first = np.searchsorted(entries, np.arange(enough.sum() + 1) * size)
    found = (entries % size).astype(np.int32), count.astype(np.int32), carriers[enough].astype(np.int32)
    return number, Runs(keys[enough], others, first, *found)


def fit_contexts(
    contexts: Contexts, codes: np.ndarray, label: np.ndarray, sizes: Sequence[int], chain_probability: np.ndarray
) -> Contexts:
    """Choose the weights of each level by the leave-one-out likelihood of training rows.

    Parameters
    ----------
    contexts : Contexts
    codes : array of int, shape (rows, blocks)
    label : array of int, shape (rows,)
    sizes : sequence of int
        Codes per block.
    chain_probability : array of float, shape (rows, blocks)
        The probability of each row's own code under the chain, its own contribution left out; 1 where unknown.
    """
    rows = np.unique(np.linspace(0, len(codes) - 1, max(1, min(len(codes), _FITTED_ON // len(sizes)))).astype(int))
    codes, label, before = codes[rows], label[rows], chain_probability[rows].T
    # of each row's run: how often the row's own code followed it, how many codes did, and how many different ones
    seen = {level: np.zeros((3, *before.shape), dtype=np.float32) for level in LEVELS}
    known: list[dict[Level, np.ndarray]] = []
    for b, size in enumerate(sizes):
        contexts.follow(codes[:, b - 1], label, known)
        for level, runs in contexts.runs[b].items():
            run, own = known[b][level], codes[:, b]
            use = np.flatnonzero((run >= 0) & (own >= 0))
            use = use[runs.carriers[run[use]] - 1 >= contexts.min_carriers]
            counts = runs.counts(run[use], size)
            counts[np.arange(len(use)), own[use]] -= 1
            seen[level][:, b, use] = counts[np.arange(len(use)), own[use]], counts.sum(axis=1), (counts > 0).sum(axis=1)

    def refined(probability: np.ndarray, level: Level, weights: tuple[float, float]) -> np.ndarray:
        count, total, kinds = seen[level]
        return np.where(total > 0, _mixed(count, total, kinds, probability, *weights), probability)

    def score(probability: np.ndarray, levels: Sequence[Level], weights: dict[Level, tuple[float, float]]) -> float:
        for level in levels:
            probability = refined(probability, level, weights[level])
        return float(np.log(probability).sum(dtype=np.float64))

    weights = dict(contexts.weights)
    for _ in range(2):
        probability = before
        for i, level in enumerate(LEVELS):
            trials = [(a, d) for a in _CONCENTRATIONS for d in _DISCOUNTS]
            found = [score(probability, LEVELS[i:], {**weights, level: trial}) for trial in trials]
            weights[level] = trials[int(np.argmax(found))]
            probability = refined(probability, level, weights[level])
    return replace(contexts, weights=weights)
