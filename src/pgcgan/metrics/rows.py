"""Rows of an evaluation: a value with its floor, aim and bootstrap interval, or why it cannot be computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

GRADES = ("good", "fair", "poor")
STANDINGS = {"good": "like real", "fair": "near", "poor": "deviates"}  # as they are shown
BOOTSTRAPS = 200
Span = tuple[float | None, float | None]  # the ends of an interval, if there is one
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
        interval: Span = (None, None),
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


# ---- intervals ----------------------------------------------------------------------------------------------------


def interval(
    statistic: Callable[..., float], counts: int | Sequence[int], seed: int, distance: float | None = None
) -> Span:
    """Return the 95 % percentile bootstrap interval of a statistic.

    Parameters
    ----------
    statistic : callable
        Takes one array of indices of resampled units (people, or blocks of sites) per group.
    counts : int or sequence of int
        Number of units of each group; with fewer than two in one there is no interval.
    seed : int
        Random seed.
    distance : float, optional
        The value, if the statistic is a distance, 0 or more. Two resampled sets are farther apart than the sets that
        they are drawn from: the draws are moved by what their median exceeds the value by, and end at 0.
    """
    sizes = [counts] if isinstance(counts, int) else list(counts)
    if min(sizes) < 2:
        return None, None
    generator = np.random.default_rng([seed, 77])
    draws = np.array([statistic(*(generator.integers(0, n, n) for n in sizes)) for _ in range(BOOTSTRAPS)])
    draws = draws[np.isfinite(draws)]
    if len(draws) < BOOTSTRAPS // 2:
        return None, None
    if distance is not None:
        draws = np.maximum(draws - np.median(draws) + distance, 0)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def block_starts(count: int, blocks: int = 100) -> np.ndarray:
    """Return the starts of up to `blocks` blocks of neighbouring sites, to be resampled together."""
    return np.unique(np.linspace(0, count, min(blocks, count) + 1)[:-1].astype(int))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation; raise NotComputable below three numbers or where one side is constant."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        raise NotComputable("needs at least three different values on each side for a correlation")
    return float(np.corrcoef(a, b)[0, 1])


def moments(a: np.ndarray, b: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return n, Σa, Σb, Σa², Σb², Σab of each block of two columns of numbers (`block_starts`): shape (blocks, 6)."""
    columns = np.stack([np.ones(len(a)), a, b, a * a, b * b, a * b], axis=1)
    return np.add.reduceat(columns, starts, axis=0)


def rmse_of(moments: np.ndarray) -> float:
    """Return the root mean square difference from n, Σa, Σb, Σa², Σb², Σab."""
    n, _, _, aa, bb, ab = moments
    return float(np.sqrt(max(aa + bb - 2 * ab, 0.0) / n))


def correlation_of(moments: np.ndarray) -> float:
    """Return Pearson's correlation from n, Σa, Σb, Σa², Σb², Σab; NaN where one side is constant or nothing is."""
    n, a, b, aa, bb, ab = moments
    if n == 0:
        return float("nan")
    spread = (aa - a * a / n) * (bb - b * b / n)
    return float((ab - a * b / n) / np.sqrt(spread)) if spread > 0 else float("nan")
