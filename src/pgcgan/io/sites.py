"""Choose the sites to read by region, order and duplicates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import DataError, listed
from ..regions import named_otherwise, parse_region
from ..site_keys import is_another
from ..variants import Variants
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
    """Return the numbers of the sites to read, in file order, chosen as the readers of VCF choose records.

    `variants` are all sites of the file, biallelic. `place` says where a site is ("x.bim, line 7"), given its number;
    `sort`, what the user can do to have them sorted; `zero_is_unknown`, that the format writes 0 for a position that is
    not known. A DataError says that sites are not in order, that one occurs a second time, or that none is left.
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
