"""simulate: a cohort about no real person."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from .app import OUTPUT, ReplaceFiles, app
from .files import genotypes_free, output_free, say_written, write_text

TRAIN_SHARE = 0.8  # of the people, in the splits that `simulate` and `demo` write


@app.command
def simulate(
    *,
    output: Annotated[str, OUTPUT],
    people: int = 1000,
    length: int = 1_000_000,
    populations: Annotated[
        list[Literal["AFR", "AMR", "EAS", "EUR", "SAS"]] | None, Parameter(name="--population")
    ] = None,
    unphased: bool = False,
    split: str | None = None,
    seed: int = 1,
    force: ReplaceFiles = False,
) -> None:
    """Simulate a cohort of five super-populations: a VCF and a panel file, about no real person.

    Parameters
    ----------
    output
        NAME.vcf.gz, .vcf, .bcf, .bed, .pgen, .hap.gz, .vcz or .npz; NAME.panel.tsv is written beside it. "-" writes VCF
        to standard output.
    people
        Number of people.
    length
        Length of the contig in base pairs.
    populations
        Repeat it for several. Default: all five.
    unphased
        Drop the phase.
    split
        Also write this table of who is for training (80 %, stratified by population) and who is held out.
    seed
        The same seed gives the same cohort.
    """
    from ..io import write
    from ..provenance import command_line
    from ..simulation import simulate

    genotypes_free(output, force)
    if split is not None:
        output_free(split, force)
    genotypes = simulate(people, length=length, seed=seed, populations=populations, unphased=unphased)
    written = write(genotypes, output, force=force, command=command_line(), seed=seed)
    if split is not None:
        train = set(genotypes.split(TRAIN_SHARE, by="pop", seed=seed)[0].samples)
        rows = [f"{name}\t{'train' if name in train else 'test'}\n" for name in genotypes.samples]
        written.append(write_text(split, "sample\tsplit\n" + "".join(rows), force))
    say_written(genotypes.n_samples, genotypes.n_variants, written)
