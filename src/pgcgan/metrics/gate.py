"""The release gate: limits that an evaluation must meet before synthetic people are released.

A limit is written as text, the same on the command line, in JSON and in the documentation:

====================  ==================================================
``0.53``              at most .53 (at least, where the aim is ``higher``)
``0.4..0.6``          between the two
``2x``                at most twice the floor
``+0.01``             at most the floor and .01 more
``~0.1``              at most .1 from the floor, either way
``-0.01``             the floor less .01 (at least, where the aim is ``higher``)
``off``               not checked
====================  ==================================================

Attacks are judged by the upper end of their interval, so that a leak does not pass by luck. The people with the rarest
haplotypes, and the label that is attacked best, are judged on their own. If further people of the same generator were
evaluated, the attack that uses all of them counts where it is stronger.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, listed
from .evaluation import Evaluation, figure
from .rows import Row

HELD_OUT = "held-out people"
_POOL, _PANEL = (f"informed membership AUC, {attacker}" for attacker in ("pool", "panel"))
_WORST = ", worst label"


@dataclass(frozen=True)
class Threshold:
    """A default limit, and the value that real people would have.

    Parameters
    ----------
    limit : str
        In the notation of the module.
    null : float or None
        Expected value of two sets of real people; None if that is the floor itself.
    why : str
        Reason for the limit.
    by_chance : bool
        True if a value beyond the limit passes when its interval contains the null.
    upper : bool
        True if the upper end of the interval is judged instead of the value.
    """

    limit: str
    null: float | None
    why: str
    by_chance: bool = True
    upper: bool = False


_ATTACKED = "upper end; real people give .5, and an upper end of about .53 with 500 held out, .6 with 100"
_WEAK = "upper end; a weak attack, for what it finds without haplotypes; real people give .5"
_GROUP = "upper end; left out or passed by chance where few people are judged"
_COPIED = "nobody nearly equals another person: the floor, about 0; the interval is no excuse"
_PRICE = "less leak has this price"
# Between two sets of real people, the ratio to the floor lies between .5 and 2.5 in the noisiest rows (maxima,
# heterozygosity), which are therefore not checked; for the RMSE of frequencies and of r² it was below 1.6 in every
# simulation tried.
THRESHOLDS: dict[str, Threshold] = {
    HELD_OUT: Threshold("50..", None, "with fewer, attacks cannot detect a leak"),
    _POOL: Threshold("0.65", 0.5, _ATTACKED, by_chance=False, upper=True),
    f"{_POOL}, rarest tenth": Threshold("0.75", 0.5, _GROUP, upper=True),
    f"{_POOL}{_WORST}": Threshold("0.75", 0.5, _GROUP, upper=True),
    "informed membership TPR at 1 % FPR, pool": Threshold("0.1", 0.01, _GROUP, upper=True),
    _PANEL: Threshold("0.65", 0.5, _ATTACKED, by_chance=False, upper=True),
    f"{_PANEL}, rarest tenth": Threshold("0.75", 0.5, _GROUP, upper=True),
    f"{_PANEL}{_WORST}": Threshold("0.75", 0.5, _GROUP, upper=True),
    "membership AUC": Threshold("0.6", 0.5, _WEAK, by_chance=False, upper=True),
    "frequency attack AUC": Threshold("0.65", 0.5, _WEAK, by_chance=False, upper=True),
    "exact copies": Threshold("+0.01", None, "unseen people share common haplotypes: the floor"),
    "near copies": Threshold("+0.01", None, "unseen people come near by chance: the floor"),
    "copied people": Threshold("+0.02", None, _COPIED, by_chance=False),
    "AF RMSE": Threshold("2x", None, "two sets of real people differ by the floor, seldom by 1.6 times it"),
    "LD RMSE": Threshold("3x", None, f"real people: the floor, seldom 1.6 times it; independent sites: 11x; {_PRICE}"),
    "AA_truth": Threshold("~0.4", None, f"real people give the floor, independent sites .5 more; {_PRICE}"),
    "AA_syn": Threshold("~0.4", None, f"real people give the floor, independent sites .5 less; {_PRICE}"),
    "C2ST AUC, gradient boosting": Threshold("0.75", None, f"real people give .5, independent sites 1; {_PRICE}"),
}


_ATTACKS = ("informed membership", "membership", "frequency attack")
WAYS_OUT = (
    "  ways out: train --private or train --epsilon, more training people, or fewer synthetic people (-n); "
    "pgcgan estimate prints what to expect"
)
ADD_UP = "  this holds for these people alone: several sets from one model, or the model itself, give away more"


@dataclass(frozen=True)
class Check:
    """The result for one limit.

    Parameters
    ----------
    metric : str
    limit : str
        In the notation of the module.
    passed : bool
    value, floor, null, low, high : float or None
        From the row; `null` is the expected value of two sets of real people.
    reason : str
        Why it passed or failed.
    """

    metric: str
    limit: str
    passed: bool
    value: float | None
    floor: float | None
    null: float | None
    low: float | None
    high: float | None
    reason: str


@dataclass(frozen=True)
class Gate:
    """The result of the gate; true if it was passed.

    Parameters
    ----------
    checks : tuple of Check
    attacked : str
        What was attacked, and what the attackers knew.
    """

    checks: tuple[Check, ...]
    attacked: str = ""

    @property
    def passed(self) -> bool:
        """True if all checks passed."""
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        state = "passed" if self.passed else f"failed: {listed(check.metric for check in self.failures)}"
        return f"Gate({len(self.checks)} checks, {state})"

    def __str__(self) -> str:
        if self.passed:
            lines = [f"gate passed: all {len(self.checks)} checks"]
        else:
            lines = [f"gate failed: {len(self.failures)} of {len(self.checks)} checks"]
            lines += [f"  {check.metric}: {check.reason}" for check in self.failures]
        lines += [f"  {self.attacked}"] * bool(self.attacked)
        if any(check.metric.startswith(_ATTACKS) for check in self.failures):
            lines.append(WAYS_OUT)
        elif self.passed:
            lines.append(ADD_UP)
        return "\n".join(lines)


def judge(evaluation: Evaluation, thresholds: Mapping[str, str] | None = None) -> Gate:
    """Check an evaluation against the limits of a release.

    A value passes within its limit. Beyond the limit it still passes if its 95 % interval contains the null, because it
    is then compatible with chance; the check of `held-out people` keeps intervals short. Attacks are judged by the
    upper end of the interval, and neither they (on all people) nor copied people have the excuse of chance. A metric
    that could not be computed fails.

    Parameters
    ----------
    evaluation : Evaluation
    thresholds : mapping of str to str, optional
        Limits by metric, which replace those of `THRESHOLDS` or add to them; "off" removes a check.

    Raises
    ------
    UsageError
        If a metric is unknown or a limit cannot be read.
    """
    given = thresholds or {}
    limits = {metric: threshold.limit for metric, threshold in THRESHOLDS.items()} | dict(given)
    counts: Mapping[str, Any] = evaluation.provenance.get("people", {}).get("holdout") or {}
    held_out = Row("", HELD_OUT, "all", float(counts.get("used", 0)), aim="higher")
    rows = {HELD_OUT: held_out} | {row.metric: row for row in evaluation.rows if row.label == "all"}
    rows |= {metric: row for metric in THRESHOLDS if (row := _strongest(evaluation.rows, metric)) is not None}
    rows[HELD_OUT] = held_out
    for metric in given:
        if metric not in THRESHOLDS and metric not in rows:
            raise UsageError(f"There is no metric {metric!r} to set a threshold for; metrics: {listed(rows, 60)}.")
    checks = []
    for metric, limit in limits.items():
        bounds, row = parse_limit(metric, limit), rows.get(metric)
        # groups that are too small to attack, and labels where there is one, have no row with a value
        absent = metric not in given and THRESHOLDS[metric].why == _GROUP and (row is None or row.value is None)
        if bounds is not None and not absent:
            checks.append(_check(metric, row, limit, bounds))
    return Gate(tuple(checks), _attacked(evaluation.provenance))


def _strongest(rows: Sequence[Row], metric: str) -> Row | None:
    """Return the row of a check: the worst label, and if further people were evaluated, with them or without."""
    plain, by_label = metric.removesuffix(_WORST), metric.endswith(_WORST)
    group = ", rarest tenth" if plain.endswith(", rarest tenth") else ""
    names = (plain, f"{plain.removesuffix(group)}, all synthetic people{group}")
    of_metric = [row for row in rows if row.metric in names and (row.label != "all") == by_label]
    known = [row for row in of_metric if row.value is not None]
    return max(known, key=_upper) if known else next(iter(of_metric), None)


def _upper(row: Row) -> float:
    """Return the upper end of the interval, or the value if there is none."""
    value = row.value if row.high is None else row.high
    assert value is not None
    return value


def _attacked(provenance: Mapping[str, Any]) -> str:
    """Return what was attacked and what the attackers knew, for the message."""
    people = {name: counts["used"] for name, counts in (provenance.get("people") or {}).items()}
    if "holdout" not in people or "synthetic" not in people:
        return ""
    more = provenance.get("further synthetic people")
    together = f" and {more:,} further ones of the same model" if more else ""
    return (
        f"attacked: {people['synthetic']:,} synthetic people{together}, with the genotypes of all "
        f"{people['train'] + people['holdout']:,} candidates (pool), or of {people['holdout'] // 2:,} other people "
        "(panel); an attacker who knows more finds more"
    )


def _check(metric: str, row: Row | None, limit: str, bounds: Bounds) -> Check:
    if row is None or row.value is None:
        reason = "cannot be computed: " + (row.note if row is not None and row.note else "there is no such row")
        return Check(metric, limit, False, None, None, None, None, None, reason)
    default = THRESHOLDS.get(metric, Threshold(limit, None, ""))
    null = row.floor if default.null is None else default.null
    if bounds.form in _OF_FLOOR and row.floor is None:
        reason = f"the limit {limit} is relative to the floor, and there is none (no held-out people)"
        return Check(metric, limit, False, row.value, None, null, row.low, row.high, reason)
    low, high = bounds.range(row.floor or 0.0, row.aim)
    judged = _upper(row) if default.upper else row.value
    inside = low <= judged <= high
    reason = f"{judged:.0f} people" if metric == HELD_OUT else figure(judged)
    if not inside:
        reason += f" is below {figure(low)}" if judged < low else f" is above {figure(high)}"
        if judged != row.value and row.low is not None and null is not None and row.low <= null:
            reason += ", which more held-out people may lower"
    if metric.endswith(_WORST):
        reason = f"{row.label}: {reason}"
    by_chance, details = False, []
    if row.low is not None and row.high is not None:
        by_chance = default.by_chance and null is not None and row.low <= null <= row.high
        details += [] if judged == row.value else [figure(row.value)]
        details.append(f"interval {figure(row.low)} … {figure(row.high)}")
    if null is not None:
        details.append(f"real people: {figure(null)}")
    reason += f" ({', '.join(details)})" if details else ""
    return Check(metric, limit, inside or by_chance, row.value, row.floor, null, row.low, row.high, reason)


# ---- limits -------------------------------------------------------------------------------------------------------


_LONGEST = 60  # characters of a limit
_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"
_FORMS = {
    "plain": rf"({_NUMBER})",
    "times": rf"({_NUMBER})x",
    "around": rf"~({_NUMBER})",
    "more": rf"([+-]{_NUMBER})",
    "between": rf"(-?{_NUMBER})?\.\.(-?{_NUMBER})?",
}
_OF_FLOOR = ("times", "around", "more")


@dataclass(frozen=True)
class Bounds:
    """A parsed limit: its form, and its number or its two."""

    form: str
    numbers: Sequence[float]

    def range(self, floor: float, aim: str) -> tuple[float, float]:
        """Return the lowest and highest value that passes; infinite where there is no bound."""
        number = self.numbers[0]
        if self.form == "between":
            return number, self.numbers[1]
        if self.form == "around":
            return floor - number, floor + number
        bound = {"plain": number, "times": number * floor, "more": floor + number}[self.form]
        return (bound, math.inf) if aim == "higher" else (-math.inf, bound)


def parse_limit(metric: str, text: str) -> Bounds | None:
    """Return the bounds of a limit, or None for "off"."""
    if text == "off":
        return None
    if len(text) > _LONGEST:
        raise UsageError(f"The threshold {text[:_LONGEST]!r}… of {metric!r} has {len(text)} characters; give fewer.")
    for form, pattern in _FORMS.items():
        match = re.fullmatch(pattern, text)
        if match and any(match.groups()):
            numbers = [float(part or end) for part, end in zip(match.groups(), ("-inf", "inf"), strict=False)]
            if numbers == sorted(numbers):
                return Bounds(form, numbers)
    raise UsageError(
        f"The threshold {text!r} of {metric!r} cannot be read; accepted: a number, LOW..HIGH, 2x (times the floor), "
        "+0.01 or -0.01 (from the floor), ~0.1 (either way from the floor), or off."
    )


def parse_thresholds(texts: Sequence[str]) -> dict[str, str]:
    """Return `METRIC=LIMIT` texts as a mapping.

    Raises
    ------
    UsageError
        If one is not of that form, or a limit cannot be read.
    """
    limits = {}
    for text in texts:
        metric, equals, limit = (part.strip() for part in text.rpartition("="))
        if not equals or not metric:
            raise UsageError(
                f"--threshold {text!r} cannot be read; accepted: METRIC=LIMIT, for example 'membership AUC=0.55'."
            )
        parse_limit(metric, limit)
        limits[metric] = limit
    return limits
