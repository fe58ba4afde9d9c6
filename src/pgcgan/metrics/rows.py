"""Rows of an evaluation: a value with its floor, aim and interval, or the reason why it cannot be computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

GRADES = ("good", "fair", "poor")
STANDINGS = {"good": "like real", "fair": "near", "poor": "deviates"}  # as they are shown
NO_HOLDOUT = "needs held-out people (holdout=…, --split)"


class NotComputable(Exception):
    """A metric cannot be computed for these people; its row shows the message."""


@dataclass(frozen=True)
class Row:
    """One metric of an evaluation.

    Parameters
    ----------
    topic, metric : str
        What is measured.
    label : str
        "all", a label value, or for Fst a pair of them.
    value : float or None
        The metric for the synthetic set; None if it cannot be computed, with the reason in `note`.
    floor : float or None
        The same metric for the real training people instead of the synthetic ones.
    aim : str
        "lower", "higher", "floor" (as near to the floor as can be), "at most floor", or a number.
    low, high : float or None
        95 % bootstrap interval of `value`.
    note : str
        Definition details and reservations.
    chance : float or None
        What a classifier reaches that knows nothing: a value is judged by how much of the way from there to the floor
        it goes, too.
    """

    topic: str
    metric: str
    label: str
    value: float | None
    floor: float | None = None
    aim: str = "lower"
    low: float | None = None
    high: float | None = None
    note: str = ""
    chance: float | None = None

    @property
    def standing(self) -> str | None:
        """Return "good", "fair" or "poor", or None where there is nothing to judge by.

        An error is compared with the error of unseen real people (the floor): up to 1.5 times is good, up to 2.5 times
        fair, because two groups of real people differ that much in the noisiest metrics. A number with an ideal is good
        within .05 of it (or of what the floor misses it by), fair within .1. A classifier is good only with three
        quarters, fair with half, of what real people add to always guessing the most frequent label; where real people
        add nothing to that, there is nothing to judge by. What would be poor is fair if the interval holds the floor:
        so few people do not show a difference. Privacy, and a classifier that only guesses, are judged by the value.
        """
        standing = self._standing_of_value()
        if standing != "poor" or self.topic == "privacy" or self.floor is None or self.low is None or self.high is None:
            return standing
        only_guesses = self.chance is not None and self.value is not None and self.value <= self.chance
        return "fair" if self.low <= self.floor <= self.high and not only_guesses else standing

    def _standing_of_value(self) -> str | None:
        if self.value is None:
            return None
        if self.chance is None or self.floor is None:
            return self._by_aim(self.value)
        if self.floor <= self.chance:
            return None
        missed = (self.floor - self.value) / (self.floor - self.chance)
        return max(_grade(missed, 0.25, 0.5), self._by_aim(self.value) or "good", key=GRADES.index)

    def _by_aim(self, value: float) -> str | None:
        floor = self.floor
        if self.topic == "privacy":
            return self._by_leak(value)
        if self.aim not in ("lower", "higher", "floor", "at most floor"):
            slack = 0.0 if floor is None else abs(floor - float(self.aim))
            return _grade(abs(value - float(self.aim)), 0.05 + slack, 0.1 + slack)
        if floor is None:
            return None
        if self.aim in ("lower", "higher"):
            best = 0.0 if self.aim == "lower" else 1.0
            unavoidable = abs(best - floor)
            if self.aim == "higher" and value >= floor:
                return "good"
            return _grade(abs(best - value), 1.5 * unavoidable + 1e-9, 2.5 * unavoidable + 1e-9)
        gap = value - floor if self.aim == "at most floor" else abs(value - floor)
        return _grade(gap, 0.05 * abs(floor), 0.1 * abs(floor))

    def _by_leak(self, value: float) -> str | None:
        if "AUC" in self.metric or self.metric == "privacy loss":
            return _grade(value - (0.5 if "AUC" in self.metric else 0.0), 0.03, 0.06)
        if "TPR" in self.metric:
            return _grade(value, 2 * float(self.aim), 4 * float(self.aim))
        if self.floor is None:
            return None
        if self.metric in ("exact copies", "near copies", "copied people"):
            return _grade(value - self.floor, 0.005, 0.02)
        return _grade(self.floor - value, 0.1 * abs(self.floor), 0.25 * abs(self.floor))


def _grade(gap: float, good: float, fair: float) -> str:
    return "good" if gap <= good else "fair" if gap <= fair else "poor"


@dataclass
class RowBuilder:
    """Collects the rows of one topic and one label, in order."""

    label: str
    topic: str
    rows: list[Row] = field(default_factory=list)

    def add(
        self,
        metric: str,
        value: float,
        floor: float | None = None,
        aim: str = "lower",
        interval: tuple[float | None, float | None] = (None, None),
        note: str = "",
        label: str | None = None,
        chance: float | None = None,
    ) -> None:
        """Append one row; a number that is not finite becomes None."""
        number, level, low, high = map(_finite, (value, floor, *interval))
        self.rows.append(Row(self.topic, metric, label or self.label, number, level, aim, low, high, note, chance))

    def cannot(self, metric: str, aim: str, reason: str, label: str | None = None) -> None:
        """Append a row without a value, with the reason."""
        self.rows.append(Row(self.topic, metric, label or self.label, None, aim=aim, note=reason))


def _finite(number: float | None) -> float | None:
    return None if number is None or not np.isfinite(number) else float(number)
