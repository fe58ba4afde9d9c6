"""What each part of the models adds: the defaults, and the defaults with one part changed, on the HLA region.

Unless --no-inner is given, the held-out people are not touched: a random three quarters of the train people are fitted
and the rest take the place of held-out people. Choices may be made on that split. Every variant is added to
benchmarks/results/ablation.json as soon as it is measured, instead of an earlier one with the same name, people,
minutes and seed; from that file comes the section of docs/benchmarks.md between the markers `ablation`.

    python benchmarks/ablation.py [--data DIR] [--variants default,gan] [--seeds 1] [--no-inner] [--render]
    python benchmarks/ablation.py --sites 1484 --seeds 1,2,3    # a quarter of the region: a training of 2 minutes
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
from frontier_points import differing, floor_of, mean_of
from measuring import DOCUMENT, ROOT, machine, numbers, short, write_result, write_section

from pgcgan import Genotypes, evaluate
from pgcgan.errors import DataError, PgcganError
from pgcgan.metrics import figure
from pgcgan.provenance import VERSION, now, provenance

DATA = DATA_SETS[0]
# name -> family of generators, and what differs from its defaults
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "haplotype": ("haplotype", {}),
    "haplotype on a chain": ("haplotype", {"context_tree": False, "local_ancestry": False}),
    "haplotype without context tree": ("haplotype", {"context_tree": False}),
    "haplotype without local ancestry": ("haplotype", {"local_ancestry": False}),
    "haplotype without calibration": ("haplotype", {"calibrate": False}),
    "haplotype without temperature": ("haplotype", {"inverse_temperature": 1.0}),
    "haplotype with 1 carrier": ("haplotype", {"min_carriers": 1}),
    "haplotype with 2 carriers": ("haplotype", {"min_carriers": 2}),
    **{f"haplotype with {n} carriers": ("haplotype", {"min_carriers": n, "min_transitions": n}) for n in (5, 6, 7, 10)},
    "gan": ("gan", {}),
    "gan without steps": ("gan", {"steps": 0}),
    "gan on a chain": ("gan", {"longest_run": 1}),
    "gan on a chain without steps": ("gan", {"longest_run": 1, "steps": 0}),
    **{f"gan with {n} carriers": ("gan", {"min_carriers": n, "min_transitions": n}) for n in (3, 5, 7, 20)},
    **{f"gan with {n} steps": ("gan", {"steps": n}) for n in (1000, 2000, 4000, 16000)},
    "gan on a chain with 12000 steps": ("gan", {"longest_run": 1, "steps": 12_000}),
    "gan without average": ("gan", {"average": 0.0}),
    "gan without calibration": ("gan", {"calibrate": False}),
    "gan without temperature": ("gan", {"inverse_temperature": 1.0}),
    "gan without penalties": ("gan", {"penalty": 0.0}),
}
SHOWN = (
    "AF RMSE", "LD RMSE", "far pairs r", "3-point r within labels", "PCA variance ratio", "sliced Wasserstein",
    "AA_truth", "AA_syn", "C2ST AUC, gradient boosting", "TSTR accuracy", "label fidelity", "membership AUC",
    "informed membership AUC, pool",
)  # fmt: skip
INNER, HELD_OUT = "inner", "held-out"
INNER_SHARE, INNER_SEED = 0.75, 1  # of the train people; the split is the same for every variant and seed


def parts(folder: Path, data: DataSet, inner: bool, sites: int | None = None) -> tuple[Genotypes, Genotypes]:
    """Return who is fitted and who is measured against: two parts of the train people, or train and held-out people.

    With a number of sites, those in the middle of the region alone.
    """
    train, holdout = read_parts(folder, data)
    if sites is not None:
        middle = np.arange(sites) + (train.n_variants - sites) // 2
        train, holdout = train.select(sites=middle), holdout.select(sites=middle)
    return train.split(INNER_SHARE, by=LABEL, seed=INNER_SEED) if inner else (train, holdout)


def measure(
    train: Genotypes, synthetic: Genotypes, holdout: Genotypes, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return value and floor of every row shown."""
    evaluation = evaluate(train, synthetic, holdout=holdout, label=LABEL, seed=seed)
    rows = [evaluation.get(name) for name in SHOWN]
    return {r.metric: short(r.value) for r in rows}, {r.metric: short(r.floor) for r in rows}


def start(out: Path, people: str, train: Genotypes, holdout: Genotypes) -> dict[str, Any]:
    """Return what was measured before, or a result without entries, knowing these people.

    Raises
    ------
    DataError
        If the file has entries of other people under the same name.
    """
    path = out / "ablation.json"
    result: dict[str, Any] = {"name": "ablation", "title": DATA.title, "people": {}, "entries": []}
    if path.exists():
        result = json.loads(path.read_text(encoding="utf-8"))
    about = {"sites": train.n_variants, "train": label_counts(train), "holdout": label_counts(holdout)}
    before = result["people"].setdefault(people, {**about, "floors": {}})
    if any(before[k] != about[k] for k in about):
        raise DataError(
            f"The {people} entries in {path.name} are of other people or sites; move it away to start again."
        )
    return result


def measure_variants(
    folder: Path,
    out: Path,
    *,
    variants: Sequence[str],
    seeds: Sequence[int],
    minutes: float | None = None,
    inner: bool = True,
    sites: int | None = None,
) -> dict[str, Any]:
    """Fit and measure variants, each added to the file in `out` at once, and return the result with all that is known.

    Parameters
    ----------
    folder : Path
        Of the data.
    out : Path
        Folder of the JSON file.
    variants : sequence of str
        Names in `VARIANTS`.
    seeds : sequence of int
        Of the model and of the evaluation.
    minutes : float, optional
        Training time of the variants of the GAN; by default they make all their steps.
    inner : bool
        Whether both parts are of the train people.
    sites : int, optional
        How many in the middle of the region; by default all.
    """
    from pgcgan.registry import create

    train, holdout = parts(folder, DATA, inner, sites)
    people = (INNER if inner else HELD_OUT) + ("" if sites is None else f", {sites} sites")
    result = start(out, people, train, holdout)
    print(f"{DATA.title}, {people}: {train.n_samples} people to fit, {holdout.n_samples} to measure against")
    for name in variants:
        for seed in seeds:
            where, (family, changed) = machine(), VARIANTS[name]
            budget: dict[str, Any] = {"minutes": minutes} if family == "gan" and minutes is not None else {}
            model = create(family, LABEL, seed=seed, **budget, **changed)
            began = time.perf_counter()
            model.fit(train)
            seconds = float(f"{time.perf_counter() - began:.5g}")
            rows, floors = measure(train, model.sample(model.label_counts_, seed=seed), holdout, seed)
            entry = {
                "variant": name,
                "people": people,
                "minutes": budget.get("minutes"),
                "seed": seed,
                "changed": changed,
            }
            entry |= {"fit_seconds": seconds, "rows": rows, "settings": model.parameters()}
            add_entry(result, {**entry, "pgcgan": VERSION, "date": now()})
            result["people"][people]["floors"][str(seed)] = floors
            result["provenance"] = provenance(machine=where, command="benchmarks/ablation.py")
            write_result(result, out)
            brief = ", ".join(f"{n} {figure(rows[n])}" for n in ("AA_truth", "far pairs r", "membership AUC"))
            print(f"  {name}, seed {seed}: {brief}", flush=True)
    return result


def add_entry(result: dict[str, Any], entry: dict[str, Any]) -> None:
    """Put an entry in its place in the result: instead of an earlier one of the same variant, people, minutes, seed."""

    def key(e: dict[str, Any]) -> tuple[bool, str, float, int, str, int]:
        order = list(VARIANTS).index(e["variant"]) if e["variant"] in VARIANTS else len(VARIANTS)
        return e["people"] != INNER, e["people"], e["minutes"] or 0.0, order, e["variant"], e["seed"]

    others = [e for e in result["entries"] if key(e) != key(entry)]
    result["entries"] = sorted([*others, entry], key=key)


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md: a table for each set of people and training time."""
    made, entries = result["provenance"], result["entries"]
    dates = sorted({e["date"][:10] for e in entries})
    where = made["machine"]
    lines = [
        f"### {result['title']}",
        "",
        f"pgcgan {', '.join(sorted({e['pgcgan'] for e in entries}))}, {' to '.join(dates[:: len(dates) - 1 or 1])}, "
        f"{where['cores']} cores ({where['processor']}). Command: `python {made['command']}`. With several seeds a "
        "number is their mean.",
    ]
    for people, minutes in dict.fromkeys((e["people"], e["minutes"]) for e in entries):
        group = [e for e in entries if (e["people"], e["minutes"]) == (people, minutes)]
        known = result["people"][people]
        fitted, against = (sum(known[part].values()) for part in ("train", "holdout"))
        lines += [
            "",
            f"**Inner split**: fitted on {fitted:,} of the train people, measured against the other {against:,}; "
            "the held-out people of the other tables are not touched, and choices may be made here."
            if people.startswith(INNER)
            else f"**Held-out people**: fitted on all {fitted:,} train people, measured against the {against:,} "
            "held-out people; no choice is made here.",
        ]
        if known["sites"] != result["people"].get(INNER, known)["sites"]:
            lines[-1] += f" {known['sites']:,} sites in the middle of the region."
        if minutes is not None:
            lines[-1] += f" Trained for {minutes:g} minutes."
        # a floor for each seed that was measured
        floors = {"floors": {seed: f for seed, f in known["floors"].items() if int(seed) in {e["seed"] for e in group}}}
        lines += [
            "",
            "| variant | what differs | seeds | " + " | ".join(SHOWN) + " | fit time, s |",
            "|---|---|--:|" + "--:|" * (len(SHOWN) + 1),
            "| floor |  |  | " + " | ".join(figure(floor_of(floors, m)) for m in SHOWN) + " |  |",
        ]
        for name in dict.fromkeys(e["variant"] for e in group):
            runs = [e for e in group if e["variant"] == name]
            cells = [name, ", ".join(f"`{k}={v}`" for k, v in runs[-1]["changed"].items()), str(len(runs))]
            for metric in SHOWN:
                cells.append(figure(mean_of(runs, metric)))
            cells.append(f"{sum(e['fit_seconds'] for e in runs) / len(runs):.3g}")
            lines.append("| " + " | ".join(cells) + " |")
        changed = {name for e in group for name in e["changed"]}
        families = {e["variant"]: VARIANTS[e["variant"]][0] for e in group if e["variant"] in VARIANTS}
        other = sorted(
            {
                name
                for family in set(families.values())
                for name in differing(
                    [e["settings"] for e in group if families.get(e["variant"]) == family], but=sorted(changed)
                )
            }
        )
        if other:
            lines += [
                "",
                f"- These variants also differ in {', '.join(other)}: they were measured with other defaults.",
            ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--variants", help=f"some of: {','.join(VARIANTS)}")
    parser.add_argument("--seeds", type=numbers(int), default=[1], help="joined by commas (default: 1)")
    parser.add_argument("--minutes", type=float, help="training time of the variants of the GAN")
    parser.add_argument(
        "--inner", action=argparse.BooleanOptionalAction, default=True, help="on two parts of the train people"
    )
    parser.add_argument("--sites", type=int, help="in the middle of the region (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON file, run nothing")
    given = parser.parse_args(argv)
    variants = given.variants.split(",") if given.variants else list(VARIANTS)
    unknown = [v for v in variants if v not in VARIANTS]
    if unknown:
        parser.error(f"unknown variant {unknown[0]!r}; accepted: {', '.join(VARIANTS)}")
    path = given.out / "ablation.json"
    try:
        if given.render and not path.exists():
            print(f"{DATA.title}: there is no {path.name} yet; nothing is written.")
            return
        if given.render:
            result = json.loads(path.read_text(encoding="utf-8"))
        elif not (given.data / DATA.vcf).exists():
            print(f"{DATA.title}: {DATA.vcf} is not in the data folder (--data DIR); nothing is measured.")
            return
        else:
            how: dict[str, Any] = {"minutes": given.minutes, "inner": given.inner, "sites": given.sites}
            result = measure_variants(given.data, given.out, variants=variants, seeds=given.seeds, **how)
        write_section(given.document, "ablation", as_markdown(result))
    except PgcganError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
