"""Choose the sites to read by region, order and duplicates, and find the sites of one table in another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import DataError, listed
from ..genotypes import Genotypes, Variants
from ..regions import named_otherwise, parse_region
from ..site_keys import differ_by_id, is_another, site_keys
from .records import CONTROL, UNKNOWN_POSITION, Policies, log


def wanted_sites(
    variants: Variants,
    source: str,
    *,
    region: str | None,
    policies: Policies,
    place: Callable[[int], str],
    sort: str,
    zero_is_unknown: bool = False,
) -> np.ndarray:
    """Return the sites to read, as the readers of VCF choose records.

    Parameters
    ----------
    variants : Variants
        All sites of the file, biallelic.
    source : str
        What messages call the file.
    region : str, optional
        See `pgcgan.read`.
    policies : Policies
        Only `duplicates` matters here.
    place : callable
        Given the number of a site, says where it is ("x.bim, line 7").
    sort : str
        What the user can do to have them sorted.
    zero_is_unknown : bool
        The format writes 0 for a position that is not known.

    Returns
    -------
    array of int64
        In file order.

    Raises
    ------
    DataError
        If sites are not in order, one occurs a second time and `policies` do not drop it, or none is left.
    """
    inside = np.ones(len(variants), dtype=bool)
    if region is not None:
        contig, start, end = parse_region(region)
        inside = (variants.contig == contig) & (variants.position >= start)
        if end is not None:
            inside &= variants.position <= end
    index = np.flatnonzero(inside)
    contigs, positions = variants.contig[index], variants.position[index]
    _check_names(variants, index, place)
    _check_known(variants, index[positions == 0], place, zero_is_unknown)
    changes = contigs[1:] != contigs[:-1]
    back = ~changes & (positions[1:] < positions[:-1])
    if back.any():
        i = int(back.argmax())
        raise DataError(
            f"{place(int(index[i + 1]))}: {variants.name(index[i + 1])} comes after {variants.name(index[i])}: "
            f"positions go back; {sort}."
        )
    known: set[str] = set()
    for i in [0, *(np.flatnonzero(changes) + 1).tolist()][: len(index)]:
        if contigs[i] in known:
            raise DataError(
                f"{place(int(index[i]))}: {variants.name(index[i])} comes after {variants.name(index[i - 1])}, but "
                f"contig {contigs[i]} began before it; {sort}."
            )
        known.add(contigs[i])
    dropped = _duplicates(variants, index, ~changes & (positions[1:] == positions[:-1]), policies, place)
    if dropped:
        log.warning("%s: dropped duplicate sites: %d (%s)", source, len(dropped), listed(map(variants.name, dropped)))
        index = np.setdiff1d(index, dropped, assume_unique=True)
    if not len(index):
        where, advice = "", ""
        if region is not None:
            where = f" that starts in the region {region}"
            advice = named_otherwise(region, variants.contig_lengths)
        raise DataError(f"{source} holds no record{where}; its contigs: {listed(variants.contig_lengths)}{advice}.")
    return index


def _check_names(variants: Variants, index: np.ndarray, place: Callable[[int], str]) -> None:
    for what, values in (
        ("contig", variants.contig),
        ("ID", variants.id),
        ("REF", variants.ref),
        ("ALT", variants.alt),
    ):
        names = values[index].tolist()
        if all(names) and not CONTROL.search("".join(names)):
            continue
        i = next(i for i, name in enumerate(names) if not name or CONTROL.search(name))
        raise DataError(f"{place(int(index[i]))}: the {what} {names[i]!r} is empty, or has a control character in it.")


def _check_known(variants: Variants, zeros: np.ndarray, place: Callable[[int], str], zero_is_unknown: bool) -> None:
    """Raise a DataError if positions are not known; a VCF may have one record at 0, the end of the contig."""
    if len(zeros) and (zero_is_unknown or len(set(variants.contig[zeros])) < len(zeros)):
        first = int(zeros[0])
        raise DataError(
            f"{place(first)}: {variants.id[first]} and {len(zeros) - 1} other variants of {len(variants)} have "
            f"{UNKNOWN_POSITION}."
        )


def _duplicates(
    variants: Variants, index: np.ndarray, repeats: np.ndarray, policies: Policies, place: Callable[[int], str]
) -> list[int]:
    """Return the sites that repeat an earlier one (see `is_another`); `repeats` marks equal positions."""
    dropped: list[int] = []
    first: dict[tuple[str, str], int] = {}
    identifiers: dict[tuple[str, str], set[str]] = {}
    last = -2  # the pair of neighbours before
    for i in np.flatnonzero(repeats).tolist():
        if i != last + 1:  # another position than before
            site = int(index[i])
            alleles = variants.ref[site], variants.alt[site]
            first, identifiers = {alleles: site}, {alleles: {variants.id[site]}}
        last, site = i, int(index[i + 1])
        alleles = variants.ref[site], variants.alt[site]
        if is_another(variants.id[site], identifiers.setdefault(alleles, set())):
            first.setdefault(alleles, site)
            continue
        if policies.duplicates == "error":
            raise DataError(
                f"{place(site)}: {variants.name(site)} occurs a second time, after {place(first[alleles])}, with "
                "the same ID or none; duplicates='drop' (--duplicates drop) keeps the first, and IDs of their own keep "
                "both."
            )
        dropped.append(site)
    return dropped


def site_rows(variants: Variants, wanted: Variants) -> np.ndarray:
    """Return, for each wanted site, its number in a table of sites, or -1 where it is absent.

    Sites are the same if contig, position, REF and ALT are, and, where a table has several such sites, the ID too.
    """
    number = {key: i for i, key in enumerate(site_keys(variants))}
    rows = np.array([number.get(key, -1) for key in site_keys(wanted)], dtype=np.int64)
    several = np.zeros(len(variants) + 1, dtype=bool)  # the last is that of an absent site
    several[:-1] = differ_by_id(variants)
    unsure = np.flatnonzero(several[rows] | differ_by_id(wanted))
    if len(unsure):
        named = {(*key, name): i for i, (key, name) in enumerate(zip(site_keys(variants), variants.id, strict=True))}
        asked = wanted.select(unsure)
        rows[unsure] = [named.get((*key, name), -1) for key, name in zip(site_keys(asked), asked.id, strict=True)]
    return rows


def at_sites(genotypes: Genotypes, rows: np.ndarray) -> Genotypes:
    """Return the people at sites by their numbers, in the order of these."""
    if np.array_equal(rows, np.arange(genotypes.n_variants)):
        return genotypes
    return replace(genotypes, calls=genotypes.calls[rows], variants=genotypes.variants.select(rows))
