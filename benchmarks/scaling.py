"""How the fit of a haplotype model grows with sites and people.

Every fit is measured in a process of its own with one thread, on simulated people: processor seconds of its parts (the
machine may be busy), peak memory of the process, data included, and what `HaplotypeModel.estimate` expected. Simulated
cohorts stay in a folder of the system's temporary files. Writes benchmarks/results/scaling.json and the section of
docs/benchmarks.md between the markers `scaling`.

    python benchmarks/scaling.py [--sites 2000,8000,32000,64000] [--people 1000,5000,20000]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from measuring import DOCUMENT, RESULTS, in_own_process, machine, peak_memory, write_result, write_section

from pgcgan import Genotypes, HaplotypeModel, simulate
from pgcgan.errors import PgcganError
from pgcgan.generators.haplotype import model as haplotype_model
from pgcgan.genotypes import Variants
from pgcgan.provenance import provenance

SITES, AT_PEOPLE = (2000, 8000, 32000, 64000), 1000
PEOPLE, AT_SITES = (1000, 5000, 20000), 4000
DRAWN = 1000  # people that are sampled
COHORTS = Path(tempfile.gettempdir()) / "pgcgan-scaling"
# part -> the functions that belong to it, and are timed: of the module of the model, or of a class in it
PARTS = {
    "blocks": ("blocks_of",),
    "code model": ("fit_code_model", "choose_run_carriers", "principal_components"),
    "ancestry": ("infer_ancestry",),
    "calibration": ("choose_inverse_temperature", "rake"),
}


def cohort_of(people: int, sites: int, folder: Path) -> Path:
    """Return the file of people at exactly `sites` sites of at least 1 % minor allele frequency; simulate them once."""
    path = folder / f"people{people}-sites{sites}.npz"
    if path.exists():
        return path
    length = 300 * sites
    while True:
        cohort = simulate(people, length=length, seed=1).select(min_maf=0.01)
        if cohort.n_variants >= sites:
            break
        length = 1 + int(1.1 * length * sites / max(1, cohort.n_variants))
    cohort = cohort.select(sites=slice(0, sites))
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(
            file, calls=cohort.calls, position=cohort.variants.position, label=cohort.label("super_pop").astype(str)
        )
    os.replace(partial, path)
    return path


def read_cohort(path: Path) -> Genotypes:
    """Return the people of a file of `cohort_of`."""
    with np.load(path) as arrays:
        position, label = arrays["position"], arrays["label"]
        same = {name: np.full(len(position), value, dtype=object) for name, value in _COLUMNS.items()}
        people = np.array([f"p{i}" for i in range(len(label))])
        return Genotypes(arrays["calls"], Variants(position=position, **same), people, {"super_pop": label}, True)


_COLUMNS = {"contig": "1", "id": ".", "ref": "A", "alt": "C"}


def measure_fit(path: Path) -> dict[str, Any]:
    """Fit and sample; return processor seconds by part, peak memory, and the estimate made before."""
    people = read_cohort(path)
    spent: Counter[str] = Counter()

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent[part] += time.process_time() - began

        return call

    model = HaplotypeModel("super_pop", seed=1)
    estimate = model.estimate(people)
    with ExitStack() as stack:
        for part, functions in PARTS.items():
            for path_in_module in functions:
                *owners, name = path_in_module.split(".")
                owner = getattr(haplotype_model, owners[0]) if owners else haplotype_model
                stack.enter_context(patch.object(owner, name, timed(part, getattr(owner, name))))
        began, began_cpu = time.perf_counter(), time.process_time()
        model.fit(people)
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    peak = peak_memory()
    began_cpu = time.process_time()
    model.sample(DRAWN, seed=1)
    facts = model.facts()["chosen"]
    return {
        "sites": people.n_variants,
        "people": people.n_samples,
        "blocks": facts["blocks"],
        "codes": facts["codes"],
        "axes": facts["axes of ancestry"],
        "data_bytes": people.calls.nbytes,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "parts": {part: spent[part] for part in PARTS},
        "sample_cpu_seconds": time.process_time() - began_cpu,
        "peak_bytes": peak,
        "peak_with_sample_bytes": peak_memory(),
        "expected_bytes": estimate.peak_bytes,
        "expected_seconds": estimate.seconds,
    }


# ---- the section --------------------------------------------------------------------------------------------------


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made = result["provenance"]
    where = made["machine"]
    lines = [
        "### Growth with sites and people",
        "",
        f"Simulated people of five labels, sites of at least 1 % minor allele frequency, default settings, one thread. "
        f"pgcgan {made['pgcgan']}, {made['date'][:10]}, {where['cores']} cores ({where['processor']}), load before the "
        f"run {where['load_before']:g}. Command: `python {made['command']}`.",
        "",
        f"| sites | people | blocks | codes | blocks, s | code model, s | ancestry, s | calibration, s | fit, s | "
        f"expected, s | {DRAWN:,} people generated, s | data, GB | peak of the fit, GB | expected, GB |",
        "|" + "--:|" * 14,
    ]
    for fit in result["fits"]:
        cells = [f"{fit[key]:,}" for key in ("sites", "people", "blocks", "codes")]
        cells += [f"{fit['parts'][part]:.3g}" for part in PARTS]
        cells += [f"{fit[key]:.3g}" for key in ("cpu_seconds", "expected_seconds", "sample_cpu_seconds")]
        cells += [f"{fit[key] / 1e9:.2g}" for key in ("data_bytes", "peak_bytes", "expected_bytes")]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "Seconds are processor seconds, so that they hardly depend on what else runs; *ancestry* is fitted where the "
        "two haplotypes of people have something in common beyond their label. *Peak* is that of the process: Python "
        "with its libraries, the data and the fit. *Expected* is what `pgcgan train` "
        "says before it starts.",
        "",
        *_growth(result["fits"]),
    ]
    return "\n".join(lines)


def _growth(fits: Sequence[dict[str, Any]]) -> list[str]:
    """Return a sentence for sites and one for people: by what power time and memory grow from the least to the most."""
    lines = []
    for grows, stays in (("sites", "people"), ("people", "sites")):
        # the series in which the other one grows has the most frequent value
        most = Counter(fit[stays] for fit in fits).most_common(1)[0][0]
        group = sorted((fit for fit in fits if fit[stays] == most), key=lambda fit: int(fit[grows]))
        if len({fit[grows] for fit in group}) < 2:
            continue
        first, last = group[0], group[-1]
        times = math.log(last[grows] / first[grows])
        powers = [math.log(last[key] / first[key]) / times for key in ("cpu_seconds", "peak_bytes")]
        lines.append(
            f"- {last[grows] / first[grows]:.3g} times the {grows}: {last['cpu_seconds'] / first['cpu_seconds']:.3g} "
            f"times the time (power {powers[0]:.2f}), {last['peak_bytes'] / first['peak_bytes']:.3g} times the memory "
            f"(power {powers[1]:.2f})."
        )
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", default=",".join(map(str, SITES)), help=f"at --at-people people ({AT_PEOPLE:,})")
    parser.add_argument("--people", default=",".join(map(str, PEOPLE)), help=f"at --at-sites sites ({AT_SITES:,})")
    parser.add_argument("--at-people", type=int, default=AT_PEOPLE)
    parser.add_argument("--at-sites", type=int, default=AT_SITES)
    parser.add_argument("--cohorts", type=Path, default=COHORTS, help="folder of the simulated cohorts")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument(
        "--render", action="store_true", help="write the document again from the JSON file, run nothing"
    )
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)  # a cohort, in a process of its own
    given = parser.parse_args(argv)
    if given.fit is not None:
        print(json.dumps(measure_fit(given.fit)))
        return
    if given.render:
        result = json.loads((given.out / "scaling.json").read_text(encoding="utf-8"))
        write_section(given.document, "scaling", as_markdown(result))
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    before, fits = machine(), []
    sizes = [(given.at_people, int(sites)) for sites in given.sites.split(",")]
    sizes += [(int(people), given.at_sites) for people in given.people.split(",")]
    try:
        for people, sites in sizes:
            cohort = cohort_of(people, sites, given.cohorts)
            load = machine()["load_before"]
            fit = in_own_process(__file__, ["--fit", str(cohort)])
            fits.append({**fit, "load_before": load})
            print(
                f"{people} people, {sites} sites: {fit['cpu_seconds']:.3g} s, peak {fit['peak_bytes'] / 1e9:.2f} GB "
                f"(expected {fit['expected_seconds']:.3g} s, {fit['expected_bytes'] / 1e9:.2f} GB)",
                flush=True,
            )
    except PgcganError as error:
        sys.exit(f"error: {error}")
    result = {
        "name": "scaling",
        "fits": fits,
        "provenance": provenance(
            1, machine=before, command=f"benchmarks/scaling.py --sites {given.sites} --people {given.people}"
        ),
    }
    print(f"wrote {write_result(result, given.out).name}")
    write_section(given.document, "scaling", as_markdown(result))


if __name__ == "__main__":
    main()
