"""The frontier: how faithful each generator is at a given membership AUC, over the whole range of its settings.

A generator that copies is faithful and gives people away, so that a single setting of it says little. Here every
baseline and the model are measured as curves, against the held-out people. Every point is added to
benchmarks/results/frontier-NAME.json as soon as it is measured, in the place of an earlier one with the same curve,
value and seed; from that file come the section of docs/benchmarks.md between the markers `frontier:NAME` and
docs/figures/frontier-NAME.svg.

    python benchmarks/frontier.py [--data DIR] [--only hla|snp805] [--curves li-stephens,haplotype,…] [--seeds 1,2,3]
        [--values 1e-9,1e-8] [--missing] [--render]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from cohorts import DATA_SETS, LABEL, DataSet, label_counts, read_parts, read_published
from measuring import DOCUMENT, RESULTS, ROOT, machine, short, write_result, write_section
from real_data import LEAKS, ROWS, distance_to_aim

from pgcgan import Genotypes, evaluate
from pgcgan.errors import DataError, PgcganError
from pgcgan.generators.generator import Generator
from pgcgan.metrics import figure
from pgcgan.provenance import VERSION, now, provenance
from pgcgan.registry import create


@dataclass(frozen=True)
class Curve:
    """A generator and the setting that moves it along its curve.

    `generator` is the name of a family, or "published" (then `option` is the name of the published set); `fixed` are
    parameters that all its points have, `also` take the value of `option` too.
    """

    title: str
    generator: str
    option: str = ""
    values: tuple[float, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()


CURVES: dict[str, Curve] = {
    "independent": Curve("independent", "independent"),
    "li-stephens": Curve(
        "Li-Stephens", "li-stephens", "recombination_rate", (1e-10, 5e-10, 2e-9, 1e-8, 5e-8, 2e-7, 1e-6)
    ),
    "pca-gaussian": Curve("PCA-Gaussian", "pca-gaussian", "components", (16, 64, 256, 512)),
    "smote": Curve("SMOTE", "smote", "neighbours", (1, 5, 25, 100)),
    "haplotype": Curve("haplotype", "haplotype", "min_carriers", (1, 2, 3, 5, 10, 20), also=("run_carriers",)),
    "haplotype-default": Curve("haplotype, default", "haplotype"),
    "gan": Curve("gan", "gan", "min_carriers", (3, 20), {"minutes": 15.0}),
    "published-gan": Curve("published GAN", "published", "published GAN"),
    "published-rbm": Curve("published RBM", "published", "published RBM"),
}
# a point of the other takes a quarter of an hour
QUICK = tuple(n for n in CURVES if n != "gan")
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


def build(name: str, value: float | None, seed: int) -> Generator:
    """Return the generator of a point, not fitted."""
    curve = CURVES[name]
    parameters = dict(curve.fixed) | ({} if value is None else dict.fromkeys((curve.option, *curve.also), value))
    return create(curve.generator, LABEL, seed=seed, **parameters)


def measure(
    train: Genotypes, people: Genotypes, holdout: Genotypes, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return value and floor of every row of the real-data table, rounded to five digits."""
    label = LABEL if LABEL in people.labels else None
    evaluation = evaluate(train, people, holdout=holdout, label=label, seed=seed)
    rows = {name: evaluation.get(name) for name in ROWS}
    return {n: short(r.value) for n, r in rows.items()}, {n: short(r.floor) for n, r in rows.items()}


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
        "train": label_counts(train),
        "holdout": label_counts(holdout),
    }
    path = folder / f"frontier-{data.name}.json"
    if not path.exists():
        return {**about, "floors": {}, "points": []}
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if any(before[k] != about[k] for k in ("sites", "train", "holdout")):
        raise DataError(f"The points in {path.name} are of other people or sites; move it away to start again.")
    return before


def measure_curves(
    folder: Path,
    data: DataSet,
    out: Path,
    *,
    curves: Sequence[str],
    seeds: Sequence[int],
    values: Sequence[float] | None = None,
    missing: bool = False,
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
    """
    train, holdout = read_parts(folder, data)
    result = start(out, data, train, holdout)
    print(f"{data.title}: {train.n_samples} train and {holdout.n_samples} held-out people at {train.n_variants} sites")
    jobs: list[tuple[str, float | None, int]] = []
    for name in curves:
        curve = CURVES[name]
        if curve.generator == "published" and curve.option not in data.published:
            continue
        for value in values or curve.values or (None,):
            jobs += [(name, value, seed) for seed in seeds]
    have = {(p["curve"], p["value"], p["seed"]) for p in result["points"]}
    for name, value, seed in jobs:
        if missing and (name, value, seed) in have:
            continue
        where, curve, seconds, parameters = machine(), CURVES[name], None, None
        if curve.generator == "published":
            people = read_published(folder / data.published[curve.option], train.variants)
        else:
            began = time.perf_counter()
            model = build(name, value, seed).fit(train)
            seconds = short(time.perf_counter() - began)
            parameters = model.parameters()
            people = model.sample(model.label_counts_, seed=seed)
        rows, floors = measure(train, people, holdout, seed)
        point = {"curve": name, "value": value, "seed": seed, "fit_seconds": seconds, "rows": rows}
        add_point(result, {**point, "settings": parameters, "pgcgan": VERSION, "date": now()}, floors)
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
    return None if truth is None or syn is None else short(truth + syn - 1)


def by_value(result: dict[str, Any], curve: str) -> list[tuple[float | None, list[dict[str, Any]]]]:
    """Return the points of a curve as (value, those of its seeds), by value."""
    own = [p for p in result["points"] if p["curve"] == curve]
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
            cells += [cell(over_seeds(group, m)) for m in metrics]
            seconds = [p["fit_seconds"] for p in group if p["fit_seconds"] is not None]
            cells.append(f"{sum(seconds) / len(seconds):.3g}" if seconds else "–")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, *_notes(result, shown)])


def cell(found: tuple[float, float, float] | None) -> str:
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


# ---- files and the command line ---------------------------------------------------------------------------------


def write_figure(result: dict[str, Any], folder: Path) -> Path:
    """Write the figure into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['name']}.svg"
    from frontier_figure import as_svg

    partial = path.with_suffix(".part")
    partial.write_text(as_svg(result), encoding="utf-8")
    os.replace(partial, path)
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
    parser.add_argument("--curves", help=f"some of {','.join(CURVES)} (default: {','.join(QUICK)})")
    parser.add_argument("--values", type=numbers(float), help="values of the option of the one curve in --curves")
    parser.add_argument("--seeds", type=numbers(int), default=list(SEEDS), help="joined by commas (default: 1,2,3)")
    parser.add_argument("--missing", action="store_true", help="leave out the points that the JSON file has")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the figures go into `figures` beside it")
    parser.add_argument("--render", action="store_true", help="write document and figures from the JSON, run nothing")
    given = parser.parse_args(argv)
    curves = given.curves.split(",") if given.curves else list(QUICK)
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
                    missing=given.missing,
                )  # fmt: skip
            if not result["points"]:
                continue
            write_section(given.document, f"frontier:{data.name}", as_markdown(result))
            print(f"wrote {write_figure(result, given.document.parent / 'figures').name}")
    except PgcganError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
