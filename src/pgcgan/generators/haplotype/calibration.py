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
_COMPARED = 2000  # rows and sites that are compared
_MOST_VARIANCE = 1.03  # of synthetic rows along principal components, as a ratio
_MOST_DIFFERENCE = 0.02  # of the two sides of adversarial accuracy


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


class TrainingComparison:
    """Compares synthetic rows of a sampler with some training rows.

    Parameters
    ----------
    blocks : Blocks
    rows : Rows
    axes : array (sites,), array (components, sites)
        Mean state and principal axes of the training rows.
    seed : int
    calibrate : bool
        Whether code frequencies are raked before each comparison.

    Attributes
    ----------
    is_small : bool
        Whether there are too few training rows to compare with.
    """

    def __init__(self, blocks: Blocks, rows: Rows, axes: tuple[np.ndarray, np.ndarray], seed: int, calibrate: bool):
        self._blocks, self._axes, self._seed, self._calibrate = blocks, axes, seed, calibrate
        self._per = rows.rows_per_person
        people = np.sort(np.random.default_rng([seed, 7]).permutation(len(rows.label))[: _COMPARED // self._per])
        real = np.maximum(rows.at(rows.of_people(people)), 0)
        self._label, self.is_small = rows.label[people], len(real) < 20
        self._sites = np.unique(np.linspace(0, real.shape[1] - 1, _COMPARED).astype(int))
        self._variance = self._variance_of(real)
        self._real = real[:, self._sites].astype(np.float32)
        self._among_real = nearest_distances(self._real)

    def _variance_of(self, rows: np.ndarray) -> np.ndarray:
        centre, components = self._axes
        variance: np.ndarray = ((rows - centre) @ components.T).var(axis=0)
        return variance

    def measure(self, sampler: CodeSampler) -> tuple[float, float, float]:
        """Return the variance ratio along the axes, and AA_truth and AA_syn (Yale et al. 2020) of synthetic rows."""
        if self._calibrate:
            sampler = rake(sampler, self._seed, _RAKED_ROWS // 4)
        codes = sampler.draw_people(self._label, self._per, np.random.default_rng([self._seed, 8]))
        random = np.random.default_rng([self._seed, 9])
        synthetic = self._blocks.decode(codes.reshape(-1, codes.shape[2]), random)
        ratio = (self._variance_of(synthetic) / np.maximum(self._variance, 1e-12)).mean()
        made = synthetic[:, self._sites].astype(np.float32)
        aa_truth = (nearest_distances(self._real, made) > self._among_real).mean()
        aa_syn = (nearest_distances(made, self._real) > nearest_distances(made)).mean()
        return float(ratio), float(aa_truth), float(aa_syn)


def choose_inverse_temperature(sampler: CodeSampler, comparison: TrainingComparison) -> float:
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
    comparison : TrainingComparison
    """

    def is_too_diverse(inverse_temperature: float) -> bool:
        ratio, aa_truth, aa_syn = comparison.measure(replace(sampler, inverse_temperature=inverse_temperature))
        return ratio <= _MOST_VARIANCE and aa_truth - max(aa_syn, 0.5) > _MOST_DIFFERENCE

    low, high = 1.0, MOST_INVERSE_TEMPERATURE
    highest = high - (high - low) / 2**_HALVINGS
    linked = np.mean([size > SINGLE_SITE for size in sampler.model.sizes])
    if comparison.is_small or linked < 0.5:
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
