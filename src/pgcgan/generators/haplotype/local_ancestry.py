"""Whose haplotypes a stretch of a haplotype is like: labels as sources, with shares and a rate of change.

People of one label descend from several: a haplotype of an admixed person is European here and African a few hundred
thousand bases on, and what is known of European haplotypes says what follows better than what little is known of the
mixture. So each label draws its haplotypes, stretch by stretch, from what is known of all labels: a hidden Markov
chain along the genome whose state is a label (as in local ancestry inference; Li and Stephens 2003 with labels in the
place of haplotypes). Shares and rates are fitted by EM with the leave-one-out probabilities of the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDS = 20
_OWN_STRETCHES = 20.0  # stretches of its own that each label is credited with beforehand
_LEAST = 0.01  # sources with a smaller share are left out: each costs time
_GAIN = 0.01  # of the nats of a row: what other sources must be worth


@dataclass(frozen=True)
class AdmixtureHMM:
    """From which labels each label draws stretches of haplotypes.

    Parameters
    ----------
    share : array of float32, shape (labels, labels)
        Row l: the probability that a stretch of a haplotype of label l is drawn from each label.
    switch : array of float32, shape (labels,)
        Probability that a new stretch begins, at each block.
    """

    share: np.ndarray
    switch: np.ndarray

    def after(self, weight: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Return the probability of each row's source one block on: (rows, labels), (rows,) -> (rows, labels)."""
        switch = self.switch[label][:, None]
        return (1 - switch) * weight + switch * self.share[label]


def no_admixture(n_labels: int) -> AdmixtureHMM:
    """Return the sources of labels that each draw from themselves alone."""
    return AdmixtureHMM(np.eye(n_labels, dtype=np.float32), np.zeros(n_labels, dtype=np.float32))


def fit_admixture(log_probs: np.ndarray, label: np.ndarray) -> AdmixtureHMM:
    """Fit shares and rates by EM.

    Parameters
    ----------
    log_probs : array of float, shape (rows, blocks, labels)
        Log-probability of each row's code in each block if it is drawn from each label, its own contribution left out;
        0 where unknown.
    label : array of int, shape (rows,)

    Returns
    -------
    AdmixtureHMM
        Each label its own alone, if that explains the rows as well.
    """
    n_labels = log_probs.shape[2]
    alone = no_admixture(n_labels)
    share, switch = alone.share.copy(), alone.switch.copy()
    gain, alone_nats = 0.0, 0.0
    for own in np.unique(label):
        mine = log_probs[label == own].astype(np.float64)
        top = mine.max(axis=2, keepdims=True)
        found = _of_label(np.exp(mine - top), int(own))
        gain += found[2] + float((top[:, :, 0] - mine[:, :, own]).sum())
        alone_nats -= float(mine[:, :, own].sum())
        share[own], switch[own] = found[:2]
    if gain < _GAIN * alone_nats:
        return alone
    share[(share < _LEAST) & (alone.share == 0)] = 0
    return AdmixtureHMM(share / share.sum(axis=1, keepdims=True), switch)


def _of_label(probability: np.ndarray, own: int) -> tuple[np.ndarray, float, float]:
    """Return shares, rate, and the log-likelihood, of the rows of one label: (rows, blocks, labels)."""
    rows, blocks, n_labels = probability.shape
    credit = _OWN_STRETCHES * np.eye(n_labels)[own]
    share, switch = np.full(n_labels, 0.2 / n_labels) + 0.8 * np.eye(n_labels)[own], 0.1
    total = 0.0
    for _ in range(_ROUNDS):
        # forward: the source of each row given its codes so far, and the probability of each code given those before
        before = np.broadcast_to(share, (rows, n_labels))
        scaled = np.empty_like(probability)
        total = 0.0
        for b in range(blocks):
            joint = before * probability[:, b]
            code = joint.sum(axis=1, keepdims=True)
            scaled[:, b] = probability[:, b] / code
            total += float(np.log(code).sum())
            before = (1 - switch) * joint / code + switch * share
        # backward: stretches that begin with each source
        later = np.ones((rows, n_labels))
        begun, switches = np.zeros(n_labels), 0.0
        for b in range(blocks - 1, 0, -1):
            here = later * scaled[:, b]
            new = switch * share * here
            begun += new.sum(axis=0)
            switches += float(new.sum())
            later = (1 - switch) * here + new.sum(axis=1, keepdims=True)
        begun += (share * later * scaled[:, 0]).sum(axis=0)
        share = (begun + credit) / (begun.sum() + _OWN_STRETCHES)
        switch = switches / max(1, rows * (blocks - 1))
    return share, switch, total
