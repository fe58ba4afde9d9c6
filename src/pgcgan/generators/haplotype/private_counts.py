"""Counts of a private cohort, and their release with noise: the only functions of the private model that see people.

`exact_*` count; a person changes their tables by at most `squared_sensitivity`. All that is computed from the released
tables afterwards needs no people (post-processing), and costs no privacy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..rows import Rows
from .blocks import Blocks, unique_rows
from .private_noise import PrivacyBudget, discrete_gaussian

# of the budget; what is not released leaves its share to the others
SHARES = {"people": 0.02, "patterns": 0.23, "codes": 0.15, "transitions": 0.3, "alleles": 0.3}


@dataclass(frozen=True)
class NoisyCounts:
    """Tables of counts, int64, with the standard deviation of the noise on each count."""

    codes: list[np.ndarray]  # of each block (labels, codes)
    codes_sigma: int
    transitions: list[np.ndarray]  # from the second block on (labels, or one group of all; codes of b - 1; codes of b)
    transitions_sigma: int
    alleles: list[np.ndarray]  # of each block (codes, sites, states - 1): rows of a code with state 1, 2 at a site
    alleles_sigma: int


def squared_sensitivity(tables: int, rows_per_person: int) -> int:
    """Return Δ² of some tables to each of which every row of a person adds at most 1, in one place.

    The rows of a person may fall into the same place of every table, which then differs by the number of rows: 2 for a
    person with two haplotypes. So Δ² = tables × rows², and Δ = 2 √tables.

    The tables are: one a block for patterns and for codes, one a pair of neighbouring blocks for transitions, one a
    site for alleles.
    """
    return tables * rows_per_person**2


# ---- exact counts -------------------------------------------------------------------------------------------------


def exact_patterns(states: np.ndarray, edges: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the complete patterns of each block and how many rows have each."""
    counted = []
    for left, right in pairwise(edges.tolist()):
        part = states[:, left:right]
        patterns, of_row = unique_rows(part[(part >= 0).all(axis=1)])
        counted.append((patterns, np.bincount(of_row, minlength=len(patterns))))
    return counted


def exact_codes(codes: np.ndarray, label: np.ndarray, sizes: Sequence[int], n_labels: int) -> list[np.ndarray]:
    """Count rows by label and code in each block."""
    return [_table((label, codes[:, b]), (n_labels, size)) for b, size in enumerate(sizes)]


def exact_transitions(codes: np.ndarray, group: np.ndarray, sizes: Sequence[int], n_groups: int) -> list[np.ndarray]:
    """Count rows by group and the codes of two neighbouring blocks."""
    return [
        _table((group, codes[:, b - 1], codes[:, b]), (n_groups, sizes[b - 1], sizes[b])) for b in range(1, len(sizes))
    ]


def exact_alleles(states: np.ndarray, codes: np.ndarray, blocks: Blocks, n_states: int) -> list[np.ndarray]:
    """Count rows by code, site and state (but 0). A missing state counts as that of the row's template."""
    tables = []
    for b, templates in enumerate(blocks.templates):
        known = np.flatnonzero(codes[:, b] >= 0)
        code = codes[known, b]
        part = states[known, blocks.edges[b] : blocks.edges[b + 1]]
        part = np.where(part >= 0, part, templates[code])
        has_code = np.zeros((len(templates), len(known)), dtype=np.float32)
        has_code[code, np.arange(len(known))] = 1
        counts = [np.rint(has_code @ (part == state).astype(np.float32)) for state in range(1, n_states)]
        tables.append(np.stack(counts, axis=2).astype(np.int64))
    return tables


def _table(columns: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Count rows by several columns; rows with an unknown value (-1) are left out."""
    known = np.logical_and.reduce([column >= 0 for column in columns])
    index = np.ravel_multi_index([column[known] for column in columns], shape)
    return np.bincount(index, minlength=int(np.prod(shape))).reshape(shape)


# ---- release ------------------------------------------------------------------------------------------------------


def noisy(tables: Sequence[np.ndarray], sigma: int) -> list[np.ndarray]:
    """Return tables with discrete Gaussian noise on every count."""
    sizes = [table.size for table in tables]
    noise = np.split(discrete_gaussian(sigma, (sum(sizes),)), np.cumsum(sizes)[:-1])
    return [table + part.reshape(table.shape) for table, part in zip(tables, noise, strict=True)]


def release_people(rows: Rows, budget: PrivacyBudget, share: float) -> np.ndarray:
    """Return the noisy number of people of each label, 1 at least. A person adds 1 to one count: Δ² = 1."""
    sigma = budget.spend("people by label", share, 1)
    return np.maximum(noisy([np.bincount(rows.label, minlength=len(rows.label_names))], sigma)[0], 1)


def release_templates(rows: Rows, edges: np.ndarray, budget: PrivacyBudget, share: float) -> list[np.ndarray]:
    """Return the patterns of each block whose noisy counts pass the threshold, most frequent first.

    Patterns are searched for among those that occur, so that which ones are counted depends on the cohort; the
    threshold makes that safe (`PrivacyBudget.threshold`). Where none passes, there is the pattern of REF alleles.
    """
    per, blocks = rows.rows_per_person, len(edges) - 1
    sigma = budget.spend("haplotypes of blocks", share, squared_sensitivity(blocks, per))
    least = budget.threshold(sigma, per * blocks)
    exact = exact_patterns(rows.states, edges)
    templates = []
    for (patterns, _), counts in zip(exact, noisy([counts for _, counts in exact], sigma), strict=True):
        frequent = np.flatnonzero(counts >= least)
        frequent = frequent[np.argsort(-counts[frequent], kind="stable")]
        ref = np.zeros((1, patterns.shape[1]), dtype=np.int8)
        templates.append(np.ascontiguousarray(patterns[frequent]) if len(frequent) else ref)
    return templates


def release_counts(
    rows: Rows, blocks: Blocks, budget: PrivacyBudget, shares: dict[str, float], *, by_label: bool
) -> NoisyCounts:
    """Encode people by blocks that are public, or released before, and return noisy counts.

    `shares` are those of the budget; transitions are counted label by label, or all people together.
    """
    per, sizes, n_labels = rows.rows_per_person, blocks.sizes, len(rows.label_names)
    codes = blocks.encode(rows.states).astype(np.int64)
    codes_sigma = budget.spend("codes by label", shares["codes"], squared_sensitivity(len(blocks), per))
    code_counts = noisy(exact_codes(codes, rows.row_label, sizes, n_labels), codes_sigma)
    transitions, transitions_sigma = [], 1
    if len(blocks) > 1:
        what, group, n_groups = "transitions between blocks", np.zeros_like(rows.row_label), 1
        if by_label:
            what, group, n_groups = f"{what} by label", rows.row_label, n_labels
        transitions_sigma = budget.spend(what, shares["transitions"], squared_sensitivity(len(blocks) - 1, per))
        transitions = noisy(exact_transitions(codes, group, sizes, n_groups), transitions_sigma)
    sites = int(blocks.edges[-1])
    alleles_sigma = budget.spend("alleles by code", shares["alleles"], squared_sensitivity(sites, per))
    alleles = noisy(exact_alleles(rows.states, codes, blocks, rows.n_states), alleles_sigma)
    return NoisyCounts(code_counts, codes_sigma, transitions, transitions_sigma, alleles, alleles_sigma)
