"""The real-data table: both families of models, the baselines and two published generators on 1000 Genomes people.

Every generator is fitted on the training people only, in a process of its own, generates as many people of each label
as there are among them, and is evaluated against the held-out people. Results are added to benchmarks/results/NAME.json
(a column that is measured again replaces the older one), and the section of docs/benchmarks.md between the markers
`real-data:NAME` is written from it.

    python benchmarks/real_data.py [--data DIR] [--only hla|snp805] [--columns "haplotype; gan"] [--seeds 1,2,3]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from bars import BARS
from cohorts import DATA_SETS, LABEL, DataSet, label_counts, read_parts, read_published
from measuring import (
    DOCUMENT,
    RESULTS,
    ROOT,
    in_own_process,
    machine,
    peak_memory,
    short,
    write_result,
    write_section,
)

from pgcgan import Genotypes, evaluate
from pgcgan.errors import PgcganError
from pgcgan.metrics import figure
from pgcgan.provenance import now, provenance
from pgcgan.registry import create

# column -> family of generators and its parameters
GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "independent": ("independent", {}),
    "Li-Stephens": ("li-stephens", {}),
    "Li-Stephens, long": ("li-stephens", {"recombination_rate": 1e-9}),
    "Li-Stephens, short": ("li-stephens", {"recombination_rate": 1e-7}),
    "PCA-Gaussian": ("pca-gaussian", {}),
    "SMOTE": ("smote", {}),
    "chain alone": ("haplotype", {"context_tree": False, "local_ancestry": False}),
    "haplotype": ("haplotype", {}),
    "haplotype, private": ("haplotype", {"private": 0.6}),
    "gan": ("gan", {}),
    "gan, untrained": ("gan", {"steps": 0}),
}
OURS = ("haplotype", "haplotype, private", "gan")

ROWS = (
    "AF r", "AF RMSE", "AF RMSE, MAF < 5 %", "LD RMSE", "LD r", "LD decay RMSE", "far pairs r", "3-point r",
    "3-point r within labels", "PCA variance ratio", "sliced Wasserstein", "Fst error", "heterozygosity W1",
    "AA_truth", "AA_syn", "C2ST AUC, gradient boosting", "C2ST AUC, logistic", "TSTR accuracy", "label fidelity",
    "informed membership AUC, pool", "informed membership TPR at 1 % FPR, pool",
    "informed membership AUC, pool, rarest tenth", "informed membership AUC, panel",
    "membership AUC", "membership TPR at 1 % FPR", "privacy loss", "exact copies",
)  # fmt: skip
LEAKS = (
    "C2ST AUC, gradient boosting", "C2ST AUC, logistic", "membership AUC", "membership TPR at 1 % FPR", "privacy loss",
)  # fmt: skip
COSTS = (
    ("fit time, s", "fit_seconds", 1),
    ("fit time, s of a core", "fit_cpu_seconds", 1),
    ("sample time, s", "sample_seconds", 1),
    ("sample time, s of a core", "sample_cpu_seconds", 1),
    ("peak memory, GB", "peak_bytes", 1e9),
)


# ---- one generator, in a process of its own -----------------------------------------------------------------------


def fit_and_sample(folder: Path, data: DataSet, column: str, seed: int, calls: Path) -> dict[str, Any]:
    """Fit a generator, write the calls of its people to a file; return times (s), peak memory (bytes), and labels.

    The peak is that of the whole process: reading the data, fitting and sampling.
    """
    train, _ = read_parts(folder, data)
    family, parameters = GENERATORS[column]
    clocks = [(time.perf_counter(), time.process_time())]
    generator = create(family, LABEL, seed=seed, **parameters).fit(train)
    clocks.append((time.perf_counter(), time.process_time()))
    synthetic = generator.sample(label_counts(train), seed=seed)
    clocks.append((time.perf_counter(), time.process_time()))
    peak = peak_memory()
    np.save(calls, synthetic.calls)
    return {
        "fit_seconds": clocks[1][0] - clocks[0][0],
        "fit_cpu_seconds": clocks[1][1] - clocks[0][1],
        "sample_seconds": clocks[2][0] - clocks[1][0],
        "sample_cpu_seconds": clocks[2][1] - clocks[1][1],
        "peak_bytes": peak,
        "cores": machine()["cores"],
        "samples": synthetic.samples.tolist(),
        "labels": synthetic.labels[LABEL].tolist(),
    }


# ---- the table ----------------------------------------------------------------------------------------------------


def run_of(
    train: Genotypes,
    holdout: Genotypes,
    synthetic: Genotypes,
    seed: int,
    costs: dict[str, Any],
    components: Path | None = None,
) -> dict[str, Any]:
    """Evaluate the people of one generator and seed; return its values and floors as plain data.

    The figure of principal components goes into the file `components`, if one is given.
    """
    label = LABEL if LABEL in synthetic.labels else None
    evaluation = evaluate(train, synthetic, holdout=holdout, label=label, seed=seed)
    if components is not None:
        evaluation.plot.pca().save(components)
    values: dict[str, dict[str, Any]] = {}
    for name in ROWS:
        row = evaluation.get(name)
        values[name] = {"value": short(row.value), "floor": short(row.floor), "aim": row.aim}
        values[name] |= {"low": short(row.low), "high": short(row.high)}
        if row.value is None:
            values[name]["note"] = row.note
    return {**costs, "values": values, "remarks": evaluation.provenance["remarks"]}


def measure(
    folder: Path,
    data: DataSet,
    columns: Sequence[str],
    seeds: Sequence[int],
    isolate: bool = True,
    figures: Path | None = None,
) -> dict[str, Any]:
    """Return the runs of some columns of one data set as plain data.

    Parameters
    ----------
    folder : Path
    data : DataSet
    columns : sequence of str
        Some of `GENERATORS` and of `data.published`.
    seeds : sequence of int
        Of the generators and of the evaluation.
    isolate : bool
        Whether every generator gets a process of its own (the peak memory is its own only then).
    figures : Path, optional
        Folder of the figure of principal components of the haplotype model and the first seed.
    """
    train, holdout = read_parts(folder, data)
    print(f"{data.title}: {train.n_samples} train and {holdout.n_samples} held-out people at {train.n_variants} sites")
    generators: dict[str, dict[str, Any]] = {}
    for column in columns:
        # not the command line as it was typed: folders of one machine say nothing on another
        command = f"benchmarks/real_data.py --only {data.name} --columns '{column}' --seeds {','.join(map(str, seeds))}"
        made = provenance(seeds[0], machine=machine(), command=command)
        runs = {}
        for seed in seeds if column in GENERATORS else seeds[:1]:
            synthetic, costs = _synthetic(folder, data, column, seed, train, isolate)
            first = (column, seed) == ("haplotype", seeds[0])
            drawn = figures / f"pca-{data.name}.svg" if figures and first else None
            runs[str(seed)] = run_of(train, holdout, synthetic, seed, costs, drawn)
            values = runs[str(seed)]["values"]
            shown = ("AF RMSE", "LD RMSE", "AA_truth", "membership AUC")
            print(
                f"  {column}, seed {seed}: " + ", ".join(f"{n} {figure(values[n]['value'])}" for n in shown), flush=True
            )
        generators[column] = {"runs": runs, "provenance": made}
    return {
        "name": data.name,
        "title": data.title,
        "sites": train.n_variants,
        "train": label_counts(train),
        "holdout": label_counts(holdout),
        "generators": generators,
    }


def _synthetic(
    folder: Path, data: DataSet, column: str, seed: int, train: Genotypes, isolate: bool
) -> tuple[Genotypes, dict[str, Any]]:
    """Return the people of a generator and what they cost."""
    if column in data.published:
        people = read_published(folder / data.published[column], train.variants)
        return people, {"fit_seconds": None, "sample_seconds": None, "peak_bytes": None}
    with tempfile.TemporaryDirectory() as temporary:
        calls = Path(temporary) / "calls.npy"
        if isolate:
            job = json.dumps([column, seed, str(calls)])
            costs = in_own_process(__file__, ["--data", str(folder), "--only", data.name, "--fit", job])
        else:
            costs = fit_and_sample(folder, data, column, seed, calls)
        labels = {LABEL: np.array(costs.pop("labels"), dtype=object)}
        return Genotypes(np.load(calls), train.variants, np.array(costs.pop("samples")), labels), costs


def merged(result: dict[str, Any], path: Path, published: Sequence[str]) -> dict[str, Any]:
    """Return a result with the columns of an earlier one that it does not have, in the order of the table."""
    earlier = json.loads(path.read_text(encoding="utf-8"))["generators"] if path.exists() else {}
    generators = {**earlier, **result["generators"]}
    return {**result, "generators": {c: generators[c] for c in (*GENERATORS, *published) if c in generators}}


def of_seeds(generator: dict[str, Any], metric: str, key: str = "value") -> list[float]:
    """Return the values (or floors) of a metric or a cost, a number a seed; none where it cannot be computed."""
    costs = {name: (field, unit) for name, field, unit in COSTS}
    if metric in costs:
        field, unit = costs[metric]
        numbers = [run.get(field) and run[field] / unit for run in generator["runs"].values()] if key == "value" else []
    else:
        numbers = [run["values"].get(metric, {}).get(key) for run in generator["runs"].values()]
    return [number for number in numbers if number is not None]


def _mean(numbers: Sequence[float]) -> float | None:
    return mean(numbers) if numbers else None


def floor_of(result: dict[str, Any], metric: str) -> float | None:
    """Return the mean floor of a metric over the seeds of the column with most of them."""
    floors = [of_seeds(generator, metric, "floor") for generator in result["generators"].values()]
    return _mean(max(floors, key=len, default=[]))


def rows_of(result: dict[str, Any]) -> list[str]:
    """Return the metrics that some column has; a column measured by an earlier version may lack some."""
    runs = [run["values"] for generator in result["generators"].values() for run in generator["runs"].values()]
    return [metric for metric in ROWS if any(metric in values for values in runs)]


def aim_of(result: dict[str, Any], metric: str) -> str:
    """Return the aim of a metric."""
    runs = [run["values"] for generator in result["generators"].values() for run in generator["runs"].values()]
    return str(next(values[metric]["aim"] for values in runs if metric in values))


def _table(result: dict[str, Any]) -> list[list[str]]:
    """Return header and rows of the table as text cells: means over the seeds."""
    generators = result["generators"]
    table = [["metric", "aim", "floor", *generators]]
    for metric in rows_of(result):
        values = [figure(_mean(of_seeds(g, metric))) for g in generators.values()]
        table.append([metric, aim_of(result, metric), figure(floor_of(result, metric)), *values])
    for metric, _, _ in COSTS:
        means = [_mean(of_seeds(g, metric)) for g in generators.values()]
        table.append([metric, "lower", "", *("–" if value is None else f"{value:.3g}" for value in means)])
    return table


def bars_table(result: dict[str, Any]) -> list[list[str]]:
    """Return the bars that a family must reach on HLA beside what it reached; no row but the header without them."""
    table = [["model", "metric", "bar", "mean", "seeds", ""]]
    for family, bars in BARS.items() if result["name"] == "hla" else ():
        generator = result["generators"].get(family)
        for bar in bars if generator else ():
            runs = {s: r for s, r in generator["runs"].items() if bar.cores in (None, r.get("cores"))}
            values = of_seeds({"runs": runs}, bar.metric)
            if not values:
                table.append([family, bar.metric, str(bar), "–", "", "not measured"])
                continue
            floors: Sequence[float | None] = of_seeds({"runs": runs}, bar.metric, "floor") or [None] * len(values)
            shown = [figure(value) for value in values]
            verdict = "holds" if bar.holds(values, floors) else "missed"
            table.append([family, bar.metric, str(bar), figure(mean(values)), ", ".join(shown), verdict])
    return table


def as_text(table: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table)


def _markdown(table: Sequence[Sequence[str]], texts: int) -> list[str]:
    """Return the lines of a Markdown table whose first columns are texts and whose others are numbers."""
    rule = "|" + "---|" * texts + "--:|" * (len(table[0]) - texts)
    return ["| " + " | ".join(table[0]) + " |", rule, *("| " + " | ".join(row) + " |" for row in table[1:])]


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    people = ", ".join(f"{label} {count}" for label, count in result["train"].items())
    lines = [
        f"### {result['title']}",
        "",
        f"{result['sites']:,} sites; {sum(result['train'].values()):,} training people ({people}) and "
        f"{sum(result['holdout'].values()):,} held-out people. With several seeds a number is their mean.",
        "",
        *_markdown(_table(result), 2),
        "",
        *_runs(result),
        *_missing(result),
    ]
    bars = bars_table(result)
    if len(bars) > 1:
        lines += ["", "What the models must reach here (the mean of the seeds must hold, and the worst may miss it by "
                  "one standard error):", "", *_markdown(bars, len(bars[0]))]  # fmt: skip
    for family in OURS:
        behind = _behind(result, family)
        if behind:
            lines += ["", f"Where `{family}` is not the best (better than the floor counts as the floor):", "", *behind]
    return "\n".join(lines)


def _runs(result: dict[str, Any]) -> list[str]:
    """Return when and how the columns were measured, columns of the same run in one line."""
    columns: dict[str, list[str]] = {}
    for column, generator in result["generators"].items():
        made = generator["provenance"]
        where, seeds = made["machine"], list(generator["runs"])
        cores = sorted({run.get("cores", where["cores"]) for run in generator["runs"].values()})
        text = (
            f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}; pgcgan {made['pgcgan']}, {made['date'][:10]}, "
            f"{' or '.join(map(str, cores))} cores ({where['processor']}), load before the run {where['load_before']:g}"
        )
        columns.setdefault(text, []).append(column)
    return [f"- {', '.join(names)}: {text}." for text, names in columns.items()]


def _missing(result: dict[str, Any]) -> list[str]:
    """Return what is missing in the table and why."""
    reasons: dict[str, list[str]] = {}
    for generator in result["generators"].values():
        for run in generator["runs"].values():
            for metric, cell in run["values"].items():
                if cell["value"] is None and metric not in reasons.setdefault(cell["note"], []):
                    reasons[cell["note"]].append(metric)
    lines = [f"- No value (–): {', '.join(names)} — {note}." for note, names in reasons.items()]
    unlabelled = [c for c in result["generators"] if c.startswith("published")]
    if unlabelled:
        lines.append(
            f"- {' and '.join(unlabelled)}: as published, 5,000 haplotypes each, trained on all people, held-out ones "
            "too, so their privacy rows prove nothing; no labels; haplotypes were paired in file order, so rows about "
            "people (heterozygosity) say little."
        )
    return lines


def _behind(result: dict[str, Any], family: str) -> list[str]:
    """Return, for each metric in which another generator comes closer to the aim, the one that comes closest."""
    generators = result["generators"]
    lines: list[str] = []
    for metric in rows_of(result) if family in generators else ():
        aim, floor = aim_of(result, metric), floor_of(result, metric)
        values = {c: mean(v) for c, g in generators.items() if (v := of_seeds(g, metric))}
        off = {c: distance_to_aim(value, aim, floor, metric in LEAKS) for c, value in values.items()}
        best = min(off, key=lambda c: off[c], default=None)
        if best is None or family not in off or off[best] >= off[family]:
            continue
        ours, theirs = figure(values[family]), figure(values[best])
        if ours != theirs:  # to the digits shown
            auc = figure(_mean(of_seeds(generators[best], "membership AUC")))
            lines.append(f"- {metric}: {ours}; {best} {theirs} (its membership AUC: {auc}).")
    return lines


def distance_to_aim(value: float, aim: str, floor: float | None, leak: bool = False) -> float:
    """Return how far a value is from what an ideal generator reaches; better than the floor is as good as the floor.

    Of an attack or a classifier (`leak`) only what lies above the aim counts: to do worse than chance is chance.
    """
    if aim == "lower":
        return max(value, floor or 0.0)
    if aim == "higher":
        return -min(value, np.inf if floor is None else floor)
    if aim == "at most floor":
        return max(value - (floor or 0.0), 0.0)
    off = value - (floor or 0.0 if aim == "floor" else float(aim))
    return max(off, 0.0) if leak else abs(off)


def as_summary(result: dict[str, Any]) -> str:
    """Return the table of the README: some rows and columns of the whole one."""
    rows = (
        "AF RMSE", "LD RMSE", "far pairs r", "PCA variance ratio", "AA_truth", "AA_syn", "C2ST AUC, gradient boosting",
        "TSTR accuracy", "label fidelity", "informed membership AUC, pool", "informed membership TPR at 1 % FPR, pool",
        "membership AUC",
    )  # fmt: skip
    header, *table = _table(result)
    wanted = ("independent", "Li-Stephens", "Li-Stephens, long", *OURS)
    columns = [0, 1, 2, *(header.index(column) for column in wanted if column in header)]
    newest = max(g["provenance"]["date"][:10] for g in result["generators"].values())
    lines = [
        f"{result['title']} of 1000 Genomes, {result['sites']:,} sites: fitted on {sum(result['train'].values()):,} "
        f"people, measured against {sum(result['holdout'].values()):,} held-out people ({newest}). The floor is what "
        "real training people get. All rows and peers, and the 805 SNPs of the published GAN and RBM: "
        "[docs/benchmarks.md](docs/benchmarks.md), by `python benchmarks/real_data.py`.",
        "",
        *_markdown([[row[k] for k in columns] for row in (header, *(r for r in table if r[0] in rows))], 2),
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None, isolate: bool = True) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--only", choices=[d.name for d in DATA_SETS], help="one of the data sets")
    parser.add_argument("--seeds", default="1", help="joined by commas")
    parser.add_argument("--columns", help=f"only these, joined by ';': {'; '.join(GENERATORS)}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON files, run nothing")
    parser.add_argument("--fit", help=argparse.SUPPRESS)  # one generator, in the process that `measure` starts
    options = parser.parse_args(argv)
    chosen = [d for d in DATA_SETS if options.only in (None, d.name)]
    try:
        if options.fit is not None:
            column, seed, calls = json.loads(options.fit)
            print(json.dumps(fit_and_sample(options.data, chosen[0], column, seed, Path(calls))))
            return
        for data in chosen:
            _measure_and_write(data, options, parser, isolate)
    except PgcganError as error:
        sys.exit(f"error: {error}")


def _measure_and_write(data: DataSet, options: Any, parser: argparse.ArgumentParser, isolate: bool) -> None:
    """Measure one data set, print its tables, and write the result and the documents."""
    columns = [c.strip() for c in options.columns.split(";")] if options.columns else [*GENERATORS, *data.published]
    unknown = [c for c in columns if c not in (*GENERATORS, *data.published)]
    if unknown:
        parser.error(f"unknown column {unknown[0]!r}; accepted: {'; '.join((*GENERATORS, *data.published))}")
    path = options.out / f"{data.name}.json"
    if options.render:
        result = json.loads(path.read_text(encoding="utf-8"))
    elif not (options.data / data.vcf).exists():
        print(f"{data.title}: {data.vcf} is not in the data folder (--data DIR); nothing is measured.")
        return
    else:
        seeds = [int(seed) for seed in options.seeds.split(",")]
        figures = options.document.parent / "figures"
        figures.mkdir(exist_ok=True)
        result = measure(options.data, data, columns, seeds, isolate, figures)
        print(f"\n{as_text(_table(result))}\n\n{as_text(bars_table(result))}")
        result = merged(result, path, list(data.published))
        print(f"\nwrote {write_result(result, options.out).name}, {now()}")
    write_section(options.document, f"real-data:{data.name}", as_markdown(result))
    if data.name == "hla" and options.document == DOCUMENT:
        write_section(ROOT / "README.md", "figures", as_summary(result))


if __name__ == "__main__":
    main()
