"""Choose the sites to read by region, order and duplicates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import DataError, listed
from ..regions import named_otherwise, parse_region
from ..variants import Variants, is_another, site_keys
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
    if not len(index):
        where = "" if region is None else f" that starts in the region {region}"
        advice = "" if region is None else named_otherwise(region, variants.contig_lengths)
        raise DataError(f"{source} holds no record{where}; its contigs: {listed(variants.contig_lengths)}{advice}.")
    contigs, positions = variants.contig[index], variants.position[index]
    _check_names(variants, index, place)
    zeros = index[positions == 0]
    # a VCF may have one record at 0, the end of the contig
    if len(zeros) and (zero_is_unknown or len(set(variants.contig[zeros])) < len(zeros)):
        first = int(zeros[0])
        raise DataError(
            f"{place(first)}: {variants.id[first]} and {len(zeros) - 1} other variants of {len(variants)} have "
            f"{UNKNOWN_POSITION}."
        )
    begins = np.append(True, contigs[1:] != contigs[:-1])
    back = np.flatnonzero(~begins[1:] & (positions[1:] < positions[:-1])) + 1
    runs = np.flatnonzero(begins)
    again = np.setdiff1d(runs, runs[np.unique(contigs[runs], return_index=True)[1]])
    for i in (*back[:1], *again[:1]):
        reason = f", but contig {contigs[i]} began before it" if begins[i] else ": positions go back"
        raise DataError(
            f"{place(int(index[i]))}: {variants.name(index[i])} comes after {variants.name(index[i - 1])}{reason}; "
            f"{sort}."
        )
    repeats = np.append(False, ~begins[1:] & (positions[1:] == positions[:-1]))
    dropped = _duplicates(variants, index[repeats | np.append(repeats[1:], False)].tolist(), policies, place)
    if dropped:
        log.warning("%s: dropped duplicate sites: %d (%s)", source, len(dropped), listed(map(variants.name, dropped)))
        index = np.setdiff1d(index, dropped, assume_unique=True)
    return index


def _check_names(variants: Variants, index: np.ndarray, place: Callable[[int], str]) -> None:
    columns = {"contig": variants.contig, "ID": variants.id, "REF": variants.ref, "ALT": variants.alt}
    for what, values in columns.items():
        names = values[index].tolist()
        if all(names) and not CONTROL.search("".join(names)):
            continue
        i = next(i for i, name in enumerate(names) if not name or CONTROL.search(name))
        raise DataError(f"{place(int(index[i]))}: the {what} {names[i]!r} is empty, or has a control character in it.")


def _duplicates(variants: Variants, shared: list[int], policies: Policies, place: Callable[[int], str]) -> list[int]:
    """Return those sites, of the ones that share their positions, that repeat an earlier one; see `is_another`."""
    dropped: list[int] = []
    first: dict[tuple[str, int, str, str], int] = {}
    identifiers: dict[tuple[str, int, str, str], set[str]] = {}
    for site, key in zip(shared, site_keys(variants.select(shared)), strict=True):
        if is_another(variants.id[site], identifiers.setdefault(key, set())):
            first.setdefault(key, site)
            continue
        if policies.duplicates == "error":
            raise DataError(
                f"{place(site)}: {variants.name(site)} occurs a second time, after {place(first[key])}, with "
                "the same ID or none; duplicates='drop' (--duplicates drop) keeps the first, and IDs of their own keep "
                "both."
            )
        dropped.append(site)
    return dropped
