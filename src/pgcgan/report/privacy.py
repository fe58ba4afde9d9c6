"""The verdict on privacy: who is copied, who can be detected by which attacker, and what was not detected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..metrics import Row, figure
from ..metrics.privacy import INTERPOLATED
from .finding import ONE, Finding, other_deviations, percent, with_floor, with_interval, worst

INFORMED = "informed membership AUC, "
# what the attacker has beside the synthetic people; the strongest attack that was tried gives the headline
ATTACKS = {
    f"{INFORMED}pool, all synthetic people": "with the genotypes of all candidates, on all synthetic people",
    f"{INFORMED}pool": "with the genotypes of all candidates",
    f"{INFORMED}pool, shadow models": "with the genotypes of all candidates and shadow models",
    f"{INFORMED}panel": "with a panel of other people",
    f"{INFORMED}pool, copies": "with the genotypes of all candidates, in search of copies",
    "membership AUC": "by nearest distance alone, a weak attack",
    "frequency attack AUC": "by allele frequencies alone, a weak attack",
}
COPIES = {
    "exact copies": "{unit} equal a training {one}",
    "near copies": "{unit} nearly equal a training {one}",
    "copied people": "people nearly equal a training person",
}
COPIED = 0.02  # share of copied people above which somebody is copied, where there are no held-out people
WEAK = ("membership AUC", "frequency attack AUC")
DETECTED = 0.05  # share of the training people found at 1 % false positives, above what chance gives
RESERVATIONS = (
    "This is valid only if the generator never saw the held-out people. Attacks can detect a leak; an attacker who "
    "knows more finds more, and no attack proves privacy."
)


def privacy_headline(overall: Sequence[Row], unit: str) -> str:
    """Return the verdict on privacy in one line: copies, membership that can be detected, or not by these attacks.

    `overall` are the rows on all people; `unit` is "haplotypes", or "people" where they are unphased.
    """
    rows = [r for r in overall if r.topic == "privacy"]
    copies = _copies(rows, unit)
    if copies:
        return f"it copies its training people: {copies}"
    attacks = [r for r in rows if r.metric in ATTACKS and r.value is not None]
    if not attacks:
        return "what they give away was not measured"
    best = max(attacks, key=_least)
    if _least(best) > 0.5:
        return f"training membership can be detected {ATTACKS[best.metric]} (AUC {figure(best.value)})"
    other = next((r for r in rows if _deviates(r)), None)
    if other is not None:
        return f"training membership can be detected: {other.metric} {with_floor(other)}"
    best = min(attacks, key=lambda r: list(ATTACKS).index(r.metric))  # what was not detected says most by who knew most
    attack = f"{ATTACKS[best.metric]} (AUC {figure(best.value)})"
    only = ", but only weak attacks were tried:" if best.metric in WEAK else " by these attacks, the strongest of them"
    return f"training membership was not detected{only} {attack}"


def _deviates(row: Row) -> bool:
    """True if a row of privacy is poor, and its interval, if it has one, does not contain what real people get.

    Of the rates only those at 1 % false positives on all people count, if clearly above 1 %: with few held-out people
    nobody is accused at a lower rate, and chance alone puts some members before all others.
    """
    if row.standing != "poor" or row.metric in ATTACKS:
        return False
    if "TPR" in row.metric:
        return "at 1 % FPR" in row.metric and "tenth" not in row.metric and _least(row) > DETECTED
    if row.low is None or row.high is None or row.floor is None:
        return True
    return not row.low <= row.floor <= row.high


def privacy(overall: Mapping[str, Row], unit: str) -> Finding:
    """Return the part of the verdict on privacy: what was detected, by whom, with the figures.

    `overall` are the rows on all people, by metric; `unit` is "haplotypes", or "people" where they are unphased.
    """
    rows = [r for r in overall.values() if r.topic == "privacy"]
    copies = _copies(rows, unit)
    measured = {name: row for name, row in overall.items() if row.value is not None}
    attacks = [measured[name] for name in ATTACKS if name in measured]
    if not attacks:
        text = "Not measured: the attacks need people that the generator has not seen (holdout=…, --split)."
        return Finding("Privacy", "poor", f"Copies: {copies}. {text}") if copies else Finding("Privacy", None, text)
    items = []
    for row in attacks:
        result = ""
        if row.low is not None and row.high is not None:
            result = ": training membership can be detected" if row.low > 0.5 else ": not detected"
        items.append((f"Attack {ATTACKS[row.metric]}{result}.", f"AUC {with_interval(row)}; chance is .5"))
    rarest = overall.get(f"{INFORMED}pool, rarest tenth")
    if rarest and rarest.value is not None:
        items.append(("The tenth of people with the rarest haplotypes.", f"AUC {with_interval(rarest)}"))
    detected = overall.get("informed membership TPR at 1 % FPR, pool")
    if detected and detected.value is not None:
        share = percent(detected.value)
        few = detected.note.partition(INTERPOLATED)[2]
        few = f" (interpolated: {few} of the held-out people)" if few else ""
        who = f"The attacker with all genotypes finds {share} of the training people at 1 % false accusations{few}."
        items.append((who, f"{detected.metric} {with_interval(detected)}"))
    loss = overall.get("privacy loss")
    if loss and loss.value is not None:
        nearer = "" if _least(loss) > 0 else "not measurably "
        statement = f"Synthetic people are {nearer}nearer to training people than to held-out people."
        items.append((statement, f"privacy loss {with_interval(loss)}; ideal is 0"))
    equal = overall.get("exact copies")
    if equal and equal.value is not None and equal.floor is not None:
        shares = f"{percent(equal.value)} of the synthetic {unit} and {percent(equal.floor)} of the held-out {unit}"
        items.append((f"{shares} equal a training {ONE[unit]}.", f"exact copies {with_interval(equal)}"))
    deviations = " ".join(other_deviations(rows, (*ATTACKS, "informed membership", "membership", "privacy loss")))
    line = privacy_headline(rows, unit)
    text = f"{line[0].upper()}{line[1:]}. {deviations} {RESERVATIONS}".replace("  ", " ")
    standing = worst(r.standing for r in rows)
    leaks = any(r.low is not None and r.low > 0.5 for r in attacks)
    return Finding("Privacy", "fair" if leaks and standing == "good" else standing, text, tuple(items))


def _copies(rows: Iterable[Row], unit: str) -> str | None:
    """Return how much is copied, if clearly more than unseen people share with training people by chance."""
    copies = [r for r in rows if r.metric in COPIES and r.value is not None]
    # without held-out people only the share of copied people says something: others may carry a haplotype too
    alone = [r for r in copies if r.floor is None and r.metric == "copied people" and (r.value or 0) > COPIED]
    copying = [r for r in copies if r.standing == "poor"] + alone
    worst = max(copying, key=lambda r: (r.metric == "copied people", r.value or 0), default=None)
    if worst is None:
        return None
    unseen = "" if worst.floor is None else f", of held-out people {percent(worst.floor)}"
    what = COPIES[worst.metric].format(unit=unit, one=ONE[unit])
    return f"{percent(worst.value or 0)} of the synthetic {what}{unseen}"


def _least(row: Row) -> float:
    """Return the lower end of the interval, or the value if there is none."""
    return row.low if row.low is not None else row.value or 0.0
