"""Reading and writing IMPUTE haplotypes: NAME.hap(.gz), NAME.legend(.gz) and NAME.samples.

As in `bcftools convert --haplegendsample`: "?" is a missing allele, "-" the second allele that a haploid call does not
have, "*" behind the alleles marks an unphased call. Such a file has no place for the contig but the id
`contig:position_ref_alt`, so that ids of the variants are kept in a fifth column of the legend, `vcf_id`.
"""

from __future__ import annotations

import gzip
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, MissingFile
from ..genotypes import MISSING, Genotypes
from ..regions import parse_region
from .bgzf import MAX_LINE, SAMPLE_BYTES, lines_of, opened
from .outputs import check_writable, outputs
from .records import ABSENT, Choose, Policies, Site, Table
from .scratch import People, site_blocks
from .table import position, refuse, rows, sample_names

IMPUTE_SUFFIXES = (".hap", ".hap.gz")
_BLANK, _ZERO = b" 0"
_BLOCK = 1 << 22  # bytes of calls written at a time
_ALLELES = {b"0": 0, b"1": 1, b"?": MISSING, b"-": ABSENT}
_SEXES = {"1": "male", "male": "male", "2": "female", "female": "female"}
_COLUMNS = {"pop": "population", "super_pop": "group"}  # label -> column of the .samples file


def read_impute(hap: str, *, choose: Choose, region: str | None, policies: Policies) -> Genotypes:
    """Read NAME.hap or NAME.hap.gz, with NAME.legend(.gz) and NAME.samples or NAME.sample.

    The calls are those of `bcftools convert --haplegendsample2vcf`. The labels are `pop`, `super_pop` and `gender`,
    from the columns population, group and sex, where they say something of everybody.
    """
    stem = hap.removesuffix(".gz").removesuffix(".hap")
    suffixes = (".legend.gz", ".legend") if hap.endswith(".gz") else (".legend", ".legend.gz")
    legend = _beside(hap, stem, suffixes)
    people, labels = _read_samples(_beside(hap, stem, (".samples", ".sample")))
    samples = list(choose(people))
    row = {name: i for i, name in enumerate(people)}
    chosen = None if samples == people else np.array([row[s] for s in samples], dtype=np.int64)
    table = Table(hap, samples, policies, region)
    contigs: dict[str, int | None] = {}
    with opened(hap) as stream:
        number = 0
        wanted = True
        lines = lines_of(stream, hap, MAX_LINE + SAMPLE_BYTES * len(people))
        for number, site in enumerate(_read_legend(legend, region), start=1):
            contigs.setdefault(site.contig, None)
            line = next(lines, b"")
            if not line:
                raise DataError(f"{hap} ends after {number - 1} lines, {legend} goes on: one of them is truncated.")
            where = table.place(site) if wanted else "skip"
            wanted = wanted and where != "end"
            if where == "take":
                _decode(table, site, line, number, len(people), chosen)
        if next(lines, b"").strip():
            raise DataError(f"{hap} goes on after {number} lines, with which {legend} ends: one of them is truncated.")
    picked = slice(None) if chosen is None else chosen
    return table.finish(contigs, None, {name: values[picked] for name, values in labels.items()})


def _beside(hap: str, stem: str, suffixes: Sequence[str]) -> str:
    for suffix in suffixes:
        if os.path.exists(stem + suffix):
            return stem + suffix
    if not os.path.exists(hap):
        raise MissingFile(f"There is no file {hap}.")
    raise MissingFile(f"There is no file {' or '.join(stem + s for s in suffixes)}, which belongs to {hap}.")


def _read_legend(legend: str, region: str | None) -> Iterator[Site]:
    columns: list[str] | None = None
    for number, fields in rows(legend):
        if columns is None:
            columns = fields
            if len(fields) < 4 or fields[1].lower() not in ("position", "pos"):
                raise DataError(
                    f"{legend} begins with {' '.join(fields)[:40]!r}; a header 'id position a0 a1' is needed."
                )
            continue
        identifier, place, ref, alt = fields[:4]
        site_position = position(legend, number, place)
        contig = _contig(identifier, place, ref, alt)
        name = fields[columns.index("vcf_id")] if "vcf_id" in columns else "." if contig else identifier
        if contig is None and region is None:
            reason = f"the id {identifier} does not name the contig; a region (region='6', --region 6) names it."
            refuse(legend, number, reason)
        yield Site(contig or parse_region(str(region))[0], site_position, name, ref, () if alt == "." else (alt,))
    if columns is None:
        raise DataError(f"{legend} is empty; a header 'id position a0 a1' and a line for each site are needed.")


def _contig(identifier: str, position: str, ref: str, alt: str) -> str | None:
    """Return the contig, if that is what an id names, beside position and alleles."""
    for between in ("_", ":"):
        tail = f":{position}{between}{ref}{between}{alt}"
        contig = identifier.removesuffix(tail)
        if contig != identifier:
            # the 1000 Genomes legends have ids such as rs367896724:10177:A:AC beside 20:60343:G:A
            return None if re.match(r"(rs|ss|esv)\d", contig) else contig or None
    return None


def _read_samples(path: str) -> tuple[list[str], dict[str, np.ndarray]]:
    table = list(rows(path))
    if not table:
        needed = "a header 'sample population group sex' and a line for each person are needed"
        raise DataError(f"{path} is empty; {needed}.")
    header, table = [c.lower() for c in table[0][1]], table[1:]
    header = ["population" if c == "pop" else c for c in header]  # phase 3 of the 1000 Genomes Project
    if header[:2] == ["id_1", "id_2"]:
        at = 1
        if table and set(table[0][1]) <= {"0", "D", "B", "C", "P"}:  # a second header line: the types of the columns
            table = table[1:]
    elif header[0] in ("sample", "id"):
        at = 0
    else:
        accepted = "accepted headers: 'sample population group sex', 'ID_1 ID_2 missing …'"
        raise DataError(f"{path} begins with {' '.join(header)[:40]!r}; {accepted}.")
    samples = sample_names(path, table, at)
    labels = {}
    for name, column in _COLUMNS.items():
        values = [fields[header.index(column)] for _, fields in table] if column in header else samples
        # bcftools fills these columns with the names of the samples
        if values != samples and "." not in values and "NA" not in values:
            labels[name] = np.array(values, dtype=object)
    if "sex" in header:
        sexes = [_SEXES.get(fields[header.index("sex")].lower(), "unknown") for _, fields in table]
        # bcftools writes 2 for everybody of whom it does not know the sex
        unsaid = {"unknown"} if labels else {"unknown", "female"}
        if not set(sexes) <= unsaid:
            labels["gender"] = np.array(sexes, dtype=object)
    return samples, labels


def _decode(table: Table, site: Site, line: bytes, number: int, n: int, chosen: np.ndarray | None) -> None:
    text = line.rstrip(b"\r\n ")
    if len(text) == 4 * n - 1:
        pairs = np.frombuffer(text + b" ", dtype=np.uint8).reshape(n, 4)
        if chosen is not None:
            pairs = pairs[chosen]
        if ((pairs[:, ::2] | 1) == _ZERO + 1).all() and (pairs[:, 1::2] == _BLANK).all():
            np.bitwise_and(pairs[:, ::2], 1, out=table.row(), casting="unsafe")
            table.add_complete(site, True)
            return
    alleles = text.split()
    if len(alleles) != 2 * n:
        fault = f"{site} has {len(alleles)} alleles instead of {2 * n}, two for each of {n} samples"
        reason = "the file is truncated, or of other people than the .samples file"
        refuse(table.source, number, f"{fault}; {reason}.")
    calls = np.empty((len(table.samples), 2), dtype=np.int32)
    phased = np.ones(len(calls), dtype=bool)
    for i, person in enumerate(range(n) if chosen is None else chosen.tolist()):
        for side in (0, 1):
            allele = alleles[2 * person + side]
            if allele.endswith(b"*"):
                phased[i], allele = False, allele[:-1]
            if allele not in _ALLELES or (side == 0 and allele == b"-"):
                shown, accepted = allele.decode(errors="replace"), "0, 1, ? (missing), - (second of a haploid call)"
                reason = f"{site} has the allele {shown!r} of sample {table.samples[i]}; accepted: {accepted}."
                refuse(table.source, number, reason)
            calls[i, side] = _ALLELES[allele]
    table.add(site, calls, phased)


def write_impute(genotypes: People, target: str, *, force: bool, command: str | None, seed: int | None) -> list[Path]:
    """Write NAME.hap(.gz), NAME.legend(.gz), NAME.samples and, if there are labels, NAME.panel.tsv.

    See `pgcgan.write`. The format has no place for the command and the seed, nor for the lengths of contigs.
    """
    _check(genotypes)
    name = os.path.basename(target)
    zipped = ".gz" if name.endswith(".gz") else ""
    stem = name.removesuffix(".gz").removesuffix(".hap")
    others = [f"{stem}.legend{zipped}", f"{stem}.samples"]
    with outputs(genotypes, target, f".hap{zipped}", others, force=force) as (workspace, written):
        haplotypes, legend, people = (os.path.join(workspace, n) for n in (name, *others))
        _write_lines(haplotypes, _hap_lines(genotypes))
        v = genotypes.variants
        sites = zip(v.contig, v.position, v.ref, v.alt, strict=True)
        names = (f"{contig}:{place}_{ref}_{alt}" for contig, place, ref, alt in sites)
        ids = {"vcf_id": v.id} if (v.id != ".").any() else {}
        _write_table(legend, {"id": names, "position": map(str, v.position), "a0": v.ref, "a1": v.alt, **ids})
        _write_table(people, {"sample": genotypes.samples, **_columns_of(genotypes.labels, genotypes.n_samples)})
    return written


def _check(genotypes: People) -> None:
    check_writable(genotypes)
    way_out = "IMPUTE haplotypes cannot hold that; write a VCF, or phase and impute first."
    if not genotypes.phased:
        raise DataError(f"The genotypes are unphased: {way_out}")
    for start, calls in site_blocks(genotypes):
        if calls.min() < 0:
            site, person, _ = np.argwhere(calls < 0)[0]
            name = genotypes.variants.name(start + int(site))
            raise DataError(f"The call of sample {genotypes.samples[person]} at {name} is missing: {way_out}")
    for name in genotypes.samples:
        if re.search(r"\s", name):
            raise DataError(f"The sample name {name!r} cannot be written to a .samples file: it has blanks.")


def _write_lines(path: str, lines: Iterable[bytes]) -> None:
    with open(path, "wb") as raw:
        stream: Any = nullcontext(raw)
        if path.endswith(".gz"):  # no name and time in the header, so that the same genotypes give the same bytes
            stream = gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=4, mtime=0)
        with stream as file:
            file.writelines(lines)


def _write_table(path: str, columns: Mapping[str, Iterable[str]]) -> None:
    rows = itertools.chain([columns], zip(*columns.values(), strict=True))
    _write_lines(path, (" ".join(row).encode() + b"\n" for row in rows))


def _hap_lines(genotypes: People) -> Iterator[bytes]:
    for _, calls in site_blocks(genotypes, _BLOCK):
        text = np.full((*calls.shape[:2], 4), _BLANK, dtype=np.uint8)
        text[:, :, 2] = ord("-")
        text[:, :, : 2 * genotypes.ploidy : 2] = calls + np.int8(_ZERO)
        text[:, -1, 3] = ord("\n")
        yield text.tobytes()


def _columns_of(labels: Mapping[str, np.ndarray], n: int) -> dict[str, Sequence[str]]:
    """Return the columns of a .samples file besides the names."""
    absent = ["."] * n
    columns: dict[str, Any] = {}
    for name, column in _COLUMNS.items():
        values = labels.get(name, absent)
        # a column is for one word; with a blank in it the line would have one column more
        columns[column] = absent if any(re.search(r"\s", v) for v in values) else values
    sexes = {"male": "1", "female": "2"}
    columns["sex"] = [sexes.get(_SEXES.get(v.lower(), ""), "0") for v in labels.get("gender", absent)]
    return columns
