"""What the synthetic people give away about the training people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .haplotypes import adversarial_accuracy, roc_auc
from .matched import People, Sets
from .resampling import interval
from .rows import Measured, Row

FALSE_POSITIVES = 0.01
NEAR = 0.1  # of the distance between training people: what counts as a near copy


def true_positive_rate(members: np.ndarray, others: np.ndarray, false_positives: float = FALSE_POSITIVES) -> float:
    """Return the share of members found when a given share of the others is wrongly found.

    Tied scores are broken at random in expectation, that is the ROC curve is interpolated linearly (as sklearn's
    roc_curve with np.interp); without that, copies that a held-out person shares by chance would hide real ones.

    Parameters
    ----------
    members, others : arrays of float
        Scores; larger means "member".
    """
    fpr, tpr = roc_curve(members, others)
    return float(np.interp(false_positives, fpr, tpr))


def roc_curve(members: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates over all thresholds, from (0, 0) to (1, 1)."""
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    fpr = 1 - np.searchsorted(np.sort(others), thresholds, side="left") / len(others)
    tpr = 1 - np.searchsorted(np.sort(members), thresholds, side="left") / len(members)
    fpr, tpr = np.concatenate([[0.0], fpr]), np.concatenate([[0.0], tpr])
    # Of several points above one another the last is the one reached before the rate moves on.
    last = np.append(np.diff(fpr) > 0, True)
    return (fpr[last], tpr[last]) if not last.all() else (fpr, tpr)


def privacy_loss(sets: Sets) -> list[Row]:
    """Compare how well nearest neighbours tell the synthetic set from held-out and from training people.

    AATS(H, S) - AATS(T, S), AATS = (AA_truth + AA_syn) / 2, both at the size of the held-out set (Yale et al. 2020);
    positive means nearer to train.
    """
    sets.cohort("holdout")
    sets.require()
    parts = [adversarial_accuracy(sets, name, "synthetic") for name in ("holdout", "train")]
    means = [[float(np.nanmean(x)) for x in pair] for pair in parts]
    value = (sum(means[0]) - sum(means[1])) / 2
    per_person = sets.train.per_person
    people = [
        [x.reshape(-1, per_person).mean(axis=1)[np.isfinite(x.reshape(-1, per_person)).all(axis=1)] for x in pair]
        for pair in parts
    ]

    groups = [x for pair in people for x in pair]

    def resampled(*indices: np.ndarray) -> float:
        truth, syn, truth_train, syn_train = (x[i].mean() for x, i in zip(groups, indices, strict=True))
        return float(truth + syn - truth_train - syn_train) / 2

    measured = Measured(sets.label, "privacy")
    span = interval(resampled, [len(x) for x in groups], sets.seed)
    measured.add("privacy loss", value, 0.0, "0", span, "AATS(holdout) - AATS(train); floor: what no leak gives")
    return measured.rows


def membership(sets: Sets) -> list[Row]:
    """Attack membership by distance: a haplotype near to the synthetic set is taken for one that was trained on.

    The score is minus the distance to the nearest synthetic row. AUC and true positives at 1 % false positives, mean
    over ten cuts of train to the size and labels of the held-out set (Chen et al. 2020, black-box attack).
    """
    sets.cohort("holdout")
    sets.require()
    width = sets.train.per_person
    members = -sets.distances("train", "synthetic").min(axis=1).reshape(-1, width)  # (people, rows a person)
    others = -sets.distances("holdout", "synthetic").min(axis=1).reshape(-1, width)
    trials = [(members[cut["train"]].ravel(), others[cut["holdout"]].ravel()) for cut in sets.cuts]
    measured = Measured(sets.label, "privacy")
    for name, attack, floor, aim in (
        ("membership AUC", roc_auc, 0.5, "0.5"),
        ("membership TPR at 1 % FPR", true_positive_rate, FALSE_POSITIVES, "0.01"),
    ):
        value = float(np.mean([attack(*trial) for trial in trials]))

        def resampled(i: np.ndarray, j: np.ndarray, attack: Callable[..., float] = attack) -> float:
            return attack(members[i].ravel(), others[j].ravel())

        span = interval(resampled, (len(members), len(others)), sets.seed)
        note = f"{len(trials[0][0])} members and as many others, mean of {len(trials)} cuts; floor: chance"
        measured.add(name, value, floor, aim, span, note)
    if sets.parent is None:
        fpr, tpr = roc_curve(members.ravel(), others.ravel())
        keep = np.unique(np.linspace(0, len(fpr) - 1, min(200, len(fpr))).astype(int))
        sets.figures["membership_roc"] = {"fpr": fpr[keep].round(5).tolist(), "tpr": tpr[keep].round(5).tolist()}
    return measured.rows


def likelihood_ratio_scores(
    dosages: np.ndarray, released: np.ndarray, background: np.ndarray, ploidy: int = 2
) -> np.ndarray:
    """Return each person's log-likelihood ratio of the released against the background frequencies.

    The attack of Sankararaman et al. (2009), after Homer et al. (2008).

    Parameters
    ----------
    dosages : array of int8, shape (sites, people)
        -1 = missing, which adds nothing.
    released, background : arrays of float, shape (sites,)
        Alt-allele frequencies strictly between 0 and 1.
    """
    called = dosages >= 0
    alt = np.log(released / background).astype(np.float32)
    ref = np.log((1 - released) / (1 - background)).astype(np.float32)
    x = np.where(called, dosages, 0).astype(np.float32)
    return alt @ x + ref @ (called * np.float32(ploidy) - x)


def frequency_attack(sets: Sets) -> list[Row]:
    """Attack membership by the allele frequencies of the synthetic set alone.

    The score of a person is the log-likelihood ratio of their genotypes under the frequencies of S and of a background
    (`likelihood_ratio_scores`), AUC of train against held-out people. Half of the held-out people give the background
    frequencies, the other half are the others; then they change places.
    """
    held = sets.cohort("holdout")
    sets.require(2 * 5)

    def smoothed(cohort: People) -> np.ndarray:
        return (cohort.alts + 0.5) / (cohort.called + 1)

    released = smoothed(sets.synthetic)
    order = sets.generator(12).permutation(held.people)
    if held.labels is not None:
        order = order[np.argsort(held.labels[order].astype(str), kind="stable")]
    halves = order[0::2], order[1::2]
    members, others = [], []
    for background, tested in (halves, halves[::-1]):
        base = smoothed(held.take(background))
        ploidy = held.calls.shape[2]
        cut = sets.cuts[0]["train"]
        members.append(likelihood_ratio_scores(sets.train.dosages[:, cut], released, base, ploidy))
        others.append(likelihood_ratio_scores(held.dosages[:, tested], released, base, ploidy))
    value = float(np.mean([roc_auc(m, o) for m, o in zip(members, others, strict=True)]))

    def resampled(i: np.ndarray, *j: np.ndarray) -> float:
        return float(np.mean([roc_auc(m[i], o[k]) for m, o, k in zip(members, others, j, strict=True)]))

    measured = Measured(sets.label, "privacy")
    span = interval(resampled, [len(members[0]), *map(len, others)], sets.seed)
    note = "likelihood ratio per person; background: half of the held-out people; floor: chance"
    measured.add("frequency attack AUC", value, 0.5, "0.5", span, note)
    return measured.rows


def person_distances(rows: np.ndarray, per_person: int) -> np.ndarray:
    """Return the distance between people: of their two haplotypes paired the better way, summed.

    Parameters
    ----------
    rows : array, shape (rows of one set, rows of another)
        Distances; consecutive rows belong to one person.
    per_person : int
        Rows a person has; with one (dosages, haploids) the distances are returned as they are, with two paired.

    Returns
    -------
    array, shape (people of one set, people of another)
    """
    if per_person != 2:
        return (
            rows if per_person == 1 else rows.reshape(len(rows) // per_person, per_person, -1, per_person).min((1, 3))
        )
    straight = rows[::2, ::2] + rows[1::2, 1::2]
    crossed = rows[::2, 1::2] + rows[1::2, ::2]
    return np.minimum(straight, crossed)


def near_copies(within: np.ndarray, across: np.ndarray, per_person: int = 1) -> np.ndarray:
    """Return for each row (or person) of another set whether it nearly copies one training person: bool, shape (rows,).

    The distance d(s, t) to a training row t is at most a tenth of what separates t from the nearest row of another
    training person (a nearest-neighbour distance ratio, Zhao et al. 2021). A haplotype that several training people
    carry is nobody's: to equal it is no copy.

    Parameters
    ----------
    within : array, shape (training rows, training rows)
    across : array, shape (training rows, rows)
        Distances.
    per_person : int
        Consecutive training rows of one person.
    """
    other = within.astype(np.float32, copy=True)
    rows = np.arange(len(other))
    for k in range(per_person):  # a person is not their own neighbour
        other[rows, rows // per_person * per_person + k] = np.inf
    limit = NEAR * other.min(axis=1, keepdims=True)
    limit[np.isinf(limit)] = 0
    return np.asarray(((across <= limit) & (limit > 0)).any(axis=0))


def closest_records(sets: Sets) -> list[Row]:
    """Compare distances to the nearest training row, in shares of the sites: synthetic beside held-out.

    Median and 5 % quantile of min_t d(s, t); exact copies, the share of rows with min_t d = 0; near copies, the share
    of rows, and copied people, the share of people in both haplotypes at once (`person_distances`), that nearly copy
    one training person (`near_copies`): these see a few copies among many, with some alleles changed, too. Unseen
    people equal training haplotypes as well where haplotypes are common, so only the excess over the floor is a leak;
    the intervals of all kinds of copies therefore hold the noise of the floor, resampling held-out people as well.
    """
    sets.require()
    length = sets.train.sites * sets.train.top
    width = sets.train.per_person
    within = sets.distances("train", "train")
    people_within = person_distances(within, width)
    near, copied, whole = {}, {}, {}
    for name in sets.names[1:]:
        across = sets.distances("train", name)
        near[name] = across.min(axis=0) / length
        copied[name] = near_copies(within, across, width).reshape(-1, width).mean(axis=1)
        whole[name] = near_copies(people_within, person_distances(across, width)).astype(float)
    measured = Measured(sets.label, "privacy")
    own, held = near["synthetic"], near.get("holdout")
    people = own.reshape(-1, width)
    for name, statistic in (
        ("closest record, median", lambda d: float(np.median(d))),
        ("closest record, 5 % quantile", lambda d: float(np.quantile(d, 0.05))),
    ):
        measured.add(
            name,
            statistic(own),
            None if held is None else statistic(held),
            "floor",
            interval(lambda i, f=statistic: f(people[i].ravel()), len(people), sets.seed),
            "share of sites; below the floor is too near",
        )
    exact = {name: (d == 0).reshape(-1, width).mean(axis=1) for name, d in near.items()}
    for name, shares, note in (
        ("exact copies", exact, "share of rows equal to a training row"),
        (
            "near copies",
            copied,
            f"share of rows within {NEAR:g} of the way from a training row to the next person",
        ),
        ("copied people", whole, f"share of people within {NEAR:g} of the way from a training person to the next"),
    ):
        value = shares["synthetic"]
        if held is None:
            span = interval(lambda i, v=value: float(v[i].mean()), len(value), sets.seed)
            measured.add(name, float(value.mean()), None, "at most floor", span, note)
            continue
        unseen = shares["holdout"]
        floor = float(unseen.mean())
        span = interval(
            lambda i, j, v=value, u=unseen, f=floor: max(0.0, float(v[i].mean() - u[j].mean() + f)),
            (len(value), len(unseen)),
            sets.seed,
        )
        measured.add(name, float(value.mean()), floor, "at most floor", span, note)
    if sets.parent is None:
        edges = np.linspace(0, max(float(np.quantile(np.concatenate(list(near.values())), 0.995)), 1 / length), 41)
        sets.figures["nearest"] = {
            "edges": edges.round(6).tolist(),
            **{name: (np.histogram(d, edges)[0] / len(d)).round(6).tolist() for name, d in near.items()},
        }
    return measured.rows
