"""Differential privacy: how faithful people are at epsilon 1, 3 and 10, and what an informed attacker finds.

The private haplotype model, with and without a public panel, beside independent sites with the same guarantee and
beside both without any. Half of the held-out people are the public panel, the other half are what everything is
compared with. Every column is added to benchmarks/results/epsilon.json as soon as it is measured; the section of
docs/differential_privacy.md between the markers `epsilon` is written from it.

    python benchmarks/epsilon.py [--data DIR] [--only hla,20000,100000] [--seed 1] [--missing] [--render]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cohorts import DATA_SETS, LABEL, read_parts
from measuring import RESULTS, ROOT, machine, short, some_rows, write_result, write_section

from pgcgan import Genotypes, HaplotypeModel, IndependentSites, PrivateHaplotypeModel, simulate
from pgcgan.errors import PgcganError
from pgcgan.generators.generator import Generator
from pgcgan.generators.haplotype.private_counts import squared_sensitivity
from pgcgan.generators.haplotype.private_noise import PrivacyBudget, discrete_gaussian
from pgcgan.metrics import figure
from pgcgan.metrics.comparison import Comparison
from pgcgan.metrics.informed_membership import attack
from pgcgan.metrics.preparation import prepare
from pgcgan.metrics.privacy import true_positive_rate
from pgcgan.numerics import roc_auc
from pgcgan.provenance import now, provenance

DOCUMENT = ROOT / "docs" / "differential_privacy.md"
EPSILONS = (1.0, 3.0, 10.0)
DELTA = 1e-6
ROWS = ("AF RMSE", "LD RMSE", "far pairs r", "AA_truth", "AA_syn", "C2ST AUC, gradient boosting")
POOL, FOUND = "informed membership AUC, pool", "informed membership TPR at 1 % FPR, pool"
HELD_OUT = 2000  # of simulated people, beside the training people
MOST_ATTACKED = 4000  # training people that the attack judges


@dataclass(frozen=True)
class Case:
    """A cohort: that of the HLA region, or `people` simulated on `length` base pairs."""

    title: str
    people: int = 0
    length: int = 0


CASES = {
    "hla": Case("HLA region"),
    "20000": Case("Simulated cohort of 20,000", 20_000, 150_000),
    "100000": Case("Simulated cohort of 100,000", 100_000, 60_000),
}


def parts_of(case: Case, data: Path, seed: int) -> tuple[Genotypes, Genotypes, Genotypes]:
    """Return training people, public people and held-out people."""
    if not case.people:
        train, rest = read_parts(data, DATA_SETS[0])
    else:
        everybody = simulate(case.people + HELD_OUT, length=case.length, seed=seed)
        train, rest = everybody.split(case.people / (case.people + HELD_OUT), by="pop", seed=seed)
        # sites that are common in people who are not in the cohort
        common = rest.select(min_maf=0.01)
        sites = np.isin(rest.variants.position, common.variants.position)
        train, rest = train.select(sites=sites), common
    public, holdout = rest.split(0.5, by=LABEL, seed=seed)
    return train, public, holdout


def columns() -> list[tuple[str, float | None]]:
    """Return generators and epsilons in the order of the table."""
    private = [(name, e) for e in EPSILONS for name in ("private", "private, public panel", "independent sites")]
    return [("haplotype model", None), ("independent sites", None), ("public panel alone", None), *private]


def fitted(name: str, epsilon: float | None, train: Genotypes, public: Genotypes, seed: int) -> Generator:
    """Return the generator of a column."""
    if name == "haplotype model":
        return HaplotypeModel(LABEL, seed=seed).fit(train)
    if name == "public panel alone":
        return HaplotypeModel(LABEL, seed=seed).fit(public)
    if name == "independent sites":
        return independent(train, epsilon, seed)
    assert epsilon is not None
    model = PrivateHaplotypeModel(LABEL, seed=seed, epsilon=epsilon, delta=DELTA)
    return model.fit(train, public=public if "public" in name else None)


def independent(train: Genotypes, epsilon: float | None, seed: int) -> IndependentSites:
    """Return independent sites; with an epsilon, from noisy allele counts of each label.

    Numbers of people get a fiftieth of the budget, allele counts the rest. Frequencies of a label are shrunk toward
    those of all people (James and Stein 1961).
    """
    model = IndependentSites(LABEL, seed=seed).fit(train)
    if epsilon is None:
        return model
    budget = PrivacyBudget(epsilon, DELTA, with_threshold=False)
    people = np.array(list(model.label_counts_.values()))
    people = np.maximum(people + discrete_gaussian(budget.spend("people", 0.02, 1), people.shape), 1)
    haplotypes = train.ploidy * people[:, None]
    exact = np.rint(model.frequency_ * train.ploidy * np.array(list(model.label_counts_.values()))[:, None])
    sigma = budget.spend("alleles", 0.98, squared_sensitivity(train.n_variants, train.ploidy))
    counts = exact + discrete_gaussian(sigma, exact.shape)
    frequency, pooled = counts / haplotypes, counts.sum(axis=0) / haplotypes.sum()
    squared = ((frequency - pooled) ** 2).mean(axis=1, keepdims=True)
    weight = np.maximum(0, 1 - (sigma / haplotypes) ** 2 / squared)
    budget.statement()
    model.frequency_ = np.clip(pooled + weight * (frequency - pooled), 0, 1)
    model.label_counts_ = dict(zip(model.label_counts_, people.tolist(), strict=True))
    return model


def measure(train: Genotypes, synthetic: Genotypes, holdout: Genotypes, seed: int) -> dict[str, Any]:
    """Return value and floor of each row, and the figures of the informed attack with the pool."""
    comparison, _ = prepare(train, synthetic, holdout, LABEL, seed)
    values, floors = some_rows(comparison, ROWS)
    every = dict.fromkeys(ROWS)
    return {"values": every | values | informed(train, synthetic, holdout, seed), "floors": every | floors}


def informed(train: Genotypes, synthetic: Genotypes, holdout: Genotypes, seed: int) -> dict[str, float | None]:
    """Return AUC and true positives of the pool's attack; of a large cohort, on some of the training people.

    Those judged are a part of the training people, so that the attacker counts haplotypes in that part and the
    held-out people; the synthetic people are all that were generated.
    """
    chosen = np.random.default_rng(seed).permutation(train.n_samples)[:MOST_ATTACKED]
    comparison: Comparison
    comparison, _ = prepare(train.select(samples=np.sort(chosen)), synthetic, holdout, LABEL, seed)
    (trial,) = attack(comparison, "pool", every=True)
    scores = trial.of(np.ones(len(trial.member), dtype=bool))
    return {POOL: short(roc_auc(*scores)), FOUND: short(true_positive_rate(*scores))}


# ---- the table ----------------------------------------------------------------------------------------------------


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/differential_privacy.md."""
    lines: list[str] = []
    for name, case in CASES.items():
        if name not in result["cases"]:
            continue
        of_case = result["cases"][name]
        floors = of_case["columns"][0]["floors"]
        lines += [
            f"### {case.title}",
            "",
            f"{of_case['train']:,} training people, {of_case['sites']:,} sites, {of_case['public']:,} public people "
            f"and {of_case['holdout']:,} held-out people; delta {DELTA:g}. Measured {of_case['date'][:10]}.",
            "",
            "| model | epsilon | " + " | ".join((*ROWS, POOL, FOUND)) + " |",
            "|---|--:|" + "--:|" * (len(ROWS) + 2),
            "| floor: the training people | | " + " | ".join(figure(floors[m]) for m in ROWS) + " | 0.5 | 0.01 |",
        ]
        for column in of_case["columns"]:
            cells = [figure(column["values"][m]) for m in (*ROWS, POOL, FOUND)]
            epsilon = "none" if column["epsilon"] is None else f"{column['epsilon']:g}"
            lines.append(f"| {column['name']} | {epsilon} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).strip()


def add_column(of_case: dict[str, Any], column: dict[str, Any]) -> None:
    """Put a column in its place: instead of an earlier one of the same generator and epsilon."""
    order = columns()

    def key(c: dict[str, Any]) -> int:
        return order.index((c["name"], c["epsilon"]))

    others = [c for c in of_case["columns"] if key(c) != key(column)]
    of_case["columns"] = sorted([*others, column], key=key)


def measure_case(name: str, result: dict[str, Any], given: argparse.Namespace) -> None:
    """Measure the columns of a cohort, each written at once."""
    train, public, holdout = parts_of(CASES[name], given.data, given.seed)
    about = {"sites": train.n_variants, "train": train.n_samples, "public": public.n_samples}
    about |= {"holdout": holdout.n_samples, "date": now()}
    of_case = result["cases"].setdefault(name, {"columns": []})
    of_case |= about
    have = {(c["name"], c["epsilon"]) for c in of_case["columns"]}
    for generator, epsilon in columns():
        if given.missing and (generator, epsilon) in have:
            continue
        began = time.process_time()
        model = fitted(generator, epsilon, train, public, given.seed)
        seconds = time.process_time() - began
        counts = dict(zip(*np.unique(train.label(LABEL).astype(str), return_counts=True), strict=True))
        synthetic = model.sample({str(label): int(n) for label, n in counts.items()}, seed=given.seed)
        measured = measure(train, synthetic, holdout, given.seed)
        column = {"name": generator, "epsilon": epsilon, "fit_cpu_seconds": short(seconds), **measured}
        add_column(of_case, column)
        result["provenance"] = provenance(given.seed, machine=machine(), command="benchmarks/epsilon.py")
        write_result(result, given.out)
        print(name, generator, epsilon, measured["values"], flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--only", default=",".join(CASES), help="cohorts, separated by commas")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--missing", action="store_true", help="leave out columns that are in the file")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON file, run nothing")
    given = parser.parse_args(argv)
    path = given.out / "epsilon.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"name": "epsilon", "cases": {}}
    for name in [] if given.render else given.only.split(","):
        if not CASES[name].people and not (given.data / DATA_SETS[0].vcf).exists():
            print(f"{DATA_SETS[0].vcf} is not in the data folder (--data DIR); {name} is not measured.")
            continue
        try:
            measure_case(name, result, given)
        except PgcganError as error:
            sys.exit(f"error: {error}")
    write_section(given.document, "epsilon", as_markdown(result))


if __name__ == "__main__":
    main()
