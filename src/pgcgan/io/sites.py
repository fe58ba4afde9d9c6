"""Choose the sites to read by region, order and duplicates, and find the sites of one table in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..errors import DataError, listed
from ..genotypes import Variants
from ..regions import parse_region
from .records import Policies, log


def wanted_sites(
    variants: Variants,
    source: str,
    *,
    region: str | None,
    policies: Policies,
    place: Callable[[int], str],
    sort: str,
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
        where = "" if region is None else f" that starts in the region {region}"
        raise DataError(f"{source} holds no record{where}; its contigs: {listed(variants.contig_lengths)}.")
    return index


def _duplicates(
    variants: Variants, index: np.ndarray, repeats: np.ndarray, policies: Policies, place: Callable[[int], str]
) -> list[int]:
    """Return the sites that repeat contig, position, REF and ALT of an earlier one; `repeats` marks equal positions."""
    dropped: list[int] = []
    here: dict[tuple[str, str], int] = {}
    last = -2  # the pair of neighbours before
    for i in np.flatnonzero(repeats).tolist():
        if i != last + 1:  # another position than before
            first = int(index[i])
            here = {(variants.ref[first], variants.alt[first]): first}
        last, site = i, int(index[i + 1])
        earlier = here.setdefault((variants.ref[site], variants.alt[site]), site)
        if earlier != site:
            if policies.duplicates == "error":
                raise DataError(
                    f"{place(site)}: {variants.name(site)} occurs a second time, after {place(earlier)}; "
                    "duplicates='drop' (--duplicates drop) keeps the first."
                )
            dropped.append(site)
    return dropped


def site_rows(variants: Variants, wanted: Variants) -> np.ndarray:
    """Return, for each wanted site, its number in a table of sites, or -1 where it is absent.

    Sites are the same if contig, position, REF and ALT are.
    """

    def keys(sites: Variants) -> Iterator[tuple[str, int, str, str]]:
        return zip(sites.contig, sites.position.tolist(), sites.ref, sites.alt, strict=True)

    number = {key: i for i, key in enumerate(keys(variants))}
    return np.array([number.get(key, -1) for key in keys(wanted)], dtype=np.int64)
