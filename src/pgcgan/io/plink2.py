"""Reading and writing PLINK 2: calls in .pgen (by pgenlib), sites in .pvar or .pvar.zst, people in .psam.

A .pgen holds a haploid call as a homozygous one. As `plink2 --export vcf` does, homozygous calls of men on X and of
everybody on Y and MT are read as haploid; the policy `haploid` then applies as for VCF.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError, MissingExtra, MissingFile, UsageError, listed
from ..genotypes import MISSING, Genotypes
from ..regions import parse_region
from ..runtime.files import open_regular
from ..text import repeated
from .header import contig_table
from .outputs import check_positions, check_writable, outputs
from .ploidy import SEX_LABELS, SEXES, haploid_people
from .records import ABSENT, UNKNOWN_POSITION, Choose, Policies, Site, Table
from .scratch import People
from .table import numbered_lines, position, refuse, rows, sample_names, write_rows
from .vcf_write import origin_lines

PGEN_SUFFIXES = (".pgen",)
_MISSING_CODE = -9  # of pgenlib
_BLOCK = 1 << 21  # allele codes encoded at a time
_DECODED = 1 << 17  # allele codes decoded at a time: they stay in the cache of the processor
_MAX_POSITION = (1 << 31) - 4  # plink2 holds no position beyond
_NOT_LABELS = ("FID", "IID", "SID", "PAT", "MAT", "SEX")
_UNKNOWN = {"", ".", "NA", "NAN", "NONE", "-9"}  # a missing value of a .psam column


def read_plink2(pgen: str, *, choose: Choose, region: str | None, policies: Policies) -> Genotypes:
    """Read NAME.pgen with NAME.pvar or NAME.pvar.zst and NAME.psam.

    The hard calls are those of pgenlib and `plink2 --export vcf`; `phased` if every heterozygous call is. A file
    without any heterozygous call holds no phase and is read as unphased. The labels are the categorical columns of the
    .psam that have a value for everybody, and `gender` (male, female, unknown) from SEX.
    """
    stem = pgen.removesuffix(".pgen")
    n_variants, n_samples = _counts(pgen)
    people, male, labels = read_psam(f"{stem}.psam")
    _agree(pgen, f"{stem}.psam", "samples", n_samples, len(people))
    samples = list(choose(people))
    pvar = f"{stem}.pvar"
    if not os.path.exists(pvar) and os.path.exists(pvar + ".zst"):
        pvar += ".zst"
    sites = read_pvar(pvar, region)
    _agree(pgen, pvar, "variants", n_variants, len(sites.n_alleles))
    row = {name: i for i, name in enumerate(people)}
    chosen = np.array([row[s] for s in samples], dtype=np.uint32)
    table = Table(pgen, samples, policies, region, expected=len(sites.sites))
    with _reader(pgen, n_variants, n_samples, chosen, sites.n_alleles) as reader:
        order = None if (chosen[1:] > chosen[:-1]).all() else np.argsort(np.argsort(chosen))
        _fill(table, reader, sites, order, male[chosen])
    return table.finish(sites.contig_lengths, sites.assembly, {name: v[chosen] for name, v in labels.items()})


def _counts(pgen: str) -> tuple[int, int]:
    """Return the number of variants and of samples in the header."""
    try:
        with open_regular(pgen) as stream:
            head = stream.read(12)
    except FileNotFoundError:
        raise MissingFile(f"There is no file {pgen}.") from None
    except OSError as error:
        raise DataError(f"{pgen} cannot be opened: {error.strerror}.") from None
    if head[:3] == b"\x6c\x1b\x01":
        raise DataError(
            f"{pgen} is a PLINK 1 .bed by its first bytes; `plink2 --bfile NAME --make-pgen` makes a .pgen of one."
        )
    if head[:2] != b"\x6c\x1b":
        shown = f"with {head[:4].hex(' ')}" if head else "nothing: it is empty"
        raise DataError(f"{pgen} is not a PLINK 2 .pgen file (one begins with the bytes 6c 1b, this {shown}).")
    if len(head) < 12:
        raise DataError(f"{pgen} is truncated: it ends inside its header; fetch it again.")
    if head[2] in (0x20, 0x21):
        advice = "`plink2 --pfile NAME --make-pgen` writes one with the index inside"
        raise DataError(f"{pgen} has its index in a file of its own (.pgen.pgi), which is not read; {advice}.")
    return int.from_bytes(head[3:7], "little"), int.from_bytes(head[7:11], "little")


def _agree(pgen: str, beside: str, things: str, count: int, listed: int) -> None:
    if count != listed:
        reason = "they are not of the same set, or one is truncated"
        raise DataError(f"{pgen} holds {count} {things}, {beside} lists {listed}: {reason}.")


@contextmanager
def _reader(pgen: str, n_variants: int, n_samples: int, chosen: np.ndarray, n_alleles: np.ndarray) -> Iterator[Any]:
    pgenlib = _pgenlib("Reading")
    offsets = np.concatenate([[0], np.cumsum(n_alleles)]).astype(np.uintp) if n_alleles.max(initial=2) > 2 else None
    try:
        sizes = {"raw_sample_ct": n_samples, "variant_ct": n_variants, "allele_idx_offsets": offsets}
        with pgenlib.PgenReader(os.fsencode(pgen), sample_subset=np.sort(chosen), **sizes) as reader:
            yield reader
    except RuntimeError as error:
        message = error.args[0] if error.args else ""
        text = " ".join((message.decode(errors="replace") if isinstance(message, bytes) else str(message)).split())
        raise DataError(f"{pgen} is truncated or damaged, pgenlib says: {text.rstrip('.')}; fetch it again.") from None


def _pgenlib(purpose: str) -> Any:
    try:
        import pgenlib
    except ImportError:
        raise MissingExtra("Pgenlib", "plink", f"{purpose} .pgen files") from None
    return pgenlib


def _fill(table: Table, reader: Any, sites: Sites, order: np.ndarray | None, male: np.ndarray) -> None:
    n = len(male)
    size = max(1, _DECODED // (2 * n))
    codes = np.empty((size, 2 * n), dtype=np.int32)
    known = np.zeros((size, n), dtype=bool)
    dosages = np.empty((size, n), dtype=np.int8)
    has_phase = bool(reader.hardcall_phase_present()) and not table.policies.unphased
    haploid = {contig: haploid_people(contig, sites.human, male) for contig in sites.contig_lengths}
    usual = np.array([len(site.alts) == 1 and haploid[site.contig] is None for site in sites.sites], dtype=bool)
    for part in _stretches(sites.numbers, usual, size):
        some = sites.sites[part]
        first, end = sites.numbers[part.start], sites.numbers[part.stop - 1] + 1
        if usual[part.start] and not has_phase:
            counts = dosages[: len(some)]
            reader.read_range(first, end, counts)
            calls = table.rows(len(some))
            _split(counts if order is None else counts[:, order], calls)
            table.add_rows(some, calls, False)
            continue
        if has_phase:
            reader.read_alleles_and_phasepresent_range(first, end, codes, known)
        else:
            reader.read_alleles_range(first, end, codes)
        calls, phased = codes[: len(some)].reshape(-1, n, 2), known[: len(some)]
        if order is not None:
            calls, phased = calls[:, order], phased[:, order]
        # a missing call counts as unphased
        if usual[part.start] and (phased.all() or (phased | (calls[..., 0] < 0)).all()):
            table.add_rows(some, calls, True)
            continue
        for site, codes_of_site, separators in zip(some, calls, phased, strict=True):
            if table.place(site) == "take":  # or it is dropped; none is outside the region
                alleles = np.where(codes_of_site == _MISSING_CODE, MISSING, codes_of_site)
                single = haploid[site.contig]
                if single is not None:
                    alleles[single & (alleles[:, 0] == alleles[:, 1]), 1] = ABSENT
                table.add(site, alleles, separators)


def _stretches(numbers: Sequence[int], usual: np.ndarray, size: int) -> Iterator[slice]:
    """Yield ranges of sites that follow each other in the file, all biallelic and diploid in everybody, or none."""
    ends = np.flatnonzero((np.diff(numbers) != 1) | (usual[1:] != usual[:-1])) + 1
    for first, end in pairwise([0, *ends.tolist(), len(usual)]):
        for start in range(first, end, size):
            yield slice(start, min(end, start + size))


def _split(counts: np.ndarray, rows: np.ndarray) -> None:
    """Write numbers of ALT alleles as calls 0/0, 0/1 and 1/1; one call is a word of two bytes."""
    words = rows.view("<u2")[..., 0]
    np.copyto(words, counts, casting="unsafe")
    words += 1
    words >>= 1  # 0, 1, 1: the second allele
    words <<= 8
    words |= counts.view(np.uint8) >> 1
    if counts.min() < 0:
        words[counts < 0] = 0xFFFF


# ---- the tables beside a .pgen ------------------------------------------------------------------------------------


def read_psam(psam: str) -> tuple[list[str], np.ndarray, dict[str, np.ndarray]]:
    """Return the samples of a .psam, or of a .fam under that name, who of them is male, and the labels."""
    _check_there(psam)
    table = list(rows(psam, comment="##"))
    if not table:
        raise DataError(f"{psam} is empty; a line '#IID SEX …' and a line for each person are needed.")
    header = table[0][1]
    if header[0] in ("#IID", "#FID"):
        columns, table = [header[0][1:], *header[1:]], table[1:]
    elif header[0].startswith("#"):
        raise DataError(f"{psam}: the header line begins with {header[0]!r}; accepted: #IID, #FID.")
    else:  # a .psam without a header line has the columns of a .fam
        columns = ["FID", "IID", "PAT", "MAT", "SEX", "PHENO1"]
        if len(header) != len(columns):
            refuse(psam, table[0][0], f"it has {len(header)} columns instead of {len(columns)}.")
    if "IID" not in columns:
        raise DataError(f"{psam} has no column IID; its columns: {listed(columns, 10)}.")
    twice = repeated(columns)
    if twice:
        raise DataError(f"{psam} has columns of the same name: {listed(twice)}.")
    samples = sample_names(psam, table, columns.index("IID"))
    values = {c: [row[i] for _, row in table] for i, c in enumerate(columns)}
    sexes = np.array([SEXES.get(v.upper(), "unknown") for v in values.get("SEX", ["NA"] * len(samples))], dtype=object)
    labels = {}
    for column, cells in values.items():
        # numbers are case and control codes and measurements; categories are words
        if column not in _NOT_LABELS and not any(c.upper() in _UNKNOWN or _is_number(c) for c in cells):
            labels[column] = np.array(cells, dtype=object)
    if (sexes != "unknown").any():
        labels["gender"] = sexes
    return samples, sexes == "male", labels


def _is_number(text: str) -> bool:
    """True if plink2 would take a value of a .psam column as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class Sites(NamedTuple):
    """The sites of a .pvar: those that may be wanted, and the number of alleles of all."""

    sites: list[Site]
    numbers: list[int]  # of each in the file
    n_alleles: np.ndarray
    contig_lengths: dict[str, int | None]
    assembly: str | None
    human: bool


def read_pvar(pvar: str, region: str | None) -> Sites:
    """Read a .pvar or .pvar.zst."""
    wanted_contig, first, last = (None, 0, None) if region is None else parse_region(region)
    meta: list[str] = []
    sites: list[Site] = []
    numbers: list[int] = []
    n_alleles: list[int] = []
    seen: dict[str, None] = {}
    place: list[int] | None = None
    _check_there(pvar)
    for number, line in numbered_lines(pvar):
        if line.startswith("##"):
            meta.append(line)
            continue
        if place is None:
            place, separator = _pvar_columns(pvar, line)
            width = max(place) + 1
            continue
        if not line:
            continue
        fields = line.split(separator, width)
        if len(fields) < width:
            refuse(pvar, number, f"it has {len(fields)} columns instead of at least {width}.")
        contig, position_text, identifier, ref, alt = (fields[i] for i in place)
        place_on = position(pvar, number, position_text)
        seen[contig] = None
        if wanted_contig is None or (contig == wanted_contig and first <= place_on <= (last or place_on)):
            if not place_on:
                refuse(pvar, number, f"{identifier} has {UNKNOWN_POSITION}.")
            alts = () if alt == "." else tuple(alt.split(","))
            sites.append(Site(contig, place_on, identifier, ref, alts))
            numbers.append(len(n_alleles))
        n_alleles.append(2 + alt.count(","))
    if place is None:
        raise DataError(f"{pvar} has no header line '#CHROM POS ID REF ALT'.")
    lengths, assembly = contig_table(meta, pvar)
    lengths.update((contig, None) for contig in seen if contig not in lengths)
    human = not any(line.startswith("##chrSet") for line in meta)
    return Sites(sites, numbers, np.array(n_alleles, dtype=np.int64), lengths, assembly, human)


def _pvar_columns(pvar: str, line: str) -> tuple[list[int], str | None]:
    """Return where CHROM, POS, ID, REF and ALT are, and what separates columns (None: blanks)."""
    separator = "\t" if "\t" in line else None
    columns = line.split(separator)
    wanted = ["#CHROM", "POS", "ID", "REF", "ALT"]
    if columns[:1] != ["#CHROM"] or not set(wanted) <= set(columns):
        advice = "`plink2 --pfile NAME --make-pgen` writes one"
        raise DataError(f"{pvar} has no header line '#CHROM POS ID REF ALT', but {line[:40]!r}; {advice}.")
    return [columns.index(name) for name in wanted], separator


def _check_there(path: str) -> None:
    if not os.path.exists(path):
        stem, suffix = os.path.splitext(path)
        other = f" (nor {path}.zst)" if suffix == ".pvar" else ""
        raise MissingFile(f"There is no file {path}{other}, which belongs to {stem}.pgen.")


# ---- writing ------------------------------------------------------------------------------------------------------


def write_plink2(genotypes: People, target: str, *, force: bool, command: str | None, seed: int | None) -> list[Path]:
    """Write NAME.pgen, NAME.pvar, NAME.psam and, if there are labels, NAME.panel.tsv; see `pgcgan.write`.

    Labels of words go into the .psam too, as categorical columns, and `gender` as SEX. Where contigs are not
    chromosomes (scaffolds), plink2 needs --allow-extra-chr to read them.
    """
    check_writable(genotypes)
    sexes = _sexes(genotypes.labels, genotypes.n_samples)
    _check_pgen(genotypes, sexes)
    pgenlib = _pgenlib("Writing")
    name = os.path.basename(target)
    stem = name.removesuffix(".pgen")
    others = [f"{stem}.pvar", f"{stem}.psam"]
    with outputs(genotypes, target, ".pgen", others, force=force, stale=[f"{stem}.pvar.zst"]) as (workspace, written):
        pgen, pvar, psam = (os.path.join(workspace, n) for n in (name, *others))
        try:
            _write_pgen(pgenlib, genotypes, pgen)
        except RuntimeError as error:
            raise UsageError(f"{target} cannot be written: pgenlib says {str(error).rstrip('.')}.") from None
        v = genotypes.variants
        head = [*origin_lines(genotypes, command, seed), "#CHROM\tPOS\tID\tREF\tALT"]
        write_rows(pvar, zip(v.contig, v.position, v.id, v.ref, v.alt, strict=True), head)
        labels = {column: genotypes.labels[column] for column in _psam_columns(genotypes)}
        people = zip(genotypes.samples, sexes, *labels.values(), strict=True)
        write_rows(psam, people, ["\t".join(["#IID", "SEX", *labels])])
    return written


def _write_pgen(pgenlib: Any, genotypes: People, partial: str) -> None:
    n = genotypes.n_samples
    flags = {"nonref_flags": False, "hardcall_phase_present": genotypes.phased}
    writer = pgenlib.PgenWriter(os.fsencode(partial), n, variant_ct=genotypes.n_variants, **flags)
    size = max(1, _BLOCK // (2 * n))
    for start in range(0, genotypes.n_variants, size):
        calls = genotypes.calls[start : start + size]
        codes = np.empty((len(calls), n, 2), dtype=np.int32)
        codes[...] = calls  # a haploid call fills both sides
        if calls.min() < 0:
            absent = codes < 0
            half = absent[..., 0] != absent[..., 1]
            if half.any():
                v, s = np.argwhere(half)[0]
                call = f"The half-call of sample {genotypes.samples[s]} at {genotypes.variants.name(start + int(v))}"
                reason = "in which both alleles of a call are known or none; make it missing, or write a VCF"
                raise DataError(f"{call} cannot be written to a .pgen, {reason}.")
            codes[absent] = _MISSING_CODE
        writer.append_alleles_batch(codes.reshape(len(calls), 2 * n), all_phased=genotypes.phased)
    writer.close()


def _sexes(labels: Mapping[str, np.ndarray], n: int) -> list[str]:
    given = next((labels[column] for column in SEX_LABELS if column in labels), [""] * n)
    codes = {"male": "1", "female": "2"}
    return [codes.get(SEXES.get(v.upper(), ""), "NA") for v in given]


def _psam_columns(genotypes: People) -> list[str]:
    """Return the labels that plink2 takes as categories: words that do not begin as numbers do."""
    columns: list[str] = []
    for column, values in genotypes.labels.items():
        words = all(re.fullmatch(r"[^\W\d]\S*", v) and v.upper() not in _UNKNOWN and not _is_number(v) for v in values)
        taken = {*_NOT_LABELS, *(c.upper() for c in columns)}
        if column not in SEX_LABELS and words and re.fullmatch(r"\w\S*", column) and column.upper() not in taken:
            columns.append(column)
    return columns


def _check_pgen(genotypes: People, sexes: Sequence[str]) -> None:
    bad = next((s for s in genotypes.samples if re.search(r"\s", s) or s == "0" or s.startswith("#")), None)
    if bad is not None:
        raise DataError(f"The sample name {bad!r} cannot be written to a .psam: it is 0, begins with #, or has blanks.")
    variants = genotypes.variants
    check_positions(variants, "a .pvar")
    if variants.position.max() > _MAX_POSITION:
        i = int(variants.position.argmax())
        raise DataError(f"Variant {variants.name(i)} cannot be written to a .pvar: positions end at {_MAX_POSITION}.")
    if genotypes.ploidy == 1:
        male = np.array([sex == "1" for sex in sexes])
        for contig in dict.fromkeys(variants.contig):
            haploid = haploid_people(contig, True, male)
            if haploid is None or not np.all(haploid):
                held = "which holds them for men (label gender) on X and for everybody on Y and MT only; write a VCF"
                raise DataError(f"Haploid calls on contig {contig} cannot be written to a .pgen, {held}.")
