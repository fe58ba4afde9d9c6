"""Fitting the distribution of rows of block codes: groups of labels, chain, context tree and local ancestry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import logsumexp

from ...numerics import table_of
from ...runtime.threads import in_threads
from .chain import Chain, fit_chain
from .code_model import ROWS_AT_A_TIME, CodeModel, own_frequency
from .context_tree import ORDERS, POWERS, ContextTree, count_runs, empty_context_tree
from .label_groups import find_groups, trial_blocks
from .local_ancestry import AdmixtureHMM, fit_admixture, no_admixture
from .person_ancestry import no_ancestry
from .shrinkage import fit_shrinkage

_ADMIXTURE_CODES = 400_000  # codes of training rows that local ancestry is fitted to
_GAIN = 0.01  # relative gain in likelihood that the context tree must bring: it makes drawing slower
# usual weights, with which groupings of labels are compared
_TRIAL: dict[str, Any] = {
    "power": 0.5,
    "chain_weights": {"label_weight": 10.0, "pooled_weight": 10.0},
    "run_weights": dict.fromkeys(ORDERS, (1.0, 0.7)),
}


def fit_code_model(
    codes: np.ndarray,
    label: np.ndarray,
    person: np.ndarray,
    sizes: Sequence[int],
    n_labels: int,
    min_carriers: int,
    *,
    group_labels: bool = True,
    longest_run: int = ORDERS[-1],
    local_ancestry: bool = True,
) -> CodeModel:
    """Fit groups of labels, chain, context tree and local ancestry; weights are chosen by leave-one-out likelihood.

    Parameters
    ----------
    codes : array of int, shape (rows, blocks)
        -1 is unknown.
    label, person : arrays of int, shape (rows,)
    sizes : sequence of int
        Codes per block.
    n_labels : int
    min_carriers : int
        People who must share a run of codes before it is followed.
    group_labels : bool
        Whether labels with few people are grouped where that predicts rows better.
    longest_run : int
        Blocks of the longest runs that are counted; with 1, there is no context tree.
    local_ancestry : bool
        Whether to fit it.
    """
    counts = label_counts(codes, label, sizes, n_labels)
    people = np.array([len(np.unique(person[label == k])) for k in range(n_labels)])
    some = trial_blocks(len(sizes))

    def nats(group: np.ndarray) -> float:
        part = codes[:, some], label, person, sizes[some], group, min_carriers
        model = count_code_model(*part, **_TRIAL, longest_run=longest_run)
        if local_ancestry:
            model = with_local_ancestry(model, codes[:, some], label)
        return _nats(model, codes[:, some], label)

    group = find_groups(counts, people, nats) if group_labels else np.arange(n_labels)
    of_group, n_groups = group[label], int(group.max()) + 1
    powers = POWERS if longest_run > 1 else ()
    counted = count_runs(codes, of_group, person, sizes, n_groups, min_carriers, powers, longest_run)

    def fitted(runs_and_share: tuple[ContextTree, np.ndarray | None]) -> tuple[Chain, ContextTree, float]:
        runs, share = runs_and_share
        return fit_shrinkage(fit_chain(codes, of_group, sizes, n_groups, share), runs, codes, of_group, sizes)

    (chain, tree, least), *trials = in_threads(fitted, [(empty_context_tree(len(sizes)), None), *counted])
    enough = (1 - _GAIN) * least
    for trial in trials:
        if trial[2] < min(least, enough):
            chain, tree, least = trial
    model = CodeModel(chain, tree, no_admixture(group), no_ancestry(sizes, n_labels), counts)
    return with_local_ancestry(model, codes, label) if local_ancestry else model


def count_code_model(
    codes: np.ndarray,
    label: np.ndarray,
    person: np.ndarray,
    sizes: Sequence[int],
    group: np.ndarray,
    min_carriers: int,
    *,
    power: float,
    chain_weights: Mapping[str, float],
    run_weights: Mapping[int, tuple[float, float]],
    longest_run: int = ORDERS[-1],
) -> CodeModel:
    """Count a code model with weights that are given, without local ancestry.

    Parameters
    ----------
    codes, label, person, sizes, min_carriers, longest_run
        As in `fit_code_model`.
    group : array of int, shape (labels,)
        The group of each label.
    power, run_weights
        See `ContextTree`.
    chain_weights : mapping
        The weights of the shrinkages in `Chain`, by name.
    """
    n_groups = int(group.max()) + 1
    counted = count_runs(codes, group[label], person, sizes, n_groups, min_carriers, (power,), longest_run)
    runs, share = counted[0]
    chain = fit_chain(codes, group[label], sizes, n_groups, share).reweighted(**chain_weights)
    counts = label_counts(codes, label, sizes, len(group))
    tree = replace(runs, weights=dict(run_weights))
    return CodeModel(chain, tree, no_admixture(group), no_ancestry(sizes, len(group)), counts)


def label_counts(codes: np.ndarray, label: np.ndarray, sizes: Sequence[int], n_labels: int) -> list[np.ndarray]:
    """Return how often each label has each code: a float32 array (labels, codes) for each block."""
    known = codes >= 0
    return [table_of((label[known[:, b]], codes[known[:, b], b]), (n_labels, size)) for b, size in enumerate(sizes)]


def _nats(model: CodeModel, codes: np.ndarray, label: np.ndarray) -> float:
    """Return the mean of -log P of a training row left out, of a model counted in these rows."""
    nats = 0.0
    for first in range(0, len(codes), ROWS_AT_A_TIME):
        part, of_label = codes[first : first + ROWS_AT_A_TIME], label[first : first + ROWS_AT_A_TIME]
        predictor = model.predictor(of_label)
        for b in range(codes.shape[1]):
            nats -= _log_likelihood(model, b, predictor.log_probs(part[:, b]), part[:, b], of_label)
            predictor.observe(part[:, b])
    return nats / len(codes)


def _log_likelihood(model: CodeModel, block: int, log_probs: np.ndarray, code: np.ndarray, label: np.ndarray) -> float:
    """Return the log-likelihood of training rows' codes, given their probabilities in the group.

    They are tilted from the frequencies of the group to those of the label, without the row itself.
    """
    known = np.flatnonzero(code >= 0)
    log_probs, code, label = log_probs[known], code[known], label[known]
    counts = model.label_counts[block][label]
    counts[np.arange(len(code)), code] -= 1
    of_group = model.chain.label_frequency(block)[model.admixture.group[label]]
    tilted = log_probs + np.log(own_frequency(counts, of_group) / of_group)
    return float((tilted[np.arange(len(code)), code] - logsumexp(tilted, axis=1)).sum())


def with_local_ancestry(model: CodeModel, codes: np.ndarray, label: np.ndarray) -> CodeModel:
    """Return the model with local ancestry, fitted to as many of its training rows as are needed."""
    group = model.admixture.group
    n_labels, n_groups = model.n_labels, int(group.max()) + 1
    if n_groups == 1:
        return model
    rows = np.unique(np.linspace(0, len(codes) - 1, max(1, min(len(codes), _ADMIXTURE_CODES // codes.shape[1]))))
    codes, label = codes[rows.astype(int)], label[rows.astype(int)]
    from_all = AdmixtureHMM(np.ones((n_labels, n_groups), np.float32), np.zeros(n_labels, np.float32), group)
    every_group = replace(model, admixture=from_all)
    log_probs = np.empty((*codes.shape, n_groups), dtype=np.float32)
    at_a_time = max(1, ROWS_AT_A_TIME // n_groups)
    for first in range(0, len(codes), at_a_time):
        part = slice(first, first + at_a_time)
        predictor = every_group.predictor(label[part])
        for b in range(codes.shape[1]):
            log_probs[part, b] = predictor.log_probs_by_group(codes[part, b])
            predictor.observe(codes[part, b])
    return replace(model, admixture=fit_admixture(log_probs, label, group))
