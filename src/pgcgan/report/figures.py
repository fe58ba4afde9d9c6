"""The figures of an evaluation: all of them for the report, and one by one for a notebook or a paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from ..errors import UsageError, listed
from ..metrics import Evaluation, Row, figure
from .finding import ONE, unit_of
from .panels import Figure
from .pictures import LdPlot
from .plots import GUIDE, HUES, SET_SHAPES, SETS, Axis, Plot, Series, padded, set_series
from .scatter import allele_frequencies, principal_components

LEAST_RATIO = 0.25
LEAST_RATE = 0.001  # of false positives
INFORMED = "informed membership AUC, pool"
TOPICS = (("frequency", "linkage"), ("structure", "haplotypes", "utility"))


def figures(evaluation: Evaluation) -> list[Figure]:
    """Return the figures for which the evaluation has data, in the order of the page.

    Parameters
    ----------
    evaluation : Evaluation
        Its `figures` may have: pca, allele_frequency, sfs, ld_decay, ld_matrix, nearest, membership_roc, informed_roc
        ({"fpr", "curves": {attacker: [...]}}), baselines ({name: rows as in the JSON}), augmentation ({"label",
        "score", "kept": [...], "curves": {name: [...]}}) and training ({"step": [...], "curves": {name: [...]}}).
    """
    data, rows = evaluation.figures, evaluation.rows

    def draw(**by_key: Callable[[Any], Figure | None]) -> list[Figure | None]:
        return [of_data(data[key]) for key, of_data in by_key.items() if data.get(key)]

    drawn = [
        _errors(rows),
        *draw(pca=principal_components, allele_frequency=partial(allele_frequencies, rows=rows)),
        *draw(ld_matrix=_ld_matrix, ld_decay=_ld_decay, sfs=_sfs, nearest=partial(_nearest, unit=unit_of(evaluation))),
        _roc(data.get("membership_roc") or {}, data.get("informed_roc") or {}),
        _frontier(rows, data.get("baselines") or {}),
        *draw(augmentation=_augmentation, training=_training),
    ]
    return [f for f in drawn if f is not None and f.panels]


@dataclass(frozen=True)
class Plotting:
    """The figures of the report as methods; each returns a Figure, which a notebook shows and `save` writes as SVG."""

    evaluation: Evaluation

    def overview(self) -> Figure:
        """All rows at a glance: errors as multiples of those of real people, two-sample tests and attacks."""
        return self._figure("at-a-glance")

    def pca(self) -> Figure:
        """People on the first two principal components of the training people."""
        return self._figure("pca")

    def allele_frequency(self) -> Figure:
        """Allele frequencies of synthetic against held-out people, of all people and by label."""
        return self._figure("allele-frequency")

    def ld(self) -> Figure:
        """Linkage disequilibrium: r² of pairs of sites, real people above synthetic people."""
        return self._figure("ld")

    def ld_decay(self) -> Figure:
        """Mean r² by distance."""
        return self._figure("ld-decay")

    def sfs(self) -> Figure:
        """Folded site-frequency spectra."""
        return self._figure("sfs")

    def nearest(self) -> Figure:
        """Distances to the nearest training haplotype."""
        return self._figure("nearest")

    def membership(self) -> Figure:
        """ROC curves of the membership attacks."""
        return self._figure("membership")

    def frontier(self) -> Figure:
        """Fidelity against privacy, with the evaluations of `Evaluation.beside`."""
        return self._figure("frontier")

    def augmentation(self) -> Figure:
        """What a classifier gains from synthetic people (`evaluate(augment=…)`)."""
        return self._figure("augmentation")

    def training(self) -> Figure:
        """Training curves (`Evaluation.with_training`)."""
        return self._figure("training")

    def _figure(self, key: str) -> Figure:
        drawn = {each.key: each for each in figures(self.evaluation)}
        if key not in drawn:
            raise UsageError(f"This evaluation has no data for the figure {key!r}; it has: {listed(drawn, 40)}.")
        return drawn[key]

    def __repr__(self) -> str:
        return f"Plotting({', '.join(each.key for each in figures(self.evaluation))})"


# ---- all rows at a glance -----------------------------------------------------------------------------------------


def error_ratio(row: Row) -> float | None:
    """Return the error of a row divided by that of real people; None for a row without both."""
    if row.value is None or row.floor is None or row.aim not in ("lower", "higher") or row.topic == "privacy":
        return None
    best = 0.0 if row.aim == "lower" else 1.0
    unavoidable = abs(best - row.floor)
    return abs(best - row.value) / unavoidable if unavoidable > 1e-9 else None


def _errors(rows: Sequence[Row]) -> Figure:
    overall = [r for r in rows if r.label == "all"][::-1]
    ratios = {r.metric: ratio for r in overall if (ratio := error_ratio(r)) is not None}
    panels: list[Plot | LdPlot] = []
    caption = ""
    if ratios:
        span = 0.8 * LEAST_RATIO, max(6.0, 1.4 * max(ratios.values()))
        for topics in TOPICS:
            shown = [r for r in overall if r.topic in topics and r.metric in ratios]
            if shown:
                title = ", ".join(dict.fromkeys(r.topic for r in shown[::-1])).capitalize()
                panels.append(_judged(shown, [max(ratios[r.metric], LEAST_RATIO) for r in shown], span, title))
        caption = "Dashed: 1, 1.5 and 2.5 times the error of real people. Up to 1.5 is like real; above 2.5 deviates. "
        if any(v < LEAST_RATIO for v in ratios.values()):
            caption += f"Ratios below {LEAST_RATIO} are drawn at {LEAST_RATIO}. "
    apart = [r for r in overall if r.value is not None and ("AUC" in r.metric or r.metric.startswith("AA_"))]
    if apart:
        panels.append(_chances(apart))
        caption += "In the right panel .5 is ideal, and bars are 95 % intervals."
    return Figure("at-a-glance", "Overview", caption, panels, wide=True)


def _judged(rows: Sequence[Row], ratios: Sequence[float], span: tuple[float, float], title: str) -> Plot:
    series = [_guide(at, rows) for at in (1.0, 1.5, 2.5)]
    for standing, shape, name in (("good", 0, "like real"), ("fair", 3, "near"), ("poor", 6, "deviates")):
        own = [k for k, row in enumerate(rows) if row.standing == standing]
        if own:
            notes = [f"{rows[k].metric}: {figure(rows[k].value)}; real people: {figure(rows[k].floor)}" for k in own]
            series.append(Series(name, standing, "points", [ratios[k] for k in own], own, shape, notes))
    axis = Axis("error, times that of real people", *span, log=True)
    return _plot_of_rows(axis, rows, series, f"{title}, as multiples of the error of real people", title)


def _chances(rows: Sequence[Row]) -> Plot:
    reach = [v for r in rows for v in (r.value, r.low, r.high, r.floor) if v is not None]
    floors = [(k, r.metric, r.floor) for k, r in enumerate(rows) if r.floor is not None]
    series = [_guide(0.5, rows)]
    if floors:
        places, metrics, x = zip(*floors, strict=True)
        series.append(Series("real people", "holdout", "points", x, places, SET_SHAPES["holdout"], metrics))
    values = [r.value or 0.0 for r in rows]
    notes = [r.metric + ("" if r.low is None else f", {figure(r.low)} to {figure(r.high)}") for r in rows]
    synthetic = set_series("synthetic", "points", values, range(len(rows)), notes)
    series.append(replace(synthetic, low=[r.low for r in rows], high=[r.high for r in rows]))
    axis = Axis("AUC or share: .5 is ideal", min(0.35, *reach) - 0.02, max(0.75, *reach) + 0.02)
    description = "AUC and nearest-neighbour shares, with intervals"
    return _plot_of_rows(axis, rows, series, description, "Two-sample tests and attacks")


def _guide(at: float, rows: Sequence[Row]) -> Series:
    return Series(GUIDE, "guide", "guide", [at, at], [-0.6, len(rows) - 0.4])


def _plot_of_rows(axis: Axis, rows: Sequence[Row], series: list[Series], description: str, title: str) -> Plot:
    """Return a plot with one line a row, the first at the bottom."""
    names = tuple(_clipped(r.metric.replace("informed membership", "informed"), 27) for r in rows)
    down = Axis("", -0.6, len(rows) - 0.4, categories=names)
    return Plot(axis, down, series, description, title, height=62 + 18 * len(rows), left=172)


def _clipped(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


# ---- frequency --------------------------------------------------------------------------------------


def _sfs(data: Mapping[str, Any]) -> Figure:
    names = [n for n in SETS if n in data]
    length = len(data[names[0]])
    # single counts while there are few, then counts joined in bins of equal width on the axis
    edges = np.unique(np.concatenate([np.arange(1, 9), np.geomspace(9, length + 1, 16).round()])).astype(int)
    edges = np.concatenate([edges[edges < length + 1], [length + 1]])
    middle = [math.sqrt(a * (b - 1)) for a, b in pairwise(edges)]
    words = [f"{a} to {b - 1} copies" if b - 1 > a else f"{a} cop{'y' if a == 1 else 'ies'}"
             for a, b in pairwise(edges)]  # fmt: skip
    series = []
    for name in names:
        each = np.add.reduceat(np.asarray(data[name], dtype=float), edges[:-1] - 1) / np.diff(edges)
        there = np.flatnonzero(each > 0)
        x, notes = [middle[k] for k in there], [words[k] for k in there]
        series.append(set_series(name, "line", x, each[there].tolist(), notes))
    values = [v for s in series for v in s.y]
    plot = Plot(
        Axis("copies of the minor allele", 0.85, length * 1.15, log=True),
        Axis("share of sites, per count", min(values) * 0.7, max(values) * 1.5, log=True),
        series,
        "Folded site-frequency spectra",
    )
    caption = f"Polymorphic sites, folded and projected to {data['alleles']} alleles. Rare alleles are on the left."
    return Figure("sfs", "Site-frequency spectrum", caption, [plot])


# ---- linkage ------------------------------------------------------------------------------------------------------


def _ld_decay(data: Mapping[str, Any]) -> Figure | None:
    if not data["distance"]:  # too few pairs for any bin
        return None
    names = [n for n in SETS if n in data]
    distance = data["distance"]
    low, high = min(distance), max(distance)
    plot = Plot(
        Axis("distance (bp)", low * 0.9, max(high * 1.1, low * 1.2), log=True),
        Axis("mean r²", 0, 1.08 * max(max(data[n]) for n in names) or 1),
        [set_series(n, "line", distance, data[n]) for n in names],
        "Mean r² by distance",
    )
    caption = "Pairs of sites with a minor allele frequency of at least 5 %, up to 500 sites apart."
    return Figure("ld-decay", "Decay of linkage disequilibrium", caption, [plot])


def _ld_matrix(data: Mapping[str, Any]) -> Figure:
    real, synthetic = (np.array(data[k], dtype=float) for k in ("reference", "synthetic"))
    position = data.get("position") or [0] * len(real)
    contig = [str(c) for c in data.get("contig") or [""] * len(real)]
    sites = [f"{c}:{p:,}" if c else f"{p:,}" for c, p in zip(contig, position, strict=True)]
    span = f"{len(set(contig))} contigs"
    if len(set(contig)) == 1 and len(position) > 1:
        span = f"{contig[0] + ': ' if contig[0] else ''}{_place(position[0])} to {_place(position[-1])}"
    names = (SETS[data["reference_name"]].capitalize(), "Synthetic")
    panel = LdPlot(real, synthetic, names, sites, span, f"r² of pairs of {len(sites)} sites, real above synthetic")
    caption = f"r² of {len(sites)} sites in order, real above the line, synthetic below. The halves should mirror each"
    caption += " other; pairs that are dark above and pale below have lost their correlation."
    return Figure("ld", "Linkage disequilibrium", caption, [panel])


def _place(position: float) -> str:
    unit, factor = next(u for u in (("Mb", 1e6), ("kb", 1e3), ("bp", 1)) if position >= u[1] or u[1] == 1)
    return f"{position / factor:.4g} {unit}"


# ---- privacy ------------------------------------------------------------------------------------------------------


def _nearest(data: Mapping[str, Any], unit: str) -> Figure:
    one = ONE[unit]
    names = [n for n in ("holdout", "synthetic") if n in data]
    plot = Plot(
        Axis("share of sites that differ", data["edges"][0], data["edges"][-1]),
        Axis(f"share of {unit}", 0, 1.08 * max(max(data[n]) for n in names) or 1),
        [set_series(n, "steps", data["edges"], data[n]) for n in names],
        f"Histogram of distances to the nearest training {one}",
    )
    caption = "Further left than held-out people: copies of training people. Further right: unlike any real person."
    caption = caption if "holdout" in data else "Near 0: copies of training people, or what many people carry."
    return Figure("nearest", f"Distance to the nearest training {one}", caption, [plot])


def _roc(by_distance: Mapping[str, Any], informed: Mapping[str, Any]) -> Figure | None:
    grid = informed.get("fpr") or np.geomspace(LEAST_RATE, 1, 61).tolist()
    curves: dict[str, Sequence[float]] = dict(informed.get("curves") or {})
    if by_distance:
        curves["nearest distance"] = np.interp(grid, by_distance["fpr"], by_distance["tpr"]).tolist()
    if not curves:
        return None
    plot = Plot(
        Axis("false positive rate", LEAST_RATE, 1, log=True),
        Axis("true positive rate", 0, 1),
        [
            Series("chance", "guide", "guide", grid, grid),
            *(Series(name, f"hue{k % HUES}", "curve", grid, curve) for k, (name, curve) in enumerate(curves.items())),
        ],
        "ROC curves of the membership attacks, with a logarithmic axis of false positive rates",
    )
    caption = (
        "Share of the training people detected, by the share of other people wrongly accused. The attackers have the "
        "synthetic people and the genotypes of all candidates (pool) or of other people (panel), or look for the "
        "nearest synthetic haplotype. On the dashed curve an attack guesses."
    )
    return Figure("membership", "Membership attacks", caption, [plot])


def _frontier(rows: Sequence[Row], baselines: Mapping[str, Any]) -> Figure | None:
    informed = any(r.metric == INFORMED and r.label == "all" and r.value is not None for r in rows)
    metric = INFORMED if informed else "membership AUC"
    series = [Series("real people", "holdout", "points", [0.5], [1.0], SET_SHAPES["holdout"])]
    ends, errors, count = list[float](), list[float](), 0
    every = [("this set", rows), *((str(n), [Row(**r) for r in given]) for n, given in baselines.items())]
    for k, (name, given) in enumerate(every):
        attack = next((r for r in given if r.metric == metric and r.label == "all"), None)
        ratios = [ratio for r in given if r.label == "all" and (ratio := error_ratio(r)) is not None]
        if attack is None or attack.value is None or not ratios:
            if k == 0:
                return None
            continue
        count = count or len(ratios)
        errors.append(median(ratios))
        ends += [v for v in (attack.value, attack.low, attack.high) if v is not None]
        style = "synthetic" if k == 0 else f"hue{2 + (k - 1) % (HUES - 2)}"
        notes = [] if attack.low is None else [f"{figure(attack.low)} to {figure(attack.high)}"]
        interval = [attack.low], [attack.high]
        series.append(Series(name, style, "points", [attack.value], [errors[-1]], k, notes, *interval))
    attacker = "(pool)" if informed else "by distance"
    plot = Plot(
        Axis(f"membership AUC {attacker}: .5 is chance", min(0.44, *ends) - 0.01, max(0.7, *ends) + 0.01),
        Axis(
            "median error, times that of real people",
            min(0.7, 0.8 * min(errors)),
            max(3.0, 1.3 * max(errors)),
            log=True,
        ),
        series,
        "Median error against membership AUC",
    )
    caption = f"Median of {count} errors divided by those of real people. Bottom left is best; copying is bottom right."
    return Figure("frontier", "Fidelity and privacy", caption, [plot])


# ---- augmentation and training -----------------------------------------------------------------------------------


def _augmentation(data: Mapping[str, Any]) -> Figure:
    kept, curves = data["kept"], data["curves"]
    plot = Plot(
        Axis(f"people of {data['label']} kept", min(kept) * 0.8, max(kept) * 1.25, log=True),
        Axis(str(data["score"]), *padded(v for curve in curves.values() for v in curve if v is not None)),
        [_curve(k, str(name), kept, curve) for k, (name, curve) in enumerate(curves.items())],
        "Score of a classifier by the people kept",
    )
    caption = "A classifier is trained with few real people of one label and synthetic ones added."
    caption += " The generator may have been fitted to the real people left out."
    return Figure("augmentation", "Gain by augmentation", caption, [plot])


def _training(data: Mapping[str, Any]) -> Figure:
    across = Axis("step", *padded(data["step"], 0.02))
    drawn = [_curve(k, str(name), data["step"], curve) for k, (name, curve) in enumerate(data["curves"].items())]
    panels: list[Plot | LdPlot] = [
        Plot(across, Axis("", *padded(own.y)), [own], f"{own.name} by step", own.name) for own in drawn if own.x
    ]
    return Figure("training", "Training", "Each curve has its own scale.", panels, wide=len(panels) > 1)


def _curve(number: int, name: str, x: Sequence[float], y: Sequence[float]) -> Series:
    """Return a line through the points that have a value."""
    there = [k for k, value in enumerate(y) if value is not None and math.isfinite(value)]
    return Series(name, f"hue{number % HUES}", "line", [x[k] for k in there], [y[k] for k in there], number)
