"""A VCF Zarr as large as a biobank's region: read by region, trained on and generated from.

The sites of a simulated cohort come again and again, with the people of each label in another order every time, so that
the file is large without a simulation of that size. Every step is a process of its own with one thread. Writes
benchmarks/results/biobank.json and the section of docs/benchmarks.md between the markers `biobank`.

    python benchmarks/biobank.py [--people 20000] [--sites 200000] [--region-sites 5000] [--folder DIR] [--render]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import DOCUMENT, RESULTS, in_own_process, machine, peak_memory, write_result, write_section
from scaling import COHORTS, cohort_of, read_cohort

from pgcgan import Genotypes, HaplotypeModel, read, write
from pgcgan.errors import DataError
from pgcgan.genotypes import Variants
from pgcgan.io import writer_of
from pgcgan.provenance import provenance
from pgcgan.runtime.memory import available_bytes

TILES, LABEL = 10, "super_pop"
STEPS = ("simulate", "write", "whole", "region")


class Tiled:
    """What a writer asks of genotypes, made when it is asked for: sites of a cohort, repeated.

    Parameters
    ----------
    cohort : Genotypes
    sites : int
        Sites in all.
    """

    def __init__(self, cohort: Genotypes, sites: int):
        self.cohort, self.calls = cohort, self
        self.n_variants, self.n_samples, self.ploidy, self.phased = sites, cohort.n_samples, 2, True
        self.samples, self.labels = cohort.samples, cohort.labels
        tile, site = np.divmod(np.arange(sites), cohort.n_variants)
        columns = {name: getattr(cohort.variants, name)[site] for name in ("id", "ref", "alt")}
        position = cohort.variants.position[site] + tile * (int(cohort.variants.position[-1]) + 1000)
        self.variants = Variants(np.full(sites, "1", dtype=object), position, **columns)
        label, random = cohort.label(LABEL), np.random.default_rng(1)
        self._orders = np.tile(np.arange(cohort.n_samples), (int(tile[-1]) + 1, 1))
        for order in self._orders:
            for value in np.unique(label):
                own = np.flatnonzero(label == value)
                order[own] = random.permutation(own)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return the calls at a range of sites: int8, shape (sites, people, 2)."""
        start, stop, _ = part.indices(self.n_variants)
        pieces, once = [], self.cohort.n_variants
        while start < stop:
            tile, site = divmod(start, once)
            end = min(once, site + stop - start)
            pieces.append(self.cohort.calls[site:end, self._orders[tile]])
            start += end - site
        return np.concatenate(pieces)


def measured(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Do it; return its processor seconds, seconds and the peak memory of the process so far, and what it returns."""
    began, began_cpu = time.perf_counter(), time.process_time()
    result = work()
    spent = {"cpu_seconds": time.process_time() - began_cpu, "seconds": time.perf_counter() - began}
    return {**spent, "peak_bytes": peak_memory()}, result


def job(step: str, folder: Path, people: int, sites: int, region_sites: int) -> dict[str, Any]:
    """Simulate a cohort; write the file; read it whole, for what training would take; or train on a region of it."""
    path, panel = folder / "biobank.zarr", folder / "biobank.panel.tsv"
    if step == "simulate":
        return measured(lambda: cohort_of(people, sites // TILES, folder))[0]
    if step == "write":
        tiled: Any = Tiled(read_cohort(cohort_of(people, sites // TILES, folder)), sites)
        costs, _ = measured(lambda: writer_of(str(path))(tiled, str(path), force=True, command=None, seed=None))
        return {**costs, "bytes": sum(f.stat().st_size for f in path.rglob("*") if f.is_file())}
    if step == "whole":
        costs, genotypes = measured(lambda: read(path, panel))
        estimate = HaplotypeModel(LABEL, seed=1).estimate(genotypes)
        try:
            estimate.check(available_bytes())
            message = f"{estimate}."
        except DataError as error:
            message = str(error)
        return {**costs, "available_bytes": available_bytes(), "said": message}
    positions = read(path, samples=["p0"]).variants.position
    first = len(positions) // 2
    region = f"1:{positions[first]}-{positions[first + region_sites - 1]}"
    reading, genotypes = measured(lambda: read(path, panel, region=region))
    fitting, model = measured(lambda: HaplotypeModel(LABEL, seed=1).fit(genotypes))
    out = folder / "biobank-synthetic.zarr"
    writing, _ = measured(lambda: write(model.iter_samples(people, seed=1), out, force=True))
    return {"sites": genotypes.n_variants, "read": reading, "fit": fitting, "generate": writing}


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made, write_, whole, part = result["provenance"], result["write"], result["whole"], result["region"]
    where = made["machine"]

    def cost(run: dict[str, float]) -> str:
        return f"{run['cpu_seconds']:,.0f} s, peak {run['peak_bytes'] / 1e9:.1f} GB"

    return "\n".join(
        [
            f"### {result['people']:,} people at {result['sites']:,} sites",
            "",
            f"A VCF Zarr of {write_['bytes'] / 1e9:.2f} GB ({2 * result['people'] * result['sites'] / 1e9:.1f} GB of "
            f"alleles), one thread. Seconds are processor seconds, peaks of the process. pgcgan {made['pgcgan']}, "
            f"{made['date'][:10]}, {where['cores']} cores ({where['processor']}), load before the run "
            f"{where['load_before']:g}. Command: `python {made['command']}`.",
            "",
            f"- Written: {cost(write_)}.",
            f"- A region of {part['sites']:,} sites read: {cost(part['read'])}; trained on: {cost(part['fit'])}; "
            f"{result['people']:,} people generated from that into a VCF Zarr: {cost(part['generate'])}.",
            f"- All of it read: {cost(whole)}. Before a training, pgcgan says: “{whole['said']}”",
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--sites", type=int, default=200_000)
    parser.add_argument("--region-sites", type=int, default=5000)
    parser.add_argument("--folder", type=Path, default=COHORTS.with_name("pgcgan-biobank"), help="for the files")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document again, run nothing")
    parser.add_argument("--job", choices=STEPS, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.job is not None:
        print(json.dumps(job(given.job, given.folder, given.people, given.sites, given.region_sites)))
        return
    if given.render:
        result = json.loads((given.out / "biobank.json").read_text(encoding="utf-8"))
    else:
        os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
        given.folder.mkdir(parents=True, exist_ok=True)
        sizes = ["--people", str(given.people), "--sites", str(given.sites), "--region-sites", str(given.region_sites)]
        result = {"name": "biobank", "provenance": provenance(1, machine=machine())}
        result |= {"people": given.people, "sites": given.sites}
        for step in STEPS:
            result[step] = in_own_process(__file__, ["--job", step, "--folder", str(given.folder), *sizes])
            print(f"{step}: {result[step]}", file=sys.stderr)
        write_result(result, given.out)
    write_section(given.document, "biobank", as_markdown(result))
    print(as_markdown(result))


if __name__ == "__main__":
    main()
