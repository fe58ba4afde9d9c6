"""How many people must carry what a model keeps, so that an informed membership attack stays below a target.

A model gives its training people away by what few of them carry: templates, runs of codes, and rare variants on the
template of their carrier. The more carriers each of these needs, the less is kept. So part of the training people is
left out, the model is fitted to the others with more and more carriers, and the attack of
`metrics.informed_membership` (attacker *pool*) is made on as many synthetic people as were fitted. As fewer people are
fitted than in the end, the attack finds a little more here than it will find in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...errors import DataError
from ...metrics.informed_membership import MIN_JUDGED, WIDTHS, cross_fitted_scores, knowledge, numbered_windows
from ...numerics import fill_missing, roc_auc
from ..rows import Rows

CARRIERS = (3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 640)  # tried, by bisection
_LEFT_OUT = 0.25  # of the people of each label

Synthesis = Callable[[Rows, int], np.ndarray]


def choose_carriers(rows: Rows, least: int, target: float, synthesise: Synthesis, seed: int) -> tuple[int, float]:
    """Return the fewest carriers with which the attack on left-out training people stays within the target.

    Parameters
    ----------
    rows : Rows
    least : int
        Carriers at least.
    target : float
        AUC of the attack.
    synthesise : callable
        From rows and carriers to the states of as many synthetic rows, of a model fitted with so many carriers.
    seed : int

    Returns
    -------
    tuple of int and float
        The carriers, and the AUC that the attack reached with them.

    Raises
    ------
    DataError
        If there are too few people or sites for the attack, or it exceeds the target whatever the carriers.
    """
    left_out = _left_out(rows, seed)
    enough = min(left_out.sum(), (~left_out).sum()) >= MIN_JUDGED
    if not enough or rows.states.shape[1] < WIDTHS[0]:
        raise DataError(
            f"A target for the membership attack (private) needs at least {round(MIN_JUDGED / _LEFT_OUT)} people and "
            f"{WIDTHS[0]} sites; there are {len(rows.label)} people and {rows.states.shape[1]} sites."
        )
    members, others = (_part(rows, np.flatnonzero(part)) for part in (~left_out, left_out))
    tried = [least, *(carriers for carriers in CARRIERS if least < carriers <= len(members.label))]
    low, high, reached = 0, len(tried), dict[int, float]()
    while low < high:
        middle = (low + high) // 2
        reached[middle] = membership_auc(members, others, synthesise(members, tried[middle]), seed)
        low, high = (low, middle) if reached[middle] <= target else (middle + 1, high)
    if low == len(tried):
        raise DataError(
            f"The membership attack reaches an AUC of {min(reached.values()):.2f} on these {len(rows.label)} people "
            f"whatever is left out of the model; the target (private) is {target:g}. A higher target or more people "
            "are needed."
        )
    return tried[low], reached[low]


def _left_out(rows: Rows, seed: int) -> np.ndarray:
    """Return which people are left out: a part of each label."""
    order = np.random.default_rng([seed, 16]).permutation(len(rows.label))
    order = order[np.argsort(rows.label[order], kind="stable")]
    left_out = np.zeros(len(order), dtype=bool)
    left_out[order[:: round(1 / _LEFT_OUT)]] = True
    return left_out


def _part(rows: Rows, people: np.ndarray) -> Rows:
    return replace(rows, states=rows.at(rows.of_people(people)), label=rows.label[people])


def membership_auc(members: Rows, others: Rows, synthetic: np.ndarray, seed: int) -> float:
    """Return the AUC of the informed attack by which synthetic rows tell members from others (attacker *pool*).

    A missing call takes the most common state of its site.

    Parameters
    ----------
    members, others : Rows
    synthetic : array of int8, shape (rows, sites)
    seed : int
    """
    both = np.rint(fill_missing(np.concatenate([members.states, others.states]))).astype(np.int8)
    judged, released = numbered_windows([np.ascontiguousarray(states.T) for states in (both, synthetic)], seed)
    features = knowledge(judged, judged, released, members.rows_per_person, in_reference=True).features
    is_member = np.arange(len(features)) < len(members.label)
    scores = cross_fitted_scores(features, is_member, seed)
    return roc_auc(scores[is_member], scores[~is_member])
