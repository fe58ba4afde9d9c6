"""convert: the same genotypes in another format."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from .app import FILE, Reading, ReplaceFiles, app
from .files import genotypes_free, say_written


@app.command
def convert(
    genotypes: Annotated[str, FILE],
    output: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    panel: str | None = None,
    reading: Reading | None = None,
    force: ReplaceFiles = False,
) -> None:
    """Write genotypes in another format, or a part of them in the same one; the name of the output says which.

    A .bed cannot hold phase: phased genotypes need --unphased.

    Parameters
    ----------
    genotypes
        NAME.vcf, .vcf.gz, .bcf, .bed (with .bim and .fam beside it), .pgen (with .pvar and .psam), .hap or .hap.gz
        (with .legend and .samples), .vcz or .zarr (VCF Zarr, also with .zip), .trees (tree sequence) or .npz; "-" reads
        VCF or BCF from standard input, and an http or https address one from a server.
    output
        NAME with one of these suffixes, except .trees; "-" writes VCF to standard output.
    panel
        Labels, of which NAME.panel.tsv is written beside the output: a 1000 Genomes panel or .ped, or any table with a
        sample column.
    """
    from ..io import read, write
    from ..provenance import command_line

    genotypes_free(output, force)
    people = read(genotypes, panel, **asdict(reading or Reading()))
    written = write(people, output, force=force, command=command_line())
    say_written(people.n_samples, people.n_variants, written)
