"""The haplotype-block chain: what can be said about haplotypes in closed form, before any training.

Sites are cut into blocks along linkage disequilibrium; the haplotypes of a block that enough people carry are its
templates ("codes"); the blocks are chained by label-conditional transition probabilities, shrunk toward the pooled
ones. The chain is the state from which the generator starts, and a generator in its own right: right about allele
frequency and short-range linkage disequilibrium, blind to everything long.

Rows are haplotypes with states 0/1 where the data are phased, or people with dosages 0/1/2 where they are not. A
missing state is -1; a row without any usable state in a block has the code -1 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

UNKNOWN = -1


@dataclass(frozen=True)
class Blocks:
    """Blocks of consecutive sites and their templates.

    Parameters
    ----------
    edges : array of int, shape (blocks + 1,)
        Block b covers the sites edges[b] to edges[b + 1].
    templates : list of int8 arrays, shape (codes of the block, sites of the block)
        The states that a code stands for, most frequent code first.
    emission : list of float32 arrays, shape (codes, sites, states)
        Probability of each state at each site given the code: what the rows of a code have there. It keeps allele
        frequencies right and lets rare alleles appear, without tying two of them together.
    """

    edges: np.ndarray
    templates: list[np.ndarray]
    emission: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.templates)

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each block."""
        return [len(t) for t in self.templates]

    def encode(self, rows: np.ndarray) -> np.ndarray:
        """Return the nearest template of each row in each block: int16, shape (rows, blocks).

        Nearest is fewest mismatches among called sites; ties go to the more frequent template. A row with fewer than
        half of a block's sites called has the code -1 there.
        """
        codes = np.empty((len(rows), len(self)), dtype=np.int16)
        for b, templates in enumerate(self.templates):
            part = rows[:, self.edges[b] : self.edges[b + 1]]
            patterns, inverse = unique_rows(part)
            mismatches = np.zeros((len(patterns), len(templates)), dtype=np.float32)
            for state in np.unique(part[part >= 0]):
                seen = (patterns == state).astype(np.float32)
                mismatches += seen @ (templates != state).T.astype(np.float32)
            nearest = mismatches.argmin(axis=1).astype(np.int16)
            nearest[(patterns >= 0).mean(axis=1) < 0.5] = UNKNOWN
            codes[:, b] = nearest[inverse]
        return codes

    def decode(self, codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw the states of rows from their codes: int8, shape (rows, sites)."""
        rows = np.empty((len(codes), self.edges[-1]), dtype=np.int8)
        for b, emission in enumerate(self.emission):
            cumulative = emission.cumsum(axis=2)[:, :, :-1]
            drawn = generator.random((len(codes), emission.shape[1]), dtype=np.float32)
            rows[:, self.edges[b] : self.edges[b + 1]] = (drawn[:, :, None] >= cumulative[codes[:, b]]).sum(axis=2)
        return rows


def unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows of a narrow int8 matrix and the index of each row among them."""
    packed = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    return rows[first], inverse


def find_blocks(
    rows: np.ndarray,
    person: np.ndarray,
    *,
    breaks: Sequence[int] = (),
    states: int = 2,
    min_carriers: int = 3,
    coverage: float = 0.97,
    max_sites: int = 128,
    max_codes: int = 256,
) -> Blocks:
    """Cut the sites into blocks along linkage disequilibrium and collect their templates.

    A block grows by doubling and bisection as long as its templates (patterns carried by at least `min_carriers`
    people) cover `coverage` of the rows and number at most `max_codes`; so blocks are long where there are few
    haplotypes, and single sites where sites are unlinked and people few.

    Parameters
    ----------
    rows : array of int8, shape (rows, sites)
        States; -1 is missing. Rows with a missing state in a block do not make templates of it.
    person : array of int, shape (rows,)
        Which person each row belongs to: two haplotypes of one person are one carrier.
    breaks : sequence of int
        Sites that start a new block (the first site of each contig).
    states : int
        2 for haplotypes, 3 for dosages.
    """
    n_sites = rows.shape[1]
    starts = sorted({0, *breaks})
    edges, templates, emission = [0], [], []
    for start, end in zip(starts, [*starts[1:], n_sites], strict=True):
        left = start
        length = 16
        while left < end:
            length, found = _longest(
                rows, person, left, min(end - left, max_sites), length, min_carriers, coverage, max_codes
            )
            templates.append(found)
            left += length
            edges.append(left)
    blocks = Blocks(np.array(edges), templates, [])
    codes = blocks.encode(rows)
    for b, found in enumerate(templates):
        part = rows[:, edges[b] : edges[b + 1]]
        emission.append(_emission(part, codes[:, b], found, states))
    return Blocks(blocks.edges, templates, emission)


def _longest(
    rows: np.ndarray,
    person: np.ndarray,
    left: int,
    limit: int,
    guess: int,
    min_carriers: int,
    coverage: float,
    max_codes: int,
) -> tuple[int, np.ndarray]:
    """Return the longest acceptable block that starts at `left`, and its templates (bracket, then bisect)."""

    def attempt(length: int) -> np.ndarray | None:
        found, covered = _templates(rows[:, left : left + length], person, min_carriers)
        return found if length == 1 or (covered >= coverage and len(found) <= max_codes) else None

    good, bad = 1, limit + 1
    best = attempt(1)
    step = min(guess, limit)
    while bad - good > 1:
        found = attempt(step)
        if found is None:
            bad = step
        else:
            good, best = step, found
        step = min(2 * good, limit) if bad > limit else (good + bad) // 2
        step = min(max(step, good + 1), bad - 1)
    assert best is not None
    return good, best


def _templates(part: np.ndarray, person: np.ndarray, min_carriers: int) -> tuple[np.ndarray, float]:
    """Return the patterns with enough carriers, most frequent first, and the share of complete rows that have one."""
    complete = (part >= 0).all(axis=1)
    if not complete.any():
        fallback = np.zeros((1, part.shape[1]), dtype=np.int8)
        return fallback, 0.0
    patterns, inverse = unique_rows(part[complete])
    counts = np.bincount(inverse, minlength=len(patterns))
    carriers = np.unique(np.stack([inverse, person[complete]]), axis=1)[0]
    kept = np.bincount(carriers, minlength=len(patterns)) >= min_carriers
    # no template has enough carriers: a longer block would be somebody's own
    enough = bool(kept.any())
    if not enough:
        kept[counts.argmax()] = True
    order = np.flatnonzero(kept)
    order = order[np.argsort(-counts[order], kind="stable")]
    # missing calls say nothing about linkage: the share is one of complete rows, as long as most rows are
    usable = enough and 2 * complete.sum() >= len(part)
    return np.ascontiguousarray(patterns[order]), float(counts[order].sum() / complete.sum()) if usable else 0.0


def _emission(part: np.ndarray, codes: np.ndarray, templates: np.ndarray, states: int) -> np.ndarray:
    """Return P(state | code) at each site: the states of the rows that have the code."""
    known = codes >= 0
    onehot = np.zeros((len(templates), known.sum()), dtype=np.float32)
    onehot[codes[known], np.arange(known.sum())] = 1
    probability = np.empty((*templates.shape, states), dtype=np.float32)
    for state in range(states):
        probability[:, :, state] = onehot @ (part[known] == state).astype(np.float32)
    total = probability.sum(axis=2, keepdims=True)
    template = templates[:, :, None] == np.arange(states)
    return np.where(total > 0, probability / np.maximum(total, 1), template).astype(np.float32)


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
    pairs : list of float32 arrays, shape (labels, codes of block b - 1, codes of block b)
        Transition counts; entry 0 has one previous code.
    singles : list of float32 arrays, shape (labels, codes of block b)
        Code counts.
    """

    pairs: list[np.ndarray]
    singles: list[np.ndarray]
    label_weight: float
    pooled_weight: float
    pooled_pairs: list[np.ndarray] = field(init=False, repr=False)
    pooled_singles: list[np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pooled_pairs", [p.sum(axis=0) for p in self.pairs])
        object.__setattr__(self, "pooled_singles", [s.sum(axis=0) for s in self.singles])

    def label_frequency(self, block: int) -> np.ndarray:
        """Return P_l(j), the code frequencies of each label shrunk toward the pooled ones: shape (labels, codes)."""
        pooled = self.pooled_singles[block]
        frequency = (pooled + 1 / len(pooled)) / (pooled.sum() + 1)
        counts, weight = self.singles[block], np.float32(self.pooled_weight)
        return (counts + weight * frequency) / (counts.sum(axis=1, keepdims=True) + weight)

    def log_probs(
        self, block: int, previous: np.ndarray, label: np.ndarray, own: np.ndarray | None = None
    ) -> np.ndarray:
        """Return log P_l(· | previous): float32, shape (rows, codes of the block).

        Parameters
        ----------
        block : int
            The block whose code is predicted.
        previous, label : array of int, shape (rows,)
            The code of the block before (ignored for block 0; -1 = unknown) and the label of each row.
        own : array of int, shape (rows,), optional
            The code that the row itself contributed to the counts: its contribution is left out. Without it a
            training row is predicted from counts that contain it, and the network that corrects the chain learns to
            undo a confidence that unseen people do not give. -1 = contributed nothing.
        """
        pairs, singles = self.pairs[block], self.singles[block]
        known = previous >= 0 if block else np.ones(len(label), dtype=bool)
        source = np.where(known, previous, 0) if block else np.zeros(len(label), dtype=np.int64)
        lab_pair = pairs[label, source] * known[:, None]
        all_pair = self.pooled_pairs[block][source] * known[:, None]
        lab_single = singles[label]
        all_single = np.broadcast_to(self.pooled_singles[block], lab_single.shape)
        if own is not None:
            mine = np.zeros((len(label), singles.shape[1]), dtype=np.float32)
            rows = np.flatnonzero(own >= 0)
            mine[rows, own[rows]] = 1
            lab_single, all_single = lab_single - mine, all_single - mine
            mine *= known[:, None]
            lab_pair, all_pair = lab_pair - mine, all_pair - mine
        frequency = (all_single + 1 / singles.shape[1]) / (all_single.sum(axis=1, keepdims=True) + 1)
        weight = np.float32(self.pooled_weight)
        in_label = (lab_single + weight * frequency) / (lab_single.sum(axis=1, keepdims=True) + weight)
        pooled = (all_pair + weight * frequency) / (all_pair.sum(axis=1, keepdims=True) + weight)
        base = pooled * in_label / frequency
        base /= base.sum(axis=1, keepdims=True)
        weight = np.float32(self.label_weight)
        probability = (lab_pair + weight * base) / (lab_pair.sum(axis=1, keepdims=True) + weight)
        return np.log(np.maximum(probability, 1e-12)).astype(np.float32)

    def table(self, block: int) -> np.ndarray:
        """Return all log-probabilities of one block: float32, shape (labels, codes before + 1, codes).

        The last row of the middle axis is for an unknown code before.
        """
        labels, sources, codes = self.pairs[block].shape
        previous = np.append(np.arange(sources), UNKNOWN)
        label, source = np.meshgrid(np.arange(labels), previous, indexing="ij")
        return self.log_probs(block, source.ravel(), label.ravel()).reshape(labels, sources + 1, codes)


def fit_chain(codes: np.ndarray, label: np.ndarray, sizes: Sequence[int], n_labels: int) -> Chain:
    """Count transitions and choose the two shrinkage weights by leave-one-out likelihood.

    Parameters
    ----------
    codes : array of int, shape (rows, blocks)
        Codes of the training rows; -1 is unknown.
    label : array of int, shape (rows,)
        Label of each row.
    sizes : sequence of int
        Codes per block.
    n_labels : int
        Number of labels.
    """
    pairs, singles = [], []
    for b, size in enumerate(sizes):
        source = codes[:, b - 1] if b else np.zeros(len(codes), dtype=np.int64)
        both = (codes[:, b] >= 0) & (source >= 0)
        pair = np.zeros((n_labels, sizes[b - 1] if b else 1, size), dtype=np.float32)
        np.add.at(pair, (label[both], source[both], codes[both, b]), 1)
        single = np.zeros((n_labels, size), dtype=np.float32)
        known = codes[:, b] >= 0
        np.add.at(single, (label[known], codes[known, b]), 1)
        pairs.append(pair)
        singles.append(single)
    some_blocks = np.unique(np.linspace(0, len(sizes) - 1, 16).astype(int))
    some_rows = np.unique(np.linspace(0, len(codes) - 1, 2000).astype(int))
    first = Chain(pairs, singles, 1.0, 1.0)
    best = None
    for label_weight in (1.0, 3.0, 10.0, 30.0, 100.0):
        for pooled_weight in (0.3, 1.0, 3.0, 10.0, 30.0):
            chain = replace(first, label_weight=label_weight, pooled_weight=pooled_weight)
            score = sum(chain_likelihood(chain, codes[some_rows], label[some_rows], int(b)).sum() for b in some_blocks)
            if best is None or score > best[0]:
                best = (score, chain)
    assert best is not None
    return best[1]


def chain_likelihood(chain: Chain, codes: np.ndarray, label: np.ndarray, block: int) -> np.ndarray:
    """Return the leave-one-out log-likelihood (nats) of each row's code in one block: shape (rows,); 0 if unknown."""
    previous = codes[:, block - 1] if block else np.zeros(len(codes), dtype=np.int64)
    own = codes[:, block]
    log_probs = chain.log_probs(block, previous, label, own)
    return np.where(own >= 0, log_probs[np.arange(len(own)), np.maximum(own, 0)], 0.0)
