"""Files in, files out: `read`, `write`, the panel of labels and the split.

Each format lives in one module and is entered in `FORMATS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError, UsageError, listed
from ..genotypes import Genotypes
from ..runtime.progress import OnEvent
from .impute import IMPUTE_SUFFIXES, read_impute, write_impute
from .npz import NPZ_SUFFIXES, read_npz, write_npz
from .outputs import folder_of
from .panel import PANEL_COLUMNS, family_names, read_panel, read_parents, read_split
from .plink1 import PLINK1_SUFFIXES, read_plink1, write_plink1
from .plink2 import PGEN_SUFFIXES, read_plink2, write_plink2
from .ploidy import warn_of_doubled_men
from .records import Policies, log
from .remote import is_address, named
from .scratch import copied, stored, too_large
from .trees import NOT_WRITTEN, TREES_SUFFIXES, read_trees
from .vcf import read_vcf
from .vcf_write import VCF_SUFFIXES, write_vcf
from .vcfzarr import VCFZARR_SUFFIXES, read_vcfzarr, write_vcfzarr

__all__ = [
    "FORMATS",
    "PANEL_COLUMNS",
    "Policies",
    "common_sites",
    "read",
    "read_panel",
    "read_parents",
    "read_split",
    "write",
]

# Suffixes of a format -> its reader and its writer; None where a format is not written.
# A reader takes (path, *, choose, region, policies): choose is called before any call is read, region is as in `read`,
# policies say what to do with unusual records. It raises a DataError if a file is absent, damaged, or holds what is not
# accepted.
# A writer takes (genotypes, path, *, force, command, seed) and returns the files it wrote.
_Functions = tuple[Callable[..., Genotypes], Callable[..., list[Path]] | None]
FORMATS: dict[tuple[str, ...], _Functions] = {
    VCF_SUFFIXES: (read_vcf, write_vcf),
    PLINK1_SUFFIXES: (read_plink1, write_plink1),
    NPZ_SUFFIXES: (read_npz, write_npz),
    PGEN_SUFFIXES: (read_plink2, write_plink2),
    IMPUTE_SUFFIXES: (read_impute, write_impute),
    VCFZARR_SUFFIXES: (read_vcfzarr, write_vcfzarr),
    TREES_SUFFIXES: (read_trees, None),
}


# Suffixes of files that are not read -> what to do
_OTHER_FORMATS = {
    **dict.fromkeys((".ped", ".map"), "`plink1.9 --file {stem} --make-bed --out {stem}` makes a .bed of PLINK text"),
    **dict.fromkeys((".tped", ".tfam"), "`plink1.9 --tfile {stem} --make-bed --out {stem}` makes a .bed of it"),
    ".bgen": "`plink2 --bgen {stem}.bgen ref-first --sample {stem}.sample --make-pgen --out {stem}` makes a .pgen",
    ".gen": "`plink2 --data {stem} ref-first --make-pgen --out {stem}` makes a .pgen of it",
    **dict.fromkeys((".haps", ".haps.gz"), "`bcftools convert --hapsample2vcf {stem}` makes a VCF of it"),
    **dict.fromkeys((".bim", ".fam"), "give {stem}.bed, to which it belongs"),
    **dict.fromkeys((".pvar", ".pvar.zst", ".psam"), "give {stem}.pgen, to which it belongs"),
    **dict.fromkeys((".legend", ".legend.gz", ".samples"), "give {stem}.hap or {stem}.hap.gz, to which it belongs"),
    **dict.fromkeys((".tbi", ".csi"), "give {stem}, whose index it is"),
}


def _format_of(path: str) -> _Functions | None:
    name = path.rstrip("/")  # a folder may be named with a slash behind it
    return next((functions for suffixes, functions in FORMATS.items() if name.endswith(suffixes)), None)


def read(
    path: str | os.PathLike[str],
    panel: str | os.PathLike[str] | None = None,
    *,
    region: str | None = None,
    samples: Sequence[str] | Callable[[list[str]], Sequence[str]] | None = None,
    population_map: str | os.PathLike[str] | Mapping[str, str] | None = None,
    intersect: bool = False,
    multiallelic: str = "error",
    half_calls: str = "error",
    haploid: str = "error",
    duplicates: str = "error",
    unphased: bool = False,
    min_maf: float | None = None,
) -> Genotypes:
    """Read genotypes, and the labels of the people from a panel file.

    Parameters
    ----------
    path : path
        VCF (plain, gzip, bgzip) or BCF, "-" for either from standard input, or their http or https address (with a
        region only that is downloaded, by the index beside the file; nothing is kept on disk); PLINK 1 (NAME.bed, with
        NAME.bim and NAME.fam beside it; A1 is taken as ALT, A2 as REF); PLINK 2 (NAME.pgen, with NAME.pvar or
        NAME.pvar.zst and NAME.psam); IMPUTE (NAME.hap or NAME.hap.gz, with NAME.legend and NAME.samples); VCF Zarr
        (NAME.vcz, NAME.zarr or either with .zip); a tree sequence (NAME.trees); NAME.npz, as `write` makes it.
    panel : path, optional
        A 1000 Genomes panel (sample, pop, super_pop, gender), a 1000 Genomes .ped, or any table with a sample column,
        or the address of one; see `read_panel`. Without one the labels are those that the file holds itself, if its
        format does: NAME.panel.tsv, which `write` puts beside NAME.vcf.gz, is read only where it is given here.
    region : str, optional
        `contig`, `contig:start-end`, `contig:start-` or `contig:position` (1-based, ends included); records that start
        inside. A .tbi or .csi index beside the file is used if there is one.
    samples : sequence of str, or callable, optional
        The people wanted, in the order wanted; all by default. A callable gets the names in the file and returns those
        wanted.
    population_map : {"1000g", "pg-cgan"}, path or mapping, optional
        Population to super-population, see `read_panel`.
    intersect : bool
        Keep the people that are in both the file and the panel, instead of stopping when some are in one only.
    multiallelic : {"error", "split", "drop"}
        For records with several ALT alleles; "split" as `bcftools norm -m-`.
    half_calls : {"error", "missing"}
        For calls such as 0/. .
    haploid : {"error", "diploid"}
        For haploid calls beside diploid ones; "diploid" doubles them. A file of haploid calls only has ploidy 1.
    duplicates : {"error", "drop"}
        For records that repeat contig, position, REF and ALT; "drop" keeps the first.
    unphased : bool
        Read every call as an unordered pair.
    min_maf : float, optional
        Keep sites whose minor allele frequency among the people kept is at least this.

    Returns
    -------
    Genotypes
        Calls int8 (variants, samples, ploidy), missing calls -1. `phased` is True if every heterozygous call is
        phased, False if none is; a mixture is an error unless `unphased`.

    Raises
    ------
    DataError
        If the file or the panel holds something that cannot be used; the message names the record, the sample and the
        option that accepts it.
    UsageError
        If an option has an unknown value.

    Examples
    --------
    >>> genotypes = pgcgan.read("chr6.vcf.gz", "panel.tsv", region="6:29600000-33270000")  # doctest: +SKIP
    """
    policies = Policies(multiallelic, half_calls, haploid, duplicates, unphased)
    if population_map is not None and panel is None:
        raise UsageError("population_map (--population-map) needs a panel (--panel) whose populations it maps.")
    columns = None if panel is None else read_panel(panel, population_map)
    path = os.fspath(path)
    source = named(path)

    def choose(present: list[str]) -> list[str]:
        people = samples(present) if callable(samples) else samples
        wanted = _wanted(present, [people] if isinstance(people, str) else people, source)
        if columns is None:
            return wanted
        return _in_both(present, wanted, next(iter(columns.values())), source, str(panel), intersect)

    _check_other_format(source)
    # A file of unknown suffix (a pipe, /dev/fd/63) is tried as a VCF, which reports what it holds if it is none.
    reader, _ = _format_of(path) or (read_vcf, write_vcf)
    if reader is not read_vcf and is_address(source):
        raise UsageError(f"{source} cannot be read over the network, as VCF and BCF can; download the files first.")
    genotypes = reader(path, choose=choose, region=region, policies=policies)
    if columns is not None:
        genotypes = replace(genotypes, labels={}).with_labels(columns)
    if haploid != "diploid":
        warn_of_doubled_men(genotypes, source)
    return genotypes if min_maf is None else common_sites(genotypes, min_maf)


def _check_other_format(source: str) -> None:
    """Raise a DataError for a file that belongs to another one, or is of a format that another program converts."""
    for suffix, advice in _OTHER_FORMATS.items():
        if source.endswith(suffix) and os.path.isfile(source):
            accepted = ", ".join(s for suffixes in FORMATS for s in suffixes)
            stem = source.removesuffix(suffix)
            raise DataError(f"{source} is not read as it is; {advice.format(stem=stem)}. Accepted: {accepted}.")


def common_sites(genotypes: Genotypes, min_maf: float) -> Genotypes:
    """Return what `genotypes.select(min_maf=…)` returns, kept on disk if it is large."""
    if not too_large(genotypes.calls.nbytes):
        return genotypes.select(min_maf=min_maf)
    common = np.flatnonzero(genotypes.common(min_maf))
    return replace(genotypes, calls=copied(genotypes.calls, common), variants=genotypes.variants.select(common))


def _wanted(present: list[str], people: Sequence[str] | None, source: str) -> list[str]:
    if people is None:
        return present
    known = set(present)
    unknown = [s for s in people if s not in known]
    if unknown:
        raise DataError(f"Samples that are not in {source}: {len(unknown)} ({listed(unknown)}).")
    if not len(people):
        raise UsageError("The list of samples is empty; give at least one, or none at all for everybody.")
    return list(dict.fromkeys(str(s) for s in people))


def _in_both(
    present: list[str], wanted: list[str], labelled: Collection[str], source: str, panel: str, intersect: bool
) -> list[str]:
    known = set(present)
    unlabelled, absent = [s for s in wanted if s not in labelled], [s for s in labelled if s not in known]
    parts = [
        f"samples only in {where}: {len(names)} ({listed(names, 3)})"
        for where, names in ((source, unlabelled), (panel, absent))
        if names
    ]
    both = [s for s in wanted if s in labelled]
    advice = family_names(unlabelled, absent)
    if parts and not intersect:
        if both:
            advice = f"; intersect=True (--intersect) goes on with those in both{advice}"
        else:
            advice = f", and nobody is in both{advice or '; a panel of these people is needed'}"
        raise DataError(f"There are {'; '.join(parts)}{advice}.")
    if not both:
        raise DataError(
            f"{source} and {panel} have no sample in common: the file has {listed(wanted, 3)}, "
            f"the panel has {listed(sorted(labelled), 3)}{advice}."
        )
    if parts:
        log.warning("%s; going on with the %d in both.", "; ".join(parts), len(both))
    return both


def write(
    genotypes: Genotypes | Iterable[Genotypes],
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    command: str | None = None,
    seed: int | None = None,
    unphased: bool = False,
    on_event: OnEvent | None = None,
) -> list[Path]:
    """Write genotypes, an index and, if there are labels, a panel file beside them.

    Parameters
    ----------
    genotypes : Genotypes, or iterable of Genotypes
        Sites sorted by position within each contig. Several (what `PGcGAN.iter_samples` yields) have the same sites
        and other people each; they wait in a temporary file beside the output, so that memory does not grow with
        their number.
    path : path
        Ends in .vcf, .vcf.gz, .vcf.bgz or .bcf; in .bed for PLINK 1 (.bim and .fam are written beside it; sex is that
        of the label `gender`); in .pgen for PLINK 2 (with .pvar and .psam); in .hap or .hap.gz for IMPUTE (with
        .legend and .samples); in .vcz, .zarr, .vcz.zip or .zarr.zip for VCF Zarr, labels included; in .npz for numpy
        arrays, labels included. "-" writes plain VCF to standard output.
    force : bool
        Replace files that exist.
    command : str, optional
        Kept in the header as ##pgcganCommand (.vcz: in the attribute `vcf_meta_information`; .npz: the array
        `command`; .bed and .hap have no place for it).
    seed : int, optional
        Kept in the header as ##pgcganSeed (.vcz and .npz: as the command; .bed and .hap have no place for it).
    unphased : bool
        Write every call as an unordered pair. A .bed cannot hold phase: without this, phased genotypes are refused.
    on_event : callable, optional
        Where genotypes come in parts: called with {"stage": "writing", "fraction"}.

    Returns
    -------
    list of Path
        All files written: the genotypes, the index (.tbi, .csi) of a compressed file or the tables of sites and people
        (.pvar and .psam, .legend and .samples), `NAME.panel.tsv`. A VCF Zarr is one folder.

    Raises
    ------
    UsageError
        If the suffix is unknown, or a file exists and `force` is not set.
    DataError
        If the sites are not in order, or the format cannot hold a name, the phase or the ploidy.
    """
    path = os.fspath(path).rstrip("/") or "/"  # of a folder
    writer = writer_of(path)
    parts = [genotypes] if isinstance(genotypes, Genotypes) else genotypes
    if unphased:
        parts = (part.without_phase() if part.phased else part for part in parts)
    if isinstance(genotypes, Genotypes):
        (given,) = parts
        return writer(given, path, force=force, command=command, seed=seed)
    folder = None if path == "-" else folder_of(path)
    return writer(stored(parts, path, folder, on_event), path, force=force, command=command, seed=seed)


def writer_of(path: str) -> Callable[..., list[Path]]:
    """Return the function that writes files of this name; raise a UsageError if the suffix is not known."""
    functions = _format_of(path) if path != "-" else (read_vcf, write_vcf)
    if functions is None:
        accepted = ", ".join(s for suffixes, (_, writer) in FORMATS.items() if writer is not None for s in suffixes)
        raise UsageError(f"The format of {path} is not known; accepted: names that end in {accepted}, or -.")
    if functions[1] is None:
        raise UsageError(f"{path} cannot be written: {NOT_WRITTEN}.")
    return functions[1]
