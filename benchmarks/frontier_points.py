"""Curves of the frontier, bars for it, and the points of a result: by setting, over seeds, within a limit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bars import Bar

from pgcgan.metrics import figure

POOL = "informed membership AUC, pool"
FOUND = "informed membership TPR at 1 % FPR, pool"
RAREST = "informed membership AUC, pool, rarest tenth"
PANEL, COPIES = "informed membership AUC, panel", "informed membership AUC, pool, copies"  # other attackers
C2ST = ("C2ST AUC, gradient boosting", "C2ST AUC, logistic")
ROWS = (
    POOL, FOUND, RAREST, PANEL, COPIES, "AF RMSE", "LD RMSE", "far pairs r", "PCA variance ratio", "AA_truth", "AA_syn",
    *C2ST, "label fidelity",
)  # fmt: skip
Points = list[dict[str, Any]]  # of one curve and value, by seed


@dataclass(frozen=True)
class Curve:
    """A generator, and the parameter that moves it along its curve.

    Parameters
    ----------
    title : str
    generator : str
        Name of a family.
    option : str
        The parameter that varies.
    values : tuple of float
        Its values.
    fixed : mapping of str to value
        Parameters that all points have.
    also : tuple of str
        Parameters that take the value of `option`, too.
    """

    title: str
    generator: str
    option: str = ""
    values: tuple[float, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()


CURVES: dict[str, Curve] = {
    "independent": Curve("independent", "independent"),
    "li-stephens": Curve("Li-Stephens", "li-stephens", "recombination_rate", (1e-9, 1e-8, 1e-7, 1e-6)),
    "pca-gaussian": Curve("PCA-Gaussian", "pca-gaussian", "components", (64, 512)),
    "smote": Curve("SMOTE", "smote", "neighbours", (5,)),
    "carriers": Curve("haplotype, carriers only", "haplotype", "min_carriers", (3, 20, 50), {"min_deviations": 1}),
    "haplotype": Curve("haplotype", "haplotype", "min_carriers", (3, 10, 20, 50)),
    "tied": Curve(
        "haplotype, transitions too", "haplotype", "min_carriers", (3, 5, 7, 10, 14, 20), also=("min_transitions",)
    ),
    "private": Curve("haplotype, --private", "haplotype", "private", (0.6, 0.7)),
    "epsilon": Curve("private haplotype, --epsilon", "private-haplotype", "epsilon", (1.0, 3.0, 10.0)),
    "gan": Curve("gan", "gan", "min_carriers", (10,), also=("min_transitions",)),
    "gan-short": Curve(
        "gan, 4,000 steps", "gan", "min_carriers", (5, 7, 10), {"steps": 4_000}, also=("min_transitions",)
    ),
    "gan-chain": Curve(
        "gan on a chain",
        "gan",
        "min_carriers",
        (10, 20),
        {"longest_run": 1, "steps": 12_000},
        also=("min_transitions",),
    ),
}


@dataclass(frozen=True)
class Level:
    """What an attack may reach at most, and the fidelity asked of a generator within it.

    Parameters
    ----------
    attack, found : float
        AUC and true positive rate at 1 % false positives, of the pool.
    bars : tuple of Bar
    """

    attack: float
    found: float
    bars: tuple[Bar, ...]

    def __str__(self) -> str:
        found = "" if self.found == 1 else f" and a true positive rate of at most {self.found:g}"
        return f"an AUC of at most {self.attack:g}{found}"


LEVELS = (
    Level(
        0.6,
        0.03,
        (
            *(Bar(metric, high=0.70) for metric in C2ST),
            Bar("LD RMSE", high=0.030),
            Bar("AF RMSE", high=0.020),
            Bar("AA_truth", high=0.84),
            Bar("far pairs r", low=0.68),
        ),
    ),
    Level(
        0.7,
        1.0,
        (
            *(Bar(metric, high=0.57) for metric in C2ST),
            Bar("LD RMSE", high=0.017),
            Bar("AA_truth", high=0.70),
            Bar("far pairs r", low=0.80),
        ),
    ),
)


def point_name(curve: str, value: float | None) -> str:
    """Return what a point is called: curve, option and value."""
    known = CURVES[curve]
    return known.title if value is None else f"{known.title}, {known.option} {value:g}"


def by_value(result: dict[str, Any], curve: str) -> list[tuple[float | None, Points]]:
    """Return the points of a curve as (value, those of its seeds), by value."""
    own = [p for p in result["points"] if p["curve"] == curve]
    values = sorted({p["value"] for p in own}, key=lambda v: -math.inf if v is None else v)
    return [(value, [p for p in own if p["value"] == value]) for value in values]


def of_seeds(points: Sequence[dict[str, Any]], metric: str) -> list[float]:
    """Return the values of a metric, those that could be computed."""
    return [value for p in points if (value := p["rows"].get(metric)) is not None]


def over_seeds(points: Sequence[dict[str, Any]], metric: str) -> tuple[float, float, float] | None:
    """Return mean, least and largest value of a metric over seeds; None where there is none."""
    values = of_seeds(points, metric)
    return (sum(values) / len(values), min(values), max(values)) if values else None


def mean_of(points: Sequence[dict[str, Any]], metric: str) -> float | None:
    """Return the mean of a metric over seeds; None where there is none."""
    span = over_seeds(points, metric)
    return None if span is None else span[0]


def floor_of(result: dict[str, Any], metric: str) -> float | None:
    """Return the mean of the floor over the seeds measured."""
    values = [value for rows in result["floors"].values() if (value := rows.get(metric)) is not None]
    return sum(values) / len(values) if values else None


def reached(points: Sequence[dict[str, Any]], bar: Bar) -> bool:
    """True if the points, one a seed, reach a bar."""
    values = of_seeds(points, bar.metric)
    return bool(values) and bar.holds(values, [None] * len(values))


def at_level(result: dict[str, Any], curve: str, level: Level) -> tuple[float | None, Points] | None:
    """Return the point of a curve within a level that reaches most bars, of those the one with the lowest C2ST AUC."""

    def within(points: Points) -> bool:
        limits = ((POOL, level.attack), (FOUND, level.found))
        return all((mean := mean_of(points, metric)) is not None and mean <= most for metric, most in limits)

    def missed(item: tuple[float | None, Points]) -> tuple[int, float]:
        c2st = mean_of(item[1], C2ST[0])
        return sum(not reached(item[1], bar) for bar in level.bars), 1.0 if c2st is None else c2st

    return min((item for item in by_value(result, curve) if within(item[1])), key=missed, default=None)


def differing(settings: Sequence[Mapping[str, Any] | None], but: Sequence[str]) -> list[str]:
    """Return the names of settings that are not the same in all of some generators, those in `but` aside."""
    known = [s for s in settings if s is not None]
    names = sorted({name for s in known for name in s} - set(but))
    return [n for n in names if len({json.dumps(s.get(n)) for s in known}) > 1]


def span_text(span: tuple[float, float, float] | None) -> str:
    """Return a mean over seeds as text, with the least and the largest value in brackets."""
    if span is None:
        return "–"
    mean, low, high = map(figure, span)
    return mean if low == high else f"{mean} ({low} to {high})"
