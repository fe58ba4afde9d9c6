"""The verdict in words: on whom, what is good, what is not, what it gives away."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..metrics import Evaluation, Row, figure


@dataclass(frozen=True)
class Finding:
    """One part of the verdict.

    Parameters
    ----------
    heading : str
    standing : str or None
        "good", "fair" or "poor", where it is a judgement.
    text : str
    items : tuple of (str, str)
        What is said, and the rows that say so.
    """

    heading: str
    standing: str | None
    text: str
    items: tuple[tuple[str, str], ...] = ()


def verdict(evaluation: Evaluation) -> list[Finding]:
    """Return what the rows say: whom it was measured on, what is like real people, what is not, and what leaks.

    Parameters
    ----------
    evaluation : Evaluation
    """
    overall = {r.metric: r for r in evaluation.rows if r.label == "all"}
    found = [_measured_on(evaluation.provenance)]
    faithful = [r for r in overall.values() if r.topic not in ("privacy", "indistinguishable") and r.standing]
    if faithful:
        found += _fidelity(faithful, evaluation.figures)
    elif overall:
        text = "Without held-out people there are no floors: how near is near enough cannot be said of these rows."
        found.append(Finding("Fidelity", None, text))
    found += _told_apart(overall)
    found.append(_privacy(overall))
    by_label = label_standings(evaluation.rows)
    if len(by_label) > 1:
        ranked = sorted(by_label.items(), key=lambda item: item[1][0] / item[1][1], reverse=True)
        (name, (off, total)), (best, (best_off, best_total)) = ranked[0], ranked[-1]
        if off * best_total == best_off * total:
            text = f"No label stands out: {off} of {total} rows of each are off."
        else:
            text = f"Least like the real people: {name} ({off} of {total} rows off)"
            text += f"; most: {best} ({best_off} of {best_total})."
        found.append(Finding("By label", None, text))
    return found


def headline(evaluation: Evaluation) -> str:
    """Return the verdict in one line.

    Parameters
    ----------
    evaluation : Evaluation
    """
    overall = [r for r in evaluation.rows if r.label == "all"]
    judged = [r.standing for r in overall if r.topic != "privacy" and r.standing]
    if not any(r.floor is not None for r in overall if r.topic != "privacy"):
        fidelity = "Compared with the people trained on, so not judged"
    else:
        good, poor = judged.count("good") / len(judged), judged.count("poor") / len(judged)
        if poor == 0 and good >= 0.8:
            fidelity = "Like real people"
        elif poor <= 0.15 and good >= 0.65:
            fidelity = "Like real people in most respects"
        elif poor <= 0.5:
            fidelity = "Like real people in part"
        else:
            fidelity = "Unlike real people in most respects"
    attacks = [r for r in overall if r.topic == "privacy" and "AUC" in r.metric and r.value is not None]
    if not attacks:
        return f"{fidelity}; privacy not measured"
    found = [r.standing for r in attacks if (r.low if r.low is not None else r.value or 0) > 0.5]
    if set(found) - {"good"}:
        return f"{fidelity}; those trained on can be told"
    near = any(r.standing == "poor" for r in overall if r.topic == "privacy")
    weak = "a slight leak found" if found else "no leak found"
    return f"{fidelity}; {'some are too near to people trained on' if near else weak}"


# ---- whom ---------------------------------------------------------------------------------------------------------


def _measured_on(made: Mapping[str, Any]) -> Finding:
    people = made.get("people") or {}
    said = {"train": "people trained on", "synthetic": "synthetic people", "holdout": "held-out people"}
    parts = []
    for name, n in people.items():
        of = f" of {n['given']:,}" if n["used"] != n["given"] else ""
        parts.append(f"{n['used']:,}{of} {said.get(name, name)}")
    text = ", ".join(parts)
    if "sites" in made:
        text += f", at {made['sites']:,} sites" + ("" if made.get("phased", True) else ", unphased")
    labels = [v for v in (made.get("people_by_label") or {}).get("train", {}) if v != "all"]
    if labels:
        of = " and ".join(map(str, made.get("label") or ["label"]))
        shown = ", ".join(map(str, labels[:8])) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
        text += f"; {len(labels)} values of {of}: {shown}"
    return Finding("Measured on", None, f"{text}." if text else "Not recorded.")


# ---- fidelity -----------------------------------------------------------------------------------------------------

# what it means that rows are off, in words; the first whose names begin a metric's is taken
FAULTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("AF RMSE, MAF <", "AF max error, MAF <", "AF r, MAF <"), "Rare alleles do not have the frequency they should"),
    (("AF ",), "Allele frequencies are off"),
    (("sites lost",), "Variants are lost: sites where real people vary do not vary"),
    (("SFS", "singleton"), "The balance of rare and common alleles is off"),
    (("LD decay",), "Linkage does not fall off with distance as it should"),
    (("LD ",), "Linkage between neighbouring sites is off"),
    (("far pairs",), "What far sites have to do with each other (ancestry, long haplotypes) is not kept"),
    (("3-point",), "Patterns over three sites are not those of real haplotypes"),
    (("sliced Wasserstein",), "On the principal components they do not lie where real ones lie"),
    (("Fst",), "Labels are not as far from each other as in real people"),
    (("heterozygosity", "inbreeding"), "A person's two haplotypes do not go together as in real people"),
    (("pairwise distance",), "Haplotypes differ from each other more, or less, than real ones do"),
    (("H1 ", "H12 "), "Common haplotypes are too common or too rare"),
    (("TSTR",), "A classifier of labels trained on them does worse on real people than it should"),
    (("augmentation",), "A classifier of labels gains less from them than from real people where a label has few"),
)
STRENGTHS = (
    ("allele frequencies", ("AF RMSE", "AF r")),
    ("rare alleles", ("AF RMSE, MAF < 5 %",)),
    ("the frequency spectrum", ("SFS distance",)),
    ("variants kept", ("sites lost",)),
    ("linkage of neighbouring sites", ("LD RMSE", "LD r")),
    ("decay of linkage", ("LD decay RMSE",)),
    ("far pairs of sites", ("far pairs r",)),
    ("patterns of three sites", ("3-point r", "3-point r within labels")),
    ("spread and place on the principal components", ("PCA variance ratio", "sliced Wasserstein")),
    ("differences between labels (Fst)", ("Fst error",)),
    ("heterozygosity and inbreeding", ("heterozygosity W1", "inbreeding error")),
    ("distances between haplotypes", ("pairwise distance W1, within", "pairwise distance W1, across")),
    ("haplotype homozygosity", ("H1 RMSE", "H12 RMSE")),
    ("use in training a classifier", ("TSTR accuracy",)),
)


def _fidelity(rows: Sequence[Row], drawn: Mapping[str, Any]) -> list[Finding]:
    standing = {r.metric: r.standing for r in rows}
    good = [r for r in rows if r.standing == "good"]
    told = {r.metric for r in rows if r.value or r.floor}  # where both are 0 there was nothing to keep
    kept = [words for words, names in STRENGTHS if (own := [standing[n] for n in names if n in standing])
            and all(s == "good" for s in own) and told.intersection(names)]  # fmt: skip
    text = f"{len(good)} of {len(rows)} rows {'is' if len(good) == 1 else 'are'} as near to unseen people "
    text += "as other real people are"
    text += f": {', '.join(kept)}." if kept else "."
    found = [Finding("Good", "good", text)] if good else []
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.standing == "poor":
            groups.setdefault(_fault(row, drawn), []).append(row)
    if groups:
        items = []
        for words, faulty in groups.items():
            faulty.sort(key=_shortfall, reverse=True)
            more = f"; and {len(faulty) - 2} more" if len(faulty) > 2 else ""
            items.append((f"{words}.", "; ".join(_against_floor(r) for r in faulty[:2]) + more))
        worst = sorted(zip(items, groups.values(), strict=True), key=lambda g: -_shortfall(g[1][0]))
        count = sum(map(len, groups.values()))
        text = f"{count} of {len(rows)} rows {'is' if count == 1 else 'are'} clearly farther off than real people are"
        text += ", worst first:" if len(items) > 1 else ":"
        found.append(Finding("Not good", "poor", text, tuple(item for item, _ in worst)))
    else:
        found.append(Finding("Not good", "good", "No row is clearly farther off than real people are."))
    return found


def _fault(row: Row, drawn: Mapping[str, Any]) -> str:
    """Return what is off, and in which direction where the row says so."""
    value, floor = row.value or 0.0, row.floor
    more = floor is not None and value > floor
    if row.metric.startswith("PCA variance ratio"):
        whom = "people" if row.metric.endswith("people") else "haplotypes"
        if value < 1:
            return f"Too little variety: {whom} spread only {100 * value:.0f} % as much as real ones"
        return f"Too much spread: {whom} vary {100 * value:.0f} % as much as real ones"
    if row.metric == "longest shared tract":
        if more:
            return "They share longer stretches with people trained on than unseen people do: copying"
        return "The stretches they share with real people are too short"
    if row.metric == "label fidelity":
        if more:
            return "They are too typical of their label: a classifier is surer of them than of real people"
        return "Their labels fit them less than real people's labels do"
    if row.metric == "singleton share":
        return f"Too {'many' if more else 'few'} alleles are seen only once"
    if row.metric == "LD decay RMSE" and "ld_decay" in drawn:
        curves = drawn["ld_decay"]
        stronger = sum(curves["synthetic"]) > sum(curves.get("holdout") or curves["train"])
        return f"Linkage is too {'strong' if stronger else 'weak'}, averaged over distance"
    return next((words for names, words in FAULTS if row.metric.startswith(names)), f"{row.metric} is off")


def _told_apart(overall: Mapping[str, Row]) -> list[Finding]:
    said = []
    rows = [r for r in overall.values() if r.topic == "indistinguishable"]
    classifier = overall.get("C2ST AUC, gradient boosting")
    if classifier and classifier.value is not None:
        how = "cannot tell" if classifier.standing == "good" else "can tell"
        how = "tells, with ease," if classifier.value > 0.9 else how
        said.append(
            f"A trained classifier {how} synthetic from real rows: AUC {_with_floor(classifier)}; .5 is guessing."
        )
    truth, syn = overall.get("AA_truth"), overall.get("AA_syn")
    if truth and syn and truth.value is not None and syn.value is not None:
        said.append(
            f"Nearest neighbours: AA_truth {_with_floor(truth)}, AA_syn {_with_floor(syn)}; .5 each is perfect."
        )
        for row, above, below in (
            (
                truth,
                "Real people lie nearer to each other than to the synthetic ones: some real variety is missing.",
                "Many real people lie nearer to a synthetic one than to any real one: the set fills the middle of the "
                "cloud, too typical, or copies.",
            ),
            (
                syn,
                "Synthetic people lie nearer to each other than to real ones: they repeat themselves, in a cloud of "
                "their own.",
                "Synthetic people lie nearer to real ones than to each other: too varied among themselves, or copies.",
            ),
        ):
            assert row.value is not None
            usual = 0.5 if row.floor is None else row.floor
            if row.value > max(0.6, usual + 0.1):
                said.append(above)
            elif row.value < min(0.4, usual - 0.1):
                said.append(below)
    said += _also_off(rows, ("C2ST", "AA_"))
    return [Finding("Told apart", _worst(r.standing for r in rows), " ".join(said))] if said else []


# ---- privacy ------------------------------------------------------------------------------------------------------


def _privacy(overall: Mapping[str, Row]) -> Finding:
    attack = overall.get("membership AUC")
    if attack is None or attack.value is None:
        text = "Not measured: the attacks need people that the generator has not seen (holdout=…, --split)."
        return Finding("Privacy", None, text)
    text = f"An attack by distance tells who was trained on with an AUC of {_with_interval(attack)}; .5 is guessing."
    frequencies = overall.get("frequency attack AUC")
    leaks = any(r is not None and r.low is not None and r.low > 0.5 for r in (attack, frequencies))
    if attack.low is not None and attack.low > 0.5:
        text += " The interval lies above .5: the synthetic people are measurably nearer to those trained on."
    elif attack.high is not None and attack.high < 0.5:
        text += (
            " The interval lies below .5: those trained on are farther away than others, so that this finds no leak."
        )
    elif attack.low is not None:
        text += " The interval holds .5: this attack finds no leak."
    loss, found = overall.get("privacy loss"), overall.get("membership TPR at 1 % FPR")
    if loss and loss.value is not None:
        text += f" Privacy loss {_with_interval(loss)}; 0 is none."
    if found and found.value is not None and found.low is not None and found.low > 0.01:
        text += f" At 1 % false alarms {100 * found.value:.1f} % of the training rows are found."
    if frequencies and frequencies.low is not None and frequencies.low > 0.5:
        text += f" An attack by allele frequencies finds them too: AUC {_with_interval(frequencies)}."
    copies = overall.get("exact copies")
    if copies and copies.value is not None and copies.floor is not None:
        text += f" {100 * copies.value:.2g} % of the synthetic rows equal a training row"
        text += f"; of unseen people {100 * copies.floor:.2g} %."
    rows = [r for r in overall.values() if r.topic == "privacy"]
    text += "".join(f" {words}" for words in _also_off(rows, ("membership", "frequency attack", "privacy loss")))
    text += " This holds only if the generator never saw the held-out people."
    text += " Attacks can show a leak; finding none does not prove privacy."
    standing = _worst(r.standing for r in rows)
    return Finding("Privacy", "fair" if leaks and standing == "good" else standing, text)


def _also_off(rows: Iterable[Row], told: tuple[str, ...]) -> list[str]:
    """Return a sentence that names the poor rows that no other sentence told of."""
    off = [f"{r.metric} {_with_floor(r)}" for r in rows if r.standing == "poor" and not r.metric.startswith(told)]
    return [f"Off as well: {'; '.join(off)}."] if off else []


def label_standings(rows: Iterable[Row]) -> dict[str, tuple[int, int]]:
    """Return, by label, how many rows are off and of how many.

    Parameters
    ----------
    rows : iterable of Row
    """
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row.label == "all" or row.metric == "Fst error" or row.standing is None:
            continue
        off, total = found.get(row.label, (0, 0))
        found[row.label] = off + (row.standing == "poor"), total + 1
    return found


def _worst(standings: Iterable[str | None]) -> str | None:
    found = set(standings)
    return next((s for s in ("poor", "fair", "good") if s in found), None)


def _with_floor(row: Row) -> str:
    return figure(row.value) + ("" if row.floor is None else f" (real people: {figure(row.floor)})")


def _with_interval(row: Row) -> str:
    span = "" if row.low is None or row.high is None else f" [{figure(row.low)}, {figure(row.high)}]"
    return figure(row.value) + span


def _against_floor(row: Row) -> str:
    return f"{row.metric} {figure(row.value)}, real people {figure(row.floor)}"


def _shortfall(row: Row) -> float:
    assert row.value is not None
    if row.floor is None:
        return 0.0
    if row.aim == "lower":
        return math.log((row.value + 1e-6) / (abs(row.floor) + 1e-6))
    if row.aim == "higher":
        return math.log((1 - row.value + 1e-6) / (1 - row.floor + 1e-6))
    return abs(math.log((abs(row.value) + 1e-6) / (abs(row.floor) + 1e-6)))
