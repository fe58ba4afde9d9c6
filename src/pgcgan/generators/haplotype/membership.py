"""How many people must carry a run of codes before it is followed, chosen by a membership attack on training people.

Where a cohort is small or its blocks are long, a run that three people share is most of a haplotype, and synthetic rows
that follow it lie nearer to those three people than to anybody else. So the training people are left out in turns: the
code model is counted in the others, rows are drawn from it, and the attack takes whoever lies near to them for a person
that was counted (Chen et al. 2020, "GAN-Leaks", black-box attack). Each person is left out once and counted otherwise,
so that differences between people cancel and a small leak shows in a small cohort.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .blocks import Blocks
from .chain import fit_chain
from .context_tree import count_runs
from .prediction import NextCodePredictor

if TYPE_CHECKING:
    from .code_model import CodeModel

# of the attack's AUC: what is above 0.5 goes with 1 / people, so that 0.54 of three quarters of them is 0.53 of all
LIMIT = 0.54
_STEPS = (1.5, 2, 3.25)  # numbers of carriers that are tried, as multiples of the least
_WORTH = 0.005  # what a step must take off the AUC: where it does not, what is given away is not in the runs
_TURNS, _ROUNDS = 4, 4  # people are left out in this many turns, in small cohorts several times
_PEOPLE, _BLOCKS, _SITES = 3000, 128, 2000  # that are enough to see a leak
_AT_A_TIME = 1024


def least_carriers(min_carriers: int) -> int:
    """Return how many people must carry a run at least: a third more than a template, which says less of a person."""
    return round(4 * min_carriers / 3)


def choose_min_carriers(
    prior: CodeModel,
    blocks: Blocks,
    states: np.ndarray,
    codes: np.ndarray,
    label: np.ndarray,
    person: np.ndarray,
    least: int,
    seed: int = 0,
) -> int:
    """Return the least number of carriers at which the attack on training people fails, or more make no difference.

    Parameters
    ----------
    prior : CodeModel
        Fitted to all of them: the weights that chain and contexts have in every turn.
    blocks : Blocks
    states : array of int8, shape (rows, sites)
        -1 is missing.
    codes : array of int, shape (rows, blocks)
    label, person : arrays of int, shape (rows,)
    least : int
        What is tried first.
    seed : int
    """
    rows = states, codes, label, person
    enough, found = least, attack(prior, blocks, *rows, least, seed)
    for carriers in sorted({round(least * step) for step in _STEPS}):
        if found <= LIMIT:
            break
        less = attack(prior, blocks, *rows, carriers, seed)
        if found - less < _WORTH:
            break
        enough, found = carriers, less
    return enough


def attack(
    prior: CodeModel,
    blocks: Blocks,
    states: np.ndarray,
    codes: np.ndarray,
    label: np.ndarray,
    person: np.ndarray,
    carriers: int,
    seed: int = 0,
) -> float:
    """Return the AUC with which drawn rows tell who was counted from who was left out; parameters as above.

    The score of a row is minus its distance to the nearest drawn row, over at most 2,000 sites in 128 blocks; a site
    that is missing takes the mean.
    """
    generator = np.random.default_rng(seed)
    people = np.unique(person)
    if len(people) > _PEOPLE:
        some = np.isin(person, generator.permutation(people)[:_PEOPLE])
        codes, label, person = codes[some], label[some], person[some]
        people = np.unique(person)
    else:
        some = np.ones(len(states), dtype=bool)
    first = max(0, (codes.shape[1] - _BLOCKS) // 2)
    part = slice(first, first + _BLOCKS)
    edges = blocks.edges[first : first + _BLOCKS + 1]
    blocks = Blocks(edges - edges[0], blocks.templates[part], blocks.emission[part])
    sites = np.unique(np.linspace(0, blocks.edges[-1] - 1, _SITES).astype(int))
    codes, real = codes[:, part], _filled(states[:, edges[0] + sites][some])
    of_person = label[np.searchsorted(person, people)]
    members, others = [], []
    for _ in range(min(_ROUNDS, max(1, _PEOPLE // len(people)))):
        # each label is dealt out evenly, so that no turn leaves most of a small one out
        order = generator.permutation(len(people))
        turn = np.empty(len(people), dtype=np.int64)
        turn[order[np.argsort(of_person[order], kind="stable")]] = np.arange(len(people)) % _TURNS
        for out in range(min(_TURNS, len(people))):
            counted = turn[np.searchsorted(people, person)] != out
            walk = _counted(prior, codes[counted], label[counted], person[counted], blocks.sizes, carriers)
            drawn = blocks.decode(_draw(walk, len(blocks), generator), generator)[:, sites].astype(np.float32)
            score = -_nearest(real, drawn)
            members.append(score[counted])
            others.append(score[~counted])
    scores = np.concatenate(members + others)
    return float(roc_auc_score(np.arange(len(scores)) < sum(map(len, members)), scores))


def _counted(
    prior: CodeModel,
    codes: np.ndarray,
    label: np.ndarray,
    person: np.ndarray,
    sizes: list[int],
    carriers: int,
) -> NextCodePredictor:
    """Count chain and contexts from some people, and start as many rows."""
    n_labels, person = len(prior.sources.share), np.unique(person, return_inverse=True)[1]
    runs, share = count_runs(codes, label, person, sizes, n_labels, carriers, prior.contexts.power)
    weights = {n: getattr(prior.fallback, n) for n in ("label_weight", "pooled_weight", "frequency_weight")}
    chain = fit_chain(codes, label, sizes, n_labels, share).reweighted(**weights)
    return NextCodePredictor(chain, chain, replace(runs, weights=prior.contexts.weights), prior.sources, label)


def _draw(walk: NextCodePredictor, blocks: int, generator: np.random.Generator) -> np.ndarray:
    codes = np.empty((len(walk.label), blocks), dtype=np.int64)
    for b in range(blocks):
        log_probs = walk.log_probs()
        codes[:, b] = (log_probs + generator.gumbel(size=log_probs.shape).astype(np.float32)).argmax(axis=1)
        walk.step(codes[:, b])
    return codes


def _filled(states: np.ndarray) -> np.ndarray:
    """Return rows as float32, with the site's mean where a call is missing."""
    known = states >= 0
    means = np.where(known, states, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, states, means).astype(np.float32)


def _nearest(real: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return each real row's squared distance to the nearest drawn one; for alleles, the number that differ."""
    found, size = np.empty(len(real), dtype=np.float32), (drawn**2).sum(axis=1)
    for first in range(0, len(real), _AT_A_TIME):
        rows = real[first : first + _AT_A_TIME]
        found[first : first + _AT_A_TIME] = (size - 2 * (rows @ drawn.T)).min(axis=1) + (rows**2).sum(axis=1)
    return found
