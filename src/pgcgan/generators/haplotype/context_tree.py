"""The long memory of the chain: what followed the same 2, 4, 8, 16 or 32 codes in several people of a label.

A chain over block codes forgets everything but the block before. Here the codes that followed a longer run of codes
in a label refine it, the longest run last, each weighed against what the shorter ones say by how often it was seen: a
context tree with Pitman-Yor weights (as in Wood et al., "A stochastic memoizer for sequence data", ICML 2009), at run
lengths that double. Shorter runs are asked where longer ones fall silent, so that a code counts less there the more
often longer runs have explained it (as in Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP
1995): without that, haplotypes that are common anyway are drawn too often. Only runs that at least `min_carriers`
people of the label carry count: a haplotype is followed for as long as several people share it, nobody's own is. Where
sites are unlinked no run helps, and the chain stays as it is. What other labels know reaches a label by its `sources`
alone: runs counted over all labels would lead rows out of their label, a little at every block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

ORDERS = (2, 4, 8, 16, 32)  # lengths of runs, in blocks
_LOOKED_BACK = ORDERS[-1] // 2  # blocks; what was found before is forgotten: for all blocks it is larger than the data
# a code that followed a run k times counts k ** power times for shorter runs; which power is asked of the data
POWERS = (0.5, 1.0)


@dataclass(frozen=True)
class RunCounts:
    """The runs of one length that end before one block, and what followed them in each label.

    Parameters
    ----------
    keys : array of int64, shape (runs,), sorted
        A run, whatever its label, as `part * others + other`: its later and its earlier half by their numbers among
        the runs of half the length.
    others : int
        How many different `other` there are.
    label_keys : array of int64, shape (cases,), sorted
        A run within a label, as `run * labels + label`.
    labels : int
    first : array of int64, shape (cases + 1,)
        Case r was followed by the codes `code[first[r]:first[r + 1]]`, which count `count` times each.
    code : array of int32
    count : array of float32
    carriers : array of int32, shape (cases,)
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
        """Return the number of each run, given its parts; -1 where it is not kept."""
        return _found(self.keys, part, other, self.others)

    def within(self, run: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return the case of each run in each row's label; -1 where it is not kept."""
        return _found(self.label_keys, run, label, self.labels)

    def counts(self, case: np.ndarray, codes: int) -> np.ndarray:
        """Return how often each code followed each case: float32, shape (rows, codes)."""
        start, stop = self.first[case], self.first[case + 1]
        length = stop - start
        entry = np.repeat(stop - np.cumsum(length), length) + np.arange(length.sum())
        found = np.zeros((len(case), codes), dtype=np.float32)
        found[np.repeat(np.arange(len(case)), length), self.code[entry]] = self.count[entry]
        return found

    def count_of(self, case: np.ndarray, code: np.ndarray) -> np.ndarray:
        """Return how much a code that is known to have followed the case counts there: float32, shape (rows,)."""
        size = int(self.code.max(initial=0)) + 1
        entries = np.repeat(np.arange(len(self.label_keys)), np.diff(self.first)) * size + self.code
        return self.count[np.searchsorted(entries, case * size + code)]


def _found(keys: np.ndarray, part: np.ndarray, other: np.ndarray, others: int) -> np.ndarray:
    if not len(keys):
        return np.full(len(part), -1, dtype=np.int64)
    key = part * others + other
    at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    return np.where((part >= 0) & (other >= 0) & (keys[at] == key), at, -1)


@dataclass(frozen=True)
class ContextTree:
    """RunCounts of codes and their weights.

    Parameters
    ----------
    runs : list (blocks) of dicts {length: RunCounts}
    weights : dict {length: (concentration, discount)}
        Of the counts n after a run, k are of a code to which shorter runs give the probability p. With the run, it is
        (k - min(k, d) + (a + s) p) / (n + a), where s is the sum of min(k, d) over all codes.
    min_carriers : int
        RunCounts of fewer people are not used; for a training row, runs of fewer other people.
    power : float
        A code that followed a run k times counts k ** power times for shorter runs.
    """

    runs: list[dict[int, RunCounts]]
    weights: dict[int, tuple[float, float]]
    min_carriers: int
    power: float

    def follow(self, codes: np.ndarray, known: list[dict[int, np.ndarray]]) -> None:
        """Append to `known` the number of each row's run of each length before the next block.

        Parameters
        ----------
        codes : array of int, shape (rows,)
            The codes of the block before (anything, before the first).
        known : list of dicts
            What this method has found for the blocks before the next one; what is too far back is emptied.
        """
        block = len(known)
        found = {1: codes} if block else {}
        for order, runs in self.runs[block].items():
            found[order] = runs.find(found[order // 2], known[block - order // 2][order // 2])
        known.append(found)
        if block >= _LOOKED_BACK:
            known[block - _LOOKED_BACK] = {}

    def contributed(
        self, block: int, run: dict[int, np.ndarray], label: np.ndarray, own: np.ndarray
    ) -> dict[int, np.ndarray]:
        """Return how much training rows' own codes add to the counts after their runs, and to the chain's as length 1.

        Parameters
        ----------
        block : int
        run : dict
            What `follow` has found for this block.
        label, own : arrays of int, shape (rows,)
            The rows' labels and codes.
        """
        found: dict[int, np.ndarray] = {}
        added = np.ones(len(own), dtype=np.float32)
        for order, runs in reversed(self.runs[block].items()):
            found[order] = added
            case = runs.within(run[order], label)
            rows = np.flatnonzero((case >= 0) & (own >= 0))
            count = runs.count_of(case[rows], own[rows])
            added = added.copy()
            added[rows] = _passed_on(count, self.power) - _passed_on(count - added[rows], self.power)
        found[1] = added
        return found

    def refine(
        self,
        block: int,
        probability: np.ndarray,
        run: dict[int, np.ndarray],
        label: np.ndarray,
        own: np.ndarray | None = None,
        contributed: dict[int, np.ndarray] | None = None,
        own_label: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the probabilities of a block's codes, refined by runs of all lengths: shape (rows, codes).

        Parameters
        ----------
        block : int
        probability : array of float32, shape (rows, codes)
            What the chain says; changed in place.
        run : dict
            What `follow` has found for this block.
        label : array of int, shape (rows,)
            The label that is asked.
        own : array of int, shape (rows,), optional
            The code that a training row itself contributed, to be left out; -1 = contributed nothing.
        contributed : dict, optional
            From the method of that name; asked for with `own`.
        own_label : array of bool, shape (rows,), optional
            Whether the label asked is the one that the row contributed to; asked for with `own`.
        """
        for order, runs in self.runs[block].items():
            case = runs.within(run[order], label)
            rows = np.flatnonzero(case >= 0)
            case = case[rows]
            if own_label is not None:
                enough = runs.carriers[case] - own_label[rows] >= self.min_carriers
                rows, case = rows[enough], case[enough]
            if not len(rows):
                continue
            counts = runs.counts(case, probability.shape[1])
            if own is not None and contributed is not None and own_label is not None:
                mine = np.flatnonzero(own_label[rows] & (own[rows] >= 0))
                counts[mine, own[rows[mine]]] -= contributed[order][rows[mine]]
            concentration, discount = self.weights[order]
            total, taken = counts.sum(axis=1, keepdims=True), np.minimum(counts, discount)
            less = concentration + taken.sum(axis=1, keepdims=True)
            probability[rows] = (counts - taken + less * probability[rows]) / (total + concentration)
        return probability


def _passed_on(count: np.ndarray, power: float) -> np.ndarray:
    """Return what a count is worth for shorter runs."""
    return np.where(count > 1, np.maximum(count, 1) ** np.float32(power), count)


def empty_context_tree(blocks: int) -> ContextTree:
    """Return contexts that say nothing."""
    return ContextTree([{} for _ in range(blocks)], dict.fromkeys(ORDERS, (1.0, 0.5)), 0, 1.0)


_NO_CODES = np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)  # not counted yet


def count_runs(
    codes: np.ndarray,
    label: np.ndarray,
    person: np.ndarray,
    sizes: Sequence[int],
    n_labels: int,
    min_carriers: int,
    power: float,
) -> tuple[ContextTree, np.ndarray]:
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
    power : float
        See `ContextTree`.

    Returns
    -------
    ContextTree
    share : array of float32, shape (rows, blocks)
        What each row's code counts for the chain, which is asked where all runs fall silent.
    """
    runs: list[dict[int, RunCounts]] = [{} for _ in sizes]
    share = np.ones(codes.shape, dtype=np.float32)
    # of the runs of each length before each block: their number in each row (-1: not kept), and how many there are
    number: list[dict[int, np.ndarray]] = [{}]
    kept: list[dict[int, int]] = [{}]
    for b in range(1, len(sizes)):
        number.append({1: codes[:, b - 1].astype(np.int64)})
        kept.append({1: int(sizes[b - 1])})
        cases: dict[int, np.ndarray] = {}
        for order in ORDERS:
            half, earlier = order // 2, b - order // 2
            if half not in number[b] or earlier < 1 or half not in number[earlier]:
                break
            others = kept[earlier][half]
            run, keys, _ = _numbered(number[b][half], number[earlier][half], others, person, min_carriers)
            if not len(keys):
                break
            number[b][order], kept[b][order] = run, len(keys)
            cases[order], label_keys, carriers = _numbered(run, label, n_labels, person, min_carriers)
            runs[b][order] = RunCounts(keys, others, label_keys, n_labels, *_NO_CODES, carriers)
        for order, case in reversed(cases.items()):
            rows = np.flatnonzero((case >= 0) & (codes[:, b] >= 0))
            entries, entry = np.unique(case[rows] * sizes[b] + codes[rows, b], return_inverse=True)
            count = np.bincount(entry, weights=share[rows, b], minlength=len(entries)).astype(np.float32)
            first = np.searchsorted(entries, np.arange(len(runs[b][order].label_keys) + 1) * sizes[b])
            code = (entries % sizes[b]).astype(np.int32)
            runs[b][order] = replace(runs[b][order], first=first, code=code, count=count)
            share[rows, b] *= (_passed_on(count, power) / count)[entry]
        if b >= _LOOKED_BACK:
            number[b - _LOOKED_BACK] = {}
    return ContextTree(runs, dict.fromkeys(ORDERS, (1.0, 0.5)), min_carriers, power), share


def _numbered(
    part: np.ndarray, other: np.ndarray, others: int, person: np.ndarray, min_carriers: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the number of each row's pair (part, other), -1 where it has too few carriers; the keys; the carriers."""
    rows = np.flatnonzero((part >= 0) & (other >= 0))
    keys, inverse = np.unique(part[rows] * others + other[rows], return_inverse=True)
    people = int(person.max()) + 1
    carried = np.unique(inverse.astype(np.int64) * people + person[rows]) // people
    carriers = np.bincount(carried, minlength=len(keys)).astype(np.int32)
    enough = carriers >= min_carriers
    number = np.full(len(part), -1, dtype=np.int64)
    number[rows] = np.where(enough, np.cumsum(enough) - 1, -1)[inverse]
    return number, keys[enough], carriers[enough]
