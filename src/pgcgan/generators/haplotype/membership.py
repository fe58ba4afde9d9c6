"""How many people must carry a run of codes before it is followed, chosen by a membership attack on training people.

Where a cohort is small or its blocks are long, a run that three people share is most of a haplotype, and synthetic rows
that follow it lie nearer to those three people than to anybody else. So the training people are left out in turns: the
code model is counted in the others, rows are drawn from it, and the attack takes whoever lies near to them for a person
that was counted (Chen et al. 2020, "GAN-Leaks", black-box attack). Each person is left out once and counted otherwise,
so that differences between people cancel and a small leak shows in a small cohort.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...numerics import fill_missing, nearest_distances, roc_auc
from ...runtime.threads import in_threads
from ..rows import Rows
from .blocks import Blocks
from .code_model import CodeModel
from .fitting import count_code_model
from .prediction import NextCodePredictor

# AUC at which the attack counts as failed: the excess over 0.5 is proportional to 1 / people, so that 0.54 for three
# quarters of the people is 0.53 for all of them
LIMIT = 0.54
_STEPS = (1.5, 2, 3.25)  # numbers of carriers that are tried, as multiples of the least
_WORTH = 0.005  # reduction of the AUC that a step must bring; otherwise the leak is not in the runs
_TURNS, _ROUNDS = 4, 4  # people are left out in this many turns, in small cohorts several times
_PEOPLE, _BLOCKS, _SITES = 3000, 128, 2000  # enough to see a leak


def least_carriers(min_carriers: int) -> int:
    """Return how many people must carry a run at least: a third more than a template, which identifies less."""
    return round(4 * min_carriers / 3)


def choose_min_carriers(
    model: CodeModel, blocks: Blocks, rows: Rows, codes: np.ndarray, least: int, seed: int = 0
) -> int:
    """Return the least number of carriers at which the attack on training people fails, or more make no difference.

    Parameters
    ----------
    model : CodeModel
        Fitted to all people: its weights are used in every turn.
    blocks : Blocks
    rows : Rows
    codes : array of int, shape (rows, blocks)
    least : int
        Tried first.
    seed : int
    """
    enough, auc = least, membership_auc(model, blocks, rows, codes, least, seed)
    for carriers in sorted({round(least * step) for step in _STEPS}):
        if auc <= LIMIT:
            break
        auc_with_more = membership_auc(model, blocks, rows, codes, carriers, seed)
        if auc - auc_with_more < _WORTH:
            break
        enough, auc = carriers, auc_with_more
    return enough


def membership_auc(
    model: CodeModel, blocks: Blocks, rows: Rows, codes: np.ndarray, carriers: int, seed: int = 0
) -> float:
    """Return the AUC with which synthetic rows tell people that were counted from people that were left out.

    The score of a row is minus its distance to the nearest synthetic row, over at most 2,000 sites in 128 blocks; a
    missing call takes the mean of its site. Parameters as in `choose_min_carriers`.
    """
    random = np.random.default_rng(seed)
    label, person, states = rows.row_label, rows.row_person, rows.states
    if len(rows.label) > _PEOPLE:
        some = np.isin(person, random.permutation(len(rows.label))[:_PEOPLE])
        codes, label, person = codes[some], label[some], person[some]
        states = rows.at(np.flatnonzero(some))
    people, of_row = np.unique(person, return_inverse=True)
    first = max(0, (codes.shape[1] - _BLOCKS) // 2)
    part = slice(first, first + _BLOCKS)
    edges = blocks.edges[first : first + _BLOCKS + 1]
    blocks = Blocks(edges - edges[0], blocks.templates[part], blocks.emission[part])
    sites = np.unique(np.linspace(0, blocks.edges[-1] - 1, _SITES).astype(int))
    codes, real = codes[:, part], fill_missing(states[:, edges[0] + sites])
    label_of_person = label[np.searchsorted(person, people)]
    turns = []
    for _ in range(min(_ROUNDS, max(1, _PEOPLE // len(people)))):
        # each label is dealt out evenly, so that no turn leaves most of a small one out
        order = random.permutation(len(people))
        turn = np.empty(len(people), dtype=np.int64)
        turn[order[np.argsort(label_of_person[order], kind="stable")]] = np.arange(len(people)) % _TURNS
        turns += [turn[of_row] != out for out in range(min(_TURNS, len(people)))]

    def attacked(counted: np.ndarray, own_random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        predictor = _counted(model, codes[counted], label[counted], of_row[counted], blocks.sizes, carriers)
        drawn = blocks.decode(_draw(predictor, len(blocks), own_random), own_random)
        score = -nearest_distances(real, drawn[:, sites].astype(np.float32))
        return score[counted], score[~counted]

    scores = in_threads(lambda turn: attacked(*turn), zip(turns, random.spawn(len(turns)), strict=True))
    members, others = zip(*scores, strict=True)
    return roc_auc(np.concatenate(members), np.concatenate(others))


def _counted(
    model: CodeModel, codes: np.ndarray, label: np.ndarray, person: np.ndarray, sizes: list[int], carriers: int
) -> NextCodePredictor:
    """Count chain and context tree in some people; return the predictor of as many rows."""
    counted = count_code_model(
        codes,
        label,
        np.unique(person, return_inverse=True)[1],
        sizes,
        model.admixture.group,
        carriers,
        power=model.context_tree.power,
        chain_weights={n: getattr(model.chain, n) for n in ("label_weight", "pooled_weight", "frequency_weight")},
        run_weights=model.context_tree.weights,
    )
    return replace(counted, admixture=model.admixture).predictor(label)


def _draw(predictor: NextCodePredictor, blocks: int, random: np.random.Generator) -> np.ndarray:
    codes = np.empty((len(predictor.label), blocks), dtype=np.int64)
    for b in range(blocks):
        cumulative = np.exp(predictor.log_probs()).cumsum(axis=1)
        chosen = random.random(len(codes), dtype=np.float32)[:, None] * cumulative[:, -1:]
        codes[:, b] = np.minimum((cumulative <= chosen).sum(axis=1), cumulative.shape[1] - 1)
        predictor.observe(codes[:, b])
    return codes
