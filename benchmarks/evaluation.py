"""Time and memory of a whole evaluation, and of r² beside PLINK and scikit-allel on the same pairs.

Every measurement is made in a process of its own, on one simulated cohort: four fifths of the people are train, the
others held out, and a Li-Stephens mosaic of train stands in the place of the artificial people. Writes
benchmarks/results/evaluation.json and the section of docs/benchmarks.md between the markers `evaluation`.

    python benchmarks/evaluation.py [--only evaluate|pgcgan|plink|scikit-allel] [--people 2504] [--sites 5935]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from real_data import ROOT, in_own_process, machine, peak_memory, write_result, write_section

from pgcgan import Genotypes, Variants, evaluate, simulate, write
from pgcgan.errors import PgcganError
from pgcgan.provenance import provenance

PEOPLE, SITES, LD_SITES = 2504, 5935, 2000
SETS = ("train", "synthetic", "holdout")
KINDS = ("evaluate", "pgcgan", "plink", "scikit-allel")
TITLES = {"pgcgan": "pgcgan", "plink": "PLINK 1.9 (`--r2 square bin4`)", "scikit-allel": "scikit-allel"}


def write_cohort(folder: Path, people: int, sites: int, ld_sites: int) -> None:
    """Simulate people at exactly `sites` sites of MAF 1 % or more; keep the sets, and the files of r²."""
    from pgcgan.baselines import BASELINES

    length = 350 * sites
    while True:
        cohort = simulate(people, length=length, seed=1).select(min_maf=0.01)
        if cohort.n_variants >= sites:
            break
        length *= 2
    cohort = cohort.select(sites=slice(0, sites))
    train, holdout = cohort.split(0.8, by="super_pop", seed=1)
    mosaic = BASELINES["li-stephens"]("super_pop", seed=1).fit(train).sample(train.n_samples, seed=1)
    for name, part in zip(SETS, (train, mosaic, holdout), strict=True):
        labels = part.label("super_pop").astype(str)
        np.savez(folder / f"{name}.npz", calls=part.calls, position=part.variants.position, labels=labels)
    frequency = cohort.allele_frequency()
    common = np.flatnonzero(np.minimum(frequency, 1 - frequency) >= 0.05)[:ld_sites]
    chosen = cohort.select(sites=common)
    np.save(folder / "dosages.npy", chosen.calls.sum(axis=2, dtype=np.int8))
    write(chosen, folder / "ld.vcf")
    if shutil.which("plink1.9"):
        line = ["plink1.9", "--vcf", "ld.vcf", "--double-id", "--make-bed", "--out", "ld"]
        subprocess.run(line, cwd=folder, check=True, capture_output=True)


def read_set(folder: Path, name: str) -> Genotypes:
    """Return one set of the cohort."""
    with np.load(folder / f"{name}.npz") as arrays:
        calls, position, labels = arrays["calls"], arrays["position"], arrays["labels"]
    count = len(position)
    sites = Variants(["1"] * count, position, ["."] * count, ["A"] * count, ["G"] * count)
    samples = [f"{name}_{i}" for i in range(calls.shape[1])]
    return Genotypes(calls, sites, samples, {"super_pop": labels}, phased=True)


def measure(kind: str, folder: Path) -> dict[str, Any]:
    """Do one thing once; return its seconds, and for the evaluation those of each topic and the peak of the process."""
    if kind == "evaluate":
        parts = {name: read_set(folder, name) for name in SETS}
        marks: list[tuple[str, float]] = []
        began, began_cpu = time.perf_counter(), time.process_time()
        found = evaluate(
            parts["train"],
            parts["synthetic"],
            holdout=parts["holdout"],
            on_event=lambda event: marks.append((event["topic"], time.perf_counter())),
        )
        seconds = time.perf_counter() - began
        topics: dict[str, float] = {}
        for (topic, start), (_, end) in zip(marks, [*marks[1:], ("", began + seconds)], strict=True):
            topics[topic] = topics.get(topic, 0.0) + end - start
        return {
            "kind": kind,
            "seconds": seconds,
            "cpu_seconds": time.process_time() - began_cpu,
            "peak_bytes": peak_memory(),
            "rows": len(found.rows),
            "topics": topics,
        }
    dosages = np.load(folder / "dosages.npy")
    r2: np.ndarray
    if kind == "pgcgan":
        from threadpoolctl import threadpool_limits

        from pgcgan.metrics.linkage import standardised

        with threadpool_limits(1):
            began = time.perf_counter()
            z = standardised(dosages.astype(np.float32))
            r2 = (z @ z.T) ** 2
            seconds = time.perf_counter() - began
    elif kind == "plink":
        line = ["plink1.9", "--bfile", "ld", "--r2", "square", "bin4", "--out", "r2", "--threads", "1"]
        began = time.perf_counter()
        subprocess.run(line, cwd=folder, check=True, capture_output=True)
        seconds = time.perf_counter() - began
        r2 = np.fromfile(folder / "r2.ld.bin", dtype=np.float32).reshape(len(dosages), -1)
    else:
        import allel
        from scipy.spatial.distance import squareform

        began = time.perf_counter()
        r = allel.rogers_huff_r(dosages)
        seconds = time.perf_counter() - began
        r2 = squareform(r**2)
    i, j = np.triu_indices(len(dosages), 1)
    pairs = r2[i, j].astype(float)
    return {"kind": kind, "seconds": seconds, "pairs": len(pairs), "mean_r2": float(pairs.mean())}


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made, runs = result["provenance"], {run["kind"]: run for run in result["runs"]}
    where = made["machine"]
    lines = [
        "### A whole evaluation",
        "",
        f"{result['people']:,} simulated people, a fifth of them held out, at {result['sites']:,} sites. pgcgan "
        f"{made['pgcgan']}, {made['date'][:10]}, {where['cores']} cores ({where['processor']}), load before the run "
        f"{where['load_before']:g}. Command: `python {made['command']}`.",
        "",
    ]
    whole = runs.get("evaluate")
    if whole is not None:
        lines += [
            f"{whole['rows']} rows, overall and for each label, with floors and intervals, in "
            f"**{whole['seconds']:.0f} s** ({whole['cpu_seconds']:.0f} s of processor time, one thread) and "
            f"**{whole['peak_bytes'] / 1e9:.2f} GB**, data included.",
            "",
            "| topic | seconds |",
            "|---|--:|",
            *(f"| {topic} | {seconds:.1f} |" for topic, seconds in whole["topics"].items()),
            "",
        ]
    own = runs.get("pgcgan")
    if own is not None:
        lines += [
            f"r² of all {own['pairs']:,} pairs of the first {result['ld_sites']:,} common sites, dosages, one thread. "
            "PLINK reads its .bed file and writes a matrix of single precision; the others work in memory.",
            "",
            "| tool | seconds | pgcgan takes | mean r² |",
            "|---|--:|--:|--:|",
        ]
        for kind, title in TITLES.items():
            if kind in runs:
                run = runs[kind]
                ratio = "–" if kind == "pgcgan" else f"1 / {run['seconds'] / own['seconds']:,.1f}"
                lines.append(f"| {title} | {run['seconds']:.2f} | {ratio} | {run['mean_r2']:.6f} |")
    return "\n".join(lines).rstrip()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=KINDS, help="one measurement, printed and not written")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--sites", type=int, default=SITES)
    parser.add_argument("--ld-sites", type=int, default=LD_SITES, help="common sites for the comparison of r²")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument(
        "--render", action="store_true", help="write the document again from the JSON file, run nothing"
    )
    parser.add_argument("--cohort", type=Path, help=argparse.SUPPRESS)  # with --only: in the process that is measured
    given = parser.parse_args(argv)
    if given.cohort is not None:
        print(json.dumps(measure(given.only, given.cohort)))
        return
    if given.render:
        result = json.loads((given.out / "evaluation.json").read_text(encoding="utf-8"))
        write_section(given.document, "evaluation", as_markdown(result))
        return
    before, runs = machine(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            write_cohort(folder, given.people, given.sites, given.ld_sites)
        except PgcganError as error:
            sys.exit(f"error: {error}")
        for kind in [given.only] if given.only else KINDS:
            if kind == "plink" and not shutil.which("plink1.9"):
                print("plink1.9 is not installed; its r² is not measured.")
                continue
            run = in_own_process(__file__, ["--only", kind, "--cohort", str(folder)])
            print(f"{kind}: {run['seconds']:.3g} s", flush=True)
            runs.append(run)
    if given.only:
        return
    result = {
        "name": "evaluation",
        "people": given.people,
        "sites": given.sites,
        "ld_sites": given.ld_sites,
        "runs": runs,
        "provenance": provenance(
            1, machine=before, command=f"benchmarks/evaluation.py --people {given.people} --sites {given.sites}"
        ),
    }
    print(f"wrote {write_result(result, given.out).name}")
    write_section(given.document, "evaluation", as_markdown(result))


if __name__ == "__main__":
    main()
