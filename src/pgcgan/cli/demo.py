"""demo: the whole way on a simulated cohort."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

from ..errors import UsageError
from ..runtime.progress import say, show
from .app import OUTPUT, NetworkOptions, Reading, app
from .evaluate import More, evaluate
from .generate import generate
from .simulate import simulate
from .train import train

BESIDE = ("independent", "li-stephens")
AUGMENTED = "AMR"  # the smallest label


@app.command
def demo(
    *,
    output: Annotated[str, OUTPUT] = "pgcgan-demo",
    people: int = 1000,
    length: int = 500_000,
    minutes: float = 1.5,
    seed: int = 1,
    force: bool = False,
) -> None:
    """Show the whole way on a simulated cohort: simulate, train, generate, evaluate, report.

    The haplotype model is trained and, if torch is installed, the conditional GAN beside it.

    Parameters
    ----------
    output
        Folder for everything that is written.
    people
        Number of people to simulate.
    length
        Length of the contig in base pairs.
    minutes
        Time budget of the conditional GAN.
    seed
        Seed of every step.
    force
        Replace what an earlier demo wrote.
    """
    folder = Path(output)
    cohort, panel, split = (str(folder / name) for name in ("cohort.vcf.gz", "cohort.panel.tsv", "split.tsv"))
    model, gan = str(folder / "haplotype.model"), str(folder / "gan.model")
    synthetic, report = str(folder / "synthetic.vcf.gz"), str(folder / "report.html")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UsageError(f"{folder} exists and is not empty; --force replaces what an earlier demo wrote there.")
    folder.mkdir(parents=True, exist_ok=True)
    again = " --force" if force else ""

    say(f"$ pgcgan simulate --people {people} --length {length} --seed {seed} --split {split} -o {cohort}{again}")
    simulate(output=cohort, people=people, length=length, split=split, seed=seed, force=force)

    beside = list(BESIDE)
    common = f"{cohort} --panel {panel} --split {split} --min-maf 0.01"
    given: dict[str, Any] = {
        "panel": panel, "split": split, "seed": seed, "reading": Reading(min_maf=0.01), "force": force
    }  # fmt: skip
    say(f"$ pgcgan train {common} --seed {seed} -o {model}{again}")
    train(cohort, output=model, **given)
    if importlib.util.find_spec("torch") is not None:
        say(f"$ pgcgan train {common} --model gan --minutes {minutes:g} --seed {seed} -o {gan}{again}")
        train(cohort, output=gan, model="gan", network=NetworkOptions(minutes=minutes), **given)
        beside.insert(0, gan)
    else:
        say("The conditional GAN is left out: pip install 'pgcgan[gan]' adds it.")

    say(f"$ pgcgan generate {model} --like {panel} --split {split} --seed {seed} -o {synthetic}{again}")
    generate(model, like=panel, split=split, seed=seed, output=synthetic, force=force)

    also = " ".join(f"--beside {name}" for name in beside)
    say(
        f"$ pgcgan evaluate --real {cohort} --panel {panel} --split {split} --synthetic {synthetic} {also} "
        f"--augment {AUGMENTED} --model {model} --seed {seed} -o {report}{again}"
    )
    more = More(beside=beside, augment=AUGMENTED, model=gan if gan in beside else model)
    real: dict[str, Any] = {"real": cohort, "panel": panel, "split": split}
    evaluate(**real, synthetic=synthetic, more=more, output=report, seed=seed, force=force)
    show(f"The report: {report}")
