"""info, card, completion and demo."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import UsageError
from .app import FILE, OUTPUT, Reading, app
from .files import output_free, read_options, write_text
from .generating import generate
from .judging import evaluate, read_evaluation
from .progress import say
from .simulating import simulate
from .training import train

if TYPE_CHECKING:
    from ..genotypes import Genotypes

DEMO_BESIDE = ("independent", "li-stephens")
DEMO_AUGMENTED = "AMR"  # the smallest label


@app.command
def info(
    path: Annotated[str | None, FILE] = None,
    /,
    *,
    panel: str | None = None,
    json_output: Annotated[bool, Parameter(name="--json")] = False,
    reading: Reading | None = None,
) -> None:
    """Say what a genotype file or a model directory holds; without a name, which versions run here (for bug reports).

    Parameters
    ----------
    path
        A VCF, BCF, .bed, .pgen, .hap.gz, .vcz, .trees or .npz ("-" reads VCF or BCF from standard input), or a model
        directory.
    panel
        Labels, for a genotype file.
    json_output
        Print JSON.
    """
    from ..io import FORMATS, read

    if path is None:
        if panel is not None or reading is not None:
            raise UsageError("--panel and the reading options are for a genotype file; give its name.")
        facts = _facts_of_here()
    # a VCF Zarr is a folder too
    elif Path(path).is_dir() and not path.rstrip("/").endswith(tuple(s for several in FORMATS for s in several)):
        if panel is not None or reading is not None:
            raise UsageError(f"{path} is a model directory: --panel and the reading options are for genotype files.")
        facts = _facts_of_model(path)
    else:
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
def card(
    model: Annotated[str, FILE],
    /,
    *,
    evaluation: Annotated[str | None, FILE] = None,
    output: Annotated[str | None, OUTPUT] = None,
    force: bool = False,
) -> None:
    """Print the model card of a model directory, with the figures of an evaluation if one is given.

    Parameters
    ----------
    model
        A model directory. It holds a card already, MODEL_CARD.md, from before its people were evaluated.
    evaluation
        What `pgcgan evaluate -o NAME.json` wrote of people that this model made.
    output
        Write the card to this file instead.
    force
        Replace a file that exists.
    """
    from ..generators.card import model_card

    if output is not None:
        output_free(output, force)
    if not Path(model).is_dir():
        raise UsageError(f"There is no model directory {model}; pgcgan train … -o {model} makes one.")
    rows = read_evaluation(evaluation).rows if evaluation is not None else ()
    text = model_card(_facts_of_model(model), [(r.metric, r.value, r.floor) for r in rows if r.label == "all"])
    if output is None:
        print(text, end="")
    else:
        say(f"written: {write_text(output, text, force)}")


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes commands, options and file names in a shell.

    bash: source <(pgcgan completion bash), in ~/.bashrc to keep it. zsh: the same with zsh, in ~/.zshrc after compinit.
    fish: pgcgan completion fish | source.

    Parameters
    ----------
    shell
        The shell that is to read it.
    """
    script = app.generate_completion(shell=shell)
    # what is completed beyond commands and options is a file name
    if shell == "bash":
        script = script.replace("complete -F", "complete -o default -F")
    elif shell == "zsh":
        script = re.sub(r"^( +'(?:\*?--?[\w-]+\[.*\]:[\w-]+|\d+:[^>\n]*))'", r"\1:_files'", script, flags=re.MULTILINE)
        script += "compdef _cyclopts_pgcgan pgcgan\n"
    print(script, end="")


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


def _facts_of_here() -> dict[str, Any]:
    import torch

    from ..provenance import environment

    cuda = range(torch.cuda.device_count())
    devices = [torch.cuda.get_device_name(k) for k in cuda] + ["mps"] * torch.backends.mps.is_available()
    return {
        "kind": "environment",
        **environment(),
        "threads of torch": torch.get_num_threads(),
        "accelerators": devices or ["none that torch sees"],
    }


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
        from ..generators.baselines import facts, read_sheet

        return facts(read_sheet(path))
    if (Path(path) / "manifest.json").is_file() or (Path(path) / "plan").is_dir():
        from ..genome import GenomeModel

        return GenomeModel.load(path).facts()
    from ..generators.model import PGcGAN

    return PGcGAN.load(path, device="cpu").facts()
