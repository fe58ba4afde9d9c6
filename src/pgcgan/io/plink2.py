"""Reading and writing PLINK 2: calls in .pgen (by pgenlib), sites in .pvar or .pvar.zst, people in .psam.

A .pgen holds a haploid call as a homozygous one. As `plink2 --export vcf` does, homozygous calls of men on X and of
everybody on Y and MT are read as haploid; the policy `haploid` then applies as for VCF.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, MissingExtra, MissingFile, UsageError
from ..genotypes import MISSING, Genotypes
from ..runtime.inputs import open_regular
from .outputs import check_positions, check_writable, outputs
from .ploidy import SEX_LABELS, SEXES, haploid_people
from .pvar import NOT_LABELS, UNKNOWN, Sites, is_number, read_psam, read_pvar
from .records import ABSENT, Choose, Policies, Site, Table
from .scratch import People
from .vcf_write import origin_lines

PGEN_SUFFIXES = (".pgen",)
_MISSING_CODE = -9  # of pgenlib
_BLOCK = 1 << 21  # allele codes encoded at a time
_DECODED = 1 << 17  # allele codes decoded at a time: they stay in the cache of the processor
_MAX_POSITION = (1 << 31) - 4  # plink2 holds no position beyond


def read_plink2(pgen: str, *, choose: Choose, region: str | None, policies: Policies) -> Genotypes:
    """Read NAME.pgen with NAME.pvar or NAME.pvar.zst and NAME.psam.

    Returns
    -------
    Genotypes
        Hard calls, equal to those of pgenlib and `plink2 --export vcf`; `phased` if every heterozygous call is. A
        file without any heterozygous call holds no phase and is read as unphased. The labels are the categorical
        columns of the .psam that have a value for everybody, and `gender` (male, female, unknown) from SEX.
    """
    stem = pgen.removesuffix(".pgen")
    n_variants, n_samples = _counts(pgen)
    people = read_psam(f"{stem}.psam")
    _agree(pgen, f"{stem}.psam", "samples", n_samples, len(people.samples))
    samples = list(choose(people.samples))
    pvar = f"{stem}.pvar"
    if not os.path.exists(pvar) and os.path.exists(pvar + ".zst"):
        pvar += ".zst"
    sites = read_pvar(pvar, region)
    _agree(pgen, pvar, "variants", n_variants, len(sites.n_alleles))
    row = {name: i for i, name in enumerate(people.samples)}
    chosen = np.array([row[s] for s in samples], dtype=np.uint32)
    table = Table(pgen, samples, policies, region, expected=len(sites.sites))
    with _reader(pgen, n_variants, n_samples, chosen, sites.n_alleles) as reader:
        order = None if (chosen[1:] > chosen[:-1]).all() else np.argsort(np.argsort(chosen))
        _fill(table, reader, sites, order, people.male[chosen])
    genotypes = table.finish(sites.contig_lengths, sites.assembly)
    labels = {name: values[chosen] for name, values in people.labels.items()}
    return genotypes.with_labels(labels) if labels else genotypes


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
        raise DataError(
            f"{pgen} has its index in a file of its own (.pgen.pgi), which is not read; `plink2 --pfile NAME "
            "--make-pgen` writes one with the index inside."
        )
    return int.from_bytes(head[3:7], "little"), int.from_bytes(head[7:11], "little")


def _agree(pgen: str, beside: str, things: str, count: int, listed: int) -> None:
    if count != listed:
        raise DataError(
            f"{pgen} holds {count} {things}, {beside} lists {listed}: they are not of the same set, or one is "
            "truncated."
        )


@contextmanager
def _reader(pgen: str, n_variants: int, n_samples: int, chosen: np.ndarray, n_alleles: np.ndarray) -> Iterator[Any]:
    pgenlib = _pgenlib("reading .pgen files")
    offsets = np.concatenate([[0], np.cumsum(n_alleles)]).astype(np.uintp) if n_alleles.max(initial=2) > 2 else None
    try:
        reader = pgenlib.PgenReader(
            os.fsencode(pgen),
            raw_sample_ct=n_samples,
            variant_ct=n_variants,
            sample_subset=np.sort(chosen),
            allele_idx_offsets=offsets,
        )
        with reader:
            yield reader
    except RuntimeError as error:
        message = error.args[0] if error.args else ""
        text = " ".join((message.decode(errors="replace") if isinstance(message, bytes) else str(message)).split())
        raise DataError(f"{pgen} is truncated or damaged, pgenlib says: {text.rstrip('.')}; fetch it again.") from None


def _pgenlib(purpose: str) -> Any:
    try:
        import pgenlib
    except ImportError:
        raise MissingExtra("Pgenlib", "plink", purpose[0].upper() + purpose[1:]) from None
    return pgenlib


def _fill(table: Table, reader: Any, sites: Sites, order: np.ndarray | None, male: np.ndarray) -> None:
    n = len(male)
    size = max(1, _DECODED // (2 * n))
    codes = np.empty((size, 2 * n), dtype=np.int32)
    known = np.empty((size, n), dtype=bool)
    dosages = np.empty((size, n), dtype=np.int8)
    has_phase = bool(reader.hardcall_phase_present())
    haploid = {contig: haploid_people(contig, sites.human, male) for contig in sites.contig_lengths}
    at = 0
    while at < len(sites.sites):
        some, index = sites.sites[at : at + size], sites.index[at : at + size]
        if index[-1] - index[0] >= len(index):  # up to the first gap
            index = index[: int((np.diff(index) > 1).argmax()) + 1]
            some = some[: len(index)]
        at += len(some)
        usual = _usual(some, haploid)
        if usual and not has_phase:
            counts = dosages[: len(some)]
            reader.read_range(index[0], index[-1] + 1, counts)
            rows = table.rows(len(some))
            _split(counts if order is None else counts[:, order], rows)
            if not table.add_rows(some, rows, False):
                return
            continue
        if has_phase:
            reader.read_alleles_and_phasepresent_range(index[0], index[-1] + 1, codes, known)
        else:
            reader.read_alleles_range(index[0], index[-1] + 1, codes)
        calls = codes[: len(some)].reshape(-1, n, 2)
        phased = known[: len(some)] if has_phase else None
        if order is not None:
            calls, phased = calls[:, order], None if phased is None else phased[:, order]
        # a missing call counts as unphased
        if usual and (phased is None or phased.all() or (phased | (calls[..., 0] < 0)).all()):
            if not table.add_rows(some, calls, has_phase):
                return
            continue
        for i, site in enumerate(some):
            where = table.place(site)
            if where == "end":
                return
            if where == "take":
                _add(table, site, calls[i], None if phased is None else phased[i], haploid[site.contig])


def _usual(some: Sequence[Site], haploid: Mapping[str, np.ndarray | bool | None]) -> bool:
    """True if all records are biallelic, and diploid in everybody."""
    return all(len(site.alts) == 1 and haploid[site.contig] is None for site in some)


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


def _add(
    table: Table, site: Site, calls: np.ndarray, phased: np.ndarray | None, haploid: np.ndarray | bool | None
) -> None:
    """Add a record; `phased` is None in a file without phase, and is False for missing calls, True for homozygous."""
    if haploid is None and len(site.alts) == 1 and (phased is None or phased.all()):
        row = table.row()
        np.copyto(row, calls, casting="unsafe")
        if phased is not None or row.min() >= 0:
            table.add_complete(site, phased is not None)
            return
    calls = np.where(calls == _MISSING_CODE, MISSING, calls)
    if haploid is not None:
        first, second = calls.T
        second[haploid & (first == second)] = ABSENT
    table.add(site, calls, np.zeros(len(calls), dtype=bool) if phased is None else phased)


# ---- writing ------------------------------------------------------------------------------------------------------


def write_plink2(genotypes: People, target: str, *, force: bool, command: str | None, seed: int | None) -> list[Path]:
    """Write NAME.pgen, NAME.pvar, NAME.psam and, if there are labels, NAME.panel.tsv; see `pgcgan.write`.

    Labels of words go into the .psam too, as categorical columns, and `gender` as SEX. Where contigs are not
    chromosomes (scaffolds), plink2 needs --allow-extra-chr to read them.
    """
    check_writable(genotypes)
    sexes = _sexes(genotypes.labels, genotypes.n_samples)
    _check_pgen(genotypes, sexes)
    pgenlib = _pgenlib("writing .pgen files")
    name = os.path.basename(target)
    stem = name.removesuffix(".pgen")
    others = [f"{stem}.pvar", f"{stem}.psam"]
    with outputs(genotypes, target, ".pgen", others, force=force, stale=[f"{stem}.pvar.zst"]) as (workspace, written):
        pgen, pvar, psam = (os.path.join(workspace, n) for n in (name, *others))
        try:
            _write_pgen(pgenlib, genotypes, pgen)
        except RuntimeError as error:
            raise UsageError(f"{target} cannot be written: pgenlib says {str(error).rstrip('.')}.") from None
        with open(pvar, "w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{line}\n" for line in origin_lines(genotypes, command, seed))
            stream.write("#CHROM\tPOS\tID\tREF\tALT\n")
            v = genotypes.variants
            for row in zip(v.contig, v.position.tolist(), v.id, v.ref, v.alt, strict=True):
                stream.write("\t".join(map(str, row)) + "\n")
        with open(psam, "w", encoding="utf-8", newline="\n") as stream:
            columns = _psam_columns(genotypes)
            stream.write("\t".join(["#IID", "SEX", *columns]) + "\n")
            for i, sample in enumerate(genotypes.samples):
                stream.write("\t".join([sample, sexes[i], *(genotypes.labels[c][i] for c in columns)]) + "\n")
    return written


def _write_pgen(pgenlib: Any, genotypes: People, partial: str) -> None:
    n = genotypes.n_samples
    writer = pgenlib.PgenWriter(
        os.fsencode(partial),
        n,
        variant_ct=genotypes.n_variants,
        nonref_flags=False,
        hardcall_phase_present=genotypes.phased,
    )
    size = max(1, _BLOCK // (2 * n))
    for start in range(0, genotypes.n_variants, size):
        calls = genotypes.calls[start : start + size]
        codes = np.empty((len(calls), n, 2), dtype=np.int32)
        codes[...] = calls  # a haploid call fills both sides
        if calls.min() < 0:
            absent = codes < 0
            half = absent[..., 0] != absent[..., 1]
            if half.any():
                i, person = np.argwhere(half)[0]
                name = genotypes.variants.name(start + int(i))
                raise DataError(
                    f"The half-call of sample {genotypes.samples[person]} at {name} cannot be written to a .pgen, "
                    "in which both alleles of a call are known or none; make it missing, or write a VCF."
                )
            codes[absent] = _MISSING_CODE
        writer.append_alleles_batch(codes.reshape(len(calls), 2 * n), all_phased=genotypes.phased)
    writer.close()


def _sexes(labels: Mapping[str, np.ndarray], n: int) -> list[str]:
    column = next((c for c in SEX_LABELS if c in labels), None)
    words = ["" if column is None else SEXES.get(str(v).upper(), "") for v in (labels[column] if column else [""] * n)]
    return [{"male": "1", "female": "2"}.get(word, "NA") for word in words]


def _psam_columns(genotypes: People) -> list[str]:
    """Return the labels that plink2 takes as categories: words that do not begin as numbers do."""
    columns: list[str] = []
    for column, values in genotypes.labels.items():
        words = all(re.fullmatch(r"[^\W\d]\S*", v) and v.upper() not in UNKNOWN and not is_number(v) for v in values)
        taken = {*NOT_LABELS, *(c.upper() for c in columns)}
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
                raise DataError(
                    f"Haploid calls on contig {contig} cannot be written to a .pgen, which holds them for men (label "
                    "gender) on X and for everybody on Y and MT only; write a VCF."
                )
