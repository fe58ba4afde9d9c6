"""info and demo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import UsageError
from .app import FILE, OUTPUT, Reading, app
from .files import read_options
from .judging import evaluate
from .making import generate, simulate, train
from .progress import say

if TYPE_CHECKING:
    from ..genotypes import Genotypes

DEMO_BESIDE = ("independent", "li-stephens")
DEMO_AUGMENTED = "AMR"  # the smallest label


@app.command
def info(
    path: Annotated[str, FILE],
    /,
    *,
    panel: str | None = None,
    json_output: Annotated[bool, Parameter(name="--json")] = False,
    reading: Reading | None = None,
) -> None:
    """Say what a genotype file or a model directory holds.

    Parameters
    ----------
    path
        A VCF, BCF, .bed, .pgen, .hap.gz or .npz ("-" reads VCF or BCF from standard input), or a model directory.
    panel
        Labels, for a genotype file.
    json_output
        Print JSON.
    """
    if Path(path).is_dir():
        if panel is not None or reading is not None:
            raise UsageError(f"{path} is a model directory: --panel and the reading options are for genotype files.")
        facts = _facts_of_model(path)
    else:
        from ..io import read

        facts = _facts_of_genotypes(read(path, panel, **read_options(reading or Reading())))
    if json_output:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    for name, value in facts.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        print(f"{name}: {value}")


@app.command
def demo(
    *,
    output: Annotated[str, OUTPUT] = "pgcgan-demo",
    people: int = 1000,
    length: int = 500_000,
    minutes: float | None = None,
    baseline: str | None = None,
    seed: int = 1,
    force: bool = False,
) -> None:
    """Show the whole way on a simulated cohort: simulate, train, generate, evaluate, report.

    Parameters
    ----------
    output
        Folder for everything that is written.
    people
        Number of people to simulate.
    length
        Length of the contig in base pairs.
    minutes
        Add the network, and train it for so long.
    baseline
        Train a baseline in the place of the model.
    seed
        Of every step.
    force
        Replace what an earlier demo wrote.
    """
    folder = Path(output)
    cohort, panel, split = (str(folder / name) for name in ("cohort.vcf.gz", "cohort.panel.tsv", "split.tsv"))
    model, made, report = (str(folder / name) for name in ("model", "synthetic.vcf.gz", "report.html"))
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UsageError(f"{folder} exists and is not empty; --force replaces what an earlier demo wrote there.")
    folder.mkdir(parents=True, exist_ok=True)
    again = " --force" if force else ""

    say(f"$ pgcgan simulate --people {people} --length {length} --seed {seed} --split {split} -o {cohort}{again}")
    simulate(output=cohort, people=people, length=length, split=split, seed=seed, force=force)

    how = f"--baseline {baseline} " if baseline is not None else ""
    how += f"--minutes {minutes:g} " if minutes is not None else ""
    say(f"$ pgcgan train {cohort} --panel {panel} --split {split} --min-maf 0.01 {how}--seed {seed} -o {model}{again}")
    rare = Reading(min_maf=0.01)
    train(
        cohort,
        panel=panel,
        split=split,
        minutes=minutes,
        baseline=baseline,
        seed=seed,
        output=model,
        reading=rare,
        force=force,
    )

    say(f"$ pgcgan generate {model} --like {panel} --split {split} --seed {seed} -o {made}{again}")
    generate(model, like=panel, split=split, seed=seed, output=made, force=force)

    what = f"--real {cohort} --panel {panel} --split {split} --synthetic {made}"
    beside = " ".join(f"--baseline {name}" for name in DEMO_BESIDE)
    also = f"{beside} --augment {DEMO_AUGMENTED} --model {model}"
    say(f"$ pgcgan evaluate {what} {also} --seed {seed} -o {report}{again}")
    evaluate(
        real=cohort,
        panel=panel,
        split=split,
        synthetic=made,
        baselines=list(DEMO_BESIDE),
        augment=DEMO_AUGMENTED,
        model=model,
        output=report,
        seed=seed,
        force=force,
    )
    print(f"The report: {report}")


def _facts_of_genotypes(genotypes: Genotypes) -> dict[str, Any]:
    import numpy as np

    position, contig = genotypes.variants.position, genotypes.variants.contig
    spans = {}
    for name in dict.fromkeys(contig):
        here = position[contig == name]
        spans[name] = f"{here.min()}-{here.max()} ({len(here)} sites)"
    frequency = genotypes.allele_frequency()
    minor = np.minimum(frequency, 1 - frequency)
    called = genotypes.calls >= 0
    facts: dict[str, Any] = {
        "kind": "genotypes",
        "people": genotypes.n_samples,
        "sites": genotypes.n_variants,
        "ploidy": genotypes.ploidy,
        "phased": genotypes.phased,
        "contigs": spans,
        "missing alleles": round(float(1 - called.mean()), 6) if called.size else 0.0,
        "monomorphic sites": int((minor == 0).sum()),
        "sites with minor allele frequency of at least 5 %": int((minor >= 0.05).sum()),
    }
    for column in genotypes.labels:
        names, counts = np.unique(genotypes.label(column).astype(str), return_counts=True)
        facts[column] = {str(n): int(c) for n, c in zip(names, counts, strict=True)}
    return facts


def _facts_of_model(path: str) -> dict[str, Any]:
    if (Path(path) / "baseline.json").is_file():
        from ..baselines import read_sheet

        sheet = read_sheet(path)
        variants = sheet.pop("variants")
        made = sheet.pop("provenance")
        return {
            "kind": "baseline",
            **sheet,
            "people trained on": sum(sheet["label_counts"].values()),
            "sites": len(variants["position"]),
            "provenance": made,
        }
    if (Path(path) / "manifest.json").is_file() or (Path(path) / "plan").is_dir():
        from ..windows import GenomeModel

        return GenomeModel.load(path).facts()
    from ..model import PGcGAN

    return PGcGAN.load(path, device="cpu").facts()
