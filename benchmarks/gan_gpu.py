"""The published GAN, trained to the end of its schedule, beside the conditional GAN: for a machine with a GPU.

Both are fitted on the training people, with the same time if --minutes is given, and measured against the held-out
people. Every row is added to benchmarks/results/gan-gpu.json as soon as it is measured, instead of an earlier one of
the same data, model, minutes and seed; the section of docs/benchmarks.md between the markers `gan-gpu` is written from
that file. Without a GPU it takes weeks; `--device cpu --steps 2` only tries the code, and a few sites of the HLA region
are enough for half an hour of a CPU.

    python benchmarks/gan_gpu.py [--data DIR] [--only hla|snp805] [--models paper,gan] [--minutes 10] [--render]
    python benchmarks/gan_gpu.py --only hla256 --device cpu --minutes 30
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cohorts import DATA_SETS, LABEL, DataSet, label_counts, read_parts
from measuring import DOCUMENT, RESULTS, ROOT, machine, short, write_result, write_section

from pgcgan import evaluate
from pgcgan.errors import PgcganError
from pgcgan.metrics import figure
from pgcgan.provenance import VERSION, now
from pgcgan.registry import create

MODELS = ("paper", "gan")
FEW = 256  # sites in the middle of the region, measured only if --only names them
SMALL = DataSet(f"hla{FEW}", f"{FEW} sites of the HLA region", "hla.vcf.gz", {})
ALL_DATA = {data.name: data for data in (*DATA_SETS, SMALL)}
ROWS = (
    "AF RMSE", "LD RMSE", "far pairs r", "3-point r within labels", "PCA variance ratio", "heterozygosity W1",
    "AA_truth", "AA_syn", "C2ST AUC, gradient boosting", "TSTR accuracy", "label fidelity",
    "informed membership AUC, pool", "membership AUC", "exact copies",
)  # fmt: skip


def measure(folder: Path, data: DataSet, model: str, given: argparse.Namespace) -> dict[str, Any]:
    """Train one model, draw as many people as were trained on, and evaluate them; return what was found."""
    import torch

    train, holdout = read_parts(folder, data)
    if data is SMALL:
        middle = np.arange(FEW) + (train.n_variants - FEW) // 2
        train, holdout = train.select(sites=middle), holdout.select(sites=middle)
    where = machine()
    settings: dict[str, Any] = {"device": given.device}
    settings |= {name: getattr(given, name) for name in ("steps", "minutes") if getattr(given, name) is not None}
    generator = create(model, LABEL, seed=given.seed, **settings)
    last: dict[str, Any] = {"step": 0, "seconds": 0.0}
    began = time.perf_counter()
    generator.fit(train, on_event=last.update)
    seconds = time.perf_counter() - began
    on_gpu = given.device != "cpu" and torch.cuda.is_available()
    synthetic = generator.sample(label_counts(train), seed=given.seed)
    evaluation = evaluate(train, synthetic, holdout=holdout, label=LABEL, seed=given.seed)
    rows = {name: evaluation.get(name) for name in ROWS}
    return {
        "data": data.name,
        "model": model,
        "minutes": given.minutes,
        "seed": given.seed,
        "steps": last["step"],
        "training_seconds": short(last["seconds"]),
        "fit_seconds": short(seconds),
        "gpu": torch.cuda.get_device_name() if on_gpu else None,
        "gpu_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        "machine": where,
        "values": {name: short(row.value) for name, row in rows.items()},
        "floors": {name: short(row.floor) for name, row in rows.items()},
        "losses": [[report["step"], short(report["loss"])] for report in generator.history_],
        "pgcgan": VERSION,
        "date": now(),
    }


def add_entry(result: dict[str, Any], entry: dict[str, Any]) -> None:
    """Put an entry in its place: instead of an earlier one of the same data, model, minutes and seed."""

    def key(e: dict[str, Any]) -> tuple[str, float, int, int]:
        return e["data"], e["minutes"] or 0.0, MODELS.index(e["model"]), e["seed"]

    others = [e for e in result["entries"] if key(e) != key(entry)]
    result["entries"] = sorted([*others, entry], key=key)


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md: for each data set, models as columns and metrics as rows."""
    lines: list[str] = []
    for data in ALL_DATA.values():
        entries = [e for e in result["entries"] if e["data"] == data.name]
        if not entries:
            continue
        names = [f"`{e['model']}`" + (f", seed {e['seed']}" if e["seed"] != 1 else "") for e in entries]
        lines += [
            f"### {data.title}",
            "",
            "| | floor | " + " | ".join(names) + " |",
            "|---|" + "--:|" * (len(entries) + 1),
            "| processor | | " + " | ".join(e["gpu"] or e["machine"]["processor"] for e in entries) + " |",
            "| allowed minutes | | " + " | ".join(f"{e['minutes']:g}" if e["minutes"] else "–" for e in entries) + " |",
            "| steps | | " + " | ".join(f"{e['steps']:,}" for e in entries) + " |",
            "| minutes of training | | " + " | ".join(f"{e['training_seconds'] / 60:.1f}" for e in entries) + " |",
        ]
        for row in ROWS:
            floors = [e["floors"][row] for e in entries if e["floors"][row] is not None]
            cells = [figure(sum(floors) / len(floors) if floors else None)]
            lines.append(f"| {row} | " + " | ".join([*cells, *(figure(e["values"][row]) for e in entries)]) + " |")
        lines += ["", f"pgcgan {', '.join(sorted({e['pgcgan'] for e in entries}))}, {entries[-1]['date'][:10]}.", ""]
    return "\n".join(lines).strip()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--only", choices=list(ALL_DATA), help="one of the data sets")
    parser.add_argument("--models", default=",".join(MODELS), help="joined by commas (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="training steps (default: the whole schedule)")
    parser.add_argument("--minutes", type=float, help="training time of each model, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON file, run nothing")
    given = parser.parse_args(argv)
    models = given.models.split(",")
    unknown = [m for m in models if m not in MODELS]
    if unknown:
        parser.error(f"unknown model {unknown[0]!r}; accepted: {', '.join(MODELS)}")
    path = given.out / "gan-gpu.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"name": "gan-gpu", "entries": []}
    chosen = [data.name for data in DATA_SETS] if given.only is None else [given.only]
    for data in [] if given.render else [ALL_DATA[name] for name in chosen]:
        if not (given.data / data.vcf).exists():
            print(f"{data.title}: {data.vcf} is not in the data folder (--data DIR); nothing is measured.")
            continue
        for model in models:
            try:
                entry = measure(given.data, data, model, given)
            except PgcganError as error:
                sys.exit(f"error: {error}")
            add_entry(result, entry)
            write_result(result, given.out)
            shown = ", ".join(f"{n} {figure(entry['values'][n])}" for n in ("AF RMSE", "LD RMSE", "AA_truth"))
            print(f"{data.title}, {model}: {entry['steps']:,} steps, {shown}", flush=True)
    if result["entries"]:
        write_section(given.document, "gan-gpu", as_markdown(result))


if __name__ == "__main__":
    main()
