"""HLA alleles as sites: how often generated people carry one allele of a gene on each haplotype, as real people do.

The file holds SNPs, amino acids and HLA alleles (two and four digits) as present (ALT) or absent (REF), each a site for
the model, which knows nothing of genes. For every classical gene and resolution the alleles that a haplotype and a
person carry are counted, in train, held-out and generated people. Writes benchmarks/results/markers.json and the
section of docs/benchmarks.md between the markers `markers`.

    python benchmarks/markers.py [--data DIR] [--seed 1] [--render]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import DOCUMENT, RESULTS, ROOT, machine, write_result, write_section

from pgcgan import Genotypes, HaplotypeModel, read
from pgcgan.errors import PgcganError
from pgcgan.io import read_split
from pgcgan.provenance import provenance

FILE, LABEL = "hla_all.vcf.gz", "super_pop"
ALLELE = re.compile(r"HLA_([A-Z]+\d?)_(\d{2}|\d{4})")
SETS = ("train", "held out", "generated")


def genes(people: Genotypes) -> dict[tuple[str, int], np.ndarray]:
    """Return the sites of the alleles of each gene at each resolution (digits)."""
    sites_of: dict[tuple[str, int], list[int]] = {}
    for i, name in enumerate(people.variants.id):
        match = ALLELE.fullmatch(name)
        if match:
            sites_of.setdefault((match[1], len(match[2])), []).append(i)
    return {key: np.array(sites) for key, sites in sorted(sites_of.items()) if len(sites) > 1}


def carried(people: Genotypes, sites: np.ndarray) -> dict[str, float]:
    """Return how many alleles of a gene haplotypes and people carry: shares."""
    calls = people.calls[sites]
    each, person = calls.sum(axis=0), (calls > 0).any(axis=2).sum(axis=0)
    return {
        "one on a haplotype": float((each == 1).mean()),
        "none on a haplotype": float((each == 0).mean()),
        "several on a haplotype": float((each > 1).mean()),
        "at most two in a person": float((person <= 2).mean()),
    }


def _rmse(people: Genotypes, others: Genotypes, sites: np.ndarray) -> float:
    """Return the root mean square difference of allele frequencies over sites and labels."""
    differences = []
    for value in np.unique(others.label(LABEL)):
        a, b = (s.select(samples=s.label(LABEL) == value, sites=sites).allele_frequency() for s in (people, others))
        differences.append(a - b)
    return float(np.sqrt(np.mean(np.square(differences))))


def measure(folder: Path, seed: int) -> dict[str, Any]:
    people = read(folder / FILE, folder / "panel.tsv", duplicates="drop")
    part = read_split(folder / "split.tsv")
    train, holdout = (
        people.select(samples=[name for name in people.samples if part[name] == which]) for which in ("train", "test")
    )
    began = time.process_time()
    model = HaplotypeModel(LABEL, seed=seed).fit(train)
    seconds = time.process_time() - began
    sets = dict(zip(SETS, (train, holdout, model.sample(model.label_counts_, seed=seed)), strict=True))
    rows = []
    for (gene, digits), sites in genes(train).items():
        distance = {name: _rmse(sets[name], holdout, sites) for name in ("train", "generated")}
        each = {name: carried(sets[name], sites) for name in SETS}
        rows.append({"gene": gene, "digits": digits, "alleles": len(sites), "carried": each, "af_rmse": distance})
    return {
        "sites": train.n_variants,
        "people": {n: s.n_samples for n, s in sets.items()},
        "fit": seconds,
        "rows": rows,
    }


def as_markdown(result: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    made = result["provenance"]
    people, where = result["people"], made["machine"]
    lines = [
        "### HLA alleles as sites",
        "",
        f"{result['sites']:,} sites: SNPs, amino acids and HLA alleles of the HLA region, as present or absent. "
        f"{people['train']:,} train, {people['held out']:,} held-out and {people['generated']:,} generated people, "
        f"defaults, fitted in {result['fit']:.0f} s of a core. Seed {made['seed']}, pgcgan {made['pgcgan']}, "
        f"{made['date'][:10]}, {where['cores']} cores ({where['processor']}). Command: `python {made['command']}`.",
        "",
        "| gene | digits | alleles | haplotypes with exactly one: train | held out | generated | with several: "
        "generated | people with at most two: held out | generated | allele frequency RMSE to held out: train | "
        "generated |",
        "|---|--:|--:|" + "--:|" * 8,
    ]
    for row in result["rows"]:
        each = row["carried"]
        cells = [row["gene"], str(row["digits"]), str(row["alleles"])]
        cells += [f"{each[name]['one on a haplotype']:.4f}" for name in SETS]
        cells += [f"{each['generated']['several on a haplotype']:.4f}"]
        cells += [f"{each[name]['at most two in a person']:.4f}" for name in SETS[1:]]
        cells += [f"{row['af_rmse'][name]:.4f}" for name in ("train", "generated")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the real data")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument("--render", action="store_true", help="write the document from the JSON file, run nothing")
    given = parser.parse_args(argv)
    if given.render:
        result = json.loads((given.out / "markers.json").read_text(encoding="utf-8"))
    elif not (given.data / FILE).exists():
        print(f"{FILE} is not in the data folder (--data DIR); nothing is measured.")
        return
    else:
        about = provenance(given.seed, machine=machine())
        try:
            result = {"name": "markers", "provenance": about, **measure(given.data, given.seed)}
        except PgcganError as error:
            sys.exit(str(error))
        write_result(result, given.out)
    write_section(given.document, "markers", as_markdown(result))
    print(as_markdown(result))


if __name__ == "__main__":
    main()
