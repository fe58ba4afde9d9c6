"""Peers: other people's generators of genotypes and of tables, beside those of this package, on the same people.

haptools (`simgenotype`) makes mosaics of the training haplotypes of a label, as after some generations of mixing, at
all sites. CTGAN, a conditional GAN for tables, gets a column a site and survives few of them; the generators of this
package are fitted to the same few sites beside it. Each runs in a process of its own, whose time and memory are taken.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from cohorts import LABEL, label_counts
from downstream_imputation import write_panel
from downstream_page import cell, measured, table
from downstream_people import GENERATORS, POOL, Cohort
from downstream_tools import ToolError, missing
from measuring import short

from pgcgan import Genotypes, evaluate, read, write
from pgcgan.registry import create

NAME, TITLE = "peers", "Other generators"
TOOLS = ("haptools",)
OURS = ("haplotype", "Li-Stephens", "independent")
HAPTOOLS, CTGAN = "haptools simgenotype", "CTGAN"
COLUMNS, EPOCHS = 50, 300  # sites that CTGAN gets, next to each other; 300 epochs are its default
GENERATIONS = 10
FEW = f"{COLUMNS} sites: "
ROWS = (HAPTOOLS, *OURS, FEW + CTGAN, *(FEW + name for name in OURS))
FIGURES = {
    "AF RMSE": 4, "LD RMSE": 4, "AA_truth": 3, "AA_syn": 3, "C2ST AUC, gradient boosting": 3, "TSTR accuracy": 3,
    POOL: 3,
}  # fmt: skip
# a process counts as its own the memory that its parent has when it is started: so a small parent starts it
LAUNCHER = """
import json, resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == "darwin" else 1024
costs = {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_bytes": used.ru_maxrss * unit}
json.dump(costs, open(sys.argv[1], "w"))
sys.exit(status)
"""
CTGAN_SCRIPT = """
import json, sys
import numpy as np, pandas as pd
from ctgan import CTGAN
arrays = np.load("train.npz")
rows = pd.DataFrame(arrays["haplotypes"].astype(str), columns=[f"s{k}" for k in range(arrays["haplotypes"].shape[1])])
rows["label"] = arrays["label"]
epochs, seed = int(sys.argv[1]), int(sys.argv[2])
model = CTGAN(epochs=epochs)
model.set_random_state(seed)
model.fit(rows, list(rows.columns))
wanted, parts = json.loads(sys.argv[3]), []
for label, count in wanted.items():
    of_label = []
    while sum(map(len, of_label)) < count:
        drawn = model.sample(4 * count, "label", label)
        of_label.append(drawn[drawn["label"] == label])
    parts.append(pd.concat(of_label).head(count))
np.save("synthetic.npy", pd.concat(parts).drop(columns="label").to_numpy().astype(np.int8))
"""


def timed(command: Sequence[str], folder: Path) -> dict[str, float]:
    """Run a program in a folder; return its processor time in seconds and its peak memory in bytes.

    Raises
    ------
    ToolError
        If it fails; the message has the last line that it printed.
    """
    usage = folder / "usage.json"
    with (folder / "printed.txt").open("wb") as printed:
        launch = [sys.executable, "-c", LAUNCHER, str(usage), *command]
        status = subprocess.run(launch, cwd=folder, stdout=printed, stderr=subprocess.STDOUT).returncode
    if status:
        lines = (folder / "printed.txt").read_text(errors="replace").strip().splitlines() or ["it printed nothing"]
        raise ToolError(f"{command[0]} failed (exit status {status}): {lines[-1]}")
    return dict(json.loads(usage.read_text()))


def of_haptools(train: Genotypes, seed: int) -> tuple[Genotypes, dict[str, float]]:
    """Return mosaics of the haplotypes of each label, with the sum of the times and the largest memory."""
    labels, contig = train.label(LABEL).astype(str), str(train.variants.contig[0])
    first, last = int(train.variants.position[0]), int(train.variants.position[-1])
    parts, costs = [], {"cpu_seconds": 0.0, "peak_bytes": 0.0}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_panel(train, folder)
        people = zip(train.samples, labels, strict=True)
        (folder / "people.txt").write_text("".join(f"{name}\t{label}\n" for name, label in people))
        ends = (max(first - 1, 1), (first - 1) / 1e6), (last + 1, (last + 1) / 1e6)  # a centimorgan a megabase
        (folder / f"chr{contig}.map").write_text("".join(f"{contig}\t.\t{cm}\t{at}\n" for at, cm in ends))
        counts = label_counts(train)
        for k, (label, count) in enumerate(counts.items()):
            other = next(name for name in counts if name != label)  # two populations are the least; it has share 0
            lines = [f"{count}\tAdmixed\t{label}\t{other}", "1\t0\t1\t0", f"{GENERATIONS}\t1\t0\t0"]
            (folder / "model.dat").write_text("\n".join(lines) + "\n")
            options = {
                "--model": "model.dat", "--mapdir": ".", "--ref_vcf": "panel.vcf.gz", "--sample_info": "people.txt",
                "--region": f"{contig}:{first}-{last}", "--seed": str(seed + k), "--out": f"{label}.vcf.gz",
            }  # fmt: skip
            cost = timed(["haptools", "simgenotype", *(word for pair in options.items() for word in pair)], folder)
            costs["cpu_seconds"] += cost["cpu_seconds"]
            costs["peak_bytes"] = max(costs["peak_bytes"], cost["peak_bytes"])
            parts.append(read(folder / f"{label}.vcf.gz").calls)
    return _as_people(np.concatenate(parts, axis=1), train), costs


def of_ctgan(train: Genotypes, seed: int) -> tuple[Genotypes, dict[str, float]]:
    """Return people of CTGAN, fitted to haplotypes as rows of a table with the label as one more column."""
    counts = label_counts(train)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        label = np.repeat(train.label(LABEL).astype(str), 2)
        np.savez(folder / "train.npz", haplotypes=train.haplotypes(), label=label)
        wanted = json.dumps({name: 2 * count for name, count in counts.items()})
        costs = timed([sys.executable, "-c", CTGAN_SCRIPT, str(EPOCHS), str(seed), wanted], folder)
        rows = np.load(folder / "synthetic.npy")
    return _as_people(rows.reshape(-1, 2, rows.shape[1]).transpose(2, 0, 1), train), costs


def _as_people(calls: np.ndarray, train: Genotypes) -> Genotypes:
    """Return calls of people in the order of the labels as people at the sites of the training people."""
    counts = label_counts(train)
    names = np.array([f"peer_{k}" for k in range(calls.shape[1])], dtype=object)
    labels = np.repeat(np.array(list(counts), dtype=object), list(counts.values()))
    return Genotypes(calls, train.variants, names, {LABEL: labels}, phased=True)


def of_ours(generator: str, train: Genotypes, seed: int) -> tuple[Genotypes, dict[str, float]]:
    """Return people of a generator of this package."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plain = {LABEL: train.label(LABEL)}
        write(Genotypes(train.calls, train.variants, train.samples, plain, train.phased), folder / "train.vcf.gz")
        costs = timed([sys.executable, str(Path(__file__).resolve()), generator, str(seed)], folder)
        return _as_people(np.load(folder / "synthetic.npy"), train), costs


def fit_and_sample(generator: str, seed: int) -> None:
    """Fit a generator to the people of train.vcf.gz, and write the calls of as many synthetic people."""
    train = read("train.vcf.gz", "train.panel.tsv")
    family, parameters = GENERATORS[generator]
    model = create(family, LABEL, seed=seed, **parameters).fit(train)
    np.save("synthetic.npy", model.sample(label_counts(train), seed=seed).calls)


def few_sites(people: Genotypes, train: Genotypes) -> Genotypes:
    """Return people at the sites that CTGAN gets: common among the training people, in the middle of the region."""
    common = np.flatnonzero(train.common(0.05))
    first = max((len(common) - COLUMNS) // 2, 0)
    return people.select(sites=common[first : first + COLUMNS])


def measure(
    cohort: Cohort, seeds: Sequence[int], only: Sequence[str] | None, say: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each generator with its figures, time and memory."""
    absent = set()
    for sentence in missing(TOOLS):
        say(sentence)
        absent.add(HAPTOOLS)
    if find_spec("ctgan") is None:
        say("ctgan is not installed (pip install --no-deps ctgan rdt faker, where torch and pandas are).")
        absent.add(FEW + CTGAN)
    for row in ROWS:
        if row in absent or (only is not None and row not in only):
            continue
        few, name = row.startswith(FEW), row.removeprefix(FEW)
        train, holdout = (few_sites(p, cohort.train) if few else p for p in (cohort.train, cohort.holdout))
        runs = {}
        for seed in seeds:
            people, costs = _generate(name, train, seed)
            evaluation = evaluate(train, people, holdout=holdout, label=LABEL, seed=seed)
            values = {metric: short(evaluation.get(metric).value) for metric in FIGURES}
            floors = {metric: short(evaluation.get(metric).floor) for metric in FIGURES}
            runs[str(seed)] = {"sites": len(train), **{k: short(v) for k, v in costs.items()}, "values": values}
            runs[str(seed)]["floors"] = floors
            say(f"  {row}, seed {seed}: {values}")
        yield row, {"runs": runs}


def _generate(name: str, train: Genotypes, seed: int) -> tuple[Genotypes, dict[str, float]]:
    if name == HAPTOOLS:
        return of_haptools(train, seed)
    return of_ctgan(train, seed) if name == CTGAN else of_ours(name, train, seed)


# ---- the page -----------------------------------------------------------------------------------------------------


def as_markdown(result: Mapping[str, Any]) -> list[str]:
    """Return the section of docs/uses.md."""
    rows = {name: result["rows"][name] for name in ROWS if name in result["rows"]}
    shown = [
        [
            name,
            *(cell(row, "values", metric, digits=digits) for metric, digits in FIGURES.items()),
            cell(row, "cpu_seconds", digits=0),
            _gigabytes(row),
        ]
        for name, row in rows.items()
    ]
    for title, few in (("real people", False), (f"{FEW}real people", True)):
        first = next((row for name, row in rows.items() if name.startswith(FEW) == few), None)
        floors = [cell(first, "floors", metric, digits=digits) for metric, digits in FIGURES.items()]
        shown += [[title, *floors, "", ""]] if first else []
    return [*table(["generator", *FIGURES, "processor time, s", "peak memory, GB"], shown), "", *measured(result)]


def _gigabytes(row: Mapping[str, Any]) -> str:
    return f"{max(run['peak_bytes'] for run in row['runs'].values()) / 1e9:.2f}"


if __name__ == "__main__" and len(sys.argv) == 3:  # the process that `of_ours` starts
    fit_and_sample(sys.argv[1], int(sys.argv[2]))
