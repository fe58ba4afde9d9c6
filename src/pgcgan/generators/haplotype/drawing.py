"""Draws of block codes from a code model, and their calibration: code frequencies of each label, and temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ...numerics import nearest_distances
from ...runtime.threads import in_threads
from ..rows import Rows
from .blocks import Blocks
from .code_model import CodeModel

SINGLE_SITE = 3  # most codes of a block that may be a single site: alleles, or dosages
_TURN = 32  # rows
_LIKENESS = 20  # rows are alike whose most probable code is the same, with a probability in the same 20th
_RAKING_ROUNDS = 6
_PARTY = 64  # people of a label

MOST_INVERSE_TEMPERATURE = 1.3
_RAKED_ROWS = 16_384
_HALVINGS = 4  # of the range of temperatures
_COMPARED = 2000  # rows and sites that are compared
_MOST_VARIANCE = 1.03  # of synthetic rows along principal components, as a ratio
_MOST_DIFFERENCE = 0.02  # of the two sides of adversarial accuracy


class Predictor(Protocol):
    """What predicts the codes of rows, block by block."""

    def log_probs(self) -> np.ndarray:
        """Return log P of the codes of the next block: float32, shape (rows, codes)."""

    def observe(self, codes: np.ndarray) -> None:
        """Take the codes of the next block, shape (rows,)."""


@dataclass
class CodeSampler:
    """Draws rows of block codes from a code model.

    Parameters
    ----------
    model : CodeModel
    inverse_temperature : float
        Factor on the log-probabilities of blocks with more than three codes: above 1, probable codes become more
        probable.
    label_bias : list of float32 arrays, shape (labels, codes of the block)
        Added to the log-probabilities; `draw` with `targets` sets it.
    """

    model: CodeModel
    inverse_temperature: float
    label_bias: list[np.ndarray]

    @classmethod
    def of(cls, model: CodeModel) -> CodeSampler:
        """Return the sampler of a code model as it is."""
        return cls(model, 1.0, [np.zeros((model.n_labels, size), dtype=np.float32) for size in model.sizes])

    def draw_ancestry(self, label: np.ndarray, random: np.random.Generator) -> Any:
        """Draw the ancestry of one person for each label: float32, shape (people, axes)."""
        spread = self.model.ancestry.spread
        normal = random.standard_normal((len(label), spread.shape[1]), dtype=np.float32)
        return np.einsum("pij,pj->pi", spread[label], normal)

    def draw_people(
        self,
        label: np.ndarray,
        rows_per_person: int,
        random: np.random.Generator,
        *,
        ancestry: np.ndarray | None = None,
        begun: np.ndarray | None = None,
        share: bool = False,
    ) -> np.ndarray:
        """Draw the codes of people of these labels: int, shape (people, rows per person, blocks).

        Parameters as in `draw`, with an ancestry for each person, and `begun` of people: (people, rows, first blocks).
        """
        if ancestry is None:
            ancestry = self.draw_ancestry(label, random)
        # one haplotype after the other: drawn evenly together, the two of a person would avoid each other
        haplotypes = [
            self.draw(label, random, ancestry=ancestry, begun=None if begun is None else begun[:, h], share=share)
            for h in range(rows_per_person)
        ]
        return np.stack(haplotypes, axis=1)

    def draw(
        self,
        label: np.ndarray,
        random: np.random.Generator,
        *,
        ancestry: Any = None,
        begun: np.ndarray | None = None,
        targets: list[np.ndarray] | None = None,
        share: bool = False,
    ) -> np.ndarray:
        """Draw one row for each label: int, shape (rows, blocks).

        Parameters
        ----------
        label, random
            Label of each row, (rows,), and the source of random numbers.
        ancestry : array of float32, shape (rows, axes), optional
            As `draw_ancestry` returns it; drawn if not given.
        begun : array of int, shape (rows, first blocks), optional
            Codes that the rows have already.
        targets : list of arrays (labels, codes), optional
            Code frequencies by label and block. The `label_bias` of each block is set, before its codes are drawn, so
            that the expected frequencies among these rows meet them (iterative proportional fitting).
        share : bool
            Whether every 64 rows of a label have, among themselves, the code frequencies of the label as nearly as they
            can. Otherwise the chance of a draw adds up from block to block, and a label of few people loses by it what
            sets it apart.
        """
        if ancestry is None:
            ancestry = self.draw_ancestry(label, random)
        predictor = self.predictor(label)
        party = parties(label) if share else None
        codes = np.empty((len(label), len(self.model.sizes)), dtype=np.int64)
        for b in range(len(self.model.sizes)):
            logits = self.logits(b, predictor, ancestry)
            if targets is not None:
                self.label_bias[b] = raking_bias(logits, label, targets[b])
            if begun is not None and b < begun.shape[1]:
                codes[:, b] = begun[:, b]
            else:
                codes[:, b] = self.draw_block(b, logits, label, random, party)
            predictor.observe(codes[:, b])
        return codes

    def predictor(self, label: np.ndarray) -> Predictor:
        """Return what predicts the codes of rows of these labels."""
        return self.model.predictor(label)

    def logits(self, block: int, predictor: Predictor, ancestry: Any) -> np.ndarray:
        """Return the logits of the codes of a block, not calibrated: float32, shape (rows, codes)."""
        # a single site has no haplotype to stay on
        factor = np.float32(self.inverse_temperature if self.model.sizes[block] > SINGLE_SITE else 1)
        return np.asarray(factor * predictor.log_probs() + ancestry @ self.model.ancestry.loadings[block].T)

    def draw_block(
        self,
        block: int,
        logits: np.ndarray,
        label: np.ndarray,
        random: np.random.Generator,
        party: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Draw the code of each row in a block, calibrated: array of int, shape (rows,).

        The logits, (rows, codes), are not calibrated, and are changed in place. The rows of a party (`parties`) share
        the frequencies of their label.
        """
        logits += self.label_bias[block][label]
        if self.model.own_share[block] < 0.5:  # cases and controls drawn evenly would be more alike than people are
            return _codes_at(softmax(logits), random.random(len(label)))
        if party is None:
            return draw_evenly(logits, label, random)
        number, label_of_party = party
        logits += raking_bias(logits, number, self.model.label_frequency(block)[label_of_party])[number]
        return draw_evenly(logits, number, random)


def parties(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which 64 rows of its label each row belongs to, numbered from 0: (rows,), and the label of each number."""
    order = np.argsort(label, kind="stable")
    first = np.searchsorted(label[order], label[order])
    key = np.empty(len(label), dtype=np.int64)
    key[order] = label[order] * len(label) + (np.arange(len(label)) - first) // _PARTY
    keys, party = np.unique(key, return_inverse=True)
    return party, keys // len(label)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities along the last axis."""
    probability = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probability /= probability.sum(axis=-1, keepdims=True)
    return probability


def raking_bias(logits: np.ndarray, label: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the bias of each label at which the mean probabilities of its rows meet the target: (labels, codes).

    Logits are (rows, codes), labels (rows,), and the target is frequencies; labels without rows get no bias.
    """
    present = np.bincount(label, minlength=len(target))
    order = np.argsort(label, kind="stable")
    ends = np.cumsum(present)
    bias = np.zeros_like(target, dtype=np.float32)
    for k in np.flatnonzero(present):
        # exp(logits + bias) = exp(logits) exp(bias): the exponential of the logits is taken once
        own = logits[order[ends[k] - present[k] : ends[k]]]
        weight = np.exp(own - own.max(axis=1, keepdims=True))
        for _ in range(_RAKING_ROUNDS):
            factor = np.exp(bias[k])
            expected = (1 / (weight @ factor)) @ weight * factor / present[k]
            bias[k] = (bias[k] + np.log((target[k] + 1e-5) / (expected + 1e-5)).clip(-1, 1)).clip(-4, 4)
    return bias


def draw_evenly(logits: np.ndarray, label: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw a code for each row so that the counts among rows of a label are as near to their expectation as can be.

    Each row's code has its own probabilities, but similar rows get uniform numbers that are spread evenly (multiples of
    the golden ratio; systematic sampling). Otherwise frequencies that are raked would follow the chance of a draw,
    which adds up from block to block. Logits are (rows, codes), labels and the returned codes (rows,).
    """
    probability = softmax(logits)
    most = probability.argmax(axis=1)
    top = probability[np.arange(len(label)), most]
    key = (label * logits.shape[1] + most) * _LIKENESS + (np.float32(0.999 * _LIKENESS) * top).astype(np.int64)
    # similar rows by turns of a few, so that the first people are spread as evenly as all; in a random order within a
    # turn, so that neighbours in the cohort, and the haplotypes of a person, are no pair
    most_key = (int(label.max(initial=0)) + 1) * logits.shape[1] * _LIKENESS
    order = np.argsort(key.astype(np.min_scalar_type(most_key)), kind="stable")  # 16 bits are sorted by radix
    sorted_key = key[order]
    place = np.arange(len(key)) - np.searchsorted(sorted_key, sorted_key)
    kind = np.cumsum(np.concatenate([[0], np.diff(sorted_key) != 0]))
    order = order[np.argsort(kind * len(key) + place // _TURN + random.random(len(key)), kind="stable")]
    uniform = np.empty(len(order))
    uniform[order] = (np.arange(len(order)) * ((5**0.5 - 1) / 2) + random.random()) % 1
    return _codes_at(probability, uniform)


def _codes_at(probability: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return the code of each row in whose part of the distribution function its uniform number lies."""
    code = (np.cumsum(probability, axis=1, dtype=np.float64) < uniform[:, None]).sum(axis=1)
    return np.minimum(code, probability.shape[1] - 1)


# ---- calibration --------------------------------------------------------------------------------------------------


def rake(sampler: CodeSampler, seed: int, most_rows: int = _RAKED_ROWS) -> CodeSampler:
    """Return the sampler with the code frequencies of each label raked to those of its training people.

    Small cohorts, whose frequencies are less well known, need fewer than `most_rows`, all labels together.
    """
    model = sampler.model
    rows = min(most_rows, 20 * int(model.chain.pooled_code_counts[0].sum()))
    label = np.repeat(np.arange(model.n_labels), max(128, rows // model.n_labels))
    raked = replace(sampler, label_bias=list(sampler.label_bias))
    targets = [model.label_frequency(b) for b in range(len(model.sizes))]
    raked.draw(label, np.random.default_rng([seed, 5]), targets=targets)
    return raked


class TrainingComparison:
    """Compares synthetic rows of a sampler with some training rows.

    `axes` are the mean state (sites,) and principal axes (components, sites) of the training rows. With `calibrate`,
    code frequencies are raked before each comparison. If `is_small`, there are too few training rows to compare with.
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
        return np.asarray(((rows - centre) @ components.T).var(axis=0))

    def measure(self, sampler: CodeSampler) -> tuple[float, float, float]:
        """Return the variance ratio along the axes, and AA_truth and AA_syn (Yale et al. 2020) of synthetic rows."""
        if self._calibrate:
            sampler = rake(sampler, self._seed, _RAKED_ROWS // 4)
        codes = sampler.draw_people(self._label, self._per, np.random.default_rng([self._seed, 8]))
        random = np.random.default_rng([self._seed, 9])
        synthetic = self._blocks.decode(codes.reshape(-1, codes.shape[2]), random)
        ratio = (self._variance_of(synthetic) / np.maximum(self._variance, 1e-12)).mean()
        compared = synthetic[:, self._sites].astype(np.float32)
        aa_truth = (nearest_distances(self._real, compared) > self._among_real).mean()
        aa_syn = (nearest_distances(compared, self._real) > nearest_distances(compared)).mean()
        return float(ratio), float(aa_truth), float(aa_syn)


def choose_inverse_temperature(sampler: CodeSampler, comparison: TrainingComparison) -> float:
    """Return the least inverse temperature at which synthetic rows are not too diverse, from 1 to 1.3.

    A sequence that is drawn step by step leaves the haplotypes it has learned a little too often; a factor just above 1
    on the log-probabilities corrects that. Rows are too diverse if training rows are nearer to a synthetic row than to
    another training row less often than synthetic rows are nearer to a training row than to another synthetic row (the
    two sides of adversarial accuracy, Yale et al. 2020). The variance along the leading principal components must not
    exceed that of the training rows by more than 3 %. The sampler is not calibrated.
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
