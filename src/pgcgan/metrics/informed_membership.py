"""Informed membership: an attacker who compares short haplotypes with a reference tries to identify training people.

A generator reproduces haplotypes that its training people carry. Whoever knows how common a haplotype is in the
population can see whether the synthetic people carry it more often than that: of a haplotype that nobody else carries,
one synthetic copy reveals that its carrier was a training person. Distances to the nearest synthetic person miss this,
because no synthetic person needs to be near to anybody.

The attack: in windows of 25, 100 and 400 sites, each haplotype of a person is counted among the other people of a
reference (classes 0, 1, 2, 3-4, 5-9, 10 or more) and in the synthetic set S. The features of a person are, for each
width and class, the number of windows and the sum of log(count in S + 1/2). A logistic regression, cross-fitted over
people, scores membership. Two attackers differ in their reference:

- *panel*: half of the held-out people. Training people and the other half are judged; then the halves are exchanged.
- *pool*: everybody but the person judged, members and others, whose membership is unknown.

Weights learned from members detect what a generator gives away of all of them, but miss a few copies among many
people. So the pool attacks with a second set of weights, *copies*, which need no member: they distinguish the synthetic
people, counted in S as they are, from the same people left out of S. With *shadow models*, the weights of the pool are
learned from generators that the attacker fitted to other parts of the pool; they need no member of the real one either.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..numerics import fill_missing, roc_auc
from .comparison import Cohort, Comparison
from .privacy import interpolated, roc_curve, true_positive_rate
from .rows import NotComputable, Row, RowBuilder, interval

WIDTHS = (25, 100, 400)  # sites; each a multiple of the one before
CLASSES = (1, 2, 3, 5, 10)  # least count in the reference of every class but the first
FOLDS = 5
_WIDEST_AT_ONCE = 8  # windows of the largest width that are coded at a time
MIN_JUDGED = 20  # people of either kind
RATES = (0.01, 0.001)  # false positive rates
RAREST = 0.1
ATTACKERS = ("pool", "panel", "pool, copies")
SHADOWS = "pool, shadow models"
ALL_PEOPLE = "all synthetic people"
_NAME = "informed membership"
_GRID = np.geomspace(0.001, 1, 61)  # false positive rates of the figure
METRICS = tuple(
    (f"{_NAME} {quantity}, {attacker}", aim)
    for attacker in ATTACKERS
    for quantity, aim in (("AUC", "0.5"), ("TPR at 1 % FPR", "0.01"), ("TPR at 0.1 % FPR", "0.001"))
)


# ---- features -----------------------------------------------------------------------------------------------------


def window_codes(rows: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return, for each width, a 64-bit code of every row in every window: arrays of uint64, shape (windows, rows).

    The rows are int8, shape (sites, rows), without missing calls. Equal haplotypes have equal codes (of one seed);
    unequal ones have the same code with a probability of about 2⁻⁶⁰. Codes of wide windows are computed from those of
    narrow ones; sites after the last whole window are left out.
    """
    generator = np.random.default_rng([seed, 14])
    codes: list[np.ndarray] = []
    parts, width = rows, 1
    for wide in WIDTHS:
        size = wide // width
        keys = generator.integers(1, 2**63, size, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        windows = len(parts) // size
        coded = np.zeros((windows, rows.shape[1]), dtype=np.uint64)
        for k in range(size):
            coded += parts[k : windows * size : size].astype(np.uint64) * keys[k]
        coded ^= coded >> np.uint64(31)  # so that sums of codes are not sums of alleles
        coded *= np.uint64(0x9E3779B97F4A7C15)
        coded ^= coded >> np.uint64(29)
        codes.append(coded)
        parts, width = coded, wide
    return [c for c in codes if len(c)]


def numbered_windows(sets: Sequence[np.ndarray], seed: int) -> list[list[np.ndarray]]:
    """Return, for each set and each width, the number of every row's haplotype in every window.

    In a window, equal haplotypes have the same number, in whatever sets they are; numbers start from 0.

    Parameters
    ----------
    sets : sequence of int8 arrays, shape (sites, rows)
        Without missing calls.
    seed : int
        Random seed of `window_codes`.

    Returns
    -------
    list of lists of arrays of an unsigned type, shape (windows, rows)
    """
    rows = np.cumsum([0, *(part.shape[1] for part in sets)])
    sites = len(sets[0])
    kind = np.min_scalar_type(max(int(rows[-1]) - 1, 0))
    numbers = [np.empty((sites // width, rows[-1]), dtype=kind) for width in WIDTHS if sites >= width]
    step = _WIDEST_AT_ONCE * WIDTHS[-1]
    for first in range(0, sites, step):
        # the codes of all sets would take many times the memory of the alleles
        codes = [window_codes(part[first : first + step], seed) for part in sets]
        for width, of_width, *parts in zip(WIDTHS, numbers, *codes, strict=False):
            for window, own in enumerate(np.concatenate(parts, axis=1), start=first // width):
                of_width[window] = np.unique(own, return_inverse=True)[1]
    return [[of_width[:, left:right] for of_width in numbers] for left, right in itertools.pairwise(rows)]


@dataclass(frozen=True)
class Knowledge:
    """What an attacker derives of each person judged.

    The features, shape (people, features), are by width and class the number of windows and the sum of log(count in S +
    1/2). The commonness, shape (people,), is the mean of log(count in the reference + 1/2) over windows: the lowest
    have the rarest haplotypes.
    """

    features: np.ndarray
    commonness: np.ndarray


def knowledge(
    judged: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    released: Sequence[np.ndarray],
    width: int,
    *,
    in_reference: bool = False,
    in_released: bool = False,
) -> Knowledge:
    """Return the features of the people judged.

    Parameters
    ----------
    judged, reference, released : sequences of array of int, shape (windows, rows)
        Haplotypes of the three sets, for each width of windows (`numbered_windows`).
    width : int
        Rows a person has.
    in_reference, in_released : bool
        True if the people judged are in that set and their own haplotypes are not to be counted.
    """
    rows = judged[0].shape[1]
    log_of = np.log(np.arange(1 + max(reference[0].shape[1], released[0].shape[1])) + 0.5)
    class_of = np.searchsorted(CLASSES, np.arange(CLASSES[-1] + 1), side="right")
    every_row, kinds = np.arange(rows), len(CLASSES) + 1
    features, commonness = [], []
    for judged_of, reference_of, released_of in zip(judged, reference, released, strict=True):
        windows, logs, common = np.zeros((rows, kinds)), np.zeros((rows, kinds)), np.zeros(rows)
        for own, known, synthetic in zip(judged_of, reference_of, released_of, strict=True):
            most = 1 + max(int(part.max(initial=0)) for part in (own, known, synthetic))
            in_known, in_synthetic = (np.bincount(part, minlength=most)[own] for part in (known, synthetic))
            if in_reference or in_released:
                own_copies = _own_copies(own, width)
                in_known -= own_copies * in_reference
                in_synthetic -= own_copies * in_released
            kind = class_of[np.minimum(in_known, CLASSES[-1])]
            windows[every_row, kind] += 1
            logs[every_row, kind] += log_of[in_synthetic]
            common += log_of[in_known]
        both = np.stack([windows, logs], axis=2).reshape(-1, width, 2 * kinds)
        features.append(both.sum(axis=1))
        commonness.append(common.reshape(-1, width).mean(axis=1) / max(1, len(judged_of)))
    return Knowledge(np.concatenate(features, axis=1), np.mean(commonness, axis=0))


def _own_copies(haplotypes: np.ndarray, width: int) -> np.ndarray:
    """Return how many haplotypes of the same person, one or two, equal each: shape (rows,)."""
    if width == 1:
        return np.ones(len(haplotypes), dtype=np.int64)
    return np.repeat(1 + (haplotypes[::2] == haplotypes[1::2]), 2)


def cross_fitted_scores(features: np.ndarray, member: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return membership scores by logistic regressions that were fitted to other people: shape (people,).

    Parameters
    ----------
    features : array of float, shape (people, features)
    member : array of bool, shape (people,)
    seed : int
        Random seed of the folds.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(_regression(), features, member, cv=folds, method="decision_function"))


def _fitted_scores(features: np.ndarray, examples: Sequence[np.ndarray], member: np.ndarray) -> np.ndarray:
    """Return membership scores by a logistic regression that was fitted to examples: shape (people,)."""
    return np.asarray(_regression().fit(np.concatenate(examples), member).decision_function(features))


def _regression() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


# ---- rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """Scores, membership, labels and rarity (the tenth with the rarest haplotypes) of the people judged in one run."""

    scores: np.ndarray
    member: np.ndarray
    label: np.ndarray | None
    rare: np.ndarray

    def of(self, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of members and of others among some people (a mask)."""
        return self.scores[people & self.member], self.scores[people & ~self.member]


def attack(comparison: Comparison, attacker: str, *, every: bool = False) -> list[Trial]:
    """Run the attack of one of `ATTACKERS` or of `SHADOWS`: once for the pool, twice for the panel.

    It uses as many synthetic people as training people, or all that were given (`every`).
    """
    train, holdout = comparison.train, comparison.cohort("holdout")
    width = train.rows_per_person
    by_name = comparison.cached("numbered windows", partial(_numbered_cohorts, comparison))
    released = by_name.get("released" if every else "synthetic", by_name["synthetic"])
    if not released:
        raise NotComputable(f"needs at least {WIDTHS[0]} sites")

    def run(others: np.ndarray, panel: np.ndarray | None) -> Trial:
        both = list(zip(by_name["train"], by_name["holdout"], strict=True))
        judged = [np.concatenate([members, unseen[:, holdout.rows_of(others)]], axis=1) for members, unseen in both]
        reference = judged if panel is None else [unseen[:, holdout.rows_of(panel)] for _, unseen in both]
        known = knowledge(judged, reference, released, width, in_reference=panel is None)
        member = np.arange(train.n_people + len(others)) < train.n_people
        if attacker.endswith("copies"):
            of_copies = [knowledge(released, reference, released, width, in_released=k).features for k in (False, True)]
            scores = _fitted_scores(known.features, of_copies, np.repeat([True, False], len(of_copies[0])))
        elif attacker == SHADOWS:
            shadows = [windows for name, windows in by_name.items() if name.startswith("shadow")]
            of_shadows = [knowledge(judged, reference, s, width, in_reference=True).features for s in shadows]
            known_to_them = np.concatenate([members for _, members in comparison.shadows])
            scores = _fitted_scores(known.features, of_shadows, known_to_them)
        else:
            scores = cross_fitted_scores(known.features, member, comparison.seed)
        label = None
        if train.labels is not None and holdout.labels is not None:
            label = np.concatenate([train.labels, holdout.labels[others]]).astype(str)
        return Trial(scores, member, label, known.commonness <= np.quantile(known.commonness, RAREST))

    if attacker != "panel":
        return [run(np.arange(holdout.n_people), None)]
    halves = [np.sort(half) for half in comparison.halves(holdout, 15)]
    return [run(judged, panel) for panel, judged in (halves, halves[::-1])]


def _all_released(comparison: Comparison) -> Cohort | None:
    """Return all synthetic people given, if these are more than are compared."""
    released = comparison.released
    return released if released and released.n_people > comparison.synthetic.n_people else None


def _numbered_cohorts(comparison: Comparison) -> dict[str, list[np.ndarray]]:
    """Return the numbered windows of all cohorts by name; a missing call takes the most common allele of its site."""
    cohorts = comparison.cohorts
    if everybody := _all_released(comparison):
        cohorts["released"] = everybody
    cohorts |= {f"shadow {k}": people for k, (people, _) in enumerate(comparison.shadows)}
    values = [
        np.rint(fill_missing(cohort.values.T)).astype(np.int8).T if cohort.missing else cohort.values
        for cohort in cohorts.values()
    ]
    return dict(zip(cohorts, numbered_windows(values, comparison.seed), strict=True))


def informed_attacks(comparison: Comparison) -> list[Row]:
    """Attack membership with a reference of real people: AUC and true positives at 1 % and 0.1 % false positives.

    Overall, by label, and for the tenth of people with the rarest haplotypes. If more synthetic people were given than
    there are training people, or further ones, the attack is repeated with all of them. The definition of the attack is
    in `metrics.informed_membership`. Intervals resample people, not the fit of the weights; the floor is chance.
    """
    comparison.cohort("holdout")
    builder = comparison.builder("privacy", 2 * MIN_JUDGED)
    curves = {}
    for attacker in (*ATTACKERS, *([SHADOWS] if comparison.shadows else ())):
        for every in (False, True) if _all_released(comparison) and attacker != SHADOWS else (False,):
            trials = attack(comparison, attacker, every=every)
            suffix = f"{attacker}, {ALL_PEOPLE}" if every else attacker
            _add_attack(builder, trials, suffix, comparison)
            curves[suffix] = roc_at(trials).round(5).tolist()
    comparison.figures["informed_roc"] = {"fpr": _GRID.round(6).tolist(), "curves": curves}
    return builder.rows


def roc_at(trials: Sequence[Trial], false_positives: np.ndarray = _GRID) -> np.ndarray:
    """Return the true positive rates at these false positive rates, the mean of the trials."""
    curves = [roc_curve(*trial.of(np.ones(len(trial.member), dtype=bool))) for trial in trials]
    return np.mean([np.interp(false_positives, *curve) for curve in curves], axis=0)


def _add_attack(builder: RowBuilder, trials: Sequence[Trial], suffix: str, comparison: Comparison) -> None:
    """Append the rows of all people judged, of those with the rarest haplotypes, and of each label."""
    everybody = [np.ones(len(trial.member), dtype=bool) for trial in trials]
    groups = [("all", suffix, everybody), ("all", f"{suffix}, rarest tenth", [trial.rare for trial in trials])]
    if len(comparison.by_label) > 1:
        groups += [(k, suffix, [np.asarray(trial.label == k) for trial in trials]) for k in comparison.by_label]
    for label, name, chosen in groups:
        pairs = [trial.of(people) for trial, people in zip(trials, chosen, strict=True)]
        _add_group(builder, pairs, name, label, comparison.seed)


def _add_group(
    builder: RowBuilder, pairs: Sequence[tuple[np.ndarray, np.ndarray]], suffix: str, label: str, seed: int
) -> None:
    """Append AUC and true positive rates of the scores of members and others; of several trials, the mean."""
    sizes = [len(scores) for pair in pairs for scores in pair]
    quantities = {f"{_NAME} AUC, {suffix}": 0.5, **{f"{_NAME} TPR at {100 * r:g} % FPR, {suffix}": r for r in RATES}}
    for name, chance in quantities.items():
        if min(sizes) < MIN_JUDGED // 2:
            builder.cannot(name, f"{chance:g}", f"needs {MIN_JUDGED // 2} people of each kind", label)
            continue

        def statistic(*people: np.ndarray, chance: float = chance) -> float:
            values = []
            for (members, others), i, j in zip(pairs, people[::2], people[1::2], strict=True):
                scores = members[i], others[j]
                values.append(roc_auc(*scores) if chance == 0.5 else true_positive_rate(*scores, chance))
            return float(np.mean(values))

        value = statistic(*map(np.arange, sizes))
        note = f"{sizes[0]} members and {sizes[1]} others judged; floor: chance"
        note += interpolated(chance, sizes[1]) if chance < 0.5 else ""
        builder.add(name, value, chance, f"{chance:g}", interval(statistic, sizes, seed), note, label)
