"""Evaluation of a genome-wide model: its people against real people, seams against the inside of windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..errors import DataError
from ..genotypes import Genotypes, Variants, concat
from ..labels import label_groups
from ..metrics import Evaluation, NotComputable, Row
from ..metrics import evaluate as evaluate_sites
from ..metrics.genome import agreement, ancestry_scores, far_pairs, linkage_error
from ..metrics.rows import interval
from ..provenance import file_names
from ..runtime.progress import OnEvent
from ..variants import require_sites
from .model import GenomeModel
from .scan import Source, read_chunks

SITES = 5000  # of the genome, at which all metrics but those of seams are computed
COMMON = 0.05
BESIDE = 50  # common sites on either side of a cut
_SEARCHED = 5000  # sites on either side of it


def evaluate(
    model: GenomeModel,
    real: Source,
    synthetic: Source,
    *,
    train: Sequence[str] | Callable[[list[str]], Sequence[str]] | None = None,
    label: Sequence[str] | None = None,
    seed: int = 0,
    on_event: OnEvent | None = None,
) -> Evaluation:
    """Compare people of a genome-wide model with real people; the genome is never held in memory as a whole.

    All metrics of `pgcgan.evaluate` are computed at 5,000 common sites of the whole genome. In addition: the error of
    r² of pairs of common sites across the seams of windows, beside that of pairs as far apart inside windows; the
    signed r of pairs of sites on two contigs; and how well the ancestry of a person, within the label, agrees between
    contigs.

    Parameters
    ----------
    model : GenomeModel
        The model that made the people: it knows the sites and the seams.
    real, synthetic : Source
        A .vcf.gz or .bcf needs its index.
    train : sequence of str, or callable, optional
        Names of the real people whom the model was fitted to, or what returns them, given all names; the others are
        held out. By default all were fitted to, there are no floors, and the comparison is with them.
    label : sequence of str, optional
        By default that of the model.
    seed : int
    on_event : callable, optional

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If a file lacks sites of the model, or nobody is held out or trained on.
    """
    say = on_event or (lambda event: None)
    for source in (real, synthetic):
        source.check_index()
    columns = list(label or model.label)
    variants = model.variants_
    begin = str(variants.contig[0]), int(variants.position[0]), int(variants.position[0])
    names = real.read(*begin).samples.tolist()
    chosen = set(names if train is None else train(names) if callable(train) else train)
    fitted = np.array([name in chosen for name in names])
    if not fitted.any() or (train is not None and fitted.all()):
        raise DataError(f"Of the {len(fitted)} people of {real.path}, {int(fitted.sum())} were trained on; some must "
                        "have been, and others not: check the split.")  # fmt: skip
    common = np.zeros(len(variants), dtype=bool)
    pieces: tuple[list[Genotypes], list[Genotypes]] = ([], [])
    done = 0
    for _, _, _, end in read_chunks(variants, len(fitted) + synthetic.read(*begin).n_samples):
        both = [_at(source, variants.select(slice(done, end))) for source in (real, synthetic)]
        frequency = both[0].select(samples=np.flatnonzero(fitted)).allele_frequency()
        common[done:end] = np.nan_to_num(np.minimum(frequency, 1 - frequency)) >= COMMON
        # the first common site of each of so many chunks of equal length
        here = np.flatnonzero(common[done:end])
        thinned = here[np.unique((here + done) * SITES // len(variants), return_index=True)[1]]
        for part_of, people in zip(pieces, both, strict=True):
            part_of.append(people.select(sites=thinned))
        done = end
        say({"stage": "reading", "fraction": done / len(variants), "detail": f"{done:,} sites"})
    if not common.any():
        raise DataError("No site has a minor allele frequency of 5 % among the training people: nothing to compare.")
    whole, generated = (concat(of, axis="variants") for of in pieces)
    trained, unseen = (whole.select(samples=np.flatnonzero(of)) for of in (fitted, ~fitted))
    holdout = None if train is None else unseen
    evaluation = evaluate_sites(trained, generated, holdout=holdout, label=columns, seed=seed, on_event=on_event)
    rows = [*_seams(model, common, (real, synthetic), fitted, train is not None, seed)]
    rows += _contigs(trained, generated, holdout, columns, seed)
    remark = (
        f"All rows but those across seams and inside windows are at {whole.n_variants:,} common sites of "
        f"{len(variants):,}; evaluate a region of its own to see rare alleles."
    )
    how = {
        **evaluation.provenance,
        "files": file_names(synthetic=str(synthetic.path), real=str(real.path)),
        "remarks": [remark, *evaluation.provenance["remarks"]],
        "windows": len(model.windows_),
    }
    return dataclasses.replace(evaluation, rows=(*evaluation.rows, *rows), provenance=how)


def _at(source: Source, sites: Variants) -> Genotypes:
    """Return the people of a source at sites of a contig of the model."""
    genotypes = source.read(str(sites.contig[0]), int(sites.position[0]), int(sites.position[-1]))
    require_sites(genotypes.variants, sites, f"of the model are not in {source.path}")
    return genotypes.align(sites)


def _seams(
    model: GenomeModel, common: np.ndarray, sources: Sequence[Source], fitted: np.ndarray, unseen: bool, seed: int
) -> Iterator[Row]:
    """Yield the errors of r² across seams, and in the middle of windows."""
    for name, cuts in zip(("LD RMSE, across seams", "LD RMSE, inside windows"), model.seams(), strict=True):
        errors, floors = [], []
        for cut in cuts:
            sites = _around(model.variants_.contig, common, cut)
            if len(sites) < 2 * BESIDE:
                continue
            people, synthetic = (_at(source, model.variants_.select(sites)) for source in sources)
            trained, others = (people.select(samples=np.flatnonzero(of)) for of in (fitted, ~fitted))
            errors.append(linkage_error(others if unseen else trained, synthetic, BESIDE))
            if unseen:
                floors.append(linkage_error(others, trained, BESIDE))
        if not errors:
            yield Row("linkage", name, "all", None, note=f"no seam has {BESIDE} common sites on both sides")
            continue
        sums = _sums(errors)
        low, high = interval(lambda i, s=sums: _root(s[i]), len(sums), seed)
        note = f"pairs of common sites less than {BESIDE} apart at {len(errors)} places"
        floor = _root(_sums(floors)) if unseen else None
        yield Row("linkage", name, "all", _root(sums), floor, "lower", low, high, note)


def _around(contig: np.ndarray, common: np.ndarray, cut: int) -> np.ndarray:
    """Return the nearest common sites of the contig before and behind a cut, `BESIDE` of each if there are so many."""
    start = max(0, cut - _SEARCHED)
    near = np.flatnonzero(common[start : cut + _SEARCHED]) + start
    near = near[contig[near] == contig[cut]]
    return np.concatenate([near[near < cut][-BESIDE:], near[near >= cut][:BESIDE]])


def _sums(errors: Sequence[np.ndarray]) -> np.ndarray:
    """Return how many errors there are at each place, and the sum of their squares: (places, 2)."""
    return np.array([(len(of_place), of_place @ of_place) for of_place in errors], dtype=np.float64)


def _root(sums: np.ndarray) -> float:
    pairs, squares = sums.sum(axis=0)
    return float(np.sqrt(squares / pairs))


def _contigs(
    trained: Genotypes, synthetic: Genotypes, holdout: Genotypes | None, label: Sequence[str], seed: int
) -> Iterator[Row]:
    """Yield the rows on what two contigs of a person have in common."""
    reference, name = holdout or trained, "far pairs r, between contigs"
    try:
        floor = None if holdout is None else far_pairs(holdout, trained, seed=seed)
        value = far_pairs(reference, synthetic, seed=seed)
        yield Row("linkage", name, "all", value, floor, "higher", note="signed r of dosages at sites of two contigs")
    except NotComputable as reason:
        yield Row("linkage", name, "all", None, aim="higher", note=str(reason))
    own = label_groups(trained.labels, label)
    try:
        drawn, real = (
            agreement(ancestry_scores(trained, people, own, label_groups(people.labels, label)), seed)
            for people in (synthetic, reference)
        )
    except NotComputable as reason:
        yield Row("structure", "ancestry between contigs", "all", None, aim="floor", note=str(reason))
        return
    for axis, (r, low, high) in enumerate(zip(*drawn, strict=True)):
        note = f"correlation of people's scores within labels; real people {real[1][axis]:.3f} to {real[2][axis]:.3f}"
        metric = f"ancestry between contigs, axis {axis + 1}"
        yield Row("structure", metric, "all", float(r), float(real[0][axis]), "floor", float(low), float(high), note)
