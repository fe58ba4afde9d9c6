"""The real-data table: pgcgan, its parts, the baselines and two published generators on 1000 Genomes people.

Every generator is fitted on the train people only, in a process of its own, makes as many people of each label as
there are in train, and is evaluated against the held-out people. Writes benchmarks/results/NAME.json and the section
of docs/benchmarks.md between the markers `real-data:NAME`.

    python benchmarks/real_data.py [--data DIR] [--only hla|snp805] [--seed 1] [--model DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pgcgan import Genotypes, evaluate, read
from pgcgan.errors import DataError, PgcganError
from pgcgan.genotypes import Variants
from pgcgan.io import read_split
from pgcgan.metrics import figure
from pgcgan.provenance import now, provenance

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
LABEL = "super_pop"


@dataclass(frozen=True)
class DataSet:
    """A data set in the data folder; `published` are sets of artificial haplotypes that others made of it."""

    name: str
    title: str
    vcf: str
    published: Mapping[str, str]


DATA_SETS = (
    DataSet("hla", "HLA region", "hla.vcf.gz", {}),
    DataSet(
        "snp805",
        "805 SNPs on 22 chromosomes",
        "snp805.vcf.gz",
        {"published GAN": "snp805_gan.npz", "published RBM": "snp805_rbm.npz"},
    ),
)

# column -> what is fitted: a baseline with its options, or a stage of the model
BASELINE_COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    "independent": ("independent", {}),
    "Li-Stephens": ("li-stephens", {}),
    "Li-Stephens, long": ("li-stephens", {"recombination_rate": 1e-9}),
    "Li-Stephens, short": ("li-stephens", {"recombination_rate": 1e-7}),
    "PCA-Gaussian": ("pca-gaussian", {}),
    "SMOTE": ("smote", {}),
}
CHAIN, FINAL = "chain alone", "pgcgan"
COLUMNS = (*BASELINE_COLUMNS, CHAIN, FINAL)
STAGES = {CHAIN: "chain", FINAL: "final"}

ROWS = (
    "AF r", "AF RMSE", "AF RMSE, MAF < 5 %", "LD RMSE", "LD r", "LD decay RMSE", "far pairs r", "3-point r",
    "3-point r within labels", "PCA variance ratio", "sliced Wasserstein", "Fst error", "heterozygosity W1",
    "AA_truth", "AA_syn", "C2ST AUC, gradient boosting", "C2ST AUC, logistic", "TSTR accuracy", "label fidelity",
    "membership AUC", "membership TPR at 1 % FPR", "privacy loss", "exact copies",
)  # fmt: skip
LEAKS = (
    "C2ST AUC, gradient boosting", "C2ST AUC, logistic", "membership AUC", "membership TPR at 1 % FPR", "privacy loss",
)  # fmt: skip


# ---- data ---------------------------------------------------------------------------------------------------------


def read_parts(folder: Path, data: DataSet) -> tuple[Genotypes, Genotypes]:
    """Return the train and the held-out people."""
    people = read(folder / data.vcf, folder / "panel.tsv")
    split = read_split(folder / "split.tsv")
    absent = [name for name in people.samples if name not in split]
    if absent:
        raise DataError(f"{len(absent)} people of {data.vcf} are not in split.tsv, the first is {absent[0]}.")
    train = np.array([split[name] == "train" for name in people.samples])
    return people.select(samples=train), people.select(samples=~train)


def read_published(path: Path, variants: Variants) -> Genotypes:
    """Return published haplotypes as people without labels: rows 2i and 2i+1 of the file are person i.

    Alleles are coded as in `variants`: where the file has REF and ALT the other way round, 0 and 1 change places.
    """
    with np.load(path, allow_pickle=False) as arrays:
        haplotypes, contig, position = arrays["haplotypes"], arrays["chrom"].astype(str), arrays["pos"]
        ref, alt = arrays["ref"].astype(str), arrays["alt"].astype(str)
    at = {key: i for i, key in enumerate(zip(contig.tolist(), position.tolist(), strict=True))}
    order = np.array([at.get(key, -1) for key in zip(variants.contig, variants.position.tolist(), strict=True)])
    if (order < 0).any():
        raise DataError(f"{path.name} has no site {variants.name(int(np.flatnonzero(order < 0)[0]))}.")
    ref, alt = ref[order], alt[order]
    same = (ref == variants.ref) & (alt == variants.alt)
    swapped = (ref == variants.alt) & (alt == variants.ref)
    other = np.flatnonzero(~(same | swapped))
    if len(other):
        raise DataError(f"{path.name} has other alleles than the VCF at {variants.name(int(other[0]))}.")
    even = haplotypes[: len(haplotypes) // 2 * 2, order].astype(np.int8)
    calls = np.where(swapped, 1 - even, even).T.reshape(len(variants), -1, 2)
    names = [f"{path.stem}_{i:06d}" for i in range(1, calls.shape[1] + 1)]
    return Genotypes(calls, variants, np.array(names), {}, phased=True)


# ---- one generator, in a process of its own -----------------------------------------------------------------------


def make(folder: Path, data: DataSet, job: dict[str, Any]) -> dict[str, Any]:
    """Fit or load what `job` says, sample, write the calls to `job["calls"]`; return times (s) and peak memory (bytes).

    The peak is that of the whole process: reading the data, fitting and sampling.
    """
    train, _ = read_parts(folder, data)
    seed = job["seed"]
    model: Any
    fit_seconds = None
    if job["column"] in BASELINE_COLUMNS:
        from pgcgan.generators.baselines import BASELINES

        kind, options = BASELINE_COLUMNS[job["column"]]
        model = BASELINES[kind](LABEL, seed=seed, **options)
    else:
        from pgcgan import PGcGAN

        if "load" in job:
            model = PGcGAN.load(job["load"], stage=job["stage"])
        else:
            model = PGcGAN(LABEL, seed=seed, **job["settings"])
    if "load" not in job:
        began = time.perf_counter()
        model.fit(train, on_event=_progress()) if job["column"] == FINAL else model.fit(train)
        fit_seconds = time.perf_counter() - began
    began = time.perf_counter()
    made = model.sample(_composition(train), seed=seed)
    sample_seconds = time.perf_counter() - began
    peak = peak_memory()
    np.save(job["calls"], made.calls)
    labels = made.labels[LABEL].tolist()
    if "save" in job:
        model.save(job["save"])
    return {
        "fit_seconds": fit_seconds,
        "sample_seconds": sample_seconds,
        "peak_bytes": None if "load" in job else peak,
        "samples": made.samples.tolist(),
        "labels": labels,
    }


def _composition(train: Genotypes) -> dict[str, int]:
    values, counts = np.unique(train.label(LABEL).astype(str), return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _progress() -> Any:
    said = time.monotonic()

    def tell(event: dict[str, Any]) -> None:
        nonlocal said
        if time.monotonic() - said > 30:
            said = time.monotonic()
            print(f"    {event['stage']} step {event['step']} of {event['steps']}", file=sys.stderr, flush=True)

    return tell


def in_own_process(script: str, options: Sequence[str]) -> dict[str, Any]:
    """Run a script of this folder with options that make it print one JSON object as its last line; return that."""
    command = [sys.executable, str(Path(script).resolve()), *options]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"{Path(script).name} {' '.join(options)} failed (exit status {run.returncode}).")
    answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return answer


def peak_memory() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    try:
        # on Linux ru_maxrss of a new process starts at the size of the process that started it; this does not
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def machine() -> dict[str, Any]:
    """Return what the times depend on: cores, processor, system, and how busy it is now (load average, 1 minute)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "processor": processor,
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


# ---- the table ----------------------------------------------------------------------------------------------------


def measure(
    folder: Path,
    data: DataSet,
    *,
    seed: int = 1,
    model: Path | None = None,
    columns: Sequence[str] = COLUMNS,
    settings: Mapping[str, Any] | None = None,
    isolate: bool = True,
) -> dict[str, Any]:
    """Return the table of one data set as plain data.

    Parameters
    ----------
    folder : Path
    data : DataSet
    seed : int
        Of every generator and of the evaluation.
    model : Path, optional
        A trained model, in the place of training one.
    columns : sequence of str
        Some of `COLUMNS`; the published sets come with the whole table only.
    settings : mapping, optional
        Of the model that is trained.
    isolate : bool
        Whether every generator gets a process of its own (the peak memory is its own only then).
    """
    before = machine()
    train, holdout = read_parts(folder, data)
    print(f"{data.title}: {train.n_samples} train and {holdout.n_samples} held-out people at {train.n_variants} sites")
    generators: dict[str, dict[str, Any]] = {}
    floors: dict[str, dict[str, Any]] = {}

    def add(column: str, made: Genotypes, costs: dict[str, Any], remark: str = "") -> None:
        labelled = LABEL in made.labels
        found = evaluate(train, made, holdout=holdout, label=LABEL if labelled else None, seed=seed)
        values: dict[str, dict[str, Any]] = {}
        for name in ROWS:
            row = found.get(name)
            values[name] = {"value": _short(row.value), "low": _short(row.low), "high": _short(row.high)}
            if row.value is None:
                values[name]["note"] = row.note
            if labelled or name not in floors:
                floors[name] = {"aim": row.aim, "floor": _short(row.floor)}
        remarks = [*([remark] if remark else []), *found.provenance["remarks"]]
        generators[column] = {**costs, "values": values, "remarks": remarks}
        brief = ", ".join(
            f"{n} {figure(values[n]['value'])}" for n in ("AF RMSE", "LD RMSE", "AA_truth", "membership AUC")
        )
        print(f"  {column}: {brief}", flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        calls, trained = Path(temporary) / "calls.npy", Path(temporary) / "model"
        # the trained model comes first, because its chain is read from it; the table has the order of COLUMNS
        for column in sorted(columns, key=lambda c: c != FINAL):
            job: dict[str, Any] = {
                "column": column,
                "seed": seed,
                "calls": str(calls),
                "settings": dict(settings or {}),
            }
            if column == FINAL and model is None:
                job["save"] = str(trained)
            elif column in STAGES:
                job |= {"load": str(model or trained), "stage": STAGES[column]}
            if isolate:
                costs = in_own_process(
                    __file__, ["--data", str(folder), "--only", data.name, "--make", json.dumps(job)]
                )
            else:
                costs = make(folder, data, job)
            labels = {LABEL: np.array(costs.pop("labels"), dtype=object)}
            add(column, Genotypes(np.load(calls), train.variants, np.array(costs.pop("samples")), labels), costs)
    if set(columns) == set(COLUMNS):
        for column, file in data.published.items():
            costs = {"fit_seconds": None, "sample_seconds": None, "peak_bytes": None}
            remark = (
                "as published: trained on all people, held-out ones too; no labels; haplotypes paired in file order"
            )
            add(column, read_published(folder / file, train.variants), costs, remark)
    order = [c for c in (*COLUMNS, *data.published) if c in generators]
    return {
        "name": data.name,
        "title": data.title,
        "sites": train.n_variants,
        "train": _composition(train),
        "holdout": _composition(holdout),
        "rows": [{"metric": name, **floors[name]} for name in ROWS],
        "generators": {c: generators[c] for c in order},
        "provenance": provenance(seed, machine=before, command=_command(data, seed, model)),
    }


def _command(data: DataSet, seed: int, model: Path | None) -> str:
    # not the command line as it was typed: folders of one machine say nothing on another
    return f"benchmarks/real_data.py --only {data.name} --seed {seed}" + (" --model DIR" if model else "")


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.5g}")


def _table(result: dict[str, Any]) -> list[list[str]]:
    """Return header and rows of the table as text cells."""
    generators = result["generators"]
    table = [["metric", "aim", "floor", *generators]]
    for row in result["rows"]:
        values = [figure(g["values"][row["metric"]]["value"]) for g in generators.values()]
        table.append([row["metric"], row["aim"], figure(row["floor"]), *values])
    for name, key, unit in (
        ("fit time, s", "fit_seconds", 1),
        ("sample time, s", "sample_seconds", 1),
        ("peak memory, GB", "peak_bytes", 1e9),
    ):
        cells = ["–" if g[key] is None else f"{g[key] / unit:.3g}" for g in generators.values()]
        table.append([name, "lower", "", *cells])
    return table


def as_text(result: dict[str, Any]) -> str:
    """Return the table for the terminal."""
    table = _table(result)
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    pad = [str.ljust, str.ljust] + [str.rjust] * (len(widths) - 2)
    return "\n".join("  ".join(p(c, w) for p, c, w in zip(pad, row, widths, strict=True)) for row in table)


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made, table = result["provenance"], _table(result)
    people = ", ".join(f"{label} {count}" for label, count in result["train"].items())
    where = made["machine"]
    lines = [
        f"### {result['title']}",
        "",
        f"{result['sites']:,} sites; {sum(result['train'].values()):,} train people ({people}) and "
        f"{sum(result['holdout'].values()):,} held-out people. Seed {made['seed']}, pgcgan {made['pgcgan']}, "
        f"{made['date'][:10]}, {where['cores']} cores ({where['processor']}), load before the run "
        f"{where['load_before']:g}. Command: `python {made['command']}`.",
        "",
        "| " + " | ".join(table[0]) + " |",
        "|---|---|" + "--:|" * (len(table[0]) - 2),
        *("| " + " | ".join(row) + " |" for row in table[1:]),
        "",
    ]
    lines += _notes(result)
    return "\n".join(lines)


def as_summary(result: dict[str, Any]) -> str:
    """Return the table of the README: some rows and columns of the whole one."""
    wanted = ("independent", "Li-Stephens", "Li-Stephens, long", CHAIN, FINAL)
    rows = (
        "AF RMSE", "LD RMSE", "far pairs r", "PCA variance ratio", "AA_truth", "AA_syn", "C2ST AUC, gradient boosting",
        "TSTR accuracy", "label fidelity", "membership AUC", "privacy loss", "fit time, s",
    )  # fmt: skip
    header, *table = _table(result)
    columns = [0, 1, 2, *(header.index(column) for column in wanted if column in header)]
    made = result["provenance"]
    lines = [
        f"{result['title']} of 1000 Genomes, {result['sites']:,} sites: fitted on {sum(result['train'].values()):,} "
        f"people, measured against {sum(result['holdout'].values()):,} held-out people ({made['date'][:10]}, "
        f"{made['machine']['cores']} cores). The floor is what real training people get; the chain knows one haplotype "
        "block back. All rows and peers, and the 805 SNPs of the published "
        "GAN and RBM: [docs/benchmarks.md](docs/benchmarks.md), by `python benchmarks/real_data.py`.",
        "",
        "| " + " | ".join(header[k] for k in columns) + " |",
        "|---|---|" + "--:|" * (len(columns) - 2),
        *("| " + " | ".join(row[k] for k in columns) + " |" for row in table if row[0] in rows),
    ]
    return "\n".join(lines)


def _notes(result: dict[str, Any]) -> list[str]:
    """Return what a reader of the table must know: what is missing and why, and where the model is not the best."""
    generators = result["generators"]
    lines = []
    reasons: dict[str, list[str]] = {}
    for generator in generators.values():
        for name, cell in generator["values"].items():
            if cell["value"] is None and name not in reasons.setdefault(cell["note"], []):
                reasons[cell["note"]].append(name)
    lines += [f"- No value (–): {', '.join(names)} — {note}." for note, names in reasons.items()]
    unlabelled = [c for c in generators if c.startswith("published")]
    if unlabelled:
        lines.append(
            f"- {' and '.join(unlabelled)}: as published, 5,000 haplotypes each, trained on all people, held-out ones "
            "too, so their privacy rows prove nothing; no labels; haplotypes were paired in file order, so rows about "
            "people (heterozygosity) say little."
        )
    if FINAL in generators:
        behind = _behind(result)
        if behind:
            lines += [
                "",
                f"Where {FINAL} is not the best (what is better than the floor counts as the floor):",
                "",
                *behind,
            ]
    return lines


def _behind(result: dict[str, Any]) -> list[str]:
    """Return, for each metric in which another generator comes closer to the aim, the one that comes closest."""
    generators = result["generators"]
    lines = []
    for row in result["rows"]:
        name, off = row["metric"], {}
        for column, generator in generators.items():
            value = generator["values"][name]["value"]
            if value is not None:
                off[column] = distance_to_aim(value, row["aim"], row["floor"], name in LEAKS)
        best = min(off, key=lambda c: off[c], default=None)
        if best is None or FINAL not in off or off[best] >= off[FINAL]:
            continue
        ours, theirs = (figure(generators[c]["values"][name]["value"]) for c in (FINAL, best))
        if ours == theirs:
            continue  # the same to the digits shown
        auc = figure(generators[best]["values"]["membership AUC"]["value"])
        lines.append(f"- {name}: {ours}; {best} {theirs} (its membership AUC: {auc}).")
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


# ---- files --------------------------------------------------------------------------------------------------------


def write_result(result: dict[str, Any], folder: Path) -> Path:
    """Write `NAME.json` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['name']}.json"
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(beside, path)
    return path


def write_section(document: Path, name: str, text: str) -> None:
    """Replace what is between `<!-- NAME -->` and `<!-- /NAME -->` in a markdown file."""
    content = document.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if content.count(start) != 1 or content.count(end) != 1 or content.index(start) > content.index(end):
        raise DataError(f"{document.name} must hold the markers {start} and {end} once, in this order.")
    head, rest = content.split(start)
    beside = document.with_suffix(".part")
    beside.write_text(f"{head}{start}\n{text.strip()}\n{end}{rest.split(end)[1]}", encoding="utf-8")
    os.replace(beside, document)


def main(argv: Sequence[str] | None = None, settings: Mapping[str, Any] | None = None, isolate: bool = True) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--only", choices=[d.name for d in DATA_SETS], help="one of the data sets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, help="a trained model, in the place of training one (with --only)")
    parser.add_argument("--columns", help=f"only these, joined by ';', printed and not written: {'; '.join(COLUMNS)}")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON files")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument(
        "--render", action="store_true", help="write the document again from the JSON files, run nothing"
    )
    parser.add_argument("--make", help=argparse.SUPPRESS)  # one generator, in the process that `measure` starts
    given = parser.parse_args(argv)
    chosen = [d for d in DATA_SETS if given.only in (None, d.name)]
    if given.model is not None and given.only is None:
        parser.error("--model goes with --only: a model belongs to one data set")
    columns = [c.strip() for c in given.columns.split(";")] if given.columns else list(COLUMNS)
    unknown = [c for c in columns if c not in COLUMNS]
    if unknown:
        parser.error(f"unknown column {unknown[0]!r}; accepted: {'; '.join(COLUMNS)}")
    try:
        if given.make is not None:
            print(json.dumps(make(given.data, chosen[0], json.loads(given.make))))
            return
        for data in chosen:
            if given.render:
                result = json.loads((given.out / f"{data.name}.json").read_text(encoding="utf-8"))
            elif not (given.data / data.vcf).exists():
                print(f"{data.title}: {data.vcf} is not in the data folder (--data DIR); nothing is measured.")
                continue
            else:
                result = measure(
                    given.data, data, seed=given.seed, model=given.model, columns=columns, settings=settings,
                    isolate=isolate,
                )  # fmt: skip
                print("\n" + as_text(result))
                if given.columns:
                    continue
                print(f"\nwrote {write_result(result, given.out).name}, {now()}")
            write_section(given.document, f"real-data:{data.name}", as_markdown(result))
            if data.name == "hla" and given.document == DOCUMENT:
                write_section(ROOT / "README.md", "figures", as_summary(result))
    except PgcganError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
