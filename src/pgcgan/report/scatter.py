"""The figures of points: people on principal components, and sites by their allele frequency."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..metrics import Row, figure
from .panels import Figure
from .pictures import SHARES, LdPlot
from .plots import GUIDE, HUES, SETS, Axis, Plot, Series, equal_axes, padded, set_series

MOST_LABELS = 12  # panels of allele frequencies
_LEFT = 54  # room for the numbers of an axis
_REAL = "real people"


# ---- principal components -----------------------------------------------------------------------------------------


def principal_components(data: Mapping[str, Any]) -> Figure:
    """Return the figure of people on the first two principal components of the training people.

    `data` has for each set "x", "y" and "label" of its points; "unit" is "people" or "rows", and "explained" the shares
    of the variance of the training people.
    """
    sets = [n for n in SETS if n in data]
    counts = Counter(str(value) for name in sets for value in data[name]["label"])
    largest = sorted(counts, key=lambda v: (-counts[v], v))
    labels = sorted(largest if len(largest) <= 24 else largest[:23])
    rest = f"{len(counts) - len(labels)} other labels"
    explained = (*(data.get("explained") or ()), None, None)
    x, y, height = equal_axes(
        Axis(_component(1, explained[0]), *padded(v for n in sets for v in data[n]["x"])),
        Axis(_component(2, explained[1]), *padded(v for n in sets for v in data[n]["y"])),
        _LEFT,
    )
    panels: list[Plot | LdPlot] = []
    for which in sets:
        series = _by_label(data[which], labels, rest if len(counts) > len(labels) else None)
        if which == "synthetic":
            real = [name for name in sets if name != "synthetic"]
            xs, ys = ([v for name in real for v in data[name][axis]] for axis in ("x", "y"))
            series.insert(0, Series(_REAL, "train", "areas", xs, ys))
        title = SETS[which].capitalize()
        panels.append(Plot(x, y, series, f"Principal components, {SETS[which]}", title, height, _LEFT))
    unit = data.get("unit", "rows")
    most = max(len(data[n]["x"]) for n in sets)
    *narrower, widest = (f"{100 * share:.0f}" for share in SHARES[::-1])
    caption = (
        f"Up to {most} {unit} of each set on the components of the training people, both axes on one scale. "
        f"The clouds should look alike{'' if labels == ['all'] else ', label by label'}. Shaded under the synthetic "
        f"{unit}: the areas that hold {', '.join(narrower)} and {widest} % of the real ones."
    )
    return Figure("pca", "Principal components", caption, panels, wide=True)


def _component(number: int, explained: float | None) -> str:
    share = "" if explained is None else f" ({100 * explained:.1f} % of the variance)"
    return f"principal component {number}{share}"


def _by_label(points: Mapping[str, Any], labels: Sequence[str], rest: str | None) -> list[Series]:
    """Return one series a label; those that are not shown on their own are one more, of the name `rest`."""
    shown = [*labels] if rest is None else [*labels, rest]
    by_label: dict[str, tuple[list[float], list[float]]] = {v: ([], []) for v in shown}
    for a, b, value in zip(points["x"], points["y"], points["label"], strict=True):
        xs, ys = by_label[value if value in by_label or rest is None else rest]
        xs.append(a)
        ys.append(b)
    series = []
    for k, (value, (xs, ys)) in enumerate(by_label.items()):
        name = "all people" if list(labels) == ["all"] else value
        # the shape moves on where the colours begin again
        style = "train" if k >= len(labels) else f"hue{k % HUES}"
        series.append(Series(name, style, "dots", xs, ys, k + k // HUES))
    return series


# ---- allele frequencies -------------------------------------------------------------------------------------------


def allele_frequencies(data: Mapping[str, Any], rows: Sequence[Row]) -> Figure:
    """Return the figure of allele frequencies, of all people and by label, with r and RMSE of the rows.

    `data` has "reference", "synthetic" and perhaps "train", frequencies of the same sites, and "by_label", the same for
    each label.
    """
    real = SETS[data["reference_name"]]
    by_label = data.get("by_label") or {}
    parts = (data, *by_label.values())
    every = [v for part in parts for n in ("reference", "synthetic", "train") for v in part.get(n) or []]
    top = min(1.0, math.ceil(10 * max(every) + 0.2) / 10)  # one scale for all panels
    agreement = {(row.metric, row.label): row for row in rows}

    def panel(points: Mapping[str, Any], title: str, label: str) -> Plot:
        series = [set_series("synthetic", "dots", points["reference"], points["synthetic"])]
        if points.get("train") is not None and data["reference_name"] != "train":
            series.append(set_series("train", "rings", points["reference"], points["train"]))
        series.append(Series(GUIDE, "guide", "guide", [0, top], [0, top]))
        across, down = Axis(f"allele frequency, {real}", 0, top), Axis("allele frequency, other set", 0, top)
        x, y, height = equal_axes(across, down, _LEFT)
        description = f"Allele frequencies against those of {real} people, {title}"
        return Plot(x, y, series, description, title, height, _LEFT, _agreement_marks(agreement, label, top))

    panels: list[Plot | LdPlot] = [panel(data, "All people", "all")]
    shown = list(by_label)
    if len(shown) > MOST_LABELS - 1:
        errors = {
            v: np.mean((np.asarray(by_label[v]["reference"]) - np.asarray(by_label[v]["synthetic"])) ** 2)
            for v in shown
        }
        shown = sorted(shown, key=lambda v: -errors[v])[: MOST_LABELS - 1]
    panels += [panel(by_label[v], str(v), str(v)) for v in shown]
    caption = "One mark per site."
    if data.get("train") is not None and data["reference_name"] != "train":
        caption += (
            " Hollow marks are the training people: the difference between two groups of real people, which no "
            "generator can be expected to beat. r and RMSE are those of all sites."
        )
    if len(shown) < len(by_label):
        caption += f" Of {len(by_label)} labels, the {len(shown)} with the largest errors are shown."
    return Figure("allele-frequency", "Allele frequencies", caption, panels, wide=len(panels) > 1)


def _agreement_marks(
    rows: Mapping[tuple[str, str], Row], label: str, top: float
) -> list[tuple[float, float, str, str]]:
    """Return r and RMSE of the synthetic people, and below them those of the training people, as texts in a corner."""
    r, rmse = rows.get(("AF r", label)), rows.get(("AF RMSE", label))
    if r is None or rmse is None:
        return []
    lines = [f"synthetic: r {figure(r.value)}, RMSE {figure(rmse.value)}"]
    if rmse.floor is not None:
        lines.append(f"training: r {figure(r.floor)}, RMSE {figure(rmse.floor)}")
    return [(0.02 * top, (0.95 - 0.055 * k) * top, line, "start") for k, line in enumerate(lines)]
