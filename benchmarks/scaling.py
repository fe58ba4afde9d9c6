"""How a fit grows with sites and people, and what of its time is matrix products.

Every fit is measured in a process of its own with one thread, on simulated people: processor seconds of its parts (the
machine may be busy), peak memory of the process, data included, and what `PGcGAN.estimate` said before. Simulated
cohorts are kept in a folder of the system's temporary files. Writes benchmarks/results/scaling.json and the section of
docs/benchmarks.md between the markers `scaling`.

    python benchmarks/scaling.py [--sites 2000,8000,32000,64000] [--people 1000,5000,20000]
"""

from __future__ import annotations

import argparse
import dis
import json
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from real_data import ROOT, in_own_process, machine, peak_memory, write_result, write_section

from pgcgan import Genotypes, simulate
from pgcgan.errors import PgcganError
from pgcgan.genotypes import Variants
from pgcgan.provenance import provenance

SITES, AT_PEOPLE = (2000, 8000, 32000, 64000), 1000
PEOPLE, AT_SITES = (1000, 5000, 20000), 4000
DRAWN = 1000  # people that are sampled
KEPT = Path(tempfile.gettempdir()) / "pgcgan-scaling"
# part -> the functions that belong to it, and are timed
PARTS = {
    "blocks": (("tasks", "find_blocks"),),
    "prior": (("tasks", "fit_code_model"), ("tasks", "choose_min_carriers"), ("tasks", "_components")),
    "ancestry": (("CodeModel", "with_ancestry"),),
    "calibration": (("tasks", "balanced_sharpening"), ("tasks", "rake")),
}
_BINARY_OP, _MATRIX_MULTIPLY = dis.opmap["BINARY_OP"], 4  # the instruction of `a @ b`


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
    import pgcgan.generators.gan.tasks
    import torch

    from pgcgan import PGcGAN
    from pgcgan.generators.haplotype import CodeModel

    torch.set_num_threads(1)
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

    model = PGcGAN("super_pop", seed=1)
    estimate = model.estimate(people)
    with ExitStack() as stack:
        for part, functions in PARTS.items():
            for where, name in functions:
                owner = CodeModel if where == "CodeModel" else pgcgan.generators.gan.tasks
                stack.enter_context(patch.object(owner, name, timed(part, getattr(owner, name))))
        products = stack.enter_context(Products())
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
        "in_products": products.share,
    }


class Products:
    """Look at a thread every few milliseconds, and count how often it is inside `a @ b`."""

    def __init__(self) -> None:
        self._looks = self._found = 0
        self._over = threading.Event()
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Products:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def share(self) -> float:
        """Share of the looks."""
        return self._found / max(1, self._looks)

    def _watch(self) -> None:
        while not self._over.wait(0.003):
            frame = sys._current_frames().get(self._watched)
            if frame is None:
                continue
            code, at = frame.f_code.co_code, frame.f_lasti
            self._looks += 1
            self._found += code[at] == _BINARY_OP and code[at + 1] == _MATRIX_MULTIPLY


def measure_step(path: Path, repeat: int) -> dict[str, Any]:
    """Make steps of the network's warm start; return processor seconds and floating-point operations of a step."""
    from dataclasses import replace

    import torch
    from pgcgan.generators.gan.tasks import HaplotypeTask, TrainingRows
    from pgcgan.generators.gan.training import NETWORK_EPOCHS, TRAINING
    from torch.profiler import ProfilerActivity, profile

    from pgcgan.generators.gan.networks import PRESETS

    torch.set_num_threads(1)
    people = read_cohort(path)
    names, label = np.unique(people.label("super_pop").astype(str), return_inverse=True)
    rows = TrainingRows(people.haplotypes(), label, np.arange(len(names))[:, None], 2, 2)
    config = replace(TRAINING["haplotype"], epochs=NETWORK_EPOCHS)
    task = HaplotypeTask(rows, PRESETS["haplotype"], config, seed=1, device=torch.device("cpu"))
    task.start("likelihood")
    task.step("likelihood", 0, 0.5)
    seconds = []
    for step in range(1, 1 + repeat):
        began = time.process_time()
        task.step("likelihood", step, 0.5)
        seconds.append(time.process_time() - began)
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as seen:
        task.step("likelihood", 1 + repeat, 0.5)
    found = seen.key_averages()
    products = {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"}
    total = sum(event.self_cpu_time_total for event in found)
    return {
        "people": people.n_samples,
        "sites": people.n_variants,
        "blocks": len(task.blocks),
        "batch": config.batch,
        "cpu_seconds": statistics.median(seconds),
        "operations": sum(event.flops for event in found if event.key in products),
        "in_products": sum(event.self_cpu_time_total for event in found if event.key in products) / total,
    }


def measure_rate(size: int, repeat: int) -> float:
    """Return floating-point operations per second of a product of two square float32 matrices, one thread: the best."""
    import torch

    torch.set_num_threads(1)
    one, other = torch.randn(size, size), torch.randn(size, size)
    times = []
    for _ in range(1 + repeat):
        began = time.process_time()
        one @ other
        times.append(time.process_time() - began)
    return float(2 * size**3 / min(times))


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
        f"| sites | people | blocks | codes | blocks, s | prior, s | ancestry, s | calibration, s | fit, s | "
        f"expected, s | {DRAWN:,} people drawn, s | data, GB | peak of the fit, GB | expected, GB | "
        "in matrix products |",
        "|" + "--:|" * 15,
    ]
    for fit in result["fits"]:
        cells = [f"{fit[key]:,}" for key in ("sites", "people", "blocks", "codes")]
        cells += [f"{fit['parts'][part]:.3g}" for part in PARTS]
        cells += [f"{fit[key]:.3g}" for key in ("cpu_seconds", "expected_seconds", "sample_cpu_seconds")]
        cells += [f"{fit[key] / 1e9:.2g}" for key in ("data_bytes", "peak_bytes", "expected_bytes")]
        cells.append(f"{fit['in_products']:.0%}")
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "Seconds are processor seconds, so that they hardly depend on what else runs; *ancestry* is fitted where the "
        "two haplotypes of people have something in common beyond their label. *Peak* is that of the process: Python "
        "and torch, which hold about 0.36 GB before any data, the data and the fit. *Expected* is what `pgcgan train` "
        "says before it starts.",
        "",
        *_growth(result["fits"]),
    ]
    step, rate = result["step"], result["rate"]
    products = [fit["in_products"] for fit in result["fits"]]
    reached = step["operations"] / step["cpu_seconds"] / rate
    lines += [
        "",
        f"A product of two {result['size']:,} x {result['size']:,} float32 matrices runs at {rate / 1e9:.1f} GFLOP/s "
        f"in one thread here. The closed-form fit spends between {min(products):.0%} and {max(products):.0%} of its "
        "time in matrix products, and cannot reach a larger share of that rate: it counts, sorts "
        "and looks up. A step of the network's warm start "
        f"({step['people']:,} people, {step['blocks']} blocks, batch {step['batch']}) takes "
        f"{step['cpu_seconds']:.2g} s for {step['operations'] / 1e9:.2g} GFLOP in matrix products: {reached:.0%} of "
        f"the rate, with {step['in_products']:.0%} of its time in them.",
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
    parser.add_argument("--size", type=int, default=2048, help="of the square matrices whose product is timed")
    parser.add_argument("--repeat", type=int, default=5, help="measured steps and products")
    parser.add_argument("--cohorts", type=Path, default=KEPT, help="folder that simulated cohorts are kept in")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument(
        "--render", action="store_true", help="write the document again from the JSON file, run nothing"
    )
    parser.add_argument("--job", choices=("fit", "step", "rate"), help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--cohort", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.job is not None:
        if given.job == "rate":
            print(json.dumps({"rate": measure_rate(given.size, given.repeat)}))
        else:
            found = measure_fit(given.cohort) if given.job == "fit" else measure_step(given.cohort, given.repeat)
            print(json.dumps(found))
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
            fit = in_own_process(__file__, ["--job", "fit", "--cohort", str(cohort)])
            fits.append({**fit, "load_before": load})
            print(
                f"{people} people, {sites} sites: {fit['cpu_seconds']:.3g} s, peak {fit['peak_bytes'] / 1e9:.2f} GB "
                f"(expected {fit['expected_seconds']:.3g} s, {fit['expected_bytes'] / 1e9:.2f} GB)",
                flush=True,
            )
        cohort = cohort_of(given.at_people, given.at_sites, given.cohorts)
    except PgcganError as error:
        sys.exit(f"error: {error}")
    repeat = ["--repeat", str(given.repeat)]
    step = in_own_process(__file__, ["--job", "step", "--cohort", str(cohort), *repeat])
    rate = in_own_process(__file__, ["--job", "rate", "--size", str(given.size), *repeat])["rate"]
    result = {
        "name": "scaling",
        "fits": fits,
        "step": step,
        "rate": rate,
        "size": given.size,
        "provenance": provenance(
            1, machine=before, command=f"benchmarks/scaling.py --sites {given.sites} --people {given.people}"
        ),
    }
    print(f"wrote {write_result(result, given.out).name}")
    write_section(given.document, "scaling", as_markdown(result))


if __name__ == "__main__":
    main()
