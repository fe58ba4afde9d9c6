"""The finest labels: the populations of 1000 Genomes, about 80 training people each, on the HLA region.

The models are fitted to the training people by `pop` and evaluated by `pop` against the held-out people. Writes
benchmarks/results/populations.json and the section of docs/benchmarks.md between the markers `populations`.

    python benchmarks/populations.py [--data DIR] [--seed 1] [--generators haplotype,gan,…] [--render]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cohorts import DATA_SETS, read_parts
from measuring import DOCUMENT, RESULTS, ROOT, machine, short, write_result, write_section

from pgcgan import Evaluation, Genotypes, evaluate
from pgcgan.errors import PgcganError
from pgcgan.metrics import figure
from pgcgan.provenance import provenance
from pgcgan.registry import create

DATA, LABEL = DATA_SETS[0], "pop"
GENERATORS = {"independent": "independent", "li-stephens": "Li-Stephens", "haplotype": "haplotype", "gan": "gan"}
ROWS = (
    "AF RMSE", "LD RMSE", "far pairs r", "3-point r within labels", "PCA variance ratio", "Fst error",
    "inbreeding error", "AA_truth", "AA_syn", "C2ST AUC, gradient boosting", "TSTR accuracy", "label fidelity",
    "membership AUC", "privacy loss",
)  # fmt: skip
EACH = ("AF RMSE", "TSTR accuracy")  # shown for each population, too


def measure(train: Genotypes, holdout: Genotypes, name: str, seed: int) -> dict[str, Any]:
    """Fit one generator by population, draw as many of each as there are, and return its numbers with their floors."""
    began = time.process_time()
    model = create(name, LABEL, seed=seed).fit(train)
    seconds = time.process_time() - began
    people = model.sample(model.label_counts_, seed=seed)
    evaluation = evaluate(train, people, holdout=holdout, label=LABEL, seed=seed)
    values = list(model.label_counts_)
    return {
        "generator": name,
        "cpu_seconds": round(seconds, 2),
        "rows": {metric: _pair(evaluation, metric, "all") for metric in ROWS},
        "each": {metric: {value: _pair(evaluation, metric, value) for value in values} for metric in EACH},
    }


def _pair(evaluation: Evaluation, metric: str, label: str) -> list[float | None]:
    """Return value and floor of a row."""
    row = evaluation.get(metric, label)
    return [short(row.value), short(row.floor)]


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made, runs = result["provenance"], {run["generator"]: run for run in result["runs"]}
    where, shown = made["machine"], [name for name in GENERATORS if name in runs]
    floors = next(iter(runs.values()))
    lines = [
        "### HLA region, by population",
        "",
        f"{result['sites']:,} sites; {sum(result['people'].values()):,} train people of {len(result['people'])} "
        f"populations ({min(result['people'].values())} to {max(result['people'].values())} each). Seed "
        f"{made['seed']}, pgcgan {made['pgcgan']}, {made['date'][:10]}, {where['cores']} cores ({where['processor']}). "
        f"Command: `python {made['command']}`.",
        "",
        "| metric | floor | " + " | ".join(GENERATORS[name] for name in shown) + " |",
        "|---|--:|" + "--:|" * len(shown),
    ]
    for metric in ROWS:
        cells = [figure(runs[name]["rows"][metric][0]) for name in shown]
        lines.append(f"| {metric} | {figure(floors['rows'][metric][1])} | " + " | ".join(cells) + " |")
    for metric in EACH:
        cells = [_spread([v for v, _ in runs[name]["each"][metric].values()]) for name in shown]
        floor = _spread([f for _, f in floors["each"][metric].values()])
        lines.append(f"| {metric} of a population: median (range) | {floor} | " + " | ".join(cells) + " |")
    lines.append("| fit, s of a core | | " + " | ".join(figure(runs[name]["cpu_seconds"]) for name in shown) + " |")
    return "\n".join(lines)


def _spread(values: Sequence[float | None]) -> str:
    there = [v for v in values if v is not None]
    return f"{figure(statistics.median(there))} ({figure(min(there))} to {figure(max(there))})" if there else "–"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--generators", default="independent,li-stephens,haplotype", help=f"some of {','.join(GENERATORS)}"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON file, run nothing")
    given = parser.parse_args(argv)
    chosen = given.generators.split(",")
    unknown = [name for name in chosen if name not in GENERATORS]
    if unknown:
        parser.error(f"unknown generator {unknown[0]!r}; accepted: {', '.join(GENERATORS)}")
    if given.render:
        result = json.loads((given.out / "populations.json").read_text(encoding="utf-8"))
    elif not (given.data / DATA.vcf).exists():
        print(f"{DATA.title}: {DATA.vcf} is not in the data folder (--data DIR); nothing is measured.")
        return
    else:
        before = machine()
        try:
            train, holdout = read_parts(given.data, DATA)
            runs = []
            for name in chosen:
                runs.append(measure(train, holdout, name, given.seed))
                print(f"{GENERATORS[name]}: " + ", ".join(f"{m} {figure(v)}" for m, (v, _) in runs[-1]["rows"].items()))
        except PgcganError as error:
            sys.exit(f"error: {error}")
        labels = train.label(LABEL).astype(str).tolist()
        command = f"benchmarks/populations.py --seed {given.seed}"
        result = {
            "name": "populations",
            "sites": train.n_variants,
            "people": {value: labels.count(value) for value in sorted(set(labels))},
            "runs": runs,
            "provenance": provenance(given.seed, machine=before, command=command),
        }
        print(f"wrote {write_result(result, given.out).name}")
    write_section(given.document, "populations", as_markdown(result))


if __name__ == "__main__":
    main()
