"""The tables beside a .pgen: sites (.pvar, .pvar.zst) and people (.psam)."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, MissingFile, listed
from ..regions import parse_region
from ..text import repeated
from .header import contig_table
from .ploidy import SEXES
from .records import UNKNOWN_POSITION, Site
from .table import numbered_lines, position, refuse, rows, sample_names

NOT_LABELS = ("FID", "IID", "SID", "PAT", "MAT", "SEX")
UNKNOWN = {"", ".", "NA", "NAN", "NONE", "-9"}  # a missing value of a .psam column


@dataclass(frozen=True)
class People:
    """The people of a .psam."""

    samples: list[str]
    male: np.ndarray
    labels: dict[str, np.ndarray]


@dataclass(frozen=True)
class Sites:
    """The sites of a .pvar: those that may be wanted, and the number of alleles of all."""

    sites: list[Site]
    index: list[int]  # of each in the file
    n_alleles: np.ndarray
    contig_lengths: dict[str, int | None]
    assembly: str | None
    human: bool


def read_psam(psam: str) -> People:
    """Read a .psam, or a .fam under that name."""
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
        if column not in NOT_LABELS and not any(c.upper() in UNKNOWN or is_number(c) for c in cells):
            labels[column] = np.array(cells, dtype=object)
    if (sexes != "unknown").any():
        labels["gender"] = sexes
    return People(samples, sexes == "male", labels)


def is_number(text: str) -> bool:
    """True if plink2 would take a value of a .psam column as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_pvar(pvar: str, region: str | None) -> Sites:
    """Read a .pvar or .pvar.zst."""
    bounds = None if region is None else parse_region(region)
    last = None if bounds is None or bounds[2] is None else bounds[2]
    meta: list[str] = []
    sites: list[Site] = []
    index: list[int] = []
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
        if bounds is None or (contig == bounds[0] and bounds[1] <= place_on <= (last or place_on)):
            if not place_on:
                refuse(pvar, number, f"{identifier} has {UNKNOWN_POSITION}.")
            alts = () if alt == "." else tuple(alt.split(","))
            sites.append(Site(contig, place_on, identifier, ref, alts))
            index.append(len(n_alleles))
        n_alleles.append(2 + alt.count(","))
    if place is None:
        raise DataError(f"{pvar} has no header line '#CHROM POS ID REF ALT'.")
    lengths, assembly = contig_table(meta, pvar)
    lengths.update((contig, None) for contig in seen if contig not in lengths)
    human = not any(line.startswith("##chrSet") for line in meta)
    return Sites(sites, index, np.array(n_alleles, dtype=np.int64), lengths, assembly, human)


def _pvar_columns(pvar: str, line: str) -> tuple[list[int], str | None]:
    """Return where CHROM, POS, ID, REF and ALT are, and what separates columns (None: blanks)."""
    separator = "\t" if "\t" in line else None
    columns = line.split(separator)
    wanted = ["#CHROM", "POS", "ID", "REF", "ALT"]
    if columns[:1] != ["#CHROM"] or not set(wanted) <= set(columns):
        raise DataError(
            f"{pvar} has no header line '#CHROM POS ID REF ALT', but {line[:40]!r}; "
            "`plink2 --pfile NAME --make-pgen` writes one."
        )
    return [columns.index(name) for name in wanted], separator


def _check_there(path: str) -> None:
    if not os.path.exists(path):
        stem, suffix = os.path.splitext(path)
        other = f" (nor {path}.zst)" if suffix == ".pvar" else ""
        raise MissingFile(f"There is no file {path}{other}, which belongs to {stem}.pgen.")
