"""From noisy counts to probabilities: shrinkage by what is known of the noise, and nothing negative.

No function here sees a person: what it returns is post-processing of released counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .blocks import Blocks
from .chain import Chain
from .private_counts import NoisyCounts

_LEAST = 1e-3
_FACTORS = 2.0 ** np.arange(0, 21)  # that the variance of true counts is tried with


@dataclass(frozen=True)
class PublicCounts:
    """Counts of public people, which those of the cohort are shrunk toward."""

    rows: int  # haplotypes
    codes: list[np.ndarray]  # of each block (codes,)
    transitions: list[np.ndarray]  # from the second block on (codes of block b - 1, codes of block b)


def project(counts: np.ndarray, total: float) -> np.ndarray:
    """Return the nearest counts (least squares) that are not negative and add up to a total; any shape.

    The mean of the noise on many counts that are 0 would otherwise look like people. Duchi et al. 2008.
    """
    ordered = -np.sort(-counts.ravel().astype(np.float64))
    excess = (np.cumsum(ordered) - total) / np.arange(1, len(ordered) + 1)
    return np.maximum(counts - excess[np.flatnonzero(ordered > excess)[-1]], 0)


def shrink(
    tables: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
    variance: Sequence[np.ndarray | float],
    noise: Sequence[np.ndarray | float],
) -> list[np.ndarray]:
    """Return E[true counts | noisy counts] if both the true deviations from `expected` and the noise are normal.

    The deviations of true counts have the variance c v, with one factor c ≥ 1 for all tables: the one of `_FACTORS`
    with the largest likelihood of the noisy counts, which have the variance c v + noise (empirical Bayes; Efron and
    Morris 1973). Then the estimate is expected + c v / (c v + noise) (noisy - expected). The variances v and of the
    noise are given for each table, in a shape that fits to it.
    """
    squared = np.concatenate([((y - m) ** 2).ravel() for y, m in zip(tables, expected, strict=True)])
    v, s = (
        np.concatenate([np.broadcast_to(part, y.shape).ravel() for part, y in zip(parts, tables, strict=True)])
        for parts in (variance, noise)
    )
    nats = [float((np.log(c * v + s) + squared / (c * v + s)).sum()) for c in _FACTORS]
    c = _FACTORS[int(np.argmin(nats))]
    return [m + c * v / (c * v + s) * (y - m) for y, m, v, s in zip(tables, expected, variance, noise, strict=True)]


def estimate_chain(noisy: NoisyCounts, n_rows: np.ndarray, public: PublicCounts | None = None) -> Chain:
    """Return the chain of noisy counts.

    `n_rows` are the rows of each label, from the noisy numbers of people: float (labels,).
    """
    total = float(n_rows.sum())
    pooled = _pooled_frequencies(noisy, total, public)
    joint = _joint_counts(noisy, n_rows, pooled, public)
    pooled = [_consistent(b, pooled, joint) for b in range(len(pooled))]
    code_counts = _label_counts(noisy, pooled, n_rows)
    by_label = bool(joint) and len(joint[0]) == len(n_rows)
    # all labels may share a table; `label_frequency` tilts it
    share = np.ones(1) if by_label else n_rows / total
    # one count of the code frequencies in every row
    further = [(table + pooled[b]) * share[:, None, None] for b, table in enumerate(joint, start=1)]
    return Chain(
        [table.astype(np.float32) for table in (code_counts[0][:, None, :], *further)],
        [table.astype(np.float32) for table in code_counts],
        label_weight=noisy.transitions_sigma if by_label else 1e9,
        pooled_weight=1.0,
    )


def _pooled_frequencies(noisy: NoisyCounts, total: float, public: PublicCounts | None) -> list[np.ndarray]:
    """Return the code frequencies of all people in each block."""
    counts = [table.sum(axis=0).astype(np.float64) for table in noisy.codes]
    if public is not None:
        expected = [total * _frequencies(table) for table in public.codes]
        variance = [m * (1 + total / public.rows) for m in expected]
        noise = float(len(noisy.codes[0]) * noisy.codes_sigma**2)
        counts = shrink(counts, expected, variance, [noise] * len(counts))
    return [_frequencies(project(table, total)) for table in counts]


def _frequencies(counts: np.ndarray) -> np.ndarray:
    """Return counts as frequencies, none of them 0."""
    return (counts + _LEAST) / (counts + _LEAST).sum()


def _joint_counts(
    noisy: NoisyCounts, n_rows: np.ndarray, pooled: list[np.ndarray], public: PublicCounts | None
) -> list[np.ndarray]:
    """Return counts of the codes of neighbouring blocks, by group: shrunk toward what is expected, and projected.

    Expected are the transitions of public people, or independent blocks.
    """
    if not noisy.transitions:
        return []
    totals = n_rows if len(noisy.transitions[0]) == len(n_rows) else np.array([n_rows.sum()])
    expected, variance = [], []
    for b in range(len(noisy.transitions)):
        joint = np.outer(pooled[b], pooled[b + 1])
        if public is not None:
            joint = (public.transitions[b] + joint) / (public.transitions[b] + joint).sum()
        expected.append(totals[:, None, None] * joint)
        variance.append(expected[-1] * (1 + totals[:, None, None] / (public.rows if public is not None else 1e12)))
    noise = [float(noisy.transitions_sigma**2)] * len(expected)
    shrunk = shrink(noisy.transitions, expected, variance, noise)
    return [np.stack([project(t, float(n)) for t, n in zip(table, totals, strict=True)]) for table in shrunk]


def _consistent(block: int, pooled: list[np.ndarray], joint: list[np.ndarray]) -> np.ndarray:
    """Return the code frequencies of a block: the mean of its own and those of the transitions into and out of it."""
    estimates = [pooled[block]]
    if block > 0:
        estimates.append(_frequencies(joint[block - 1].sum(axis=(0, 1))))
    if block < len(joint):
        estimates.append(_frequencies(joint[block].sum(axis=(0, 2))))
    return np.mean(estimates, axis=0)


def _label_counts(noisy: NoisyCounts, pooled: list[np.ndarray], n_rows: np.ndarray) -> list[np.ndarray]:
    """Return the code counts of each label, shrunk toward the pooled frequencies."""
    by_label, noise = [], [float(noisy.codes_sigma**2)] * len(pooled)
    for k, n in enumerate(n_rows):
        expected = [n * p for p in pooled]
        shrunk = shrink([table[k] for table in noisy.codes], expected, expected, noise)
        by_label.append([project(table, float(n)) for table in shrunk])
    return [np.stack(tables) for tables in zip(*by_label, strict=True)]


def estimate_emission(noisy: NoisyCounts, blocks: Blocks, code_counts: list[np.ndarray]) -> Blocks:
    """Return the blocks with P(state | code) from noisy counts, shrunk toward the emission of `blocks`.

    That is the template of each code, or what public people with the code have.
    """
    rows = [np.maximum(n, 1)[:, None, None] for n in code_counts]
    tables = [counts / n for counts, n in zip(noisy.alleles, rows, strict=True)]
    expected = [prior[:, :, 1:].astype(np.float64) for prior in blocks.emission]
    noise = [(noisy.alleles_sigma / n) ** 2 for n in rows]
    emission = []
    for others in shrink(tables, expected, [1e-6] * len(tables), noise):
        others = np.clip(others, 0, 1)
        others /= np.maximum(others.sum(axis=2, keepdims=True), 1)
        zero = np.maximum(1 - others.sum(axis=2, keepdims=True), 0)  # a sum of floats may pass 1 by a little
        emission.append(np.concatenate([zero, others], axis=2).astype(np.float32))
    return replace(blocks, emission=emission)
