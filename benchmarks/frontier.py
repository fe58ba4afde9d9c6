"""The privacy frontier: how faithful each generator is at what an informed attacker finds, over its settings.

A generator that copies is faithful and gives people away, so a single setting of it says little. Each generator is a
curve here: fidelity against held-out people, and the AUC of the informed membership attack with the pool
(`pgcgan.metrics.informed_membership`). Every point is added to benchmarks/results/frontier-NAME.json as soon as it is
measured, instead of an earlier one with the same curve, value and seed; the section of docs/benchmarks.md between the
markers `frontier:NAME` and docs/figures/frontier-NAME.svg are written from that file.

    python benchmarks/frontier.py [--data DIR] [--only hla|simulated] [--curves tied,private,…] [--seeds 1,2,3]
        [--values 3,10] [--missing] [--render]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from cohorts import DATA_SETS, LABEL, label_counts, read_parts
from frontier_figure import as_svg
from frontier_points import (
    C2ST,
    COPIES,
    CURVES,
    FOUND,
    LEVELS,
    PANEL,
    POOL,
    RAREST,
    ROWS,
    Level,
    Points,
    at_level,
    by_value,
    differing,
    floor_of,
    mean_of,
    point_name,
    reached,
)
from measuring import DOCUMENT, RESULTS, ROOT, machine, numbers, short, some_rows, write_result, write_section

from pgcgan import Genotypes, simulate
from pgcgan.errors import DataError, PgcganError
from pgcgan.generators.generator import Generator
from pgcgan.metrics import figure
from pgcgan.metrics.comparison import Cohort, Comparison
from pgcgan.metrics.informed_membership import MIN_JUDGED, attack
from pgcgan.metrics.preparation import prepare
from pgcgan.metrics.privacy import true_positive_rate
from pgcgan.numerics import roc_auc
from pgcgan.provenance import VERSION, now, provenance
from pgcgan.registry import create

HLA = DATA_SETS[0]
PEOPLE, LENGTH, MIN_MAF, TRAIN = 20_000, 150_000, 0.0025, 0.8  # of the simulated cohort
CHANCE = {POOL: 0.5, FOUND: 0.01, RAREST: 0.5, PANEL: 0.5, COPIES: 0.5}
TITLES = {"hla": HLA.title, "simulated": f"Simulated cohort of {PEOPLE:,}"}
# a point of the GAN takes a quarter of an hour or more
QUICK = tuple(name for name in CURVES if CURVES[name].generator != "gan")
# heads of the table, and the metrics below each
COLUMNS: dict[str, tuple[str, ...]] = {
    "AUC (TPR at 1 %)": (POOL, FOUND),
    "rarest tenth": (RAREST,),
    "panel / copies": (PANEL, COPIES),
    "AF RMSE": ("AF RMSE",),
    "LD RMSE": ("LD RMSE",),
    "far pairs r": ("far pairs r",),
    "PCA variance": ("PCA variance ratio",),
    "AA_truth / AA_syn": ("AA_truth", "AA_syn"),
    "C2ST (logistic)": C2ST,
    "label fidelity": ("label fidelity",),
}


# ---- one point ----------------------------------------------------------------------------------------------------


def parts_of(name: str, folder: Path) -> tuple[Genotypes, Genotypes]:
    """Return the training people and the held-out people of a data set."""
    if name == "hla":
        return read_parts(folder, HLA)
    people = simulate(PEOPLE, length=LENGTH, seed=1).select(min_maf=MIN_MAF)
    return people.split(TRAIN, by=LABEL, seed=1)


def build(name: str, value: float | None, seed: int) -> Generator:
    """Return the generator of a point, not fitted."""
    curve = CURVES[name]
    parameters = dict(curve.fixed) | ({} if value is None else dict.fromkeys((curve.option, *curve.also), value))
    return create(curve.generator, LABEL, seed=seed, **parameters)


def measure(
    train: Genotypes, synthetic: Genotypes, holdout: Genotypes, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return value and floor of each of `ROWS`, as `pgcgan.evaluate` has them; the attack is on all people."""
    comparison, _ = prepare(train, synthetic, holdout, LABEL, seed)
    values: dict[str, float | None] = dict.fromkeys(ROWS) | informed(train, synthetic, holdout, seed)
    floors = {name: CHANCE.get(name) if values[name] is not None else None for name in ROWS}
    of_rows = some_rows(comparison, [name for name in ROWS if name not in CHANCE])
    return values | of_rows[0], floors | of_rows[1]


def informed(train: Genotypes, synthetic: Genotypes, holdout: Genotypes, seed: int) -> dict[str, float | None]:
    """Return the rows of the informed attacks.

    `evaluate` judges up to 3,000 people, which would hide how little a large cohort gives away; here it is everybody.
    """
    cohorts = [Cohort(g.calls, g.label(LABEL), g.phased) for g in (train, synthetic, holdout)]
    comparison = Comparison(*cohorts, position=train.variants.position, contig=train.variants.contig, seed=seed)
    (trial,) = attack(comparison, "pool")
    members, others = trial.scores[trial.member], trial.scores[~trial.member]
    rare = trial.of(trial.rare)
    rows = {
        POOL: roc_auc(members, others),
        FOUND: true_positive_rate(members, others, 0.01),
        RAREST: roc_auc(*rare) if min(map(len, rare)) >= MIN_JUDGED // 2 else None,
    }
    for metric, attacker in ((PANEL, "panel"), (COPIES, "pool, copies")):
        trials = attack(comparison, attacker)
        rows[metric] = mean(roc_auc(t.scores[t.member], t.scores[~t.member]) for t in trials)
    return {metric: short(value) for metric, value in rows.items()}


def add_point(result: dict[str, Any], point: dict[str, Any], floors: dict[str, Any]) -> None:
    """Put a point in its place in the result: instead of an earlier one of the same curve, value and seed."""

    def key(p: dict[str, Any]) -> tuple[int, float, int]:
        return list(CURVES).index(p["curve"]), -1.0 if p["value"] is None else float(p["value"]), p["seed"]

    others = [p for p in result["points"] if key(p) != key(point)]
    result["points"] = sorted([*others, point], key=key)
    result["floors"][str(point["seed"])] = floors
    result["floors"] = dict(sorted(result["floors"].items(), key=lambda item: int(item[0])))


def start(folder: Path, name: str, train: Genotypes, holdout: Genotypes) -> dict[str, Any]:
    """Return what was measured before of these people, or a result without points.

    Raises
    ------
    DataError
        If the file has points of other people or sites.
    """
    about = {
        "name": f"frontier-{name}",
        "title": TITLES[name],
        "sites": train.n_variants,
        "train": label_counts(train),
        "holdout": label_counts(holdout),
    }
    path = folder / f"frontier-{name}.json"
    if not path.exists():
        return {**about, "floors": {}, "points": []}
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if any(before[k] != about[k] for k in ("sites", "train", "holdout")):
        raise DataError(f"The points in {path.name} are of other people or sites; move it away to start again.")
    return before


def jobs_of(
    name: str, curves: Sequence[str], values: Sequence[float] | None, seeds: Sequence[int]
) -> list[tuple[str, float | None, int]]:
    """Return curve, value and seed of each point; of the simulated cohort only every second value of a curve."""
    jobs: list[tuple[str, float | None, int]] = []
    for curve in curves:
        usual = CURVES[curve].values[:: 2 if name == "simulated" else 1]
        jobs += [(curve, value, seed) for value in values or usual or (None,) for seed in seeds]
    return jobs


def measure_curves(
    folder: Path, name: str, out: Path, jobs: Sequence[tuple[str, float | None, int]], missing: bool = False
) -> dict[str, Any]:
    """Measure points, each added to the file in `out` at once, and return the result with all that is known.

    Parameters
    ----------
    folder : Path
        Of the data.
    name : str
        Of the data set.
    out : Path
        Folder of the JSON file.
    jobs : sequence of (curve, value, seed)
        The seed is that of the generator and of the evaluation.
    missing : bool
        Whether to leave out points that the file has.
    """
    train, holdout = parts_of(name, folder)
    result = start(out, name, train, holdout)
    print(f"{TITLES[name]}: {train.n_samples} train, {holdout.n_samples} held-out people, {train.n_variants} sites")
    before = {(p["curve"], p["value"], p["seed"]) for p in result["points"]}
    for curve, value, seed in jobs:
        if missing and (curve, value, seed) in before:
            continue
        where, began = machine(), time.perf_counter()
        model = build(curve, value, seed).fit(train)
        point: dict[str, Any] = {
            "curve": curve,
            "value": value,
            "seed": seed,
            "fit_seconds": short(time.perf_counter() - began),
        }
        if CURVES[curve].generator == "haplotype":
            point["carriers"] = model.facts()["chosen"]["carriers of a template"]
        rows, floors = measure(train, model.sample(model.label_counts_, seed=seed), holdout, seed)
        point |= {"rows": rows, "settings": model.parameters(), "pgcgan": VERSION, "date": now()}
        add_point(result, point, floors)
        result["provenance"] = provenance(machine=where, command=f"benchmarks/frontier.py --only {name}")
        write_result(result, out)
        brief = ", ".join(f"{n} {figure(rows[n])}" for n in (POOL, FOUND, C2ST[0], "AA_truth"))
        print(f"  {point_name(curve, value)}, seed {seed}: {brief}", flush=True)
    return result


# ---- the table ----------------------------------------------------------------------------------------------------


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made, points = result["provenance"], result["points"]
    where = made["machine"]
    dates, versions = sorted({p["date"][:10] for p in points}), sorted({p["pgcgan"] for p in points})
    shown = [name for name in CURVES if any(p["curve"] == name for p in points)]
    lines = [
        f"### {result['title']}",
        "",
        f"![Fidelity against informed membership AUC, {result['title']}](figures/{result['name']}.svg)",
        "",
        f"{result['sites']:,} sites; {sum(result['train'].values()):,} training people and "
        f"{sum(result['holdout'].values()):,} held-out people. pgcgan {', '.join(versions)}, "
        f"{' to '.join(dates[:: len(dates) - 1 or 1])}, {where['cores']} cores ({where['processor']}). "
        f"Command: `python {made['command']}`.",
    ]
    if result["name"] == f"frontier-{HLA.name}":
        for level in LEVELS:
            lines += _level_table(result, shown, level)
    lines += [
        "",
        "All points, the mean over the seeds:",
        "",
        "| generator | setting | carriers | seeds | " + " | ".join(COLUMNS) + " | fit, s |",
        "|---|---|--:|--:|" + "--:|" * (len(COLUMNS) + 1),
        "| floor |  |  |  | " + " | ".join(_cells(lambda metric: floor_of(result, metric))) + " |  |",
    ]
    for name in shown:
        for value, group in by_value(result, name):
            carriers = sorted({str(p["carriers"]) for p in group if "carriers" in p})
            cells = [CURVES[name].title, _setting(name, value), ", ".join(carriers), str(len(group))]
            cells += _cells(lambda metric, group=group: mean_of(group, metric))
            seconds = sum(p["fit_seconds"] for p in group) / len(group)
            lines.append("| " + " | ".join([*cells, f"{seconds:.3g}"]) + " |")
    return "\n".join([*lines, *_notes(result, shown)])


def _setting(curve: str, value: float | None) -> str:
    return "" if value is None else f"{CURVES[curve].option} {value:g}"


def _cells(value_of: Any) -> list[str]:
    """Return the cells of a line; the second metric of a column follows in brackets or after a slash."""
    cells = []
    for head, (first, *second) in COLUMNS.items():
        text = figure(value_of(first))
        if second:
            other = figure(value_of(second[0]))
            text += f" / {other}" if "/" in head else f" ({other})"
        cells.append(text)
    return cells


def _level_table(result: dict[str, Any], shown: Sequence[str], level: Level) -> list[str]:
    """Return the table of the points within a level, one a curve; in bold what reaches its bar."""
    best = {name: at_level(result, name, level) for name in shown}
    lines = [
        "",
        f"At {level}, the setting of each generator that reaches most bars (in bold):",
        "",
        "| generator | setting | AUC (TPR at 1 %) | " + " | ".join(bar.metric for bar in level.bars) + " |",
        "|---|---|--:|" + "--:|" * len(level.bars),
        "| bar |  |  | " + " | ".join(str(bar) for bar in level.bars) + " |",
    ]
    for name, item in best.items():
        if item is not None:
            lines.append("| " + " | ".join(_level_cells(name, *item, level)) + " |")
    never = [CURVES[name].title for name, item in best.items() if item is None]
    return [*lines, *(["", f"No setting measured is within it: {', '.join(never)}."] if never else [])]


def _level_cells(name: str, value: float | None, points: Points, level: Level) -> list[str]:
    cells = [CURVES[name].title, _setting(name, value), _cells(lambda metric: mean_of(points, metric))[0]]
    for bar in level.bars:
        text = figure(mean_of(points, bar.metric))
        cells.append(f"**{text}**" if reached(points, bar) else text)
    return cells


def _notes(result: dict[str, Any], shown: Sequence[str]) -> list[str]:
    lines = []
    for name in shown:
        settings = [p["settings"] for p in result["points"] if p["curve"] == name]
        other = differing(settings, but=(CURVES[name].option, *CURVES[name].also))
        if other:
            lines.append(f"- The points of {CURVES[name].title} also differ in {', '.join(other)}.")
    return ["", *lines] if lines else []


# ---- files and the command line ---------------------------------------------------------------------------------


def write_figure(result: dict[str, Any], folder: Path) -> Path:
    """Write the figure into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['name']}.svg"
    partial = path.with_suffix(".part")
    partial.write_text(as_svg(result), encoding="utf-8")
    os.replace(partial, path)
    return path


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--only", choices=list(TITLES), help="one of the data sets")
    parser.add_argument("--curves", help=f"some of {','.join(CURVES)} (default: {','.join(QUICK)})")
    parser.add_argument("--values", type=numbers(float), help="values of the option of the one curve in --curves")
    parser.add_argument("--seeds", type=numbers(int), default=[1], help="joined by commas (default: 1)")
    parser.add_argument("--missing", action="store_true", help="leave out the points that the JSON file has")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="the figures go into `figures` beside it")
    parser.add_argument("--render", action="store_true", help="write document and figures from the JSON, run nothing")
    options = parser.parse_args(argv)
    curves = options.curves.split(",") if options.curves else list(QUICK)
    unknown = [c for c in curves if c not in CURVES]
    if unknown:
        parser.error(f"unknown curve {unknown[0]!r}; accepted: {', '.join(CURVES)}")
    if options.values is not None:
        if len(curves) != 1 or not CURVES[curves[0]].values:
            parser.error("--values goes with one curve in --curves that has an option")
        kind = type(CURVES[curves[0]].values[0])
        options.values = [kind(v) for v in options.values]
    try:
        for name in TITLES:
            if options.only in (None, name):
                _measure_and_write(name, options, curves)
    except PgcganError as error:
        sys.exit(f"error: {error}")


def _measure_and_write(name: str, options: argparse.Namespace, curves: Sequence[str]) -> None:
    """Measure one data set, and write the result, the section of the document and the figure."""
    path = options.out / f"frontier-{name}.json"
    if options.render:
        if not path.exists():
            print(f"{TITLES[name]}: there is no {path.name} yet; nothing is written.")
            return
        result = json.loads(path.read_text(encoding="utf-8"))
    elif name == "hla" and not (options.data / HLA.vcf).exists():
        print(f"{TITLES[name]}: {HLA.vcf} is not in the data folder (--data DIR); nothing is measured.")
        return
    else:
        jobs = jobs_of(name, curves, options.values, options.seeds)
        result = measure_curves(options.data, name, options.out, jobs, options.missing)
    if result["points"]:
        write_section(options.document, f"frontier:{name}", as_markdown(result))
        print(f"wrote {write_figure(result, options.document.parent / 'figures').name}")


if __name__ == "__main__":
    main()
