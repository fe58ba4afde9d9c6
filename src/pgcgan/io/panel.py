"""Labels of people: 1000 Genomes panels and pedigree files, any table with a sample column, and split files."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ..errors import DataError, UsageError, listed
from ..text import repeated
from .ploidy import SEXES
from .table import Row, numbered_lines, refuse, split_at_blanks

PANEL_COLUMNS = ("pop", "super_pop", "gender")  # the order of a 1000 Genomes panel, behind `sample`
SAMPLE_COLUMNS = ("sample", "sample_id", "SampleID", "Sample name", "IID", "#IID", "Individual ID")
FATHER = ("paternalid", "fatherid", "father", "pat")  # names of columns as `plain` returns them
MOTHER = ("maternalid", "motherid", "mother", "mat")
_FAM = ["FID", "IID", "PAT", "MAT", "SEX", "PHENOTYPE"]  # the columns of a .fam, which has no header
PEDIGREE = {  # the columns of pedigree files that are labels
    "population": "pop",
    "populationcode": "pop",
    "superpopulation": "super_pop",
    "superpopulationcode": "super_pop",
    "gender": "gender",
    "sex": "gender",
}
_NO_LABELS = {  # the other columns of such files
    *("familyid", "phenotype", "relationship", "siblings", "secondorder", "thirdorder", "children", "othercomments"),
    *("biosampleid", "populationname", "superpopulationname", "populationelasticid", "datacollections"),
}
_POPULATION_COLUMNS = ("pop", "population", "Population")
EMPTY = {"", ".", "NA", "NaN", "nan"}
_NOBODY = {*EMPTY, "0", "-9", "None", "none", "unknown"}  # a parent who is not known

# Phase 3 of the 1000 Genomes Project (2015): 26 populations in five super-populations. CHD is in its pedigree file
# only; nobody of it was sequenced in phase 3.
THOUSAND_GENOMES = {
    population: super_population
    for super_population, populations in {
        "AFR": "ACB ASW ESN GWD LWK MSL YRI",
        "AMR": "CLM MXL PEL PUR",
        "EAS": "CDX CHB CHS JPT KHV CHD",
        "EUR": "CEU FIN GBR IBS TSI",
        "SAS": "BEB GIH ITU PJL STU",
    }.items()
    for population in populations.split()
}
POPULATION_MAPS = {
    "1000g": THOUSAND_GENOMES,
    "pg-cgan": THOUSAND_GENOMES | {"ACB": "AMR", "ASW": "AMR"},  # as Chen, Mowlaei and Shi (2020) labelled them
}


def read_panel(
    path: str | os.PathLike[str],
    population_map: str | os.PathLike[str] | Mapping[str, str] | None = None,
    *,
    labels_needed: bool = True,
) -> dict[str, dict[str, str]]:
    """Read the labels of people.

    Parameters
    ----------
    path : path
        One of: a 1000 Genomes panel (`sample pop super_pop gender`, tabs or blanks); a pedigree file with a header, as
        the 1000 Genomes Project and IGSR have them, whose population, super-population and sex are called pop,
        super_pop and gender; a .fam, whose six columns have no header, of which the family ID and the sex are taken;
        any table with a header, separated by tabs, commas or blanks, with a column named sample, sample_id, SampleID,
        Sample name, IID, #IID or Individual ID (in any case). Columns of parents are not labels; see `read_parents`.
        An http or https address is read over the network.
    population_map : {"1000g", "pg-cgan"}, path or mapping, optional
        Makes `super_pop` from the population: "1000g" (the default for a pedigree file) is the project's own map,
        "pg-cgan" counts ACB and ASW as AMR as the PG-cGAN paper did, a path names a table of two columns, population
        and super-population.
    labels_needed : bool
        A table without a column of labels is an error.

    Returns
    -------
    dict of str to dict of str to str
        Column name to values by sample, both in file order.

    Raises
    ------
    DataError
        If the sample column is absent, a value is empty, a population is not in the map, or a sample occurs twice
        with different labels.
    UsageError
        If the population map is not known.
    """
    source = os.fspath(path)
    header, table, sample_at = _table(source)
    pedigree = _is_pedigree(header, sample_at)
    columns = _label_columns(header, table, sample_at)
    if not columns and labels_needed:
        raise DataError(f"{source} has no label column beside {header[sample_at]!r}.")
    labels: dict[str, dict[str, str]] = {}
    for name, at in columns.items():
        values = labels.setdefault(name, {})
        for number, row in table:
            sample, value = row[sample_at], row[at]
            if name == "gender" and value and (pedigree or header is _FAM):
                value = SEXES.get(value.upper(), "unknown")
            if value in EMPTY:
                way_out = "fill it in, or take the sample or the column out"
                refuse(source, number, f"label {name!r} is empty ({value!r}) for sample {sample}; {way_out}.")
            if values.setdefault(sample, value) != value:
                both = f"{values[sample]!r} and {value!r}"
                refuse(source, number, f"sample {sample} occurs twice with different labels, {name} {both}.")
    if (pedigree and "super_pop" not in labels) or population_map is not None:
        labels = _with_super_population(labels, "1000g" if population_map is None else population_map, source)
    return labels


def read_parents(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read who the parents of people are.

    Parameters
    ----------
    path : path
        A panel, see `read_panel`. Columns of parents are `Paternal ID` and `Maternal ID`, `FatherID` and `MotherID`,
        `father` and `mother`, or `PAT` and `MAT`, in any case, or those of a .fam.

    Returns
    -------
    dict of str to list of str
        The known parents of each person of the table, none where there are no such columns.
    """
    source = os.fspath(path)
    header, table, sample_at = _table(source)
    at = [i for i, name in enumerate(header) if i != sample_at and plain(name) in (*FATHER, *MOTHER)]
    return {row[sample_at]: [row[i] for i in at if row[i] not in _NOBODY] for _, row in table}


def family_names(names: Iterable[str], others: Collection[str]) -> str:
    """Return what to do where names are those of others with a family ID before them (FID_IID), or nothing."""
    reheader = "`bcftools reheader --samples`, or `plink2 --export vcf id-paste=iid`, writes names without it"
    for given, known, where, advice in (
        (names, set(others), "file", reheader),
        (others, set(names), "panel", "take it out of the panel's names"),
    ):
        ends = ((name, name[i + 1 :]) for name in given for i, character in enumerate(name) if character == "_")
        pairs = [(name, own) for name, own in ends if own in known]
        if pairs:
            name, own = pairs[0]
            return f"; {len(pairs)} names in the {where} look like FID_IID ({name} for {own}): {advice}"
    return ""


def plain(name: str) -> str:
    """Return the letters and digits of the name of a column, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_pedigree(header: list[str], sample_at: int) -> bool:
    """True if a table has the columns of a pedigree file or of IGSR, and not those that `write` gives a panel."""
    names = set(map(plain, header))
    people = plain(header[sample_at]) in ("individualid", "sampleid", "samplename")
    return people and ("populationcode" in names or ("population" in names and bool(names & {*FATHER})))


def _label_columns(header: list[str], table: list[Row], sample_at: int) -> dict[str, int]:
    """Return the places of the labels in a table."""
    if header is _FAM:
        return {"gender": 4} | ({"FID": 0} if _groups(table, 0) else {})
    pedigree = _is_pedigree(header, sample_at)
    columns: dict[str, int] = {}
    for i, name in enumerate(header):
        word = plain(name)
        if i == sample_at or word in (*FATHER, *MOTHER) or (pedigree and word in _NO_LABELS):
            continue
        columns.setdefault(PEDIGREE.get(word, name) if pedigree else name, i)
    return columns


def _groups(table: list[Row], at: int) -> bool:
    """True if a column of a .fam puts people together: several values, each of several people."""
    values = [row[at] for _, row in table]
    return 1 < len(set(values)) <= len(values) / 2


def read_split(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read which people are for training.

    Parameters
    ----------
    path : path
        A table with a sample column (see `read_panel`) and a column `split`, with `train` for the people to fit on
        and any other word (test, holdout) for the rest.

    Returns
    -------
    dict of str to str
        Split by sample, in file order.

    Raises
    ------
    DataError
        If there is no column `split`, a value is empty, or nobody is for training.
    """
    source = os.fspath(path)
    header, table, sample_at = _table(source)
    if "split" not in header:
        raise DataError(f"{source} has no column 'split'; its columns: {listed(header, 10)}.")
    at = header.index("split")
    split: dict[str, str] = {}
    for number, row in table:
        sample, part = row[sample_at], row[at]
        if part in EMPTY:
            refuse(source, number, f"the split is empty for sample {sample}.")
        if split.setdefault(sample, part) != part:
            refuse(source, number, f"sample {sample} is in two splits, {split[sample]!r} and {part!r}.")
    if "train" not in split.values():
        raise DataError(
            f"{source} puts nobody in the split 'train'; splits there: {listed(dict.fromkeys(split.values()))}."
        )
    return split


def _with_super_population(
    labels: dict[str, dict[str, str]], population_map: str | os.PathLike[str] | Mapping[str, str], source: str
) -> dict[str, dict[str, str]]:
    column = next((c for c in _POPULATION_COLUMNS if c in labels), None)
    if column is None:
        raise DataError(
            f"{source} has no population column for the population map; accepted: {', '.join(_POPULATION_COLUMNS)}; "
            f"its columns: {listed(labels, 10)}."
        )
    known = _population_map(population_map)
    super_population = {}
    for sample, population in labels[column].items():
        if population not in known:
            raise DataError(
                f"{source}: population {population!r} of sample {sample} is not in the population map; "
                f"known: {', '.join(sorted(known))}."
            )
        super_population[sample] = known[population]
    # Behind its population, as in a 1000 Genomes panel.
    columns = [(name, values) for name, values in labels.items() if name != "super_pop"]
    at = [name for name, _ in columns].index(column)
    return dict([*columns[: at + 1], ("super_pop", super_population), *columns[at + 1 :]])


def _population_map(given: str | os.PathLike[str] | Mapping[str, str]) -> Mapping[str, str]:
    if isinstance(given, Mapping):
        return given
    name = os.fspath(given)
    if name in POPULATION_MAPS:
        return POPULATION_MAPS[name]
    if not Path(name).is_file():
        raise UsageError(
            f"The population map {name!r} is not known; accepted: {', '.join(POPULATION_MAPS)}, or the path of a table "
            "of two columns, population and super-population."
        )
    pairs: dict[str, str] = {}
    for number, line in numbered_lines(name):
        fields = split_at_blanks(line.replace(",", " "))
        if not fields or (number == 1 and fields[0].lower() in ("pop", "population")):
            continue
        if len(fields) != 2:
            refuse(name, number, f"it has {len(fields)} columns; two are needed, population and super-population.")
        if pairs.setdefault(fields[0], fields[1]) != fields[1]:
            refuse(name, number, f"population {fields[0]} is mapped to {pairs[fields[0]]} and to {fields[1]}.")
    return pairs


def _table(source: str) -> tuple[list[str], list[Row], int]:
    """Return header, rows and the column of the samples; cells are stripped, and short rows filled up."""
    lines = [(n, line) for n, line in numbered_lines(source) if line.strip() and not line.startswith("##")]
    if not lines:
        raise DataError(f"{source} is empty; a header line and a line for each sample are needed.")
    numbers, texts = zip(*lines, strict=True)
    cells = [[cell.strip() for cell in row] for row in _cells(list(texts), source)]
    header = cells[0]
    # The header of the published 1000 Genomes panel ends in two tabs.
    while header and not header[-1]:
        header.pop()
    names = [plain(name) for name in header]
    at = next((names.index(name) for name in map(plain, SAMPLE_COLUMNS) if name in names), None)
    table = list(zip(numbers, cells, strict=True))
    if at is None and all(  # a .fam: six columns, the fifth a code of the sex, the sixth a number
        len(row) == 6 and row[4] in ("0", "1", "2", "-9", "NA") and re.fullmatch(r"-?[0-9.]+|NA", row[5])
        for row in cells
    ):
        header, at = _FAM, 1
    else:
        table = table[1:]
    first_is_person = (
        f"; the first line must name the columns ('sample pop super_pop'), and {' '.join(header[:4])!r} looks like a "
        "person: put a header before it"
    )
    twice = repeated(header)
    if twice:
        person = first_is_person if at is None else ""
        raise DataError(f"{source} has columns of the same name: {listed(twice)}{person}.")
    for number, row in table:
        if any(row[len(header) :]):
            refuse(source, number, f"it has {len(row)} columns, the header has {len(header)}.")
        row += [""] * (len(header) - len(row))
    if not table:
        raise DataError(f"{source} has a header but no samples.")
    if at is None:
        # Values are there in other lines too, names of columns are not.
        recurs = any(row[i] == name for _, row in table for i, name in enumerate(header))
        raise DataError(
            f"{source} has no sample column; accepted names: {', '.join(SAMPLE_COLUMNS)}; its columns: "
            f"{listed(header, 10)}{first_is_person if recurs else ''}."
        )
    for number, row in table:
        if not row[at]:
            refuse(source, number, f"it has no sample name in column {header[at]!r}.")
    return header, table, at


def _cells(lines: list[str], source: str) -> list[list[str]]:
    """Split lines at tabs, commas or blanks, whichever the first line has."""
    if "\t" in lines[0]:
        return [line.split("\t") for line in lines]
    if "," not in lines[0]:
        return [split_at_blanks(line) for line in lines]
    try:
        cells = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{source} cannot be read as a table of commas ({error}): a quote is not closed, or is in the middle of a "
            "cell."
        ) from None
    if len(cells) < len(lines):
        raise DataError(f"{source} has a quoted cell of several lines.")
    return cells
