"""How many people must carry what a model keeps, chosen by membership attacks on training people.

A model gives its training people away by what few of them carry: templates, runs of codes, and rare variants on the
template of their carrier. So part of the training people is left out, a model is fitted to the others, and an attack
tries to tell who was left out from synthetic rows of that model. The more carriers are needed, the less is kept.

Where a cohort is small or its blocks are long, a run of codes that three people share is most of a haplotype, and
synthetic rows that follow it lie nearer to those three people than to anybody else. `choose_run_carriers` attacks by
the distance to the nearest synthetic row (Chen et al. 2020, "GAN-Leaks", black-box attack), and leaves people out in
turns: each is left out once and counted otherwise, so that differences between people cancel and a small leak shows in
a small cohort. `choose_carriers` meets a target for the attack of `metrics.informed_membership` (attacker *pool*) on as
many synthetic people as were fitted. As fewer people are fitted than in the end, that attack finds a little more here
than it will find in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...errors import DataError
from ...metrics.informed_membership import MIN_JUDGED, WIDTHS, cross_fitted_scores, knowledge, numbered_windows
from ...numerics import fill_missing, nearest_distances, roc_auc
from ...runtime.threads import in_threads
from ..rows import Rows
from .blocks import Blocks
from .code_model import CodeModel
from .code_rows import CodeRows
from .fitting import count_code_model

# AUC at which the attack counts as failed: the excess over 0.5 is proportional to 1 / people, so that 0.54 for three
# quarters of the people is 0.53 for all of them
LIMIT = 0.54
_STEPS = (1.5, 2, 3.25)  # numbers of carriers that are tried, as multiples of the least
_WORTH = 0.005  # reduction of the AUC that a step must bring; otherwise the leak is not in the runs
_TURNS, _ROUNDS = 4, 4  # people are left out in this many turns, in small cohorts several times
_PEOPLE, _BLOCKS, _SITES = 3000, 128, 2000  # enough to see a leak
CARRIERS = (3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 640)  # tried for a target, by bisection
_LEFT_OUT = 0.25  # of the people of each label, for a target

Synthesis = Callable[[Rows, int], np.ndarray]


# ---- runs, by the nearest synthetic row ---------------------------------------------------------------------------


def least_carriers(min_carriers: int) -> int:
    """Return how many people must carry a run at least: a third more than a template, which identifies less."""
    return round(4 * min_carriers / 3)


def choose_run_carriers(
    model: CodeModel, blocks: Blocks, rows: Rows, coded: CodeRows, least: int, seed: int = 0
) -> int:
    """Return the least number of carriers at which the attack on training people fails, or more make no difference.

    The weights of the model, which is fitted to all people, are used in every turn. `coded` are the codes of the rows
    in the blocks; the `least` number is tried first.
    """
    enough, auc = least, nearest_auc(model, blocks, rows, coded, least, seed)
    for carriers in sorted({round(least * step) for step in _STEPS}):
        if auc <= LIMIT:
            break
        auc_with_more = nearest_auc(model, blocks, rows, coded, carriers, seed)
        if auc - auc_with_more < _WORTH:
            break
        enough, auc = carriers, auc_with_more
    return enough


def nearest_auc(model: CodeModel, blocks: Blocks, rows: Rows, coded: CodeRows, carriers: int, seed: int = 0) -> float:
    """Return the AUC with which synthetic rows tell people that were counted from people that were left out.

    The score of a row is minus its distance to the nearest synthetic row, over at most 2,000 sites in 128 blocks; a
    missing call takes the mean of its site. Parameters as in `choose_run_carriers`.
    """
    random = np.random.default_rng(seed)
    states = rows.states
    if len(rows.label) > _PEOPLE:
        some = np.flatnonzero(np.isin(coded.person, random.permutation(len(rows.label))[:_PEOPLE]))
        coded, states = coded.at(some), rows.at(some)
    people, of_row = np.unique(coded.person, return_inverse=True)
    first = max(0, (len(blocks) - _BLOCKS) // 2)
    part = slice(first, first + _BLOCKS)
    edges = blocks.edges[first : first + _BLOCKS + 1]
    blocks = Blocks(edges - edges[0], blocks.templates[part], blocks.emission[part])
    sites = np.unique(np.linspace(0, blocks.edges[-1] - 1, _SITES).astype(int))
    coded, real = coded.in_blocks(part), fill_missing(states[:, edges[0] + sites])
    label_of_person = coded.label[np.searchsorted(coded.person, people)]
    turns = []
    for _ in range(min(_ROUNDS, max(1, _PEOPLE // len(people)))):
        # each label is dealt out evenly, so that no turn leaves most of a small one out
        order = random.permutation(len(people))
        turn = np.empty(len(people), dtype=np.int64)
        turn[order[np.argsort(label_of_person[order], kind="stable")]] = np.arange(len(people)) % _TURNS
        turns += [turn[of_row] != out for out in range(min(_TURNS, len(people)))]

    def attacked(counted: np.ndarray, own_random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        members = coded.at(counted)
        of_chain, tree = (model.chain.label_weight, model.chain.pooled_weight), model.context_tree
        trial = count_code_model(members, model.admixture.group, carriers, tree.power, of_chain, tree.weights)
        predictor = replace(trial, admixture=model.admixture).predictor(members.label)
        codes = np.empty((len(members), len(blocks)), dtype=np.int64)
        for b in range(len(blocks)):
            cumulative = np.exp(predictor.log_probs()).cumsum(axis=1)
            chosen = own_random.random(len(codes), dtype=np.float32)[:, None] * cumulative[:, -1:]
            codes[:, b] = np.minimum((cumulative <= chosen).sum(axis=1), cumulative.shape[1] - 1)
            predictor.observe(codes[:, b])
        drawn = blocks.decode(codes, own_random)
        score = -nearest_distances(real, drawn[:, sites].astype(np.float32))
        return score[counted], score[~counted]

    scores = in_threads(lambda turn: attacked(*turn), zip(turns, random.spawn(len(turns)), strict=True))
    members, others = zip(*scores, strict=True)
    return roc_auc(np.concatenate(members), np.concatenate(others))


# ---- all that is kept, by the informed attack ---------------------------------------------------------------------


def choose_carriers(rows: Rows, least: int, target: float, synthesise: Synthesis, seed: int) -> tuple[int, float]:
    """Return the fewest carriers with which the attack on left-out training people meets the target, and its AUC.

    `synthesise` returns the states of as many synthetic rows as are given, of a model fitted to these with so many
    carriers.

    Raises
    ------
    DataError
        If there are too few people or sites for the attack, or it exceeds the target whatever the carriers.
    """
    order = np.random.default_rng([seed, 16]).permutation(len(rows.label))
    order = order[np.argsort(rows.label[order], kind="stable")]
    left_out = np.zeros(len(order), dtype=bool)
    left_out[order[:: round(1 / _LEFT_OUT)]] = True  # a part of each label
    if min(left_out.sum(), (~left_out).sum()) < MIN_JUDGED or rows.states.shape[1] < WIDTHS[0]:
        raise DataError(
            f"A target for the membership attack (private) needs at least {round(MIN_JUDGED / _LEFT_OUT)} people and "
            f"{WIDTHS[0]} sites; there are {len(rows.label)} people and {rows.states.shape[1]} sites."
        )
    members, others = (
        replace(rows, states=rows.at(rows.of_people(people)), label=rows.label[people])
        for people in (np.flatnonzero(~left_out), np.flatnonzero(left_out))
    )
    tried = [least, *(carriers for carriers in CARRIERS if least < carriers <= len(members.label))]
    low, high, reached = 0, len(tried), dict[int, float]()
    while low < high:
        middle = (low + high) // 2
        reached[middle] = informed_auc(members, others, synthesise(members, tried[middle]), seed)
        low, high = (low, middle) if reached[middle] <= target else (middle + 1, high)
    if low == len(tried):
        raise DataError(
            f"The membership attack reaches an AUC of {min(reached.values()):.2f} on these {len(rows.label)} people "
            f"whatever is left out of the model; the target (private) is {target:g}. A higher target or more people "
            "are needed."
        )
    return tried[low], reached[low]


def informed_auc(members: Rows, others: Rows, synthetic: np.ndarray, seed: int) -> float:
    """Return the AUC of the informed attack by which synthetic rows, (rows, sites), tell members from others.

    The attacker is *pool*; a missing call takes the most common state of its site.
    """
    both = np.rint(fill_missing(np.concatenate([members.states, others.states]))).astype(np.int8)
    judged, released = numbered_windows([np.ascontiguousarray(states.T) for states in (both, synthetic)], seed)
    features = knowledge(judged, judged, released, members.rows_per_person, in_reference=True).features
    is_member = np.arange(len(features)) < len(members.label)
    scores = cross_fitted_scores(features, is_member, seed)
    return roc_auc(scores[is_member], scores[~is_member])
