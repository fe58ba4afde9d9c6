"""The verdict in words: whom it is about, fidelity, two-sample tests and privacy."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..metrics import Evaluation, Row, figure
from ..metrics.rows import STANDINGS
from .finding import Finding, other_deviations, unit_of, with_floor, worst
from .privacy import privacy, privacy_headline

# parts of the table, in the order of the verdict
PARTS = {"fidelity": "fidelity", "indistinguishable": "two-sample tests", "privacy": "privacy"}

SETS = {"train": "training people", "synthetic": "synthetic people", "holdout": "held-out people"}


def findings(evaluation: Evaluation) -> list[Finding]:
    """Return the verdict of an evaluation, part by part."""
    overall = {r.metric: r for r in evaluation.rows if r.label == "all"}
    parts = [_people(evaluation.provenance)]
    faithful = [r for r in overall.values() if r.topic not in ("privacy", "indistinguishable") and r.standing]
    if faithful and _is_held_out(evaluation):
        parts += _fidelity(faithful, evaluation.figures)
    elif overall:
        parts.append(_against_training_people(overall.values()))
    more = _two_sample(overall), privacy(overall, unit_of(evaluation)), _by_label(evaluation.rows)
    return parts + [part for part in more if part]


def tally(evaluation: Evaluation) -> str:
    """Return how many metrics are like real, near and deviate, and of which part of the table the latter are."""
    standings = [r.standing for r in evaluation.rows if r.label == "all"]
    counts = {words: standings.count(name) for name, words in STANDINGS.items()}
    shown = ", ".join(f"{count} {words if count == 1 else words.removesuffix('s')}" for words, count in counts.items())
    return f"{shown}, of the {judged_text(evaluation)}"


def judged_text(evaluation: Evaluation) -> str:
    """Return how many metrics are judged, and of which part of the table those are that deviate."""
    rows = [r for r in evaluation.rows if r.label == "all"]
    judged = [r for r in rows if r.standing]
    topics = [PARTS.get(r.topic, PARTS["fidelity"]) for r in judged if r.standing == "poor"]
    of_part = ", ".join(f"{topics.count(part)} of {part}" for part in PARTS.values() if part in topics)
    return (
        f"{len(judged)} metrics on all people, privacy included, that have a floor or an ideal; "
        f"{len(rows) - len(judged)} others are not judged." + (f" Deviations: {of_part}." if of_part else "")
    )


def verdict_text(evaluation: Evaluation, width: int = 100) -> str:
    """Return the verdict as plain text: the headline, the tally and each part.

    Parameters
    ----------
    evaluation : Evaluation
    width : int
        Characters of a line.
    """
    parts = [f"Verdict: {headline(evaluation)}.", f"Metrics: {tally(evaluation)}"]
    for part in findings(evaluation):
        parts.append(f"{part.heading}: {part.text}")
        parts += [f"- {statement} {rows}." for statement, rows in part.items]
    return "\n".join(textwrap.fill(part, width, subsequent_indent="  ") for part in parts)


def headline(evaluation: Evaluation) -> str:
    """Return the verdict in one line."""
    overall = [r for r in evaluation.rows if r.label == "all"]
    return f"{_fidelity_headline(overall, _is_held_out(evaluation))}; {privacy_headline(overall, unit_of(evaluation))}"


def _fidelity_headline(overall: Sequence[Row], is_held_out: bool) -> str:
    rows = [r for r in overall if r.topic != "privacy"]
    if not is_held_out:
        how = "judged against the training people alone" if any(r.standing for r in rows) else "not judged"
        return f"Fidelity {how}, because there are no held-out people"
    standings = [r.standing for r in rows if r.standing]
    good, poor = (standings.count(standing) / len(standings) for standing in ("good", "poor"))
    if poor == 0 and good >= 0.8:
        return "Like real people"
    if poor <= 0.15 and good >= 0.65:
        return "Like real people in most respects"
    return "Like real people in part" if poor <= 0.5 else "Unlike real people in most respects"


# ---- people -------------------------------------------------------------------------------------------------------


def compared(provenance: Mapping[str, Any]) -> str:
    """Return the files that were compared, in words, or "synthetic people" if they are not recorded."""
    names = provenance.get("files") or {}
    if "synthetic" not in names:
        return "synthetic people"
    return names["synthetic"] + (f" against {names['real']}" if "real" in names else "")


def _people(provenance: Mapping[str, Any]) -> Finding:
    names = provenance.get("files") or {}
    parts = []
    for name, count in (provenance.get("people") or {}).items():
        of = f" of {count['given']:,}" if count["used"] != count["given"] else ""
        file = names.get("synthetic" if name == "synthetic" else "real")
        parts.append(f"{count['used']:,}{of} {SETS.get(name, name)}{f' of {file}' if file else ''}")
    text = ", ".join(parts) + (f", divided by {names['split']}" if names.get("split") else "")
    if "sites" in provenance:
        text += f", at {provenance['sites']:,} sites" + ("" if provenance.get("phased", True) else ", unphased")
    labels = [v for v in (provenance.get("people_by_label") or {}).get("train", {}) if v != "all"]
    if labels:
        columns = " and ".join(map(str, provenance.get("label") or ["label"]))
        shown = ", ".join(map(str, labels[:8])) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
        text += f"; {len(labels)} values of {columns}: {shown}"
    return Finding("Compared", None, f"{text}." if text else "Not recorded.")


def _is_held_out(evaluation: Evaluation) -> bool:
    """True if there are held-out people. A floor alone may be chance, or a bootstrap of the training people."""
    people = evaluation.provenance.get("people")
    floors = [r.floor for r in evaluation.rows if r.label == "all" and r.topic != "privacy"]
    return any(floor is not None for floor in floors) and (not people or "holdout" in people)


def _against_training_people(rows: Iterable[Row]) -> Finding:
    """Return how many metrics are near their ideal, where nobody is held out."""
    judged = [r for r in rows if r.standing and r.topic not in ("privacy", "indistinguishable")]
    near = sum(r.standing != "poor" for r in judged)
    count = f": {near} of {len(judged)} metrics are near their ideal" if judged else ""
    text = f"Judged against the training people alone, without a floor{count}."
    return Finding("Fidelity", None, f"{text} Give --split (holdout=…) for a comparison with unseen people.")


# ---- fidelity -----------------------------------------------------------------------------------------------------

# what a poor row means; the first entry with the beginning of the metric's name is used
FAULTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("AF RMSE, MAF <", "AF max error, MAF <", "AF r, MAF <"), "The frequencies of rare alleles are wrong"),
    (("AF ",), "Allele frequencies are wrong"),
    (("sites lost",), "Variants are lost: some polymorphic sites have become monomorphic"),
    (("SFS", "singleton"), "The proportion of rare and common alleles is wrong"),
    (("LD decay",), "Linkage disequilibrium decays with distance in a wrong way"),
    (("LD ",), "Linkage disequilibrium between neighbouring sites is wrong"),
    (("far pairs",), "Correlations between distant sites (ancestry, long haplotypes) are lost"),
    (("3-point",), "Correlations of three sites are wrong"),
    (("sliced Wasserstein",), "The positions on the principal components are wrong"),
    (("Fst",), "The differentiation between labels (Fst) is wrong"),
    (("heterozygosity", "inbreeding"), "The two haplotypes of a person are not paired as in real people"),
    (("pairwise distance",), "The diversity of haplotypes is wrong"),
    (("H1 ", "H12 "), "The frequencies of common haplotypes are wrong"),
    (("TSTR",), "A classifier of labels trained on synthetic people performs worse on real people"),
    (("augmentation",), "A classifier of labels gains less from synthetic people than from real people"),
)
STRENGTHS = (
    ("allele frequencies", ("AF RMSE", "AF r")),
    ("rare alleles", ("AF RMSE, MAF < 5 %",)),
    ("the frequency spectrum", ("SFS distance",)),
    ("polymorphic sites kept", ("sites lost",)),
    ("linkage disequilibrium of neighbouring sites", ("LD RMSE", "LD r")),
    ("its decay with distance", ("LD decay RMSE",)),
    ("correlations of distant sites", ("far pairs r",)),
    ("correlations of three sites", ("3-point r", "3-point r within labels")),
    ("principal components", ("PCA variance ratio", "sliced Wasserstein")),
    ("differentiation between labels (Fst)", ("Fst error",)),
    ("heterozygosity and inbreeding", ("heterozygosity W1", "inbreeding error")),
    ("distances between haplotypes", ("pairwise distance W1, within", "pairwise distance W1, across")),
    ("haplotype homozygosity", ("H1 RMSE", "H12 RMSE")),
    ("classifiers trained on synthetic people", ("TSTR accuracy",)),
)


def _fidelity(rows: Sequence[Row], drawn: Mapping[str, Any]) -> list[Finding]:
    parts = []
    standing = {r.metric: r.standing for r in rows}
    good = [r for r in rows if r.standing == "good"]
    nonzero = {r.metric for r in rows if r.value or r.floor}  # where both are 0 there was nothing to preserve
    strengths = [
        words
        for words, names in STRENGTHS
        if {standing[n] for n in names if n in standing} == {"good"} and nonzero.intersection(names)
    ]
    if good:
        text = f"{len(good)} of {len(rows)} metrics are as close to held-out people as other real people are"
        parts.append(Finding("Fidelity", "good", text + (f": {', '.join(strengths)}." if strengths else ".")))
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.standing == "poor":
            groups.setdefault(_fault(row, drawn), []).append(row)
    if not groups:
        return [*parts, Finding("Deviations", "good", "No metric deviates clearly more than real people do.")]
    for group in groups.values():
        group.sort(key=_shortfall, reverse=True)
    items = []
    for words, group in sorted(groups.items(), key=lambda item: -_shortfall(item[1][0])):
        more = f"; and {len(group) - 2} more" if len(group) > 2 else ""
        items.append((f"{words}.", "; ".join(_against_floor(r) for r in group[:2]) + more))
    count = sum(map(len, groups.values()))
    verb = "deviates" if count == 1 else "deviate"
    text = f"{count} of {len(rows)} metrics of fidelity clearly {verb} more than real people do, worst first:"
    return [*parts, Finding("Deviations", "poor", text, tuple(items))]


def _fault(row: Row, drawn: Mapping[str, Any]) -> str:
    """Return what is wrong, and in which direction if the row shows it."""
    value, floor = row.value or 0.0, row.floor
    more = floor is not None and value > floor
    if row.metric.startswith("PCA variance ratio"):
        unit = "people" if row.metric.endswith("people") else "haplotypes"
        if value < 1:
            return f"Too little diversity: the variance of {unit} is only {100 * value:.0f} % of that of real ones"
        return f"Too much diversity: the variance of {unit} is {100 * value:.0f} % of that of real ones"
    if row.metric == "longest shared tract":
        if more:
            return "Tracts shared with training people are longer than those of held-out people: copying"
        return "Tracts shared with real people are too short"
    if row.metric == "label fidelity":
        if more:
            return "Synthetic people are too typical of their label: a classifier recognises them too easily"
        return "Labels of synthetic people are harder to recognise than those of real people"
    if row.metric == "singleton share":
        return f"There are too {'many' if more else 'few'} singletons"
    if row.metric == "LD decay RMSE" and "ld_decay" in drawn:
        curves = drawn["ld_decay"]
        stronger = sum(curves["synthetic"]) > sum(curves.get("holdout") or curves["train"])
        return f"Linkage disequilibrium is too {'strong' if stronger else 'weak'}, averaged over distance"
    return next((words for names, words in FAULTS if row.metric.startswith(names)), f"{row.metric} is wrong")


# what a value above and below that of real people means
NEIGHBOURS = {
    "AA_truth": (
        "Real people are nearer to each other than to synthetic ones: some real diversity is missing.",
        "Many real people are nearer to a synthetic person than to any real one: synthetic people are too typical, or "
        "copies.",
    ),
    "AA_syn": (
        "Synthetic people are nearer to each other than to real ones: they repeat themselves.",
        "Synthetic people are nearer to real ones than to each other: they are too diverse, or copies.",
    ),
}


def _two_sample(overall: Mapping[str, Row]) -> Finding | None:
    """Return the verdict of classifiers and nearest neighbours."""
    sentences = []
    rows = [r for r in overall.values() if r.topic == "indistinguishable"]
    classifier = overall.get("C2ST AUC, gradient boosting")
    if classifier and classifier.value is not None:
        result = "cannot distinguish" if classifier.standing == "good" else "can distinguish"
        result = "easily distinguishes" if classifier.value > 0.9 else result
        sentences.append(
            f"Classifier two-sample test: {result} synthetic from real, AUC {with_floor(classifier)}; chance is .5."
        )
    truth, syn = (overall.get(name) for name in NEIGHBOURS)
    if truth and syn and truth.value is not None and syn.value is not None:
        sentences.append(
            f"Nearest neighbours: AA_truth {with_floor(truth)}, AA_syn {with_floor(syn)}; ideal is .5 for both."
        )
        for row in (truth, syn):
            assert row.value is not None
            above, below = NEIGHBOURS[row.metric]
            usual = 0.5 if row.floor is None else row.floor
            if row.value > max(0.6, usual + 0.1):
                sentences.append(above)
            elif row.value < min(0.4, usual - 0.1):
                sentences.append(below)
    sentences += other_deviations(rows, ("C2ST", "AA_"))
    return Finding("Two-sample tests", worst(r.standing for r in rows), " ".join(sentences)) if sentences else None


# ---- labels -------------------------------------------------------------------------------------------------------


def _by_label(rows: Iterable[Row]) -> Finding | None:
    counts: dict[str, tuple[int, int]] = {}  # poor rows, and all with a standing
    for row in rows:
        if row.label != "all" and row.metric != "Fst error" and row.standing is not None:
            poor, total = counts.get(row.label, (0, 0))
            counts[row.label] = poor + (row.standing == "poor"), total + 1
    if len(counts) < 2:
        return None
    ranked = sorted(counts.items(), key=lambda item: item[1][0] / item[1][1], reverse=True)
    (name, (poor, total)), (best, (best_poor, best_total)) = ranked[0], ranked[-1]
    if poor * best_total == best_poor * total:
        return Finding("By label", None, f"All labels are alike: {poor} of {total} metrics deviate.")
    shown = f"{name} ({poor} of {total} metrics deviate); most: {best} ({best_poor} of {best_total})"
    return Finding("By label", None, f"Least like real people: {shown}.")


def _against_floor(row: Row) -> str:
    return f"{row.metric} {figure(row.value)}" + ("" if row.floor is None else f", real people {figure(row.floor)}")


def _shortfall(row: Row) -> float:
    """Return how far a row is from its floor on a log scale, to rank rows."""
    assert row.value is not None
    if row.floor is None:
        return 0.0
    value, floor = (1 - row.value, 1 - row.floor) if row.aim == "higher" else (abs(row.value), abs(row.floor))
    ratio = math.log((value + 1e-6) / (floor + 1e-6))
    return ratio if row.aim in ("lower", "higher") else abs(ratio)
