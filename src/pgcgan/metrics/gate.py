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
    "copied people": Threshold(
        "+0.02",
        None,
        "nobody nearly equals another person: the floor, about 0; the interval is no excuse",
        by_chance=False,
    ),
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
    limits = {metric: threshold.limit for metric, threshold in THRESHOLDS.items()}
    rows = {row.metric: row for row in evaluation.rows if row.label == "all"}
    rows |= {metric: row for metric in limits if (row := _strongest(evaluation.rows, metric)) is not None}
    for metric, limit in (thresholds or {}).items():
        if metric not in limits and metric not in rows:
            raise UsageError(
                f"There is no metric {metric!r} to set a threshold for; metrics: {listed([HELD_OUT, *rows], 60)}."
            )
        limits[metric] = limit
    checks = []
    for metric, limit in limits.items():
        bounds = parse_limit(metric, limit)
        if bounds is not None and metric == HELD_OUT:
            checks.append(_people_check(evaluation, limit, bounds))
        elif bounds is not None and (metric in (thresholds or {}) or _is_judged(metric, rows.get(metric))):
            checks.append(_row_check(metric, rows.get(metric), limit, bounds))
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


def _is_judged(metric: str, row: Row | None) -> bool:
    """True unless the check is of a part of the people that is too small to attack, or of labels where there is one."""
    return THRESHOLDS[metric].why != _GROUP or (row is not None and row.value is not None)


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


def _row_check(metric: str, row: Row | None, limit: str, bounds: Bounds) -> Check:
    if row is None or row.value is None:
        reason = "cannot be computed: " + (row.note if row is not None and row.note else "there is no such row")
        return Check(metric, limit, False, None, None, None, None, None, reason)
    default = THRESHOLDS.get(metric)
    null = default.null if default is not None and default.null is not None else row.floor
    if bounds.of_floor and row.floor is None:
        reason = f"the limit {limit} is relative to the floor, and there is none (no held-out people)"
        return Check(metric, limit, False, row.value, None, null, row.low, row.high, reason)
    low, high = bounds.range(row.floor, row.aim)
    judged = _upper(row) if default is not None and default.upper else row.value
    inside = _inside(judged, low, high)
    reason = figure(judged) + ("" if inside else f" is {_beyond(judged, low, high)}")
    if not inside and judged != row.value and row.low is not None and null is not None and row.low <= null:
        reason += ", which more held-out people may lower"
    if metric.endswith(_WORST):
        reason = f"{row.label}: {reason}"
    real = "" if null is None else f"real people: {figure(null)}"
    by_chance = False
    if row.low is not None and row.high is not None:
        by_chance = null is not None and row.low <= null <= row.high and (default is None or default.by_chance)
        value = "" if judged == row.value else f"{figure(row.value)}, "
        reason += f" ({value}interval {figure(row.low)} … {figure(row.high)}" + (f", {real})" if real else ")")
    elif real:
        reason += f" ({real})"
    return Check(metric, limit, inside or by_chance, row.value, row.floor, null, row.low, row.high, reason)


def _people_check(evaluation: Evaluation, limit: str, bounds: Bounds) -> Check:
    people: Mapping[str, Any] = evaluation.provenance.get("people", {}).get("holdout") or {}
    count = float(people.get("used", 0))
    low, high = bounds.range(None, "higher")
    inside = _inside(count, low, high)
    reason = f"{count:.0f} people" + ("" if inside else f" is {_beyond(count, low, high)}")
    return Check(HELD_OUT, limit, inside, count, None, None, None, None, reason)


def _inside(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _beyond(value: float, low: float | None, high: float | None) -> str:
    if low is not None and value < low:
        return f"below {figure(low)}"
    return f"above {figure(high)}"


# ---- limits -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bounds:
    """A parsed limit: plain numbers, a multiple of the floor, or a distance from it."""

    low: float | None = None
    high: float | None = None
    plain: float | None = None
    times: float | None = None
    more: float | None = None
    around: float | None = None

    @property
    def of_floor(self) -> bool:
        """True if the limit is relative to the floor."""
        return any(part is not None for part in (self.times, self.more, self.around))

    def range(self, floor: float | None, aim: str) -> tuple[float | None, float | None]:
        """Return the lowest and highest value that passes; None means no bound."""
        if self.plain is not None:
            return (self.plain, None) if aim == "higher" else (None, self.plain)
        if self.of_floor:
            assert floor is not None
            if self.around is not None:
                return floor - self.around, floor + self.around
            bound = self.times * floor if self.times is not None else floor + (self.more or 0.0)
            return (bound, None) if aim == "higher" else (None, bound)
        return self.low, self.high


_LONGEST = 60  # characters of a limit
_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"


def parse_limit(metric: str, text: str) -> Bounds | None:
    """Return the bounds of a limit, or None for "off"."""
    if text == "off":
        return None
    if len(text) > _LONGEST:
        raise UsageError(f"The threshold {text[:_LONGEST]!r}… of {metric!r} has {len(text)} characters; give fewer.")
    if re.fullmatch(_NUMBER, text):
        return Bounds(plain=float(text))
    if match := re.fullmatch(rf"({_NUMBER})x", text):
        return Bounds(times=float(match[1]))
    if match := re.fullmatch(rf"~({_NUMBER})", text):
        return Bounds(around=float(match[1]))
    if re.fullmatch(rf"[+-]{_NUMBER}", text):
        return Bounds(more=float(text))
    match = re.fullmatch(rf"(-?{_NUMBER})?\.\.(-?{_NUMBER})?", text)
    if match and (match[1] or match[2]):
        low, high = (float(part) if part else None for part in match.groups())
        if low is None or high is None or low <= high:
            return Bounds(low=low, high=high)
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
