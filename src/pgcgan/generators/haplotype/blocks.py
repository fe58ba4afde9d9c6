"""Haplotype blocks: stretches of linked sites, and the patterns ("codes") that enough people carry there.

Rows are haplotypes with states 0/1 where the data are phased, or people with dosages 0/1/2 where they are not. A
missing state is -1; a row without any usable state in a block has the code -1 there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...numerics import principal_axes
from ..rows import Rows
from ..store import Array

MOST_CODES = 32_767  # codes are int16
_COMPARED_ROWS = 4000
_COMPONENTS = 64  # looked at for ancestry
_COMPONENT_BYTES = 4_000_000_000  # of the states that they are computed from

SCHEMA = {
    "blocks.edges": Array("int64", ("edges",), 0),
    "blocks.sizes": Array("int64", ("blocks",), 1, MOST_CODES),
    "blocks.templates": Array("uint8", ("bytes of templates",), 0),
    "blocks.shared_emission": Array("float32", ("site states",), 0, 1.0001),
    "blocks.is_own_emission": Array("uint8", ("bytes of emissions",), 0),
    "blocks.own_emission": Array("float32", ("own emissions",), 0, 1.0001),
}


@dataclass(frozen=True)
class Blocks:
    """Blocks of consecutive sites and their templates.

    Parameters
    ----------
    edges : array of int, shape (blocks + 1,)
        Block b covers the sites edges[b] to edges[b + 1].
    templates : list of int8 arrays, shape (codes of the block, sites of the block)
        The states of each code, most frequent code first.
    emission : list of float32 arrays, shape (codes, sites, states)
        Probability of each state at each site given the code: the frequencies among the rows of the code. It keeps
        allele frequencies right and lets rare alleles appear, without linking two of them.
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
            codes[:, b] = _nearest(rows[:, self.edges[b] : self.edges[b + 1]], templates)
        return codes

    def decode(self, codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw the states of rows from their codes: int8, shape (rows, sites)."""
        rows = np.empty((len(codes), self.edges[-1]), dtype=np.int8)
        for b, emission in enumerate(self.emission):
            cumulative = emission.cumsum(axis=2)[:, :, :-1]
            uniform = generator.random((len(codes), emission.shape[1]), dtype=np.float32)
            rows[:, self.edges[b] : self.edges[b + 1]] = (uniform[:, :, None] >= cumulative[codes[:, b]]).sum(axis=2)
        return rows

    def means(self, block: int) -> np.ndarray:
        """Return the mean state of each code of a block at each of its sites: float32, shape (codes, sites)."""
        emission = self.emission[block]
        return np.asarray(emission @ np.arange(emission.shape[2], dtype=np.float32))

    def first(self, count: int) -> Blocks:
        """Return the first blocks."""
        return Blocks(self.edges[: count + 1], self.templates[:count], self.emission[:count])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the blocks as arrays for a file; `SCHEMA` says what they are.

        Templates are bits: state 1 or more, and for dosages then state 2. At a site, the codes whose templates agree
        have the same probabilities for the most part: these are stored once (those of the least frequent such code),
        and others by themselves. Of the probabilities of the states, the last is left out: they add up to 1.
        """
        emission = [e[:, :, :-1] for e in self.emission]
        shared = [_shared_emission(t, e) for t, e in zip(self.templates, emission, strict=True)]
        is_own = [(e != _spread(t, s)).any(axis=2) for t, e, s in zip(self.templates, emission, shared, strict=True)]
        templates = np.concatenate([t.ravel() for t in self.templates])
        states = range(1, self.emission[0].shape[2])
        return {
            "blocks.edges": self.edges.astype(np.int64),
            "blocks.sizes": np.array(self.sizes, dtype=np.int64),
            "blocks.templates": np.packbits(np.concatenate([templates >= k for k in states])),
            "blocks.shared_emission": np.concatenate([of_states.ravel() for of_states in shared]),
            "blocks.is_own_emission": np.packbits(np.concatenate([own.ravel() for own in is_own])),
            "blocks.own_emission": np.concatenate([e[own].ravel() for e, own in zip(emission, is_own, strict=True)]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], n_sites: int, n_states: int) -> Blocks:
        """Return the blocks of what `arrays` returned."""
        edges, sizes, free = arrays["blocks.edges"], arrays["blocks.sizes"], n_states - 1
        lengths = np.diff(edges)
        if len(edges) != len(sizes) + 1 or edges[0] != 0 or edges[-1] != n_sites or lengths.min(initial=1) < 1:
            raise ValueError(f"blocks.edges and blocks.sizes do not fit {n_sites} sites")
        ends = np.cumsum(sizes * lengths)
        n_cells = int(ends[-1])
        is_own = np.unpackbits(arrays["blocks.is_own_emission"])[:n_cells].astype(bool)
        expected = {
            "templates": -(-n_cells * free // 8),
            "is_own_emission": -(-n_cells // 8),
            "shared_emission": n_sites * n_states * free,
            "own_emission": int(is_own.sum()) * free,
        }
        for name, count in expected.items():
            stored = arrays[f"blocks.{name}"]
            if len(stored) != count:
                unit = "bytes" if stored.dtype == np.uint8 else "entries"
                raise ValueError(f"blocks.{name} has {len(stored)} {unit}; {count} fit")
        reached = np.unpackbits(arrays["blocks.templates"], count=n_cells * free).reshape(free, n_cells)
        if (reached[1:] > reached[:-1]).any():
            raise ValueError("blocks.templates has dosages of 2 that are not 1 or more")
        shared = arrays["blocks.shared_emission"].reshape(n_sites, n_states, free)
        own = arrays["blocks.own_emission"].reshape(-1, free)
        templates, emission, first = [], [], 0
        parts = zip(np.split(reached.sum(axis=0, dtype=np.int8), ends[:-1]), np.split(is_own, ends[:-1]), strict=True)
        for b, (of_block, is_own_here) in enumerate(parts):
            templates.append(of_block.reshape(sizes[b], lengths[b]))
            leading = _spread(templates[b], shared[edges[b] : edges[b + 1]])
            last = first + int(is_own_here.sum())
            leading[is_own_here.reshape(sizes[b], lengths[b])] = own[first:last]
            emission.append(np.concatenate([leading, 1 - leading.sum(axis=2, keepdims=True)], axis=2))
            first = last
        return cls(edges, templates, emission)


def _shared_emission(templates: np.ndarray, emission: np.ndarray) -> np.ndarray:
    """Return the probabilities of the last template with each state at each site: (sites, states, states - 1)."""
    states = emission.shape[2] + 1
    shared = np.zeros((templates.shape[1], states, states - 1), dtype=np.float32)
    for state in range(states):
        has_state = templates == state
        last = len(templates) - 1 - has_state[::-1].argmax(axis=0)
        shared[:, state] = np.where(has_state.any(axis=0)[:, None], emission[last, np.arange(len(last))], 0)
    return shared


def _spread(templates: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return the shared probabilities of each code: (codes, sites, states - 1)."""
    return np.asarray(shared[np.arange(templates.shape[1]), templates])


def _nearest(part: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Return the codes of rows in one block; see `Blocks.encode`."""
    patterns, inverse = unique_rows(part)
    mismatches = np.zeros((len(patterns), len(templates)), dtype=np.float32)
    for state in np.unique(part[part >= 0]):
        mismatches += (patterns == state).astype(np.float32) @ (templates != state).T.astype(np.float32)
    nearest = mismatches.argmin(axis=1).astype(np.int16)
    nearest[(patterns >= 0).mean(axis=1) < 0.5] = -1
    return nearest[inverse]


def unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows of a narrow int8 matrix and the index of each row among them."""
    packed = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    return rows[first], inverse


def carried(pattern: np.ndarray, person: np.ndarray, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the patterns that enough people carry, sorted, and how many people carry each: int64, int32.

    Parameters
    ----------
    pattern, person : arrays of int, shape (rows,)
        From 0 on; two rows of one person are one carrier.
    least : int
    """
    people = int(person.max(initial=0)) + 1
    pairs = np.sort(pattern * people + person)
    pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])] if len(pairs) else pairs
    of_pair = pairs // people
    first = np.flatnonzero(np.concatenate([[True], of_pair[1:] != of_pair[:-1]])) if len(pairs) else pairs
    carriers = np.diff(np.append(first, len(pairs))).astype(np.int32)
    enough = carriers >= least
    return of_pair[first][enough], carriers[enough]


def blocks_of(rows: Rows, parameters: Mapping[str, Any], carriers: int = 0, overlap: int = 0) -> Blocks:
    """Return the blocks of training rows by the parameters of a model, or with more carriers than `min_carriers`.

    The first `overlap` sites have blocks of their own.
    """
    carriers = carriers or parameters["min_carriers"]
    return find_blocks(
        rows.states,
        rows.row_person,
        breaks=(overlap, *rows.breaks),
        states=rows.n_states,
        label=rows.row_label,
        min_carriers=carriers,
        min_deviations=max(parameters["min_deviations"], carriers),
        **{name: parameters[name] for name in ("coverage", "max_sites", "max_codes")},
    )


def find_blocks(
    rows: np.ndarray,
    person: np.ndarray,
    *,
    breaks: Sequence[int] = (),
    states: int = 2,
    min_carriers: int = 3,
    min_deviations: int = 20,
    coverage: float = 0.97,
    max_sites: int = 128,
    max_codes: int = 256,
    label: np.ndarray | None = None,
) -> Blocks:
    """Cut the sites into blocks along linkage disequilibrium and collect their templates.

    A block grows by doubling and bisection as long as its templates (patterns carried by at least `min_carriers`
    people) cover `coverage` of the rows and number at most `max_codes`. A block whose patterns predict its rows worse
    than its sites do one after the other (by leave-one-out likelihood) is cut into single sites: so blocks are long
    where there are few haplotypes, and single sites where sites are unlinked.

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
    min_carriers, min_deviations, coverage, max_sites, max_codes
        As in `HaplotypeModel`.
    label : array of int, shape (rows,), optional
        Label of each row, for the likelihoods.
    """
    label = np.zeros(len(rows), dtype=np.int64) if label is None else label
    edges, templates, emission = [0], [], []

    def attempt(length: int) -> np.ndarray | None:
        patterns, covered = _templates(rows[:, edges[-1] : edges[-1] + length], person, min_carriers)
        return patterns if length == 1 or (covered >= coverage and len(patterns) <= max_codes) else None

    for end in [*sorted({*breaks} - {0}), rows.shape[1]]:
        length = 16
        while edges[-1] < end:
            left = edges[-1]
            length, of_block = _longest(attempt, min(end - left, max_sites), length)
            part = rows[:, left : left + length]
            parts = [(part, of_block)]
            if length > 1 and _sites_predict_better(part[:_COMPARED_ROWS], of_block, states, label[:_COMPARED_ROWS]):
                sites = np.split(part, length, axis=1)
                parts = [(site, _templates(site, person, min_carriers)[0]) for site in sites]
            for own_part, own_templates in parts:
                edges.append(edges[-1] + own_part.shape[1])
                templates.append(own_templates)
                emission.append(_emission(own_part, own_templates, states, min_deviations))
    return Blocks(np.array(edges), templates, emission)


def _sites_predict_better(part: np.ndarray, templates: np.ndarray, states: int, label: np.ndarray) -> bool:
    """Compare the leave-one-out likelihoods of rows as codes and as single sites, each given the site before."""
    codes = _nearest(part, templates)
    whole = (part >= 0).all(axis=1) & (codes >= 0)
    part, label, codes = part[whole].astype(np.int64), label[whole].astype(np.int64), codes[whole].astype(np.int64)
    if len(part) < 2:
        return False
    zero = np.zeros(len(part), dtype=np.int64)
    score = _left_out(zero, label, codes, len(templates))
    for j in range(part.shape[1]):
        # what is left to say of the site once the code is known: whether it is as in the template
        differs = part[:, j] != templates[codes, j]
        score += _left_out(zero, codes, differs.astype(np.int64), 2)
        score -= _left_out(part[:, j - 1] if j else zero, label, part[:, j], states)
    return score < 0


def _left_out(before: np.ndarray, group: np.ndarray, value: np.ndarray, values: int) -> float:
    """Return the leave-one-out log-likelihood (nats) of values given group and the value before.

    Shrunk toward the value's frequency in all rows with weight 1, so that rare groups cost little.
    """
    n = len(value)
    groups = (int(group.max()) + 1) * (int(before.max()) + 1)
    key = group * (int(before.max()) + 1) + before
    counts = np.bincount(key * values + value, minlength=groups * values).reshape(groups, values)
    frequency = (np.bincount(value, minlength=values) - 1 + 1 / values) / n
    # every row of a cell has the same likelihood
    group_of_cell, value_of_cell = np.nonzero(counts)
    cell = counts[group_of_cell, value_of_cell]
    total = counts.sum(axis=1)[group_of_cell]
    return float((cell * np.log((cell - 1 + frequency[value_of_cell]) / total)).sum())


def _longest(attempt: Callable[[int], np.ndarray | None], limit: int, guess: int) -> tuple[int, np.ndarray]:
    """Return the longest length that an attempt accepts, and what it returns: bracketed, then bisected."""
    good, bad = 1, limit + 1
    best = attempt(1)
    step = min(guess, limit)
    while bad - good > 1:
        templates = attempt(step)
        if templates is None:
            bad = step
        else:
            good, best = step, templates
        step = min(2 * good, limit) if bad > limit else (good + bad) // 2
        step = min(max(step, good + 1), bad - 1)
    assert best is not None
    return good, best


def _templates(part: np.ndarray, person: np.ndarray, min_carriers: int) -> tuple[np.ndarray, float]:
    """Return the patterns with enough carriers, most frequent first, and the share of complete rows that have one."""
    complete = (part >= 0).all(axis=1)
    if not complete.any():
        return np.zeros((1, part.shape[1]), dtype=np.int8), 0.0
    patterns, inverse = unique_rows(part[complete])
    counts = np.bincount(inverse, minlength=len(patterns))
    order = np.flatnonzero(carried(inverse, person[complete])[1] >= min_carriers)
    # no template has enough carriers: a longer block would be somebody's own
    enough = len(order) > 0
    order = order[np.argsort(-counts[order], kind="stable")] if enough else np.array([counts.argmax()])
    # missing calls say nothing about linkage: the share is one of complete rows, as long as most rows are
    usable = enough and 2 * complete.sum() >= len(part)
    return np.ascontiguousarray(patterns[order]), float(counts[order].sum() / complete.sum()) if usable else 0.0


def _emission(part: np.ndarray, templates: np.ndarray, states: int, min_deviations: int) -> np.ndarray:
    """Return P(state | code) at each site, (codes, sites, states): the states of the rows that have the code.

    Where fewer rows than `min_deviations` differ from their template, how often rows differ is counted over all such
    templates together: a rare variant stays as frequent as it is, but not on the haplotype of who carries it.
    """
    codes = _nearest(part, templates)
    known = codes >= 0
    onehot = np.zeros((len(templates), known.sum()), dtype=np.float32)
    onehot[codes[known], np.arange(known.sum())] = 1
    counts = np.stack([onehot @ (part[known] == state).astype(np.float32) for state in range(states)], axis=2)
    is_template = templates[:, :, None] == np.arange(states)
    few = np.where(is_template, 0, counts).sum(axis=2) < min_deviations
    for state in range(states):
        pooled = few & (templates == state)
        together = np.where(pooled[:, :, None], counts, 0).sum(axis=0)
        counts = np.where(pooled[:, :, None], together, counts)
    total = counts.sum(axis=2, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), is_template).astype(np.float32)


def principal_components(blocks: Blocks, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean state (sites,), leading axes (components, sites) and scores (rows, components) of rows of codes.

    Of very large data a part of the blocks, evenly spread, is used; the axes are 0 at the sites of the others.
    """
    sites = int(blocks.edges[-1])
    most = max(1, _COMPONENT_BYTES // (4 * len(codes)))
    used = np.arange(len(blocks)) % -(-sites // most) == 0
    mask = np.repeat(used, np.diff(blocks.edges))
    states = np.empty((len(codes), int(mask.sum())), dtype=np.float32)
    centre, start = np.zeros(sites, dtype=np.float32), 0
    for b in range(len(blocks)):
        mean = blocks.means(b)
        known = codes[:, b] >= 0
        part = mean[np.maximum(codes[:, b], 0)]
        part[~known] = part[known].mean(axis=0) if known.any() else 0
        centre[blocks.edges[b] : blocks.edges[b + 1]] = part.mean(axis=0)
        if used[b]:
            states[:, start : start + part.shape[1]] = part
            start += part.shape[1]
    states -= centre[mask]
    axes = principal_axes(states, max(1, min(_COMPONENTS, min(states.shape) - 1)), iterations=2)
    scores = states @ axes.T
    everywhere = np.zeros((len(axes), sites), dtype=np.float32)
    everywhere[:, mask] = axes
    return centre, everywhere, scores
