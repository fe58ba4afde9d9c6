"""Evaluation: how closely synthetic people resemble real ones, and what they give away about the training people.

Every metric is computed for the synthetic set against held-out people, and shown with its floor, the same metric for
the training people: an ideal generator meets the floor, and copying the training people cannot beat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from threadpoolctl import threadpool_limits

from ..errors import DataError, listed
from ..genotypes import Genotypes
from ..provenance import provenance
from ..runtime.progress import OnEvent
from . import frequency, haplotypes, informed_membership, linkage, privacy, structure, utility
from .comparison import Comparison
from .evaluation import Evaluation, figure
from .preparation import Shadow, prepare
from .rows import NotComputable, Row

__all__ = ["Evaluation", "NotComputable", "Row", "Shadow", "evaluate", "figure"]

Measure = tuple[str, tuple[tuple[str, str], ...], Callable[[Comparison], list[Row]], bool]

# topic; metrics with their aims, for rows that cannot be computed; function; whether it is computed by label, too
MEASURES: tuple[Measure, ...] = (
    ("frequency", (("AF RMSE", "lower"), ("AF max error", "lower"), ("AF r", "higher")),
     frequency.allele_frequencies, True),
    ("frequency", (("sites lost", "lower"),), frequency.sites_lost, True),
    ("frequency", (("SFS distance", "lower"), ("singleton share", "floor")), frequency.spectra, True),
    ("linkage", (("LD RMSE", "lower"), ("LD r", "higher"), ("LD decay RMSE", "lower")),
     linkage.linkage_disequilibrium, True),
    ("linkage", (("far pairs r", "higher"),), linkage.far_pairs, True),
    ("linkage", (("3-point r within labels", "higher"),), linkage.three_point, True),
    ("structure", (("PCA variance ratio", "1"), ("sliced Wasserstein", "lower")), structure.pca, True),
    ("structure", (("Fst error", "lower"),), structure.fst, False),
    ("structure", (("heterozygosity W1", "lower"), ("inbreeding error", "lower")), structure.heterozygosities, True),
    ("haplotypes", (("pairwise distance W1, within", "lower"), ("pairwise distance W1, across", "lower")),
     haplotypes.pairwise_distances, True),
    ("haplotypes", (("H1 RMSE", "lower"), ("H12 RMSE", "lower")), haplotypes.homozygosity, True),
    ("haplotypes", (("longest shared tract", "floor"),), haplotypes.shared_tracts, False),
    ("indistinguishable", (("AA_truth", "0.5"), ("AA_syn", "0.5"), ("AA_truth, against train", "0.5"),
                           ("AA_syn, against train", "0.5")), haplotypes.nearest_neighbours, True),
    ("indistinguishable", (("density", "floor"), ("coverage", "floor")), haplotypes.neighbourhoods, True),
    ("indistinguishable", (("C2ST AUC, gradient boosting", "0.5"), ("C2ST AUC, logistic", "0.5")),
     haplotypes.classifiers, False),
    ("privacy", (("privacy loss", "0"),), privacy.privacy_loss, True),
    ("privacy", (("membership AUC", "0.5"), ("membership TPR at 1 % FPR", "0.01")), privacy.membership, True),
    ("privacy", (("frequency attack AUC", "0.5"),), privacy.frequency_attack, True),
    ("privacy", informed_membership.METRICS, informed_membership.informed_attacks, False),
    ("privacy", (("closest record, median", "floor"), ("closest record, 5 % quantile", "floor"),
                 ("exact copies", "at most floor"), ("near copies", "at most floor"),
                 ("copied people", "at most floor")), privacy.closest_records, True),
    ("utility", (("TSTR accuracy", "higher"), ("label fidelity", "floor")), utility.labels, False),
)  # fmt: skip


def evaluate(
    train: Genotypes,
    synthetic: Genotypes,
    *,
    holdout: Genotypes | None = None,
    label: str | Sequence[str] | None = None,
    augment: str | None = None,
    more: Genotypes | None = None,
    shadows: Sequence[Shadow] = (),
    seed: int = 0,
    on_event: OnEvent | None = None,
) -> Evaluation:
    """Measure a synthetic set against real people.

    Every metric f gives f(synthetic, holdout), with its floor f(train, holdout). The synthetic set is first matched to
    train in size and label composition. Without held-out people, the comparison is with train, and noise floors and
    privacy metrics are not computed.

    Parameters
    ----------
    train : Genotypes
        The people that the generator was fitted to.
    synthetic : Genotypes
        Synthetic people, at the same sites in the same order.
    holdout : Genotypes, optional
        Real people that the generator has not seen.
    label : str or sequence of str, optional
        Label column or columns; with several, a label is named by its values joined with "/". By default `super_pop`
        if all sets have it, else the first column that all sets have, else none.
    augment : str, optional
        A label value: also measure what a classifier gains from its synthetic people if it has few real ones
        (`utility.augmentation`; about ten classifiers are trained).
    more : Genotypes, optional
        Further people of the same generator that are public too, or will be: the informed attacks then also use all of
        them. More synthetic people than training people have the same effect.
    shadows : sequence of Shadow, optional
        People of generators that were fitted to other parts of train and holdout (`release.shadow_models`): one more
        informed attack learns its weights from them, and knows no member.
    seed : int
        Random seed; the same seed gives the same numbers.
    on_event : callable, optional
        Called with {"event": "measure", "topic", "metric", "label", "done", "total"} before each measure.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If the sets do not have the same sites or ploidy, train and holdout share people, a label column is absent, or
        a set is empty.
    """
    comparison, matching = prepare(train, synthetic, holdout, label, seed, more, shadows)
    measures: tuple[Measure, ...] = MEASURES
    if augment is not None:
        if augment not in comparison.by_label:
            raise DataError(f"No label has the value {augment!r}; the values: {listed(comparison.by_label)}.")
        names = tuple((utility.augmented(augment, kept), "floor") for kept in utility.KEPT)
        measures += (("utility", names, partial(utility.augmentation, value=augment), False),)
    # One thread: many of the products are small, and threads that wait for each other on a busy machine cost up to
    # twenty times what they save; the numbers then do not depend on the number of cores, either.
    with threadpool_limits(1):
        rows = tuple(_rows(comparison, measures, on_event or (lambda event: None)))
    return Evaluation(rows, comparison.figures, provenance(seed, **matching))


def _rows(comparison: Comparison, measures: Sequence[Measure], on_event: OnEvent) -> Iterator[Row]:
    labels = comparison.by_label if len(comparison.by_label) > 1 else {}
    total = sum(1 + len(labels) * by_label for *_, by_label in measures)
    done = 0
    for topic, metrics, function, by_label in measures:
        for part in (comparison, *labels.values()) if by_label else (comparison,):
            names = ", ".join(name for name, _ in metrics)
            event = {"event": "measure", "topic": topic, "metric": names, "label": part.label}
            on_event({**event, "done": done, "total": total})
            done += 1
            try:
                yield from function(part)
            except NotComputable as reason:
                yield from (Row(topic, name, part.label, None, aim=aim, note=str(reason)) for name, aim in metrics)
            for cohort in part.cohorts.values():
                cohort.forget()
