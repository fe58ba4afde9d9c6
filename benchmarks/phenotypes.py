"""A phenotype as a label: what PLINK finds in synthetic cases and controls, and in the real people they come from.

Cases and controls are simulated for the real people of the 805 SNPs: one causal site, a prevalence that differs between
populations, everything else chance. Generators are fitted to the training people with `label=("super_pop", "status")`
and make as many people of each label. `plink2 --glm` then tests every site, with the population as covariate. The
other 804 sites are not linked to the causal one, so that their statistics should be those of chance: lambda 1.
Results go to benchmarks/results/phenotypes.json, and the section of docs/uses.md between the markers `phenotypes` is
written from it.

    python benchmarks/phenotypes.py [--data DIR] [--models haplotype,independent] [--seeds 1,2,3,4,5] [--render]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from cohorts import DATA_SETS, LABEL, read_parts
from downstream_tools import ToolError, missing, run, version
from measuring import RESULTS, ROOT, machine, numbers, short, write_result, write_section

from pgcgan import Genotypes, write
from pgcgan.errors import PgcganError
from pgcgan.provenance import provenance
from pgcgan.registry import MODELS, create

DOCUMENT = ROOT / "docs" / "uses.md"
STATUS, CASE, CONTROL = "status", "case", "control"
ODDS_RATIO, COMMON, SHIFT = 2.0, 0.1, 0.5  # of the causal site; its least frequency; SD of the logit of a population
MEDIAN_OF_CHANCE = 0.4549  # of chi-squared with one degree of freedom
HELD_OUT, TRAINING = "real, held out", "real, training people"


def with_status(train: Genotypes, holdout: Genotypes, seed: int) -> tuple[Genotypes, Genotypes, int]:
    """Return both parts with a column `status`, and the causal site."""
    random = np.random.default_rng([seed, 9])
    causal = int(random.choice(np.flatnonzero(train.common(COMMON))))
    labels = np.unique(train.label(LABEL).astype(str))
    logit = dict(zip(labels.tolist(), SHIFT * random.standard_normal(len(labels)), strict=True))
    centre = train.calls[causal].sum(axis=1).mean()

    def of(people: Genotypes) -> Genotypes:
        liability = np.log(ODDS_RATIO) * (people.calls[causal].sum(axis=1) - centre)
        liability = liability + np.array([logit[label] for label in people.label(LABEL).astype(str)])
        case = random.random(people.n_samples) < 1 / (1 + np.exp(-liability))
        status = np.where(case, CASE, CONTROL).astype(object)
        return Genotypes(
            people.calls, people.variants, people.samples, {**people.labels, STATUS: status}, people.phased
        )

    return of(train), of(holdout), causal


def tested(people: Genotypes, causal: int) -> dict[str, float]:
    """Return what `plink2 --glm` finds: log odds ratio of the causal site, and lambda of the other sites."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = np.array([f"s{k}" for k in range(people.n_variants)], dtype=object)
        plain = Genotypes(people.calls, replace(people.variants, id=names), people.samples, {}, people.phased)
        write(plain, folder / "people.bed", unphased=True)
        labels, status = people.label(LABEL).astype(str), people.label(STATUS).astype(str)
        covariates = np.unique(labels)[1:]
        header = ["#IID", STATUS, *(f"is_{label}" for label in covariates)]
        rows = [
            [name, "2" if s == CASE else "1", *("1" if own == label else "0" for label in covariates)]
            for name, s, own in zip(people.samples.tolist(), status.tolist(), labels.tolist(), strict=True)
        ]
        text = "\n".join("\t".join(row) for row in [header, *rows])
        (folder / "status.txt").write_text(text + "\n", encoding="utf-8")
        run(
            ["plink2", "--bfile", "people", "--pheno", "status.txt", "--pheno-name", STATUS, "--covar", "status.txt",
             "--covar-name", *header[2:], "--glm", "omit-ref", "hide-covar", "no-firth", "--threads", "1",
             "--out", "scan"],
            folder,
        )  # fmt: skip
        lines = (folder / f"scan.{STATUS}.glm.logistic").read_text(encoding="utf-8").splitlines()
    columns = lines[0].lstrip("#").split()
    at_id, at_odds, at_error, at_z = (columns.index(name) for name in ("ID", "OR", "LOG(OR)_SE", "Z_STAT"))
    fields = [line.split() for line in lines[1:]]
    known = {int(f[at_id][1:]): f for f in fields if f[at_z] != "NA"}
    others = np.array([float(f[at_z]) ** 2 for site, f in known.items() if site != causal])
    return {
        "log odds ratio": short(float(np.log(float(known[causal][at_odds])))) or 0.0,
        "standard error": short(float(known[causal][at_error])) or 0.0,
        "z": short(float(known[causal][at_z])) or 0.0,
        "lambda": short(float(np.median(others)) / MEDIAN_OF_CHANCE) or 0.0,
        "p < .05": short(float((others > 3.8415).mean())) or 0.0,
    }


def measure(folder: Path, models: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Return the findings of each cohort and seed as plain data."""
    everybody = read_parts(folder, DATA_SETS[1])
    where = machine()
    rows: dict[str, dict[str, dict[str, float]]] = {name: {} for name in (HELD_OUT, TRAINING, *models)}
    for seed in seeds:
        train, holdout, causal = with_status(*everybody, seed)
        for name in rows:
            if name == HELD_OUT:
                people = holdout
            elif name == TRAINING:
                people = train
            else:
                model = create(name, (LABEL, STATUS), seed=seed).fit(train)
                people = model.sample(model.label_counts_, seed=seed)
            rows[name][str(seed)] = tested(people, causal)
            print(f"{name}, seed {seed}: {rows[name][str(seed)]}", flush=True)
    train, holdout = everybody
    return {
        "name": "phenotypes",
        "train": train.n_samples,
        "holdout": holdout.n_samples,
        "sites": train.n_variants,
        "rows": rows,
        "plink2": version("plink2"),
        "provenance": provenance(seeds[0], machine=where, command="benchmarks/phenotypes.py"),
    }


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/uses.md."""
    made = result["provenance"]
    lines = [
        f"{result['train']:,} training and {result['holdout']:,} held-out people, {result['sites']} unlinked sites. "
        f"One of them is causal, with an odds ratio of {ODDS_RATIO:g} (its logarithm: {np.log(ODDS_RATIO):.3f}). Means "
        "over seeds, with the standard deviation over them; *within*: seeds whose 95 % interval holds the true value.",
        "",
        "| cohort | seeds | log odds ratio | within | lambda of the other sites | p < .05 |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, runs in result["rows"].items():
        of = {key: [found[key] for found in runs.values()] for key in next(iter(runs.values()))}
        within = sum(
            abs(value - np.log(ODDS_RATIO)) < 1.96 * error
            for value, error in zip(of["log odds ratio"], of["standard error"], strict=True)
        )
        shown = [
            f"{mean(of[key]):.{digits}f}" + (f" ± {stdev(of[key]):.{digits}f}" if len(runs) > 1 else "")
            for key, digits in (("log odds ratio", 3), ("lambda", 2), ("p < .05", 3))
        ]
        lines.append(f"| {name} | {len(runs)} | {shown[0]} | {within} of {len(runs)} | {shown[1]} | {shown[2]} |")
    lines += ["", f"{result['plink2']}; pgcgan {made['pgcgan']}, {made['date'][:10]}. `python {made['command']}`."]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--models", default="haplotype,independent", help="joined by commas (default: %(default)s)")
    parser.add_argument("--seeds", type=numbers(int), default=[1, 2, 3, 4, 5], help="joined by commas (default: 1-5)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON file, run nothing")
    given = parser.parse_args(argv)
    models, data = given.models.split(","), DATA_SETS[1]
    unknown = [m for m in models if m not in MODELS]
    if unknown:
        parser.error(f"unknown model {unknown[0]!r}; accepted: {', '.join(MODELS)}")
    if given.render:
        result = json.loads((given.out / "phenotypes.json").read_text(encoding="utf-8"))
    elif not (given.data / data.vcf).exists():
        print(f"{data.title}: {data.vcf} is not in the data folder (--data DIR); nothing is measured.")
        return
    else:
        absent = missing(["plink2"])
        if absent:
            print(absent[0])
            return
        try:
            result = measure(given.data, models, given.seeds)
        except (PgcganError, ToolError) as error:
            sys.exit(f"error: {error}")
        write_result(result, given.out)
    write_section(given.document, "phenotypes", as_markdown(result))


if __name__ == "__main__":
    main()
