"""Reading and writing PLINK 1: NAME.bed (calls), NAME.bim (sites) and NAME.fam (people).

The .bed is written by bed-reader; all three are read here, so that an error in a table names the line.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, MissingFile, listed
from ..genotypes import Genotypes, Variants
from .outputs import check_positions, check_writable, outputs
from .ploidy import as_men_are
from .records import Choose, Policies
from .scratch import People, empty_calls
from .sites import wanted_sites
from .table import position, refuse, rows, sample_names, write_rows

PLINK1_SUFFIXES = (".bed",)
_MAGIC = b"\x6c\x1b"
_BLOCK = 1 << 24  # calls read at a time
_SEXES = {"male": "1", "female": "2"}
_UNKNOWN = ("0", ".")  # an allele that nobody carries, or that is not known
_MISSING_COUNT = -127  # bed-reader's
_IN_CACHE = 1 << 16  # bytes decoded, calls encoded at a time
# The alleles (A2 = 0) of the four people of a byte, two bits each, as a word of eight bytes: to look them up takes a
# third of the time of a reader that counts alleles.
_CODES = np.array([[1, 1], [-1, -1], [0, 1], [0, 0]], dtype=np.int8)  # homozygous A1, missing, both, homozygous A2
_FOUR_CALLS = _CODES[np.arange(256)[:, None] >> np.arange(0, 8, 2) & 3].reshape(256, 8).view(np.uint64)[:, 0]


def read_plink1(source: str, *, choose: Choose, region: str | None, policies: Policies) -> Genotypes:
    """Read a PLINK 1 file set: unphased, unless all calls are haploid.

    A .bed holds a haploid call as a homozygous one: as PLINK does, homozygous calls of men (sex 1 in the .fam) on X or
    23 and of everybody on Y, 24, MT or 26 are read as haploid. A2 is REF and A1 is ALT, as PLINK 2 takes them; an
    unknown A1 (0 or .) is the ALT ".", an unknown A2 the REF "N". Equal to what `plink2 --export vcf` and, but for Y
    and MT, `plink1.9 --keep-allele-order --recode vcf` export. The phenotype of the .fam is not read.
    """
    stem = source.removesuffix(".bed")
    for name in (source, f"{stem}.bim", f"{stem}.fam"):
        if not os.path.isfile(name):
            raise MissingFile(f"There is no file {name}; a PLINK 1 file set is NAME.bed, NAME.bim and NAME.fam.")
    sexes = _read_fam(f"{stem}.fam")
    people = list(sexes)
    samples = list(choose(people))
    variants, lines = _read_bim(f"{stem}.bim")
    sample_major = _check_bed(source, stem, len(variants), len(people))
    keep = wanted_sites(
        variants,
        source,
        region=region,
        policies=policies,
        place=lambda i: f"{stem}.bim, line {lines[i]}",
        sort=f"sort the files with `plink1.9 --bfile {stem} --keep-allele-order --make-bed --out NEW`",
        zero_is_unknown=True,
    )
    number = {name: i for i, name in enumerate(people)}
    chosen = np.array([number[s] for s in samples], dtype=np.intp)
    calls = empty_calls((len(keep), len(samples), 2))
    if sample_major:
        step = max(1, _BLOCK // (2 * len(variants)))
        _decode(source, len(variants), chosen, keep, step, calls.swapaxes(0, 1))
    else:
        step = max(1, 4 * _IN_CACHE // len(people))
        _decode(source, len(people), keep, slice(len(people)) if samples == people else chosen, step, calls)
    part = variants if len(keep) == len(variants) else variants.select(keep)
    nameless = np.flatnonzero(part.alt == ".")
    carried = (calls[nameless] == 1).any(axis=2)
    if carried.any():
        i, sample = np.argwhere(carried)[0]
        reason = f"{part.name(nameless[i])} has no name for the allele A1, which sample {samples[sample]} carries."
        refuse(f"{stem}.bim", int(lines[keep[nameless[i]]]), reason)
    male = np.array([sexes[name] == "1" for name in samples], dtype=bool)
    calls = as_men_are(calls, part, male, samples, source, policies.haploid == "diploid")
    # haploid calls have one order only, as those of a VCF
    return Genotypes(calls, part, np.array(samples, dtype=object), {}, phased=calls.shape[2] == 1)


def _decode(source: str, length: int, rows: np.ndarray, within: np.ndarray | slice, step: int, out: np.ndarray) -> None:
    """Decode some rows of a .bed, `step` of them at a time, and of each what is wanted of its `length` calls."""
    packed = np.memmap(source, dtype=np.uint8, mode="r", offset=len(_MAGIC) + 1).reshape(-1, -(-length // 4))
    for start in range(0, len(rows), step):
        four = _FOUR_CALLS[packed[rows[start : start + step]]]
        out[start : start + step] = four.view(np.int8).reshape(len(four), -1, 2)[:, within]


def _read_fam(path: str) -> dict[str, str]:
    """Return the sex code of each person."""
    table = list(rows(path, "family, individual, father, mother, sex, phenotype"))
    advice = "; each needs an id (column 2) of their own, whatever the family (`plink1.9 --update-ids` changes them)"
    return dict(zip(sample_names(path, table, 1, advice), (fields[4] for _, fields in table), strict=True))


def _read_bim(path: str) -> tuple[Variants, np.ndarray]:
    """Return the sites, and the number of the line of each."""
    lines: list[int] = []
    sites: list[tuple[str, int, str, str, str]] = []
    for number, (contig, name, _, place, a1, a2, *_) in rows(path, "contig, id, cM, position, A1, A2"):
        lines.append(number)
        ref, alt = "N" if a2 in _UNKNOWN else a2, "." if a1 in _UNKNOWN else a1
        sites.append((contig, position(path, number, place), name, ref, alt))
    if not sites:
        raise DataError(f"{path} has no sites.")
    columns: Any = zip(*sites, strict=True)
    return Variants(*columns), np.array(lines)


def _check_bed(source: str, stem: str, n_variants: int, n_people: int) -> bool:
    """Check signature and size; return whether the file is sample-major."""
    with open(source, "rb") as stream:
        head = stream.read(3)
        size = os.fstat(stream.fileno()).st_size
    if head[:2] != _MAGIC or head[2:] not in (b"\0", b"\1"):
        fault = f"it begins with the bytes {head.hex(' ') or '(none)'}"
        needed = "such a file begins with 6c 1b 01, or 6c 1b 00 if it is sample-major"
        raise DataError(f"{source} is not a PLINK 1 .bed file: {fault}; {needed}.")
    sample_major = head[2] == 0
    outer, inner = (n_people, n_variants) if sample_major else (n_variants, n_people)
    expected = 3 + outer * (-(-inner // 4))
    if size != expected:
        tables = f"{n_variants} sites in {stem}.bim and {n_people} samples in {stem}.fam make {expected}"
        reason = "the files do not belong together, or one is truncated"
        raise DataError(f"{source} has {size} bytes, but {tables}: {reason}.")
    return sample_major


def write_plink1(genotypes: People, target: str, *, force: bool, command: str | None, seed: int | None) -> list[Path]:
    """Write NAME.bed (variant-major), NAME.bim, NAME.fam and the panel file; see `pgcgan.write`.

    A1 is ALT and A2 is REF; FID is 0, sex is that of the label `gender` if it says male or female. There is no place
    for `command` and `seed`.
    """
    from bed_reader import create_bed

    _check(genotypes, target)
    name = os.path.basename(target)
    stem = name.removesuffix(".bed")
    n = genotypes.n_samples
    with outputs(genotypes, target, ".bed", [f"{stem}.bim", f"{stem}.fam"], force=force) as (workspace, written):
        # It writes tables of its own, in the encoding of the locale and with arrays as wide as the longest allele.
        nowhere = {"fam_location": os.devnull, "bim_location": os.devnull}
        bed = create_bed(Path(workspace, name), n, genotypes.n_variants, **nowhere)
        with bed.file_pointer:  # `with bed` would hide what stopped it behind an error about its own counts
            step = max(1, _IN_CACHE // n)
            for start in range(0, genotypes.n_variants, step):
                for counts in _counts(genotypes, start, start + step):
                    bed.write(counts)
        bed.close()
        v = genotypes.variants
        alts = np.where(v.alt == ".", "0", v.alt)
        sites = zip(v.contig, v.id, np.full(len(v), "0"), v.position, alts, v.ref, strict=True)
        write_rows(os.path.join(workspace, f"{stem}.bim"), sites)
        sexes = [_SEXES.get(sex, "0") for sex in genotypes.labels.get("gender", [""] * n)]
        people = [("0", sample, "0", "0", sex, "-9") for sample, sex in zip(genotypes.samples, sexes, strict=True)]
        write_rows(os.path.join(workspace, f"{stem}.fam"), people)
    return written


def _check(genotypes: People, target: str) -> None:
    check_writable(genotypes)
    if genotypes.phased:
        advice = "unphased=True (--unphased) writes them as unordered pairs"
        raise DataError(f"{target} cannot hold phase, which the genotypes have; {advice}.")
    if genotypes.ploidy != 2:
        advice = "read them with haploid='diploid' (--haploid diploid), which doubles them, or write another format"
        raise DataError(f"{target} cannot tell haploid genotypes, which these are, from homozygous ones; {advice}.")
    variants = genotypes.variants
    check_positions(variants, target)
    given = {"ref": variants.ref, "alt": variants.alt, "sample name": genotypes.samples}
    for name, value in (("ref", "0"), ("ref", "."), ("alt", "0"), ("sample name", "0")):
        if (given[name] == value).any():
            raise DataError(f"The {name} {value!r} cannot be written to {target}: PLINK takes it for unknown.")
    blank = [repr(s) for s in genotypes.samples if len(s.split()) != 1]
    if blank:
        reason = f"cannot be written to {target}, whose columns are separated by blanks: {listed(blank)}"
        raise DataError(f"Sample names with blanks in them {reason}.")


def _counts(genotypes: People, start: int, end: int) -> np.ndarray:
    """Return counts of ALT, int8, shape (variants, samples), -127 for missing."""
    words = np.ascontiguousarray(genotypes.calls[start:end]).view("<u2")[..., 0]
    total = words >> 8
    total += words & 0xFF
    counts = total.astype(np.int8)
    missing = total > 2
    if missing.any():
        half = missing & (total != 2 * 0xFF)
        if half.any():
            v, s = np.argwhere(half)[0]
            call = f"The half-call of sample {genotypes.samples[s]} at {genotypes.variants.name(start + int(v))}"
            raise DataError(f"{call} cannot be written to a .bed file; make it missing.")
        counts[missing] = _MISSING_COUNT
    return counts
