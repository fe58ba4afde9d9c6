"""Privacy: what the synthetic people give away about the training people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..numerics import roc_auc
from .comparison import Cohort, Comparison
from .haplotypes import adversarial_accuracy
from .rows import Row, RowBuilder, interval

FALSE_POSITIVES = 0.01
NEAR = 0.1  # of the distance between training people: what counts as a near copy
INTERPOLATED = "; interpolated: "  # in the note of a rate below the first that the others can have
COPY_NOTES = (
    "share of rows equal to a training row",
    f"share of rows within {NEAR:g} of the way from a training row to the next person",
    f"share of people within {NEAR:g} of the way from a training person to the next",
)


def roc_curve(members: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates over all thresholds, from rate 0 to 1; larger scores mean "member".

    Of several true positive rates at one false positive rate the highest is kept. Counted in sorted scores because a
    bootstrap needs hundreds of curves, and `sklearn.metrics.roc_curve`, which it equals, takes six times as long.
    """
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    tpr, fpr = (1 - np.searchsorted(np.sort(x), thresholds, side="left") / len(x) for x in (members, others))
    tpr, fpr = np.concatenate([[0.0], tpr]), np.concatenate([[0.0], fpr])
    highest = np.append(np.diff(fpr) > 0, True)
    return fpr[highest], tpr[highest]


def true_positive_rate(members: np.ndarray, others: np.ndarray, false_positives: float = FALSE_POSITIVES) -> float:
    """Return the share of members that is detected at a given false positive rate.

    The ROC curve is interpolated linearly, that is, ties are broken at random in expectation; without that, copies that
    a held-out person shares by chance would hide real ones. Larger scores mean "member".
    """
    return float(np.interp(false_positives, *roc_curve(members, others)))


def interpolated(false_positives: float, others: int) -> str:
    """Return a remark for a true positive rate at a false positive rate that so few others cannot have, or nothing."""
    if others * false_positives >= 1:
        return ""
    return f"{INTERPOLATED}one of {others} is {100 / others:.2g} %"


def privacy_loss(comparison: Comparison) -> list[Row]:
    """Compare nearest-neighbour accuracy against held-out people with that against training people.

    AATS(H, S) - AATS(T, S), AATS = (AA_truth + AA_syn) / 2, both at the size of the held-out set (Yale et al. 2020);
    positive means nearer to train.
    """
    comparison.cohort("holdout")
    builder = comparison.builder("privacy")
    groups = []  # by person: AA_truth and AA_syn against held-out people, then against train
    for name in ("holdout", "train"):
        for by_row in adversarial_accuracy(comparison, name, "synthetic"):
            by_person = by_row.reshape(-1, comparison.train.rows_per_person).mean(axis=1)
            groups.append(by_person[np.isfinite(by_person)])

    def loss(*people: np.ndarray) -> float:
        truth, syn, truth_train, syn_train = (x[i].mean() for x, i in zip(groups, people, strict=True))
        return float(truth + syn - truth_train - syn_train) / 2

    value = loss(*(np.arange(len(group)) for group in groups))
    span = interval(loss, [len(group) for group in groups], comparison.seed)
    builder.add("privacy loss", value, 0.0, "0", span, "AATS(holdout) - AATS(train); floor: the value without a leak")
    return builder.rows


def membership(comparison: Comparison) -> list[Row]:
    """Attack membership by distance: a haplotype near the synthetic set is taken for a training haplotype.

    The score is minus the distance to the nearest synthetic row. AUC and true positives at 1 % false positives, mean
    over ten subsamples of train with the size and labels of the held-out set (Chen et al. 2020, black-box attack).
    """
    comparison.cohort("holdout")
    builder = comparison.builder("privacy")
    width = comparison.train.rows_per_person
    members, others = (  # (people, rows a person)
        -comparison.distances(name, "synthetic").min(axis=1).reshape(-1, width) for name in ("train", "holdout")
    )
    trials = [(members[s["train"]].ravel(), others[s["holdout"]].ravel()) for s in comparison.subsamples]
    note = f"{len(trials[0][0])} members and as many others, mean of {len(trials)} subsamples; floor: chance"
    few = interpolated(FALSE_POSITIVES, len(trials[0][1]))
    attacks: tuple[tuple[str, Callable[..., float], float, str], ...] = (
        ("membership AUC", roc_auc, 0.5, note),
        ("membership TPR at 1 % FPR", true_positive_rate, FALSE_POSITIVES, note + few),
    )
    for name, attack, chance, remark in attacks:

        def resampled(i: np.ndarray, j: np.ndarray, attack: Callable[..., float] = attack) -> float:
            return attack(members[i].ravel(), others[j].ravel())

        value = float(np.mean([attack(*trial) for trial in trials]))
        span = interval(resampled, (len(members), len(others)), comparison.seed)
        builder.add(name, value, chance, f"{chance:g}", span, remark)
    if comparison.parent is None:
        rates = roc_curve(members.ravel(), others.ravel())
        points = np.unique(np.linspace(0, len(rates[0]) - 1, min(200, len(rates[0]))).astype(int))
        curve = {name: rate[points].round(5).tolist() for name, rate in zip(("fpr", "tpr"), rates, strict=True)}
        comparison.figures["membership_roc"] = curve
    return builder.rows


def likelihood_ratio_scores(
    dosages: np.ndarray, released: np.ndarray, background: np.ndarray, ploidy: int = 2
) -> np.ndarray:
    """Return each person's log-likelihood ratio of the released against the background frequencies.

    The attack of Sankararaman et al. (2009), after Homer et al. (2008). Dosages are int8, shape (sites, people); -1 is
    missing and adds nothing. The alt-allele frequencies, shape (sites,), are strictly between 0 and 1.
    """
    called = dosages >= 0
    alt = np.log(released / background).astype(np.float32)
    ref = np.log((1 - released) / (1 - background)).astype(np.float32)
    x = np.where(called, dosages, 0).astype(np.float32)
    return alt @ x + ref @ (called * np.float32(ploidy) - x)


def frequency_attack(comparison: Comparison) -> list[Row]:
    """Attack membership by the allele frequencies of the synthetic set alone.

    The score of a person is the log-likelihood ratio of their genotypes under the frequencies of S and of a background
    (`likelihood_ratio_scores`), AUC of train against held-out people. Half of the held-out people give the background
    frequencies, the other half are the others; then the halves are exchanged.
    """
    held = comparison.cohort("holdout")
    builder = comparison.builder("privacy", 2 * 5)

    def smoothed(cohort: Cohort) -> np.ndarray:
        return (cohort.alts + 0.5) / (cohort.called + 1)

    released = smoothed(comparison.synthetic)
    halves = comparison.halves(held, 12)
    train = comparison.train.dosages[:, comparison.subsamples[0]["train"]]
    members, others = [], []
    for half, tested in (halves, halves[::-1]):
        background = smoothed(held.take(half))
        members.append(likelihood_ratio_scores(train, released, background, held.ploidy))
        others.append(likelihood_ratio_scores(held.dosages[:, tested], released, background, held.ploidy))

    def auc(i: np.ndarray, *j: np.ndarray) -> float:
        return float(np.mean([roc_auc(m[i], o[k]) for m, o, k in zip(members, others, j, strict=True)]))

    sizes = [len(members[0]), *map(len, others)]
    value, span = auc(*map(np.arange, sizes)), interval(auc, sizes, comparison.seed)
    note = "likelihood ratio per person; background: half of the held-out people; floor: chance"
    builder.add("frequency attack AUC", value, 0.5, "0.5", span, note)
    return builder.rows


def person_distances(rows: np.ndarray, per_person: int) -> np.ndarray:
    """Return the distances between people, of their two haplotypes paired the better way, summed: (people, people).

    The distances are given by row, and consecutive rows belong to one person. Of people with one row (dosages,
    haploids) they are returned as they are, of those with more than two the nearest rows count.
    """
    if per_person == 1:
        return rows
    if per_person > 2:
        return rows.reshape(len(rows) // per_person, per_person, -1, per_person).min((1, 3))
    straight = rows[::2, ::2] + rows[1::2, 1::2]
    crossed = rows[::2, 1::2] + rows[1::2, ::2]
    return np.minimum(straight, crossed)


def near_copies(within: np.ndarray, across: np.ndarray, per_person: int = 1) -> np.ndarray:
    """Return for each row (or person) of another set whether it nearly copies one training person: bool, shape (rows,).

    The distance d(s, t) to a training row t is at most a tenth of what separates t from the nearest row of another
    training person (a nearest-neighbour distance ratio, Zhao et al. 2021). A haplotype that several training people
    carry is nobody's: to equal it is no copy. The distances have the shapes (training rows, training rows) and
    (training rows, rows); `per_person` consecutive training rows are one person's.
    """
    other = within.astype(np.float32, copy=True)
    rows = np.arange(len(other))
    for k in range(per_person):  # a person is not their own neighbour
        other[rows, rows // per_person * per_person + k] = np.inf
    limit = NEAR * other.min(axis=1, keepdims=True)
    limit[np.isinf(limit)] = 0
    return np.asarray(((across <= limit) & (limit > 0)).any(axis=0))


def closest_records(comparison: Comparison) -> list[Row]:
    """Compare distances to the nearest training row, in shares of the sites: synthetic beside held-out.

    Median and 5 % quantile of min_t d(s, t); exact copies, the share of rows with min_t d = 0; near copies, the share
    of rows, and copied people, the share of people in both haplotypes at once (`person_distances`), that nearly copy
    one training person (`near_copies`): these detect a few copies among many, and copies with some alleles changed.
    Unseen people equal training haplotypes as well where haplotypes are common, so only the excess over the floor is a
    leak; the intervals of copies therefore resample held-out people as well.
    """
    builder = comparison.builder("privacy")
    length = comparison.train.n_sites * comparison.train.levels
    width = comparison.train.rows_per_person
    within = comparison.distances("train", "train")
    people_within = person_distances(within, width)
    nearest: dict[str, np.ndarray] = {}
    copies: dict[str, dict[str, np.ndarray]] = {"exact copies": {}, "near copies": {}, "copied people": {}}
    for name in comparison.cohorts:
        if name != "train":
            across = comparison.distances("train", name)
            nearest[name] = across.min(axis=0) / length
            copies["exact copies"][name] = (nearest[name] == 0).reshape(-1, width).mean(axis=1)
            copies["near copies"][name] = near_copies(within, across, width).reshape(-1, width).mean(axis=1)
            people = near_copies(people_within, person_distances(across, width))
            copies["copied people"][name] = people.astype(float)
    by_person = nearest["synthetic"].reshape(-1, width)
    quantiles: dict[str, Callable[[np.ndarray], float]] = {
        "closest record, median": lambda distances: float(np.median(distances)),
        "closest record, 5 % quantile": lambda distances: float(np.quantile(distances, 0.05)),
    }
    for name, statistic in quantiles.items():
        floor = statistic(nearest["holdout"]) if comparison.holdout else None
        span = interval(lambda i, f=statistic: f(by_person[i]), len(by_person), comparison.seed)
        builder.add(name, statistic(by_person), floor, "floor", span, "share of sites; below the floor is too near")
    for (name, shares), note in zip(copies.items(), COPY_NOTES, strict=True):
        _add_copies(builder, name, shares, note, comparison.seed)
    if comparison.parent is None:
        top = max(float(np.quantile(np.concatenate(list(nearest.values())), 0.995)), 1 / length)
        edges = np.linspace(0, top, 41)
        counts = {name: np.histogram(distances, edges)[0] / len(distances) for name, distances in nearest.items()}
        bars = {name: share.round(6).tolist() for name, share in {"edges": edges, **counts}.items()}
        comparison.figures["nearest"] = bars
    return builder.rows


def _add_copies(builder: RowBuilder, name: str, shares: dict[str, np.ndarray], note: str, seed: int) -> None:
    groups = list(shares.values())  # by person: synthetic, and held-out if there are any
    floor = float(groups[1].mean()) if len(groups) > 1 else None

    def resampled(i: np.ndarray, *j: np.ndarray) -> float:
        value = groups[0][i].mean()
        return float(value) if floor is None else min(1.0, max(0.0, float(value - groups[1][j[0]].mean() + floor)))

    span = interval(resampled, [len(group) for group in groups], seed)
    builder.add(name, float(groups[0].mean()), floor, "at most floor", span, note)
