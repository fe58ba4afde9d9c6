"""The release gate: what an evaluation must show before artificial people are given to others.

A limit is written as text, so that the command line, JSON and the documentation say the same:

====================  ==================================================
``0.53``              at most .53 (at least, where the aim is ``higher``)
``0.4..0.6``          between the two
``2x``                at most twice the floor
``+0.01``             at most the floor and .01 more
``~0.1``              at most .1 from the floor, either way
``-0.01``             the floor less .01 (at least, where the aim is ``higher``)
``off``               not asked
====================  ==================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, listed
from .evaluation import Evaluation, figure

HELD_OUT = "held-out people"


@dataclass(frozen=True)
class Threshold:
    """A default limit and its null.

    Parameters
    ----------
    limit : str
        As the module says.
    null : float or None
        What two sets of real people give in expectation; None where that is the floor itself.
    why : str
        Where the limit comes from.
    by_chance : bool
        Whether a value beyond the limit passes where its interval holds the null.
    """

    limit: str
    null: float | None
    why: str
    by_chance: bool = True


# Between two sets of real people a ratio to the floor lies between .5 and 2.5 in the noisiest rows (maxima,
# heterozygosity), which are therefore not asked for; in the RMSE of frequencies and of r² it was below 1.6
# in every simulation tried.
THRESHOLDS: dict[str, Threshold] = {
    HELD_OUT: Threshold("50..", None, "with fewer, no attack could show a leak"),
    "membership AUC": Threshold("0.53", 0.5, "guessing gives .5"),
    "membership TPR at 1 % FPR": Threshold("0.02", 0.01, "guessing gives .01"),
    "frequency attack AUC": Threshold("0.6", 0.5, "guessing gives .5; frequencies that are right give a little away"),
    "privacy loss": Threshold("0.03", 0.0, "unseen people give 0"),
    "exact copies": Threshold("+0.01", None, "unseen people share common haplotypes: the floor"),
    "near copies": Threshold("+0.01", None, "unseen people come near by chance: the floor"),
    "copied people": Threshold(
        "+0.02", None, "nobody nearly equals another person: the floor, about 0; no excuse by chance", by_chance=False
    ),
    "AF RMSE": Threshold("2x", None, "two sets of real people differ by the floor, seldom by 1.6 times it"),
    "LD RMSE": Threshold("2x", None, "two sets of real people differ by the floor, seldom by 1.6 times it"),
    "AA_truth": Threshold("~0.1", None, "real people give the floor: .5, less where many haplotypes are equal"),
    "AA_syn": Threshold("~0.1", None, "real people give the floor: .5, less where many haplotypes are equal"),
    "C2ST AUC, gradient boosting": Threshold("0.6", None, "two sets of real people give .5"),
}


@dataclass(frozen=True)
class Check:
    """One line of the gate.

    Parameters
    ----------
    metric : str
    limit : str
        As the module says.
    passed : bool
    value, floor, null, low, high : float or None
        From the row; `null` is what two sets of real people give.
    reason : str
        In words, why it passed or failed.
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
    """The verdict: every check, and whether all passed."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether all checks passed."""
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not."""
        return tuple(check for check in self.checks if not check.passed)

    def __str__(self) -> str:
        if self.passed:
            return f"gate passed: all {len(self.checks)} checks"
        lines = [f"gate failed: {len(self.failures)} of {len(self.checks)} checks"]
        lines += [f"  {check.metric}: {check.reason}" for check in self.failures]
        return "\n".join(lines)


def judge(evaluation: Evaluation, thresholds: Mapping[str, str] | None = None) -> Gate:
    """Compare an evaluation with the limits of a release.

    A value passes within its limit. Beyond it, it still passes where its 95 % interval holds the null (but for copied
    people): what is not told from chance is not held against anybody, and the check of `held-out people` sees to it
    that the interval is short. A metric that could not be computed fails: it was asked for, and nobody knows.

    Parameters
    ----------
    evaluation : Evaluation
    thresholds : mapping of str to str, optional
        Limits by metric, in the place of those of `THRESHOLDS` or beside them; "off" takes one away.

    Raises
    ------
    UsageError
        If a metric is unknown or a limit cannot be read.
    """
    limits = {metric: threshold.limit for metric, threshold in THRESHOLDS.items()}
    rows = {row.metric: row for row in evaluation.rows if row.label == "all"}
    for metric, limit in (thresholds or {}).items():
        if metric not in limits and metric not in rows:
            raise UsageError(
                f"There is no metric {metric!r} to set a threshold for; metrics: {listed([HELD_OUT, *rows], 60)}."
            )
        limits[metric] = limit
    checks = []
    for metric, limit in limits.items():
        bounds = parse_limit(metric, limit)
        if bounds is None:
            continue
        if metric == HELD_OUT:
            checks.append(_people_check(evaluation, limit, bounds))
            continue
        row = rows.get(metric)
        if row is None or row.value is None:
            reason = "cannot be computed: " + (row.note if row is not None and row.note else "there is no such row")
            checks.append(Check(metric, limit, False, None, None, None, None, None, reason))
            continue
        default = THRESHOLDS.get(metric)
        null = default.null if default is not None and default.null is not None else row.floor
        if bounds.of_floor and row.floor is None:
            reason = f"the limit {limit} is relative to the floor, and there is none (no held-out people)"
            checks.append(Check(metric, limit, False, row.value, None, null, row.low, row.high, reason))
            continue
        low, high = bounds.range(row.floor, row.aim)
        inside = (low is None or row.value >= low) and (high is None or row.value <= high)
        by_chance = default is None or default.by_chance
        if null is None or row.low is None or row.high is None or not row.low <= null <= row.high:
            by_chance = False
        said = figure(row.value) + ("" if inside else f" is {_beyond(row.value, low, high)}")
        if row.low is not None and row.high is not None:
            said += f" (interval {figure(row.low)} … {figure(row.high)}"
            said += "" if null is None else f", real people: {figure(null)}"
            said += ")"
        elif null is not None:
            said += f" (real people: {figure(null)})"
        checks.append(Check(metric, limit, inside or by_chance, row.value, row.floor, null, row.low, row.high, said))
    return Gate(tuple(checks))


def _people_check(evaluation: Evaluation, limit: str, bounds: Bounds) -> Check:
    people: Mapping[str, Any] = evaluation.provenance.get("people", {}).get("holdout") or {}
    count = float(people.get("used", 0))
    low, high = bounds.range(None, "higher")
    inside = (low is None or count >= low) and (high is None or count <= high)
    said = f"{count:.0f} people" + ("" if inside else f" is {_beyond(count, low, high)}")
    return Check(HELD_OUT, limit, inside, count, None, None, None, None, said)


def _beyond(value: float, low: float | None, high: float | None) -> str:
    if low is not None and value < low:
        return f"below {figure(low)}"
    return f"above {figure(high)}"


# ---- limits -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bounds:
    """A limit that was read: plain numbers, or a multiple of the floor, or an addition to it."""

    low: float | None = None
    high: float | None = None
    plain: float | None = None
    times: float | None = None
    more: float | None = None
    around: float | None = None

    @property
    def of_floor(self) -> bool:
        """Whether the limit is relative to the floor."""
        return any(part is not None for part in (self.times, self.more, self.around))

    def range(self, floor: float | None, aim: str) -> tuple[float | None, float | None]:
        """Return the lowest and highest value that passes; None is no bound."""
        if self.plain is not None:
            return (self.plain, None) if aim == "higher" else (None, self.plain)
        if self.of_floor:
            assert floor is not None
            if self.around is not None:
                return floor - self.around, floor + self.around
            bound = self.times * floor if self.times is not None else floor + (self.more or 0.0)
            return (bound, None) if aim == "higher" else (None, bound)
        return self.low, self.high


_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"


def parse_limit(metric: str, text: str) -> Bounds | None:
    """Return the bounds of a limit, or None for "off".

    Raises
    ------
    UsageError
        If the text is none of the forms that the module lists.
    """
    if text == "off":
        return None
    if re.fullmatch(_NUMBER, text):
        return Bounds(plain=float(text))
    if found := re.fullmatch(rf"({_NUMBER})x", text):
        return Bounds(times=float(found[1]))
    if found := re.fullmatch(rf"~({_NUMBER})", text):
        return Bounds(around=float(found[1]))
    if re.fullmatch(rf"[+-]{_NUMBER}", text):
        return Bounds(more=float(text))
    found = re.fullmatch(rf"(-?{_NUMBER})?\.\.(-?{_NUMBER})?", text)
    if found and (found[1] or found[2]):
        low, high = (float(part) if part else None for part in found.groups())
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
    found = {}
    for text in texts:
        metric, equals, limit = (part.strip() for part in text.rpartition("="))
        if not equals or not metric:
            raise UsageError(
                f"--threshold {text!r} cannot be read; accepted: METRIC=LIMIT, for example 'membership AUC=0.55'."
            )
        parse_limit(metric, limit)
        found[metric] = limit
    return found
