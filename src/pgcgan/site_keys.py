"""What tells one variant from another: contig, position, REF and ALT, and the ID where these are the same.

Alleles of HLA genes and amino acids are coded as markers of one position, all A/P, that only their IDs tell apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from .errors import DataError, listed
from .regions import MAX_POSITION, plain_contig
from .variants import Variants


def site_keys(variants: Variants) -> Iterator[tuple[str, int, str, str]]:
    """Yield contig, position, REF and ALT of each variant."""
    return zip(variants.contig, variants.position.tolist(), variants.ref, variants.alt, strict=True)


def is_another(identifier: str, identifiers: set[str]) -> bool:
    """True if a record is another variant than those of the same position and alleles, by its ID, which is added.

    A record without an ID repeats any of them.
    """
    if identifiers and (identifier == "." or "." in identifiers or identifier in identifiers):
        return False
    identifiers.add(identifier)
    return True


def differ_by_id(variants: Variants) -> np.ndarray:
    """Return one flag a variant: True if another has the same contig, position, REF and ALT."""
    _, place, counts = np.unique(variants.position, return_inverse=True, return_counts=True)
    flags = counts[place] > 1
    shared = np.flatnonzero(flags)
    if len(shared):
        keys = list(site_keys(variants.select(shared)))
        count = Counter(keys)
        flags[shared] = [count[key] > 1 for key in keys]
    return flags


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


def require_sites(variants: Variants, wanted: Variants, what: str, advice: str = "") -> np.ndarray:
    """Return `site_rows`; raise a DataError, which says `what` some sites are, unless all wanted sites are there."""
    rows = site_rows(variants, wanted)
    absent = [wanted.name(int(i)) for i in np.flatnonzero(rows < 0)]
    if absent:
        raise DataError(f"{len(absent)} of the {len(rows)} sites {what}: {listed(absent, 3)}{advice}.")
    return rows


def common_rows(variants: Variants, wanted: Variants) -> np.ndarray:
    """Return the numbers of the wanted sites that a table has, in their order."""
    rows = site_rows(variants, wanted)
    if (rows >= 0).any():
        return rows[rows >= 0]
    own, others = (list(dict.fromkeys(sites.contig)) for sites in (variants, wanted))
    where = " and ".join(map(_ranges, (variants, wanted)))
    advice = "give people of the same region and build, with the same REF and ALT"
    if not set(own) & set(others) and set(map(plain_contig, own)) & set(map(plain_contig, others)):
        where = f"contigs {listed(own)} and {listed(others)}"
        advice = "the contigs are named in two ways: rename those of one file with `bcftools annotate --rename-chrs`"
    raise DataError(f"The sets have no site in common: {where}; {advice}.")


def _ranges(variants: Variants) -> str:
    return listed((f"{contig}:{first}-{last}" for contig, first, last, _ in contig_spans(variants)), 3)


def contig_spans(variants: Variants) -> list[tuple[str, int, int, int]]:
    """Return contig, least and greatest position and number of the variants of each contig, in file order."""
    contigs: dict[str, tuple[int, int, int]] = {}
    changes = np.flatnonzero(variants.contig[1:] != variants.contig[:-1]) + 1
    for begin, end in pairwise([0, *changes.tolist(), len(variants)]):
        if end > begin:
            name, part = str(variants.contig[begin]), variants.position[begin:end]
            low, high, count = contigs.get(name, (MAX_POSITION, 0, 0))
            contigs[name] = min(low, int(part.min())), max(high, int(part.max())), count + end - begin
    return [(name, *span) for name, span in contigs.items()]
