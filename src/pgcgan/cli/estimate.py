"""estimate: what a training is expected to cost and to give away, before it."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from ..runtime.progress import say
from .app import FILE, Label, NetworkOptions, Reading, app, named_values
from .files import read_train
from .train import check_options, say_estimates


@app.command
def estimate(
    vcf: Annotated[str, FILE],
    /,
    *,
    panel: str,
    label: Label = None,
    split: str | None = None,
    model: Literal["haplotype", "gan"] = "haplotype",
    settings: Annotated[list[str] | None, Parameter(name="--set")] = None,
    network: NetworkOptions | None = None,
    reading: Reading | None = None,
) -> None:
    """Print the memory and time that a training is expected to take, and what the model would give away.

    Parameters
    ----------
    vcf
        The genotypes, as for train.
    panel
        Labels, as for train.
    split
        A table with the columns sample and split: only people with split = train are used.
    model
        haplotype or gan.
    settings
        NAME=VALUE, as for train.
    """
    from ..registry import create

    parameters = {**check_options(model, network, None), **named_values(settings or [])}
    generator = create(model, label or ["super_pop"], **parameters)
    people = read_train(vcf, panel, split, reading or Reading(), generator.label)
    cost, _ = say_estimates(generator, people)
    if cost is None:
        steps = generator.parameters()["steps"]
        say(
            f"no estimate of time and memory for {model}: it makes at most {steps:,} steps; train shows its progress, "
            "and --minutes ends it"
        )
