"""Local ancestry: the group of labels whose haplotypes a stretch of a haplotype is drawn from.

People of one label descend from several populations: a haplotype of an admixed person is European here and African a
few hundred thousand bases on, and the haplotypes counted in Europeans predict what follows better than the few counted
in admixed people. So each label draws its haplotypes, stretch by stretch, from the haplotypes of all groups of labels
(`label_groups`): a hidden Markov model along the genome whose state is a group (as in local ancestry inference; Li and
Stephens 2003 with groups instead of haplotypes). Proportions and switch rates are fitted by EM to the leave-one-out
probabilities of training rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...runtime.threads import in_threads

_ROUNDS = 20
_OWN_STRETCHES = 20.0  # stretches of its own group that each label is credited with beforehand
_LEAST = 0.01  # groups with a smaller proportion are left out: each costs time
_GAIN = 0.01  # relative gain in log-likelihood that drawing from other groups must bring


@dataclass(frozen=True)
class AdmixtureHMM:
    """The groups of labels that each label draws stretches of haplotypes from.

    Parameters
    ----------
    proportions : array of float32, shape (labels, groups)
        Row l: the probability that a stretch of a haplotype of label l is drawn from each group.
    switch_rate : array of float32, shape (labels,)
        Probability that a new stretch begins, at each block.
    group : array of int, shape (labels,)
        The group of each label.
    """

    proportions: np.ndarray
    switch_rate: np.ndarray
    group: np.ndarray


def no_admixture(group: np.ndarray) -> AdmixtureHMM:
    """Return the model of labels that each draw from their own group alone, given the group of each: (labels,)."""
    own = np.eye(int(group.max()) + 1, dtype=np.float32)[group]
    return AdmixtureHMM(own, np.zeros(len(group), dtype=np.float32), group)


def fit_admixture(log_probs: np.ndarray, label: np.ndarray, group: np.ndarray) -> AdmixtureHMM:
    """Fit proportions and switch rates by EM; return `no_admixture` if that explains the rows as well.

    `log_probs`, (rows, blocks, groups), are the leave-one-out log-probabilities of each row's code if it is drawn from
    each group; 0 where the code is unknown. `label` is that of each row, and `group` that of each label.
    """
    alone = no_admixture(group)
    proportions, switch_rate = alone.proportions.copy(), alone.switch_rate.copy()

    def fitted(own: int) -> tuple[np.ndarray, float, float, float]:
        of_label, own_group = log_probs[label == own].transpose(1, 2, 0).astype(np.float64, order="C"), int(group[own])
        top = of_label.max(axis=1, keepdims=True)
        of_own = float(of_label[:, own_group].sum())
        shares, rate, log_likelihood = _fit_label(np.exp(of_label - top), own_group)
        return shares, rate, log_likelihood + float(top.sum()) - of_own, of_own

    gain, alone_nats, present = 0.0, 0.0, np.unique(label).tolist()
    for own, (shares, rate, gain_of_label, of_own) in zip(present, in_threads(fitted, present), strict=True):
        proportions[own], switch_rate[own] = shares, rate
        gain, alone_nats = gain + gain_of_label, alone_nats - of_own
    if gain < _GAIN * alone_nats:
        return alone
    proportions[(proportions < _LEAST) & (alone.proportions == 0)] = 0
    return AdmixtureHMM(proportions / proportions.sum(axis=1, keepdims=True), switch_rate, group)


def _fit_label(probability: np.ndarray, own: int) -> tuple[np.ndarray, float, float]:
    """Return proportions, switch rate and log-likelihood of one label, given P (blocks, groups, rows) and its group."""
    blocks, n_groups, rows = probability.shape
    credit = _OWN_STRETCHES * np.eye(n_groups)[own]
    proportions, switch = np.full(n_groups, 0.2 / n_groups) + 0.8 * np.eye(n_groups)[own], 0.1
    scaled, code = np.empty_like(probability), np.empty((blocks, rows))
    for _ in range(_ROUNDS):
        # forward: the state of each row given its codes so far, and the probability of each code given those before
        start = proportions[:, None]
        before = np.broadcast_to(start, (n_groups, rows))
        for b in range(blocks):
            joint = before * probability[b]
            joint.sum(axis=0, out=code[b])
            np.divide(probability[b], code[b], out=scaled[b])
            before = joint
            before *= (1 - switch) / code[b]
            before += switch * start
        # backward: expected number of stretches that begin with each label
        later = np.ones((n_groups, rows))
        stretches = np.zeros(n_groups)
        for b in range(blocks - 1, 0, -1):
            here = later * scaled[b]
            stretches += switch * proportions * here.sum(axis=1)
            later = (1 - switch) * here
            later += switch * (proportions @ here)
        switches = float(stretches.sum())
        stretches += proportions * (later * scaled[0]).sum(axis=1)
        proportions = (stretches + credit) / (stretches.sum() + _OWN_STRETCHES)
        switch = switches / max(1, rows * (blocks - 1))
    return proportions, switch, float(np.log(code).sum())
