"""Time and memory of one training step: the published network beside the conditional GAN.

Every step is measured in a process of its own, so that its peak memory is its own, on one simulated cohort. Writes
benchmarks/results/steps.json and the section of docs/benchmarks.md between the markers `steps`.

    python benchmarks/steps.py [--only paper|gan] [--people 2504] [--sites 7160]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from real_data import ROOT, in_own_process, machine, peak_memory, write_result, write_section

from pgcgan import read, simulate, write
from pgcgan.errors import PgcganError
from pgcgan.provenance import provenance

PEOPLE, SITES, BATCH = 2504, 7160, 64
TITLES = {
    "paper": "`paper`: five critic updates, one generator update, 64 people",
    "gan": "`gan`: one critic and one generator update, 64 haplotypes",
}


def write_cohort(path: Path, people: int, sites: int) -> None:
    """Simulate people at exactly `sites` sites of at least 1 % minor allele frequency, and write them."""
    length = 350 * sites
    while True:
        cohort = simulate(people, length=length, seed=1).select(min_maf=0.01)
        if cohort.n_variants >= sites:
            break
        length *= 2
    write(cohort.select(sites=slice(0, sites)), path)


def measure(kind: str, path: Path, repeat: int) -> dict[str, Any]:
    """Make steps of one kind; return seconds of a step, peak memory of the process, and the steps of a whole training.

    The step of `paper` is made once. That of `gan` is made eight times unmeasured and then `repeat` times: the mean
    counts, for every eighth step has the gradient penalties.
    """
    import torch

    from pgcgan.generators.gan import PaperGAN, PGcGAN

    people = read(path)
    model = PaperGAN(seed=1) if kind == "paper" else PGcGAN(seed=1)
    first, last = (0, 1) if kind == "paper" else (8, 8 + repeat)
    began = time.perf_counter()
    task = model._task(model._rows(people), torch.device("cpu"))
    ready = time.perf_counter() - began
    seconds, cpu = [], []
    for step in range(last):
        began, began_cpu = time.perf_counter(), time.process_time()
        terms = task.step(step, 0.0, 1.0)
        assert all(bool(torch.isfinite(t)) for t in terms.values())
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - began_cpu)
    parts = [task.generator, task.critic]
    return {
        "kind": kind,
        "seconds": statistics.mean(seconds[first:]),
        "cpu_seconds": statistics.mean(cpu[first:]),
        "measured": last - first,
        "setup_seconds": ready,
        "peak_bytes": peak_memory(),
        "parameters": [sum(p.numel() for p in part.parameters()) for part in parts],
        "steps": model.steps,
        "threads": torch.get_num_threads(),
    }


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md; ratios are to the step of `paper`."""
    made, steps = result["provenance"], {s["kind"]: s for s in result["steps"]}
    where, paper, threads = made["machine"], steps.get("paper"), result["steps"][0]["threads"]
    lines = [
        "### One training step",
        "",
        f"{result['people']:,} simulated people of {result['labels']} labels at {result['sites']:,} sites, batch "
        f"{BATCH}. Memory is the peak of a process that holds the data and makes the steps. pgcgan {made['pgcgan']}, "
        f"{made['date'][:10]}, {where['cores']} cores ({where['processor']}), {threads} "
        f"thread{'s' if threads > 1 else ''} of torch, load before the run {where['load_before']:g}. "
        f"Command: `python {made['command']}`.",
        "",
        "| step | seconds | `paper` takes | CPU seconds | `paper` takes | peak memory, GB | `paper` takes | "
        "parameters: generator, critic | steps of a training | that is |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, step in steps.items():
        cells = [TITLES[kind]]
        for key, unit, digits in (("seconds", 1, ".3g"), ("cpu_seconds", 1, ".3g"), ("peak_bytes", 1e9, ".2f")):
            cells.append(f"{step[key] / unit:{digits}}")
            cells.append("–" if paper is None or kind == "paper" else f"{paper[key] / step[key]:,.1f} ×")
        cells.append(", ".join(f"{n / 1e6:.1f} M" for n in step["parameters"]))
        cells += [f"{step['steps']:,}", _duration(step["seconds"] * step["steps"])]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "“That is” is the step's seconds times the steps, not a training that was run. CPU seconds add up the threads; "
        "on a busy machine their ratio is the fairer one.",
    ]
    setup = next((s["setup_seconds"] for s in result["steps"] if s["kind"] == "gan"), None)
    if setup is not None:
        lines[-1] += f" `gan` first finds its blocks and fits their chain, once: {setup:.0f} s here."
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(TITLES), help="one kind of step, printed and not written")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--sites", type=int, default=SITES)
    parser.add_argument("--repeat", type=int, default=24, help="measured steps of gan")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument(
        "--render", action="store_true", help="write the document again from the JSON file, run nothing"
    )
    parser.add_argument("--cohort", type=Path, help=argparse.SUPPRESS)  # with --only: in the process that is measured
    given = parser.parse_args(argv)
    if given.cohort is not None:
        print(json.dumps(measure(given.only, given.cohort, given.repeat)))
        return
    if given.render:
        result = json.loads((given.out / "steps.json").read_text(encoding="utf-8"))
        write_section(given.document, "steps", as_markdown(result))
        return
    before, steps = machine(), []
    with tempfile.TemporaryDirectory() as temporary:
        cohort = Path(temporary) / "cohort.npz"
        try:
            write_cohort(cohort, given.people, given.sites)
        except PgcganError as error:
            sys.exit(f"error: {error}")
        labels = len(set(read(cohort).label("super_pop").tolist()))
        for kind in [given.only] if given.only else list(TITLES):
            step = in_own_process(__file__, ["--only", kind, "--cohort", str(cohort), "--repeat", str(given.repeat)])
            print(f"{kind}: {step['seconds']:.3g} s a step, peak {step['peak_bytes'] / 1e9:.2f} GB", flush=True)
            steps.append(step)
    if given.only:
        return
    result = {
        "name": "steps",
        "people": given.people,
        "sites": given.sites,
        "labels": labels,
        "steps": steps,
        "provenance": provenance(
            1, machine=before, command=f"benchmarks/steps.py --people {given.people} --sites {given.sites}"
        ),
    }
    print(f"wrote {write_result(result, given.out).name}")
    write_section(given.document, "steps", as_markdown(result))


if __name__ == "__main__":
    main()
