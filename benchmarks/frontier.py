"""The frontier: how faithful each generator is at a given membership AUC, over the whole range of its settings.

A generator that copies is faithful and gives people away, so that a single setting of it says little. Here every
baseline and the model are measured as curves, against the held-out people. Every point is added to
benchmarks/results/frontier-NAME.json as soon as it is measured, in the place of an earlier one with the same curve,
value and seed; from that file come the section of docs/benchmarks.md between the markers `frontier:NAME` and
docs/figures/frontier-NAME.svg.

    python benchmarks/frontier.py [--data DIR] [--only hla|snp805] [--curves li-stephens,pgcgan,…] [--seeds 1,2,3]
        [--values 1e-9,1e-8] [--missing] [--model DIR …] [--render]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from real_data import (
    DATA_SETS,
    DOCUMENT,
    LABEL,
    LEAKS,
    ROOT,
    ROWS,
    DataSet,
    distance_to_aim,
    machine,
    read_parts,
    read_published,
    write_result,
    write_section,
)

from pgcgan import Genotypes, evaluate
from pgcgan.errors import DataError, PgcganError, UsageError
from pgcgan.metrics import figure
from pgcgan.provenance import VERSION, now, provenance


@dataclass(frozen=True)
class Curve:
    """A generator and the setting that moves it along its curve.

    `generator` is the name of a baseline, "pgcgan", or "published" (then `option` is the name of the published set);
    `fixed` are settings that all its points have, `also` take the value of `option` too; points of `beside` that differ
    in `option` alone belong to it as well.
    """

    title: str
    generator: str
    option: str = ""
    values: tuple[float, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    beside: str = ""
    also: tuple[str, ...] = ()


CURVES: dict[str, Curve] = {
    "independent": Curve("independent", "independent"),
    "li-stephens": Curve(
        "Li-Stephens", "li-stephens", "recombination_rate", (1e-10, 5e-10, 2e-9, 1e-8, 5e-8, 2e-7, 1e-6)
    ),
    "pca-gaussian": Curve("PCA-Gaussian", "pca-gaussian", "components", (16, 64, 256, 512)),
    "smote": Curve("SMOTE", "smote", "neighbours", (1, 5, 25, 100)),
    "pgcgan": Curve("pgcgan", "pgcgan", "min_carriers", (1, 2, 3, 5, 10, 20), also=("run_carriers",)),
    "pgcgan-default": Curve("pgcgan, default", "pgcgan"),
    "pgcgan-network": Curve("pgcgan with network", "pgcgan", "epochs", (4.0, 8.0, 16.0, 32.0), beside="pgcgan-default"),
    "published-gan": Curve("published GAN", "published", "published GAN"),
    "published-rbm": Curve("published RBM", "published", "published RBM"),
}
# a point of the other takes minutes
QUICK = tuple(n for n in CURVES if n != "pgcgan-network")
SEEDS = (1, 2, 3)
ATTACK, LOSS, EXCESS = "membership AUC", "privacy loss", "AA_truth + AA_syn − 1"
FIDELITY = ("C2ST AUC, gradient boosting", "AA_truth", EXCESS, "LD RMSE", "far pairs r")
AIMS = {
    ATTACK: "0.5", LOSS: "0", "C2ST AUC, gradient boosting": "0.5", "AA_truth": "0.5", EXCESS: "0",
    "LD RMSE": "lower", "far pairs r": "higher",
}  # fmt: skip
LIMITED = tuple(m for m in FIDELITY if m != EXCESS)  # independent sites have AA_truth 1 and AA_syn 0: no excess
LIMIT = 0.53  # of the membership AUC
# what is asked of the model, on the data that it is asked on
BARS = {
    "hla": {
        ATTACK: "≤ 0.53", LOSS: "≤ 0.03", "C2ST AUC, gradient boosting": "≤ 0.55", "AA_truth": "0.40–0.60",
        "LD RMSE": "≤ 0.0165", "far pairs r": "≥ 0.84",
    },
}  # fmt: skip


# ---- one point ----------------------------------------------------------------------------------------------------


def settings_of(model: Any) -> dict[str, Any]:
    """Return all settings of a model or baseline that its people depend on, its seed aside, as JSON has them."""
    if hasattr(model, "options"):
        return {name: getattr(model, name) for name in model.options}
    found = {"preset": model.preset, "steps": model.steps, "minutes": model.minutes}
    found |= dataclasses.asdict(model.network) | dataclasses.asdict(model.training)
    found.pop("checkpoint_seconds", None)
    whole: dict[str, Any] = json.loads(json.dumps(found))
    return whole


def build(name: str, value: float | None, seed: int) -> Any:
    """Return the generator of a point, not fitted."""
    curve = CURVES[name]
    settings = dict(curve.fixed) | ({} if value is None else dict.fromkeys((curve.option, *curve.also), value))
    if curve.generator == "pgcgan":
        from pgcgan import PGcGAN

        return PGcGAN(LABEL, seed=seed, **settings)
    from pgcgan.generators.baselines import BASELINES

    return BASELINES[curve.generator](LABEL, seed=seed, **settings)


def place_of(model: Any) -> tuple[str, float | None]:
    """Return the curve on which a trained model lies, and its value there.

    Raises
    ------
    UsageError
        If it differs from the defaults in more than the option of one curve.
    """
    own = settings_of(model)
    extra: list[str] = []
    # the default first: it lies on no curve, and beside all
    for name, curve in sorted(CURVES.items(), key=lambda item: bool(item[1].option)):
        if curve.generator != "pgcgan":
            continue
        usual = settings_of(build(name, None, model.seed))
        moved = (curve.option, *curve.also)
        differs = [k for k in own.keys() | usual.keys() if own.get(k) != usual.get(k) and k not in moved]
        if not differs:
            return name, own[curve.option] if curve.option else None
        extra = min(extra or differs, differs, key=len)
    raise UsageError(
        f"The model lies on no curve: it differs from the defaults in {', '.join(sorted(extra))}; give one that was "
        "trained with the defaults but for "
        + ", ".join(dict.fromkeys(c.option for c in CURVES.values() if c.generator == "pgcgan" and c.option))
        + "."
    )


def measure(train: Genotypes, made: Genotypes, holdout: Genotypes, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return value and floor of every row of the real-data table, rounded to five digits."""
    found = evaluate(train, made, holdout=holdout, label=LABEL if LABEL in made.labels else None, seed=seed)
    rows = {name: found.get(name) for name in ROWS}
    return {n: _short(r.value) for n, r in rows.items()}, {n: _short(r.floor) for n, r in rows.items()}


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.5g}")


def add_point(result: dict[str, Any], point: dict[str, Any], floors: dict[str, Any]) -> None:
    """Put a point in its place in the result: instead of an earlier one of the same curve, value and seed."""

    def key(p: dict[str, Any]) -> tuple[int, float, int]:
        return list(CURVES).index(p["curve"]), -1.0 if p["value"] is None else float(p["value"]), p["seed"]

    others = [p for p in result["points"] if key(p) != key(point)]
    result["points"] = sorted([*others, point], key=key)
    if CURVES[point["curve"]].generator != "published":  # those have no labels, and so not all floors
        result["floors"][str(point["seed"])] = floors
    else:
        result["floors"].setdefault(str(point["seed"]), floors)
    result["floors"] = dict(sorted(result["floors"].items(), key=lambda item: int(item[0])))


def start(folder: Path, data: DataSet, train: Genotypes, holdout: Genotypes) -> dict[str, Any]:
    """Return what was measured before of these people, or a result without points.

    Raises
    ------
    DataError
        If the file has points of other people or sites.
    """
    about = {
        "name": f"frontier-{data.name}",
        "title": data.title,
        "sites": train.n_variants,
        "train": people_by_label(train),
        "holdout": people_by_label(holdout),
    }
    path = folder / f"frontier-{data.name}.json"
    if not path.exists():
        return {**about, "floors": {}, "points": []}
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if any(before[k] != about[k] for k in ("sites", "train", "holdout")):
        raise DataError(f"The points in {path.name} are of other people or sites; move it away to start again.")
    return before


def people_by_label(people: Genotypes) -> dict[str, int]:
    values, counts = np.unique(people.label(LABEL).astype(str), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def measure_curves(
    folder: Path,
    data: DataSet,
    out: Path,
    *,
    curves: Sequence[str],
    seeds: Sequence[int],
    values: Sequence[float] | None = None,
    missing: bool = False,
    models: Sequence[Path] = (),
) -> dict[str, Any]:
    """Measure points, each added to the file in `out` at once, and return the result with all that is known.

    Parameters
    ----------
    folder : Path
        Of the data.
    data : DataSet
    out : Path
        Folder of the JSON file.
    curves : sequence of str
        Names in `CURVES`.
    seeds : sequence of int
        Of the generator and of the evaluation; the published sets are evaluated with each of them.
    values : sequence of float, optional
        In the place of those of the curves.
    missing : bool
        Whether to leave out points that the file has.
    models : sequence of Path
        Trained models: each becomes the point of its seed on the curve where it lies.
    """
    train, holdout = read_parts(folder, data)
    result = start(out, data, train, holdout)
    print(f"{data.title}: {train.n_samples} train and {holdout.n_samples} held-out people at {train.n_variants} sites")
    jobs: list[tuple[str, float | None, int, Any]] = []
    for path in models:
        from pgcgan import PGcGAN

        model = PGcGAN.load(path)
        if model.label_counts != people_by_label(train):
            raise UsageError(f"{path.name} was not trained on the train people by {LABEL}: its label counts differ.")
        jobs.append((*place_of(model), model.seed, model))
    for name in curves:
        curve = CURVES[name]
        if curve.generator == "published" and curve.option not in data.published:
            continue
        for value in values or curve.values or (None,):
            jobs += [(name, value, seed, None) for seed in seeds]
    have = {(p["curve"], p["value"], p["seed"]) for p in result["points"]}
    for name, value, seed, loaded in jobs:
        if missing and loaded is None and (name, value, seed) in have:
            continue
        where, curve, seconds, settings = machine(), CURVES[name], None, None
        if curve.generator == "published":
            made = read_published(folder / data.published[curve.option], train.variants)
        else:
            model = loaded
            if model is None:
                began = time.perf_counter()
                model = build(name, value, seed).fit(train)
                seconds = _short(time.perf_counter() - began)
            settings = settings_of(model)
            made = model.sample(model.label_counts, seed=seed)
        rows, floors = measure(train, made, holdout, seed)
        point = {"curve": name, "value": value, "seed": seed, "fit_seconds": seconds, "rows": rows}
        add_point(result, {**point, "settings": settings, "pgcgan": VERSION, "date": now()}, floors)
        result["provenance"] = provenance(machine=where, command=f"benchmarks/frontier.py --only {data.name}")
        write_result(result, out)
        brief = ", ".join(f"{n} {figure(rows[n])}" for n in (ATTACK, "C2ST AUC, gradient boosting", "AA_truth"))
        print(f"  {point_name(name, value)}, seed {seed}: {brief}", flush=True)
    return result


# ---- the table ----------------------------------------------------------------------------------------------------


def point_name(curve: str, value: float | None) -> str:
    """Return what a point is called: curve, option and value."""
    known = CURVES[curve]
    return known.title if value is None else f"{known.title}, {known.option} {value:g}"


def value_of(rows: Mapping[str, float | None], metric: str) -> float | None:
    """Return a row, or the excess of the two nearest-neighbour rows over what a perfect set has."""
    if metric != EXCESS:
        return rows[metric]
    truth, syn = rows["AA_truth"], rows["AA_syn"]
    return None if truth is None or syn is None else _short(truth + syn - 1)


def by_value(result: dict[str, Any], curve: str) -> list[tuple[float | None, list[dict[str, Any]]]]:
    """Return the points of a curve as (value, those of its seeds), by value."""
    known = CURVES[curve]
    own = [p for p in result["points"] if p["curve"] == curve]
    if known.beside and own:

        def rest(p: dict[str, Any]) -> dict[str, Any]:
            return {k: v for k, v in p["settings"].items() if k not in (known.option, *CURVES[known.beside].also)}

        beside = [p for p in result["points"] if p["curve"] == known.beside and rest(p) == rest(own[0])]
        own += [{**p, "value": p["settings"][known.option]} for p in beside]
    values = sorted({p["value"] for p in own}, key=lambda v: -math.inf if v is None else v)
    return [(value, [p for p in own if p["value"] == value]) for value in values]


def over_seeds(points: Sequence[dict[str, Any]], metric: str) -> tuple[float, float, float] | None:
    """Return mean, least and largest value of a metric over seeds; None where there is none."""
    values = [v for p in points if (v := value_of(p["rows"], metric)) is not None]
    return (sum(values) / len(values), min(values), max(values)) if values else None


def floor_of(result: dict[str, Any], metric: str) -> float | None:
    """Return the mean of the floor over the seeds measured."""
    values = [v for rows in result["floors"].values() if (v := value_of(rows, metric)) is not None]
    return sum(values) / len(values) if values else None


def at_the_limit(result: dict[str, Any], curve: str, metric: str) -> float | None:
    """Return the best value of a metric on a curve where the membership AUC is at most LIMIT.

    Between neighbouring points the curve is a straight line, as in the figure.
    """
    line = []
    for _, points in by_value(result, curve):
        attack, found = over_seeds(points, ATTACK), over_seeds(points, metric)
        if attack is not None and found is not None:
            line.append((attack[0], found[0]))
    reached = [y for x, y in line if x <= LIMIT]
    for (x0, y0), (x1, y1) in pairwise(line):
        if min(x0, x1) <= LIMIT < max(x0, x1):
            reached.append(y0 + (LIMIT - x0) / (x1 - x0) * (y1 - y0))
    return min(reached, key=lambda y: _off(result, metric, y)) if reached else None


def _off(result: dict[str, Any], metric: str, value: float) -> float:
    return distance_to_aim(value, AIMS[metric], floor_of(result, metric), metric in LEAKS)


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made, points = result["provenance"], result["points"]
    where, metrics = made["machine"], (ATTACK, LOSS, *FIDELITY)
    dates, versions = sorted({p["date"][:10] for p in points}), sorted({p["pgcgan"] for p in points})
    shown = [name for name in CURVES if any(p["curve"] == name for p in points)]
    lines = [
        f"### {result['title']}",
        "",
        f"![Fidelity against membership AUC, {result['title']}](figures/{result['name']}.svg)",
        "",
        f"{result['sites']:,} sites; {sum(result['train'].values()):,} train people and "
        f"{sum(result['holdout'].values()):,} held-out people. pgcgan {', '.join(versions)}, "
        f"{' to '.join(dates[:: len(dates) - 1 or 1])}, {where['cores']} cores ({where['processor']}). "
        f"Command: `python {made['command']}`.",
        "",
        f"The best that each curve reaches where its membership AUC is at most {LIMIT}, metric by metric, with "
        "straight lines between its points; in bold what is nearest to the aim:",
        "",
        "| generator | " + " | ".join(LIMITED) + " |",
        "|---|" + "--:|" * len(LIMITED),
        *_limit_rows(result, shown),
        "",
        "All points: the mean over the seeds, with the least and the largest in brackets.",
        "",
        "| generator | setting | seeds | " + " | ".join(metrics) + " | fit time, s |",
        "|---|---|--:|" + "--:|" * (len(metrics) + 1),
        "| floor |  |  | " + " | ".join(figure(floor_of(result, m)) for m in metrics) + " |  |",
    ]
    bars = BARS.get(result["name"].removeprefix("frontier-"))
    if bars:
        lines.append("| bar |  |  | " + " | ".join(bars.get(m, "") for m in metrics) + " |  |")
    for name in shown:
        curve = CURVES[name]
        for value, group in by_value(result, name):
            cells = [curve.title, "" if value is None else f"{curve.option} {value:g}", str(len(group))]
            cells += [_cell(over_seeds(group, m)) for m in metrics]
            seconds = [p["fit_seconds"] for p in group if p["fit_seconds"] is not None]
            cells.append(f"{sum(seconds) / len(seconds):.3g}" if seconds else "–")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, *_notes(result, shown)])


def _cell(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return "–"
    mean, low, high = map(figure, found)
    return mean if low == high else f"{mean} ({low} to {high})"


def _limit_rows(result: dict[str, Any], shown: Sequence[str]) -> list[str]:
    reached = {name: {m: at_the_limit(result, name, m) for m in LIMITED} for name in shown}
    best = {}
    for metric in LIMITED:
        off = {n: _off(result, metric, v) for n in shown if (v := reached[n][metric]) is not None}
        best[metric] = {n for n in off if figure(off[n]) == figure(min(off.values()))}
    rows = []
    for name in shown:
        cells = [figure(reached[name][m]) for m in LIMITED]
        cells = [f"**{c}**" if name in best[m] else c for c, m in zip(cells, LIMITED, strict=True)]
        rows.append(f"| {CURVES[name].title} | " + " | ".join(cells) + " |")
    return rows


def _notes(result: dict[str, Any], shown: Sequence[str]) -> list[str]:
    lines = []
    never = [CURVES[n].title for n in shown if at_the_limit(result, n, "AA_truth") is None]
    if never:
        lines.append(f"- The membership AUC of {', '.join(never)} is above {LIMIT} in every setting (–).")
    if any(CURVES[n].generator == "published" for n in shown):
        lines.append(
            "- The published sets were trained on all people, held-out ones too: their membership AUC and privacy loss "
            "prove nothing."
        )
    for name in shown:
        other = differing(
            [p["settings"] for p in result["points"] if p["curve"] == name],
            but=(CURVES[name].option, *CURVES[name].also),
        )
        if other:
            lines.append(f"- The points of {CURVES[name].title} also differ in {', '.join(other)}.")
    return ["", *lines] if lines else []


def differing(settings: Sequence[Mapping[str, Any] | None], but: Sequence[str]) -> list[str]:
    """Return the names of settings that are not the same in all of some generators, those in `but` aside."""
    known = [s for s in settings if s is not None]
    names = sorted({name for s in known for name in s} - set(but))
    return [n for n in names if len({json.dumps(s.get(n)) for s in known}) > 1]


# ---- the figure ---------------------------------------------------------------------------------------------------

# Okabe and Ito's palette, as in the report: colour for a light and a dark background, and the shape of the mark
_CIRCLE = "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z"
STYLES = {
    "independent": ("#333333", "#dddddd", "M-4 -4L4 4M-4 4L4 -4"),
    "li-stephens": ("#0072b2", "#5ab4f0", "M-4 -4h8v8h-8z"),
    "pca-gaussian": ("#009e73", "#35c79a", "M0 -5.5L5.5 0L0 5.5L-5.5 0z"),
    "smote": ("#b0568a", "#e79fc6", "M0 5.2L-5 -4.2H5z"),
    "pgcgan": ("#d55e00", "#ff8c42", _CIRCLE),
    "pgcgan-default": ("#a00000", "#ff5a5a", "M-6 -3H6V3H-6z"),
    "pgcgan-network": ("#6b4fa0", "#b79cf0", "M0 -5.2L5 4.2H-5z"),
    "published-gan": ("#8a6900", "#f0d04f", "M0 -5.5V5.5M-4.8 -2.75L4.8 2.75M-4.8 2.75L4.8 -2.75"),
    "published-rbm": ("#3a87ad", "#9fd8ff", "M0 -5.5V5.5M-5.5 0H5.5"),
}
PANELS = {
    "C2ST AUC, gradient boosting": "C2ST AUC, gradient boosting (ideal: 0.5)",
    "AA_truth": "AA_truth (ideal: 0.5)",
    "LD RMSE": "LD RMSE (lower is better)",
    "far pairs r": "far pairs r (higher is better)",
}
_WIDTH, _PANEL, _HEIGHT = 900, 430, 300  # of the figure, and of a panel with its axes
_LEFT, _TOP, _ACROSS, _UP = 62, 34, 350, 216  # the plot inside a panel


class _Scale:
    """An axis: from values to pixels."""

    def __init__(self, values: Sequence[float], pixels: tuple[float, float], kind: str = "linear"):
        self.kind, self.pixels = kind, pixels
        low, high = (float(self.bend(v)) for v in (min(values), max(values)))
        pad = 0.06 * ((high - low) or 1.0)
        self.low, self.high = low - pad, high + pad

    def bend(self, value: float) -> float:
        if self.kind == "log":
            return math.log10(value)
        # an AUC is seen best near guessing: even steps within .05 of .5, and tenfold ones beyond
        return math.asinh((value - 0.5) / 0.05) if self.kind == "attack" else value

    def __call__(self, value: float) -> float:
        first, last = self.pixels
        return first + (self.bend(value) - self.low) / (self.high - self.low) * (last - first)

    def ticks(self) -> list[float]:
        if self.kind == "attack":
            wanted = [0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.48, 0.5, 0.52, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0]
        elif self.kind == "log":
            wanted = [m * 10.0**k for k in range(-8, 2) for m in (1, 1.5, 2, 3, 5)]
        else:
            span = self.high - self.low
            step = 10.0 ** math.floor(math.log10(span / 4))
            step *= min((1, 2, 2.5, 5, 10), key=lambda m: abs(span / (step * m) - 5))
            first = math.ceil(self.low / step - 1e-9)
            wanted = [round(k * step, 12) for k in range(first, math.floor(self.high / step + 1e-9) + 1)]
        shown: list[float] = []
        for tick in wanted:  # none outside, and none on top of the one before
            inside = not (self.kind == "log" and tick <= 0) and self.low <= self.bend(tick) <= self.high
            if inside and (not shown or abs(self(tick) - self(shown[-1])) > 18):
                shown.append(tick)
        return shown


def as_svg(result: dict[str, Any]) -> str:
    """Return the figure: fidelity against membership AUC, one curve a generator; up and to the left is better."""
    shown = [name for name in CURVES if any(p["curve"] == name for p in result["points"])]
    legend, height = _legend(shown)
    rows = -(-len(PANELS) // 2)
    total = height + rows * _HEIGHT + 4
    name = f"Fidelity against membership AUC, {result['title']}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {total}" width="{_WIDTH}" height="{total}" '
        f'role="img" aria-label="{escape(name)}">',
        f"<title>{escape(name)}</title>",
        f"<style>{_css()}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{total}"/>',
        *legend,
    ]
    for k, metric in enumerate(PANELS):
        parts.append(f'<g transform="translate({k % 2 * (_WIDTH - _PANEL)} {height + k // 2 * _HEIGHT})">')
        parts += _panel(result, metric, shown)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _css() -> str:
    plain = (
        'text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--soft)}'
        ".name{font-size:13px;fill:var(--ink)}.paper{fill:var(--paper)}.grid{stroke:var(--rule)}"
        ".floor{stroke:var(--ink);stroke-dasharray:7 4}.limit{stroke:var(--ink);stroke-dasharray:2 4}"
        ".curve{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}"
        ".span{stroke:currentColor;stroke-opacity:.6}"
        ".mark{fill:currentColor;stroke:currentColor;stroke-width:1.8}"
        ".pgcgan .curve{stroke-width:3}"
        ".pgcgan-carriers .curve{stroke-dasharray:5 4}.pgcgan-carriers .mark{fill:var(--paper)}"
    )
    light = "svg{--paper:#fff;--ink:#1b1f24;--soft:#59636e;--rule:#d5dae0}"
    dark = "svg{--paper:#14171b;--ink:#e7eaee;--soft:#a3adb8;--rule:#363d45}"
    light += "".join(f".{name}{{color:{colour}}}" for name, (colour, _, _) in STYLES.items())
    dark += "".join(f".{name}{{color:{colour}}}" for name, (_, colour, _) in STYLES.items())
    return f"{light}{plain}@media (prefers-color-scheme:dark){{{dark}}}"


def _legend(shown: Sequence[str]) -> tuple[list[str], int]:
    """Return the key, and its height: a line for every five generators."""
    parts = []
    for k, name in enumerate(shown):
        x, y = 20 + k % 5 * 176, 22 + k // 5 * 22
        curve = CURVES[name]
        line = f'<path class="curve" d="M{x} {y}h28"/>' if curve.values else ""
        parts.append(
            f'<g class="{name}">{line}'
            f'<path class="mark" transform="translate({x + 14} {y})" d="{STYLES[name][2]}"/></g>'
            f'<text class="name" x="{x + 36}" y="{y + 4.5}">{escape(curve.title)}</text>'
        )
    return parts, 22 * -(-len(shown) // 5) + 14


def _panel(result: dict[str, Any], metric: str, shown: Sequence[str]) -> list[str]:
    curves: dict[str, list[tuple[float | None, int, tuple[float, float, float], tuple[float, float, float]]]] = {}
    for name in shown:
        for value, points in by_value(result, name):
            attack, found = over_seeds(points, ATTACK), over_seeds(points, metric)
            if attack is not None and found is not None:
                curves.setdefault(name, []).append((value, len(points), attack, found))
    every = [point for points in curves.values() for point in points]
    floor = floor_of(result, metric)
    right, bottom = _LEFT + _ACROSS, _TOP + _UP
    x = _Scale([0.5, LIMIT, *(v for p in every for v in p[2])], (_LEFT, right), "attack")
    heights = [*([] if floor is None else [floor]), *(v for p in every for v in p[3])]
    # the better end is up in every panel
    span = (bottom, _TOP) if AIMS[metric] == "higher" else (_TOP, bottom)
    y = _Scale(heights or [0.0, 1.0], span, "log" if AIMS[metric] == "lower" and min(heights) > 0 else "linear")
    out = [f'<text class="name" x="{_LEFT}" y="{_TOP - 12}">{escape(PANELS[metric])}</text>']
    for tick in x.ticks():
        out.append(f'<path class="grid" d="M{x(tick):.1f} {_TOP}V{bottom}"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{bottom + 17}" text-anchor="middle">{tick:.2f}</text>')
    for tick in y.ticks():
        out.append(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{right}"/>')
        out.append(f'<text x="{_LEFT - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    words = "membership AUC (0.5: no leak)"
    out.append(f'<text x="{_LEFT + _ACROSS / 2}" y="{bottom + 36}" text-anchor="middle">{words}</text>')
    out.append(f'<path class="limit" d="M{x(LIMIT):.1f} {_TOP}V{bottom}"/>')
    out.append(f'<text x="{x(LIMIT) + 4:.1f}" y="{bottom - 6}">{LIMIT}</text>')
    if floor is not None:
        out.append(f'<path class="floor" d="M{_LEFT} {y(floor):.1f}H{right}"/>')
        out.append(f'<text x="{right - 2}" y="{y(floor) - 5:.1f}" text-anchor="end">real people</text>')
    for name, line in curves.items():
        out.append(f'<g class="{name}">')
        if len(line) > 1:
            path = "L".join(f"{x(p[2][0]):.1f} {y(p[3][0]):.1f}" for p in line)
            out.append(f'<path class="curve" d="M{path}"/>')
        for value, seeds, at_x, at_y in line:
            pixel_x, pixel_y = f"{x(at_x[0]):.1f}", f"{y(at_y[0]):.1f}"
            if seeds > 1:
                out.append(
                    f'<path class="span" d="M{x(at_x[1]):.1f} {pixel_y}H{x(at_x[2]):.1f}'
                    f'M{pixel_x} {y(at_y[1]):.1f}V{y(at_y[2]):.1f}"/>'
                )
            words = f"{point_name(name, value)}: membership AUC {_cell(at_x)}, {metric} {_cell(at_y)}"
            out.append(
                f'<path class="mark" transform="translate({pixel_x} {pixel_y})" d="{STYLES[name][2]}">'
                f"<title>{escape(words)}</title></path>"
            )
        out.append("</g>")
    return out


def write_figure(result: dict[str, Any], folder: Path) -> Path:
    """Write the figure into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['name']}.svg"
    beside = path.with_suffix(".part")
    beside.write_text(as_svg(result), encoding="utf-8")
    os.replace(beside, path)
    return path


def numbers(kind: type) -> Any:
    """Return a reader of numbers joined by commas, for the command line."""

    def read(text: str) -> list[Any]:
        return [kind(part) for part in text.split(",")]

    read.__name__ = "list of numbers"
    return read


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--only", choices=[d.name for d in DATA_SETS], help="one of the data sets")
    parser.add_argument("--curves", help=f"some of {','.join(CURVES)} (default: {','.join(QUICK)}; with --model none)")
    parser.add_argument("--values", type=numbers(float), help="values of the option of the one curve in --curves")
    parser.add_argument("--seeds", type=numbers(int), default=list(SEEDS), help="joined by commas (default: 1,2,3)")
    parser.add_argument("--missing", action="store_true", help="leave out the points that the JSON file has")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="a trained model as a point (with --only; repeatable)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON files")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the figures go into `figures` beside it")
    parser.add_argument("--render", action="store_true", help="write document and figures from the JSON, run nothing")
    given = parser.parse_args(argv)
    if given.model and given.only is None:
        parser.error("--model goes with --only: a model belongs to one data set")
    curves = given.curves.split(",") if given.curves else [] if given.model else list(QUICK)
    unknown = [c for c in curves if c not in CURVES]
    if unknown:
        parser.error(f"unknown curve {unknown[0]!r}; accepted: {', '.join(CURVES)}")
    if given.values is not None:
        if len(curves) != 1 or not CURVES[curves[0]].values:
            parser.error("--values goes with one curve in --curves that has an option")
        kind = type(CURVES[curves[0]].values[0])
        given.values = [kind(v) for v in given.values]
    try:
        for data in DATA_SETS:
            if given.only not in (None, data.name):
                continue
            path = given.out / f"frontier-{data.name}.json"
            if given.render and not path.exists():
                print(f"{data.title}: there is no {path.name} yet; nothing is written.")
                continue
            if given.render:
                result = json.loads(path.read_text(encoding="utf-8"))
            elif not (given.data / data.vcf).exists():
                print(f"{data.title}: {data.vcf} is not in the data folder (--data DIR); nothing is measured.")
                continue
            else:
                result = measure_curves(
                    given.data, data, given.out, curves=curves, seeds=given.seeds, values=given.values,
                    missing=given.missing, models=given.model,
                )  # fmt: skip
            if not result["points"]:
                continue
            write_section(given.document, f"frontier:{data.name}", as_markdown(result))
            print(f"wrote {write_figure(result, given.document.parent / 'figures').name}")
    except PgcganError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
