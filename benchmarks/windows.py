"""A genome in windows: planned, fitted, generated and evaluated by the command line, with one Dask worker and with two.

Simulates a genome of several contigs of the same people, of whom 80 % are trained on. For each number of workers a
scheduler and workers of one thread are started on the loopback device, in processes of their own; 0 stands for no
cluster at all. Time and peak memory of each command, whether the bytes are the same, and what the evaluation says of
seams and contigs go to benchmarks/results/NAME.json and, for the names below, into docs/scale.md.

    python benchmarks/windows.py --name genome [--people 3130] [--length 4540000] [--size 20000] [--workers 1,2]
    python benchmarks/windows.py --name million --contigs 10 --workers 1       # about 80 minutes, 20 GB of memory
    python benchmarks/windows.py --name windows --people 1000 --length 700000 --min-maf 0.05 --size 400 --workers 0
    python benchmarks/windows.py --name windows-apart … --set overlap=0        # the same without boundary state
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from measuring import RESULTS, ROOT, machine, write_result, write_section

from pgcgan import Genotypes, concat, simulate, write
from pgcgan.genome import GenomeModel
from pgcgan.genotypes import Variants
from pgcgan.metrics import Evaluation
from pgcgan.provenance import provenance

DOCUMENT = ROOT / "docs" / "scale.md"
SHOWN = (
    *("LD RMSE, across seams", "LD RMSE, inside windows", "far pairs r", "far pairs r, between contigs"),
    *("ancestry between contigs, axis 1", "ancestry between contigs, axis 2", "ancestry between contigs, axis 3"),
    *("AF RMSE", "LD RMSE", "PCA variance ratio", "sliced Wasserstein", "AA_truth", "AA_syn"),
    *("C2ST AUC, gradient boosting", "TSTR accuracy", "label fidelity", "membership AUC", "privacy loss"),
    "informed membership AUC, pool",
)


def genome(people: int, length: int, contigs: int, min_maf: float = 0.05, seed: int = 1) -> Genotypes:
    """Simulate people with several contigs.

    Contigs are simulated one by one, each with people of its own, and put together by population: what ancestry the
    contigs of a person share is that of the population. The label `group` hides it: AFR and EAS are A, the others B.
    """
    parts: list[Genotypes] = []
    lengths = {str(c): length for c in range(1, contigs + 1)}
    for contig in lengths:
        part = simulate(people, length=length, seed=100 * seed + int(contig)).select(min_maf=min_maf)
        v = part.variants
        named = Variants(np.full(len(v), contig, dtype=object), v.position, v.id, v.ref, v.alt, lengths)
        group = np.where(np.isin(part.label("super_pop"), ["AFR", "EAS"]), "A", "B")
        parts.append(replace(part, variants=named, labels={**part.labels, "group": group}))
    return concat(parts, axis="variants")


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, list[int]]]:
    """Start a Dask scheduler and workers of one thread; yield the name of the executor, and the workers' processes."""
    folder.mkdir()
    if not workers:
        yield "serial", []
        return
    where, local = folder / "scheduler.json", ["--host", "127.0.0.1", "--no-dashboard"]
    with (folder / "log").open("wb") as log:

        def start(*arguments: object) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "dask", *map(str, arguments), "--scheduler-file", str(where), *local]
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

        started = [start("scheduler", "--port", 0)]
        try:
            started += [start("worker", "--nthreads", 1, "--no-nanny") for _ in range(workers)]
            while not where.exists() or not where.read_text().strip():
                time.sleep(0.05)
            address = json.loads(where.read_text())["address"].removeprefix("tcp://")
            yield f"dask://{address}", [process.pid for process in started[1:]]
        finally:
            for process in started:
                process.kill()
                process.wait()


def timed(*arguments: object) -> dict[str, float]:
    """Run a command of pgcgan; return its seconds and its peak memory in GB."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "pgcgan", *map(str, arguments)], stdout=subprocess.DEVNULL)
    most = 0.0
    while process.poll() is None:
        # not by wait4: its maximum is that of this process too, from before the command took its place
        most = max(most, peak(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"pgcgan {' '.join(map(str, arguments))} ended with {process.returncode}.")
    return {"seconds": round(time.monotonic() - began, 1), "peak, GB": most}


def peak(process: int) -> float:
    """Return the peak memory of a running process in GB, 0 where it has just ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1e6, 2)
    return 0.0


def digest(path: Path) -> str:
    """Return a checksum of the files of a model, but for when and by what command it was made."""
    checksum = hashlib.sha256()
    for name in sorted(p for p in path.rglob("*") if p.is_file()):
        content = name.read_bytes()
        if name.name == "model.json":
            metadata = json.loads(content)
            metadata.pop("provenance")
            content = json.dumps(metadata).encode()
        checksum.update(str(name.relative_to(path)).encode() + hashlib.sha256(content).digest())
    return checksum.hexdigest()


def run(folder: Path, workers: int, people: int, options: argparse.Namespace) -> tuple[dict[str, Any], Evaluation]:
    """Make everything with a number of workers, in a folder of its own."""
    where = folder / str(workers)
    data, panel, split = folder / "real.bcf", folder / "real.panel.tsv", folder / "split.tsv"
    with cluster(where, workers) as (name, processes):
        model, synthetic, evaluation = where / "model", where / "synthetic.bcf", where / "evaluation.json"
        given = [data, "--panel", panel, "--split", split, "--label", options.label, "--windows", options.size]
        given += [text for setting in options.set for text in ("--set", setting)]
        by = ["--executor", name]
        stages = {
            "plan": timed("windows", "plan", *given, "-o", model, *by),
            "fit": timed("train", *given, "-o", model, "--resume", *by),
            "generate": timed("generate", model, "-n", people, "-o", synthetic, "--seed", 1, *by),
            "evaluate": timed(
                *("windows", "evaluate", model, "--real", data, "--panel", panel, "--split", split),
                *("--synthetic", synthetic, "-o", evaluation),
            ),
        }
        result = {
            "workers": workers,
            "stages": stages,
            "seconds": round(sum(stage["seconds"] for stage in stages.values()), 1),
            "peak of a worker, GB": max((peak(process) for process in processes), default=None),
            "model, MB": round(sum(p.stat().st_size for p in model.rglob("*") if p.is_file()) / 1e6, 1),
            "made, MB": round(synthetic.stat().st_size / 1e6, 1),
            "digests": {"model": digest(model), "people": records_of(synthetic), "evaluation": rows_of(evaluation)},
        }
    return result, Evaluation.from_json(evaluation.read_text(encoding="utf-8"))


def records_of(path: Path) -> str:
    """Return a checksum of a BCF but for its header, which says by what command it was made."""
    checksum = hashlib.sha256()
    with gzip.open(path) as file:
        file.read(5)
        file.read(int.from_bytes(file.read(4), "little"))
        while block := file.read(1 << 24):
            checksum.update(block)
    return checksum.hexdigest()


def rows_of(path: Path) -> str:
    """Return a checksum of the rows of an evaluation."""
    return hashlib.sha256(json.dumps(json.loads(path.read_text(encoding="utf-8"))["rows"]).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="genome")
    for name, default in (("people", 3130), ("length", 4_540_000), ("contigs", 2), ("size", 20_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--min-maf", type=float, default=0.0)
    parser.add_argument("--label", default="group")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--results", default=str(RESULTS))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--render", action="store_true", help="write docs/scale.md anew from the results alone")
    options = parser.parse_args()
    if not options.render:
        measure(options)
    files = {name: Path(options.results, f"{name}.json") for name in ("genome", "million", "windows", "windows-apart")}
    results = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.is_file()}
    for name in ("genome", "million"):
        if name in results:
            write_section(DOCUMENT, name, rendered(results[name]))
    if "windows" in results:
        write_section(DOCUMENT, "windows", seams(results["windows"], results.get("windows-apart")))


def measure(options: argparse.Namespace) -> None:
    """Simulate, run, and write the result."""
    before = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people = genome(options.people, options.length, options.contigs, options.min_maf)
        trained, unseen = people.split(0.8, by="pop", seed=1)
        facts = {"sites": people.n_variants, "people trained on": trained.n_samples, "unseen": unseen.n_samples}
        write(people, folder / "real.bcf")
        parts = [f"{name}\t{part}\n" for part, of in (("train", trained), ("holdout", unseen)) for name in of.samples]
        (folder / "split.tsv").write_text("sample\tsplit\n" + "".join(parts), encoding="utf-8")
        count = trained.n_samples
        del people, trained, unseen
        runs = []
        for workers in map(int, options.workers.split(",")):
            result_of_run, evaluation = run(folder, workers, count, options)
            runs.append(result_of_run)
            print(json.dumps(result_of_run, indent=1), flush=True)
        model = GenomeModel.load(folder / str(workers) / "model").facts()
    result = {
        "name": options.name,
        "options": {n: v for n, v in vars(options).items() if n not in ("results", "render", "name")},
        **facts,
        "windows": model["windows"],
        "axes of ancestry": model["axes of ancestry"],
        "runs": runs,
        "same bytes": len({json.dumps(of_run["digests"]) for of_run in runs}) == 1,
        "rows": {row.metric: asdict(row) for row in evaluation.rows if row.label == "all"},
        "machine": before,
        "provenance": provenance(1),
    }
    write_result(result, Path(options.results))


def rendered(result: Mapping[str, Any]) -> str:
    """Return the section of a run on a cluster."""
    runs: Sequence[Mapping[str, Any]] = result["runs"]
    head = [
        f"{result['people trained on']:,} simulated people, and {result['unseen']:,} unseen, at {result['sites']:,} "
        f"sites of {result['options']['contigs']} contigs in {result['windows']} windows. {_made(result)}",
        "",
        "| workers | plan, s | fit, s | generate, s | evaluate, s | all, s | a worker's peak, GB | here, GB |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for of_run in runs:
        stages = of_run["stages"]
        here = max(stage["peak, GB"] or 0 for stage in stages.values())
        cells = [
            of_run["workers"],
            *(f"{stage['seconds']:,.0f}" for stage in stages.values()),
            f"{of_run['seconds']:,.0f}",
        ]
        head.append("| " + " | ".join(map(str, [*cells, of_run["peak of a worker, GB"], here])) + " |")
    summary = []
    if len(runs) > 1:
        ratio = runs[0]["seconds"] / runs[-1]["seconds"]
        fit = runs[0]["stages"]["fit"]["seconds"] / runs[-1]["stages"]["fit"]["seconds"]
        same = "the same" if result["same bytes"] else "**not** the same"
        summary = [
            "",
            f"**{ratio:.2f} times** as fast with {runs[-1]['workers']} workers as with {runs[0]['workers']} (the fit "
            f"{fit:.2f} times), and the bytes of model, people and evaluation are {same}. The model has "
            f"{runs[-1]['model, MB']:,.0f} MB, the people {runs[-1]['made, MB']:,.0f} MB.",
        ]
    return "\n".join([*head, *summary, "", *_table(result)])


def seams(result: Mapping[str, Any], apart: Mapping[str, Any] | None) -> str:
    """Return the section of what seams do, beside the same without boundary state."""
    head = (
        f"{result['people trained on']:,} simulated people, and {result['unseen']:,} unseen, at {result['sites']:,} "
        f"common sites of {result['options']['contigs']} contigs in {result['windows']} windows; two hidden "
        f"populations or more in each label. {_made(result)}"
    )
    return "\n".join([head, "", *_table(result, apart)])


def _made(result: Mapping[str, Any]) -> str:
    how = result["provenance"]
    return (
        f"pgcgan {how['pgcgan']}, {how['date'][:10]}, {result['machine']['cores']} cores, load before the run "
        f"{result['machine']['load_before']}. Command: `python benchmarks/{how['command']}`."
    )


def _table(result: Mapping[str, Any], apart: Mapping[str, Any] | None = None) -> list[str]:
    more = "" if apart is None else " without boundary state |"
    lines = [
        f"| | people made | 95 % interval |{more} the people trained on |",
        f"|---|--:|---|{'--:|' * bool(more)}--:|",
    ]
    for name in SHOWN:
        row = result["rows"].get(name)
        if row is None or row["value"] is None:
            continue
        span = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        floor = "" if row["floor"] is None else f"{row['floor']:.4f}"
        other = "" if apart is None else f" {apart['rows'][name]['value']:.4f} |"
        lines.append(f"| {name} | {row['value']:.4f} | {span} |{other} {floor} |")
    return lines


if __name__ == "__main__":
    main()
