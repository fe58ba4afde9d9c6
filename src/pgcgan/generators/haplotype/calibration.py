"""Calibration after the fit: code frequencies of each label, and the temperature at which people are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...numerics import nearest_distances
from ...runtime.threads import in_threads
from ..rows import Rows
from .blocks import Blocks
from .drawing import SINGLE_SITE, CodeSampler

MOST_INVERSE_TEMPERATURE = 1.3
_RAKED_ROWS = 16_384
_HALVINGS = 4  # of the range of temperatures
_COMPARED = 2000  # rows and sites that the temperature is chosen on


def rake(sampler: CodeSampler, seed: int, most_rows: int = _RAKED_ROWS) -> CodeSampler:
    """Return the sampler with the code frequencies of each label raked to those of its training people.

    Parameters
    ----------
    sampler : CodeSampler
    seed : int
    most_rows : int
        Rows drawn at most, all labels together. Small cohorts, whose frequencies are less well known, need fewer.
    """
    chain, n_labels = sampler.model.chain, sampler.model.n_labels
    rows = min(most_rows, 20 * int(chain.pooled_code_counts[0].sum()))
    label = np.repeat(np.arange(n_labels), max(128, rows // n_labels))
    raked = replace(sampler, label_bias=[bias.copy() for bias in sampler.label_bias])
    targets = [sampler.model.label_frequency(b) for b in range(len(sampler.model.sizes))]
    raked.draw(label, np.random.default_rng([seed, 5]), targets=targets)
    return raked


def choose_inverse_temperature(
    sampler: CodeSampler, blocks: Blocks, rows: Rows, axes: tuple[np.ndarray, np.ndarray], *, seed: int, calibrate: bool
) -> float:
    """Return the least inverse temperature at which synthetic rows are not too diverse, from 1 to 1.3.

    A sequence that is drawn step by step leaves the haplotypes it has learned a little too often; a factor just above 1
    on the log-probabilities corrects that. Rows are too diverse if training rows are nearer to a synthetic row than to
    another training row less often than synthetic rows are nearer to a training row than to another synthetic row (the
    two sides of adversarial accuracy, Yale et al. 2020). The variance along the leading principal components must not
    exceed that of the training rows by more than 3 %.

    Parameters
    ----------
    sampler : CodeSampler
        Not calibrated.
    blocks : Blocks
    rows : Rows
    axes : array (sites,), array (components, sites)
        Mean state and principal axes of the training rows.
    seed : int
    calibrate : bool
        Whether frequencies are raked at each temperature that is tried.
    """
    per = rows.rows_per_person
    people = np.sort(np.random.default_rng([seed, 7]).permutation(len(rows.label))[: _COMPARED // per])
    real = np.maximum(rows.at(rows.of_people(people)), 0)
    sites = np.unique(np.linspace(0, real.shape[1] - 1, _COMPARED).astype(int))
    centre, components = axes
    variance = ((real - centre) @ components.T).var(axis=0)
    a = real[:, sites].astype(np.float32)
    among_real = nearest_distances(a)

    def is_too_diverse(inverse_temperature: float) -> bool:
        trial = replace(sampler, inverse_temperature=inverse_temperature)
        if calibrate:
            trial = rake(trial, seed, _RAKED_ROWS // 4)
        codes = trial.draw_people(rows.label[people], per, np.random.default_rng([seed, 8]))
        synthetic = blocks.decode(codes.reshape(-1, codes.shape[2]), np.random.default_rng([seed, 9]))
        synthetic_variance = ((synthetic - centre) @ components.T).var(axis=0)
        if (synthetic_variance / np.maximum(variance, 1e-12)).mean() > 1.03:
            return False
        b = synthetic[:, sites].astype(np.float32)
        aa_truth = (nearest_distances(a, b) > among_real).mean()
        aa_syn = (nearest_distances(b, a) > nearest_distances(b)).mean()
        return bool(aa_truth - max(aa_syn, 0.5) > 0.02)

    low, high = 1.0, MOST_INVERSE_TEMPERATURE
    highest = high - (high - low) / 2**_HALVINGS
    linked = np.mean([size > SINGLE_SITE for size in blocks.sizes])
    if len(real) < 20 or linked < 0.5:
        return low
    at_least, at_most = in_threads(is_too_diverse, (low, highest))
    if not at_least:
        return low
    if at_most:  # so are rows at all that is below
        return highest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_diverse(middle) else (low, middle)
    return low
