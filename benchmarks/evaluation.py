"""Time and memory of a whole evaluation, and of r² beside PLINK and scikit-allel on the same pairs.

Every measurement is made in a process of its own, on one simulated cohort: four fifths of the people are train, the
others held out, and a Li-Stephens mosaic of train stands instead of the synthetic people. Writes
benchmarks/results/evaluation.json and the section of docs/benchmarks.md between the markers `evaluation`.

    python benchmarks/evaluation.py [--only evaluate|pgcgan|plink|scikit-allel] [--people 2504] [--sites 5935]
    python benchmarks/evaluation.py --large [--people 20000] [--sites 64000]
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
from measuring import DOCUMENT, RESULTS, in_own_process, machine, peak_memory, write_result, write_section

from pgcgan import Genotypes, LiStephens, Variants, evaluate, simulate, write
from pgcgan.errors import PgcganError
from pgcgan.provenance import provenance

PEOPLE, SITES, LD_SITES = 2504, 5935, 2000
LARGE_PEOPLE, LARGE_SITES, FOUNDERS = 20_000, 64_000, 1000
SETS = ("train", "synthetic", "holdout")
KINDS = ("evaluate", "pgcgan", "plink", "scikit-allel")
TITLES = {"pgcgan": "pgcgan", "plink": "PLINK 1.9 (`--r2 square bin4`)", "scikit-allel": "scikit-allel"}


def write_cohort(folder: Path, people: int, sites: int, ld_sites: int) -> None:
    """Simulate people at exactly `sites` sites of MAF 1 % or more; keep the sets, and the files of r²."""
    length = 350 * sites
    while True:
        cohort = simulate(people, length=length, seed=1).select(min_maf=0.01)
        if cohort.n_variants >= sites:
            break
        length *= 2
    cohort = cohort.select(sites=slice(0, sites))
    train, holdout = cohort.split(0.8, by="super_pop", seed=1)
    mosaic = LiStephens("super_pop", seed=1).fit(train).sample(train.n_samples, seed=1)
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


def write_large_cohort(folder: Path, people: int, sites: int) -> None:
    """Keep sets as of `people` people, whose haplotypes are patchworks of those of fewer people of their label.

    To simulate so many would take hours: the simulated stretch is repeated, with other founders each time.
    """
    founders = simulate(FOUNDERS, length=1_000_000, seed=1).select(min_maf=0.01)
    stretch = min(founders.n_variants, sites)
    haplotypes, label = founders.calls.reshape(founders.n_variants, -1), founders.label("super_pop").astype(str)
    rows = {value: np.flatnonzero(np.repeat(label == value, 2)) for value in np.unique(label)}
    position = np.concatenate(
        [founders.variants.position[:stretch] + k * 1_000_000 for k in range(-(-sites // stretch))]
    )[:sites]
    for seed, (name, share) in enumerate(zip(SETS, (0.8, 0.8, 0.2), strict=True)):
        random = np.random.default_rng(seed)
        labels = np.resize(list(rows), round(share * people))
        calls = np.empty((sites, len(labels), 2), dtype=np.int8)
        drawn = np.empty((len(labels), 2), dtype=np.int64)
        for first in range(0, sites, stretch):
            for value, of_label in rows.items():
                members = np.flatnonzero(labels == value)
                drawn[members] = random.choice(of_label, (len(members), 2))
            width = min(stretch, sites - first)
            calls[first : first + width] = haplotypes[:width][:, drawn]
        np.savez(folder / f"{name}.npz", calls=calls, position=position, labels=labels)


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
        evaluation = evaluate(
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
            "data_bytes": sum(part.calls.nbytes for part in parts.values()),
            "used": {name: evaluation.provenance["people"][name]["used"] for name in SETS},
            "rows": len(evaluation.rows),
            "topics": topics,
        }
    dosages = np.load(folder / "dosages.npy")
    r2: np.ndarray
    if kind == "pgcgan":
        from threadpoolctl import threadpool_limits

        from pgcgan.numerics import standardise

        with threadpool_limits(1):
            began = time.perf_counter()
            z = standardise(dosages.T.astype(np.float32))
            r2 = (z.T @ z) ** 2
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
    if "large" in result:
        lines += ["", *_large(result["large"])]
    return "\n".join(lines).rstrip()


def _large(large: dict[str, Any]) -> list[str]:
    run, made = large["run"], large["provenance"]
    used = ", ".join(f"{count:,} {name}" for name, count in run["used"].items())
    return [
        f"**{large['people']:,} people at {large['sites']:,} sites** (patchworks of simulated haplotypes; four fifths "
        f"train, and as many synthetic): **{run['seconds']:.0f} s** ({run['cpu_seconds']:.0f} s of processor time) "
        f"and **{run['peak_bytes'] / 1e9:.1f} GB**, of which {run['data_bytes'] / 1e9:.1f} GB are the data. More "
        f"people than memory is allowed for are left out by seed, and the report says so: {used} people were used. "
        f"{made['date'][:10]}, load before the run {made['machine']['load_before']:g}. Command: `python "
        f"{made['command']}`.",
    ]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=KINDS, help="one measurement, printed and not written")
    parser.add_argument("--large", action="store_true", help="the evaluation of a large cohort, and nothing else")
    parser.add_argument("--people", type=int, help=f"default {PEOPLE:,}, with --large {LARGE_PEOPLE:,}")
    parser.add_argument("--sites", type=int, help=f"default {SITES:,}, with --large {LARGE_SITES:,}")
    parser.add_argument("--ld-sites", type=int, default=LD_SITES, help="common sites for the comparison of r²")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
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
    given.people = given.people or (LARGE_PEOPLE if given.large else PEOPLE)
    given.sites = given.sites or (LARGE_SITES if given.large else SITES)
    before, runs = machine(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if given.large:
            write_large_cohort(folder, given.people, given.sites)
            run = in_own_process(__file__, ["--only", "evaluate", "--cohort", str(folder)])
            print(f"{run['seconds']:.3g} s, peak {run['peak_bytes'] / 1e9:.2f} GB", flush=True)
            result = json.loads((given.out / "evaluation.json").read_text(encoding="utf-8"))
            command = f"benchmarks/evaluation.py --large --people {given.people} --sites {given.sites}"
            made = provenance(1, machine=before, command=command)
            result["large"] = {"people": given.people, "sites": given.sites, "run": run, "provenance": made}
            write_result(result, given.out)
            write_section(given.document, "evaluation", as_markdown(result))
            return
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
    path = given.out / "evaluation.json"
    large = json.loads(path.read_text(encoding="utf-8")).get("large") if path.exists() else None
    result = {
        **({} if large is None else {"large": large}),
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
